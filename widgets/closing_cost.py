"""What closing a position would cost now: its quantity walked through the visible levels, against the middle."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Money, Price, Rounding, ratio, round_to
from engine.views import BookView, DeskView, PositionView, QuoteView
from widgets.formats import fixed, plain, quantity, signed_quantity

HALF = Decimal("0.5")


class ClosingCost(msgspec.Struct, frozen=True):
    """Of one position; without a price there is no cost, and ``note`` says why."""

    position: PositionView
    price: Price | None = None
    """Average over the visible levels."""
    cost: Money | None = None
    """Against the middle, above zero is paid, in the position's currency."""
    note: str = ""
    digits: int = 2
    """Decimals of the symbol's prices."""

    def words(self) -> str:
        """One line for a person."""
        row = self.position
        what = f"{plain(row.symbol):<8} {signed_quantity(row.qty):>9}"
        if self.price is None or self.cost is None:
            return f"{what}: cost not known ({self.note})"
        note = f", {self.note}" if self.note else ""
        return f"{what} at about {fixed(self.price, self.digits + 1):>11}: costs {fixed(self.cost, 2):>10} {row.currency}{note}"


def closing_costs(view: DeskView, symbol: str = "") -> list[ClosingCost]:
    """Of every open position, or of one symbol's."""
    quotes = {quote.symbol: quote for quote in view.quotes}
    books = {book.symbol: book for book in view.books}
    made = {instrument.symbol: instrument for instrument in view.instruments}
    return [
        _cost(row, quotes.get(row.symbol), books.get(row.symbol), made.get(row.symbol))
        for row in view.positions
        if row.qty and symbol in {"", row.symbol}
    ]


def _cost(row: PositionView, quote: QuoteView | None, book: BookView | None, made: Instrument | None) -> ClosingCost:
    if made is None or quote is None or quote.bid is None or quote.ask is None or quote.stale:
        return ClosingCost(row, note="no fresh quote")
    is_long = row.qty > 0
    touch = (quote.bid, quote.bid_qty) if is_long else (quote.ask, quote.ask_qty)
    levels: Iterable[tuple[Decimal, Decimal | None]] = (
        (book.bids if is_long else book.asks) if book is not None else (touch,)
    )
    left, value, last = abs(row.qty), Decimal(0), Decimal(touch[0])
    for price, size in levels:
        taken = left if size is None else min(left, size)
        value, left, last = EXACT.add(value, EXACT.multiply(price, taken)), left - taken, price
        if not left:
            break
    note = f"the visible book lacks {quantity(left)} of it" if left else ""
    value = EXACT.add(value, EXACT.multiply(last, left))
    size = abs(row.qty)
    middle = EXACT.multiply(EXACT.add(quote.bid, quote.ask), HALF)
    lost = (
        EXACT.subtract(EXACT.multiply(middle, size), value)
        if is_long
        else EXACT.subtract(value, EXACT.multiply(middle, size))
    )
    cost = round_to(EXACT.multiply(lost, made.multiplier), Decimal("0.01"), Rounding.CEILING)
    return ClosingCost(row, Price(ratio(value, size, made.price_digits + 2)), Money(cost), note, made.tick_digits)


def total_words(costs: Iterable[ClosingCost]) -> str:
    """The sum by currency, and how many are not known."""
    sums: dict[str, Decimal] = {}
    unknown = 0
    for found in costs:
        if found.cost is None:
            unknown += 1
        else:
            sums[found.position.currency] = EXACT.add(sums.get(found.position.currency, Decimal(0)), found.cost)
    said = " and ".join(f"{fixed(amount, 2)} {currency}" for currency, amount in sums.items()) or "not known"
    return f"in all about {said}" + (f"; of {unknown} the cost is not known" if unknown else "")
