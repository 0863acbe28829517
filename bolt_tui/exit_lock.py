"""Whose turn it is to send exits at a broker, over threads and processes."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from pathlib import Path

from engine.domain.clock import NS_PER_S, SystemClock

LOOK_S = 0.02
_LOG = logging.getLogger("bolt.exit_lock")


class ExitLock:
    """Held by one procedure at a time: an engine that answers late and a `bolt kill` beside it run the same halt, and two that
    size their exits by one position would sell it twice. The kernel lets it go with the process that held it.

    Where its file cannot be made it holds for this process only: better an exit that may meet another one, both of them
    reduce-only, than none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._here = threading.Lock()
        self._fd = -1

    def acquire(self, *, timeout: float) -> bool:
        """Whether it is ours now; waits for it so many seconds."""
        clock = SystemClock()
        due_ns = clock.monotonic_ns() + int(timeout * NS_PER_S)
        if not self._here.acquire(timeout=timeout):
            return False
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            _LOG.error(
                "%s cannot be made (%s): exits of other processes are not waited for", self._path, error.strerror
            )
            return True
        pause = threading.Event()
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if clock.monotonic_ns() >= due_ns:
                    os.close(fd)
                    self._here.release()
                    return False
                pause.wait(LOOK_S)
            else:
                self._fd = fd
                return True

    def release(self) -> None:
        """Let the next one."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._here.release()
