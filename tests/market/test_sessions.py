"""Calendars are asked by name, loaded beside the engine and extended in time; what is not known is neither open nor closed."""

from __future__ import annotations

import json
import queue
import random
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bolt_tui.calendars import sessions_beside
from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.errors import InputError
from engine.market.calendar import DAY_NS, SessionTable, load_calendar
from engine.market.sessions import RENEW_NS, RETRY_NS, Sessions

WAIT_S = 60
T = parse_iso("2023-11-24T15:00:00Z")
TABLE = SessionTable(name="X", days=("d1", "d2"), opens=(T, T + DAY_NS), closes=(T + 100, T + DAY_NS + 100))


def test_what_is_not_loaded_is_not_known() -> None:
    sessions = Sessions()
    assert sessions.is_open("XNYS", T) is None
    assert sessions.words("XNYS", T) == "calendar XNYS is not here"
    assert sessions.is_open("24x7", T) is True
    assert sessions.close_ns("24x7", T) is None
    assert sessions.words("24x7", T) == ""


def test_beyond_its_span_a_calendar_knows_nothing() -> None:
    sessions = Sessions({"X": TABLE})
    found = [sessions.is_open("X", at) for at in (T - 1, T, T + 99, T + 100, T + DAY_NS + 99, T + DAY_NS + 100)]
    assert found == [None, True, True, False, True, None]
    assert [sessions.close_ns("X", at) for at in (T - 1, T, T + 100, T + DAY_NS + 100)] == [
        None, T + 100, T + DAY_NS + 100, None,
    ]  # fmt: skip
    assert sessions.words("X", T + 100) == "calendar X opens at 2023-11-25T15:00Z"
    assert "X is known from 2023-11-24T15:00Z to 2023-11-25T15:00Z only" in sessions.words("X", T - 1)


def test_what_is_wanted_is_asked_for_once_and_renewed_before_it_ends() -> None:
    asked: list[tuple[str, int]] = []
    sessions = Sessions(load=lambda name, now_ns: asked.append((name, now_ns)))
    sessions.want(["24x7", "X"], T)
    sessions.want(["X"], T + 1)
    assert asked == [("X", T)]
    assert "is being loaded" in sessions.words("X", T)
    last_ns = T + 10 * RENEW_NS
    sessions.put("X", SessionTable(name="X", days=("d",), opens=(T,), closes=(last_ns,)))
    sessions.renew(last_ns - RENEW_NS - 1)
    assert len(asked) == 1
    sessions.renew(last_ns - RENEW_NS)
    assert asked[1:] == [("X", last_ns - RENEW_NS)]
    sessions.renew(last_ns - RENEW_NS + RETRY_NS - 1)
    assert len(asked) == 2, "one load is under way"


def test_a_load_that_fails_says_why_and_is_tried_again() -> None:
    asked: list[int] = []
    sessions = Sessions(load=lambda _name, now_ns: asked.append(now_ns))
    sessions.want(["X"], T)
    sessions.fail("X", "no such exchange")
    assert sessions.is_open("X", T) is None
    assert "X could not be loaded (no such exchange); it is tried again every 300 s" in sessions.words("X", T)
    sessions.renew(T + RETRY_NS)
    assert asked == [T, T + RETRY_NS]
    sessions.put("X", TABLE)
    sessions.fail("X", "the library is gone")
    assert sessions.is_open("X", T) is True, "what is known stays"
    assert sessions.words("X", T + 2 * DAY_NS).endswith("it could not be extended: the library is gone")


def test_loading_happens_beside_and_arrives_by_the_queue(tmp_path: Path) -> None:
    """The caller's thread is never waited for: nothing changes until it takes what came."""
    came: queue.Queue = queue.Queue()
    sessions = sessions_beside(tmp_path, tmp_path / "sessions.yaml", came.put)
    sessions.want(["XNYS", "XNOP"], T)
    arrived = [came.get(timeout=WAIT_S), came.get(timeout=WAIT_S)]
    assert sessions.is_open("XNYS", T) is None
    for act in arrived:
        act()
    assert sessions.is_open("XNYS", T) is True
    assert "XNOP could not be loaded (calendar XNOP from 2022-01-01" in sessions.words("XNOP", T)


def test_an_exchange_is_known_as_far_as_its_days_off_are(tmp_path: Path) -> None:
    """Asked for a year that its exchange has not announced, the library refuses everything; we take what there is."""
    far = parse_iso("2049-06-01T05:30:00Z")
    table = load_calendar("XHKG", tmp_path, far, far)
    assert table.covers(far)
    assert table.covers(parse_iso("2049-12-30T02:00:00Z"))
    assert not table.covers(parse_iso("2050-01-05T02:00:00Z"))


ORACLE = """
import json, sys
import exchange_calendars, pandas
name, moments = json.loads(sys.stdin.read())
found = exchange_calendars.get_calendar(name, start="2015-01-01", end="2025-12-31", side="left")
print(json.dumps([bool(found.is_open_at_time(pandas.Timestamp(at, tz="UTC"), side="left")) for at in moments]))
"""


KNOWN = pytest.mark.parametrize(
    ("name", "known_as"), [("XNYS", "XNYS"), ("XNSE", "XBOM"), ("XHKG", "XHKG"), ("CMES", "CMES")]
)


@KNOWN
def test_a_table_agrees_with_the_library_at_any_moment(tmp_path: Path, name: str, known_as: str) -> None:
    agrees(tmp_path, name, known_as, 120)


@pytest.mark.proof
@KNOWN
def test_a_table_agrees_with_the_library_at_thousands_of_moments(tmp_path: Path, name: str, known_as: str) -> None:
    agrees(tmp_path, name, known_as, 10_000)


def agrees(tmp_path: Path, name: str, known_as: str, count: int) -> None:
    """At ``count`` random moments, and as many at and beside an edge: days off, early closes, pauses, summer time."""
    first, last = parse_iso("2016-01-10T00:00:00Z"), parse_iso("2024-12-20T00:00:00Z")
    table = load_calendar(name, tmp_path, first, last)
    assert isinstance(table, SessionTable)
    dice = random.Random(name)
    edges = [*table.opens, *table.closes, *(edge for pause in table.breaks for edge in pause)]
    moments = [dice.randrange(first, last) for _ in range(count)]
    moments += [dice.choice(edges) + dice.choice((-NS_PER_S, -1, 0, 1, NS_PER_S)) for _ in range(count)]
    moments = [at for at in moments if first <= at < last]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ORACLE],
        input=json.dumps([known_as, moments]), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    wanted = json.loads(done.stdout)
    assert [at for at, is_open in zip(moments, wanted, strict=True) if table.is_open(at) is not is_open] == []


@pytest.mark.parametrize(
    ("name", "zone", "opens", "closes", "lunch", "early"),
    [
        ("XNYS", "America/New_York", "09:30", "16:00", None, {"2026-11-27": "13:00", "2026-12-24": "13:00"}),
        ("XNSE", "Asia/Kolkata", "09:15", "15:30", None, {}),
        ("XHKG", "Asia/Hong_Kong", "09:30", "16:00", ("12:00", "13:00"), {"2026-02-16": "12:00", "2026-12-24": "12:00", "2026-12-31": "12:00"}),
    ],
)  # fmt: skip
def test_every_edge_of_a_year_stands_at_its_local_hour(
    tmp_path: Path, name: str, zone: str, opens: str, closes: str, lunch: tuple[str, str] | None, early: dict[str, str]
) -> None:
    """From edge to edge through 2026: daylight saving, lunch and early closes; open on one side of each, closed on the other."""
    begins, ends = parse_iso("2026-01-01T00:00:00Z"), parse_iso("2026-12-31T23:00:00Z")
    table = load_calendar(name, tmp_path, begins, begins)
    assert isinstance(table, SessionTable)

    def local(ts_ns: int) -> tuple[str, str]:
        at = datetime.fromtimestamp(ts_ns // NS_PER_S, ZoneInfo(zone))
        return at.date().isoformat(), at.strftime("%H:%M")

    seen: dict[str, list[str]] = {}
    edge = table.next_change(begins)
    was_open = table.is_open(begins)
    while edge is not None and edge < ends:
        day, clock = local(edge)
        assert table.is_open(edge - 1) is was_open
        assert table.is_open(edge) is not was_open
        assert table.trading_day(edge if not was_open else edge - 1) == day
        was_open = not was_open
        seen.setdefault(day, []).append(clock)
        edge = table.next_change(edge)
    usual = [opens, *(lunch or ()), closes]
    short = {day: clocks for day, clocks in seen.items() if clocks != usual}
    assert short == {day: [opens, clock] for day, clock in early.items()}
    assert not [day for day in seen if datetime.fromisoformat(day).weekday() > 4]
    assert 240 <= len(seen) <= 253


def test_a_year_beyond_what_is_known_is_refused_with_what_is(tmp_path: Path) -> None:
    far = parse_iso("2090-06-01T05:30:00Z")
    with pytest.raises(InputError, match=r"XHKG is known from 1960-01-01 to 2049-12-31 only.*sessions\.yaml"):
        load_calendar("XHKG", tmp_path, far, far)
    with pytest.raises(InputError, match="asked for from 2261 to 2263; expected years from 1680 to 2260"):
        load_calendar("XNYS", tmp_path, parse_iso("2262-01-01T00:00:00Z"), parse_iso("2262-01-01T00:00:00Z"))
