"""Facts that real recordings must meet. Without the shared data they are skipped."""

from __future__ import annotations

import pytest

from engine.market.book import LevelBook, OrderBook
from engine.market.replay import RecordedFile, open_all, open_recorded
from engine.market.rows import CLEAR, END
from engine.market.sidecar import parse_instrument
from tests.shared_data import shared_file

BINANCE = ("spot_btcusdt", "usdm_btcusdt", "usdm_ethusdt", "coinm_btcusd_perp")


def is_crossed(book: OrderBook | LevelBook) -> bool:
    return bool(book.bids.prices and book.asks.prices) and book.bids.best() >= book.asks.best()


def test_the_rebuilt_aapl_book_is_never_crossed() -> None:
    book, crossed = OrderBook(), 0
    for _, row in open_recorded(shared_file("l3/aapl_20120621.csv.gz")).feed():
        book.apply(row)
        crossed += is_crossed(book)
    assert (crossed, book.unknown) == (0, 84)


def test_the_cme_book_knows_every_order_and_is_crossed_in_the_pre_open_only() -> None:
    file = open_recorded(shared_file("l3/esh4_20231225_to_2340.csv.gz"))
    opens_ns = 1703545200_000_000_000  # 17:00 in Chicago
    book, ends, crossed, early = OrderBook(), 0, 0, 0
    for _, row in file.feed():
        book.apply(row)
        if row[1] == END:
            ends += 1
            crossed += is_crossed(book) and row[0] >= opens_ns
            early += is_crossed(book) and row[0] < opens_ns
    assert book.unknown == 0
    assert crossed == 0
    assert ends > 30_000
    assert early, "the pre-open collects orders that cross"


@pytest.mark.parametrize("name", BINANCE[:1])
def test_a_depth_feed_has_no_gap_and_ends_at_the_last_best_prices(name: str) -> None:
    depth, best = open_all(
        [shared_file(f"l2/binance_{name}_20240808_{kind}.csv.gz") for kind in ("depth", "bbo")], [parse_instrument("X")]
    )
    crossed, book = _last_book(depth)
    assert not [words for words in depth.findings if "gaps" in words]
    assert crossed == 0
    assert [book.bids.best(), book.asks.best()] == [row[4] for _, row in list(best.feed())[-2:]]


def _last_book(depth: RecordedFile) -> tuple[int, LevelBook]:
    book, crossed, now = LevelBook(), 0, 0
    for _, row in depth.feed():
        if row[0] != now:
            crossed += is_crossed(book)
            now = row[0]
        if row[1] == CLEAR:
            book.clear()
        else:
            book.level(row[2], row[4], row[5])
    return crossed, book


@pytest.mark.proof
@pytest.mark.parametrize("name", BINANCE[1:])
def test_the_other_depth_feeds_too(name: str) -> None:
    test_a_depth_feed_has_no_gap_and_ends_at_the_last_best_prices(name)


def test_a_bitstamp_book_of_orders_is_never_crossed() -> None:
    book, crossed = OrderBook(), 0
    for _, row in open_recorded(shared_file("l3/bitstamp_btcusd_20150501_orders.csv.gz")).feed():
        book.apply(row)
        crossed += is_crossed(book)
    assert crossed == 0


def test_trades_of_a_taq_day_lie_within_the_national_quote() -> None:
    quotes, trades = open_all(
        [shared_file(f"taq/ibm_20131007_{kind}.csv.gz") for kind in ("quotes", "trades")], [parse_instrument("IBM")]
    )
    sides = {1: 0, -1: 0}
    waiting = [row for _, row in quotes.feed()][::-1]
    inside = total = 0
    for _, row in trades.feed():
        while waiting and waiting[-1][0] <= row[0]:
            quote = waiting.pop()
            sides[quote[2]] = quote[4]
        if all(sides.values()):
            total += 1
            inside += sides[1] <= row[4] <= sides[-1]
    assert inside / total > 0.96
