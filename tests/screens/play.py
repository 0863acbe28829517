"""Runs a script of keys against the desk on a hand-written engine, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from textual.pilot import Pilot

from bolt_tui.app import Desk
from bolt_tui.settings import Settings
from engine.views import DeskView
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine

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

Script = Callable[[Pilot[str], FakeEngine], Coroutine[None, None, None]]


def desk(engine: FakeEngine, *, is_ours: bool = True, is_ascii: bool = False) -> Desk:
    """A desk in the engine's time."""
    return Desk(engine, Settings(), is_ours=is_ours, clock=engine.clock, is_ascii=is_ascii)


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
        async with desk(port, is_ours=is_ours).run_test(size=size) as pilot:
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
