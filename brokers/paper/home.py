"""The paper venue's folder inside a state folder, and the kernel lock that makes it one venue to a home."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def venue_folder(home: Path) -> Path:
    """Where the venue of a home keeps everything."""
    return home / "venue"


class VenueLock:
    """The lock of a home's venue, with the holder's process number in the file. Closed with the process, however it ends."""

    def __init__(self, home: Path) -> None:
        folder = venue_folder(home)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._file = os.open(folder / "venue.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> bool:
        """Take it; False where another process holds it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def sign(self) -> None:
        """Write down who holds it."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def holder(self) -> int:
        """Process number in the file, 0 where there is none."""
        words = os.pread(self._file, 32, 0).decode(errors="replace").strip()
        return int(words) if words.isdigit() else 0

    def release(self) -> None:
        """Let go."""
        os.close(self._file)
