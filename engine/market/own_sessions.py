"""Calendars of one's own, from ``sessions.yaml`` of the state folder: hours by a local clock, days off, and special sessions.

A calendar either has hours of its own, or is ``like`` an exchange; both may name holidays and special sessions (an evening hour on
a holiday, an early close). What is special on a day takes the place of everything that day has otherwise. A calendar that bears the
name of the exchange it is like stands for that exchange everywhere.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from engine.domain.clock import NS_PER_S, iso
from engine.domain.errors import DataError
from engine.market.calendar import ALWAYS, Calendar, SessionTable, is_calendar_name, load_calendar
from engine.market.exact_rows import Strict, read_rows

OWN_NAME = "sessions.yaml"
"""Name of the file in the state folder."""
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_DAY_MINUTES = 1_440

Session = tuple[int, int, tuple[tuple[int, int], ...]]
"""Open, close and the breaks between, in nanoseconds."""


class Break(Strict, frozen=True, kw_only=True):
    """A pause inside a session, by the local clock."""

    from_: str = msgspec.field(name="from")
    to: str


class Special(Strict, frozen=True, kw_only=True):
    """One session of one day; a day may have several rows."""

    day: str
    open: str
    close: str
    breaks: tuple[Break, ...] = ()


class OwnCalendar(Strict, frozen=True, kw_only=True):
    """Either ``open`` and ``close`` are given, or ``like``."""

    zone: str
    like: str = ""
    open: str = ""
    close: str = ""
    days: tuple[str, ...] = _WEEK[:5]
    breaks: tuple[Break, ...] = ()
    holidays: tuple[str, ...] = ()
    special: tuple[Special, ...] = ()


class AuctionTimes(Strict, frozen=True, kw_only=True):
    """Seconds before an auction of the paper venue: from when its orders are taken, and until when."""

    open_call_s: int = 1_800
    open_cut_off_s: int = 120
    close_cut_off_s: int = 600


class SessionPlan(Strict, frozen=True, kw_only=True):
    """The file."""

    calendars: dict[str, OwnCalendar] = msgspec.field(default_factory=dict)
    market: dict[str, str] = msgspec.field(default_factory=dict)
    """By symbol of the simulated market: its calendar. A symbol that is not named never closes."""
    auctions: AuctionTimes = AuctionTimes()


def read_plan(path: Path) -> SessionPlan:
    """Read and check a file; an empty plan where there is none.

    Raises:
        DataError: naming the file, the value and what was expected.
    """
    if not path.exists():
        return SessionPlan()
    made = read_rows(path, SessionPlan, "rows as in docs/market-data.md")
    for name, own in made.calendars.items():
        if not is_calendar_name(name) or name == ALWAYS:
            raise DataError(f"{path}: calendar {name!r}; expected a name such as DESK or XNSE, not {ALWAYS}")
        try:
            _check(own)
        except ValueError as error:
            raise DataError(f"{path}: calendar {name}: {error}") from None
    times = made.auctions
    if not 0 <= times.open_cut_off_s < times.open_call_s <= 86_400 or not 0 <= times.close_cut_off_s <= 86_400:
        raise DataError(f"{path}: auctions: expected 0 <= open_cut_off_s < open_call_s, and no second beyond a day")
    return made


def _check(own: OwnCalendar) -> None:
    """Raise ValueError where a row does not make sense."""
    try:
        ZoneInfo(own.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"the time zone {own.zone!r} is not known") from None
    if bool(own.like) is bool(own.open or own.close):
        raise ValueError("expected either like, or open and close")
    if own.like and (own.like == ALWAYS or not is_calendar_name(own.like)):
        raise ValueError(f"like was {own.like!r}; expected an exchange, as XNSE")
    if own.like and own.breaks:
        raise ValueError("breaks belong to hours of its own; those of the exchange stand")
    wrong = [day for day in own.days if day not in _WEEK]
    if wrong or not own.days:
        raise ValueError(f"days was {', '.join(own.days) or 'empty'}; expected some of {', '.join(_WEEK)}")
    for day in (*own.holidays, *(one.day for one in own.special)):
        _date(day)
    if not own.like:
        _hours("2026-01-05", own.open, own.close, own.breaks, ZoneInfo(own.zone))
    for one in own.special:
        _hours(one.day, one.open, one.close, one.breaks, ZoneInfo(own.zone))


def load_sessions(name: str, cache: Path, first_ns: int, last_ns: int, own: Path | None) -> Calendar:
    """The calendar of that name, one of the user's own first; otherwise as :func:`load_calendar`.

    Args:
        name: ``24x7``, a name of the user's, or an exchange.
        cache: folder for compiled tables.
        first_ns: from then on it is needed.
        last_ns: until then.
        own: the user's file; None for no own calendars.

    Raises:
        InputError: as :func:`load_calendar`.
        DataError: the file cannot be used.
    """
    mine = None if own is None else read_plan(own).calendars.get(name)
    if mine is None:
        return load_calendar(name, cache, first_ns, last_ns)
    base = load_calendar(mine.like, cache, first_ns, last_ns) if mine.like else None
    assert base is None or isinstance(base, SessionTable), "24x7 is refused when the file is read"
    return own_table(name, mine, int(iso(first_ns)[:4]) - 1, int(iso(last_ns)[:4]) + 1, base)


def own_table(name: str, own: OwnCalendar, first_year: int, last_year: int, base: SessionTable | None) -> SessionTable:
    """The sessions of a checked calendar over whole years; ``base`` are those of the exchange it is like.

    Raises:
        DataError: two of its sessions overlap, or it has none.
    """
    by_day = _of_base(base) if base is not None else _of_hours(own, first_year, last_year)
    for day in own.holidays:
        by_day.pop(day, None)
    special: dict[str, list[Session]] = {}
    for one in own.special:
        if first_year <= int(one.day[:4]) <= last_year:
            made = _hours(one.day, one.open, one.close, one.breaks, ZoneInfo(own.zone))
            special.setdefault(one.day, []).append(made)
    by_day |= special
    rows = sorted((session, day) for day, sessions in by_day.items() for session in sessions)
    if not rows:
        raise DataError(f"calendar {name} has no session from {first_year} to {last_year}")
    for (before, _), (after, day) in pairwise(rows):
        if after[0] < before[1]:
            raise DataError(f"calendar {name}: the session of {day} opens at {iso(after[0])}, before the last one ends")
    return SessionTable(
        name=name,
        days=tuple(day for _, day in rows),
        opens=tuple(session[0] for session, _ in rows),
        closes=tuple(session[1] for session, _ in rows),
        breaks=tuple(pause for session, _ in rows for pause in session[2]),
    )


def _of_base(base: SessionTable) -> dict[str, list[Session]]:
    found: dict[str, list[Session]] = {}
    for day, opens, closes in zip(base.days, base.opens, base.closes, strict=True):
        pauses = tuple(one for one in base.breaks if opens <= one[0] < closes)
        found.setdefault(day, []).append((opens, closes, pauses))
    return found


def _of_hours(own: OwnCalendar, first_year: int, last_year: int) -> dict[str, list[Session]]:
    zone, day, found = ZoneInfo(own.zone), date(first_year, 1, 1), {}
    while day.year <= last_year:
        if _WEEK[day.weekday()] in own.days:
            found[str(day)] = [_hours(str(day), own.open, own.close, own.breaks, zone)]
        day += timedelta(days=1)
    return found


def _hours(day: str, opens: str, closes: str, breaks: tuple[Break, ...], zone: ZoneInfo) -> Session:
    """One session in nanoseconds; ValueError where its times are not in order."""
    minutes = [opens, *(edge for one in breaks for edge in (one.from_, one.to)), closes]
    if any(_minute(before) >= _minute(after) for before, after in pairwise(minutes)):
        raise ValueError(f"the times of a session on {day} were {' '.join(minutes)}; expected each later than the last")
    on = _date(day)
    edges = [_moment(on, _minute(clock), zone) for clock in minutes]
    return edges[0], edges[-1], tuple(zip(edges[1:-1:2], edges[2:-1:2], strict=True))


def _moment(day: date, minute: int, zone: ZoneInfo) -> int:
    """Nanoseconds of a local time. One that a clock change leaves out is taken by the offset before it; one that comes twice is the first."""
    day, minute = day + timedelta(days=minute // _DAY_MINUTES), minute % _DAY_MINUTES
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)
    return int(local.timestamp()) * NS_PER_S


def _minute(clock: str) -> int:
    if _CLOCK.fullmatch(clock) is None:
        raise ValueError(f"a time was {clock!r}; expected hours and minutes, as 09:30, at most 24:00")
    return int(clock[:2]) * 60 + int(clock[3:])


def _date(day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise ValueError(f"a day was {day!r}; expected a date, as 2026-11-08") from None
