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
        "paper convert",
        "Change one currency into another at the paper broker.",
        "bolt paper convert 1000 EUR USD",
        "money:paper_convert",
        (arg("amount", metavar="AMOUNT", help="of the first currency"), *_FROM_TO),
        (Exit.NO_ENGINE,),
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
        (Exit.NO_ENGINE,),
        detail=_COUNTER,
    ),
)
