"""The house rules of the paper broker, as a file: whose words it uses, whether it checks funds, what it lends, what margin it wants."""

from __future__ import annotations

from pathlib import Path

import msgspec

from brokers.paper.profiles import PROFILES
from engine.domain.errors import DataError
from engine.domain.money import Qty, Rate
from engine.market.exact_rows import Moment, Strict, read_rows

HOUSE_NAME = "house.yaml"
"""Name of the file in the state folder."""


class Borrow(Strict, frozen=True, kw_only=True):
    """What can be borrowed of a symbol, from a moment on."""

    symbol: str
    from_: Moment = msgspec.field(name="from")
    available: Qty
    """Shares that may be short in all; below what is short, the lender recalls the rest and it is bought in."""
    fee_pct: Rate = Rate(0)
    """Percent a year of the value that is short, for each calendar night."""


class Margin(Strict, frozen=True, kw_only=True):
    """What of a position's value must be covered by equity, in percent."""

    initial_pct: Rate
    maintenance_pct: Rate
    call_s: int = 300
    """From a margin call to liquidation."""


class House(Strict, frozen=True, kw_only=True):
    """All of it."""

    name: str
    example: bool = False
    profile: str = "plain"
    funds: bool = False
    """Purchases of what is paid in full must be covered by cash of its currency."""
    borrow: tuple[Borrow, ...] | None = None
    """None: anything can be sold short for nothing. A symbol without a row cannot."""
    margin: Margin | None = None
    year_days: int = 360


def read_house(path: Path) -> House:
    """Read a file.

    Raises:
        DataError: naming the file, the row and what was expected.
    """
    made = read_rows(path, House, "rows as in docs/money.md")
    faults = []
    if made.profile not in PROFILES:
        faults.append(f"profile was {made.profile!r}; expected one of {', '.join(PROFILES)}")
    faults += [f"borrow of {one.symbol}: available and fee_pct must not be below zero" for one in made.borrow or () if min(one.available, one.fee_pct) < 0]  # fmt: skip
    margin = made.margin
    if margin is not None and not 0 < margin.maintenance_pct <= margin.initial_pct <= 100:
        faults.append("margin: expected 0 < maintenance_pct <= initial_pct <= 100")
    if margin is not None and margin.call_s < 0:
        faults.append(f"margin: call_s was {margin.call_s}; expected seconds, zero or more")
    if faults:
        raise DataError(f"{path}: {faults[0]}")
    return made
