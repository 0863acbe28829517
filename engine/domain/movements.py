"""What a broker books to an account that is no execution: conversions, dividends, splits, funding, interest, transfers.

The broker states each as a :class:`Movement` with a key of its own, which is unique for ever in an account: told twice, it is
booked once. Amounts are signed as they change the account: above zero comes in.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.domain.money import Money, Qty


class MovementKind(StrEnum):
    """Why an account changed."""

    CONVERSION = "conversion"
    DIVIDEND = "dividend"
    SPLIT = "split"
    FUNDING = "funding"
    INTEREST = "interest"
    """Of cash in a currency, overnight; the rollover of an exchange position is this too."""
    BORROW_FEE = "borrow_fee"
    MARGIN_CALL = "margin_call"
    """A word, no booking: equity is below what positions need, and until when."""
    LIQUIDATION = "liquidation"
    """A word, no booking: the broker closes positions with orders of its own."""
    RECALL = "recall"
    """A word, no booking: shares that were lent are wanted back, and are bought in."""
    TRANSFER = "transfer"
    """A position or cash that came from, or went to, another account."""
    DEPOSIT = "deposit"
    """Cash paid in (taken out: below zero)."""


BROUGHT = frozenset({MovementKind.TRANSFER, MovementKind.DEPOSIT})
"""Kinds that are no result: what came in was the owner's before."""


class CashLeg(msgspec.Struct, frozen=True):
    """A change of cash in one currency."""

    currency: str
    amount: Money


class Movement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One booking of a broker."""

    broker: str
    account: str
    key: str
    """Unique for ever in the account."""
    kind: MovementKind
    ts_ns: int
    cash: tuple[CashLeg, ...] = ()
    symbol: str = ""
    qty: Qty = Qty(0)
    """Of a transfer: signed change of the position. Of a split: the position after it."""
    cost: Money = Money(0)
    """Of a transfer: signed change of the position's cost, what the owner paid for it."""
    ratio: tuple[int, int] = (1, 1)
    """Of a split: new units for old units."""
    text: str = ""
    """The reckoning in words: rate and its time, amount for each share, days."""

    def words(self) -> str:
        """One line for a person."""
        legs = " ".join(f"{leg.amount.text()} {leg.currency}" for leg in self.cash)
        moved = f"{self.qty.text()} {self.symbol}".strip() if self.qty else self.symbol
        return " ".join(word for word in (self.kind.value, moved, legs, self.text) if word)
