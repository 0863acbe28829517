"""How strategies are run: idempotent targets, reasons, budgets, restarts, halts."""

from __future__ import annotations

import pytest

from engine.domain import events as ev
from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.domain.commands import HaltScope, HaltScopeKind, NewOrder
from engine.domain.errors import InputError
from engine.domain.money import Price, Qty
from engine.domain.order import OrderState, SourceKind
from engine.intake.strategy_base import (
    OwnFill,
    OwnOrder,
    Strategy,
    StrategyContext,
    StrategyEvent,
    TimerDue,
    make_strategy,
)
from engine.intake.strategy_host import QUEUE_MAX
from engine.market.feed import QuoteTick
from tests.intake.fakes import BUY, SELL, Desk


class Idle(Strategy):
    """Keeps what it is told; the test speaks through its context."""

    symbol: str = "AAPL"

    def on_start(self, ctx: StrategyContext) -> None:
        self.ctx = ctx
        self.seen: list[StrategyEvent] = []

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        self.seen.append(event)


class Chaser(Idle):
    """Wants a position on each quote."""

    want: int = 100

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        super().on_event(ctx, event)
        if isinstance(event, QuoteTick):
            ctx.target(self.symbol, self.want, why="wanted", limit=Price(100))


def idle(desk: Desk) -> Idle:
    runner = desk.host._runners["Idle"]
    assert isinstance(runner.strategy, Idle)
    return runner.strategy


def test_a_target_is_ordered_once() -> None:
    desk = Desk(Chaser)
    desk.start("Chaser")
    for _ in range(3):
        desk.quote("99.99", "100.00")
    assert desk.orders == ["buy 100 AAPL limit 100 day: wanted"]
    desk.fill("P1", 40)
    desk.quote("99.99", "100.00")
    desk.fill("P1")
    desk.quote("99.99", "100.00")
    assert len(desk.orders) == 1


def test_a_target_orders_only_what_is_missing() -> None:
    desk = Desk(Idle)
    desk.start("Idle")
    ctx = idle(desk).ctx
    ctx.target("AAPL", 100, why="a")
    desk.fill("P1", 60)
    desk.end("P1")
    ctx.target("AAPL", 100, why="b")
    assert desk.orders[1] == "buy 40 AAPL market day: b"
    desk.fill("P3")
    ctx.target("AAPL", -50, why="c")
    assert desk.orders[2] == "sell 150 AAPL market day: c"
    assert ctx.working("AAPL") == -150
    assert ctx.position("AAPL") == 100


def test_working_orders_in_the_way_of_a_target_are_cancelled_before_anything_is_ordered() -> None:
    desk = Desk(Idle)
    desk.start("Idle")
    ctx = idle(desk).ctx
    ctx.target("AAPL", 100, why="a")
    for _ in range(2):
        assert ctx.target("AAPL", -10, why="b") is None
    assert desk.cancels == ["P1"], "asked once"
    assert ctx.working("AAPL") == 100, "a cancel that is not confirmed may still fill"
    desk.fill("P1", 30)
    desk.end("P1")
    ctx.target("AAPL", -10, why="b")
    assert desk.orders[1] == "sell 40 AAPL market day: b"


def test_a_smaller_target_cancels_what_goes_past_it() -> None:
    desk = Desk(Idle)
    desk.start("Idle")
    ctx = idle(desk).ctx
    ctx.target("AAPL", 100, why="a")
    ctx.target("AAPL", 50, why="b")
    assert (desk.cancels, len(desk.orders)) == (["P1"], 1)
    desk.end("P1")
    ctx.target("AAPL", 50, why="b")
    assert desk.orders[1].startswith("buy 50")


def test_a_refused_target_is_not_asked_for_with_each_tick() -> None:
    desk = Desk(Chaser)
    desk.deny = "over the limit"
    desk.start("Chaser")
    for _ in range(4):
        desk.quote("99.99", "100.00", after_ms=1000)
    assert len(desk.orders) == 1
    desk.quote("99.99", "100.00", after_ms=4000)
    assert len(desk.orders) == 2


def test_every_order_says_why() -> None:
    class Silent(Idle):
        def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
            ctx.order("AAPL", BUY, 1, why=" ")

    desk = Desk(Silent)
    desk.start("Silent")
    desk.quote("1", "2")
    assert not desk.orders
    state, why = desk.changes[-1]
    assert state == "disabled"
    assert "every order says why" in why


def test_orders_carry_the_strategys_name_and_an_intent_of_their_own() -> None:
    desk = Desk(Idle)
    desk.start("Idle")
    for _ in range(3):
        idle(desk).ctx.order("AAPL", SELL, 5, limit=Price(101), stop=Price(99), reduce_only=True, why="x")
    made = [command for command in desk.commands if isinstance(command, NewOrder)]
    assert {(c.source.kind, c.source.name) for c in made} == {(SourceKind.STRATEGY, "Idle")}
    assert len({c.intent_id for c in made}) == 3
    assert made[0].spec.words() == "sell 5 AAPL stop 99 limit 101 day reduce-only"


def test_own_fills_and_order_updates_are_told_after_the_call() -> None:
    desk = Desk(Idle)
    desk.start("Idle")
    ctx = idle(desk).ctx
    order_id = ctx.order("AAPL", BUY, 10, limit=Price(100), why="x")
    assert order_id == "P1"
    assert not idle(desk).seen
    desk.fill("P1", 4)
    desk.end("P1")
    now = desk.clock.now_ns()
    assert idle(desk).seen == [
        OwnOrder("P1", "AAPL", OrderState.NEW, Qty(0)),
        OwnFill("P1", "AAPL", BUY, Qty(4), Price(100), now),
        OwnOrder("P1", "AAPL", OrderState.CANCELLED, Qty(4)),
    ]


def test_a_busted_fill_is_taken_back() -> None:
    desk = Desk(Idle)
    desk.start("Idle")
    idle(desk).ctx.order("AAPL", BUY, 10, why="x")
    desk.fill("P1", 4)
    fill = next(event for event in desk.journal if isinstance(event, ev.OrderFilled)).fill
    desk.record(ev.FillBusted(order_id="C2", fill=fill))
    desk.host.pump()
    assert idle(desk).ctx.position("AAPL") == 0
    last = idle(desk).seen[-1]
    assert isinstance(last, OwnFill)
    assert last.qty == -4


def test_another_ones_order_cannot_be_cancelled() -> None:
    desk = Desk(Idle, Chaser)
    desk.start("Chaser")
    desk.quote("99", "100")
    desk.start("Idle")
    with pytest.raises(InputError):
        idle(desk).ctx.cancel("P1")


def test_timers_are_told_once_and_the_newest_of_a_name_counts() -> None:
    desk = Desk(Idle)
    desk.start("Idle")
    begin = desk.clock.now_ns()
    for name, after in (("a", 5), ("b", 3), ("a", 4)):
        idle(desk).ctx.timer(name, begin + after)
    assert desk.host.next_timer_ns() == begin + 3
    desk.host.on_time(begin + 10)
    assert idle(desk).seen == [TimerDue("b", begin + 3), TimerDue("a", begin + 4)]
    assert desk.host.next_timer_ns() is None


class Broken(Idle):
    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        ctx.state["half"] = "done"
        ctx.order("AAPL", BUY, 1, limit=Price(1), why="entry")
        ctx.order("AAPL", SELL, 1, stop=Price(1), reduce_only=True, why="protection")
        msg = "boom"
        raise ValueError(msg)


def test_an_exception_disables_and_says_where_without_folders() -> None:
    desk = Desk(Broken)
    desk.start("Broken")
    desk.quote("1", "2")
    desk.quote("1", "2")
    state, why = desk.changes[-1]
    assert state == "disabled"
    assert why.startswith("QuoteTick raised ValueError: boom (")
    assert "test_strategy_host.py" in why
    assert "/" not in why
    assert len(desk.orders) == 2, "told nothing more"
    assert desk.cancels == ["P1"], "the reduce-only order stays"
    assert not desk.saves, "what a failed event left behind is not kept"


def test_a_slow_event_disables() -> None:
    desk = Desk()

    class Slow(Idle):
        def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
            desk.clock.mono_ns += 51 * NS_PER_MS

    desk.host.strategies["Slow"] = Slow
    desk.start("Slow")
    desk.quote("1", "2")
    assert desk.changes[-1] == ("disabled", "QuoteTick took 51 ms; the budget is 50 ms an event")


def test_state_that_is_not_text_disables() -> None:
    class Numeric(Idle):
        def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
            ctx.state["n"] = 5  # type: ignore[assignment]

    desk = Desk(Numeric)
    desk.start("Numeric")
    desk.quote("1", "2")
    assert desk.changes[-1][0] == "disabled"


class Counter(Idle):
    def on_start(self, ctx: StrategyContext) -> None:
        self.count = int(ctx.state.get("count", "0"))

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        if isinstance(event, QuoteTick) and event.bid == 100:
            self.count += 1
            ctx.state["count"] = str(self.count)


def test_state_is_saved_when_it_changed_and_comes_back() -> None:
    desk = Desk(Counter)
    desk.start("Counter")
    for bid in ("1", "2", "1", "3"):
        desk.quote(bid, "4")
    assert desk.saves == [{"count": "1"}, {"count": "2"}]
    again = Desk(Counter, journal=desk.journal)
    again.host.resume(is_clean=True)
    again.quote("1", "4")
    assert again.saves[-1] == {"count": "3"}


def test_nothing_starts_again_by_itself_after_an_unclean_end() -> None:
    desk = Desk(Counter)
    desk.start("Counter", symbol="AAPL")
    again = Desk(Counter, journal=desk.journal)
    again.host.resume(is_clean=False)
    assert again.changes[-1] == ("off", "not started again: the engine did not end cleanly")
    assert again.host.views()[0].state == "off"
    assert again.start("Counter").ok


def test_a_restart_keeps_parameters_and_position_and_a_stopped_one_stays_off() -> None:
    desk = Desk(Chaser, Idle)
    desk.start("Chaser", want="70")
    desk.quote("99", "100")
    desk.fill("P1", 30)
    desk.start("Idle")
    desk.stop("Idle")
    again = Desk(Chaser, Idle, journal=desk.journal)
    again.host.resume(is_clean=True)
    assert [view.state for view in again.host.views()] == ["on", "off"]
    assert again.host.position("Chaser", "AAPL") == 30
    again.quote("99", "100")
    assert again.orders == [], "40 still work"
    again.end("P1")
    again.quote("99", "100")
    assert again.orders == ["buy 40 AAPL limit 100 day: wanted"]


@pytest.mark.parametrize("scope", [HaltScope(), HaltScope(HaltScopeKind.STRATEGY, "Chaser")])
def test_a_halt_stops_at_once_and_only_a_person_starts_again(scope: HaltScope) -> None:
    desk = Desk(Chaser)
    desk.start("Chaser")
    trip = ev.TradingStateChanged(scope=scope, state=ev.TradingState.HALTED, code="MANUAL", who="anna", why="stop")
    desk.record(trip)
    desk.quote("99", "100")
    assert not desk.orders
    assert desk.changes[-1] == ("off", "halted: stop")
    assert desk.start("Chaser").code == "HALTED"
    again = Desk(Chaser, journal=desk.journal)
    again.host.resume(is_clean=True)
    assert again.host.views()[0].state == "off"
    desk.record(ev.TradingStateChanged(scope=scope, state=ev.TradingState.ACTIVE, code="REARM", who="anna", why="ok"))
    assert desk.start("Chaser").ok


def test_a_halt_of_another_strategy_or_symbol_stops_nobody() -> None:
    desk = Desk(Chaser)
    desk.start("Chaser")
    other = HaltScope(HaltScopeKind.STRATEGY, "Idle")
    desk.record(ev.TradingStateChanged(scope=other, state=ev.TradingState.HALTED, code="MANUAL", who="a", why="b"))
    desk.quote("99", "100")
    assert len(desk.orders) == 1


def test_stopping_calls_on_stop_and_leaves_orders_with_their_count() -> None:
    desk = Desk(Chaser)
    desk.start("Chaser")
    desk.quote("99", "100")
    assert desk.stop("Chaser").text == "Chaser is off; 1 of its orders are open"
    assert desk.stop("Chaser").repeated
    desk.quote("99", "100")
    assert len(desk.orders) == 1


def test_starting_refuses_what_it_cannot_start() -> None:
    desk = Desk(Chaser)
    assert desk.start("Nobody").code == "STRATEGY_UNKNOWN"
    assert desk.stop("Nobody").code == "STRATEGY_UNKNOWN", "a slip of the pen looked like a strategy that is off"
    assert desk.stop("Chaser").repeated
    assert desk.start("Chaser", want="x").code == "STRATEGY_PARAMS"
    assert desk.start("Chaser", speed="1").code == "STRATEGY_PARAMS"
    assert desk.start("Chaser", want="2").ok
    assert desk.start("Chaser").repeated
    assert desk.start("Chaser", want="2").repeated
    other = desk.start("Chaser", want="3")
    assert (other.ok, other.code) == (False, "STRATEGY_ON")
    assert "is on with want=2; nothing was changed" in other.text


def test_a_start_that_fails_says_so() -> None:
    class Lost(Idle):
        def on_start(self, ctx: StrategyContext) -> None:
            ctx.instrument("NOPE")

    desk = Desk(Lost)
    result = desk.start("Lost")
    assert result.code == "STRATEGY_FAILED"
    assert "NOPE" in result.text
    assert desk.host.views()[0].state == "disabled"


def test_a_strategy_that_talks_to_itself_is_disabled_in_the_end() -> None:
    class Echo(Idle):
        def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
            for _ in range(20):
                ctx.order("AAPL", BUY, 1, why="again")

    desk = Desk(Echo)
    desk.deny = "no"
    desk.start("Echo")
    for _ in range(5):
        desk.quote("1", "2")
    assert desk.changes[-1][0] == "disabled"
    assert str(QUEUE_MAX) in desk.changes[-1][1]


class Typed(Strategy):
    symbol: str
    count: int = 3
    wait_ns: int = 5
    size: Qty = Qty(1)
    level: Price = Price(2)
    loud: bool = False
    _hidden: int = 4


def test_parameters_are_read_by_their_types() -> None:
    words = {"symbol": "A", "count": "-7", "wait_ns": "1m30s", "size": "0.5", "level": "9.5", "loud": "yes"}
    made = make_strategy(Typed, words)
    assert isinstance(made, Typed)
    assert (made.symbol, made.count, made.wait_ns) == ("A", -7, 90 * NS_PER_S)
    assert (made.size, made.level, made.loud) == (Qty("0.5"), Price("9.5"), True)
    assert made.symbols() == ("A",)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"symbol": "A", "count": "1.5"},
        {"symbol": "A", "size": "nan"},
        {"symbol": "A", "loud": "maybe"},
        {"symbol": "A", "_hidden": "5"},
    ],
)
def test_wrong_parameters_are_refused(words: dict[str, str]) -> None:
    with pytest.raises(InputError):
        make_strategy(Typed, words)
