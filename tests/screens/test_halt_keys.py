"""One press of a halt key is one halt: the input thread acts on it, and the screen that sees it later only shows it."""

from __future__ import annotations

import asyncio
import os

import pytest
from textual import events
from textual.app import App
from textual.message import Message
from textual.pilot import Pilot

from bolt_tui.halt_keys import DeskDriver, HaltSeen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import play
from widgets.kill_banner import KillBanner

CTRL_G, F9 = b"\x07", b"\x1b[20~"


class Halts(App[None]):
    """An app that counts what the driver asks of it."""

    halts = 0

    def halt_from_driver(self) -> None:
        self.halts += 1


class PipeDriver(DeskDriver):
    """The desk's driver, reading a pipe; what it hands on is kept."""

    def __init__(self, app: Halts) -> None:
        super().__init__(app)
        self.handed_on: list[Message] = []

    def send_message(self, message: Message) -> None:
        self.handed_on.append(message)

    def read(self, *pieces: bytes) -> None:
        """Run the input thread's work here, over pieces that are each read by themselves."""
        for piece in pieces:
            self.fileno, end = os.pipe()
            os.write(end, piece)
            os.close(end)
            self.run_input_thread()
            os.close(self.fileno)

    def keys(self) -> list[str]:
        return [message.key for message in self.handed_on if isinstance(message, events.Key)]


def driver_of(app: Halts) -> PipeDriver:
    async def make() -> PipeDriver:
        return PipeDriver(app)  # wants a running loop

    return asyncio.run(make())


@pytest.mark.parametrize("key", [CTRL_G, F9, b"\x1b[103;5u", b"\x1b[27;5;103~"])
def test_one_press_is_acted_upon_once_and_each_press_is(key: bytes) -> None:
    app = Halts()
    driver = driver_of(app)
    driver.read(key)
    assert app.halts == 1
    assert all(isinstance(message, HaltSeen) for message in driver.handed_on), "the screen would halt once more"
    driver.read(key, b"b 100 AAPL" + key)
    assert app.halts == 3


def test_a_halt_key_inside_a_paste_halts() -> None:
    app = Halts()
    driver = driver_of(app)
    driver.read(b"\x1b[200~b 100" + CTRL_G + b" AAPL\x1b[201~")
    assert app.halts == 1
    assert driver.keys() == []


def test_a_halt_key_that_its_bytes_did_not_show_halts_all_the_same() -> None:
    """A terminal may send a form of F9 that only Textual's parser knows."""
    app = Halts()
    driver = driver_of(app)
    driver.read(CTRL_G)
    driver.read(b"x")
    assert app.halts == 1
    driver.process_message(events.Key("f9", None))
    assert app.halts == 2
    assert [type(message) for message in driver.handed_on] == [HaltSeen, events.Key, HaltSeen]


def test_the_screen_shows_a_halt_that_was_acted_upon_and_a_key_of_another_driver_halts() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        pilot.app.post_message(HaltSeen("ctrl+g", "\x07"))
        await pilot.pause()
        assert engine.halts == []
        assert pilot.app.screen.query_one(KillBanner).lines[0].startswith("HALTED")
        await pilot.press("ctrl+g")
        assert len(engine.halts) == 1

    play(script)
