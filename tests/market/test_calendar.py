"""Session calendars: integers only, compiled beside our process."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.domain.clock import iso, parse_iso
from engine.domain.errors import InputError
from engine.market.calendar import AlwaysOpen, Calendar, SessionTable, load_calendar


@pytest.fixture(scope="module")
def nyse(calendars: Path) -> Calendar:
    at = parse_iso("2023-03-01T00:00:00Z")
    return load_calendar("XNYS", calendars, at, at)


def span(calendar: Calendar, moment: str) -> tuple[str, ...]:
    return tuple(iso(edge)[:19] for edge in calendar.session(parse_iso(moment)))


def test_daylight_saving_moves_the_session(nyse: Calendar) -> None:
    assert span(nyse, "2023-03-10T15:00:00Z") == ("2023-03-10T14:30:00", "2023-03-10T21:00:00")
    assert span(nyse, "2023-03-13T15:00:00Z") == ("2023-03-13T13:30:00", "2023-03-13T20:00:00")


def test_an_early_close_is_known(nyse: Calendar) -> None:
    assert span(nyse, "2023-11-24T15:00:00Z")[1] == "2023-11-24T18:00:00"
    assert nyse.is_open(parse_iso("2023-11-24T17:59:59Z"))
    assert not nyse.is_open(parse_iso("2023-11-24T18:00:00Z"))


def test_a_holiday_belongs_to_the_next_session(nyse: Calendar) -> None:
    holiday = parse_iso("2023-11-23T15:00:00Z")
    assert not nyse.is_open(holiday)
    assert nyse.trading_day(holiday) == "2023-11-24"
    change = nyse.next_change(holiday)
    assert change is not None
    assert iso(change)[:19] == "2023-11-24T14:30:00"
    assert nyse.next_change(change) == nyse.session(change)[1]


def test_outside_the_table_it_is_closed(nyse: Calendar) -> None:
    late = parse_iso("2031-01-02T15:00:00Z")
    assert not nyse.is_open(late)
    assert nyse.next_change(late) is None


def test_a_pause_is_closed_but_ends_no_session() -> None:
    table = SessionTable(name="X", days=("d1", "d2"), opens=(100, 500), closes=(200, 600), breaks=((140, 160),))
    assert [table.is_open(t) for t in (99, 100, 139, 140, 159, 160, 199, 200)] == [
        False, True, True, False, False, True, True, False,
    ]  # fmt: skip
    assert [table.next_change(t) for t in (50, 100, 140, 160, 200, 500, 600)] == [100, 140, 160, 200, 500, 600, None]
    assert table.session(150) == (100, 200)


def test_a_compiled_table_is_read_from_the_cache(tmp_path: Path) -> None:
    at = parse_iso("2023-03-01T00:00:00Z")
    load_calendar("XNYS", tmp_path, at, at)
    (stored,) = tmp_path.iterdir()
    stored.write_text('{"name":"XNYS","days":["x"],"opens":[1],"closes":[2]}')
    assert load_calendar("XNYS", tmp_path, at, at).session(0) == (1, 2), "it was not compiled again"


def test_a_damaged_cache_is_compiled_anew(tmp_path: Path) -> None:
    at = parse_iso("2023-03-01T00:00:00Z")
    made = load_calendar("XNYS", tmp_path, at, at)
    (stored,) = tmp_path.iterdir()
    stored.write_text("{")
    assert load_calendar("XNYS", tmp_path, at, at) == made


@pytest.mark.parametrize("name", ["XXXX", "../etc", "", "X Y"])
def test_an_unknown_calendar_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="24x7"):
        load_calendar(name, tmp_path, 10**18, 10**18)


def test_a_venue_that_never_closes_ends_its_day_at_midnight_utc(tmp_path: Path) -> None:
    calendar = load_calendar("24x7", tmp_path, 0, 0)
    assert isinstance(calendar, AlwaysOpen)
    assert span(calendar, "2024-02-29T23:59:59Z") == ("2024-02-29T00:00:00", "2024-03-01T00:00:00")
    assert calendar.is_open(0)
    assert calendar.next_change(0) is None


def test_pandas_stays_out_of_our_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.market.calendar import load_calendar;"
        f"load_calendar('XNYS', Path({str(tmp_path)!r}), 10**18, 10**18); print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"
