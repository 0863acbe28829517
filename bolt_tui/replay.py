"""`bolt replay`: the engine against recorded markets, in simulated time, as fast as the machine can.

The same core as live: gate, journal, algorithms. Nothing here reads a clock for a decision, so the same file, order, policy and
seed give the same ledger hash on every machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bolt_tui.output import Output
    from bolt_tui.replay_run import ReplayAsk
    from brokers.paper.levels import QueueModel
    from engine.store.place import Place

_HELP = {
    "--order": "an order in the order grammar, placed when the replay begins (again for more orders)",
    "--strategy": "run a strategy over the file: NAME or NAME:param=value,param=value",
    "--at": "when the orders are placed: ISO time with zone (default: at the first two-sided quote in session)",
    "--instrument": "SYM:tick=,lot=,mult=,ccy=,mic=[,kind=,calendar=,adv=,expiry=]; again for each file in its order (default: the sidecar FILE.yaml, else "
    "stated defaults)",
    "--cash": "opening cash in the instrument's currency (default: 10000000)",
    "--policy": "policy file (default: the shipped one)",
    "--curve": "volume curve for vwap (default: the sidecar's, else that of the history, else flat)",
    "--queue": "who was cancelled ahead of us where only levels are known: trades (nobody: only prints move us, the default), or power:1 to power:8 (the share "
    "b^n/(b^n+f^n) of a cancel was behind us)",
    "--history": "bars or a recording of what was before, for strategies, average volume and curve; again for more. Nothing of it is seen before its time",
    "--ledger": "keep the ledger in this new file, or on the server of this PostgreSQL URL (default: in memory)",
    "--base": "base currency of the ledger: limits, cash and the result of the day are in it (default: the instrument's)",
    "--fx": "file of currency rates, each with its time; how the venue changes currencies (default: it keeps cash in each)",
    "--carry": "file of dividends, splits, funding and interest; the replay then goes on to the end of the data (default: none)",
    "--house": "file of the broker's house rules: whose refusals and rate limits, funds, borrow, margin (default: none)",
    "--until": "end at this ISO time at the latest (default: the end of the file)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `bolt replay`."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        type=Path,
        help="recorded market data, gzip or plain CSV; with none, `--ledger` names a ledger whose recorded sessions are decided again",
    )
    parser.add_argument("--order", action="append", default=[], metavar="WORDS", help=_HELP["--order"])
    parser.add_argument("--strategy", action="append", default=[], metavar="NAME", help=_HELP["--strategy"])
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of latencies and ids (default: 1)")
    parser.add_argument("--queue", default="trades", metavar="MODEL", help=_HELP["--queue"])
    parser.add_argument("--history", action="append", default=[], type=Path, metavar="FILE", help=_HELP["--history"])
    parser.add_argument("--instrument", action="append", default=[], metavar="TERMS", help=_HELP["--instrument"])
    for name in (
        "--at",
        "--until",
        "--cash",
        "--policy",
        "--curve",
        "--ledger",
        "--base",
        "--fx",
        "--carry",
        "--house",
    ):
        parser.add_argument(name, default="", metavar=name.strip("-").upper(), help=_HELP[name])


def ask_of(args: argparse.Namespace) -> ReplayAsk:
    """What was asked for, read and checked.

    Raises:
        InputError: naming the argument, its value and what was expected.
    """
    from bolt_tui.instruments import registry_in
    from bolt_tui.replay_run import ReplayAsk
    from bolt_tui.resources import data_file
    from bolt_tui.settings import Home, home_path
    from engine.domain.clock import parse_iso
    from engine.domain.errors import MoneyError, SettingsError
    from engine.domain.money import Money
    from engine.store.link import is_there
    from engine.store.place import read_place

    times = {}
    for name in ("at", "until"):
        try:
            times[name] = parse_iso(getattr(args, name)) if getattr(args, name) else 0
        except ValueError as error:
            msg = f"--{name} was {getattr(args, name)!r}: {error}; expected as in 2012-06-21T13:45:00Z"
            raise SettingsError(msg) from None
    try:
        cash = Money(args.cash or "10000000")
    except MoneyError as error:
        raise SettingsError(f"--cash was {args.cash!r}: {error}; expected an amount such as 250000") from None
    if cash <= 0:
        msg = f"--cash was {cash}; it must be above zero"
        raise SettingsError(msg)
    if not args.order and not args.strategy:
        msg = 'nothing to do: give --strategy NAME or --order, as in --order "b 5000 AAPL vwap 30m"'
        raise SettingsError(msg)
    ledger = read_place(args.ledger, home_path()) if args.ledger else None
    if ledger is not None and is_there(ledger):
        msg = f"--ledger {ledger} exists; a replay writes a ledger of its own: name a new file or an empty database"
        raise SettingsError(msg)
    return ReplayAsk(
        files=tuple(args.files),
        orders=tuple(args.order),
        strategies=tuple(args.strategy),
        seed=args.seed,
        at_ns=times["at"],
        until_ns=times["until"],
        instruments=tuple(args.instrument),
        cash=cash,
        is_cash_given=bool(args.cash),
        policy=Path(args.policy) if args.policy else data_file("policy.yaml"),
        curve=Path(args.curve) if args.curve else None,
        ledger=ledger,
        calendars=Home(home_path()).calendars,
        own_sessions=Home(home_path()).own_sessions,
        queue=_queue(args.queue),
        history=tuple(args.history),
        known=registry_in(Home(home_path()).instruments).terms_of,
        base=_base(args.base),
        fx=Path(args.fx) if args.fx else None,
        carry=Path(args.carry) if args.carry else None,
        house=Path(args.house) if args.house else None,
    )


def _base(words: str) -> str:
    from engine.domain.errors import SettingsError
    from engine.domain.instrument import is_currency

    if words and not is_currency(words):
        msg = f"--base was {words!r}; expected a currency code of capitals, such as USD"
        raise SettingsError(msg)
    return words


QUEUE_POWER_MAX = 8


def _queue(words: str) -> QueueModel:
    """The queue model that was asked for.

    Raises:
        SettingsError: it is none.
    """
    from brokers.paper.levels import QueueModel
    from engine.domain.errors import SettingsError

    kind, _, power = words.partition(":")
    if words == "trades":
        return QueueModel()
    if kind != "power" or not power.isdecimal() or not 1 <= int(power) <= QUEUE_POWER_MAX:
        raise SettingsError(f"--queue was {words!r}; expected trades, or power:1 to power:{QUEUE_POWER_MAX}")
    return QueueModel(power=int(power))


def main(args: argparse.Namespace, out: Output) -> int:
    """Run it and print the result; 0 where the orders were taken, 1 where the gate refused one."""
    import msgspec

    from bolt_tui.replay_run import run_replay
    from engine.domain.errors import InputError

    if not args.files:
        return decide_again(args, out)
    ask = ask_of(args)
    with tempfile.TemporaryDirectory(prefix="bolt-replay-") as folder:
        try:
            result = run_replay(ask, Path(folder), out.progress)
        except InputError:
            _drop(ask.ledger)
            raise
        finally:
            out.progress_end()
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(result), indent=1).decode() + "\n")
    else:
        print("\n".join(lines(result)))
    return 1 if result["denied"] else 0


def _drop(ledger: Place | None) -> None:
    """Remove the ledger that a refused replay began: its name is free for the next try."""
    if isinstance(ledger, Path):
        for end in ("", "-wal", "-shm", ".head", ".lock"):
            ledger.with_name(ledger.name + end).unlink(missing_ok=True)


def decide_again(args: argparse.Namespace, out: Output) -> int:
    """Decide the recorded sessions of a ledger again; 0 where every row came out the same, 1 where one did not or a session is not over.

    Raises:
        InputError: no ledger was named, or it cannot be decided again.
    """
    from bolt_tui.redecide import redecide
    from bolt_tui.settings import Home, home_path
    from engine.domain.errors import SettingsError
    from engine.store.link import holder_of
    from engine.store.place import read_place

    if not args.ledger:
        msg = "give FILE to trade against, or --ledger alone to decide its recorded sessions again"
        raise SettingsError(msg)
    root = home_path()
    place = read_place(args.ledger, root)
    beside = Path(args.ledger).parent / "tape" if isinstance(place, Path) else Home(root).tape
    with tempfile.TemporaryDirectory(prefix="bolt-redecide-") as folder:
        found = redecide(place, beside, Path(folder), holder_of(place))
    for one in found:
        word = "NOT OVER" if one.is_running else "NOT PROVEN"
        proof = "PROVEN: every row was decided again, byte for byte" if one.is_proven else f"{word}: {one.text}"
        out.line(
            f"session of rows {one.first_seq} to {one.last_seq}: {one.inputs} inputs of {one.chunks} chunks, {one.rows} rows the same. {proof}"
        )
    is_proven = all(one.is_proven for one in found)
    sessions = [{name: getattr(one, name) for name in one.__struct_fields__} for one in found]
    out.object("redecided", {"ledger": str(place), "ok": is_proven, "sessions": sessions})
    return 0 if is_proven else 1


def other_cash(result: dict[str, Any]) -> str:
    """Cash in further currencies, and the result in base currency with the time of its rate."""
    from engine.domain.clock import iso

    rest = [f"{amount} {name}" for name, amount in result["cash_all"].items() if name != result["currency"]]
    if not rest:
        return ""
    at = f" at rates of {iso(result['pnl_rate_ns'])[:19]}Z and later" if result["pnl_rate_ns"] else ""
    return f"  also {', '.join(rest)}  result {result['pnl_base']} {result['base']}{at}"


def _end_words(parent: dict[str, Any], why: dict[str, str]) -> str:
    """What became of an order, and why where it says so."""
    said = why.get(parent["order_id"], "")
    note = f": {said}" if said and parent["state"] != "filled" else ""
    return f"{parent['state']}, {parent['qty_filled']} of {parent['qty']}{note}"


def lines(result: dict[str, Any]) -> Sequence[str]:
    """The result for a person."""
    parent = result["parent"]
    shown = [
        f"PAPER replay of {', '.join(result['files'])}: {result['events']} events, {result['events_per_second']} per second",
        f"{parent['order_id']} {result['order']}: {_end_words(parent, result['why'])}",
        f"average {result['avg_price']}  interval vwap {result['interval_vwap']}  slippage {result['vwap_slippage_bps']} bp",
        f"children {len(result['children'])}  fills {len(result['fills'])}  fees {result['fees']}",
        f"cash {result['cash']} {result['currency']}  position {result['position']}{other_cash(result)}",
        f"ledger hash {result['ledger_hash']}",
    ]
    shown += [
        f"{one['order_id']} {one['side']} {one['qty']} {one['symbol']}: {_end_words(one, result['why'])}"
        for one in result["parents"][1:]
    ]
    shown += [f"conservation: {fault}" for fault in result["conservation"]]
    shown += [f"denied: {item['code']} {item['text']}" for item in result["denied"]]
    realism = result["realism"]
    shown.append(
        f"realism: {realism['depth']} data, {realism['fills_guessed']} of {realism['fills']} fills estimated "
        f"({realism['guessed_share']} %)"
    )
    shown += [f"  {one['name']} {one['state']}: {one['text']}" for one in realism["effects"] if one["state"] != "on"]
    shown += [f"  note: {text}" for text in realism["notes"]]
    shown += [f"default: {text}" for text in realism["defaults"]]
    return shown
