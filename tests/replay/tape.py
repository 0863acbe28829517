"""Small recordings in our own layout, made of moments and prices, and a replay over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bolt_tui.replay_run import ReplayAsk, run_replay, tell_nobody
from bolt_tui.resources import data_file
from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.money import Money

HEAD = "ts_ns,kind,venue,side,price,qty"


def moment(at: str | int) -> int:
    return at if isinstance(at, int) else parse_iso(at)


def quotes(
    start: str | int, end: str | int, *, mic: str, every_s: int = 5, bid: str = "10.00", ask: str = "10.01"
) -> list[str]:
    """The same quote again and again, from a moment up to and with another."""
    rows = []
    for ts_ns in range(moment(start), moment(end) + 1, every_s * NS_PER_S):
        rows += [f"{ts_ns},quote,{mic},B,{bid},500", f"{ts_ns},quote,{mic},S,{ask},500"]
    return rows


def trade(at: str | int, price: str, qty: int, *, mic: str, side: str = "S") -> str:
    return f"{moment(at)},trade,{mic},{side},{price},{qty}"


def write(folder: Path, rows: list[str], name: str = "abc.csv") -> Path:
    """In order of time; rows of one moment stay as they come."""
    ordered = sorted(rows, key=lambda row: int(row.partition(",")[0]))
    path = folder / name
    path.write_text("\n".join([HEAD, *ordered, ""]))
    return path


def replay(folder: Path, rows: list[str], *orders: str, at: str = "", terms: str = "", **more: Any) -> dict[str, Any]:
    """Run orders over rows. ``terms`` are those of ``--instrument`` behind the symbol ABC."""
    tell = more.pop("tell", tell_nobody)
    ask = ReplayAsk(
        files=(write(folder, rows),),
        orders=orders,
        strategies=(),
        seed=7,
        at_ns=parse_iso(at) if at else 0,
        until_ns=0,
        instruments=(f"ABC:{terms}",),
        cash=more.pop("cash", Money("10000000")),
        is_cash_given=True,
        policy=more.pop("policy", data_file("policy.yaml")),
        curve=more.pop("curve", None),
        ledger=more.pop("ledger", None),
        calendars=more.pop("calendars", folder / "calendars"),
        **more,
    )
    return run_replay(ask, folder, tell)
