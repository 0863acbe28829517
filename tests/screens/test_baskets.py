"""Baskets on the desk: read from a file, judged line by line, sent as one from the preview and never from anywhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from bolt_tui.basket_files import completed, typed_path
from bolt_tui.screens.basket import BasketScreen
from bolt_tui.screens.dialogs import CardScreen
from engine.domain import commands as co
from engine.domain.order import OrderState
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import answer, keys, play, redraw
from widgets.blotter import Blotter
from widgets.live_table import words_of

GOOD = "side,qty,symbol,price\nbuy,100,AAPL,189.05\nsell,50,MSFT,421.50\n"
CONFIRM = msgspec.structs.replace(frozen.DENIAL, code="DUPLICATE", confirmable=True)
Act = Callable[[Pilot[str], FakeEngine], Awaitable[None]]


def rows(pilot: Pilot[str]) -> list[str]:
    return [words_of(row) for row in pilot.app.screen_stack[0].query_one(Blotter).rows]


def asked(engine: FakeEngine, kind: type[co.Command]) -> int:
    return sum(1 for command in engine.commands if isinstance(command, kind))


def at_basket(act: Act, result: co.CommandResult | None = None) -> FakeEngine:
    """Run with the preview of the staged basket open, and its guard over."""

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.answer = result or frozen.basket_judged()
        pilot.app.screen_stack[0].query_one(Blotter).select("B2")
        await pilot.press("r")
        await pilot.pause()
        assert isinstance(pilot.app.screen, BasketScreen)
        engine.wait(0.3)
        await act(pilot, engine)

    return play(script, view=frozen.with_baskets())


def test_a_file_is_staged_and_shown_and_nothing_of_it_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "rebal.csv"
    file.write_text(GOOD, encoding="utf-8")

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.answer = frozen.basket_judged()
        await pilot.press("B", *keys(str(file)), "enter", "enter")
        await pilot.pause()
        while not isinstance(pilot.app.screen, BasketScreen):
            await pilot.pause(0.01)
        await pilot.press("escape")
        assert "stays staged, nothing of it was sent" in answer(pilot)

    engine = play(script)
    (staged,) = [command for command in engine.commands if isinstance(command, co.StageBasket)]
    assert staged.name == "rebal.csv"
    assert [(one.line, one.spec.symbol, str(one.spec.qty)) for one in staged.lines] == [
        (2, "AAPL", "100"),
        (3, "MSFT", "50"),
    ]
    assert asked(engine, co.ReleaseBasket) == 0
    assert engine.sent() == []


def test_a_file_with_bad_lines_stages_nothing_and_names_each(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("side,qty,symbol,price\nbuy,100,AAPL,189.05\nbuy,1.x,AAPL,189\nhold,5,MSFT,1\n", encoding="utf-8")
    told: list[str] = []

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("B", *keys(str(file)), "enter")
        while not isinstance(pilot.app.screen, CardScreen):
            await pilot.pause(0.01)
        told.append(pilot.app.screen.words)
        assert "2 bad lines" in answer(pilot)
        await pilot.press("escape", "B")
        line = pilot.app.screen.query_one("#path", Input)
        assert line.value == str(file), "enter takes the same file again"
        await pilot.press(*keys("~/b"))
        assert line.value == "~/b", "and typing names another"

    assert play(script).commands == []
    assert "line 3: " in told[0]
    assert "line 4: " in told[0]
    assert "mend the file" in told[0]


@pytest.mark.parametrize("name", ["none.csv", "folder", "/dev/zero"])
def test_what_is_no_file_is_said_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    found = typed_path(str(tmp_path / name))
    assert isinstance(found, str)
    assert "type the name of a csv file" in found


def test_tab_completes_the_name_in_the_order_of_the_keys(tmp_path: Path) -> None:
    (tmp_path / "close_1545.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "close_1600.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "close.png").write_text("", encoding="utf-8")
    assert completed(f"{tmp_path}/cl") == (f"{tmp_path}/close_1", ["close_1545.csv", "close_1600.csv"])
    assert completed(f"{tmp_path}/zz") == (f"{tmp_path}/zz", [])

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.answer = frozen.basket_judged()
        await pilot.press("B", *keys(f"{tmp_path}/cl"), "tab", "6", "tab", "enter")
        while not engine.commands:
            await pilot.pause(0.01)

    (staged, *_) = play(script).commands
    assert isinstance(staged, co.StageBasket)
    assert staged.name == "close_1600.csv"


def test_double_enter_releases_once() -> None:
    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("enter", "enter", "enter")

    engine = at_basket(act)
    (released,) = [command for command in engine.commands if isinstance(command, co.ReleaseBasket)]
    assert (released.basket_id, released.confirmed) == ("B2", frozenset())


def test_keys_typed_ahead_of_the_preview_release_nothing() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.answer = frozen.basket_judged()
        pilot.app.screen_stack[0].query_one(Blotter).select("B2")
        await pilot.press("r", "enter", "enter", "y", "d", "d")
        await pilot.pause()
        assert isinstance(pilot.app.screen, BasketScreen)

    engine = play(script, view=frozen.with_baskets())
    assert {type(command) for command in engine.commands} == {co.LookAtBasket}


def test_one_denied_line_stops_the_whole_basket_and_is_told_in_full() -> None:
    said: list[str] = []

    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("enter", "y")
        said.extend(str(box.render()) for box in pilot.app.screen.query("Static"))

    engine = at_basket(act, frozen.basket_judged({3: frozen.DENIAL, 4: CONFIRM}))
    assert asked(engine, co.ReleaseBasket) == 0
    shown = " ".join(" ".join(said).split())
    assert "one line is denied, so nothing of the basket leaves (C28). Line 3:" in shown
    assert (
        "DENIED QTY_MAX: 900,000 shares of AAPL are more than an order may hold; the most is 5,000 (policy.yaml:23)"
        in shown
    )
    assert "it cannot be released as it is" in shown


def test_what_a_person_must_confirm_takes_another_key() -> None:
    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("enter")
        assert asked(engine, co.ReleaseBasket) == 0
        await pilot.press("y", "y")

    total = msgspec.structs.replace(CONFIRM, code="BASKET_CONFIRM", control="C28")
    engine = at_basket(act, frozen.basket_judged({4: CONFIRM}, total=(total,)))
    (released,) = [command for command in engine.commands if isinstance(command, co.ReleaseBasket)]
    assert released.confirmed == {"DUPLICATE", "BASKET_CONFIRM"}


def test_old_verdicts_are_refreshed_before_anything_leaves() -> None:
    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.wait(20)
        await pilot.press("enter", "enter")
        assert asked(engine, co.ReleaseBasket) == 0
        assert asked(engine, co.LookAtBasket) == 2
        engine.wait(0.3)
        await pilot.press("enter")

    assert asked(at_basket(act), co.ReleaseBasket) == 1


def test_a_basket_is_dropped_on_the_second_press() -> None:
    async def act(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("d")
        engine.wait(3)
        await pilot.press("d")
        assert asked(engine, co.DropBasket) == 0
        await pilot.press("d")

    assert asked(at_basket(act), co.DropBasket) == 1


def test_a_basket_stands_above_its_orders_and_is_cancelled_as_one() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await redraw(pilot)
        shown = rows(pilot)
        at = next(index for index, row in enumerate(shown) if row.startswith(" B1v"))
        assert "rebal_0930.csv: 1 filled" in shown[at]
        assert [row.split()[0] for row in shown[at + 1 : at + 3]] == ["|P111", "|P110"]
        assert any(row.startswith(" B2") and "STAGED" in row for row in shown)
        pilot.app.screen_stack[0].query_one(Blotter).select("B1")
        await pilot.press("left")
        assert not any("P111" in row for row in rows(pilot))
        await pilot.press("right", "x")
        assert engine.commands == []
        await pilot.press("x", "x")

    assert sorted(play(script, view=frozen.with_baskets()).cancelled()) == ["P110", "P111"]


@pytest.mark.parametrize("kind", ["order", "basket", "basket sent in part"])
def test_what_was_released_does_not_stand_below_the_heading_of_what_is_staged(kind: str) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        panel = pilot.app.query_one(Blotter)
        day = engine.view()
        engine.answer = frozen.basket_judged()
        chosen = "P101" if kind == "order" else "B2"
        panel.select(chosen)
        await pilot.press("r")
        engine.wait(1)
        if kind == "basket sent in part":
            engine.answer = co.CommandResult(ok=False, code="PARTLY", text="298 of 300 were sent")
        await pilot.press("enter")
        if kind != "order":
            engine.show(
                baskets=(day.baskets[0], msgspec.structs.replace(day.baskets[1], state="released", orders=("P107",)))
            )
        else:
            engine.show(orders=[
                msgspec.structs.replace(one, state=OrderState.NEW) if one.order_id == "P101" else one
                for one in day.orders
            ])  # fmt: skip
        await redraw(pilot)
        assert panel.selected == chosen
        ids = [row.id for row in panel.rows]
        assert "#staged" not in ids[: ids.index(panel.selected)]

    play(script, view=frozen.with_baskets())


def test_sorting_and_filtering_put_every_row_in_its_place_and_keep_the_cursor() -> None:
    """A basket's row that held its place let its orders stand below another one."""

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        panel = pilot.app.query_one(Blotter)
        panel.select("B1")
        for key in ("greater_than_sign", "less_than_sign", "greater_than_sign"):
            await pilot.press(key)
            ids = [row.id for row in panel.rows]
            assert set(ids[ids.index("B1") + 1 :][:2]) == {"P110", "P111"}
            assert panel.selected == "B1"
            assert "#new" not in ids
        await pilot.press("slash", *keys("spy"), "enter")
        ids = [row.id for row in panel.rows]
        assert "P107" not in ids
        assert panel.selected == "B1"

    play(script, view=frozen.with_baskets())
