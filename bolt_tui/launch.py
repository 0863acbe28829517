"""Start the engine as a process of its own, which outlives whoever started it.

It has a session of its own (a closed terminal does not reach it), its words go to a log file, and it says on a pipe when
it serves: the start waits for that or for its end, never for a guess of how long it takes.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from bolt_tui.commands.exits import Exit
from bolt_tui.endpoint import find_socket, is_listening
from bolt_tui.logs import rotate
from bolt_tui.settings import FILE_MODE, Home, child_environment
from engine.domain.errors import BoltError, SettingsError, StoreError

START_DEADLINE_S = 60.0
"""A start takes about three seconds; beside other heavy work, more than twenty were seen."""
_TAIL_LINES = 12
READY = b"ready\n"

_children: list[subprocess.Popen[bytes]] = []
"""Kept, so that a detached engine is not reported as forgotten when its starter ends."""


class EngineNotStarted(BoltError):
    """The engine's process ended, or did not serve in time; the text ends with the last lines of its log."""


def is_running(home: Home) -> bool:
    """Whether an engine answers on this state folder."""
    return is_listening(find_socket(home))


def start_engine(home: Home, deadline_s: float = START_DEADLINE_S) -> bool:
    """Start an engine and wait until it serves. False where another one turned out to serve already.

    Raises:
        EngineNotStarted, StoreError, SettingsError: it ended or hangs, with its own last words.
    """
    log = log_file(home)
    offset = log.stat().st_size
    reader, writer = os.pipe()
    try:
        with log.open("ab") as words:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "bolt_tui", "engine", "--ready-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                cwd=home.root,
                env=child_environment(home.root),
                pass_fds=(writer,),
                start_new_session=True,
            )
        os.close(writer)
        writer = -1
        _children.append(child)
        word = _await(reader, deadline_s)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    if word == READY:
        return True
    if word is None:
        child.terminate()
        msg = f"the engine (process {child.pid}) did not serve within {deadline_s:g} s and was ended"
        raise EngineNotStarted(f"{msg}; {_tail(log, offset)}")
    code = child.wait()
    if is_running(home):
        return False
    raise _failure(code, f"the engine ended at once (exit code {code}); {_tail(log, offset)}")


def _await(reader: int, deadline_s: float) -> bytes | None:
    """What the engine says on the pipe: READY, nothing (it ended), or None at the deadline."""
    ready, _, _ = select.select([reader], [], [], deadline_s)
    return os.read(reader, len(READY)) if ready else None


def _failure(code: int, text: str) -> BoltError:
    match code:
        case Exit.STORE:
            return StoreError(text)
        case Exit.USAGE:
            return SettingsError(text)
        case _:
            return EngineNotStarted(text)


def log_file(home: Home) -> Path:
    """The engine's log, made owner-only; a long one is put aside."""
    log = home.logs / "engine.log"
    rotate(log)
    log.touch(mode=FILE_MODE)
    return log


def _tail(log: Path, offset: int) -> str:
    with log.open("rb") as words:
        words.seek(offset)
        lines = words.read(200_000).decode(errors="replace").splitlines()[-_TAIL_LINES:]
    said = "\n".join(f"  {line}" for line in lines) or "  (nothing)"
    return f"its last words, from {log}:\n{said}"
