"""Runs a script of keys against the desk on a hand-written engine, in simulated time.

Textual's own pilot waits after each key until the processor has been idle for two looks, which takes 40 ms at best and
a second beside other work, or asks every widget to call back, which was most of the work of these tests. :class:`Player`
waits until the event loop has nothing left to do but to wait for a timer or for a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from textual.app import App
from textual.events import Key
from textual.pilot import Pilot

from bolt_tui.app import Desk
from bolt_tui.settings import Settings
from engine.views import DeskView
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from widgets.order_book_panel import OrderBookPanel

SMALL, LARGE = (80, 24), (120, 40)
SIZES = (SMALL, LARGE)
NAMES = {
    " ": "space",
    "@": "at",
    ".": "full_stop",
    ":": "colon",
    "?": "question_mark",
    "$": "dollar_sign",
    "-": "minus",
}

CHARS = {name: char for char, name in NAMES.items()} | {"enter": "\r", "tab": "\t", "escape": "\x1b"}
ROUNDS = 4
"""How often the desk is let come to rest after a key: what is drawn then may lead to more."""
TURNS = 20_000
"""So many turns of the loop without coming to rest are a message that leads to itself."""

HZ = 1e-4
"""Pictures a second that the desk would draw by itself: none while a script runs."""

Script = Callable[[Pilot[str], FakeEngine], Coroutine[None, None, None]]


class Player(Pilot[str]):
    """A pilot that waits for messages and never for time."""

    async def press(self, *keys: str) -> None:
        """Press keys one after another, each when the one before has done its work."""
        for key in keys:
            self.app.post_message(Key(key, CHARS.get(key, key if len(key) == 1 else None)))
            await self.pause()

    async def resize_terminal(self, width: int, height: int) -> None:
        """Another size, laid out before this returns: the app itself would wait for a timer."""
        await super().resize_terminal(width, height)
        self.app._check_resize()
        await self.pause()

    async def pause(self, delay: float | None = None) -> None:
        """Let every message be handled, and what it leads to."""
        await asyncio.sleep(delay or 0)
        for _ in range(ROUNDS):
            await self._wait_for_screen()
            if self.app._exception is not None:
                return  # the end of the run raises it
            self.app.screen._on_timer_update()

    async def _wait_for_screen(self, timeout: float = 0) -> bool:
        """Until nothing is ready to run in the loop: the pilot's clicks and hovers wait so too."""
        loop: Any = asyncio.get_running_loop()
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if not loop._ready:
                return True
        raise AssertionError("the desk does not come to rest")


@asynccontextmanager
async def playing(app: App[str], size: tuple[int, int]) -> AsyncIterator[Player]:
    """Run an app without a terminal."""
    async with app.run_test(size=size):
        player = Player(app)
        await player.pause()
        for ladder in app.query(OrderBookPanel):
            ladder.recentre()  # it stays where it was first drawn, and how high it was then is a matter of chance
        yield player


def desk(engine: FakeEngine, *, is_ours: bool = True, is_ascii: bool = False) -> Desk:
    """A desk in the engine's time. Its own timer never fires: what is painted when is the script's to say."""
    return Desk(engine, Settings(), is_ours=is_ours, clock=engine.clock, is_ascii=is_ascii, hz=HZ)


def play(
    script: Script,
    engine: FakeEngine | None = None,
    *,
    view: DeskView | None = None,
    size: tuple[int, int] = LARGE,
    is_ours: bool = True,
) -> FakeEngine:
    """Run a script; the engine as it is afterwards."""
    port = engine or FakeEngine(view or frozen.working_day())

    async def run() -> None:
        async with playing(desk(port, is_ours=is_ours), size) as pilot:
            await pilot.pause()
            await script(pilot, port)
            await pilot.pause()

    asyncio.run(run())
    return port


def keys(words: str) -> list[str]:
    """The keys that type these words."""
    return [NAMES.get(char, char) for char in words]


async def type_line(pilot: Pilot[str], line: str) -> None:
    """Type a line and press enter."""
    await pilot.press(*keys(line), "enter")
    await pilot.pause()
    await pilot.pause()


async def redraw(pilot: Pilot[str]) -> None:
    """Let the desk draw the newest picture."""
    app = pilot.app
    assert isinstance(app, Desk)
    app.draw()
    await pilot.pause()


def answer(pilot: Pilot[str]) -> str:
    """What the desk said last."""
    app = pilot.app
    assert isinstance(app, Desk)
    return app.said
