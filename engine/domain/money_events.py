"""Events of money over time: currency rates, and what brokers book to an account beside executions."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.domain.event import Event
from engine.domain.money import Rate
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
        return ""


class FxRateSet(Event, frozen=True, kw_only=True, tag="fx_rate_set"):
    """A rate is known from here on."""

    rate: FxRate
    who: str


class MovementBooked(Event, frozen=True, kw_only=True, tag="movement_booked"):
    """A broker's booking was taken into the books."""

    movement: Movement


class RateSeen(msgspec.Struct, frozen=True):
    """A rate in use: base currency for one unit."""

    rate: Decimal
    ts_ns: int
    source: str
