"""Calendars of the user's own: hours, days off, special sessions, and what is refused."""

from pathlib import Path

import pytest

from engine.domain.clock import iso, parse_iso
from engine.domain.errors import DataError
from engine.market.calendar import Calendar
from engine.market.own_sessions import load_sessions, read_plan

DESK = """
calendars:
  DESK:
    zone: America/New_York
    open: "09:30"
    close: "16:00"
    breaks: [{from: "12:00", to: "13:00"}]
    holidays: [2026-12-25]
    special:
      - {day: 2026-11-27, open: "09:30", close: "13:00"}
      - {day: 2026-12-25, open: "18:00", close: "19:15"}
"""
DIWALI = """
calendars:
  XNSE:
    zone: Asia/Kolkata
    like: XNSE
    special: [{day: 2023-11-12, open: "18:15", close: "19:15"}]
"""


def calendar(folder: Path, text: str, name: str, moment: str) -> Calendar:
    path = folder / "sessions.yaml"
    path.write_text(text, encoding="utf-8")
    at = parse_iso(moment)
    return load_sessions(name, folder / "calendars", at, at, path)


def span(found: Calendar, moment: str) -> tuple[str, ...]:
    at = parse_iso(moment)
    return found.trading_day(at), *(iso(edge)[:16] for edge in found.session(at))


def test_hours_of_ones_own_go_by_the_local_clock(tmp_path: Path) -> None:
    found = calendar(tmp_path, DESK, "DESK", "2026-11-27T00:00:00Z")
    assert span(found, "2026-10-30T15:00:00Z") == ("2026-10-30", "2026-10-30T13:30", "2026-10-30T20:00")
    assert span(found, "2026-11-02T15:00:00Z") == ("2026-11-02", "2026-11-02T14:30", "2026-11-02T21:00")
    assert not found.is_open(parse_iso("2026-11-02T17:30:00Z")), "the lunch break"
    assert found.is_open(parse_iso("2026-11-02T18:00:00Z"))
    assert not found.is_open(parse_iso("2026-11-01T16:00:00Z")), "a Sunday"


def test_what_is_special_takes_the_place_of_the_day(tmp_path: Path) -> None:
    found = calendar(tmp_path, DESK, "DESK", "2026-11-27T00:00:00Z")
    assert span(found, "2026-11-27T15:00:00Z") == ("2026-11-27", "2026-11-27T14:30", "2026-11-27T18:00")
    assert span(found, "2026-12-25T15:00:00Z") == ("2026-12-25", "2026-12-25T23:00", "2026-12-26T00:15")


def test_an_evening_hour_on_a_sunday_is_added_to_an_exchange(tmp_path: Path) -> None:
    moment = "2023-11-12T13:00:00Z"
    plain = load_sessions("XNSE", tmp_path / "calendars", parse_iso(moment), parse_iso(moment), None)
    assert not plain.is_open(parse_iso(moment))
    found = calendar(tmp_path, DIWALI, "XNSE", moment)
    assert found.is_open(parse_iso(moment))
    assert span(found, moment) == ("2023-11-12", "2023-11-12T12:45", "2023-11-12T13:45")
    friday, monday = "2023-11-10T05:00:00Z", "2023-11-13T05:00:00Z"
    assert [span(found, day) for day in (friday, monday)] == [span(plain, day) for day in (friday, monday)]
    assert found.number(parse_iso(monday)) == found.number(parse_iso(friday)) + 2


def test_a_name_that_the_file_does_not_hold_is_an_exchange_or_24x7(tmp_path: Path) -> None:
    assert calendar(tmp_path, DESK, "24x7", "2026-11-27T00:00:00Z").name == "24x7"
    assert read_plan(tmp_path / "none.yaml").calendars == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("calendars: {24x7: {zone: UTC, open: '09:00', close: '10:00'}}", "24x7"),
        ("calendars: {X: {zone: Nowhere/Here, open: '09:00', close: '10:00'}}", "Nowhere/Here"),
        ("calendars: {X: {zone: UTC}}", "either like, or open and close"),
        ("calendars: {X: {zone: UTC, like: XNYS, open: '09:00', close: '10:00'}}", "either like"),
        ("calendars: {X: {zone: UTC, like: 24x7}}", "expected an exchange"),
        ("calendars: {X: {zone: UTC, open: '10:00', close: '09:00'}}", "10:00 09:00"),
        ("calendars: {X: {zone: UTC, open: 9, close: '10:00'}}", "'9'"),
        ("calendars: {X: {zone: UTC, open: '09:00', close: '10:00', days: [noday]}}", "noday"),
        ("calendars: {X: {zone: UTC, open: '09:00', close: '10:00', holidays: [soon]}}", "soon"),
        ("calendars: {X: {zone: UTC, like: XNYS, special: [{day: 2026-01-01, open: '9', close: '10:00'}]}}", "'9'"),
        ("calendars: {X: {zone: UTC, opens: '09:00'}}", "opens"),
        ("auctions: {open_call_s: 60, open_cut_off_s: 60}", "open_cut_off_s < open_call_s"),
    ],
)
def test_a_wrong_file_is_refused_with_the_value(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "sessions.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"sessions\.yaml") as caught:
        read_plan(path)
    assert words in str(caught.value)


def test_sessions_that_overlap_are_refused(tmp_path: Path) -> None:
    text = DESK + '      - {day: 2026-12-25, open: "19:00", close: "20:00"}\n'
    with pytest.raises(DataError, match="2026-12-25"):
        calendar(tmp_path, text, "DESK", "2026-11-27T00:00:00Z")
