"""Every screen at three sizes in every theme, and every dialog: the characters in full, the styles as a digest.

``pytest tests/screens/test_pictures.py --snapshot-update`` draws them anew; a change of one is looked at before it is kept
(``make screenshots`` draws what a person looks at).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from bolt_tui.themes import shipped
from engine.views import DeskView
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.grid import digest, strips, words
from tests.screens.play import LARGE, SMALL, desk, keys, playing, redraw

WALL = (200, 60)
MODES = {"1": "desk", "2": "blotter", "3": "analysis", "4": "risk", "5": "log"}
SELECTED = ("down", "down", "down", "down")
"""The screens are shown with P104 under the cursor, a parent with children, fills and costs."""


async def shown(pilot: Pilot[str], *presses: str) -> None:
    await redraw(pilot)
    for press in presses:
        await pilot.press(press)
    await pilot.pause()
    await redraw(pilot)


@pytest.mark.parametrize("size", [SMALL, LARGE, WALL], ids=lambda size: f"{size[0]}x{size[1]}")
def test_each_screen_in_each_theme(size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    found: dict[str, str] = {}
    digests: dict[str, dict[str, str]] = {}

    async def run() -> None:
        async with playing(desk(FakeEngine(frozen.working_day())), size) as pilot:
            await shown(pilot, *SELECTED)
            for key, name in MODES.items():
                await shown(pilot, key)
                for theme in shipped():
                    pilot.app.theme = f"bolt-{theme}"
                    await pilot.pause()
                    lines = strips(pilot)
                    assert found.setdefault(name, words(lines)) == words(lines), f"{theme} changes the words of {name}"
                    digests.setdefault(name, {})[theme] = digest(lines)
                assert len(set(digests[name].values())) == len(digests[name]), "two themes look the same"

    asyncio.run(run())
    for name, painted in found.items():
        assert painted == snapshot(name=name)
    assert digests == snapshot(name="styles")


def halted(*, done: bool) -> DeskView:
    view = frozen.working_day()
    return msgspec.structs.replace(view, status=msgspec.structs.replace(view.status, halt=frozen.halted(done=done)))


ORDER = ("b", *keys("100 AAPL @189.10"), "enter")
TO_BASKET = ("2", *("down",) * 11, "enter")
PREVIEWS = {"approval": frozen.FOUR_EYES}
ANSWERS = {
    "basket": frozen.basket_judged(),
    "basket blocked": frozen.basket_judged({3: frozen.DENIAL, 5: frozen.DENIAL}),
}
CASES: dict[str, tuple[Callable[[], DeskView], tuple[str, ...]]] = {
    "empty": (frozen.empty, ()),
    "preview": (frozen.working_day, ORDER),
    "typing": (frozen.working_day, ORDER[:-1]),
    "checks": (frozen.working_day, (*ORDER, "c")),
    "halting": (lambda: halted(done=False), ()),
    "halted": (lambda: halted(done=True), ()),
    "quit": (frozen.working_day, ("ctrl+q",)),
    "help": (frozen.working_day, ("question_mark",)),
    "form": (frozen.working_day, ("n",)),
    "jump": (frozen.working_day, ("ctrl+o",)),
    "filter": (frozen.working_day, ("slash", *keys("aapl"))),
    "alert": (frozen.working_day, ("A",)),
    "approval": (frozen.waiting, ("2", *("down",) * 9, "r")),
    "baskets": (frozen.with_baskets, ("2", "down")),
    "basket file": (frozen.with_baskets, ("B",)),
    "basket": (frozen.with_baskets, TO_BASKET),
    "basket blocked": (frozen.with_baskets, TO_BASKET),
}


def painted(name: str, size: tuple[int, int], *, is_refused: bool = False) -> dict[str, str]:
    make, presses = CASES[name]
    engine = FakeEngine(make())
    engine.preview = PREVIEWS.get(name, engine.preview)
    engine.answer = ANSWERS.get(name, engine.answer)
    if is_refused:
        engine.preview = frozen.DENIED

    async def run() -> dict[str, str]:
        async with playing(desk(engine), size) as pilot:
            await shown(pilot, *presses)
            lines = strips(pilot)
            return {"words": words(lines), "styles": digest(lines)}

    return asyncio.run(run())


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", CASES)
def test_each_state(name: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    found = painted(name, size)
    assert found["words"] == snapshot(name="words")
    assert found["styles"] == snapshot(name="styles")


def test_a_refusal_is_read_in_full(snapshot: SnapshotAssertion) -> None:
    assert painted("preview", SMALL, is_refused=True)["words"] == snapshot(name="words")
