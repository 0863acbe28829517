"""Screens 1 to 5 on one tree: what stays, what is reached, and that no key acts on an order that is not shown."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from bolt_tui.app import Desk
from bolt_tui.keymap import KEYS, Place, clashes, commands
from bolt_tui.screens.floor import JUMPS
from engine.domain.order import OrderState
from engine.views import DeskView
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.frozen import order
from tests.screens.play import LARGE, SMALL, answer, keys, play, redraw
from widgets.blotter import Blotter
from widgets.live_table import words_of
from widgets.order_book_panel import OrderBookPanel
from widgets.trade_log_panel import TradeLogPanel

WALL = (200, 60)
SHOWN = {
    ("1", SMALL): "orders ladder log",
    ("1", LARGE): "orders ladder positions tca log",
    ("1", WALL): "watch alerts sources orders ladder positions tca chart log",
    ("2", SMALL): "orders fills",
    ("2", LARGE): "orders fills",
    ("2", WALL): "orders fills",
    ("3", SMALL): "orders tca",
    ("3", LARGE): "orders tca chart fills",
    ("3", WALL): "orders tca chart fills",
    ("4", SMALL): "limits exposure",
    ("4", LARGE): "limits exposure",
    ("4", WALL): "positions limits exposure",
    ("5", SMALL): "log venues",
    ("5", LARGE): "log venues",
    ("5", WALL): "log venues",
}


def app_of(pilot: Pilot[str]) -> Desk:
    assert isinstance(pilot.app, Desk)
    return pilot.app


def orders(pilot: Pilot[str]) -> Blotter:
    return pilot.app.screen_stack[0].query_one(Blotter)


@pytest.mark.parametrize("size", [SMALL, LARGE, WALL])
def test_each_mode_shows_its_panes_inside_the_screen(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        for key in "12345":
            await pilot.press(key)
            await pilot.pause()
            floor = app_of(pilot)._floor
            shown = [pane for pane in floor.panes if floor.is_shown(pane)]
            assert " ".join(str(pane.id) for pane in shown) == SHOWN[key, size]
            for pane in shown:
                assert floor.region.contains_region(pane.region), pane
                assert pane.size.height >= 3, pane
            regions = [pane.region for pane in shown]
            assert not [a for at, a in enumerate(regions) for b in regions[at + 1 :] if a.overlaps(b)]
            assert pilot.app.focused is not None

    play(script, size=size)


def test_selection_filter_and_line_outlive_modes_and_a_storm_of_resizes() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "down", "3", "colon", *keys("b 12"))
        for width, height in ((80, 24), (200, 60), (20, 5), (120, 40), (40, 10), (180, 50), (100, 34), (80, 24)):
            await pilot.resize_terminal(width, height)
            await redraw(pilot)
        assert pilot.app.query_one("#pad", Input).value == "b 12"
        assert pilot.app.focused is pilot.app.query_one("#pad", Input)
        assert orders(pilot).selected == "P106"

    assert play(script).commands == []


def test_a_key_for_an_order_does_nothing_where_no_orders_are_shown() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down")
        for mode in "45":
            await pilot.press(mode)
            await pilot.pause()
            await pilot.press("x", "a", "r")
            assert "no orders are shown here" in answer(pilot)
        await pilot.press("1")
        await pilot.pause()
        await pilot.press("x")

    assert play(script).cancelled() == ["P107"]


def test_a_line_of_the_log_leads_to_its_order_from_any_mode() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("5")
        await pilot.pause()
        log = pilot.app.query_one(TradeLogPanel)
        log.select(next(row.id for row in log.rows if row.words(2) == "P105"))
        await pilot.press("enter")
        await pilot.pause()
        assert orders(pilot).display
        assert orders(pilot).selected == "P105"
        assert pilot.app.focused is orders(pilot)

    play(script)


def test_a_filter_narrows_while_it_is_typed_and_escape_clears_it() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("slash", *keys("msft"))
        assert {row.id for row in orders(pilot).rows} == {"P105"}
        assert "/msft" in str(orders(pilot).border_title)
        await pilot.press("enter")
        assert pilot.app.focused is orders(pilot)
        await pilot.press("slash", *keys(" [/b]"))
        assert orders(pilot).rows == ()
        await pilot.press("escape")
        assert len(orders(pilot).rows) > 5
        await pilot.press("5")
        await pilot.pause()
        await pilot.press("slash", *keys("what"), "colon", *keys("fill"), "enter")
        assert [row.words(1) for row in pilot.app.query_one(TradeLogPanel).rows] == ["FILL"]

    assert play(script).commands == []


def test_the_tree_opens_to_children_and_fills_and_shuts() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        panel = orders(pilot)
        panel.select("P104")
        await pilot.press("right")
        ids = [row.id for row in panel.rows]
        at = ids.index("P104")
        assert ids[at + 1 : at + 4] == ["C212", "C211", "C211/41153"]
        assert "100 @189.05" in words_of(panel.rows[at + 3])
        panel.select("C211/41153")
        await pilot.press("x")
        assert engine.commands == []
        panel.select("P104")
        await pilot.press("left", "left")
        assert "C212" not in [row.id for row in panel.rows]
        assert panel.rows[[row.id for row in panel.rows].index("P104")].words(0) == " P104>"

    play(script)


def test_marked_orders_are_cancelled_on_a_second_press_only() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "space", "space")
        assert list(orders(pilot).marked) == ["P107", "P106"]
        await pilot.press("x")
        assert "2 marked orders: P107, P106" in answer(pilot)
        assert engine.commands == []
        engine.wait(2.1)
        await pilot.press("x")
        assert engine.commands == []
        await pilot.press("x")
        await pilot.pause()

    assert play(script).cancelled() == ["P107", "P106"]


def test_a_mark_added_after_the_announcement_asks_again() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "space", "x", "space", "x")

    assert play(script).cancelled() == []


def test_sorting_keeps_the_selected_order() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "down", "greater_than_sign")
        assert orders(pilot).selected == "P106"
        await pilot.press("escape")
        tops = [row.words(2) for row in orders(pilot).rows if row.id in {"P98", "P104", "P105", "P106", "P107"}]
        assert tops == sorted(tops)
        await pilot.press("less_than_sign")
        tops = [row.words(2) for row in orders(pilot).rows if row.id in {"P98", "P104", "P105", "P106", "P107"}]
        assert tops == sorted(tops, reverse=True)

    play(script)


@pytest.mark.parametrize("size", [SMALL, LARGE, WALL])
def test_jump_letters_reach_every_pane_that_is_shown(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        for letter, name in JUMPS.items():
            pane = pilot.app.screen_stack[0].query_one(f"#{name}")
            floor = app_of(pilot)._floor
            await pilot.press("ctrl+o", letter)
            await pilot.pause()
            if name == "pad" or floor.is_shown(pane):
                assert pilot.app.focused is pane
            await pilot.press("escape", "escape")

    play(script, size=size)


def test_the_watch_list_decides_what_is_bought() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("ctrl+o", "w")
        await pilot.pause()
        await pilot.press("down", "down")
        assert "MSFT" in str(pilot.app.query_one(OrderBookPanel).border_title)
        await pilot.press("b", "5", "space", "right")
        assert pilot.app.query_one("#pad", Input).value == "b 5 MSFT @join"

    assert play(script, size=WALL).commands == []


def test_close_fills_the_line_and_sends_nothing() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        orders(pilot).select("P105")
        await pilot.press("up", "down")
        orders(pilot).post_message(Blotter.Moved(orders(pilot)))
        await pilot.pause()
        await pilot.press("c")
        assert pilot.app.query_one("#pad", Input).value == "b 100 MSFT @take reduce"

    assert play(script).commands == []


def test_a_price_alert_is_asked_for_and_told_once() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("A")
        await pilot.pause()
        assert pilot.app.screen.query_one("#asked", Input).value == "ESZ6 > "
        await pilot.press(*keys("5000"), "enter")
        await pilot.pause()
        assert "ALERT ESZ6 > 5000 reached" in answer(pilot)

    view = frozen.empty()
    assert play(script, FakeEngine(view=_only(view, "ESZ6"))).commands == []


def _only(view: DeskView, symbol: str) -> DeskView:
    return msgspec.structs.replace(
        view, orders=(order("P1", OrderState.NEW, symbol=symbol),), books=(frozen.book(symbol),)
    )


def test_export_writes_the_pane_as_csv(tmp_path: Path) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        app_of(pilot).exports = tmp_path / "exports"
        await pilot.press("e")
        (path,) = (tmp_path / "exports").iterdir()
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("id,S,symbol,done/qty")
        assert any(line.startswith("P104") and "1200/5000" in line for line in lines)
        assert str(path) in answer(pilot)

    assert play(script).commands == []


def test_clicks_select_and_never_send() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        for key in "12345":
            await pilot.press(key)
            await pilot.pause()
            floor = app_of(pilot)._floor
            for pane in floor.panes:
                if floor.is_shown(pane):
                    for y in range(1, pane.size.height, 2):
                        await pilot.click(pane, offset=(5, y))
        await pilot.click("#status")
        await pilot.click("#pad")

    engine = play(script, size=LARGE)
    assert engine.commands == []
    assert engine.halts == []


def test_no_key_means_two_things_and_each_has_an_id_of_its_own() -> None:
    assert clashes() == []
    assert len({key.id for key in KEYS}) == len(KEYS)


def test_every_action_of_the_desk_is_in_the_palette_or_moves_the_cursor() -> None:
    moves = ("move(", "tree(", "up", "focus_", "command_palette")
    missing = [
        key.id
        for key in KEYS
        if key.place in {Place.DESK, Place.EVERYWHERE}
        and not key.name
        and not key.action.startswith(moves)
        and key.action not in {named.action for named in commands()}
    ]
    assert missing == []
