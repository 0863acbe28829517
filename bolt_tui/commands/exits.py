"""Exit codes. Scripts decide on them, so a number never changes its meaning."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a subcommand's exit code says."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NO_ENGINE = 3
    UNKNOWN = 4
    HALTED = 5
    STORE = 6
    FAULT = 7
    INCOMPLETE = 8
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done",
    Exit.REFUSED: "refused: denied by the gate, rejected by the venue, or not possible in this state; nothing more will happen",
    Exit.USAGE: "the command line, a setting or a file cannot be used; nothing was done",
    Exit.NO_ENGINE: "no engine runs on this BOLT_HOME, or it does not answer; nothing was sent",
    Exit.UNKNOWN: "the outcome is unknown: it was sent and no answer came. Ask again with the same `--intent`, never without",
    Exit.HALTED: "trading is halted; nothing was sent",
    Exit.STORE: "the ledger cannot be opened, read, written or verified",
    Exit.FAULT: "Bolt itself failed, or an engine could not be started",
    Exit.INCOMPLETE: "done as far as possible and not finished: something needs a person (the output names it)",
    Exit.INTERRUPTED: "interrupted from the keyboard",
}
"""The table in words; `docs/commands.md` is made from it."""
