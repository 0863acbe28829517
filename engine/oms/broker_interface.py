"""What the engine needs of a broker. Only ``orders``, ``reconciler`` and ``halt`` use it.

Two faces of one adapter:

* :class:`Broker`, non-blocking, for the core: each call hands a message to the adapter's own lane and returns; answers
  come back as :data:`BrokerEvent` through the sink given to :meth:`Broker.start`. Nothing here is ever retried.
* :class:`BrokerSession`, blocking with a deadline, for the kill procedure: its own connection, usable from any process
  or thread, also when the engine is dead or stuck.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.events import BrokerState, Fill
from engine.domain.instrument import Instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.movements import Movement
from engine.domain.order import OrderSpec, OrderType, Side, Tif
from engine.domain.resets import DailyReset
from engine.market.feed import MarketTick


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker can do, as data. The gate denies what is not listed (C05); nothing is emulated silently."""

    types: frozenset[tuple[OrderType, Tif]]
    """Allowed pairs of order type and time in force."""
    post_only: bool
    reduce_only: bool
    amend: bool
    mass_cancel: bool
    client_id_lookup: bool
    """Whether the venue can be asked for an order by our wire id."""
    absence_wait_ns: int
    """How long after the send an order that two sources do not know may be called never arrived."""
    messages_per_s: int
    short_sale: bool = True
    history_margin_ns: int = 60 * NS_PER_S
    """How much older than needed history is asked for, because the venue's clock differs from ours."""
    links: bool = False
    """Whether the venue itself keeps linked orders (brackets, one-cancels-other): they live on without an engine."""
    resets: tuple[DailyReset, ...] = ()
    """When it lets go of everybody each day: being down then is no alarm. New orders are refused as on any day it is down."""


class WireOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A child as it goes to the adapter."""

    wire_id: str
    spec: OrderSpec
    linked: tuple[WireOrder, ...] = ()
    """The other orders of its group: the venue takes all of them or none."""

    @property
    def members(self) -> tuple[WireOrder, ...]:
        """Every order of the message: each has an answer of its own, and each is unknown where the message is lost."""
        return (self, *self.linked)


class VenueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the venue reports it."""

    wire_id: str
    """Empty for an order that does not carry an id of ours."""
    venue_order_id: str
    symbol: str
    side: Side
    type: OrderType
    tif: Tif
    qty: Qty
    qty_filled: Qty
    limit: Price | None = None
    stop: Price | None = None
    reduce_only: bool = False
    is_open: bool
    status: str
    """``pending_new`` (on its way, shown by sessions only), ``new``, ``partially_filled``, ``filled``, ``cancelled``,
    ``rejected``, ``expired``.
    """
    text: str = ""


class VenuePosition(msgspec.Struct, frozen=True):
    """A position as the venue reports it (signed)."""

    symbol: str
    qty: Qty


# -- events from an adapter ----------------------------------------------------------------------------------------------


class BrokerEventBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="ev"):
    """Base: which broker, and when the adapter received it."""

    broker: str
    ts_ns: int


class Acked(BrokerEventBase, frozen=True, kw_only=True, tag="acked"):
    """New order accepted."""

    wire_id: str
    venue_order_id: str


class Rejected(BrokerEventBase, frozen=True, kw_only=True, tag="rejected"):
    """New order definitely refused."""

    wire_id: str
    code: str
    text: str


class Uncertain(BrokerEventBase, frozen=True, kw_only=True, tag="uncertain"):
    """A send, cancel or amend without a trustworthy answer (timeout, dropped line, 5xx, parse error)."""

    wire_id: str
    why: str


class Filled(BrokerEventBase, frozen=True, kw_only=True, tag="filled"):
    """An execution (also a correction: ``fill.corrects``), of an order of ours or of a foreign one."""

    fill: Fill


class Busted(BrokerEventBase, frozen=True, kw_only=True, tag="busted"):
    """An execution was undone."""

    fill_key: str
    symbol: str


class Moved(BrokerEventBase, frozen=True, kw_only=True, tag="moved"):
    """The broker booked something that is no execution: a conversion, a dividend, a transfer."""

    movement: Movement


class Cancelled(BrokerEventBase, frozen=True, kw_only=True, tag="cancelled"):
    """The rest of the order is gone."""

    wire_id: str
    why: str = ""
    qty_filled: Qty | None = None
    """What the venue says was filled in all, as every venue's confirmation does; None where it says nothing of it. Executions
    may come later than this word, and until they do nothing may be sent in their place."""


class Expired(BrokerEventBase, frozen=True, kw_only=True, tag="expired"):
    """Its time in force ended it."""

    wire_id: str
    qty_filled: Qty | None = None
    """As in :class:`Cancelled`."""


class CancelRefused(BrokerEventBase, frozen=True, kw_only=True, tag="cancel_refused"):
    """The cancel was refused: too late or not known."""

    wire_id: str
    code: str
    text: str


class Amended(BrokerEventBase, frozen=True, kw_only=True, tag="amended"):
    """New terms stand."""

    wire_id: str
    qty: Qty
    limit: Price | None = None
    stop: Price | None = None


class AmendRefused(BrokerEventBase, frozen=True, kw_only=True, tag="amend_refused"):
    """Old terms stand."""

    wire_id: str
    code: str
    text: str


class ChannelChanged(BrokerEventBase, frozen=True, kw_only=True, tag="channel"):
    """The order channel went up or down. Up means connected, not yet reconciled."""

    state: BrokerState
    why: str = ""


class OrderAnswer(BrokerEventBase, frozen=True, kw_only=True, tag="order_answer"):
    """Answer to query_order: the order, or None where this source does not know it."""

    wire_id: str
    source: str
    """``orders`` or ``history``: absence needs both."""
    order: VenueOrder | None


class QueuePlace(BrokerEventBase, frozen=True, kw_only=True, tag="queue_place"):
    """What stands ahead of a resting order at its price, of a venue that knows it. For people to look at; never journaled."""

    wire_id: str
    ahead: Qty
    guessed: bool = False
    """The venue itself estimates it."""


class Snapshot(BrokerEventBase, frozen=True, kw_only=True, tag="snapshot"):
    """Answer to query_state: everything reconciliation needs, taken at one moment of the venue."""

    account: str
    request_id: int
    orders: tuple[VenueOrder, ...]
    """Open orders, and those ended since ``since_ns``."""
    fills: tuple[Fill, ...]
    """All executions since ``since_ns``."""
    positions: tuple[VenuePosition, ...]
    cash: dict[str, Money]
    movements: tuple[Movement, ...] = ()
    """What else the broker booked since ``since_ns``."""


Reply = Acked | Rejected | Uncertain | Cancelled | Expired | CancelRefused | Amended | AmendRefused
"""What a venue says of one order, by its wire id."""
BrokerEvent = Reply | Filled | Busted | Moved | ChannelChanged | OrderAnswer | QueuePlace | Snapshot

Sink = Callable[[BrokerEvent], None]
MarketSink = Callable[[MarketTick], None]


class Broker(Protocol):
    """One account at one broker, as the core sees it. No call blocks; none raises for a venue's refusal."""

    name: str
    account: str
    capabilities: Capabilities

    def start(self, sink: Sink, market: MarketSink) -> None:
        """Connect; ChannelChanged(RESYNCING) follows when the order channel stands."""
        ...

    def stop(self) -> None:
        """Let go of the connection. Orders stay where they are."""
        ...

    def instruments(self) -> tuple[Instrument, ...]:
        """What can be traded here, as far as known."""
        ...

    def send_new(self, order: WireOrder) -> None:
        """Hand over one new order, once."""
        ...

    def send_cancel(self, wire_id: str, venue_order_id: str) -> None:
        """Ask for a cancel, in the cancel lane ahead of everything queued."""
        ...

    def send_amend(self, wire_id: str, venue_order_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        """Ask for new terms (``qty`` is the new total)."""
        ...

    def query_order(self, wire_id: str) -> None:
        """Ask each source the venue has; one OrderAnswer each."""
        ...

    def query_state(self, request_id: int, since_ns: int) -> None:
        """Ask for a Snapshot."""
        ...


class BrokerSession(Protocol):
    """A blocking session of its own. Every call raises VenueError when its deadline passes or the line breaks."""

    name: str
    account: str

    def open_orders(self) -> tuple[VenueOrder, ...]:
        """All open orders of the account, foreign ones too."""
        ...

    def cancel(self, order: VenueOrder) -> None:
        """Ask for one cancel."""
        ...

    def cancel_all(self) -> bool:
        """Venue mass cancel; False where the venue has none."""
        ...

    def positions(self) -> tuple[VenuePosition, ...]:
        """Positions of the account."""
        ...

    def cash(self) -> Mapping[str, Money]:
        """Cash of the account."""
        ...

    def quote(self, symbol: str) -> tuple[Price | None, Price | None, int]:
        """Best bid, best ask and their age in ns; None for a missing side."""
        ...

    def status(self, symbol: str) -> str:
        """``open``, ``closed`` or ``halted``."""
        ...

    def place(self, order: WireOrder) -> str:
        """Send one flatten order; the venue order id, or VenueError with the refusal."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


SessionFactory = Callable[[], BrokerSession]
"""Opens a new session; raises VenueError."""
