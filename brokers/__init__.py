"""The broker adapters: each wraps one venue behind the port that the engine owns."""
