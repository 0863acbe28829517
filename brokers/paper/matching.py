"""How orders of ours trade at one listing, against an order-by-order feed.

Rules, each of which the tests hold:

* Our order rests in the true queue: behind every visible order at its price that came to rest before it, ahead of every later one.
* A unit of feed volume serves at most one fill of ours. Units we took from a visible order are gone: its later rows
  shrink by them, and the part of a later execution that had hit them serves nobody.
* An execution of an order behind ours, or at a price worse for the resting side than ours, would have hit ours first: it fills
  ours, and the feed's order follows the feed anyway, so that no ghost stays in the book.
* Displayed precedes hidden at one price: a hidden print at our price fills ours with the volume beyond the displayed
  quantity still ahead of ours; a hidden print through our price fills ours first.
* A new visible order that crosses ours trades with ours first, at our price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from brokers.paper.orders import Working
from engine.domain.instrument import Instrument
from engine.domain.order import Liquidity
from engine.market.book import Levels, OrderBook
from engine.market.calendar import Calendar
from engine.market.feed import BookTick, MarketTick, QuoteTick, StatusTick, TradeTick
from engine.market.rows import ADD, AGGRESSOR, DELETE, EXEC, HALT, HIDDEN, REDUCE, RESUME, Row, listing_key

MarketSink = Callable[[MarketTick], None]


class Host(Protocol):
    """What a listing needs of its venue."""

    now_ns: int

    def room(self, order: Working) -> int:
        """How much of an order may fill now (a reduce-only order never more than the position)."""
        ...

    def execute(
        self, listing: Listing, order: Working, qty: int, price: int, liquidity: Liquidity, guessed: bool
    ) -> None:
        """Book one execution and report it."""
        ...

    def concession(self, listing: Listing, order: Working, qty: int) -> int:
        """Price units by which the impact model worsens a taking fill."""
        ...

    def triggered(self, listing: Listing, order: Working) -> None:
        """A waiting stop was passed."""
        ...

    def printed(self, listing: Listing, price: int) -> None:
        """A print of a listing with a price band."""
        ...

    def opened(self, listing: Listing, price: int, qty: int) -> None:
        """A print came while orders wait for an opening."""
        ...

    def reopened(self, listing: Listing) -> None:
        """Trading goes on after a halt."""
        ...

    def requeue(self, order: Working) -> None:
        """Give an order its place behind all others of ours."""
        ...

    def quoted(self) -> None:
        """A book that a leg of a combination hangs on has changed."""
        ...

    def changed_silently(self) -> None:
        """An order changed in a way that no report tells, and that must be remembered all the same."""
        ...


class Listing:
    """One symbol at one venue: our orders there, what was last published, and the rules that do not depend on data depth."""

    is_ready = True
    """Whether the book may be judged now."""
    knows_queue = True
    """Whether what stands ahead of an order is seen, not estimated."""

    def __init__(self, instrument: Instrument, mic: str, calendar: Calendar, host: Host, market: MarketSink) -> None:
        self.instrument = instrument
        self.mic = mic
        self.symbol = instrument.symbol
        self.key = listing_key(instrument.symbol, mic)
        self.calendar = calendar
        self.host = host
        self.market = market
        self.own: dict[int, list[Working]] = {1: [], -1: []}
        """Our resting orders by side, best price first, then oldest first."""
        self.stops: list[Working] = []
        self.legs = 0
        """Legs of combinations that hang on this book."""
        self.is_halted = False
        self.is_paused = False
        """The venue itself holds it (a price band): the feed's word alone does not let it go on."""
        self.official: int | None = None
        """While an auction is worked out: its price, which all that is taken has."""
        self.is_banded = False
        self.awaits_open = False
        """Orders wait for the first print of a session."""
        self.ts_ns = 0
        self.row = 0
        self.rows = 0
        self.prints = 0
        self.last_price: int | None = None
        self.last_qty = 0
        self.bid = self.bid_qty = self.ask = self.ask_qty = 0
        self.crossed = 0
        self.day_end_ns = 0

    # -- our orders ------------------------------------------------------------------------------------------------

    def rest(self, order: Working) -> None:
        """Put an order behind everything that stands at its price now."""
        order.is_resting = True
        order.rests_from = self.row
        if order.display is not None:
            order.shown = min(order.display, order.leaves)
        side = self.own[order.sign]
        side.append(order)
        side.sort(key=lambda other: (-(other.limit or 0) * other.sign, other.seq))

    def wait(self, order: Working) -> None:
        """Keep a stop until a print passes it; a trailing one follows the prints from the last one on."""
        order.is_waiting = True
        if self.last_price is not None:
            order.follow(self.last_price)
        self.stops.append(order)

    def watch_legs(self, more: int) -> None:
        """So many more legs of combinations hang on this book."""
        self.legs += more

    def remove(self, order: Working) -> None:
        """Forget an order that ended or is about to re-enter."""
        if order.is_resting:
            self.own[order.sign].remove(order)
            order.is_resting = False
        if order.is_waiting:
            self.stops.remove(order)
            order.is_waiting = False

    def is_passed(self, order: Working, price: int | None) -> bool:
        """Whether a print triggers a waiting order (the trigger is the last trade)."""
        if price is None or order.stop is None:
            return False
        beyond = (price - order.stop) * order.sign
        return beyond <= 0 if order.waits_for_touch else beyond >= 0

    def fill_resting(self, order: Working, qty: int, *, guessed: bool, through: bool) -> int:
        """Fill a resting order at its price; what of ``qty`` it took.

        An iceberg gives what it shows; its next part then stands behind everything else at the price. ``through``: the volume
        went through its price, so every part of it came first.
        """
        took_all = 0
        while order.is_resting and order.limit is not None and took_all < qty:
            standing = order.leaves if order.display is None else order.shown
            took = min(standing, qty - took_all, self.host.room(order))
            if not took:
                break
            took_all += took
            order.shown = max(0, order.shown - took)
            self.host.execute(self, order, took, order.limit, Liquidity.MAKER, guessed)
            if order.display is None or order.shown or not order.is_resting:
                break
            self.remove(order)
            self.host.requeue(order)
            self.rest(order)
            self.host.changed_silently()
            if not through:
                break
        return took_all

    def meets_own(self, order: Working) -> bool:
        """Whether an arriving order would reach an opposing order of its account before it is filled.

        Orders of different accounts do not meet at all: each trades with the feed alone.
        """
        for other in self.own[-order.sign]:
            if other.limit is None or other.account != order.account:
                continue
            if order.limit is not None and (other.limit - order.limit) * order.sign > 0:
                return False
            return self.visible(order.sign, other.limit, other.rests_from) < order.leaves
        return False

    def forget_book(self) -> None:
        """Prices of before mean nothing any more (a split): what is visible counts only from the next rows on."""

    # -- what the data depth decides -------------------------------------------------------------------------------------

    def on_row(self, row: Row) -> None:
        """Apply one row of the feed."""
        raise NotImplementedError

    def settle(self) -> None:
        """Judge what rows of one moment have built; nothing to do where each row stands alone."""

    def take(self, order: Working) -> None:
        """Fill an arriving order against what is visible now."""
        raise NotImplementedError

    def visible(self, sign: int, limit: int | None, row: int | None = None) -> int:
        """Quantity an order of side ``sign`` could take up to ``limit``.

        With ``row``: at ``limit`` itself only what came to rest no later than that row.
        """
        raise NotImplementedError

    def crosses(self, order: Working) -> bool:
        """Whether a limit order would take at once."""
        return self.visible(order.sign, order.limit) > 0

    def levels(self, sign: int, depth: int) -> Levels:
        """The best visible levels of a side."""
        raise NotImplementedError

    def queue_ahead(self, order: Working) -> int:
        """Visible (or estimated) quantity ahead of a resting order at its price."""
        raise NotImplementedError

    def oddities(self) -> list[str]:
        """What was strange in the feed, in words."""
        return [f"the visible book was crossed {self.crossed} times"] if self.crossed else []

    # -- publishing -----------------------------------------------------------------------------------------------------

    def publish(self, bid: int, bid_qty: int, ask: int, ask_qty: int) -> None:
        """Send a quote where the best prices or their sizes changed. Our own orders are not in it."""
        if bid == self.bid and bid_qty == self.bid_qty and ask == self.ask and ask_qty == self.ask_qty:
            return
        self.bid, self.bid_qty, self.ask, self.ask_qty = bid, bid_qty, ask, ask_qty
        if bid_qty and ask_qty and bid >= ask:
            self.crossed += 1
        self.market(QuoteTick(self.symbol, self.mic, self.ts_ns, self.row, bid, bid_qty, ask, ask_qty))

    def print_trade(self, price: int, qty: int, aggressor: int, hidden: bool) -> None:
        """Send a print of the feed, as recorded, and trigger the stops it passes."""
        self.prints += 1
        self.last_price, self.last_qty = price, qty
        self.market(TradeTick(self.symbol, self.mic, self.ts_ns, self.row, price, qty, AGGRESSOR[aggressor], hidden))
        if self.is_banded:
            self.host.printed(self, price)
        if self.awaits_open and not self.is_halted:
            self.host.opened(self, price, qty)
        if self.stops and not self.is_halted:
            if sum(stop.follow(price) for stop in self.stops):
                self.host.changed_silently()
            for order in [stop for stop in self.stops if self.is_passed(stop, price)]:
                if order.is_waiting:
                    self.host.triggered(self, order)

    def set_halt(self, is_halted: bool) -> None:
        """Trading stops, or goes on with an auction."""
        if self.is_paused and not is_halted:
            return
        was_halted, self.is_halted = self.is_halted, is_halted
        # While orders are collected for an open it is closed to everybody but them.
        words = ("halted" if self.calendar.is_open(self.ts_ns) else "closed") if is_halted else "open"
        self.market(StatusTick(self.symbol, self.mic, self.ts_ns, words))
        if was_halted and not is_halted:
            self.host.reopened(self)

    def book_tick(self, depth: int) -> BookTick:
        """Visible levels now."""
        return BookTick(self.symbol, self.mic, self.ts_ns, self.row, self.levels(1, depth), self.levels(-1, depth))

    def taking_price(self, order: Working, price: int, qty: int) -> int:
        """Price of a taking fill: an auction's, or the level's worsened by whole ticks of the impact model, never beyond the order's limit."""
        if self.official is not None:
            return self.official
        concession = self.host.concession(self, order, qty)
        if not concession:
            return price
        tick = self.instrument.price_units(self.instrument.tick_at(self.instrument.price_of(price)))
        worse = price + order.sign * -(-concession // tick) * tick
        if order.limit is not None and (worse - order.limit) * order.sign > 0:
            return order.limit
        return worse


class OrderListing(Listing):
    """A listing whose feed names every order (recorded order by order, or simulated)."""

    def __init__(self, instrument: Instrument, mic: str, calendar: Calendar, host: Host, market: MarketSink) -> None:
        super().__init__(instrument, mic, calendar, host, market)
        self.book = OrderBook()

    def on_row(self, row: Row) -> None:
        """Apply one row, let it trade with our orders, publish what changed."""
        self.ts_ns, action, sign, order_id, price, qty, self.row = row
        self.rows += 1
        book = self.book
        if action == ADD:
            taken = self._meet(-sign, price, qty) if self.own[-sign] and not self.is_halted else 0
            book.add(order_id, sign, price, qty, self.row, taken)
        elif action <= EXEC:
            entry = book.find(action, sign, order_id, price, qty, self.row)
            if action == EXEC:
                came = 0 if entry is None else entry.row
                real = qty if entry is None else book.execute(order_id, entry, qty)
                if self.own[sign] and not self.is_halted:
                    self._serve(sign, price, real, came)
                self.print_trade(price, qty, -sign, False)
            elif entry is not None:
                if action == DELETE:
                    book.delete(order_id, entry, qty)
                elif action == REDUCE:
                    book.reduce(order_id, entry, qty)
        elif action == HIDDEN:
            if self.own[sign] and not self.is_halted:
                self._serve_hidden(sign, price, qty)
            self.print_trade(price, qty, -sign, True)
        elif action in {HALT, RESUME}:
            self.set_halt(action == HALT)
        self._publish_best()

    def oddities(self) -> list[str]:
        """What was strange in the feed, in words."""
        words = super().oddities()
        if self.book.unknown:
            words.append(f"{self.book.unknown} rows name orders that rested before the feed began")
        if self.book.short_deletes:
            words.append(f"{self.book.short_deletes} orders left with less than the feed had shown")
        return words

    def _publish_best(self) -> None:
        bids, asks = self.book.bids, self.book.asks
        bid = bid_qty = ask = ask_qty = 0
        if bids.prices:
            bid = bids.prices[-1]
            bid_qty = bids.levels[bid].total
        if asks.prices:
            ask = asks.prices[0]
            ask_qty = asks.levels[ask].total
        self.publish(bid, bid_qty, ask, ask_qty)
        if self.legs:
            self.host.quoted()

    def _fill(self, order: Working, qty: int, *, through: bool = True) -> int:
        return self.fill_resting(order, qty, guessed=False, through=through)

    def _meet(self, own_sign: int, price: int, qty: int) -> int:
        """A new visible order crosses our resting ones: they trade first. Returns what of it they took."""
        left = qty
        for order in self.own[own_sign][:]:
            if not left or order.limit is None or (order.limit - price) * own_sign < 0:
                break
            left -= self._fill(order, left)
        return qty - left

    def _serve(self, sign: int, price: int, usable: int, came: int) -> None:
        """The feed executed ``usable`` of a visible order that came to rest after row ``came``."""
        for order in self.own[sign][:]:
            if not usable or order.limit is None:
                break
            better = (order.limit - price) * sign
            if better < 0 or (not better and came <= order.rests_from):
                break
            usable -= self._fill(order, usable, through=better > 0)

    def _serve_hidden(self, sign: int, price: int, usable: int) -> None:
        """The feed executed ``usable`` of a hidden order."""
        for order in self.own[sign][:]:
            if not usable or order.limit is None:
                break
            better = (order.limit - price) * sign
            if better < 0:
                break
            displayed = 0 if better else self.book.ahead(sign, price, order.rests_from)
            if usable <= displayed:
                break
            usable -= self._fill(order, usable - displayed, through=better > 0)

    def take(self, order: Working) -> None:
        """Walk the visible book level by level, first in first out; what is taken stays gone."""
        ladder = self.book.side(-order.sign)
        for price in ladder.best_first():
            if order.limit is not None and (price - order.limit) * order.sign > 0:
                break
            want = min(order.leaves, self.host.room(order))
            if not want:
                break
            got = 0
            for order_id, entry in list(ladder.levels[price].queue.items()):
                part = min(want - got, entry.left)
                self.book.take(order_id, entry, part)
                got += part
                if got == want:
                    break
            self.host.execute(self, order, got, self.taking_price(order, price, got), Liquidity.TAKER, guessed=False)
        self._publish_best()

    def visible(self, sign: int, limit: int | None, row: int | None = None) -> int:
        """Quantity on the other side up to ``limit``."""
        ladder = self.book.side(-sign)
        total = 0
        for price in ladder.best_first():
            beyond = 0 if limit is None else (price - limit) * sign
            if beyond > 0:
                break
            if row is not None and not beyond:
                total += self.book.ahead(-sign, price, row)
            else:
                total += ladder.levels[price].total
        return total

    def levels(self, sign: int, depth: int) -> Levels:
        """The best visible levels of a side."""
        return self.book.side(sign).top(depth)

    def queue_ahead(self, order: Working) -> int:
        """Visible quantity at its price that came to rest before it."""
        return self.book.ahead(order.sign, order.limit or 0, order.rests_from)


def choose(listings: Iterable[Listing], symbol: str, venue: str, sign: int) -> Listing | None:
    """The listing an order goes to: the named venue, else the best opposing price, else the first that lists it."""
    first: Listing | None = None
    best: Listing | None = None
    for one in listings:
        if one.symbol != symbol or (venue and venue != one.mic):
            continue
        first = first or one
        price, size = (one.ask, one.ask_qty) if sign > 0 else (one.bid, one.bid_qty)
        if not size or one.is_halted:
            continue
        if best is None or (price - (best.ask if sign > 0 else best.bid)) * sign < 0:
            best = one
    return best or first
