"""A disk that hangs for two seconds: no cancel, halt or tick waits for it, and nothing new leaves before it is back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import NS_PER_MS
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Source, SourceKind
from engine.store.link import Link
from engine.store.writer import JournalWriter
from tests.core.lab import ME, Lab

WAIT_S = 20.0
STALL_MS = 2_000
STEP_MS = 50
DESK = Source(SourceKind.DESK, "anna")


class HangingDisk:
    """A connection whose commits wait until the test lets them go."""

    def __init__(self, inner: Link) -> None:
        self._inner = inner
        self.is_back = threading.Event()
        self.is_hanging = threading.Event()

    def execute(self, words: str, *args: Any) -> Any:
        if words == "COMMIT":
            self.is_hanging.set()
            assert self.is_back.wait(WAIT_S)
        return self._inner.execute(words, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Stalled:
    """An engine with a working order, whose writer hangs in the commit of the next order's intent."""

    def __init__(self, folder: Path) -> None:
        self.lab = lab = Lab(folder, ledger=folder / "ledger.db")
        lab.connect()
        self.working = lab.buy(10, "188.90").order_id
        self.wire_id = lab.broker.sent[0].wire_id
        lab.answer(lab.ack(self.wire_id))
        self.disk = HangingDisk(lab.journal._connection)
        lab.journal._connection = self.disk
        self.failures: list[str] = []
        self.durable = threading.Event()
        self.writer = JournalWriter(lab.journal, lambda _seq: self.durable.set(), self.failures.append)
        self.writer.start()
        spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(5), type=OrderType.LIMIT, limit=Price("188.80"))
        self.waiting = self.ask(co.NewOrder(source=ME, intent_id="i2", spec=spec, why="")).order_id
        assert self.disk.is_hanging.wait(WAIT_S)

    def ask(self, command: co.AnyCommand) -> co.CommandResult:
        """As the live driver does: decide, hand over what is to be written, let go what is on disk. Nothing here waits."""
        result = self.lab.engine.submit(command)
        self.turn()
        return result

    def turn(self) -> None:
        self.writer.hand_over()
        self.lab.engine.release(self.lab.journal.durable_seq)

    def step(self, bid: int) -> None:
        """A tick, and the timers of its moment."""
        lab = self.lab
        lab.clock.set_ns(lab.clock.now_ns() + STEP_MS * NS_PER_MS)
        lab.quote(bid, bid + 2)
        lab.engine.on_time(lab.clock.now_ns(), lab.clock.now_ns())
        self.turn()

    def comes_back(self) -> None:
        self.durable.clear()
        self.disk.is_back.set()
        head = self.lab.journal.head_seq
        assert self.writer.wait_durable(head, WAIT_S)
        self.turn()
        assert self.writer.stop(WAIT_S)
        assert self.failures == []


def test_ticks_and_timers_go_on_while_the_disk_hangs(tmp_path: Path) -> None:
    stalled = Stalled(tmp_path)
    durable = stalled.lab.journal.durable_seq
    for number in range(STALL_MS // STEP_MS):
        stalled.step(18_900 + number % 7)
        quote = stalled.lab.engine.market.quote("AAPL")
        assert quote is not None
        assert quote.bid == Price("189.00") + Price("0.01") * (number % 7)
        assert quote.ts_ns == stalled.lab.clock.now_ns()
    assert stalled.lab.journal.durable_seq == durable, "the disk hung all the while"
    assert [order.wire_id for order in stalled.lab.broker.sent] == [stalled.wire_id], (
        "an intent left before it was durable"
    )
    stalled.comes_back()
    assert len(stalled.lab.broker.sent) == 2, "the intent leaves once it is on disk"


def test_a_cancel_leaves_at_once_while_the_disk_hangs(tmp_path: Path) -> None:
    stalled = Stalled(tmp_path)
    durable = stalled.lab.journal.durable_seq
    stalled.ask(co.CancelOrder(source=DESK, order_id=stalled.working))
    assert stalled.lab.broker.cancels == [stalled.wire_id]
    assert stalled.lab.journal.durable_seq == durable
    stalled.comes_back()


def test_a_halt_shuts_the_gate_at_once_and_what_waited_never_leaves(tmp_path: Path) -> None:
    stalled = Stalled(tmp_path)
    durable = stalled.lab.journal.durable_seq
    stalled.ask(co.Halt(source=DESK, why="the disk hangs"))
    assert stalled.lab.latch.read() is ev.TradingState.HALTED
    assert stalled.lab.journal.durable_seq == durable
    stalled.comes_back()
    assert [order.wire_id for order in stalled.lab.broker.sent] == [stalled.wire_id]
    child = stalled.lab.engine.store.get(stalled.waiting).children[0]
    assert child.state.value == "killed"
