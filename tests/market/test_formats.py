"""Every layout that is read: what its rows become, and that a wrong one is refused with its row."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from engine.domain.errors import DataError, InstrumentError
from engine.market.book import LevelBook, OrderBook
from engine.market.formats.known import LAYOUTS
from engine.market.replay import RecordedFile, check_together, open_all, open_recorded, open_recordings
from engine.market.rows import (
    ADD,
    BAR,
    BUY,
    CLEAR,
    DELETE,
    END,
    EXEC,
    FILL,
    HIDDEN,
    LEVEL,
    MODIFY,
    NEITHER,
    QUOTE,
    REDUCE,
    SELL,
    TRADE,
    Row,
)
from engine.market.sidecar import parse_instrument

DATA = Path(__file__).resolve().parents[1] / "data"
SMALL = {
    "cme_small.csv": "cme",
    "bitstamp_orders_small.csv": "bitstamp orders",
    "bitstamp_book_small.csv": "book snapshots",
    "bitstamp_trades_small.csv": "bitstamp trades",
    "binance_depth_small.csv": "binance depth",
    "binance_trades_small.csv": "binance trades",
    "binance_bbo_small.csv": "binance bbo",
    "taq_quotes_small.csv": "taq quotes",
    "taq_trades_small.csv": "taq trades",
    "taq_pairs_small.csv": "taq quote pairs",
    "taq_letters_small.csv": "taq trades with letters",
    "ib_small.csv": "ib ticks",
    "quote_bars_small.csv": "quote bars",
}


def rows_of(file: RecordedFile) -> list[Row]:
    return [row for _, row in file.feed()]


def said(file: RecordedFile, row: Row) -> tuple[int, int, str, str]:
    """Action, side, price and quantity as people write them."""
    made = file.instrument
    return row[1], row[2], str(made.price_of(row[4])), str(made.qty_of(row[5]))


def told(name: str, terms: str = "ABC") -> list[tuple[int, int, str, str]]:
    file = open_recorded(DATA / name, parse_instrument(terms))
    return [said(file, row) for row in rows_of(file)]


@pytest.mark.parametrize(("name", "layout"), SMALL.items())
def test_the_layout_is_found_by_content_whatever_the_name(tmp_path: Path, name: str, layout: str) -> None:
    path = tmp_path / "anything.bin"
    path.write_bytes(gzip.compress((DATA / name).read_bytes()))
    found = open_recorded(path, parse_instrument("ABC"))
    assert found.layout == layout
    assert rows_of(found) == rows_of(open_recorded(DATA / name, parse_instrument("ABC")))


def test_every_layout_has_a_small_file_here() -> None:
    heads = {path.read_text().partition("\n")[0] for path in DATA.glob("*_small.csv")}
    assert {one.name for header, one in LAYOUTS.items() if header not in heads} == {"bars with volume in money"}


def test_a_matched_cme_order_is_taken_off_once_and_an_iceberg_comes_back_behind() -> None:
    file = open_recorded(DATA / "cme_small.csv")
    assert (file.instrument.symbol, file.instrument.mic, str(file.instrument.ticks[0].tick)) == (
        "SMALL",
        "XCME",
        "0.25",
    )
    assert file.by_event
    got = [said(file, row) for row in rows_of(file)]
    assert got[:5] == [
        (ADD, BUY, "4800", "5"),
        (ADD, BUY, "4800", "3"),
        (ADD, SELL, "4800.5", "4"),
        (END, NEITHER, "0", "0"),
        (ADD, SELL, "4800.25", "2"),
    ]
    assert rows_of(file)[0][0] == 1703545200000000100, "the start book counts as of the first event"
    assert got[6:9] == [(TRADE, BUY, "4800.25", "2"), (FILL, SELL, "4800.25", "2"), (END, NEITHER, "0", "0")]
    assert got[9:13] == [
        (TRADE, SELL, "4800", "6"),
        (FILL, BUY, "4800", "5"),
        (FILL, BUY, "4800", "1"),
        (END, NEITHER, "0", "0"),
    ], "the CANCEL and the MODIFY behind a fill were done by it"
    assert got[13] == (MODIFY, SELL, "4800.25", "6")
    assert got[15:19] == [
        (TRADE, BUY, "4800.25", "8"),
        (FILL, SELL, "4800.25", "6"),
        (FILL, SELL, "4800.25", "2"),
        (ADD, SELL, "4800.25", "4"),
    ]
    assert [row[3] for row in rows_of(file)[16:19]] == [3, 0, 3], "what an iceberg did not show names no order"
    assert [one[0] for one in got[-5:]] == [END, REDUCE, END, DELETE, END]


def test_a_bitstamp_taker_is_not_shown_until_it_rests_and_what_it_met_is_executed() -> None:
    file = open_recorded(DATA / "bitstamp_orders_small.csv")
    got = [(row[3], *said(file, row)) for row in rows_of(file)]
    assert got[3:5] == [(2, EXEC, SELL, "236.5", "1"), (4, ADD, BUY, "236.55", "0.5")]
    assert got[5:7] == [(3, EXEC, SELL, "236.6", "1"), (1, DELETE, BUY, "236", "2")]
    assert got[7:] == [(6, ADD, SELL, "237", "1"), (3, DELETE, SELL, "236.6", "3"), (5, ADD, BUY, "236.6", "1")], (
        "an order in the way of a taker for five seconds is taken for gone"
    )
    assert any("rested before the capture" in words for words in file.findings)
    book = OrderBook()
    for row in rows_of(file):
        book.apply(row)
        assert not (book.bids.prices and book.asks.prices) or book.bids.best() < book.asks.best()


def test_snapshots_of_levels_replace_one_another() -> None:
    assert told("bitstamp_book_small.csv")[:5] == [
        (CLEAR, NEITHER, "0", "0"),
        (LEVEL, BUY, "236", "2.5"),
        (LEVEL, SELL, "236.5", "1"),
        (LEVEL, BUY, "235.9", "1"),
        (LEVEL, SELL, "236.6", "4"),
    ]
    assert told("bitstamp_trades_small.csv") == [(TRADE, NEITHER, "236.5", "1"), (TRADE, NEITHER, "236", "0.25")]


def final_book(file: RecordedFile) -> LevelBook:
    book = LevelBook()
    for row in rows_of(file):
        if row[1] == CLEAR:
            book.clear()
        else:
            book.level(row[2], row[4], row[5])
    return book


def test_depth_counts_from_the_snapshot_on_with_the_newer_updates_that_came_before_it() -> None:
    depth, best = open_all([DATA / "binance_depth_small.csv", DATA / "binance_bbo_small.csv"])
    got = [said(depth, row) for row in rows_of(depth)]
    assert got[0] == (CLEAR, NEITHER, "0", "0")
    assert (LEVEL, BUY, "61837.6", "9") not in got, "it is older than the snapshot"
    assert got[4:6] == [(LEVEL, BUY, "61837.63", "1.5"), (LEVEL, SELL, "61837.64", "0")]
    book = final_book(depth)
    assert [book.bids.best(), book.asks.best()] == [row[4] for row in rows_of(best)[-2:]]
    assert depth.instrument.lot == best.instrument.lot, "the files of one symbol have one lot"


def test_a_gap_in_dense_update_ids_voids_the_book_until_the_next_snapshot(tmp_path: Path) -> None:
    head = (DATA / "binance_depth_small.csv").read_text().partition("\n")[0]
    start = 1723161254000000000
    lines = [head, f"{start},0,1,100,100,B,10.00,1", f"{start},0,1,100,100,S,10.01,1"]
    lines += [f"{start + at},0,0,{100 + at},{100 + at},B,9.9{at % 10},1" for at in range(1, 30)]
    lines += [f"{start + 40},0,0,140,140,B,9.50,1", f"{start + 50},0,1,150,150,B,10.00,2"]
    path = tmp_path / "x.csv"
    path.write_text("\n".join([*lines, ""]))
    file = open_recorded(path)
    assert [row[1] for row in rows_of(file)].count(CLEAR) == 3
    assert not [row for row in rows_of(file) if file.instrument.price_of(row[4]) == 9.5], "the book is void there"
    assert any("1 gaps in the update ids" in words for words in file.findings)


def test_depth_without_a_snapshot_begins_empty_and_says_so(tmp_path: Path) -> None:
    lines = (DATA / "binance_depth_small.csv").read_text().splitlines()
    path = tmp_path / "x.csv"
    path.write_text("\n".join([lines[0], *(line for line in lines[1:] if ",0,1," not in line), ""]))
    file = open_recorded(path)
    assert file.rows == 6
    assert any(words.startswith("no snapshots of the book") for words in file.findings)


def test_binance_trades_count_what_is_missing_by_the_ids() -> None:
    assert told("binance_trades_small.csv")[0] == (TRADE, BUY, "61837.65", "0.00005")
    file = open_recorded(DATA / "binance_trades_small.csv")
    assert "1 trades missing by their ids" in file.findings


def test_prints_off_the_exchanges_fill_nobody_and_suspicious_ones_are_left_out() -> None:
    assert told("taq_trades_small.csv") == [
        (TRADE, NEITHER, "181.6", "200"),
        (HIDDEN, NEITHER, "181.625", "300"),
        (HIDDEN, NEITHER, "181.6", "400"),
        (TRADE, NEITHER, "181.62", "100"),
    ]
    assert told("taq_letters_small.csv") == [
        (HIDDEN, NEITHER, "157.8", "2"),
        (TRADE, NEITHER, "157.9", "100"),
        (TRADE, NEITHER, "158", "70"),
    ]
    assert "1 prints marked suspicious, left out" in open_recorded(DATA / "taq_trades_small.csv").findings


def test_the_last_row_of_a_side_is_the_national_best() -> None:
    assert told("taq_quotes_small.csv") == [
        (QUOTE, BUY, "181.6", "100"),
        (QUOTE, SELL, "181.65", "500"),
        (QUOTE, BUY, "181.62", "300"),
    ]
    assert told("taq_pairs_small.csv")[2:4] == [(QUOTE, BUY, "0", "0"), (QUOTE, SELL, "158.8", "100")]


def test_an_ib_trade_is_a_rise_of_the_volume() -> None:
    assert told("ib_small.csv") == [
        (QUOTE, BUY, "443.6", "10800"),
        (QUOTE, SELL, "444", "17100"),
        (QUOTE, BUY, "443.6", "12000"),
        (TRADE, NEITHER, "444", "1000"),
        (QUOTE, SELL, "0", "0"),
    ]
    assert str(open_recorded(DATA / "ib_small.csv").instrument.ticks[0].tick) == "0.2"


def test_ib_ticks_without_volume_trade_at_each_last(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "".join(line for line in (DATA / "ib_small.csv").read_text().splitlines(keepends=True) if ",8," not in line)
    )
    file = open_recorded(path)
    assert [said(file, row) for row in rows_of(file) if row[1] == TRADE] == [(TRADE, NEITHER, "444", "1000")]


def test_a_file_of_bars_is_a_recording_for_each_symbol() -> None:
    first, second = open_recordings(DATA / "bars_small.csv")
    assert (first.instrument.symbol, second.instrument.symbol) == ("AAA", "BBB")
    minute = 60_000_000_000
    rows = rows_of(first)
    assert [row[1] for row in rows[:8]] == [BAR, BAR, QUOTE, QUOTE, TRADE, END, QUOTE, QUOTE]
    assert rows[4][0] == rows[0][0] + minute - 1, "the print comes when the bar is over"
    assert said(first, rows[0]) == (BAR, BUY, "10.05", "1000")
    assert said(first, rows[4]) == (TRADE, NEITHER, "10.02", "1000")
    assert [said(first, row)[2] for row in rows[2:4]] == ["9.99", "10.01"], "a tick on each side of the open"
    assert rows[16][0] - rows[8][0] == 2 * minute, "a missing bar is none"
    with pytest.raises(DataError, match="name one"):
        open_recorded(DATA / "bars_small.csv")
    with pytest.raises(DataError, match="no row of CCC; it holds AAA, BBB"):
        open_recorded(DATA / "bars_small.csv", parse_instrument("CCC"))


def test_a_volume_in_money_is_so_much_of_the_instrument(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("symbol,ts,open,high,low,close,volume_usd\nPERP,2022-01-01T00:00:00Z,50.0,51.0,49.0,50.0,1234.56\n")
    file = open_recorded(path)
    assert said(file, rows_of(file)[4]) == (TRADE, NEITHER, "50", "24")


WRONG = {
    "cme_small.csv": [
        (4, "ADD,S", "JOIN,S", "unknown action 'JOIN'"),
        (5, ",2,0,3", ",2,7,3", "expected 0 or 1 in last"),
        (4, "4800.25", "4800.25x", "expected a number"),
        (13, "MODIFY,S,3", "SNAP,S,33", "SNAP rows at the start only"),
        (17, "12,4799.75,7", "3,4799.75,7", "in the book already"),
        (7, "CANCEL,S", "CANCEL,B", "expected the side and price of order 4, S at 4800.25"),
        (18, "4799.75", "4799.50", "expected the side and price of order 12, B at 4799.75"),
        (13, "MODIFY,S", "MODIFY,B", "expected the side of order 3, S at 4800.5"),
        (6, "FILL,S", "FILL,x", "unknown side 'x'"),
        (7, ",1,4", ",1,2", "expected a seq of at least 3"),
        (7, ",1,4", ",1,", "whole number in seq"),
        (1, ",0,1", ",0,x", "whole number in seq"),
        (4, "1703545200000000200", "1703545200", "nanoseconds since 1970 in recv_ns"),
    ],
    "bitstamp_orders_small.csv": [
        (4, "ADD,B", "CREATE,B", "unknown action 'CREATE'"),
        (8, ",3.0,", ",9.0,", "expected no more than that"),
        (2, "ADD,S", "ADD,X", "unknown side 'X'"),
        (8, "CHANGE,S", "CHANGE,B", "expected side S, that of order 3"),
        (5, "CHANGE,B", "CHANGE,S", "expected side B, that of order 4"),
        (2, ",1430438404", ",", "whole number in created_s"),
        (2, ",1430438404", ",1430438404000", "no later than the row (1430438404), was 1430438404000"),
        (2, ",1430438404", ",1430438410", "created_s in seconds, no later"),
        (8, ",1430438404", ",1430438403", "expected created_s 1430438404, as in the rows of order 3"),
    ],
    "bitstamp_book_small.csv": [(2, ",2,", ",4,", "expected level 1 or 2, was 4")],
    "bitstamp_trades_small.csv": [(1, ",71,", ",x,", "whole number in trade_id")],
    "binance_depth_small.csv": [
        (2, ",0,0,96", ",17,0,96", "nanoseconds since 1970 in exch_ns, or 0, was 17"),
        (3, ",0,0,96", ",0,2,96", "expected 0 or 1 in snapshot"),
        (8, "104,110", "104,103", "last_id of at least first_id"),
        (8, "104,110", "103,110", "expected first_id above 103"),
    ],
    "binance_trades_small.csv": [
        (2, ",8,", ",7,", "expected a trade_id above 7"),
        (1, ",B", ",b", "unknown side 'b'"),
        (1, ",0,7", ",x,7", "whole number in exch_ns"),
    ],
    "binance_bbo_small.csv": [
        (1, ",0,102", ",,102", "whole number in exch_ns"),
        (2, ",110,", ",1,", "expected an update_id of at least 102"),
    ],
    "taq_quotes_small.csv": [(1, ",P,", ",PP,", "capital letter of an exchange")],
    "taq_trades_small.csv": [(1, ",1,0", ",zz,0", "hexadecimal flag word"), (1, ",200,", ",0,", "above zero")],
    "taq_pairs_small.csv": [(1, ",2\n", ",x\n", "whole number in the lots")],
    "taq_letters_small.csv": [(3, ",,1", ",,x", "whole number in corr")],
    "ib_small.csv": [(1, ",1,", ",900,", "tick_type of Interactive Brokers")],
    "quote_bars_small.csv": [(1, "9.98", "10.01", "low at most")],
    "bars_small.csv": [(2, "T14:31", "T14:29", "not sorted"), (1, "2019-02-11T", "2019-02-31T", "ts:")],
}
CASES = [(name, *case) for name, cases in WRONG.items() for case in cases]


@pytest.mark.parametrize(("name", "row", "before", "after", "expected"), CASES)
def test_a_wrong_row_is_named(tmp_path: Path, name: str, row: int, before: str, after: str, expected: str) -> None:
    lines = (DATA / name).read_text().splitlines(keepends=True)
    assert before in lines[row], "the case must change its row"
    lines[row] = lines[row].replace(before, after)
    path = tmp_path / "abc_1.csv"
    path.write_text("".join(lines))
    with pytest.raises(DataError) as caught:
        open_recordings(path)
    assert expected in str(caught.value)
    assert f"row {row}:" in str(caught.value)


def test_a_channel_counts_anew_with_a_new_week_only(tmp_path: Path) -> None:
    lines = (DATA / "cme_small.csv").read_text().splitlines(keepends=True)
    late = lines[-1].replace("17035452", "17037452").replace(",1,12", ",1,1")
    path = tmp_path / "abc_1.csv"
    path.write_text("".join([*lines[:-1], late]))
    assert "1 times that the channel's seq began anew behind a pause" in open_recorded(path).findings
    path.write_text("".join([*lines[:-1], late.replace("17037452", "17035551")]))
    with pytest.raises(DataError, match=f"row {len(lines) - 1}: expected a seq of at least 11"):
        open_recorded(path)


@pytest.mark.parametrize("name", SMALL)
def test_unsorted_cut_and_short_rows_are_refused_with_their_row(tmp_path: Path, name: str) -> None:
    lines = (DATA / name).read_text().splitlines(keepends=True)
    path = tmp_path / "abc_1.csv"
    path.write_text("".join(lines)[:-3])
    with pytest.raises(DataError, match=f"row {len(lines) - 1} does not end"):
        open_recorded(path)
    path.write_text("".join([lines[0], lines[1].rpartition(",")[0] + "\n", *lines[2:]]))
    with pytest.raises(DataError, match="row 1: expected"):
        open_recorded(path)
    path.write_text("".join([lines[0], lines[-1], *lines[1:-1]]))
    with pytest.raises(DataError, match=r"row 2: .*not sorted|row 1: expected level 1"):
        open_recorded(path)


def test_files_of_one_symbol_have_one_tick_and_lot(tmp_path: Path) -> None:
    paths = [DATA / "binance_depth_small.csv", DATA / "binance_trades_small.csv"]
    depth, trades = open_all(paths, [parse_instrument("BTC")])
    assert depth.instrument == trades.instrument
    assert str(depth.instrument.lot) == "0.00001"
    apart = open_all(paths, [parse_instrument("ONE"), parse_instrument("TWO:lot=0.000001")])
    assert [one.instrument.symbol for one in apart] == ["ONE", "TWO"]
    with pytest.raises(InstrumentError, match="another currency"):
        open_all(paths, [parse_instrument("BTC:ccy=USD"), parse_instrument("BTC:ccy=EUR")])
    with pytest.raises(InstrumentError, match="3 times for 2 files"):
        open_all(paths, [parse_instrument("A"), parse_instrument("B"), parse_instrument("C")])


def test_a_book_is_fed_by_one_file_and_prints_need_one() -> None:
    depth, trades, best = (f"binance_{name}_small.csv" for name in ("depth", "trades", "bbo"))
    check_together(open_all([DATA / depth, DATA / trades], [parse_instrument("BTC")]))
    with pytest.raises(DataError, match="shows the book of BTC@BINA already"):
        check_together(open_all([DATA / depth, DATA / best], [parse_instrument("BTC")]))
    with pytest.raises(DataError, match="hold no quotes"):
        check_together(open_all([DATA / trades]))
    with pytest.raises(DataError, match="holds the executions itself"):
        check_together(
            open_all([DATA / "bitstamp_orders_small.csv", DATA / "bitstamp_trades_small.csv"], [parse_instrument("X")])
        )
    both = open_all([DATA / depth, DATA / best], [parse_instrument("BTC:mic=AAAA"), parse_instrument("BTC:mic=BBBB")])
    check_together(both)


def test_a_row_that_is_not_ascii_is_named(tmp_path: Path) -> None:
    """Text is decoded by blocks of some kilobytes: the error itself knows the block only."""
    lines = (DATA / "own_small.csv").read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b",", ",٣".encode(), 1)
    for name, pack in (("x.csv", bytes), ("x.csv.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(b"".join(lines)))
        with pytest.raises(DataError, match="row 3 holds bytes that are not ASCII"):
            open_recorded(tmp_path / name)


def test_what_is_no_file_is_refused_and_no_pipe_is_waited_for(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe.csv", tmp_path / "folder.csv"
    os.mkfifo(pipe)
    folder.mkdir()
    for path, said in (
        (pipe, "is no ordinary file"),
        (folder, "is a folder"),
        (tmp_path / "none.csv", "cannot be read"),
    ):
        with pytest.raises(DataError, match=said):
            open_recorded(path)
