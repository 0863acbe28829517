"""The engine's words on stderr, bounded where stderr is a file: it is copied aside and begun anew, so that weeks fill no disk."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import sys
from pathlib import Path

LOG_BYTES_MAX = 5 * 1024 * 1024
LOGS_KEPT = 4
"""Files put aside, ``engine.log.1`` the newest."""
_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class BoundedHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to stderr. Where that is the file that was named and has grown too long, what it holds is put aside first.

    The file keeps its identity (others append to it too: a trace of a crash), so it is copied and cut, not renamed.
    """

    def __init__(self, log: Path | None, bytes_max: int = LOG_BYTES_MAX) -> None:
        super().__init__(sys.stderr)
        self._log = log
        self._bytes_max = bytes_max

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, behind a full file at the start of a new one."""
        if self._log is not None:
            rotate(self._log, self._bytes_max)
        super().emit(record)


def rotate(log: Path, bytes_max: int = LOG_BYTES_MAX) -> bool:
    """Put a log aside that is longer than that; True where it was. A disk that refuses costs the rotation and nothing else."""
    try:
        found = log.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size <= bytes_max:
            return False
        for number in range(LOGS_KEPT - 1, 0, -1):
            older = _aside(log, number)
            if older.exists():
                older.replace(_aside(log, number + 1))
        shutil.copyfile(log, _aside(log, 1))
        _aside(log, 1).chmod(0o600)
        os.truncate(log, 0)
    except OSError:
        return False
    return True


def _aside(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def log_to_stderr(log: Path | None = None) -> None:
    """Warnings and worse as lines on stderr. ``log`` is the file that stderr is appended to, where it is one: it stays bounded."""
    logging.basicConfig(level=logging.WARNING, format=_FORM, handlers=[BoundedHandler(_is_stderr(log))])


def _is_stderr(log: Path | None) -> Path | None:
    """The file, where stderr really goes to it."""
    if log is None:
        return None
    try:
        mine, its = os.fstat(sys.stderr.fileno()), log.stat()
    except (OSError, ValueError):
        return None
    return log if (mine.st_dev, mine.st_ino) == (its.st_dev, its.st_ino) else None
