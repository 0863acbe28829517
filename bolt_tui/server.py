"""The engine's door on a Unix socket, in the engine's own loop.

Promises: only the engine's own user is served; a frame that cannot be read ends its connection and nothing else; a
client that reads slowly gets the newest state when it reads again, costs at most one buffered picture and delays
nobody; a halt is handled before every command that waits, whoever sent it, and still when all places are taken.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, cast

import msgspec

from bolt_tui.endpoint import is_listening, peer_uid
from bolt_tui.frames import (
    EVENTS_MAX,
    FRAME_BYTES_MAX,
    PROTOCOL,
    REQUEST_BYTES_MAX,
    ClientFrame,
    Error,
    Events,
    EventsAsk,
    Frame,
    FrameError,
    Hello,
    Request,
    Result,
    Snapshot,
    Subscribe,
    Unpacker,
    Update,
    WhatIfAsk,
    pack,
    read_client,
)
from bolt_tui.resources import version
from bolt_tui.settings import DIR_MODE, FILE_MODE
from engine.domain.clock import Clock
from engine.domain.commands import (
    AmendOrder,
    AnyCommand,
    CommandResult,
    Halt,
    NewOrder,
    Preview,
    ReleaseOrder,
    StopEngine,
)
from engine.domain.errors import StoreLocked
from engine.domain.events import AnyEvent, encode
from engine.domain.order import SourceKind
from engine.views import SCHEMA, DeskUpdate, DeskView

CLIENTS_MAX = 16
"""Connections that are served in full."""
HALT_PLACES = 4
"""Further connections, on which only a halt is taken: a full house must not lock out the kill switch."""
REQUESTS_WAITING_MAX = 1_024
"""Commands that may wait for their turn; the next is answered BUSY."""
TICKS_PER_S = 10
PICTURE_AFTER_S = 0.01
"""So long after its hello a client gets its first picture. A thousand orders take 30 ms to draw: a halt that comes with a new connection
is handled before, and who only brings a command has gone by then and costs no picture."""
LAG_TICKS_MAX = 10
"""A client that could not be written to for longer gets a whole picture instead of the changes."""
HEARTBEAT_TICKS = 10
"""With nothing to tell, an empty update goes out this often: silence means that the engine hangs."""
BUFFERED_BYTES_MAX = FRAME_BYTES_MAX + REQUEST_BYTES_MAX
"""What may wait for one client that does not read; beyond, the connection ends."""

_LOG = logging.getLogger("bolt.server")
_NOT_FOR_CLIENTS = frozenset({SourceKind.HALT, SourceKind.FOREIGN})


class EngineDoor(Protocol):
    """What the server needs of the engine; called on the engine's loop only."""

    def submit(self, command: AnyCommand) -> CommandResult:
        """Decide a command now."""
        ...

    def what_if(self, question: Preview) -> CommandResult:
        """What an order would do; changes nothing."""
        ...

    def view(self) -> DeskView:
        """A whole picture."""
        ...

    def cursor(self) -> int:
        """The cursor of now."""
        ...

    def update_since(self, cursor: int) -> tuple[int, DeskUpdate]:
        """What changed since a cursor, and the cursor of now (0 stands before everything)."""
        ...

    def events(self, from_seq: int, limit: int) -> list[tuple[int, int, AnyEvent]]:
        """Journaled events from a sequence number on, in order."""
        ...

    def when_durable(self, act: Callable[[bool], None]) -> None:
        """Call back once everything decided until now is on disk (False: it never will be)."""
        ...


class EngineServer:
    """Serves one door on one socket.

    Args:
        door: the engine.
        socket_path: where to listen; its folder must be the user's own.
        clock: the engine's clock.
        on_stop: called with ``cancel`` after a StopEngine was accepted and answered.
        on_fault: called when the door raised; the connection is told, the server goes on.
        peer_uid: who is at the other end of a connection, None where the system does not say.
    """

    def __init__(
        self,
        door: EngineDoor,
        socket_path: Path,
        clock: Clock,
        on_stop: Callable[[bool], None],
        *,
        on_fault: Callable[[Exception], None] | None = None,
        peer_uid: Callable[[socket.socket], int | None] = peer_uid,
    ) -> None:
        self.path = socket_path
        self.counts: dict[str, int] = dict.fromkeys(
            ("accepted", "refused", "bad_frames", "dropped", "busy", "faults", "halts"), 0
        )
        self.picture_after_s = PICTURE_AFTER_S
        self._door = door
        self._clock = clock
        self._on_stop = on_stop
        self._on_fault = on_fault
        self._peer_uid = peer_uid
        self._connections: list[_Connection] = []
        self._waiting: deque[tuple[_Connection, ClientFrame | None]] = deque()
        self._picture = _Picture(door)
        self._server: asyncio.Server | None = None
        self._tick_handle: asyncio.TimerHandle | None = None
        self._tick = 0
        self._inode = 0

    async def start(self) -> None:
        """Listen.

        Raises:
            StoreLocked: another engine already answers on this socket.
        """
        listener = self._bind()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=listener)
        self._tick_handle = loop.call_later(1 / TICKS_PER_S, self._on_tick)

    def _bind(self) -> socket.socket:
        self.path.parent.mkdir(mode=DIR_MODE, parents=True, exist_ok=True)
        if is_listening(self.path):
            msg = f"another engine answers on {self.path}; use it, or end it with `bolt stop`"
            raise StoreLocked(msg)
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
            self.path.chmod(FILE_MODE)
        except OSError:
            listener.close()
            raise
        self._inode = self.path.stat().st_ino
        return listener

    async def close(self) -> None:
        """Send what is buffered, end every connection and remove the socket."""
        if self._tick_handle is not None:
            self._tick_handle.cancel()
            self._tick_handle = None
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)
        for connection in list(self._connections):
            connection.abort()
        self._waiting.clear()
        try:
            is_ours = self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return
        if is_ours:
            self.path.unlink(missing_ok=True)

    # -- for connections -------------------------------------------------------------------------------------------

    def admit(self, connection: _Connection, peer: socket.socket) -> bool:
        """Take a new connection in, or refuse it."""
        uid = self._peer_uid(peer)
        if uid is not None and uid not in {os.getuid(), 0}:
            self.counts["refused"] += 1
            _LOG.warning("a process of user %s was refused on the engine's socket", uid)
            return False
        if len(self._connections) >= CLIENTS_MAX + HALT_PLACES:
            self.counts["refused"] += 1
            return False
        connection.is_full = sum(not other.is_full for other in self._connections) >= CLIENTS_MAX
        self._connections.append(connection)
        self.counts["accepted"] += 1
        connection.send(Hello(seq=0, schema=SCHEMA, protocol=PROTOCOL, version=version(), pid=os.getpid()))
        if not connection.is_full:
            asyncio.get_running_loop().call_later(self.picture_after_s, self._queue, connection, None)
        return True

    def forget(self, connection: _Connection) -> None:
        """A connection has ended."""
        if connection in self._connections:
            self._connections.remove(connection)

    def take(self, connection: _Connection, frame: ClientFrame) -> None:
        """Act on a frame: a halt now, everything else in its turn."""
        if isinstance(frame, Request) and isinstance(frame.command, Halt):
            self.counts["halts"] += 1
            self._answer(connection, frame)
        elif connection.is_full:
            text = f"{CLIENTS_MAX} clients are connected and that is the limit; close one of them"
            connection.fail("FULL", text)
        elif isinstance(frame, WhatIfAsk):
            # One place per connection, and the newest question in it: typing never queues.
            is_queued, connection.question = connection.question is not None, frame
            if not is_queued:
                self._queue(connection, frame)
        elif len(self._waiting) >= REQUESTS_WAITING_MAX:
            self.counts["busy"] += 1
            number = getattr(frame, "id", 0)
            text = f"{REQUESTS_WAITING_MAX} requests wait already; nothing was done, ask again"
            connection.send(Error(seq=0, id=number, code="BUSY", text=text))
        else:
            self._queue(connection, frame)

    def _queue(self, connection: _Connection, frame: ClientFrame | None) -> None:
        self._waiting.append((connection, frame))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """One waiting frame for each turn of the loop, so that a halt which arrives meanwhile overtakes the rest."""
        if not self._waiting:
            return
        connection, frame = self._waiting[0]
        try:
            self._serve(connection, frame)
        except Exception as error:  # loop edge: a fault of the engine ends no other client's service
            self._fault(connection, getattr(frame, "id", 0), error)
        if self._waiting:
            self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)

    def _serve(self, connection: _Connection, frame: ClientFrame | None) -> None:
        match frame:
            case None:
                if connection in self._connections and connection.cursor is None:
                    self._send_picture(connection)
            case Request():
                self._answer(connection, frame)
            case WhatIfAsk():
                self._answer_what_if(connection, frame)
            case Subscribe():
                connection.every = max(1, TICKS_PER_S // min(TICKS_PER_S, max(1, frame.hz)))
            case EventsAsk() if frame.follow:
                connection.follow = (frame.id, max(1, frame.from_seq))
                self._send_events(connection)
            case EventsAsk():
                limit = min(EVENTS_MAX, max(0, frame.limit))
                found = tuple(self._door.events(max(1, frame.from_seq), limit))
                connection.send(Events(seq=0, id=frame.id, events=found, done=True))

    def _answer(self, connection: _Connection, frame: Request) -> None:
        command = frame.command
        if command.source.kind in _NOT_FOR_CLIENTS:
            text = f"a client may not speak as {command.source.kind}"
            connection.send(Result(seq=0, id=frame.id, result=CommandResult(ok=False, code="SOURCE", text=text)))
            return
        try:
            result = self._door.submit(command)
        except Exception as error:  # loop edge: the client learns that the outcome is not known
            self._fault(connection, frame.id, error)
            return
        if isinstance(command, Halt):
            # A halt is told at once; whether it is on disk stands in the picture.
            connection.send(Result(seq=0, id=frame.id, result=result))
        else:
            self._door.when_durable(partial(self._tell, connection, frame, result))

    def _answer_what_if(self, connection: _Connection, first: WhatIfAsk) -> None:
        frame, connection.question = connection.question or first, None
        result = self._door.what_if(frame.question)
        connection.send(Result(seq=0, id=frame.id, result=result))

    def _tell(self, connection: _Connection, frame: Request, result: CommandResult, is_durable: bool) -> None:
        """Answer a command: what a client was told must not be gone after a crash, so the answer waits for the disk."""
        if not is_durable and result.ok and isinstance(frame.command, NewOrder | AmendOrder | ReleaseOrder):
            text = "the ledger failed before this was on disk: it was never sent"
            result = CommandResult(ok=False, code="LEDGER_UNHEALTHY", text=text)
        connection.send(Result(seq=0, id=frame.id, result=result))
        if isinstance(frame.command, StopEngine) and result.ok:
            asyncio.get_running_loop().call_soon(self._on_stop, frame.command.cancel)

    def _fault(self, connection: _Connection, number: int, error: Exception) -> None:
        self.counts["faults"] += 1
        _LOG.error("the engine failed at a request", exc_info=error)
        connection.send(Error(seq=0, id=number, code="ENGINE_FAULT", text=f"{type(error).__name__}: {error}"))
        if self._on_fault is not None:
            self._on_fault(error)

    # -- updates ---------------------------------------------------------------------------------------------------

    def _on_tick(self) -> None:
        self._tick += 1
        try:
            self._picture.begin()
            for connection in list(self._connections):
                if connection.is_paused:
                    connection.lag += 1
                    continue
                if connection.follow is not None:
                    self._send_events(connection)
                if connection.every and self._tick % connection.every == 0:
                    self._send_update(connection)
        except Exception as error:  # loop edge: the next tick tries again
            self.counts["faults"] += 1
            _LOG.error("the engine failed at an update", exc_info=error)
            if self._on_fault is not None:
                self._on_fault(error)
        self._tick_handle = asyncio.get_running_loop().call_later(1 / TICKS_PER_S, self._on_tick)

    def _send_picture(self, connection: _Connection) -> None:
        connection.cursor, body = self._picture.whole()
        connection.lag = 0
        connection.told_tick = self._tick
        connection.send(Snapshot(seq=0, body=body))

    def _send_update(self, connection: _Connection) -> None:
        if connection.lag > LAG_TICKS_MAX or connection.cursor is None:
            self._send_picture(connection)
            return
        connection.cursor, body, is_empty = self._picture.since(connection.cursor)
        connection.lag = 0
        if is_empty and self._tick - connection.told_tick < HEARTBEAT_TICKS:
            return
        connection.told_tick = self._tick
        connection.send(Update(seq=0, body=body))

    def _send_events(self, connection: _Connection) -> None:
        if connection.follow is None:
            return
        number, from_seq = connection.follow
        found = tuple(self._door.events(from_seq, EVENTS_MAX))
        if found:
            connection.follow = (number, found[-1][0] + 1)
            connection.send(Events(seq=0, id=number, events=found, done=False))


class _Picture:
    """Encoded views, shared by all clients that need the same one."""

    def __init__(self, door: EngineDoor) -> None:
        self._door = door
        self._whole: tuple[int, msgspec.Raw] | None = None
        self._updates: dict[int, tuple[int, msgspec.Raw, bool]] = {}

    def begin(self) -> None:
        """A new tick: what was encoded in the last one is old."""
        self._updates.clear()

    def whole(self) -> tuple[int, msgspec.Raw]:
        """The cursor of now and a DeskView."""
        cursor = self._door.cursor()
        if self._whole is None or self._whole[0] != cursor:
            self._whole = (cursor, msgspec.Raw(encode(self._door.view())))
        return self._whole

    def since(self, cursor: int) -> tuple[int, msgspec.Raw, bool]:
        """The cursor of now, a DeskUpdate, and whether nothing changed."""
        if cursor not in self._updates:
            now, update = self._door.update_since(cursor)
            self._updates[cursor] = (now, msgspec.Raw(encode(update)), update == DeskUpdate())
        return self._updates[cursor]


class _Connection(asyncio.Protocol):
    """One client. Writes never wait: asyncio says when the client does not keep up, and updates pause."""

    def __init__(self, server: EngineServer) -> None:
        self.is_full = False
        """Came when all places were taken: only a halt is served."""
        self.is_paused = False
        self.lag = 0
        """Ticks since it could be written to."""
        self.every = 0
        """Ticks between updates; 0 = not subscribed."""
        self.cursor: int | None = None
        self.told_tick = 0
        self.question: WhatIfAsk | None = None
        """The newest what-if that waits for its turn."""
        self.follow: tuple[int, int] | None = None
        """Request id and next sequence number of an event stream."""
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._unpacker = Unpacker(REQUEST_BYTES_MAX)
        self._sent = 0
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._server.admit(self, transport.get_extra_info("socket")):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._unpacker.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                frame = read_client(body)
                self._received += 1
                if frame.seq != self._received:
                    msg = f"frame number {frame.seq} came where {self._received} was expected"
                    raise FrameError(msg)
                self._server.take(self, frame)
        except FrameError as error:
            self._server.counts["bad_frames"] += 1
            self.fail("BAD_FRAME", str(error))

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        _LOG.debug("a connection ended: %s", exc)
        self._server.forget(self)
        self._transport = None

    def send(self, frame: Frame) -> None:
        """Number and write a frame; a client that let too much pile up is let go."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._sent += 1
        transport.write(pack(msgspec.structs.replace(frame, seq=self._sent)))
        if transport.get_write_buffer_size() > BUFFERED_BYTES_MAX:
            self._server.counts["dropped"] += 1
            transport.abort()

    def fail(self, code: str, text: str) -> None:
        """Say what was wrong and end the connection."""
        self.send(Error(seq=0, code=code, text=text))
        self.close()

    def close(self) -> None:
        """End after what is buffered was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        if self._transport is not None:
            self._transport.abort()
