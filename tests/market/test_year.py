"""A year of calendar edges: Kolkata, New York, Hong Kong and a market that never closes, 2024 with its leap day and both year's ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.domain.clock import NS_PER_S, parse_iso
from engine.market.calendar import AlwaysOpen, Calendar, load_calendar

ZONES = {"XNSE": "Asia/Kolkata", "XNYS": "America/New_York", "XHKG": "Asia/Hong_Kong"}
HOURS = {"XNSE": ("09:15", "15:30"), "XNYS": ("09:30", "16:00"), "XHKG": ("09:30", "16:00")}
HOLIDAYS = {
    "XNSE": "01-22 01-26 03-08 03-25 03-29 04-11 04-17 05-01 05-20 06-17 07-17 08-15 10-02 11-01 11-15 11-20 12-25",
    "XNYS": "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25",
    "XHKG": "01-01 02-12 02-13 03-29 04-01 04-04 05-01 05-15 06-10 07-01 09-06 09-18 10-01 10-11 12-25 12-26",
}
"""Days of 2024 from Monday to Friday without a session, as the exchanges announced them (6 September: a typhoon)."""
EARLY = {"XNSE": {}, "XNYS": dict.fromkeys(("07-03", "11-29", "12-24"), "13:00"), "XHKG": dict.fromkeys(("02-09", "12-24", "12-31"), "12:00")}  # fmt: skip


@pytest.fixture(scope="module")
def exchanges(calendars: Path) -> dict[str, Calendar]:
    at = parse_iso("2024-06-01T00:00:00Z")
    return {name: load_calendar(name, calendars, at, at) for name in ZONES}


def local(name: str, day: date, clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(ZONES[name]))
    return int(moment.timestamp()) * NS_PER_S


def edges(name: str, day: date) -> list[tuple[int, bool]]:
    """When a day opens and closes, by the exchange's rules and nobody's library."""
    key = f"{day:%m-%d}"
    if day.weekday() > 4 or key in HOLIDAYS[name].split():
        return []
    opens, closes = HOURS[name]
    closes = EARLY[name].get(key, closes)
    found = [(local(name, day, opens), True), (local(name, day, closes), False)]
    if name == "XHKG" and closes != "12:00":
        found[1:1] = [(local(name, day, "12:00"), False), (local(name, day, "13:00"), True)]
    return found


@pytest.mark.parametrize("name", list(ZONES))
def test_every_edge_of_the_year_is_where_the_exchange_has_it(exchanges: dict[str, Calendar], name: str) -> None:
    calendar = exchanges[name]
    days = [date(2024, 1, 1) + timedelta(days=number) for number in range(366)]
    assert f"{days[-1]}" == "2024-12-31"
    wanted = [edge for day in days for edge in edges(name, day)]
    at_ns = local(name, days[0], "00:00")
    for edge_ns, is_open in wanted:
        assert calendar.next_change(at_ns) == edge_ns, datetime.fromtimestamp(edge_ns // NS_PER_S, UTC)
        assert calendar.is_open(edge_ns) is is_open
        assert calendar.is_open(edge_ns - 1) is not is_open
        at_ns = edge_ns
    later = calendar.next_change(at_ns)
    assert later is not None
    assert later > local(name, date(2025, 1, 1), "00:00"), "nothing more in the old year"


@pytest.mark.parametrize("name", list(ZONES))
def test_every_session_has_its_own_day_and_number(exchanges: dict[str, Calendar], name: str) -> None:
    calendar = exchanges[name]
    numbers = []
    for number in range(366):
        day = date(2024, 1, 1) + timedelta(days=number)
        found = edges(name, day)
        if found:
            for at_ns in (found[0][0], found[-1][0] - 1):
                assert calendar.trading_day(at_ns) == f"{day}"
                assert calendar.session(at_ns) == (found[0][0], found[-1][0])
            numbers.append(calendar.number(found[0][0]))
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_summer_time_moves_new_york_and_nobody_else(exchanges: dict[str, Calendar]) -> None:
    opens = {
        name: {exchanges[name].session(parse_iso(f"2024-{day}T00:00:00Z"))[0] // NS_PER_S % 86_400 for day in days}
        for name, days in {"XNYS": ("03-08", "03-11", "11-01", "11-04"), "XNSE": ("03-07", "07-08"), "XHKG": ("03-08", "07-08")}.items()
    }  # fmt: skip
    assert opens == {"XNYS": {14 * 3600 + 1800, 13 * 3600 + 1800}, "XNSE": {3 * 3600 + 2700}, "XHKG": {3600 + 1800}}


def test_the_leap_day_trades_and_the_year_turns(exchanges: dict[str, Calendar]) -> None:
    for name, calendar in exchanges.items():
        assert calendar.is_open(local(name, date(2024, 2, 29), "10:00"))
        assert (
            calendar.trading_day(local(name, date(2023, 12, 31), "12:00")) == f"2024-01-0{1 if name == 'XNSE' else 2}"
        )
        assert calendar.trading_day(local(name, date(2024, 12, 31), "23:00")).startswith("2025-01-0")


def test_a_market_that_never_closes_has_a_day_for_each_date() -> None:
    calendar = AlwaysOpen()
    start = parse_iso("2024-01-01T00:00:00Z")
    for number in range(366):
        opens, closes = calendar.session(start + number * 86_400 * NS_PER_S + 1)
        day = date(2024, 1, 1) + timedelta(days=number)
        assert calendar.trading_day(opens) == calendar.trading_day(closes - 1) == f"{day}"
        assert calendar.is_open(closes - 1)
        assert calendar.number(closes) == calendar.number(opens) + 1
