"""What a fill costs: dated rate files, exact, to the cent in the stated direction.

A rate file is YAML; the shipped ones are examples and say so. Each dated row holds components; each component charges by
share, by basis points of the value, or by order, and is rounded to its ``step`` in its ``round`` direction. A fill
before the first dated row has no rate and is refused: nothing is guessed.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import yaml

from engine.domain.clock import iso
from engine.domain.errors import DataError, MoneyError
from engine.domain.money import EXACT, Exact, Money, Rate, Rounding, round_to
from engine.domain.order import Liquidity, Side

RATES_FOLDER = Path(__file__).parent / "rates"


class Component(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One charge: what it is of, when it applies, and how it is rounded."""

    name: str
    per_share: Rate = Rate(0)
    bps: Rate = Rate(0)
    """Basis points of price times quantity times multiplier."""
    liquidity: Liquidity | None = None
    """Only fills that made or took; both where it is absent."""
    side: Side | None = None
    """Only buys or only sells (transaction taxes); both where it is absent."""
    min_per_order: Money = Money(0)
    """Charged at least once an order has filled at all."""
    step: Money = Money("0.01")
    round: Rounding = Rounding.HALF_UP


class DatedRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Components in force from a date (UTC) on."""

    from_: date = msgspec.field(name="from")
    components: tuple[Component, ...]


class FeeSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rate file."""

    name: str
    example: bool
    """Example rates, not a venue's own."""
    currency: str
    venues: tuple[str, ...]
    """MICs it is meant for."""
    rates: tuple[DatedRates, ...]

    def at(self, ts_ns: int) -> DatedRates | None:
        """Rates in force at a time, None before the first."""
        day = iso(ts_ns)[:10]
        found = None
        for row in self.rates:
            if row.from_.isoformat() <= day:
                found = row
        return found

    def missing_text(self, ts_ns: int) -> str:
        """Why a fill at that time has no fee, and what to do."""
        return f"{self.name} has no rates before {self.rates[0].from_}, asked for {iso(ts_ns)[:10]}; add a dated row"


class OrderFees(msgspec.Struct, kw_only=True):
    """What one order has traded and paid so far, by component: minimums and rounding are per order."""

    traded: dict[str, Decimal] = {}
    """Unrounded charge so far."""
    charged: dict[str, Money] = {}


def charge(
    rates: DatedRates, order: OrderFees, side: Side, liquidity: Liquidity, qty: Decimal, value: Decimal
) -> Money:
    """Fee of one more fill of an order; positive is paid, negative a rebate. Updates ``order``.

    Each component's running total of the order is rounded, and the fill pays the difference, so that many small fills
    cost what one large fill costs.
    """
    fee = Money(0)
    for part in rates.components:
        if part.side not in {None, side} or part.liquidity not in {None, liquidity}:
            continue
        exact = EXACT.add(EXACT.multiply(part.per_share, qty), EXACT.multiply(EXACT.scaleb(part.bps, -4), value))
        total = EXACT.add(order.traded.get(part.name, Decimal(0)), exact)
        due = Money(round_to(total, part.step, part.round))
        if part.min_per_order:
            due = max(due, part.min_per_order)
        order.traded[part.name] = total
        fee += due - order.charged.get(part.name, Money(0))
        order.charged[part.name] = due
    return fee


def _decode(kind: type, value: object) -> object:
    if issubclass(kind, Exact) and isinstance(value, str):
        try:
            return kind(value)
        except MoneyError as error:
            raise ValueError(str(error)) from None
    raise ValueError(f"expected a number, was {value!r}")


def read_fees(path: Path) -> FeeSchedule:
    """Read a rate file.

    Raises:
        DataError: naming the file, the key and what was expected; also for rows out of date order.
    """
    try:
        # BaseLoader keeps numbers as their text, so no rate passes through a float.
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - builds text only
        made = msgspec.convert(raw, FeeSchedule, strict=False, dec_hook=_decode)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise DataError(f"{path}: {error}; expected name, example, currency, venues and dated rates") from None
    days = [row.from_ for row in made.rates]
    if not days or days != sorted(set(days)):
        raise DataError(f"{path}: rates must hold at least one dated row, rising and without repeats")
    for row in made.rates:
        for part in row.components:
            if part.step <= 0 or part.min_per_order < 0:
                raise DataError(f"{path}: {part.name}: step must be above zero and min_per_order not below it")
    return made


def shipped_fees() -> dict[str, FeeSchedule]:
    """The example rate files of this package, by the MIC they are meant for."""
    schedules = [read_fees(path) for path in sorted(RATES_FOLDER.glob("*.yaml"))]
    return {mic: schedule for schedule in schedules for mic in schedule.venues}
