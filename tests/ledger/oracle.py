"""The books again, the slow and plain way: every unit by itself, in fractions, from the list of what still stands."""

from __future__ import annotations

from fractions import Fraction

Booking = tuple[str, int, Fraction, Fraction]
"""Key, signed quantity, price, fee."""


def books(bookings: list[Booking], multiplier: int, *, is_margined: bool) -> dict[str, Fraction]:
    """Quantity, cost, realised result, fees and cash of one symbol, first in, first out, unit by unit."""
    open_units: list[tuple[int, Fraction]] = []
    realised = fees = notional = Fraction(0)
    for _, qty, price, fee in bookings:
        fees += fee
        notional += qty * price * multiplier
        sign = 1 if qty > 0 else -1
        for _ in range(abs(qty)):
            if open_units and open_units[0][0] != sign:
                was_sign, was_price = open_units.pop(0)
                realised += (price - was_price) * was_sign * multiplier
            else:
                open_units.append((sign, price))
    cost = sum((sign * price * multiplier for sign, price in open_units), Fraction(0))
    return {
        "qty": Fraction(sum(sign for sign, _ in open_units)),
        "cost": cost,
        "realised": realised,
        "fees": fees,
        "cash": (realised if is_margined else -notional) - fees,
    }
