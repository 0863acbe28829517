"""A recording with a calendar trades in its sessions only: half days, pauses, summer time, and what a day order lives through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.errors import DataError, InputError
from tests.replay.tape import moment, quotes, replay, trade

NYSE = "tick=0.01,mic=XNYS,calendar=XNYS"
HKEX = "tick=0.01,ccy=HKD,mic=XHKG,calendar=XHKG"
NSE = "tick=0.01,ccy=INR,mic=XNSE,calendar=XNSE"
REST = "b 100 ABC @9.00"


def denials(result: dict[str, Any]) -> dict[str, str]:
    return {item["code"]: item["text"] for item in result["denied"]}


@pytest.mark.parametrize(
    ("terms", "at", "is_open"),
    [
        (NYSE, "2023-03-10T14:29:59Z", False),  # Friday before summer time: 09:30 is 14:30 UTC
        (NYSE, "2023-03-10T14:30:00Z", True),
        (NYSE, "2023-03-13T13:29:59Z", False),  # Monday after it: 13:30 UTC
        (NYSE, "2023-03-13T13:30:00Z", True),
        (NYSE, "2023-03-13T19:59:59Z", True),
        (NYSE, "2023-03-13T20:00:00Z", False),
        (NYSE, "2023-11-23T15:00:00Z", False),  # Thanksgiving
        (NYSE, "2023-11-24T17:59:59Z", True),  # closes at 13:00 New York
        (NYSE, "2023-11-24T18:00:00Z", False),
        (NSE, "2023-11-28T03:44:59Z", False),  # 09:15 Kolkata, five and a half hours ahead, no summer time
        (NSE, "2023-11-28T03:45:00Z", True),
        (NSE, "2023-11-28T09:59:59Z", True),
        (NSE, "2023-11-28T10:00:00Z", False),
        (HKEX, "2023-11-28T01:29:59Z", False),  # 09:30 Hong Kong
        (HKEX, "2023-11-28T03:59:59Z", True),
        (HKEX, "2023-11-28T04:00:00Z", False),  # lunch, 12:00 to 13:00
        (HKEX, "2023-11-28T04:59:59Z", False),
        (HKEX, "2023-11-28T05:00:00Z", True),
        (HKEX, "2023-11-28T08:00:00Z", False),
        ("tick=0.01,mic=XNYS", "2023-11-25T03:00:00Z", True),  # no calendar named: always open
    ],
)
def test_the_gate_goes_by_the_calendar(tmp_path: Path, calendars: Path, terms: str, at: str, is_open: bool) -> None:
    mic = terms.partition("mic=")[2][:4]
    around = quotes(moment(at) - 3 * NS_PER_S, moment(at) + 3 * NS_PER_S, mic=mic, every_s=1)
    result = replay(tmp_path, around, REST, at=at, terms=terms, calendars=calendars)
    found = denials(result)
    assert ("SESSION_CLOSED" not in found) is is_open, found
    if not is_open:
        assert "opens at 2023-" in found["SESSION_CLOSED"]


def test_a_day_order_expires_at_an_early_close_and_a_lasting_one_does_not(tmp_path: Path, calendars: Path) -> None:
    rows = quotes("2023-11-24T17:58:00Z", "2023-11-24T18:01:00Z", mic="XNYS")
    result = replay(tmp_path, rows, REST, "b 200 ABC @9.00 gtc", terms=NYSE, calendars=calendars)
    day, lasting = result["parents"]
    assert (day["state"], lasting["state"]) == ("expired", "new")
    late_ns = day["updated_ns"] - parse_iso("2023-11-24T18:00:00Z")
    assert 0 <= late_ns < NS_PER_S
    assert any("calendars XNYS" in item["text"] for item in result["realism"]["effects"])


def test_a_day_order_outlives_the_lunch_break(tmp_path: Path, calendars: Path) -> None:
    rows = quotes("2023-11-28T03:59:00Z", "2023-11-28T05:02:00Z", mic="XHKG", every_s=10)
    rows.append(trade("2023-11-28T05:01:00Z", "8.00", 5_000, mic="XHKG"))
    result = replay(tmp_path, rows, REST, terms=HKEX, calendars=calendars)
    (fill,) = result["fills"]
    assert fill["ts_ns"] == parse_iso("2023-11-28T05:01:00Z")
    assert fill["fill_key"].startswith("ABC:2023-11-28:")


def test_a_worked_day_order_ends_with_its_session(tmp_path: Path, calendars: Path) -> None:
    """Half of its time lies behind the close: nothing of it may go on in the next session."""
    rows = quotes("2023-11-24T17:50:00Z", "2023-11-24T18:15:00Z", mic="XNYS")
    result = replay(tmp_path, rows, "b 1000 ABC twap 20m", terms=NYSE, calendars=calendars)
    close_ns = parse_iso("2023-11-24T18:00:00Z")
    assert result["parent"]["state"] == "expired"
    assert result["parent"]["note"] == "its day ended with the session"
    assert 400 <= int(result["parent"]["qty_filled"]) <= 600
    assert close_ns <= result["end_ns"] < close_ns + NS_PER_S
    assert result["conservation"] == []


def test_without_a_time_an_order_waits_for_the_session(tmp_path: Path, calendars: Path) -> None:
    rows = quotes("2023-11-24T14:00:00Z", "2023-11-24T14:31:00Z", mic="XNYS", every_s=30)
    result = replay(tmp_path, rows, "b 100 ABC @take", terms=NYSE, calendars=calendars)
    assert result["start_ns"] == parse_iso("2023-11-24T14:30:00Z")
    assert result["parent"]["state"] == "filled"


def test_a_recording_outside_every_session_says_so(tmp_path: Path, calendars: Path) -> None:
    rows = quotes("2023-11-25T14:00:00Z", "2023-11-25T14:31:00Z", mic="XNYS", every_s=30)
    with pytest.raises(DataError, match="no two-sided quote in a session of XNYS"):
        replay(tmp_path, rows, REST, terms=NYSE, calendars=calendars)


def test_a_default_calendar_is_listed_and_a_named_one_is_not(tmp_path: Path, calendars: Path) -> None:
    rows = quotes("2023-11-24T15:00:00Z", "2023-11-24T15:01:00Z", mic="XNYS")
    told = replay(tmp_path, rows, REST, terms="tick=0.01,mic=XNYS")["realism"]["defaults"]
    assert "abc.csv: calendar not given, used 24x7 (no session ends)" in told
    named = replay(tmp_path, rows, REST, terms=NYSE, calendars=calendars)["realism"]["defaults"]
    assert not any("calendar" in words for words in named)


def test_a_calendar_nobody_knows_is_refused_before_anything_runs(tmp_path: Path, calendars: Path) -> None:
    rows = quotes("2023-11-24T15:00:00Z", "2023-11-24T15:01:00Z", mic="XNYS")
    with pytest.raises(InputError, match=r"XNOP.*expected 24x7 or an exchange"):
        replay(tmp_path, rows, REST, terms="mic=XNYS,calendar=XNOP", calendars=calendars)


def test_a_lasting_order_is_not_halted_at_the_bell(tmp_path: Path, calendars: Path) -> None:
    """The last quote is of before lunch when the session goes on, and the first new one comes seconds later. So it is with a night."""
    rows = quotes("2023-11-28T03:58:50Z", "2023-11-28T03:59:50Z", mic="XHKG")
    rows += quotes("2023-11-28T05:00:20Z", "2023-11-28T05:01:00Z", mic="XHKG", bid="8.98", ask="8.99")
    result = replay(tmp_path, rows, f"{REST} gtc", terms=HKEX, calendars=calendars)
    assert (result["parent"]["state"], result["position"]) == ("filled", "100"), result["why"]
    assert result["fills"][0]["ts_ns"] >= moment("2023-11-28T05:00:20Z")
