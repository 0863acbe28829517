"""Where an order goes and where it stands there."""
