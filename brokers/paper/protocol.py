"""What travels between the paper venue and its clients: one JSON message in each frame.

A client greets first and says what it is. Orders and their outcomes are the broker port's own messages; a client that
was away gets its account's state by asking (:class:`AskState`), never by a replay of reports. Admin frames drive the
fault laboratory and the stopped clock of tests; a venue that was not started for them refuses them.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.domain.events import decoder
from engine.domain.instrument import Instrument
from engine.domain.money import Money, Price, Qty
from engine.market.feed import MarketTick
from engine.oms.broker_interface import BrokerEvent, VenueOrder, VenuePosition, WireOrder

PROTOCOL = 1
"""Raised when a frame changes its meaning; the venue refuses a client of another number."""
REQUEST_BYTES_MAX = 64 * 1024
"""Longest frame the venue takes."""
FRAME_BYTES_MAX = 64 * 1024 * 1024
"""Longest frame a client takes: the answer with a whole day's fills."""


class Role(StrEnum):
    """What a client is."""

    ENGINE = "engine"
    """Gets its account's reports, and the market."""
    SESSION = "session"
    """Blocking calls of one account: gets reports, no market, no planted fault."""
    ADMIN = "admin"
    """Stops the venue; drives clock, book and faults where the venue allows it."""


class ClientFrame(msgspec.Struct, frozen=True, kw_only=True, tag_field="f", omit_defaults=True):
    """Base of what a client sends."""


class Greet(ClientFrame, frozen=True, kw_only=True, tag="greet"):
    """The first frame of a client."""

    protocol: int
    role: Role
    account: str = ""


class New(ClientFrame, frozen=True, kw_only=True, tag="new"):
    """One order; answered by an Acked or Rejected report."""

    order: WireOrder


class Cancel(ClientFrame, frozen=True, kw_only=True, tag="cancel"):
    """Answered by a Cancelled or CancelRefused report."""

    wire_id: str
    venue_order_id: str = ""


class Amend(ClientFrame, frozen=True, kw_only=True, tag="amend"):
    """Answered by an Amended or AmendRefused report."""

    wire_id: str
    venue_order_id: str = ""
    qty: Qty
    limit: Price | None = None
    stop: Price | None = None


class AskOrder(ClientFrame, frozen=True, kw_only=True, tag="ask_order"):
    """Answered by two OrderAnswer reports, one for each source, and Done."""

    id: int
    wire_id: str


class AskState(ClientFrame, frozen=True, kw_only=True, tag="ask_state"):
    """Answered by a Snapshot report, and Done."""

    id: int
    request_id: int
    since_ns: int


class What(StrEnum):
    """What a session asks."""

    OPEN_ORDERS = "open_orders"
    CANCEL_ALL = "cancel_all"
    POSITIONS = "positions"
    CASH = "cash"
    QUOTE = "quote"
    STATUS = "status"
    REALISM = "realism"
    HEALTH = "health"
    SHUTDOWN = "shutdown"


class Ask(ClientFrame, frozen=True, kw_only=True, tag="ask"):
    """Answered by one Done."""

    id: int
    what: What
    symbol: str = ""


class Act(StrEnum):
    """What an owner can do with an account beside trading: as at the counter, or in another terminal."""

    CONVERT = "convert"
    DEPOSIT = "deposit"
    ORDER = "order"
    """A market order from another terminal."""
    TRANSFER = "transfer"
    """A position from or to another account."""


class Book(ClientFrame, frozen=True, kw_only=True, tag="book"):
    """An act of the account's owner; answered by Done with the booking in words, and told to engines as a Moved report."""

    id: int
    act: Act
    amount: Money = Money(0)
    currency: str = ""
    to: str = ""
    """Currency that is wanted."""
    symbol: str = ""
    qty: Qty = Qty(0)
    """Signed."""
    text: str = ""


class Tick(ClientFrame, frozen=True, kw_only=True, tag="tick"):
    """Move the stopped clock to this time; answered by Done when everything due has happened and was reported."""

    id: int
    to_ns: int


class SetBook(ClientFrame, frozen=True, kw_only=True, tag="set_book"):
    """Make the scripted book of one symbol at one venue exactly this: ``(price, qty)``, best first."""

    id: int
    symbol: str
    venue: str
    bids: tuple[tuple[Price, Qty], ...]
    asks: tuple[tuple[Price, Qty], ...]


class Print(ClientFrame, frozen=True, kw_only=True, tag="print"):
    """Let somebody sell into (``side`` buy) or buy from (``side`` sell) the scripted orders that rest at this price."""

    id: int
    symbol: str
    venue: str
    side: str
    price: Price
    qty: Qty


class FaultKind(StrEnum):
    """What can be planted; each acts on engine connections only."""

    DROP_ACK = "drop_ack"
    """The next Acked reports never leave."""
    REFUSE = "refuse"
    """The next new orders are rejected with the code PLANTED."""
    CUT_AFTER_NEW = "cut_after_new"
    """The connection ends once the next new order was taken, before its ack leaves."""
    CUT_BEFORE_NEW = "cut_before_new"
    """The connection ends when the next new order arrives; it is not taken."""
    DUPLICATE = "duplicate"
    """The next reports are sent twice."""
    DELAY = "delay"
    """Everything for engines leaves ``ms`` late from now on; 0 ends it."""
    HANG = "hang"
    """Nothing from engines is read and nothing leaves until a fault of kind CLEAR."""
    GARBLE = "garble"
    """The next reports are no JSON."""
    CLEAR = "clear"
    """No fault is left."""


class Fault(ClientFrame, frozen=True, kw_only=True, tag="fault"):
    """Plant a fault, ``count`` times."""

    id: int
    kind: FaultKind
    count: int = 1
    ms: int = 0


AnyClientFrame = Greet | New | Cancel | Amend | AskOrder | AskState | Ask | Book | Tick | SetBook | Print | Fault


class VenueFrame(msgspec.Struct, frozen=True, kw_only=True, tag_field="f", omit_defaults=True):
    """Base of what the venue sends."""


class Hello(VenueFrame, frozen=True, kw_only=True, tag="hello"):
    """The answer to Greet."""

    protocol: int
    pid: int
    now_ns: int
    account: str = ""
    instruments: tuple[Instrument, ...] = ()


class Refused(VenueFrame, frozen=True, kw_only=True, tag="refused"):
    """The client cannot be served; the connection ends."""

    code: str
    text: str


class Report(VenueFrame, frozen=True, kw_only=True, tag="report"):
    """What happened to an order, or the answer to a question of the broker port."""

    event: BrokerEvent


class Market(VenueFrame, frozen=True, kw_only=True, tag="market"):
    """Market data since the frame before: newest quotes and books, all prints that were not ``dropped``."""

    ticks: tuple[MarketTick, ...]
    dropped: int = 0


class Done(VenueFrame, frozen=True, kw_only=True, tag="done"):
    """The answer to a frame with this id."""

    id: int
    ok: bool = True
    text: str = ""
    orders: tuple[VenueOrder, ...] = ()
    positions: tuple[VenuePosition, ...] = ()
    cash: dict[str, Money] = {}
    bid: Price | None = None
    ask: Price | None = None
    age_ns: int = 0
    figures: dict[str, int] = {}


AnyVenueFrame = Hello | Refused | Report | Market | Done

CLIENT: msgspec.json.Decoder[AnyClientFrame] = decoder(AnyClientFrame)
VENUE: msgspec.json.Decoder[AnyVenueFrame] = decoder(AnyVenueFrame)
