"""Rows of the command table for a box that runs by itself. Nothing here imports the engine or a screen."""

from __future__ import annotations

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.subcommand import Subcommand, arg

BOX = (
    Subcommand(
        "service print",
        "Print a unit that runs the engine without a screen for weeks: systemd, or launchd on macOS.",
        "bolt service print --strategy BuyTheDip:symbol=AAPL",
        "box:service",
        (
            arg(
                "--kind",
                choices=("systemd", "launchd"),
                default="",
                help="which (default: that of this machine)",
            ),
            arg(
                "--strategy",
                metavar="NAME",
                action="append",
                default=[],
                help="start this strategy: NAME, with its parameters of settings.yaml, or NAME:param=value,param=value; again for more",
            ),
        ),
        detail="Nothing is installed: write it to ~/.config/systemd/user/bolt.service, then `systemctl --user enable --now bolt`. The unit names this BOLT_HOME and this `bolt`; it restarts an engine that crashed, and neither one that was "
        "stopped nor one whose settings or ledger cannot be used.",
    ),
    Subcommand(
        "notify test",
        "Send a line over every notification channel of settings.yaml, and say of each how that went.",
        "bolt notify test",
        "box:notify_test",
        (),
        (Exit.REFUSED, Exit.INCOMPLETE),
        detail="Exit code 8 where a channel failed, 1 where none is set.",
    ),
)
