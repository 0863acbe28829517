"""Nightly resets: windows by the broker's own clock, over summer time and half-hour zones."""

import pytest

from engine.domain.clock import iso, parse_iso
from engine.domain.errors import SettingsError
from engine.domain.resets import read_reset


@pytest.mark.parametrize(
    ("words", "at", "window"),
    [
        ("23:45 America/New_York 5m", "2024-03-08T12:00:00Z", ("2024-03-09T04:45", "2024-03-09T04:50")),
        ("23:45 America/New_York 5m", "2024-03-10T12:00:00Z", ("2024-03-11T03:45", "2024-03-11T03:50")),
        ("23:58 America/New_York 30m", "2024-03-12T04:10:00Z", ("2024-03-12T03:58", "2024-03-12T04:28")),
        ("06:00 Asia/Kolkata 10m", "2024-02-29T00:29:00Z", ("2024-02-29T00:30", "2024-02-29T00:40")),
        ("06:00 Asia/Kolkata 10m", "2024-02-29T00:40:00Z", ("2024-03-01T00:30", "2024-03-01T00:40")),
        ("02:30 America/New_York 5m", "2024-03-10T06:00:00Z", ("2024-03-10T07:30", "2024-03-10T07:35")),
        ("01:30 America/New_York 5m", "2024-11-03T05:00:00Z", ("2024-11-03T05:30", "2024-11-03T05:35")),
        ("00:00 UTC 1m", "2024-12-31T23:59:59Z", ("2025-01-01T00:00", "2025-01-01T00:01")),
    ],
)
def test_a_window_is_that_of_the_local_day(words: str, at: str, window: tuple[str, str]) -> None:
    reset = read_reset(words)
    found = reset.window(parse_iso(at))
    assert tuple(iso(edge)[:16] for edge in found) == window
    assert reset.is_on(found[0])
    assert reset.is_on(found[1] - 1)
    assert not reset.is_on(found[1])
    assert not reset.is_on(found[0] - 1)


@pytest.mark.parametrize("words", ["", "6:00 UTC 5m", "25:00 UTC 5m", "06:00 Mars/Base 5m", "06:00 UTC 0m", "06:00 UTC 601m", "06:00 UTC"])  # fmt: skip
def test_words_that_are_no_reset_are_refused(words: str) -> None:
    with pytest.raises(SettingsError, match="reset was"):
        read_reset(words)
