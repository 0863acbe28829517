"""Trading against a market-by-order feed: the book is judged where an event ends."""

from engine.domain.order import Side
from engine.market.feed import QuoteTick, StatusTick, TradeTick
from engine.market.rows import ADD, DELETE, END, FILL, MODIFY, TRADE
from tests.paper_venue.lab import B, Lab, S


def lab_with_a_book() -> Lab:
    """10.00 x 100 / 10.02 x 150, in one event."""
    lab = Lab(by_event=True)
    lab.row(ADD, B, 1, 1000, 100)
    lab.row(ADD, S, 2, 1002, 150)
    end(lab)
    return lab


def end(lab: Lab) -> None:
    lab.row(END, 0, 0, 0, 0, wait=0)


def match(lab: Lab, aggressor: int, price: int, fills: list[tuple[int, int]]) -> None:
    """A print and the resting orders it met, in one event."""
    lab.row(TRADE, aggressor, 0, price, sum(qty for _, qty in fills))
    for order_id, qty in fills:
        lab.row(FILL, -aggressor, order_id, price, qty, wait=0)
    end(lab)


def quotes(lab: Lab) -> list[tuple[int, int]]:
    return [(tick.bid, tick.ask) for tick in lab.ticks if isinstance(tick, QuoteTick)]


def test_nothing_is_published_inside_an_event() -> None:
    lab = lab_with_a_book()
    assert quotes(lab) == [(1000, 1002)]
    lab.row(ADD, B, 3, 1002, 50)
    lab.row(DELETE, S, 2, 1002, 150, wait=0)
    lab.row(ADD, S, 4, 1003, 10, wait=0)
    assert quotes(lab) == [(1000, 1002)]
    end(lab)
    assert quotes(lab) == [(1000, 1002), (1002, 1003)]
    assert lab.core.listings[lab.key].crossed == 0


def test_a_trade_is_printed_once_and_its_fills_take_the_orders_off() -> None:
    lab = lab_with_a_book()
    match(lab, B, 1002, [(2, 120)])
    assert [(tick.price, tick.qty, tick.aggressor) for tick in lab.ticks if isinstance(tick, TradeTick)] == [
        (1002, 120, "B")
    ]
    assert lab.best() == (1000, 100, 1002, 30)


def test_our_place_in_the_queue_is_exact() -> None:
    lab = lab_with_a_book()
    mine = lab.sell(40, "10.02")
    lab.row(ADD, S, 5, 1002, 60)
    end(lab)
    match(lab, B, 1002, [(2, 150)])
    assert lab.status(mine) == "new", "all of it was ahead of us"
    match(lab, B, 1002, [(5, 10)])
    assert lab.traded() == [("10.02", "10")], "what is behind us cannot be hit before us"
    assert not any(fill.guessed for fill in lab.fills)


def test_an_order_with_new_terms_goes_behind_us() -> None:
    lab = lab_with_a_book()
    lab.sell(40, "10.02")
    lab.row(MODIFY, S, 2, 1002, 200)
    end(lab)
    match(lab, B, 1002, [(2, 40)])
    assert lab.traded() == [("10.02", "40")]


def test_what_we_took_of_an_order_stays_taken_when_it_moves() -> None:
    lab = lab_with_a_book()
    lab.buy(100)
    lab.row(MODIFY, S, 2, 1003, 150)
    end(lab)
    assert lab.best() == (1000, 100, 1003, 50)


def test_an_order_that_moves_through_ours_trades_with_it_first() -> None:
    lab = lab_with_a_book()
    lab.sell(40, "10.01")
    lab.row(MODIFY, B, 1, 1001, 100)
    end(lab)
    assert lab.traded() == [("10.01", "40")]
    assert lab.best() == (1001, 60, 1002, 150)


def test_the_reserve_of_an_iceberg_serves_us_only_beyond_what_is_displayed_ahead() -> None:
    lab = lab_with_a_book()
    lab.sell(40, "10.02")
    lab.row(TRADE, B, 0, 1002, 30)
    lab.row(FILL, S, 0, 1002, 30, wait=0)
    end(lab)
    assert lab.traded() == [], "150 are displayed ahead of us"


def test_a_book_that_stands_crossed_is_an_auction_that_collects() -> None:
    lab = lab_with_a_book()
    lab.row(ADD, B, 6, 1004, 10)
    end(lab)
    assert [tick.status for tick in lab.ticks if isinstance(tick, StatusTick)] == ["halted"]
    assert quotes(lab) == [(1000, 1002)], "prices of a collection phase are no quotes"
    parked = lab.order(Side.BUY, 10)
    assert lab.status(parked) == "new"
    lab.row(DELETE, B, 6, 1004, 10)
    end(lab)
    assert lab.core.status("ABC") == "open"
    assert (lab.status(parked), lab.traded()) == ("filled", [("10.02", "10")])
    assert any("crossed 1 times" in words for words in lab.core.listings[lab.key].oddities())
