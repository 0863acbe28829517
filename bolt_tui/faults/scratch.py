"""A folder for a run of the laboratory, which is gone afterwards however the run ends; and processes that an interruption does not startle.

Who presses ctrl+c signals every process of the terminal: the one who asked ends the run, and the others end because nobody reads or
writes any more. What a killed run left in memory is cleared away by the next one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.errors import BoltError


class LabError(BoltError):
    """The laboratory cannot run as asked."""


MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
PREFIX = "bolt-faults-"
FRESH_NS = 60 * NS_PER_S
"""A folder so young may belong to a run that has not locked it yet."""
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards; in memory where the system has such a place, for ten thousand ledgers.

    On the main thread, SIGTERM and SIGHUP end the run by SystemExit, so that it is gone then too.
    """
    base = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    clear(base, SystemClock().now_ns())
    before = {number: signal.signal(number, _end) for number in ENDINGS}
    try:
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=base, ignore_cleanup_errors=True) as folder:
            # Held by every process that is forked from here on, so for as long as one of them lives.
            held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX)
                yield Path(folder)
            finally:
                os.close(held)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def be_ended_by_others() -> None:
    """In a forked process: let interruptions pass. It ends when its line closes."""
    for number in (signal.SIGINT, *ENDINGS):
        signal.signal(number, signal.SIG_IGN)


def clear(base: Path, now_ns: int) -> None:
    """Remove what runs left there of which no process lives."""
    for path in base.glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = path.lstat()
            if found.st_uid != os.getuid() or now_ns - found.st_mtime_ns < FRESH_NS:
                continue
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(held)
