"""From the start of the process to the first picture, on a real terminal, against an empty Textual app in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import pytest

from bolt_tui.launch import start_engine
from bolt_tui.settings import Home, ensure_policy, open_home
from brokers.paperbroker import stop_venue
from tests.cli.test_live import end_child
from tests.cli.test_terminal import TAKE_TERMINAL, Terminal

ROUNDS = 5
EMPTY = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from textual.app import App
from textual.widgets import Static

class Empty(App):
    def compose(self):
        yield Static("PAPER")

Empty().run()
"""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    made = open_home(tmp_path_factory.mktemp("b") / "h")
    monkeypatch.setenv("BOLT_HOME", str(made.root))
    ensure_policy(made)
    assert start_engine(made)
    yield made
    end_child()
    stop_venue(made.root)


def paint_ms(home: Home, program: str) -> float:
    begin_ns = time.monotonic_ns()
    terminal = Terminal(home, program)
    try:
        terminal.wait_for(b"PAPER")
        return (time.monotonic_ns() - begin_ns) / 1e6
    finally:
        terminal.close()


@pytest.mark.bench
def test_first_paint(home: Home) -> None:
    found: dict[str, list[float]] = {"desk": [], "empty": []}
    for _ in range(ROUNDS + 1):
        found["desk"].append(paint_ms(home, TAKE_TERMINAL))
        found["empty"].append(paint_ms(home, EMPTY))
    desk, empty = (statistics.median(times[1:]) for times in found.values())
    print(
        f"\nfirst paint beside a running engine: {desk:.0f} ms, an empty Textual app {empty:.0f} ms ({desk / empty:.2f} x)"
    )
