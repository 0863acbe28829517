"""Trading sessions as integer tables: when a venue is open, when its day ends, which trading day a moment belongs to.

``24x7`` is always open and its day ends at midnight UTC. Exchange calendars come from the exchange-calendars library, which
imports pandas: it runs in a process of its own, once per name and span, and its answer is cached as plain integers.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Protocol

from engine.domain.clock import NS_PER_S, iso

ALWAYS = "24x7"
DAY_NS = 86_400 * NS_PER_S


class Calendar(Protocol):
    """Sessions of one venue."""

    name: str

    def is_open(self, ts_ns: int) -> bool:
        """Whether orders can trade at a moment."""
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


class AlwaysOpen:
    """A venue that never closes; its day is the UTC day."""

    name = ALWAYS

    def is_open(self, ts_ns: int) -> bool:  # noqa: ARG002 - the answer is the same at every moment
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
        return iso(ts_ns)[:10]


class SessionTable:
    """Sessions of an exchange over a span, in nanoseconds."""

    def __init__(self, name: str, days: list[str], spans: list[tuple[int, int]]) -> None:
        self.name = name
        self.days = days
        self._opens = [span[0] for span in spans]
        self._closes = [span[1] for span in spans]

    def _index(self, ts_ns: int) -> int:
        """The session that runs at a moment or comes next."""
        return bisect_right(self._closes, ts_ns)

    def is_open(self, ts_ns: int) -> bool:
        """From the open on, up to and without the close."""
        index = self._index(ts_ns)
        return index < len(self._opens) and self._opens[index] <= ts_ns

    def next_change(self, ts_ns: int) -> int | None:
        """The next open or close; None after the last session of the table."""
        index = self._index(ts_ns)
        if index >= len(self._opens):
            return None
        return self._opens[index] if ts_ns < self._opens[index] else self._closes[index]

    def session(self, ts_ns: int) -> tuple[int, int]:
        """The running or next session; the last one after the end of the table."""
        index = min(self._index(ts_ns), len(self._opens) - 1)
        return self._opens[index], self._closes[index]

    def trading_day(self, ts_ns: int) -> str:
        """Date of that session in the exchange's own zone."""
        return self.days[min(self._index(ts_ns), len(self.days) - 1)]
