"""Times of day at which a broker lets go of everybody: nightly resets and forced logouts, by its own local clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.errors import SettingsError

_FORM = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]) ([A-Za-z][A-Za-z0-9_+/-]{1,40}) ([1-9][0-9]{0,2})m")
EXAMPLE = "23:45 America/New_York 5m"
MINUTES_MAX = 600


class DailyReset(msgspec.Struct, frozen=True):
    """From a time of day on, for so many minutes, every day."""

    zone: str
    minute: int
    """Of the local day."""
    minutes: int

    def window(self, ts_ns: int) -> tuple[int, int]:
        """Start and end of the reset that runs at a moment or comes next. A local time that a clock change leaves out is taken
        by the offset before the change; one that comes twice is the first.
        """
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).astimezone(zone).date()
        lasts_ns = self.minutes * 60 * NS_PER_S
        starts = []
        for days in (-1, 0, 1, 2):
            day = today + timedelta(days=days)
            local = datetime(day.year, day.month, day.day, self.minute // 60, self.minute % 60, tzinfo=zone)
            starts.append(int(local.timestamp()) * NS_PER_S)
        start_ns = next(start for start in starts if ts_ns < start + lasts_ns)
        return start_ns, start_ns + lasts_ns

    def is_on(self, ts_ns: int) -> bool:
        """Whether it runs."""
        start_ns, _ = self.window(ts_ns)
        return start_ns <= ts_ns


def read_reset(words: str) -> DailyReset:
    """Read ``HH:MM ZONE Nm``.

    Raises:
        SettingsError: naming the words and what was expected.
    """
    matched = _FORM.fullmatch(words)
    if matched is None or int(matched[4]) > MINUTES_MAX:
        msg = f"reset was {words!r}; expected a time of day, a zone and up to {MINUTES_MAX} minutes, as in {EXAMPLE!r}"
        raise SettingsError(msg)
    try:
        ZoneInfo(matched[3])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(f"reset was {words!r}; the time zone {matched[3]!r} is not known") from None
    return DailyReset(matched[3], int(matched[1]) * 60 + int(matched[2]), int(matched[4]))
