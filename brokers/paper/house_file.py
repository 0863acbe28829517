"""The house rules of the paper broker, as a file: whose words it uses, whether it checks funds, what it lends, what margin it wants."""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from brokers.paper.profiles import PROFILES
from engine.domain.errors import DataError, MoneyError
from engine.domain.money import Qty, Rate
from engine.market.carry_file import Moment, decode_row

HOUSE_NAME = "house.yaml"
"""Name of the file in the state folder."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows take known keys only."""


class Borrow(_Strict, frozen=True, kw_only=True):
    """What can be borrowed of a symbol, from a moment on."""

    symbol: str
    from_: Moment = msgspec.field(name="from")
    available: Qty
    """Shares that may be short in all; below what is short, the lender recalls the rest and it is bought in."""
    fee_pct: Rate = Rate(0)
    """Percent a year of the value that is short, for each calendar night."""


class Margin(_Strict, frozen=True, kw_only=True):
    """What of a position's value must be covered by equity, in percent."""

    initial_pct: Rate
    maintenance_pct: Rate
    call_s: int = 300
    """From a margin call to liquidation."""


class House(_Strict, frozen=True, kw_only=True):
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
    try:
        # BaseLoader keeps every scalar as its text.
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - builds text only
        made = msgspec.convert(raw, House, strict=False, dec_hook=decode_row)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError, MoneyError) as error:
        raise DataError(f"{path}: {error}; expected rows as in docs/money.md") from None
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
