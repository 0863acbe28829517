"""One life of an engine: forked, driven over a socket pair in simulated time, killed with SIGKILL at a point.

The engine, its journal on a file, its latch and its kill procedure are the real ones; the adapter stands in for the world.
"""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from bolt_tui.faults import pipe
from bolt_tui.faults.adapter import INSTRUMENTS, NIGHTS, SESSIONS, LabBroker, LabSession
from bolt_tui.faults.points import LabEngine, LabJournal, LabLatch, Points
from bolt_tui.faults.schedule import ORDERS, Act, Crash, order_specs
from bolt_tui.faults.venue import ACCOUNT, BROKER
from engine.api import EngineParts
from engine.api.baskets import Basket
from engine.domain import commands as co
from engine.domain.clock import NS_PER_MS, NS_PER_S, SimClock
from engine.domain.ids import base32
from engine.domain.money import Price, Qty
from engine.domain.order import OrderState, Source, SourceKind
from engine.market.sessions import Sessions
from engine.market.volume import flat_weights
from engine.oms.halt import HaltPlan, run_halt
from engine.oms.receipt import write_receipt
from engine.risk.controls import BASKET_CONFIRM
from engine.risk.policy import PolicyHolder
from engine.store.order import Order

LEDGER_ID = "FAKT0"
ME = Source(SourceKind.CLI, "anna")
SURE = frozenset({OrderState.NEW, OrderState.PARTIALLY_FILLED})


class Life:
    """The process of one engine."""

    def __init__(
        self,
        line: pipe.Pipe,
        folder: Path,
        policy: PolicyHolder,
        crash: Crash | None,
        now_ns: int,
        lag: int,
        number: int,
    ) -> None:
        self._line = line
        self._folder = folder
        self._number = number
        self._lag = lag
        self._behind = 0
        self._reader: sqlite3.Connection | None = None
        self._halts: deque[tuple[co.Halt, str]] = deque()
        self.points = Points(crash)
        self.clock = SimClock(now_ns)
        self.journal = LabJournal.open(folder / "ledger.db", now_ns, lambda: LEDGER_ID, "USD")
        self.journal.points = self.points
        self.latch = LabLatch.open(folder / "latch", ledger_used=not self.journal.is_new)
        self.latch.points, self.latch.out = self.points, line
        self.broker = LabBroker(line, self.clock, self.points, self._on_disk)
        self.policy = policy
        self.engine = LabEngine(
            EngineParts(
                journal=self.journal,
                clock=self.clock,
                brokers={BROKER: self.broker},
                policy=policy,
                latch=self.latch,
                mode="paper",
                sessions=Sessions({NIGHTS: SESSIONS}),
                weights=lambda _symbol, _start, _end, bins: flat_weights(bins),
                halter=lambda command, halt_id: self._halts.append((command, halt_id)),
            )
        )
        self.engine.points = self.points
        self.journal.store_of = self.engine

    def _on_disk(self) -> int:
        """The ledger's last row as another reader of the file finds it: what is asked is the file, not the journal."""
        if self._reader is None:
            path = self._folder / "ledger.db"
            self._reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        return int(self._reader.execute("SELECT max(seq) FROM journal").fetchone()[0])

    def run(self) -> None:
        """Serve until told to end."""
        self.engine.start()
        self._settle(at_once=True)
        self._done(took=True)
        while True:
            frame = pipe.TO_ENGINE.decode(self._line.read())
            assert isinstance(frame, pipe.Input)
            if not self._run_until(frame.at_ns):
                self._done(took=False)
                continue
            if isinstance(frame, pipe.End):
                self.engine.stop("asked")
                self._settle(at_once=True)
                self.journal.close()
                self._done(took=True)
                return
            self._done(**{"took": True, **self._take(frame)})

    # -- time ------------------------------------------------------------------------------------------------------------

    def _next_ns(self) -> int:
        answer_ns = self.broker.next_ns()
        due_ns = self.engine.next_time_ns()
        return due_ns if answer_ns is None else min(due_ns, answer_ns)

    def _run_until(self, until_ns: int) -> bool:
        """Run timers; False where one of them spoke and the laboratory must hear it first."""
        while (due_ns := self._next_ns()) <= until_ns:
            spoke = self.broker.spoke
            self.clock.set_ns(due_ns)
            now_ns = self.clock.now_ns()
            self.broker.on_time(now_ns)
            self.engine.on_time(now_ns, now_ns)
            self._settle(at_once=True)
            if self.broker.spoke != spoke:
                return False
        self.clock.set_ns(until_ns)
        return True

    def _settle(self, *, at_once: bool = False) -> None:
        """Let what came be decided, written and sent; the commit may stay behind by a few inputs."""
        self._behind += 1
        # What the live driver's writer tells of an older commit comes while newer intents still wait: they must not leave on it.
        self.engine.release(self.journal.durable_seq)
        while True:
            self.broker.drain()
            while self._halts:
                self._halt(*self._halts.popleft())
            if not (self.journal.pending or self.engine.orders.waiting or self.broker.inbox):
                return
            if not at_once and self._behind <= self._lag:
                return
            self._behind = 0
            self.engine.release(self.journal.commit())

    # -- inputs ----------------------------------------------------------------------------------------------------------

    def _take(self, frame: pipe.Input) -> dict[str, object]:
        answer: dict[str, object] = {}
        match frame:
            case pipe.LineUp():
                self.broker.up()
            case pipe.LineDown():
                self.broker.down(frame.why)
            case pipe.Data():
                self.broker.data(frame.body)
            case pipe.Market():
                self.broker.market(frame.ticks)
            case pipe.Do():
                answer = self._do(frame)
            case pipe.Release():
                answer = self._release(frame.intent_id)
            case pipe.Ask():
                answer = {"answer": self._what_became_of(frame.intent_id)}
            case pipe.Rearm():
                self._rearm()
            case pipe.Look():
                self._settle(at_once=True)
                answer = self._look()
            case _:
                return {}
        self._settle()
        return answer

    def _result(self, result: co.CommandResult) -> dict[str, object]:
        return {"ok": result.ok, "code": result.code}

    def _do(self, frame: pipe.Do) -> dict[str, object]:
        act, engine = frame.act, self.engine
        match act.do:
            case "order" if ORDERS[act.order].basket is not None:
                return self._basket(frame)
            case "order":
                first, *linked = order_specs(act, frame.mid_cents, frame.attempt)
                made = co.NewOrder(
                    source=ME,
                    intent_id=f"{act.name}.{frame.attempt}",
                    spec=first,
                    linked=tuple(linked),
                    why="",
                    staged=ORDERS[act.order].staged,
                )
                return self._result(engine.submit(made))
            case "cancel_all":
                return self._result(engine.submit(co.CancelAll(source=ME)))
            case "kill":
                return self._result(engine.submit(co.Halt(source=ME, why="drawn", flatten=act.flatten)))
            case _:
                return self._change(act, frame.attempt)

    def _basket(self, frame: pipe.Do) -> dict[str, object]:
        """Stage the lines, and release them as one."""
        act = frame.act
        specs = order_specs(act, frame.mid_cents, frame.attempt)
        lines = tuple(co.BasketLine(number, spec) for number, spec in enumerate(specs, 1))
        intent_id = f"{act.name}.{frame.attempt}"
        staged = self.engine.submit(co.StageBasket(source=ME, intent_id=intent_id, name=act.name, lines=lines))
        return self._release(intent_id) if staged.ok else self._result(staged)

    def _basket_of(self, intent_id: str) -> Basket | None:
        return next((one for one in self.engine.baskets.all.values() if one.intent_id == intent_id), None)

    def _change(self, act: Act, attempt: int) -> dict[str, object]:
        """A cancel or an amend of the latest order that was made for a wish."""
        order = self._latest(act.order)
        if order is None:
            return {"ok": False, "code": "NO_ORDER"}
        if act.do == "cancel":
            return self._result(self.engine.submit(co.CancelOrder(source=ME, order_id=order.order_id)))
        return self._result(self.engine.submit(self._amend(act, order, attempt)))

    def _amend(self, act: Act, order: Order, attempt: int) -> co.AmendOrder:
        """A little more (an order of a group keeps its size), a little nearer."""
        step = Price("0.20") if order.spec.side.sign > 0 else Price("-0.20")
        return co.AmendOrder(
            source=ME,
            intent_id=f"{act.name}.{attempt}",
            order_id=order.order_id,
            qty=None if order.spec.link is not None else Qty(order.qty + 10),
            limit=None if order.limit is None else Price(order.limit + step),
        )

    def _latest(self, name: str) -> Order | None:
        store, number = self.engine.store, 0
        found = None
        while (order_id := store.by_intent.get(f"{name}.{number}")) is not None:
            found, number = store.get(order_id), number + 1
        return found

    def _release(self, intent_id: str) -> dict[str, object]:
        if (basket := self._basket_of(intent_id)) is not None:
            sure = frozenset({BASKET_CONFIRM.code})
            return self._result(
                self.engine.submit(co.ReleaseBasket(source=ME, basket_id=basket.basket_id, confirmed=sure))
            )
        order_id = self.engine.store.by_intent.get(intent_id, "")
        return self._result(self.engine.submit(co.ReleaseOrder(source=ME, order_id=order_id)))

    def _what_became_of(self, intent_id: str) -> str:
        """The engine's own word on a wish; ``never`` only where it says for certain that nothing of it ever left."""
        store, basket = self.engine.store, self._basket_of(intent_id)
        if basket is None:
            return _word_of(store.orders.get(store.by_intent.get(intent_id, "")))
        if basket.state == "staged":
            return "staged"
        words = {_word_of(store.get(order_id)) for order_id in basket.orders}
        # One line that the venue took is the basket taken: what a crash kept from the others is not sent late.
        return next(word for word in ("open", "taken", "refused", "never") if word in words)

    def _rearm(self) -> None:
        for held in self.engine.kill.held():
            command = co.Rearm(source=ME, scope=held.scope, word="REARM", reason="looked at")
            self.engine.submit(command)

    def _look(self) -> dict[str, object]:
        engine = self.engine
        last = engine.reconciler.last.get((BROKER, ACCOUNT))
        return {
            "working": tuple(
                pipe.Working(
                    wire_id=order.wire_id,
                    venue_order_id=order.venue_order_id,
                    state=order.state.value,
                    qty=order.qty,
                    qty_filled=order.qty_filled,
                    is_sure=order.state in SURE and not order.cancel_asked and order.amend is None,
                )
                for order in engine.store.live.values()
            ),
            "parents_open": len(engine.store.parents_open),
            "schedules_open": sum(parent.spec.algo.duration_ns > 0 for parent in engine.store.parents_open.values()),
            "positions": {symbol: position.qty for _, symbol, position in engine.ledger.held(ACCOUNT) if position.qty},
            "cash": str(engine.ledger.cash.get((BROKER, ACCOUNT, "USD"), "")),
            "differences": () if last is None else tuple(item.text for item in last.differences if not item.explained),
        }

    def _done(self, **facts: object) -> None:
        held = tuple(f"{one.scope.kind}:{one.scope.name} {one.state} {one.code}" for one in self.engine.kill.held())
        fixed = {"now_ns": self.clock.now_ns(), "next_ns": self._next_ns(), "held": held}
        channel = self.engine.view_of_risk.channel(BROKER).value
        self._line.send(msgspec.convert({"f": "done", **fixed, "channel": channel, **facts}, pipe.Done))

    # -- the kill procedure ------------------------------------------------------------------------------------------------

    def _halt(self, command: co.Halt, halt_id: str) -> None:
        """Run the procedure to its end, as the live engine does on a thread beside its loop."""
        seq = self.journal.head_seq
        plan = HaltPlan(
            halt_id=halt_id,
            scope=command.scope,
            who=ME.name,
            why=command.why,
            flatten=command.flatten,
            collar_bps=300,
            flatten_deadline_ns=10 * NS_PER_S,
            hook_wait_ns=60 * NS_PER_S,  # of real time, which must not decide anything here
            instruments={made.symbol: made for made in INSTRUMENTS},
        )
        receipt = run_halt(
            plan,
            {BROKER: lambda: LabSession(self._line, self.clock, self.points)},
            clock=self.clock,
            trip=lambda: None,
            record_durable=lambda: self.journal.commit() >= seq,
            on_step=lambda step, data: self.engine.halt_step(halt_id, step, data),
            next_wire_id=self._exit_ids(),
            pause=self._pause,
        )
        self.points.reach("before:kill7")
        path = write_receipt(receipt, self._folder / "receipts")
        self.points.reach("after:kill7")
        self.engine.halt_step(halt_id, "receipt_file", {"receipt_path": path.name, "clean": str(receipt.is_clean)})

    def _pause(self, left: threading.Event, seconds: float) -> None:
        """Simulated time does not wait."""
        del left
        self.clock.set_ns(self.clock.now_ns() + int(seconds * 1000) * NS_PER_MS)

    def _exit_ids(self) -> Callable[[], str]:
        """Ids of exits: as unique as the machine's randomness makes them, and the same in each run."""
        head = f"{LEDGER_ID}Z{base32(self._number, 2)}"
        state = {"next": self.journal.head_seq * 64}

        def next_id() -> str:
            state["next"] += 1
            return f"{head}{base32(state['next'], 6)}"

        return next_id


def _word_of(order: Order | None) -> str:
    """What became of one order, in the word of :class:`pipe.Done`."""
    if order is None:
        return "none"
    if order.state in {OrderState.STAGED, OrderState.SUSPENDED}:
        return "staged"
    left = [child for child in order.children if not _never_left(child)]
    if any(child.state is not OrderState.REJECTED and (child.acked_ns or not child.state.is_live) for child in left):
        return "taken"
    if any(child.state.is_live for child in left) or (order.end_state is None and order.state != OrderState.DENIED):
        return "open"
    return "refused" if left else "never"


def _never_left(child: Order) -> bool:
    """Whether the engine says for certain that the venue has never had it."""
    is_unsent = child.state is OrderState.REJECTED and child.note.startswith("NOT_SENT")
    return is_unsent or child.state in {OrderState.DENIED, OrderState.KILLED}


def live(
    line: pipe.Pipe, folder: Path, policy: PolicyHolder, crash: Crash | None, now_ns: int, lag: int, number: int
) -> None:
    """A whole life, in the forked process: until it is told to end, or nobody speaks to it any more."""
    with suppress(pipe.LineClosed):
        Life(line, folder, policy, crash, now_ns, lag, number).run()


def preload(folder: Path, policy: PolicyHolder) -> None:
    """Begin and end one life in this process, so that the lives forked from it find everything loaded and made."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        first = Life(pipe.Pipe(theirs), folder, policy, None, 0, 0, 0)
        first.engine.start()
        first.journal.close()
        first.latch.close()
