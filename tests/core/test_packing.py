"""An order that ended long ago is packed, and still nothing of it is done twice, lost or taken for foreign."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain.money import Price, Qty
from engine.oms import broker_interface as bi
from tests.core.lab import ME, Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """An engine whose first order was filled in part and cancelled, and then packed with its family."""
    made = Lab(tmp_path)
    made.connect()
    store = made.engine.store
    store.idle_max, store.step = 0, 1
    store.fills.at_hand_max, store.fills.step = 0, 1
    assert made.buy(100, "189").ok
    wire_id = made.broker.sent[0].wire_id
    made.answer(made.ack(wire_id))
    made.answer(made.fill(wire_id, 40, "F1", "189"))
    made.submit(co.CancelOrder(source=ME, order_id="P1"))
    made.answer(bi.Cancelled(broker="paper", ts_ns=made.clock.now_ns(), wire_id=wire_id, qty_filled=Qty(40)))
    assert store.orders.packed_count == 2
    assert not dict(store.orders)
    return made


def test_its_intent_asked_again_sends_nothing(lab: Lab) -> None:
    again = lab.buy(100, "189")
    assert (again.repeated, again.order_id, again.state) == (True, "P1", lab.engine.store.get("P1").state)
    assert lab.buy(200, "189").code == "INTENT_REUSED"
    assert len(lab.broker.sent) == 1


def test_a_late_execution_is_booked_on_it(lab: Lab) -> None:
    wire_id = lab.broker.sent[0].wire_id
    lab.answer(lab.fill(wire_id, 10, "F2", "189"))
    child = lab.engine.store.get("C2")
    assert (child.qty_filled, child.parent is lab.engine.store.get("P1")) == (Qty(50), True)
    assert lab.engine.ledger.qty("PAPER", "AAPL") == Qty(50)
    assert lab.kinds()[-1] == "order_filled"
    assert lab.engine.ledger.conservation_faults() == []


def test_a_late_execution_that_names_only_the_venues_id_is_booked_on_it(lab: Lab) -> None:
    late = lab.fill("", 10, "F2", "189")
    named = msgspec.structs.replace(late.fill, venue_order_id=f"V{lab.broker.sent[0].wire_id}")
    lab.answer(msgspec.structs.replace(late, fill=named))
    assert lab.engine.store.get("P1").qty_filled == Qty(50)


def test_an_execution_told_again_is_not_booked_again(lab: Lab) -> None:
    rows = lab.kinds()
    again = lab.fill(lab.broker.sent[0].wire_id, 40, "F1", "189")
    known = next(fill for _, fill in lab.engine.store.fills.values())
    lab.answer(msgspec.structs.replace(again, fill=known))
    assert lab.kinds() == rows
    lab.answer(lab.fill(lab.broker.sent[0].wire_id, 41, "F1", "189"))
    assert "fill_conflict" in lab.kinds()
    assert lab.engine.ledger.qty("PAPER", "AAPL") == Qty(40)


def test_it_is_packed_again_after_a_look(lab: Lab) -> None:
    child = lab.engine.store.get("C2")
    assert (child.qty_filled, child.parent) == (Qty(40), lab.engine.store.get("P1"))
    assert lab.engine.store.orders.packed_count == 0
    lab.buy(1, "188", intent="other")
    assert lab.engine.store.orders.packed_count == 2
    assert child.parent is None, "a family in a circle stays in memory until the cyclic collector looks"


def test_an_amend_of_it_asked_again_is_told_and_a_refused_order_is_packed_too(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.connect()
    store = lab.engine.store
    store.idle_max, store.step = 0, 1
    lab.buy(100, "188")
    wire_id = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire_id))
    asked = co.AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(90))
    assert lab.submit(asked).ok
    now = lab.clock.now_ns()
    lab.answer(bi.Amended(broker="paper", ts_ns=now, wire_id=wire_id, qty=Qty(90), limit=Price("188")))
    lab.submit(co.CancelOrder(source=ME, order_id="P1"))
    lab.answer(bi.Cancelled(broker="paper", ts_ns=now, wire_id=wire_id))
    assert not lab.buy(1_000_000, "188", intent="too much").ok
    lab.buy(1, "187", intent="next")
    assert store.orders.packed_count == 3
    rows = lab.journal.head_seq
    again = lab.submit(asked)
    assert (again.repeated, again.order_id) == (True, "P1")
    assert lab.journal.head_seq == rows
