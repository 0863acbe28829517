"""How orders of ours trade at one listing of which only bars are known (effect P04): the conservative path.

Nothing is known of the way inside a bar, so each order gets the worst way that the bar allows, and every fill is marked ``guessed``:

* What takes fills at the worst price of the bar it arrives in (a buy at the high). That price is known only in hindsight, and only to our
  cost. A limit that does not reach so far rests.
* A resting order fills at the end of a bar that began after it came to rest, at its own limit, where the bar went *through* it; a
  touch fills nothing, and neither does what went through earlier in the bar the order came in.
* A stop that was there when the bar began triggers where the bar touched it, before anything else, and fills at the worst price.
* All our orders together have at most ``share_pct`` percent of a bar's volume; what is immediate and finds no more is cancelled.
"""

from __future__ import annotations

from brokers.paper.matching import Host, Listing, MarketSink
from brokers.paper.orders import Working
from engine.domain.instrument import Instrument
from engine.domain.order import Liquidity
from engine.market.book import Levels
from engine.market.calendar import Calendar
from engine.market.rows import BAR, END, HALT, HIDDEN, QUOTE, RESUME, TRADE, Row


class BarListing(Listing):
    """A listing known by bars."""

    def __init__(self, instrument: Instrument, mic: str, calendar: Calendar, host: Host, market: MarketSink) -> None:
        super().__init__(instrument, mic, calendar, host, market)
        self.share_pct = 10
        self._worst: dict[int, int] = {}
        """The worst price of the bar that runs, by side of our order; empty between bars."""
        self._reached: dict[int, int] = {}
        """The price that must lie beyond a resting order's."""
        self._room: dict[int, int] = {1: 0, -1: 0}
        """What of the bar's volume our orders may still have."""
        self._began = 0
        """The last row before the bar."""
        self._next = (0, 0, 0, 0)

    @property
    def is_running(self) -> bool:
        """A bar is under way."""
        return bool(self._worst)

    def on_row(self, row: Row) -> None:
        """Apply one row."""
        self.ts_ns, action, sign, second, price, qty, number = row
        self.rows += 1
        if action == BAR:
            if number != self.row:
                self._began = self.row
            self._worst[sign], self._reached[sign] = price, second
            self._room[sign] = qty * self.share_pct // 100
        self.row = number
        if action == QUOTE:
            self._quote(sign, price, qty)
        elif action in {TRADE, HIDDEN}:
            self.print_trade(price, qty, sign, hidden=action == HIDDEN)
        elif action == END:
            self._close()
        elif action in {HALT, RESUME}:
            self.set_halt(action == HALT)

    def _quote(self, sign: int, price: int, qty: int) -> None:
        """The rows come in pairs, the bid first: publish with the offer."""
        shown = max(1, qty * self.share_pct // 100) if qty else 0
        if sign > 0:
            self._next = (price, shown, 0, 0)
        else:
            self.publish(*self._next[:2], price, shown)

    def _close(self) -> None:
        """The bar is over: stops first, then what it went through."""
        if not self.is_halted:
            for stop in [*self.stops]:
                if stop.is_waiting and stop.rests_from <= self._began and self.is_passed(stop, self._extreme(stop)):
                    self.host.triggered(self, stop)
            for sign in (1, -1):
                for order in self.own[sign][:]:
                    if order.limit is None or order.rests_from > self._began or not self._went_through(order):
                        continue
                    self._use(self.fill_resting(order, self._room[order.sign], guessed=True, through=True))
        self._worst = {}

    def _extreme(self, order: Working) -> int | None:
        """The price of the bar that a waiting order is compared with; a trailing one has followed the other end of it before."""
        if order.waits_for_touch:
            return self._reached.get(order.sign)
        if order.sign in self._reached and order.follow(self._reached[order.sign]):
            self.host.changed_silently()
        return self._worst.get(order.sign)

    def _went_through(self, order: Working) -> bool:
        reached = self._reached.get(order.sign)
        return reached is not None and order.limit is not None and (order.limit - reached) * order.sign > 0

    def _use(self, qty: int) -> None:
        """So much of the bar's volume is ours: neither side has it again."""
        room = self._room
        room[1], room[-1] = max(0, room[1] - qty), max(0, room[-1] - qty)

    def wait(self, order: Working) -> None:
        """Keep a stop until a bar touches it."""
        super().wait(order)
        order.rests_from = self.row

    def take(self, order: Working) -> None:
        """Fill at the worst price of the bar that runs; nothing between bars."""
        worst = self._worst.get(order.sign)
        if worst is not None and not (order.limit is not None and (worst - order.limit) * order.sign > 0):
            took = min(order.leaves, self._room[order.sign], self.host.room(order))
            if took:
                self._use(took)
                self.host.execute(
                    self, order, took, self.taking_price(order, worst, took), Liquidity.TAKER, guessed=True
                )

    def visible(self, sign: int, limit: int | None, row: int | None = None) -> int:  # noqa: ARG002 - no orders to date
        """What may trade up to ``limit``."""
        worst = self._worst.get(sign)
        if worst is None or (limit is not None and (worst - limit) * sign > 0):
            return 0
        return self._room[sign]

    def levels(self, sign: int, depth: int) -> Levels:  # noqa: ARG002 - there is one
        """The made quote."""
        price, qty = (self.bid, self.bid_qty) if sign > 0 else (self.ask, self.ask_qty)
        return ((price, qty),) if qty else ()

    def queue_ahead(self, order: Working) -> int:  # noqa: ARG002 - the same for all
        """Not known: an order fills only where the price went through it."""
        return 0
