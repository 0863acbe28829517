"""One connection of the paper venue: frames in, frames out, and the faults that a test plants on the way."""

from __future__ import annotations

import socket
from collections import Counter, deque
from collections.abc import Sequence

import msgspec

from brokers.broker_base import TickBuffer
from brokers.paper.protocol import REQUEST_BYTES_MAX, FaultKind, Market, Report, Role
from brokers.paper.wire import FrameError, Unpacker, pack, pack_bytes
from engine.domain.clock import NS_PER_MS
from engine.domain.money import Qty
from engine.oms.broker_interface import Acked, BrokerEvent, QueuePlace

WAITING_BYTES_MAX = 8 * 1024 * 1024
"""A client that leaves so much unread is let go: it gets its state by asking when it comes back."""
_READ_BYTES = 256 * 1024


class Faults:
    """What is planted for engine connections; shared by all of them."""

    def __init__(self) -> None:
        self.left: Counter[FaultKind] = Counter()
        self.delay_ns = 0
        self.is_hanging = False

    def plant(self, kind: FaultKind, count: int, ms: int) -> None:
        """Plant a fault, or clear them all."""
        if kind is FaultKind.CLEAR:
            self.left.clear()
            self.delay_ns, self.is_hanging = 0, False
        elif kind is FaultKind.DELAY:
            self.delay_ns = ms * NS_PER_MS
        elif kind is FaultKind.HANG:
            self.is_hanging = True
        else:
            self.left[kind] += count

    def strikes(self, kind: FaultKind) -> bool:
        """Whether a fault of this kind acts now; uses it up."""
        if not self.left[kind]:
            return False
        self.left[kind] -= 1
        return True


class Client:
    """A connected socket. Nothing here waits: what cannot leave now waits in memory, up to a bound."""

    def __init__(self, line: socket.socket, faults: Faults) -> None:
        self.line = line
        self.role: Role | None = None
        self.account = ""
        self.ticks = TickBuffer()
        self.is_gone = False
        self.leaves_when_sent = False
        self._faults = faults
        self._unpacker = Unpacker(REQUEST_BYTES_MAX)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0
        self._dropped_told = 0
        self._places_told: dict[str, Qty] = {}

    @property
    def is_faulty(self) -> bool:
        """Whether planted faults act here."""
        return self.role is Role.ENGINE

    @property
    def is_hung(self) -> bool:
        """Whether this connection is neither read nor written now."""
        return self.is_faulty and self._faults.is_hanging

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait that the socket did not take."""
        return bool(self._waiting) and not self.is_hung

    def read(self) -> list[bytes]:
        """The frames that came; marks the client gone where the line ended or sent no frames."""
        try:
            data = self.line.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            data = b""
        if not data:
            self.is_gone = True
            return []
        bodies: list[bytes] = []
        try:
            bodies.extend(self._unpacker.feed(data))
        except FrameError:
            self.is_gone = True
        return bodies

    def send(self, frame: msgspec.Struct, now_ns: int) -> None:
        """Queue a frame."""
        self._queue(pack(frame), now_ns)

    def send_report(self, event: BrokerEvent, now_ns: int) -> None:
        """Queue a report, with what is planted for it."""
        if self.is_faulty:
            if isinstance(event, Acked) and self._faults.strikes(FaultKind.DROP_ACK):
                return
            if self._faults.strikes(FaultKind.GARBLE):
                self._queue(pack_bytes(b"\xff{no frame"), now_ns)
                return
        data = pack(Report(event=event))
        self._queue(data, now_ns)
        if self.is_faulty and self._faults.strikes(FaultKind.DUPLICATE):
            self._queue(data, now_ns)

    def send_market(self, now_ns: int) -> None:
        """Queue the newest market data, unless the client still has older bytes to read."""
        if self.ticks and not self._waiting:
            dropped = self.ticks.dropped - self._dropped_told
            self._dropped_told = self.ticks.dropped
            self._queue(pack(Market(ticks=self.ticks.drain(), dropped=dropped)), now_ns)

    def send_places(self, places: Sequence[QueuePlace], now_ns: int) -> None:
        """Queue what changed of the places of its orders, unless the client still has older bytes to read."""
        if self._waiting:
            return
        told, self._places_told = self._places_told, {place.wire_id: place.ahead for place in places}
        for place in places:
            if told.get(place.wire_id) != place.ahead:
                self.send(Report(event=place), now_ns)

    def flush(self, now_ns: int) -> None:
        """Hand the socket what it takes."""
        if self.is_hung:
            return
        while self._waiting and self._waiting[0][0] <= now_ns:
            due_ns, data = self._waiting[0]
            try:
                sent = self.line.send(data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.is_gone = True
                return
            self._waiting_bytes -= sent
            if sent < len(data):
                self._waiting[0] = (due_ns, data[sent:])
                return
            self._waiting.popleft()
        if not self._waiting and self.leaves_when_sent:
            self.is_gone = True

    def next_due_ns(self) -> int | None:
        """When a delayed frame is due."""
        return self._waiting[0][0] if self._waiting and self._faults.delay_ns and not self.is_hung else None

    def _queue(self, data: bytes, now_ns: int) -> None:
        due_ns = now_ns + self._faults.delay_ns if self.is_faulty else now_ns
        self._waiting.append((due_ns, data))
        self._waiting_bytes += len(data)
        if self._waiting_bytes > WAITING_BYTES_MAX:
            self.is_gone = True
