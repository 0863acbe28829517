"""Orders that belong together on their way through the engine: all are placed or none, in one message, once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain.instrument import make_instrument
from engine.domain.money import Price, Qty
from engine.domain.order import AlgoSpec, Link, LinkRole, OrderSpec, OrderType, Side, Tif
from engine.market.feed import QuoteTick
from engine.oms import broker_interface as bi
from tests.core.lab import AAPL, ME, Lab
from tests.core.test_engine import venue_order

ENTRY, LEG, PEER = LinkRole.ENTRY, LinkRole.LEG, LinkRole.PEER


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def spec(role: LinkRole, side: Side, limit: str | None = None, stop: str | None = None, qty: int = 100) -> OrderSpec:
    kind = OrderType.LIMIT if limit else OrderType.STOP
    return OrderSpec(
        symbol="AAPL", side=side, qty=Qty(qty), type=kind, tif=Tif.GTC, link=Link(role), reduce_only=role is LEG,
        limit=None if limit is None else Price(limit), stop=None if stop is None else Price(stop),
    )  # fmt: skip


def bracket(intent: str = "i1", **more: object) -> co.NewOrder:
    legs = (spec(LEG, Side.SELL, "191"), spec(LEG, Side.SELL, stop="187"))
    held: dict[str, object] = {"linked": legs, **more}
    return co.NewOrder(source=ME, intent_id=intent, spec=spec(ENTRY, Side.BUY, "189"), why="", **held)  # type: ignore[arg-type] # the fields a test gives


def test_a_bracket_leaves_as_one_message_once_all_of_it_is_on_disk(lab: Lab) -> None:
    result = lab.engine.submit(bracket())
    assert result.ok
    assert lab.broker.sent == []
    last = max(row.seq for row in lab.journal.read()) if not lab.journal.pending else 0
    assert last == 0, "nothing of it is on disk yet"
    lab.settle()
    assert [(order.spec.side, len(order.linked)) for order in lab.broker.sent] == [(Side.BUY, 2)]
    sent = lab.broker.sent[0]
    assert {one.spec.link.group for one in (sent, *sent.linked) if one.spec.link} == {result.order_id}
    assert len({one.wire_id for one in (sent, *sent.linked)}) == 3


def test_an_exit_says_whose_bracket_it_is(lab: Lab) -> None:
    entry = lab.submit(bracket()).order_id
    rows = [row for row in lab.engine.view().orders if not row.parent_id]
    assert sorted(row.flags for row in rows) == ["", *[f"reduce-only bracket {entry}"] * 2]


def test_asked_again_nothing_more_is_sent(lab: Lab) -> None:
    first = lab.submit(bracket())
    again = lab.submit(bracket())
    assert (again.repeated, again.order_id, len(lab.broker.sent)) == (True, first.order_id, 1)
    other = lab.submit(bracket(linked=(spec(LEG, Side.SELL, "192"), spec(LEG, Side.SELL, stop="187"))))
    assert other.code == "INTENT_REUSED"


def test_one_denied_member_stops_all(lab: Lab) -> None:
    """A stop off the tick: its entry must not be bought without it."""
    result = lab.submit(bracket(linked=(spec(LEG, Side.SELL, "191"), spec(LEG, Side.SELL, stop="187.001"))))
    assert (result.ok, result.code) == (False, "TICK")
    assert lab.broker.sent == []
    assert not lab.engine.store.parents_open


def test_what_is_to_be_held_back_is_not_placed_because_it_belongs_together(lab: Lab) -> None:
    result = lab.submit(bracket(staged=True))
    assert (result.ok, result.code) == (False, "LINK_STAGED")
    assert not lab.broker.sent
    assert not lab.engine.store.parents_open


def test_a_preview_names_the_member_that_stops_all(lab: Lab) -> None:
    legs = (spec(LEG, Side.SELL, "191"), spec(LEG, Side.SELL, stop="187.001"))
    told = lab.engine.what_if(co.Preview(source=ME, spec=spec(ENTRY, Side.BUY, "189"), linked=legs))
    assert (told.ok, [denial.code for denial in told.denials]) == (False, ["TICK"])
    alone = lab.engine.what_if(co.Preview(source=ME, spec=spec(ENTRY, Side.BUY, "189")))
    assert not alone.ok, "an entry without its exits"


@pytest.mark.parametrize(
    "linked",
    [
        (),
        (spec(PEER, Side.SELL, "191"),),
        (spec(LEG, Side.BUY, "191"),),
        (spec(LEG, Side.SELL, "191", qty=50),),
        tuple(spec(LEG, Side.SELL, f"{191 + at}") for at in range(10)),
        (msgspec.structs.replace(spec(LEG, Side.SELL, "191"), account="OTHER"),),
        (msgspec.structs.replace(spec(LEG, Side.SELL, "191"), algo=AlgoSpec("twap", duration_ns=1_000_000_000)),),
    ],
)
def test_what_is_no_group_is_refused(lab: Lab, linked: tuple[OrderSpec, ...]) -> None:
    result = lab.submit(bracket(linked=linked))
    assert (result.ok, result.code) == (False, "LINK_BAD")
    assert lab.broker.sent == []


def test_a_venue_that_knows_no_links_is_denied(lab: Lab) -> None:
    lab.broker.capabilities = msgspec.structs.replace(lab.broker.capabilities, links=False)
    assert lab.submit(bracket()).code == "FLAG_UNSUPPORTED"


def test_a_trip_between_disk_and_wire_kills_the_whole_group(lab: Lab) -> None:
    lab.engine.submit(bracket())
    lab.engine.submit(co.Halt(source=ME, why="stop"))
    lab.settle()
    assert lab.broker.sent == []
    assert {order.state.value for order in lab.engine.store.orders.values() if not order.is_parent} == {"killed"}


def test_a_latch_tripped_between_disk_and_wire_kills_the_whole_group(lab: Lab) -> None:
    """By another process: no command reaches this engine, only the latch that it reads again at the call."""
    lab.engine.submit(bracket())
    seq = lab.journal.commit()
    lab.latch.trip(co.HaltScope())
    lab.engine.release(seq)
    assert lab.broker.sent == []
    assert [order.state.value for order in lab.engine.store.orders.values() if not order.is_parent] == ["killed"] * 3


def test_a_latch_tripped_for_one_member_kills_the_whole_group(tmp_path: Path) -> None:
    """Peers may be of two symbols: none of them leaves where one may not."""
    msft = make_instrument("MSFT", "equity", "XSIM", "USD", "0.01")
    lab = Lab(tmp_path, listed=(AAPL, msft))
    lab.connect()
    lab.engine.on_market(QuoteTick("MSFT", "XSIM", lab.clock.now_ns(), 1, 18900, 500, 18902, 500))
    first = spec(PEER, Side.BUY, "189")
    command = co.NewOrder(
        source=ME, intent_id="i1", spec=first, linked=(msgspec.structs.replace(first, symbol="MSFT"),), why=""
    )
    assert lab.engine.submit(command).ok
    seq = lab.journal.commit()
    lab.latch.trip(co.HaltScope(co.HaltScopeKind.SYMBOL, "MSFT"))
    lab.engine.release(seq)
    assert lab.broker.sent == []
    assert [order.state.value for order in lab.engine.store.orders.values() if not order.is_parent] == ["killed"] * 2


def test_a_cancel_before_it_left_ends_the_whole_group(lab: Lab) -> None:
    result = lab.engine.submit(bracket())
    lab.submit(co.CancelOrder(source=ME, order_id=result.order_id))
    assert lab.broker.sent == []
    assert not lab.engine.store.live


def legs_of(lab: Lab) -> tuple[str, str, str]:
    sent = lab.broker.sent[0]
    return sent.wire_id, sent.linked[0].wire_id, sent.linked[1].wire_id


def test_an_exit_that_a_halt_keeps_is_shown_as_working(lab: Lab) -> None:
    """Its parent sends nothing more, and nobody cancels it: a word of a cancel would be a false alarm."""
    result = lab.engine.submit(bracket())
    lab.settle()
    for wire_id in legs_of(lab):
        lab.answer(lab.ack(wire_id))
    lab.answer(lab.fill(legs_of(lab)[0], 100, "k1"))
    lab.submit(co.Halt(source=ME, why="odd"))
    kept = [order for order in lab.engine.store.orders.values() if order.spec.reduce_only]
    assert [order.state.value for order in kept] == ["new"] * 4, "two parents and their children"
    assert all(parent.stopping for parent in kept if parent.is_parent)
    lab.submit(co.CancelOrder(source=ME, order_id=kept[0].order_id))
    assert kept[0].state.value == "pending_cancel"
    assert result.ok


def test_the_venue_may_make_a_leg_smaller(lab: Lab) -> None:
    lab.submit(bracket())
    for wire_id in legs_of(lab):
        lab.answer(lab.ack(wire_id))
    leg = lab.engine.store.by_wire[legs_of(lab)[1]]
    now = lab.clock.now_ns()
    lab.answer(bi.Amended(broker="paper", ts_ns=now, wire_id=leg.wire_id, qty=Qty(60), limit=Price("191")))
    assert leg.worst_qty == 60
    lab.answer(bi.Amended(broker="paper", ts_ns=now, wire_id=leg.wire_id, qty=Qty(80), limit=Price("191")))
    assert leg.worst_qty == 60, "but never larger without being asked"
    assert lab.kinds()[-1] == "illegal_input"


def test_a_lost_word_of_that_is_found_by_the_comparison(lab: Lab) -> None:
    lab.submit(bracket())
    for wire_id in legs_of(lab):
        lab.answer(lab.ack(wire_id))
    entry, target, stop = legs_of(lab)
    lab.pass_time(11)
    sell = {"side": Side.SELL, "reduce_only": True}
    orders = (
        venue_order(entry, limit=Price("189"), qty=Qty(100), qty_filled=Qty(60), is_open=False, status="cancelled"),
        venue_order(target, limit=Price("191"), qty=Qty(60), **sell),
        venue_order(stop, limit=None, stop=Price("187"), type=OrderType.STOP, qty=Qty(60), **sell),
    )
    fills = (lab.fill(entry, 60, "k1", "189").fill,)
    held = (bi.VenuePosition("AAPL", Qty(60)),)
    cash = {"USD": lab.snapshot().cash["USD"] - 60 * 189}
    lab.answer(lab.snapshot(orders=orders, fills=fills, positions=held, cash=cash))
    assert [lab.engine.store.by_wire[one].worst_qty for one in (target, stop)] == [60, 60]


def test_the_size_of_a_member_is_not_amended_but_its_price_is(lab: Lab) -> None:
    lab.submit(bracket())
    for wire_id in legs_of(lab):
        lab.answer(lab.ack(wire_id))
    stop = lab.engine.store.by_wire[legs_of(lab)[2]].parent_id
    sized = lab.submit(co.AmendOrder(source=ME, intent_id="a1", order_id=stop, qty=Qty(50)))
    moved = lab.submit(co.AmendOrder(source=ME, intent_id="a2", order_id=stop, stop=Price("188")))
    assert (sized.ok, moved.ok, len(lab.broker.amends)) == (False, True, 1)
    assert lab.kinds().count("illegal_input") == 1
    assert lab.engine.view().status.illegal_inputs == 0, "a person's wish is nothing that a venue sent"


def test_the_preview_of_another_size_of_a_member_is_refused_as_the_amendment_is(lab: Lab) -> None:
    entry = lab.submit(bracket()).order_id
    for wire_id in legs_of(lab):
        lab.answer(lab.ack(wire_id))
    alone = msgspec.structs.replace(spec(ENTRY, Side.BUY, "189", qty=50), link=None)
    told = lab.engine.what_if(co.Preview(source=ME, spec=alone, order_id=entry))
    done = lab.submit(co.AmendOrder(source=ME, intent_id="a1", order_id=entry, qty=Qty(50)))
    assert (told.ok, told.code) == (done.ok, done.code) == (False, "ILLEGAL")
    assert "the size of an order that belongs to others cannot be changed" in told.text
    same = lab.engine.what_if(co.Preview(source=ME, spec=msgspec.structs.replace(alone, qty=Qty(100)), order_id=entry))
    assert same.ok, "its price may move"
