"""The desk's keys on a hand-written engine: what they ask for, and what they never do."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from bolt_tui.app import Desk
from bolt_tui.commands.desk import refuse_terminal
from bolt_tui.screens.dialogs import CardScreen, QuitScreen, RearmScreen
from bolt_tui.screens.order_form import FormScreen
from bolt_tui.screens.preview import PreviewScreen
from bolt_tui.settings import Environment, Settings
from bolt_tui.themes import shipped
from engine.domain import commands as co
from engine.domain.order import OrderState
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.frozen import order
from tests.screens.play import HZ, LARGE, SIZES, SMALL, answer, keys, play, playing, redraw, type_line
from widgets.answer_lines import AnswerLines
from widgets.blotter import Blotter
from widgets.kill_banner import KillBanner, banner_lines
from widgets.live_table import LiveTable, words_of
from widgets.messages import DeskExit
from widgets.order_book_panel import OrderBookPanel
from widgets.status_bar import StatusBar, status_content
from widgets.trade_log_panel import TradeLogPanel

LINE = "b100 AAPL @189.10"


def orders(pilot: Pilot[str]) -> Blotter:
    return pilot.app.screen_stack[0].query_one(Blotter)


# -- an order's way ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_an_order_is_previewed_then_sent_once(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, LINE)
        assert isinstance(pilot.app.screen, PreviewScreen)
        assert engine.sent() == []
        engine.wait(0.3)
        await pilot.press("enter", "enter", "enter")

    sent = play(script, size=size).sent()
    assert [(str(command.spec.qty), command.spec.symbol, str(command.spec.limit)) for command in sent] == [
        ("100", "AAPL", "189.1")
    ]
    assert sent[0].intent_id


@pytest.mark.parametrize("size", SIZES)
def test_every_check_can_be_read_and_nothing_is_sent_from_there(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, LINE)
        engine.wait(0.3)
        assert "6 of 6 checks pass" in str(pilot.app.screen.query_one("#preview", Static).render())
        await pilot.press("c")
        card = pilot.app.screen
        assert isinstance(card, CardScreen)
        assert "ok      C06 QTY_MAX            100 of 5,000" in card.words
        await pilot.press(
            "enter", "enter"
        )  # closes the card; the second comes too soon after the preview is seen again
        assert isinstance(pilot.app.screen, PreviewScreen)

    assert play(script, size=size).sent() == []


def test_type_ahead_enter_does_not_send() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, LINE)
        await pilot.press("enter", "enter")
        engine.wait(0.2)
        await pilot.press("enter")

    assert play(script).sent() == []


def test_a_stale_quote_makes_enter_refresh_with_a_new_intent() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, LINE)
        screen = pilot.app.screen
        assert isinstance(screen, PreviewScreen)
        first = screen.offer.intent_id
        engine.wait(2)
        engine.age_quotes(2)
        await pilot.press("enter")
        await pilot.pause()
        assert engine.sent() == []
        assert engine.previews() == 2
        assert screen.offer.intent_id != first
        shown = str(screen.query_one("#preview-live", Static).render())
        assert shown.endswith("2.0s old, the newest there is"), "enter sends now, so it is not called stale"
        await pilot.press("enter")
        assert engine.sent() == []
        engine.clock.set_ns(engine.clock.now_ns() + 300_000_000)
        await pilot.press("enter")

    assert len(play(script).sent()) == 1


def test_a_market_that_ran_away_makes_enter_refresh() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, LINE)
        engine.preview = msgspec.structs.replace(frozen.PASSED, preview={**frozen.PASSED.preview, "mid": "180"})
        engine.wait(0.5)
        screen = pilot.app.screen
        assert isinstance(screen, PreviewScreen)
        screen.offer = msgspec.structs.replace(screen.offer, result=engine.preview)
        await pilot.press("enter")
        await pilot.pause()
        assert engine.previews() == 2

    assert play(script).sent() == []


def test_escape_drops_t_stages_e_edits() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, LINE)
        await pilot.press("escape")
        assert "nothing was sent" in answer(pilot)
        await type_line(pilot, LINE)
        await pilot.press("e")
        await pilot.pause()
        assert pilot.app.query_one("#pad", Input).value == "b 100 AAPL @189.10"
        await pilot.press("enter")
        await pilot.pause()
        engine.wait(0.3)
        await pilot.press("t")

    assert [command.staged for command in play(script).sent()] == [True]


def test_a_denied_order_cannot_be_sent_and_says_why() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.preview = frozen.DENIED
        await type_line(pilot, "b900000 AAPL @189.10")
        engine.wait(0.3)
        await pilot.press("enter", "y", "t")
        shown = str(pilot.app.screen.query_one("#preview").render())
        for words in ("DENIED QTY_MAX", "900,000", "5,000", "policy.yaml:23", "[not a markup]"):
            assert words in shown

    assert play(script).sent() == []


@pytest.mark.parametrize("size", [SMALL, LARGE, (40, 12)])
def test_many_refusals_leave_the_keys_in_sight(size: tuple[int, int]) -> None:
    denial = frozen.DENIED.denials[0]
    many = msgspec.structs.replace(frozen.DENIED, denials=(denial,) * 40)

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.preview = many
        await type_line(pilot, "b900000 AAPL @189.10")
        screen = pilot.app.screen
        box, last = screen.query_one("#dialog"), screen.query_one("#preview-keys")
        assert last.region.bottom < box.region.bottom <= size[1] - 1
        shown = str(screen.query_one("#preview").render())
        assert "more: c lists them" in shown or size == (40, 12)
        assert "gate refuses it" in str(last.render())

    play(script, size=size)


def test_a_duplicate_asks_for_y() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.preview = frozen.DUPLICATE
        await type_line(pilot, LINE)
        engine.wait(0.3)
        await pilot.press("enter")
        assert engine.sent() == []
        await pilot.press("y", "y")

    assert [command.confirmed for command in play(script).sent()] == [frozenset({"DUPLICATE"})]


def test_a_wrong_word_is_named_with_what_was_expected() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, "b100 NOSUCH @189.10")
        assert "NOSUCH" in answer(pilot)
        assert engine.commands == []
        assert pilot.app.query_one("#pad", Input).value == "b 100 NOSUCH @189.10"

    play(script)


def test_up_recalls_and_never_sends() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, LINE)
        await pilot.press("escape", "colon", "up")
        assert pilot.app.query_one("#pad", Input).value == "b 100 AAPL @189.10"
        engine.wait(1)
        assert engine.previews() == 1

    assert play(script).sent() == []


def test_a_paste_with_line_ends_asks_for_nothing() -> None:
    from textual import events

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("colon")
        pilot.app.post_message(events.Paste("b 100 AAPL @mkt\nb 100 AAPL @mkt\n"))
        await pilot.pause()
        assert pilot.app.query_one("#pad", Input).value == "b 100 AAPL @mkt"

    assert play(script).commands == []


def test_a_confirmed_order_outlives_the_next_preview() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        import asyncio

        await type_line(pilot, LINE)
        engine.wait(0.3)
        engine.gate = asyncio.Event()
        await pilot.press("enter")
        await pilot.pause()
        engine.answer = co.CommandResult(ok=True, text="taken", order_id="P200")
        await type_line(pilot, "b50 MSFT @mkt")
        engine.gate.set()
        await pilot.pause()
        assert len(engine.sent()) == 1
        assert "P200" in answer(pilot)

    play(script)


def test_a_lost_answer_is_shown_as_unknown() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.answer = co.CommandResult(ok=False, code="UNKNOWN", text="no answer within 5 s")
        await type_line(pilot, LINE)
        engine.wait(0.3)
        await pilot.press("enter")
        await pilot.pause()
        assert answer(pilot).startswith("UNKNOWN")

    assert len(play(script).sent()) == 1


def test_buying_at_the_bid_takes_at_most_twelve_keys() -> None:
    pressed = ["b", "1", "0", "0", "space", "right", "enter"]

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press(*pressed)
        await pilot.pause()
        engine.wait(0.3)
        await pilot.press("enter")

    sent = play(script, view=frozen.empty()).sent()
    assert len(pressed) + 1 <= 12
    assert [(str(command.spec.qty), str(command.spec.limit)) for command in sent] == [("100", "189.06")]


def test_the_form_says_the_same_line_and_goes_to_the_same_preview() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("n")
        assert isinstance(pilot.app.screen, FormScreen)
        await pilot.press("s", "tab", "7", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PreviewScreen)
        assert engine.sent() == []

    engine = play(script, view=frozen.empty())
    asked = engine.commands[0]
    assert isinstance(asked, co.Preview)
    assert (asked.spec.side, str(asked.spec.qty), str(asked.spec.limit)) == ("sell", "7", "189.07")


# -- the selected order ------------------------------------------------------------------------------------------------


def test_the_newest_order_is_cancelled_by_two_keys() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "x")

    assert play(script).cancelled() == ["P107"]


def test_nothing_is_cancelled_where_nothing_is_selected() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("x", "a", "r")
        assert "select" in answer(pilot)

    assert play(script).commands == []


def test_cancel_goes_to_the_id_under_the_cursor_though_rows_moved() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "down")
        chosen = orders(pilot).selected
        engine.show_orders(*(order(f"P{number}") for number in range(300, 310)), *engine.view().orders[::-1])
        await redraw(pilot)
        await pilot.press("x")
        assert chosen == "P106"

    assert play(script).cancelled() == ["P106"]


def test_an_order_that_went_away_is_never_replaced_by_its_neighbour() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down")
        engine.show_orders(order("P2"), order("P3"))
        await redraw(pilot)
        await pilot.press("x", "a", "enter")
        assert "not shown any more" in answer(pilot)

    assert play(script).commands == []


def test_own_new_order_is_selected() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, LINE)
        engine.wait(0.3)
        engine.answer = co.CommandResult(ok=True, text="taken", order_id="P400")
        await pilot.press("enter")
        await pilot.pause()
        engine.show_orders(*engine.view().orders, order("P400", created_ns=engine.clock.now_ns()))
        await redraw(pilot)
        assert orders(pilot).selected == "P400"
        assert orders(pilot).rows[0].id == "P400"
        await pilot.press("x")

    assert play(script).cancelled() == ["P400"]


def test_amend_fills_the_line_with_the_terms_of_now() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "down", "down", "a")
        assert pilot.app.query_one("#pad", Input).value == "a P105 qty 100 @421.5"
        await pilot.press("backspace", "1", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PreviewScreen)
        assert engine.commands[-1].__class__ is co.Preview
        engine.wait(0.3)
        await pilot.press("t", "enter", "enter")

    engine = play(script)
    commands = [command for command in engine.commands if not isinstance(command, co.Preview)]
    assert isinstance(commands[0], co.AmendOrder)
    assert (commands[0].order_id, str(commands[0].qty), str(commands[0].limit)) == ("P105", "100", "421.1")
    assert len(commands) == 1, "an amend cannot be staged, and goes out once"
    asked = next(command for command in engine.commands if isinstance(command, co.Preview))
    assert (asked.order_id, str(asked.spec.limit), str(asked.spec.qty)) == ("P105", "421.1", "100")


def test_release_takes_staged_orders_only() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "r")
        assert "neither staged" in answer(pilot)
        orders(pilot).select("P101")
        await pilot.press("r")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PreviewScreen)
        engine.wait(0.3)
        await pilot.press("enter", "enter")

    assert [command.order_id for command in play(script).commands if isinstance(command, co.ReleaseOrder)] == ["P101"]


def test_cancel_all_needs_two_presses_within_two_seconds() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("X")
        assert (
            answer(pilot)
            == "X again within 2 s cancels 6 working orders of 5 parents (1 limit, 1 market, 1 stop, 1 twap, 1 vwap), "
            "all symbols (1 staged stays)"
        )
        engine.wait(2.1)
        await pilot.press("X")
        assert engine.commands == []
        await pilot.press("X")

    assert [type(command) for command in play(script).commands] == [co.CancelAll]


def test_escape_never_cancels() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "escape", "escape", "colon", "escape", "n", "escape", "R", "escape")

    assert play(script).commands == []


def test_an_order_opens_with_its_children_and_fills() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        orders(pilot).select("P104")
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, CardScreen)
        for words in ("C211", "C212", "FILLS 1", "1.2% below its reference"):
            assert words in pilot.app.screen.words

    play(script)


def test_a_log_line_leads_to_its_order() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        pilot.app.screen.query_one(TradeLogPanel).focus()
        await pilot.press("up", "enter")
        assert orders(pilot).selected == "C212"

    play(script)


def test_a_ladder_row_gives_its_price_to_the_line() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        ladder = pilot.app.screen.query_one(OrderBookPanel)
        ladder.focus()
        ladder.select("p:189.04")
        await pilot.press(*keys("b200 "))
        await pilot.pause()
        await pilot.press("tab")
        assert pilot.app.query_one("#pad", Input).value == "b 200 AAPL @189.04"

    assert play(script, view=frozen.empty()).commands == []


# -- halt, re-arm, quit ------------------------------------------------------------------------------------------------


def test_cancel_all_with_nothing_at_work_says_so_and_asks_all_the_same() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("X")
        assert answer(pilot).startswith("no order works in what is shown; X again")
        await pilot.press("X")

    assert [type(command) for command in play(script, view=frozen.empty()).commands] == [co.CancelAll]


def test_a_monitor_that_halted_is_named_once() -> None:
    halt = msgspec.structs.replace(frozen.halted(), who="lookout", why="lookout: the loop did not turn")
    assert banner_lines(halt, frozen.NOW_NS, 0, 200)[0].startswith(
        "HALTED 14:42:07 by lookout (the loop did not turn): "
    )


def test_halted_is_a_word_in_bar_and_banner() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.show_halt(frozen.halted(durable=False, done=False))
        await redraw(pilot)
        banner = pilot.app.screen.query_one(KillBanner)
        assert banner.display
        words = " ".join(banner.lines)
        for part in (
            "HALTED",
            "anna",
            "5 of 7 orders gone at the venue, 2 still open, 1 kept",
            "NOT YET ON DISK",
            "LEFT OPEN INFY",
            "42 s",
        ):
            assert part in words
        bar = pilot.app.screen.query_one(StatusBar).render().plain
        assert "PAPER" in bar
        assert "HALTED" in bar

    play(script)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_without_an_engine_the_bar_claims_nothing(width: int) -> None:
    trouble = "the engine is gone (Connection refused); reconnecting, attempt 20, and more words than there is room for in any bar"
    line = status_content(frozen.status(), trouble, width).plain
    assert "TRADING ? " in line
    assert "TRADING ON" not in line
    assert "paper up" not in line
    assert re.search(r"\. +\d\d:\d\d:\d\dZ $", line) or width == 200
    halted = frozen.status(halt=msgspec.structs.replace(frozen.status().halt, state="halted"))
    assert "HALTED" in status_content(halted, trouble, width).plain


def test_the_halt_is_said_at_once_though_no_engine_answers() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.connected, engine.link_text = False, "the engine is silent"
        await pilot.press("ctrl+g")
        assert pilot.app.screen.query_one(KillBanner).lines[0].startswith("HALTED")
        assert "NO ENGINE" in pilot.app.screen.query_one(StatusBar).render().plain

    assert play(script).halts


def test_the_receipt_of_a_halt_without_an_engine_is_shown_until_one_is_heard() -> None:
    engine = FakeEngine()
    here = msgspec.structs.replace(frozen.halted(), receipt_path="K1.json", ts_ns=engine.picture.status.ts_ns + 1)
    app = Desk(engine, Settings(), is_ours=True, clock=engine.clock, hz=HZ, halted_here=lambda: here)

    async def run() -> None:
        async with playing(app, (200, 40)) as pilot:
            banner = app.screen.query_one(KillBanner)
            assert "".join(banner.lines) == "", "an engine answers, and says that all is active"
            engine.connected = False
            await pilot.press("ctrl+g")
            assert any("receipt K1.json" in line for line in banner.lines)
            assert not any("waiting" in line for line in banner.lines)
            status = msgspec.structs.replace(engine.picture.status, ts_ns=here.ts_ns + 1)
            engine.show(status=status)
            await redraw(pilot)
            assert not any("K1.json" in line for line in banner.lines), "an engine was heard since, and re-armed"

    asyncio.run(run())


def test_rearm_needs_the_word_and_a_reason_and_shows_the_refusal() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.show_halt(frozen.halted())
        engine.answer = co.CommandResult(ok=False, code="REARM_HOLD", text="42 s of the hold time are left")
        await pilot.press("R")
        await pilot.pause()
        screen = pilot.app.screen
        assert isinstance(screen, RearmScreen)
        assert "42 s left" in str(screen.query_one("#missing").render())
        await pilot.press(*keys("rearm"), "enter")
        assert "in capitals" in str(screen.query_one("#rearm-answer").render())
        screen.query_one("#word", Input).value = "REARM"
        await pilot.press("enter", "enter")
        assert "reason is needed" in str(screen.query_one("#rearm-answer").render())
        assert engine.commands == []
        await pilot.press(*keys("checked"), "enter")
        await pilot.pause()
        assert "REARM_HOLD" in str(screen.query_one("#rearm-answer").render())
        engine.answer = co.CommandResult(ok=True, text="active")
        await pilot.press("enter")
        await pilot.pause()
        assert pilot.app.screen is not screen

    asked = play(script, size=SMALL).commands
    assert [(c.word, c.reason) for c in asked if isinstance(c, co.Rearm)] == [("REARM", "checked")] * 2


@pytest.mark.parametrize(
    ("key", "end"), [("c", DeskExit.STOP_CANCEL), ("o", DeskExit.STOP), ("l", DeskExit.LEAVE), ("escape", None)]
)
def test_quit_asks_what_becomes_of_our_engine(key: str, end: DeskExit | None) -> None:
    found: list[str | None] = []

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("ctrl+q", "ctrl+q")
        assert isinstance(pilot.app.screen, QuitScreen)
        await pilot.press(key)
        await pilot.pause()
        found.append(pilot.app.return_value)

    play(script)
    assert found == [end]


@pytest.mark.parametrize(("key", "end"), [("c", DeskExit.STOP_CANCEL), ("o", None), ("l", DeskExit.LEAVE)])
def test_quit_offers_no_engine_that_does_not_answer(key: str, end: DeskExit | None) -> None:
    found: list[str | None] = []

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.connected = False
        await pilot.press("ctrl+q")
        words = " ".join(str(part.render()) for part in pilot.app.screen.query("Static, FooterLine"))
        assert "halt, and cancel all orders at the venue;" in words
        assert "stop" not in words
        assert "the engine goes on" not in words
        await pilot.press(key)
        found.append(pilot.app.return_value)

    play(script)
    assert found == [end]


def test_leaving_an_engine_of_somebody_else_asks_nothing() -> None:
    found: list[str | None] = []

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("ctrl+q")
        await pilot.pause()
        found.append(pilot.app.return_value)

    assert play(script, is_ours=False).commands == []
    assert found == [DeskExit.LEAVE]


# -- the screen --------------------------------------------------------------------------------------------------------


def test_what_is_drawn_carries_side_state_and_sign_as_characters() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        rows = {row.id: words_of(row) for row in orders(pilot).rows}
        assert " S ESZ6 " in rows["P106"]
        assert "PEND?!" in rows["P106"]
        assert "1200/5000" in rows["P104"]
        assert "VWAP 24%" in rows["P104"]
        assert "NOTIONAL_MAX" in rows["P108"]
        assert "STAGED" in rows["P101"]

    play(script)


def test_done_orders_can_be_hidden() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("D")
        assert not any(row.id == "P91" for row in orders(pilot).rows)

    play(script)


def test_every_palette_entry_is_one_of_our_actions_and_the_selected_one_runs() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        app = pilot.app
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "HALT trading now" in titles
        assert "Quit" not in titles
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*keys("HALT tr"))
        await pilot.pause(0.3)
        await pilot.press("enter")
        await pilot.pause()

    assert play(script).halts


def test_themes_are_switched_live() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        seen = {pilot.app.theme}
        for _ in range(len(shipped()) - 1):
            await pilot.press("T")
            seen.add(pilot.app.theme)
        assert seen == {f"bolt-{name}" for name in shipped()}

    play(script)


def test_foreign_text_cannot_steer_the_terminal_or_the_markup() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        nasty = "[bold red]x[/] \x1b[2J\x07 [/nope"
        engine.show_orders(order("P1", OrderState.REJECTED, note=nasty, algo="direct"))
        engine.answer = co.CommandResult(ok=False, code="REJ", text=nasty)
        await redraw(pilot)
        await pilot.press("down", "x", "enter")
        row = words_of(orders(pilot).rows[-1])
        assert "[bold red]x[/]" in row
        assert "\x1b" not in row

    play(script)


def test_a_resize_keeps_line_and_selection() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down", "down", *keys("b12"))
        for size in ((80, 24), (40, 10), (120, 40), (20, 5), (200, 60), (80, 24)):
            await pilot.resize_terminal(*size)
        assert pilot.app.query_one("#pad", Input).value == "b 12"
        assert orders(pilot).selected == "P106"

    assert play(script).commands == []


@pytest.mark.parametrize("size", [(80, 14), (100, 16), (200, 20)])
def test_in_a_low_terminal_the_orders_keep_their_rows(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down")
        for mode in ("1", "2", "3"):
            await pilot.press(mode)
            assert len(orders(pilot).window) >= 1
            assert orders(pilot).size.width >= size[0] - 2
        for mode in ("4", "5"):
            await pilot.press(mode)
            (pane,) = [one for one in pilot.app.query(LiveTable) if one.display and one.size.height > 0]
            assert len(pane.window) >= 3

    play(script, size=size)


def test_an_order_that_cannot_be_seen_is_not_cancelled() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("down")
        await pilot.resize_terminal(40, 6)
        await pilot.press("x")
        assert (
            answer(pilot) == "the terminal is too low to show an order: make it higher, then select the one to cancel"
        )
        await pilot.resize_terminal(80, 24)
        assert pilot.app.query_one(AnswerLines).render().plain.count("\n") == 1, "broken anew for the width"
        await pilot.press("x")

    assert play(script).cancelled() == ["P107"]


def test_orders_are_seen_at_the_smallest_size_with_the_banner_up() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.show_halt(frozen.halted(durable=False, done=False))
        await redraw(pilot)
        assert orders(pilot).size.height >= 5

    play(script, size=SMALL)


def test_a_dumb_terminal_is_refused_with_what_works_there() -> None:
    assert "bolt headless" in refuse_terminal(Environment(term="dumb"))
    assert refuse_terminal(Environment(term="xterm")) == ""


def test_nothing_is_redrawn_while_nothing_changes() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        app = pilot.app
        assert isinstance(app, Desk)
        panel = orders(pilot)
        await redraw(pilot)
        before = panel.rows
        await redraw(pilot)
        assert panel.rows is before
        engine.show()
        await redraw(pilot)
        assert all(old is new for old, new in zip(before, panel.rows, strict=True) if not old.is_rule)

    play(script, size=LARGE)


def test_a_heading_that_holds_its_place_says_nothing_without_its_section() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        panel = orders(pilot)
        panel.select("P91")
        staged = next(one for one in engine.view().orders if one.order_id == "P101")
        engine.show_orders(*(one for one in engine.view().orders if one is not staged))
        await redraw(pilot)
        (heading,) = [row for row in panel.rows if row.id == "#staged"]
        assert words_of(heading) == ""

    play(script)


def test_without_an_engine_the_desk_says_how_old_it_is_and_what_can_be_done() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        app = pilot.app
        assert isinstance(app, Desk)
        engine.connected, engine.link_text = False, "the engine is gone"
        for seconds in (0, 1):
            engine.wait(seconds)
            app._tick()
            assert "bolt kill" not in app.said
        engine.wait(1)
        app._tick()
        assert app.said.startswith("what is shown is of 14:42:07Z. `bolt kill` cancels at the venue without an engine")
        engine.connected = True
        app._tick()
        assert "answers again" in app.said

    play(script)


def test_without_an_engine_orders_book_and_hours_do_not_look_live() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        app = pilot.app
        assert isinstance(app, Desk)
        app.draw()
        live = [order.order_id for order in engine.picture.orders if order.state is OrderState.NEW]
        states = {row.id: row.words(5) for row in app._orders.rows}
        shown = [one for one in live if one in states]
        assert shown
        assert not any(states[one].endswith("!") for one in shown)
        assert "STALE" not in str(app.query_one("#ladder", LiveTable).border_title)
        engine.connected, engine.link_text = False, "the engine is gone"
        app.draw()
        states = {row.id: row.words(5) for row in app._orders.rows}
        assert all(states[one].endswith("!") for one in shown)
        assert "STALE" in str(app.query_one("#ladder", LiveTable).border_title)
        assert ", ! STALE" in str(app._orders.border_title)
        assert " open" not in status_content(engine.picture.status, "the engine is gone", 200).plain
        engine.connected = True
        app.draw()
        states = {row.id: row.words(5) for row in app._orders.rows}
        assert not any(states[one].endswith("!") for one in shown)

    play(script, FakeEngine(frozen.working_day()))


def test_a_refusal_for_a_halt_does_not_outlive_the_halt() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        app = pilot.app
        assert isinstance(app, Desk)
        on = engine.picture.status.halt
        engine.show_halt(msgspec.structs.replace(on, state="halted"))
        app._tick()
        app._say("DENIED HALTED: global is halted (MANUAL, desk:anna)", "bad")
        app._tick()
        assert "is halted" in app.said
        engine.show_halt(on)
        app._tick()
        assert app.said == "trading is on again"

    play(script)
