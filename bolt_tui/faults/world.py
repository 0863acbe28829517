"""Simulated time and the engines in it: one queue of things to do, and the process that is alive now.

Everything happens in the order of the queue, so the same schedule plays the same way again.
"""

from __future__ import annotations

import heapq
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from bolt_tui.faults import pipe
from bolt_tui.faults.process import NO_ROOM, Process
from bolt_tui.faults.schedule import BEGINS_NS, Crash, Schedule
from bolt_tui.faults.scratch import LabError
from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.risk.policy import PolicyHolder

ENDS_NS = BEGINS_NS + 400 * NS_PER_S
TRIES_MAX = 100
"""How often an input is offered to an engine that has something to say first."""


class Outcome(msgspec.Struct, kw_only=True):
    """What one run came to, before the books are compared."""

    fired: list[str] = []
    """Kinds of the faults that happened."""
    crashed: list[str] = []
    """Points at which an engine was killed."""
    unsettled: list[str] = []
    """Wishes that came to nothing in the whole time."""
    resolved_ns: int = -1
    """How long after the last fault every order was what the venue says; -1 = never."""
    unresolved: list[str] = []
    troubled_ns: int = 0
    """When the last fault ended, or the last engine or line came back."""
    leaked: list[str] = []
    """New orders that left while everything was halted."""
    broke: str = ""
    """How an engine ended that nobody killed."""
    lives: int = 0


class World:
    """Time, and the engines that live and die in it."""

    def __init__(self, schedule: Schedule, folder: Path, policy: PolicyHolder) -> None:
        self.schedule = schedule
        self.out = Outcome()
        self.now_ns = BEGINS_NS
        self.quiet_since_ns = BEGINS_NS
        """When the last fault ended."""
        self.is_over = False
        self.on_frame: Callable[[pipe.FromEngine], None]
        """Takes what an engine says."""
        self.on_death: Callable[[], None]
        self._folder = folder
        self._policy = policy
        self._crashes: dict[int, Crash] = {crash.life: crash for crash in schedule.crashes}
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._process: Process | None = None

    # -- time --------------------------------------------------------------------------------------------------------------

    def at(self, ts_ns: int, act: Callable[[], None]) -> None:
        """Do something at a time."""
        self._count += 1
        heapq.heappush(self._queue, (max(ts_ns, self.now_ns), self._count, act))

    def after(self, wait_ns: int, act: Callable[[], None]) -> None:
        """Do something later."""
        self.at(self.now_ns + wait_ns, act)

    def set_ns(self, now_ns: int) -> None:
        """Time has come so far."""
        self.now_ns = max(self.now_ns, now_ns)

    def disturb(self, until_ns: int = 0) -> None:
        """A fault acts now, or until then: the time of recovery begins after it."""
        self.wait_anew(until_ns)
        self.out.troubled_ns = self.quiet_since_ns

    def wait_anew(self, until_ns: int = 0) -> None:
        """The time of recovery begins now, or then, for another reason than a fault."""
        self.quiet_since_ns = max(self.quiet_since_ns, self.now_ns, until_ns)

    def play(self) -> None:
        """Do everything in its order, until it is over."""
        while self._queue and not self.is_over and not self.out.broke:
            due_ns = self._queue[0][0]
            if due_ns > ENDS_NS:
                break
            if self._process is not None and self._process.next_ns <= due_ns:
                # The engine's own timers come first, and what it says may be due before.
                self._tell(pipe.Go(at_ns=due_ns))
                continue
            _, _, act = heapq.heappop(self._queue)
            self.set_ns(due_ns)
            act()
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self.tell(lambda now_ns: pipe.End(at_ns=now_ns))
        if self._process is not None:
            self._process.reap()
            self._process = None

    # -- engines -----------------------------------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        """Whether an engine runs."""
        return self._process is not None

    def start_engine(self) -> None:
        """Fork the next engine on the same folder."""
        number = self.out.lives
        self.out.lives += 1
        self.disturb()
        crash = self._crashes.get(number)
        self._process = Process(self._folder, self._policy, crash, self.now_ns, self.schedule.lag, number)
        self._listen()

    def tell(self, make: Callable[[int], pipe.Input]) -> pipe.Done | None:
        """Give the engine an input and hear it out; None where there is none, or it died of it."""
        for _ in range(TRIES_MAX):
            lives = self.out.lives
            done = self._tell(make(self.now_ns))
            if done is None or done.took or self.out.lives != lives:
                return done
        self.out.broke = "an engine talks for ever and takes nothing in"
        return None

    def reply(self, frame: pipe.Reply) -> None:
        """Answer a call of the engine that is being heard."""
        if self._process is not None:
            self._process.pipe.send(frame)

    def _tell(self, frame: pipe.Input) -> pipe.Done | None:
        if self._process is None:
            return None
        try:
            self._process.pipe.send(frame)
        except pipe.LineClosed:
            self._died()
            return None
        return self._listen()

    def _listen(self) -> pipe.Done | None:
        process = self._process
        assert process is not None
        try:
            while True:
                frame = pipe.FROM_ENGINE.decode(process.pipe.read())
                if isinstance(frame, pipe.Done):
                    process.next_ns = frame.next_ns
                    return frame
                self.on_frame(frame)
        except pipe.LineClosed:
            self._died()
            return None

    def _died(self) -> None:
        process, self._process = self._process, None
        assert process is not None
        how, number = process.reap(), self.out.lives - 1
        crash = self._crashes.get(number)
        if how == -NO_ROOM:
            raise LabError(f"{self._folder} takes no writes, as said above; free space there")
        if how != signal.SIGKILL or crash is None:
            self.out.broke = f"engine {number} ended by itself ({how})"
            return
        self.out.crashed.append(crash.point)
        self.disturb()
        self.on_death()
        self.after(crash.down_ms * NS_PER_MS, self.start_engine)
