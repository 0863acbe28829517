"""Turned grey, every screen still says it: a reader of the characters alone recovers side, state and sign of each row."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from bolt_tui.themes import shipped
from engine.domain.order import STATES, Side
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.grid import part, strips
from tests.screens.play import LARGE, SMALL, desk, playing, redraw

WALL = (200, 60)
SIDES = {"B": Side.BUY, "S": Side.SELL}


def orders_read(lines: list[str]) -> dict[str, tuple[Side, str]]:
    """Id to side and state, from the painted lines of the blotter."""
    head = next(line for line in lines if " id " in line and "state" in line)
    at = head.index("state")
    found = {}
    for line in lines[lines.index(head) + 1 :]:
        name, side, *_ = (*line.strip("│| *").split(), "", "")
        if side in SIDES and name[:1] in {"P", "C"}:
            found[name.rstrip("v>")] = (SIDES[side], line[at:].split()[0].rstrip("!"))
    return found


def signs_read(lines: list[str], symbols: set[str]) -> dict[str, list[str]]:
    """Symbol to the signs of the numbers in its line."""
    found = {}
    for line in lines:
        name, *rest = (*line.strip("│| ").split(), "")
        if name in symbols:
            found[name] = [word[0] for word in rest if word[:1] in {"+", "-"} and word[1:2].isdigit()]
    return found


@pytest.mark.parametrize("size", [SMALL, LARGE, WALL], ids=lambda size: f"{size[0]}x{size[1]}")
def test_side_state_and_sign_are_read_without_any_colour(size: tuple[int, int]) -> None:
    view = frozen.working_day()
    orders = {order.order_id: order for order in view.orders}
    held = {item.symbol: item for item in view.positions if item.qty}

    async def run() -> None:
        async with playing(desk(FakeEngine(view)), size) as pilot:
            for theme in (next(iter(shipped())), list(shipped())[-1]):
                pilot.app.theme = f"bolt-{theme}"
                for key in "123":
                    await pilot.press(key)
                    await pilot.pause()
                    await redraw(pilot)
                    lines = strips(pilot)
                    panel = pilot.app.query_one("#orders")
                    found = orders_read(part(lines, panel.region))
                    assert len(found) >= min(4, panel.size.height - 1)
                    for order_id, (side, state) in found.items():
                        assert side is orders[order_id].side
                        assert state == STATES[orders[order_id].state].screen
                await pilot.press("1")
                await pilot.pause()
                await redraw(pilot)
                lines = strips(pilot)
                panel = pilot.app.query_one("#positions" if size != SMALL else "#day")
                text = part(lines, panel.region)
                if size == SMALL:
                    assert "AAPL +300 +42.00" in text[0]
                    assert "MSFT -100 -12.00" in text[0]
                    continue
                signs = signs_read(text, set(held))
                assert set(signs) == set(held)
                for symbol, item in held.items():
                    assert signs[symbol][0] == ("+" if item.qty > 0 else "-")
                    if item.unrealised:
                        assert signs[symbol][-1] == ("+" if item.unrealised > Decimal(0) else "-")

    asyncio.run(run())
