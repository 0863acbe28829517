"""The halt key in every state that the desk can be in, and no key ever for another order than the one that is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from bolt_tui.compositor import DeskScreen
from bolt_tui.halt_keys import HALT_KEYS
from bolt_tui.screens.basket import BasketFileScreen, BasketScreen
from bolt_tui.screens.dialog import Dialog
from bolt_tui.screens.dialogs import CardScreen, QuitAloneScreen, QuitScreen, RearmScreen
from bolt_tui.screens.flatten import FlattenScreen
from bolt_tui.screens.jump import JumpScreen
from bolt_tui.screens.line_dialog import LineScreen
from bolt_tui.screens.order_form import FormScreen
from bolt_tui.screens.preview import PreviewScreen
from engine.domain import commands as co
from engine.domain.order import OrderState
from engine.views import OrderView
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import SIZES, keys, play, redraw
from widgets.blotter import Blotter

Act = Callable[[Pilot[str], FakeEngine], Awaitable[None]]
ORDER = ("b", *keys("100 AAPL @189.10"), "enter")


def pressed(*presses: str) -> Act:
    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        for press in presses:
            await pilot.press(press)
        await pilot.pause()

    return act


async def denied(pilot: Pilot[str], engine: FakeEngine) -> None:
    engine.preview = frozen.DENIED
    await pressed(*ORDER)(pilot, engine)


async def to_confirm(pilot: Pilot[str], engine: FakeEngine) -> None:
    engine.preview = frozen.DUPLICATE
    await pressed(*ORDER)(pilot, engine)


async def stale(pilot: Pilot[str], engine: FakeEngine) -> None:
    await pressed(*ORDER)(pilot, engine)
    engine.wait(3)
    engine.age_quotes(3)


async def asking(pilot: Pilot[str], engine: FakeEngine) -> None:
    """The engine does not answer: the preview waits."""
    engine.gate = asyncio.Event()
    await pressed(*ORDER)(pilot, engine)


async def sending(pilot: Pilot[str], engine: FakeEngine) -> None:
    await pressed(*ORDER)(pilot, engine)
    engine.wait(0.3)
    engine.gate = asyncio.Event()
    await pilot.press("enter")


async def refreshing(pilot: Pilot[str], engine: FakeEngine) -> None:
    await stale(pilot, engine)
    engine.gate = asyncio.Event()
    await pilot.press("enter")


async def cut_off(pilot: Pilot[str], engine: FakeEngine) -> None:
    engine.connected, engine.link_text = False, "the engine is silent"
    await redraw(pilot)


async def quit_alone(pilot: Pilot[str], engine: FakeEngine) -> None:
    await cut_off(pilot, engine)
    await pressed("ctrl+q")(pilot, engine)


async def halted(pilot: Pilot[str], engine: FakeEngine) -> None:
    engine.show_halt(frozen.halted(done=False))
    await redraw(pilot)


async def rearming(pilot: Pilot[str], engine: FakeEngine) -> None:
    await halted(pilot, engine)
    await pressed("R", *keys("REARM"))(pilot, engine)


async def basket(pilot: Pilot[str], engine: FakeEngine) -> None:
    day = frozen.with_baskets()
    engine.show(orders=day.orders, baskets=day.baskets)
    engine.answer = frozen.basket_judged()
    await redraw(pilot)
    pilot.app.screen_stack[0].query_one(Blotter).select("B2")
    await pressed("r")(pilot, engine)


STATES: dict[str, tuple[Act, type[Screen[Any]]]] = {
    "desk": (pressed(), DeskScreen),
    "a row is selected": (pressed("down"), DeskScreen),
    "line": (pressed("colon"), DeskScreen),
    "line with words": (pressed(*ORDER[:-1]), DeskScreen),
    "line recalled": (pressed(*ORDER, "escape", "colon", "up"), DeskScreen),
    "preview": (pressed(*ORDER), PreviewScreen),
    "preview of a refusal": (denied, PreviewScreen),
    "preview to confirm": (to_confirm, PreviewScreen),
    "preview on a stale quote": (stale, PreviewScreen),
    "every check": (pressed(*ORDER, "c"), CardScreen),
    "asking the gate": (asking, DeskScreen),
    "asking again": (refreshing, PreviewScreen),
    "sending": (sending, DeskScreen),
    "form": (pressed("n"), FormScreen),
    "help": (pressed("question_mark"), CardScreen),
    "an order's card": (pressed("down", "enter"), CardScreen),
    "palette": (pressed("ctrl+p"), CommandPalette),
    "palette with words": (pressed("ctrl+p", *keys("can"), "down"), CommandPalette),
    "quit": (pressed("ctrl+q"), QuitScreen),
    "cancel all asked": (pressed("X"), DeskScreen),
    "blotter": (pressed("2"), DeskScreen),
    "analysis": (pressed("down", "3"), DeskScreen),
    "risk": (pressed("4"), DeskScreen),
    "log": (pressed("5"), DeskScreen),
    "marked orders asked": (pressed("down", "space", "space", "x"), DeskScreen),
    "filter line": (pressed("slash", *keys("aapl")), DeskScreen),
    "jump letters": (pressed("ctrl+o"), JumpScreen),
    "alert": (pressed("A"), LineScreen),
    "halted": (halted, DeskScreen),
    "rearm": (rearming, RearmScreen),
    "flatten": (pressed("F"), FlattenScreen),
    "flatten with a word": (pressed("F", *keys("FLAT")), FlattenScreen),
    "preview of an amend": (pressed("down", "down", "down", "a", "enter"), PreviewScreen),
    "form with words": (pressed("n", *keys("b"), "tab", *keys("100")), FormScreen),
    "basket": (basket, BasketScreen),
    "basket file": (pressed("B", *keys("rebal")), BasketFileScreen),
    "no engine": (cut_off, DeskScreen),
    "quit without an engine": (quit_alone, QuitAloneScreen),
}
"""How to come to each state, and the screen that is then on top."""


@pytest.mark.parametrize("name", STATES)
def test_the_halt_key_halts_in_every_state_and_focus(name: str) -> None:
    act, kind = STATES[name]
    deaf: list[str] = []

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await act(pilot, engine)
        top = pilot.app.screen
        assert type(top) is kind
        sent = len(engine.sent())
        for widget in (None, *top.focus_chain):
            top.set_focus(widget)
            for key in sorted(HALT_KEYS):
                before = len(engine.halts)
                await pilot.press(key)
                if len(engine.halts) != before + 1:
                    deaf.append(f"{key} with {widget!r}")
        assert len(engine.sent()) == sent

    play(script, size=SIZES[len(name) % 2])
    assert deaf == []


def test_the_states_are_all_there_are() -> None:
    """A dialog that is added must be given its state above."""
    assert {kind for _, kind in STATES.values()} >= {*Dialog.__subclasses__(), CommandPalette}


# -- no action on another order than the one that is shown -----------------------------------------------------------------


def shown_under_cursor(panel: Blotter) -> str:
    """The id in the marked line, read from what is painted, without the sign of an open or a shut family."""
    mark = panel.tone("cursor").bgcolor
    for y in range(panel.size.height):
        strip = panel.render_line(y)
        if any(segment.style is not None and segment.style.bgcolor == mark for segment in strip):
            return strip.text.split()[0].rstrip("v>")
    return ""


def acted_on(commands: list[co.AnyCommand], line: str) -> list[str]:
    """Orders that a key acted on: by a command, or by filling the line with its amend."""
    found = [item.order_id for item in commands if isinstance(item, co.CancelOrder | co.ReleaseOrder)]
    return found + ([line.split()[1]] if line.startswith("a ") else [])


CHANGES = ("add", "drop", "end", "reverse", "fill")
ACTS = ("x", "a", "r")
STEPS = st.lists(
    st.one_of(
        st.sampled_from(("down", "up", "home", "end", "pagedown", "escape")),
        st.sampled_from(ACTS),
        st.tuples(st.sampled_from(CHANGES), st.integers(0, 40), st.booleans()),
    ),
    min_size=5,
    max_size=25,
)


def changed(orders: tuple[OrderView, ...], change: str, number: int) -> tuple[OrderView, ...]:
    """Rows as they may be after events."""
    at = number % max(1, len(orders))
    if change == "add" or not orders:
        state = OrderState.STAGED if number % 3 == 0 else OrderState.NEW
        return (*orders, frozen.order(f"P{200 + len(orders) * 41 + number}", state))
    if change == "drop":
        return orders[:at] + orders[at + 1 :]
    if change == "reverse":
        return tuple(
            msgspec.structs.replace(order, created_ns=frozen.NOW_NS - order.created_ns % 10**12)
            for order in orders[::-1]
        )
    state = OrderState.FILLED if change == "end" else OrderState.PARTIALLY_FILLED
    return (*orders[:at], msgspec.structs.replace(orders[at], state=state), *orders[at + 1 :])


@example(steps=["down", "down", "down", "x", "a"])  # a parent with children: its id carries a sign
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_no_key_acts_on_another_order_than_the_one_shown(steps: list[str | tuple[str, int, bool]]) -> None:
    follow(steps)


@pytest.mark.proof
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_no_key_acts_on_another_order_in_many_more_walks(steps: list[str | tuple[str, int, bool]]) -> None:
    follow(steps)


def follow(steps: list[str | tuple[str, int, bool]]) -> None:
    """Rows are sorted, put in and taken out between selection and key, painted or not painted yet."""

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        panel = pilot.app.screen_stack[0].query_one(Blotter)
        chosen = ""
        for step in steps:
            if isinstance(step, tuple):
                change, number, is_painted = step
                engine.show_orders(*changed(engine.view().orders, change, number))
                if is_painted:
                    await redraw(pilot)
                continue
            shown = shown_under_cursor(panel)
            done = len(engine.commands)
            await pilot.press(step)
            if step not in ACTS:
                chosen = shown_under_cursor(panel)
            line = pilot.app.screen_stack[0].query_one("#pad", Input).value
            for order_id in acted_on(engine.commands[done:], line):
                assert order_id == shown == chosen
            if line:
                await pilot.press("escape")

    play(script, view=frozen.working_day())
