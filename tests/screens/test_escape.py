"""Escape and what is typed behind it at once: each key does its own work, in its turn."""

from __future__ import annotations

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from bolt_tui.escape_key import EscapeApart
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import keys, play
from tests.screens.test_bursts import burst
from widgets.blotter import Blotter

ORDER = ("b", *keys("100 AAPL @189.10"), "enter")


def cut(*pieces: bytes) -> list[str]:
    """What comes of bytes that arrive in these pieces: keys in angle brackets."""
    escapes = EscapeApart()
    found = [one for piece in pieces for one in escapes.feed(piece)] + list(escapes.flush())
    return [f"<{one.key}>" if isinstance(one, Key) else one.decode() for one in found]


@pytest.mark.parametrize(
    ("pieces", "keys_and_bytes"),
    [
        ((b"\x1b\r",), ["<escape>", "\r"]),
        ((b"\x1b", b"\r"), ["<escape>", "\r"]),
        ((b"\x1b",), ["<escape>"]),
        ((b"\x1b\x1b\r",), ["<escape>", "<escape>", "\r"]),
        ((b"ab\x1bx1",), ["ab", "<escape>", "x1"]),
        ((b"\x1bb 10",), ["<alt+b>", " 10"]),
        ((b"\x1b[A\x1b\x1b[B",), ["\x1b[A", "<escape>", "\x1b[B"]),
        ((b"\x1b", b"[A"), ["\x1b[A"]),
        ((b"\x1b[2", b"0~"), ["\x1b[20~"]),
        ((b"\x1bOP",), ["\x1bOP"]),
        ((b"\x1b]11;rgb:0/0/0\x1b\\",), ["\x1b]11;rgb:0/0/0\x1b\\"]),
        ((b"\x1b[200~a\x1b\rb\x1b[201~\x1b\r",), ["\x1b[200~", "a\x1b\rb", "\x1b[201~", "<escape>", "\r"]),
        ((b"\x1b[200~a\x1b", b"[20", b"1~\x1bx"), ["\x1b[200~", "a", "\x1b[201~", "<escape>", "x"]),
    ],
)
def test_an_escape_is_told_from_a_sequence(pieces: tuple[bytes, ...], keys_and_bytes: list[str]) -> None:
    assert [one for one in cut(*pieces) if one] == keys_and_bytes


@pytest.mark.parametrize("presses", [("escape", "enter"), ("alt+enter",)])
def test_escape_and_enter_send_nothing(presses: tuple[str, ...]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press(*ORDER)
        engine.wait(1)
        burst(pilot, *presses)
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 1

    assert play(script).sent() == []


OPENED: dict[str, tuple[str, ...]] = {
    "a line": ("b", *keys("100 A")),
    "a preview": ORDER,
    "a card": ("question_mark",),
    "the form": ("n",),
    "the question about quitting": ("ctrl+q",),
    "a question": ("A",),
}


@pytest.mark.parametrize("name", OPENED)
@pytest.mark.parametrize("start", [("escape", "b"), ("alt+b",)])
def test_an_order_typed_behind_escape_in_one_go_is_in_the_line(name: str, start: tuple[str, ...]) -> None:
    """None of it is lost, and none of it is taken for keys of the panes: p would pause, x would cancel."""
    if name in {"a line", "the form", "a question"} and start == ("alt+b",):
        start = ("alt+s",)  # where text is typed, alt and b go back a word

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "down", "down", *OPENED[name])
        burst(pilot, *start, *keys("10 MSFT @bid-5t vwap 9m"))
        await pilot.pause()
        line = pilot.app.screen_stack[0].query_one("#pad", Input)
        assert line.value == f"{start[-1][-1]} 10 MSFT @bid-5t vwap 9m"
        assert pilot.app.focused is line

    engine = play(script)
    assert len(engine.commands) == engine.previews()


def test_alt_and_b_go_back_a_word_where_text_is_typed() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("b", *keys("100 MSFT"), "alt+b", *keys("x"))
        assert pilot.app.screen.query_one("#pad", Input).value == "b 100 xMSFT"

    play(script)


def test_what_is_typed_behind_the_line_that_was_left_acts_on_the_row() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("b", *keys("100"))
        burst(pilot, "escape", "down", "x")
        await pilot.pause()
        assert engine.cancelled() == [pilot.app.query_one(Blotter).selected]
        assert pilot.app.query_one("#pad", Input).value == ""

    play(script)
