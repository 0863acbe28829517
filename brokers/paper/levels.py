"""How orders of ours trade at one listing whose feed names levels, quotes and trades only (effects P04 to P06).

What cannot be seen is estimated against us and each such fill is marked ``guessed``:

* Taking walks the displayed sizes; they stay consumed until the feed sets the level again. Beyond what is displayed each further
  portion as large as the best level costs one more step of ``beyond_ticks`` ticks.
* A resting order stands behind the displayed size at its price. Prints at its price move it forward; a shrinking level does
  so only by the share of cancels that the queue model puts ahead of it (none in the pessimistic default).
* A print in which no displayed order took part (hidden, off the exchange) is volume and fills nobody.
* A print through its price, or an opposing quote at or through it, fills it, never for more than that print or quote shows.
"""

from __future__ import annotations

import msgspec

from brokers.paper.matching import Host, Listing, MarketSink
from brokers.paper.orders import Working
from engine.domain.instrument import Instrument
from engine.domain.order import Liquidity
from engine.market.book import LevelBook, Levels
from engine.market.calendar import Calendar
from engine.market.rows import CLEAR, HALT, HIDDEN, LEVEL, NEITHER, QUOTE, RESUME, TRADE, Row

STEPS_MAX = 50
"""Portions beyond the displayed size; what is left then is not there."""


UNSEEN = -1
"""Nothing is known of the queue: until its level is shown, only prints through its price fill an order."""


class QueueModel(msgspec.Struct, frozen=True):
    """Which cancels at our price were ahead of us.

    ``power`` 0 (default): none, we move by trades only and never stand behind more than is displayed. ``power`` n: the share
    b^n / (b^n + f^n) of them was behind us, with f ahead of us and b behind (hftbacktest's power model,
    github.com/nkaz001/hftbacktest, models/queue.rs), in exact integer arithmetic.
    """

    power: int = 0
    beyond_ticks: int = 1
    bar_share_pct: int = 10
    """Where only bars are known: how much of a bar's volume our orders may have."""


def advance_queue(front: int, before: int, after: int, traded: int, power: int) -> int:
    """Quantity ahead after a level went from ``before`` to ``after``, ``traded`` of it by prints counted already."""
    gone = before - after - traded
    if gone <= 0 or not power:
        return min(front, after)
    behind = before - front
    if behind <= 0:
        share_front = gone
        spill = 0
    else:
        weight_front, weight_back = front**power, behind**power
        share_front = gone * weight_front // (weight_front + weight_back)
        spill = min(0, behind - (gone - share_front))
    return min(max(0, front - share_front + spill), after)


class LevelListing(Listing):
    """A listing known by level."""

    knows_queue = False

    def __init__(self, instrument: Instrument, mic: str, calendar: Calendar, host: Host, market: MarketSink) -> None:
        super().__init__(instrument, mic, calendar, host, market)
        self.book = LevelBook()
        self.model = QueueModel()
        self._dirty = False
        self._shown = {1: (0, 0), -1: (0, 0)}
        """Worst price shown and the best size shown, by side, when the feed last spoke."""
        self._beyond = {1: 0, -1: 0}
        """What we took beyond the displayed sizes since then."""

    def on_row(self, row: Row) -> None:
        """Apply one row. Levels are judged once all rows of the same time are in: a snapshot is built over several."""
        ts_ns, action, sign, _, price, qty, number = row
        if self._dirty and ts_ns != self.ts_ns:
            self.settle()
        self.ts_ns, self.row = ts_ns, number
        self.rows += 1
        if action == LEVEL:
            self._resize(sign, price, qty)
        elif action == QUOTE:
            self._quote(sign, price, qty)
        elif action == TRADE:
            self._trade(sign, price, qty)
        elif action == HIDDEN:
            self.settle()
            self.print_trade(price, qty, NEITHER, hidden=True)
        elif action == CLEAR:
            self.book.clear()
            self._dirty = True
        elif action in {HALT, RESUME}:
            self.set_halt(action == HALT)

    def forget_book(self) -> None:
        """Prices of before mean nothing any more."""
        self.book.clear()
        self._dirty = False
        self._publish_best()

    def _quote(self, sign: int, price: int, qty: int) -> None:
        before = dict(self.book.side(sign).sizes) if self.own[sign] else None
        self.book.quote(sign, price, qty)
        if before is not None:
            self._requeue(sign, before)
        self._dirty = True

    def _resize(self, sign: int, price: int, qty: int) -> None:
        if self.own[sign]:
            before = {price: self.book.side(sign).sizes.get(price, 0)}
            self.book.level(sign, price, qty)
            self._requeue(sign, before)
        else:
            self.book.level(sign, price, qty)
        self._dirty = True

    def _requeue(self, sign: int, before: dict[int, int]) -> None:
        """Move our orders forward where the level they stand at changed."""
        sizes, orders = self.book.side(sign).sizes, self.own[sign]
        if not self.book.has_depth:  # one price is shown
            shown = next(iter(sizes), None)
            orders = [order for order in orders if order.limit == shown]
        for order in orders:
            price = order.limit or 0
            after = sizes.get(price, 0)
            if not after and (price not in before or not self.book.has_depth):
                continue  # not shown; in a feed without depth the quote has only moved away from it
            if order.ahead == UNSEEN:
                order.ahead = after or UNSEEN
            elif price in before:
                order.ahead = advance_queue(order.ahead, before[price], after, order.traded, self.model.power)
            else:
                order.ahead = min(order.ahead, after)
            order.traded = 0

    def settle(self) -> None:
        """Judge the rows of one moment: fill orders the other side has come to, then publish."""
        if not self._dirty:
            return
        self._dirty = False
        for sign in (1, -1):
            if self.own[sign] and not self.is_halted:
                self._meet(sign)
        for sign in (1, -1):
            side = self.book.side(sign)
            if side.prices:
                self._shown[sign] = (side.prices[0 if sign > 0 else -1], side.sizes[side.best()])
                self._beyond[sign] = 0
        self._publish_best()

    def _publish_best(self) -> None:
        bids, asks = self.book.bids, self.book.asks
        bid = bid_qty = ask = ask_qty = 0
        if bids.prices:
            bid = bids.prices[-1]
            bid_qty = bids.sizes[bid]
        if asks.prices:
            ask = asks.prices[0]
            ask_qty = asks.sizes[ask]
        if bid != self.bid or bid_qty != self.bid_qty or ask != self.ask or ask_qty != self.ask_qty:
            self.publish(bid, bid_qty, ask, ask_qty)
        if self.legs:
            self.host.quoted()

    def _fill(self, order: Working, qty: int, *, through: bool = True) -> int:
        return self.fill_resting(order, qty, guessed=True, through=through)

    def _meet(self, own_sign: int) -> None:
        """Fill our resting orders with displayed size that has come to their price or through it."""
        side = self.book.side(-own_sign)
        for order in self.own[own_sign][:]:
            if not side.prices or order.limit is None or (order.limit - side.best()) * own_sign < 0:
                break  # the best price first: where it does not reach, no later one does
            for price in side.best_first():
                if not order.is_open or (order.limit - price) * own_sign < 0:
                    break
                took = self._fill(order, side.sizes[price])
                if took:
                    side.take(price, took)

    def _trade(self, aggressor: int, price: int, qty: int) -> None:
        self.settle()
        if not self.is_halted:
            left = qty
            for own_sign in (1, -1):
                if aggressor != own_sign:
                    left = self._serve(own_sign, price, left)
        self.print_trade(price, qty, aggressor, hidden=False)
        self._publish_best()

    def _serve(self, own_sign: int, price: int, left: int) -> int:
        """A print hits the side we rest on: through our price fills us first, at it only behind what is ahead.

        Returns what no order of ours took.
        """
        for order in self.own[own_sign][:]:
            if not left or order.limit is None or (order.limit - price) * own_sign < 0:
                break
            passed = 0
            if order.limit == price:
                if order.ahead == UNSEEN:
                    break
                passed = min(order.ahead, left)
                order.ahead -= passed
                order.traded += left
            left -= self._fill(order, left - passed, through=order.limit != price)
        return left

    def rest(self, order: Working) -> None:
        """Stand behind what is displayed at its price now; outside the displayed prices that is not known yet."""
        super().rest(order)
        side = self.book.side(order.sign)
        price = order.limit or 0
        worst = side.prices[0 if order.sign > 0 else -1] if side.prices else price
        is_outside = (worst - price) * order.sign > 0
        order.ahead = UNSEEN if is_outside else side.sizes.get(price, 0)
        order.traded = 0

    def take(self, order: Working) -> None:
        """Walk the displayed sizes, then the estimate beyond them."""
        side = self.book.side(-order.sign)
        for price in side.best_first():
            if order.limit is not None and (price - order.limit) * order.sign > 0:
                break
            want = min(side.sizes[price], self.host.room(order))
            if not want:
                break
            side.take(price, want)
            at = self.taking_price(order, price, want)
            self.host.execute(self, order, want, at, Liquidity.TAKER, guessed=False)
        if order.is_open and not side.prices:
            self._take_beyond(order)
        self._publish_best()

    def _take_beyond(self, order: Working) -> None:
        """Everything displayed is taken: go on in portions of the last size shown, each a step worse."""
        price, portion = self._shown[-order.sign]
        gone = self._beyond[-order.sign]
        if not portion:
            return
        for step in range(STEPS_MAX):
            tick = self.instrument.price_units(self.instrument.tick_at(self.instrument.price_of(price)))
            price += order.sign * self.model.beyond_ticks * tick
            if price <= 0 or (order.limit is not None and (price - order.limit) * order.sign > 0):
                return
            want = min(portion * (step + 1) - gone, order.leaves, self.host.room(order))
            if want > 0:
                gone += want
                self._beyond[-order.sign] = gone
                at = self.taking_price(order, price, want)
                self.host.execute(self, order, want, at, Liquidity.TAKER, guessed=True)
            if not order.is_open or not self.host.room(order):
                return

    def visible(self, sign: int, limit: int | None, row: int | None = None) -> int:  # noqa: ARG002 - no orders to date
        """Displayed quantity on the other side up to ``limit``."""
        side = self.book.side(-sign)
        return sum(side.sizes[price] for price in side.prices if limit is None or (price - limit) * sign <= 0)

    def levels(self, sign: int, depth: int) -> Levels:
        """The best displayed levels of a side."""
        return self.book.side(sign).top(depth)

    def queue_ahead(self, order: Working) -> int:
        """Estimated quantity ahead; what stands at a price that is not displayed is not known and given as the best level's."""
        if order.ahead != UNSEEN:
            return order.ahead
        side = self.book.side(order.sign)
        return side.sizes.get(side.best(), 0)
