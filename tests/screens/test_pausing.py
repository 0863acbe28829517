"""A worked parent by keys: p pauses at once and resumes at the second press, + and - change its urgency by a step."""

from __future__ import annotations

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from engine.domain import commands as co
from engine.views import DeskView
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import answer, play, redraw
from widgets.blotter import Blotter
from widgets.live_table import words_of


def worked(*, paused: bool = False, urgency: str = "normal") -> DeskView:
    day = frozen.working_day()
    orders = tuple(
        msgspec.structs.replace(one, paused=paused, urgency=urgency) if one.order_id == "P104" else one
        for one in day.orders
    )
    return msgspec.structs.replace(day, orders=orders)


def at(order_id: str, view: DeskView, *keys: str) -> tuple[FakeEngine, str]:
    said: list[str] = []

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.answer = co.CommandResult(ok=True, text="done", order_id="P104")
        await redraw(pilot)
        pilot.app.screen_stack[0].query_one(Blotter).select(order_id)
        await pilot.press(*keys)
        said.append(answer(pilot))

    return play(script, view=view), said[0]


@pytest.mark.parametrize("order_id", ["P104", "C212"])
def test_p_pauses_the_parent_at_once_from_its_child_too(order_id: str) -> None:
    engine, _ = at(order_id, worked(), "p")
    assert engine.commands == [co.PauseOrder(source=engine.commands[0].source, order_id="P104")]


def test_a_paused_one_goes_on_at_the_second_press_only() -> None:
    engine, said = at("P104", worked(paused=True), "p")
    assert engine.commands == []
    assert "p again within 2 s" in said
    engine, _ = at("P104", worked(paused=True), "p", "p")
    assert [type(command) for command in engine.commands] == [co.ResumeOrder]


@pytest.mark.parametrize(
    ("key", "urgency", "asked"),
    [("plus", "normal", "take"), ("minus", "normal", "passive"), ("plus", "passive", "normal")],
)
def test_a_step_of_urgency(key: str, urgency: str, asked: str) -> None:
    engine, _ = at("P104", worked(urgency=urgency), key)
    (command,) = engine.commands
    assert isinstance(command, co.SetUrgency)
    assert (command.order_id, command.urgency) == ("P104", asked)


def test_what_cannot_be_is_said_and_not_asked() -> None:
    engine, said = at("P104", worked(urgency="take"), "plus")
    assert engine.commands == []
    assert "nothing beyond" in said
    engine, said = at("P105", worked(), "plus")
    assert engine.commands == []
    assert "has no urgency" in said


def test_a_paused_parent_says_so_in_its_row() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await redraw(pilot)
        shown = {row.id: words_of(row) for row in pilot.app.screen_stack[0].query_one(Blotter).rows}
        assert "PAUSED" in shown["P104"]
        assert "VWAP 24% take" in shown["P104"]

    play(script, view=worked(paused=True, urgency="take"))


def test_what_an_algorithm_works_offers_no_amend_and_says_what_can_be_done() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        pilot.app.query_one(Blotter).select("P104")
        await pilot.press("a")
        assert answer(pilot) == (
            "P104 is worked by vwap and cannot be amended: + and - change its urgency, p pauses it, x cancels it"
        )
        assert pilot.app.query_one("#pad", Input).value == ""

    assert play(script).commands == []
