"""The panes of the desk: they draw snapshots and post commands, and hold no truth."""

# bolt-tui: resources.check_packages looks for this line.
