"""Volume curves: shares of a day as integer weights."""

import os
from pathlib import Path

import pytest

from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.errors import DataError
from engine.market.volume import FLAT, read_curve, window_weights
from tests.shared_data import shared_file

DAYS = "symbol,date,bin,volume\nABC,2024-01-02,0,300\nABC,2024-01-02,1,100\nABC,2024-01-03,0,50\nABC,2024-01-03,1,50\nXYZ,2024-01-02,0,9\n"
OPEN = parse_iso("2024-01-04T14:30:00Z")
MINUTE = 60 * NS_PER_S


def written(folder: Path, text: str) -> Path:
    path = folder / "curve.csv"
    path.write_text(text)
    return path


def test_the_curve_is_the_mean_of_each_days_shares(tmp_path: Path) -> None:
    curve = read_curve(written(tmp_path, DAYS), "ABC")
    assert curve.shares == (625_000_000, 375_000_000)
    assert curve.source == "curve.csv: ABC, mean of 2 days"


def test_weights_follow_the_window(tmp_path: Path) -> None:
    curve = read_curve(written(tmp_path, DAYS), "ABC")
    assert curve.weights(OPEN, OPEN + 30 * MINUTE, 2) == [625_000_000, 375_000_000]
    assert curve.weights(OPEN + 10 * MINUTE, OPEN + 20 * MINUTE, 2) == [208_333_334, 125_000_000]
    assert curve.weights(OPEN - 10 * MINUTE, OPEN, 1) == [0]


def test_the_window_follows_daylight_saving(tmp_path: Path) -> None:
    curve = read_curve(written(tmp_path, DAYS), "ABC")
    summer = parse_iso("2024-07-04T13:30:00Z")
    assert curve.weights(summer, summer + 30 * MINUTE, 2) == [625_000_000, 375_000_000]


def test_bins_may_be_given_by_the_clock(tmp_path: Path) -> None:
    curve = read_curve(written(tmp_path, "start,volume\n09:30,3\n10:00,1\n"))
    assert curve.weights(OPEN, OPEN + 60 * MINUTE, 2) == [750_000_000, 250_000_000]
    assert curve.weights(OPEN + 60 * MINUTE, OPEN + 90 * MINUTE, 1) == [0]


def test_the_average_volume_is_of_the_days_before(tmp_path: Path) -> None:
    """A replay of March must not know of April; days without a date or without volume are no days."""
    rows = [f"ABC,2024-03-{day:02d},0,{day * 100}" for day in range(1, 31)]
    rows += ["ABC,20240331,0,7", "ABC,2024-04-01,0,0", "ABC,day,0,5", "XYZ,2024-03-01,0,999"]
    curve = read_curve(written(tmp_path, "\n".join(["symbol,date,bin,volume", *rows, ""])), "ABC")
    assert curve.adv(parse_iso("2024-03-01T15:00:00Z")) is None
    assert curve.adv(parse_iso("2024-03-04T15:00:00Z")) == (200, 3)
    assert curve.adv(parse_iso("2024-03-04T02:00:00Z")) == (150, 2), "still the 3rd in New York"
    assert curve.adv(parse_iso("2024-03-31T15:00:00Z")) == (2_050, 20)
    assert curve.adv(parse_iso("2024-04-09T15:00:00Z")) == ((sum(range(1_200, 3_100, 100)) + 7) // 20, 20)


def test_no_curve_is_flat_and_says_so(tmp_path: Path) -> None:
    assert window_weights(None, 0, 100, 3) == ([1, 1, 1], FLAT)
    curve = read_curve(written(tmp_path, DAYS), "ABC")
    weights, source = window_weights(curve, OPEN - 10 * MINUTE, OPEN, 2)
    assert weights == [1, 1]
    assert source.startswith("flat: curve.csv")


@pytest.mark.parametrize(
    ("text", "symbol", "expected"),
    [
        ("a,b\n1,2\n", "", "the header is 'a,b'"),
        ("start,volume\n", "", "at least one row"),
        ("start,volume\n9:30,1\n", "", "row 1: expected HH:MM"),
        ("start,volume\n09:30,1.5\n", "", "row 1"),
        ("start,volume\n09:30,1\n09:30,1\n", "", "row 2: expected a start after"),
        ("start,volume\n09:30,0\n", "", "volume in one of them"),
        (DAYS, "QQQ", "no row of QQQ; it holds ABC, XYZ"),
        ("symbol,date,bin,volume\nABC,d,0,x\n", "ABC", "row 1"),
        ("symbol,date,bin,volume\nABC,d,0,1\nABC,d,0,1\n", "ABC", "row 2: bin 0"),
        ("symbol,date,bin,volume\nABC,d,0,0\n", "ABC", "no volume on any day"),
    ],
)
def test_a_wrong_curve_is_refused(tmp_path: Path, text: str, symbol: str, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        read_curve(written(tmp_path, text), symbol)
    assert expected in str(caught.value)


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Mars/Base"):
        read_curve(written(tmp_path, DAYS), "ABC", zone="Mars/Base")


def test_a_recorded_half_year_has_the_shape_of_a_day() -> None:
    curve = read_curve(shared_file("bars/us_volume_15min_2019h1.csv.gz"), "AAPL")
    assert len(curve.shares) == 26
    weights = curve.weights(OPEN, OPEN + 390 * MINUTE, 13)
    assert weights[0] > weights[6] < weights[12], "more at the open and the close than at noon"
    assert abs(sum(weights) - 1_000_000_000) < 100


def test_no_pipe_is_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "curve.csv"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="no ordinary file"):
        read_curve(pipe, "ABC")
