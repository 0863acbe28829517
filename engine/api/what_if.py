"""What an order would do before anybody sends it: its cost against the visible book, its fee, own orders that it could meet,
and its size beside what its person usually orders. Reads only; a figure that cannot be known says so in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from engine.api.habits import Habits
from engine.api.market_state import MarketState
from engine.domain.clock import Clock
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, ZERO_QTY, Qty, Rounding, ratio, round_to, text
from engine.domain.order import AUCTIONS, DIES, Liquidity, OrderSpec, OrderType, Side, Source
from engine.market.fees import FeeSchedule, OrderFees, charge
from engine.risk.controls_case import collar_price, crosses
from engine.risk.controls_history import strategy_of
from engine.risk.exposure import Quote, RiskView
from engine.risk.policy import PolicyHolder

NOT_KNOWN = "n/a"
CROSSES_SHOWN = 3
_BP = Decimal(10_000)
_TENTH = Decimal("0.1")
_HALF = Decimal("0.5")


class Meeting(msgspec.Struct, frozen=True):
    """What an order would trade with at once, by the visible levels."""

    qty: Qty
    value: Decimal
    """Sum of price times quantity."""
    levels: int
    rest: Qty
    """What would be left over; it rests, or lies beyond what can be seen."""


class WhatIf:
    """Answers from the engine's own market, books and memory.

    Args:
        market: quotes and visible books.
        view: own open orders.
        habits: usual sizes.
        fees: rates by MIC.
        clock: for the date of the rates.
        policy: for the collar of an order without a price.
    """

    def __init__(
        self,
        market: MarketState,
        view: RiskView,
        habits: Habits,
        fees: Mapping[str, FeeSchedule],
        clock: Clock,
        policy: PolicyHolder,
    ) -> None:
        self._market = market
        self._view = view
        self._habits = habits
        self._fees = fees
        self._clock = clock
        self._policy = policy

    def figures(self, spec: OrderSpec, source: Source) -> dict[str, str]:
        """Figures by name, each a plain number or words; for a preview of an order with usable numbers."""
        made, quote = self._market.instruments.get(spec.symbol), self._market.quote(spec.symbol)
        middle = _middle(quote)
        found = {"self_cross": self._self_cross(spec, source, middle)}
        found |= self._habit(spec, source)
        if spec.algo.trigger:
            found["waits"] = f"{spec.algo.trigger}; {DIES}: no venue holds it, and nothing fires while no engine is up"
        if made is None or quote is None or middle is None:
            return found | {"cost": NOT_KNOWN, "fee": NOT_KNOWN}
        found |= _place(spec, quote, middle, made)
        if spec.algo.name != "direct":
            # A schedule's children meet books that do not exist yet.
            return found | {"cost": f"n/a ({spec.algo.name} meets later books)", "fee": NOT_KNOWN}
        if spec.tif in AUCTIONS:
            return found | {"cost": "n/a (meets an auction)", "fee": NOT_KNOWN}
        if spec.type in {OrderType.STOP, OrderType.STOP_LIMIT}:
            return found | {"cost": "n/a (waits for its stop)", "fee": NOT_KNOWN}
        met = self._meet(spec, quote.venue, quote, made)
        return found | _cost(spec, met, middle, made) | self._fee(spec, met, quote.venue, middle, made)

    def _self_cross(self, spec: OrderSpec, source: Source, middle: Decimal | None) -> str:
        policy = self._policy.policy
        limits = {} if policy is None else policy.limits(spec.account, strategy_of(source), spec.symbol)
        worst = collar_price(middle, limits.get("price.collar_pct"), spec.side)
        met = [order.order_id for order in self._view.open_orders(None, spec.symbol) if crosses(spec, order, worst)]
        more = f" and {len(met) - CROSSES_SHOWN} more" if len(met) > CROSSES_SHOWN else ""
        return f"{', '.join(met[:CROSSES_SHOWN])}{more}" if met else "none"

    def _habit(self, spec: OrderSpec, source: Source) -> dict[str, str]:
        median = self._habits.median(source, spec.symbol)
        if not median:
            return {"median": "n/a (fewer than 3 orders)"}
        times = round_to(EXACT.divide(spec.qty, median), _TENTH, Rounding.HALF_UP)
        return {"median": text(median), "median_times": text(times)}

    def _meet(self, spec: OrderSpec, venue: str, quote: Quote, made: Instrument) -> Meeting:
        """Walk the visible levels of the other side, or its touch where no book is sent."""
        book = self._market.books.get((spec.symbol, venue))
        if book is not None:
            raw = book.asks if spec.side is Side.BUY else book.bids
            levels = [(made.price_of(price), made.qty_of(qty)) for price, qty in raw]
        else:
            touch = (quote.ask, quote.ask_qty) if spec.side is Side.BUY else (quote.bid, quote.bid_qty)
            levels = [(touch[0], touch[1])] if touch[0] is not None and touch[1] is not None else []
        left, value, count = spec.qty, Decimal(0), 0
        for price, qty in levels:
            is_beyond = spec.limit is not None and (price > spec.limit if spec.side is Side.BUY else price < spec.limit)
            if is_beyond or not left:
                break
            taken = min(left, qty)
            left, value, count = left - taken, EXACT.add(value, EXACT.multiply(price, taken)), count + 1
        return Meeting(spec.qty - left, value, count, left)

    def _fee(self, spec: OrderSpec, met: Meeting, venue: str, middle: Decimal, made: Instrument) -> dict[str, str]:
        schedule = self._fees.get(spec.venue or venue)
        rates = None if schedule is None else schedule.at(self._clock.now_ns())
        if schedule is None or rates is None:
            return {"fee": f"n/a (no rates for {spec.venue or venue})"}
        order, fee = OrderFees(), Decimal(0)
        takes = ZERO_QTY if spec.post_only else met.qty
        if takes:
            worth = EXACT.multiply(met.value, made.multiplier)
            fee = EXACT.add(fee, charge(rates, order, spec.side, Liquidity.TAKER, takes, worth))
        rests = spec.qty - takes
        if rests:
            price = spec.limit if spec.limit is not None else middle
            kind = Liquidity.TAKER if spec.limit is None else Liquidity.MAKER
            fee = EXACT.add(fee, charge(rates, order, spec.side, kind, rests, made.notional(price, rests)))
        return {"fee": f"{text(fee)} {schedule.currency}{' (example rates)' if schedule.example else ''}"}


def _middle(quote: Quote | None) -> Decimal | None:
    if quote is None or quote.bid is None or quote.ask is None or quote.bid > quote.ask:
        return None
    return EXACT.multiply(EXACT.add(quote.bid, quote.ask), _HALF) or None


def _place(spec: OrderSpec, quote: Quote, middle: Decimal, made: Instrument) -> dict[str, str]:
    """Where the price stands: ticks from the middle (towards the other side is above zero)."""
    if spec.limit is None or quote.bid is None or quote.ask is None:
        return {}
    toward = EXACT.multiply(EXACT.subtract(spec.limit, middle), Decimal(spec.side.sign))
    return {"ticks_from_mid": text(round_to(EXACT.divide(toward, made.tick_at(middle)), _TENTH, Rounding.HALF_EVEN))}


def _cost(spec: OrderSpec, met: Meeting, middle: Decimal, made: Instrument) -> dict[str, str]:
    """What trading at once costs against the middle; above zero is paid."""
    if spec.post_only or not met.qty:
        return {"cost": "0 (it rests)" if spec.limit is not None else "n/a (no visible size)", "book_qty": "0"}
    average = ratio(met.value, met.qty, made.price_digits + 2)
    away = EXACT.subtract(met.value, EXACT.multiply(middle, met.qty))
    paid = EXACT.multiply(EXACT.multiply(away, Decimal(spec.side.sign)), made.multiplier)
    base = EXACT.abs(EXACT.multiply(EXACT.multiply(middle, met.qty), made.multiplier))
    points = round_to(EXACT.divide(EXACT.multiply(paid, _BP), base), _TENTH, Rounding.CEILING)
    found = {
        "cost": f"{text(round_to(paid, Decimal('0.01'), Rounding.CEILING))} {made.currency}",
        "cost_bp": text(points),
        "book_qty": text(met.qty),
        "book_avg": text(average),
        "book_levels": str(met.levels),
    }
    if met.rest:
        found["book_rest"] = text(met.rest) + (" rests" if spec.limit is not None else " beyond the visible book")
    return found
