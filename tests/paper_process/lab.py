"""A venue process of a test's own, its admin connection, and an engine's ear that waits for what it should hear."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from brokers.paper.home import VenueLock, venue_folder
from brokers.paper.protocol import (
    FRAME_BYTES_MAX,
    PROTOCOL,
    VENUE,
    Ask,
    Done,
    Fault,
    FaultKind,
    Greet,
    Hello,
    Print,
    Report,
    Role,
    SetBook,
    Tick,
    What,
)
from brokers.paper.wire import Unpacker, connect, pack, read_frame
from brokers.paperbroker import PaperBroker, ensure_venue, stop_venue
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.ids import wire_id
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Tif
from engine.market.feed import MarketTick
from engine.oms.broker_interface import BrokerEvent, BrokerEventBase, WireOrder

DEADLINE_S = 60.0
E = TypeVar("E", bound=BrokerEventBase)


class Lab:
    """The venue of a home: started here, ended here. A laboratory by default, with a scripted market and no latency."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.options = (*(options or ("--script", "--no-latency")), "--allow-faults", "--idle-exit", "120")
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop_venue(self.home)
        lock = VenueLock(self.home)
        assert lock.take(), "the venue's process is left behind"
        lock.release()

    def start(self) -> bool:
        return ensure_venue(self.home, 7, options=self.options)

    @property
    def pid(self) -> int:
        lock = VenueLock(self.home)
        try:
            return lock.holder()
        finally:
            lock.release()

    def ask(self, frame: msgspec.Struct) -> Done:
        """Send one admin frame and wait for its answer."""
        with connect(venue_folder(self.home), DEADLINE_S) as line:
            line.sendall(pack(Greet(protocol=PROTOCOL, role=Role.ADMIN)) + pack(frame))
            unpacker = Unpacker(FRAME_BYTES_MAX)
            while data := line.recv(65_536):
                for body in unpacker.feed(data):
                    answer = read_frame(VENUE, body)
                    if isinstance(answer, Done):
                        return answer
                    assert isinstance(answer, Hello), answer
        raise AssertionError("the venue ended the connection")

    def plant(self, kind: FaultKind, count: int = 1, ms: int = 0) -> None:
        assert self.ask(Fault(id=1, kind=kind, count=count, ms=ms)).ok

    def book(self, symbol: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]], venue: str = "SIMA") -> None:
        def levels(rows: list[tuple[str, str]]) -> tuple[tuple[Price, Qty], ...]:
            return tuple((Price(price), Qty(qty)) for price, qty in rows)

        done = self.ask(SetBook(id=1, symbol=symbol, venue=venue, bids=levels(bids), asks=levels(asks)))
        assert done.ok, done.text

    def print(self, symbol: str, side: Side, price: str, qty: str, venue: str = "SIMA") -> None:
        done = self.ask(Print(id=1, symbol=symbol, venue=venue, side=side, price=Price(price), qty=Qty(qty)))
        assert done.ok, done.text

    def tick(self, to_ns: int) -> None:
        done = self.ask(Tick(id=1, to_ns=to_ns))
        assert done.ok, done.text


class Ear:
    """An engine in miniature: a PaperBroker, and everything it said."""

    def __init__(
        self,
        home: Path,
        account: str = "PAPER",
        *,
        answer_s: float = 5.0,
        silence_s: float = 5.0,
        is_halted: Callable[[OrderSpec | None], bool] = lambda _: False,
    ) -> None:
        self.events: list[BrokerEvent] = []
        self.ticks: list[MarketTick] = []
        self._news = threading.Condition()
        self.broker = PaperBroker(home, account, answer_s=answer_s, silence_s=silence_s, is_halted=is_halted)
        self.broker.start(self._hear, self._see)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.broker.stop()

    def _hear(self, event: BrokerEvent) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def _see(self, tick: MarketTick) -> None:
        with self._news:
            self.ticks.append(tick)
            self._news.notify_all()

    def until(self, is_there: Callable[[], object], what: str = "") -> None:
        """Wait for a condition on events and ticks."""
        with self._news:
            assert self._news.wait_for(is_there, DEADLINE_S), f"waited for {what or is_there}; heard {self.events}"

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def wait(self, kind: type[E], count: int = 1) -> E:
        """The ``count``-th event of a kind."""
        self.until(lambda: len(self.all(kind)) >= count, f"{count} of {kind.__name__}")
        return self.all(kind)[count - 1]


class Raw:
    """A connection without a thread: what it sends has been taken, and what was due has come, when a call returns."""

    def __init__(self, home: Path, account: str = "PAPER") -> None:
        self.events: list[BrokerEvent] = []
        self._line = connect(venue_folder(home), DEADLINE_S)
        self._unpacker = Unpacker(FRAME_BYTES_MAX)
        self._line.sendall(pack(Greet(protocol=PROTOCOL, role=Role.ENGINE, account=account)))
        self.send()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    def send(self, *frames: msgspec.Struct) -> None:
        """Send frames, and wait until the venue has taken them."""
        for frame in (*frames, Ask(id=99, what=What.HEALTH)):
            self._line.sendall(pack(frame))
        while data := self._line.recv(65_536):
            bodies = [read_frame(VENUE, body) for body in self._unpacker.feed(data)]
            self.events += [frame.event for frame in bodies if isinstance(frame, Report)]
            if any(isinstance(frame, Done) and frame.id == 99 for frame in bodies):
                return
        raise AssertionError("the venue ended the connection")


def wait_ended(pid: int) -> None:
    """Until a process is gone, or only its parent has not yet taken note."""
    clock = SystemClock()
    due_ns = clock.monotonic_ns() + int(DEADLINE_S * NS_PER_S)
    while clock.monotonic_ns() < due_ns:
        try:
            os.kill(pid, 0)
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        clock.sleep(0.01)
    raise AssertionError(f"process {pid} is still there")


def limit(number: int, side: Side, qty: str, price: str, symbol: str = "AAPL", tif: Tif = Tif.GTC) -> WireOrder:
    spec = OrderSpec(symbol=symbol, side=side, qty=Qty(qty), type=OrderType.LIMIT, limit=Price(price), tif=tif)
    return WireOrder(wire_id=wire_id("TESTS", number), spec=spec)


def market(number: int, side: Side, qty: str, symbol: str = "AAPL") -> WireOrder:
    spec = OrderSpec(symbol=symbol, side=side, qty=Qty(qty), type=OrderType.MARKET)
    return WireOrder(wire_id=wire_id("TESTS", number), spec=spec)
