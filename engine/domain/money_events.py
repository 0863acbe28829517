"""Events of money over time: currency rates, what brokers book to an account beside executions, and what a person corrects."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from engine.domain.event import Event
from engine.domain.money import DIGITS_MAX, Money, Price, Qty, Rate, is_bounded
from engine.domain.movements import Movement


class FxRate(msgspec.Struct, frozen=True, kw_only=True):
    """So many ``to`` for one ``of``, as somebody stated it for a moment."""

    of: str
    to: str
    rate: Rate
    ts_ns: int
    """The moment it stands for; its age counts from there."""
    source: str
    """Who says so: the name of a file, a person."""

    def fault(self) -> str:
        """What is wrong with it; empty where nothing is."""
        if self.of == self.to:
            return f"a rate of {self.of} in itself is 1 and needs no entry"
        if self.rate <= 0:
            return f"the rate of {self.of} in {self.to} was {self.rate}; it must be above zero"
        if not is_bounded(self.rate):
            return f"the rate of {self.of} in {self.to} was {self.rate}; it has at most {DIGITS_MAX} digits before and behind the point"
        return ""


class FxRateSet(Event, frozen=True, kw_only=True, tag="fx_rate_set"):
    """A rate is known from here on."""

    rate: FxRate
    who: str


class MovementBooked(Event, frozen=True, kw_only=True, tag="movement_booked"):
    """A broker's booking was taken into the books."""

    movement: Movement
    mark: Price | None = None
    """Of a transfer: what a unit was worth then, so that the day counts from there; None where no fresh price was known."""


class AdjustAs(StrEnum):
    """What a person books."""

    CASH = "cash"
    """Cash came in or went out."""
    OPENING = "opening"
    """What was there when the ledger began: a balance, or a position with what it had cost."""
    TRANSFER = "transfer"
    """Cash or a position moved between accounts."""


class Adjustment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person's booking: cash of one currency, or a position at what it cost."""

    id: str
    """Asked twice with the same one, it is booked once."""
    as_: AdjustAs = msgspec.field(name="as")
    broker: str
    account: str
    cash: Money = Money(0)
    currency: str = ""
    symbol: str = ""
    qty: Qty = Qty(0)
    """Signed change."""
    cost: Money = Money(0)
    """Signed change of cost, in the instrument's currency."""
    reason: str

    def words(self) -> str:
        """One line for a person."""
        if not self.symbol:
            return f"{self.as_.value} {self.cash} {self.currency} ({self.reason})"
        kind = "position" if self.as_ is AdjustAs.CASH else self.as_.value
        return f"{kind} {self.qty} {self.symbol} at a cost of {self.cost} ({self.reason})"


class BooksAdjusted(Event, frozen=True, kw_only=True, tag="books_adjusted"):
    """A person's booking, with the reason."""

    adjustment: Adjustment
    who: str
    mark: Price | None = None
    """Of a position: what a unit was worth then, so that the day counts from there; None where no fresh price was known."""


class RateSeen(msgspec.Struct, frozen=True):
    """A rate in use: base currency for one unit."""

    rate: Decimal
    ts_ns: int
    source: str


class PositionAdjusted(Event, frozen=True, kw_only=True, tag="position_adjusted"):
    """A person accepted the broker's position (or cash, with an empty symbol) with a reason."""

    broker: str
    account: str
    symbol: str = ""
    qty: Qty = Qty(0)
    """Signed change."""
    cost: Money = Money(0)
    """Signed change of cost."""
    cash: Money = Money(0)
    """Signed change of cash."""
    currency: str
    reason: str
    who: str
