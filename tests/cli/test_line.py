"""A desk on a bad line: measured, stalled, resized to nothing, hung up, cut from its engine, and attached again."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from bolt_tui.client import EngineClient
from bolt_tui.drain import ANSWER, GIVEN_UP_NS, NS_PER_MS, STALLED_NS, Drain
from bolt_tui.launch import is_running
from bolt_tui.meanwhile import Seen, keep, kept, meanwhile, seen_of
from bolt_tui.settings import Home
from engine.domain.clock import NS_PER_S, SystemClock
from engine.views import LogLine
from tests.cli.conftest import Ran
from tests.cli.test_live import rest_an_order, wait_for_market
from tests.cli.test_terminal import CTRL_Q, TAKE_TERMINAL, Terminal, opened
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import answer, play
from tests.server.fakes import until

STALL_S = 60


def asked(drain: Drain, took_ms: int, at_ns: int = 0) -> None:
    drain.ask(at_ns)
    drain.answer(at_ns + took_ms * NS_PER_MS)


def test_a_slow_line_is_told_by_its_median_and_does_not_flap() -> None:
    drain = Drain()
    for took, is_slow in (
        (20, False),
        (400, True),
        (20, False),
        (400, True),
        (400, True),
        (100, True),
        (100, True),
        (30, True),
        (30, True),
        (30, False),
    ):
        asked(drain, took)
        assert drain.is_slow is is_slow, took


def test_a_terminal_that_stops_reading_is_stalled_until_it_answers() -> None:
    drain = Drain()
    asked(drain, 5)
    drain.ask(0)
    assert not drain.may_ask()
    assert not drain.is_stalled(STALLED_NS)
    assert drain.is_stalled(STALLED_NS + 1)
    drain.answer(60 * NS_PER_S)
    assert not drain.is_stalled(61 * NS_PER_S)
    assert drain.may_ask()


def test_a_terminal_that_never_answers_is_let_be() -> None:
    drain = Drain()
    drain.ask(0)
    assert not drain.is_stalled(GIVEN_UP_NS + 1)
    assert drain.is_mute
    assert not drain.may_ask()
    assert not drain.is_slow


def test_the_answer_is_found_in_what_is_typed() -> None:
    assert ANSWER.search(b"b 100\x1b[24;80Rx")
    assert not ANSWER.search(b"\x1b[24;80H")


def line(seq: int, word: str) -> LogLine:
    return LogLine(seq=seq, ts_ns=frozen.NOW_NS, word=word, text="")


def test_what_happened_meanwhile_is_counted_the_loud_first() -> None:
    view = frozen.working_day()
    status = msgspec.structs.replace(view.status, ledger_id="AAAAA", head_seq=20)
    lines = tuple(line(seq, word) for seq, word in enumerate(("FILL", "FILL", "FILL", "DENY", "ACK"), 11))
    view = msgspec.structs.replace(view, status=status, log=lines)
    assert meanwhile(view, Seen("AAAAA", 11, frozen.NOW_NS)) == "since 14:42:07Z: 1 DENY, 2 FILL, 1 ACK"
    assert meanwhile(view, Seen("AAAAA", 20, frozen.NOW_NS)) == "nothing happened since 14:42:07Z"
    assert meanwhile(view, Seen("BBBBB", 1, frozen.NOW_NS)) == "", "another ledger's note says nothing of this one"
    assert meanwhile(view, None) == ""


def test_the_note_is_kept_and_a_spoiled_one_is_none(tmp_path: Path) -> None:
    seen = seen_of(frozen.working_day())
    keep(tmp_path, seen)
    assert kept(tmp_path) == seen
    (tmp_path / "desk.seen").write_bytes(b"{")
    assert kept(tmp_path) is None
    keep(tmp_path / "nowhere", seen)


def test_the_desk_says_what_happened_while_the_engine_was_away() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        app = pilot.app
        engine.wait(3)
        app._tick()  # type: ignore[attr-defined]
        engine.connected = False
        engine.wait(1)
        app._tick()  # type: ignore[attr-defined]
        head = engine.view().status.head_seq
        engine.show(log=(*engine.view().log, line(head + 1, "FILL")))
        engine.connected = True
        engine.wait(1)
        app._tick()  # type: ignore[attr-defined]
        assert answer(pilot).startswith("the engine answers again; since 14:42:")
        assert "1 FILL" in answer(pilot)

    play(script)


def resize(terminal: Terminal, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    terminal.desk.send_signal(signal.SIGWINCH)


def test_it_lives_through_a_hang_up_signal_and_a_size_of_20_by_5(home: Home) -> None:
    with opened(home, TAKE_TERMINAL) as terminal:
        terminal.wait_for(b"PAPER")
        terminal.desk.send_signal(signal.SIGHUP)
        terminal.press(b"b 123 AAPL")
        terminal.wait_for(b"123")
        resize(terminal, 20, 5)
        terminal.press(b" @1")
        resize(terminal, 80, 24)
        terminal.seen = b""
        terminal.wait_for(b"123 AAPL @1")
        assert terminal.desk.poll() is None
        terminal.press(b"\x1b")
        terminal.press(CTRL_Q)
        terminal.wait_for(b"cancel all orders")
        terminal.press(b"c")
        assert terminal.drain_until_ended() == 0


def test_a_second_desk_says_what_happened_since_the_first(home: Home, bolt: Callable[..., Ran]) -> None:
    with opened(home, TAKE_TERMINAL) as terminal:
        terminal.wait_for(b"PAPER")
        wait_for_market(home)
        until((home.root / "desk.seen").exists, "the note")
        terminal.hang_up()
        terminal.drain_until_ended()
        assert is_running(home)
        rest_an_order(bolt)
        again = Terminal(home)
        try:
            again.wait_for(b"attached again")
            again.wait_for(b"1 ACK")
        finally:
            again.close()


@pytest.mark.proof
def test_a_terminal_that_stops_reading_for_a_minute_stops_nobody(home: Home, bolt: Callable[..., Ran]) -> None:
    """Nobody reads the desk's output; orders are placed beside it, the engine answers at once, and the desk comes back."""
    with opened(home, TAKE_TERMINAL) as terminal:
        terminal.wait_for(b"PAPER")
        wait_for_market(home)
        clock = SystemClock()
        end_ns = clock.monotonic_ns() + STALL_S * NS_PER_S
        worst_ns, before = 0, memory_kb(terminal.desk.pid)
        while clock.monotonic_ns() < end_ns:
            began_ns = clock.monotonic_ns()
            with EngineClient(home.socket) as client:
                client.view()
            worst_ns = max(worst_ns, clock.monotonic_ns() - began_ns)
        assert worst_ns < NS_PER_S
        assert memory_kb(terminal.desk.pid) < before + 30_000
        assert terminal.desk.poll() is None
        terminal.press(b"b 321 AAPL")
        terminal.wait_for(b"321 AAPL")
        assert bolt("orders", "--json").json["orders"] == []


def memory_kb(pid: int) -> int:
    """Resident memory of a process."""
    words = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").split()
    return int(words[words.index("VmRSS:") + 1])


def test_what_is_pasted_with_many_enters_sends_nothing(home: Home, bolt: Callable[..., Ran]) -> None:
    """A paste in brackets, one without, and a held enter key, within the guard: no order leaves."""
    with opened(home, TAKE_TERMINAL) as terminal:
        terminal.wait_for(b"PAPER")
        wait_for_market(home)
        os.write(terminal.master, b":\x1b[200~b 100 AAPL @1\r\r\r\x1b[201~")
        terminal.wait_for(b"100 AAPL @1")
        terminal.wait_for(
            b"limit 1.00"
        )  # what it would do: until that is shown, the hint that comes back stands there still
        terminal.seen = b""
        terminal.press(b"\x1b")
        terminal.wait_for(b"previews")  # an escape and a key that come as one are another key
        terminal.seen = b""
        terminal.press(b"b100 AAPL @185.00\r\r\r\r\r\r")
        terminal.wait_for(b"nothing has been sent")
        for _ in range(10):
            terminal.press(b"\r")
        assert bolt("orders", "--all", "--json").json["orders"] == []
