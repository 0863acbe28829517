"""Monitors: what trips, over what, into which state; and which blocks end by themselves."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from engine.domain.clock import iso
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.events import (
    AnyEvent,
    BrokerState,
    Decision,
    Fill,
    FillConflict,
    OrderAcked,
    OrderIntent,
    OrderRejected,
    TradingState,
    TradingStateChanged,
)
from engine.domain.money import Money, Price, Qty
from engine.domain.order import Side
from engine.domain.resets import read_reset
from engine.risk.latch import GLOBAL
from engine.risk.safety import WAITING_MAX, SafetyMonitor
from tests.risk.world import CLI, NOW, SECOND, World, order, quote

HALTED, REDUCING = TradingState.HALTED, TradingState.REDUCING
ACCOUNT = HaltScope(HaltScopeKind.ACCOUNT, "PAPER")
SYMBOL = HaltScope(HaltScopeKind.SYMBOL, "AAPL")


class Desk(World):
    """A world whose events reach the monitor too, and whose timer is called each second."""

    def __init__(self, tmp: Path) -> None:
        super().__init__(tmp)
        self.monitor = SafetyMonitor(self.risk)
        self.set_limit("monitor.window_s", Decimal(60))
        self.set_limit("monitor.min_answers", Decimal(4))

    def on(self, event: AnyEvent, ts_ns: int = NOW) -> None:
        super().on(event, ts_ns)
        if hasattr(self, "monitor"):
            self.monitor.on_event(self.seq, ts_ns, event)

    def trips(self, now_ns: int = NOW, mono_ns: int | None = None) -> list[tuple[HaltScope, TradingState, str]]:
        found = self.monitor.on_timer(now_ns, now_ns if mono_ns is None else mono_ns)
        assert all(trip.why for trip in found)
        return [(trip.scope, trip.state, trip.code) for trip in found]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_quiet_desk_trips_nothing(desk: Desk) -> None:
    assert desk.trips() == []
    assert desk.trips(NOW + SECOND) == []
    assert desk.monitor.blocks(NOW) == ()


@pytest.mark.parametrize("to", ["halted", "reducing"])
def test_a_loss_beyond_its_limit_trips_the_account(desk: Desk, to: str) -> None:
    desk.set_limit("loss.max_day", Decimal(1000))
    desk.set_limit("loss.trip_to", to)
    desk.pnl = Money(-1000)
    assert desk.trips() == []
    desk.pnl = Money("-1000.01")
    assert desk.trips() == [(ACCOUNT, TradingState(to), "LOSS_MAX")]


def test_a_fall_from_the_best_of_the_day_trips(desk: Desk) -> None:
    desk.set_limit("loss.max_drawdown", Decimal(1000))
    desk.pnl = desk.peak = Money(400)
    assert desk.trips() == []
    desk.pnl = Money(-600)
    assert desk.trips(NOW + SECOND) == []
    desk.pnl = Money(-601)
    assert desk.trips(NOW + 2 * SECOND) == [(ACCOUNT, HALTED, "DRAWDOWN_MAX")]


def test_an_unknown_result_trips_nothing_the_gate_holds_instead(desk: Desk) -> None:
    desk.set_limit("loss.max_day", Decimal(0))
    desk.pnl = None
    assert desk.trips() == []
    assert desk.codes() == {"PNL_UNKNOWN"}
    assert [(block.scope, block.state, block.code) for block in desk.monitor.blocks(NOW)] == [
        (ACCOUNT, REDUCING, "PNL_UNKNOWN")
    ]


def answer(desk: Desk, count: int, *, is_reject: bool, wait_ns: int = 0) -> None:
    for order_id in desk.send(count, NOW - wait_ns):
        if is_reject:
            desk.on(OrderRejected(order_id=order_id, code="X", text="", ts_ns=NOW))
        else:
            desk.on(OrderAcked(order_id=order_id, venue_order_id="v", ts_ns=NOW))


def test_too_many_rejects_trip(desk: Desk) -> None:
    desk.set_limit("monitor.max_reject_pct", Decimal(25))
    answer(desk, 3, is_reject=False)
    answer(desk, 1, is_reject=True)
    assert desk.trips() == []
    answer(desk, 1, is_reject=True)
    assert desk.trips() == [(GLOBAL, HALTED, "REJECT_RATE")]
    assert desk.trips(NOW + 61 * SECOND, NOW + 61 * SECOND) == []


def test_a_few_rejects_of_few_orders_say_nothing(desk: Desk) -> None:
    desk.set_limit("monitor.max_reject_pct", Decimal(25))
    answer(desk, 3, is_reject=True)
    assert desk.trips() == []


def test_answers_beyond_those_remembered_are_counted_no_more(desk: Desk) -> None:
    desk.set_limit("monitor.max_reject_pct", Decimal(25))
    for number in range(WAITING_MAX):
        desk.monitor.on_event(1, NOW, OrderRejected(order_id=f"C{number}", code="X", text="", ts_ns=NOW))
    for number in range(WAITING_MAX):
        desk.monitor.on_event(1, NOW, OrderAcked(order_id=f"D{number}", venue_order_id="v", ts_ns=NOW))
    assert desk.trips() == []


def test_slow_answers_trip(desk: Desk) -> None:
    desk.set_limit("monitor.max_ack_s", Decimal(5))
    answer(desk, 4, is_reject=False, wait_ns=5 * SECOND)
    assert desk.trips() == []
    answer(desk, 5, is_reject=False, wait_ns=5 * SECOND + 1)
    assert desk.trips() == [(GLOBAL, HALTED, "ACK_SLOW")]


def test_a_burst_of_messages_trips(desk: Desk) -> None:
    desk.set_limit("monitor.max_messages", Decimal(5))
    desk.cancel(4, NOW)
    assert desk.trips() == []
    desk.cancel(1, NOW)
    assert desk.trips() == [(GLOBAL, HALTED, "MESSAGE_RATE")]


def test_too_many_or_too_old_unknown_orders_trip(desk: Desk) -> None:
    desk.set_limit("unknown.max_count", Decimal(2))
    desk.set_limit("unknown.max_age_s", Decimal(60))
    desk.unknown = (2, NOW - 60 * SECOND)
    assert desk.trips() == []
    desk.unknown = (3, NOW)
    assert desk.trips() == [(GLOBAL, HALTED, "UNKNOWN_COUNT")]
    desk.unknown = (1, NOW - 60 * SECOND - 1)
    assert desk.trips() == [(GLOBAL, HALTED, "UNKNOWN_AGE")]


def test_a_jump_of_the_wall_clock_trips_and_the_gate_denies(desk: Desk) -> None:
    desk.set_limit("clock.max_jump_s", Decimal(2))
    assert desk.trips(NOW, 0) == []
    assert desk.trips(NOW + 3 * SECOND, SECOND) == []
    assert desk.trips(NOW, 2 * SECOND) == [(GLOBAL, HALTED, "CLOCK_JUMP")]
    assert desk.codes() == {"CLOCK_JUMP"}


def test_a_jump_is_told_though_everything_is_halted_already(desk: Desk) -> None:
    """The hold times of what stands are counted by that clock."""
    desk.set_limit("clock.max_jump_s", Decimal(2))
    desk.on(TradingStateChanged(scope=GLOBAL, state=HALTED, code="MANUAL", who="anna", why="x"))
    assert desk.trips(NOW, 0) == []
    assert desk.trips(NOW + 3600 * SECOND, SECOND) == [(GLOBAL, HALTED, "CLOCK_JUMP")]
    assert desk.trips(NOW + 3601 * SECOND, 2 * SECOND) == []


def test_a_stalled_loop_trips(desk: Desk) -> None:
    desk.set_limit("monitor.max_stall_s", Decimal(10))
    desk.trips(NOW)
    assert desk.trips(NOW + 10 * SECOND) == []
    assert desk.trips(NOW + 20 * SECOND + 1) == [(GLOBAL, HALTED, "LOOP_STALL")]


def test_a_failing_ledger_trips_at_once(desk: Desk) -> None:
    desk.is_healthy = False
    (trip,) = desk.monitor.urgent()
    assert (trip.scope, trip.state, trip.code) == (GLOBAL, HALTED, "LEDGER_UNHEALTHY")


def over_send(desk: Desk) -> None:
    desk.accept(order("100"), NOW)
    for number, qty in enumerate(("60", "41")):
        desk.on(
            OrderIntent(
                order_id=f"C{number}",
                parent_id="P1",
                wire_id=f"W{number}",
                spec=order(qty),
                source=CLI,
                decision=Decision(policy_hash="x"),
            )
        )


def test_children_above_their_parent_trip_at_once(desk: Desk) -> None:
    over_send(desk)
    (trip,) = desk.monitor.urgent()
    assert (trip.scope, trip.state, trip.code) == (GLOBAL, HALTED, "CHILD_SUM")
    assert "P1" in trip.why
    assert desk.monitor.urgent() == ()


def test_what_was_journaled_is_not_told_again_by_a_rebuild(desk: Desk) -> None:
    over_send(desk)
    for state, code in ((HALTED, "CHILD_SUM"), (TradingState.ACTIVE, "REARM")):
        desk.on(TradingStateChanged(scope=GLOBAL, state=state, code=code, who="engine", why="x"))
    assert desk.monitor.urgent() == ()


def test_a_venue_that_fills_too_much_is_no_fault_of_ours(desk: Desk) -> None:
    desk.accept(order("100"), NOW)
    event = OrderIntent(
        order_id="C1", parent_id="P1", wire_id="W", spec=order("100"), source=CLI, decision=Decision(policy_hash="x")
    )
    desk.on(event)
    desk.fill("C1", Qty(120))
    assert desk.monitor.urgent() == ()
    assert desk.risk.history.committed("P1") == 120


def conflict() -> FillConflict:
    fill = Fill(
        broker="paper",
        account="PAPER",
        fill_key="k",
        symbol="AAPL",
        side=Side.BUY,
        qty=Qty(1),
        price=Price(1),
        ts_ns=NOW,
    )
    return FillConflict(fill=fill, booked=fill)


def test_a_fill_in_conflict_halts_its_symbol(desk: Desk) -> None:
    desk.on(conflict())
    (trip,) = desk.monitor.urgent()
    assert (trip.scope, trip.state, trip.code) == (SYMBOL, HALTED, "FILL_CONFLICT")
    assert desk.monitor.urgent() == ()


def test_a_fill_in_conflict_that_was_told_before_is_not_told_again_by_a_rebuild(desk: Desk) -> None:
    desk.on(conflict())
    for state, code in ((HALTED, "FILL_CONFLICT"), (TradingState.ACTIVE, "REARM")):
        desk.on(TradingStateChanged(scope=SYMBOL, state=state, code=code, who="engine", why="x"))
    assert desk.monitor.urgent() == ()


def test_a_strategy_that_keeps_executing_is_disabled(desk: Desk) -> None:
    from tests.risk.world import STRATEGY  # beside its only use

    desk.set_limit("repeat.max_orders", Decimal(3))
    for order_id in desk.send(3, NOW, source=STRATEGY):
        desk.fill(order_id, Qty(1))
    assert desk.trips() == []
    (order_id,) = desk.send(1, NOW, source=STRATEGY)
    desk.fill(order_id, Qty(1))
    dip = HaltScope(HaltScopeKind.STRATEGY, "Dip")
    assert desk.trips() == [(dip, HALTED, "REPEAT")]
    desk.on(TradingStateChanged(scope=dip, state=HALTED, code="REPEAT", who="engine", why="x"))
    desk.source = STRATEGY
    assert "HALTED" in desk.codes()


def test_working_orders_on_stale_quotes_trip_their_symbol(desk: Desk) -> None:
    desk.set_limit("monitor.max_stale_s", Decimal(60))
    desk.set_limit("price.max_quote_age_s", Decimal(15))
    desk.orders.append(desk.original())
    desk.quotes["AAPL"] = quote("99", "101", ts_ns=NOW - 60 * SECOND)
    assert desk.trips() == []
    assert [(block.scope, block.code) for block in desk.monitor.blocks(NOW)] == [(SYMBOL, "QUOTE_STALE")]
    desk.quotes["AAPL"] = quote("99", "101", ts_ns=NOW - 60 * SECOND - 1)
    assert desk.trips() == [(SYMBOL, HALTED, "STALE_WORKING")]
    desk.session = False
    assert desk.trips() == []
    desk.quotes["AAPL"] = quote("99", "101", ts_ns=NOW)
    assert desk.monitor.blocks(NOW) == ()


def test_the_first_quote_of_a_session_has_as_long_to_come_as_any_other(desk: Desk) -> None:
    """An order good till cancelled was halted at the bell: the last quote was of the evening before."""
    desk.set_limit("monitor.max_stale_s", Decimal(60))
    desk.orders.append(desk.original())
    desk.opened_ns = NOW
    for evening in (quote("99", "101", ts_ns=NOW - 65 * 3600 * SECOND), None):
        desk.quotes.pop("AAPL")
        if evening is not None:
            desk.quotes["AAPL"] = evening
        for late_ns in (0, 60 * SECOND - 1):
            assert desk.trips(NOW + late_ns) == []
        assert desk.trips(NOW + 60 * SECOND) == [(SYMBOL, HALTED, "STALE_WORKING")]
        desk.quotes["AAPL"] = quote("99", "101", ts_ns=NOW)


def test_a_symbol_that_its_venue_has_halted_is_waited_for(desk: Desk) -> None:
    """Orders are parked there until it resumes; cancelled after a minute they missed the auction that ends the halt."""
    desk.set_limit("monitor.max_stale_s", Decimal(60))
    desk.orders.append(desk.original())
    still = quote("99", "101", ts_ns=NOW)
    desk.quotes["AAPL"] = msgspec.structs.replace(still, status="halted")
    assert desk.trips(NOW + 300 * SECOND) == []
    desk.quotes["AAPL"] = still
    assert desk.trips(NOW + 360 * SECOND) == [], "the first quote behind it has as long to come as any other"
    assert desk.trips(NOW + 360 * SECOND + 1) == [(SYMBOL, HALTED, "STALE_WORKING")]


def test_a_broker_that_stays_down_with_open_orders_trips(desk: Desk) -> None:
    desk.set_limit("monitor.max_down_s", Decimal(3))
    desk.counts[None] = 2
    desk.state = BrokerState.DOWN
    assert desk.trips() == []
    assert desk.trips(NOW + 3 * SECOND) == []
    assert desk.trips(NOW + 3 * SECOND + 1) == [(ACCOUNT, HALTED, "DOWN_WORKING")]


def test_a_planned_reset_is_no_alarm_until_it_should_be_over(desk: Desk) -> None:
    desk.set_limit("monitor.max_down_s", Decimal(3))
    desk.counts[None] = 2
    desk.state = BrokerState.DOWN
    assert desk.caps is not None
    reset = read_reset(f"{iso(NOW)[11:16]} UTC 10m")
    desk.caps.resets = (reset,)
    _, until_ns = reset.window(NOW)
    assert [desk.trips(at) for at in range(NOW, until_ns + 3 * SECOND, SECOND)].count([]) == len(
        range(NOW, until_ns + 3 * SECOND, SECOND)
    )
    assert desk.trips(until_ns + 4 * SECOND) == [(ACCOUNT, HALTED, "DOWN_WORKING")]
    desk.state = BrokerState.UP
    assert desk.trips(NOW + 4 * SECOND) == []
    desk.state = BrokerState.DOWN
    assert desk.trips(NOW + 5 * SECOND) == []


def test_a_broker_that_is_down_with_nothing_at_work_is_no_alarm(desk: Desk) -> None:
    desk.set_limit("monitor.max_down_s", Decimal(3))
    desk.counts[None] = 0
    desk.state = BrokerState.DOWN
    assert [desk.trips(NOW + seconds * SECOND) for seconds in (0, 3, 9)] == [[], [], []]


def test_a_brokers_clock_far_from_ours_blocks_until_they_agree(desk: Desk) -> None:
    desk.set_limit("clock.max_offset_s", Decimal(5))
    for offset_ns, words in ((6 * SECOND, "6 s behind ours"), (-6 * SECOND, "6 s ahead of ours")):
        desk.offset = offset_ns
        assert desk.codes() == {"CLOCK_OFFSET"}
        assert [(block.code, words in block.why) for block in desk.monitor.blocks(NOW)] == [("CLOCK_OFFSET", True)]
        assert desk.trips() == []
    desk.offset = 5 * SECOND
    assert desk.codes() == set()
    assert desk.monitor.blocks(NOW) == ()


def test_blocks_end_with_their_condition(desk: Desk) -> None:
    desk.set_limit("reconcile.max_age_s", Decimal(900))
    desk.is_recovering = True
    desk.state = BrokerState.RESYNCING
    desk.verified = None
    assert {block.code for block in desk.monitor.blocks(NOW)} == {"RECOVERING", "CHANNEL_NOT_UP", "RECON_NEVER"}
    desk.is_recovering = False
    desk.state = BrokerState.UP
    desk.verified = NOW - 901 * SECOND
    assert {(block.code, block.state) for block in desk.monitor.blocks(NOW)} == {("RECON_STALE", REDUCING)}
    desk.verified = NOW
    assert desk.monitor.blocks(NOW) == ()


def test_what_is_tripped_is_not_told_again(desk: Desk) -> None:
    desk.is_healthy = False
    assert len(desk.monitor.urgent()) == 1
    desk.on(TradingStateChanged(scope=GLOBAL, state=HALTED, code="LEDGER_UNHEALTHY", who="engine", why="x"))
    assert desk.monitor.urgent() == ()


def test_without_a_policy_everything_halts(desk: Desk) -> None:
    desk.holder.policy = None
    assert desk.trips() == [(GLOBAL, HALTED, "POLICY_NONE")]
    assert desk.monitor.blocks(NOW) == ()
