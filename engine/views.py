"""Read models: what a screen, a command or a script is shown. Frozen, complete words and exact decimal text types.

A view never decides anything. :class:`DeskView` is one consistent picture; the server sends it whole on connect and
afterwards only the parts that changed (:class:`DeskUpdate`).
"""

from __future__ import annotations

import msgspec

from engine.domain.clock import iso
from engine.domain.commands import Denial
from engine.domain.instrument import Instrument
from engine.domain.money import Money, Price, Qty, padded, text
from engine.domain.order import STATES, OrderState, Side

SCHEMA = 1
"""Number that every JSON output carries; raised when a field changes its meaning."""


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One parent or child as a row of the order book panel."""

    order_id: str
    parent_id: str = ""
    wire_id: str = ""
    intent_id: str = ""
    symbol: str
    side: Side
    qty: Qty
    qty_filled: Qty
    type: str
    limit: Price | None = None
    stop: Price | None = None
    """Trigger: the stop price, or the price to be touched."""
    trail: Price | None = None
    """Distance of a trailing stop."""
    display: Qty | None = None
    """Most that is shown at a time (iceberg); None shows all."""
    venue: str = ""
    """Venue that was asked for; empty where the broker chooses."""
    tif: str
    expires_ns: int = 0
    """When a GTD order ends."""
    flags: str = ""
    """``post-only reduce-only`` words, of which order it is the bracket's or pair's other, and of which combination it is a leg."""
    avg_price: Price | None = None
    """For display: rounded to two digits beyond the tick."""
    state: OrderState
    stale: bool = False
    """The broker channel or quote behind it is stale or down."""
    algo: str = "direct"
    progress_pct: int = 0
    broker: str
    account: str
    source: str
    """``desk:anna``, ``strategy:BuyTheDip``."""
    why: str = ""
    note: str = ""
    """Reject or denial text, UNKNOWN reason."""
    paused: bool = False
    """A person lets it send nothing for now."""
    urgency: str = ""
    """``passive``, ``normal`` or ``take``; empty where nothing works it over time."""
    awaits: str = ""
    """Hash that a second person has to approve before it leaves."""
    waits: str = ""
    """What it waits for in this engine, which no venue holds: ``when SPY >= 500 (dies with this engine)``."""
    queue_ahead: Qty | None = None
    """Quantity ahead of it at its price, of a parent that of its only working child; None where it rests nowhere, or nobody tells it."""
    queue_guessed: bool = False
    """Estimated from the displayed depth and the prints, not said by the venue."""
    denials: tuple[Denial, ...] = ()
    created_ns: int
    updated_ns: int
    is_foreign: bool = False

    def terms(self, digits: int) -> str:
        """Terms that have no column of their own: ``trail 0.50 show 100 until 2026-11-30T20:00:00Z at SIMB``; empty where it has none.

        ``digits``: decimals that a price has at least.
        """
        said = [] if self.trail is None else [f"trail {padded(self.trail, digits)}"]
        said += [] if self.display is None else [f"show {text(self.display)}"]
        said += [f"until {iso(self.expires_ns)[:19]}Z"] if self.expires_ns else []
        said += [f"at {self.venue}"] if self.venue else []
        return " ".join(said)

    @property
    def word(self) -> str:
        """Its state in one word for a screen: ``PAUSED`` and ``WAIT`` are no states of an order, but what a person has to know."""
        if self.paused and not self.state.is_terminal:
            return "PAUSED"
        is_waiting = bool(self.waits) and self.state in {OrderState.PENDING_NEW, OrderState.NEW}
        return "WAIT" if is_waiting else STATES[self.state].screen


class FillView(msgspec.Struct, frozen=True, kw_only=True):
    """One execution."""

    seq: int
    order_id: str
    parent_id: str = ""
    symbol: str
    side: Side
    qty: Qty
    price: Price
    venue: str
    liquidity: str
    fee: Money
    fee_currency: str
    ts_ns: int
    fill_key: str
    overfill: Qty = Qty(0)
    late: bool = False
    busted: bool = False
    source: str = ""
    """Who asked where it is of no order of this ledger: ``halt`` for an exit of the kill procedure, else ``foreign``."""
    note: str = ""
    """What the venue says of it."""


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """One position; figures that depend on a missing or stale mark are None."""

    broker: str
    account: str
    symbol: str
    qty: Qty
    avg_price: Price | None = None
    mark: Price | None = None
    mark_stale: bool = False
    realised: Money
    unrealised: Money | None = None
    fees: Money
    currency: str
    limit_pct: int | None = None
    """Share of the position limit, working and unknown orders at their worst case."""
    bare: Qty | None = None
    """Of it: what legs of open combinations have done while other legs of theirs have not; None where they are even."""


class QuoteView(msgspec.Struct, frozen=True, kw_only=True):
    """Best prices of a symbol, and how old they are."""

    symbol: str
    venue: str
    bid: Price | None = None
    ask: Price | None = None
    bid_qty: Qty | None = None
    ask_qty: Qty | None = None
    last: Price | None = None
    change_pct: str = ""
    ts_ns: int
    stale: bool = False
    status: str = "open"


class BookView(msgspec.Struct, frozen=True, kw_only=True):
    """Visible levels, best first."""

    symbol: str
    venue: str
    ts_ns: int
    tick: Price
    bids: tuple[tuple[Price, Qty], ...] = ()
    asks: tuple[tuple[Price, Qty], ...] = ()


class BarView(msgspec.Struct, frozen=True, kw_only=True):
    """One minute of a symbol's prints."""

    symbol: str
    ts_ns: int
    """Start of the minute."""
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Qty


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """One standing limit: what is used of it, as the gate measures it."""

    code: str
    control: str
    what: str
    scope: str
    """The account, symbol, sector or currency it holds for."""
    value: str
    """Decimal text; empty where it is not known, and then the gate denies."""
    limit: str
    unit: str = ""
    """Base currency, ``s``, ``%``, or nothing for counts and quantities."""
    used_pct: int | None = None
    policy_line: str = ""


class ExposureView(msgspec.Struct, frozen=True, kw_only=True):
    """Longs and shorts of one name in base currency; None where a mark or a rate is missing."""

    kind: str
    """``symbol``, ``source``, ``broker`` or ``currency``."""
    name: str
    long: Money | None = None
    short: Money | None = None
    """Zero or below."""


class VenueShare(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue filled of a parent."""

    venue: str
    qty: Qty


class MarkoutView(msgspec.Struct, frozen=True, kw_only=True):
    """Where the market stood a while after a parent's fills, weighted by their notional."""

    horizon_ms: int
    bp: Money | None = None
    """Basis points of the fills' prices; above zero the market went our way. None where no fill has a figure yet."""
    fills: int = 0
    """Fills in the figure."""
    waiting: int = 0
    """Fills behind which so much time has not passed."""
    missing: int = 0
    """Fills without a fresh two-sided quote at that time, or known of too late."""


class CostView(msgspec.Struct, frozen=True, kw_only=True):
    """What a parent cost so far, in basis points of its arrival price times its filled quantity; positive is a cost.

    ``slip_bp`` = ``timing_bp`` + ``execution_bp``, to the rounding; fees come on top. None = it cannot be told.
    """

    order_id: str
    arrival: Price
    """Middle of the quote on which the gate let it through."""
    arrival_ns: int
    slip_bp: Money | None = None
    timing_bp: Money | None = None
    """From the arrival to the middle at which each child was decided."""
    execution_bp: Money | None = None
    """From there to the fills: half the spread, and what the child itself moved."""
    fees_bp: Money | None = None
    fees: Money | None = None
    """In the instrument's currency."""
    venues: tuple[VenueShare, ...] = ()
    market_vwap: Price | None = None
    """Average of the market's prints since the arrival, while it works."""
    market_qty: Qty | None = None
    markouts: tuple[MarkoutView, ...] = ()
    """By horizon; empty where no fill of it was followed: none yet, or all from before the engine's start."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the trade log, drilling to its order by id."""

    seq: int
    ts_ns: int
    word: str
    """``FILL``, ``ACK``, ``REJ``, ``DENY``, ``CXL``, ``HALT``, ``RISK``, ``ALGO``, ``RECON``, ``WARN``..."""
    order_id: str = ""
    text: str
    severity: str = "info"


class BrokerView(msgspec.Struct, frozen=True, kw_only=True):
    """Health of one broker."""

    broker: str
    account: str
    state: str
    """``up``, ``down`` or ``resyncing``."""
    latency_ms: int | None = None
    latency_ms_p99: int | None = None
    stale_s: float | None = None
    reconciled_s: float | None = None
    """Seconds since the last clean reconciliation; None = never."""
    queue: int = 0
    reset_ns: int = 0
    """When the nightly reset that runs or comes next begins; 0 where the broker has none."""
    reset_until_ns: int = 0
    sent: int = 0
    """Of the last orders that changed, those that were sent to it: what latency and rejects are told of."""
    rejected: int = 0
    reconnects: int = 0
    """How often its channel came up again since the engine's start."""


class FeedView(msgspec.Struct, frozen=True, kw_only=True):
    """The market data of one venue, looked at once a second."""

    venue: str
    symbols: int
    heard_ns: int
    """Time of its last word."""
    stale: bool = False
    """It has said nothing for longer than a quote may be old."""


class HoursView(msgspec.Struct, frozen=True, kw_only=True):
    """When a calendar's venues trade."""

    calendar: str
    state: str
    """``open``, ``closed`` or ``unknown``; where it is not known the gate denies."""
    next_ns: int = 0
    """When that changes next; 0 where it never does or is not known."""
    is_early: bool = False
    """The running or next session is shorter than those of the same day in the weeks around it."""
    why: str = ""
    """Why it is not known."""


class HaltView(msgspec.Struct, frozen=True, kw_only=True):
    """State of the kill switch and the growing receipt of the last halt."""

    state: str
    """``active``, ``reducing`` or ``halted`` (the strictest global state)."""
    scopes: tuple[tuple[str, str], ...] = ()
    """Other scopes that are not active, as ``(kind:name, state)``."""
    durable: bool = True
    who: str = ""
    why: str = ""
    code: str = ""
    ts_ns: int = 0
    found: int = 0
    """Orders seen open in scope, those to be kept not counted."""
    cancels_sent: int = 0
    """Requests that left; one may ask for the cancel of everything."""
    cancels_confirmed: int = 0
    """Of the found orders: gone by the venue's own list."""
    unknown: int = 0
    """Still open at the last look."""
    gone_before: int = 0
    """Orders gone in earlier procedures of the same halt: a key that is pressed again finds nothing left."""
    kept: int = 0
    done: bool = True
    residual: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    """Brokers that did not answer: what works there is not known."""
    verified: bool = True
    """What the receipt says: every broker confirmed that nothing works any more."""
    receipt_path: str = ""
    note: str = ""
    """What else a person must know, such as a receipt that could not be written."""
    rearm_after_ns: int = 0
    """Earliest time at which a re-arm is taken."""
    blocks: tuple[str, ...] = ()
    """Self-clearing blocks in force: ``paper: resyncing``, ``AAPL: stale 4.0 s``..."""

    def counts(self) -> str:
        """What became of the orders, in words."""
        kept = f", {self.gone_before} gone before in this halt" if self.gone_before else ""
        kept += f", {self.kept} kept" if self.kept else ""
        if self.unreachable:
            seen = f"; of {self.found} seen {self.cancels_confirmed} gone" if self.found else ""
            return f"{', '.join(self.unreachable)} did not answer, what works there is NOT KNOWN{seen}{kept}"
        if not self.found and not self.unknown:
            if not self.done:
                return "looking for working orders" + kept
            none = "no order was working any more" if self.gone_before else "no order was working"
            return (none if self.receipt_path else "its procedure ran in another process") + kept
        orders = "order" if self.found == 1 else "orders"
        return f"{self.cancels_confirmed} of {self.found} {orders} gone at the venue, {self.unknown} still open{kept}"


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy or another source of orders."""

    name: str
    state: str
    why: str = ""
    parents: int = 0


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """What the status bar and ``bolt status`` show."""

    mode: str
    """``PAPER`` or ``LIVE``."""
    account: str
    ledger_id: str
    head_seq: int
    durable_seq: int
    ts_ns: int
    started_ns: int
    policy_hash: str
    policy_error: str = ""
    ledger_error: str = ""
    """Why the ledger takes no writes any more: nothing is sent or booked, and what is shown stands still."""
    halt: HaltView
    brokers: tuple[BrokerView, ...] = ()
    feeds: tuple[FeedView, ...] = ()
    hours: tuple[HoursView, ...] = ()
    sources: tuple[SourceView, ...] = ()
    orders_working: int = 0
    orders_unknown: int = 0
    parents_open: int = 0
    pnl_day: Money | None = None
    pnl_rate_ns: int = 0
    """Oldest moment of the currency rates in ``pnl_day``; 0 where it needs none."""
    currency: str = ""
    illegal_inputs: int = 0
    overfills: int = 0
    pid: int = 0


class CashView(msgspec.Struct, frozen=True, kw_only=True):
    """Cash of an account in one currency, and what it is worth in base currency."""

    broker: str
    account: str
    currency: str
    amount: Money
    rate: str = ""
    """Base currency for one unit; empty where nobody stated one."""
    rate_ns: int = 0
    """The moment that the rate stands for."""
    rate_source: str = ""
    stale: bool = False
    """The rate is older than the policy allows (or there is none): limits that need it deny."""
    base_amount: Money | None = None
    """At a rate that is in use; None where there is none."""


class RateView(msgspec.Struct, frozen=True, kw_only=True):
    """A stated currency rate: so many ``to`` for one ``of``."""

    of: str
    to: str
    rate: str
    ts_ns: int
    source: str
    stale: bool = False


class BasketView(msgspec.Struct, frozen=True, kw_only=True):
    """A basket; the verdict on each line is asked for with ``LookAtBasket``."""

    basket_id: str
    name: str
    state: str
    """``staged``, ``released`` or ``dropped``."""
    count: int
    staged_ns: int
    source: str
    orders: tuple[str, ...] = ()
    """Ids of the orders it became."""


class DeskView(msgspec.Struct, frozen=True, kw_only=True):
    """One consistent picture of everything."""

    status: StatusView
    orders: tuple[OrderView, ...] = ()
    """Open ones, and the most recent done ones up to a bound."""
    positions: tuple[PositionView, ...] = ()
    quotes: tuple[QuoteView, ...] = ()
    books: tuple[BookView, ...] = ()
    log: tuple[LogLine, ...] = ()
    fills: tuple[FillView, ...] = ()
    instruments: tuple[Instrument, ...] = ()
    """What can be traded: order words are read with its ticks and lots."""
    bars: tuple[BarView, ...] = ()
    """The last minutes of each symbol, oldest first, up to a bound."""
    limits: tuple[LimitView, ...] = ()
    exposures: tuple[ExposureView, ...] = ()
    costs: tuple[CostView, ...] = ()
    cash: tuple[CashView, ...] = ()
    rates: tuple[RateView, ...] = ()
    baskets: tuple[BasketView, ...] = ()


class DeskUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the last frame: whole rows, keyed by their ids. ``None`` = unchanged."""

    status: StatusView | None = None
    orders: tuple[OrderView, ...] = ()
    positions: tuple[PositionView, ...] = ()
    quotes: tuple[QuoteView, ...] = ()
    books: tuple[BookView, ...] = ()
    log: tuple[LogLine, ...] = ()
    fills: tuple[FillView, ...] = ()
    bars: tuple[BarView, ...] = ()
    limits: tuple[LimitView, ...] | None = None
    """All of them, where one changed; they are measured once a second."""
    exposures: tuple[ExposureView, ...] | None = None
    baskets: tuple[BasketView, ...] | None = None
    """All of them, where one changed."""
    costs: tuple[CostView, ...] = ()
