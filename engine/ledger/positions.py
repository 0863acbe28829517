"""A position as exact first-in-first-out lots.

FIFO and not average cost: an average does not divide evenly, so its realised result would have to be rounded. Here cost,
realised result and cash agree to the last digit. The average price is for display only.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import msgspec

from engine.domain.events import Fill
from engine.domain.money import EXACT, ZERO_MONEY, ZERO_QTY, Money, Price, Qty, notional, ratio

AVERAGE_DIGITS = 8


class Lot(msgspec.Struct):
    """Part of a position bought or sold at one price; ``qty`` is signed."""

    qty: Qty
    price: Price


class Position:
    """Signed quantity, open lots, realised result and fees of one symbol in one account."""

    __slots__ = ("entries", "fees", "lots", "multiplier", "qty", "realised")

    def __init__(self, multiplier: Decimal) -> None:
        self.multiplier = multiplier
        self.qty: Qty = ZERO_QTY
        self.lots: deque[Lot] = deque()
        self.realised: Money = ZERO_MONEY
        self.fees: Money = ZERO_MONEY
        self.entries: list[tuple[str, Qty, Price, Money]] = []
        """Every booking as (key, signed quantity, price, fee): what a bust is undone from."""

    def book(self, fill: Fill) -> None:
        """Add one execution."""
        self.enter(fill.fill_key, Qty(fill.qty * fill.side.sign), fill.price, fill.fee)

    def enter(self, key: str, qty: Qty, price: Price, fee: Money) -> None:
        """Add a booking of a signed quantity."""
        self.entries.append((key, qty, price, fee))
        self._apply(qty, price, fee)

    def remove(self, key: str) -> None:
        """Undo one booking, as if it had never been."""
        kept = [entry for entry in self.entries if entry[0] != key]
        self.qty, self.realised, self.fees = ZERO_QTY, ZERO_MONEY, ZERO_MONEY
        self.lots.clear()
        self.entries = kept
        for _, qty, price, fee in kept:
            self._apply(qty, price, fee)

    def _apply(self, qty: Qty, price: Price, fee: Money) -> None:
        self.fees = self.fees + fee
        self.qty = self.qty + qty
        rest = qty
        while rest and self.lots and (self.lots[0].qty > 0) != (rest > 0):
            lot = self.lots[0]
            closed = -lot.qty if abs(lot.qty) <= abs(rest) else rest
            # ``closed`` has the sign of the new trade: selling (-) above the lot's price earns.
            gain = EXACT.multiply(EXACT.subtract(lot.price, price), closed)
            self.realised = self.realised + Money(EXACT.multiply(gain, self.multiplier))
            lot.qty = lot.qty + closed
            rest = rest - closed
            if not lot.qty:
                self.lots.popleft()
        if rest:
            if self.lots and self.lots[-1].price == price:
                self.lots[-1].qty = self.lots[-1].qty + rest
            else:
                self.lots.append(Lot(rest, price))

    @property
    def cost(self) -> Money:
        """Exact signed cost of what is open."""
        total = ZERO_MONEY
        for lot in self.lots:
            total = total + notional(lot.price, lot.qty, self.multiplier)
        return total

    def average(self) -> Price | None:
        """Average price of what is open, rounded; for display."""
        if not self.qty:
            return None
        return Price(ratio(self.cost, EXACT.multiply(self.qty, self.multiplier), AVERAGE_DIGITS))

    def unrealised(self, mark: Decimal) -> Money:
        """Result of what is open at a mark, exact."""
        return notional(Price(mark), self.qty, self.multiplier) - self.cost
