"""Closed-form cases of matching against an order-by-order feed."""

from engine.domain.events import Fill
from engine.domain.order import Liquidity, Side, Tif
from engine.market.feed import TradeTick
from tests.paper_venue.lab import B, Lab, S, plain_book


def only(lab: Lab) -> Fill:
    (fill,) = lab.fills
    return fill


# -- taking ------------------------------------------------------------------------------------------------------------


def test_a_market_order_takes_one_level() -> None:
    lab = plain_book(Lab())
    lab.buy(100)
    assert lab.traded() == [("10.02", "100")]
    assert only(lab).liquidity is Liquidity.TAKER
    assert only(lab).tape_row == 5
    assert lab.best() == (1000, 100, 1002, 50), "what we took is gone"


def test_a_market_order_walks_two_levels() -> None:
    lab = plain_book(Lab())
    lab.buy(250)
    assert lab.traded() == [("10.02", "150"), ("10.03", "100")]
    assert lab.best() == (1000, 100, 1003, 200)
    assert (lab.book.orders[4].left, lab.book.orders[5].left) == (0, 200), "first in, first out"


def test_a_market_order_that_empties_the_book_is_cancelled_for_the_rest() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(1000)
    assert sum(fill.qty for fill in lab.fills) == 450
    assert lab.status(wire_id) == "cancelled"
    assert lab.best() == (1000, 100, 0, 0)


def test_a_limit_order_takes_to_its_limit_and_rests() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(200, "10.02")
    assert lab.traded() == [("10.02", "150")]
    assert lab.status(wire_id) == "partially_filled"
    assert lab.best() == (1000, 100, 1003, 300), "our own order is not in the public quote"


def test_later_rows_of_an_order_shrink_by_what_we_took() -> None:
    lab = plain_book(Lab())
    lab.buy(100)
    lab.execute(3, 120)
    assert lab.best()[2:] == (1002, 30), "20 of the 120 were still there"
    lab.execute(3, 30)
    assert lab.best()[2:] == (1003, 300)
    prints = [tick.qty for tick in lab.ticks if isinstance(tick, TradeTick)]
    assert prints == [120, 30], "the feed's prints stay as recorded"


def test_execution_of_units_we_took_serves_no_other_order_of_ours() -> None:
    lab = plain_book(Lab())
    lab.ioc(Side.SELL, 60, "10.00")
    lab.buy(100, "10.00")
    lab.execute(1, 100)
    assert [fill.side for fill in lab.fills] == [Side.SELL]


def test_immediate_or_cancel_takes_what_is_there() -> None:
    lab = plain_book(Lab())
    wire_id = lab.ioc(Side.BUY, 200, "10.02")
    assert lab.traded() == [("10.02", "150")]
    assert lab.status(wire_id) == "cancelled"


def test_fill_or_kill_takes_all_or_nothing() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(151, "10.02", tif=Tif.FOK)
    assert (lab.traded(), lab.status(wire_id)) == ([], "cancelled")
    lab.buy(450, "10.03", tif=Tif.FOK)
    assert lab.traded() == [("10.02", "150"), ("10.03", "300")]


# -- resting -----------------------------------------------------------------------------------------------------------


def test_we_stand_behind_what_was_there_and_ahead_of_what_came_later() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(100, "10.00")
    lab.add(6, B, 1000, 500)
    lab.execute(1, 100)
    assert lab.fills == []
    lab.execute(6, 40)
    assert lab.traded() == [("10", "40")]
    fill = only(lab)
    assert (fill.liquidity, fill.tape_row, fill.rests_from_row) == (Liquidity.MAKER, 8, 5)
    assert lab.book.orders[6].left == 460, "the feed's order follows the feed: no ghost"
    lab.execute(6, 100)
    assert lab.status(wire_id) == "filled"
    assert [str(fill.qty) for fill in lab.fills] == ["40", "60"]


def test_a_queue_of_known_size_is_worked_off_by_trades_and_cancels() -> None:
    lab = Lab()
    for order_id in range(1, 6):
        lab.add(order_id, B, 1000, 100)
    lab.buy(100, "10.00")
    lab.add(9, B, 1000, 100)
    for order_id in (2, 4):
        lab.delete(order_id)
    assert str(lab.core.queue_ahead("PAPER", "W1")) == "300"
    for order_id in (1, 3, 5):
        lab.execute(order_id, 100)
        assert lab.fills == []
    lab.execute(9, 100)
    assert lab.traded() == [("10", "100")]


def test_an_execution_through_our_price_hits_us_first_at_our_price() -> None:
    lab = plain_book(Lab())
    lab.buy(50, "10.01")
    lab.execute(1, 80)
    assert lab.traded() == [("10.01", "50")]
    assert lab.book.orders[1].left == 20


def test_one_print_serves_our_orders_in_price_time_order_once() -> None:
    lab = Lab()
    lab.add(1, B, 998, 500)
    lab.buy(30, "9.99")
    lab.buy(30, "10.00")
    lab.buy(30, "9.99")
    lab.execute(1, 70)
    assert [(fill.wire_id, str(fill.qty)) for fill in lab.fills] == [("W2", "30"), ("W1", "30"), ("W3", "10")]


def test_an_unannounced_order_was_ahead_of_us_at_our_price_but_not_through_it() -> None:
    lab = plain_book(Lab())
    lab.buy(100, "10.00")
    lab.row(2, B, 0, 1000, 1)
    lab.row(3, B, 777, 1000, 60)
    assert lab.fills == []
    lab.row(3, B, 778, 999, 60)
    assert lab.traded() == [("10", "60")]


def test_displayed_precedes_hidden_at_our_price() -> None:
    lab = plain_book(Lab())
    lab.buy(100, "10.00")
    lab.hidden(B, 1000, 100)
    assert lab.fills == [], "100 displayed are ahead of us"
    lab.hidden(B, 1000, 130)
    assert lab.traded() == [("10", "30")]


def test_a_hidden_print_through_our_price_hits_us_first() -> None:
    lab = plain_book(Lab())
    lab.buy(100, "10.00")
    lab.hidden(B, 999, 60)
    lab.hidden(S, 999, 60)
    lab.hidden(B, 1001, 60)
    assert lab.traded() == [("10", "60")]


def test_a_new_order_that_crosses_ours_trades_with_us_first() -> None:
    lab = plain_book(Lab())
    lab.buy(100, "10.01")
    lab.add(7, S, 1001, 160)
    assert lab.traded() == [("10.01", "100")]
    assert lab.best()[2:] == (1001, 60)
    lab.execute(7, 120)
    assert lab.best()[2:] == (1001, 40), "100 of the 120 are ours already"
    lab.delete(7)
    assert lab.best()[2:] == (1002, 150)


def test_a_new_order_that_we_take_whole_never_shows() -> None:
    lab = plain_book(Lab())
    lab.buy(100, "10.01")
    lab.add(7, S, 1001, 60)
    assert lab.best()[2:] == (1002, 150)
    lab.delete(7)
    assert lab.best()[2:] == (1002, 150)


def test_the_quote_is_sent_only_when_the_best_changes() -> None:
    lab = plain_book(Lab())
    before = len(lab.quotes())
    lab.add(8, B, 998, 10)
    assert len(lab.quotes()) == before
    lab.reduce(1, 10)
    assert lab.quotes()[-1].bid_qty == 90


# -- halts -------------------------------------------------------------------------------------------------------------


def test_a_halt_stops_our_fills_and_refuses_orders() -> None:
    lab = plain_book(Lab())
    lab.buy(100, "10.01")
    lab.halt(True)
    assert lab.core.status("ABC") == "halted"
    lab.order(Side.BUY, 5, tif=Tif.IOC)
    assert lab.names()[-1] == "HALTED"
    lab.add(7, S, 1001, 60)
    lab.execute(1, 100)
    assert lab.fills == []
    lab.halt(False)
    assert lab.traded() == [("10.01", "60")], "the order that crossed ours meets it in the auction"
    assert lab.best()[2:] == (1002, 150)


def test_a_cancel_passes_during_a_halt() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(100, "9.99")
    lab.halt(True)
    lab.cancel(wire_id)
    assert lab.status(wire_id) == "cancelled"
