"""The auction with which a halted listing goes on (effect P13): parked orders, one price, an official print.

What arrives while a listing is halted is parked, unless it must trade at once: nothing of it is lost, and it can be cancelled. When
trading goes on, parked orders, orders for an opening that is due and our resting orders meet the visible book at one price: the one at
which most of ours trades, of those the one that leaves least over, then the one nearest to the last print. Better prices go
first, then older orders. Ours do not trade with each other. If anything traded, that price is printed. What is left of a parked
order then goes on as if it had just come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from brokers.paper.matching import Listing
from brokers.paper.orders import Working
from engine.market.rows import NEITHER

if TYPE_CHECKING:
    from brokers.paper.lifecycle import Lifecycle

DEPTH = 200
"""So many levels of the visible book take part, on each side."""
Want = tuple[int, int | None, int]
"""Side, worst price (None for any), quantity."""
Ladder = Sequence[tuple[int, int]]


class Reopening:
    """Orders parked at halted listings, and what happens to them when trading goes on."""

    def __init__(self, host: Lifecycle) -> None:
        self._host = host
        self._parked: dict[str, list[Working]] = {}
        self.parked = self.uncrossed = 0
        """Orders parked so far; reopenings with a print."""
        self.printed = ("", 0)
        """Where and when the last of them was."""

    def park(self, listing: Listing, order: Working) -> None:
        """Keep an order until the listing goes on; one that is kept already (a leg whose group changed again) stands once."""
        kept = self._parked.setdefault(listing.key, [])
        if all(one is not order for one in kept):
            self.parked += 1
            kept.append(order)

    def uncross(self, listing: Listing, bound: Sequence[Working]) -> None:
        """Trading goes on; ``bound`` are orders for an opening that is due."""
        parked = [one for one in self._parked.pop(listing.key, []) if one.is_open and one.leaves]
        takers = [one for one in (*parked, *bound) if not one.is_converting]
        resting = [*listing.own[1], *listing.own[-1]]
        limits = {id(one): self._worst(listing, one) for one in (*takers, *resting)}
        wants = [(one.sign, limits[id(one)], self._host.room(one)) for one in (*takers, *resting)]
        ladders = (listing.levels(1, DEPTH), listing.levels(-1, DEPTH))
        price = official_price(wants, *ladders, listing.last_price)
        if price is not None:
            self._trade(listing, [*resting, *takers], limits, price)
        for order in parked:
            if order.is_open and order.leaves:
                self._host.start(listing, order)

    def _worst(self, listing: Listing, order: Working) -> int | None:
        return order.limit if order.limit is not None else self._host.bands.cap(listing, order.sign)

    def _trade(self, listing: Listing, orders: list[Working], limits: dict[int, int | None], price: int) -> None:
        before = sum(one.filled for one in orders)
        for sign in (1, -1):
            reach = [one for one in orders if one.sign == sign and _reaches(sign, limits[id(one)], price)]
            for order in sorted(reach, key=lambda one: _priority(one.sign, limits[id(one)], one.seq)):
                if order.is_open:
                    self._take(listing, order, price)
        traded = sum(one.filled for one in orders) - before
        if traded:
            self.uncrossed += 1
            for order in (one for one in orders if one.auction_ns and one.is_open):
                self._host.end_auction(order, "the auction left nothing more for it")
            self.printed = (listing.key, self._host.now_ns)
            listing.print_trade(price, traded, NEITHER, hidden=False)

    @staticmethod
    def _take(listing: Listing, order: Working, price: int) -> None:
        """Let an order have what the book holds up to the official price, all of it at that price."""
        limit, order.limit, listing.official = order.limit, price, price
        listing.take(order)
        order.limit, listing.official = limit, None
        if order.display is not None:
            order.shown = min(order.display, order.leaves)


def official_price(wants: Sequence[Want], bids: Ladder, offers: Ladder, last: int | None) -> int | None:
    """The price of an auction; None where nothing of ours would trade."""

    def score(price: int) -> tuple[int, int, int, int]:
        buys, sells = _reaching(wants, 1, price), _reaching(wants, -1, price)
        theirs = sum(qty for at, qty in bids if at >= price), sum(qty for at, qty in offers if at <= price)
        traded = min(buys, theirs[1]) + min(sells, theirs[0])
        surplus = abs(buys + theirs[0] - sells - theirs[1])
        return -traded, surplus, abs(price - (price if last is None else last)), price

    prices = {price for price, _ in (*bids, *offers)} | {limit for _, limit, _ in wants if limit is not None}
    best = min((score(price) for price in prices), default=None)
    return None if best is None or not best[0] else best[3]


def _reaching(wants: Sequence[Want], sign: int, price: int) -> int:
    return sum(qty for side, limit, qty in wants if side == sign and _reaches(sign, limit, price))


def _reaches(sign: int, limit: int | None, price: int) -> bool:
    return limit is None or (price - limit) * sign <= 0


def _priority(sign: int, limit: int | None, seq: int) -> tuple[bool, int, int]:
    """Orders without a limit first, then the better price, then the older one."""
    return limit is not None, 0 if limit is None else -limit * sign, seq
