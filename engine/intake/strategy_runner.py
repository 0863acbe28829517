"""One running strategy: its context, which turns what it asks into commands with its name on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.commands import CancelOrder, NewOrder
from engine.domain.errors import InputError, InstrumentError
from engine.domain.instrument import Instrument
from engine.domain.money import ZERO_QTY, Price, Qty
from engine.domain.order import AlgoSpec, OrderSpec, OrderType, Side, Source, SourceKind, Tif
from engine.intake.strategy_base import Strategy
from engine.intake.strategy_orders import PLAIN, OrderTerms, as_combo, as_rivals, with_exits
from engine.market.bars import BAR_NS
from engine.market.days import DAY_NS
from engine.market.feed import QuoteTick
from engine.market.history import BARS_MAX, HistoryBar
from engine.store.order import Order

if TYPE_CHECKING:
    from engine.intake.strategy_host import StrategyHost

REFUSED_WAIT_NS = 5 * NS_PER_S
TIMERS_MAX = 1_000
DIRECT = AlgoSpec()


class Runner:
    """Implements ``StrategyContext``. After the strategy was stopped every request is an InputError."""

    def __init__(self, host: StrategyHost, name: str, strategy: Strategy, state: dict[str, str]) -> None:
        self.name = name
        self.strategy = strategy
        self.tell = strategy.on_event
        self.state = state
        self.saved = dict(state)
        """The state as it was journaled last."""
        self.source = Source(SourceKind.STRATEGY, name)
        self.is_on = True
        self.timers: dict[str, int] = {}
        """Timer name -> its number; an older number is a replaced timer."""
        self._host = host
        self._targets: dict[str, Qty] = {}
        self._refusals: dict[str, tuple[Qty, int]] = {}

    # -- StrategyContext -----------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """Engine time."""
        return self._host.clock.now_ns()

    def instrument(self, symbol: str) -> Instrument:
        """Terms of a symbol."""
        found = self._host.instrument_of(symbol)
        if found is None:
            msg = f"{self.name}: instrument {symbol!r} is not known to any connected broker"
            raise InstrumentError(msg)
        return found

    def quote(self, symbol: str) -> QuoteTick | None:
        """The newest quote seen."""
        return self._host.quotes.get(symbol)

    def bars(self, symbol: str, period_ns: int, count: int) -> tuple[HistoryBar, ...]:
        """Bars that had ended by now."""
        if period_ns % BAR_NS or not BAR_NS <= period_ns <= DAY_NS or not 0 < count <= BARS_MAX:
            msg = f"{self.name} asked for {count} bars of {period_ns} ns; expected whole minutes up to a day, 1 to {BARS_MAX} bars"
            raise InputError(msg)
        host = self._host
        live = host.bars.of.get(symbol, ())
        return host.history.bars(self.instrument(symbol), period_ns, count, self.now_ns(), live)

    def position(self, symbol: str) -> Qty:
        """Own fills, signed."""
        return self._host.position(self.name, symbol)

    def working(self, symbol: str) -> Qty:
        """What open orders may still fill, signed."""
        total = ZERO_QTY
        for order in self._open(symbol):
            rest = _rest(order)
            total = total + rest if order.spec.side is Side.BUY else total - rest
        return total

    def target(
        self,
        symbol: str,
        qty: Qty | int,
        *,
        why: str,
        limit: Price | None = None,
        tif: Tif = Tif.DAY,
        algo: AlgoSpec | None = None,
    ) -> str | None:
        """Order what is missing to a position; see the protocol."""
        self._check(why)
        wanted = Qty(qty)
        missing = wanted - self.position(symbol)
        side = Side.BUY if missing > 0 else Side.SELL
        open_orders = self._open(symbol)
        if any(order.spec.side is not side for order in open_orders) or abs(self.working(symbol)) > abs(missing):
            for order in open_orders:
                self._cancel(order)
            return None
        more = abs(missing) - abs(self.working(symbol))
        refused, until_ns = self._refusals.get(symbol, (None, 0))
        if more <= 0 or (refused == wanted and self.now_ns() < until_ns):
            return None
        self._targets[symbol] = wanted
        return self.order(symbol, side, more, why=why, limit=limit, tif=tif, algo=algo)

    def order(
        self,
        symbol: str,
        side: Side,
        qty: Qty | int,
        *,
        why: str,
        limit: Price | None = None,
        stop: Price | None = None,
        tif: Tif = Tif.DAY,
        post_only: bool = False,
        reduce_only: bool = False,
        algo: AlgoSpec | None = None,
        terms: OrderTerms = PLAIN,
    ) -> str | None:
        """Place an order; its id, or None where it was refused."""
        host = self._host
        spec = OrderSpec(
            symbol=symbol,
            side=side,
            qty=Qty(qty),
            type=terms.kind(limit, stop),
            limit=limit,
            stop=terms.touch if terms.touch is not None else stop,
            trail=terms.trail,
            display=terms.display,
            tif=tif,
            expires_ns=terms.expires_ns,
            post_only=post_only,
            reduce_only=reduce_only,
            broker=host.broker,
            account=host.account,
            algo=algo or DIRECT,
        )
        return self._place(spec, (), why)

    def bracket(
        self,
        symbol: str,
        side: Side,
        qty: Qty | int,
        *,
        why: str,
        target: Price | None = None,
        guard: Price | None = None,
        limit: Price | None = None,
        tif: Tif = Tif.DAY,
    ) -> str | None:
        """Place an entry with its exits."""
        plain = self._plain(symbol, side, qty, tif)
        entry = msgspec.structs.replace(plain, type=PLAIN.kind(limit, None), limit=limit)
        return self._place(*with_exits(entry, target, guard), why)

    def rivals(
        self,
        symbol: str,
        side: Side,
        qty: Qty | int,
        *,
        why: str,
        limits: tuple[Price, ...] = (),
        stops: tuple[Price, ...] = (),
        tif: Tif = Tif.DAY,
    ) -> str | None:
        """Place orders of which one cancels the others."""
        return self._place(*as_rivals(self._plain(symbol, side, qty, tif), limits, stops), why)

    def combo(
        self,
        units: int,
        parts: tuple[tuple[str, Side, Qty], ...],
        *,
        why: str,
        net: Price | None = None,
        tif: Tif = Tif.DAY,
        is_legged: bool = False,
    ) -> str | None:
        """Place a combination."""
        plain = self._plain("", Side.BUY, 1, tif)
        return self._place(*as_combo(plain, units, parts, net, is_legged=is_legged), why)

    def _plain(self, symbol: str, side: Side, qty: Qty | int, tif: Tif) -> OrderSpec:
        host = self._host
        return OrderSpec(
            symbol=symbol,
            side=side,
            qty=Qty(qty),
            type=OrderType.MARKET,
            tif=tif,
            broker=host.broker,
            account=host.account,
        )

    def _place(self, spec: OrderSpec, linked: tuple[OrderSpec, ...], why: str) -> str | None:
        self._check(why)
        host = self._host
        # The order number is used up by the answer, so the next order has another; the same over restarts.
        intent_id = f"{self.name}-{host.store.next_counter()}"
        result = host.submit(NewOrder(source=self.source, intent_id=intent_id, spec=spec, linked=linked, why=why))
        return result.order_id if result.ok else None

    def cancel(self, order_id: str) -> None:
        """Ask for the cancel of an own order."""
        self._check("cancel")
        order = self._host.store.orders.get(order_id)
        if order is None or order.source != self.source:
            msg = f"{self.name} asked to cancel {order_id!r}, which is not its order"
            raise InputError(msg)
        self._cancel(order)

    def timer(self, name: str, at_ns: int) -> None:
        """Ask for a TimerDue."""
        self._check("timer")
        if name not in self.timers and len(self.timers) >= TIMERS_MAX:
            msg = f"{self.name} has {TIMERS_MAX} timers; no more are kept"
            raise InputError(msg)
        self.timers[name] = self._host.set_timer(self.name, at_ns, name)

    # -- the host's side -----------------------------------------------------------------------------------------------

    def refused(self, order: Order, now_ns: int) -> None:
        """Remember that the target behind an order was refused."""
        wanted = self._targets.get(order.spec.symbol)
        if wanted is not None:
            self._refusals[order.spec.symbol] = (wanted, now_ns + REFUSED_WAIT_NS)

    def _check(self, why: str) -> None:
        if not self.is_on:
            msg = f"{self.name} was stopped and can ask for nothing"
            raise InputError(msg)
        if not why.strip():
            msg = f"{self.name} gave no reason; every order says why"
            raise InputError(msg)

    def _open(self, symbol: str) -> list[Order]:
        return [order for order in self._host.open_orders(self.name) if order.spec.symbol == symbol]

    def _cancel(self, order: Order) -> None:
        if order.order_id in self._host.store.parents_open and not order.stopping:
            self._host.submit(CancelOrder(source=self.source, order_id=order.order_id))


def _rest(order: Order) -> Qty:
    """What a parent may still fill: a stopping one only through its live children."""
    if order.stopping:
        return order.committed - order.qty_filled
    return order.qty - order.qty_filled if order.qty > order.qty_filled else ZERO_QTY
