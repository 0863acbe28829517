"""A market in which nothing happens unless a test says so: exact levels, exact prints."""

from __future__ import annotations

from collections.abc import Mapping

from brokers.paper.listings import LISTINGS, Listing
from brokers.paper.market import Levels, OnRow
from engine.domain.errors import InputError
from engine.market.calendar import Calendar
from engine.market.rows import ADD, BUY, DELETE, EXEC, SELL, Row, listing_key

NEVER_NS = 2**63 - 1
Ladder = tuple[tuple[int, int], ...]


class ScriptMarket:
    """Same face as the simulated market. One resting order of the feed stands for each placed level."""

    def __init__(
        self,
        start_ns: int,
        listings: tuple[Listing, ...] = LISTINGS,
        levels: Levels | None = None,
        calendars: Mapping[str, Calendar] | None = None,
    ) -> None:
        self.listings = listings
        self.calendars: Mapping[str, Calendar] = calendars or {}
        self.now_ns = start_ns
        self.row = levels.row if levels else 0
        self._resting: dict[str, dict[int, list[int]]] = {
            listing_key(listing.instrument.symbol, mic): {} for listing in listings for mic in listing.mics
        }
        self._waiting: list[tuple[str, Row]] = []

    def next_ns(self) -> int:
        """When the next row may come."""
        return self.now_ns if self._waiting else NEVER_NS

    def advance(self, to_ns: int, on_row: OnRow) -> None:
        """Hand over the rows that were placed since the last time."""
        self.now_ns = max(self.now_ns, to_ns)
        waiting, self._waiting = self._waiting, []
        for key, row in waiting:
            on_row(key, row)

    def skip_to(self, to_ns: int) -> None:
        """Time passes."""
        self.now_ns = max(self.now_ns, to_ns)

    def hush(self, key: str, is_hushed: bool) -> None:
        """Nobody trades here but by a frame."""

    def own_trade(self, symbol: str, sign: int, qty_units: int) -> None:
        """Nobody reacts to us here."""

    def levels(self) -> Levels:
        """No price moves here; only the row number goes on."""
        return Levels((), {}, self.row)

    def set_book(self, key: str, bids: Ladder, asks: Ladder) -> None:
        """Make the visible book exactly this; InputError where it is crossed or the listing is not known."""
        resting = self._known(key)
        if bids and asks and max(price for price, _ in bids) >= min(price for price, _ in asks):
            msg = f"{key}: the book would be crossed, bids {bids} and offers {asks}"
            raise InputError(msg)
        for order_id, (side, price, qty) in resting.items():
            self._row(key, DELETE, side, order_id, price, qty)
        resting.clear()
        for side, levels in ((BUY, bids), (SELL, asks)):
            for price, qty in levels:
                resting[self._row(key, ADD, side, 0, price, qty)] = [side, price, qty]

    def trade(self, key: str, side: int, price: int, qty: int) -> None:
        """Somebody takes ``qty`` from the resting orders of ``side`` at ``price``; InputError where fewer rest there."""
        resting = self._known(key)
        there = [(one, row[2]) for one, row in resting.items() if (row[0], row[1]) == (side, price)]
        if sum(rests for _, rests in there) < qty:
            msg = f"{key}: {qty} units cannot trade at {price}, {sum(rests for _, rests in there)} rest there"
            raise InputError(msg)
        for order_id, rests in there:
            part = min(qty, rests)
            if not part:
                break
            qty -= part
            self._row(key, EXEC, side, order_id, price, part)
            resting[order_id][2] -= part
            if part == rests:
                del resting[order_id]

    def _known(self, key: str) -> dict[int, list[int]]:
        if key not in self._resting:
            msg = f"{key} is not listed; known are {', '.join(self._resting)}"
            raise InputError(msg)
        return self._resting[key]

    def _row(self, key: str, action: int, side: int, order_id: int, price: int, qty: int) -> int:
        self.row += 1
        order_id = order_id or self.row
        self._waiting.append((key, (self.now_ns, action, side, order_id, price, qty, self.row)))
        return order_id
