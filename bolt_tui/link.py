"""The desk's line to the engine: it keeps a picture current, carries commands and halts, and comes back by itself.

The line has a thread and a loop of its own, so that a busy screen never delays an answer, and a slow engine never
delays a key. The picture is replaced as a whole; whoever holds one may keep it. A halt takes none of this: it runs in
the thread that saw the key, and in one of its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from bolt_tui.client import DEADLINE_S, NoEngine, show
from bolt_tui.frames import (
    FRAME_BYTES_MAX,
    PROTOCOL,
    Error,
    Frame,
    FrameError,
    Hello,
    Request,
    Result,
    ServerFrame,
    Snapshot,
    Subscribe,
    Unpacker,
    Update,
    WhatIfAsk,
    pack,
    read_server,
)
from engine.domain.clock import NS_PER_S, Clock, SystemClock
from engine.domain.commands import AnyCommand, CommandResult, Preview
from engine.domain.errors import SettingsError
from engine.views import SCHEMA, DeskView

RETRY_S = 0.25
SILENCE_S = 3.0
"""The engine sends something each second; after this long it hangs."""
COMMANDS_WAITING_MAX = 256
_READ_BYTES = 256 * 1024
SUPERSEDED = CommandResult(ok=False, code="SUPERSEDED")
_LOG = logging.getLogger("bolt.link")


class DeskLink:
    """The engine as the desk sees it. :meth:`start` it, and :meth:`close` it (or use it as a context manager).

    Args:
        find: where the engine listens now; asked again before each attempt.
        halt: stops trading from the calling thread without waiting: called with who asked. It must not need this line.
        hz: pictures per second.
    """

    def __init__(
        self, find: Callable[[], Path], halt: Callable[[str], None], *, hz: int = 10, clock: Clock | None = None
    ) -> None:
        self._find = find
        self._halt = halt
        self._hz = hz
        self._clock = clock or SystemClock()
        self._view: DeskView | None = None
        self._version = 0
        self._is_connected = False
        self._trouble = "connecting to the engine"
        self._heard_ns = 0
        self._first = threading.Event()
        self._pending: dict[int, asyncio.Future[CommandResult]] = {}
        self._question = 0
        """Number of the what-if that is asked last, 0 where none is open."""
        self._writer: asyncio.StreamWriter | None = None
        self._sent = 0
        self._lock = threading.Lock()
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="bolt-link", daemon=True)
        self._main: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self, deadline_s: float = DEADLINE_S) -> None:
        """Connect and wait for the first picture.

        Raises:
            NoEngine: none came in time; the line is closed.
        """
        self._thread.start()
        if not self._first.wait(deadline_s):
            trouble = self._trouble
            self.close()
            msg = f"no picture from the engine within {deadline_s:g} s: {trouble}"
            raise NoEngine(msg)

    def close(self) -> None:
        """End the line; the engine goes on. Commands without an answer become UNKNOWN."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join(DEADLINE_S)
            return
        self._is_closed = True
        if not self._loop.is_closed():
            self._loop.close()

    # -- what the desk asks ----------------------------------------------------------------------------------------

    def view(self) -> DeskView:
        """The newest picture."""
        assert self._view is not None, "start() returns after the first picture"
        return self._view

    def version(self) -> int:
        """Grows with each new picture."""
        return self._version

    @property
    def connected(self) -> bool:
        """Whether the line stands and the engine is heard."""
        return self._is_connected and self._silent_s() < SILENCE_S

    @property
    def link_text(self) -> str:
        """The line's state in words; empty while all is well."""
        if not self._is_connected:
            return self._trouble
        silent_s = self._silent_s()
        return f"the engine is silent since {silent_s:.0f} s" if silent_s >= SILENCE_S else ""

    async def submit(self, command: AnyCommand) -> CommandResult:
        """Send a command once. A lost answer is a result with the code UNKNOWN; no line, NO_ENGINE (nothing was sent)."""
        with self._lock:
            if self._is_closed:
                return _not_sent("the line is closed")
            future = asyncio.run_coroutine_threadsafe(self._submit(command), self._loop)
        return await asyncio.wrap_future(future)

    async def what_if(self, question: Preview) -> CommandResult | None:
        """Ask what an order would do. None where a newer question took its place, the line is down or no answer came."""
        with self._lock:
            if self._is_closed:
                return None
            future = asyncio.run_coroutine_threadsafe(self._what_if(question), self._loop)
        return await asyncio.wrap_future(future)

    def halt_now(self, who: str) -> None:
        """Stop trading. Returns at once; safe in any thread, with the screen blocked and the line down."""
        self._halt(who)

    # -- the line's own thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._main = self._loop.create_task(self._stay())
            self._loop.run_until_complete(asyncio.gather(self._main, return_exceptions=True))
            with self._lock:
                self._is_closed = True
            # What was handed over before that still gets its answer.
            self._loop.run_until_complete(asyncio.sleep(0))
            rest = asyncio.all_tasks(self._loop)
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        finally:
            self._loop.close()

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    async def _stay(self) -> None:
        """Connect again and again until cancelled."""
        attempts = 0
        try:
            while True:
                try:
                    reader, writer = await asyncio.open_unix_connection(str(self._find()), limit=_READ_BYTES)
                    attempts = 0
                    await self._session(reader, writer)
                except (OSError, FrameError, SettingsError) as error:
                    attempts += 1
                    why = (error.strerror if isinstance(error, OSError) else "") or error
                    self._trouble = f"the engine is gone ({why}); reconnecting, attempt {attempts}"
                await asyncio.sleep(RETRY_S)
        finally:
            self._trouble = "the line is closed"
            self._end_session()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        unpacker = Unpacker(FRAME_BYTES_MAX)
        received = 0
        self._writer, self._sent = writer, 0
        try:
            self._write(Subscribe(seq=0, hz=self._hz))
            while data := await reader.read(_READ_BYTES):
                for body in unpacker.feed(data):
                    received += 1
                    frame = read_server(body)
                    if frame.seq != received:
                        msg = f"frame number {frame.seq} came where {received} was expected"
                        raise FrameError(msg)
                    self._take(frame)
            msg = "the line was closed"
            raise ConnectionError(msg)
        finally:
            writer.close()
            self._end_session()

    def _end_session(self) -> None:
        self._is_connected = False
        self._writer = None
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                future.set_result(_unknown("the line to the engine broke before the answer"))

    def _take(self, frame: ServerFrame) -> None:
        self._heard_ns = self._clock.monotonic_ns()
        match frame:
            case Hello():
                if (frame.protocol, frame.schema) != (PROTOCOL, SCHEMA):
                    msg = f"the engine is Bolt {frame.version} and speaks another protocol; end it with its own `bolt stop`"
                    raise FrameError(msg)
            case Snapshot() | Update():
                self._show(show(self._view, frame))
            case Result():
                self._settle(frame.id, frame.result)
            case Error():
                code = "UNKNOWN" if frame.code == "ENGINE_FAULT" else frame.code
                self._settle(frame.id, CommandResult(ok=False, code=code, text=frame.text))
                if not frame.id:
                    raise FrameError(frame.text)
            case _:
                _LOG.debug("a frame that was not asked for: %s", type(frame).__name__)

    def _show(self, view: DeskView) -> None:
        self._view = view
        self._version += 1
        self._is_connected = True
        self._first.set()

    def _settle(self, number: int, result: CommandResult) -> None:
        future = self._pending.pop(number, None)
        if future is not None and not future.done():
            future.set_result(result)

    def _write(self, frame: Frame) -> int:
        assert self._writer is not None
        self._sent += 1
        self._writer.write(pack(msgspec.structs.replace(frame, seq=self._sent)))
        return self._sent

    async def _submit(self, command: AnyCommand) -> CommandResult:
        if self._writer is None or self._writer.is_closing():
            return _not_sent(self._trouble)
        if len(self._pending) >= COMMANDS_WAITING_MAX:
            return CommandResult(ok=False, code="BUSY", text=f"{COMMANDS_WAITING_MAX} commands wait; nothing was sent")
        future: asyncio.Future[CommandResult] = self._loop.create_future()
        number = self._sent + 1
        self._pending[number] = future
        self._write(Request(seq=0, id=number, command=command))
        done, _ = await asyncio.wait({future}, timeout=DEADLINE_S)
        if done:
            return future.result()
        self._pending.pop(number, None)
        return _unknown(f"no answer within {DEADLINE_S:g} s")

    async def _what_if(self, question: Preview) -> CommandResult | None:
        older, self._question = self._question, 0
        if older:
            self._settle(older, SUPERSEDED)
        if self._writer is None or self._writer.is_closing():
            return None
        future: asyncio.Future[CommandResult] = self._loop.create_future()
        self._question = number = self._sent + 1
        self._pending[number] = future
        self._write(WhatIfAsk(seq=0, id=number, question=question))
        done, _ = await asyncio.wait({future}, timeout=DEADLINE_S)
        self._pending.pop(number, None)
        if self._question == number:
            self._question = 0
        found = future.result() if done else None
        return None if found is None or found is SUPERSEDED or found.code == "UNKNOWN" else found

    def _silent_s(self) -> float:
        return (self._clock.monotonic_ns() - self._heard_ns) / NS_PER_S


def _unknown(why: str) -> CommandResult:
    return CommandResult(
        ok=False, code="UNKNOWN", text=f"{why}: it may or may not have been done; look before asking again"
    )


def _not_sent(why: str) -> CommandResult:
    return CommandResult(ok=False, code="NO_ENGINE", text=f"nothing was sent: {why}")
