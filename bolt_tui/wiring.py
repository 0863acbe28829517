"""Builds an engine with its brokers and drives it in an asyncio loop.

What arrives on other threads (broker answers, ticks, durable sequence numbers) is put in one queue and taken in batches on the loop.
The journal is written on a thread of its own: a slow disk delays no tick, cancel or halt.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from bolt_tui.calendars import sessions_beside
from bolt_tui.collector import calm
from bolt_tui.halting import Halting, Record, trip_latch
from bolt_tui.history import load_beside
from bolt_tui.input_tape import InputTape, StepInput, encode
from bolt_tui.instruments import registry_in
from bolt_tui.latch_tape import HeardLatch
from bolt_tui.lookout import Lookout
from bolt_tui.notify import FAILED_CODE, Notifier, counts_path
from bolt_tui.recall import recall_beside
from bolt_tui.session_report import note_session
from bolt_tui.settings import Home, Settings, ensure_policy, load_settings
from bolt_tui.tape_middles import Question
from bolt_tui.trip_notes import TripNotes
from bolt_tui.venue_keeper import VenueKeeper
from bolt_tui.watchdog import Watchdog
from brokers.paper.line import IsHalted
from brokers.paperbroker import PaperBroker, PaperSession, ensure_venue, stop_venue
from engine.api import Engine, EngineParts
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import AnyCommand, CommandResult, Halt, HaltScope, SetFxRates
from engine.domain.errors import BoltError, StoreUnwritable
from engine.domain.events import AlertRaised, BrokerState, TradingState
from engine.domain.ids import new_ledger_id
from engine.domain.instrument import Instrument
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, Source, SourceKind
from engine.domain.resets import DailyReset, read_reset
from engine.intake.strategy_base import Strategy
from engine.intake.strategy_loader import load_strategies
from engine.ledger.ledger import Ledger
from engine.market.fees import shipped_fees
from engine.market.fx_rates import FX_NAME, read_fx
from engine.market.history import History, Loaded
from engine.market.registry import Registry, differences
from engine.market.tape import Chunk, TapeWriter, prune, recover
from engine.oms import broker_interface as bi
from engine.risk.kill_switch import scopes_of
from engine.risk.latch import Latch, TripNote, leave_note, sentinel
from engine.risk.policy import PolicyHolder
from engine.store.journal import Journal
from engine.store.order_store import OrderStore
from engine.store.writer import JournalWriter

_LOG = logging.getLogger("bolt.wiring")
BATCH_MAX = 2_000
"""Inputs taken in one turn of the loop, so that commands get their turn in a flood of ticks."""
INPUTS_MAX = 200_000
YIELD_S = 0.02
"""How long the loop lets the record of a halt of everything go first; a disk that takes longer is not waited for. Without it the halt's
row was on disk after 5 to 100 ms while five hundred answers came, 4 to 35 so (``python -m tests.bench.kill_stress queue``)."""
RECORD_S = 10.0
"""How long a flatten waits for its trip to be on disk."""
TURN_S = 0.0005
"""How long a thread may compute while another waits. With Python's own 5 ms the procedure of a halt, its record and the loop that stops
a thousand parents waited for each other: 430 ms until all was verified gone, 270 so (``python -m tests.bench.kill_stress idle``)."""
STOP_S = 5.0


def _nothing() -> None:
    """Nobody wants to know."""


class Inbox:
    """Inputs from other threads, taken in order on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_fault: Callable[[Exception], None]) -> None:
        self._loop = loop
        self._on_fault = on_fault
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_rung = False
        self.after: Callable[[], None] = _nothing
        """Called behind each input that did not fail."""
        self.dropped = 0

    def put(self, act: Callable[[], None], *, is_tick: bool = False) -> None:
        """Queue an input; a tick is dropped and counted where too many wait, an answer never."""
        if is_tick and len(self._waiting) >= INPUTS_MAX:
            self.dropped += 1
            return
        self._waiting.append(act)
        if not self._is_rung:
            self._is_rung = True
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:
                # The loop has ended: what the venue still says is asked for at the next start.
                _LOG.info("an input came after the end")

    def _drain(self) -> None:
        self._is_rung = False
        for _ in range(min(BATCH_MAX, len(self._waiting))):
            act = self._waiting.popleft()
            try:
                act()
                self.after()
            except Exception as error:  # loop edge: the desk is halted, and what else came is still taken
                self._on_fault(error)
        if self._waiting and not self._is_rung:
            self._is_rung = True
            self._loop.call_soon(self._drain)


class LoopBroker:
    """A broker whose callbacks come on the loop, by way of the tape."""

    def __init__(self, broker: bi.Broker, inbox: Inbox, tape: InputTape, registry: Registry) -> None:
        self._broker = broker
        self._registry = registry
        self._inbox = inbox
        self._tape = tape
        self.name = broker.name
        self.account = broker.account
        self.capabilities = broker.capabilities

    def start(self, sink: bi.Sink, market: bi.MarketSink) -> None:
        """Connect, with callbacks put in the inbox."""
        self._broker.start(
            lambda event: self._inbox.put(partial(self._tape.broker, sink, event)),
            lambda tick: self._inbox.put(partial(self._tape.tick, market, tick), is_tick=True),
        )

    def stop(self) -> None:
        """Let go."""
        self._broker.stop()

    def instruments(self) -> tuple[Instrument, ...]:
        """What can be traded, completed by what only the owner's registry says."""
        listed = self._broker.instruments()
        for made in listed:
            entry = self._registry.of_broker(self.name, made.symbol)
            for words in differences(entry, made) if entry is not None else ():
                _LOG.warning("registry: %s", words)
        return self._tape.instruments(tuple(self._registry.completed(self.name, made) for made in listed))

    def send_new(self, order: bi.WireOrder) -> None:
        """Hand over one new order."""
        self._broker.send_new(order)

    def send_cancel(self, wire_id: str, venue_order_id: str) -> None:
        """Ask for a cancel."""
        self._broker.send_cancel(wire_id, venue_order_id)

    def send_amend(self, wire_id: str, venue_order_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        """Ask for new terms."""
        self._broker.send_amend(wire_id, venue_order_id, qty, limit, stop)

    def query_order(self, wire_id: str) -> None:
        """Ask for one order."""
        self._broker.query_order(wire_id)

    def query_state(self, request_id: int, since_ns: int) -> None:
        """Ask for a snapshot."""
        self._broker.query_state(request_id, since_ns)


class Door:
    """The engine's door, with what a command decided handed to the journal's writer at once: its answer waits for it."""

    def __init__(self, engine: Engine, tape: InputTape, hand_over: Callable[[], None]) -> None:
        self._engine = engine
        self._tape = tape
        self._hand_over = hand_over
        self.view = engine.view
        self.update_since, self.cursor = engine.update_since, engine.cursor
        self.events = engine.events
        self.when_durable = engine.when_durable
        self.what_if = engine.what_if

    def submit(self, command: AnyCommand) -> CommandResult:
        """Decide a command now."""
        try:
            return self._tape.submit(self._engine, command)
        finally:
            self._hand_over()


class LiveEngine:
    """An engine in a loop. Build it with :func:`build_live`, then ``await run()``."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self._clock = SystemClock()
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(self._loop, self._on_fault)
        self.faults = 0
        """Inputs and turns at which the engine failed."""
        self._stopping: asyncio.Future[bool] = self._loop.create_future()
        ensure_policy(home)
        registry = registry_in(home.instruments)
        self._settings = settings
        self._chunks: deque[Chunk] = deque()
        self._notes = TripNotes(home.root)
        self._recovered: list[tuple[str, str]] = []
        """Chunks that the engine before could not close; the ledger may not name them yet when history is read."""
        self._notifier = Notifier(settings.notify, counts_path(home), partial(self._on_trouble, FAILED_CODE))
        rates = home.root / FX_NAME
        self._rates = read_fx(rates).rates if rates.exists() else ()
        self._policy = PolicyHolder.from_file(home.policy)
        base = "USD" if self._policy.policy is None else self._policy.policy.word("currency")
        self._journal = Journal.open(home.place, self._clock.now_ns(), new_ledger_id, base)
        with ExitStack() as undo:
            undo.callback(self._journal.close)
            self._latch = Latch.open(home.latch, ledger_used=not self._journal.is_new)
            start_venue = _venue_start(home, settings)
            start_venue()
            self._venue = VenueKeeper(start_venue, self._clock)
            self._tape = InputTape(self._tape_writer, HeardLatch.open(home.latch, ledger_used=not self._journal.is_new))
            undo.callback(self._tape.latch.close)
            sessions = sessions_beside(home.calendars, home.own_sessions, self._inbox.put, self._tape.calendar)
            history = History(sessions)
            self.engine = Engine(
                EngineParts(
                    journal=self._journal,
                    clock=self._tape.clock,
                    brokers={"paper": LoopBroker(_paper(home, settings), self._inbox, self._tape, registry)},
                    policy=self._policy,
                    latch=self._tape.latch,
                    mode="paper",
                    sessions=sessions,
                    history=history,
                    weights=history.weights,
                    take_notes=self._take_notes,
                    halter=self._begin_halt,
                    strategies=self._strategies(),
                    pid=os.getpid(),
                    fees=shipped_fees(),
                    told=dict.fromkeys(self._notifier.kinds(), self._notifier.on_event),
                )
            )
            undo.pop_all()
        self.door = Door(self.engine, self._tape, self._turn)
        self._writer = JournalWriter(self._journal, self._on_durable, self._on_failure)
        self._journal.on_trouble = self._on_trouble
        self._journal.on_waiting = lambda: self._loop.call_soon(self._turn)
        self._inbox.after = self._press
        self._halting = Halting(
            home, self._clock, {"paper": lambda: PaperSession(home.root)}, self._policy, self._on_step
        )

        self._beat_ns = self._clock.monotonic_ns()
        self._watchdog = Watchdog(home, self._stall_ns_max)
        self._lookout = Lookout(
            self._clock, lambda: self._beat_ns, self._stall_ns_max, self._sentinel_words, self.halt_now
        )

    def _stall_ns_max(self) -> int:
        policy = self._policy.policy
        return 0 if policy is None else policy.ns("monitor.max_stall_s")

    def _sentinel_words(self) -> str | None:
        asked = sentinel(self._home.root)
        return None if asked is None else asked.why

    def _strategies(self) -> Mapping[str, type[Strategy]]:
        loaded = load_strategies(self._home.strategies)
        for error in loaded.errors:
            _LOG.error("strategy: %s", error)
        self._strategy_files = loaded.files
        return loaded.strategies

    def _tape_writer(self) -> TapeWriter | None:
        keep = self._settings.tape
        if not keep.record:
            return None
        folder = self._home.tape

        # Before the writer begins, and before its own chunks: what a killed engine left is of the session before.
        recover(folder, self._on_recovered)

        def make_room() -> None:
            gone = prune(folder, self._clock.now_ns(), keep.keep_days, keep.keep_mb * 1024 * 1024)
            if gone:
                self._inbox.put(partial(self._tape.pruned, self.engine, gone))

        return TapeWriter(folder, encode, self._on_chunk, make_room)

    def _on_history(self, loaded: Loaded) -> None:
        self._inbox.put(partial(self._tape.history, self.engine, loaded))

    def _recall(self) -> None:
        """Let the tape tell of the prices behind the fills of before."""
        markouts, policy = self.engine.markouts, self._policy.policy
        if policy is None:
            return
        question = Question(
            folder=str(self._home.tape),
            instruments=tuple(self.engine.market.instruments.values()),
            fills=markouts.asked(),
            age_ns_max=policy.ns("price.max_quote_age_s"),
        )
        recall_beside(
            self._home.place,
            question,
            self._recovered,
            self._clock.now_ns(),
            lambda told: self._inbox.put(partial(markouts.recall, told)),
        )

    def _on_recovered(self, chunk: Chunk) -> None:
        self._recovered.append((chunk.name, chunk.sha256))
        self._on_chunk(chunk)

    def _on_chunk(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self._inbox.put(self._anchor)

    def _anchor(self) -> None:
        """Let the journal hold the hashes of the chunks that were written meanwhile."""
        while self._chunks:
            chunk = self._chunks.popleft()
            if not chunk.sha256:
                _LOG.warning("%s was left out of the tape, %s rows: %s", chunk.name, chunk.rows, chunk.why)
            self._tape.anchor(self.engine, chunk)
        self._turn()

    async def run(self) -> None:
        """Trade until a stop is asked for.

        Raises:
            StoreUnwritable: at the end, where the ledger failed meanwhile.
        """
        self._writer.start()
        try:
            self._tape.start(self.engine, self._home.strategies, self._strategy_files)
            if self._rates:
                source = Source(SourceKind.CLI, FX_NAME)
                self._tape.submit(self.engine, SetFxRates(source=source, rates=self._rates))
            self._turn()
            instruments = tuple(self.engine.market.instruments.values())
            load_beside(self._home, self._clock.now_ns(), self._recovered, instruments, self._on_history)
            self._recall()
            calm()
            sys.setswitchinterval(TURN_S)
            self._beat_ns = self._clock.monotonic_ns()
            self._lookout.start()
            self._watchdog.start()
            while not self._stopping.done():
                self._beat_ns = self._clock.monotonic_ns()
                self._watchdog.beat()
                wait_s = max(0.0, (self.engine.next_time_ns() - self._clock.now_ns()) / NS_PER_S)
                await asyncio.wait({self._stopping}, timeout=min(wait_s, 0.05))
                self._on_time()
                self._turn()
                self._venue.look(is_down=self.engine.view_of_risk.channel("paper") is BrokerState.DOWN)
            if self._stopping.result() and not self._journal.failed:
                await self._until_cancelled()
            self._tape.close()
            self._anchor()
            self.engine.stop("asked")
            self._turn()
            if self._journal.failed:
                raise StoreUnwritable(self._journal.failed)
        finally:
            self._lookout.stop()
            self._watchdog.stop()
            self._notifier.close()
            self._venue.stop()
            self._writer.stop(STOP_S)
            note_session(self._home)
            self._journal.close()
            self._tape.latch.close()
            self._latch.close()

    async def _until_cancelled(self) -> None:
        deadline_ns = self._clock.monotonic_ns() + int(STOP_S * NS_PER_S)
        while self.engine.store.live and self._clock.monotonic_ns() < deadline_ns:
            await asyncio.sleep(0.02)
            self._on_time()
            self._turn()

    def _on_time(self) -> None:
        try:
            self._tape.on_time(self.engine, self._clock.monotonic_ns())
            self._notes.settle(self.engine.when_durable)
        except Exception as error:  # loop edge: monitors that cannot look are a trip, and the engine stays to say so
            self._on_fault(error)

    def _on_fault(self, error: Exception) -> None:
        """The engine failed where it must not: what it thinks may be wrong from here on, so nothing more leaves."""
        self.faults += 1
        if self._latch.read() is not TradingState.HALTED:
            _LOG.error("the engine failed and is halted", exc_info=error)
            self.halt_now("engine", f"{type(error).__name__}: {error}; see the log and report it", "fault")

    def _turn(self) -> None:
        self._writer.hand_over()

    def _press(self) -> None:
        """What an order or a halt waits for goes to the disk now, not behind hundreds of ticks that came with it."""
        if self._journal.is_pressing:
            self._turn()

    # -- from other threads --------------------------------------------------------------------------------------------

    def _on_durable(self, seq: int) -> None:
        self._inbox.put(partial(self._release, seq))

    def _release(self, seq: int) -> None:
        self._tape.release(self.engine, seq)
        self._turn()

    def _on_trouble(self, code: str, words: str) -> None:
        _LOG.warning("%s: %s", code, words)
        self._inbox.put(lambda: self._alert(code, words))

    def _alert(self, code: str, words: str) -> None:
        if not self._journal.failed:
            self._tape.alert(self.engine, AlertRaised(severity="warn", code=code, text=words))

    def _on_failure(self, why: str) -> None:
        """A write failed: the gate shuts at once, nothing that waited leaves, and everything that works is cancelled.

        The engine stays to show why until a person stops it; it journals nothing more.
        """
        self._latch.shut()
        trip_latch(self._home, HaltScope())
        _LOG.error("the ledger takes no writes any more: %s", why)
        self._leave_note("LEDGER_UNHEALTHY", "engine", why)
        self._inbox.put(self.engine.aftermath.begin)
        self._halting.begin(
            Halt(source=Source(SourceKind.HALT, "journal"), why=f"ledger error: {why}"), "LEDGER", record=lambda: False
        )

    def _begin_halt(self, command: Halt, halt_id: str) -> None:
        seq = self._journal.head_seq
        self._turn()  # who and why go to the disk now, ahead of all that is stopped
        self._halting.begin(
            command,
            halt_id,
            record=lambda: self._writer.wait_durable(seq, RECORD_S),
            belongs=self.engine.commander.orders_of(command),
        )
        if command.scope == HaltScope():
            # To stop what still runs behind the shut gate can wait a moment, and would keep the record from the interpreter. Not
            # for each of many symbols that trip at once.
            self._writer.wait_durable(seq, YIELD_S)

    def _on_step(self, halt_id: str, step: str, data: dict[str, str]) -> None:
        self._inbox.put(partial(self._tape.step, self.engine, StepInput(halt_id, step, data)))

    def halt_now(self, who: str, why: str, source: str) -> None:
        """Stop trading, from any thread or signal handler, also while the loop is stuck."""
        self._latch.shut()  # at once; all that may wait for the disk runs on the procedure's own threads
        command = Halt(source=Source(SourceKind.HALT, who), why=why)

        def record() -> bool:
            return self._leave_note("MANUAL", who, f"{source}: {why}") and trip_latch(self._home, HaltScope())

        self._halting.begin(command, f"N{self._clock.now_ns()}", record=record)

    def _leave_note(self, code: str, who: str, why: str) -> bool:
        """For the journal: of this engine, or of the next one where this one writes no more. True once it is on disk."""
        note = TripNote(
            scope=HaltScope(),
            state=TradingState.HALTED,
            code=code,
            who=who,
            why=why,
            ts_ns=self._clock.now_ns(),
            pid=os.getpid(),
        )
        return leave_note(self._home.root, note) is not None

    def _take_notes(self) -> list[TripNote]:
        found = self._notes.take()
        asked = sentinel(self._home.root)
        return self._tape.notes(found if asked is None else [*found, asked])

    @property
    def is_recovering(self) -> bool:
        """Whether the engine before did not end cleanly, and no comparison was clean since."""
        return self.engine.view_of_risk.recovering()

    def request_stop(self, cancel: bool) -> None:
        """End :meth:`run`, cancelling working orders first where asked. On the loop's thread."""
        if not self._stopping.done():
            self._stopping.set_result(cancel)


def _reset_of(settings: Settings) -> DailyReset | None:
    return read_reset(settings.paper.reset) if settings.paper.reset else None


def _paper(home: Home, settings: Settings) -> PaperBroker:
    return PaperBroker(home.root, reset=_reset_of(settings), is_halted=_last_look(home))


def _last_look(home: Home) -> IsHalted:
    """Reads the latch for an adapter's thread, by a view of its own."""
    latch = Latch.attach(home.latch)

    def is_halted(spec: OrderSpec | None) -> bool:
        scopes = () if spec is None else scopes_of(spec.account, "", spec.symbol)
        return latch.read(scopes) is TradingState.HALTED

    return is_halted


def _venue_start(home: Home, settings: Settings) -> Callable[[], bool]:
    """Starts the paper venue where none serves."""
    paper = settings.paper
    options = ("--reset", paper.reset) if paper.reset else ()
    return partial(ensure_venue, home.root, paper.seed, paper.cash, options=options)


def projections() -> tuple[OrderStore, Ledger]:
    """Fresh projections, as the engine keeps them: what a ledger is verified and rebuilt with."""
    return OrderStore(), Ledger()


def build_live(home: Home, settings: Settings) -> LiveEngine:
    """An engine on this state folder, its paper venue started where none runs. Call it in the loop it will run in.

    Raises:
        StoreError, PolicyError, InstrumentError, VenueError: each with the next step; nothing is left running but the venue.
    """
    return LiveEngine(home, settings)


def _policy_or_none(home: Home) -> PolicyHolder:
    """A policy that cannot be read must not keep orders from being cancelled; without one nothing is flattened."""
    try:
        return PolicyHolder.from_file(home.policy)
    except BoltError as error:
        _LOG.error("cancelling without a policy: %s", error)
        return PolicyHolder(None)


def halt_here(home: Home, command: Halt, *, record: Record) -> dict[str, object]:
    """The kill procedure in this process, with sessions of its own: for an engine that is dead or stuck.

    ``record`` says whether who, why and scope are on disk; it runs in a thread of its own and may wait.

    A paper venue that is dead too is started for as long as this takes: its orders stand in its log and would come to
    work again with it.
    """
    policy = _policy_or_none(home)
    latch = Latch.open(home.latch, ledger_used=home.is_used)
    with ExitStack() as undo:
        undo.callback(latch.close)
        try:
            settings = load_settings(home)
            if ensure_venue(home.root, settings.paper.seed, settings.paper.cash):
                undo.callback(stop_venue, home.root)
        except BoltError as error:
            _LOG.error("the paper venue is not there and does not start: %s", error)
        halting = Halting(home, SystemClock(), {"paper": lambda: PaperSession(home.root)}, policy, lambda *_: None)
        return halting.run_here(command, record=record)
