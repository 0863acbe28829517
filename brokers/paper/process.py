"""Starting and ending the venue process of a home, from outside of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from brokers.paper.home import VenueLock, venue_folder
from brokers.paper.protocol import FRAME_BYTES_MAX, PROTOCOL, VENUE, Ask, Done, Greet, Hello, Role, What
from brokers.paper.wire import FrameError, Unpacker, connect, pack, read_frame
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.errors import VenueError
from engine.market.calendar import COMPILE_S
from engine.market.own_sessions import OWN_NAME

START_S = 15.0
STOP_S = 5.0
_GREETING = Greet(protocol=PROTOCOL, role=Role.ADMIN)
_ROOT = Path(__file__).resolve().parents[2]
"""Where our packages lie side by side: the new process finds these and no others of their names."""


def ensure_venue(
    home: Path, seed: int = 7, cash: str = "1000000", *, options: tuple[str, ...] = (), deadline_s: float = START_S
) -> bool:
    """Start the venue of a home where none runs; True where this call started it. It lives on after us.

    Args:
        cash: opening cash of an account, used when the account is opened for the first time.
        options: further words for ``python -m brokers.paper.server``.

    Raises:
        VenueError: it did not serve in time; the text says where its words are.
    """
    folder = venue_folder(home)
    if _is_serving(folder):
        return False
    if (home / OWN_NAME).exists():
        deadline_s += COMPILE_S  # an exchange's calendar may have to be compiled first
    words = ["--home", str(home), "--seed", str(seed), "--cash", cash, "--detach", *options]
    command = [sys.executable, "-m", "brokers.paper.server", *words]
    try:
        done = subprocess.run(
            command,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"the paper venue did not serve within {deadline_s:g} s; its words are in {folder / 'venue.out'}"
        raise VenueError(msg) from error
    if done.returncode == 0:
        return True
    if _is_serving(folder):
        return False
    msg = f"the paper venue did not start: {done.stderr.strip()}; more in {folder / 'venue.out'}"
    raise VenueError(msg)


def is_venue_running(home: Path) -> bool:
    """Whether a process holds the venue of a home, answering or not."""
    if not venue_folder(home).exists():
        return False
    lock = VenueLock(home)
    try:
        return not lock.take()
    finally:
        lock.release()


def stop_venue(home: Path, deadline_s: float = STOP_S) -> bool:
    """End the venue of a home and wait until it has let go; False where none ran. Its log keeps orders and accounts.

    One that does not answer is ended by signal: it keeps nothing in memory that its log does not have.

    Raises:
        VenueError: it is still there after the deadline.
    """
    folder = venue_folder(home)
    if not folder.exists():
        return False
    lock = VenueLock(home)
    try:
        if lock.take():
            return False
        clock = SystemClock()
        due_ns = clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        if not _ask_to_end(folder, deadline_s / 2):
            _signal(lock, signal.SIGTERM)
        killed = False
        while not lock.take():
            left_ns = due_ns - clock.monotonic_ns()
            if left_ns < 0:
                msg = f"the paper venue of {home} (process {lock.holder()}) has not ended within {deadline_s:g} s"
                raise VenueError(msg)
            if left_ns < int(deadline_s * NS_PER_S) // 4 and not killed:
                killed = True
                _signal(lock, signal.SIGKILL)
            clock.sleep(0.01)
        return True
    finally:
        lock.release()


def _is_serving(folder: Path) -> bool:
    """Whether a venue answers; that a socket takes connections is not enough, a dying process's does too."""
    return _converse(folder, 1.0, pack(_GREETING), Hello)


def _ask_to_end(folder: Path, deadline_s: float) -> bool:
    """Send the shutdown; whether it was taken."""
    return _converse(folder, deadline_s, pack(_GREETING) + pack(Ask(id=1, what=What.SHUTDOWN)), Done)


def _converse(folder: Path, deadline_s: float, words: bytes, awaited: type[Hello | Done]) -> bool:
    """Whether the awaited answer comes."""
    try:
        line = connect(folder, deadline_s)
    except VenueError:
        return False
    with line:
        try:
            line.sendall(words)
            unpacker = Unpacker(FRAME_BYTES_MAX)
            while data := line.recv(64 * 1024):
                if any(isinstance(read_frame(VENUE, body), awaited) for body in unpacker.feed(data)):
                    return True
        except (OSError, FrameError):
            return False
    return False


def _signal(lock: VenueLock, number: signal.Signals) -> None:
    # The file is written by whoever holds the lock, and we have just seen that somebody does.
    holder = lock.holder()
    if holder:
        try:
            os.kill(holder, number)
        except ProcessLookupError:
            return
