"""Trailing stops, touched orders, market-to-limit, icebergs and orders with an end of their own, at the venue."""

import pytest

from brokers.paper.config import VenueState
from brokers.paper.venue import VenueCore
from engine.domain.events import decoder, encode
from engine.domain.order import OrderType, Side, Tif
from engine.oms.broker_interface import Amended
from tests.paper_venue.lab import FREE, ME, STEP, B, Lab, S, plain_book

TRAIL, MIT, LIT = OrderType.TRAILING_STOP, OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED
MTL = OrderType.MARKET_TO_LIMIT


def prints(lab: Lab, *prices: int) -> None:
    """Let hidden orders trade one share at each price: prints that leave the visible book alone."""
    for price in prices:
        lab.hidden(S, price, 1)


def trigger(lab: Lab, wire_id: str) -> str:
    found = lab.core.order(ME, wire_id)
    assert found is not None
    return str(found.stop)


# -- trailing stops ------------------------------------------------------------------------------------------------------


def test_a_trailing_sell_follows_the_highest_print_and_never_turns_back() -> None:
    lab = plain_book(Lab())
    prints(lab, 1001)
    wire_id = lab.sell(10, kind=TRAIL, trail="0.03")
    seen = [trigger(lab, wire_id)]
    for price in (1004, 1002, 1006, 1004):
        prints(lab, price)
        seen.append(trigger(lab, wire_id))
    assert seen == ["9.98", "10.01", "10.01", "10.03", "10.03"]
    assert lab.traded() == []
    prints(lab, 1003)
    assert lab.traded() == [("10", "10")], "at the trigger it takes the bid"


def test_a_trailing_buy_follows_the_lowest_print() -> None:
    lab = plain_book(Lab())
    prints(lab, 1001)
    wire_id = lab.buy(10, kind=TRAIL, trail="0.02")
    prints(lab, 998, 999)
    assert trigger(lab, wire_id) == "10"
    prints(lab, 1000)
    assert lab.traded() == [("10.02", "10")]


def test_a_trailing_stop_without_a_print_waits_for_the_first() -> None:
    lab = plain_book(Lab())
    wire_id = lab.sell(10, kind=TRAIL, trail="0.03")
    assert trigger(lab, wire_id) == "None"
    prints(lab, 1001)
    assert trigger(lab, wire_id) == "9.98"


def test_an_amend_of_its_size_leaves_the_trigger_where_the_market_led_it() -> None:
    lab = plain_book(Lab())
    prints(lab, 1005)
    wire_id = lab.sell(10, kind=TRAIL, trail="0.03")
    lab.amend(wire_id, 7)
    assert trigger(lab, wire_id) == "10.02"
    lab.amend(wire_id, 7, stop="9.00")
    assert lab.names()[-1] == "BAD_ORDER"
    assert trigger(lab, wire_id) == "10.02"


def test_a_halt_keeps_a_trailing_stop_where_it_is() -> None:
    lab = plain_book(Lab())
    prints(lab, 1001)
    wire_id = lab.sell(10, kind=TRAIL, trail="0.03")
    lab.halt(is_halted=True)
    prints(lab, 1020, 900)
    assert (trigger(lab, wire_id), lab.traded()) == ("9.98", [])


# -- touched ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "limit"), [(MIT, None), (LIT, "10.02")])
def test_a_buy_if_touched_waits_for_a_print_at_or_below(kind: OrderType, limit: str | None) -> None:
    lab = plain_book(Lab())
    prints(lab, 1002)
    lab.buy(10, limit, kind=kind, stop="10.00")
    prints(lab, 1001)
    assert lab.traded() == []
    prints(lab, 1000)
    assert lab.traded() == [("10.02", "10")]


def test_a_sell_if_touched_waits_for_a_print_at_or_above_and_its_limit_may_rest() -> None:
    lab = plain_book(Lab())
    wire_id = lab.sell(10, "10.01", kind=LIT, stop="10.03")
    prints(lab, 1002)
    assert lab.status(wire_id) == "new"
    assert lab.core.queue_ahead(ME, wire_id) is None, "it does not stand in the queue before it is touched"
    prints(lab, 1004)
    assert lab.core.queue_ahead(ME, wire_id) == 0
    assert lab.core.counters.stop_gaps == 0


# -- market to limit ---------------------------------------------------------------------------------------------------------


def test_market_to_limit_takes_one_level_and_rests_there() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(200, kind=MTL)
    assert lab.traded() == [("10.02", "150")]
    found = lab.core.order(ME, wire_id)
    assert found is not None
    assert (str(found.limit), found.type, str(found.qty_filled), found.is_open) == (
        "10.02",
        OrderType.LIMIT,
        "150",
        True,
    )
    assert [event.limit for event in lab.events if isinstance(event, Amended)] == [found.limit], (
        "and the client is told"
    )


def test_market_to_limit_ends_where_nobody_is() -> None:
    lab = Lab()
    wire_id = lab.sell(5, kind=MTL)
    assert lab.status(wire_id) == "cancelled"


# -- icebergs -----------------------------------------------------------------------------------------------------------------


def test_an_iceberg_gives_its_shown_part_and_then_stands_behind() -> None:
    lab = Lab()
    lab.add(1, S, 1005, 100)
    wire_id = lab.buy(30, "10.00", display=10)
    lab.add(2, B, 1000, 50)
    lab.add(3, B, 1000, 50)
    lab.execute(2, 40)
    assert lab.traded() == [("10", "10")], "ours stood first, with what it showed"
    assert lab.core.queue_ahead(ME, wire_id) == 50 + 50 - 40, "its next part stands behind what is there now"
    lab.execute(3, 50)
    assert lab.traded() == [("10", "10")]
    lab.add(4, B, 1000, 20)
    lab.execute(4, 20)
    assert lab.traded() == [("10", "10"), ("10", "10")]


def test_volume_through_its_price_takes_every_part_of_an_iceberg() -> None:
    lab = Lab()
    lab.add(1, B, 999, 100)
    lab.buy(30, "10.00", display=10)
    lab.execute(1, 25)
    assert [qty for _, qty in lab.traded()] == ["10", "10", "5"]


def test_an_iceberg_by_level_stands_behind_the_displayed_size_again() -> None:
    lab = Lab(by_level=True)
    lab.level(B, 1000, 40)
    lab.level(S, 1005, 40)
    lab.buy(30, "10.00", display=10)
    lab.trade(-1, 1000, 60)
    assert [qty for _, qty in lab.traded()] == ["10"]
    lab.trade(-1, 1000, 45)
    assert [qty for _, qty in lab.traded()] == ["10", "5"]


def test_an_iceberg_takes_with_its_whole_size() -> None:
    lab = plain_book(Lab())
    lab.buy(100, "10.02", display=10)
    assert lab.traded() == [("10.02", "100")]


# -- an end of its own ----------------------------------------------------------------------------------------------------------


def test_gtd_ends_at_its_time_and_alone() -> None:
    lab = plain_book(Lab())
    ends = lab.buy(1, "9.90", tif=Tif.GTD, expires_ns=lab.now + 10 * STEP)
    stays = lab.buy(1, "9.90", tif=Tif.GTC)
    lab.core.advance(lab.now + 10 * STEP - 1)
    assert lab.status(ends) == "new"
    lab.core.advance(lab.now + 10 * STEP)
    assert (lab.status(ends), lab.status(stays)) == ("expired", "new")


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"kind": TRAIL}, "BAD_ORDER"),
        ({"kind": TRAIL, "trail": "0.001"}, "TICK"),
        ({"kind": TRAIL, "trail": "0.03", "stop": "9.00"}, "BAD_ORDER"),
        ({"kind": MIT}, "BAD_ORDER"),
        ({"kind": MTL, "tif": Tif.IOC}, "BAD_TIF"),
        ({"kind": TRAIL, "trail": "0.03", "tif": Tif.FOK}, "BAD_TIF"),
        ({"limit": "9.90", "display": 0}, "DISPLAY"),
        ({"limit": "9.90", "display": 11}, "DISPLAY"),
        ({"limit": "9.90", "display": "1.5"}, "DISPLAY"),
        ({"display": 5}, "BAD_ORDER"),
        ({"limit": "9.90", "tif": Tif.GTD}, "BAD_TIF"),
        ({"limit": "9.90", "tif": Tif.GTD, "expires_ns": 1}, "BAD_TIF"),
        ({"limit": "9.90", "expires_ns": 1 << 62}, "BAD_TIF"),
    ],
)
def test_a_fault_of_these_terms_is_refused(terms: dict[str, object], code: str) -> None:
    lab = plain_book(Lab())
    lab.order(Side.BUY, 10, **terms)  # type: ignore[arg-type]
    assert lab.names() == [code]


def test_what_moved_and_what_is_shown_outlives_the_venue() -> None:
    lab = plain_book(Lab())
    prints(lab, 1005)
    trailing = lab.sell(10, kind=TRAIL, trail="0.03")
    iceberg = lab.buy(30, "9.95", display=10)
    dated = lab.buy(1, "9.90", tif=Tif.GTD, expires_ns=lab.now + 1_000 * STEP)
    state = decoder(VenueState).decode(encode(lab.core.state()))
    again = VenueCore(FREE, lambda _account, _event: None, lambda _tick: None)
    again.list_instrument(lab.core.listings[lab.key].instrument, "XNAS")
    again.load_state(state)
    found = again.order(ME, trailing)
    assert found is not None
    assert str(found.stop) == "10.02"
    assert again.queue_ahead(ME, iceberg) == 0
    again.advance(lab.now + 1_000 * STEP)
    ended = again.order(ME, dated)
    assert ended is not None
    assert ended.status == "expired"
