"""One engine per ledger: a kernel lock, which dies with its process, and not a pid file, which does not."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from engine.domain.clock import SystemClock
from engine.domain.errors import StoreLocked, StoreUnwritable


class LedgerLock:
    """An exclusive flock on ``<ledger>.lock``; the holder's pid stands inside for people only."""

    def __init__(self, ledger: Path) -> None:
        self.path = ledger.with_name(f"{ledger.name}.lock")
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            msg = f"cannot create the lock {self.path}: {error.strerror}; make its folder writable"
            raise StoreUnwritable(msg) from None
        try:
            _take(self._fd)
        except BlockingIOError:
            holder = os.read(self._fd, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            msg = f"ledger {ledger} is held by another engine (pid {holder}); attach to it, or end it with `bolt stop`"
            raise StoreLocked(msg) from None
        except OSError as error:
            os.close(self._fd)
            msg = f"cannot lock {self.path}: {error.strerror}; put the ledger on a local disk"
            raise StoreUnwritable(msg) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


LOOKS_MAX = 10
LOOK_S = 0.02


def _take(fd: int) -> None:
    """Take the lock; a glance of :func:`holder_of` holds it for less than a moment, another engine for good."""
    clock = SystemClock()
    for _ in range(LOOKS_MAX):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            clock.sleep(LOOK_S)
        else:
            return
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder_of(ledger: Path) -> int:
    """Process that holds a ledger now; 0 where nobody does, -1 where the holder is not known."""
    try:
        fd = os.open(ledger.with_name(f"{ledger.name}.lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        words = os.pread(fd, 32, 0).decode(errors="replace").strip()
        return int(words) if words.isdigit() else -1
    else:
        return 0
    finally:
        os.close(fd)
