"""Trading sessions as integer tables: when a venue is open, when its day ends, which trading day a moment belongs to.

``24x7`` is always open and its day ends at midnight UTC. Exchange calendars come from the exchange-calendars library, which
imports pandas: it runs in a process of its own, once per name and span, and its answer is cached as plain integers.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from bisect import bisect_right
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import msgspec

from engine.domain.clock import NS_PER_S, iso
from engine.domain.errors import InputError

ALWAYS = "24x7"
DAY_NS = 86_400 * NS_PER_S
LAST_NS = 2**63 - 1
COMPILE_S = 60
"""Longest wait for the compiling process (it takes about two seconds, most of it importing pandas)."""

YEARS = (1680, 2260)
"""Years of which every moment is a 64-bit count of nanoseconds."""
_OUTSIDE = 3
"""How the compiling process ends where nothing of the span is known."""

_NAME = re.compile(r"[A-Za-z0-9/_]{1,20}")
_SAME_SESSIONS = {"XNSE": "XBOM"}
"""Exchanges the library does not name, and one it names that keeps the same sessions."""

_COMPILER = """
import json, sys
import exchange_calendars
name, start, end = sys.argv[1:]
try:
    # The class knows from when to when the exchange's days off are known; asked for more it refuses everything.
    kind = type(exchange_calendars.get_calendar(name))
    first, last = kind.bound_min(), kind.bound_max()
    start = start if first is None else max(start, str(first.date()))
    end = end if last is None else min(end, str(last.date()))
    if start > end:
        print(json.dumps([str(first.date()) if first is not None else "", str(last.date()) if last is not None else ""]))
        sys.exit(3)
    found = exchange_calendars.get_calendar(name, start=start, end=end)
except SystemExit:
    raise
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}".replace("\\n", " "))
table = found.schedule
ns = lambda column: [int(stamp.value) if stamp == stamp else 0 for stamp in table[column]]
pauses = [pair for pair in zip(ns("break_start"), ns("break_end")) if pair[0]]
print(json.dumps([[str(day.date()) for day in table.index], ns("open"), ns("close"), pauses]))
"""
"""Runs in a process of its own: pandas never enters ours."""


class Calendar(Protocol):
    """Sessions of one venue."""

    @property
    def name(self) -> str:
        """What it was asked for by."""
        ...

    def is_open(self, ts_ns: int) -> bool:
        """Whether orders can trade at a moment; False where it is not known."""
        ...

    def covers(self, ts_ns: int) -> bool:
        """Whether sessions are known at a moment."""
        ...

    def next_change(self, ts_ns: int) -> int | None:
        """The next moment after ``ts_ns`` at which :meth:`is_open` changes; None where it never does."""
        ...

    def session(self, ts_ns: int) -> tuple[int, int]:
        """Open and close of the session that runs at ``ts_ns``, or of the next one."""
        ...

    def trading_day(self, ts_ns: int) -> str:
        """Date of :meth:`session`, as ``2012-06-21``."""
        ...

    def number(self, ts_ns: int) -> int:
        """Number of :meth:`session`: each is one more than the one before it."""
        ...


@lru_cache(maxsize=64)
def _utc_date(day: int) -> str:
    return iso(day * DAY_NS)[:10]


class AlwaysOpen:
    """A venue that never closes; its day is the UTC day."""

    name = ALWAYS

    def is_open(self, ts_ns: int) -> bool:  # noqa: ARG002 - the answer is the same at every moment
        """Always."""
        return True

    def covers(self, ts_ns: int) -> bool:  # noqa: ARG002 - as above
        """Always."""
        return True

    def next_change(self, ts_ns: int) -> int | None:  # noqa: ARG002 - as above
        """Never."""
        return None

    def session(self, ts_ns: int) -> tuple[int, int]:
        """The UTC day around ``ts_ns``."""
        start = ts_ns // DAY_NS * DAY_NS
        return start, start + DAY_NS

    def trading_day(self, ts_ns: int) -> str:
        """The UTC date."""
        return _utc_date(ts_ns // DAY_NS)

    def number(self, ts_ns: int) -> int:
        """Days since 1970."""
        return ts_ns // DAY_NS


class SessionTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sessions of an exchange over a span, in nanoseconds, in time order."""

    name: str
    days: tuple[str, ...]
    """Dates of the sessions in the exchange's own zone."""
    opens: tuple[int, ...]
    closes: tuple[int, ...]
    breaks: tuple[tuple[int, int], ...] = ()
    """Pauses inside sessions (lunch)."""

    def is_sound(self) -> bool:
        """Whether there is at least one session, and each has its day and follows the one before."""
        edges = [edge for session in zip(self.opens, self.closes, strict=False) for edge in session]
        is_whole = 0 < len(self.days) == len(self.opens) == len(self.closes)
        return is_whole and edges == sorted(edges) and list(self.breaks) == sorted(self.breaks)

    def _index(self, ts_ns: int) -> int:
        """The session that runs at a moment or comes next."""
        return bisect_right(self.closes, ts_ns)

    def _break(self, ts_ns: int) -> tuple[int, int] | None:
        index = bisect_right(self.breaks, (ts_ns, LAST_NS)) - 1
        return self.breaks[index] if index >= 0 and ts_ns < self.breaks[index][1] else None

    def is_open(self, ts_ns: int) -> bool:
        """From the open on, up to and without the close, pauses excepted; closed outside the table."""
        index = self._index(ts_ns)
        return index < len(self.opens) and self.opens[index] <= ts_ns and self._break(ts_ns) is None

    def covers(self, ts_ns: int) -> bool:
        """From the first open up to and without the last close: beyond it nobody knows when the next session opens."""
        return self.opens[0] <= ts_ns < self.closes[-1]

    def next_change(self, ts_ns: int) -> int | None:
        """The next open, close, or edge of a pause; None after the last session of the table."""
        index = self._index(ts_ns)
        if index >= len(self.opens):
            return None
        if ts_ns < self.opens[index]:
            return self.opens[index]
        pause = self._break(ts_ns)
        if pause is not None:
            return pause[1]
        later = bisect_right(self.breaks, (ts_ns, LAST_NS))
        if later < len(self.breaks) and self.breaks[later][0] < self.closes[index]:
            return self.breaks[later][0]
        return self.closes[index]

    def session(self, ts_ns: int) -> tuple[int, int]:
        """The running or next session, pauses included; the last one after the end of the table."""
        index = min(self._index(ts_ns), len(self.opens) - 1)
        return self.opens[index], self.closes[index]

    def trading_day(self, ts_ns: int) -> str:
        """Date of that session in the exchange's own zone."""
        return self.days[min(self._index(ts_ns), len(self.days) - 1)]

    def number(self, ts_ns: int) -> int:
        """Place of that session in the table."""
        return min(self._index(ts_ns), len(self.days) - 1)


def is_calendar_name(name: str) -> bool:
    """Whether a word can name a calendar."""
    return _NAME.fullmatch(name) is not None


def load_calendar(name: str, cache: Path, first_ns: int, last_ns: int) -> Calendar:
    """The calendar of that name, covering the years of a span, the one before and the one after.

    It covers less where the library knows less: an exchange announces its days off a year ahead at most.

    Args:
        name: ``24x7``, or an exchange-calendars name such as ``XNYS``.
        cache: folder for compiled tables; made where it does not exist.

    Raises:
        InputError: the name is not known, the span is not covered, or the compiler did not answer in time.
    """
    if name == ALWAYS:
        return AlwaysOpen()
    if not is_calendar_name(name):
        raise InputError(f"calendar {name!r} is not a name; expected {ALWAYS} or an exchange, as XNYS")
    first, last = int(iso(first_ns)[:4]) - 1, int(iso(last_ns)[:4]) + 1
    if not YEARS[0] <= first <= last <= YEARS[1]:
        raise InputError(
            f"calendar {name} was asked for from {first} to {last}; expected years from {YEARS[0]} to {YEARS[1]}"
        )
    stored = cache / f"{name.replace('/', '_')}-{first}-{last}-{version('exchange-calendars')}.json"
    table = _read(stored)
    if table is None:
        table = _compile(name, f"{first}-01-01", f"{last}-12-31")
        # A cache that cannot be written costs time, not trade.
        with suppress(OSError):
            _keep(stored, table)
    return table


def _keep(path: Path, table: SessionTable) -> None:
    """Written beside and moved, so that a second process never reads half a table."""
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(msgspec.json.encode(table))
    fresh.replace(path)


def _read(path: Path) -> SessionTable | None:
    """A stored table; None where there is none, or none that can be read (it is compiled anew)."""
    try:
        table = msgspec.json.decode(path.read_bytes(), type=SessionTable)
    except (OSError, msgspec.DecodeError):
        return None
    return table if table.is_sound() else None


def _compile(name: str, start: str, end: str) -> SessionTable:
    command = [sys.executable, "-I", "-c", _COMPILER, _SAME_SESSIONS.get(name, name), start, end]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"calendar {name}: no answer after {COMPILE_S} s; try again, or use {ALWAYS}") from None
    if done.returncode == _OUTSIDE:
        since, until = msgspec.json.decode(done.stdout.splitlines()[-1])
        known = " ".join(part for part in (since and f"from {since}", until and f"to {until}") if part)
        raise InputError(
            f"calendar {name} is known {known} only, as far as the exchange's days off are, and {start[:4]} to {end[:4]} was "
            "asked for; a newer exchange-calendars may know more, and hours and holidays of your own go into sessions.yaml"
        )
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
        raise InputError(f"calendar {name} from {start} to {end}: {why}; expected {ALWAYS} or an exchange, as XNYS")
    days, opens, closes, breaks = msgspec.json.decode(done.stdout.splitlines()[-1])
    if not days:
        raise InputError(f"calendar {name} has no session from {start} to {end}")
    return msgspec.convert(
        {"name": name, "days": days, "opens": opens, "closes": closes, "breaks": breaks}, SessionTable
    )
