"""Runs strategies: hands them ticks and their own orders, and turns what they ask into commands.

Nothing is called from inside a call: events are queued and told by :meth:`StrategyHost.pump`, which the engine calls after each
input. A strategy that raises, or takes longer than its budget for one event, is disabled: it is told nothing more, its
orders that are not reduce-only are cancelled, and the journal holds the reason. The budget is wall time, so a replay has none
and stays a function of its inputs.

After a restart strategies run again only where the engine had ended cleanly (:meth:`StrategyHost.resume`); a halt stops them, and
only a person starts them again.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from engine.domain import events as ev
from engine.domain.clock import NS_PER_MS, Clock
from engine.domain.commands import AnyCommand, CancelOrder, CommandResult, HaltScopeKind, SetStrategy
from engine.domain.errors import InputError
from engine.domain.instrument import Instrument
from engine.domain.money import ZERO_QTY, Qty
from engine.domain.order import OrderState, SourceKind
from engine.domain.strategy_events import StrategyChanged, StrategySaved
from engine.intake.strategy_base import (
    HistoryReady,
    OwnFill,
    OwnOrder,
    Strategy,
    StrategyEvent,
    TimerDue,
    make_strategy,
)
from engine.intake.strategy_loader import short_trace
from engine.intake.strategy_runner import Runner
from engine.market.bars import Bars
from engine.market.feed import MarketTick, QuoteTick, TradeTick
from engine.market.history import History
from engine.store.order import Order
from engine.store.order_store import OrderStore
from engine.views import SourceView

BUDGET_NS = 50 * NS_PER_MS
PUMP_MAX = 1_000
"""Events told in one pump; the rest waits for the next one."""
QUEUE_MAX = 10_000
"""Events that may wait; the strategy that is told the next one is disabled."""
STATE_CHARS_MAX = 65_536
LIVE_BARS = 2 * 1_440
"""Minutes of what the engine saw itself that are kept of a strategy's symbols."""
REFUSED = frozenset({OrderState.DENIED, OrderState.REJECTED, OrderState.KILLED})

Submit = Callable[[AnyCommand], CommandResult]
Record = Callable[[ev.AnyEvent], object]


class StrategyHost:
    """All strategies of one engine.

    Args:
        strategies: what can be started, by name (:func:`engine.intake.strategy_loader.load_strategies`).
        store: the orders, read only.
        instrument: terms of a symbol, None where it is not known.
        submit: the engine's door.
        record: journals an event.
        clock: time for strategies, and the monotonic clock of the budget.
        budget_ns: longest time for one event; 0 for none.
        past: history, and the bars of what the engine sees.
        broker: where the orders of strategies go.
        account: the account there.
    """

    def __init__(
        self,
        strategies: Mapping[str, type[Strategy]],
        store: OrderStore,
        instrument: Callable[[str], Instrument | None],
        submit: Submit,
        record: Record,
        clock: Clock,
        budget_ns: int = BUDGET_NS,
        broker: str = "paper",
        account: str = "PAPER",
        past: tuple[History, Bars] | None = None,
    ) -> None:
        self.strategies = dict(strategies)
        self.store = store
        self.instrument_of = instrument
        self.submit = submit
        self.record = record
        self.clock = clock
        self.budget_ns = budget_ns
        self.broker = broker
        self.account = account
        self.history, self.bars = past or (History(), Bars())
        self.quotes: dict[str, QuoteTick] = {}
        self._runners: dict[str, Runner] = {}
        self._by_symbol: dict[str, tuple[Runner, ...]] = {}
        self._quoted: set[str] = set()
        """Symbols of strategies that want no ticks: their newest quote is kept all the same."""
        self.queue: deque[tuple[str, StrategyEvent]] = deque()
        """What waits to be told by :meth:`pump`: strategy and event."""
        self._timers: list[tuple[int, int, str, str]] = []
        self.timers_set = 0
        """How many timers were ever asked for: a driver that keeps the next due time looks here for a new one."""
        self._is_busy = False
        self._last: dict[str, StrategyChanged] = {}
        self._saved: dict[str, dict[str, str]] = {}
        self._halted: dict[tuple[HaltScopeKind, str], str] = {}
        self._positions: dict[tuple[str, str], Qty] = {}
        self._is_recovered = False
        self.routes: ev.Routes = {
            StrategyChanged: self._changed,
            StrategySaved: self._save,
            ev.TradingStateChanged: self._state_changed,
        }
        self.live_routes: ev.Routes = {
            ev.TradingStateChanged: self._tripped,
            ev.OrderFilled: self._on_fill,
            ev.FillBusted: self._on_fill,
            ev.ParentAccepted: self._accepted,
            ev.ParentEnded: self._ended,
            ev.OrderDenied: self._denied,
        }

    # -- starting and stopping -----------------------------------------------------------------------------------------

    def set(self, command: SetStrategy) -> CommandResult:
        """Start or stop a strategy as a person asked. Started twice or stopped twice changes nothing."""
        name = command.name
        if not command.on:
            return self._stop(name, f"stopped by {command.source.name or command.source.kind}")
        if name in self._runners:
            return self._is_on(name, dict(command.params))
        return self._start(name, dict(command.params), f"started by {command.source.name or command.source.kind}")

    def _is_on(self, name: str, asked: dict[str, str]) -> CommandResult:
        """Asked again it is no fault; with parameters that it does not have, whoever asks must know."""
        has = self._last[name].params
        if asked and asked != has:
            words = " ".join(f"{key}={value}" for key, value in has.items()) or "no parameters"
            return _no(
                "STRATEGY_ON", f"{name} is on with {words}; nothing was changed: stop it first, then start it anew"
            )
        return CommandResult(ok=True, repeated=True, text=f"{name} is on already")

    def resume(self, *, is_clean: bool) -> None:
        """After a restart: go on with what was on where the engine had ended cleanly; otherwise say that it is off."""
        for name, last in list(self._last.items()):
            if last.state != "on" or name in self._runners:
                continue
            if is_clean:
                result = self._start(name, dict(last.params), "goes on after a clean restart")
                why = result.text
            else:
                why = "not started again: the engine did not end cleanly"
            if name not in self._runners and self._last[name].state == "on":
                self.record(StrategyChanged(name=name, state="off", why=why))

    def _start(self, name: str, params: dict[str, str], why: str) -> CommandResult:
        kind = self.strategies.get(name)
        if kind is None:
            known = ", ".join(sorted(self.strategies))
            return _no(
                "STRATEGY_UNKNOWN",
                f"there is no strategy {name!r}; there are {known}. Files of strategies/ are read when an engine starts",
            )
        halt = self._halted.get((HaltScopeKind.GLOBAL, "")) or self._halted.get((HaltScopeKind.STRATEGY, name))
        if halt is not None:
            return _no("HALTED", f"{name} cannot start while trading is halted: {halt}; rearm first")
        try:
            strategy = make_strategy(kind, params)
            symbols = strategy.symbols()
        except InputError as error:
            return _no("STRATEGY_PARAMS", str(error))
        except (Exception, SystemExit) as error:  # loop edge: a user's check may raise anything; it is not started
            return _no("STRATEGY_PARAMS", f"{name}: {short_trace(error)}")
        self._recover()
        runner = Runner(self, name, strategy, dict(self._saved.get(name, {})))
        self._runners[name] = runner
        if strategy.wants_ticks:
            for symbol in symbols:
                self._by_symbol[symbol] = (*self._by_symbol.get(symbol, ()), runner)
        else:
            self._quoted.update(symbols)
        for symbol in symbols:
            self.bars.keep(symbol, LIVE_BARS)
        self.record(StrategyChanged(name=name, state="on", why=why, params=params))
        self._call(runner, strategy.on_start)
        if runner.is_on:
            return CommandResult(ok=True, text=f"{name} is on")
        return _no("STRATEGY_FAILED", self._last[name].why)

    def _stop(self, name: str, why: str) -> CommandResult:
        runner = self._runners.get(name)
        if runner is None and name not in self.strategies and name not in self._last:
            return _no(
                "STRATEGY_UNKNOWN", f"there is no strategy {name!r}; there are {', '.join(sorted(self.strategies))}"
            )
        if runner is None:
            return CommandResult(ok=True, repeated=True, text=f"{name} is off already")
        self._call(runner, runner.strategy.on_stop)
        if runner.is_on:
            self._remove(runner)
            self.record(StrategyChanged(name=name, state="off", why=why))
        return CommandResult(ok=True, text=f"{name} is off; {len(self.open_orders(name))} of its orders are open")

    def _remove(self, runner: Runner) -> None:
        runner.is_on = False
        self._runners.pop(runner.name, None)
        for symbol, runners in self._by_symbol.items():
            self._by_symbol[symbol] = tuple(other for other in runners if other is not runner)

    def _disable(self, runner: Runner, why: str) -> None:
        self._remove(runner)
        self.record(StrategyChanged(name=runner.name, state="disabled", why=why))
        for order in self.open_orders(runner.name):
            if not order.spec.reduce_only and not order.stopping:
                self.submit(CancelOrder(source=runner.source, order_id=order.order_id))

    # -- being told ----------------------------------------------------------------------------------------------------

    def apply(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Project what was on, what was saved and what is halted; live and on rebuild alike."""
        handler = self.routes.get(event.__class__)
        if handler is not None:
            handler(seq, ts_ns, event)

    def _changed(self, _seq: int, _ts_ns: int, event: StrategyChanged) -> None:
        self._last[event.name] = event

    def _save(self, _seq: int, _ts_ns: int, event: StrategySaved) -> None:
        self._saved[event.name] = event.data

    def _state_changed(self, _seq: int, _ts_ns: int, event: ev.TradingStateChanged) -> None:
        key = (event.scope.kind, event.scope.name)
        if event.state is ev.TradingState.HALTED:
            self._halted[key] = event.why or event.code
        else:
            self._halted.pop(key, None)

    def follow(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """A live event: :meth:`apply`, then what concerns a running strategy is queued. On rebuild only :meth:`apply` is called."""
        for routes in (self.routes, self.live_routes):
            handler = routes.get(event.__class__)
            if handler is not None:
                handler(seq, ts_ns, event)

    def _tripped(self, _seq: int, _ts_ns: int, event: ev.TradingStateChanged) -> None:
        if event.state is ev.TradingState.HALTED:
            self._halt(event)

    def _accepted(self, _seq: int, _ts_ns: int, event: ev.ParentAccepted) -> None:
        if event.source.kind is SourceKind.STRATEGY:
            self._tell_order(event.order_id, OrderState.NEW, "")

    def _ended(self, _seq: int, _ts_ns: int, event: ev.ParentEnded) -> None:
        self._tell_order(event.order_id, event.state, event.why)

    def _denied(self, _seq: int, _ts_ns: int, event: ev.OrderDenied) -> None:
        if not event.parent_id and not event.amend:
            self._tell_order(event.order_id, OrderState.DENIED, event.denials[0].text if event.denials else "")

    def wants(self, symbol: str) -> bool:
        """Whether a strategy listens to a symbol."""
        return bool(self._by_symbol.get(symbol))

    def on_tick(self, tick: MarketTick) -> None:
        """A market tick: strategies of its symbol are told at once, or after the call in progress."""
        runners = self._by_symbol.get(tick.symbol)
        if not runners:
            if isinstance(tick, QuoteTick):
                self.pass_over(tick)
            return
        if tick.__class__ is QuoteTick:
            self.quotes[tick.symbol] = tick
        elif tick.__class__ is not TradeTick:
            return
        if self.queue or self._is_busy or self.budget_ns:
            self._tell_tick(runners, tick)
            return
        # As _call does, without its budget: on the way that a replay takes a million times.
        for runner in runners:
            if runner.is_on:
                self._is_busy = True
                try:
                    runner.tell(runner, tick)
                except BaseException as raised:  # loop edge: as in _call
                    self._raised(runner, tick, raised)
                else:
                    self._is_busy = False
                    if (runner.state or runner.saved) and runner.state != runner.saved:
                        self._after_call(runner, "")
        if self.queue:
            self.pump()

    def _raised(self, runner: Runner, tick: QuoteTick | TradeTick, raised: BaseException) -> None:
        self._is_busy = False
        if isinstance(raised, KeyboardInterrupt):
            raise raised
        self._after_call(runner, f"{type(tick).__name__} raised {short_trace(raised)}")

    def _tell_tick(self, runners: tuple[Runner, ...], tick: QuoteTick | TradeTick) -> None:
        """Where nothing waits a tick is told at once, without the queue. A strategy may end itself or others meanwhile."""
        if self.queue or self._is_busy:
            for runner in runners:
                self._tell(runner.name, tick)
            self.pump()
            return
        for runner in runners:
            if runner.is_on:
                self._call(runner, runner.strategy.on_event, tick)
        if self.queue:
            self.pump()

    def on_history(self, symbol: str, bars: int, source: str) -> None:
        """History came: strategies of its symbol are told."""
        for runner in list(self._runners.values()):
            if symbol in runner.strategy.symbols():
                self._tell(runner.name, HistoryReady(symbol, bars, source))
        self.pump()

    def pass_over(self, quote: QuoteTick) -> None:
        """The newest quote of ticks that no strategy wanted."""
        if quote.symbol in self._quoted:
            self.quotes[quote.symbol] = quote

    def on_time(self, now_ns: int) -> None:
        """Queue every timer that is due."""
        while self._timers and self._timers[0][0] <= now_ns:
            due_ns, number, name, timer = heapq.heappop(self._timers)
            runner = self._runners.get(name)
            if runner is not None and runner.timers.get(timer) == number:
                del runner.timers[timer]
                self._tell(name, TimerDue(timer, due_ns))
        self.pump()

    def next_timer_ns(self) -> int | None:
        """When :meth:`on_time` must be called at the latest."""
        return self._timers[0][0] if self._timers else None

    def pump(self) -> None:
        """Tell what is queued, in order. Does nothing while a strategy is being called."""
        if self._is_busy:
            return
        for _ in range(PUMP_MAX):
            if not self.queue:
                return
            name, event = self.queue.popleft()
            runner = self._runners.get(name)
            if runner is not None:
                self._call(runner, runner.strategy.on_event, event)

    # -- what runners ask ----------------------------------------------------------------------------------------------

    def open_orders(self, name: str) -> list[Order]:
        """Parents of a strategy that have not ended, oldest first."""
        return [order for order in self.store.parents_open.values() if _is_of(order, name)]

    def position(self, name: str, symbol: str) -> Qty:
        """Sum of a strategy's own fills."""
        return self._positions.get((name, symbol), ZERO_QTY)

    def set_timer(self, name: str, at_ns: int, timer: str) -> int:
        """Ask for a TimerDue; its number."""
        self.timers_set += 1
        heapq.heappush(self._timers, (at_ns, self.timers_set, name, timer))
        return self.timers_set

    def views(self) -> tuple[SourceView, ...]:
        """Every strategy that can be started, with how it stands."""
        found = []
        for name in sorted(self.strategies):
            last = self._last.get(name)
            state = "on" if name in self._runners else "off" if last is None or last.state == "on" else last.state
            why = "" if last is None else last.why
            found.append(SourceView(name=name, state=state, why=why, parents=len(self.open_orders(name))))
        return tuple(found)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _call(self, runner: Runner, call: Callable[..., None], *event: StrategyEvent) -> None:
        self._is_busy = True
        budget_ns = self.budget_ns
        began_ns = self.clock.monotonic_ns() if budget_ns else 0
        error = ""
        try:
            call(runner, *event)
        except KeyboardInterrupt:
            raise
        except BaseException as raised:  # loop edge: whatever a strategy raises, sys.exit() too, disables it alone
            error = f"{_called(call, event)} raised {short_trace(raised)}"
        finally:
            self._is_busy = False
        if budget_ns and not error:
            took_ns = self.clock.monotonic_ns() - began_ns
            if took_ns > budget_ns:
                took, budget = took_ns // NS_PER_MS, budget_ns // NS_PER_MS
                error = f"{_called(call, event)} took {took} ms; the budget is {budget} ms an event"
        if error or runner.state != runner.saved:
            self._after_call(runner, error)

    def _after_call(self, runner: Runner, error: str) -> None:
        """Something happened in the call: a fault disables, a changed state is journaled."""
        error = error or _state_error(runner.state)
        if error:
            if runner.is_on:
                self._disable(runner, error)
            return
        runner.saved = dict(sorted(runner.state.items()))
        if runner.saved != self._saved.get(runner.name, {}):
            self.record(StrategySaved(name=runner.name, data=runner.saved))

    def _tell(self, name: str, event: StrategyEvent) -> None:
        runner = self._runners.get(name)
        if runner is None:
            return
        if len(self.queue) >= QUEUE_MAX:
            self._disable(runner, f"{QUEUE_MAX} events wait to be told; strategies are slower than the market")
        else:
            self.queue.append((name, event))

    def _tell_order(self, order_id: str, state: OrderState, why: str) -> None:
        order = self.store.orders.get(order_id)
        if order is None or order.source.kind is not SourceKind.STRATEGY:
            return
        name = order.source.name
        runner = self._runners.get(name)
        if runner is not None and state in REFUSED:
            runner.refused(order, self.clock.now_ns())
        self._tell(name, OwnOrder(order_id, order.spec.symbol, state, order.qty_filled, why))

    def _on_fill(self, _seq: int, _ts_ns: int, event: ev.OrderFilled | ev.FillBusted) -> None:
        child = self.store.orders.get(event.order_id)
        parent = None if child is None else self.store.orders.get(child.parent_id)
        if parent is None or parent.source.kind is not SourceKind.STRATEGY:
            return
        if not self._is_recovered:
            return  # no strategy was started yet; its positions are then counted from the orders
        fill = event.fill
        change = fill.qty if isinstance(event, ev.OrderFilled) else -fill.qty
        if fill.corrects and isinstance(event, ev.OrderFilled):
            change = change - self.store.fills[fill.broker, fill.account, fill.corrects][1].qty
        if change:
            name, symbol = parent.source.name, parent.spec.symbol
            self._count(parent, change)
            self._tell(name, OwnFill(parent.order_id, symbol, parent.spec.side, change, fill.price, fill.ts_ns))

    def _recover(self) -> None:
        """Positions of strategies from the orders of the ledger, once."""
        if not self._is_recovered:
            self._is_recovered = True
            for order in self.store.orders.all():
                if order.is_parent and order.source.kind is SourceKind.STRATEGY:
                    self._count(order, order.qty_filled)

    def _count(self, parent: Order, change: Qty) -> None:
        """Book what a parent filled more (or, by a bust, less)."""
        key = (parent.source.name, parent.spec.symbol)
        signed = change if parent.spec.side.sign > 0 else -change
        self._positions[key] = self._positions.get(key, ZERO_QTY) + signed

    def _halt(self, event: ev.TradingStateChanged) -> None:
        scope = event.scope
        for runner in list(self._runners.values()):
            is_global = scope.kind is HaltScopeKind.GLOBAL
            if is_global or (scope.kind is HaltScopeKind.STRATEGY and scope.name == runner.name):
                self._remove(runner)
                self.record(StrategyChanged(name=runner.name, state="off", why=f"halted: {event.why or event.code}"))


def _is_of(order: Order, name: str) -> bool:
    return order.source.kind is SourceKind.STRATEGY and order.source.name == name


def _called(call: Callable[..., None], event: tuple[StrategyEvent, ...]) -> str:
    """What was being told: the kind of event, or ``on_start`` and ``on_stop``."""
    return type(event[0]).__name__ if event else call.__name__


def _no(code: str, text: str) -> CommandResult:
    return CommandResult(ok=False, code=code, text=text)


def _state_error(state: Mapping[Any, Any]) -> str:
    chars = 0
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, str):
            return f"state[{key!r}] was {value!r}; keys and values must be text"
        chars += len(key) + len(value)
    return f"state holds {chars} characters; at most {STATE_CHARS_MAX} are kept" if chars > STATE_CHARS_MAX else ""
