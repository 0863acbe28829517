"""`bolt` on a real terminal: it starts its engine, shows the desk, and leaves the engine as the person chose."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bolt_tui.client import EngineClient
from bolt_tui.commands.halt import open_latch
from bolt_tui.launch import is_running
from bolt_tui.settings import Home, child_environment
from brokers.paperbroker import stop_venue
from engine.domain.commands import StopEngine
from engine.domain.events import TradingState
from tests.cli.conftest import Ran
from tests.cli.test_halt import state
from tests.cli.test_live import rest_an_order, wait_for_market
from tests.cli.test_stuck import working
from tests.server.fakes import DEADLINE_S, ME, until

CTRL_G, CTRL_Q, F9 = b"\x07", b"\x11", b"\x1b[20~"

TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-P", "-m", "bolt_tui"])
"""
"""Makes the terminal the session's own, so that closing it hangs the desk up."""


BLOCKED_S = 5
BLOCK = f"""
import fcntl, os, pathlib, sys, termios, threading
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from bolt_tui.app import Desk
from bolt_tui.cli import main

flags = pathlib.Path(os.environ["BOLT_HOME"])
mount = Desk.on_mount

def block():
    if (flags / "block").exists():
        (flags / "block").unlink()
        (flags / "blocked").touch()
        threading.Event().wait({BLOCKED_S})
        (flags / "free").touch()

def mounted(self):
    mount(self)
    self.set_interval(0.05, block)

Desk.on_mount = mounted
sys.exit(main([]))
"""
"""The real desk, whose screen thread is held for five seconds once a file ``block`` is there."""


class Terminal:
    """A desk on a pseudo-terminal of 80x24."""

    def __init__(self, home: Home, program: str = TAKE_TERMINAL, term: str = "xterm-256color", **more: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {**child_environment(home.root), "TERM": term, **more}
        self.desk = subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
        )
        os.close(slave)
        self.seen = b""

    def wait_for(self, words: bytes) -> None:
        """Read what the desk draws until these words were in it."""

        def is_there() -> bool:
            while select.select([self.master], [], [], 0)[0]:
                self.seen = (self.seen + os.read(self.master, 65536))[-200_000:]
            return words in self.seen

        until(is_there, words.decode())

    def drain_until_ended(self) -> int:
        """Read on until the desk has ended; its exit code."""

        def has_ended() -> bool:
            if self.master >= 0 and select.select([self.master], [], [], 0)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    return self.desk.poll() is not None
            return self.desk.poll() is not None

        until(has_ended, "the desk's end")
        return self.desk.wait()

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.master, keys)

    def hang_up(self) -> None:
        """Close the terminal under the desk."""
        os.close(self.master)
        self.master = -1

    def close(self) -> None:
        """Whatever is left goes."""
        if self.desk.poll() is None:
            self.desk.kill()
        self.desk.wait(DEADLINE_S)
        if self.master >= 0:
            os.close(self.master)


@pytest.fixture
def terminal(home: Home) -> Iterator[Terminal]:
    with opened(home, TAKE_TERMINAL) as made:
        yield made


@pytest.fixture
def blockable(home: Home) -> Iterator[Terminal]:
    with opened(home, BLOCK) as made:
        yield made


@contextmanager
def opened(home: Home, program: str, **more: str) -> Iterator[Terminal]:
    """A desk, and afterwards neither it nor its engine nor its venue."""
    made = Terminal(home, program, **more)
    try:
        yield made
    finally:
        made.close()
        if is_running(home):
            with EngineClient(home.socket, DEADLINE_S) as client:
                client.submit(StopEngine(source=ME, cancel=False))
                client.wait_closed(DEADLINE_S)
        stop_venue(home.root)


def test_a_desk_starts_its_engine_and_stops_it_when_asked(home: Home, terminal: Terminal) -> None:
    terminal.wait_for(b"PAPER")
    assert is_running(home)
    terminal.press(CTRL_Q)
    terminal.wait_for(b"cancel all orders")
    terminal.press(b"c")
    assert terminal.drain_until_ended() == 0
    assert not is_running(home)


@pytest.mark.parametrize("end", [Terminal.hang_up, lambda terminal: terminal.desk.send_signal(signal.SIGKILL)])
def test_a_hang_up_or_a_crash_of_the_desk_leaves_the_engine(
    home: Home, terminal: Terminal, end: Callable[[Terminal], None]
) -> None:
    terminal.wait_for(b"PAPER")
    end(terminal)
    terminal.drain_until_ended()
    assert is_running(home)
    with EngineClient(home.socket) as client:
        assert client.view().status.halt.state == "active"


def test_a_dumb_terminal_is_refused_with_what_works_there(home: Home) -> None:
    terminal = Terminal(home, term="dumb")
    try:
        assert terminal.drain_until_ended() == 2
        seen = terminal.seen.decode()
    finally:
        terminal.close()
    assert "TERM is dumb" in seen
    assert "bolt headless" in seen
    assert "\x1b" not in seen, "a terminal that cannot move its cursor was sent escape sequences"
    assert not is_running(home), "an engine was started for nobody"


PLAIN = {
    "C locale": {"LC_ALL": "C"},
    "latin-1": {"LC_ALL": "en_US.ISO-8859-1", "PYTHONIOENCODING": "latin-1"},
    "stream is not UTF-8": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"},
}


def test_a_terminal_without_utf8_is_drawn_in_ascii(home: Home) -> None:
    """The first desk starts the engine, the others find it."""
    with opened(home, TAKE_TERMINAL, **PLAIN["C locale"]) as first:
        assert_ascii(first, "C locale")
        for name in ("latin-1", "stream is not UTF-8"):
            other = Terminal(home, **PLAIN[name])
            try:
                assert_ascii(other, name)
            finally:
                other.close()


def assert_ascii(terminal: Terminal, name: str) -> None:
    terminal.wait_for(b"HALT")
    terminal.press(b"b 100 AAPL")
    terminal.wait_for(b"100 AAPL")
    assert b"+- Orders" in plain_words(terminal.seen), name
    assert terminal.seen.isascii(), name
    assert rb"\u25" not in terminal.seen, f"{name}: a character was written as its number"


def latch_trips(home: Home) -> int:
    """How often anybody tripped the latch: each press that is acted upon does."""
    latch = open_latch(home)
    try:
        return latch.trips()
    finally:
        latch.close()


def plain_words(seen: bytes) -> bytes:
    """What was drawn, without the sequences that place and colour it."""
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen)


def test_the_halt_key_halts_while_text_is_typed(home: Home, terminal: Terminal, bolt: Callable[..., Ran]) -> None:
    terminal.wait_for(b"PAPER")
    terminal.press(b"b 100 AAPL" + CTRL_G)
    until(lambda: state(home) is TradingState.HALTED, "the latch")
    terminal.wait_for(b"HALTED")
    until(lambda: bolt("status", "--json").json["halt"]["done"], "the receipt")


@pytest.mark.parametrize("key", [CTRL_G, pytest.param(F9, marks=pytest.mark.proof)])
def test_the_halt_keys_work_while_the_screen_is_blocked(
    home: Home, blockable: Terminal, bolt: Callable[..., Ran], key: bytes
) -> None:
    """The order is gone at the venue before the screen's thread is free again, which then halts no second time."""
    blockable.wait_for(b"PAPER")
    wait_for_market(home)
    rest_an_order(bolt)
    assert working(home) == 1
    (home.root / "block").touch()
    until((home.root / "blocked").exists, "the screen to be blocked")
    blockable.press(key)
    until(lambda: working(home) == 0, "the cancel at the venue")
    assert state(home) is TradingState.HALTED
    until(lambda: bolt("status", "--json").json["halt"]["done"], "the receipt")
    trips = latch_trips(home)
    assert not (home.root / "free").exists(), "the screen came back before the venue was asked"
    blockable.wait_for(b"HALTED")
    blockable.press(b"?")
    blockable.wait_for(b"KEYS")  # what was pressed before has gone through the screen
    assert latch_trips(home) == trips, "one press was acted upon again when the screen saw it"


def test_what_is_typed_in_one_go_arrives_whole(home: Home, terminal: Terminal) -> None:
    """A fast hand, a slow line or a paste brings all keys at once: a size must not lose its first digits, nor a correction its place."""
    terminal.wait_for(b"PAPER")
    wait_for_market(home)
    terminal.press(b"b wrong\x15b 27\x7f100 AAPL @185.00\r")
    terminal.wait_for(b"BUY 2,100 AAPL limit 185")
    terminal.press(
        b"\x1b\r?"
    )  # escape and enter in one piece are no enter: the preview is gone, and ? is heard behind it
    terminal.wait_for(b"KEYS")
