"""An engine and its socket in this process: what `bolt headless`, `bolt engine` and `bolt --in-process` have in common.

The ledger's lock is taken before the socket is touched, and let go before the socket is removed: whoever can connect
talks to the engine that owns the ledger, and whoever saw the socket go can start the next engine.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from bolt_tui.endpoint import claim_socket
from bolt_tui.server import EngineDoor, EngineServer
from bolt_tui.settings import Home, Settings
from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import BoltError, InvariantError

START_DEADLINE_S = 15.0
_LOG = logging.getLogger("bolt.host")


class LiveEngine(Protocol):
    """What `wiring.build_live` gives."""

    @property
    def door(self) -> EngineDoor:
        """The engine's door."""
        ...

    @property
    def is_recovering(self) -> bool:
        """Whether the engine before did not end cleanly, and no comparison was clean since."""
        ...

    async def run(self) -> None:
        """Trade until a stop was asked for; raises what the engine cannot survive."""
        ...

    def halt_now(self, who: str, why: str, source: str) -> None:
        """Stop trading, from any thread or signal handler, also while the loop is stuck."""
        ...

    def request_stop(self, cancel: bool) -> None:
        """End :meth:`run`, cancelling working orders first where asked. On the loop's thread."""
        ...


def build(home: Home, settings: Settings) -> LiveEngine:
    """The engine with its brokers; raises StoreLocked where another engine holds the ledger."""
    from bolt_tui.wiring import build_live

    return build_live(home, settings)


async def serve(
    live: LiveEngine,
    home: Home,
    on_ready: Callable[[], None],
    clock: Clock | None = None,
    *,
    on_end: Callable[[], object] = lambda: None,
    on_no_start: Callable[[], object] = lambda: None,
) -> None:
    """Run an engine with its socket until it ends. ``on_end`` is called after a clean end, ``on_no_start`` where it never came to serve
    (its ledger does not hold), both while nobody can start the next.
    """

    def on_fault(error: Exception) -> None:
        if isinstance(error, InvariantError):
            live.halt_now("engine", str(error), "fault")

    server = EngineServer(live.door, claim_socket(home), clock or SystemClock(), live.request_stop, on_fault=on_fault)
    running = asyncio.ensure_future(live.run())
    is_ready = False
    try:
        await server.start()
        is_ready = not running.done()
        if is_ready:
            on_ready()
        await running
        on_end()
    finally:
        if not running.done():
            live.request_stop(False)
            await asyncio.wait({running}, timeout=START_DEADLINE_S)
        if not is_ready:
            on_no_start()
        await server.close()


@contextmanager
def signals(live: LiveEngine, *, detached: bool) -> Iterator[None]:
    """SIGTERM (and SIGINT where not detached) end the engine and leave its orders; SIGUSR1 halts; a hang-up is ignored.

    The halt uses a plain handler, which Python runs between two instructions of whatever holds the main thread, so it
    works while a strategy never returns to the loop.
    """
    loop = asyncio.get_running_loop()

    def halt(number: int, _frame: FrameType | None) -> None:
        live.halt_now("signal", f"{signal.Signals(number).name} was received", "signal")

    stopping = [signal.SIGTERM] if detached else [signal.SIGTERM, signal.SIGINT]
    ignored = [signal.SIGHUP, signal.SIGINT] if detached else [signal.SIGHUP]
    before = {number: signal.getsignal(number) for number in (*ignored, signal.SIGUSR1)}
    for number in stopping:
        loop.add_signal_handler(number, live.request_stop, False)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, halt)
    try:
        yield
    finally:
        for number in stopping:
            loop.remove_signal_handler(number)
        for number, handler in before.items():
            signal.signal(number, handler)


class EngineThread:
    """An engine and its socket in a thread of this process. For tests and pictures: a busy screen slows it down."""

    def __init__(self, home: Home, settings: Settings, make: Callable[[Home, Settings], LiveEngine] = build) -> None:
        self._home = home
        self._settings = settings
        self._make = make
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._live: LiveEngine | None = None
        self._thread = threading.Thread(target=self._run, name="bolt-engine", daemon=True)

    def start(self) -> None:
        """Start, and return when the socket serves; raises what kept it from that."""
        self._thread.start()
        if not self._ready.wait(START_DEADLINE_S):
            msg = f"the engine did not serve within {START_DEADLINE_S:g} s"
            raise InvariantError(msg)
        if self._error is not None:
            self._thread.join()
            raise self._error

    def stop(self, *, cancel: bool) -> bool:
        """End it; False where it has not ended within the deadline."""
        if self._loop is not None and self._live is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._live.request_stop, cancel)
        self._thread.join(START_DEADLINE_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except (BoltError, OSError) as error:
            self._error = error
            _LOG.error("the engine ended: %s", error)
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._live = self._make(self._home, self._settings)
        await serve(self._live, self._home, self._ready.set)
