"""What is rendered in part is what a whole rendering shows, and a typed character lays nothing out."""

from __future__ import annotations

import pytest
from rich.color import ColorSystem
from textual._compositor import LayoutUpdate
from textual.pilot import Pilot

from bolt_tui.app import Desk
from bolt_tui.compositor import DeskScreen, LineCompositor
from bolt_tui.painter import CellPainter
from engine.domain.money import Price
from engine.domain.order import OrderState
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import SIZES, keys, play


def whole(app: Desk) -> LayoutUpdate:
    compositor = app.screen._compositor
    return LayoutUpdate([[strip] for strip in compositor.render_strips()], compositor.size.region)


def painted(painter: CellPainter) -> list[str]:
    return ["".join("?" if cell is None else cell[0] for cell in line) for line in painter._lines]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_rendered_in_part_is_what_the_whole_shows(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        app = pilot.app
        assert isinstance(app, Desk)
        assert isinstance(app.screen, DeskScreen)
        compositor = app.screen._compositor
        assert isinstance(compositor, LineCompositor)
        await pilot.press("down", "down")
        await pilot.pause()
        terminal, fresh = CellPainter(), CellPainter()
        terminal.paint(whole(app), ColorSystem.TRUECOLOR)
        for step in range(1, 4):
            engine.wait(1)
            first, *rest = engine.view().orders
            changed = frozen.order(
                first.order_id, OrderState.PARTIALLY_FILLED, qty_filled=first.qty, avg_price=Price("1.25") + step
            )
            engine.show_orders(changed, *rest)
            app.draw()
            compositor.update_widgets(set(compositor.visible_widgets))
            update = compositor.render_partial_update()
            assert update is not None
            assert len(update.spans) < size[1], "a change of a few rows was a change of every line"
            terminal.paint(update, ColorSystem.TRUECOLOR)
            fresh.forget()
            fresh.paint(whole(app), ColorSystem.TRUECOLOR)
            assert painted(terminal) == painted(fresh)
            assert terminal._lines == fresh._lines

    play(script, size=size)


def test_a_typed_character_lays_nothing_out() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        del engine
        await pilot.press("b", *keys("100 AAPL @1"))
        await pilot.pause()
        laid: list[object] = []
        pilot.app.screen.screen_layout_refresh_signal.subscribe(pilot.app.screen, laid.append, immediate=True)
        await pilot.press(*keys("89.10"))
        await pilot.pause()
        assert "18,910" in pilot.app.query_one("#pad-box").answer  # type: ignore[attr-defined]  # it is the pad
        assert laid == []

    play(script)


def test_a_line_longer_than_its_box_shows_where_it_is_typed() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        del engine
        await pilot.press("b", *keys("x" * 90 + "END"))
        await pilot.pause()
        (line,) = [
            line
            for line in (strip.text for strip in pilot.app.screen._compositor.render_strips())
            if line.startswith(" : ")
        ]
        assert line.rstrip().endswith("END")

    play(script, size=SIZES[0])
