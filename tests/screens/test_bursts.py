"""Keys that come in one go, as a slow line or a macro sends them: each ends in the field that it was typed for."""

from __future__ import annotations

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from bolt_tui.screens.dialogs import RearmScreen
from bolt_tui.screens.order_form import FormScreen
from engine.domain import commands as co
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import CHARS, SIZES, keys, play, redraw
from widgets.blotter import Blotter


def burst(pilot: Pilot[str], *presses: str) -> None:
    """Every key before the first of them is looked at."""
    for key in presses:
        pilot.app.post_message(Key(key, CHARS.get(key, key if len(key) == 1 else None)))


def fields(pilot: Pilot[str]) -> dict[str, str]:
    return {str(field.id): field.value for field in pilot.app.screen.query(Input)}


async def halted(pilot: Pilot[str], engine: FakeEngine) -> None:
    engine.show_halt(frozen.halted())
    await redraw(pilot)


@pytest.mark.parametrize("between", ["tab", "enter"])
@pytest.mark.parametrize("size", SIZES)
def test_word_and_reason_of_a_rearm_in_one_go(between: str, size: tuple[int, int]) -> None:
    found: list[dict[str, str]] = []

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await halted(pilot, engine)
        burst(pilot, "R", *keys("REARM"), between, *keys("looked at all"))
        await pilot.pause()
        await pilot.pause()
        assert isinstance(pilot.app.screen, RearmScreen)
        found.append(fields(pilot))

    assert play(script, size=size).commands == []
    assert found == [{"word": "REARM", "reason": "looked at all"}]


def test_a_whole_rearm_in_one_go_asks_once() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await halted(pilot, engine)
        burst(pilot, "R", *keys("REARM"), "enter", *keys("done"), "enter", *keys("xX"))
        await pilot.pause()
        await pilot.pause()

    engine = play(script)
    (asked,) = engine.commands
    assert isinstance(asked, co.Rearm)
    assert (asked.word, asked.reason) == ("REARM", "done")


def test_a_form_filled_in_one_go() -> None:
    found: list[dict[str, str]] = []

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        burst(pilot, "n", *keys("b"), "tab", *keys("100"), "tab", *keys("X"), "shift+tab", *keys("0"))
        await pilot.pause()
        await pilot.pause()
        assert isinstance(pilot.app.screen, FormScreen)
        found.append(fields(pilot))

    play(script)
    assert found[0]["form-side"] == "b"
    assert found[0]["form-size"] == "1000"
    assert found[0]["form-symbol"].endswith("X")


def test_nothing_that_is_typed_behind_a_dialogs_key_reaches_the_orders() -> None:
    """A, and what follows, in one go: none of it cancels, closes or previews."""

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "down")
        burst(pilot, "A", *keys("x < 9xX"), "enter", *keys("xrXX"))
        await pilot.pause()

    engine = play(script)
    assert engine.commands == []


def test_what_is_typed_behind_a_filter_reaches_the_pane() -> None:
    """Filter, end it, open it again and clear it, in one go."""

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        orders = pilot.app.query_one(Blotter)
        burst(pilot, "slash", *keys("msft"), "enter", "slash")
        await pilot.pause()
        await pilot.pause()
        assert orders.filter.text == "msft"
        await pilot.press("escape")  # a terminal's escape always comes a moment later
        assert orders.filter.text == ""
        assert pilot.app.focused is orders

    assert play(script).commands == []
