"""What happened: the rows of the journal. State changes only by applying these, live and on rebuild alike.

Payloads are versioned by their tag: a changed meaning gets a new tag and an upcaster, rows are never migrated.
Times inside are nanoseconds UTC; the row's own time is the engine clock when it was journaled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, get_args

import msgspec

from engine.domain.basket_events import BasketDropped, BasketReleased, BasketStaged
from engine.domain.commands import AmendOrder, AnyCommand, CancelOrder, Denial, HaltScope, NewOrder, ResolveAs
from engine.domain.day_events import PositionsMarked, ResultPeaked, RiskDayBegan, RiskDayMarked
from engine.domain.errors import StoreCorrupt
from engine.domain.event import Event
from engine.domain.ledger_events import (
    EngineStarted,
    EngineStopped,
    InstrumentDefined,
    LedgerOpened,
    PolicyLoaded,
    PolicyRefused,
    TapeAnchored,
    TapePruned,
)
from engine.domain.money import Exact, Money, Price, Qty, text
from engine.domain.money_events import BooksAdjusted, FxRateSet, MovementBooked, PositionAdjusted
from engine.domain.order import Liquidity, OrderSpec, OrderState, Side, Source
from engine.domain.parent_events import ParentEvent
from engine.domain.strategy_events import StrategyChanged, StrategySaved

# -- inputs ----------------------------------------------------------------------------------------------------------


class CommandReceived(Event, frozen=True, kw_only=True, tag="command"):
    """A command as it arrived (previews are not journaled)."""

    command: AnyCommand


class IllegalInput(Event, frozen=True, kw_only=True, tag="illegal_input"):
    """An input that the state did not allow: kept, counted, otherwise without effect."""

    what: str
    order_id: str = ""
    why: str


# -- decisions -----------------------------------------------------------------------------------------------------


class QuoteSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """The quote a decision was made on."""

    bid: Price | None = None
    ask: Price | None = None
    bid_qty: Qty | None = None
    ask_qty: Qty | None = None
    ts_ns: int = 0
    tape_row: int = 0
    """Row of the recorded or simulated feed; 0 where there is none."""
    venue: str = ""


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why and on what an order was let through."""

    policy_hash: str
    quote: QuoteSeen | None = None
    why: str = ""
    fallbacks: tuple[str, ...] = ()
    """Codes of the limits that held in place of another whose input was not known: ADV_NONE."""


class OrderStaged(Event, frozen=True, kw_only=True, tag="order_staged"):
    """A parent was made and waits for release."""

    order_id: str
    intent_id: str
    spec: OrderSpec
    source: Source
    why: str = ""


class OrderDenied(Event, frozen=True, kw_only=True, tag="order_denied"):
    """The gate refused; nothing left. For a parent, a child or an amendment (``amend`` true: the order itself stands)."""

    order_id: str
    intent_id: str = ""
    parent_id: str = ""
    spec: OrderSpec
    source: Source
    denials: tuple[Denial, ...]
    decision: Decision
    amend: bool = False


class ParentAccepted(Event, frozen=True, kw_only=True, tag="parent_accepted"):
    """The gate let a parent through; its algorithm starts."""

    order_id: str
    intent_id: str
    spec: OrderSpec
    source: Source
    decision: Decision


class ParentEnded(Event, frozen=True, kw_only=True, tag="parent_ended"):
    """Nothing more will be sent for this parent and no child is live."""

    order_id: str
    state: OrderState
    why: str = ""


class ParentStopping(Event, frozen=True, kw_only=True, tag="parent_stopping"):
    """No new child may be made for this parent (cancel asked, halt, algorithm done)."""

    order_id: str
    why: str


class AlgoProgress(Event, frozen=True, kw_only=True, tag="algo_progress"):
    """What an algorithm needs to go on after a crash, as text fields of its own."""

    order_id: str
    data: dict[str, str]


class OrderIntent(Event, frozen=True, kw_only=True, tag="order_intent"):
    """A child is about to leave: durable before the first byte does."""

    order_id: str
    parent_id: str
    wire_id: str
    spec: OrderSpec
    source: Source
    decision: Decision


class CancelIntent(Event, frozen=True, kw_only=True, tag="cancel_intent"):
    """A cancel was asked of the venue (it does not wait for the disk)."""

    order_id: str
    why: str = ""


class AmendIntent(Event, frozen=True, kw_only=True, tag="amend_intent"):
    """An amend is about to leave."""

    order_id: str
    qty: Qty
    limit: Price | None = None
    stop: Price | None = None
    decision: Decision


# -- several of them in one row ------------------------------------------------------------------------------------------


class OrderPlaced(Event, frozen=True, kw_only=True, tag="order_placed"):
    """A direct order was asked for, the gate let it through, and its one child is about to leave: durable before the first byte does.

    One row for three events (:meth:`parts`): one check at one instant decides them, and they stand or fall together.
    """

    command: NewOrder
    order_id: str
    child_id: str
    wire_id: str
    decision: Decision
    why: str
    """What the child says of why it is sent; the decision has the order's own words."""

    def parts(self) -> tuple[AnyEvent, ...]:
        """What followers are told, in this order."""
        asked, decision = self.command, self.decision
        return (
            CommandReceived(command=asked),
            ParentAccepted(
                order_id=self.order_id,
                intent_id=asked.intent_id,
                spec=asked.spec,
                source=asked.source,
                decision=decision,
            ),
            OrderIntent(
                order_id=self.child_id,
                parent_id=self.order_id,
                wire_id=self.wire_id,
                spec=asked.spec,
                source=asked.source,
                decision=Decision(decision.policy_hash, decision.quote, self.why, decision.fallbacks),
            ),
        )


class CancelPlaced(Event, frozen=True, kw_only=True, tag="cancel_placed"):
    """A cancel of a direct order was asked for, and its one child is asked back of the venue. One row for three events."""

    command: CancelOrder
    child_id: str
    why: str

    def parts(self) -> tuple[AnyEvent, ...]:
        """What followers are told, in this order."""
        return (
            CommandReceived(command=self.command),
            ParentStopping(order_id=self.command.order_id, why=self.why),
            CancelIntent(order_id=self.child_id, why=self.why),
        )


class AmendPlaced(Event, frozen=True, kw_only=True, tag="amend_placed"):
    """An amend was asked for, the gate let it through, and it is about to leave. One row for two events."""

    command: AmendOrder
    intent: AmendIntent

    def parts(self) -> tuple[AnyEvent, ...]:
        """What followers are told, in this order."""
        return CommandReceived(command=self.command), self.intent


# -- what the venue said -----------------------------------------------------------------------------------------------


class Fill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution. (broker, account, fill_key) is unique for ever."""

    broker: str
    account: str
    fill_key: str
    symbol: str
    side: Side
    qty: Qty
    price: Price
    ts_ns: int
    venue: str = ""
    liquidity: Liquidity = Liquidity.TAKER
    fee: Money = Money(0)
    """Positive = paid, negative = rebate."""
    fee_currency: str = ""
    wire_id: str = ""
    venue_order_id: str = ""
    corrects: str = ""
    """fill_key that this one replaces."""
    tape_row: int = 0
    """Feed row after which it happened."""
    rests_from_row: int = 0
    """For a maker fill: feed row after which the order came to rest."""
    guessed: bool = False
    """True where the simulator estimated (queue from depth, bars): counted in the realism report."""
    note: str = ""
    """What the venue says of it: which print gave an auction its price."""


class OrderAcked(Event, frozen=True, kw_only=True, tag="order_acked"):
    """The venue has the order."""

    order_id: str
    venue_order_id: str
    ts_ns: int


class OrderRejected(Event, frozen=True, kw_only=True, tag="order_rejected"):
    """The venue definitely refused."""

    order_id: str
    code: str
    text: str
    ts_ns: int


class OrderUnknown(Event, frozen=True, kw_only=True, tag="order_unknown"):
    """The outcome of a send, cancel or amend is not known; counted at its worst case."""

    order_id: str
    why: str


class OrderFilled(Event, frozen=True, kw_only=True, tag="order_filled"):
    """An execution was booked to one of our orders."""

    order_id: str
    fill: Fill
    overfill: Qty = Qty(0)
    """Part of it beyond the ordered quantity: booked and counted."""
    late: bool = False
    """It came after the order had ended."""


class FillBusted(Event, frozen=True, kw_only=True, tag="fill_busted"):
    """The venue undid an execution."""

    order_id: str
    fill: Fill
    """The execution that is undone, as it was booked."""


class FillConflict(Event, frozen=True, kw_only=True, tag="fill_conflict"):
    """The same fill key arrived with other content: the symbol is halted."""

    fill: Fill
    booked: Fill


class OrderCancelled(Event, frozen=True, kw_only=True, tag="order_cancelled"):
    """The venue confirmed that the rest is gone."""

    order_id: str
    ts_ns: int
    why: str = ""


class OrderExpired(Event, frozen=True, kw_only=True, tag="order_expired"):
    """The venue ended it by its time in force."""

    order_id: str
    ts_ns: int


NOT_SENT = "NOT_SENT"
"""Code of an adapter's refusal that is certain: the message never left, because there was no line."""


class CancelRejected(Event, frozen=True, kw_only=True, tag="cancel_rejected"):
    """Too late or unknown to the venue: the order is where it was."""

    order_id: str
    code: str
    text: str
    ts_ns: int


class OrderAmended(Event, frozen=True, kw_only=True, tag="order_amended"):
    """The venue confirmed new terms."""

    order_id: str
    qty: Qty
    limit: Price | None = None
    stop: Price | None = None
    ts_ns: int


class AmendRejected(Event, frozen=True, kw_only=True, tag="amend_rejected"):
    """The old terms stand."""

    order_id: str
    code: str
    text: str
    ts_ns: int


class OrderKilled(Event, frozen=True, kw_only=True, tag="order_killed"):
    """The intent was durable and never sent: the latch was tripped at the call."""

    order_id: str
    why: str


class OrderResolved(Event, frozen=True, kw_only=True, tag="order_resolved"):
    """An UNKNOWN order became known, by the venue's evidence or by a person's word."""

    order_id: str
    state: OrderState
    evidence: str
    """Sources and answers, or the person's reason."""
    by: str
    """``venue`` or the person's name."""
    as_: ResolveAs | None = msgspec.field(name="as", default=None)


class ForeignOrderSeen(Event, frozen=True, kw_only=True, tag="foreign_order"):
    """An order at the broker that this ledger did not make: adopted visibly."""

    order_id: str
    spec: OrderSpec
    venue_order_id: str
    wire_id: str = ""
    qty_filled: Qty = Qty(0)


class ForeignFillSeen(Event, frozen=True, kw_only=True, tag="foreign_fill"):
    """An execution at the broker of an order that is not ours: booked to the account, source foreign."""

    fill: Fill


# -- broker sessions and reconciliation ----------------------------------------------------------------------------------


class BrokerState(StrEnum):
    """Health of one broker channel."""

    DOWN = "down"
    RESYNCING = "resyncing"
    """Connected; not yet reconciled, only cancels and queries pass."""
    UP = "up"


class BrokerChanged(Event, frozen=True, kw_only=True, tag="broker_changed"):
    """A broker channel changed its health."""

    broker: str
    state: BrokerState
    why: str = ""


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing on which the broker and the ledger disagree."""

    what: str
    """``position``, ``cash``, ``order`` or ``fill``."""
    name: str
    ours: str
    theirs: str
    explained: bool = False
    text: str = ""


class ReconcileDone(Event, frozen=True, kw_only=True, tag="reconcile_done"):
    """The ledger was compared with a broker."""

    broker: str
    account: str
    clean: bool
    differences: tuple[Difference, ...] = ()
    ts_ns: int


# -- risk, halt, sources ---------------------------------------------------------------------------------------------------


class TradingState(StrEnum):
    """What the gate lets through, per scope; the strictest wins."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class TradingStateChanged(Event, frozen=True, kw_only=True, tag="trading_state"):
    """A trip, a manual halt or a re-arm: latched."""

    scope: HaltScope
    state: TradingState
    code: str
    """``MANUAL``, ``REARM`` or the reason code of the control that tripped."""
    who: str
    why: str


class HaltStep(Event, frozen=True, kw_only=True, tag="halt_step"):
    """A finished step of the kill procedure."""

    halt_id: str
    step: str
    data: dict[str, str]


class AlertRaised(Event, frozen=True, kw_only=True, tag="alert"):
    """Something a person must know."""

    severity: str
    """``info``, ``warn`` or ``critical``."""
    code: str
    text: str


AnyEvent = (
    LedgerOpened
    | EngineStarted
    | EngineStopped
    | PolicyLoaded
    | PolicyRefused
    | InstrumentDefined
    | TapeAnchored
    | TapePruned
    | CommandReceived
    | IllegalInput
    | OrderStaged
    | OrderDenied
    | ParentAccepted
    | ParentEnded
    | ParentStopping
    | ParentEvent
    | AlgoProgress
    | OrderIntent
    | CancelIntent
    | AmendIntent
    | OrderPlaced
    | CancelPlaced
    | AmendPlaced
    | OrderAcked
    | OrderRejected
    | OrderUnknown
    | OrderFilled
    | FillBusted
    | FillConflict
    | OrderCancelled
    | OrderExpired
    | CancelRejected
    | OrderAmended
    | AmendRejected
    | OrderKilled
    | OrderResolved
    | ForeignOrderSeen
    | ForeignFillSeen
    | BrokerChanged
    | ReconcileDone
    | PositionAdjusted
    | TradingStateChanged
    | HaltStep
    | AlertRaised
    | StrategyChanged
    | StrategySaved
    | RiskDayBegan
    | RiskDayMarked
    | PositionsMarked
    | ResultPeaked
    | FxRateSet
    | MovementBooked
    | BooksAdjusted
    | BasketStaged
    | BasketReleased
    | BasketDropped
)

EVENT_KINDS: tuple[type[Event], ...] = get_args(AnyEvent)
KIND_NAMES: Mapping[type, str] = {kind: str(kind.__struct_config__.tag) for kind in EVENT_KINDS}
"""The journal kind of each event."""

TOGETHER: frozenset[type[Event]] = frozenset({OrderPlaced, CancelPlaced, AmendPlaced})
"""Rows that hold several events. Who follows the journal is told those (:func:`parts_of`), never the row itself."""

Routes = Mapping[type, Callable[[int, int, Any], None]]
"""What a follower does about each kind of event it looks at: called with sequence number, time and event."""


def parts_of(event: AnyEvent) -> tuple[AnyEvent, ...]:
    """What a row tells, in order: the event itself, or those that it holds together."""
    return event.parts() if isinstance(event, OrderPlaced | CancelPlaced | AmendPlaced) else (event,)


def _encode(value: Any) -> Any:
    try:
        return value._text  # noqa: SLF001 - a number of an order stands in several rows: the call would cost as much again
    except AttributeError:
        if isinstance(value, Exact):
            value._text = words = text(value)  # noqa: SLF001 - as above
            return words
    if isinstance(value, Decimal):
        return text(value)
    msg = f"{type(value).__name__} cannot stand in a message"
    raise TypeError(msg)


def _decode(kind: type, value: Any) -> Any:
    if issubclass(kind, Exact) and isinstance(value, str):
        return kind(value)
    msg = f"expected decimal text for {kind.__name__}, was {value!r}"
    raise ValueError(msg)


ENCODER = msgspec.json.Encoder(enc_hook=_encode, order="deterministic")
"""The one encoder of journal rows and socket frames: fields in order, sets sorted, decimals as canonical text."""

_EVENTS = msgspec.json.Decoder(AnyEvent, dec_hook=_decode)


encode: Callable[[msgspec.Struct], bytes] = ENCODER.encode
"""Bytes of a message, the same on every machine."""


def decode_event(payload: bytes) -> AnyEvent:
    """An event from its journal payload; raises StoreCorrupt where it is none."""
    try:
        event: AnyEvent = _EVENTS.decode(payload)
    except (msgspec.DecodeError, ValueError) as error:
        msg = f"journal payload cannot be read: {error}; the row is damaged or from a newer Bolt"
        raise StoreCorrupt(msg) from None
    return event


def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """A decoder for any message type, with our decimals."""
    return msgspec.json.Decoder(kind, dec_hook=_decode)


def kind_of(event: Event) -> str:
    """The journal kind of an event."""
    return KIND_NAMES[event.__class__]
