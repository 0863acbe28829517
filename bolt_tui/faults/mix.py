"""Fault mixes and schedules of one's own: the words of the command, and schedules in a file, checked before anything is played."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bolt_tui.faults.schedule import (
    FAULTS,
    HELD_QTY,
    MARKETS,
    NONE,
    ORDERS,
    POINTS,
    REDUCING,
    STEPS,
    SYMBOLS,
    Act,
    Crash,
    Fault,
    Market,
    Mix,
    Schedule,
    opening,
)
from engine.domain.errors import SettingsError

ACTS = ("order", "cancel", "cancel_all", "amend", "kill")
AT_MS_MAX = 20_000
"""No act begins later: from then on everything is about the end."""
LAG_MAX, PARTS_MAX = 10, 10
MID_MIN, MID_MAX = 1_000, 100_000
_DECODER = msgspec.json.Decoder(Schedule)


def read_mix(faults: str = "", steps: str = "", orders: str = "", market: str = "") -> Mix:
    """The mix that some words mean; an empty word leaves everything in.

    Raises:
        SettingsError: for a name that is none, with those there are.
    """
    mix = Mix()
    if faults:
        mix = msgspec.structs.replace(mix, faults=_names("--faults", faults, (NONE, *FAULTS)))
    if steps:
        named = _names("--steps", steps, (NONE, *STEPS, *POINTS))
        points = [point for name in named for point in ((name,) if name in (NONE, *POINTS) else _around(name))]
        mix = msgspec.structs.replace(mix, points=tuple(dict.fromkeys(points)))
    if orders:
        mix = msgspec.structs.replace(mix, orders=_names("--orders", orders, tuple(ORDERS)))
    if market:
        mix = msgspec.structs.replace(mix, market=_names("--market", market, tuple(MARKETS))[0])
    return mix


def _around(step: str) -> tuple[str, str]:
    return f"before:{step}", f"after:{step}"


def _names(option: str, words: str, known: Sequence[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if not names:
        raise SettingsError(f"{option} was {words!r}; give one or more of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise SettingsError(f"{option} has no {name!r}{_near(name, known)}; it has {', '.join(known)}")
    return names


def _near(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {found[0]}?)" if found else ""


def read_schedules(path: Path) -> dict[int, Schedule]:
    """Schedules of a file, one JSON object a line as a dump's ``schedule.json`` holds it, by seed.

    Raises:
        SettingsError: with the line, the value and the rule; then nothing of the file is played.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SettingsError(f"--schedule {path} cannot be read: {error.strerror}") from None
    found: dict[int, Schedule] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            schedule = _DECODER.decode(line)
        except (msgspec.DecodeError, ValueError) as error:
            raise SettingsError(f"{path} line {number} is no schedule: {error}; see docs/never-twice.md") from None
        wrong = fault_of(schedule)
        if not wrong and schedule.seed in found:
            wrong = f"seed {schedule.seed} stands in an earlier line too; give each schedule its own"
        if wrong:
            raise SettingsError(f"{path} line {number}: {wrong}")
        found[schedule.seed] = schedule
    if not found:
        raise SettingsError(f"{path} holds no schedule; give one JSON object a line")
    return found


def fault_of(schedule: Schedule) -> str:
    """What is wrong with a schedule; empty where it can be played."""
    parts: tuple[Act | Fault | Crash, ...] = (*schedule.acts, *schedule.faults, *schedule.crashes)
    names = [part.name for part in parts]
    if len(set(names)) < len(names) or not all(name.isalnum() for name in names):
        return f"part names were {', '.join(names)}; each is of letters and digits and stands once"
    if schedule.acts[:1] != (opening(),):
        return f"the first act must be the opening trade {msgspec.json.encode(opening()).decode()}"
    if not 0 <= schedule.lag <= LAG_MAX or schedule.seed < 0:
        return f"seed and lag were {schedule.seed} and {schedule.lag}; seed is 0 or more, lag 0 to {LAG_MAX}"
    wrong = _acts_fault(schedule.acts) or _faults_fault(schedule.faults) or _crashes_fault(schedule.crashes)
    return wrong or _market_fault(schedule.market)


def _acts_fault(acts: Sequence[Act]) -> str:
    orders: dict[str, Act] = {}
    for act in acts:
        if wrong := _act_fault(act, orders):
            return f"act {act.name}: {wrong}"
        if act.do == "order":
            orders[act.name] = act
    alike = [(act.symbol, act.qty) for act in orders.values()]
    if len(set(alike)) < len(alike):
        return "two orders have one symbol and one qty; make them differ, or one is denied as a repetition"
    grouped = [act.symbol for act in orders.values() if ORDERS[act.order].linked is not None]
    if len(set(grouped)) < len(grouped):
        return (
            "two groups of orders have one symbol; give each its own, or the entry of one meets the exits of the other"
        )
    reducing = sum(act.qty for act in orders.values() if act.order in REDUCING)
    if reducing > HELD_QTY:
        return f"the reduce orders come to {reducing}; the position that they shrink is {HELD_QTY}"
    return ""


def _act_fault(act: Act, orders: Mapping[str, Act]) -> str:
    """What is wrong with one act, given the orders before it."""
    if act.do not in ACTS or not 0 <= act.at_ms <= AT_MS_MAX:
        return f"do and at_ms were {act.do!r} and {act.at_ms}; do is one of {', '.join(ACTS)}, at_ms 0 to {AT_MS_MAX}"
    if act.do in {"cancel", "amend"} and act.order not in orders:
        return f"order was {act.order!r}; name the act of an order that stands before it"
    if act.do != "order":
        return ""
    row = ORDERS.get(act.order)
    if row is None:
        return f"order was {act.order!r}{_near(act.order, ORDERS)}; the rows are {', '.join(ORDERS)}"
    symbols = row.symbols if orders else SYMBOLS
    if act.symbol not in symbols or not 1 <= act.qty <= HELD_QTY or not 1 <= act.parts <= PARTS_MAX:
        given = f"symbol, qty and parts were {act.symbol!r}, {act.qty}, {act.parts}"
        return f"{given}; {act.order} is for {' or '.join(symbols)}, qty 1 to {HELD_QTY}, parts 1 to {PARTS_MAX}"
    return ""


def _faults_fault(faults: Iterable[Fault]) -> str:
    for one in faults:
        if one.kind not in FAULTS:
            return (
                f"fault {one.name}: kind was {one.kind!r}{_near(one.kind, FAULTS)}; the kinds are {', '.join(FAULTS)}"
            )
        if one.nth < 1 or not 0 <= one.size <= AT_MS_MAX:
            return f"fault {one.name}: nth and size were {one.nth}, {one.size}; nth is 1 or more, size 0 to {AT_MS_MAX}"
    return ""


def _crashes_fault(crashes: Sequence[Crash]) -> str:
    for one in crashes:
        if one.point not in POINTS:
            return f"crash {one.name}: point was {one.point!r}{_near(one.point, POINTS)}; the points are {', '.join(POINTS)}"
        if one.nth < 1 or not 0 <= one.down_ms <= AT_MS_MAX:
            given = f"nth and down_ms were {one.nth}, {one.down_ms}"
            return f"crash {one.name}: {given}; nth is 1 or more, down_ms 0 to {AT_MS_MAX}"
    lives = [one.life for one in crashes]
    if len(set(lives)) < len(lives) or any(life < 0 for life in lives):
        return f"lives of the crashes were {lives}; they count from 0, and an engine dies once"
    return ""


def _market_fault(market: Market) -> str:
    step, pull, drift = market.step, market.pull, market.drift
    if not (0 <= step <= 100 and 0 <= pull <= 1_000 and -50 <= drift <= 50):
        return f"market step, pull and drift were {step}, {pull}, {drift}; they are 0 to 100, 0 to 1000, -50 to 50"
    for symbol, told in market.mids.items():
        if symbol not in SYMBOLS or not told or not all(MID_MIN <= mid <= MID_MAX for mid in told):
            return f"market mids of {symbol!r} were {told[:3]}; give cents from {MID_MIN} to {MID_MAX} for {', '.join(SYMBOLS)}"
    return ""
