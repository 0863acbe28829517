"""Exact numbers: ``Price``, ``Qty`` and ``Money`` on Decimal, and the one rounding function.

Libraries change the thread's decimal context (ccxt does), so nothing here reads it: each operation runs in
:data:`EXACT`, which is wide enough for any product of a price and a quantity and traps what it cannot hold.
Floats are refused: ``Price(0.1)`` would not be a tenth.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from engine.domain.errors import MoneyError

EXACT = decimal.Context(
    prec=60,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-999,
    Emax=999,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow, decimal.FloatOperation],
)
"""The context of every exact operation; never installed on a thread."""

# Bound once: looking a method up costs as much as the sum itself. To format takes three times as long as the plain text does.
_plain = EXACT.to_sci_string
_new, _add, _subtract, _multiply = Decimal.__new__, EXACT.add, EXACT.subtract, EXACT.multiply


class Rounding(StrEnum):
    """How :func:`round_to` chooses between two steps."""

    DOWN = "down"
    """Toward zero."""
    UP = "up"
    """Away from zero."""
    FLOOR = "floor"
    CEILING = "ceiling"
    HALF_UP = "half_up"
    HALF_EVEN = "half_even"


_MODES = {
    Rounding.DOWN: decimal.ROUND_DOWN,
    Rounding.UP: decimal.ROUND_UP,
    Rounding.FLOOR: decimal.ROUND_FLOOR,
    Rounding.CEILING: decimal.ROUND_CEILING,
    Rounding.HALF_UP: decimal.ROUND_HALF_UP,
    Rounding.HALF_EVEN: decimal.ROUND_HALF_EVEN,
}


class Exact(Decimal):
    """A finite decimal that refuses floats and ignores the thread's decimal context.

    Sums and differences keep the type; products and quotients are plain Decimals.

    Raises:
        MoneyError: for floats, bools, NaN, infinities and text that is no number.
    """

    __slots__ = ("_text",)
    _text: str
    """Canonical text, from when it was first asked for: a number of an order stands in several journal rows."""

    def __new__(cls, value: str | int | Decimal = "0") -> Self:
        """Build from text, int or Decimal."""
        if value.__class__ is cls:
            return value
        if value.__class__ is Decimal and value.is_finite():
            return _new(cls, value)
        if isinstance(value, (float, bool)) or not isinstance(value, (str, int, Decimal)):
            msg = f"{cls.__name__} was built from {value!r} ({type(value).__name__}); give text, int or Decimal"
            raise MoneyError(msg)
        try:
            self = super().__new__(cls, value, EXACT)
        except decimal.DecimalException:
            msg = f"{cls.__name__} was built from {value!r}, which is not a number"
            raise MoneyError(msg) from None
        if not self.is_finite():
            msg = f"{cls.__name__} was built from {value!r}; it must be finite"
            raise MoneyError(msg)
        return self

    def __add__(self, other: Any) -> Self:
        """Exact sum."""
        return _new(self.__class__, _add(self, other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Self:
        """Exact difference."""
        return _new(self.__class__, _subtract(self, other))

    def __rsub__(self, other: Any) -> Self:
        """Exact difference."""
        return _new(self.__class__, _subtract(other, self))

    def __neg__(self) -> Self:
        """Exact negation."""
        return _new(self.__class__, EXACT.minus(self))

    def __abs__(self) -> Self:
        """Exact magnitude."""
        return _new(self.__class__, EXACT.abs(self))

    def __mul__(self, other: Any) -> Decimal:
        """Exact product, as a plain Decimal."""
        return _multiply(self, other)

    __rmul__ = __mul__

    def __str__(self) -> str:
        """Canonical text: no exponent, no trailing zeros."""
        return self.text()

    def text(self) -> str:
        """Canonical text, worked out once."""
        try:
            return self._text
        except AttributeError:
            self._text = words = text(self)
            return words

    def __repr__(self) -> str:
        """Show the type and the canonical text."""
        return f"{type(self).__name__}('{text(self)}')"

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        """Pickle as canonical text."""
        return type(self), (text(self),)


class Price(Exact):
    """A price in the instrument's currency."""

    __slots__ = ()


class Qty(Exact):
    """A quantity in shares, contracts or coins."""

    __slots__ = ()


class Money(Exact):
    """An amount of one currency; the currency stands beside it in the message."""

    __slots__ = ()


class Rate(Exact):
    """A price of one currency in another, a fee per share, or basis points."""

    __slots__ = ()


ZERO_QTY = Qty(0)
ZERO_MONEY = Money(0)


DIGITS_MAX = 18
"""Before and behind the point: beyond it no amount could be worked out exactly any more."""


def is_bounded(*values: Decimal) -> bool:
    """Whether numbers are finite with at most :data:`DIGITS_MAX` digits on either side of the point: what they are multiplied with and
    divided by stays exact. A number from outside is asked this before it is journaled, because what is journaled is applied for ever.
    """
    return all(
        value.is_finite() and value.adjusted() < DIGITS_MAX and _decimals(value) <= DIGITS_MAX for value in values
    )


def _decimals(value: Decimal) -> int:
    exponent = value.normalize(EXACT).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def text(value: Decimal) -> str:
    """Canonical text of a finite decimal: plain digits, no exponent, no trailing zeros, ``0`` for zero."""
    plain = _plain(value)
    if "E" in plain:
        plain = format(value, "f")
    if plain[-1] == "0" and "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


def padded(value: Decimal, digits: int) -> str:
    """Canonical text with at least ``digits`` decimals, none of the value's own left out: ``189.10``."""
    words = text(value)
    missing = digits - len(words.partition(".")[2])
    return words if missing <= 0 else f"{words}{'' if '.' in words else '.'}{'0' * missing}"


def round_to(value: Decimal, step: Decimal, mode: Rounding) -> Decimal:
    """Round ``value`` to a multiple of ``step``: the only rounding in Bolt.

    Args:
        value: any finite decimal.
        step: the grid, above zero (a tick, a lot, a cent).
        mode: which way.

    Raises:
        MoneyError: when the step is not above zero or the value is not finite.
    """
    if not value.is_finite() or step <= 0:
        msg = f"cannot round {value} to a step of {step}; the step must be above zero and the value finite"
        raise MoneyError(msg)
    whole, rest = EXACT.divmod(value, step)
    if not rest:
        return EXACT.multiply(whole, step)
    context = EXACT.copy()
    context.rounding = _MODES[mode]
    # ``rest / step`` may be periodic; only its place against 0, a half and 1 matters, so half-way is judged exactly.
    doubled = EXACT.multiply(EXACT.abs(rest), Decimal(2))
    tilt = Decimal("0.5") if doubled == step else Decimal("0.75") if doubled > step else Decimal("0.25")
    signed = EXACT.copy_sign(tilt, value)
    steps = context.to_integral_value(EXACT.add(whole, signed))
    return EXACT.multiply(steps, step)


def ratio(numerator: Decimal, denominator: Decimal, digits: int = 12) -> Decimal:
    """Quotient rounded half-even to ``digits`` decimals. For display and averages, never for booked money."""
    if not denominator:
        msg = f"cannot divide {numerator} by zero"
        raise MoneyError(msg)
    return EXACT.quantize(EXACT.divide(numerator, denominator), Decimal(1).scaleb(-digits, EXACT))


def notional(price: Decimal, qty: Decimal, multiplier: Decimal) -> Money:
    """Price times quantity times contract multiplier, exact."""
    return Money(EXACT.multiply(EXACT.multiply(price, qty), multiplier))


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether ``value`` lies on the grid of ``step`` (above zero)."""
    return not EXACT.remainder(value, step)
