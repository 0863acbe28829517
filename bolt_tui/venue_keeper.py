"""Brings the paper venue back when its process has died under a running engine.

The venue keeps what it took in its own log, so that its return loses and doubles nothing; without it the engine would
stand with a dead channel until a person starts it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from engine.domain.clock import NS_PER_S, Clock
from engine.domain.errors import BoltError

DOWN_NS = NS_PER_S // 2
"""A channel that is down for so long has no venue behind it: a broken line comes back sooner."""
AGAIN_NS = 5 * NS_PER_S
"""Between two attempts."""
_LOG = logging.getLogger("bolt.venue")


class VenueKeeper:
    """Told on the engine's loop how the channel is; starts the venue on a thread of its own.

    Args:
        start: starts the venue where none serves; True where it did.
    """

    def __init__(self, start: Callable[[], bool], clock: Clock) -> None:
        self.started = 0
        """Times that it brought the venue back."""
        self._start = start
        self._clock = clock
        self._down_ns = 0
        self._thread: threading.Thread | None = None

    def look(self, *, is_down: bool) -> None:
        """Say how the channel is; returns at once."""
        now_ns = self._clock.monotonic_ns()
        if not is_down:
            self._down_ns = 0
            return
        self._down_ns = self._down_ns or now_ns + DOWN_NS
        if now_ns < self._down_ns or (self._thread is not None and self._thread.is_alive()):
            return
        self._down_ns = now_ns + AGAIN_NS
        self._thread = threading.Thread(target=self._work, name="bolt-venue", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Wait for a start that is under way: nobody must find a venue that comes up behind its own end."""
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            if self._start():
                self.started += 1
                _LOG.warning("the paper venue had died and was started again")
        except (BoltError, OSError) as error:
            _LOG.error("the paper venue has died and does not start: %s", error)
