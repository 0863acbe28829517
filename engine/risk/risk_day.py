"""When a risk day begins: a time of day in a zone, such as ``17:00 America/New_York``. Limits of the day count from there."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.domain.clock import NS_PER_S

_CUT = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]) ([A-Za-z][A-Za-z0-9_+/-]{0,63})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def _cut(words: str) -> tuple[time, ZoneInfo]:
    found = _CUT.fullmatch(words)
    if found is None:
        raise ValueError(words)
    try:
        zone = ZoneInfo(found[3])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(words) from None
    return time(int(found[1]), int(found[2])), zone


def is_cut(words: str) -> bool:
    """Whether these words name a time of day in a zone that is known here."""
    try:
        _cut(words)
    except ValueError:
        return False
    return True


def span_ns(words: str, now_ns: int) -> tuple[int, int]:
    """Begin of the risk day that runs at a time, and of the next one.

    A time of day that a change of the clocks leaves out is taken as if the clocks had not changed yet.

    Raises:
        ValueError: the words are no cut (see :func:`is_cut`).
    """
    at, zone = _cut(words)
    today = datetime.fromtimestamp(now_ns // NS_PER_S, zone).date()
    begins = [_ns(today + timedelta(days=days), at, zone) for days in (-2, -1, 0, 1, 2)]
    running = max(begin for begin in begins if begin <= now_ns)
    return running, min(begin for begin in begins if begin > now_ns)


def _ns(day: date, at: time, zone: ZoneInfo) -> int:
    since = datetime.combine(day, at, tzinfo=zone).astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS_PER_S
