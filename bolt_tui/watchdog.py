"""A process beside the engine that halts where the engine can do nothing any more: stopped, swapped out, stuck in foreign code.

The lookout is a thread of the engine and needs what the engine needs: its interpreter and its process. The watchdog has its own. It is
started with every engine, hears its loop beat on a pipe, and ends with it. Where the beats stay away for longer than
``monitor.max_stall_s`` and a second, it trips the latch, leaves a note for the journal and runs the kill procedure with broker
sessions of its own. The second lets the engine's own lookout be first, which knows more.

An engine that ends, on purpose or killed, closes the pipe: then there is nothing to watch, and what works at the venue stays as it was
left (`bolt kill` reaches it).
"""

from __future__ import annotations

import logging
import os
import select
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bolt_tui.halting import trip_latch
from bolt_tui.settings import Home, child_environment, open_home
from engine.domain.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from engine.domain.commands import Halt, HaltScope
from engine.domain.events import TradingState
from engine.domain.order import Source, SourceKind
from engine.risk.latch import Latch, TripNote, leave_note

LOOK_S = 0.1
GRACE_NS = NS_PER_S
STOP_S = 2.0
_BEAT = struct.Struct("<I")
"""One beat: the longest allowed pause in milliseconds, 0 where no limit is known."""
_LOG = logging.getLogger("bolt.watchdog")
Run = Callable[..., dict[str, object]]
"""Runs the kill procedure; :func:`bolt_tui.wiring.halt_here`."""


class Watchdog:
    """The engine's side: starts the process, beats, and starts it again where it ended."""

    def __init__(self, home: Home, stall_ns_max: Callable[[], int]) -> None:
        self._home = home
        self._stall_ns_max = stall_ns_max
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self.starts = 0

    @property
    def pid(self) -> int:
        """Of the process; 0 where none runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        """Start the process. Where that fails the engine goes on with its own lookout, and says so in its log."""
        reader, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        words = [sys.executable, "-P", "-m", "bolt_tui.watchdog", str(self._home.root), str(reader)]
        try:
            self._process = subprocess.Popen(
                words,
                pass_fds=(reader,),
                env=child_environment(self._home.root),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            self.starts += 1
        except OSError as error:
            _LOG.error("the watchdog could not be started: %s", error)
            self._close()
        finally:
            os.close(reader)

    def beat(self) -> None:
        """The loop turned. A watchdog that ended is started again."""
        if self._process is not None and self._process.poll() is not None:
            _LOG.error("the watchdog (process %d) ended; a new one is started", self._process.pid)
            self._close()
            self.start()
        if self._pipe >= 0:
            # Full: it has beats enough to read. Closed: the next beat starts another.
            with suppress(OSError):
                os.write(self._pipe, _BEAT.pack(min(self._stall_ns_max() // NS_PER_MS, 2**32 - 1)))

    def stop(self) -> None:
        """End it: there is nothing to watch any more."""
        self._close()
        if self._process is not None:
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _close(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


class Watch:
    """The watchdog's own side: knows when the engine beat last, and halts once for each stall.

    Args:
        halt: trips, notes and runs the procedure; called with the reason.
    """

    def __init__(self, clock: Clock, halt: Callable[[str], None]) -> None:
        self._clock = clock
        self._halt = halt
        self._beat_ns = clock.monotonic_ns()
        self._limit_ns = 0
        self._is_stalled = False

    def heard(self, data: bytes) -> None:
        """Beats were read."""
        whole = len(data) // _BEAT.size * _BEAT.size
        if whole:
            (limit_ms,) = _BEAT.unpack_from(data, whole - _BEAT.size)
            self._limit_ns = limit_ms * NS_PER_MS
            self._beat_ns = self._clock.monotonic_ns()
            self._is_stalled = False

    def look(self) -> None:
        """Judge the pause since the last beat."""
        age_ns = self._clock.monotonic_ns() - self._beat_ns
        if self._limit_ns and age_ns > self._limit_ns + GRACE_NS and not self._is_stalled:
            self._is_stalled = True
            self._halt(f"the engine did not beat for {age_ns / NS_PER_S:.1f} s")


def halt(home: Home, why: str, run: Run) -> None:
    """Shut the gate, note it for the journal, and cancel what works."""
    latch = Latch.attach(home.latch)
    latch.tighten(HaltScope(), TradingState.HALTED)
    latch.close()
    note = TripNote(
        scope=HaltScope(), state=TradingState.HALTED, code="WATCHDOG", who="watchdog", why=why, ts_ns=SystemClock().now_ns(),
        pid=os.getpid(),
    )  # fmt: skip

    def record() -> bool:
        # Not before the cancels: an engine may be stuck because the disk is.
        is_flushed = trip_latch(home, HaltScope())
        return leave_note(home.root, note) is not None and is_flushed

    outcome = run(home, Halt(source=Source(SourceKind.HALT, "watchdog"), why=why), record=record)
    _LOG.error("%s; halted from outside, clean: %s", why, outcome["is_clean"])


def procedure() -> Run:
    """The kill procedure, with all that it needs: loaded at the start, because loading takes longer than halting."""
    from bolt_tui.wiring import halt_here

    return halt_here


def watch(home: Home, reader: int, clock: Clock) -> None:
    """Watch until the engine closes the pipe."""
    run = procedure()  # now, so that no beat waits unread while it loads

    def act(why: str) -> None:
        try:
            halt(home, why, run)
        except Exception:  # loop edge: whatever breaks, the gate was shut first, and it goes on watching
            _LOG.exception("halting from outside failed")

    watched = Watch(clock, act)
    while True:
        ready, _, _ = select.select([reader], [], [], LOOK_S)
        if ready:
            data = os.read(reader, 65_536)
            if not data:
                return
            watched.heard(data)
        watched.look()


def main(words: list[str]) -> int:
    """``python -m bolt_tui.watchdog HOME FD``: started by an engine, not by people."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    watch(open_home(Path(words[0])), int(words[1]), SystemClock())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
