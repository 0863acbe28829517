"""Days and moments as people write them in files and on command lines."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.errors import InputError

DAY_NS = 86_400 * NS_PER_S

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def start_of(word: str) -> int:
    """A time with a zone, or the start (UTC) of a date.

    Raises:
        InputError: it is neither.
    """
    return _moment(word, 0)


def end_of(word: str) -> int:
    """The first moment after something ends: a time with a zone, or the end (UTC) of a date.

    Raises:
        InputError: it is neither.
    """
    return _moment(word, DAY_NS)


def _moment(word: str, later_ns: int) -> int:
    try:
        if not _DATE.fullmatch(word):
            return parse_iso(word)
        day = date.fromisoformat(word)
    except ValueError as error:
        raise InputError(f"expected a date as 2024-03-15, or a time as 2024-03-15T13:30:00Z ({error})") from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * NS_PER_S + later_ns
