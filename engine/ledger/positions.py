"""A position as exact first-in-first-out lots.

FIFO and not average cost: an average does not divide evenly, so its realised result would have to be rounded. Here cost,
realised result and cash agree to the last digit. The average price is for display only.

A lot remembers what one unit cost (price times the multiplier in force that day), so a contract whose multiplier changes
later stays exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal

import msgspec

from engine.domain.money import EXACT, ZERO_MONEY, ZERO_QTY, Money, Price, Qty, Rounding, notional, ratio, round_to
from engine.store.shelf import Shelf

AVERAGE_DIGITS = 8
UNIT_DIGITS = 12
"""Digits of what one unit costs, where a total is shared out."""


class Lot(msgspec.Struct):
    """Part of a position bought or sold at one price; ``qty`` is signed, ``unit`` what one of it cost."""

    qty: Qty
    unit: Decimal


class Entry(msgspec.Struct, frozen=True, tag=True):
    """One booking as it came in: what a bust or a correction is worked out from."""

    qty: Qty
    """Signed."""
    unit: Decimal
    fee: Money


class Split(msgspec.Struct, frozen=True, tag=True):
    """New units took the place of old ones: total cost stays, and the position is ``qty`` afterwards."""

    ratio: tuple[int, int]
    """New for old."""
    qty: Qty
    """Signed position afterwards, as the broker states it (fractions are paid out in cash)."""


Booking = Entry | Split


class Position:
    """Signed quantity, open lots, cost, realised result and fees of one symbol in one account.

    ``is_margined``: only results move cash (futures, perpetuals); otherwise the full value does.
    """

    __slots__ = ("cost", "currency", "entries", "fees", "is_margined", "lots", "multiplier", "qty", "realised")

    def __init__(self, multiplier: Decimal, currency: str = "", *, is_margined: bool = False) -> None:
        self.multiplier = multiplier
        """Of the next booking, and of marks."""
        self.currency = currency
        self.is_margined = is_margined
        self.qty: Qty = ZERO_QTY
        self.lots: deque[Lot] = deque()
        self.cost: Money = ZERO_MONEY
        """Exact signed cost of what is open."""
        self.realised: Money = ZERO_MONEY
        """Before fees."""
        self.fees: Money = ZERO_MONEY
        """Those paid in the position's own currency."""
        self.entries: Shelf[str, Booking] = Shelf(Booking)
        """Every booking by its key, in the order they count."""

    def entry(self, qty: Qty, price: Decimal, fee: Money) -> Entry:
        """A booking at today's multiplier."""
        return Entry(qty, EXACT.multiply(price, self.multiplier), fee)

    def add(self, key: str, entry: Entry) -> None:
        """Add a booking behind the others; its key must be new."""
        self.entries[key] = entry
        self._apply(entry)

    def insert(self, key: str, entry: Entry, before: str) -> None:
        """Put a booking that came late before one that it should have come before; its key must be new."""

        def placed(held: Mapping[str, Booking]) -> dict[str, Booking]:
            found: dict[str, Booking] = {}
            for name, was in held.items():
                if name == before:
                    found[key] = entry
                found[name] = was
            return found

        self.entries.rearrange(placed)
        self._work_out()

    def booked(self, key: str) -> Entry:
        """A booking of an execution by its key."""
        found = self.entries[key]
        assert isinstance(found, Entry), key
        return found

    def split(self, key: str, split: Split, later: Collection[str] = ()) -> None:
        """Turn old units into new ones, behind every booking so far but those named ``later``; its key must be new."""
        if not later:
            self.entries[key] = split
            return self._split(split)

        def placed(held: Mapping[str, Booking]) -> dict[str, Booking]:
            before = {name: was for name, was in held.items() if name not in later}
            return {**before, key: split, **{name: held[name] for name in later}}

        self.entries.rearrange(placed)
        return self._work_out()

    def remove(self, key: str) -> None:
        """Undo one booking, as if it had never been."""
        self._rearrange(lambda held: {name: was for name, was in held.items() if name != key})

    def without(self, keys: Collection[str]) -> Qty:
        """What would be held if these bookings were undone; one that is not here changes nothing."""
        held = {name: was for name, was in self.entries.items() if name not in keys}
        return _walked(_restated(held, _before_splits(self.entries)))

    def replace(self, key: str, new_key: str, entry: Entry) -> None:
        """Put a corrected booking where the wrong one stood: it is the same execution, so it keeps its turn."""
        self._rearrange(
            lambda held: dict((new_key, entry) if name == key else (name, was) for name, was in held.items())
        )

    def _rearrange(self, change: Callable[[Mapping[str, Booking]], dict[str, Booking]]) -> None:
        """Change what was booked, and work out anew what follows from it."""
        before = _before_splits(self.entries)
        self.entries.rearrange(lambda held: _restated(change(held), before))
        self._work_out()

    def _work_out(self) -> None:
        self.qty, self.cost, self.realised, self.fees = ZERO_QTY, ZERO_MONEY, ZERO_MONEY, ZERO_MONEY
        self.lots.clear()
        for entry in self.entries.values():
            if isinstance(entry, Split):
                self._split(entry)
            else:
                self._apply(entry)

    def _split(self, split: Split) -> None:
        """Each lot keeps its cost to the last unit; the last one takes what the stated position leaves."""
        rest, lots = split.qty, list(self.lots)
        self.lots.clear()
        for number, lot in enumerate(lots, 1):
            new, old = split.ratio
            part = rest if number == len(lots) else share_of(lot.qty, new, old, split.qty)
            cost = Money(EXACT.multiply(lot.qty, lot.unit))
            rest = rest - part
            self.lots.extend(Lot(qty, unit) for qty, unit in parts_at_cost(part, cost))
        self.qty = split.qty

    def _apply(self, entry: Entry) -> None:
        self.fees = self.fees + entry.fee
        self.qty = self.qty + entry.qty
        rest, unit = entry.qty, entry.unit
        while rest and self.lots and (self.lots[0].qty > 0) != (rest > 0):
            lot = self.lots[0]
            closed = -lot.qty if abs(lot.qty) <= abs(rest) else rest
            # ``closed`` has the sign of the new trade: selling (-) above the lot's price earns.
            self.realised = self.realised + EXACT.multiply(EXACT.subtract(lot.unit, unit), closed)
            self.cost = self.cost + EXACT.multiply(lot.unit, closed)
            lot.qty = lot.qty + closed
            rest = rest - closed
            if not lot.qty:
                self.lots.popleft()
        if not rest:
            return
        self.cost = self.cost + EXACT.multiply(unit, rest)
        if self.lots and self.lots[-1].unit == unit:
            self.lots[-1].qty = self.lots[-1].qty + rest
        else:
            self.lots.append(Lot(rest, unit))

    def average(self) -> Price | None:
        """Average price of what is open, rounded; for display."""
        if not self.qty:
            return None
        return Price(ratio(self.cost, EXACT.multiply(self.qty, self.multiplier), AVERAGE_DIGITS))

    def unrealised(self, mark: Decimal) -> Money:
        """Result of what is open at a mark, exact."""
        return notional(Price(mark), self.qty, self.multiplier) - self.cost


def _before_splits(entries: Mapping[str, Booking]) -> dict[str, Qty]:
    """By its key: what was held when a split came, by the bookings here."""
    qty, found = ZERO_QTY, {}
    for key, entry in entries.items():
        if isinstance(entry, Split):
            found[key], qty = qty, entry.qty
        else:
            qty = qty + entry.qty
    return found


def _restated(entries: Mapping[str, Booking], before: Mapping[str, Qty]) -> dict[str, Booking]:
    """The bookings, with what splits left stated anew where an execution in front of them was undone or corrected.

    A broker that stated what the bookings of then come to has undone it since, so its share goes from the statement too. One that stated
    something else knew of it already: its word stands.
    """
    qty, found = ZERO_QTY, dict(entries)
    for key, entry in entries.items():
        if not isinstance(entry, Split):
            qty = qty + entry.qty
            continue
        new, old = entry.ratio
        if qty != before[key] and entry.qty == share_of(before[key], new, old, entry.qty):
            found[key] = Split(entry.ratio, share_of(qty, new, old, entry.qty))
        qty = found[key].qty
    return found


def _walked(entries: Mapping[str, Booking]) -> Qty:
    """What is held behind all of them."""
    qty = ZERO_QTY
    for entry in entries.values():
        qty = entry.qty if isinstance(entry, Split) else qty + entry.qty
    return qty


def share_of(qty: Qty, new: int, old: int, like: Qty) -> Qty:
    """What a lot becomes, in steps as fine as the position's own."""
    step = Decimal(1).scaleb(min(0, _exponent(like)), EXACT)
    return Qty(round_to(ratio(EXACT.multiply(qty, new), Decimal(old)), step, Rounding.DOWN))


def _exponent(value: Decimal) -> int:
    found = value.normalize(EXACT).as_tuple().exponent
    return found if isinstance(found, int) else 0


def parts_at_cost(qty: Qty, cost: Money) -> list[tuple[Qty, Decimal]]:
    """A quantity at exactly a total cost, as (quantity, cost of one unit): in one part where the division comes out even,
    else one last unit (or tenth, hundredth...) carries what the rounding of the others left.
    """
    if not qty:
        return []
    unit = ratio(cost, qty, UNIT_DIGITS)
    left = EXACT.subtract(cost, EXACT.multiply(unit, qty))
    if not left:
        return [(qty, unit)]
    # A power of ten, so that dividing by it is exact.
    last = Decimal(1).scaleb(min(0, _exponent(qty)), EXACT).copy_sign(qty)
    own = EXACT.add(unit, EXACT.divide(left, last))
    rest = Qty(EXACT.subtract(qty, last))
    return [*([(rest, unit)] if rest else []), (Qty(last), own)]
