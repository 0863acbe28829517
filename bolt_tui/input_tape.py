"""Records all that a live engine hears, so that its day can be decided again from tape and journal.

Time stands still while the engine works on one input: the tape holds that time, and the same engine over the same inputs makes the same
journal, byte for byte (:mod:`bolt_tui.redecide`). Commands are on the tape too; market data is nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bolt_tui.latch_tape import HeardLatch, LatchInput
from engine.api import Engine
from engine.api.history_in import take_history
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import AnyCommand, CommandResult
from engine.domain.instrument import Instrument
from engine.domain.ledger_events import TapeAnchored, TapePruned
from engine.market.calendar import SessionTable
from engine.market.feed import MarketTick
from engine.market.history import Loaded
from engine.market.sessions import Sessions
from engine.market.tape import Chunk, TapeWriter
from engine.oms import broker_interface as bi
from engine.risk.latch import TripNote

START, TICK, BROKER, TIME, RELEASE, COMMAND, STEP = "start", "tick", "broker", "time", "release", "command", "step"
HISTORY, CALENDAR, ALERT = "history", "calendar", "alert"
INSTRUMENTS, NOTES, LATCH, LIFTED = "instruments", "notes", "latch", "lifted"
"""Answers to what the engine asked during the input before them."""

CLOSE_S = 2.0
LATE_NS = 2 * NS_PER_S
"""The driver looks at the clock twenty times a second; an input so long after the last look, or before it, comes after a gap."""


class TurnClock(SystemClock):
    """The machine's clocks; the wall clock stands still between :meth:`turn` and the next one."""

    def __init__(self) -> None:
        self._now_ns = super().now_ns()

    def turn(self) -> int:
        """Look at the wall clock again."""
        self._now_ns = super().now_ns()
        return self._now_ns

    def now_ns(self) -> int:
        """Wall clock as of the last turn."""
        return self._now_ns


class Seat(msgspec.Struct, frozen=True):
    """A broker as an engine was given it."""

    name: str
    account: str
    capabilities: bi.Capabilities


class Started(msgspec.Struct, frozen=True):
    """What an engine was built from, as far as the journal does not hold it."""

    brokers: tuple[Seat, ...]
    mode: str
    strategies: str
    """Folder of the user's strategies."""
    hears_latch: bool = False
    """Whether the tape tells what was read in the latch; those of before do not."""
    files: dict[str, str] | None = None
    """The user's strategy files that were read, each with its SHA-256; None on tapes of before."""


class TimeInput(msgspec.Struct, frozen=True, array_like=True):
    """A look at the clock."""

    now_ns: int
    mono_ns: int


class StepInput(msgspec.Struct, frozen=True, array_like=True):
    """A step of a kill procedure."""

    halt_id: str
    step: str
    data: dict[str, str]


class CalendarInput(msgspec.Struct, frozen=True):
    """A calendar that was loaded; None where it could not be, with the reason."""

    name: str
    table: SessionTable | None = None
    why: str = ""


def put_calendar(sessions: Sessions, told: CalendarInput) -> None:
    """Let an engine's sessions know."""
    if told.table is None:
        sessions.fail(told.name, told.why)
    else:
        sessions.put(told.name, told.table)


def encode(payload: Any) -> bytes:
    """Bytes of any payload."""
    return ev.ENCODER.encode(payload)


class InputTape:
    """Between a live driver and its engine: each input is put on the tape, then handed on.

    Args:
        make: the writer, begun with the engine; None where nothing is to be recorded.
        latch: the latch that the engine reads.
        clock: the machine's, where none is given.
    """

    def __init__(
        self, make: Callable[[], TapeWriter | None], latch: HeardLatch, clock: TurnClock | None = None
    ) -> None:
        self.clock = clock or TurnClock()
        self.latch = latch
        latch.tell = self._latch
        latch.tell_lift = self._lifted
        self._make = make
        self.writer: TapeWriter | None = None
        self._engine: Engine | None = None
        self._is_started = False

    def start(self, engine: Engine, strategies: Path, files: dict[str, str]) -> None:
        """Start the engine, which has read these strategy files (each with its SHA-256) of that folder."""
        self._engine = engine
        self.writer = self._make()
        seats = tuple(Seat(one.name, one.account, one.capabilities) for one in engine.parts.brokers.values())
        self._put(START, Started(seats, engine.parts.mode, str(strategies), hears_latch=True, files=files))
        engine.start()
        self._is_started = True

    def close(self) -> None:
        """Write what is left, for some seconds at most; the engine is about to stop."""
        if self.writer is not None:
            self.writer.close(CLOSE_S)
            self.writer = None

    def _put(self, kind: str, payload: Any) -> None:
        now_ns = self._turn()
        self.latch.looks = 0
        if self.writer is not None and self._engine is not None:
            self.writer.add(kind, self._engine.journal.head_seq, now_ns, payload)

    def _turn(self) -> int:
        """Look at the wall clock again. Where the machine slept, or its clock was set, that is judged before anything is decided on
        what comes first.
        """
        before_ns = self.clock.now_ns()
        now_ns = self.clock.turn()
        if not 0 <= now_ns - before_ns <= LATE_NS and self._is_started and self._engine is not None:
            self.latch.looks = 0
            self._look(self._engine, self.clock.monotonic_ns())
        return now_ns

    # -- inputs ----------------------------------------------------------------------------------------------------------

    def tick(self, sink: Callable[[MarketTick], None], tick: MarketTick) -> None:
        """Market data."""
        self._put(TICK, tick)
        sink(tick)

    def broker(self, sink: Callable[[bi.BrokerEvent], None], event: bi.BrokerEvent) -> None:
        """What a broker said."""
        self._put(BROKER, event)
        sink(event)

    def submit(self, engine: Engine, command: AnyCommand) -> CommandResult:
        """A command."""
        self._put(COMMAND, command)
        return engine.submit(command)

    def on_time(self, engine: Engine, mono_ns: int) -> None:
        """Time passed."""
        self.clock.turn()
        self.latch.looks = 0
        self._look(engine, mono_ns)

    def _look(self, engine: Engine, mono_ns: int) -> None:
        now_ns = self.clock.now_ns()
        writer = self.writer
        if writer is not None:
            writer.beat(now_ns)
            writer.add(TIME, engine.journal.head_seq, now_ns, TimeInput(now_ns, mono_ns))
        engine.on_time(now_ns, mono_ns)

    def release(self, engine: Engine, seq: int) -> None:
        """Rows are on disk."""
        self._put(RELEASE, seq)
        engine.release(seq)

    def step(self, engine: Engine, step: StepInput) -> None:
        """A step of a kill procedure is done."""
        self._put(STEP, step)
        engine.halt_step(step.halt_id, step.step, step.data)

    def history(self, engine: Engine, loaded: Loaded) -> None:
        """History of a symbol was read."""
        self._put(HISTORY, loaded)
        take_history(engine, loaded)

    def calendar(self, sessions: Sessions, told: CalendarInput) -> None:
        """A calendar was loaded, or could not be."""
        self._put(CALENDAR, told)
        put_calendar(sessions, told)

    def alert(self, engine: Engine, alert: ev.AlertRaised) -> None:
        """A part beside the engine has something to say."""
        self._put(ALERT, alert)
        engine.record(alert)

    # -- answers ---------------------------------------------------------------------------------------------------------

    def instruments(self, made: tuple[Instrument, ...]) -> tuple[Instrument, ...]:
        """What a broker can trade, as the engine just asked."""
        self._answer(INSTRUMENTS, made)
        return made

    def notes(self, found: list[TripNote]) -> list[TripNote]:
        """Trip files that the engine just found."""
        if found:
            self._answer(NOTES, tuple(found))
        return found

    def _latch(self, found: LatchInput) -> None:
        self._answer(LATCH, found)

    def _lifted(self, is_lifted: bool) -> None:
        self._answer(LIFTED, is_lifted)

    def _answer(self, kind: str, payload: Any) -> None:
        if self.writer is not None and self._engine is not None:
            self.writer.add(kind, self._engine.journal.head_seq, self.clock.now_ns(), payload)

    # -- chunks ----------------------------------------------------------------------------------------------------------

    def anchor(self, engine: Engine, chunk: Chunk) -> None:
        """Let the journal hold a chunk's hash."""
        self._record(engine, TapeAnchored(name=chunk.name, sha256=chunk.sha256, rows=chunk.rows))

    def pruned(self, engine: Engine, days: tuple[str, ...]) -> None:
        """Let the journal say which days were removed."""
        self._record(engine, TapePruned(days=days))

    def _record(self, engine: Engine, event: ev.AnyEvent) -> None:
        # No input, so looks at the latch go on being counted from the one before.
        self._turn()
        # A journal that fails has more to say than where the tape is.
        if not engine.journal.failed and not engine.aftermath.is_on:
            engine.record(event)
