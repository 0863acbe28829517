"""The execution engine: one gate, one journal, no screen and no broker SDK."""
