"""How orders of ours trade at one listing whose feed is ready-made ticks: the best prices and the prints.

The rules are those of :mod:`brokers.paper.levels`. While no order of ours is there nothing can trade with the feed: a tick is then
only kept and passed on, and the book is brought up to it when an order arrives. Where ticks come as columns and nobody wants each of
them, :meth:`TopListing.next_mattering` names the next one that can change anything about our orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.paper.levels import LevelListing
from brokers.paper.orders import Working
from engine.market.feed import QuoteTick, TradeTick
from engine.market.rows import BUY, NEITHER, SELL

if TYPE_CHECKING:  # numpy only where columns are used
    from engine.market.columns import PassedTicks, TickColumns

_LOWEST, _HIGHEST = -(1 << 62), 1 << 62
_SIGNS = {"B": BUY, "S": SELL, "N": NEITHER}


class TopListing(LevelListing):
    """A listing fed by :class:`QuoteTick` and :class:`TradeTick`."""

    _newest: QuoteTick | None = None
    """The newest quote, while the book has not taken it in."""
    _is_watched = False
    """Whether an order of ours is here."""
    _prices: dict[int, frozenset[int]] | None = None
    """Limits of our resting orders by side, made when somebody asks."""

    def on_tick(self, tick: QuoteTick | TradeTick) -> None:
        """Take in one tick at its time; everything due by then has happened."""
        self.rows += 1
        if type(tick) is QuoteTick:
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
        if self.own[BUY] or self.own[SELL]:
            self._quote(BUY, tick.bid, tick.bid_qty)
            self._quote(SELL, tick.ask, tick.ask_qty)
            super().settle()
            return
        # As above, where no order of ours rests that could have moved in its queue or be met.
        self._dirty, book, shown, beyond = False, self.book, self._shown, self._beyond
        for sign, side, price, qty in (
            (BUY, book.bids, tick.bid, tick.bid_qty),
            (SELL, book.asks, tick.ask, tick.ask_qty),
        ):
            side.only(price, qty)
            if side.prices:
                shown[sign], beyond[sign] = (price, side.sizes[price]), 0
        self._publish_best()

    def rest(self, order: Working) -> None:
        """Let an order rest; from here on each tick is looked at."""
        super().rest(order)
        self._is_watched = True
        self._prices = None

    def wait(self, order: Working) -> None:
        """Keep a stop; from here on each tick is looked at."""
        super().wait(order)
        self._is_watched = True

    def remove(self, order: Working) -> None:
        """Forget an order."""
        super().remove(order)
        self._prices = None
        self._is_watched = bool(self.own[BUY] or self.own[SELL] or self.stops or self.legs)

    def watch_legs(self, more: int) -> None:
        """So many more legs hang on this book; while any does, each tick is looked at."""
        super().watch_legs(more)
        self._is_watched = bool(self.own[BUY] or self.own[SELL] or self.stops or self.legs)

    # -- ticks that nobody has to look at --------------------------------------------------------------------------------

    def next_mattering(self, columns: TickColumns, begin: int, end: int) -> int:
        """The first of the rows ``begin`` to ``end`` that can change anything about our orders; ``end`` where none can.

        It may name a row that changes nothing, never pass over one that does.
        """
        if not self._is_watched:
            return end
        if (
            self.legs
            or self._newest is not None
            or self._dirty
            or self.is_halted
            or self.book.bids.taken
            or self.book.asks.taken
        ):
            return begin  # what we took from a level stays gone for as long as the level is shown: each quote counts
        prices = self._limits()
        buys, sells = prices[BUY], prices[SELL]
        low, high = max(buys, default=_LOWEST), min(sells, default=_HIGHEST)
        rises, falls = _HIGHEST, _LOWEST
        for stop in self.stops:
            if stop.stop is None or stop.trail is not None:
                return begin  # it follows each print
            if (stop.sign > 0) is stop.waits_for_touch:
                falls = max(falls, stop.stop)
            else:
                rises = min(rises, stop.stop)
        while begin < end:
            found, begin = columns.reaching(begin, end, max(low, falls), min(high, rises))
            for at in found:
                tick = columns.tick(at)
                if isinstance(tick, TradeTick):
                    if tick.price <= max(low, falls) or tick.price >= min(high, rises):
                        return at
                elif (
                    not tick.bid_qty or not tick.ask_qty or tick.ask <= low or tick.bid >= high
                    or tick.bid in buys or tick.ask in sells
                ):  # fmt: skip
                    return at
        return end

    def _limits(self) -> dict[int, frozenset[int]]:
        if self._prices is None:
            self._prices = {
                sign: frozenset(order.limit for order in orders if order.limit is not None)
                for sign, orders in self.own.items()
            }
        return self._prices

    def pass_over(self, columns: TickColumns, begin: int, end: int) -> PassedTicks:
        """Take in rows that :meth:`next_mattering` went past, all at once; at least one. What is left of them for others."""
        passed = columns.passed(begin, end)
        self.rows += passed.count
        if passed.quote is not None:
            self._newest = passed.quote
            if self._is_watched:
                self.settle()
        if passed.trade is not None:
            self.prints += columns.prints(begin, end)
            self.last_price = passed.trade.price
        if self._is_watched:
            self.host.now_ns = passed.ts_ns
            self.ts_ns, self.row = passed.ts_ns, end
        return passed
