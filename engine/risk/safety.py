"""Monitors that act without a person: what they see trips a scope, or blocks until the condition ends.

A *trip* is latched: the engine journals it and only a re-arm ends it. A *block* names a condition that the gate itself denies
for as long as it lasts (not reconciled, disconnected, stale, recovering); it is listed for people and clears itself.
Counts come from journaled events, so that they are the same after a restart; timers bring the two clocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.events import (
    AmendIntent,
    AnyEvent,
    BrokerState,
    CancelIntent,
    FillConflict,
    OrderAcked,
    OrderIntent,
    OrderRejected,
    Routes,
    TradingState,
    TradingStateChanged,
)
from engine.domain.ledger_events import EngineStarted
from engine.domain.money import EXACT, text
from engine.risk.controls_case import fall
from engine.risk.controls_history import Window
from engine.risk.exposure import CLOSED, SYMBOL_HALTED
from engine.risk.kill_switch import CLOCK_JUMP, KillSwitch
from engine.risk.latch import GLOBAL, RANK
from engine.risk.policy import Policy
from engine.risk.risk_manager import RiskManager

HALTED, REDUCING = TradingState.HALTED, TradingState.REDUCING
ACKS_REMEMBERED = 512
WAITING_MAX = 8192
"""Orders waiting for an answer whose time is kept; the oldest is forgotten beyond it."""


class Trip(msgspec.Struct, frozen=True):
    """A scope to be tightened, and why."""

    scope: HaltScope
    state: TradingState
    code: str
    why: str


class SafetyMonitor:
    """All monitors over one gate. Call :meth:`on_event` for each journaled event and :meth:`on_timer` about each second."""

    def __init__(self, risk: RiskManager) -> None:
        self._risk = risk
        self._view = risk.view
        self._answers: deque[tuple[int, bool]] = deque(maxlen=WAITING_MAX)
        self._waiting: dict[str, int] = {}
        self._rejects = 0
        """Of the answers."""
        self._acks: deque[tuple[int, int]] = deque(maxlen=ACKS_REMEMBERED)
        self._messages = Window()
        self._conflicts: list[str] = []
        self._clocks: tuple[int, int] | None = None
        self._down_since: dict[str, int] = {}
        self._started_ns: int | None = None
        self._stood_ns: dict[str, int] = {}
        """When a symbol with working orders was last seen halted by its venue."""
        self.routes: Routes = {
            OrderIntent: self._sent,
            EngineStarted: self._started,
            AmendIntent: self._asked,
            CancelIntent: self._asked,
            OrderAcked: self._acked,
            OrderRejected: self._rejected,
            FillConflict: self._conflict,
            TradingStateChanged: self._told,
        }

    # -- following the journal ---------------------------------------------------------------------------------------

    def on_event(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        """Take in a journaled event (after the gate did)."""
        handler = self.routes.get(event.__class__)
        if handler is not None:
            handler(seq, ts_ns, event)

    def _sent(self, _seq: int, ts_ns: int, event: OrderIntent) -> None:
        self._messages.add(ts_ns, self._span())
        self._waiting[event.order_id] = ts_ns
        if len(self._waiting) > WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]

    def _asked(self, _seq: int, ts_ns: int, _event: AmendIntent | CancelIntent) -> None:
        self._messages.add(ts_ns, self._span())

    def _started(self, _seq: int, ts_ns: int, _event: EngineStarted) -> None:
        self._started_ns = ts_ns

    def _acked(self, _seq: int, ts_ns: int, event: OrderAcked) -> None:
        self._answer(ts_ns, event.order_id, is_reject=False)

    def _rejected(self, _seq: int, ts_ns: int, event: OrderRejected) -> None:
        self._answer(ts_ns, event.order_id, is_reject=True)

    def _conflict(self, _seq: int, _ts_ns: int, event: FillConflict) -> None:
        self._conflicts.append(event.fill.symbol)

    def _told(self, _seq: int, _ts_ns: int, event: TradingStateChanged) -> None:
        if event.code == "FILL_CONFLICT":
            # Told already: a rebuild must not tell it again after a person re-armed.
            self._conflicts = [symbol for symbol in self._conflicts if symbol != event.scope.name]

    def _answer(self, ts_ns: int, order_id: str, *, is_reject: bool) -> None:
        if len(self._answers) == WAITING_MAX:
            self._rejects -= self._answers[0][1]
        self._answers.append((ts_ns, is_reject))
        self._rejects += is_reject
        sent_ns = self._waiting.pop(order_id, None)
        if sent_ns is not None:
            self._acks.append((ts_ns, ts_ns - sent_ns))
        self._drop_answers(ts_ns - self._span())

    def _drop_answers(self, until_ns: int) -> None:
        answers = self._answers
        while answers and answers[0][0] <= until_ns:
            self._rejects -= answers.popleft()[1]

    def _span(self) -> int:
        policy = self._risk.policy.policy
        return 60 * NS_PER_S if policy is None else policy.ns("monitor.window_s")

    # -- judging -----------------------------------------------------------------------------------------------------

    def on_timer(self, now_ns: int, mono_ns: int) -> tuple[Trip, ...]:
        """New trips at this moment; the engine journals each and tightens the latch. Also keeps the clocks' difference."""
        policy = self._risk.policy.policy
        if policy is None:
            return self._new([Trip(GLOBAL, HALTED, "POLICY_NONE", "no policy is loaded")])
        found = [*self._clock(policy, now_ns, mono_ns), *self._urgent(policy)]
        found += [*self._losses(policy), *self._unknown(policy, now_ns), *self._answering(policy, now_ns)]
        found += [*self._repeats(policy, now_ns), *self._markets(policy, now_ns), *self._channels(policy, now_ns)]
        return self._new(found)

    def urgent(self) -> tuple[Trip, ...]:
        """New trips that cannot wait for a timer: children above their parent, a fill in conflict, a failing ledger."""
        policy = self._risk.policy.policy
        if policy is None or not (self._conflicts or self._risk.history.over_sent or not self._view.ledger_healthy()):
            return ()
        return self._new(list(self._urgent(policy)))

    def blocks(self, now_ns: int) -> tuple[Trip, ...]:
        """Conditions in force that the gate denies for, each of which ends by itself."""
        policy = self._risk.policy.policy
        if policy is None:
            return ()
        found = []
        if self._view.recovering():
            why = "the engine ended uncleanly; waiting for a clean reconciliation"
            found.append(Trip(GLOBAL, HALTED, "RECOVERING", why))
        for broker, account in self._view.brokers():
            scope = HaltScope(HaltScopeKind.ACCOUNT, account)
            state = self._view.channel(broker)
            if state is not BrokerState.UP:
                found.append(Trip(scope, HALTED, "CHANNEL_NOT_UP", f"{broker}: {state}"))
            verified_ns = self._view.position_verified(broker, account)
            if verified_ns is None:
                found.append(Trip(scope, HALTED, "RECON_NEVER", f"{broker}: not reconciled yet"))
            elif now_ns - verified_ns > policy.ns("reconcile.max_age_s"):
                why = f"{broker}: last clean reconciliation {(now_ns - verified_ns) // NS_PER_S} s ago"
                found.append(Trip(scope, REDUCING, "RECON_STALE", why))
            offset_ns = self._view.clock_offset(broker)
            if offset_ns is not None and abs(offset_ns) > policy.ns("clock.max_offset_s"):
                why = f"{broker}: its clock is {_seconds(offset_ns)} s {'behind' if offset_ns > 0 else 'ahead of'} ours"
                found.append(Trip(scope, HALTED, "CLOCK_OFFSET", why))
            if self._view.pnl_day(account) is None:
                why = f"{account}: the result of the day is not known: {self._view.pnl_words(account)}"
                found.append(Trip(scope, REDUCING, "PNL_UNKNOWN", why))
        stale_ns = policy.ns("price.max_quote_age_s")
        for symbol in self._working():
            age_ns = self._quote_age(symbol, now_ns)
            if age_ns is None or age_ns > stale_ns:
                shown = "no quote" if age_ns is None else f"quote is {age_ns // NS_PER_S} s old"
                found.append(Trip(HaltScope(HaltScopeKind.SYMBOL, symbol), HALTED, "QUOTE_STALE", f"{symbol}: {shown}"))
        return tuple(found)

    def _new(self, found: list[Trip]) -> tuple[Trip, ...]:
        # A scope that is as strict already was tripped before; telling it again would fill the ledger. Not so a jump of the
        # clock, which happens once: the hold times of what stands are counted by it.
        kept: dict[HaltScope, Trip] = {}
        for trip in found:
            if trip.code != CLOCK_JUMP and RANK[self._kill().state_of(trip.scope)] >= RANK[trip.state]:
                continue
            held = kept.get(trip.scope)
            if held is None or RANK[trip.state] > RANK[held.state]:
                kept[trip.scope] = trip
        return tuple(kept.values())

    def _kill(self) -> KillSwitch:
        return self._risk.kill

    def _clock(self, policy: Policy, now_ns: int, mono_ns: int) -> Iterator[Trip]:
        before, self._clocks = self._clocks, (now_ns, mono_ns)
        if before is None:
            return
        passed_ns = mono_ns - before[1]
        jump_ns = now_ns - before[0] - passed_ns
        self._risk.signals.clock_jump_ns = jump_ns
        if abs(jump_ns) > policy.ns("clock.max_jump_s"):
            yield Trip(GLOBAL, HALTED, CLOCK_JUMP, f"the wall clock jumped by {_seconds(jump_ns)} s")
        if passed_ns > policy.ns("monitor.max_stall_s"):
            yield Trip(
                GLOBAL, HALTED, "LOOP_STALL", f"the engine did not look at its timers for {_seconds(passed_ns)} s"
            )

    def _urgent(self, policy: Policy) -> Iterator[Trip]:
        del policy
        if not self._view.ledger_healthy():
            yield Trip(GLOBAL, HALTED, "LEDGER_UNHEALTHY", "the ledger takes no writes")
        for parent in self._risk.history.over_sent:
            yield Trip(GLOBAL, HALTED, "CHILD_SUM", f"the children of {parent} exceed it")
        self._risk.history.over_sent.clear()
        for symbol in self._conflicts:
            why = f"a fill of {symbol} came again with other content"
            yield Trip(HaltScope(HaltScopeKind.SYMBOL, symbol), HALTED, "FILL_CONFLICT", why)
        self._conflicts.clear()

    def _losses(self, policy: Policy) -> Iterator[Trip]:
        to = TradingState(policy.word("loss.trip_to"))
        for account in dict.fromkeys(account for _, account in self._view.brokers()):
            pnl = self._view.pnl_day(account)
            if pnl is None or not pnl.is_finite():
                continue
            limits = policy.limits(account, "", "")
            scope = HaltScope(HaltScopeKind.ACCOUNT, account)
            loss = EXACT.minus(pnl)
            if loss > limits["loss.max_day"].value:
                yield Trip(
                    scope, to, "LOSS_MAX", f"loss of the day {text(loss)}, allowed {limits['loss.max_day'].value}"
                )
            fallen = fall(pnl, self._view.peak_day(account))
            if fallen > limits["loss.max_drawdown"].value:
                why = f"drawdown of the day {text(fallen)}, allowed {limits['loss.max_drawdown'].value}"
                yield Trip(scope, to, "DRAWDOWN_MAX", why)

    def _unknown(self, policy: Policy, now_ns: int) -> Iterator[Trip]:
        count, since_ns = self._view.unknown_orders()
        if count > policy.number("unknown.max_count"):
            yield Trip(GLOBAL, HALTED, "UNKNOWN_COUNT", f"{count} orders are UNKNOWN")
        if count and now_ns - since_ns > policy.ns("unknown.max_age_s"):
            yield Trip(GLOBAL, HALTED, "UNKNOWN_AGE", f"an order is UNKNOWN for {_seconds(now_ns - since_ns)} s")

    def _answering(self, policy: Policy, now_ns: int) -> Iterator[Trip]:
        span_ns = policy.ns("monitor.window_s")
        self._drop_answers(now_ns - span_ns)
        least = policy.whole("monitor.min_answers")
        answers = len(self._answers)
        rejects = self._rejects
        if answers >= least and rejects * 100 > answers * policy.number("monitor.max_reject_pct"):
            yield Trip(GLOBAL, HALTED, "REJECT_RATE", f"{rejects} of {answers} orders were rejected")
        since_ns = now_ns - span_ns
        waits = sorted([wait for at, wait in self._acks if at > since_ns])
        if waits and len(waits) >= least and waits[len(waits) // 2] > policy.ns("monitor.max_ack_s"):
            why = f"half of {len(waits)} answers took longer than {_seconds(waits[len(waits) // 2])} s"
            yield Trip(GLOBAL, HALTED, "ACK_SLOW", why)
        sent = self._messages.count(now_ns, span_ns)
        if sent > policy.number("monitor.max_messages"):
            yield Trip(GLOBAL, HALTED, "MESSAGE_RATE", f"{sent} messages in {_seconds(span_ns)} s")

    def _repeats(self, policy: Policy, now_ns: int) -> Iterator[Trip]:
        history, span_ns = self._risk.history, policy.ns("repeat.window_s")
        for name, symbol, side in history.repeated():
            count = history.repeats(name, symbol, side, now_ns, span_ns)
            if count > policy.limits("", name, symbol)["repeat.max_orders"].value:
                why = f"{name} executed {count} {side} orders of {symbol} in {_seconds(span_ns)} s"
                yield Trip(HaltScope(HaltScopeKind.STRATEGY, name), HALTED, "REPEAT", why)

    def _markets(self, policy: Policy, now_ns: int) -> Iterator[Trip]:
        limit_ns = policy.ns("monitor.max_stale_s")
        for symbol in self._working():
            age_ns = self._quote_age(symbol, now_ns)
            # Outside a session quotes stand still by nature; resting orders there are no alarm. A night, or a pause at noon, is not counted
            # against the first quote behind it either: it has as long as any other to come.
            if any(self._view.session_open(symbol, at_ns) is False for at_ns in (now_ns, now_ns - limit_ns)):
                continue
            if self._stands_still(symbol, now_ns, limit_ns):
                continue
            if age_ns is None and self._started_ns is not None and now_ns - self._started_ns <= limit_ns:
                # A restart finds its orders working before the first quote can have come.
                continue
            if age_ns is None or age_ns > limit_ns:
                shown = "no quote" if age_ns is None else f"a quote {_seconds(age_ns)} s old"
                why = f"orders of {symbol} work on {shown}"
                yield Trip(HaltScope(HaltScopeKind.SYMBOL, symbol), HALTED, "STALE_WORKING", why)

    def _stands_still(self, symbol: str, now_ns: int, limit_ns: int) -> bool:
        """Whether the venue has halted a symbol, or had until a moment ago: orders wait there for it to resume, and no quote can come."""
        quote = self._view.quote(symbol)
        if quote is not None and quote.status in {SYMBOL_HALTED, CLOSED}:
            self._stood_ns[symbol] = now_ns
        if now_ns - self._stood_ns.get(symbol, now_ns - limit_ns - 1) <= limit_ns:
            return True
        self._stood_ns.pop(symbol, None)
        return False

    def _channels(self, policy: Policy, now_ns: int) -> Iterator[Trip]:
        for broker, account in self._view.brokers():
            if self._view.channel(broker) is not BrokerState.DOWN:
                self._down_since.pop(broker, None)
                continue
            since_ns = self._down_since.setdefault(broker, now_ns)
            if self._is_reset(broker, now_ns):
                # Expected, every day: it counts as down from when it should be back. New orders are denied meanwhile as always.
                since_ns = self._down_since[broker] = now_ns
            down_ns = now_ns - since_ns
            working = self._view.open_count(account, None)
            if working and down_ns > policy.ns("monitor.max_down_s"):
                why = f"{broker} is down for {_seconds(down_ns)} s with {working} open orders"
                yield Trip(HaltScope(HaltScopeKind.ACCOUNT, account), HALTED, "DOWN_WORKING", why)

    def _is_reset(self, broker: str, now_ns: int) -> bool:
        caps = self._view.capabilities(broker)
        return caps is not None and any(reset.is_on(now_ns) for reset in caps.resets)

    def _working(self) -> tuple[str, ...]:
        """Symbols with open orders, in order of appearance."""
        return tuple(dict.fromkeys(order.symbol for order in self._view.open_orders(None, None)))

    def _quote_age(self, symbol: str, now_ns: int) -> int | None:
        quote = self._view.quote(symbol)
        return None if quote is None else abs(now_ns - quote.ts_ns)


def _seconds(span_ns: int) -> int:
    return abs(span_ns) // NS_PER_S
