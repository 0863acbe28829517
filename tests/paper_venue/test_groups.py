"""Brackets, one-triggers-other and one-cancels-other, kept by the venue."""

import msgspec

from brokers.paper.config import VenueConfig, VenueState
from brokers.paper.latency import NO_LATENCY, Delay
from brokers.paper.venue import VenueCore
from engine.domain.events import decoder, encode
from engine.domain.money import Money, Price, Qty
from engine.domain.order import Link, LinkRole, OrderSpec, OrderType, Side, Tif
from engine.oms.broker_interface import Amended, WireOrder
from tests.paper_venue.lab import ABC, FREE, ME, STEP, B, Lab, S, plain_book

ENTRY, LEG, PEER = LinkRole.ENTRY, LinkRole.LEG, LinkRole.PEER


def spec(
    role: LinkRole, side: Side, qty: int, limit: str | None = None, stop: str | None = None, **more: object
) -> OrderSpec:
    kind = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }[limit is not None, stop is not None]
    return OrderSpec(
        symbol="ABC", side=side, qty=Qty(qty), type=kind, tif=Tif.GTC, link=Link(role, "P1"),
        limit=None if limit is None else Price(limit), stop=None if stop is None else Price(stop),
        **more,  # type: ignore[arg-type] # the fields a test gives
    )  # fmt: skip


def bracket(lab: Lab, qty: int, entry: str, target: str = "10.03", stop: str = "9.99") -> None:
    """Buy, with a target and a stop; wire ids E, T and X."""
    legs = (
        WireOrder(wire_id="T", spec=spec(LEG, Side.SELL, qty, target, reduce_only=True)),
        WireOrder(wire_id="X", spec=spec(LEG, Side.SELL, qty, stop=stop, reduce_only=True)),
    )
    group = WireOrder(wire_id="E", spec=spec(ENTRY, Side.BUY, qty, entry), linked=legs)
    lab.core.submit_new(lab.now, ME, group)
    lab.core.advance(lab.now)


def pair(lab: Lab, one: OrderSpec, other: OrderSpec) -> None:
    """Two peers; wire ids O1 and O2."""
    group = WireOrder(wire_id="O1", spec=one, linked=(WireOrder(wire_id="O2", spec=other),))
    lab.core.submit_new(lab.now, ME, group)
    lab.core.advance(lab.now)


def terms(lab: Lab, wire_id: str) -> tuple[str, str]:
    """Status and total quantity of an order."""
    found = lab.core.order(ME, wire_id)
    assert found is not None
    return found.status, str(found.qty)


def test_the_legs_wait_for_the_entry() -> None:
    lab = plain_book(Lab())
    bracket(lab, 100, "10.01")
    assert [terms(lab, one)[0] for one in "ETX"] == ["new"] * 3
    lab.hidden(S, 1003, 400)
    assert lab.traded() == [], "neither target nor stop works yet"
    lab.hidden(B, 1001, 5)
    assert lab.traded() == [("10.01", "5")]
    lab.hidden(B, 999, 1)
    assert lab.traded()[1:3] == [("10.01", "1"), ("10", "5")], "the stop sells what was bought when it was passed"
    assert terms(lab, "E") == ("cancelled", "100"), "and nothing more is bought"
    assert lab.traded()[3:] == [("10", "1")]
    assert lab.core.positions(ME) == ()


def test_the_stop_of_a_held_leg_is_moved_and_that_of_a_triggered_order_is_refused() -> None:
    lab = plain_book(Lab())
    bracket(lab, 100, "10.01")
    lab.amend("X", 100, stop="9.98")
    assert [str(one.stop) for one in lab.events if isinstance(one, Amended)] == ["9.98"]
    lab.hidden(B, 1001, 100)
    lab.hidden(B, 999, 1)
    assert terms(lab, "X")[0] == "new", "the old stop is passed, the new one is not"
    found = lab.core.order(ME, "X")
    assert found is not None
    assert str(found.stop) == "9.98"


def test_a_filled_entry_lets_both_work_and_one_ends_the_other() -> None:
    lab = plain_book(Lab())
    bracket(lab, 100, "10.02")
    assert lab.traded() == [("10.02", "100")]
    assert lab.core.queue_ahead(ME, "T") is not None, "the target stands in the queue"
    lab.add(9, B, 1003, 500)
    assert lab.traded()[1:] == [("10.03", "100")]
    assert (terms(lab, "T")[0], terms(lab, "X")[0]) == ("filled", "cancelled")
    assert lab.core.positions(ME) == ()
    assert not lab.core.open_orders(ME)


def test_the_stop_ends_the_target() -> None:
    lab = plain_book(Lab())
    bracket(lab, 100, "10.02")
    lab.hidden(B, 999, 1)
    assert lab.traded()[1:] == [("10", "100")]
    assert (terms(lab, "T")[0], terms(lab, "X")[0]) == ("cancelled", "filled")
    assert lab.core.positions(ME) == ()


def test_a_partial_entry_gives_partial_legs() -> None:
    lab = plain_book(Lab())
    bracket(lab, 200, "10.02")
    assert lab.traded() == [("10.02", "150")]
    lab.cancel("E")
    assert (terms(lab, "E")[0], terms(lab, "T"), terms(lab, "X")) == ("cancelled", ("new", "150"), ("new", "150"))
    told = [(event.wire_id, str(event.qty)) for event in lab.events if isinstance(event, Amended)]
    assert told == [("T", "150"), ("X", "150")], "and the client is told"
    lab.add(9, B, 1003, 60)
    assert terms(lab, "X") == ("new", "90"), "what the target sold is off the stop"
    lab.hidden(B, 999, 1)
    assert lab.core.positions(ME) == ()


def test_an_entry_that_ends_unfilled_ends_its_legs() -> None:
    lab = plain_book(Lab())
    bracket(lab, 100, "10.00")
    lab.cancel("E")
    assert [terms(lab, one)[0] for one in "ETX"] == ["cancelled"] * 3


def test_one_refused_member_refuses_all() -> None:
    lab = plain_book(Lab())
    bracket(lab, 100, "10.00", target="10.001")
    assert lab.names() == ["LINKED", "TICK", "LINKED"]
    assert not lab.core.open_orders(ME)


def test_a_mass_cancel_ends_a_group() -> None:
    lab = plain_book(Lab())
    bracket(lab, 100, "10.00")
    assert lab.core.cancel_all(ME) == 3
    lab.core.advance(lab.now)
    assert not lab.core.open_orders(ME)


def test_what_fills_of_one_peer_is_taken_off_the_other() -> None:
    lab = plain_book(Lab())
    pair(lab, spec(PEER, Side.BUY, 100, "10.00"), spec(PEER, Side.BUY, 100, stop="10.05"))
    lab.execute(1, 100)
    lab.hidden(B, 1000, 40)
    assert (terms(lab, "O1"), terms(lab, "O2")) == (("partially_filled", "100"), ("new", "60"))
    lab.hidden(B, 999, 60)
    assert terms(lab, "O2")[0] == "cancelled"


def test_in_a_fast_market_both_peers_fill() -> None:
    latency = msgspec.structs.replace(NO_LATENCY, cancel=Delay(10 * STEP))
    lab = plain_book(Lab(VenueConfig(latency=latency, cash={"USD": Money(1_000_000)})))
    pair(lab, spec(PEER, Side.BUY, 10, "10.00"), spec(PEER, Side.BUY, 10, stop="10.03"))
    lab.hidden(B, 999, 10)
    lab.hidden(S, 1003, 1)
    assert [terms(lab, one)[0] for one in ("O1", "O2")] == ["filled", "filled"]
    assert str(lab.core.positions(ME)[0].qty) == "20"


def test_a_killed_venue_gives_a_filled_entry_its_legs_when_it_comes_back() -> None:
    """The fill was remembered, what it set free was not yet."""
    lab = plain_book(Lab())
    bracket(lab, 100, "10.02")
    state = decoder(VenueState).decode(encode(lab.core.state()))
    for order in state.orders:
        if order.wire_id in {"T", "X"}:
            order.held, order.is_waiting, order.is_resting = order.qty, False, False
    again = VenueCore(FREE, lambda _account, _event: None, lambda _tick: None)
    again.list_instrument(ABC, "XNAS")
    again.load_state(state)
    assert again.queue_ahead(ME, "T") is None
    again.advance(lab.now)
    assert again.queue_ahead(ME, "T") == 0, "the target works"
    assert len(again.open_orders(ME)) == 2


def test_one_of_three_cancels_the_other_two() -> None:
    lab = plain_book(Lab())
    others = (spec(PEER, Side.BUY, 100, stop="10.05"), spec(PEER, Side.BUY, 100, "9.98"))
    linked = tuple(WireOrder(wire_id=f"O{at}", spec=one) for at, one in enumerate(others, 2))
    lab.core.submit_new(lab.now, ME, WireOrder(wire_id="O1", spec=spec(PEER, Side.BUY, 100, "10.00"), linked=linked))
    lab.core.advance(lab.now)
    lab.execute(1, 100)
    lab.hidden(B, 1000, 40)
    assert [terms(lab, one) for one in ("O2", "O3")] == [("new", "60"), ("new", "60")]
    lab.cancel("O3")
    assert [terms(lab, one)[0] for one in ("O1", "O2")] == ["partially_filled", "new"], "a cancel by hand ends no other"
    lab.hidden(B, 999, 60)
    assert [terms(lab, one)[0] for one in ("O1", "O2", "O3")] == ["filled", "cancelled", "cancelled"]


def test_in_a_fast_market_the_legs_of_a_bracket_sell_no_more_than_was_bought() -> None:
    """Target and stop are both reached before the venue takes one off the other: what is left of the position is the bound."""
    latency = msgspec.structs.replace(NO_LATENCY, cancel=Delay(10 * STEP))
    lab = plain_book(Lab(VenueConfig(latency=latency, cash={"USD": Money(1_000_000)})))
    bracket(lab, 100, "10.02")
    for _ in range(12):
        lab.hidden(B, 1000, 1)  # time for what the entry bought to reach its legs
    lab.add(9, B, 1003, 70)
    lab.hidden(B, 999, 1)
    assert lab.core.positions(ME) == ()
    assert sum(int(qty) for _, qty in lab.traded()[1:]) == 100


def test_a_cancel_that_comes_behind_the_fill_is_too_late_and_ends_nothing_twice() -> None:
    lab = plain_book(Lab())
    bracket(lab, 100, "10.02")
    lab.add(9, B, 1003, 500)
    lab.cancel("T")
    lab.cancel("X")
    assert [name for name in lab.names() if name == "TOO_LATE"] == ["TOO_LATE"] * 2
    assert lab.core.positions(ME) == ()
