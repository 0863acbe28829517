"""Recorded files: what is read, and that nothing wrong passes."""

import gzip
import hashlib
from pathlib import Path

import pytest

from engine.domain.errors import DataError, InstrumentError
from engine.market.replay import merge, open_recorded
from engine.market.rows import ADD, BUY, CLEAR, EXEC, HALT, HIDDEN, LEVEL, NEITHER, QUOTE, RESUME, SELL, TRADE
from engine.market.sidecar import parse_instrument, sidecar_path

DATA = Path(__file__).resolve().parents[1] / "data"
LOBSTER = DATA / "lobster_small.csv"
OWN = DATA / "own_small.csv"
HEAD = "ts_ns,action,side,order_id,price,qty\n"
OWN_HEAD = "ts_ns,kind,venue,side,price,qty\n"
T = 1340285400000000000


def written(folder: Path, text: str) -> Path:
    path = folder / "abc_1.csv"
    path.write_text(text)
    return path


def test_an_order_by_order_file_becomes_integer_rows() -> None:
    file = open_recorded(LOBSTER, parse_instrument("ABC"))
    rows = [row for _, row in file.feed()]
    assert {key for key, _ in file.feed()} == {"ABC@XNAS"}
    assert rows[0] == (T + 1, ADD, BUY, 11, 100000, 100, 1)
    assert rows[5] == (T + 6, HIDDEN, SELL, 0, 100150, 40, 6), "a mid-point print lies between ticks"
    assert [row[1] for row in rows[7:11]] == [EXEC, EXEC, HALT, RESUME]
    assert (file.rows, file.first_ns, file.last_ns) == (12, T + 1, T + 11)
    assert file.sha256 == hashlib.sha256(LOBSTER.read_bytes()).hexdigest()
    assert file.depth == "L3"


def test_our_own_layout_holds_quotes_trades_and_levels_of_several_venues() -> None:
    file = open_recorded(OWN, parse_instrument("ABC:tick=0.01"))
    items = list(file.feed())
    assert file.venues == ("XNAS", "BATS")
    assert items[0] == ("ABC@XNAS", (1704205800000000000, CLEAR, NEITHER, 0, 0, 0, 1))
    assert items[1][1][1:6] == (LEVEL, BUY, 0, 100000, 500)
    assert items[4] == ("ABC@BATS", (1704205800000000000, QUOTE, BUY, 0, 100000, 100, 5))
    assert items[6][1][1:6] == (TRADE, SELL, 0, 100000, 200)
    assert items[10][1][1:6] == (QUOTE, SELL, 0, 0, 0)
    assert items[11][1][1:6] == (TRADE, NEITHER, 0, 100050, 50)


def test_gzip_and_plain_read_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "lobster_small.csv.gz"
    packed.write_bytes(gzip.compress(LOBSTER.read_bytes()))
    assert list(open_recorded(packed).feed()) == list(open_recorded(LOBSTER).feed())


def test_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "lobster_small.csv"
    path.write_bytes(LOBSTER.read_bytes().replace(b"\n", b"\r\n"))
    assert list(open_recorded(path).feed()) == list(open_recorded(LOBSTER).feed())


def test_a_long_file_is_read_again_instead_of_kept() -> None:
    kept = list(open_recorded(LOBSTER).feed())
    file = open_recorded(LOBSTER, kept_rows=3)
    assert file.kept is None
    assert list(file.feed()) == kept


def test_several_files_merge_in_time_order() -> None:
    files = [open_recorded(OWN, parse_instrument("OWN")), open_recorded(LOBSTER)]
    times = [row[0] for _, row in merge(files)]
    assert times == sorted(times)
    assert len(times) == 24


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (f"{T},FROB,B,1,10.00,100", "unknown action 'FROB'"),
        (f"{T},ADD,X,1,10.00,100", "unknown side 'X'"),
        (f"{T},ADD,B,1,10.005,100", "off the tick"),
        (f"{T},ADD,B,1,10.0000001,100", "decimals"),
        (f"{T},ADD,B,1,ten,100", "expected a number, was 'ten'"),
        (f"{T},ADD,B,1,nan,100", "expected a number"),
        (f"{T},ADD,B,1,1e1,100", "expected a number"),
        (f"{T},ADD,B,1,-10.00,100", "above zero"),
        (f"{T},ADD,B,1,10.00,1.5", "decimals"),
        (f"{T},ADD,B,1,10.00,0", "above zero"),
        (f"{T},ADD,B,0,10.00,5", "above zero"),
        (f"{T},ADD,B,1,10.00,-5", "at least 0"),
        (f"{T},ADD,B,1,10.00", "expected 6 fields, was 5"),
        (f"{T},ADD,B,1,10.00,5,6", "expected 6 fields, was 7"),
        ("", "expected 6 fields"),
        (f"{T},ADD,B,x,10.00,5", "whole numbers"),
        (f"{T},ADD,B,1_0,10.00,5", "letters, digits"),
        (f" {T},ADD,B,1,10.00,5", "letters, digits"),
        ("1340285400,ADD,B,1,10.00,5", "nanoseconds since 1970"),
        ("99999999999999999999,ADD,B,1,10.00,5", "nanoseconds since 1970"),
        (f"{T},HALT,N,0,7,0", "unknown halt price"),
        (f"{T},ADD,B,1,99999999999999999.00,5", "10**18"),
    ],
)
def test_a_wrong_row_is_named_with_what_was_expected(tmp_path: Path, row: str, expected: str) -> None:
    path = written(tmp_path, f"{HEAD}{T},ADD,B,9,10.00,100\n{row}\n")
    with pytest.raises(DataError) as caught:
        open_recorded(path)
    assert expected in str(caught.value)
    assert f"{path}: row 2:" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (f"{T},frob,XNAS,B,10.00,1", "unknown kind 'frob'"),
        (f"{T},level,XNAS,N,10.00,1", "unknown side 'N'"),
        (f"{T},level,NASDAQ,B,10.00,1", "4 capitals"),
        (f"{T},quote,XNAS,B,10.00,0", "above zero"),
        (f"{T},quote,XNAS,B,,5", "no quantity where there is no price"),
        (f"{T},trade,XNAS,B,10.00,0", "above zero"),
        (f"{T},halt,XNAS,B,,", "expected side N"),
        (f"{T},level,XNAS,B,10.001,1", "off the tick"),
        (f"{T},level,XNAS,B", "6 fields"),
        (f"{T - 1},level,XNAS,B,10.00,1", "not sorted"),
        ("soon,level,XNAS,B,10.00,1", "whole number in ts_ns"),
    ],
)
def test_a_wrong_row_of_our_layout_is_named(tmp_path: Path, row: str, expected: str) -> None:
    path = written(tmp_path, f"{OWN_HEAD}{T},level,XNAS,B,9.00,5\n{row}\n")
    with pytest.raises(DataError) as caught:
        open_recorded(path)
    assert expected in str(caught.value)
    assert "row 2:" in str(caught.value)


def test_an_unsorted_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEAD}{T + 5},ADD,B,1,10.00,5\n{T + 4},ADD,B,2,10.00,5\n")
    with pytest.raises(DataError, match="row 2: the file is not sorted"):
        open_recorded(path)


def test_what_stands_in_a_symbols_place_and_is_none_is_named_with_its_row(tmp_path: Path) -> None:
    head = "symbol,ts,open,high,low,close,volume\n"
    bar = "2019-02-11T14:30:00Z,1,2,1,1,5"
    path = written(tmp_path, f"{head}AAA,{bar}\n-5,{bar}\n")
    with pytest.raises(DataError, match=r"row 2: expected a symbol .* was '-5'"):
        open_recorded(path)


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.99])
def test_a_cut_gzip_file_is_refused(tmp_path: Path, keep: float) -> None:
    data = gzip.compress(LOBSTER.read_bytes() * 1)
    path = tmp_path / "abc_1.csv.gz"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DataError, match=r"cut|header"):
        open_recorded(path)


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(LOBSTER.read_bytes()))
    data[-6] ^= 0xFF
    path = tmp_path / "abc_1.csv.gz"
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        open_recorded(path)


def test_a_plain_file_without_its_last_newline_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, LOBSTER.read_text()[:-1])
    with pytest.raises(DataError, match="does not end with a newline"):
        open_recorded(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the header is ''"),
        ("a,b\n1,2\n", "the header is 'a,b'; expected one of the"),
        (HEAD, "no row after the header"),
        (f"{HEAD}{T},ADD,B,1,10.00,é5\n", "not ASCII"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "abc_1.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        open_recorded(path)
    assert expected in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        open_recorded(tmp_path / "none.csv")


def test_every_default_is_listed() -> None:
    file = open_recorded(LOBSTER)
    assert file.instrument.symbol == "LOBSTER"
    words = " ".join(file.defaults)
    assert len(file.defaults) == 8
    for field in ("symbol", "tick", "lot", "mult", "ccy", "mic", "kind", "calendar"):
        assert f"{field} not given" in words


def test_what_is_given_is_no_default() -> None:
    words = parse_instrument("ABC:tick=0.01,lot=1,mult=1,ccy=USD,mic=XNAS,kind=etf,calendar=XNYS")
    file = open_recorded(LOBSTER, words)
    assert file.defaults == ()
    assert (file.instrument.symbol, file.instrument.kind, file.instrument.calendar) == ("ABC", "etf", "XNYS")


def test_a_sidecar_gives_terms_and_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes(LOBSTER.read_bytes())
    sidecar_path(path).write_text("instrument: {symbol: XYZ, tick: 0.01, lot: 10}\ncurve: curve.csv\n")
    file = open_recorded(path, parse_instrument("XYZ:lot=1"))
    assert (file.instrument.symbol, str(file.instrument.lot)) == ("XYZ", "1")
    assert file.curve == str(tmp_path / "curve.csv")
    assert len(file.defaults) == 5


@pytest.mark.parametrize(
    "text",
    [
        "instrument: {tik: 0.01}\n",
        "curves: x\n",
        "instrument: [1]\n",
        "instrument: {tick: [1]}\n",
        "a: b: c\n",
        "- 1\n",
    ],
)
def test_a_wrong_sidecar_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes(LOBSTER.read_bytes())
    sidecar_path(path).write_text(text)
    with pytest.raises(DataError, match=r"day\.csv\.yaml"):
        open_recorded(path)


@pytest.mark.parametrize(
    "words", ["ABC:tik=1", "ABC:tick", "ABC:tick=", ":tick=1", "ABC:tick=1,tick=2", "ABC:tick=x", "abc:tick=0.01"]
)
def test_wrong_instrument_words_are_refused(words: str) -> None:
    with pytest.raises(InstrumentError):
        open_recorded(LOBSTER, parse_instrument(words))


def test_a_price_that_needs_another_tick_says_how_to_give_it(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEAD}{T},ADD,B,1,10.0025,5\n")
    with pytest.raises(DataError, match="--instrument SYM:tick="):
        open_recorded(path)
    assert open_recorded(path, parse_instrument("ABC:tick=0.0025")).rows == 1


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("ADD,B,1,10.00,5", "already in the book"),
        ("EXEC,B,1,10.00,101", "of which 100 are left"),
        ("REDUCE,B,1,10.01,5", "another side or price"),
        ("DELETE,S,1,10.00,100", "another side or price"),
    ],
)
def test_a_row_that_contradicts_the_rows_before_it_is_refused(tmp_path: Path, row: str, expected: str) -> None:
    path = written(tmp_path, f"{HEAD}{T},ADD,B,1,10.00,100\n{T},{row}\n")
    with pytest.raises(DataError) as caught:
        open_recorded(path)
    assert f"{path}: row 2" in str(caught.value)
    assert expected in str(caught.value)
