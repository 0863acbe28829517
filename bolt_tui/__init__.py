"""Bolt: the command line, the desk and the wiring of the engine to its brokers."""

# bolt-tui: resources.check_packages looks for this line.
