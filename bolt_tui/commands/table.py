"""The one table of subcommands: parser, `--help` and `docs/commands.md` are made from it.

Nothing here imports the engine or a screen, so that `bolt --help` costs no more than Python itself.
"""

from __future__ import annotations

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.subcommand import (
    ASKS_ENGINE,
    AT,
    CONFIRM,
    INTENT,
    LEDGER_FILE,
    SCOPE,
    SYMBOL,
    WHY,
    Subcommand,
    arg,
)
from bolt_tui.commands.table_box import BOX
from bolt_tui.commands.table_instruments import INSTRUMENTS
from bolt_tui.commands.table_lists import LISTS
from bolt_tui.commands.table_market import MARKET
from bolt_tui.commands.table_money import MONEY

DESK = (
    Subcommand(
        "desk",
        "Open the desk; start the engine where none runs. This is what `bolt` alone does.",
        "bolt",
        "desk:run_desk",
        (
            arg(
                "--in-process", action="store_true", help="run the engine in a thread of this process (tests, pictures)"
            ),
            arg(
                "--link",
                choices=("auto", "slow", "fast"),
                default="auto",
                help="how fast the line to this terminal is (default: measured)",
            ),
            AT,
            LEDGER_FILE,
        ),
        (Exit.NO_ENGINE, Exit.FAULT),
        detail="The engine runs in a process of its own and goes on when the desk is closed, hung up or killed. "
        "Leaving a desk that started its engine asks whether to stop it or leave it running.",
    ),
    Subcommand(
        "headless",
        "Run the engine without a screen: JSON lines on stdout, words on stderr.",
        "bolt headless --strategy BuyTheDip:symbol=AAPL",
        "desk:run_headless",
        (
            arg(
                "--demo",
                action="store_true",
                help="a short paper session with a summary at its end: in BOLT_HOME where that is set, where no engine may run then; "
                "else in a folder that is removed again",
            ),
            arg(
                "--seconds",
                metavar="N",
                type=float,
                default=0.0,
                help="end after this many seconds (default: run until stopped)",
            ),
            arg(
                "--strategy",
                metavar="NAME",
                action="append",
                default=[],
                help="start this strategy: NAME, with its parameters of settings.yaml, or NAME:param=value,param=value; again for more",
            ),
        ),
        (Exit.STORE, Exit.FAULT, Exit.INCOMPLETE),
        detail="Ends on SIGTERM, SIGINT, `bolt stop` or after `--seconds`; orders are then left as they are at the venue, which ends "
        "too and keeps them in its log. The last line is an object of type `realism`: how real the session was. SIGUSR1 halts "
        "trading, a hang-up is ignored.",
    ),
    Subcommand(
        "engine",
        "The engine's process, as the desk starts it.",
        "bolt engine --ready-fd 3",
        "desk:run_engine",
        (arg("--ready-fd", metavar="N", type=int, default=-1, help="say on this file descriptor when it serves"),),
        (Exit.STORE, Exit.FAULT),
        is_hidden=True,
    ),
)

ORDERS = (
    Subcommand(
        "order",
        "Place an order by one line of words.",
        "bolt order 'b 100 AAPL @mkt'",
        "orders:order",
        (
            arg(
                "words",
                nargs="+",
                metavar="WORDS",
                help="side qty symbol [@price] [stop price] [tif] [algo duration] ...; or combo units side qty symbol side qty symbol ... @net",
            ),
            INTENT,
            WHY,
            arg("--stage", action="store_true", help="make it and hold it; `bolt release ID` sends it"),
            arg("--preview", action="store_true", help="run every check and place nothing"),
            CONFIRM,
            arg("--wait", metavar="SECONDS", type=float, default=0.0, help="wait for its end and show it"),
        ),
        (Exit.REFUSED, *ASKS_ENGINE, Exit.HALTED),
        detail="An order needs a price: @189.10, @mkt, @join, @take, @mid, @bid, @ask, or an algorithm (twap 30m, vwap 1h). "
        "Write it in single quotes: a shell empties $10k in double ones. Right after a start it waits up to 5 seconds for the "
        "prices it needs. When the answer is lost, the exit code is 4 and the words name the intent id to ask again with: that "
        "reports and never sends again; with another order it is refused (INTENT_REUSED), and with no engine the ledger answers.",
    ),
    Subcommand(
        "amend",
        "Change quantity, limit or stop of a working order.",
        "bolt amend P104 --qty 200 --limit 189.20",
        "orders:amend",
        (
            arg("order_id", metavar="ORDER", help="an order, such as P104"),
            arg("--qty", metavar="QTY", default="", help="the new total quantity"),
            arg("--limit", metavar="PRICE", default="", help="the new limit"),
            arg("--stop", metavar="PRICE", default="", help="the new stop"),
            INTENT,
            CONFIRM,
        ),
        (Exit.REFUSED, *ASKS_ENGINE, Exit.HALTED),
    ),
    Subcommand(
        "release",
        "Send a staged order.",
        "bolt release P104",
        "orders:release",
        (arg("order_id", metavar="ORDER", help="a staged order, such as P104"), CONFIRM),
        (Exit.REFUSED, *ASKS_ENGINE, Exit.HALTED),
    ),
    Subcommand(
        "approve",
        "Approve, as a second person, an order that waits for one.",
        "bolt approve P104",
        "orders:approve",
        (
            arg("order_id", metavar="ORDER", help="an order of `bolt orders --waiting`"),
            arg("--hash", metavar="HASH", default="", help="approve only if it is exactly this one (12 characters)"),
            CONFIRM,
        ),
        (Exit.REFUSED, *ASKS_ENGINE, Exit.HALTED),
        detail="Orders above order.four_eyes_notional of the policy wait. Who asked for an order cannot approve it; the approval is bound "
        "to a hash of its exact terms, and what was changed is approved anew. An engine listens to its own account and to root: the second "
        "person is who may be root here, with `sudo BOLT_HOME=FOLDER bolt approve P104`, and stands in the ledger as root.",
    ),
    Subcommand(
        "basket",
        "Stage many orders from a csv file, look at them, release them as one.",
        "bolt basket orders.csv --release",
        "baskets:basket",
        (
            arg("target", metavar="FILE|BASKET", help="a csv file, or a staged basket such as B1"),
            arg("--release", action="store_true", help="send all of it; nothing is sent where one line is denied"),
            arg("--drop", action="store_true", help="forget a staged basket"),
            INTENT,
            WHY,
            CONFIRM,
        ),
        (Exit.REFUSED, *ASKS_ENGINE, Exit.HALTED),
        detail="The first row names the columns: side, qty, symbol, price, stop, tif, algo, words, account, broker, venue. Every bad "
        "line is named with its rule, and then nothing is staged. Each order is judged with those before it counted as sent; the "
        "count and the total amount are shown before anything leaves. All lines leave in one second: with the policy as shipped a basket "
        "has at most 20 (rate.max_per_s_source), and a longer list is several baskets, released a second apart.",
    ),
    Subcommand(
        "pause",
        "Let an order that is worked over time send nothing more for now.",
        "bolt pause P104",
        "orders:pause",
        (arg("order_id", metavar="ORDER", help="a parent worked by twap or vwap, such as P104"),),
        (Exit.REFUSED, *ASKS_ENGINE),
        detail="What it has working is cancelled; fills that cross that are booked. Its time runs on, and it stays paused over a restart. "
        "An order that is not worked over time is refused (NO_PAUSE).",
    ),
    Subcommand(
        "resume",
        "Let a paused order go on by its schedule.",
        "bolt resume P104",
        "orders:resume",
        (arg("order_id", metavar="ORDER", help="a paused parent, such as P104"),),
        (Exit.REFUSED, *ASKS_ENGINE, Exit.HALTED),
        detail="What it missed it catches up within the algorithm's own bound. What a halt or a cancel has stopped does not go on.",
    ),
    Subcommand(
        "urgency",
        "Change how eagerly an order is worked from now on.",
        "bolt urgency P104 passive",
        "orders:urgency",
        (
            arg("order_id", metavar="ORDER", help="a parent worked by twap or vwap, such as P104"),
            arg(
                "urgency",
                choices=("passive", "normal", "take"),
                help="rest and never take; rest, then take; never rest",
            ),
        ),
        (Exit.REFUSED, *ASKS_ENGINE),
        detail="It is the order's style=, changed while it works; the schedule stays. An algorithm without one refuses (NO_URGENCY), and "
        "so does an order that could then not be worked (ALGO_REFUSES).",
    ),
    Subcommand(
        "cancel",
        "Cancel one order, or all of them.",
        "bolt cancel P104",
        "orders:cancel",
        (
            arg("order_id", metavar="ORDER", nargs="?", default="", help="an order, such as P104, or `all`"),
            arg("--all", action="store_true", help="every working order and parent; staged ones stay"),
            SYMBOL,
        ),
        (Exit.REFUSED, *ASKS_ENGINE),
    ),
)

ENGINE = (
    Subcommand(
        "status",
        "Show the engine's state: mode, halt, brokers, limits in force.",
        "bolt status",
        "engine:status",
        (),
        (Exit.NO_ENGINE, Exit.HALTED, Exit.STORE, Exit.INCOMPLETE),
        detail="Exit code 5 while trading is halted, 8 where something else needs a person (a full disk, a broker that is down, a ledger or "
        "notifications that fail), so that a script sees it. It shows how long the engine is up, the age of the newest quote, the last fill, "
        "and the room on the disk. Where no engine answers, the state as of the ledger's last row, and exit code 3.",
    ),
    Subcommand(
        "stop",
        "End the engine, and the paper venue with it.",
        "bolt stop --cancel",
        "engine:stop",
        (
            arg("--cancel", action="store_true", help="cancel working orders first"),
            arg("--leave", action="store_true", help="leave working orders at the venue"),
        ),
        (Exit.REFUSED, *ASKS_ENGINE, Exit.INCOMPLETE),
        detail="With orders at work, one of the two must be said. It ends with counts from the ledger (cancelled, filled, left) "
        "and, in a sentence, with how real the session was (effect by effect in `realism.json` and `--json`); exit code 8 where something that was to be cancelled is left. "
        "The paper venue is ended with it and keeps its log: orders left there stand again at the next start. Where the engine "
        "has died, the venue that outlived it is ended.",
    ),
    Subcommand(
        "strategy",
        "Start or stop a strategy.",
        "bolt strategy on BuyTheDip symbol=AAPL",
        "engine:strategy",
        (
            arg("switch", metavar="on|off", choices=("on", "off"), help="what to do"),
            arg("name", metavar="NAME", help="the strategy"),
            arg("params", metavar="PARAM=VALUE", nargs="*", help="its parameters"),
        ),
        (Exit.REFUSED, *ASKS_ENGINE),
    ),
    Subcommand(
        "reconcile",
        "Compare the ledger with the broker now.",
        "bolt reconcile --accept --symbol AAPL --reason 'transfer from the old account'",
        "engine:reconcile",
        (
            arg("--accept", action="store_true", help="book the unexplained differences"),
            SYMBOL,
            arg("--reason", metavar="TEXT", default="", help="why they are accepted; needed with --accept"),
        ),
        (Exit.REFUSED, *ASKS_ENGINE),
    ),
    Subcommand(
        "resolve",
        "State what became of an order whose outcome is unknown.",
        "bolt resolve C211 --as never-sent --reason 'the broker has no trace of it, asked by phone'",
        "engine:resolve",
        (
            arg("order_id", metavar="ORDER", help="the order, such as C211"),
            arg(
                "--as",
                dest="state",
                required=True,
                choices=("never-sent", "cancelled", "filled"),
                help="what became of it",
            ),
            arg("--reason", metavar="TEXT", required=True, help="on what evidence; journaled as your word"),
            arg("--price", metavar="PRICE", default="", help="the average price; needed with --as filled"),
        ),
        (Exit.REFUSED, *ASKS_ENGINE),
    ),
)

HALT = (
    Subcommand(
        "kill",
        "Halt trading: shut the gate, cancel what works, verify it at the broker.",
        "bolt kill --flatten --why 'runaway algorithm'",
        "halt:kill",
        (
            SCOPE,
            WHY,
            arg("--flatten", action="store_true", help="then close the positions, collared"),
            arg("--drill", action="store_true", help="the whole path against paper, measured; nothing stays halted"),
        ),
        (Exit.STORE, Exit.FAULT, Exit.INCOMPLETE),
        detail="The latch is tripped first, before anything is asked of anybody. An engine that does not answer within a second "
        "is left alone, and the procedure runs here with broker sessions of its own. The receipt is printed and kept.",
    ),
    Subcommand(
        "rearm",
        "Lift a halt, after its hold time and a clean reconciliation.",
        "bolt rearm --word REARM --reason 'limits checked with the desk head'",
        "halt:rearm",
        (
            SCOPE,
            arg("--reason", metavar="TEXT", required=True, help="why trading may go on"),
            arg("--word", metavar="REARM", default="", help="the word itself; asked for on a terminal"),
        ),
        (Exit.REFUSED, *ASKS_ENGINE),
    ),
)

TOOLS = (
    *MARKET,
    *BOX,
    Subcommand(
        "ledger verify",
        "Prove the ledger: the hash chain, the noted head, and that the projections follow from it.",
        "bolt ledger verify --head 8412:9f1c...e0",
        "tools:ledger_verify",
        (
            arg("files", metavar="FILE", nargs="*", help="prove these exported or archived files instead of a ledger"),
            LEDGER_FILE,
            arg(
                "--head",
                metavar="SEQ:HASH|FILE",
                default="",
                help="a head that was kept elsewhere: what `verify` printed, or the .head file of a backup",
            ),
        ),
        (Exit.STORE,),
        detail="Who can write the state folder can forge the ledger and the note beside it; only a head kept elsewhere shows that.",
    ),
    Subcommand(
        "ledger show",
        "Show journal rows of a ledger file, also with no engine running.",
        "bolt ledger show --from 1 --limit 20",
        "tools:ledger_show",
        (
            LEDGER_FILE,
            arg(
                "--from",
                dest="from_seq",
                metavar="SEQ",
                type=int,
                default=0,
                help="from this sequence number (default: the last rows)",
            ),
            arg("--limit", metavar="N", type=int, default=50, help="at most this many (default: 50)"),
        ),
        (Exit.STORE,),
    ),
    Subcommand(
        "ledger export",
        "Write the whole journal as records that prove themselves.",
        "bolt ledger export ledger.yaml",
        "tools:ledger_export",
        (
            arg("file", metavar="FILE", help="where to: .jsonl or .yaml, with .gz behind it packed; - for stdout"),
            LEDGER_FILE,
        ),
        (Exit.STORE,),
        detail="`bolt ledger verify FILE` proves such a file; docs/prove_export.py does so without Bolt.",
    ),
    Subcommand(
        "ledger backup",
        "Copy the ledger as of one moment, also while an engine writes it, and prove the copy.",
        "bolt ledger backup /mnt/copies/ledger.db",
        "tools:ledger_backup",
        (
            arg(
                "target",
                metavar="FILE|URL",
                help="a new file, or a PostgreSQL URL of an empty database; its head is noted beside it",
            ),
            LEDGER_FILE,
        ),
        (Exit.STORE,),
        detail="A ledger moves so from a file to a server and back. The tape is not part of the copy: keep the folder `tape` too, to look "
        "back at prices and to decide days again.",
    ),
    Subcommand(
        "ledger archive",
        "Write each day (UTC) that is over and not archived yet to a file of its own.",
        "bolt ledger archive /mnt/copies/days",
        "tools:ledger_archive",
        (arg("folder", metavar="DIR", help="where to; files are YYYY-MM-DD.jsonl.gz"), LEDGER_FILE),
        (Exit.STORE,),
        detail="The ledger keeps its rows. `bolt ledger verify DIR/*.jsonl.gz` proves the files and that none is missing between them.",
    ),
    Subcommand(
        "ledger upgrade",
        "Bring a ledger file of an older Bolt to the tables of this one; it is backed up first. No engine may run.",
        "bolt ledger upgrade",
        "tools:ledger_upgrade",
        (LEDGER_FILE,),
        (Exit.STORE,),
        detail="Journal rows stay as they are, byte for byte; projections are made again from them. The backup is FILE.schemaN.bak. A ledger on a "
        "server is copied to a file of this schema with `bolt ledger backup` of the Bolt that wrote it.",
    ),
    Subcommand(
        "ledger rebuild",
        "Make the projections again from the journal. No engine may run.",
        "bolt ledger rebuild",
        "tools:ledger_rebuild",
        (LEDGER_FILE,),
        (Exit.STORE,),
    ),
    Subcommand(
        "policy check",
        "Read a policy file as the engine would, and say what is wrong with it.",
        "bolt policy check policy.yaml",
        "tools:policy_check",
        (arg("file", metavar="FILE", nargs="?", default="", help="the file (default: the one in BOLT_HOME)"),),
    ),
    Subcommand(
        "policy explain",
        "Explain a reason code: its control, its limit and what to do.",
        "bolt policy explain QTY_MAX",
        "tools:policy_explain",
        (arg("code", metavar="CODE", help="a reason code, as a denial shows it"),),
    ),
    Subcommand(
        "policy reload",
        "Make the running engine read policy.yaml again; a bad file keeps the old limits.",
        "bolt policy reload",
        "engine:policy_reload",
        (),
        (Exit.REFUSED, *ASKS_ENGINE),
    ),
    Subcommand(
        "faults",
        "Run the fault laboratory: killed engines and a misbehaving venue, judged at the venue.",
        "bolt faults --seeds 1000",
        "faults:faults",
        (
            arg("--seeds", metavar="N", type=int, default=None, help="how many schedules (default: 100)"),
            arg(
                "--seed",
                metavar="N",
                type=int,
                default=None,
                help="the first seed (default: 1); with a file, the only one",
            ),
            arg("--faults", metavar="KINDS", default="", help="draw only these faults, such as timeout,bust, or none"),
            arg(
                "--steps",
                metavar="STEPS",
                default="",
                help="kill engines only at these steps, such as send,before:kill4, or none",
            ),
            arg("--orders", metavar="ROWS", default="", help="draw only these kinds of order, such as rest,twap"),
            arg("--market", metavar="NAME", default="", help="usual, still, wild, up or down (default: usual)"),
            arg("--schedule", metavar="FILE", default="", help="play schedules of your own, one JSON object a line"),
            arg("--jobs", metavar="N", type=int, default=0, help="worker processes (default: one for each core)"),
            arg(
                "--dump",
                metavar="DIR",
                default="",
                help="keep each venue's log and ledger, with a script that recounts",
            ),
            arg(
                "--only",
                metavar="PARTS",
                default=None,
                help="play one seed with these parts of its schedule, such as a1,f0,c0, or all",
            ),
        ),
        (Exit.INCOMPLETE,),
        detail="Each seed makes a schedule of orders, venue faults and SIGKILLs of real engine processes on a real ledger, in "
        "simulated time. It passes where no order was lost or sent twice and every order is what the venue says soon after "
        "the last fault. A failing seed is shrunk and printed with the command that plays it again. See docs/never-twice.md.",
    ),
    Subcommand(
        "doctor",
        "Check the installation, the state folder and the running engine.",
        "bolt doctor",
        "tools:doctor",
        (),
        (Exit.INCOMPLETE,),
    ),
    Subcommand(
        "init",
        "Make the state folder and put the shipped policy in it.",
        "bolt init",
        "tools:init",
    ),
)

GROUPS: dict[str, tuple[Subcommand, ...]] = {
    "The desk and the engine": DESK,
    "Orders": ORDERS,
    "What there is": (*LISTS, *INSTRUMENTS),
    "Money": MONEY,
    "The running engine": ENGINE,
    "Halting": HALT,
    "Tools": TOOLS,
}
TABLE: tuple[Subcommand, ...] = tuple(row for rows in GROUPS.values() for row in rows)
FAMILIES: dict[str, str] = {
    "service": "Print the unit of a service.",
    "notify": "Try notifications outside the screen.",
    "tape": "What was recorded: list it, or take a day out.",
    "data": "Inspect recorded market data, or write it anew in our layout.",
    "ledger": "Prove, show, export, copy, archive or rebuild the ledger.",
    "fx": "Currency rates: list, state or load them.",
    "paper": "What the owner of the paper account does beside trading.",
    "policy": "Check, explain or reload the limits.",
}
"""Words that need a second one."""
