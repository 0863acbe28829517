"""How few keys it takes: 100 bought at the bid in at most twelve, the newest order cancelled in two, from every screen and pane."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from bolt_tui.screens.floor import JUMPS
from engine.domain import commands as co
from engine.domain.money import Price, Qty
from engine.domain.order import OrderType, Side
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import LARGE, SMALL, play
from tests.screens.test_modes import SHOWN

MOST = 12
GUARD_S = 0.3
BUY = ["b", "1", "0", "0", "tab", "enter", "enter"]
"""Side, size, symbol and price of what the cursor points to, the preview, and the order."""
LETTERS = {pane: letter for letter, pane in JUMPS.items()}
OVER: dict[str, tuple[str, ...]] = {
    "help": ("question_mark",),
    "form": ("n",),
    "palette": ("ctrl+p",),
    "quit": ("ctrl+q",),
    "flatten": ("F",),
    "filter": ("slash", "m", "s"),
    "line": ("colon", "s", "space", "5"),
    "preview": ("b", "5", "tab", "enter"),
}
"""What may lie over a screen; escape is pressed until it is gone."""


async def bought(pilot: Pilot[str], engine: FakeEngine) -> int:
    """Press the keys; how many they were."""
    for key in BUY:
        if key == "enter":
            engine.wait(GUARD_S)
        await pilot.press(key)
    return len(BUY)


def is_bid(engine: FakeEngine, order: co.NewOrder) -> bool:
    quote = next(quote for quote in engine.view().quotes if quote.symbol == order.spec.symbol)
    spec = order.spec
    return (spec.side, spec.qty, spec.type, spec.limit) == (Side.BUY, Qty(100), OrderType.LIMIT, Price(quote.bid or 0))


@pytest.mark.parametrize(("mode", "size"), [found for found in SHOWN if found[1] != LARGE])
def test_from_every_pane(mode: str, size: tuple[int, int]) -> None:
    panes = [pane for pane in SHOWN[mode, size].split() if pane in LETTERS]

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        live = [order for order in engine.view().orders if order.state.is_live and not order.parent_id]
        newest = max(live, key=lambda order: order.created_ns).order_id
        for number, pane in enumerate(panes, 1):
            await pilot.press(mode, "ctrl+o", LETTERS[pane], "down", "full_stop", "x")
            assert engine.cancelled() == [newest] * number, pane
            await pilot.press(mode, "ctrl+o", LETTERS[pane], "down")
            pressed = 0
            if pane == "ladder":
                # There an order is for the row under the cursor; without one it joins the bid.
                await pilot.press("escape")
                pressed += 1
            pressed += await bought(pilot, engine)
            assert pressed <= MOST
            assert len(engine.sent()) == number, pane
            assert is_bid(engine, engine.sent()[-1]), pane

    assert len(play(script, size=size).sent()) == len(panes)


@pytest.mark.parametrize("over", OVER)
def test_buy_at_the_bid_from_under_whatever_lies_over_it(over: str) -> None:
    pressed = 0

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        nonlocal pressed
        await pilot.press(*OVER[over])
        while len(pilot.app.screen_stack) > 1 or pilot.app.focused.__class__.__name__ != "Blotter":
            assert pressed < MOST - len(BUY), f"{over} does not go away"
            await pilot.press("escape")
            pressed += 1
        pressed += await bought(pilot, engine)

    engine = play(script, size=SMALL)
    (sent,) = engine.sent()
    assert is_bid(engine, sent)
    assert pressed <= MOST
