"""The past of a ledger as an engine that can be looked at: the same desk over the journal, at an instant that moves.

Every row up to the instant is applied to a fresh core, as a start does with its own rows; nothing is connected, journaled or
sent. Prices and books are not in the journal: they come from the tape beside it (:mod:`bolt_tui.past_market`), where one was
recorded. The halt key still halts what runs now, because stopping is the safe side.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from bolt_tui.past_market import PastMarket
from bolt_tui.recall import Reader, named_chunks
from bolt_tui.tape_middles import Answer, Question
from brokers.paper.replay_broker import PAPER_CAPABILITIES
from engine.api import Engine, EngineParts, log_lines
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, Clock, SimClock, SystemClock, iso
from engine.domain.commands import AnyCommand, CommandResult, LookAtBasket, Preview
from engine.domain.errors import DataError, SettingsError, StoreError
from engine.domain.instrument import Instrument
from engine.domain.ledger_events import InstrumentDefined, PolicyLoaded, TapeAnchored
from engine.domain.money import Price, Qty
from engine.market.volume import flat_weights
from engine.oms import broker_interface as bi
from engine.risk.latch import Latch
from engine.risk.policy import PolicyHolder, parse
from engine.store.journal import Journal, read_journal
from engine.store.link import DATABASE_ERRORS, holder_of, open_reader, store_error
from engine.store.place import Place
from engine.views import DeskView

MODE = "PAST"
DAY_NS = 86_400 * NS_PER_S
_TIMES = ("%H:%M:%S", "%H:%M")
_STAMPS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")


class _Silent:
    """A broker of the ledger, by name: it is connected to nothing, and whatever is handed to it goes nowhere."""

    capabilities = PAPER_CAPABILITIES

    def __init__(self, name: str, account: str) -> None:
        self.name = name
        self.account = account

    def start(self, sink: bi.Sink, market: bi.MarketSink) -> None:
        """Nothing comes."""
        del sink, market

    def stop(self) -> None:
        """Nothing to let go of."""

    def instruments(self) -> tuple[Instrument, ...]:
        """The journal has them."""
        return ()

    def send_new(self, order: bi.WireOrder) -> None:
        """Refuse: the past sends nothing."""
        raise AssertionError(f"{order.wire_id} was handed to the past")

    def send_cancel(self, wire_id: str, venue_order_id: str) -> None:
        """Refuse."""
        raise AssertionError(f"a cancel of {wire_id} {venue_order_id} was handed to the past")

    def send_amend(self, wire_id: str, venue_order_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        """Refuse."""
        raise AssertionError(f"an amend of {wire_id} {venue_order_id} {qty} {limit} {stop} was handed to the past")

    def query_order(self, wire_id: str) -> None:
        """Nobody to ask."""
        del wire_id

    def query_state(self, request_id: int, since_ns: int) -> None:
        """Nobody to ask."""
        del request_id, since_ns


class Past:
    """Implements ``EnginePort``; :meth:`step` and :meth:`move` change the instant.

    Args:
        ledger: the file; an engine may be writing it.
        folder: a folder of this object's own, for a latch that halts nobody.
        halt: what the halt key does.
        tape: the folder of its tape; None where there is none.
        clock: says how far the tape of an engine that is at work may go.

    Raises:
        StoreError: it cannot be read, or holds nothing.
    """

    connected = True
    link_text = ""

    def __init__(
        self,
        ledger: Place,
        folder: Path,
        halt: Callable[[str], None],
        tape: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._path = ledger
        self._folder = folder
        self._halt = halt
        self._version = 0
        self._shown: tuple[tuple[int, int], DeskView] | None = None
        """Row and instant, and the picture of them."""
        self._prices = ""
        """What is missing of the market, in words."""
        self._tape = tape
        self._reader: Reader | None = None
        self._middles: dict[str, list[Decimal | None]] = {}
        """What the tape tells of the prices behind fills."""
        self._unread = ""
        """Why they could not be read."""
        with closing(open_reader(ledger)) as connection:
            try:
                ends = connection.execute("SELECT min(seq), max(seq) FROM journal").fetchone()
                self._accounts = connection.execute(
                    "SELECT DISTINCT broker, account FROM cash ORDER BY 1, 2"
                ).fetchall()
                anchors = connection.execute(
                    "SELECT ts_ns, payload FROM journal WHERE kind = 'tape_anchored' ORDER BY seq"
                ).fetchall()
            except DATABASE_ERRORS as error:
                raise store_error(error, ledger) from None
        if ends[1] is None:
            msg = f"{ledger} holds no rows yet; there is no past to look at"
            raise StoreError(msg)
        self.last_seq: int = ends[1]
        named = [(ts_ns, ev.decode_event(payload)) for ts_ns, payload in anchors] if tape is not None else []
        self._market = PastMarket(
            tape or folder, [(ts_ns, event) for ts_ns, event in named if isinstance(event, TapeAnchored)]
        )
        self._engine = self._fresh()
        self.seq = 0
        self.ts_ns = 0
        self._told: list[int] = []
        """Rows that a person reads a line of, up to here."""
        self._go(self.last_seq)
        # What an engine writes has no last row yet: the tape beside it goes on up to now.
        now_ns = (clock or SystemClock()).now_ns()
        self.end_ns = now_ns if holder_of(ledger) and 0 < now_ns - self.ts_ns < DAY_NS else self.ts_ns

    def _fresh(self) -> Engine:
        self._latch = Latch.open(self._folder / "latch", ledger_used=False)
        self._policy = PolicyHolder(None)
        self._clock = SimClock(0)
        return Engine(
            EngineParts(
                journal=Journal.open_memory(0, "past", "USD"),
                clock=self._clock,
                brokers={name: _Silent(name, account) for name, account in self._accounts},
                policy=self._policy,
                latch=self._latch,
                mode="past",
                weights=lambda _symbol, _start, _end, bins: flat_weights(bins),
            )
        )

    # -- moving ----------------------------------------------------------------------------------------------------------

    def go_to(self, ts_ns: int) -> None:
        """As of an instant: after the last row that is not later."""
        with closing(open_reader(self._path)) as connection:
            try:
                found = connection.execute(
                    "SELECT seq FROM journal WHERE ts_ns <= ? ORDER BY seq DESC LIMIT 1", (ts_ns,)
                ).fetchone()
            except DATABASE_ERRORS as error:
                raise store_error(error, self._path) from None
        if found is None:
            msg = f"nothing is journaled as early as {iso(ts_ns)}; the first row of {self._path} is of {iso(self.first_ns())}"
            raise SettingsError(msg)
        self._go(found[0], ts_ns)
        self.ts_ns = max(self.ts_ns, min(ts_ns, self.end_ns))

    def measure(self, wait_s: float = 0.0) -> None:
        """Begin to read the prices behind the fills from the tape; the picture has them once they are read. Call it at the end of the ledger.

        Args:
            wait_s: for a list, which is drawn once: so long the end of the reading is waited for.
        """
        policy, engine = self._policy.policy, self._engine
        fills = engine.markouts.asked()
        if self._tape is None or policy is None or not fills:
            return
        question = Question(
            folder=str(self._tape),
            instruments=tuple(engine.market.instruments.values()),
            fills=fills,
            age_ns_max=policy.ns("price.max_quote_age_s"),
            chunks=tuple(named_chunks(self._path).values()),
        )
        self._reader = Reader(question)
        self._reader.wait(wait_s)

    def _hear(self) -> None:
        """Take what was read of the prices behind fills."""
        if self._reader is None:
            return
        try:
            found = self._reader.answer()
        except DataError as error:  # the rest of the past is as good as it was
            found, self._unread = Answer({}), str(error)
        if found is not None:
            self._reader.close()
            self._reader = None
            self._middles = found.middles
            self._shown = None
            self._version += 1

    def first_ns(self) -> int:
        """Time of the first row."""
        return next(iter(read_journal(self._path, 1, 1))).ts_ns

    def step(self, lines: int) -> None:
        """So many lines of the log on, or back where it is below zero (what one row says is one step); it stays at an end."""
        if lines < 0:
            at = bisect_left(self._told, self.seq)
            self._go(self._told[max(0, at + lines)] if self._told else self.seq)
            return
        for _ in range(lines):
            for row in read_journal(self._path, self.seq + 1):
                self._apply(row.seq, row.ts_ns, ev.decode_event(row.payload))
                if self._told[-1:] == [row.seq]:
                    break
        self._version += 1

    def move(self, seconds: int) -> None:
        """So many seconds on or back."""
        self.go_to(max(self.first_ns(), self.ts_ns + seconds * NS_PER_S))

    def _go(self, seq: int, ts_ns: int = 0) -> None:
        """Up to a row; anew where it, or the instant behind it, lies before what was applied."""
        if seq < self.seq or 0 < ts_ns < max(self.ts_ns, self._clock.now_ns()):
            self._engine.journal.close()
            self._latch.close()
            self._engine, self.seq, self._told = self._fresh(), 0, []
        for row in read_journal(self._path, self.seq + 1, seq - self.seq):
            self._apply(row.seq, row.ts_ns, ev.decode_event(row.payload))
        self._version += 1

    def _apply(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        engine = self._engine
        self._clock.set_ns(max(ts_ns, self._clock.now_ns()))
        if isinstance(event, PolicyLoaded):
            self._policy.policy = parse(event.text)[0]
        elif isinstance(event, InstrumentDefined):
            engine.market.instruments[event.instrument.symbol] = event.instrument
        engine.follow(seq, ts_ns, event)
        engine.journal.head_seq = engine.journal.durable_seq = seq
        self.seq, self.ts_ns = seq, ts_ns
        if any(map(log_lines.is_told, ev.parts_of(event))):
            self._told.append(seq)

    def words(self) -> str:
        """Where this is, for people."""
        return f"{iso(self.ts_ns)[:19]}Z, row {self.seq:,} of {self.last_seq:,}"

    def missing(self) -> str:
        """What the tape does not tell of the instant, for people; empty where it tells all."""
        self.view()
        return "; ".join(filter(None, (self._prices, self._unread)))

    # -- EnginePort --------------------------------------------------------------------------------------------------------

    def view(self) -> DeskView:
        """The picture as of the instant."""
        self._hear()
        at = (self.seq, self.ts_ns)
        if self._shown is None or self._shown[0] != at:
            self._clock.set_ns(max(self.ts_ns, self._clock.now_ns()))
            self._prices = self._market.show(self._engine.market, self.ts_ns)
            self._engine.markouts.recall(self._middles)
            self._engine.picture.look_anew()
            view = self._engine.view()
            status = msgspec.structs.replace(view.status, mode=MODE, ts_ns=self.ts_ns)
            # The market's prints since an arrival are not all read, so what they come to is not known.
            costs = tuple(msgspec.structs.replace(cost, market_vwap=None, market_qty=None) for cost in view.costs)
            self._shown = at, msgspec.structs.replace(view, status=status, costs=costs)
        return self._shown[1]

    def version(self) -> int:
        """Grows with each move, and when prices behind fills are known."""
        self._hear()
        return self._version

    async def submit(self, command: AnyCommand) -> CommandResult:
        """Refuse it, unless it only asks for the lines of a basket, as they stood then."""
        if isinstance(command, LookAtBasket):
            self.view()
            return self._engine.baskets.decide(command)
        return self._refusal()

    async def what_if(self, question: Preview) -> CommandResult | None:
        """Refuse to judge: nothing can follow from it."""
        del question
        return self._refusal()

    def _refusal(self) -> CommandResult:
        return CommandResult(
            ok=False, code=MODE, text=f"this is the past ({self.words()}): nothing can be sent from it"
        )

    def halt_now(self, who: str) -> None:
        """Halt what runs now."""
        self._halt(who)

    def close(self) -> None:
        """Let go of the scratch files."""
        if self._reader is not None:
            self._reader.close()
        self._engine.journal.close()
        self._latch.close()


def read_instant(words: str, first_ns: int, end_ns: int) -> int:
    """``14:42:06`` or ``2026-11-28T14:42:06``, both UTC, as nanoseconds.

    Without a day it is the last such time that is not behind the end; where the ledger does not reach back to that one, it is that of the
    last day, though the ledger ends before it.

    Raises:
        SettingsError: it is neither.
    """
    said = words.strip().removesuffix("Z")
    for form in _STAMPS:
        try:
            return _ns(datetime.strptime(said, form).replace(tzinfo=UTC))
        except ValueError:
            continue
    for form in _TIMES:
        try:
            clock = datetime.strptime(said, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        last = datetime.fromtimestamp(end_ns // NS_PER_S, UTC)
        found = _ns(last.replace(hour=clock.hour, minute=clock.minute, second=clock.second))
        return found if found <= end_ns or found - DAY_NS < first_ns else found - DAY_NS
    msg = f"--at was {words!r}; expected a time in UTC such as 14:42:06 or 2026-11-28T14:42:06"
    raise SettingsError(msg)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * NS_PER_S
