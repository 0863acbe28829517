"""What the laboratory found, each as the shortest story that shows it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import events as ev
from engine.domain.money import Money, Price, Qty
from engine.domain.movements import Movement, MovementKind
from engine.domain.order import OrderType, Side, Tif
from engine.oms import broker_interface as bi
from tests.core.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    look_again(made)  # the next one is ten seconds away: what a test does before it is old enough to be listed
    return made


def seen(lab: Lab, wire_id: str, qty_filled: int, status: str) -> bi.VenueOrder:
    """An order of 100 as the venue lists it."""
    return bi.VenueOrder(
        wire_id=wire_id,
        venue_order_id=f"V{wire_id}",
        symbol="AAPL",
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=Tif.DAY,
        qty=Qty(100),
        qty_filled=Qty(qty_filled),
        limit=Price("189.10"),
        is_open=status in {"new", "partially_filled"},
        status=status,
    )


def look_again(lab: Lab, **parts: object) -> None:
    """The next periodic comparison, answered with these parts."""
    asked = len(lab.broker.asked)
    while len(lab.broker.asked) == asked:
        lab.pass_time(1)
    lab.answer(lab.snapshot(**parts))


def test_a_recheck_that_is_due_does_not_keep_the_driver_spinning_while_the_line_is_down(lab: Lab) -> None:
    lab.buy(100, "189.00")
    wire_id = lab.broker.sent[-1].wire_id
    now = lab.clock.now_ns()
    lab.answer(bi.Uncertain(broker="paper", ts_ns=now, wire_id=wire_id, why="no answer"))
    lab.answer(bi.ChannelChanged(broker="paper", ts_ns=now, state=ev.BrokerState.DOWN, why="gone"))
    lab.pass_time(5)
    assert lab.engine.next_time_ns() > lab.clock.now_ns()


def test_a_bust_that_nobody_heard_of_is_explained_by_two_lists_of_the_venue(lab: Lab) -> None:
    lab.buy(100, "189.10")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    lab.answer(lab.fill(wire_id, 60, "k1"))
    lab.answer(lab.fill(wire_id, 40, "k2"))
    kept = next(fill for _, fill in lab.engine.store.fills.values() if fill.fill_key == "k1")
    held = (bi.VenuePosition("AAPL", Qty(60)),)
    cash = {"USD": Money("1000000") - Money("189.02") * 60}
    look_again(lab, fills=(kept,), positions=held, cash=cash, orders=(seen(lab, wire_id, 60, "filled"),))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 60
    assert lab.engine.reconciler.last["paper", "PAPER"].clean
    assert lab.engine.ledger.conservation_faults() == []


def test_an_execution_missing_in_one_list_only_stays_booked_and_is_shown(lab: Lab) -> None:
    lab.buy(100, "189.10")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    lab.answer(lab.fill(wire_id, 100, "k1"))
    cash = {"USD": Money("1000000") - Money("189.02") * 100}
    held = (bi.VenuePosition("AAPL", Qty(100)),)
    look_again(lab, positions=held, cash=cash)
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 100
    look_again(lab, positions=(bi.VenuePosition("AAPL", Qty(90)),), cash=cash)
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 100
    assert not lab.engine.reconciler.last["paper", "PAPER"].clean


def test_a_bust_of_before_a_split_that_nobody_heard_of_is_explained_in_new_units(lab: Lab) -> None:
    """Seed 200333 again, with the engine dead when the venue undid it: 20 old shares are 40 new ones."""
    lab.buy(100, "189.10")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    lab.answer(lab.fill(wire_id, 80, "k1"))
    lab.answer(lab.fill(wire_id, 20, "k2"))
    kept = next(fill for _, fill in lab.engine.store.fills.values() if fill.fill_key == "k1")
    split = Movement(
        broker="paper", account="PAPER", key="s1", kind=MovementKind.SPLIT, ts_ns=lab.clock.now_ns() + 1, symbol="AAPL", ratio=(2, 1),
        qty=Qty(200),
    )  # fmt: skip
    lab.answer(bi.Moved(broker="paper", ts_ns=lab.clock.now_ns(), movement=split))
    held = (bi.VenuePosition("AAPL", Qty(160)),)
    cash = {"USD": Money("1000000") - Money("189.02") * 80}
    orders = (seen(lab, wire_id, 80, "filled"),)
    look_again(lab, fills=(kept,), positions=held, cash=cash, orders=orders, movements=(split,))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 160
    assert lab.engine.reconciler.last["paper", "PAPER"].clean
    assert lab.engine.ledger.conservation_faults() == []


def test_new_terms_that_a_split_gave_an_order_are_learned_from_the_venues_list(lab: Lab) -> None:
    """The venue's word of them was lost; without the split, other terms than ours are not taken over in silence."""
    lab.buy(100, "189.10")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    order = lab.engine.store.by_wire[wire_id]
    new = msgspec.structs.replace(seen(lab, wire_id, 0, "new"), qty=Qty(200), limit=Price("94.55"))
    look_again(lab, orders=(new,))
    assert (order.qty, order.limit) == (Qty(100), Price("189.10"))
    split = Movement(
        broker="paper", account="PAPER", key="s1", kind=MovementKind.SPLIT, ts_ns=lab.clock.now_ns(), symbol="AAPL", ratio=(2, 1),
        qty=Qty(0),
    )  # fmt: skip
    look_again(lab, orders=(new,), movements=(split,))
    assert (order.qty, order.limit, order.worst_qty) == (Qty(200), Price("94.55"), Qty(200))


def test_an_order_that_ended_filled_with_a_busted_part_does_not_wait_for_it_for_ever(lab: Lab) -> None:
    lab.buy(100, "189.10")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    lab.answer(lab.fill(wire_id, 60, "k1"))
    cash = {"USD": Money("1000000") - Money("189.02") * 60}
    fills = tuple(fill for _, fill in lab.engine.store.fills.values())
    parts = {"positions": (bi.VenuePosition("AAPL", Qty(60)),), "cash": cash, "fills": fills}
    look_again(lab, orders=(seen(lab, wire_id, 60, "filled"),), **parts)
    assert lab.engine.store.by_wire[wire_id].state.value == "cancelled"


def test_executions_that_are_really_missing_are_waited_for_and_told_once(lab: Lab) -> None:
    lab.buy(100, "189.10")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    orders = (seen(lab, wire_id, 100, "filled"),)
    look_again(lab, orders=orders)
    look_again(lab, orders=orders)
    look_again(lab, orders=orders)
    assert lab.engine.store.by_wire[wire_id].state.value == "unknown"
    assert lab.kinds().count("order_unknown") == 1


def test_a_cancel_that_never_left_goes_out_when_its_order_is_found(lab: Lab) -> None:
    """Seeds 172, 416 and 930: asked for while nobody knew of the order and there was no line, it was waited for for ever."""
    lab.buy(100, "189.00")
    wire_id = lab.broker.sent[-1].wire_id
    now = lab.clock.now_ns()
    lab.answer(bi.Uncertain(broker="paper", ts_ns=now, wire_id=wire_id, why="the line dropped"))
    lab.answer(bi.ChannelChanged(broker="paper", ts_ns=now, state=ev.BrokerState.DOWN, why="gone"))
    order = lab.engine.store.by_wire[wire_id]
    lab.engine.orders.cancel(order, "cancel all")
    lab.answer(bi.CancelRefused(broker="paper", ts_ns=now, wire_id=wire_id, code="NOT_SENT", text="no line"))
    lab.broker.cancels.clear()
    lab.answer(bi.ChannelChanged(broker="paper", ts_ns=now, state=ev.BrokerState.RESYNCING, why="back"))
    lab.answer(lab.snapshot(orders=(seen(lab, wire_id, 0, "new"),)))
    assert lab.broker.cancels == [wire_id]


@pytest.mark.parametrize("kind", [bi.Cancelled, bi.Expired])
def test_an_order_that_ended_with_an_execution_on_its_way_counts_until_it_is_here(
    lab: Lab, kind: type[bi.Cancelled]
) -> None:
    """Seed 916: the cancel was confirmed, the execution before it came late, and its schedule had sent that quantity again."""
    lab.buy(100, "189.10")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    order = lab.engine.store.by_wire[wire_id]
    lab.answer(kind(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire_id, qty_filled=Qty(60)))
    assert (order.state.value, order.worst_qty) == ("unknown", Qty(100))
    assert "executions are missing" in order.note
    lab.answer(lab.fill(wire_id, 60, "k1"))
    assert (order.state.value, order.worst_qty) == ("unknown", Qty(40))
    cash = {"USD": Money("1000000") - Money("189.02") * 60}
    fills = tuple(fill for _, fill in lab.engine.store.fills.values())
    parts = {"positions": (bi.VenuePosition("AAPL", Qty(60)),), "cash": cash, "fills": fills}
    look_again(lab, orders=(seen(lab, wire_id, 60, "cancelled"),), **parts)
    assert (order.state.value, order.worst_qty) == ("cancelled", Qty(0))


def test_a_confirmed_cancel_with_all_its_executions_here_ends_the_order(lab: Lab) -> None:
    lab.buy(100, "189.10")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    lab.answer(lab.fill(wire_id, 60, "k1"))
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire_id, qty_filled=Qty(60)))
    assert lab.engine.store.by_wire[wire_id].state.value == "cancelled"
