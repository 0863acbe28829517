"""FLATTEN: the word typed, the cost shown, and one halt with everything in it."""

from __future__ import annotations

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from bolt_tui.screens.flatten import FlattenScreen, cost_lines
from engine.domain import commands as co
from engine.domain.money import Money, Price, Qty
from engine.views import BookView
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import SIZES, answer, keys, play
from widgets.closing_cost import closing_costs, total_words
from widgets.position_strip import PositionStrip


def halts(engine: FakeEngine) -> list[co.Halt]:
    return [command for command in engine.commands if isinstance(command, co.Halt)]


@pytest.mark.parametrize("size", SIZES)
def test_only_the_typed_word_flattens_once(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("F", "enter", *keys("flatten"), "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, FlattenScreen)
        assert halts(engine) == []
        pilot.app.screen.query_one("#word", Input).value = ""
        await pilot.press(*keys("FLATTEN"), "enter", "enter")
        await pilot.pause()

    (halt,) = halts(play(script, size=size))
    assert (halt.flatten, halt.scope) == (True, co.HaltScope())


def test_escape_leaves_everything_as_it_is() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        del engine
        await pilot.press("F", *keys("FLATTEN"), "escape")
        await pilot.pause()
        assert "not flattened" in answer(pilot)

    assert play(script).commands == []


def test_in_the_position_pane_it_is_the_symbol_under_the_cursor() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        del engine
        strip = pilot.app.query_one(PositionStrip)
        strip.focus()
        await pilot.pause()
        await pilot.press("down", "F")
        symbol = strip.row.words(0) if strip.row is not None else ""
        assert symbol in str(pilot.app.screen.query_one("#dialog").border_title)
        await pilot.press(*keys("FLATTEN"), "enter")
        await pilot.pause()

    (halt,) = halts(play(script))
    assert (halt.scope.kind, halt.scope.name) == (co.HaltScopeKind.SYMBOL, "AAPL")


def test_the_cost_is_walked_through_the_book_against_the_middle() -> None:
    view = frozen.working_day()
    book = BookView(
        symbol="AAPL", venue="XSIM", ts_ns=1, tick=Price("0.01"),
        bids=((Price("189.06"), Qty(200)), (Price("189.04"), Qty(100))), asks=((Price("189.07"), Qty(300)),),
    )  # fmt: skip
    view = msgspec.structs.replace(view, books=(book,))
    (found,) = closing_costs(view, "AAPL")
    # 300 long: 200 at 189.06 and 100 at 189.04 against a middle of 189.065: 1 + 2.5 = 3.50 USD.
    assert (found.price, found.cost, found.note) == (Price("189.0533"), Money("3.5"), "")
    short = msgspec.structs.replace(book, bids=((Price("189.06"), Qty(100)),))
    (lacking,) = closing_costs(msgspec.structs.replace(view, books=(short,)), "AAPL")
    assert lacking.note == "the visible book lacks 200 of it"


def test_what_is_not_known_is_said_and_not_summed() -> None:
    view = frozen.working_day()
    old = tuple(msgspec.structs.replace(quote, stale=True) for quote in view.quotes)
    lines = cost_lines(msgspec.structs.replace(view, quotes=old), "")
    assert any("cost not known (no fresh quote)" in line for line in lines)
    assert lines[-1].startswith("in all about not known; of ")
    assert total_words([]) == "in all about not known"
    assert "there is no open position to close" in cost_lines(frozen.empty(), "")


def test_the_cost_stands_in_the_dialog() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        del engine
        await pilot.press("F")
        said = str(pilot.app.screen.query_one("#flatten-cost", Static).render())
        assert "3 working orders cancelled first" in said
        assert "AAPL          +300 at about     189.060: costs       1.50 USD" in said

    play(script)
