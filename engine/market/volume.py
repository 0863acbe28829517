"""Volume curves: what share of a day's volume trades when, as integer weights of a clock window.

Two layouts, told apart by the header:

* ``start,volume``: time of day (``HH:MM`` in the zone of :class:`VolumeCurve`) and a relative volume; a bin lasts to the next.
* ``symbol,date,bin,volume``: days of equal bins (bin 0 starts at the open); the curve is the plain mean of each day's shares.
"""

from __future__ import annotations

import gzip
import re
import zlib
from bisect import bisect_right
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.errors import DataError

FLAT = "flat: no volume curve"
"""Source named by :func:`flat_weights`."""

SHARE = 1_000_000_000
"""Shares of a day are integers of this."""
DAY_S = 86_400
ADV_DAYS = 20
"""Days that an average daily volume is taken over."""
BINS_MAX = 1_440
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DATE = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")
_WHOLE = re.compile(r"[0-9]{1,18}")


class VolumeCurve(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of a day's volume, by second of the local day."""

    source: str
    """Where it is from, for people."""
    zone: str
    starts: tuple[int, ...]
    """Seconds of the day at which bins start, rising."""
    end: int
    """Second of the day at which the last bin ends."""
    shares: tuple[int, ...]
    days: tuple[tuple[str, int], ...] = ()
    """Date and volume of each recorded day, in order; empty for a curve without dates."""

    def adv(self, ts_ns: int) -> tuple[int, int] | None:
        """Average daily volume before a moment and over how many days: the last :data:`ADV_DAYS` of the file at most.

        None where the file holds no day before it: later days would be foresight.
        """
        today = datetime.fromtimestamp(ts_ns // NS_PER_S, ZoneInfo(self.zone)).date().isoformat()
        found = [volume for day, volume in self.days if day < today][-ADV_DAYS:]
        return (sum(found) // len(found), len(found)) if found else None

    def weights(self, start_ns: int, end_ns: int, bins: int) -> list[int]:
        """Expected volume of ``bins`` equal parts of a span, as integers; within a bin volume is taken as even.

        All zero where the span lies outside the curve: use :func:`flat_weights` then, and say so.
        """
        edges = [start_ns + (end_ns - start_ns) * index // bins for index in range(bins + 1)]
        sums = [self._until(edge) for edge in edges]
        return [after - before for before, after in pairwise(sums)]

    def _until(self, ts_ns: int) -> int:
        """Volume since a fixed past day, in shares."""
        local = datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).astimezone(ZoneInfo(self.zone))
        second_ns = (local.hour * 3600 + local.minute * 60 + local.second) * NS_PER_S + ts_ns % NS_PER_S
        total = local.toordinal() * sum(self.shares)
        index = bisect_right(self.starts, second_ns // NS_PER_S) - 1
        if index < 0:
            return total
        total += sum(self.shares[:index])
        stop = self.starts[index + 1] if index + 1 < len(self.starts) else self.end
        lasted = min(second_ns - self.starts[index] * NS_PER_S, (stop - self.starts[index]) * NS_PER_S)
        return total + self.shares[index] * lasted // ((stop - self.starts[index]) * NS_PER_S)


def flat_weights(bins: int) -> tuple[list[int], str]:
    """Equal weights, and the words that say so."""
    return [1] * bins, FLAT


class Curve(Protocol):
    """Volume by time, of any kind."""

    @property
    def source(self) -> str:
        """Where it is from, for people."""
        ...

    def adv(self, ts_ns: int) -> tuple[int, int] | None:
        """Average daily volume before a moment, and over how many days."""
        ...

    def weights(self, start_ns: int, end_ns: int, bins: int) -> list[int]:
        """Expected volume of equal parts of a span."""
        ...


def window_weights(curve: Curve | None, start_ns: int, end_ns: int, bins: int) -> tuple[list[int], str]:
    """Weights of a window and their source: the curve's, or flat where there is none or it does not cover the window."""
    if curve is None:
        return flat_weights(bins)
    weights = curve.weights(start_ns, end_ns, bins)
    if not any(weights):
        return [1] * bins, f"flat: {curve.source} has no volume in this window"
    return weights, curve.source


def read_curve(
    path: Path, symbol: str = "", *, zone: str = "America/New_York", open_time: str = "09:30", bin_minutes: int = 15
) -> VolumeCurve:
    """Read a curve file, gzip or plain.

    Args:
        symbol: which symbol of a ``symbol,date,bin,volume`` file.
        zone: time zone of the session.
        open_time: start of bin 0 of such a file.
        bin_minutes: length of its bins.

    Raises:
        DataError: naming file, row and what was expected.
    """
    lines = lines_of_curve(path)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise DataError(f"{path}: time zone {zone!r} is not known; give one like America/New_York") from None
    if lines[0] == "start,volume":
        starts, shares, end = _clock_bins(path, lines)
        return VolumeCurve(source=path.name, zone=zone, starts=starts, end=end, shares=shares)
    if lines[0] == "symbol,date,bin,volume":
        days = _days(path, lines, symbol)
        shares, used = _mean_day(path, days, symbol)
        first = _seconds(open_time)
        if first is None:
            raise DataError(f"{path}: the open is {open_time!r}; expected HH:MM")
        starts = tuple(first + index * bin_minutes * 60 for index in range(len(shares)))
        return VolumeCurve(
            source=f"{path.name}: {symbol}, mean of {used} days",
            zone=zone,
            starts=starts,
            end=starts[-1] + bin_minutes * 60,
            shares=shares,
            days=_dated(days),
        )
    raise DataError(
        f"{path}: the header is {lines[0][:60]!r}; expected 'start,volume', 'symbol,date,bin,volume' or 'symbol,date,minute,volume'"
    )


def lines_of_curve(path: Path) -> list[str]:
    """Lines of a plain or gzip file, the header first.

    Raises:
        DataError: it cannot be read, or has no row.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: cannot be read: it is no ordinary file, and reading it may never end")
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("ascii")
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    lines = text.splitlines()
    if len(lines) < 2:
        raise DataError(f"{path}: expected a header and at least one row")
    return lines


def _seconds(word: str) -> int | None:
    matched = _TIME.fullmatch(word)
    return int(matched[1]) * 3600 + int(matched[2]) * 60 if matched else None


def _clock_bins(path: Path, lines: list[str]) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    starts: list[int] = []
    volumes: list[int] = []
    for number, line in enumerate(lines[1:], 1):
        word, _, volume = line.partition(",")
        second = _seconds(word)
        if second is None or not _WHOLE.fullmatch(volume):
            raise DataError(f"{path}: row {number}: expected HH:MM and a whole volume, was {line[:60]!r}")
        if starts and second <= starts[-1]:
            raise DataError(f"{path}: row {number}: expected a start after {lines[number - 1][:5]}, was {word}")
        starts.append(second)
        volumes.append(int(volume))
    if not any(volumes) or len(starts) > BINS_MAX:
        raise DataError(f"{path}: expected 1 to {BINS_MAX} bins, and volume in one of them at least")
    # The last bin lasts as long as the one before it, or to the end of the day.
    end = min(DAY_S, 2 * starts[-1] - starts[-2]) if len(starts) > 1 else DAY_S
    return tuple(starts), shares_of(volumes), end


def shares_of(volumes: list[int]) -> tuple[int, ...]:
    """Volumes as shares of their sum, in units of :data:`SHARE`; the sum must not be 0."""
    total = sum(volumes)
    return tuple(volume * SHARE // total for volume in volumes)


def _days(path: Path, lines: list[str], symbol: str) -> dict[str, dict[int, int]]:
    """Volume by date and bin."""
    days: dict[str, dict[int, int]] = {}
    symbols: dict[str, None] = {}
    for number, line in enumerate(lines[1:], 1):
        fields = line.split(",")
        if len(fields) != 4 or not _WHOLE.fullmatch(fields[2]) or not _WHOLE.fullmatch(fields[3]):
            raise DataError(f"{path}: row {number}: expected symbol,date,bin,volume, was {line[:60]!r}")
        symbols[fields[0]] = None
        if fields[0] == symbol:
            bins = days.setdefault(fields[1], {})
            if int(fields[2]) in bins or int(fields[2]) >= BINS_MAX:
                raise DataError(f"{path}: row {number}: bin {fields[2]} of {fields[1]} is there twice or too high")
            bins[int(fields[2])] = int(fields[3])
    if not days:
        raise DataError(f"{path}: no row of {symbol or 'an unnamed symbol'}; it holds {', '.join(symbols)}")
    return days


def _dated(days: dict[str, dict[int, int]]) -> tuple[tuple[str, int], ...]:
    """Days with a date and volume, in order; what is named otherwise has no place in time."""
    found = []
    for name, bins in days.items():
        matched = _DATE.fullmatch(name)
        if matched is not None and any(bins.values()):
            found.append(("-".join(matched.groups()), sum(bins.values())))
    return tuple(sorted(found))


def _mean_day(path: Path, days: dict[str, dict[int, int]], symbol: str) -> tuple[tuple[int, ...], int]:
    """Mean of each day's shares, and over how many days."""
    count = 1 + max(max(bins) for bins in days.values())
    sums = [0] * count
    used = 0
    for bins in days.values():
        if any(bins.values()):
            used += 1
            shares = shares_of([bins.get(index, 0) for index in range(count)])
            sums = [a + b for a, b in zip(sums, shares, strict=True)]
    if not used:
        raise DataError(f"{path}: {symbol} has no volume on any day")
    return tuple(total // used for total in sums), used
