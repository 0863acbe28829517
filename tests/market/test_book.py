"""The books: rows in, levels out, and what we take stays gone."""

import pytest

from engine.domain.errors import DataError
from engine.market.book import LevelBook, OrderBook
from engine.market.rows import DELETE, EXEC, REDUCE


def two_bids() -> OrderBook:
    book = OrderBook()
    book.add(1, 1, 1000, 100, 1)
    book.add(2, 1, 1000, 50, 2)
    book.add(3, 1, 999, 70, 3)
    return book


def test_levels_sum_their_orders_best_first() -> None:
    book = two_bids()
    assert book.bids.top(5) == ((1000, 150), (999, 70))
    assert book.bids.best() == 1000
    assert book.asks.top(5) == ()


def test_the_last_order_of_a_level_takes_the_level_along() -> None:
    book = two_bids()
    for order_id, qty in ((1, 100), (2, 50)):
        entry = book.find(DELETE, 1, order_id, 1000, qty, 4)
        assert entry is not None
        book.delete(order_id, entry, qty)
    assert book.bids.top(5) == ((999, 70),)
    assert list(book.orders) == [3]


def test_units_we_took_are_gone_from_the_front() -> None:
    book = two_bids()
    entry = book.orders[1]
    book.take(1, entry, 30)
    assert book.bids.top(1) == ((1000, 120),)
    assert book.execute(1, entry, 50) == 20, "30 of the 50 had been ours"
    assert book.bids.top(1) == ((1000, 100),)
    assert book.execute(1, entry, 50) == 50
    assert 1 not in book.orders


def test_a_cancel_takes_from_the_back_and_never_more_than_is_there() -> None:
    book = two_bids()
    entry = book.orders[1]
    book.take(1, entry, 30)
    book.reduce(1, entry, 50)
    assert (entry.left, entry.taken) == (20, 30)
    book.reduce(1, entry, 40)
    assert (entry.left, entry.taken) == (0, 10)
    assert book.bids.top(1) == ((1000, 50),)
    assert book.execute(1, entry, 10) == 0
    assert 1 not in book.orders


def test_an_unannounced_order_is_counted() -> None:
    book = two_bids()
    assert book.find(EXEC, 1, 77, 1000, 5, 9) is None
    assert book.unknown == 1


@pytest.mark.parametrize(
    ("action", "sign", "price", "qty"), [(EXEC, 1, 1000, 101), (REDUCE, -1, 1000, 1), (EXEC, 1, 999, 1)]
)
def test_a_row_that_contradicts_the_book_is_refused(action: int, sign: int, price: int, qty: int) -> None:
    with pytest.raises(DataError, match="row 9"):
        two_bids().find(action, sign, 1, price, qty, 9)


def test_an_id_cannot_be_added_twice() -> None:
    with pytest.raises(DataError, match="row 8: ADD of order 1"):
        two_bids().add(1, 1, 1000, 5, 8)


def test_quantity_ahead_counts_what_came_no_later() -> None:
    assert two_bids().ahead(1, 1000, 1) == 100
    assert two_bids().ahead(1, 1000, 2) == 150
    assert two_bids().ahead(-1, 1000, 2) == 0


def test_a_feed_of_best_prices_keeps_one_level_a_side() -> None:
    book = LevelBook()
    book.quote(1, 1000, 10)
    book.quote(1, 1001, 5)
    book.quote(1, 999, 7)
    assert book.bids.top(5) == ((999, 7),)
    book.quote(1, 0, 0)
    assert book.bids.top(5) == ()


def test_a_quote_in_a_feed_with_depth_removes_only_better_levels() -> None:
    book = LevelBook()
    for price in (1000, 1001, 999):
        book.level(1, price, 10)
    book.quote(1, 1000, 4)
    assert book.bids.top(5) == ((1000, 4), (999, 10))


def test_what_we_took_from_a_level_comes_back_only_as_new_size() -> None:
    book = LevelBook()
    book.level(-1, 1000, 100)
    book.asks.take(1000, 60)
    assert book.asks.top(1) == ((1000, 40),)
    book.level(-1, 1000, 100)
    assert book.asks.top(1) == ((1000, 40),)
    book.level(-1, 1000, 110)
    assert book.asks.top(1) == ((1000, 50),)
    book.level(-1, 1000, 30)
    assert book.asks.top(1) == ((1000, 30),)
    book.level(-1, 1000, 0)
    book.level(-1, 1000, 100)
    assert book.asks.top(1) == ((1000, 100),)
