"""Pictures of the desk at its two sizes, compared to the pixel: a change of one is looked at before it is kept.

``pytest tests/screens/test_pictures.py --snapshot-update`` draws them anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest
from textual.pilot import Pilot

from engine.views import DeskView
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import SIZES, desk, keys

Act = Callable[[Pilot[str]], Awaitable[None]]
Compare = Callable[..., bool]


def typed(*presses: str) -> Act:
    async def act(pilot: Pilot[str]) -> None:
        await pilot.pause()
        for press in presses:
            await pilot.press(press)
        await pilot.pause()

    return act


def halted(*, done: bool) -> DeskView:
    view = frozen.working_day()
    return msgspec.structs.replace(view, status=msgspec.structs.replace(view.status, halt=frozen.halted(done=done)))


ORDER = ("b", *keys("100 AAPL @189.10"), "enter")
CASES: dict[str, tuple[Callable[[], DeskView], tuple[str, ...]]] = {
    "desk": (frozen.working_day, ()),
    "empty": (frozen.empty, ()),
    "preview": (frozen.working_day, ORDER),
    "checks": (frozen.working_day, (*ORDER, "c")),
    "halting": (lambda: halted(done=False), ()),
    "halted": (lambda: halted(done=True), ()),
    "quit": (frozen.working_day, ("ctrl+q",)),
    "help": (frozen.working_day, ("question_mark",)),
    "form": (frozen.working_day, ("n",)),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", CASES)
def test_picture(name: str, size: tuple[int, int], snap_compare: Compare) -> None:
    make, presses = CASES[name]
    assert snap_compare(desk(FakeEngine(make())), terminal_size=size, run_before=typed(*presses))


def test_a_refusal_is_read_in_full(snap_compare: Compare) -> None:
    engine = FakeEngine(frozen.working_day())
    engine.preview = frozen.DENIED
    assert snap_compare(desk(engine), terminal_size=SIZES[0], run_before=typed(*ORDER))
