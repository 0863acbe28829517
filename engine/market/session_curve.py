"""Volume by time since the session's open: right over summer time, early closes, lunch breaks and half-hour zones.

The layout is ``symbol,date,minute,volume``: the trading day, the minutes after its open at which a bin starts, the volume in it.
`bolt data curve` writes it. For 24x7 a session is the UTC day.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.errors import DataError
from engine.market.calendar import Calendar
from engine.market.volume import ADV_DAYS, lines_of_curve, shares_of

HEADER = "symbol,date,minute,volume"
MINUTE_NS = 60 * NS_PER_S
MINUTES_MAX = 1_440
Days = Mapping[str, Mapping[int, int]]
"""Volume by trading day and by minute after its open."""


class SessionCurve(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of a session's volume, by minute after its open."""

    source: str
    calendar: Calendar
    starts: tuple[int, ...]
    """Minutes after the open at which bins start, rising, the first 0."""
    step: int
    """Minutes in a bin."""
    shares: tuple[int, ...]
    days: tuple[tuple[str, int], ...]
    """Trading day and its volume, in order."""

    def adv(self, ts_ns: int) -> tuple[int, int] | None:
        """Average daily volume before a moment and over how many days, 20 at most; None where no day is before it."""
        today = self.calendar.trading_day(ts_ns)
        found = [volume for day, volume in self.days if day < today][-ADV_DAYS:]
        return (sum(found) // len(found), len(found)) if found else None

    def weights(self, start_ns: int, end_ns: int, bins: int) -> list[int]:
        """Expected volume of equal parts of a span; all zero where it lies outside every session."""
        edges = [start_ns + (end_ns - start_ns) * index // bins for index in range(bins + 1)]
        sums = [self._until(edge) for edge in edges]
        return [after - before for before, after in pairwise(sums)]

    def _until(self, ts_ns: int) -> int:
        """Volume since a fixed past session, in shares."""
        opens_ns, _ = self.calendar.session(ts_ns)
        total = self.calendar.number(ts_ns) * sum(self.shares)
        if ts_ns <= opens_ns:
            return total
        minute, rest_ns = divmod(ts_ns - opens_ns, MINUTE_NS)
        index = bisect_right(self.starts, minute) - 1
        lasted = min((minute - self.starts[index]) * MINUTE_NS + rest_ns, self.step * MINUTE_NS)
        return total + sum(self.shares[:index]) + self.shares[index] * lasted // (self.step * MINUTE_NS)


def curve_of(days: Days, calendar: Calendar, source: str, before_ns: int) -> SessionCurve | None:
    """The mean of the shares of each day that ended before a moment; None where there is none. Later days would be foresight."""
    today = calendar.trading_day(before_ns)
    past = {day: bins for day, bins in sorted(days.items()) if day < today and any(bins.values())}
    starts = sorted({minute for bins in past.values() for minute in bins})
    if not starts:
        return None
    step = min((later - earlier for earlier, later in pairwise(starts)), default=MINUTES_MAX - starts[0])
    grid = tuple(range(starts[0] % step, starts[-1] + 1, step))
    grid = grid if grid[0] == 0 else (0, *grid)
    sums = [0] * len(grid)
    for bins in past.values():
        shares = shares_of([bins.get(start, 0) for start in grid])
        sums = [a + b for a, b in zip(sums, shares, strict=True)]
    return SessionCurve(
        source=f"{source}, mean of {len(past)} days before",
        calendar=calendar,
        starts=grid,
        step=step,
        shares=tuple(total // len(past) for total in sums),
        days=tuple((day, sum(bins.values())) for day, bins in past.items()),
    )


def binned(prints: Iterable[tuple[int, int]], calendar: Calendar, minutes: int) -> dict[str, dict[int, int]]:
    """Volume of ``(time, quantity)`` by trading day and bin; what lies outside every session is left out."""
    days: dict[str, dict[int, int]] = {}
    step_ns = minutes * MINUTE_NS
    for ts_ns, qty in prints:
        opens_ns, closes_ns = calendar.session(ts_ns)
        if opens_ns <= ts_ns < closes_ns:
            bins = days.setdefault(calendar.trading_day(ts_ns), {})
            minute = (ts_ns - opens_ns) // step_ns * minutes
            bins[minute] = bins.get(minute, 0) + qty
    return days


def has_session_bins(path: Path) -> bool:
    """Whether a file of volume is of this layout."""
    return lines_of_curve(path)[0] == HEADER


def read_days(path: Path, symbol: str) -> dict[str, dict[int, int]]:
    """The days of one symbol in a file of the layout above.

    Raises:
        DataError: naming file, row and what was expected.
    """
    lines = lines_of_curve(path)
    days: dict[str, dict[int, int]] = {}
    symbols: dict[str, None] = {}
    for number, line in enumerate(lines[1:], 1):
        fields = line.split(",")
        if len(fields) != 4 or not all(word.isdigit() and len(word) <= 18 for word in fields[2:]):
            raise DataError(f"{path}: row {number}: expected {HEADER}, was {line[:60]!r}")
        name, day, minute, volume = fields[0], fields[1], int(fields[2]), int(fields[3])
        symbols[name] = None
        if name == symbol:
            bins = days.setdefault(day, {})
            if minute in bins or minute >= MINUTES_MAX:
                raise DataError(f"{path}: row {number}: minute {minute} of {day} is there twice or too high")
            bins[minute] = volume
    if not days:
        raise DataError(f"{path}: no row of {symbol}; it holds {', '.join(symbols)}")
    return days


def curve_lines(symbol: str, days: Days) -> list[str]:
    """The lines of a file of the layout above."""
    rows = [
        f"{symbol},{day},{minute},{volume}"
        for day, bins in sorted(days.items())
        for minute, volume in sorted(bins.items())
    ]
    return [HEADER, *rows]
