"""What one check decides at one instant is one row of the journal, and everybody is told each of the events it holds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.money import Price, Qty
from engine.domain.order import AlgoSpec, OrderSpec, OrderType, Side, Source, SourceKind
from engine.oms import broker_interface as bi
from engine.risk.latch import Latch
from engine.store.order_store import OrderStore
from tests.core.lab import ME, Lab

SCRIPT = Source(SourceKind.STRATEGY, "script")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def since(lab: Lab, count: int) -> list[ev.AnyEvent]:
    return [ev.decode_event(row.payload) for row in lab.journal.read()][count:]


def wish(side: Side = Side.BUY, why: str = "", intent: str = "i1", *, staged: bool = False) -> co.NewOrder:
    spec = OrderSpec(symbol="AAPL", side=side, qty=Qty(100), type=OrderType.LIMIT, limit=Price("189.00"))
    return co.NewOrder(source=SCRIPT, intent_id=intent, spec=spec, why=why, staged=staged)


def test_an_order_is_one_row_that_holds_command_acceptance_and_intent(lab: Lab) -> None:
    before = lab.journal.head_seq
    told = lab.submit(wish(why="a signal"))
    assert (told.ok, told.order_id, told.state) == (True, "P1", "pending_new")
    (placed,) = since(lab, before)
    assert isinstance(placed, ev.OrderPlaced)
    asked, accepted, intent = ev.parts_of(placed)
    assert asked == ev.CommandReceived(command=wish(why="a signal"))
    assert isinstance(accepted, ev.ParentAccepted)
    assert isinstance(intent, ev.OrderIntent)
    assert (accepted.order_id, accepted.intent_id, accepted.decision.why) == ("P1", "i1", "a signal")
    assert (intent.order_id, intent.parent_id, intent.decision.why) == ("C2", "P1", "the whole order at once")
    assert intent.decision.quote == accepted.decision.quote is not None
    assert [order.wire_id for order in lab.broker.sent] == [intent.wire_id]
    assert lab.engine.store.asked("i1") == wish(why="a signal")
    words = [line.word for line in lab.engine.view().log[-2:]]
    assert words == ["NEW", "SEND"], "the log tells both, as ever"


def test_a_short_sale_is_marked_on_the_order_and_on_what_leaves(lab: Lab) -> None:
    lab.submit(wish(Side.SELL, "a signal"))
    store = lab.engine.store
    assert store.get("P1").why == "a signal; marked short"
    assert store.get("C2").why == "the whole order at once; marked short"


def test_a_short_sale_that_was_staged_is_marked_too(lab: Lab) -> None:
    lab.submit(wish(Side.SELL, "a signal", staged=True))
    assert lab.submit(co.ReleaseOrder(source=ME, order_id="P1")).ok
    store = lab.engine.store
    assert store.get("P1").why == "a signal; marked short"
    assert store.get("C2").why == "the whole order at once; marked short"


def test_a_denied_order_leaves_its_command_and_its_denial(lab: Lab) -> None:
    lab.engine.trip(co.HaltScope(co.HaltScopeKind.SYMBOL, "AAPL"), ev.TradingState.HALTED, "TEST", "a test")
    lab.settle()
    before = lab.journal.head_seq
    assert not lab.submit(wish()).ok
    asked, denied = since(lab, before)
    assert isinstance(asked, ev.CommandReceived)
    assert isinstance(denied, ev.OrderDenied)
    assert lab.broker.sent == []


def test_what_waits_for_its_turn_goes_first_and_then_there_are_steps(lab: Lab) -> None:
    lab.engine.agent.calls.append(("P99", "child", "C98"))
    before = lab.journal.head_seq
    assert lab.submit(wish()).ok
    assert [type(event) for event in since(lab, before)] == [ev.CommandReceived, ev.ParentAccepted, ev.OrderIntent]


@pytest.mark.parametrize("algo", [AlgoSpec(), AlgoSpec("twap", duration_ns=60 * NS_PER_S)], ids=["direct", "twap"])
def test_a_child_with_a_row_of_its_own_is_judged_by_itself(lab: Lab, tmp_path: Path, algo: AlgoSpec) -> None:
    """What its parent passed a moment before counts for nothing: another process may have tripped the latch since."""
    agent, spec = lab.engine.agent, msgspec.structs.replace(wish().spec, algo=algo)
    verdict = agent.judge("P1", spec, SCRIPT, "i1")
    agent.begin("P1", spec, SCRIPT, "i1", verdict, "")
    other = Latch.attach(tmp_path / "latch")
    other.tighten(co.HaltScope(co.HaltScopeKind.SYMBOL, "AAPL"), ev.TradingState.HALTED)
    other.close()
    agent.pump()
    lab.settle()
    assert verdict.ok
    assert lab.broker.sent == []
    (child,) = lab.engine.store.get("P1").children
    assert (child.state, child.denials[0].code) == ("denied", "HALTED")


@pytest.mark.parametrize(("state", "goes_on"), [(ev.TradingState.HALTED, False), (ev.TradingState.ACTIVE, True)])
def test_a_schedule_that_another_process_halts_sends_no_further_child(
    lab: Lab, tmp_path: Path, state: ev.TradingState, *, goes_on: bool
) -> None:
    spec = msgspec.structs.replace(wish().spec, algo=AlgoSpec("twap", duration_ns=60 * NS_PER_S))
    assert lab.submit(co.NewOrder(source=SCRIPT, intent_id="i1", spec=spec, why="")).ok
    assert len(lab.broker.sent) == 1
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    other = Latch.attach(tmp_path / "latch")
    other.tighten(co.HaltScope(), state)
    other.close()
    lab.answer(lab.fill(wire, int(lab.broker.sent[0].spec.qty), "k1", "189.00"))
    lab.pass_time(30)
    assert (len(lab.broker.sent) > 1) is goes_on


def test_a_cancel_of_an_order_at_the_venue_is_one_row(lab: Lab) -> None:
    lab.submit(wish())
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    before = lab.journal.head_seq
    asked = co.CancelOrder(source=ME, order_id="P1")
    told = lab.submit(asked)
    assert (told.ok, told.order_id, told.state) == (True, "P1", "pending_cancel")
    (cancel,) = since(lab, before)
    why = f"cancelled by {ME.name}"
    assert isinstance(cancel, ev.CancelPlaced)
    assert ev.parts_of(cancel) == (
        ev.CommandReceived(command=asked),
        ev.ParentStopping(order_id="P1", why=why),
        ev.CancelIntent(order_id="C2", why=why),
    )
    assert lab.broker.cancels == [wire]
    assert lab.engine.store.get("P1").stopping
    lab.submit(asked)
    assert lab.broker.cancels == [wire, wire], "asked again, a cancel goes out again"
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, why=""))
    assert (lab.state("P1"), lab.state("C2")) == ("cancelled", "cancelled")


def test_a_cancel_waits_for_no_disk(lab: Lab) -> None:
    lab.submit(wish())
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    lab.engine.submit(co.CancelOrder(source=ME, order_id="P1"))
    assert lab.journal.pending, "its row is not on disk yet"
    assert len(lab.broker.cancels) == 1


def test_a_cancel_of_what_has_not_left_kills_it_and_nothing_is_sent(lab: Lab) -> None:
    lab.engine.submit(wish())
    lab.engine.submit(co.CancelOrder(source=ME, order_id="P1"))
    lab.settle()
    assert (lab.broker.sent, lab.broker.cancels) == ([], [])
    assert (lab.state("P1"), lab.state("C2")) == ("killed", "killed")


def test_an_amend_is_one_row_with_its_command(lab: Lab) -> None:
    lab.submit(wish())
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    before = lab.journal.head_seq
    asked = co.AmendOrder(source=SCRIPT, intent_id="a1", order_id="P1", limit=Price("188.90"))
    lab.engine.submit(asked)
    lab.engine.release(lab.journal.durable_seq)
    assert lab.broker.amends == [], "it waits for the disk"
    lab.settle()
    assert lab.broker.amends == [wire]
    (placed,) = since(lab, before)
    assert isinstance(placed, ev.AmendPlaced)
    assert ev.parts_of(placed) == (ev.CommandReceived(command=asked), placed.intent)
    assert (placed.intent.order_id, placed.intent.qty, placed.intent.limit) == ("C2", Qty(100), Price("188.90"))
    assert lab.engine.store.asked("a1") == asked


def test_an_amend_that_is_denied_leaves_its_command_and_its_denial(lab: Lab) -> None:
    lab.submit(wish())
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    before = lab.journal.head_seq
    asked = co.AmendOrder(source=SCRIPT, intent_id="a1", order_id="P1", limit=Price("500.00"))
    assert not lab.submit(asked).ok
    assert [type(event) for event in since(lab, before)] == [ev.CommandReceived, ev.OrderDenied]
    assert lab.broker.amends == []


def test_who_applies_rows_by_hand_gets_the_same_orders(lab: Lab) -> None:
    lab.submit(wish())
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.submit(co.AmendOrder(source=SCRIPT, intent_id="a1", order_id="P1", limit=Price("188.90")))
    lab.submit(co.CancelOrder(source=ME, order_id="P1"))
    again = OrderStore()
    for row in lab.journal.read():
        again.apply(row.seq, row.ts_ns, ev.decode_event(row.payload))
    store = lab.engine.store
    assert {name: again.get(name).state for name in ("P1", "C2")} == {"P1": "pending_cancel", "C2": "pending_cancel"}
    assert again.get("C2").amend == store.get("C2").amend is not None
    assert again.asked("i1") == wish()
    assert again.open_qty("PAPER", "AAPL", Side.BUY) == store.open_qty("PAPER", "AAPL", Side.BUY) == 100
