"""The kill procedure: one small module that any process can run with its own broker sessions.

Steps, in this order: gate shut, durable record, sources stopped, cancel, verify at the broker, flatten if asked,
receipt. It shares no code with profit and loss, pricing, screens or the ledger, and no failure of one part ends it:
what goes wrong is written on the receipt, and the next step is taken.

Promises:

* A dead or hanging broker delays no other: each has a lane (a thread with its own session) and its own time limit.
* Nothing counts as cancelled that the venue still lists. Clean = two looks in a row without an order in scope.
* A flatten starts for a broker only after its clean verification and after the durable record, with reduce-only
  limit IOC orders inside a collar, each sized from a fresh look at the broker's position and never above it. An exit
  without a trustworthy answer is never sent again.

Refusals of a flatten are shown per symbol as residuals: no or old price, halted, closed, less than a lot, a refused
order, a strategy's scope (a broker knows no strategies).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from engine.domain.clock import NS_PER_MS, NS_PER_S, Clock
from engine.domain.commands import HaltScopeKind
from engine.domain.money import Qty
from engine.domain.order import OrderSpec
from engine.oms.broker_interface import BrokerSession, SessionFactory, VenueOrder, VenuePosition, WireOrder
from engine.oms.halt_plan import HaltPlan, Turn, emergency_wire_ids, exit_terms
from engine.oms.receipt import (
    BrokerReceipt,
    Receipt,
    Residual,
    StepTime,
    filled_whole,
    order_words,
    position_change,
)

__all__ = ["HaltPlan", "Receipt", "emergency_wire_ids", "in_thread", "run_halt"]

T = TypeVar("T")
Pause = Callable[[threading.Event, float], object]
PAPER = "paper"
"""The only broker a drill touches."""
CALL_WAIT_S = 1.0
"""How long a lane waits for its step to be told."""
RECANCEL_NS = 250 * NS_PER_MS
"""An order that is still open is asked again after this long, so that repeats do not eat a broker's budget."""
LOOK_S, LOOK_S_MAX = 0.02, 0.25
EXIT_ROUND_S = 0.25
"""Between two flatten rounds: an immediate-or-cancel order has ended, and its fill is in the position."""
STRIKES = 3
CLEAN_LOOKS = 2


def in_thread(run: Callable[[], object], name: str) -> None:
    """Run in a thread of its own, or here where no more threads are to be had: late is better than not at all."""
    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:
        run()


def run_halt(
    plan: HaltPlan,
    sessions: Mapping[str, SessionFactory],
    *,
    clock: Clock,
    trip: Callable[[], object],
    record_durable: Callable[[], bool],
    on_step: Callable[[str, dict[str, str]], None],
    next_wire_id: Callable[[], str],
    stop_sources: Callable[[], object] = lambda: None,
    place: Callable[[str, WireOrder], str] | None = None,
    pause: Pause = threading.Event.wait,
    exits: Mapping[str, Turn] = {},
) -> Receipt:
    """Run the whole procedure and return its receipt. Never raises for what a hook or a broker does.

    Args:
        plan: what and how far.
        sessions: one factory per broker, called in that broker's lane.
        clock: a running clock; deadlines are read from it.
        trip: shuts the gate (``Latch.trip``). Called first; it and the next two run in threads of their own, and after
            ``plan.hook_wait_ns`` the procedure goes on without their answer.
        record_durable: True once who, why and scope are on disk. No flatten before.
        on_step: called in this thread after each step: ``gate``, ``record``, ``sources``, ``cancel``, ``verify`` and
            ``flatten`` (these three per broker), ``receipt``; with counts so far as text. It must not block.
        next_wire_id: ids of flatten orders.
        stop_sources: strategies, algorithms, queues.
        place: sends a flatten order through the caller's gate, from the broker's lane; the session's own otherwise.
        pause: waits in a lane between two looks, ended early by its event; another one where time is simulated.
        exits: a lock for each broker that procedures share which may run at once: only one of them sends exits there.
    """
    job = _Job(plan, clock, on_step, next_wire_id, place, pause, exits)
    job.hook("gate", trip)
    job.hook("record", lambda: job.record(record_durable))
    job.hook("sources", stop_sources)
    job.lanes = tuple(_Lane(broker, factory, job) for broker, factory in sessions.items())
    job.run_lanes()
    return job.receipt()


class _Job:
    """One run: what the lanes share, and the caller's thread."""

    def __init__(
        self,
        plan: HaltPlan,
        clock: Clock,
        on_step: Callable[[str, dict[str, str]], None],
        next_wire_id: Callable[[], str],
        place: Callable[[str, WireOrder], str] | None,
        pause: Pause,
        exits: Mapping[str, Turn],
    ) -> None:
        self.plan, self.clock, self.place, self.pause, self.exits = plan, clock, place, pause, exits
        self._on_step, self._next_wire_id = on_step, next_wire_id
        self.started_ns, self.began_ns = clock.now_ns(), clock.monotonic_ns()
        self.lanes: tuple[_Lane, ...] = ()
        self.news: queue.SimpleQueue[tuple[str, str, threading.Event]] = queue.SimpleQueue()
        self.recorded = threading.Event()
        self.durable = False
        self._ids = threading.Lock()
        self._steps: list[StepTime] = []
        self._notes: list[str] = []
        self._late: dict[str, str] = {}
        if plan.scope.kind is HaltScopeKind.SYMBOL and plan.scope.name not in plan.instruments:
            self._notes.append(
                f"symbol {plan.scope.name} is not known here: only orders under that very name were looked for"
            )
        if plan.scope.kind is HaltScopeKind.STRATEGY and plan.orders_of_scope is None:
            self._notes.append(f"orders of strategy {plan.scope.name} cannot be told apart here; all are cancelled")

    def since_ns(self) -> int:
        return self.clock.monotonic_ns() - self.began_ns

    def next_wire_id(self) -> str:
        with self._ids:
            return self._next_wire_id()

    def hook(self, step: str, call: Callable[[], object]) -> None:
        """Run one of the caller's hooks without letting it hold up or end the procedure."""
        began_ns = self.since_ns()
        error: list[str] = []
        ended = threading.Event()

        def run() -> None:
            try:
                call()
            except Exception as fault:  # loop edge: no hook's failure may stop the cancels
                error.append(f"{step} failed: {type(fault).__name__}: {fault}")
            ended.set()

        in_thread(run, f"halt-{step}")
        if not ended.wait(wait_s := self.plan.hook_wait_ns / NS_PER_S):
            self._late[step] = f"{step} gave no answer within {wait_s:g} s; the procedure went on"
        self._notes += error
        self.took(step, "", began_ns)
        self.tell(step, "")

    def record(self, record_durable: Callable[[], bool]) -> None:
        """Make the durable record; lanes wait for its outcome before a flatten."""
        try:
            self.durable = bool(record_durable())
        finally:
            self.recorded.set()

    def took(self, step: str, broker: str, began_ns: int) -> None:
        """Note a step's time."""
        self._steps.append(StepTime(step, broker, began_ns, self.since_ns()))

    def tell(self, step: str, broker: str) -> None:
        """Tell the caller of a finished step."""
        try:
            self._on_step(step, self._figures(broker))
        except Exception as fault:  # loop edge: a listener's failure is noted and nothing else
            self._notes.append(f"on_step({step}) failed: {type(fault).__name__}: {fault}")

    def _figures(self, broker: str) -> dict[str, str]:
        parts = [lane.part() for lane in self.lanes]
        left = [f"{part.broker} {one.symbol} {one.qty}: {one.reason}" for part in parts for one in part.residual]
        figures = {
            "durable": str(self.durable).lower(),
            "found": str(sum(part.found for part in parts)),
            "cancels_sent": str(sum(part.cancels_sent for part in parts)),
            "cancels_confirmed": str(sum(part.cancelled for part in parts)),
            "unknown": str(sum(len(part.survivors) for part in parts)),
            "kept": str(sum(len(part.kept) for part in parts)),
            "unreachable": ";".join(part.broker for part in parts if part.unreachable),
            "residual": ";".join(word.replace(";", ",") for word in left),
        }
        return {"broker": broker, **figures} if broker else figures

    def run_lanes(self) -> None:
        """Start every broker's lane and hear them until each has ended or overstayed."""
        for lane in self.lanes:
            in_thread(lane.run, f"halt-{lane.broker}")
        while not all(lane.is_over for lane in self.lanes):
            self._hear(LOOK_S)
            now_ns = self.clock.monotonic_ns()
            for lane in self.lanes:
                if not lane.is_over and now_ns > lane.due_ns + self.plan.grace_ns:
                    lane.leave_behind()
        while not self.news.empty():
            self._hear(0)

    def _hear(self, wait_s: float) -> None:
        try:
            step, broker, heard = self.news.get(timeout=wait_s)
        except queue.Empty:
            return
        if step:
            self.tell(step, broker)
        heard.set()

    def receipt(self) -> Receipt:
        """Close the books."""
        began_ns = self.since_ns()
        parts = tuple(lane.part() for lane in self.lanes)
        self.took("receipt", "", began_ns)
        self.tell("receipt", "")
        plan = self.plan
        if self.durable:
            self._late.pop("record", None)  # it came after all
        return Receipt(
            halt_id=plan.halt_id,
            who=plan.who,
            why=plan.why,
            scope=plan.scope,
            drill=plan.drill,
            started_ns=self.started_ns,
            ended_ns=self.started_ns + self.since_ns(),
            durable=self.durable,
            flatten=plan.flatten,
            steps=tuple(self._steps),
            brokers=parts,
            notes=(*self._late.values(), *self._notes),
        )


class _Lane:
    """One broker: its session, its time limit, what was seen there."""

    def __init__(self, broker: str, factory: SessionFactory, job: _Job) -> None:
        self.broker, self._factory, self._job, self._plan = broker, factory, job, job.plan
        self.due_ns = job.began_ns + job.plan.deadline_ns
        self.is_over = False
        self._left = threading.Event()
        self._session: BrokerSession | None = None
        self._account = ""
        self._found: dict[str, VenueOrder] = {}
        self._asked_ns: dict[str, int] = {}
        self._open: tuple[VenueOrder, ...] = ()
        self._kept: tuple[VenueOrder, ...] = ()
        self._before: tuple[VenuePosition, ...] | None = None
        self._after_cancels: tuple[VenuePosition, ...] | None = None
        self._part = BrokerReceipt(broker=broker)
        self._error = "not reached before the deadline"
        self._strikes: dict[str, int] = {}
        self._giving_way: set[str] = set()

    # -- life --------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Cancel, verify, flatten; then say how things stand."""
        try:
            if self._is_mine():
                self._timed("cancel", self._cancel)
                self._timed("verify", self._verify)
                if self._plan.flatten:
                    self._timed("flatten", self._flatten)
                self._look_at_account()
        except Exception as fault:  # loop edge: one broker's surprise ends its own lane, and is on the receipt
            self._error = f"{type(fault).__name__}: {fault}"
            self._set(verified=False, unreachable=self._error)
        finally:
            self._drop()
            self.is_over = True
            self._job.news.put(("", self.broker, threading.Event()))  # wakes who waits for the last lane

    def leave_behind(self) -> None:
        """Stop waiting for this broker; from here it sends no exit, and what it says is not waited for."""
        self._left.set()
        self._set(verified=False, unreachable=f"no answer in time; last: {self._error or 'a call that hangs'}")
        self.is_over = True

    def part(self) -> BrokerReceipt:
        """This broker's receipt as far as known."""
        part = msgspec.structs.replace(
            self._part,
            account=self._account,
            found=len(self._found),
            survivors=tuple(order_words(order) for order in self._open),
            kept=tuple(order_words(order) for order in self._kept),
        )
        still = {_key(order) for order in self._open}
        # A copy: the lane goes on finding orders while another thread asks.
        gone = [order for key, order in tuple(self._found.items()) if key not in still]
        change = position_change(self._before, self._after_cancels)
        filled = filled_whole(gone, dict(change))
        return msgspec.structs.replace(part, cancelled=len(gone) - filled, filled_meanwhile=change)

    def _set(self, **changes: object) -> None:
        # One assignment, so that the caller's thread reads an old or a new part and never half of one.
        if not (self._left.is_set() and self.is_over):
            self._part = msgspec.structs.replace(self._part, **changes)

    def _timed(self, step: str, work: Callable[[], None]) -> None:
        began_ns = self._job.since_ns()
        work()
        if self._left.is_set():
            return
        self._job.took(step, self.broker, began_ns)
        heard = threading.Event()
        self._job.news.put((step, self.broker, heard))
        heard.wait(CALL_WAIT_S)

    # -- the line ----------------------------------------------------------------------------------------------------------

    def _try(self, call: Callable[[BrokerSession], T]) -> T | None:
        """One call; None where it failed, and then the next call opens a new session."""
        try:
            if self._session is None:
                self._session = self._factory()
                self._account = self._session.account
            value = call(self._session)
        except Exception as fault:  # loop edge: whatever a session does, the next attempt is made until the deadline
            self._error = f"{type(fault).__name__}: {fault}"
            self._drop()
            return None
        self._error = ""
        return value

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            session.close()
        except Exception as fault:  # loop edge: a broken line may not close well, and nothing depends on it
            self._note(f"closing failed: {type(fault).__name__}: {fault}")

    def _note(self, words_: str) -> None:
        if words_ not in self._part.notes:
            self._set(notes=(*self._part.notes, words_))

    def _is_late(self) -> bool:
        return self._left.is_set() or self._job.clock.monotonic_ns() >= self.due_ns

    def _rest(self, pause_s: float) -> None:
        """Pause, but never past the deadline: the last look belongs inside the grace."""
        left_s = (self.due_ns - self._job.clock.monotonic_ns()) / NS_PER_S
        self._job.pause(self._left, max(0.0, min(pause_s, left_s)))

    def _insist(self, call: Callable[[BrokerSession], T]) -> T | None:
        """Repeat a query until it is answered or the deadline passes."""
        pause_s = LOOK_S
        while (value := self._try(call)) is None and not self._is_late():
            self._rest(pause_s)
            pause_s = min(2 * pause_s, LOOK_S_MAX)
        return value

    def _is_mine(self) -> bool:
        """Whether this session is in scope; a drill never leaves the paper market."""
        name = self._insist(lambda session: (session.name, session.account))
        if name is None:
            self._set(unreachable=self._error)
            return False
        scope = self._plan.scope
        if self._plan.drill and name[0] != PAPER:
            self._set(unreachable=f"a drill runs against {PAPER} only; {name[0]} was left alone")
            return False
        if scope.kind is HaltScopeKind.ACCOUNT and scope.name != name[1]:
            self._set(verified=True, notes=(f"account {name[1]} is not in scope",))
            return False
        return True

    # -- cancel and verify -------------------------------------------------------------------------------------------------

    def _look(self) -> list[VenueOrder] | None:
        """Orders that must go, as the venue lists them now; None where it did not answer."""
        orders = self._try(lambda session: session.open_orders())
        if orders is None:
            return None
        mine = [order for order in orders if order.is_open and self._in_scope(order)]
        keeps = self._plan.protective == "keep"
        self._kept = tuple(
            order
            for order in mine
            if keeps and order.reduce_only and order.symbol not in self._giving_way and not self._is_exit(order)
        )
        held = {_key(order) for order in self._kept}
        working = [order for order in mine if _key(order) not in held]
        self._open = tuple(working)
        for order in working:
            if not self._is_exit(order):
                self._found.setdefault(_key(order), order)
        return working

    def _is_exit(self, order: VenueOrder) -> bool:
        return any(order.wire_id and order.wire_id in word for word in self._part.exits)

    def _in_scope(self, order: VenueOrder) -> bool:
        if self._plan.orders_of_scope is not None:
            return self._plan.orders_of_scope(order)
        return self._plan.scope.kind is not HaltScopeKind.SYMBOL or order.symbol == self._plan.scope.name

    def _cancel(self) -> None:
        working: list[VenueOrder] | None = None
        while (working := self._look()) is None and not self._is_late():
            self._rest(LOOK_S)
        if working is None:
            return
        # Read before the cancels leave: what fills while they travel shows as a change of position.
        self._before = self._try(lambda session: session.positions())
        if not self._cancel_all(working):
            self._cancel_each(working)

    def _cancel_all(self, working: list[VenueOrder]) -> bool:
        plan = self._plan
        wide = plan.scope.kind in {HaltScopeKind.GLOBAL, HaltScopeKind.ACCOUNT} and plan.orders_of_scope is None
        if not wide or self._kept or not self._try(lambda session: session.cancel_all()):
            return False
        self._set(mass_cancel=True, cancels_sent=self._part.cancels_sent + 1)
        now_ns = self._job.clock.monotonic_ns()
        self._asked_ns.update((_key(order), now_ns) for order in working)
        return True

    def _cancel_each(self, working: list[VenueOrder]) -> None:
        for order in working:
            now_ns = self._job.clock.monotonic_ns()
            asked_ns = self._asked_ns.get(_key(order))
            if self._left.is_set() or (asked_ns is not None and now_ns - asked_ns < RECANCEL_NS):
                continue
            self._asked_ns[_key(order)] = now_ns
            self._set(cancels_sent=self._part.cancels_sent + 1)
            if self._try(_cancelling(order)) is None:
                self._note(f"cancel of {order.wire_id or order.venue_order_id}: {self._error}")

    def _verify(self) -> None:
        clean, pause_s = 0, LOOK_S
        while True:
            working = self._look()
            clean = clean + 1 if working == [] else 0
            if clean >= CLEAN_LOOKS:
                self._after_cancels = self._try(lambda session: session.positions())
                self._set(verified=True)
                return
            if self._is_late():
                self._set(unreachable=self._error if working is None else "")
                return
            if working:
                self._cancel_each(working)
            self._rest(pause_s)
            pause_s = min(2 * pause_s, LOOK_S_MAX)

    # -- flatten -----------------------------------------------------------------------------------------------------------

    def _flatten(self) -> None:
        plan = self._plan
        refusal = self._flatten_refusal()
        refused: dict[str, str] = {}
        if not refusal:
            with self._alone() as is_alone:
                if is_alone:
                    self.due_ns = self._job.clock.monotonic_ns() + (plan.flatten_deadline_ns or plan.deadline_ns)
                    self._flatten_rounds(refused)
                else:
                    refusal = "another halt sends exits here; see its receipt"
        positions = self._try(lambda session: session.positions())
        late = "not filled inside the collar by the deadline" if positions is not None else f"unread: {self._error}"
        last = self._before or () if positions is None else positions
        left = [
            Residual(held.symbol, held.qty, refusal or refused.get(held.symbol, late))
            for held in last
            if held.qty and self._covers(held.symbol)
        ]
        if positions is None and not left:
            # Nothing is known to be left, which is not the same as nothing.
            self._set(unreachable=f"positions could not be read after the flatten: {self._error}")
        self._set(residual=tuple(left))

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Two halts that size their exits by one position would sell it twice: False where the other goes on past the deadline."""
        lock = self._job.exits.get(self.broker)
        left_s = max(0, self.due_ns - self._job.clock.monotonic_ns()) / NS_PER_S
        is_alone = lock is None or lock.acquire(timeout=left_s)
        try:
            yield is_alone
        finally:
            if lock is not None and is_alone:
                lock.release()

    def _covers(self, symbol: str) -> bool:
        return self._plan.scope.kind is not HaltScopeKind.SYMBOL or symbol == self._plan.scope.name

    def _flatten_refusal(self) -> str:
        """Why nothing may be flattened here; empty where it may."""
        if not self._part.verified:
            return "orders may still be open here; not flattened"
        if self._plan.scope.kind is HaltScopeKind.STRATEGY:
            return "a broker knows no strategies; exit the strategy's share by hand"
        left_ns = max(0, self.due_ns - self._job.clock.monotonic_ns())
        self._job.recorded.wait(left_ns / NS_PER_S)
        return "" if self._job.durable else "the halt is not durably recorded; not flattened"

    def _flatten_rounds(self, refused: dict[str, str]) -> None:
        step = 0
        while True:
            working = self._look()
            positions = self._try(lambda session: session.positions()) if working == [] else None
            exposed = [
                held
                for held in positions or ()
                if held.qty and self._covers(held.symbol) and held.symbol not in refused
            ]
            if self._is_late() or (positions is not None and not exposed):
                return
            if working:
                self._cancel_each(working)
            for held in exposed:
                self._exit(held, step, refused)
            step = min(step + 1, self._plan.widen_steps) if exposed else step
            self._rest(EXIT_ROUND_S if exposed else LOOK_S)

    def _exit(self, held: VenuePosition, step: int, refused: dict[str, str]) -> None:
        """One exit order, or the reason why there is none. The position is read again right before it is sized."""
        symbol = held.symbol
        instrument = self._plan.instruments.get(symbol)
        if instrument is None:
            refused[symbol] = "its tick and lot are not known here"
            return
        market = self._try(lambda session: (session.status(symbol), session.quote(symbol)))
        fresh = None if market is None else self._try(lambda session: session.positions())
        if market is None or fresh is None:
            self._strike(symbol, refused)
            return
        qty = next((one.qty for one in fresh if one.symbol == symbol), Qty(0))
        if not qty:
            return
        made = exit_terms(self._plan, instrument, qty, *market, step)
        if isinstance(made, str):
            refused[symbol] = made
            return
        if any(order.symbol == symbol for order in self._kept):
            # Two exits of one position: the venue refuses the second, or both fill. The resting one goes at the next
            # look, and only now that there is a market to exit in.
            self._giving_way.add(symbol)
            self._note(f"protective orders of {symbol} gave way to its exit")
            return
        self._send(made, refused)

    def _strike(self, symbol: str, refused: dict[str, str]) -> None:
        self._strikes[symbol] = self._strikes.get(symbol, 0) + 1
        if self._strikes[symbol] >= STRIKES:
            refused[symbol] = f"no price: {self._error}"

    def _send(self, spec: OrderSpec, refused: dict[str, str]) -> None:
        if self._is_late():
            return
        try:
            spec = msgspec.structs.replace(spec, broker=self.broker, account=self._account)
            order = WireOrder(wire_id=self._job.next_wire_id(), spec=spec)
            self._set(exits=(*self._part.exits, f"{spec.words()} [{order.wire_id}]"))
            if self._job.place is not None:
                self._job.place(self.broker, order)
            elif self._session is not None:
                self._session.place(order)
        except Exception as fault:  # loop edge: refused or unknown, it is never sent again; the residual says so
            refused[spec.symbol] = f"the exit was refused or has no answer: {fault}"
            self._drop()

    def _look_at_account(self) -> None:
        positions = self._try(lambda session: session.positions())
        cash = self._try(lambda session: session.cash())
        # Flat is an answer: an older look stands in only where there was none.
        looks = (positions, self._after_cancels, self._before)
        self._set(positions=next((look for look in looks if look is not None), ()), cash=dict(cash or {}))
        if positions is None or cash is None:
            self._note(f"positions or cash could not be read at the end: {self._error}")


def _key(order: VenueOrder) -> str:
    return order.venue_order_id or order.wire_id


def _cancelling(order: VenueOrder) -> Callable[[BrokerSession], bool]:
    def cancel(session: BrokerSession) -> bool:
        session.cancel(order)
        return True

    return cancel
