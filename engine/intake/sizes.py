"""Sizes that are said by what they mean: money, a part of the position, or the loss that a stop would allow.

Each becomes whole lots, cut down and never up, with a note that shows both; or a reason why there is no such size.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Money, Price, Qty, padded, text
from engine.domain.order import Side

_PART = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,4})?)%pos")
PARTS = ("25%pos", "50%pos", "100%pos")


class PositionPart(msgspec.Struct, frozen=True):
    """``25%pos``: so much of the position held."""

    percent: Decimal


class RiskSize(msgspec.Struct, frozen=True):
    """``risk 200 stop 188.4``: so much money lost where the stop price were met. The stop sizes; it is no order."""

    amount: Money
    stop: Price


Size = Qty | Money | PositionPart | RiskSize


def read_part(word: str) -> PositionPart | None:
    """``25%pos``; nothing of a position is no size."""
    match = _PART.fullmatch(word)
    if match is None or not Decimal(match[1]):
        return None
    return PositionPart(Decimal(match[1]))


def of_position(size: PositionPart, held: Qty | None, made: Instrument) -> tuple[Qty, str] | str:
    """Quantity and note, or why there is none."""
    if not held:
        return f"there is no position in {made.symbol} to take a part of"
    exact = EXACT.scaleb(EXACT.multiply(EXACT.abs(held), size.percent), -2)
    qty = _whole_lots(exact, Decimal(1), made)
    said = f"{text(size.percent)}% of {'+' if held > 0 else ''}{text(held)}"
    if not qty:
        return f"{said} is {text(exact)}, less than one lot of {text(made.lot)}"
    return qty, f"{said} = {text(qty)}"


def of_money(size: Money, price: Price, made: Instrument) -> tuple[Qty, str] | str:
    """Quantity and note, or why there is none."""
    each = made.notional(price, Decimal(1))
    if each <= 0:
        return f"money buys no quantity at a price of {text(price)}"
    qty = _whole_lots(size, each, made)
    if not qty:
        return f"less than one lot of {text(made.lot)} at {text(price)}"
    worth = f"{text(made.notional(price, qty))} {made.currency}"
    return qty, f"{text(size)} {made.currency} at {padded(price, made.price_digits)} = {text(qty)} ({worth})"


def of_risk(size: RiskSize, side: Side, entry: Price, made: Instrument) -> tuple[Qty, str] | str:
    """Quantity and note, or why there is none: the stop must lie on the losing side of the entry."""
    apart = EXACT.multiply(EXACT.subtract(entry, size.stop), Decimal(side.sign))
    entry_words, stop_words = padded(entry, made.price_digits), padded(size.stop, made.price_digits)
    if apart <= 0:
        where = "below" if side is Side.BUY else "above"
        return f"the stop of a {side} must lie {where} its price {entry_words}; was {stop_words}"
    each = EXACT.multiply(apart, made.multiplier)
    qty = _whole_lots(size.amount, each, made)
    if not qty:
        return f"a risk of {text(size.amount)} {made.currency} is less than one lot: {text(each)} each"
    lost = f"{text(EXACT.multiply(each, qty))} {made.currency}"
    return qty, f"risk {text(size.amount)} to {stop_words} = {text(qty)} ({lost}); the stop is not sent"


def _whole_lots(amount: Decimal, each: Decimal, made: Instrument) -> Qty:
    lots = EXACT.divide_int(amount, EXACT.multiply(each, made.lot))
    return Qty(EXACT.multiply(lots, made.lot))
