"""History: bars that had ended, never one of what is still to come; averages and curves of the days before."""

from pathlib import Path

import pytest

from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.errors import DataError
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.money import Qty
from engine.market.bars import Bars
from engine.market.calendar import SessionTable
from engine.market.feed import TradeTick
from engine.market.history import History, Loaded, minutes_of
from engine.market.history_files import history_in, read_history
from engine.market.session_curve import binned, curve_lines, curve_of, read_days
from engine.market.sessions import Sessions

MINUTE = 60 * NS_PER_S
T0 = parse_iso("2024-03-04T14:30:00Z")
DATA = Path(__file__).resolve().parents[1] / "data"


def share(calendar: str = "24x7") -> Instrument:
    return make_instrument("AAA", "equity", "XNAS", "USD", "0.01", calendar=calendar)


def loaded(closes: list[int], made: Instrument | None = None, start: int = T0, length: int = MINUTE) -> Loaded:
    pieces = tuple(
        (start + at * length, start + (at + 1) * length, close, close + 1, close - 1, close, 10)
        for at, close in enumerate(closes)
    )
    return Loaded(instrument=made or share(), source="a file", pieces=pieces)


def closes(history: History, period: int, count: int, now_ns: int, live: Bars | None = None) -> list[str]:
    seen = () if live is None else live.of.get("AAA", ())
    return [str(bar.close) for bar in history.bars(share(), period, count, now_ns, seen)]


def test_only_bars_that_had_ended_come_out() -> None:
    history = History()
    history.add(loaded([100, 101, 102, 103]))
    assert closes(history, MINUTE, 9, T0) == []
    assert closes(history, MINUTE, 9, T0 + MINUTE - 1) == []
    assert closes(history, MINUTE, 9, T0 + MINUTE) == ["1"]
    assert closes(history, MINUTE, 2, T0 + 4 * MINUTE) == ["1.02", "1.03"]
    for now_ns in range(T0, T0 + 6 * MINUTE, MINUTE // 3):
        for period in (MINUTE, 2 * MINUTE, 5 * MINUTE):
            assert all(bar.end_ns <= now_ns for bar in history.bars(share(), period, 99, now_ns, ()))


def test_a_period_joins_minutes_and_waits_for_its_end() -> None:
    history = History()
    history.add(loaded([100, 105, 95, 101, 102]))
    assert history.bars(share(), 5 * MINUTE, 1, T0 + 5 * MINUTE - 1, ()) == ()
    (bar,) = history.bars(share(), 5 * MINUTE, 1, T0 + 5 * MINUTE, ())
    told = [str(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
    assert told == ["1", "1.06", "0.94", "1.02", "50"]
    assert (bar.start_ns, bar.end_ns) == (T0, T0 + 5 * MINUTE)


def test_a_long_bar_of_a_file_is_no_minute_and_is_not_known_before_it_ends() -> None:
    history = History()
    history.add(loaded([100], length=15 * MINUTE))
    assert closes(history, MINUTE, 9, T0 + 5 * MINUTE) == []
    assert closes(history, MINUTE, 9, T0 + 60 * MINUTE) == []
    assert closes(history, 15 * MINUTE, 9, T0 + 14 * MINUTE) == []
    assert closes(history, 15 * MINUTE, 9, T0 + 15 * MINUTE) == ["1"]


def test_what_is_seen_follows_the_files_and_goes_before_them() -> None:
    history, live = History(), Bars()
    history.add(loaded([100, 101, 102, 103, 104]))
    for at, price in ((2, 202), (3, 203), (5, 205)):
        live.on_trade(TradeTick("AAA", "XNAS", T0 + at * MINUTE + 1, 1, price, 5, "N"), at)
    assert closes(history, MINUTE, 9, T0 + 4 * MINUTE, live) == ["1", "1.01", "2.02", "2.03"]
    assert closes(history, MINUTE, 9, T0 + 6 * MINUTE, live)[-1] == "2.05"


def test_more_is_kept_of_what_a_strategy_asks_for() -> None:
    bars = Bars()
    bars.keep("AAA", 400)
    for at in range(500):
        bars.on_trade(TradeTick("AAA", "XNAS", T0 + at * MINUTE, 1, 100, 5, "N"), at)
        bars.on_trade(TradeTick("BBB", "XNAS", T0 + at * MINUTE, 1, 100, 5, "N"), at)
    assert (len(bars.of["AAA"]), len(bars.of["BBB"])) == (400, 240)
    bars.keep("BBB", 300)
    assert len(bars.of["BBB"]) == 240
    assert bars.of["BBB"].maxlen == 300


def test_the_average_takes_whole_days_before_today() -> None:
    history = History()
    assert history.adv("AAA", T0) is None
    day = 86_400 * NS_PER_S
    for number, volume in ((0, 100), (1, 300), (2, 5_000)):
        piece = (T0 + number * day, T0 + number * day + MINUTE, 100, 100, 100, 100, volume)
        history.add(Loaded(instrument=share(), source="f", pieces=(piece,)))
    assert history.adv("AAA", T0) is None
    assert history.adv("AAA", T0 + day) == (Qty(100), 1)
    assert history.adv("AAA", T0 + 2 * day + 1) == (Qty(200), 2)
    kept = history.adv("AAA", T0 + 2 * day + 1)
    assert kept is history.adv("AAA", T0 + 2 * day + 2), "the gate compares it by identity"


TABLE = SessionTable(
    name="X",
    days=("2024-03-08", "2024-03-11"),  # summer time begins between them
    opens=(parse_iso("2024-03-08T14:30:00Z"), parse_iso("2024-03-11T13:30:00Z")),
    closes=(parse_iso("2024-03-08T21:00:00Z"), parse_iso("2024-03-11T20:00:00Z")),
)


def test_a_curve_counts_from_the_open_also_over_summer_time(tmp_path: Path) -> None:
    friday, monday = TABLE.opens
    prints = [(friday, 60), (friday + 20 * MINUTE, 30), (friday + 40 * MINUTE, 10), (friday - 1, 999)]
    days = binned(prints, TABLE, 15)
    assert days == {"2024-03-08": {0: 60, 15: 30, 30: 10}}
    path = tmp_path / "c.csv"
    path.write_text("\n".join(curve_lines("AAA", days)) + "\n", encoding="utf-8")
    assert read_days(path, "AAA") == days
    curve = curve_of(days, TABLE, "c", monday)
    assert curve is not None
    assert curve.source == "c, mean of 1 days before"
    assert curve.weights(monday, monday + 45 * MINUTE, 3) == [600_000_000, 300_000_000, 100_000_000]
    assert curve.weights(monday + 5 * MINUTE, monday + 10 * MINUTE, 1) == [200_000_000]
    assert not any(curve.weights(monday + 60 * MINUTE, monday + 90 * MINUTE, 3))
    assert curve_of(days, TABLE, "c", friday) is None, "the day itself would be foresight"
    assert curve.adv(monday) == (100, 1)


def test_history_gives_weights_by_its_calendar() -> None:
    sessions = Sessions({"X": TABLE})
    history = History(sessions)
    friday, monday = TABLE.opens
    assert history.weights("AAA", monday, monday + 30 * MINUTE, 2) == ([1, 1], "flat: no volume curve")
    pieces = tuple((friday + at * MINUTE, friday + (at + 1) * MINUTE, 9, 9, 9, 9, 1 + (at < 15)) for at in range(30))
    history.add(Loaded(instrument=share("X"), source="f", pieces=pieces))
    weights, source = history.weights("AAA", monday, monday + 30 * MINUTE, 2)
    assert weights[0] == pytest.approx(2 * weights[1], rel=1e-6)
    assert source == "AAA: f, mean of 1 days before"


def test_files_of_bars_and_recordings_make_history(tmp_path: Path) -> None:
    found = read_history(DATA / "bars_small.csv", share())
    assert found is not None
    assert len(found.pieces) == 3
    assert read_history(DATA / "bars_small.csv", make_instrument("ZZZ", "equity", "XNAS", "USD", "0.01")) is None
    recorded = read_history(DATA / "own_small.csv", share())
    assert recorded is not None
    assert [piece[2:] for piece in recorded.pieces] == [(1000, 1001, 1000, 1001, 250)]
    folder = tmp_path / "history"
    folder.mkdir()
    assert history_in(folder, share()) is None
    (folder / "a.csv").write_bytes((DATA / "bars_small.csv").read_bytes())
    both = history_in(folder, share())
    assert both is not None
    assert both.pieces == found.pieces
    (folder / "b.csv").write_bytes((DATA / "own_small.csv").read_bytes())
    with pytest.raises(DataError, match="expected a file of bars"):
        history_in(folder, share())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("AAA,2024-03-04T14:30:00Z,1,2,3", "row 1: expected 7 fields, was 5"),
        ("AAA,2024-03-04,1,2,1,1,5", "row 1: ts: time '2024-03-04' has no zone"),
        ("AAA,2024-03-04T14:30:00Z,1,0.5,1,1,5", "row 1: expected low at most"),
        ("AAA,2024-03-04T14:30:00Z,x,2,1,1,5", "row 1:"),
        ("AAA,2024-03-04T14:30:00Z,1,2,1,1,-5", "row 1: expected a volume of at least 0"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path: Path, row: str, words: str) -> None:
    path = tmp_path / "b.csv"
    path.write_text(f"symbol,ts,open,high,low,close,volume\n{row}\n", encoding="utf-8")
    with pytest.raises(DataError) as found:
        read_history(path, share())
    assert words in str(found.value)


def test_prints_make_minutes() -> None:
    prints = [(T0, 100, 1), (T0 + 5, 104, 2), (T0 + MINUTE - 1, 99, 3), (T0 + 3 * MINUTE, 101, 4)]
    assert list(minutes_of(prints)) == [
        (T0, T0 + MINUTE, 100, 104, 99, 99, 6),
        (T0 + 3 * MINUTE, T0 + 4 * MINUTE, 101, 101, 101, 101, 4),
    ]
