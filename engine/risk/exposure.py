"""What the gate reads of the desk: one protocol, so that orders, ledger and market stay strangers to the controls.

Everything that is not known is None, never zero: the gate denies what it cannot judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol

import msgspec

from engine.domain.events import BrokerState, QuoteSeen
from engine.domain.instrument import Instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderState, OrderType, Side, Source, Tif
from engine.domain.resets import DailyReset

OPEN, CLOSED, SYMBOL_HALTED = "open", "closed", "halted"


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """Best prices of a symbol at the venue an order would meet. A missing side is None."""

    bid: Price | None = None
    ask: Price | None = None
    bid_qty: Qty | None = None
    ask_qty: Qty | None = None
    last: Price | None = None
    """Last trade of the market, None where there was none yet."""
    ts_ns: int
    venue: str = ""
    tape_row: int = 0
    status: str = OPEN
    """``open``, ``closed`` or ``halted``."""

    def seen(self) -> QuoteSeen:
        """The part that is stamped on a decision."""
        return QuoteSeen(
            bid=self.bid,
            ask=self.ask,
            bid_qty=self.bid_qty,
            ask_qty=self.ask_qty,
            ts_ns=self.ts_ns,
            tape_row=self.tape_row,
            venue=self.venue,
        )


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders that the venue has or may have."""

    order_id: str
    account: str
    symbol: str
    side: Side
    leaves: Qty
    """What may still fill, at its worst case."""
    type: OrderType
    limit: Price | None = None
    stop: Price | None = None
    source: Source | None = None
    parent_id: str = ""


class ParentView(msgspec.Struct, frozen=True, kw_only=True):
    """A parent as the gate needs it for its children."""

    qty: Qty
    committed: Qty
    """Filled plus working plus unknown over its children."""
    state: OrderState
    stopping: bool = False
    """No new child may be made."""
    algo: str = "direct"
    strategy: str = ""
    """Name of the strategy that asked for it, empty for others."""


class Abilities(Protocol):
    """What the gate reads of a broker's capabilities."""

    @property
    def types(self) -> frozenset[tuple[OrderType, Tif]]:
        """Allowed pairs of order type and time in force."""
        ...

    @property
    def post_only(self) -> bool:
        """Whether post-only is known there."""
        ...

    @property
    def reduce_only(self) -> bool:
        """Whether reduce-only is known there."""
        ...

    @property
    def amend(self) -> bool:
        """Whether orders can be amended."""
        ...

    @property
    def messages_per_s(self) -> int:
        """Messages the venue takes per second."""
        ...

    @property
    def resets(self) -> tuple[DailyReset, ...]:
        """When the broker lets go of everybody each day."""
        ...

    @property
    def short_sale(self) -> bool:
        """Whether a position below zero can be opened."""
        ...

    @property
    def links(self) -> bool:
        """Whether the venue keeps linked orders itself."""
        ...


class RiskView(Protocol):
    """What the controls and monitors read. Every call is a look-up in memory."""

    def instrument(self, symbol: str) -> Instrument | None:
        """Terms of a symbol."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """Latest best prices, however old."""
        ...

    def session_open(self, symbol: str, ts_ns: int) -> bool | None:
        """Whether the exchange calendar has the symbol in a trading session; None where the calendar is not known."""
        ...

    def session_words(self, symbol: str, ts_ns: int) -> str:
        """Why the symbol is not in session (closed until when, calendar missing), for people."""
        ...

    def session_close_ns(self, symbol: str, ts_ns: int) -> int | None:
        """When the session ends that runs at a time, or the next one; None where it never does or is not known."""
        ...

    def adv(self, symbol: str) -> Qty | None:
        """Average daily volume."""
        ...

    def currency_rate(self, currency: str) -> Decimal | None:
        """Base currency for one unit of ``currency`` (1 for the base currency itself)."""
        ...

    def rate_age(self, currency: str) -> int | None:
        """Age of the newest rate of a currency, too old or not, ns; 0 for the base currency, None where there is none."""
        ...

    def position(self, account: str, symbol: str) -> Qty:
        """Signed position."""
        ...

    def positions(self, account: str) -> Iterable[tuple[str, Qty]]:
        """Every symbol with a position or a live order (its position may be zero), in a fixed order."""
        ...

    def short_used(self, account: str, symbol: str) -> Qty:
        """What was sold short in the risk day, bought back or not."""
        ...

    def open_qty(self, account: str, symbol: str, side: Side) -> Qty:
        """What working, pending and unknown orders of a side would fill at worst."""
        ...

    def open_orders(self, account: str | None, symbol: str | None) -> Iterable[OpenOrder]:
        """Live orders; None = of every account or symbol."""
        ...

    def side_count(self, symbol: str, side: Side) -> int:
        """Number of live orders of a symbol on one side, of every account."""
        ...

    def open_count(self, account: str, symbol: str | None) -> int:
        """Number of live orders."""
        ...

    def parent(self, order_id: str) -> ParentView | None:
        """A parent by its id; None where there is none (or the id is a child's)."""
        ...

    def intent_owner(self, intent_id: str) -> str | None:
        """Order that used an intent id already; None where nobody did."""
        ...

    def unknown_orders(self) -> tuple[int, int]:
        """Number of orders in UNKNOWN, and since when the oldest is (0 where there is none)."""
        ...

    def channel(self, broker: str) -> BrokerState:
        """Health of a broker's order channel."""
        ...

    def capabilities(self, broker: str) -> Abilities | None:
        """What a broker can do; None where it is not configured."""
        ...

    def brokers(self) -> Iterable[tuple[str, str]]:
        """Configured (broker, account) pairs."""
        ...

    def position_verified(self, broker: str, account: str) -> int | None:
        """When the account was last found clean against the broker, ns; None = never, or found different since."""
        ...

    def pnl_day(self, account: str) -> Money | None:
        """Result of the risk day in base currency, realised and unrealised, fees in; None where it is not known."""
        ...

    def pnl_words(self, account: str) -> str:
        """Why the result of the day is not known (which mark or rate is missing); empty where it is."""
        ...

    def peak_day(self, account: str) -> Money:
        """Best journaled result of the risk day; zero at least, its beginning."""
        ...

    def equity(self, account: str) -> Money | None:
        """Cash and positions at their marks, in base currency; None where that is not known."""
        ...

    def standing(self, account: str) -> tuple[Money | None, Money | None]:
        """:meth:`equity` and :meth:`pnl_day`, from one look at the marks."""
        ...

    def equity_words(self, account: str) -> str:
        """Why nothing can be measured against the equity (a mark or a rate is missing, it is not above zero); empty where it can."""
        ...

    def clock_offset(self, broker: str) -> int | None:
        """Our clock less the broker's, ns, when they were last compared; None = never."""
        ...

    def recovering(self) -> bool:
        """After an unclean end: true until a reconciliation is clean."""
        ...

    def ledger_healthy(self) -> bool:
        """Whether the journal takes writes."""
        ...
