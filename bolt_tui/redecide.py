"""`bolt replay --ledger L`: decide a recorded day again, from tape and journal, and compare every row.

A fresh engine gets the rows before the session, then each input of the tape at its time. What it journals must be what the ledger
holds, byte for byte: the same inputs made the same decisions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bolt_tui import input_tape as it
from bolt_tui.latch_tape import LatchInput, ToldLatch
from engine.api import Engine, EngineParts
from engine.api.history_in import take_history
from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import SimClock
from engine.domain.errors import DataError
from engine.domain.instrument import Instrument
from engine.domain.ledger_events import (
    EngineStarted,
    EngineStopped,
    LedgerOpened,
    PolicyLoaded,
    TapeAnchored,
    TapePruned,
)
from engine.domain.money import Price, Qty
from engine.intake.strategy_base import Strategy
from engine.intake.strategy_loader import load_strategies
from engine.market.feed import MarketTick
from engine.market.fees import shipped_fees
from engine.market.history import History, Loaded
from engine.market.sessions import Sessions
from engine.market.tape import TapeRow, chunk_fault, first_row, is_chunk, read_chunk
from engine.oms import broker_interface as bi
from engine.risk.latch import Latch, TripNote
from engine.risk.policy import PolicyHolder
from engine.store.journal import Journal, Row, read_journal
from engine.store.place import Place

FROM_TAPE = (TapeAnchored, TapePruned)
"""Rows that the tape itself made: they follow its threads, not the inputs."""

_READ: dict[str, msgspec.json.Decoder[Any]] = {
    it.START: ev.decoder(it.Started),
    it.TICK: ev.decoder(MarketTick),
    it.BROKER: ev.decoder(bi.BrokerEvent),
    it.TIME: ev.decoder(it.TimeInput),
    it.RELEASE: ev.decoder(int),
    it.COMMAND: ev.decoder(co.AnyCommand),
    it.STEP: ev.decoder(it.StepInput),
    it.HISTORY: ev.decoder(Loaded),
    it.CALENDAR: ev.decoder(it.CalendarInput),
    it.INSTRUMENTS: ev.decoder(tuple[Instrument, ...]),
    it.NOTES: ev.decoder(tuple[TripNote, ...]),
    it.ALERT: ev.decoder(ev.AlertRaised),
    it.LATCH: ev.decoder(LatchInput),
    it.LIFTED: ev.decoder(bool),
}


class Redecided(msgspec.Struct, frozen=True, kw_only=True):
    """What came out for one session."""

    first_seq: int
    last_seq: int
    """Rows of the session in the ledger."""
    chunks: int
    inputs: int
    rows: int
    """Rows that were made again and are the same."""
    is_proven: bool
    """Every row of the session was made again."""
    text: str
    """What is missing or different, empty where it is proven."""
    is_running: bool = False
    """An engine still adds to it, and all that its closed chunks hold came out the same: the rest is decided when it has ended."""


class _Moved:
    """The session that is decided again has parted from the recorded one."""

    def __init__(self, text: str) -> None:
        self.text = text


class _Recorded:
    """The tape of a session, one row ahead."""

    def __init__(self, rows: Iterator[TapeRow]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def take(self) -> TapeRow | None:
        """The next row."""
        found, self._next = self._next, next(self._rows, None)
        return found

    def answer(self, kind: str) -> Any:
        """The answer to what the engine asks now; None where there was none."""
        if self._next is None or self._next.kind != kind:
            return None
        found = self.take()
        return None if found is None else _READ[kind].decode(found.payload)

    def latch(self, look: int) -> LatchInput | None:
        """What a look at the latch found that the one before did not; None where nothing was."""
        if self._next is None or self._next.kind != it.LATCH:
            return None
        found: LatchInput = _READ[it.LATCH].decode(self._next.payload)
        if found.look != look:
            return None
        self.take()
        return found


class _TapeBroker:
    """A broker whose answers come from the tape; what is sent to it goes nowhere."""

    def __init__(self, seat: it.Seat, tape: _Recorded) -> None:
        self.name = seat.name
        self.account = seat.account
        self.capabilities = seat.capabilities
        self._tape = tape
        self._known: tuple[Instrument, ...] = ()

    def start(self, sink: bi.Sink, market: bi.MarketSink) -> None:
        """Nothing to connect."""

    def stop(self) -> None:
        """Nothing to let go of."""

    def instruments(self) -> tuple[Instrument, ...]:
        """As they were then."""
        self._known = self._tape.answer(it.INSTRUMENTS) or self._known
        return self._known

    def send_new(self, order: bi.WireOrder) -> None:
        """It is in the journal that it left."""

    def send_cancel(self, wire_id: str, venue_order_id: str) -> None:
        """As above."""

    def send_amend(self, wire_id: str, venue_order_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        """As above."""

    def query_order(self, wire_id: str) -> None:
        """The answer is on the tape."""

    def query_state(self, request_id: int, since_ns: int) -> None:
        """As above."""


def redecide(place: Place, tape: Path, scratch: Path, holder: int = 0) -> tuple[Redecided, ...]:
    """Decide every recorded session of a ledger again.

    Args:
        place: the ledger.
        tape: the folder of its tape.
        scratch: an empty folder.
        holder: process that writes the ledger now, 0 for none: its session is not over.

    Raises:
        StoreError: the ledger cannot be read.
        DataError: it holds no session that was recorded.
    """
    rows = [(row, ev.decode_event(row.payload)) for row in read_journal(place)]
    starts = [at for at, (_, event) in enumerate(rows) if isinstance(event, EngineStarted)]
    spans = list(zip(starts, [*starts[1:], len(rows)], strict=True))
    found = []
    for number, ((first, last), anchors) in enumerate(zip(spans, _anchors(rows, spans, tape), strict=True)):
        if anchors:
            folder = scratch / str(number)
            folder.mkdir()
            runs = holder if last == len(rows) else 0
            found.append(_Session(rows, first, last, anchors, tape, folder, runs).run())
        elif holder and last == len(rows) and any(tape.glob("*/*.open")):
            found.append(
                Redecided(
                    first_seq=rows[first][0].seq, last_seq=rows[-1][0].seq, chunks=0, inputs=0, rows=0, is_proven=False,
                    text=_still_runs(holder, "nothing of its tape is closed yet"), is_running=True,
                )
            )  # fmt: skip
    if not found:
        raise DataError(
            f"ledger {place}: no session of it was recorded on a tape; record with `tape: {{record: true}}` in settings.yaml"
        )
    return tuple(found)


def _anchors(rows: list[tuple[Row, ev.AnyEvent]], spans: list[tuple[int, int]], tape: Path) -> list[list[TapeAnchored]]:
    """The chunks of each session, by the journal row that their first row came behind: what a killed engine left open was closed, and
    named, by the next one.
    """
    found: list[dict[str, TapeAnchored]] = [{} for _ in spans]
    begins = [rows[first][0].seq for first, _ in spans]
    for number, (first, last) in enumerate(spans):
        for _, event in rows[first:last]:
            if isinstance(event, TapeAnchored) and is_chunk(event.name):
                head = first_row(tape, event.name)
                seq = begins[number] if head is None else head.seq + (head.kind == it.START)
                found[max(0, bisect_right(begins, seq) - 1)][event.name] = event
    return [list(mine.values()) for mine in found]


class _Session:
    def __init__(
        self,
        rows: list[tuple[Row, ev.AnyEvent]],
        first: int,
        last: int,
        anchors: list[TapeAnchored],
        tape: Path,
        folder: Path,
        holder: int = 0,
    ) -> None:
        self.holder = holder
        self.rows, self.first, self.last = rows, first, last
        self.anchors = sorted(anchors, key=lambda anchor: anchor.name)
        self.folder = folder
        self.tape_folder = tape
        self.fault = next(filter(None, (chunk_fault(tape, one.name, one.sha256) for one in self.anchors)), "")
        self.tape = _Recorded(self._tape_rows())
        self.clock = SimClock(0)
        self.latch: ToldLatch | None = None
        self.inputs = 0
        self.other_code = ""
        """Which strategy files are not those that decided then."""

    def _tape_rows(self) -> Iterator[TapeRow]:
        """Rows up to the first chunk that is not whole."""
        for anchor in self.anchors:
            if chunk_fault(self.tape_folder, anchor.name, anchor.sha256):
                return
            yield from read_chunk(self.tape_folder, anchor.name, anchor.sha256)

    def run(self) -> Redecided:
        """Feed the tape, then compare."""
        begin = self.tape.take()
        if begin is None or begin.kind != it.START:
            return self._said(0, self.fault or "the tape does not begin with the engine's start")
        journal = self._journal_before()
        engine = self._engine(journal, _READ[it.START].decode(begin.payload))
        self._at(begin.ts_ns)
        engine.start()
        moved = self._feed(engine)
        if moved is None:
            self._follow_tape_rows(engine, self.last)
            self._stop(engine)
        journal.commit()
        return self._compared(list(journal.read(self._seq(self.first))), moved)

    def _seq(self, at: int) -> int:
        return self.rows[at][0].seq

    def _at(self, ts_ns: int) -> None:
        """The recorded time, which may step back as the machine's clock did."""
        self.clock.jump_ns(ts_ns)

    def _journal_before(self) -> Journal:
        opened = self.rows[0][1]
        assert isinstance(opened, LedgerOpened), "verified when it was read"
        journal = Journal.open_memory(self.rows[0][0].ts_ns, opened.ledger_id, opened.currency)
        for row, event in self.rows[1 : self.first]:
            journal.append(row.ts_ns, event)
            journal.commit()
        return journal

    def _policy(self) -> PolicyHolder:
        path = self.folder / "policy.yaml"
        loaded = next((event for _, event in self.rows[self.first :] if isinstance(event, PolicyLoaded)), None)
        if loaded is None:
            return PolicyHolder(None, path)
        path.write_text(loaded.text, encoding="utf-8")
        return PolicyHolder.from_file(path)

    def _engine(self, journal: Journal, started: it.Started) -> Engine:
        sessions = Sessions(load=lambda _name, _now_ns: None)  # they come from the tape
        history = History(sessions)
        return Engine(
            EngineParts(
                journal=journal,
                clock=self.clock,
                brokers={seat.name: _TapeBroker(seat, self.tape) for seat in started.brokers},
                policy=self._policy(),
                latch=self._latch(started),
                mode=started.mode,
                weights=history.weights,
                history=history,
                sessions=sessions,
                take_notes=lambda: list(self.tape.answer(it.NOTES) or ()),
                halter=lambda _command, _halt_id: None,  # its steps come from the tape
                strategies=self._strategies(started),
                fees=shipped_fees(),
            )
        )

    def _strategies(self, started: it.Started) -> Mapping[str, type[Strategy]]:
        """Those of the files that were there then; a file that was added later decided nothing."""
        loaded = load_strategies(Path(started.strategies), started.files)
        if started.files is not None:
            others = [name for name, sha256 in started.files.items() if loaded.files.get(name) != sha256]
            self.other_code = "".join(
                f"; strategy file {name} is {'another' if name in loaded.files else 'not there'} now: put back the one of then"
                for name in others
            )
        return loaded.strategies

    def _latch(self, started: it.Started) -> Latch:
        if started.hears_latch:
            self.latch = ToldLatch.open(self.folder / "latch", ledger_used=False)
            self.latch.follow(self.tape.latch, lambda: bool(self.tape.answer(it.LIFTED)))
            return self.latch
        return Latch.open(self.folder / "latch", ledger_used=False)

    def _feed(self, engine: Engine) -> _Moved | None:
        while (row := self.tape.take()) is not None:
            self._follow_tape_rows(engine, row.seq)
            if engine.journal.head_seq != row.seq:
                return _Moved(
                    f"input {self.inputs + 1} ({row.kind}) came behind row {row.seq}, the engine is at row {engine.journal.head_seq}"
                )
            self._at(row.ts_ns)
            self._one(engine, row)
            self.inputs += 1
            engine.journal.commit()
        return None

    def _follow_tape_rows(self, engine: Engine, until: int) -> None:
        """Rows that the tape made itself are taken from the ledger."""
        while engine.journal.head_seq < until:
            at = engine.journal.head_seq
            if at >= self.last or not isinstance(self.rows[at][1], FROM_TAPE):
                return
            self._at(self.rows[at][0].ts_ns)
            engine.record(self.rows[at][1])

    def _one(self, engine: Engine, row: TapeRow) -> None:
        made = _READ[row.kind].decode(row.payload)
        if self.latch is not None:
            self.latch.looks = 0
        match row.kind:
            case it.TICK:
                engine.on_market(made)
            case it.BROKER:
                engine.on_broker(made)
            case it.TIME:
                engine.on_time(made.now_ns, made.mono_ns)
            case it.RELEASE:
                engine.release(made)
            case it.STEP:
                engine.halt_step(made.halt_id, made.step, made.data)
            case it.HISTORY:
                take_history(engine, made)
            case it.CALENDAR:
                it.put_calendar(engine.parts.sessions, made)
            case it.COMMAND:
                self._ready_policy(made, row.seq)
                engine.submit(made)
            case it.ALERT:
                engine.record(made)
            case it.LATCH if self.latch is not None:
                self.latch.put(made)  # somebody else looked between two inputs
            case _:
                pass  # an answer that nobody asked for again: the rows will differ where it mattered

    def _ready_policy(self, command: Any, seq: int) -> None:
        """What a reload read then: the text is in the row that it made."""
        if isinstance(command, co.ReloadPolicy):
            loaded = next((event for _, event in self.rows[seq : self.last] if isinstance(event, PolicyLoaded)), None)
            if loaded is not None:
                (self.folder / "policy.yaml").write_text(loaded.text, encoding="utf-8")

    def _stop(self, engine: Engine) -> None:
        """End as the recorded session ended, where it did."""
        ending = self.rows[self.last - 1]
        if isinstance(ending[1], EngineStopped):
            self._at(ending[0].ts_ns)
            engine.stop(ending[1].why)

    def _compared(self, made: list[Row], moved: _Moved | None) -> Redecided:
        same = 0
        for row, (kept, _) in zip(made, self.rows[self.first : self.last], strict=False):
            if row.hash != kept.hash:
                return self._said(
                    same, f"row {kept.seq} was {kept.kind} and is {row.kind} now: {_difference(kept, row)}"
                )
            same += 1
        if moved is not None:
            return self._said(same, moved.text)
        missing = self.last - self.first - same
        if missing > 0:
            kept = self.rows[self.first + same][0]
            if self.holder and not self.fault:
                said = _still_runs(
                    self.holder, f"{missing} rows from row {kept.seq} on came behind the closed part of its tape"
                )
                return msgspec.structs.replace(self._said(same, said), is_running=True)
            why = self.fault or "the tape ends before (an engine that was killed leaves its last second unwritten)"
            return self._said(same, f"{missing} rows from row {kept.seq} ({kept.kind}) on were not made again: {why}")
        return self._said(same, "" if missing == 0 else f"{-missing} rows more were made than the ledger holds")

    def _said(self, same: int, text: str) -> Redecided:
        return Redecided(
            first_seq=self._seq(self.first),
            last_seq=self._seq(self.last - 1),
            chunks=len(self.anchors),
            inputs=self.inputs,
            rows=same,
            is_proven=not text,
            text=text and f"{text}{self.other_code}",
        )


def _still_runs(holder: int, what: str) -> str:
    """Why the end of a session that is not over was not decided again."""
    engine = f"engine process {holder}" if holder > 0 else "an engine"
    return f"the session is still running ({engine}), and {what}; `bolt stop`, then ask again"


def _difference(kept: Row, made: Row) -> str:
    if kept.ts_ns != made.ts_ns:
        return f"time {kept.ts_ns} and {made.ts_ns}"
    return f"{kept.payload[:300].decode(errors='replace')} and {made.payload[:300].decode(errors='replace')}"
