"""A hand-written engine door, and a server of it in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bolt_tui.server import EngineServer
from engine.domain.clock import SystemClock
from engine.domain.commands import AnyCommand, CommandResult, Halt, LookUp, NewOrder, Preview
from engine.domain.events import AlertRaised, AnyEvent
from engine.domain.instrument import Instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderSpec, OrderState, OrderType, Side, Source, SourceKind
from engine.views import DeskUpdate, DeskView, FillView, HaltView, LogLine, OrderView, PositionView, StatusView

DEADLINE_S = 60.0
"""Costs a green run nothing, and a busy machine needs it."""
_NEVER = threading.Event()


def until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Wait for a condition, polled, with a deadline."""
    clock = SystemClock()
    end_ns = clock.monotonic_ns() + int(DEADLINE_S * 1e9)
    while not condition():
        assert clock.monotonic_ns() < end_ns, f"{what} did not come within {DEADLINE_S} s"
        _NEVER.wait(0.005)


ME = Source(SourceKind.CLI, "tester")


def new_order(intent_id: str = "i-1", qty: str = "100", symbol: str = "AAPL") -> NewOrder:
    spec = OrderSpec(symbol=symbol, side=Side.BUY, qty=Qty(qty), type=OrderType.LIMIT, limit=Price("10.00"))
    return NewOrder(source=ME, intent_id=intent_id, spec=spec, why="a test")


def order_row(number: int, state: OrderState = OrderState.NEW, note: str = "") -> OrderView:
    return OrderView(
        order_id=f"P{number}",
        intent_id=f"i-{number}",
        symbol="AAPL",
        side=Side.BUY,
        qty=Qty(100),
        qty_filled=Qty(0),
        type="limit",
        limit=Price("10.00"),
        tif="day",
        state=state,
        broker="paper",
        account="PAPER",
        source="cli:tester",
        note=note,
        created_ns=number,
        updated_ns=number,
    )


def fill_row(number: int) -> FillView:
    return FillView(
        seq=number, order_id=f"P{number}", symbol="AAPL", side=Side.BUY, qty=Qty(100), price=Price("10.00"), venue="XNAS",
        liquidity="taker", fee=Money("0.30"), fee_currency="USD", ts_ns=number, fill_key=f"k{number}",
    )  # fmt: skip


def position_row() -> PositionView:
    return PositionView(
        broker="paper", account="PAPER", symbol="AAPL", qty=Qty(100), avg_price=Price("10.00"), mark=Price("10.10"),
        realised=Money(0), unrealised=Money(10), fees=Money("0.30"), currency="USD",
    )  # fmt: skip


class FakeDoor:
    """Keeps orders in a list; each change moves the cursor by one."""

    def __init__(self) -> None:
        self.commands: list[AnyCommand] = []
        self.changes: list[OrderView] = []
        self.questions: list[Preview] = []
        self.journal: list[tuple[int, int, AnyEvent]] = []
        self.fills: tuple[FillView, ...] = ()
        self.positions: tuple[PositionView, ...] = ()
        self.log: tuple[LogLine, ...] = ()
        self.instruments: tuple[Instrument, ...] = ()
        self.state = "active"
        self.halt: HaltView | None = None
        self.views = 0
        self.fails: Exception | None = None
        self.answer: CommandResult | None = None
        self.is_stalled = False
        self.waiting: list[Callable[[bool], None]] = []
        self.on_submit: Callable[[AnyCommand], None] = lambda command: None

    def submit(self, command: AnyCommand) -> CommandResult:
        if isinstance(command, LookUp):
            return self._look_up(command)
        self.commands.append(command)
        self.on_submit(command)
        if self.fails is not None:
            raise self.fails
        if self.answer is not None:
            return self.answer
        if isinstance(command, NewOrder):
            known = [row for row in self.changes if row.intent_id == command.intent_id]
            row = known[0] if known else self.put(order_row(len(self.changes) + 1), intent_id=command.intent_id)
            return CommandResult(ok=True, order_id=row.order_id, state=row.state, repeated=bool(known))
        if isinstance(command, Halt):
            self.state = "halted"
        return CommandResult(ok=True, text="done")

    def what_if(self, question: Preview) -> CommandResult:
        self.questions.append(question)
        return CommandResult(ok=True, text=question.spec.words())

    def _look_up(self, command: LookUp) -> CommandResult:
        known = next((row for row in self.changes if row.intent_id == command.intent_id), None)
        if known is None:
            return CommandResult(ok=False, code="INTENT_NEW")
        return CommandResult(ok=True, order_id=known.order_id, state=known.state, repeated=True)

    def put(self, row: OrderView, intent_id: str = "") -> OrderView:
        row = msgspec.structs.replace(row, intent_id=intent_id) if intent_id else row
        self.changes.append(row)
        seq = len(self.journal) + 1
        self.journal.append((seq, seq, AlertRaised(severity="info", code="ROW", text=row.order_id)))
        return row

    def status(self) -> StatusView:
        return StatusView(
            mode="PAPER",
            account="PAPER",
            ledger_id="ABCDE",
            head_seq=len(self.journal),
            durable_seq=len(self.journal),
            ts_ns=len(self.changes),
            started_ns=0,
            policy_hash="0" * 64,
            halt=self.halt or HaltView(state=self.state),
            currency="USD",
        )

    def view(self) -> DeskView:
        self.views += 1
        rows = {row.order_id: row for row in self.changes}
        return DeskView(
            status=self.status(),
            orders=tuple(rows.values()),
            fills=self.fills,
            positions=self.positions,
            log=self.log,
            instruments=self.instruments,
        )

    def cursor(self) -> int:
        return len(self.changes)

    def update_since(self, cursor: int) -> tuple[int, DeskUpdate]:
        now = len(self.changes)
        if now == cursor:
            return now, DeskUpdate()
        rows = {row.order_id: row for row in self.changes[cursor:]}
        return now, DeskUpdate(status=self.status(), orders=tuple(rows.values()))

    def when_durable(self, act: Callable[[bool], None]) -> None:
        if self.is_stalled:
            self.waiting.append(act)
        else:
            act(True)

    def events(self, from_seq: int, limit: int) -> list[tuple[int, int, AnyEvent]]:
        return self.journal[from_seq - 1 : from_seq - 1 + limit]


class Served:
    """A server in a thread; :meth:`call` runs something on its loop."""

    def __init__(self, path: Path, door: FakeDoor, **seams: Any) -> None:
        self.door = door
        self.path = path
        self.stops: list[bool] = []
        self.faults: list[Exception] = []
        self.server = EngineServer(door, path, SystemClock(), self.stops.append, on_fault=self.faults.append, **seams)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.loop.run_forever()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def start(self) -> None:
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self.loop).result(10)

    def call(self, action: Callable[[], object]) -> object:
        async def run() -> object:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


@contextmanager
def serving(path: Path, door: FakeDoor | None = None, **seams: Any) -> Iterator[Served]:
    """A running server on ``path``."""
    served = Served(path, door or FakeDoor(), **seams)
    served.start()
    try:
        yield served
    finally:
        served.stop()
