"""One engine per ledger: a kernel lock, which dies with its process, and not a pid file, which does not."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

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
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
