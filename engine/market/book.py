"""Visible books in hot-path integers: order by order, and by level.

Both keep their prices sorted (a ladder of the levels that exist), so best price and depth cost no search. Neither knows
of our orders: what we took from them is written into them by the venue that simulates us.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from engine.domain.errors import DataError
from engine.market.rows import ACTION_NAMES, ADD, BUY, DELETE, EXEC, FILL, MODIFY, SELL, Row

Levels = tuple[tuple[int, int], ...]


class Resting:
    """One visible order of the feed. ``left`` is what stands in the book, ``taken`` what we took from it.

    The feed believes ``left + taken`` to be there.
    """

    __slots__ = ("left", "level", "price", "row", "sign", "taken")

    def __init__(self, sign: int, price: int, left: int, row: int, level: Level) -> None:
        self.sign = sign
        self.price = price
        self.left = left
        self.taken = 0
        self.row = row
        self.level = level


class Level:
    """The queue at one price, oldest first."""

    __slots__ = ("queue", "total")

    def __init__(self) -> None:
        self.total = 0
        self.queue: dict[int, Resting] = {}


class Ladder:
    """One side of an order-by-order book: levels by price, and their prices in rising order."""

    __slots__ = ("levels", "prices", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, Level] = {}
        self.prices: list[int] = []

    def best(self) -> int:
        """Best price, 0 where the side is empty (use ``prices`` where 0 can be a price)."""
        return self.prices[-1 if self.sign > 0 else 0] if self.prices else 0

    def best_first(self) -> list[int]:
        """Prices from the best on."""
        return self.prices[::-1] if self.sign > 0 else self.prices[:]

    def drop(self, price: int) -> None:
        """Remove an empty level."""
        del self.levels[price]
        del self.prices[bisect_left(self.prices, price)]

    def top(self, depth: int) -> Levels:
        """The best ``depth`` levels as ``(price, qty)``."""
        prices = self.prices[: -depth - 1 : -1] if self.sign > 0 else self.prices[:depth]
        return tuple((price, self.levels[price].total) for price in prices)


class OrderBook:
    """An order-by-order book. Rows that name an order never announced are counted, not an error:
    orders that rested before a recording began are unannounced (0.2 % of the AAPL sample).
    """

    __slots__ = ("asks", "bids", "orders", "short_deletes", "unknown")

    def __init__(self) -> None:
        self.bids = Ladder(BUY)
        self.asks = Ladder(SELL)
        self.orders: dict[int, Resting] = {}
        self.unknown = 0
        self.short_deletes = 0
        """DELETE rows that removed less than was left (reductions happened out of the recorded range)."""

    def side(self, sign: int) -> Ladder:
        """Bids for +1, asks for -1."""
        return self.bids if sign > 0 else self.asks

    def add(self, order_id: int, sign: int, price: int, qty: int, row: int, taken: int = 0) -> None:
        """A visible order of ``qty`` comes to rest, ``taken`` of it already ours; DataError where the id stands."""
        if order_id in self.orders:
            msg = f"row {row}: ADD of order {order_id}, which is already in the book; expected a new order_id"
            raise DataError(msg)
        ladder = self.bids if sign > 0 else self.asks
        level = ladder.levels.get(price)
        left = qty - taken
        if level is None:
            level = Level()
            if left:
                ladder.levels[price] = level
                insort(ladder.prices, price)
        entry = Resting(sign, price, left, row, level)
        self.orders[order_id] = entry
        if left:
            level.total += left
            level.queue[order_id] = entry
        entry.taken = taken

    def apply(self, row: Row) -> None:
        """Apply one row of a feed in which we do not trade; rows that are not of orders change nothing.

        Raises:
            DataError: the row contradicts the book.
        """
        _, action, sign, order_id, price, qty, number = row
        if action == ADD:
            self.add(order_id, sign, price, qty, number)
        elif action <= EXEC:
            entry = self.find(action, sign, order_id, price, qty, number)
            if entry is not None:
                if action == DELETE:
                    self.delete(order_id, entry, qty)
                elif action == EXEC:
                    self.execute(order_id, entry, qty)
                else:
                    self.reduce(order_id, entry, qty)
        elif action == FILL:
            if order_id:
                self.match(order_id, qty, number)
        elif action == MODIFY:
            self.move(order_id, price, qty, number)

    def match(self, order_id: int, qty: int, row: int) -> tuple[int, int]:
        """The feed matches ``qty`` of an order, at whatever price: what of it was still there, and after which row the order came.

        Raises:
            DataError: where it has not so much left.
        """
        entry = self.orders.get(order_id)
        if entry is None:
            self.unknown += 1
            return qty, 0
        if qty > entry.left + entry.taken:
            raise DataError(
                f"row {row}: FILL of {qty} units of order {order_id}, of which {entry.left + entry.taken} are left"
            )
        came = entry.row
        return self.execute(order_id, entry, qty), came

    def move(self, order_id: int, price: int, qty: int, row: int) -> int:
        """The feed gives an order new terms, behind all others at its price; its side, 0 (counted) where it is unannounced.

        What we took of it stays taken.
        """
        entry = self.orders.get(order_id)
        if entry is None:
            self.unknown += 1
            return 0
        taken, sign = min(entry.taken, qty), entry.sign
        self.delete(order_id, entry, entry.left + entry.taken)
        self.add(order_id, sign, price, qty, row, taken)
        return sign

    def find(self, action: int, sign: int, order_id: int, price: int, qty: int, row: int) -> Resting | None:
        """The order a row names, None (counted) where it is unannounced.

        Raises:
            DataError: where side or price are not its own, or the quantity is more than the feed left there.
        """
        entry = self.orders.get(order_id)
        if entry is None:
            self.unknown += 1
            return None
        if entry.price != price or entry.sign != sign:
            msg = f"row {row}: {ACTION_NAMES[action]} of order {order_id} has another side or price than its ADD"
            raise DataError(msg)
        if qty > entry.left + entry.taken:
            msg = (
                f"row {row}: {ACTION_NAMES[action]} of {qty} units of order {order_id}, "
                f"of which {entry.left + entry.taken} are left; expected no more than that"
            )
            raise DataError(msg)
        return entry

    def execute(self, order_id: int, entry: Resting, qty: int) -> int:
        """The feed executes ``qty`` from the front of an order; units we took are gone first.

        Returns what of it was still there: the volume that may serve an order of ours.
        """
        gone = min(entry.taken, qty)
        entry.taken -= gone
        real = qty - gone
        self._shrink(order_id, entry, real)
        return real

    def reduce(self, order_id: int, entry: Resting, qty: int) -> None:
        """The feed cancels ``qty`` from the back of an order; never more than is there."""
        real = min(entry.left, qty)
        entry.taken -= qty - real
        self._shrink(order_id, entry, real)

    def delete(self, order_id: int, entry: Resting, qty: int) -> None:
        """The feed removes what is left."""
        if qty != entry.left + entry.taken:
            self.short_deletes += 1
        entry.taken = 0
        self._shrink(order_id, entry, entry.left)

    def take(self, order_id: int, entry: Resting, qty: int) -> None:
        """We take ``qty`` from the front of an order: its later rows shrink by as much."""
        entry.taken += qty
        entry.left -= qty
        entry.level.total -= qty
        if not entry.left:
            self._leave_level(order_id, entry)

    def _shrink(self, order_id: int, entry: Resting, qty: int) -> None:
        if qty:
            entry.left -= qty
            entry.level.total -= qty
            if not entry.left:
                self._leave_level(order_id, entry)
        if not entry.left and not entry.taken:
            del self.orders[order_id]

    def _leave_level(self, order_id: int, entry: Resting) -> None:
        level = entry.level
        del level.queue[order_id]
        if not level.queue:
            (self.bids if entry.sign > 0 else self.asks).drop(entry.price)

    def ahead(self, sign: int, price: int, row: int) -> int:
        """Visible quantity at a price that came to rest no later than ``row``."""
        level = self.side(sign).levels.get(price)
        return 0 if level is None else sum(entry.left for entry in level.queue.values() if entry.row <= row)


class LevelSide:
    """One side of a book known by level: visible sizes by price, and the prices in rising order.

    What we took from a level stays gone: a later size of the feed that is not above the one before brings nothing of it back.
    """

    __slots__ = ("prices", "sign", "sizes", "taken")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.sizes: dict[int, int] = {}
        self.prices: list[int] = []
        self.taken: dict[int, int] = {}

    def set(self, price: int, qty: int) -> None:
        """The feed says that this size stands at a price; 0 removes the level."""
        taken = self.taken.pop(price, 0) if self.taken else 0
        if taken and qty:
            left = self.sizes.get(price, 0)
            left = left + max(0, qty - left - taken) if qty > left else qty
            if qty > left:
                self.taken[price] = qty - left
            qty = left
        self._show(price, qty)

    def only(self, price: int, qty: int) -> None:
        """The feed says that this size stands at a price and nothing elsewhere; 0 empties the side. As ``keep`` and ``set`` do."""
        sizes, taken = self.sizes, self.taken
        if taken:
            gone = taken.get(price, 0)
            taken.clear()
            if gone and qty:
                left = sizes.get(price, 0)
                left = left + max(0, qty - left - gone) if qty > left else qty
                if qty > left:
                    taken[price] = qty - left
                qty = left
        if not qty:
            sizes.clear()
            self.prices.clear()
        elif price in sizes and len(sizes) == 1:
            sizes[price] = qty
        else:
            sizes.clear()
            sizes[price] = qty
            self.prices[:] = (price,)

    def take(self, price: int, qty: int) -> None:
        """We take from a level."""
        self.taken[price] = self.taken.get(price, 0) + qty
        self._show(price, self.sizes[price] - qty)

    def _show(self, price: int, qty: int) -> None:
        if price in self.sizes:
            if qty:
                self.sizes[price] = qty
            else:
                del self.sizes[price]
                del self.prices[bisect_left(self.prices, price)]
        elif qty:
            self.sizes[price] = qty
            insort(self.prices, price)

    def keep(self, kept: int | None) -> None:
        """Remove every level but one."""
        for price in (*self.sizes, *self.taken):
            if price != kept:
                self.set(price, 0)

    def best(self) -> int:
        """Best price, 0 where the side is empty (use ``prices`` where 0 can be a price)."""
        return self.prices[-1 if self.sign > 0 else 0] if self.prices else 0

    def best_first(self) -> list[int]:
        """Prices from the best on."""
        return self.prices[::-1] if self.sign > 0 else self.prices[:]

    def top(self, depth: int) -> Levels:
        """The best ``depth`` levels as ``(price, qty)``."""
        prices = self.prices[: -depth - 1 : -1] if self.sign > 0 else self.prices[:depth]
        return tuple((price, self.sizes[price]) for price in prices)


class LevelBook:
    """A book known by level only (or by its best prices only, until the first level row)."""

    __slots__ = ("asks", "bids", "has_depth")

    def __init__(self) -> None:
        self.bids = LevelSide(BUY)
        self.asks = LevelSide(SELL)
        self.has_depth = False

    def side(self, sign: int) -> LevelSide:
        """Bids for +1, asks for -1."""
        return self.bids if sign > 0 else self.asks

    def quote(self, sign: int, price: int, qty: int) -> None:
        """The best of a side is this: better levels are gone, and in a feed without depth all others too."""
        side = self.side(sign)
        if not qty:
            side.keep(None)
            return
        if not self.has_depth:
            side.only(price, qty)
            return
        for better in [known for known in side.prices if (known - price) * sign > 0]:
            side.set(better, 0)
        side.set(price, qty)

    def level(self, sign: int, price: int, qty: int) -> None:
        """The size at a price is this; 0 removes it."""
        self.has_depth = True
        self.side(sign).set(price, qty)

    def clear(self) -> None:
        """Forget everything."""
        self.bids.keep(None)
        self.asks.keep(None)
