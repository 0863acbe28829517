"""One line of the trade log for each event a person wants to read."""

from __future__ import annotations

import msgspec

from engine.domain import events as ev
from engine.domain.basket_events import BasketDropped, BasketReleased, BasketStaged
from engine.domain.clock import iso
from engine.domain.day_events import PositionsMarked, ResultPeaked, RiskDayBegan, RiskDayMarked
from engine.domain.ids import is_exit_wire_id
from engine.domain.instrument import Digits, digits_of
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
from engine.domain.money import padded
from engine.domain.money_events import BooksAdjusted, FxRateSet, MovementBooked, PositionAdjusted
from engine.domain.order import AlgoSpec, OrderSpec
from engine.domain.parent_events import (
    ApprovalAsked,
    OrderApproved,
    ParentPaused,
    ParentReleased,
    ParentResumed,
    ParentSuspended,
    UrgencySet,
)
from engine.domain.strategy_events import StrategyChanged, StrategySaved
from engine.store.order import Order
from engine.views import LogLine

SILENT = (
    ev.AlgoProgress,
    ev.AmendIntent,
    ev.CancelIntent,
    ev.CommandReceived,
    InstrumentDefined,
    LedgerOpened,
    ev.ParentStopping,
    PositionsMarked,
    ResultPeaked,
    StrategySaved,
    TapeAnchored,
    TapePruned,
)
"""Events that only machines read; the tests hold that every other kind has a line."""
_SILENT = frozenset(SILENT)
_STEP_COUNTS = {
    "found": "found",
    "cancels_sent": "cancels sent",
    "cancels_confirmed": "gone at the venue",
    "unknown": "not confirmed",
    "kept": "kept as exits",
}
_STEP_LISTS = {
    "residual": "still open:",
    "unreachable": "not reached:",
    "note": "",
    "receipt_path": "",
}
_STEP_FLAGS = {"durable": "not durable yet", "verified": "NOT verified", "clean": "NOT clean"}


_AS_THEY_ARE = digits_of(())


def is_told(event: ev.AnyEvent) -> bool:
    """Whether an event has a line."""
    if event.__class__ is ev.ReconcileDone:
        return not event.clean or bool(event.differences)
    return event.__class__ not in _SILENT


def line(
    seq: int,
    ts_ns: int,
    event: ev.AnyEvent,
    order: Order | None,
    digits: Digits = _AS_THEY_ARE,
    ledger_id: str = "",
) -> LogLine | None:
    """The log line of an event; None for those that only machines read.

    ``digits``: decimals that a symbol's prices have at least. ``ledger_id``: whose exits of a kill procedure are not foreign.
    """
    found = _exit_words(event, digits, ledger_id) or _words(event, order, digits)
    if found is None:
        return None
    word, text, severity = found
    order_id = getattr(event, "order_id", "")
    return LogLine(seq=seq, ts_ns=ts_ns, word=word, order_id=order_id, text=text, severity=severity)


def _exit_words(event: ev.AnyEvent, digits: Digits, ledger_id: str) -> tuple[str, str, str] | None:
    """An exit that the kill procedure sent without the books, or an execution of it; None for everything else."""
    match event:
        case ev.ForeignFillSeen() if is_exit_wire_id(event.fill.wire_id, ledger_id):
            return "FILL", f"halt flatten {_fill_words(event.fill, digits)}", "warn"
        case ev.ForeignOrderSeen() if is_exit_wire_id(event.wire_id, ledger_id):
            return "HALT", f"flatten {event.spec.words(digits(event.spec.symbol))}", "warn"
        case _:
            return None


def _words(event: ev.AnyEvent, order: Order | None, digits: Digits) -> tuple[str, str, str] | None:
    found = _order_words(event, order, digits)
    return found if found is not None else _desk_words(event)


def _order_words(event: ev.AnyEvent, order: Order | None, digits: Digits) -> tuple[str, str, str] | None:  # noqa: C901, PLR0911, PLR0912 - one line per kind of event
    about = "" if order is None else _order_line(order).words(digits(order.spec.symbol))
    match event:
        case ev.ParentAccepted():
            return "NEW", event.spec.words(digits(event.spec.symbol)), "info"
        case ev.OrderStaged():
            return "STAGE", event.spec.words(digits(event.spec.symbol)), "info"
        case ev.OrderDenied():
            first = event.denials[0]
            line = f" ({first.policy_line})" if first.policy_line and first.policy_line not in first.text else ""
            return "DENY", f"{first.code} {first.text}{line}", "warn"
        case ev.OrderIntent():
            return "SEND", _without_echo(about, event.decision.why), "info"
        case ev.OrderAcked():
            return "ACK", about, "info"
        case ev.OrderRejected():
            return "REJ", f"{event.code} {event.text}", "warn"
        case ev.OrderUnknown():
            return "UNKN", event.why, "critical"
        case ev.OrderFilled():
            fill = event.fill
            late = " late" if event.late else ""
            over = f" OVERFILL {event.overfill}" if event.overfill else ""
            return "FILL", f"{_fill_words(fill, digits)} {fill.venue}{late}{over}", "info"
        case ev.ForeignFillSeen():
            return "FILL", f"foreign {_fill_words(event.fill, digits)}", "warn"
        case ev.FillBusted():
            return "BUST", f"{_fill_words(event.fill, digits)}: the venue took it back", "critical"
        case ev.OrderCancelled():
            return "CXL", about, "info"
        case ev.CancelRejected():
            return "CXLREJ", f"{event.code} {event.text}", "warn"
        case ev.OrderExpired():
            return "EXP", about, "info"
        case ev.OrderAmended():
            return "AMD", _amended_words(event, 0 if order is None else digits(order.spec.symbol)), "info"
        case ev.AmendRejected():
            return "AMDREJ", f"{event.code} {event.text}", "warn"
        case ev.OrderKilled():
            return "KILLED", event.why, "warn"
        case ev.OrderResolved():
            return "RESOLV", f"{event.state.value} by {event.by}: {event.evidence}", "info"
        case ev.ForeignOrderSeen():
            return "FOREIGN", event.spec.words(digits(event.spec.symbol)), "warn"
        case ParentSuspended():
            return "SUSP", f"{about}: {event.why}; not fired late: release, amend or cancel it", "warn"
        case ParentPaused():
            return "PAUSE", f"{about}: paused by {event.who}; it sends nothing until it is resumed", "warn"
        case ParentResumed():
            return "GO", f"{about}: resumed by {event.who}", "info"
        case UrgencySet():
            return "URGE", f"{about}: {event.urgency} from now on, by {event.who}", "info"
        case ApprovalAsked():
            return "ASK", f"{about}: waits for a second person ({event.order_hash})", "warn"
        case OrderApproved():
            return "OK", f"{about}: approved by {event.who} ({event.order_hash})", "info"
        case ParentReleased():
            return "GO", f"{about}: released by {event.who}", "info"
        case ev.ParentEnded():
            return "DONE", _ended_words(event), "info"
        case _:
            return None


def _order_line(order: Order) -> OrderSpec:
    """A child without what works its parent: the parent's own line has said that."""
    return msgspec.structs.replace(order.spec, algo=AlgoSpec()) if order.parent_id else order.spec


def _fill_words(fill: ev.Fill, digits: Digits) -> str:
    return f"{fill.side} {fill.qty} {fill.symbol} {padded(fill.price, digits(fill.symbol))}"


def _without_echo(about: str, why: str) -> str:
    """An order and why it is sent; the name of an algorithm that both say is said once."""
    last, (first, _, rest) = about.rpartition(" ")[2], why.partition(" ")
    return f"{about} {rest if first == last else why}".rstrip()


def _amended_words(event: ev.OrderAmended, digits: int) -> str:
    """The new terms; a price that the order has not is left out."""
    prices = (("limit", event.limit), ("stop", event.stop))
    return " ".join(
        [f"quantity {event.qty}", *(f"{name} {padded(price, digits)}" for name, price in prices if price is not None)]
    )


def _ended_words(event: ev.ParentEnded) -> str:
    """How a parent ended and why; that its one child ended so is said by the state."""
    is_said = event.why == f"its child ended {event.state.value}"
    return event.state.value if is_said or not event.why else f"{event.state.value}: {event.why}"


def _step_words(event: ev.HaltStep) -> str:
    """A step of the kill procedure: what was found and done so far; what is nothing or as it should be is not said."""
    data = event.data
    parts = [f"{words} {data[name]}" for name, words in _STEP_COUNTS.items() if data.get(name, "0") not in {"", "0"}]
    parts += [f"{words} {data[name]}".strip() for name, words in _STEP_LISTS.items() if data.get(name)]
    parts += [words for name, words in _STEP_FLAGS.items() if data.get(name) == "false"]
    where = f" {data['broker']}" if data.get("broker") else ""
    step = "sources stopped" if event.step == "sources" else event.step.replace("_", " ")
    return f"{step}{where}" + (f": {', '.join(parts)}" if parts else "")


def _desk_words(event: ev.AnyEvent) -> tuple[str, str, str] | None:  # noqa: C901, PLR0911, PLR0912 - one line per kind of event
    match event:
        case ev.TradingStateChanged():
            name = f"{event.scope.kind.value} {event.scope.name}".rstrip()
            word = "HALT" if event.state is ev.TradingState.HALTED else "RISK"
            return word, f"{name} {event.state.value} by {event.who}: {event.code} {event.why}", "critical"
        case ev.HaltStep():
            return "HALT", _step_words(event), "critical"
        case ev.BrokerChanged():
            return "LINK", f"{event.broker} {event.state.value} {event.why}".rstrip(), "info"
        case ev.ReconcileDone():
            if event.clean and not event.differences:
                return None
            return "RECON", "; ".join(item.text for item in event.differences), "info" if event.clean else "critical"
        case ev.FillConflict():
            return "CONFL", f"fill {event.fill.fill_key} came twice with other content", "critical"
        case ev.AlertRaised():
            return "WARN", f"{event.code} {event.text}", event.severity
        case PolicyLoaded():
            return "RISK", f"policy {event.policy_hash[:12]} in force", "info"
        case PolicyRefused():
            return "RISK", f"policy refused, the old one stays: {event.error}", "critical"
        case RiskDayBegan():
            waits = f"; {', '.join(event.waiting)} waits for a price" if event.waiting else ""
            return "RISK", f"{event.account}: the day began ({event.cut}), {len(event.marks)} marks{waits}", "info"
        case RiskDayMarked():
            words = "; ".join(f"{mark.symbol} {mark.price} {mark.note}".rstrip() for mark in event.marks)
            return "RISK", f"{event.account}: the day's marks are complete: {words}", "info"
        case StrategyChanged():
            return "STRAT", f"{event.name} {event.state} {event.why}".rstrip(), "info"
        case ev.IllegalInput():
            return "ILLEGAL", f"{event.what} {event.order_id}: {event.why}", "warn"
        case PositionAdjusted():
            moved = f"{event.qty} {event.symbol} " if event.symbol else ""
            return "ADJUST", f"{moved}cash {event.cash} {event.currency} by {event.who}: {event.reason}", "warn"
        case FxRateSet():
            rate = event.rate
            words = f"{rate.of} = {rate.rate} {rate.to}, of {iso(rate.ts_ns)[:19]}Z by {rate.source}"
            return "FX", f"{words} ({event.who})", "info"
        case BooksAdjusted():
            return "ADJUST", f"{event.adjustment.words()} by {event.who}", "warn"
        case MovementBooked():
            return "MOVE", event.movement.words(), "info"
        case BasketStaged():
            return "STAGE", f"{event.basket_id} {event.name}: {len(event.lines)} orders", "info"
        case BasketReleased():
            return "NEW", f"{event.basket_id} released by {event.who}: {', '.join(event.orders[:10])}", "info"
        case BasketDropped():
            return "CXL", f"{event.basket_id} dropped by {event.who}", "info"
        case EngineStopped():
            return "STOP", event.why, "info"
        case EngineStarted():
            return "START", "clean start" if event.clean else "start after an unclean end", "info"
        case _:
            return None
