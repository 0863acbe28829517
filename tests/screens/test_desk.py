"""The desk on a hand-written engine: what its keys ask for, and what they never do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from bolt_tui.app import Desk
from bolt_tui.keymap import KEYS
from bolt_tui.screens.dialogs import PreviewScreen
from bolt_tui.settings import Settings
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, SimClock
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderState, Side
from engine.views import BookView, DeskView, HaltView, OrderView, QuoteView, StatusView
from widgets.live_table import LiveTable

NOW_NS = 1_700_000_000 * NS_PER_S
SIZES = [(80, 24), (120, 40)]


def order(order_id: str, state: OrderState = OrderState.NEW) -> OrderView:
    return OrderView(
        order_id=order_id,
        symbol="AAPL",
        side=Side.BUY,
        qty=Qty(100),
        qty_filled=Qty(0),
        type="limit",
        limit=Price("189"),
        tif="day",
        state=state,
        broker="paper",
        account="PAPER",
        source="desk:anna",
        created_ns=NOW_NS + int(order_id[1:]),
        updated_ns=NOW_NS,
    )


class FakeEngine:
    """Keeps commands; answers as the test says."""

    connected = True
    link_text = ""

    def __init__(self, state: str = "active") -> None:
        self.commands: list[co.AnyCommand] = []
        self.halts: list[str] = []
        self.orders: tuple[OrderView, ...] = (order("P1"), order("P2"))
        self.denials: tuple[co.Denial, ...] = ()
        self.state = state
        self.number = 1

    def view(self) -> DeskView:
        status = StatusView(
            mode="PAPER",
            account="PAPER",
            ledger_id="TEST0",
            head_seq=1,
            durable_seq=1,
            ts_ns=NOW_NS,
            started_ns=NOW_NS,
            policy_hash="",
            halt=HaltView(state=self.state, who="anna", why="test", ts_ns=NOW_NS),
            pnl_day=Money("12.5"),
            currency="USD",
        )
        quote = QuoteView(symbol="AAPL", venue="XSIM", bid=Price("189.01"), ask=Price("189.03"), ts_ns=NOW_NS)
        book = BookView(
            symbol="AAPL",
            venue="XSIM",
            ts_ns=NOW_NS,
            tick=Price("0.01"),
            bids=((Price("189.01"), Qty(5)),),
            asks=((Price("189.1"), Qty(7)),),
        )
        made = make_instrument("AAPL", "equity", "XSIM", "USD", "0.01")
        return DeskView(status=status, orders=self.orders, quotes=(quote,), books=(book,), instruments=(made,))

    def version(self) -> int:
        return self.number

    async def submit(self, command: co.AnyCommand) -> co.CommandResult:
        self.commands.append(command)
        return co.CommandResult(ok=not self.denials, text="taken", denials=self.denials)

    def halt_now(self, who: str) -> None:
        self.halts.append(who)

    def sent(self) -> list[co.NewOrder]:
        return [command for command in self.commands if isinstance(command, co.NewOrder)]


Script = Callable[[Pilot[str], FakeEngine, SimClock], Coroutine[None, None, None]]


def play(script: Script, engine: FakeEngine | None = None, size: tuple[int, int] = (120, 40)) -> FakeEngine:
    port, clock = engine or FakeEngine(), SimClock(NOW_NS)

    async def run() -> None:
        app = Desk(port, Settings(), is_ours=True, clock=clock)
        async with app.run_test(size=size) as pilot:
            await script(pilot, port, clock)

    asyncio.run(run())
    return port


async def to_preview(pilot: Pilot[str], line: str = "100 AAPL @mkt") -> None:
    await pilot.press("b", *("space" if char == " " else char for char in line), "enter")
    await pilot.pause()
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
def test_an_order_is_previewed_then_sent_once(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine, clock: SimClock) -> None:
        await to_preview(pilot)
        assert isinstance(pilot.app.screen, PreviewScreen)
        assert engine.sent() == []
        clock.set_ns(NOW_NS + NS_PER_S)
        await pilot.press("enter", "enter", "enter")
        await pilot.pause()

    engine = play(script, size=size)
    assert len(engine.sent()) == 1
    assert engine.sent()[0].spec.qty == 100


def test_type_ahead_enter_does_not_send() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine, _clock: SimClock) -> None:
        await to_preview(pilot)
        await pilot.press("enter", "enter")
        assert engine.sent() == []

    assert play(script).sent() == []


def test_escape_drops_and_t_stages() -> None:
    async def script(pilot: Pilot[str], _engine: FakeEngine, clock: SimClock) -> None:
        await to_preview(pilot)
        await pilot.press("escape")
        await pilot.press("escape")
        await to_preview(pilot)
        clock.set_ns(NOW_NS + NS_PER_S)
        await pilot.press("t")
        await pilot.pause()

    assert [command.staged for command in play(script).sent()] == [True]


def test_a_denied_preview_cannot_be_sent() -> None:
    denial = co.Denial(
        code="QTY_MAX", control="C06", value="100", limit="50", policy_line="policy.yaml:23", text="[bold] too large"
    )

    async def script(pilot: Pilot[str], engine: FakeEngine, clock: SimClock) -> None:
        engine.denials = (denial,)
        await to_preview(pilot)
        clock.set_ns(NOW_NS + NS_PER_S)
        await pilot.press("enter", "y", "t")

    assert play(script).sent() == []


def test_cancel_goes_to_the_id_under_the_cursor_though_rows_moved() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine, _clock: SimClock) -> None:
        table = pilot.app.query_one("#orders", LiveTable)
        table.selected = "P1"
        engine.orders = (order("P9"), order("P8"), order("P1"), order("P2"))
        engine.number += 1
        pilot.app.call_later(lambda: None)
        await pilot.pause(0.25)
        await pilot.press("x")
        await pilot.pause()

    cancelled = [c.order_id for c in play(script).commands if isinstance(c, co.CancelOrder)]
    assert cancelled == ["P1"]


def test_cancel_all_needs_two_presses() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine, _clock: SimClock) -> None:
        await pilot.press("X")
        assert engine.commands == []
        await pilot.press("X")
        await pilot.pause()

    assert [type(command) for command in play(script).commands] == [co.CancelAll]


STATES: dict[str, tuple[str, ...]] = {
    "orders": (),
    "order line": ("b", "1", "0"),
    "help": ("question_mark",),
    "quit": ("ctrl+q",),
    "rearm": ("R",),
    "palette": ("ctrl+p",),
}


@pytest.mark.parametrize("key", ["ctrl+g", "f9"])
@pytest.mark.parametrize("state", [*STATES, "preview"])
def test_halt_works_in_every_state(state: str, key: str) -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine, _clock: SimClock) -> None:
        if state == "preview":
            await to_preview(pilot)
        else:
            await pilot.press(*STATES[state])
        await pilot.pause()
        await pilot.press(key)
        assert engine.halts

    play(script)


def test_halted_is_a_word_on_the_screen() -> None:
    async def script(pilot: Pilot[str], _engine: FakeEngine, _clock: SimClock) -> None:
        await pilot.pause()
        text = pilot.app.query_one("#banner").render()
        assert "HALTED" in str(text)
        assert "PAPER" in str(pilot.app.query_one("#status").render())

    play(script, FakeEngine("halted"))


def test_the_order_line_keeps_its_side() -> None:
    async def script(pilot: Pilot[str], _engine: FakeEngine, _clock: SimClock) -> None:
        await pilot.press("s", "5")
        assert pilot.app.query_one("#pad", Input).value == "s 5"

    play(script)


def test_no_key_is_bound_twice_and_none_is_forbidden() -> None:
    keys = [key for row in KEYS for key in row.key.split(",")]
    assert len(keys) == len(set(keys))
    assert not set(keys) & {"ctrl+h", "ctrl+i", "ctrl+m", "ctrl+j", "ctrl+z", "ctrl+s", "ctrl+k", "ctrl+b"}


def test_a_row_that_went_away_leaves_nothing_selected() -> None:
    async def script(pilot: Pilot[str], engine: FakeEngine, _clock: SimClock) -> None:
        pilot.app.query_one("#orders", LiveTable).selected = "P1"
        engine.orders = (order("P2"),)
        engine.number += 1
        await pilot.pause(0.25)
        await pilot.press("x")
        await pilot.pause()

    assert [c for c in play(script).commands if isinstance(c, co.CancelOrder)] == []


def test_the_orders_are_seen_at_the_smallest_size() -> None:
    async def script(pilot: Pilot[str], _engine: FakeEngine, _clock: SimClock) -> None:
        await pilot.pause()
        assert pilot.app.query_one("#orders", LiveTable).size.height >= 3

    play(script, size=(80, 24))
