"""The execution engine: one gate, one journal, no screen and no broker SDK."""

# bolt-tui: resources.check_packages looks for this line.
