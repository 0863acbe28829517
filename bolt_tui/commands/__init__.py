"""The subcommands of `bolt`: one table of what they are, and a module for each kind of work."""
