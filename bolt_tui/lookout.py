"""The engine's own lookout: a thread that halts where the loop can no longer be asked to.

A strategy that never returns, or a call that hangs, keeps the loop from its timers, from the sentinel file and from its own
monitors. The lookout looks at the loop's heartbeat and at the sentinel from a thread of its own, and runs the kill procedure, which has
sessions of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.domain.clock import NS_PER_MS, NS_PER_S, Clock

LOOK_S = 0.1
LATE_NS = 500 * NS_PER_MS
"""A loop that turned lately reads the sentinel by itself."""

HaltNow = Callable[[str, str, str], None]
"""Who, why and source of a halt."""


class Lookout:
    """Halts once for each new sentinel text that the loop does not see, and once for each stall.

    Args:
        beat_ns: monotonic time of the loop's last turn.
        stall_ns_max: how old that may be; 0 = no limit is known, and then a stall is not judged here.
        sentinel: the reason in the sentinel file, None where there is none.
        halt: runs the kill procedure; must return at once.
    """

    def __init__(
        self,
        clock: Clock,
        beat_ns: Callable[[], int],
        stall_ns_max: Callable[[], int],
        sentinel: Callable[[], str | None],
        halt: HaltNow,
    ) -> None:
        self._clock = clock
        self._beat_ns = beat_ns
        self._stall_ns_max = stall_ns_max
        self._sentinel = sentinel
        self._halt = halt
        self._told = ""
        self._is_stalled = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bolt-lookout", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """One look."""
        age_ns = self._clock.monotonic_ns() - self._beat_ns()
        if age_ns <= LATE_NS:
            self._is_stalled = False
            self._told = ""  # removed and laid again, the same words are a new request
            return
        asked = self._sentinel()
        if asked is not None and asked != self._told:
            self._told = asked
            self._halt("sentinel", asked, "sentinel file")
        limit_ns = self._stall_ns_max()
        if limit_ns and age_ns > limit_ns and not self._is_stalled:
            self._is_stalled = True
            self._halt("lookout", f"the engine's loop did not turn for {age_ns // NS_PER_S} s", "lookout")
