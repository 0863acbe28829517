"""What a replay tells a person: every order's end, with its reason."""

from __future__ import annotations

from pathlib import Path

from bolt_tui.replay import lines
from tests.replay.tape import quotes, replay


def test_each_order_is_told_with_why_it_ended(tmp_path: Path) -> None:
    """A feed that falls silent halts its symbol: that stood nowhere, and of a second order nothing did."""
    rows = [
        *quotes("2024-03-05T15:00:00Z", "2024-03-05T15:01:00Z", mic="XSIM"),
        *quotes("2024-03-05T15:04:00Z", "2024-03-05T15:04:05Z", mic="XSIM"),
    ]
    result = replay(tmp_path, rows, "b 100 ABC @9.50", "b 50 ABC @9.60 twap 10m")
    said = lines(result)
    assert [line for line in said if line.startswith("P")][1:] == [
        "P1 b 100 ABC @9.50: cancelled, 0 of 100: halted: STALE_WORKING",
        "P3 buy 50 ABC: cancelled, 0 of 50: halted: STALE_WORKING",
    ]
    (silent,) = [line for line in said if "monitor.max_stale_s" in line]
    assert silent.startswith("  note: symbol ABC was halted at 2024-03-05T15:02:")
    assert not [line for line in said if line.startswith("conservation")]
    assert "conservation: a unit is missing" in lines({**result, "conservation": ["a unit is missing"]})


def test_what_a_venue_refused_is_told_in_its_words(tmp_path: Path) -> None:
    rows = quotes("2024-03-05T15:00:00Z", "2024-03-05T15:01:00Z", mic="XSIM")
    result = replay(tmp_path, rows, "b 100 ABC @10.01 post")
    (told,) = [line for line in lines(result) if line.startswith("P1")]
    assert told.startswith("P1 b 100 ABC @10.01 post: rejected, 0 of 100: POST_ONLY")
    assert "its child ended" not in told


def test_a_denial_names_the_price_of_the_other_order_without_noughts(tmp_path: Path) -> None:
    """A recording keeps prints finer than its ticks; the limit was told as 10.0000."""
    rows = quotes("2024-03-05T15:00:00Z", "2024-03-05T15:01:00Z", mic="XSIM")
    result = replay(tmp_path, rows, "b 100 ABC @join", "s 100 ABC @mkt")
    assert "own order C2 buy 100 at 10," in result["denied"][0]["text"]
