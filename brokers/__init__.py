"""The broker adapters: each wraps one venue behind the port that the engine owns."""

# bolt-tui: resources.check_packages looks for this line.
