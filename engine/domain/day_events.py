"""Events of the risk day: when it began, at which prices positions were carried over, and its best result."""

from __future__ import annotations

import msgspec

from engine.domain.event import Event
from engine.domain.money import Money, Price, Qty


class DayMark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one position was valued at."""

    broker: str
    symbol: str
    qty: Qty
    """Signed; the mark is what closing it would have met."""
    price: Price
    ts_ns: int
    """When the market said that price."""
    note: str = ""
    """Why this price stands for another moment; empty where it is of the moment itself."""


class RiskDayBegan(Event, frozen=True, kw_only=True, tag="risk_day_began"):
    """A new risk day of an account: its loss, turnover and counts begin at zero here."""

    account: str
    begins_ns: int
    """The cut; the row's own time may be later (the engine was down)."""
    cut: str
    """The policy's words, ``00:00 UTC``."""
    marks: tuple[DayMark, ...] = ()
    waiting: tuple[str, ...] = ()
    """Symbols with a position that nobody could value: until a RiskDayMarked names them the day's result is not known."""


class RiskDayMarked(Event, frozen=True, kw_only=True, tag="risk_day_marked"):
    """Positions that waited for a price have one; each mark says what it stands for."""

    account: str
    marks: tuple[DayMark, ...]


class PositionsMarked(Event, frozen=True, kw_only=True, tag="positions_marked"):
    """What open positions are worth now: kept in case the engine is not there at the next cut."""

    account: str
    marks: tuple[DayMark, ...]


class ResultPeaked(Event, frozen=True, kw_only=True, tag="result_peaked"):
    """The best result of the day so far, in base currency: drawdown counts from it, over restarts too."""

    account: str
    result: Money
