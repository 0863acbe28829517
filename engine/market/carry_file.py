"""A file of what happens to positions and cash over time: dividends, splits, funding, interest, settlement. Dated, read strictly.

The shipped file is an example and says so; numbers never pass through a float.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.errors import DataError
from engine.domain.instrument import InstrumentKind, is_currency
from engine.domain.money import Rate
from engine.market.calendar import SessionTable
from engine.market.exact_rows import Moment, Strict, read_rows

EXAMPLE_FILE = Path(__file__).parent / "carry" / "example.yaml"
RATIO_MAX = 1_000_000
"""New or old units of a split."""
CARRY_NAME = "carry.yaml"
"""Name of the file in the state folder."""


class Dividend(Strict, frozen=True, kw_only=True):
    """Cash for each share."""

    symbol: str
    ex: Moment
    """Who holds just before it gets it."""
    pay: Moment
    per_share: Rate
    currency: str
    withheld_pct: Rate = Rate(0)
    """Tax that is kept back from longs."""


class SplitRow(Strict, frozen=True, kw_only=True):
    """New units for old ones."""

    symbol: str
    at: Moment
    new: int
    old: int


class Funding(Strict, frozen=True, kw_only=True):
    """Longs pay this share of the value to shorts (below zero: the other way round)."""

    symbol: str
    at: Moment
    rate: Rate


class Interest(Strict, frozen=True, kw_only=True):
    """Percent a year on cash of a currency, from a date on."""

    currency: str
    from_: date = msgspec.field(name="from")
    credit_pct: Rate = Rate(0)
    debit_pct: Rate = Rate(0)


class Nights(Strict, frozen=True, kw_only=True):
    """When a night is counted, and what a year has."""

    at: str = "21:00"
    zone: str = "UTC"
    year_days: int = 360


class Settlement(Strict, frozen=True, kw_only=True):
    """Business days from trade to settlement, from a date on."""

    kinds: tuple[InstrumentKind, ...]
    from_: date = msgspec.field(name="from")
    days: int


class CarryFile(Strict, frozen=True, kw_only=True):
    """All of it."""

    name: str
    example: bool = False
    dividends: tuple[Dividend, ...] = ()
    splits: tuple[SplitRow, ...] = ()
    funding: tuple[Funding, ...] = ()
    interest: tuple[Interest, ...] = ()
    nights: Nights = Nights()
    settlement: tuple[Settlement, ...] = ()
    holidays: tuple[date, ...] = ()
    calendar: str = ""
    """An exchange, or a calendar of one's own: its days without a session settle nothing either. Empty for none."""

    def by_calendar(self, table: SessionTable) -> CarryFile:
        """The same with the weekdays on which that calendar has no session among the holidays; outside its span it knows none."""
        open_days = {date.fromisoformat(day) for day in table.days}
        day, last = min(open_days), max(open_days)
        closed = []
        while day < last:
            day += timedelta(days=1)
            if day.weekday() <= 4 and day not in open_days:
                closed.append(day)
        return msgspec.structs.replace(self, holidays=(*self.holidays, *closed))

    def interest_at(self, currency: str, day: date) -> Interest | None:
        """The row in force for a currency."""
        found = [row for row in self.interest if row.currency == currency and row.from_ <= day]
        return max(found, key=lambda row: row.from_, default=None)

    def next_night(self, after_ns: int) -> int:
        """The next moment at which a night is counted."""
        zone = ZoneInfo(self.nights.zone)
        hour, minute = (int(part) for part in self.nights.at.split(":"))
        day = datetime.fromtimestamp(after_ns // NS_PER_S, zone).date()
        while True:
            at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
            at_ns = int(at.timestamp()) * NS_PER_S
            if at_ns > after_ns:
                return at_ns
            day += timedelta(days=1)

    def settles_on(self, kind: InstrumentKind, trade_day: date) -> date | None:
        """The day on which a trade is settled; None where no row says so."""
        rows = [row for row in self.settlement if kind in row.kinds and row.from_ <= trade_day]
        row = max(rows, key=lambda one: one.from_, default=None)
        if row is None:
            return None
        day, left = trade_day, row.days
        while left or day.weekday() > 4 or day in self.holidays:
            day += timedelta(days=1)
            if day.weekday() <= 4 and day not in self.holidays:
                left = max(0, left - 1)
        return day


def read_carry(path: Path) -> CarryFile:
    """Read a file.

    Raises:
        DataError: naming the file, the row and what was expected.
    """
    made = read_rows(path, CarryFile, "rows as in the shipped example file")
    currencies = (*(one.currency for one in made.dividends), *(one.currency for one in made.interest))
    faults = [
        *(f"dividend of {one.symbol}: pay lies before ex" for one in made.dividends if one.pay < one.ex),
        *(f"dividend of {one.symbol}: per_share {one.per_share} must be above zero" for one in made.dividends if one.per_share <= 0),
        *(f"dividend of {one.symbol}: withheld_pct {one.withheld_pct} must lie from 0 to 100" for one in made.dividends if not 0 <= one.withheld_pct <= 100),
        *(f"split of {one.symbol}: {one.new} for {one.old} must be two different numbers from 1 to {RATIO_MAX}" for one in made.splits if min(one.new, one.old) < 1 or max(one.new, one.old) > RATIO_MAX or one.new == one.old),
        *(f"{code!r} is no currency code; expected capitals, such as EUR" for code in currencies if not is_currency(code)),
        *(f"settlement: days was {one.days}; expected 0 to 10" for one in made.settlement if not 0 <= one.days <= 10),
    ]  # fmt: skip
    try:
        made.next_night(0)
        if not 300 <= made.nights.year_days <= 400:
            faults.append(f"nights: year_days was {made.nights.year_days}; expected 360 or 365")
    except (ValueError, ZoneInfoNotFoundError):
        faults.append(f"nights: at {made.nights.at} in zone {made.nights.zone} is no time of day in a known zone")
    if faults:
        raise DataError(f"{path}: {faults[0]}")
    return made
