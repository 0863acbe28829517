"""The way of messages between the engine and the paper venue, in a thread of its own.

Cancels leave ahead of everything, then orders and amends, then questions, of which few are under way at once so that none
ever stands between a cancel and the venue. Nothing is sent twice: what had left when the line broke is Uncertain, what had
not is refused as NOT_SENT. The thread comes back by itself; the engine then asks for the state.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from brokers.broker_base import Lanes, TickBuffer
from brokers.paper.protocol import (
    FRAME_BYTES_MAX,
    PROTOCOL,
    VENUE,
    Amend,
    AnyVenueFrame,
    Ask,
    AskOrder,
    AskState,
    Cancel,
    Done,
    Greet,
    Hello,
    Market,
    New,
    Refused,
    Report,
    Role,
    What,
)
from brokers.paper.wire import FrameError, Unpacker, connect, pack, read_frame
from engine.domain.clock import NS_PER_S, Clock
from engine.domain.errors import VenueError
from engine.domain.events import BrokerState
from engine.domain.instrument import Instrument
from engine.domain.order import OrderSpec
from engine.market.feed import MarketTick
from engine.oms.broker_interface import (
    Acked,
    Amended,
    AmendRefused,
    BrokerEvent,
    Cancelled,
    CancelRefused,
    ChannelChanged,
    Expired,
    Filled,
    MarketSink,
    Rejected,
    Sink,
    Uncertain,
)

ASKED_MAX = 8
"""Questions under way at once."""
RETRY_MIN_S = 0.05
RETRY_MAX_S = 2.0
STOP_S = 2.0
"""How long a stop goes on sending what waits."""
_CONNECT_S = 2.0
WAIT_S = 0.1
"""How often times are looked at while nothing comes."""
_READ_BYTES = 256 * 1024
_LOG = logging.getLogger("bolt.paper")

IsHalted = Callable[[OrderSpec | None], bool]
"""Whether an order of these terms must not leave any more; anything at all, where none are given."""
Out = New | Cancel | Amend | AskOrder | AskState | Ask


class LineLost(Exception):
    """The line is given up; the text says why."""


class Mailbox:
    """What waits to leave, filled by any thread and emptied by the line's; filling it wakes the line."""

    def __init__(self) -> None:
        self.is_closing = False
        self._lanes: Lanes[Out] = Lanes()
        self._overflow: list[Out] = []
        self._numbered = 0
        self._lock = threading.Lock()
        self.bell, self._rope = socket.socketpair()
        self.bell.setblocking(False)
        self._rope.setblocking(False)

    def number(self) -> int:
        """A number for a question."""
        with self._lock:
            self._numbered += 1
            return self._numbered

    def put(self, frame: Out) -> bool:
        """Queue a frame in its lane; False where the lane is full (the line then answers that it never left)."""
        with self._lock:
            match frame:
                case New():
                    is_taken = self._lanes.put_new(frame.order.wire_id, frame)
                case Cancel():
                    is_taken = self._lanes.put_cancel(frame.wire_id, frame)
                case Amend():
                    is_taken = self._lanes.put_amend(frame)
                case _:
                    is_taken = self._lanes.put_question(frame)
            if not is_taken:
                self._overflow.append(frame)
        self.ring()
        return is_taken

    def take(self, *, may_ask: bool) -> Out | None:
        """The next to leave."""
        with self._lock:
            return self._lanes.take(may_ask=may_ask)

    def drain(self) -> list[Out]:
        """Everything that waits."""
        with self._lock:
            return self._lanes.drain()

    def overflow(self) -> list[Out]:
        """What found its lane full."""
        with self._lock:
            overflow, self._overflow = self._overflow, []
            return overflow

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        with self._lock:
            return not len(self._lanes)

    def ring(self) -> None:
        """Wake the line; a full pipe has rung already."""
        with contextlib.suppress(BlockingIOError, OSError):
            self._rope.send(b"\0")

    def silence(self) -> None:
        """Take note of the bell."""
        with contextlib.suppress(BlockingIOError):
            while self.bell.recv(4096):
                pass

    def close(self) -> None:
        """Give the bell back; nothing may be put afterwards."""
        self.bell.close()
        self._rope.close()


class PaperLine:
    """The line of one account: :meth:`run` is the body of a thread. Sink and market are called from it."""

    def __init__(
        self,
        name: str,
        account: str,
        folder: Path,
        mailbox: Mailbox,
        clock: Clock,
        answer_s: float,
        silence_s: float,
        is_halted: IsHalted,
    ) -> None:
        self.instruments: tuple[Instrument, ...] = ()
        """What the venue said it lists; empty before the first connection."""
        self.trades_dropped = 0
        self.callback_failures = 0
        self.sink: Sink = _nobody
        self.market: MarketSink = _nobody
        self._name = name
        self._account = account
        self._folder = folder
        self._mailbox = mailbox
        self._clock = clock
        self._answer_ns = int(answer_s * NS_PER_S)
        self._silence_ns = int(silence_s * NS_PER_S)
        self._is_halted = is_halted
        self._is_down = False
        self._pending: dict[tuple[str, str], int] = {}
        """What left and has no answer, with the time by which it is called unknown."""
        self._begin()

    def _begin(self) -> None:
        """A new connection knows nothing of the one before."""
        self._unpacker = Unpacker(FRAME_BYTES_MAX)
        self._out = memoryview(b"")
        self._asked: set[int] = set()
        self._ping_id = 0
        self._ticks = TickBuffer()
        self._ticks_dropped = 0
        self._failures = self.callback_failures
        self._heard_ns = self._clock.monotonic_ns()
        self._stop_ns = 0

    def run(self) -> None:
        """Hold the line, and come back when it is lost, until the mailbox closes."""
        retry_s = RETRY_MIN_S
        while not self._mailbox.is_closing:
            began_ns = self._clock.monotonic_ns()
            try:
                self._serve()
            except (LineLost, VenueError, OSError, FrameError) as error:
                self._go_down(str(error))
            if self._clock.monotonic_ns() - began_ns > RETRY_MAX_S * NS_PER_S:
                retry_s = RETRY_MIN_S
            self._pause(retry_s)
            retry_s = min(RETRY_MAX_S, 2 * retry_s)

    def _serve(self) -> None:
        """Hold a connection until it is lost, which raises, or until the mailbox closes and is empty."""
        line, hello = _open(self._folder, self._account)
        self._begin()
        with line, selectors.DefaultSelector() as selector:
            self.instruments = hello.instruments
            self._is_down = False
            why = f"connected to venue process {hello.pid}"
            _LOG.info(why)
            self._tell(ChannelChanged(broker=self._name, ts_ns=self._now(), state=BrokerState.RESYNCING, why=why))
            selector.register(self._mailbox.bell, selectors.EVENT_READ)
            selector.register(line, selectors.EVENT_READ)
            while not self._may_stop():
                self._write(line, selector)
                for key, _ in selector.select(WAIT_S):
                    if key.fileobj is line:
                        self._read(line)
                    else:
                        self._mailbox.silence()
                self._refuse_overflow()
                self._check_times()
                if self.callback_failures != self._failures:
                    raise LineLost("the engine could not take an event")

    def _go_down(self, why: str) -> None:
        """Say that the line is gone, once; then what became of everything that had no answer."""
        pending, self._pending = self._pending, {}
        if not self._is_down:
            self._is_down = True
            _LOG.warning("no line: %s", why)
            self._tell(ChannelChanged(broker=self._name, ts_ns=self._now(), state=BrokerState.DOWN, why=why))
        for _, wire_id in pending:
            self._tell(Uncertain(broker=self._name, ts_ns=self._now(), wire_id=wire_id, why=f"no answer: {why}"))
        self._refuse_waiting(why)

    def _refuse_waiting(self, why: str) -> None:
        waiting = self._mailbox.drain()
        self._refuse_overflow()
        self._refuse(waiting, "NOT_SENT", f"it never left: {why}")

    def _refuse_overflow(self) -> None:
        self._refuse(self._mailbox.overflow(), "LANE_FULL", "it never left: too many messages wait already")

    def _refuse(self, frames: list[Out], code: str, text: str) -> None:
        """Answer what did not leave: that is certain, so it is a refusal. Questions get no answer."""
        name, ts_ns = self._name, self._now()
        for frame in frames:
            match frame:
                case New():
                    for one in frame.order.members:
                        self._tell(Rejected(broker=name, ts_ns=ts_ns, wire_id=one.wire_id, code=code, text=text))
                case Cancel():
                    self._tell(CancelRefused(broker=name, ts_ns=ts_ns, wire_id=frame.wire_id, code=code, text=text))
                case Amend():
                    self._tell(AmendRefused(broker=name, ts_ns=ts_ns, wire_id=frame.wire_id, code=code, text=text))
                case _:
                    continue

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; what is handed over meanwhile is refused at once."""
        due_ns = self._clock.monotonic_ns() + int(seconds * NS_PER_S)
        with selectors.DefaultSelector() as selector:
            selector.register(self._mailbox.bell, selectors.EVENT_READ)
            while not self._mailbox.is_closing:
                left_ns = due_ns - self._clock.monotonic_ns()
                if left_ns <= 0:
                    return
                if selector.select(left_ns / NS_PER_S):
                    self._mailbox.silence()
                    self._refuse_waiting("there is no line to the paper venue")

    def _now(self) -> int:
        return self._clock.now_ns()

    def _tell(self, event: BrokerEvent) -> None:
        if self._mailbox.is_closing:
            return
        try:
            self.sink(event)
        except Exception:  # loop edge: the engine's callback failed; counted, logged, and the state is asked for again
            self.callback_failures += 1
            _LOG.exception("the engine could not take %s", type(event).__name__)

    def _show(self, tick: MarketTick) -> None:
        try:
            self.market(tick)
        except Exception:  # loop edge: as above
            self.callback_failures += 1
            _LOG.exception("the engine could not take %s", type(tick).__name__)

    def _may_stop(self) -> bool:
        if not self._mailbox.is_closing:
            return False
        now_ns = self._clock.monotonic_ns()
        self._stop_ns = self._stop_ns or now_ns + int(STOP_S * NS_PER_S)
        return (self._mailbox.is_empty() and not self._out) or now_ns > self._stop_ns

    # -- out -----------------------------------------------------------------------------------------------------------

    def _write(self, line: socket.socket, selector: selectors.BaseSelector) -> None:
        """Send while the socket takes it. What is next is chosen when the one before has left: a cancel that comes now is next."""
        events = selectors.EVENT_READ
        while self._out or self._next():
            try:
                self._out = self._out[line.send(self._out) :]
            except (BlockingIOError, InterruptedError):
                events |= selectors.EVENT_WRITE
                break
        selector.modify(line, events)

    def _next(self) -> bool:
        frame = self._mailbox.take(may_ask=len(self._asked) < ASKED_MAX)
        while isinstance(frame, New | Amend) and self._is_halted(frame.order.spec if isinstance(frame, New) else None):
            # Handed over before the trip, and it has waited here for the line since.
            self._refuse([frame], "NOT_SENT", "it never left: trading was halted before the line took it")
            frame = self._mailbox.take(may_ask=len(self._asked) < ASKED_MAX)
        if frame is None:
            return False
        due_ns = self._clock.monotonic_ns() + self._answer_ns
        match frame:
            case New():
                self._pending.update((("new", one.wire_id), due_ns) for one in frame.order.members)
            case Cancel():
                self._pending["cancel", frame.wire_id] = due_ns
            case Amend():
                self._pending["amend", frame.wire_id] = due_ns
            case AskOrder() | AskState():
                self._asked.add(frame.id)
            case Ask():
                pass
        self._out = memoryview(pack(frame))
        return True

    # -- in ------------------------------------------------------------------------------------------------------------

    def _read(self, line: socket.socket) -> None:
        try:
            data = line.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            # The line was ready to be written, not to be read.
            return
        if not data:
            raise LineLost("the paper venue ended the connection")
        self._heard_ns = self._clock.monotonic_ns()
        for body in self._unpacker.feed(data):
            self._take(read_frame(VENUE, body))
        self._show_market()

    def _take(self, frame: AnyVenueFrame) -> None:
        match frame:
            case Report():
                self._settle(frame.event)
                self._tell(frame.event)
            case Market():
                self.trades_dropped += frame.dropped
                for tick in frame.ticks:
                    self._ticks.put(tick)
            case Done():
                self._asked.discard(frame.id)
                if frame.id == self._ping_id:
                    self._ping_id = 0
            case Refused():
                raise LineLost(f"the paper venue ended the connection: {frame.code}: {frame.text}")
            case Hello():
                raise LineLost("the paper venue greeted twice")

    def _settle(self, event: BrokerEvent) -> None:
        """Cross off what this report answers. Any word of an order shows that the venue took it."""
        pending = self._pending
        match event:
            case Acked() | Rejected():
                pending.pop(("new", event.wire_id), None)
            case Filled():
                pending.pop(("new", event.fill.wire_id), None)
            case Cancelled() | Expired():
                for what in ("new", "cancel", "amend"):
                    pending.pop((what, event.wire_id), None)
            case CancelRefused():
                pending.pop(("cancel", event.wire_id), None)
            case Amended() | AmendRefused():
                pending.pop(("amend", event.wire_id), None)
            case _:
                return

    def _show_market(self) -> None:
        """Hand over market data once per read: of a backlog only the newest quotes and books."""
        if not self._ticks or self._mailbox.is_closing:
            return
        for tick in self._ticks.drain():
            self._show(tick)
        self.trades_dropped += self._ticks.dropped - self._ticks_dropped
        self._ticks_dropped = self._ticks.dropped

    # -- time ----------------------------------------------------------------------------------------------------------

    def _check_times(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for key in [key for key, due_ns in self._pending.items() if due_ns <= now_ns]:
            del self._pending[key]
            why = f"no answer to the {key[0]} within {self._answer_ns / NS_PER_S:g} s"
            self._tell(Uncertain(broker=self._name, ts_ns=self._now(), wire_id=key[1], why=why))
        silent_ns = now_ns - self._heard_ns
        if silent_ns > self._silence_ns:
            raise LineLost(f"the paper venue has been silent for {silent_ns / NS_PER_S:.1f} s")
        if silent_ns > self._silence_ns // 4 and not self._ping_id:
            ping = Ask(id=self._mailbox.number(), what=What.HEALTH)
            self._ping_id = ping.id if self._mailbox.put(ping) else 0


def _open(folder: Path, account: str) -> tuple[socket.socket, Hello]:
    """A greeted connection; VenueError, OSError or FrameError where there is none."""
    line = connect(folder, _CONNECT_S)
    try:
        line.sendall(pack(Greet(protocol=PROTOCOL, role=Role.ENGINE, account=account)))
        # The answer is read alone, to the byte, so that what follows it stays for the loop.
        size = int.from_bytes(_exactly(line, 4), "big")
        frame = read_frame(VENUE, _exactly(line, min(size, FRAME_BYTES_MAX)))
        if isinstance(frame, Refused):
            raise VenueError(f"the paper venue refused us: {frame.code}: {frame.text}")
        if not isinstance(frame, Hello):
            raise FrameError("the paper venue did not greet")
    except (VenueError, OSError, FrameError):
        line.close()
        raise
    line.setblocking(False)
    return line, frame


def _exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = line.recv(count - len(data))
        if not part:
            raise FrameError("the paper venue ended the connection while it greeted")
        data += part
    return data


def _nobody(_: object) -> None:
    """Take what comes before anybody listens: nothing does."""
