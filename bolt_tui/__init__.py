"""Bolt: the command line, the desk and the wiring of the engine to its brokers."""
