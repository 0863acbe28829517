"""How orders of ours trade at one listing whose feed names every order and closes its events (market by order).

The rules are those of :mod:`brokers.paper.matching`. Inside an event the book may be crossed or half changed: it is judged and
published where the event ends. A book that stands crossed there collects orders for an auction (a pre-open): the venue counts as halted
until it is uncrossed.
"""

from __future__ import annotations

from brokers.paper.matching import OrderListing
from engine.market.rows import END, FILL, HALT, MODIFY, RESUME, TRADE, Row


class EventListing(OrderListing):
    """A listing known order by order and event by event."""

    _is_inside = False
    """An event is under way."""
    _collects = False
    """The book was crossed at the end of the last event."""
    auctions = 0

    def on_row(self, row: Row) -> None:
        """Apply one row; what it changed is published at the end of its event."""
        action = row[1]
        if action < MODIFY and action not in {TRADE, HALT, RESUME}:
            self._is_inside = True
            super().on_row(row)
            return
        if action in {HALT, RESUME}:
            super().on_row(row)
            return
        self.ts_ns, _, sign, order_id, price, qty, self.row = row
        self.rows += 1
        self._is_inside = action != END
        if action == TRADE:
            self.print_trade(price, qty, sign, hidden=False)
        elif action == FILL:
            self._match(sign, order_id, price, qty)
        elif action == MODIFY:
            moved = self.book.move(order_id, price, qty, self.row)
            if moved and self.own[-moved] and not self.is_halted:
                self._meet_moved(moved, order_id, price, qty)
        elif action == END:
            self._judge()

    @property
    def is_ready(self) -> bool:  # type: ignore[override] # a plain True elsewhere
        """Only where an event has ended."""
        return not self._is_inside

    def _match(self, sign: int, order_id: int, price: int, qty: int) -> None:
        """The feed matched a resting order: one of ours that stood before it was served first."""
        if not order_id:
            if self.own[sign] and not self.is_halted:
                self._serve_hidden(sign, price, qty)
            return
        real, came = self.book.match(order_id, qty, self.row)
        if self.own[sign] and not self.is_halted:
            self._serve(sign, price, real, came)

    def _meet_moved(self, sign: int, order_id: int, price: int, qty: int) -> None:
        """An order moved to a price at which it trades with ours first."""
        took = self._meet(-sign, price, qty)
        entry = self.book.orders.get(order_id)
        if took and entry is not None:
            self.book.take(order_id, entry, min(took, entry.left))

    def _judge(self) -> None:
        bids, asks = self.book.bids.prices, self.book.asks.prices
        is_crossed = bool(bids and asks) and bids[-1] >= asks[0]
        if is_crossed != self._collects:
            self._collects = is_crossed
            self.auctions += is_crossed
            self.set_halt(is_crossed)
        if not is_crossed:
            super()._publish_best()

    def _publish_best(self) -> None:
        if not self._is_inside and not self._collects:
            super()._publish_best()

    def oddities(self) -> list[str]:
        """What was strange in the feed, in words."""
        words = super().oddities()
        if self.auctions:
            words.append(
                f"the book stood crossed {self.auctions} times, taken as an auction's collection phase: halted meanwhile"
            )
        return words
