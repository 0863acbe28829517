"""Processes that tests started and did not end, found by the folder they work in."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

PROCESSES = Path("/proc")
"""Only Linux shows another process's words and environment as files; elsewhere nothing is looked for."""
GRACE_S = 10.0
"""So long may a process take that was told to end."""

_NEVER = threading.Event()


def started_under(folder: Path) -> dict[int, str]:
    """Processes whose command line or environment names a folder, by id, with their command lines."""
    found: dict[int, str] = {}
    for place in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):
            words = (place / "cmdline").read_bytes()
            # A process that has ended and waits to be collected has no command line any more.
            if words and os.fsencode(folder) in words + (place / "environ").read_bytes():
                found[int(place.name)] = words.replace(b"\0", b" ").decode(errors="replace").strip()
    found.pop(os.getpid(), None)
    return found


def end_those_under(folder: Path) -> dict[int, str]:
    """End by force what is still there after the grace; what that was."""
    until_s = time.monotonic() + GRACE_S
    while (left := started_under(folder)) and time.monotonic() < until_s:
        _NEVER.wait(0.05)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left
