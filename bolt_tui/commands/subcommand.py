"""What a row of the table of subcommands is, and the arguments that several of them take.

Nothing here imports the engine or a screen, so that `bolt --help` costs no more than Python itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bolt_tui.commands.exits import Exit

ASKS_ENGINE = (Exit.NO_ENGINE, Exit.UNKNOWN)


@dataclass(frozen=True)
class Arg:
    """One argument, as argparse takes it."""

    flags: tuple[str, ...]
    help: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Subcommand:
    """One row."""

    name: str
    """One word, or group and word: ``ledger verify``."""
    summary: str
    example: str
    run: str
    """``module:function`` in this package, called with a Context; returns an Exit."""
    args: tuple[Arg, ...] = ()
    exits: tuple[Exit, ...] = ()
    """Exit codes beyond 0 and 2."""
    detail: str = ""
    extend: str = ""
    """Module whose ``add_arguments(parser)`` gives the arguments; loaded only for this subcommand."""
    is_hidden: bool = False
    is_list: bool = False
    """Shows rows: takes ``--csv`` and ``--plain`` too."""


def arg(*flags: str, help: str, **options: Any) -> Arg:  # noqa: A002 - argparse calls it so
    """A row of an argument table."""
    return Arg(flags, help, options)


WHY = arg("--why", metavar="TEXT", default="", help="one sentence for the journal")
SYMBOL = arg("--symbol", metavar="SYMBOL", default="", help="only this symbol")
CONFIRM = arg("--confirm", metavar="CODE", action="append", default=[], help="confirm a denial that shows this code so")
INTENT = arg(
    "--intent",
    metavar="ID",
    default="",
    help="your own id for this wish; asked again with the same id, the engine reports and never sends a second time",
)
SCOPE = arg(
    "--scope",
    metavar="SCOPE",
    default="global",
    help="global, account:NAME, strategy:NAME or symbol:NAME (default: global)",
)
FROM_LEDGER = "Where no engine answers, the ledger does: as of its last row, and it says so."
AT = arg(
    "--at",
    metavar="TIME",
    default="",
    help="as of then (UTC): 14:42:06 or 2026-11-28T14:42:06; from the journal, prices from its tape",
)
LEDGER_FILE = arg("--ledger", metavar="FILE|URL", default="", help="the ledger (default: the one of BOLT_HOME)")
DATA_FILES = arg(
    "files", nargs="+", metavar="FILE", help="recorded market data, gzip or plain CSV, of any layout that is read"
)
TERMS = arg(
    "--instrument",
    metavar="TERMS",
    action="append",
    default=[],
    help="SYM:tick=,lot=,mult=,ccy=,mic=[,kind=,calendar=,adv=,expiry=]; again for each file in its order (default: the sidecar FILE.yaml, else "
    "stated defaults)",
)
