"""Rows of the command table on recorded and recording markets. Nothing here imports the engine or a screen."""

from __future__ import annotations

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.subcommand import DATA_FILES, LEDGER_FILE, TERMS, Subcommand, arg

MARKET = (
    Subcommand(
        "replay",
        "Trade against recorded market data, as fast as the machine can.",
        'bolt replay DAY.csv.gz --order "b 5000 AAPL vwap 30m" --seed 7 --json',
        "tools:replay",
        (),
        (Exit.REFUSED, Exit.STORE, Exit.FAULT),
        extend="bolt_tui.replay",
    ),
    Subcommand(
        "record",
        "Record the feeds: an engine without a screen that starts no strategy.",
        "bolt record --seconds 3600",
        "record:record",
        (
            arg(
                "--seconds",
                metavar="N",
                type=float,
                default=0.0,
                help="end after this many seconds (default: run until stopped)",
            ),
        ),
        (Exit.STORE, Exit.FAULT),
        detail="Every engine records what it hears, by day, in chunks whose hashes its journal holds; this one does nothing else. Ends with "
        "the recorded days. `tape` in settings.yaml says how much is kept.",
    ),
    Subcommand(
        "tape list",
        "The recorded days.",
        "bolt tape list",
        "record:tape_list",
    ),
    Subcommand(
        "tape export",
        "Write a recorded day of one symbol as a file for `bolt replay`, its terms beside it.",
        "bolt tape export 20240305 AAPL --out aapl.csv.gz",
        "record:tape_export",
        (
            arg("day", metavar="DAY", help="as YYYYMMDD, in UTC"),
            arg("symbol", metavar="SYMBOL", help="which instrument"),
            arg("--out", metavar="FILE", required=True, help="the new file, written as gzip"),
            LEDGER_FILE,
        ),
        (Exit.STORE,),
        detail="Each chunk is checked against the hash in the journal first.",
    ),
    Subcommand(
        "tape prune",
        "Remove recorded days: older ones, then the oldest until little enough is left. No engine may run.",
        "bolt tape prune --keep-days 7",
        "record:tape_prune",
        (
            arg("--keep-days", metavar="N", type=int, default=None, help="keep so many days (default: tape.keep_days)"),
            arg(
                "--keep-mb", metavar="N", type=int, default=None, help="keep so many MB at most (default: tape.keep_mb)"
            ),
        ),
        (Exit.STORE,),
        detail="The ledger names the days that were removed, so that `bolt ledger verify` does not miss them. Today stays. A running engine does "
        "this by itself when it starts and at each turn of the day, by `tape` in settings.yaml.",
    ),
    Subcommand(
        "data inspect",
        "Say what a recorded file is: its layout, span, silences, how sound its book is, and what realism it allows.",
        "bolt data inspect day.csv.gz",
        "data:inspect",
        (DATA_FILES, TERMS),
    ),
    Subcommand(
        "data bars",
        "Write the prints of recordings as bars of a minute, for `history/` and `bolt replay --history`.",
        "bolt data bars monday.csv.gz tuesday.csv.gz --out bars.csv.gz",
        "data:bars",
        (DATA_FILES, TERMS, arg("--out", metavar="FILE", required=True, help="the new file, written as gzip")),
        detail="Of a day on the tape: `bolt tape export` first.",
    ),
    Subcommand(
        "data curve",
        "Write the volume of recordings or bars by time of the session, for `bolt replay --curve`, and say the average of a day.",
        "bolt data curve bars.csv.gz --instrument SPY:calendar=XNYS,lot=1 --out curve.csv.gz",
        "data:curve",
        (
            DATA_FILES,
            TERMS,
            arg("--out", metavar="FILE", required=True, help="the new file, written as gzip"),
            arg("--minutes", metavar="N", type=int, default=15, help="length of a bin (default: 15)"),
        ),
        detail="Bins count from the session's open by the instrument's calendar, so summer time, half-hour zones and early closes fall in place; "
        "for 24x7 from midnight UTC. Fractions of a unit are left out of a bin.",
    ),
    Subcommand(
        "data import",
        "Write recorded files of one symbol as one file of our layout, its terms beside it.",
        "bolt data import depth.csv.gz trades.csv.gz --out btcusdt.csv.gz --instrument BTCUSDT:mic=BINS,kind=crypto_spot",
        "data:import_data",
        (DATA_FILES, TERMS, arg("--out", metavar="FILE", required=True, help="the new file, written as gzip")),
        detail="Order-by-order files become our order layout; levels, quotes and trades our own layout, several files and venues in "
        "one; bars stay bars. A wrong, cut or unsorted file is refused with the row, and nothing is written.",
    ),
)
