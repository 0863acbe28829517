"""What is traded: ticks, lots, limits, multiplier, currency, venue and calendar.

Equities, ETFs, futures, crypto spot and perpetuals are built. Options, bonds and FX are refused with a
reason until greeks, assignment and settlement are modelled; combinations are orders of several legs, not instruments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

import msgspec

from engine.domain.errors import InstrumentError
from engine.domain.money import EXACT, Money, Price, Qty, Rounding, is_multiple, notional, round_to

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._/-]{0,23}")
_MIC = re.compile(r"[A-Z0-9]{4}")
_CURRENCY = re.compile(r"[A-Z]{3,5}")
_INVERSE = re.compile(r"([A-Z]{3,5}?)[-/_.]?(?:USD|USDT|USDC|EUR|GBP|JPY)(?![A-Z])")
DIGITS_MAX = 12


def is_symbol(name: str) -> bool:
    """Whether a name can be a symbol: capitals, digits and ``. _ / -``, 24 at most."""
    return _SYMBOL.fullmatch(name) is not None


def is_currency(code: str) -> bool:
    """Whether a word can be a currency code: 3 to 5 capitals."""
    return _CURRENCY.fullmatch(code) is not None


class InstrumentKind(StrEnum):
    """What kinds can be traded today."""

    EQUITY = "equity"
    ETF = "etf"
    FUTURE = "future"
    CRYPTO_SPOT = "crypto_spot"
    PERPETUAL = "perpetual"


REFUSED_KINDS = {
    "option": "greeks, exercise and assignment are not modelled",
    "combo": "a combination is ordered by its legs, not as an instrument: combo 1 buy 1 ESH7 sell 1 ESM7 @-12.25",
    "bond": "accrued interest and settlement are not modelled",
    "fx": "settlement and rollover are not modelled",
    "warrant": "exercise is not modelled",
    "inverse_future": "its value is the multiplier divided by the price, which the books and the limits do not compute",
    "inverse_perpetual": "its value is the multiplier divided by the price, which the books and the limits do not compute",
}
"""Kinds a user may ask for, each with the reason it is refused."""


class TickBand(msgspec.Struct, frozen=True):
    """From ``above`` (inclusive) upward, prices move in steps of ``tick``."""

    above: Price
    tick: Price


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One tradable thing at one listing venue. Build it with :func:`make_instrument`, which checks it."""

    symbol: str
    kind: InstrumentKind
    mic: str
    """ISO 10383 market identifier of the primary venue (own 4-letter codes for the simulated venues)."""
    currency: str
    ticks: tuple[TickBand, ...]
    lot: Qty
    calendar: str
    """``24x7`` or the name of an exchange calendar."""
    multiplier: Qty = Qty(1)
    qty_min: Qty | None = None
    qty_max: Qty | None = None
    notional_min: Money | None = None
    price_digits: int = 2
    """Decimals that hold every tick: hot-path prices are integers of 10**-price_digits."""
    qty_digits: int = 0
    """Decimals that hold every lot."""
    price_negative: bool = False
    sector: str = ""
    expiry_ns: int | None = None
    adv: Qty | None = None
    """Average daily volume, as whoever defined the instrument knows it; None where nobody said."""

    def tick_at(self, price: Decimal) -> Price:
        """The price step that holds at ``price`` (the table is read by magnitude, lowest band below its start)."""
        tick = self.ticks[0].tick
        if len(self.ticks) == 1:
            return tick
        size = EXACT.abs(price)
        for band in self.ticks:
            if size < band.above:
                break
            tick = band.tick
        return tick

    def is_on_tick(self, price: Decimal) -> bool:
        """Whether ``price`` lies on the tick table."""
        return is_multiple(price, self.tick_at(price))

    def round_price(self, price: Decimal, mode: Rounding) -> Price:
        """Nearest valid price in direction ``mode``."""
        return Price(round_to(price, self.tick_at(price), mode))

    def step_price(self, price: Price, ticks: int) -> Price:
        """``price`` moved by whole ticks (at most 999), each of the size that holds where it is taken."""
        if len(self.ticks) == 1:
            return price + EXACT.multiply(self.ticks[0].tick, max(-999, min(ticks, 999)))
        for _ in range(min(abs(ticks), 999)):
            price = price + self.tick_at(price) if ticks > 0 else price - self._tick_below(price)
        return price

    def _tick_below(self, price: Price) -> Price:
        # On the first price of a band the step down is the lower band's.
        tick = self.ticks[0].tick
        for band in self.ticks:
            if band.above >= EXACT.abs(price):
                break
            tick = band.tick
        return tick

    @property
    def tick_digits(self) -> int:
        """Decimals of its ticks, for people; ``price_digits`` may be more where prints lie between ticks."""
        return max(_digits(band.tick) for band in self.ticks)

    def is_on_lot(self, qty: Decimal) -> bool:
        """Whether ``qty`` is a whole number of lots."""
        return is_multiple(qty, self.lot)

    def notional(self, price: Decimal, qty: Decimal) -> Money:
        """Value of ``qty`` at ``price``, in the instrument's currency."""
        return notional(price, qty, self.multiplier)

    def price_units(self, price: Decimal) -> int:
        """Hot-path integer of a price; InstrumentError where it is finer than the grid."""
        return _units(price, self.price_digits, self.symbol, "price")

    def qty_units(self, qty: Decimal) -> int:
        """Hot-path integer of a quantity; InstrumentError where it is finer than the grid."""
        return _units(qty, self.qty_digits, self.symbol, "quantity")

    def price_of(self, units: int) -> Price:
        """Price of a hot-path integer."""
        return _price_of(units, self.price_digits)

    def qty_of(self, units: int) -> Qty:
        """Quantity of a hot-path integer."""
        return _qty_of(units, self.qty_digits)


# The same prices and sizes come again and again: a kept one costs a tenth of a new one.
@lru_cache(maxsize=65_536)
def _price_of(units: int, digits: int) -> Price:
    return Price(EXACT.scaleb(Decimal(units), -digits))


@lru_cache(maxsize=65_536)
def _qty_of(units: int, digits: int) -> Qty:
    return Qty(EXACT.scaleb(Decimal(units), -digits))


def _units(value: Decimal, digits: int, symbol: str, what: str) -> int:
    scaled = EXACT.scaleb(value, digits)
    whole = int(scaled)
    if scaled != whole:
        msg = f"{symbol} {what} {value} has more than {digits} decimals"
        raise InstrumentError(msg)
    return whole


Digits = Callable[[str], int]
"""How many decimals the prices of a symbol are told with at least."""


def digits_of(instruments: Iterable[Instrument]) -> Digits:
    """Those of each symbol's ticks; none for a symbol that is not among them, whose prices are told as they are."""
    known = {made.symbol: made.tick_digits for made in instruments}
    return lambda symbol: known.get(symbol, 0)


def _digits(value: Decimal) -> int:
    exponent = value.normalize(EXACT).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def make_instrument(
    symbol: str,
    kind: str,
    mic: str,
    currency: str,
    tick: str | Decimal | tuple[tuple[str, str], ...],
    lot: str | Decimal = "1",
    *,
    calendar: str = "24x7",
    multiplier: str | Decimal = "1",
    qty_min: str | Decimal | None = None,
    qty_max: str | Decimal | None = None,
    notional_min: str | Decimal | None = None,
    price_negative: bool = False,
    sector: str = "",
    expiry_ns: int | None = None,
    adv: str | Decimal | None = None,
) -> Instrument:
    """Build a checked instrument.

    Args:
        tick: one tick, or a table of ``(from_price, tick)`` with rising prices, starting at 0.

    Raises:
        InstrumentError: naming the field, the value and the rule.
    """
    if kind in REFUSED_KINDS:
        msg = f"{symbol}: kind {kind!r} is refused: {REFUSED_KINDS[kind]}"
        raise InstrumentError(msg)
    if kind not in set(InstrumentKind):
        msg = f"{symbol}: kind was {kind!r}; expected one of {', '.join(InstrumentKind)}"
        raise InstrumentError(msg)
    for value, pattern, field in ((symbol, _SYMBOL, "symbol"), (mic, _MIC, "mic"), (currency, _CURRENCY, "currency")):
        if not pattern.fullmatch(value):
            msg = f"instrument {symbol!r}: {field} was {value!r}; expected capitals and digits ({pattern.pattern})"
            raise InstrumentError(msg)
    bands = _bands(symbol, tick)
    made = Instrument(
        symbol=symbol,
        kind=InstrumentKind(kind),
        mic=mic,
        currency=currency,
        ticks=bands,
        lot=Qty(lot),
        calendar=calendar,
        multiplier=Qty(multiplier),
        qty_min=None if qty_min is None else Qty(qty_min),
        qty_max=None if qty_max is None else Qty(qty_max),
        notional_min=None if notional_min is None else Money(notional_min),
        price_digits=max(_digits(step) for band in bands for step in (band.tick, band.above)),
        qty_digits=_digits(Qty(lot)),
        price_negative=price_negative,
        sector=sector,
        expiry_ns=expiry_ns,
        adv=None if adv is None else Qty(adv),
    )
    _check(made)
    return made


def _bands(symbol: str, tick: str | Decimal | tuple[tuple[str, str], ...]) -> tuple[TickBand, ...]:
    rows = (
        ((Price(0), Price(tick)),) if isinstance(tick, (str, Decimal)) else tuple((Price(a), Price(t)) for a, t in tick)
    )
    if not rows or rows[0][0] != 0 or any(b[0] <= a[0] for a, b in pairwise(rows)):
        msg = f"{symbol}: the tick table must start at price 0 and rise"
        raise InstrumentError(msg)
    return tuple(TickBand(above, step) for above, step in rows)


def _check(made: Instrument) -> None:
    positive: list[tuple[str, Decimal]] = [("lot", made.lot), ("multiplier", made.multiplier)]
    positive += [("tick", band.tick) for band in made.ticks]
    positive += [
        (name, value)
        for name, value in (("qty_min", made.qty_min), ("qty_max", made.qty_max), ("adv", made.adv))
        if value is not None
    ]
    for field, value in positive:
        if value <= 0:
            msg = f"{made.symbol}: {field} was {value}; it must be above zero"
            raise InstrumentError(msg)
    if made.price_digits > DIGITS_MAX or made.qty_digits > DIGITS_MAX:
        msg = f"{made.symbol}: tick and lot may have at most {DIGITS_MAX} decimals"
        raise InstrumentError(msg)
    if made.kind in {InstrumentKind.FUTURE, InstrumentKind.PERPETUAL} and _is_paid_in_itself(made):
        msg = (
            f"{made.symbol}: a {made.kind} that is settled in what it is a price of ({made.currency}) is refused: "
            f"{REFUSED_KINDS['inverse_perpetual']}; trade the one that is settled in the currency of its price"
        )
        raise InstrumentError(msg)
    if made.qty_min is not None and made.qty_max is not None and made.qty_min > made.qty_max:
        msg = f"{made.symbol}: qty_min {made.qty_min} is above qty_max {made.qty_max}"
        raise InstrumentError(msg)


def _is_paid_in_itself(made: Instrument) -> bool:
    """Whether its money is the thing whose price it names first, as with BTCUSD paid in BTC: an inverse contract."""
    found = _INVERSE.match(made.symbol)
    return found is not None and made.currency in {found[1], "BTC" if found[1] == "XBT" else found[1]}
