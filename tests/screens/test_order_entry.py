"""The order line while it is typed: what is expected, what the order would do, and that nothing leaves without a preview."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from bolt_tui.app import Desk
from bolt_tui.screens.order_form import FormScreen
from bolt_tui.screens.preview import PreviewScreen
from bolt_tui.settings import Settings
from engine.domain import commands as co
from engine.domain.money import Price, Qty
from engine.intake.presets import Preset, Presets
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import SIZES, answer, keys, play, playing, type_line
from tests.screens.test_every_state import STATES
from widgets.quick_order_pad import QuickOrderPad

RICH = msgspec.structs.replace(
    frozen.PASSED,
    preview={
        **frozen.PASSED.preview,
        "cost": "9 USD", "cost_bp": "1", "book_qty": "100", "book_avg": "189.07", "book_levels": "1",
        "fee": "0.18 USD (example rates)", "ticks_from_mid": "3.5", "margin": "4.8% of equity (9452.50 USD, all open orders filled)",
        "self_cross": "none", "median": "200", "median_times": "0.5",
    },
    checks=(
        co.CheckResult("C06", "QTY_MAX", True, "100", "5000", "2", "policy.yaml:23"),
        co.CheckResult("C16", "POSITION_MAX", True, "4300", "10000", "43", "policy.yaml:40"),
    ),
)  # fmt: skip


async def typed(pilot: Pilot[str], line: str) -> None:
    await pilot.press(*keys(line))
    await pilot.pause()
    await pilot.pause()


def test_what_it_would_do_stands_below_the_line_before_enter() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.preview = RICH
        await typed(pilot, "b100 AAPL @189.10")
        said = answer(pilot)
        assert said.splitlines()[0] == "BUY 100 AAPL limit 189.10 day"
        for words in (
            "18,910.00 USD",
            "pos +300 to +400",
            "cost 1 bp",
            "fee 0.18 USD",
            "POSITION_MAX 43%",
            "2/2 checks ok",
        ):
            assert words in said

    engine = play(script)
    assert engine.commands == [], "a question is no command"
    assert str(engine.questions[-1].spec.limit) == "189.1"


def test_a_refusal_stands_before_every_figure() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.preview = frozen.DENIED
        await typed(pilot, "b900000 AAPL @189.10")
        lines = answer(pilot).splitlines()
        assert lines[1] == "DENIED QTY_MAX 900,000 of 5,000 (policy.yaml:23) and 1 more"

    play(script, size=SIZES[0])


def test_an_unusual_size_and_an_own_order_that_it_meets_are_loud() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        figures = {**RICH.preview, "median_times": "10", "self_cross": "C211"}
        engine.preview = msgspec.structs.replace(RICH, preview=figures)
        await typed(pilot, "b2000 AAPL @189.10")
        assert "10x your usual 200" in answer(pilot).splitlines()[1]
        assert "own orders it meets: C211" in answer(pilot).splitlines()[2]

    play(script)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("b", "b buy"),
        ("b ", "expected next: a size: 100, 5k"),
        ("b 100 A", "AAPL"),
        ("b 100 AAPL ", "expected next: a price: @189.10, @mkt"),
        ("b 100 NOPE ", "'NOPE': no known symbol; expected AAPL"),
        ("b 100 AAPL @mi", "@mid"),
        ("b 100 AAPL @x", "'@x': no price; expected a price: @189.10"),
        ("x P104", "enter asks the engine"),
        ("a P104 qty 100", "enter previews it"),
    ],
)
def test_each_word_says_what_is_expected(line: str, said: str) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        del engine
        await pilot.press("colon")
        await typed(pilot, line)
        assert said in answer(pilot)

    play(script)


def test_the_answer_to_older_words_is_never_shown() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.gate = asyncio.Event()
        await typed(pilot, "b100 AAPL @189.10")
        await typed(pilot, " foo ")
        engine.gate.set()
        await pilot.pause()
        assert "'foo': not understood" in answer(pilot)

    play(script)


def test_no_answer_is_said_and_the_order_can_still_be_previewed() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.is_deaf = True
        await type_line(pilot, "b100 AAPL @189.10")
        assert isinstance(pilot.app.screen, PreviewScreen)

    play(script)


def test_the_preview_names_where_each_default_is_from() -> None:
    presets = Presets(all=Preset(tif="gtc"), symbols={"AAPL": Preset(size="50", price="mid")})

    async def run() -> str:
        engine = FakeEngine(frozen.working_day())
        engine.preview = RICH
        app = Desk(engine, Settings(presets=presets), is_ours=True, clock=engine.clock)
        async with playing(app, (120, 40)) as pilot:
            await pilot.pause()
            await type_line(pilot, "sAAPL")
            return str(app.screen.query_one("#preview", Static).render())

    said = asyncio.run(run())
    assert "by default: price mid (presets.symbols.AAPL)   size 50 (presets.symbols.AAPL)" in said
    assert "tif gtc (presets.all)" in said
    assert "account PAPER (the desk)" in said


@pytest.mark.parametrize("size", SIZES)
def test_the_form_answers_as_the_line_does_and_never_sends(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.preview = RICH
        await pilot.press("n")
        form = pilot.app.screen
        assert isinstance(form, FormScreen)
        for name, words in (
            ("side", "buy"),
            ("size", "100"),
            ("symbol", "AAPL"),
            ("price", "189.10"),
            ("acct", "PAPER"),
        ):
            form.query_one(f"#form-{name}", Input).value = words
        await pilot.pause()
        await pilot.pause()
        assert "POSITION_MAX 43%" in str(form.query_one("#form-answer", Static).render())
        for field in form.query(Input):
            form.set_focus(field)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PreviewScreen)

    assert play(script, size=size).sent() == []


@pytest.mark.parametrize("line", ["b 100 AAPL @189.10", "a P105 qty 50", "release P101"])
def test_enter_in_the_line_never_sends_without_a_preview(line: str) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("colon")
        await type_line(pilot, line)
        await pilot.press(*["enter"] * 5)
        engine.wait(0.2)
        await pilot.press(*["enter"] * 5)
        engine.wait(0.2)
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, PreviewScreen), "the guard starts again with each key that comes too soon"

    assert [type(command) for command in play(script).commands] == [co.Preview]


def test_recalling_never_sends() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await type_line(pilot, "b100 AAPL @189.10")
        engine.wait(0.3)
        await pilot.press("enter", "colon", "up")
        assert pilot.app.screen_stack[0].query_one("#pad", Input).value == "b 100 AAPL @189.10"
        engine.wait(1)
        await pilot.press("escape", "colon", "up", "down", "up")

    assert len(play(script).sent()) == 1


FROM = ("desk", "line with words", "every check", "palette with words", "quit", "an order's card")


@pytest.mark.parametrize("name", FROM)
def test_a_hundred_at_the_bid_takes_at_most_twelve_keys_from_everywhere(name: str) -> None:
    """Escape until the desk is there, `b 100`, the completion, enter, enter."""
    act, _ = STATES[name]

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await act(pilot, engine)
        figures = {name: value for name, value in frozen.PASSED.preview.items() if name != "mid"}
        engine.gate, engine.preview = None, msgspec.structs.replace(frozen.PASSED, preview=figures)
        engine.connected, engine.link_text = True, ""
        before, count = len(engine.sent()), 0
        while pilot.app.screen is not pilot.app.screen_stack[0] or isinstance(pilot.app.focused, Input):
            await pilot.press("escape")
            count += 1
            assert count <= 4
        for key in ("b", "1", "0", "0", "tab", "enter"):
            await pilot.press(key)
        await pilot.pause()
        await pilot.pause()
        engine.wait(0.3)
        await pilot.press("enter")
        await pilot.pause()
        assert count + 7 <= 12
        order = engine.sent()[before].spec
        assert (str(order.side), order.qty, order.limit) == ("buy", Qty(100), frozen.bid_of(order.symbol))

    play(script)


@pytest.mark.parametrize("mode", ["1", "4"])
def test_the_newest_order_is_cancelled_with_two_keys_though_another_is_held(mode: str) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press(mode, "down", "down")
        newer = frozen.order("P900", created_ns=engine.clock.now_ns())
        engine.show_orders(*engine.view().orders, newer)
        await pilot.press("full_stop", "x")

    assert play(script).cancelled() == ["P900"]


def test_with_no_open_order_there_is_no_newest_one() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("full_stop")
        assert answer(pilot) == "no order is open"
        await pilot.press("x")

    assert play(script, view=frozen.empty()).cancelled() == []


def test_the_pad_stands_still_while_words_come_and_go() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        engine.preview = RICH
        pad = pilot.app.query_one(QuickOrderPad)
        await pilot.press("b")
        await pilot.pause()
        heights = set()
        for key in keys("100 AAPL @189.10 foo "):
            await pilot.press(key)
            await pilot.pause()
            heights.add(pad.size.height)
        assert len(heights) == 1

    play(script, size=SIZES[0])


def test_a_bracket_offers_no_staging_and_says_why_where_it_is_asked() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("b", *keys("100 AAPL @189.10 tp 191 sl 188"), "enter")
        shown = pilot.app.screen.query_one("#preview-keys", Static)
        assert "t stages" not in str(shown.render())
        engine.wait(1)
        await pilot.press("t")
        assert "orders that belong together cannot be staged" in str(shown.render())
        assert isinstance(pilot.app.screen, PreviewScreen)

    assert play(script).sent() == []


def test_a_preview_shows_the_quote_with_its_ticks_decimals() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        quotes = tuple(
            msgspec.structs.replace(one, bid=Price("189.1"), ask=Price("189.2")) for one in engine.view().quotes
        )
        engine.show(quotes=quotes)
        await pilot.press("b", *keys("100 AAPL @189.10"), "enter")
        assert "quote now 189.10 / 189.20" in str(pilot.app.screen.query_one("#preview-live", Static).render())

    play(script)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("release P107", "P107 is neither staged nor suspended; only such orders are released or approved"),
        ("release P91", "P91 has ended (FILL); it cannot be released"),
        ("a P91 qty 200", "P91 has ended (FILL); it cannot be amended"),
    ],
)
def test_a_typed_release_or_amend_of_another_state_opens_no_preview(line: str, said: str) -> None:
    """There d would have cancelled a working order as if nothing of it had left."""

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        await pilot.press("colon")
        await type_line(pilot, line)
        assert answer(pilot) == said
        assert len(pilot.app.screen_stack) == 1

    assert play(script).commands == []


def test_an_amend_that_waits_says_for_what_and_a_reason_is_no_order() -> None:
    shown: list[str] = []

    async def script(pilot: Pilot[str], engine: FakeEngine) -> None:
        orders = engine.view().orders
        engine.show(orders=[msgspec.structs.replace(one, waits="when SPY >= 500") for one in orders])
        for told in (frozen.PASSED, co.CommandResult(ok=False, code="ILLEGAL", text="it cannot be amended")):
            engine.preview = told
            await pilot.press("colon")
            await type_line(pilot, "a P105 qty 200")
            shown.append(str(pilot.app.screen.query_one("#preview-words", Static).render()))
            await pilot.press("escape")

    play(script)
    assert shown[0].endswith("when SPY >= 500")
    assert shown[1] == "AMEND P105 to SELL 200 MSFT limit 421.5 day when SPY >= 500"
