"""What the gate reads: orders, books, market and channels, as look-ups in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from engine.api.market_state import MarketState
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, Clock
from engine.domain.instrument import Instrument
from engine.domain.money import ZERO_MONEY, ZERO_QTY, Money, Price, Qty
from engine.domain.order import Side, SourceKind
from engine.ledger.ledger import MARGINED, Ledger
from engine.market.sessions import Sessions
from engine.oms.broker_interface import Broker, Capabilities
from engine.risk.exposure import OpenOrder, ParentView, Quote
from engine.store.order_store import Order, OrderStore

DAY_NS = 86_400 * NS_PER_S


class EngineRiskView:
    """Implements ``RiskView`` over the engine's own state."""

    def __init__(
        self,
        store: OrderStore,
        ledger: Ledger,
        market: MarketState,
        brokers: Mapping[str, Broker],
        clock: Clock,
        sessions: Sessions,
        is_healthy: Callable[[], bool],
        mark_age_ns_max: Callable[[], int],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._market = market
        self._brokers = brokers
        self._clock = clock
        self._sessions = sessions
        self._is_healthy = is_healthy
        self._mark_age_ns_max = mark_age_ns_max
        self.channels: dict[str, ev.BrokerState] = {}
        self.verified: dict[tuple[str, str], int] = {}
        self._is_recovering = False
        self._day = 0
        self._booked_before: dict[str, Money] = {}
        """Realised result less fees of each account when the day began."""

    # -- following the journal -------------------------------------------------------------------------------------------

    def on_event(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Follow channels, reconciliations and the change of day."""
        del seq
        match event:
            case ev.EngineStarted():
                self.channels.clear()
                self.verified.clear()
                self._is_recovering = not event.clean
            case ev.BrokerChanged():
                self.channels[event.broker] = event.state
            case ev.ReconcileDone():
                key = (event.broker, event.account)
                self.verified.pop(key, None)
                if event.clean:
                    self.verified[key] = ts_ns
                    if all(pair in self.verified for pair in self.brokers()):
                        self._is_recovering = False
            case ev.OrderFilled() | ev.ForeignFillSeen():
                self._turn_day(ts_ns)
            case _:
                pass

    def _turn_day(self, ts_ns: int) -> None:
        day = ts_ns // DAY_NS
        if day != self._day:
            self._day = day
            accounts = sorted({key[1] for key in self._ledger.positions})
            self._booked_before = {account: self._booked(account) for account in accounts}

    def _booked(self, account: str) -> Money:
        total = ZERO_MONEY
        for _, _, position in self._ledger.held(account):
            total = total + position.realised - position.fees
        return total

    # -- RiskView --------------------------------------------------------------------------------------------------------

    def instrument(self, symbol: str) -> Instrument | None:
        """Terms of a symbol."""
        return self._market.instruments.get(symbol)

    def quote(self, symbol: str) -> Quote | None:
        """Latest best prices."""
        return self._market.quote(symbol)

    def session_open(self, symbol: str, ts_ns: int) -> bool | None:
        """Whether the calendar has the symbol in session."""
        made = self._market.instruments.get(symbol)
        return None if made is None else self._sessions.is_open(made.calendar, ts_ns)

    def session_words(self, symbol: str, ts_ns: int) -> str:
        """Why the symbol is not in session."""
        made = self._market.instruments.get(symbol)
        return "its terms are not known" if made is None else self._sessions.words(made.calendar, ts_ns)

    def session_close_ns(self, symbol: str, ts_ns: int) -> int | None:
        """When the session ends that runs at a time, or the next one."""
        made = self._market.instruments.get(symbol)
        return None if made is None else self._sessions.close_ns(made.calendar, ts_ns)

    def adv(self, symbol: str) -> Qty | None:  # noqa: ARG002 - volumes by day come with history
        """Average daily volume: none is kept, so the tighter fixed limit holds."""
        return None

    def currency_rate(self, currency: str) -> Decimal | None:
        """1 for the base currency; others have no rate yet, which denies."""
        return Decimal(1) if currency == self._ledger.base_currency else None

    def position(self, account: str, symbol: str) -> Qty:
        """Signed position."""
        return self._ledger.qty(account, symbol)

    def positions(self, account: str) -> Iterable[tuple[str, Qty]]:
        """Every symbol with a position or a live order."""
        found: dict[str, Qty] = {}
        for _, symbol, position in self._ledger.held(account):
            found[symbol] = found.get(symbol, ZERO_QTY) + position.qty
        for order in self._store.live.values():
            if order.spec.account == account:
                found.setdefault(order.spec.symbol, ZERO_QTY)
        return list(found.items())

    def open_qty(self, account: str, symbol: str, side: Side) -> Qty:
        """Worst-case open quantity of a side."""
        return self._store.open_qty(account, symbol, side)

    def open_orders(self, account: str | None, symbol: str | None) -> Iterable[OpenOrder]:
        """Live orders."""
        return [
            open_order(order)
            for order in self._store.live.values()
            if (account is None or order.spec.account == account) and (symbol is None or order.spec.symbol == symbol)
        ]

    def open_count(self, account: str, symbol: str | None) -> int:
        """Number of live orders."""
        if symbol is None:
            return sum(1 for order in self._store.live.values() if order.spec.account == account)
        return sum(
            1 for order in self._store.live.values() if order.spec.account == account and order.spec.symbol == symbol
        )

    def parent(self, order_id: str) -> ParentView | None:
        """A parent as its children need it."""
        order = self._store.orders.get(order_id)
        if order is None or not order.is_parent:
            return None
        return ParentView(
            qty=order.qty,
            committed=order.committed,
            state=order.state,
            stopping=order.stopping,
            algo=order.spec.algo.name,
            strategy=order.source.name if order.source.kind is SourceKind.STRATEGY else "",
        )

    def intent_owner(self, intent_id: str) -> str | None:
        """Order that used an intent id."""
        return self._store.by_intent.get(intent_id)

    def unknown_orders(self) -> tuple[int, int]:
        """Number and age of UNKNOWN orders."""
        since = [order.unknown_since_ns for order in self._store.live.values() if order.unknown_since_ns]
        return len(since), min(since, default=0)

    def channel(self, broker: str) -> ev.BrokerState:
        """Health of a channel."""
        return self.channels.get(broker, ev.BrokerState.DOWN)

    def capabilities(self, broker: str) -> Capabilities | None:
        """What a broker can do."""
        found = self._brokers.get(broker)
        return None if found is None else found.capabilities

    def brokers(self) -> Iterable[tuple[str, str]]:
        """Configured pairs."""
        return [(broker.name, broker.account) for broker in self._brokers.values()]

    def position_verified(self, broker: str, account: str) -> int | None:
        """When the account was last found clean."""
        return self.verified.get((broker, account))

    def mark(self, symbol: str, qty: Decimal) -> Price | None:
        """Conservative mark: what closing would meet; None where it is missing or stale."""
        quote = self._market.quote(symbol)
        if quote is None or self._clock.now_ns() - quote.ts_ns > self._mark_age_ns_max():
            return None
        return quote.bid if qty > 0 else quote.ask

    def pnl_day(self, account: str) -> Money | None:
        """Result of the UTC day; what was open at its start counts from its cost."""
        day = self._clock.now_ns() // DAY_NS
        before = self._booked_before.get(account, ZERO_MONEY) if day == self._day else self._booked(account)
        total = self._booked(account) - before
        for _, symbol, position in self._ledger.held(account):
            if position.qty:
                mark = self.mark(symbol, position.qty)
                if mark is None:
                    return None
                total = total + position.unrealised(mark)
        return total

    def equity(self, account: str) -> Money | None:
        """Cash and positions at their marks."""
        total = ZERO_MONEY
        for (_, held, currency), amount in self._ledger.cash.items():
            if held == account and currency == self._ledger.base_currency:
                total = total + amount
        for _, symbol, position in self._ledger.held(account):
            if not position.qty:
                continue
            mark = self.mark(symbol, position.qty)
            if mark is None:
                return None
            made = self._ledger.instrument(symbol)
            value = position.unrealised(mark) if made.kind in MARGINED else made.notional(mark, position.qty)
            total = total + value
        return total

    def recovering(self) -> bool:
        """After an unclean end, until a reconciliation is clean."""
        return self._is_recovering

    def ledger_healthy(self) -> bool:
        """Whether the journal takes writes."""
        return self._is_healthy()


def open_order(order: Order) -> OpenOrder:
    """An order as the gate compares others with it."""
    return OpenOrder(
        order_id=order.order_id,
        account=order.spec.account,
        symbol=order.spec.symbol,
        side=order.spec.side,
        leaves=order.worst_qty,
        type=order.spec.type,
        limit=order.limit,
        stop=order.stop,
        source=order.source,
        parent_id=order.parent_id,
    )
