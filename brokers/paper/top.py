"""How orders of ours trade at one listing whose feed is ready-made ticks: the best prices and the prints.

The rules are those of :mod:`brokers.paper.levels`. While no order of ours is there nothing can trade with the feed: a tick is then
only kept and passed on, and the book is brought up to it when an order arrives.
"""

from __future__ import annotations

from brokers.paper.levels import LevelListing
from brokers.paper.orders import Working
from engine.market.feed import QuoteTick, TradeTick
from engine.market.rows import BUY, NEITHER, SELL

_SIGNS = {"B": BUY, "S": SELL, "N": NEITHER}


class TopListing(LevelListing):
    """A listing fed by :class:`QuoteTick` and :class:`TradeTick`."""

    _newest: QuoteTick | None = None
    """The newest quote, while the book has not taken it in."""
    _is_watched = False
    """Whether an order of ours is here."""

    def on_tick(self, tick: QuoteTick | TradeTick) -> None:
        """Take in one tick at its time; everything due by then has happened."""
        self.rows += 1
        if isinstance(tick, QuoteTick):
            self._newest = tick
            self.market(tick)
            if self._is_watched:
                self.host.now_ns = tick.ts_ns
                self.settle()
        elif self._is_watched:
            self.settle()
            self.host.now_ns = self.ts_ns = tick.ts_ns
            self.row = tick.row
            self._trade(_SIGNS[tick.aggressor], tick.price, tick.qty)
        else:
            self.prints += 1
            self.last_price = tick.price
            self.market(tick)

    def settle(self) -> None:
        """Bring the book up to the newest quote, which was published already, and let it meet our orders."""
        tick = self._newest
        if tick is None:
            super().settle()
            return
        self._newest = None
        self.ts_ns, self.row = tick.ts_ns, tick.row
        self.bid, self.bid_qty, self.ask, self.ask_qty = tick.bid, tick.bid_qty, tick.ask, tick.ask_qty
        self._quote(BUY, tick.bid, tick.bid_qty)
        self._quote(SELL, tick.ask, tick.ask_qty)
        super().settle()

    def rest(self, order: Working) -> None:
        """Let an order rest; from here on each tick is looked at."""
        super().rest(order)
        self._is_watched = True

    def wait(self, order: Working) -> None:
        """Keep a stop; from here on each tick is looked at."""
        super().wait(order)
        self._is_watched = True

    def remove(self, order: Working) -> None:
        """Forget an order."""
        super().remove(order)
        self._is_watched = bool(self.own[BUY] or self.own[SELL] or self.stops)
