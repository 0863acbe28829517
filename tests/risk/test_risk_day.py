"""A risk day begins at a time of day in a zone, summer time and all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.clock import NS_PER_S, iso, parse_iso
from engine.risk.policy import parse
from engine.risk.risk_day import is_cut, span_ns
from tests.risk.world import SHIPPED

HOUR_NS = 3_600 * NS_PER_S
CUTS = ["00:00 UTC", "17:00 America/New_York", "02:30 America/New_York", "09:15 Asia/Kolkata", "23:59 Pacific/Auckland"]


@pytest.mark.parametrize(
    ("words", "now", "begins", "ends"),
    [
        ("00:00 UTC", "2023-11-15T00:00:00Z", "2023-11-15T00:00", "2023-11-16T00:00"),
        ("00:00 UTC", "2023-11-15T23:59:59Z", "2023-11-15T00:00", "2023-11-16T00:00"),
        ("17:00 America/New_York", "2023-03-11T23:00:00Z", "2023-03-11T22:00", "2023-03-12T21:00"),  # 23 hours
        ("17:00 America/New_York", "2023-11-04T22:00:00Z", "2023-11-04T21:00", "2023-11-05T22:00"),  # 25 hours
        (
            "02:30 America/New_York",
            "2023-03-12T08:00:00Z",
            "2023-03-12T07:30",
            "2023-03-13T06:30",
        ),  # left out that night
        ("09:15 Asia/Kolkata", "2023-03-12T03:44:59Z", "2023-03-11T03:45", "2023-03-12T03:45"),
    ],
)
def test_a_day_begins_at_its_cut(words: str, now: str, begins: str, ends: str) -> None:
    assert [iso(edge)[:16] for edge in span_ns(words, parse_iso(now))] == [begins, ends]


@given(st.sampled_from(CUTS), st.integers(parse_iso("1990-01-01T00:00:00Z"), parse_iso("2037-12-31T00:00:00Z")))
def test_days_follow_one_another_without_a_gap(words: str, now_ns: int) -> None:
    begins_ns, ends_ns = span_ns(words, now_ns)
    assert begins_ns <= now_ns < ends_ns
    assert 23 * HOUR_NS <= ends_ns - begins_ns <= 25 * HOUR_NS
    assert span_ns(words, begins_ns) == span_ns(words, ends_ns - 1) == (begins_ns, ends_ns)
    assert span_ns(words, ends_ns)[0] == ends_ns


@pytest.mark.parametrize(
    "words",
    ["24:00 UTC", "7:00 UTC", "00:00", "UTC", "", "00:00 Mars/Olympus", "00:00 ../../etc/passwd", "0:0 UTC", "noon"],
)
def test_what_is_no_cut_is_refused_with_its_line(words: str) -> None:
    assert not is_cut(words)
    policy, problems = parse(SHIPPED.read_text(encoding="utf-8").replace("starts: 00:00 UTC", f"starts: {words}", 1))
    assert policy is None
    (problem,) = problems
    assert problem.path == "day.starts"
    assert "expected a time of day and a zone, such as 00:00 UTC or 17:00 America/New_York" in str(problem)
    assert "starts:" in SHIPPED.read_text(encoding="utf-8").splitlines()[problem.line - 1]


def test_only_an_account_may_have_its_own_cut() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    own = "  accounts:\n    MINE: { day.starts: 17:00 America/New_York }"
    policy, problems = parse(text.replace("  accounts: {}", own))
    assert problems == []
    assert policy is not None
    assert policy.word_of("day.starts", "MINE") == "17:00 America/New_York"
    assert policy.word_of("day.starts", "PAPER") == "00:00 UTC"
    plain, _ = parse(text)
    assert plain is not None
    assert plain.hash != policy.hash
    for other in (
        text.replace("ES: {", "ES: { day.starts: 17:00 UTC,"),
        text.replace("  accounts: {}", "  accounts: {A: {day.starts: 25}}"),
    ):
        assert parse(other)[0] is None
