"""The auction after a halt: what is parked, the one price, and what a restart keeps."""

from decimal import Decimal

import pytest

from brokers.paper.bands import Band
from brokers.paper.config import VenueConfig, VenueState
from brokers.paper.latency import NO_LATENCY
from brokers.paper.reopening import official_price
from brokers.paper.venue import VenueCore
from engine.domain.clock import NS_PER_S
from engine.domain.events import decoder, encode
from engine.domain.money import Money
from engine.domain.order import Side, Tif
from engine.market.feed import StatusTick, TradeTick
from engine.market.rows import ADD
from tests.paper_venue.lab import ABC, ME, STEP, B, Lab, S, plain_book

PAUSE = VenueConfig(latency=NO_LATENCY, cash={"USD": Money(1_000_000)}, bands={"ABC": Band(pct=Decimal(5), pause_s=60)})


def halted() -> Lab:
    """A plain book whose best offer is 150 at 10.02, and a halt by the feed."""
    lab = plain_book(Lab())
    lab.halt(True)
    return lab


def paused() -> Lab:
    """The same under a band of five percent around 10.00, and a print beyond it."""
    lab = plain_book(Lab(PAUSE))
    lab.hidden(B, 1000, 1)
    lab.hidden(B, 949, 1)
    assert lab.core.status("ABC") == "halted"
    return lab


def go_on(lab: Lab) -> None:
    lab.now += 60 * NS_PER_S
    lab.core.advance(lab.now)


@pytest.mark.parametrize(
    ("wants", "bids", "offers", "last", "price"),
    [
        ([(1, None, 100)], [(999, 50)], [(1002, 150), (1003, 150)], 1000, 1002),
        ([(1, None, 200)], [(999, 50)], [(1002, 150), (1003, 150)], 1000, 1003),
        ([(1, 1002, 200)], [(999, 50)], [(1002, 150), (1003, 150)], 1000, 1002),
        ([(1, 1001, 200)], [(999, 50)], [(1002, 150)], 1000, None),
        ([(-1, None, 40)], [(999, 50), (998, 9)], [(1002, 150)], 1000, 999),
        ([(1, 1010, 100)], [], [(1002, 60), (1004, 100)], 1000, 1004),
        ([(1, 1010, 100), (-1, 990, 100)], [], [], 1000, None),
        ([], [(999, 1)], [(1002, 1)], 1000, None),
        ([(1, None, 100)], [], [], 1000, None),
        ([(1, None, 100)], [], [(1002, 150)], None, 1002),
    ],
)
def test_the_price_at_which_most_of_ours_trades(
    wants: list[tuple[int, int | None, int]],
    bids: list[tuple[int, int]],
    offers: list[tuple[int, int]],
    last: int | None,
    price: int | None,
) -> None:
    assert official_price(wants, bids, offers, last) == price


def test_parked_orders_are_done_at_one_price_which_is_printed() -> None:
    lab = halted()
    first, second = lab.buy(100), lab.buy(100, "10.03")
    assert [lab.status(one) for one in (first, second)] == ["new", "new"]
    assert lab.fills == []
    before = len(lab.ticks)
    lab.halt(False)
    assert {price for price, _ in lab.traded()} == {"10.03"}, "150 stand at 10.02: both need the next level too"
    assert sum(int(qty) for _, qty in lab.traded()) == 200
    assert [lab.status(one) for one in (first, second)] == ["filled", "filled"]
    prints = [tick for tick in lab.ticks[before:] if isinstance(tick, TradeTick)]
    assert [(tick.price, tick.qty, tick.aggressor) for tick in prints] == [(1003, 200, "N")]
    assert lab.core.reopening.uncrossed == 1


def test_what_an_auction_leaves_over_goes_on() -> None:
    lab = halted()
    wire_id = lab.buy(200, "10.02")
    lab.halt(False)
    assert lab.traded() == [("10.02", "150")]
    assert lab.status(wire_id) == "partially_filled"
    lab.add(80, S, 1002, 50)
    assert lab.status(wire_id) == "filled"


def test_a_parked_order_that_does_not_reach_comes_to_rest() -> None:
    lab = halted()
    wire_id = lab.buy(10, "10.00")
    lab.halt(False)
    assert (lab.status(wire_id), lab.traded()) == ("new", [])
    lab.add(81, S, 1000, 10)
    assert lab.traded() == [("10", "10")]


def test_a_parked_order_can_be_cancelled_and_is_then_gone() -> None:
    lab = halted()
    wire_id = lab.buy(10)
    lab.cancel(wire_id)
    assert lab.status(wire_id) == "cancelled"
    lab.halt(False)
    assert lab.traded() == []


def test_an_exit_that_is_let_work_twice_during_a_halt_stands_once() -> None:
    """As where an entry filled in two parts just before it, and each lets its exit work."""
    lab = plain_book(Lab())
    lab.buy(100)
    lab.halt(True)
    target = lab.sell(60, "10.01", reduce_only=True)
    order = lab.core._orders[ME][target]
    listing = lab.core.listings[lab.key]
    lab.core.start(listing, order)
    assert lab.core.reopening.parked == 1
    lab.halt(False)
    assert [one.wire_id for one in listing.own[-1]] == [target]
    lab.add(90, B, 1001, 500)
    assert lab.traded()[-1] == ("10.01", "60")
    assert (lab.status(target), listing.own[-1]) == ("filled", [])


def test_what_cannot_wait_is_refused_and_says_so() -> None:
    lab = halted()
    lab.order(Side.BUY, 5, tif=Tif.IOC)
    lab.order(Side.BUY, 5, tif=Tif.FOK)
    lab.order(Side.BUY, 5, "9.99", post_only=True)
    assert lab.names() == ["HALTED"] * 3


def test_a_stop_that_comes_during_a_halt_waits_for_the_official_print() -> None:
    lab = halted()
    stop = lab.sell(5, stop="10.03")
    assert lab.status(stop) == "new"
    lab.buy(10)
    lab.halt(False)
    assert lab.traded()[0] == ("10.02", "10")
    assert lab.status(stop) == "filled", "the auction's print is below its trigger"


def test_a_resting_order_takes_part_and_keeps_the_rest_of_its_terms() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(100, "10.01")
    lab.halt(True)
    lab.add(7, S, 1000, 60)
    lab.add(8, B, 1000, 40)
    lab.halt(False)
    assert lab.traded() == [("10.01", "60")], "there it leaves least over"
    assert lab.status(wire_id) == "partially_filled"
    lab.add(9, S, 1001, 40)
    assert lab.traded()[-1] == ("10.01", "40")


def test_a_pause_ends_with_the_auction_and_its_price_is_the_new_reference() -> None:
    lab = paused()
    wire_id = lab.buy(10, "10.03")
    lab.hidden(B, 1000, 1)
    go_on(lab)
    assert lab.core.status("ABC") == "open"
    assert lab.status(wire_id) == "filled"
    assert lab.core.bands.limits(lab.core.listing("ABC")) == (952, 1052), "five percent around 10.02"


def test_the_feed_alone_does_not_end_a_pause_of_the_venue() -> None:
    lab = paused()
    lab.halt(True)
    lab.halt(False)
    assert lab.core.status("ABC") == "halted"
    go_on(lab)
    assert lab.core.status("ABC") == "open"


def again(lab: Lab) -> tuple[VenueCore, list[StatusTick]]:
    """The venue once more, from what it remembered, with an offer of 500 at 10.02."""
    ticks: list[StatusTick] = []
    core = VenueCore(
        PAUSE, lambda _a, _e: None, lambda tick: ticks.append(tick) if isinstance(tick, StatusTick) else None
    )
    core.list_instrument(ABC, "XNAS")
    core.on_row(lab.key, (lab.now, ADD, S, 99, 1002, 500, 1))
    core.load_state(decoder(VenueState).decode(encode(lab.core.state())))
    return core, ticks


def test_a_restarted_venue_is_still_paused_and_holds_what_is_parked() -> None:
    lab = paused()
    parked = lab.buy(10, "10.02")
    core, ticks = again(lab)
    assert core.status("ABC") == "halted"
    assert [tick.status for tick in ticks] == ["halted"]
    assert core.bands.limits(core.listing("ABC")) == (950, 1050), "the reference is that of before"
    core.advance(lab.now + STEP)
    assert core.order(ME, parked).status == "new"  # type: ignore[union-attr]
    core.advance(lab.now + 60 * NS_PER_S)
    assert core.order(ME, parked).status == "filled"  # type: ignore[union-attr]
    assert core.status("ABC") == "open"


def test_a_pause_that_was_over_while_the_venue_was_down_ends_when_it_is_back() -> None:
    lab = paused()
    parked = lab.buy(10)
    core, _ = again(lab)
    core.advance(lab.now + 3_600 * NS_PER_S)
    assert core.order(ME, parked).status == "filled"  # type: ignore[union-attr]
