"""What the gate reads: orders, books, market and channels, as look-ups in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from engine.api.market_state import MarketState
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, Clock
from engine.domain.instrument import Instrument, InstrumentKind
from engine.domain.ledger_events import EngineStarted
from engine.domain.money import EXACT, ZERO_MONEY, ZERO_QTY, Money, Price, Qty, ratio
from engine.domain.money_events import RateSeen
from engine.domain.order import Side, SourceKind
from engine.ledger.day_book import DayBook, Unknown
from engine.ledger.fx_book import FxBook
from engine.ledger.ledger import Ledger
from engine.market.history import History
from engine.market.sessions import Sessions
from engine.oms.broker_interface import Broker, Capabilities
from engine.risk.exposure import OpenOrder, ParentView, Quote
from engine.risk.policy import PolicyHolder
from engine.store.journal import Journal
from engine.store.order import Order
from engine.store.order_store import OrderStore

_ZERO, _ONE, _HALF = Decimal(0), Decimal(1), Decimal("0.5")

OPENED_SPARE = 64
"""How many more are kept than twice those that are live."""


class EngineRiskView:
    """Implements ``RiskView`` over the engine's own state."""

    def __init__(
        self,
        store: OrderStore,
        ledger: Ledger,
        days: DayBook,
        market: MarketState,
        brokers: Mapping[str, Broker],
        clock: Clock,
        sessions: Sessions,
        journal: Journal,
        policy: PolicyHolder,
        fx: FxBook,
        history: History,
    ) -> None:
        self._history = history
        self._store = store
        self._ledger = ledger
        self._days = days
        self._market = market
        self._brokers = brokers
        self._clock = clock
        self._sessions = sessions
        self._journal = journal
        self._policy = policy
        self._fx = fx
        self.channels: dict[str, ev.BrokerState] = {}
        self.verified: dict[tuple[str, str], int] = {}
        self._offsets: dict[str, int] = {}
        self._opened: dict[str, tuple[int, OpenOrder]] = {}
        """Live orders as the gate compares them, with the row that changed each last; those that have ended go in time."""
        self._is_recovering = False
        self.routes: ev.Routes = {
            EngineStarted: self._started,
            ev.BrokerChanged: self._channel_changed,
            ev.ReconcileDone: self._reconciled,
        }

    # -- following the journal -------------------------------------------------------------------------------------------

    def _started(self, _seq: int, _ts_ns: int, event: EngineStarted) -> None:
        self.channels.clear()
        self.verified.clear()
        self._offsets.clear()
        self._is_recovering = not event.clean

    def _channel_changed(self, _seq: int, _ts_ns: int, event: ev.BrokerChanged) -> None:
        self.channels[event.broker] = event.state

    def _reconciled(self, _seq: int, ts_ns: int, event: ev.ReconcileDone) -> None:
        self._offsets[event.broker] = ts_ns - event.ts_ns
        key = (event.broker, event.account)
        self.verified.pop(key, None)
        if event.clean:
            self.verified[key] = ts_ns
            if all(pair in self.verified for pair in self.brokers()):
                self._is_recovering = False

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

    def adv(self, symbol: str) -> Qty | None:
        """Average daily volume: as the instrument states it, else that of the days before today in the history."""
        made = self._market.instruments.get(symbol)
        if made is None or made.adv is not None:
            return None if made is None else made.adv
        found = self._history.adv(symbol, self._clock.now_ns())
        return None if found is None else found[0]

    def currency_rate(self, currency: str) -> Decimal | None:
        """1 for the base currency; for others :meth:`rate_seen`, where it is not too old."""
        if currency == self._ledger.base_currency:
            return _ONE
        found = self.rate_seen(currency)
        if found is None or self._clock.now_ns() - found.ts_ns > self._policy.ns("fx.max_age_s"):
            return None
        return found.rate

    def rate_seen(self, currency: str) -> RateSeen | None:
        """The middle of a fresh quote of the spot pair (BTC-USD for BTC, or turned round USD-JPY for JPY), else the rate that was
        stated last, however old; None where there is neither.
        """
        base = self._ledger.base_currency
        for one, other in ((currency, base), (base, currency)):
            for symbol in (f"{one}-{other}", f"{one}/{other}", f"{one}{other}"):
                made, quote = self._market.instruments.get(symbol), self._market.quote(symbol)
                is_pair = made is not None and made.kind is InstrumentKind.CRYPTO_SPOT and made.currency == other
                if is_pair and quote is not None and self._is_fresh(quote) and quote.bid and quote.ask:
                    middle = EXACT.multiply(EXACT.add(quote.bid, quote.ask), _HALF)
                    rate = middle if one == currency else ratio(_ONE, middle)
                    return RateSeen(rate, quote.ts_ns, f"quote of {symbol}")
        return self._fx.seen(currency, base)

    def rate_age(self, currency: str) -> int | None:
        """Age of the rate of a currency, ns; 0 for the base currency, None where there is no rate at all."""
        if currency == self._ledger.base_currency:
            return 0
        found = self.rate_seen(currency)
        return None if found is None else max(0, self._clock.now_ns() - found.ts_ns)

    def pnl_rate_ns(self, account: str) -> int:
        """The oldest moment of the rates that the day's result is worked out with; 0 where none is needed or one is missing."""
        base = self._ledger.base_currency
        if all(currency == base for currency in self._ledger.settled(account)):
            return 0  # the usual case, looked at with each picture of the desk
        found = self._days.results(account, self._worth(account))
        if isinstance(found, Unknown):
            return 0
        seen = [self.rate_seen(currency) for currency, amount in found.items() if amount and currency != base]
        return min((one.ts_ns for one in seen if one is not None), default=0)

    def position(self, account: str, symbol: str) -> Qty:
        """Signed position."""
        return self._ledger.qty(account, symbol)

    def short_used(self, account: str, symbol: str) -> Qty:
        """What the account sold short in the risk day."""
        day = self._days.days.get(account)
        return ZERO_QTY if day is None else day.shorted.get(symbol, ZERO_QTY)

    def positions(self, account: str) -> Iterable[tuple[str, Qty]]:
        """Every symbol with a position that is not flat, or a live order."""
        open_positions = self._ledger.open_positions(account)
        if not open_positions:
            return [(symbol, ZERO_QTY) for symbol in self._store.symbols_live(account)]
        found: dict[str, Qty] = {}
        # What is flat has nothing to value: the price of what was once traded may be gone for good.
        for (_, _, symbol), position in open_positions.items():
            found[symbol] = found.get(symbol, ZERO_QTY) + position.qty
        for symbol in self._store.symbols_live(account):
            found.setdefault(symbol, ZERO_QTY)
        return list(found.items())

    def open_qty(self, account: str, symbol: str, side: Side) -> Qty:
        """Worst-case open quantity of a side."""
        return self._store.open_qty(account, symbol, side)

    def open_orders(self, account: str | None, symbol: str | None) -> Iterable[OpenOrder]:
        """Live orders."""
        return [
            self._open(order)
            for order in self._store.live.values()
            if (account is None or order.spec.account == account) and (symbol is None or order.spec.symbol == symbol)
        ]

    def _open(self, order: Order) -> OpenOrder:
        """As :func:`open_order`, made anew only where a journaled event has changed the order since."""
        held = self._opened.get(order.order_id)
        if held is None or held[0] != order.updated_seq:
            if len(self._opened) > 2 * len(self._store.live) + OPENED_SPARE:
                self._opened.clear()
            held = self._opened[order.order_id] = (order.updated_seq, open_order(order))
        return held[1]

    def open_count(self, account: str, symbol: str | None) -> int:
        """Number of live orders."""
        return self._store.count_of(account, symbol)

    def side_count(self, symbol: str, side: Side) -> int:
        """Number of live orders of a symbol on one side."""
        return self._store.count_of_side(symbol, side)

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
        unknown = self._store.unknown
        if not unknown:
            return 0, 0
        return len(unknown), min(order.unknown_since_ns for order in unknown.values())

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

    def mark_age_ns_max(self) -> int:
        """How old a price may be to value a position with."""
        return self._policy.ns("monitor.max_stale_s")

    def _is_fresh(self, quote: Quote) -> bool:
        return self._clock.now_ns() - quote.ts_ns <= self._policy.ns("monitor.max_stale_s")

    def mark_seen(self, symbol: str, qty: Decimal) -> tuple[Price, int] | None:
        """Conservative mark, what closing would meet, and its time; None where it is missing or stale.

        While the symbol's session is closed its last price is the mark, however old: there is no newer one to be had.
        """
        quote = self._market.quote(symbol)
        is_closed = (quote is None or not self._is_fresh(quote)) and self._is_closed(symbol)
        if quote is not None and (is_closed or self._is_fresh(quote)):
            price = quote.bid if qty > 0 else quote.ask
            return None if price is None else (price, quote.ts_ns)
        return self._days.seen.get(symbol) if is_closed else None

    def _is_closed(self, symbol: str) -> bool:
        return self.session_open(symbol, self._clock.now_ns()) is False

    def mark(self, symbol: str, qty: Decimal) -> Price | None:
        """Conservative mark."""
        found = self.mark_seen(symbol, qty)
        return None if found is None else found[0]

    def pnl_day(self, account: str) -> Money | None:
        """Result of the risk day in base currency."""
        return self._known(self._days.results(account, self._worth(account)))

    def pnl_words(self, account: str) -> str:
        """Why the result of the day is not known; empty where it is."""
        found = self._result(account)
        return found.why if isinstance(found, Unknown) else ""

    def peak_day(self, account: str) -> Money:
        """Best journaled result of the day."""
        day = self._days.days.get(account)
        return ZERO_MONEY if day is None else day.peak

    def _worth(self, account: str) -> Mapping[str, Decimal] | Unknown:
        return self._days.worth(account, self.mark)

    def standing(self, account: str) -> tuple[Money | None, Money | None]:
        """:meth:`equity` and :meth:`pnl_day`, from one look at the marks."""
        worth = self._worth(account)
        return self._known(self._days.equity(account, worth)), self._known(self._days.results(account, worth))

    def _known(self, amounts: Mapping[str, Decimal] | Unknown) -> Money | None:
        total = amounts if isinstance(amounts, Unknown) else self._in_base(amounts)
        return None if isinstance(total, Unknown) else total

    def _result(self, account: str) -> Money | Unknown:
        found = self._days.results(account, self._worth(account))
        return found if isinstance(found, Unknown) else self._in_base(found)

    def _in_base(self, amounts: Mapping[str, Decimal]) -> Money | Unknown:
        total, base = _ZERO, self._ledger.base_currency
        for currency, amount in amounts.items():
            if not amount:
                continue
            if currency == base:
                total = EXACT.add(total, amount)
                continue
            rate = self.currency_rate(currency)
            if rate is None:
                return Unknown(self._rate_words(currency))
            total = EXACT.add(total, EXACT.multiply(amount, rate))
        return Money(total)

    def _rate_words(self, currency: str) -> str:
        """Why there is no rate in use."""
        base, age_ns = self._ledger.base_currency, self.rate_age(currency)
        if age_ns is None:
            return f"there is no rate from {currency} to {base}; state one with `bolt fx set {currency} {base} RATE`"
        return (
            f"the rate from {currency} to {base} is {age_ns // NS_PER_S} s old, more than fx.max_age_s; "
            f"state a new one with `bolt fx set {currency} {base} RATE`"
        )

    def equity(self, account: str) -> Money | None:
        """Cash of every currency and positions at their marks, in base currency; None where a mark or a rate is missing."""
        return self._known(self._days.equity(account, self._worth(account)))

    def equity_words(self, account: str) -> str:
        """Which mark or rate is missing, or what the equity is where it is not above zero."""
        total = self._equity(account)
        if isinstance(total, Unknown):
            return total.why
        return "" if total > 0 else f"the equity is {total} {self._ledger.base_currency}"

    def _equity(self, account: str) -> Money | Unknown:
        found = self._days.equity(account, self._worth(account))
        return found if isinstance(found, Unknown) else self._in_base(found)

    def clock_offset(self, broker: str) -> int | None:
        """Our clock less the broker's at the last snapshot."""
        return self._offsets.get(broker)

    def recovering(self) -> bool:
        """After an unclean end, until a reconciliation is clean."""
        return self._is_recovering

    def ledger_healthy(self) -> bool:
        """Whether the journal takes writes."""
        return not self._journal.failed


def _sharper(order: Order) -> Price | None:
    """The limit that reaches further, of the old terms and those of an amend under way: either may trade."""
    new = None if order.amend is None else order.amend.limit
    if order.limit is None or new is None:
        return order.limit
    return max(order.limit, new) if order.spec.side is Side.BUY else min(order.limit, new)


def open_order(order: Order) -> OpenOrder:
    """An order as the gate compares others with it."""
    return OpenOrder(
        order_id=order.order_id,
        account=order.spec.account,
        symbol=order.spec.symbol,
        side=order.spec.side,
        leaves=order.worst_qty,
        type=order.spec.type,
        limit=_sharper(order),
        stop=order.stop,
        source=order.source,
        parent_id=order.parent_id,
    )
