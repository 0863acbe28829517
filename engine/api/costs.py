"""What a parent cost against the market it met, from its own journaled decisions and fills.

The arrival is the middle of the quote on which the gate let the parent through. What was paid beyond it splits exactly into
*timing* (from the arrival to the middle on which each child was decided), *execution* (from there to its fills) and *fees*.
Positive is a cost. What no journaled quote says is left out, never guessed.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import islice

from engine.api.market_state import MarketState
from engine.domain import events as ev
from engine.domain.money import EXACT, Money, Price, Qty, ratio
from engine.domain.order import Side
from engine.market.bars import Traded
from engine.store.order import Order
from engine.store.order_store import OrderStore
from engine.views import CostView, VenueShare

BP = Decimal(10_000)
_ZERO, _HALF = Decimal(0), Decimal("0.5")


KEPT_MAX = 1_000
"""Parents whose sums are kept at least; twice as many at most."""
_Sums = tuple[dict[str, Decimal], dict[str, Decimal]]
"""Fees by currency, quantities by venue."""


class Costs:
    """Keeps of each parent what orders do not hold: fees, venues, and what the market had traded when it arrived."""

    def __init__(self, market: MarketState, store: OrderStore) -> None:
        self._market = market
        self._store = store
        self._sums: dict[str, _Sums] = {}
        self._arrived: dict[str, Traded] = {}

    def accepted(self, event: ev.ParentAccepted) -> None:
        """A parent starts. On a rebuild there is no market yet, and what it traded then is not known any more."""
        if self._market.ticks:
            self._arrived[event.order_id] = self._market.bars.traded(event.spec.symbol)
        if len(self._arrived) >= 2 * KEPT_MAX:
            at_work = self._store.parents_open
            self._arrived = {order_id: seen for order_id, seen in self._arrived.items() if order_id in at_work}

    def booked(self, order: Order | None, fill: ev.Fill, sign: int) -> None:
        """A fill of a child, or (``sign`` -1) one that was taken back."""
        if order is None:
            return
        parent = order.parent or order
        if fill.corrects:
            self._sums.pop(parent.order_id, None)  # what it takes the place of is in the sum
        if parent.order_id in self._sums:
            _book(self._sums[parent.order_id], fill, sign)
        else:
            self._sums_of(parent)  # the orders have it booked already
        if len(self._sums) >= 2 * KEPT_MAX:
            self._sums = dict(islice(self._sums.items(), KEPT_MAX, None))

    def _sums_of(self, parent: Order) -> _Sums:
        """Fees and venues of a parent; those of one that was let go are added up again from its executions."""
        found = self._sums.get(parent.order_id)
        if found is None:
            found = self._sums[parent.order_id] = ({}, {})
            for order in (parent, *parent.children):
                for key in order.fills:
                    _book(found, self._store.fills[key][1], 1)
        return found

    def view(self, parent: Order) -> CostView | None:
        """The parent's costs so far; None where the arrival is not known or nothing of it may be compared."""
        made = self._market.instruments.get(parent.spec.symbol)
        arrival = middle_of(parent)
        if made is None or arrival is None or not arrival:
            return None
        sign = Decimal(1 if parent.spec.side is Side.BUY else -1)
        base = EXACT.multiply(EXACT.abs(arrival), parent.qty_filled)
        fees, venues = self._sums_of(parent)
        timing, execution = _split(parent, arrival, sign)
        market_vwap, market_qty = self._market_since(parent)
        paid = EXACT.multiply(sign, EXACT.subtract(parent.value_filled, EXACT.multiply(arrival, parent.qty_filled)))
        is_plain = set(fees) <= {made.currency}
        fee = sum(fees.values(), _ZERO)
        per_unit = EXACT.multiply(base, made.multiplier)
        return CostView(
            order_id=parent.order_id,
            arrival=Price(ratio(arrival, Decimal(1), made.price_digits + 2)),
            arrival_ns=parent.created_ns,
            slip_bp=_bp(paid, base),
            timing_bp=None if timing is None else _bp(timing, base),
            execution_bp=None if execution is None else _bp(execution, base),
            fees_bp=_bp(fee, per_unit) if is_plain else None,
            fees=Money(fee) if is_plain else None,
            venues=tuple(VenueShare(venue=venue, qty=Qty(qty)) for venue, qty in sorted(venues.items()) if qty),
            market_vwap=None if market_vwap is None else Price(ratio(market_vwap, Decimal(1), made.price_digits + 2)),
            market_qty=market_qty,
        )

    def _market_since(self, parent: Order) -> tuple[Decimal | None, Qty | None]:
        """Average price and quantity of the market's prints while the parent worked, up to now."""
        then = self._arrived.get(parent.order_id)
        made = self._market.instruments[parent.spec.symbol]
        if then is None or parent.state.is_terminal:
            return None, None
        now = self._market.bars.traded(parent.spec.symbol)
        units = now.qty - then.qty
        if units <= 0:
            return None, Qty(0)
        price = EXACT.divide(Decimal(now.value - then.value), Decimal(units))
        return EXACT.scaleb(price, -made.price_digits), made.qty_of(units)


def _book(sums: _Sums, fill: ev.Fill, sign: int) -> None:
    fees, venues = sums
    fees[fill.fee_currency] = EXACT.add(fees.get(fill.fee_currency, _ZERO), fill.fee * sign)
    venues[fill.venue] = EXACT.add(venues.get(fill.venue, _ZERO), fill.qty * sign)


def middle_of(order: Order) -> Decimal | None:
    """Middle of the quote that an order was decided on."""
    quote = None if order.decision is None else order.decision.quote
    if quote is None or quote.bid is None or quote.ask is None:
        return None
    return EXACT.multiply(EXACT.add(quote.bid, quote.ask), _HALF)


def _split(parent: Order, arrival: Decimal, sign: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """Timing and execution as amounts per multiplier; None where a child with fills has no quote of its own."""
    timing = execution = _ZERO
    for child in parent.children:
        if not child.qty_filled:
            continue
        middle = middle_of(child)
        if middle is None:
            return None, None
        moved = EXACT.multiply(EXACT.subtract(middle, arrival), child.qty_filled)
        timing = EXACT.add(timing, EXACT.multiply(sign, moved))
        beyond = EXACT.subtract(child.value_filled, EXACT.multiply(middle, child.qty_filled))
        execution = EXACT.add(execution, EXACT.multiply(sign, beyond))
    return timing, execution


def _bp(amount: Decimal, base: Decimal) -> Money | None:
    return Money(ratio(EXACT.multiply(amount, BP), base, 2)) if base else None
