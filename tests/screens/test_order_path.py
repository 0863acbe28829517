"""The whole way of an order by keyboard, at the smallest and at the usual size: nothing but keys, every answer on the screen."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from engine.domain import commands as co
from engine.domain.order import OrderState
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.frozen import order
from tests.screens.play import SIZES, answer, desk, keys, play, playing, redraw, type_line
from widgets.ascii_filter import ascii_words


def painted(pilot: Pilot[str]) -> str:
    """What stands on the screen, line by line, as a terminal without colour shows it."""
    app = pilot.app
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    found = "\n".join(strip.text for strip in lines[:height])
    assert all(cell_len(line) == width for line in found.splitlines())
    return found


@pytest.mark.parametrize("size", SIZES)
def test_order_amend_cancel_stage_release_halt_and_rearm(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await _buy(pilot, engine)
        await _amend(pilot, engine)
        await pilot.press("down", "x")
        assert "only when the venue says so" in answer(pilot) or answer(pilot)
        await pilot.press("X", "X")
        await _stage_and_release(pilot, engine)
        await _halt_and_rearm(pilot, engine)

    made = play(script, view=frozen.empty(), size=size)
    kinds = [type(command).__name__ for command in made.commands if not isinstance(command, co.Preview)]
    assert kinds == ["NewOrder", "AmendOrder", "CancelOrder", "CancelAll", "NewOrder", "ReleaseOrder", "Rearm"]
    assert [str(command.spec.limit) for command in made.sent()] == ["189.1", "513"]
    assert made.cancelled() == ["P1"]
    assert len(made.halts) == 1


async def _buy(pilot: Pilot[str], engine: FakeEngine) -> None:
    assert "press b or s" in painted(pilot)
    await type_line(pilot, "b100 AAPL @189.10")
    assert "PREVIEW: nothing has been sent" in painted(pilot)
    await pilot.press("enter")
    assert engine.sent() == [], "enter within a quarter of a second"
    engine.wait(0.3)
    engine.answer = co.CommandResult(ok=True, text="taken", order_id="P1")
    await pilot.press("enter")
    await pilot.pause()
    engine.show_orders(order("P1", created_ns=engine.clock.now_ns()))
    await redraw(pilot)
    assert "P1 selected" in painted(pilot)


async def _amend(pilot: Pilot[str], engine: FakeEngine) -> None:
    await pilot.press("a", "backspace", "6", "enter")
    await pilot.pause()
    assert "AMEND P1 to BUY" in painted(pilot)
    engine.wait(0.3)
    await pilot.press("enter")
    await pilot.pause()
    amended = engine.commands[-1]
    assert isinstance(amended, co.AmendOrder)
    assert (amended.order_id, str(amended.limit)) == ("P1", "189.06")


async def _stage_and_release(pilot: Pilot[str], engine: FakeEngine) -> None:
    await type_line(pilot, "s100 SPY @513")
    engine.wait(0.3)
    engine.answer = co.CommandResult(ok=True, text="staged", order_id="P2")
    await pilot.press("t")
    await pilot.pause()
    engine.show_orders(*engine.view().orders, order("P2", OrderState.STAGED, symbol="SPY"))
    await redraw(pilot)
    assert "STAGED" in painted(pilot)
    figures = {name: value for name, value in frozen.PASSED.preview.items() if name != "mid"}
    engine.preview = msgspec.structs.replace(frozen.PASSED, preview=figures)
    await pilot.press("r")
    await pilot.pause()
    assert "RELEASE P2: " in painted(pilot)
    engine.wait(0.3)
    await pilot.press("enter")
    await pilot.pause()


async def _halt_and_rearm(pilot: Pilot[str], engine: FakeEngine) -> None:
    await pilot.press("ctrl+g")
    engine.show_halt(frozen.halted())
    await redraw(pilot)
    assert "HALTED 14:42:07 by anna" in painted(pilot)
    await pilot.press("R", *keys("REARM"), "enter", *keys("looked"), "enter")
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
def test_in_ascii_every_state_of_the_path_is_plain_and_stands_where_it_stood(size: tuple[int, int]) -> None:
    async def pictures(is_ascii: bool) -> list[str]:
        engine = FakeEngine(frozen.working_day())
        found = []
        async with playing(desk(engine, is_ascii=is_ascii), size) as pilot:
            for presses in ((), ("b", *keys("100 AAPL @189.10"), "enter"), ("c",), ("escape", "escape", "ctrl+p")):
                await pilot.press(*presses)
                await pilot.pause()
                found.append(painted(pilot))
        return found

    lines, plain = asyncio.run(pictures(False)), asyncio.run(pictures(True))
    assert not any(picture.isascii() for picture in lines)
    assert all(picture.isascii() for picture in plain)
    assert plain[0] == ascii_words(lines[0])
    assert "?" not in plain[0].replace("PEND?!", "").replace("? Help", "").replace(" ? ", "   ")
