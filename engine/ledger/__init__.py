"""Cash, positions and results, projected from the journal."""
