"""A machine that was suspended and woke up: noticed before anything that fell due, or came in, meanwhile is acted on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bolt_tui.input_tape import InputTape, TurnClock
from bolt_tui.latch_tape import HeardLatch
from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, SimClock
from engine.domain.money import Qty
from engine.domain.order import AlgoSpec, OrderSpec, OrderState, OrderType, Side
from engine.market.feed import TradeTick
from tests.core.lab import ME, Lab
from tests.core.test_conditional import LISTED, state, waits

HOUR_NS = 3_600 * NS_PER_S


class Machine(TurnClock):
    """Wall clock and timer of a machine that a test puts to sleep; the timer stands still meanwhile, as Linux's does."""

    def __init__(self, engine_clock: SimClock) -> None:
        self.engine_clock = engine_clock
        self.wall_ns = self.mono_ns = engine_clock.now_ns()
        super().__init__()
        self.turn()

    def pass_ns(self, awake_ns: int, asleep_ns: int = 0) -> None:
        self.mono_ns += awake_ns
        self.wall_ns += awake_ns + asleep_ns

    def turn(self) -> int:
        self._now_ns = self.wall_ns
        self.engine_clock.set_ns(self.wall_ns)
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self.mono_ns


class Box:
    """An engine behind its input tape, on such a machine."""

    def __init__(self, folder: Path) -> None:
        self.lab = Lab(folder, listed=LISTED)
        self.machine = Machine(self.lab.clock)
        latch = HeardLatch.open(folder / "latch", ledger_used=False)
        self.tape = InputTape(lambda: None, latch, self.machine)
        self.tape._engine, self.tape._is_started = self.lab.engine, True  # the lab has started it already
        self.lab.connect()
        self.run(3)

    def run(self, seconds: int) -> None:
        for _ in range(20 * seconds):
            self.machine.pass_ns(NS_PER_S // 20)
            self.look()
            self.lab.quote()

    def look(self) -> None:
        self.tape.on_time(self.lab.engine, self.machine.monotonic_ns())
        self.lab.settle()

    def held(self) -> list[str]:
        return [held.code for held in self.lab.engine.kill.held()]

    def trade(self) -> None:
        """A print at 430 of MSFT, heard now."""
        tick = TradeTick("MSFT", "XSIM", self.machine.wall_ns, 99, 43_000, 100, "B", hidden=False)
        self.tape.tick(self.lab.engine.on_market, tick)
        self.lab.settle()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_time_that_came_while_the_machine_slept_fires_nothing(box: Box) -> None:
    order = waits(box.lab, start_s=600)
    assert order.ok
    box.machine.pass_ns(NS_PER_S // 20, HOUR_NS)
    box.look()
    assert box.held() == ["CLOCK_JUMP"]
    assert box.lab.broker.sent == []
    assert state(box.lab, order.order_id) is OrderState.CANCELLED


def test_slices_that_fell_due_in_the_sleep_are_not_sent_at_the_wake(box: Box) -> None:
    spec = OrderSpec(
        symbol="AAPL", side=Side.BUY, qty=Qty(600), type=OrderType.MARKET,
        algo=AlgoSpec(name="twap", duration_ns=HOUR_NS, params={"slices": "6", "style": "take"}),
    )  # fmt: skip
    assert box.lab.submit(co.NewOrder(source=ME, intent_id="t1", spec=spec, why="")).ok
    box.run(1)
    before = len(box.lab.broker.sent)
    box.machine.pass_ns(NS_PER_S // 20, HOUR_NS // 2)
    box.look()
    assert (box.held()[0], len(box.lab.broker.sent)) == ("CLOCK_JUMP", before)


def test_a_trade_that_is_heard_first_after_the_sleep_triggers_nothing(box: Box) -> None:
    """The socket is read before a timer runs: the tick comes first."""
    order = waits(box.lab, symbol="MSFT", above="430")
    box.machine.pass_ns(NS_PER_S // 20, HOUR_NS)
    box.trade()
    assert box.held() == ["CLOCK_JUMP"]
    assert box.lab.broker.sent == []
    assert state(box.lab, order.order_id) is OrderState.CANCELLED


def test_an_order_that_is_asked_for_first_after_the_sleep_is_denied_until_a_comparison_was_clean(box: Box) -> None:
    box.machine.pass_ns(NS_PER_S // 20, HOUR_NS)
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(100), type=OrderType.MARKET)
    denied = box.tape.submit(box.lab.engine, co.NewOrder(source=ME, intent_id="n1", spec=spec, why=""))
    assert "HALTED" in {denial.code for denial in denied.denials}
    box.run(61)
    rearm = co.Rearm(source=ME, reason="slept", word="REARM")
    assert box.lab.submit(rearm).code == "REARM_RECONCILE"
    asked = len(box.lab.broker.asked)
    assert asked > 1, "it asks by itself"
    box.lab.answer(box.lab.snapshot())
    assert box.lab.submit(rearm).ok
    assert box.held() == []


def test_a_clock_that_is_set_right_by_less_than_the_limit_halts_nothing(box: Box) -> None:
    box.machine.pass_ns(NS_PER_S // 20, 2 * NS_PER_S - NS_PER_S // 10)
    box.look()
    assert box.held() == []
    box.machine.pass_ns(NS_PER_S // 20, 0)
    box.look()
    assert box.lab.engine.kill.state_of(co.HaltScope()) is ev.TradingState.ACTIVE


def test_a_row_that_the_tape_itself_makes_first_after_the_sleep_does_not_hide_it(box: Box) -> None:
    order = waits(box.lab, symbol="MSFT", above="430")
    box.machine.pass_ns(NS_PER_S // 20, HOUR_NS)
    box.tape.pruned(box.lab.engine, ("2023-11-01",))
    box.trade()
    assert box.held() == ["CLOCK_JUMP"]
    assert box.lab.broker.sent == []
    assert state(box.lab, order.order_id) is OrderState.CANCELLED


def test_looks_at_the_latch_are_counted_anew_for_what_came_behind_a_gap(box: Box) -> None:
    """The tape's reader counts them from each input on."""
    box.lab.engine.kill.latch = box.tape.latch
    seen: list[int] = []
    box.machine.pass_ns(NS_PER_S // 20, HOUR_NS)
    tick = TradeTick("MSFT", "XSIM", box.machine.wall_ns, 99, 43_000, 100, "B", hidden=False)
    box.tape.tick(lambda _: seen.append(box.tape.latch.looks), tick)
    assert seen == [0]
