"""A ledger that takes no writes any more: wherever it strikes nothing leaves, nothing raises, cancels go, and it is said."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.commands import HaltScope
from engine.domain.money import Price, Qty
from engine.domain.order import AlgoSpec
from engine.oms import broker_interface as bi
from engine.store.journal import Journal
from tests.core.lab import ME, START_NS, Lab

WHY = "the disk is full; free space, then start again"
NEVER = 10**9


class FailingJournal(Journal):
    """Takes no row from a sequence number on, as after a failed commit."""

    fail_at = NEVER

    def append(self, ts_ns: int, event: ev.AnyEvent) -> int:
        if self.head_seq + 1 >= self.fail_at:
            self.failed = WHY
        return super().append(ts_ns, event)

    def commit(self) -> int:
        return self.durable_seq if self.failed else super().commit()


def fail(lab: Lab) -> None:
    lab.journal.failed = WHY


def day_at_the_desk(lab: Lab) -> None:
    """Commands, answers and time, as they come; none of it may raise."""
    lab.connect()
    lab.buy(100, "188.00")
    for order in list(lab.broker.sent):
        lab.answer(lab.ack(order.wire_id))
        lab.answer(lab.fill(order.wire_id, 40, f"k{order.wire_id}"))
    lab.submit(co.AmendOrder(source=ME, intent_id="a1", order_id="P1", limit=Price("187.90")))
    for wire_id in list(lab.broker.amends):
        now = lab.clock.now_ns()
        lab.answer(bi.Amended(broker="paper", ts_ns=now, wire_id=wire_id, qty=Qty(100), limit=Price("187.90")))
    lab.submit(co.AmendOrder(source=ME, intent_id="a2", order_id="P1", qty=Qty(150)))
    lab.submit(co.CancelOrder(source=ME, order_id="P1"))
    assert [order.wire_id for order in lab.broker.sent] == lab.broker.cancels, (
        "what left is asked back, disk or no disk"
    )
    lab.buy(500, intent="i2", algo=AlgoSpec(name="twap", duration_ns=60_000_000_000))
    lab.pass_time(8)
    lab.submit(co.CancelAll(source=ME))
    for wire_id in list(lab.broker.cancels):
        lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire_id, why=""))
    lab.submit(co.SetStrategy(source=ME, name="BuyTheDip", on=True, params={"symbol": "AAPL"}))
    lab.pass_time(2)
    lab.submit(co.Halt(source=ME, why="enough"))
    lab.engine.stop("asked")


def test_wherever_it_fails_nothing_raises_and_only_durable_intents_left(tmp_path: Path) -> None:
    whole = Lab(tmp_path)
    day_at_the_desk(whole)
    rows = whole.journal.head_seq
    assert rows > 35
    for number in range(8, rows + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        journal = FailingJournal.open_memory(START_NS, "TEST0", "USD")
        lab = Lab(folder, journal=journal)
        journal.fail_at = number  # type: ignore[attr-defined] # the fake's own
        day_at_the_desk(lab)
        intents = {
            event.wire_id
            for row in journal.read()
            for event in ev.parts_of(ev.decode_event(row.payload))
            if isinstance(event, ev.OrderIntent)
        }
        assert {order.wire_id for order in lab.broker.sent} <= intents, number
        assert lab.latch.read() is ev.TradingState.HALTED
        status = lab.engine.view().status
        assert status.ledger_error == WHY
        assert status.halt.state == "halted"
        assert not status.halt.durable


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    made.buy(100, "188.00")
    made.answer(made.ack(made.broker.sent[0].wire_id))
    return made


def test_orders_are_refused_with_the_reason_and_the_next_step(lab: Lab) -> None:
    fail(lab)
    for command in (
        co.ReleaseOrder(source=ME, order_id="P9"),
        co.ReloadPolicy(source=ME),
        co.Rearm(source=ME, scope=HaltScope(), word="REARM", reason="x"),
        co.Reconcile(source=ME),
    ):
        result = lab.engine.submit(command)
        assert (result.ok, result.code) == (False, "LEDGER_UNHEALTHY")
    refused = lab.engine.submit(co.NewOrder(source=ME, intent_id="i9", spec=lab.engine.store.get("P1").spec, why=""))
    assert refused.code == "LEDGER_UNHEALTHY"
    assert WHY in refused.text
    assert "nothing is sent or booked until the engine is started again" in refused.text
    assert len(lab.broker.sent) == 1


@pytest.mark.parametrize("command", [co.CancelOrder(source=ME, order_id="P1"), co.CancelAll(source=ME)])
def test_cancels_still_go(lab: Lab, command: co.AnyCommand) -> None:
    fail(lab)
    assert lab.engine.submit(command).ok
    assert lab.broker.cancels == [lab.broker.sent[0].wire_id]


def test_a_cancel_of_nothing_says_so(lab: Lab) -> None:
    fail(lab)
    assert lab.engine.submit(co.CancelOrder(source=ME, order_id="P77")).code == "ILLEGAL"
    assert lab.engine.submit(co.CancelAll(source=ME, symbol="MSFT")).text.startswith("0 cancels sent")


def test_what_was_never_sent_is_shown_as_that_and_not_cancelled(lab: Lab) -> None:
    spec = msgspec.structs.replace(lab.engine.store.get("P1").spec, qty=Qty(7))
    lab.engine.submit(co.NewOrder(source=ME, intent_id="i2", spec=spec, why=""))
    fail(lab)
    lab.engine.on_time(lab.clock.now_ns(), lab.clock.now_ns())
    lab.engine.submit(co.CancelAll(source=ME))
    notes = {row.order_id: row.note for row in lab.engine.view().orders}
    assert notes["C4"] == notes["P3"] == "the ledger failed before this was on disk: it was never sent"
    assert "never sent" not in notes["C2"]
    assert lab.broker.cancels == [lab.broker.sent[0].wire_id]
    assert lab.engine.view().status.orders_working == 1
    assert lab.engine.release(10**9) == 0
    assert len(lab.broker.sent) == 1


def test_what_the_venue_says_is_not_booked_and_quotes_go_on(lab: Lab) -> None:
    fail(lab)
    lab.engine.submit(co.CancelAll(source=ME))
    wire = lab.broker.sent[0].wire_id
    lab.engine.on_broker(lab.fill(wire, 40, "k1"))
    assert str(lab.engine.store.get("C2").qty_filled) == "0"
    assert lab.engine.aftermath.ignored == 1
    lab.quote(19900, 19902)
    assert str(lab.engine.view().quotes[0].bid) == "199"


def test_a_halt_is_carried_out_and_shown(lab: Lab) -> None:
    fail(lab)
    cursor, _ = lab.engine.update_since(0)
    assert lab.engine.submit(co.Halt(source=ME, why="now")).ok
    lab.engine.halt_step("F1", "verify", {"cancels_sent": "1", "cancels_confirmed": "1"})
    _, update = lab.engine.update_since(cursor)
    assert update.status is not None
    assert (update.status.halt.state, update.status.halt.cancels_sent) == ("halted", 1)
    assert [line.word for line in update.log] == ["HALT", "HALT", "HALT"], "why, by whom, and its step"
