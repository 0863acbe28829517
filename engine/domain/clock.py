"""Time, in integer nanoseconds. The only module that reads a clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """What the engine needs of time."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds since 1970-01-01 UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never run backwards, for durations."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """Wall clock."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Monotonic clock."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Block this thread; for drivers and tools, never for the core."""
        time.sleep(seconds)


class SimClock:
    """A clock that a driver moves; both readings are the same number."""

    __slots__ = ("at_ns",)

    at_ns: int
    """Simulated time. Who sets it by itself keeps :meth:`set_ns`'s rule: never back."""

    def __init__(self, start_ns: int = 0) -> None:
        self.at_ns = start_ns

    def now_ns(self) -> int:
        """Simulated time."""
        return self.at_ns

    def monotonic_ns(self) -> int:
        """Simulated time."""
        return self.at_ns

    def set_ns(self, now_ns: int) -> None:
        """Move forward to ``now_ns``; a step back is ignored, recorded feeds hold equal and older stamps."""
        if now_ns > self.at_ns:  # noqa: PLR1730 - set on every tick; a call of max costs as much as all the rest
            self.at_ns = now_ns

    def jump_ns(self, now_ns: int) -> None:
        """Set it to any time: a recorded clock may have stepped back."""
        self.at_ns = now_ns


def iso(ts_ns: int) -> str:
    """UTC text with nanoseconds, for people and files: ``2012-06-21T13:30:00.004241176Z``."""
    seconds, rest = divmod(ts_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def hms(ts_ns: int) -> str:
    """UTC time of day with milliseconds, for logs: ``14:42:06.114``."""
    seconds, rest = divmod(ts_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{rest // NS_PER_MS:03d}"


def parse_iso(words: str) -> int:
    """Read an ISO-8601 time with an offset or Z into nanoseconds.

    Raises:
        ValueError: when the text is no such time or has no zone.
    """
    head, dot, tail = words.partition(".")
    digits = ""
    zone = ""
    if dot:
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        zone = tail[len(digits) :]
    when = datetime.fromisoformat(head + zone)
    if when.tzinfo is None:
        msg = f"time {words!r} has no zone; end it with Z or an offset"
        raise ValueError(msg)
    delta = when - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NS_PER_S + int(digits.ljust(9, "0")[:9] or 0)


def duration_word(duration_ns: int) -> str:
    """A span of whole seconds as the order line takes it: ``1h30m``."""
    minutes, seconds = divmod(duration_ns // NS_PER_S, 60)
    hours, minutes = divmod(minutes, 60)
    return "".join(f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if count)
