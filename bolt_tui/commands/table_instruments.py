"""Rows of the command table on instruments. Nothing here imports the engine or a screen."""

from __future__ import annotations

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.subcommand import Subcommand, arg

ON = arg("--on", metavar="DAY", default="", help="as of that day (UTC), as 2024-03-01 (default: now)")

INSTRUMENTS = (
    Subcommand(
        "find",
        "Find instruments by symbol, name, a broker's name, an earlier name, venue, kind, currency or family.",
        "bolt find es front",
        "instruments:find",
        (
            arg("words", metavar="WORDS", nargs="*", default=[], help="all of them must match (default: list all)"),
            arg("--kind", metavar="KIND", default="", help="only this kind, such as future"),
            arg("--broker", metavar="NAME", default="", help="only what has a name at this broker"),
            ON,
        ),
        (Exit.REFUSED, Exit.STORE),
        detail="What the broker lists, with names, aliases, earlier names, expiries and contracts from `instruments/*.yaml` of the state "
        "folder (docs/market-data.md). `front` and `next` find contracts by their place. Exit code 1 where nothing matches.",
        is_list=True,
    ),
    Subcommand(
        "roll",
        "Show contracts that end soon, those with a position first of all, and the two orders that would roll them.",
        "bolt roll ES --on 2024-03-08",
        "instruments:roll",
        (
            arg(
                "families",
                metavar="FAMILY",
                nargs="*",
                default=[],
                help="families or contracts (default: those with a position)",
            ),
            ON,
        ),
        (Exit.REFUSED, Exit.STORE, Exit.INCOMPLETE),
        detail="It places nothing: closing and opening are two orders, and between them the position is open. Exit code 8 where a position "
        "stands in a contract whose roll day has come.",
        is_list=True,
    ),
    Subcommand(
        "sessions",
        "Show the sessions of an exchange: when each opens and closes (UTC), early closes and lunch breaks included.",
        "bolt sessions XNYS --on 2024-11-28 --days 3",
        "instruments:sessions",
        (
            arg("calendar", metavar="CALENDAR", help="24x7, or an exchange such as XNYS, XNSE or XHKG"),
            ON,
            arg("--days", metavar="N", type=int, default=5, help="how many sessions (default: 5)"),
        ),
        (Exit.REFUSED,),
        detail="The calendar by which the gate goes. JSON also says whether it is open at that moment; `--on` takes a time too.",
        is_list=True,
    ),
)
