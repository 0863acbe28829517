"""Orders that wait for a person: a second person's approval, or a release after their trigger passed unseen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest
from textual.pilot import Pilot

from bolt_tui.screens.dialogs import CardScreen
from bolt_tui.screens.preview import PreviewScreen
from engine.domain import commands as co
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import SMALL, answer, play, redraw
from widgets.alerts_panel import AlertsPanel
from widgets.blotter import Blotter
from widgets.live_table import words_of
from widgets.what_if import checks_words

Act = Callable[[Pilot[str], FakeEngine], Awaitable[None]]
REFUSED = msgspec.structs.replace(
    frozen.DENIED,
    code="APPROVAL",
    denials=(
        co.Denial("APPROVAL", "C31", "anna", "anna", "", "P120 was asked for by anna; another person approves it"),
    ),
)


def at_preview(order_id: str, act: Act, preview: co.CommandResult = frozen.PASSED) -> FakeEngine:
    """Run with the preview of a waiting order open, and its guard over."""

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.preview = preview
        await redraw(pilot)
        pilot.app.screen_stack[0].query_one(Blotter).select(order_id)
        await pilot.press("r")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PreviewScreen)
        engine.wait(0.3)
        await act(pilot, engine)

    return play(script, view=frozen.waiting())


def pressed(*keys: str) -> Act:
    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press(*keys)

    return act


def test_an_approval_leaves_once_and_for_the_terms_that_were_shown() -> None:
    shown: list[str] = []

    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        shown.extend(str(box.render()) for box in pilot.app.screen.query("Static"))
        await pilot.press("enter", "enter")

    engine = at_preview("P120", act, frozen.FOUR_EYES)
    (approved,) = [command for command in engine.commands if isinstance(command, co.ApproveOrder)]
    assert (approved.order_id, approved.order_hash) == ("P120", frozen.WAITING_HASH)
    words = " ".join(" ".join(shown).split())
    assert "FOUR_EYES 5,672,100 is above 5,000,000 (policy.yaml:29): asked for by desk:ben" in words
    assert f"exactly these terms: {frozen.WAITING_HASH}" in words


def test_who_asked_for_it_is_told_so_and_sends_nothing() -> None:
    engine = at_preview("P120", pressed("enter", "y", "t", "e", "escape"), REFUSED)
    assert not any(isinstance(command, co.ApproveOrder | co.ReleaseOrder | co.NewOrder) for command in engine.commands)


@pytest.mark.parametrize(("order_id", "said"), [("P120", "turning P120 down"), ("P121", "turning P121 down")])
def test_d_in_the_preview_turns_it_down(order_id: str, said: str) -> None:
    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.answer = co.CommandResult(ok=True, text="cancel asked", order_id=order_id)
        await pilot.press("d", "d")

    assert at_preview(order_id, act).cancelled() == [order_id]


def test_a_suspended_order_is_released_once_from_its_preview() -> None:
    shown: list[str] = []

    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        shown.extend(str(box.render()) for box in pilot.app.screen.query("Static"))
        await pilot.press("enter", "enter")

    engine = at_preview("P121", act)
    (released,) = [command for command in engine.commands if isinstance(command, co.ReleaseOrder)]
    assert released.order_id == "P121"
    assert "passed while no engine was up" in " ".join(shown)


def test_an_order_that_waits_for_nobody_is_not_released() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await redraw(pilot)
        pilot.app.screen_stack[0].query_one(Blotter).select("P105")
        await pilot.press("r")
        assert "neither staged nor suspended" in answer(pilot)

    assert play(script, view=frozen.waiting()).commands == []


def test_the_blotter_says_what_each_of_them_waits_for() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await redraw(pilot)
        shown = {row.id: words_of(row) for row in pilot.app.screen_stack[0].query_one(Blotter).rows}
        assert f"waits for a second person, {frozen.WAITING_HASH}" in shown["P120"]
        assert "SUSP" in shown["P121"]
        assert "passed while no engine was up" in shown["P121"]

    play(script, view=frozen.waiting())


def test_alerts_are_acknowledged_one_by_one_and_all_at_once() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await redraw(pilot)
        assert "ALERT P120 AAPL needs a second person and 1 more" in answer(pilot)
        panel = pilot.app.screen_stack[0].query_one(AlertsPanel)
        new = [row.id for row in panel.rows if not row.is_rule]
        assert new[0] == f"approve P120 {frozen.WAITING_HASH}"
        pilot.app.screen_stack[0].set_focus(panel)
        await pilot.press("down", "enter")
        assert answer(pilot).startswith("acknowledged: P120 AAPL needs a second person")
        shown = [row.words(0) for row in panel.rows if row.is_rule]
        assert shown[0] == "waits for a person: 1"
        assert shown[-1] == "acknowledged: 1"
        await pilot.press("K")
        assert f"{len(new) - 1} alerts acknowledged" in answer(pilot)
        assert [row.words(0) for row in panel.rows if row.is_rule] == [f"acknowledged: {len(new)}"]

    assert play(script, view=frozen.waiting(), size=(200, 60)).commands == []


def test_where_no_pane_shows_them_alerts_are_shown_before_they_are_acknowledged() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await redraw(pilot)
        await pilot.press("K")
        await pilot.pause()
        assert isinstance(pilot.app.screen, CardScreen)
        assert "WAITS FOR A PERSON: 2" in pilot.app.screen.words
        assert "new  APPROVE  P120 AAPL needs a second person" in pilot.app.screen.words
        await pilot.press("escape", "K")
        await pilot.pause()
        assert isinstance(pilot.app.screen, CardScreen)
        assert "new" not in pilot.app.screen.words

    play(script, view=frozen.waiting(), size=SMALL)


def test_a_refusal_that_is_no_check_of_the_gate_is_counted_as_one_that_does_not_pass() -> None:
    refused = msgspec.structs.replace(frozen.PASSED, denials=REFUSED.denials)
    count = len(frozen.PASSED.checks)
    assert checks_words(frozen.PASSED) == f"{count} of {count} checks pass"
    assert checks_words(refused) == f"{count} of {count + 1} checks pass"
    assert checks_words(frozen.DENIED).startswith("1 of 3 ")
