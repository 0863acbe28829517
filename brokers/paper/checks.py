"""What the paper venue refuses, each with a code and a sentence; the first that applies is reported."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from engine.domain.instrument import Instrument
from engine.domain.money import Price, Qty
from engine.domain.order import AUCTIONS, OrderSpec, OrderType, Tif

IMMEDIATE = frozenset({Tif.IOC, Tif.FOK})


class Refusal(NamedTuple):
    """Why the venue does not take an order."""

    code: str
    text: str


def waits_for_reopening(spec: OrderSpec | None) -> bool:
    """Whether an order can be parked while its symbol is halted: it need not trade at once, and may take when trading goes on."""
    return spec is not None and spec.tif not in IMMEDIATE and not spec.post_only


def terms_refusal(spec: OrderSpec, instrument: Instrument, now_ns: int) -> Refusal | None:
    """Faults of the order itself: fields that do not fit its type, off the tick or the lot, beyond a size limit."""
    terms = spec.type.terms
    for word, is_needed, price in (
        ("limit price", terms.limit, spec.limit),
        ("stop price", terms.stop, spec.stop),
        ("trail", terms.trail, spec.trail),
    ):
        if (price is None) is is_needed:
            return Refusal("BAD_ORDER", f"a {spec.type} order {'needs a' if is_needed else 'has no'} {word}")
    if (terms.waits or spec.type is OrderType.MARKET_TO_LIMIT) and spec.tif in IMMEDIATE:
        return Refusal("BAD_TIF", f"a {spec.type} order cannot be {spec.tif}")
    if (spec.tif is Tif.GTD) != bool(spec.expires_ns) or 0 < spec.expires_ns <= now_ns:
        return Refusal("BAD_TIF", "a gtd order needs an end that is still to come, and only a gtd order has one")
    if spec.tif in AUCTIONS and (spec.type not in {OrderType.MARKET, OrderType.LIMIT} or spec.display is not None):
        return Refusal("BAD_ORDER", "an auction takes plain market and limit orders")
    if spec.post_only and (spec.type is not OrderType.LIMIT or spec.tif in IMMEDIATE | AUCTIONS):
        return Refusal("BAD_ORDER", "post-only needs a limit order that may rest")
    for price in (spec.limit, spec.stop, spec.trail):
        refusal = None if price is None else _price_refusal(price, instrument)
        if refusal is not None:
            return refusal
    refusal = None if spec.display is None else _display_refusal(spec.display, spec, instrument)
    return refusal or size_refusal(spec.qty, spec.limit, instrument)


def _display_refusal(shown: Qty, spec: OrderSpec, instrument: Instrument) -> Refusal | None:
    if not spec.type.terms.limit or spec.tif in IMMEDIATE:
        return Refusal("BAD_ORDER", "only a limit order that may rest can show a part of itself")
    if not 0 < shown <= spec.qty or not instrument.is_on_lot(shown):
        return Refusal(
            "DISPLAY", f"shown quantity {shown} must be whole lots of {instrument.lot}, above zero, at most {spec.qty}"
        )
    return None


def _price_refusal(price: Price, instrument: Instrument) -> Refusal | None:
    if price <= 0 and not instrument.price_negative:
        return Refusal("PRICE", f"price {price} must be above zero")
    if not instrument.is_on_tick(price):
        return Refusal("TICK", f"price {price} is off the tick of {instrument.tick_at(price)}")
    return None


def size_refusal(qty: Qty, limit: Decimal | None, instrument: Instrument) -> Refusal | None:
    """A quantity the instrument does not allow."""
    if qty <= 0 or not instrument.is_on_lot(qty):
        return Refusal("LOT", f"quantity {qty} must be a whole number of lots of {instrument.lot}, above zero")
    if instrument.qty_min is not None and qty < instrument.qty_min:
        return Refusal("QTY_MIN", f"quantity {qty} is below the minimum of {instrument.qty_min}")
    if instrument.qty_max is not None and qty > instrument.qty_max:
        return Refusal("QTY_MAX", f"quantity {qty} is above the maximum of {instrument.qty_max}")
    floor = instrument.notional_min
    if floor is not None and limit is not None and instrument.notional(limit, qty) < floor:
        return Refusal("NOTIONAL_MIN", f"value {instrument.notional(limit, qty)} is below the minimum of {floor}")
    return None
