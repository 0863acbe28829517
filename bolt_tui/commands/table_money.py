"""The rows of the commands that concern money: cash by currency, rates, and what happens to an account beside trading."""

from __future__ import annotations

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.subcommand import ASKS_ENGINE, AT, LEDGER_FILE, Subcommand, arg

_FROM_TO = (
    arg("of", metavar="OF", help="the currency that is given, such as EUR"),
    arg("to", metavar="TO", help="the currency that is wanted, such as USD"),
)
_COUNTER = "An act of the account's owner at the broker: it needs the paper venue and no engine. An engine hears of it as a broker booking."

MONEY = (
    Subcommand(
        "cash",
        "Show cash by currency, and what it is worth in the base currency.",
        "bolt cash --json",
        "money:cash",
        (AT, LEDGER_FILE),
        (Exit.NO_ENGINE, Exit.STORE),
        detail="Each amount with its rate, the moment and the source of the rate. STALE: the rate is older than `fx.max_age_s` or "
        "there is none, and limits that need it deny.",
        is_list=True,
    ),
    Subcommand(
        "fx list",
        "Show the stated currency rates and how old they are.",
        "bolt fx list",
        "money:fx_list",
        (AT, LEDGER_FILE),
        (Exit.NO_ENGINE, Exit.STORE),
        is_list=True,
    ),
    Subcommand(
        "fx set",
        "State a currency rate; it is journaled with its moment and its source.",
        "bolt fx set EUR USD 1.0850 --as-of 2026-11-27T15:00:00Z --by 'ECB reference'",
        "money:fx_set",
        (
            *_FROM_TO,
            arg("rate", metavar="RATE", help="so many TO for one OF"),
            arg("--as-of", metavar="TIME", default="", help="the moment it stands for, with zone (default: now)"),
            arg("--by", metavar="TEXT", default="", help="who says so (default: your name)"),
        ),
        (Exit.REFUSED, *ASKS_ENGINE),
        detail="A fresh quote of a spot pair (EUR-USD) goes before a stated rate. A rate counts from its moment, not from when it was "
        "stated, and is never read through a third currency.",
    ),
    Subcommand(
        "fx load",
        "State every rate of a file.",
        "bolt fx load fx.yaml",
        "money:fx_load",
        (
            arg(
                "file",
                metavar="FILE",
                help="YAML: name, rates with of, to, rate and at; `fx.yaml` in the state folder is read at each start",
            ),
        ),
        (Exit.REFUSED, *ASKS_ENGINE),
    ),
    Subcommand(
        "statement",
        "State a day of each account: opening, trades, fees, bookings, results and closing, proven against the ledger.",
        "bolt statement --day 2026-11-27 --csv",
        "statement:statement",
        (
            arg(
                "--day",
                metavar="DATE",
                default="",
                help="the risk day that begins on this date (default: that of the last row)",
            ),
            arg("--account", metavar="NAME", default="", help="only this account, and its own cut (default: all)"),
            arg(
                "--carry",
                metavar="FILE",
                default="",
                help="says when trades settle (default: carry.yaml of the state folder, if there is one)",
            ),
            LEDGER_FILE,
        ),
        (Exit.NO_ENGINE, Exit.STORE),
        detail="Read from the journal, with an engine or without. The lines are worked out from the events' own numbers; where they do "
        "not lead to the ledger's cash to the last unit it says so, with exit code 6. The proof names row and hash of the ledger. Marks "
        "are the last journaled prices, rates the last stated ones.",
        is_list=True,
    ),
    Subcommand(
        "adjust",
        "Book cash, an opening balance, a transfer or a position with its cost, as your word and with a reason.",
        "bolt adjust 100 AAPL --cost 15000 --as transfer --id T-0412 --reason 'moved from the old broker'",
        "money:adjust",
        (
            arg("amount", metavar="AMOUNT", help="cash or quantity; below zero goes out"),
            arg("what", metavar="CCY|SYMBOL", help="a currency; with --cost or --price a symbol"),
            arg("--reason", metavar="TEXT", required=True, help="what it is and how you know; journaled"),
            arg(
                "--id",
                metavar="ID",
                required=True,
                help="your own id for it; asked again with the same one, it is booked once",
            ),
            arg(
                "--as",
                dest="kind",
                choices=("cash", "opening", "transfer"),
                default="cash",
                help="what it is (default: cash)",
            ),
            arg("--cost", metavar="AMOUNT", default="", help="what the position had cost in all"),
            arg("--price", metavar="PRICE", default="", help="what one had cost"),
            arg("--broker", metavar="NAME", default="paper", help="at which broker (default: paper)"),
            arg("--account", metavar="NAME", default="PAPER", help="in which account (default: PAPER)"),
        ),
        (Exit.REFUSED, *ASKS_ENGINE),
        detail="It changes the ledger only and is no result of the day. The next comparison with the broker must find the same; what "
        "a comparison had tripped and this explains goes on. A position that is taken over keeps what it had cost.",
    ),
    Subcommand(
        "paper convert",
        "Change one currency into another at the paper broker.",
        "bolt paper convert 1000 EUR USD",
        "money:paper_convert",
        (arg("amount", metavar="AMOUNT", help="of the first currency"), *_FROM_TO),
        (Exit.REFUSED, Exit.NO_ENGINE),
        detail="At the rate and the cost that `fx.yaml` states. " + _COUNTER,
    ),
    Subcommand(
        "paper deposit",
        "Pay cash into the paper account; below zero takes out.",
        "bolt paper deposit 5000 EUR --why 'first funding'",
        "money:paper_deposit",
        (
            arg("amount", metavar="AMOUNT", help="how much"),
            arg("currency", metavar="CCY", help="of which currency"),
            arg("--why", metavar="TEXT", default="", help="one sentence for the booking"),
        ),
        (Exit.REFUSED, Exit.NO_ENGINE),
        detail=_COUNTER,
    ),
    Subcommand(
        "paper order",
        "Trade the paper account from another terminal: a market order that is foreign to the engine.",
        "bolt paper order -- -50 AAPL",
        "money:paper_order",
        (
            arg("qty", metavar="QTY", help="how much; below zero sells (write -- before it)"),
            arg("symbol_name", metavar="SYMBOL", help="of what"),
        ),
        (Exit.REFUSED, Exit.NO_ENGINE),
        detail="It passes no gate of ours, as nothing does that is done in a broker's own terminal. The engine books its execution to the "
        "account, as foreign.",
    ),
    Subcommand(
        "paper transfer",
        "Bring a position into the paper account from another one, or take it out.",
        "bolt paper transfer 100 AAPL --cost 15000 --why 'from the old broker'",
        "money:paper_transfer",
        (
            arg("qty", metavar="QTY", help="how much; below zero goes out (write -- before it)"),
            arg("symbol_name", metavar="SYMBOL", help="of what"),
            arg("--cost", metavar="AMOUNT", required=True, help="what all of it had cost"),
            arg("--why", metavar="TEXT", default="", help="one sentence for the booking"),
        ),
        (Exit.REFUSED, Exit.NO_ENGINE),
        detail=_COUNTER,
    ),
)
