"""Answers that an order's state does not allow: journaled as illegal inputs, and nothing else follows from them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain.money import Price, Qty
from engine.oms import broker_interface as bi
from engine.store.order import Order
from tests.core.lab import ME, Lab
from tests.core.test_combos import PairLab, legs, order


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def sent(lab: Lab) -> str:
    """Wire id of a resting order that has left."""
    lab.buy(100, "189.00")
    return lab.broker.sent[-1].wire_id


def rejected(lab: Lab, wire: str) -> bi.Rejected:
    return bi.Rejected(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, code="NO", text="no")


def uncertain(lab: Lab, wire: str) -> bi.Uncertain:
    return bi.Uncertain(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, why="no answer")


def held(lab: Lab) -> tuple[object, ...]:
    """Every field of the one child, and the books."""
    child = lab.engine.store.get("P1").children[0]
    ledger = lab.engine.ledger
    return (*(getattr(child, name) for name in Order.__slots__), ledger.qty("PAPER", "AAPL"), dict(ledger.cash))


def assert_illegal(lab: Lab, event: bi.BrokerEvent) -> None:
    """It is noted, and order and books are what they were."""
    before, rows = held(lab), len(lab.kinds())
    lab.answer(event)
    assert lab.kinds()[rows:] == ["illegal_input"]
    assert held(lab) == before


def test_what_was_acknowledged_and_then_lost_sight_of_cannot_be_rejected(lab: Lab) -> None:
    """The venue had it: a rejection says that it never did, and one of the two is wrong. Its worst case stays counted."""
    wire = sent(lab)
    lab.answer(lab.ack(wire))
    lab.answer(uncertain(lab, wire))
    assert_illegal(lab, rejected(lab, wire))


def test_what_was_filled_in_part_cannot_be_rejected(lab: Lab) -> None:
    wire = sent(lab)
    lab.answer(uncertain(lab, wire))
    lab.answer(lab.fill(wire, 40, "a"))
    assert_illegal(lab, rejected(lab, wire))


def test_a_second_acknowledgement_changes_no_id(lab: Lab) -> None:
    wire = sent(lab)
    lab.answer(lab.ack(wire))
    assert_illegal(lab, bi.Acked(broker="paper", ts_ns=lab.clock.now_ns() + 5, wire_id=wire, venue_order_id="other"))


def test_an_amendment_to_nothing_is_none(lab: Lab) -> None:
    wire = sent(lab)
    lab.answer(lab.ack(wire))
    lab.submit(co.AmendOrder(source=ME, intent_id="i2", order_id="P1", qty=Qty(50)))
    assert lab.broker.amends == [wire]
    answer = bi.Amended(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, qty=Qty(0), limit=Price("189"))
    assert_illegal(lab, answer)


@pytest.mark.parametrize("changes", [{"symbol": "MSFT"}, {"broker": "other"}, {"fill_key": "b"}])
def test_an_execution_of_another_symbol_or_broker_is_not_undone_for_its_number(
    lab: Lab, changes: dict[str, str]
) -> None:
    """Numbers of executions are a venue's own, and start anew with each symbol at some."""
    wire = sent(lab)
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 40, "a"))
    undone = bi.Busted(broker="paper", ts_ns=lab.clock.now_ns(), fill_key="a", symbol="AAPL")
    assert_illegal(lab, msgspec.structs.replace(undone, **changes))
    lab.answer(undone)
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 0


def test_a_halt_of_one_legs_symbol_kills_the_whole_combination_at_once(tmp_path: Path) -> None:
    """Not at the hand-over only, for which a stalled disk may keep it waiting."""
    lab = PairLab(tmp_path)
    assert lab.engine.submit(order(legs())).ok
    lab.engine.submit(co.Halt(source=ME, why="stop", scope=co.HaltScope(co.HaltScopeKind.SYMBOL, "MSFT")))
    children = [one for one in lab.engine.store.orders.values() if not one.is_parent]
    assert [one.state.value for one in children] == ["killed", "killed"]
    lab.settle()
    assert lab.broker.sent == []
