"""The rows of the commands that list something: what the desk shows, for a terminal, a script or a screen reader."""

from __future__ import annotations

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.subcommand import AT, FROM_LEDGER, LEDGER_FILE, SYMBOL, Subcommand, arg

PRICES_FROM = "Prices of now need an engine; those of an instant (`--at`) come from the tape beside the ledger, and what it lacks is said."

LISTS = (
    Subcommand(
        "orders",
        "List open orders.",
        "bolt orders --json",
        "lists:orders",
        (
            arg("--all", action="store_true", help="also those that have ended"),
            arg("--waiting", action="store_true", help="only those that wait: for a trigger, or for a second person"),
            SYMBOL,
            AT,
            LEDGER_FILE,
        ),
        (Exit.NO_ENGINE, Exit.STORE),
        detail=FROM_LEDGER + " An order whose answer was awaited is UNKNOWN then, and one at work is STALE."
        " `--all` lists the newest 1,000 rows and says how many older ones are left out.",
        is_list=True,
    ),
    Subcommand(
        "positions",
        "List positions.",
        "bolt positions --by strategy",
        "lists:positions",
        (
            SYMBOL,
            arg(
                "--by",
                choices=("strategy",),
                default="",
                help="each strategy's part, from the ledger; the rest is `unassigned`",
            ),
            AT,
            LEDGER_FILE,
        ),
        (Exit.NO_ENGINE, Exit.STORE),
        detail=FROM_LEDGER
        + " The parts of a position always add up to the broker's; `unassigned` are orders of people, foreign "
        "executions, adjustments, and what the order in which lots were closed makes different.",
        is_list=True,
    ),
    Subcommand(
        "fills",
        "List executions, the newest last.",
        "bolt fills --limit 20",
        "lists:fills",
        (
            SYMBOL,
            arg("--limit", metavar="N", type=int, default=100, help="at most this many (default: 100)"),
            AT,
            LEDGER_FILE,
        ),
        (Exit.NO_ENGINE, Exit.STORE),
        detail=FROM_LEDGER,
        is_list=True,
    ),
    Subcommand(
        "blotter",
        "Show the whole blotter: parents, their children and executions, open, done and staged.",
        "bolt blotter --csv",
        "panes:blotter",
        (SYMBOL, AT, LEDGER_FILE),
        (Exit.NO_ENGINE, Exit.STORE),
        detail=FROM_LEDGER
        + " Every open order and the newest 1,000 rows, beside a running engine too; how many older ones are left out is said.",
        is_list=True,
    ),
    Subcommand(
        "log",
        "Show the trade log, the newest last.",
        "bolt log --follow --plain",
        "panes:log",
        (
            arg("--limit", metavar="N", type=int, default=50, help="at most this many (default: 50)"),
            arg("--follow", action="store_true", help="go on a line at a time, until interrupted; needs an engine"),
            AT,
            LEDGER_FILE,
        ),
        (Exit.NO_ENGINE, Exit.STORE, Exit.INTERRUPTED),
        detail=FROM_LEDGER
        + " With `--follow` it is a desk for a screen reader: one finished line for each thing that happens.",
        is_list=True,
    ),
    Subcommand(
        "watch",
        "Show best prices, their age and whether they are stale.",
        "bolt watch AAPL MSFT",
        "panes:watch",
        (arg("symbols", metavar="SYMBOL", nargs="*", default=[], help="these only (default: all)"), AT, LEDGER_FILE),
        (Exit.NO_ENGINE, Exit.STORE),
        detail=PRICES_FROM,
        is_list=True,
    ),
    Subcommand(
        "book",
        "Show the visible levels of a symbol, with own orders beside them.",
        "bolt book AAPL",
        "panes:book",
        (arg("symbol_name", metavar="SYMBOL", help="the symbol"), AT, LEDGER_FILE),
        (Exit.NO_ENGINE, Exit.STORE),
        detail=PRICES_FROM,
        is_list=True,
    ),
    Subcommand(
        "risk",
        "Show each limit with what is used of it and its policy line, or exposures.",
        "bolt risk --csv",
        "panes:risk",
        (
            arg(
                "--exposures",
                action="store_true",
                help="longs and shorts by symbol, source, broker and currency instead",
            ),
            AT,
            LEDGER_FILE,
        ),
        (Exit.NO_ENGINE, Exit.STORE),
        detail="Where no engine answers they are those of the ledger's last row, at the prices of its tape; what needs a price that is not there is "
        "unknown.",
        is_list=True,
    ),
    Subcommand(
        "tca",
        "Show what parents cost: slip against the arrival, its parts, fees, venues.",
        "bolt tca P104",
        "panes:tca",
        (
            arg("order_id", metavar="ORDER", nargs="?", default="", help="one parent (default: all that have filled)"),
            AT,
            LEDGER_FILE,
        ),
        (Exit.NO_ENGINE, Exit.STORE),
        is_list=True,
    ),
    Subcommand(
        "events",
        "Show journaled events, one on a line.",
        "bolt events --follow --kind order_filled",
        "lists:events",
        (
            arg(
                "--from",
                dest="from_seq",
                metavar="SEQ",
                type=int,
                default=0,
                help="from this sequence number (default: the last ones)",
            ),
            arg("--limit", metavar="N", type=int, default=100, help="at most this many (default: 100)"),
            arg(
                "--kind",
                metavar="KIND",
                action="append",
                default=[],
                help="only this kind, and rows that hold one of it; may be given again",
            ),
            arg("--follow", action="store_true", help="go on as they happen, until interrupted; needs an engine"),
        ),
        (Exit.NO_ENGINE, Exit.STORE, Exit.INTERRUPTED),
        detail=FROM_LEDGER,
    ),
)
