"""The engine: one synchronous core that decides, journals and hands effects to its driver.

A driver calls :meth:`Engine.submit`, :meth:`on_broker`, :meth:`on_market` and :meth:`on_time` on one thread; after each batch
it commits the journal and calls :meth:`release` with what is durable. The engine reads no clock but the one it was given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.api.aftermath import Aftermath
from engine.api.baskets import Baskets
from engine.api.commander import Commander
from engine.api.day_keeper import DayKeeper
from engine.api.followers import followers
from engine.api.habits import Habits
from engine.api.halt_picture import SAME_HALT_NS
from engine.api.leg_risk import LegRisk
from engine.api.market_state import MarketState
from engine.api.markouts import Markouts
from engine.api.parts import EngineParts
from engine.api.picture import Picture
from engine.api.places import follow_place
from engine.api.risk_view import EngineRiskView
from engine.api.split_rest import SplitRest
from engine.domain import events as ev
from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.domain.commands import AnyCommand, CommandResult, Halt, HaltScope, Preview
from engine.domain.errors import StoreUnwritable
from engine.domain.instrument import Instrument
from engine.domain.ledger_events import EngineStarted, EngineStopped, InstrumentDefined, PolicyLoaded, PolicyRefused
from engine.domain.order import OrderState, SourceKind
from engine.execution.execution_agent import ExecutionAgent
from engine.execution.linked import LinkedOrders
from engine.intake.strategy_host import BUDGET_NS, StrategyHost
from engine.ledger.day_book import DayBook
from engine.ledger.fx_book import FxBook
from engine.ledger.ledger import Ledger
from engine.market.feed import MarketTick, TradeTick
from engine.oms import broker_interface as bi
from engine.oms.orders import Orders, is_exit
from engine.oms.reconciler import RECONCILE_CODE, Reconciler
from engine.risk.kill_switch import KillSwitch, scope_words
from engine.risk.latch import RANK, SENTINEL_CODE, STALL_TELLERS, TripNote
from engine.risk.risk_manager import RiskManager
from engine.risk.safety import SafetyMonitor
from engine.routing.queue_position import Place, QueuePlaces
from engine.store.order import Order
from engine.store.order_store import OrderStore
from engine.views import DeskUpdate, DeskView

if TYPE_CHECKING:  # numpy only where columns are used
    from engine.market.columns import PassedTicks

RECONCILE_EVERY_NS = 10 * NS_PER_S
MONITOR_EVERY_NS = NS_PER_S
LATCH_EVERY_NS = 50 * NS_PER_MS
"""Another engine's trip is journaled here within so long; with 100 ms some were not on disk in 100 ms."""
CANCEL_LATE_NS = 2 * NS_PER_S
"""What still works so long after a halt is cancelled by the engine's own lane too; before, the procedure is at it."""
EVENTS_MAX = 5_000
FORGET_EVERY = 1_000
NOTES_REMEMBERED = 1_024

ENDS = (bi.Uncertain, bi.Cancelled, bi.Expired)
OnDisk = Callable[[bool], None]
"""Called with whether something is on disk (False: it will never be)."""


class Engine:
    """The core, and the door to it."""

    def __init__(self, parts: EngineParts) -> None:
        self.parts = parts
        self.journal = parts.journal
        self.clock = parts.clock
        self.store = OrderStore()
        self.ledger = Ledger()
        self.days = DayBook(self.ledger)
        self.fx = FxBook()
        self.market = MarketState()
        self.habits = Habits()
        self.kill = KillSwitch(parts.latch)
        self.view_of_risk = EngineRiskView(
            self.store, self.ledger, self.days, self.market, parts.brokers, parts.clock, parts.sessions, self.journal,
            parts.policy, self.fx, parts.history,
        )  # fmt: skip
        self.gate = RiskManager(self.view_of_risk, parts.policy, self.kill)
        self.safety = SafetyMonitor(self.gate)
        self.orders = Orders(self.store, self.record, parts.brokers, parts.clock, self._may_send)
        store, view, record, clock = self.store, self.view_of_risk, self.record, parts.clock
        self.agent = ExecutionAgent(store, self.orders, self.gate, view, record, clock, parts.weights)
        self.reconciler = Reconciler(store, self.ledger, self.orders, record, clock, self.trip, self.agent.stop_parent)
        self.reconciler.movements.mark_of = view.mark
        self.linked = LinkedOrders(self.store, self.orders, self.gate, self.record, parts.clock)
        self.baskets = Baskets(self)
        terms = self.ledger.instrument
        self.leg_risk, self.split_rest = LegRisk(store, terms, record), SplitRest(store, terms, record)
        self.keeper = DayKeeper(self.days, self.ledger, self.view_of_risk, parts.policy, self.record, parts.clock)
        is_seen = self._is_seen = parts.mode not in {"replay", "past"}
        self.places = QueuePlaces(is_on=is_seen)
        self.markouts = Markouts(self.market, parts.clock, parts.policy, is_on=is_seen, is_kept=parts.mode != "replay")
        self.picture = Picture(self)
        self.cursor = self.picture.cursor
        self.commander = Commander(self)
        self.aftermath = Aftermath(self)
        self.host = StrategyHost(
            parts.strategies,
            self.store,
            self.market.instruments.get,
            self.commander.submit,
            self.record,
            parts.clock,
            account=next((broker.account for broker in parts.brokers.values()), "PAPER"),
            budget_ns=0 if parts.mode == "replay" else BUDGET_NS,
            past=(parts.history, self.market.bars),
        )
        # Bound once: this way is taken a million times.
        self._take_tick, self._tell_tick = self.market.on_tick, self.host.on_tick
        self._told, self._calls = self.host.queue, self.agent.calls
        self._routes_rebuild, self._routes_live = followers(self)
        self._ready_to_work = False
        self._was_clean = True
        self._is_running = False
        self._settled_seq = 0
        self._next_monitor_ns = self._next_latch_ns = self._next_reconcile_ns = 0
        self._looked_ns = 0
        self._recheck_ns: dict[str, int] = {}
        self._awaiting: deque[tuple[int, OnDisk]] = deque()
        self._notes_told: dict[TripNote, None] = {}
        """Trip files that were read: one that cannot be removed is found again and again."""
        self.journal.attach(self.store)
        self.journal.attach(self.ledger)

    # -- start and end ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Rebuild from the journal, say what is in force, connect the brokers."""
        is_clean = self._was_clean = self._rebuild()
        self.kill.push_to_latch()
        self._is_running = True
        self.record(EngineStarted(clean=is_clean, mode=self.parts.mode))
        self.record_policy()
        self.take_trips()
        self.orders.recover()
        self.keeper.on_time(self.clock.now_ns())
        for broker in self.parts.brokers.values():
            self.define(broker.instruments())
            broker.start(self.on_broker, self.on_market)

    def _rebuild(self) -> bool:
        is_clean = True
        for row in self.journal.read():
            event = ev.decode_event(row.payload)
            self.follow(row.seq, row.ts_ns, event)
            if row.seq % FORGET_EVERY == 0:
                self.store.forget()  # its rows are written already; what ended long ago is packed
            is_clean = not isinstance(event, EngineStarted) and (is_clean or isinstance(event, EngineStopped))
            is_clean = is_clean or isinstance(event, EngineStopped)
        for projection in (self.store, self.ledger):
            projection.forget()
        return is_clean

    def follow(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Apply a row that is journaled already, as a start does with its own; also for looking back at another ledger."""
        self.picture.hear(seq, ts_ns, event)
        for act in self._routes_rebuild[event.__class__]:
            act(seq, ts_ns, event)

    def define(self, instruments: tuple[Instrument, ...]) -> None:
        """Make instruments known; journaled where they are new or changed."""
        for made in instruments:
            if self.ledger.instruments.get(made.symbol) != made:
                self.record(InstrumentDefined(instrument=made))
            self.market.instruments[made.symbol] = made
        self.parts.sessions.want((made.calendar for made in instruments), self.clock.now_ns())

    def record_policy(self) -> None:
        """Journal the policy in force; one in another currency than the ledger's is refused. A replay takes its base as given."""
        refused = self.parts.mode != "replay" and self.parts.policy.hold_to(self.ledger.base_currency)
        if refused:
            self.record(PolicyRefused(error=str(refused)))
        policy = self.parts.policy.policy
        if policy is not None:
            self.record(PolicyLoaded(policy_hash=policy.hash, text=policy.source))

    def stop(self, why: str) -> None:
        """Let go of brokers and journal the clean end. The driver commits afterwards.

        An intent that has not left by now never does: it is KILLED, so that the next engine does not have to ask after it.
        """
        for broker in self.parts.brokers.values():
            broker.stop()
        self._is_running = False
        try:
            self.orders.kill_unsent("the engine was stopped before it left", lambda _: True)
            self.keeper.keep_marks()
            self.record(EngineStopped(why=why))
        except StoreUnwritable:
            self.aftermath.begin()

    # -- events ----------------------------------------------------------------------------------------------------------

    def record(self, event: ev.AnyEvent) -> int:
        """Journal an event and let everybody know; its sequence number."""
        now_ns = self.clock.now_ns()
        seq = self.journal.append(now_ns, event)
        self.picture.hear(seq, now_ns, event)
        for act in self._routes_live[event.__class__]:
            act(seq, now_ns, event)
        return seq

    # -- inputs ----------------------------------------------------------------------------------------------------------

    def submit(self, command: AnyCommand) -> CommandResult:
        """Decide a command now."""
        if not self.journal.failed:
            try:
                result = self.commander.submit(command)
                self.settle()
            except StoreUnwritable:
                pass  # what was journaled of it is not on disk, so nothing of it leaves: the answer says so
            else:
                return result
        return self.aftermath.submit(command)

    def what_if(self, question: Preview) -> CommandResult:
        """What the gate would say now, and what the order would do. A pure question: nothing is journaled, counted or set going."""
        return self.commander.preview(question)

    def on_market(self, tick: MarketTick) -> None:
        """Take in a market tick."""
        if self._is_seen and tick.symbol in self.markouts.waiting:
            self.markouts.before_tick(tick.symbol)
        self._take_tick(tick)
        if self.aftermath.is_on:
            return
        try:
            self._tell_tick(tick)
            if self._is_seen and self.places.watched:
                self.places.on_tick(tick)
            if self.agent.watched and isinstance(tick, TradeTick) and tick.symbol in self.agent.watched:
                self.agent.on_trade(tick.symbol, self.market.instruments[tick.symbol].price_of(tick.price))
            journal = self.journal
            if journal.head_seq != self._settled_seq or self._told or self._calls or journal.failed:
                self.settle()  # looked at here too: on most ticks nothing follows
        except StoreUnwritable:
            self.aftermath.begin()

    def can_pass_over(self, symbol: str) -> bool:
        """Whether ticks of a symbol that change nothing about any order may be taken in by :meth:`pass_over`."""
        is_busy = self.host.queue or self.agent.calls or symbol in self.agent.watched
        return not is_busy and not self.host.wants(symbol) and not self.journal.failed

    def pass_over(self, passed: PassedTicks) -> None:
        """Take in many ticks at once, in place of :meth:`on_market` for each."""
        self.market.pass_over(passed)
        if passed.quote is not None:
            self.host.pass_over(passed.quote)

    def on_broker(self, event: bi.BrokerEvent) -> None:
        """Take in what a broker said; behind a failed journal it is counted and left to the next start's comparison."""
        if self.aftermath.is_on:
            self.aftermath.ignored += 1
            return
        try:
            self._take_in(event)
            self.settle()
        except StoreUnwritable:
            self.aftermath.begin()

    def _take_in(self, event: bi.BrokerEvent) -> None:
        if isinstance(event, bi.Filled):
            self.orders.book_fill(event.fill)
        elif isinstance(event, bi.ChannelChanged):
            self._channel(event)
        elif isinstance(event, bi.Snapshot):
            self._snapshot(event)
        elif isinstance(event, bi.Moved):
            self.reconciler.book_movement(event.movement)
        elif isinstance(event, bi.QueuePlace):
            if (known := self.store.by_wire.get(event.wire_id)) is not None:
                self.places.told(known, Place(event.ahead, event.guessed))
        elif not isinstance(event, bi.OrderAnswer):
            self.orders.on_broker(event)
            if (
                isinstance(event, bi.Acked | bi.Amended)
                and (known := self.store.by_wire.get(event.wire_id)) is not None
            ):
                follow_place(self.places, self.market, known)
            if isinstance(event, bi.Acked):
                order = self.store.by_wire.get(event.wire_id) if self.kill.is_tripped() else None
                if order is not None:
                    self._cancel_if_halted(order)
            elif isinstance(event, ENDS) and self._is_unknown(event.wire_id):
                self._recheck(event.broker)

    def _is_unknown(self, wire_id: str) -> bool:
        order = self.store.by_wire.get(wire_id)
        return order is not None and order.state is OrderState.UNKNOWN

    def _channel(self, event: bi.ChannelChanged) -> None:
        if event.state is not self.view_of_risk.channel(event.broker):
            self.record(ev.BrokerChanged(broker=event.broker, state=event.state, why=event.why))
        if event.state is ev.BrokerState.RESYNCING:
            broker = self.parts.brokers[event.broker]
            self.define(broker.instruments())
            self.reconciler.ask(broker)

    def _snapshot(self, snapshot: bi.Snapshot) -> None:
        broker = self.parts.brokers[snapshot.broker]
        done = self.reconciler.on_snapshot(snapshot, broker)
        if done is None:
            return
        if self.view_of_risk.channel(snapshot.broker) is not ev.BrokerState.UP:
            self.record(ev.BrokerChanged(broker=snapshot.broker, state=ev.BrokerState.UP, why="reconciled"))
        self.agent.cancel_again(snapshot.broker)
        if self.view_of_risk.unknown_orders()[0] or self.reconciler.is_waiting(snapshot.broker):
            self._recheck(snapshot.broker)
        if not self._ready_to_work and done.clean and not self.view_of_risk.recovering():
            self._ready_to_work = True
            self.agent.resume()
            self.host.resume(is_clean=self._was_clean)

    def _recheck(self, broker: str) -> None:
        wait_ns = self.parts.brokers[broker].capabilities.absence_wait_ns
        # One that is due sooner stays: where it comes too early for some order, its answer asks for the next.
        self._recheck_ns.setdefault(broker, self.clock.now_ns() + wait_ns + 100 * NS_PER_MS)

    def on_time(self, now_ns: int, mono_ns: int) -> None:
        """Run what is due: the turn of the risk day, algorithm timers, monitors, the latch, reconciliation."""
        if self.aftermath.is_on:
            return
        try:
            self._run_due(now_ns, mono_ns)
        except StoreUnwritable:
            self.aftermath.begin()

    def _run_due(self, now_ns: int, mono_ns: int) -> None:
        if now_ns < self._looked_ns:
            self._look_at_once()
        self._looked_ns = now_ns
        if now_ns >= self._next_latch_ns:
            self._next_latch_ns = now_ns + (MONITOR_EVERY_NS if self.parts.mode == "replay" else LATCH_EVERY_NS)
            self.take_trips()
        self.keeper.on_time(now_ns)
        self.agent.on_time(now_ns)
        self.host.on_time(now_ns)
        if now_ns >= self._next_monitor_ns:
            self._next_monitor_ns = now_ns + MONITOR_EVERY_NS
            self.parts.sessions.renew(now_ns)
            for trip in self.safety.on_timer(now_ns, mono_ns):
                self.trip(trip.scope, trip.state, trip.code, trip.why)
            self._cancel_late(now_ns)
        self._ask_brokers(now_ns)
        self.settle()

    def _look_at_once(self) -> None:
        """The clock stepped back: what was due by it would wait for as long as the step, the monitor that sees it too."""
        self._next_monitor_ns = self._next_latch_ns = self._next_reconcile_ns = self.keeper.next_ns = 0
        self._recheck_ns.clear()  # the comparison that is due now asks the same

    def _ask_brokers(self, now_ns: int) -> None:
        is_due = now_ns >= self._next_reconcile_ns
        if is_due:
            self._next_reconcile_ns = now_ns + RECONCILE_EVERY_NS
        for name, broker in self.parts.brokers.items():
            if self.view_of_risk.channel(name) is ev.BrokerState.DOWN:
                self._recheck_ns.pop(
                    name, None
                )  # the reconnect asks; a time in the past would keep the driver spinning
                continue
            is_recheck = now_ns >= self._recheck_ns.get(name, now_ns + 1)
            if is_recheck:
                del self._recheck_ns[name]
            if is_due or is_recheck:
                self.reconciler.ask(broker, self._since_ns(broker))

    def _since_ns(self, broker: bi.Broker) -> int:
        """From when a comparison needs the venue's history: before the last clean one and before every live order."""
        last = self.reconciler.last.get((broker.name, broker.account))
        if last is None or not last.clean:
            return 0
        births = [order.created_ns for order in self.store.live.values()]
        return max(0, min([last.ts_ns, *births]) - broker.capabilities.history_margin_ns)

    def next_time_ns(self) -> int:
        """When :meth:`on_time` must be called at the latest."""
        due_ns = min(self._next_monitor_ns, self._next_latch_ns, self._next_reconcile_ns, self.keeper.next_ns)
        if self._recheck_ns:
            due_ns = min(due_ns, *self._recheck_ns.values())
        for at_ns in (self.agent.next_timer_ns(), self.host.next_timer_ns()):
            if at_ns is not None and at_ns < due_ns:
                due_ns = at_ns
        return due_ns

    def settle(self) -> None:
        """Let algorithms answer and urgent monitors judge; called after every input."""
        journal, agent, host = self.journal, self.agent, self.host
        if journal.head_seq == self._settled_seq and not agent.calls and not host.queue and not journal.failed:
            return  # whatever calls for an answer or an urgent trip is journaled first: nothing new, nothing to do
        if agent.calls:
            agent.pump()
        if host.queue:
            host.pump()
            agent.pump()
        for trip in self.safety.urgent():
            self.trip(trip.scope, trip.state, trip.code, trip.why)
        self._settled_seq = self.journal.head_seq

    # -- effects ---------------------------------------------------------------------------------------------------------

    def release(self, durable_seq: int) -> int:
        """Hand over what waited for the disk."""
        if self.aftermath.is_on:
            return 0
        while self._awaiting and self._awaiting[0][0] <= durable_seq:
            self._awaiting.popleft()[1](True)
        try:
            left = self.orders.release(durable_seq)
            self.settle()
        except StoreUnwritable:
            self.aftermath.begin()
            return 0
        return left

    def when_durable(self, act: OnDisk) -> None:
        """Call back once everything journaled until now is on disk: with True, or with False where it never will be."""
        if self.journal.failed or self.aftermath.is_on or self.journal.durable_seq >= self.journal.head_seq:
            act(not self.journal.failed)
        else:
            self._awaiting.append((self.journal.head_seq, act))

    def give_up_waiting(self) -> None:
        """The journal has failed: tell everybody who waits for the disk."""
        while self._awaiting:
            self._awaiting.popleft()[1](False)

    def _may_send(self, order: Order) -> str:
        if is_exit(order):
            return ""
        state = self._trading_state(order)
        if state is ev.TradingState.HALTED:
            return "the kill latch was tripped before it left"
        if state is ev.TradingState.REDUCING and not self._shrinks(order):
            return "only orders that shrink the position might leave by then"
        if self.view_of_risk.channel(order.spec.broker) is not ev.BrokerState.UP:
            return f"channel {order.spec.broker} went {self.view_of_risk.channel(order.spec.broker).value}"
        return ""

    def _shrinks(self, order: Order) -> bool:
        """Whether everything that works on the order's side, itself included, only closes what is verified to be held."""
        spec, view = order.spec, self.view_of_risk
        if view.position_verified(spec.broker, spec.account) is None:
            return False
        held = view.position(spec.account, spec.symbol) * -spec.side.sign
        return held > 0 and view.open_qty(spec.account, spec.symbol, spec.side) <= held

    def _trading_state(self, order: Order) -> ev.TradingState:
        """The strictest state over everything that covers an order; the latch is read anew."""
        strategy = order.source.name if order.source.kind is SourceKind.STRATEGY else ""
        parent = self.store.orders.get(order.parent_id)
        algo = order.spec.algo.name if parent is None else parent.spec.algo.name
        return self.kill.state_for(order.spec.account, strategy, order.spec.symbol, algo)

    # -- halting ---------------------------------------------------------------------------------------------------------

    def trip(
        self,
        scope: HaltScope,
        state: ev.TradingState,
        code: str,
        why: str,
        who: str = "engine",
        procedure: Halt | None = None,
    ) -> bool:
        """Tighten a scope: latch first, then the journal; HALTED also cancels and stops sources. Whether the procedure began.

        What holds a scope as strictly or more is not replaced by something that can be lifted more easily.
        """
        self.parts.latch.tighten(scope, state)
        held = self.kill.cause_of(scope)
        if held is not None and (RANK[held.state] > RANK[state] or (code == RECONCILE_CODE != held.code)):
            return False
        told = (state, code, who, why)
        # `bolt kill` leaves a trip file and asks the engine: one halt, whichever of the two is read first.
        if held is None or told != held.told or self.clock.now_ns() - held.ts_ns > SAME_HALT_NS:
            self.record(ev.TradingStateChanged(scope=scope, state=state, code=code, who=who, why=why))
        if state is not ev.TradingState.HALTED:
            return False
        if code != "MANUAL":
            procedure = Halt(source=self.commander.own_source(who), scope=scope, why=why)
        if procedure is not None:
            self.run_halt(procedure, self.halt_id())
        # Behind the shut gate a source can send nothing; to stop a thousand of them takes longer than to begin to cancel.
        self.freeze(scope, f"halted: {code}")
        return procedure is not None

    def run_halt(self, command: Halt, halt_id: str) -> None:
        """Start the kill procedure behind the shut gate, where the driver has one."""
        if self.parts.halter is not None:
            self.picture.halts.began(halt_id, command)
            self.parts.halter(command, halt_id)

    def halt_id(self) -> str:
        """Name of the halt that is being journaled."""
        return f"H{self.journal.head_seq}"

    def halt_step(self, halt_id: str, step: str, data: dict[str, str]) -> None:
        """Journal a finished step of the kill procedure; show it where nothing can be journaled."""
        event = ev.HaltStep(halt_id=halt_id, step=step, data=data)
        if self.journal.failed:
            self.aftermath.begin()
            self.aftermath.show(event)
        else:
            self.record(event)

    def freeze(self, scope: HaltScope, why: str) -> None:
        """Stop the sources of a scope: parents send nothing more, intents that wait become KILLED."""

        def covers(order: Order) -> bool:
            return self.commander.covers(scope, order)

        self.agent.freeze(covers, why)
        self.orders.kill_unsent(why, covers)

    def _cancel_if_halted(self, order: Order) -> None:
        """Cancel an order that works in a halted scope: one that was on its way when the gate shut arrives behind the
        procedure's cancels, and one that came back with its venue was not there to be cancelled.
        """
        if order.cancel_asked or not order.is_live or is_exit(order):
            return
        policy = self.parts.policy.policy
        is_kept = order.spec.reduce_only and (policy is None or policy.word("kill.protective") == "keep")
        is_down = self.view_of_risk.channel(order.spec.broker) is ev.BrokerState.DOWN
        if not is_kept and not is_down and self._trading_state(order) is ev.TradingState.HALTED:
            self.orders.cancel(order, "trading is halted")

    def _cancel_late(self, now_ns: int) -> None:
        held = self.kill.held()
        if held and now_ns - held[-1].ts_ns > CANCEL_LATE_NS:
            for order in list(self.store.live.values()):
                self._cancel_if_halted(order)

    def take_trips(self) -> list[TripNote]:
        """Journal what other processes did to the latch, their trip files, and the sentinel file; the notes that were found."""
        notes = self.parts.take_notes()
        for note in notes:
            held = self.kill.cause_of(note.scope)
            is_told = held is not None and self.kill.state_of(note.scope) is note.state
            if is_told and note.code != SENTINEL_CODE and note not in self._notes_told and held is not None:
                # Somebody else's word is journaled too, and the hold time begins anew; two who tell of one stall are not two.
                is_told = {held.who, note.who} <= STALL_TELLERS or (held.who, held.why) == (
                    note.who,
                    note.why or "asked",
                )
            if not is_told:
                self.trip(note.scope, note.state, note.code, note.why, note.who)
            self._notes_told[note] = None
            if len(self._notes_told) > NOTES_REMEMBERED:
                del self._notes_told[next(iter(self._notes_told))]
        for scope, state in self.kill.unjournaled():
            why = self.parts.latch.damage() or f"{scope_words(scope)} was tripped in the latch"
            self.trip(scope, state, "LATCH", why, "another process")
        return notes

    # -- reading ---------------------------------------------------------------------------------------------------------

    def view(self) -> DeskView:
        """A whole picture."""
        return self.picture.view()

    def update_since(self, cursor: int) -> tuple[int, DeskUpdate]:
        """What changed since a cursor."""
        return self.picture.update_since(cursor)

    def events(self, from_seq: int, limit: int) -> list[tuple[int, int, ev.AnyEvent]]:
        """Durable events from a sequence number on."""
        rows = self.journal.read(from_seq, min(limit, EVENTS_MAX))
        return [(row.seq, row.ts_ns, ev.decode_event(row.payload)) for row in rows]
