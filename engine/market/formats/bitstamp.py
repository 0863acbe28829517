"""Bitstamp: orders ``ts_ns,action,side,order_id,price,remaining,created_s``, trades ``ts_ns,trade_id,price,qty`` and the ten best levels
``ts_ns,level,bid,bid_qty,ask,ask_qty``.

The order feed announces an order that takes as it announces one that rests, and reports what was matched of both sides one after the
other. So an ADD that reaches the other side is held back until it does so no more: it is the taker, and what is matched of the
other side meanwhile is an execution. Some cancels were never sent: an order that stays in the way of a taker for
:data:`GHOST_NS` is taken for gone. Orders from before the capture have no ADD: the book lacks them. ``created_s``, when an order came
to be, is the same in all its rows and no later than they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from engine.domain.clock import NS_PER_S
from engine.market.book import OrderBook
from engine.market.formats.fields import Wrong, side_of, whole
from engine.market.formats.layout import LEVELS, ORDERS, Layout, Reading, each
from engine.market.rows import ADD, BUY, CLEAR, DELETE, EXEC, LEVEL, NEITHER, SELL, TRADE, Feed, Row

GHOST_NS = 5 * NS_PER_S
SLOW_S = 5
"""How far the clock of the machine that recorded may be behind the exchange's."""
LEVELS_MAX = 1_000


class _Taker:
    """An order that reached the other side when it came."""

    __slots__ = ("left", "order_id", "price", "sign", "since_ns")

    def __init__(self, since_ns: int, order_id: int, sign: int, price: int, left: int) -> None:
        self.since_ns = since_ns
        self.order_id = order_id
        self.sign = sign
        self.price = price
        self.left = left


class _Decoder:
    def __init__(self, reading: Reading) -> None:
        self.grid = reading.grid
        self.findings = reading.findings
        self.book = OrderBook()
        self.takers: dict[int, _Taker] = {}
        self.created: dict[int, int] = {}
        """When the orders came to be that are not gone."""

    def decode(self, ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        """The rows of one line."""
        _, action, side, order, price, remaining, created = fields
        order_id, sign = whole(order, "order_id"), side_of(side)
        at, left = self.grid.ticks[price], self.grid.sizes[remaining]
        if action == "ADD":
            rows = self._add(ts_ns, order_id, sign, at, left, number)
        elif action in {"CHANGE", "DELETE"}:
            rows = self._shrink(ts_ns, order_id, sign, left, number, is_gone=action == "DELETE")
        else:
            raise Wrong(f"unknown action {action[:20]!r}; expected ADD, CHANGE or DELETE")
        self._follow(ts_ns, order_id, whole(created, "created_s"), is_gone=action == "DELETE")
        for row in rows:
            self.book.apply(row)
        if self.takers:
            rows += self._settle(ts_ns, number)
        return rows

    def _follow(self, ts_ns: int, order_id: int, created_s: int, *, is_gone: bool) -> None:
        """Hold the birth of an order against its row's time and its other rows."""
        if created_s > ts_ns // NS_PER_S + SLOW_S:
            raise Wrong(f"expected created_s in seconds, no later than the row ({ts_ns // NS_PER_S}), was {created_s}")
        before = self.created.pop(order_id, created_s) if is_gone else self.created.setdefault(order_id, created_s)
        if created_s != before:
            raise Wrong(f"expected created_s {before}, as in the rows of order {order_id} before, was {created_s}")

    def _reaches(self, sign: int, price: int) -> bool:
        side = self.book.side(-sign)
        return bool(side.prices) and (price - side.best()) * sign >= 0

    def _add(self, ts_ns: int, order_id: int, sign: int, price: int, left: int, number: int) -> list[Row]:
        if order_id in self.book.orders or order_id in self.takers or not order_id:
            raise Wrong(f"ADD of order {order_id}, which is already in the book; expected a new order_id")
        if not left:
            raise Wrong("expected a quantity above zero")
        if self._reaches(sign, price):
            self.takers[order_id] = _Taker(ts_ns, order_id, sign, price, left)
            return []
        return [(ts_ns, ADD, sign, order_id, price, left, number)]

    def _shrink(self, ts_ns: int, order_id: int, sign: int, left: int, number: int, *, is_gone: bool) -> list[Row]:
        """CHANGE: ``left`` remains after a match. DELETE: matched in full where nothing remains, else cancelled."""
        taker, entry = self.takers.get(order_id), self.book.orders.get(order_id)
        known = taker or entry
        if known is not None and known.sign != sign:
            raise Wrong(f"expected side {'B' if known.sign > 0 else 'S'}, that of order {order_id}")
        if taker is not None:
            if is_gone:
                del self.takers[order_id]
            taker.left = left
            return []
        if entry is None:
            self.findings.add("rows of orders that rested before the capture or were given up")
            return []
        matched = entry.left - (0 if is_gone and left else left)
        if matched < 0:
            raise Wrong(f"order {order_id} has {entry.left} units left; expected no more than that")
        if is_gone and left:
            return [(ts_ns, DELETE, entry.sign, order_id, entry.price, entry.left, number)]
        return [(ts_ns, EXEC, entry.sign, order_id, entry.price, matched, number)] if matched else []

    def _settle(self, ts_ns: int, number: int) -> list[Row]:
        """Let takers rest that reach nobody any more, and give up what stood in the way of one for too long."""
        rows: list[Row] = []
        for taker in [*self.takers.values()]:
            side = self.book.side(-taker.sign)
            while self._reaches(taker.sign, taker.price) and ts_ns - taker.since_ns >= GHOST_NS:
                order_id, ghost = next(iter(side.levels[side.best()].queue.items()))
                self.findings.add("orders given up, as their cancel was never sent")
                rows.append(self._apply((ts_ns, DELETE, ghost.sign, order_id, ghost.price, ghost.left, number)))
            if not taker.left:
                del self.takers[taker.order_id]
            elif not self._reaches(taker.sign, taker.price):
                del self.takers[taker.order_id]
                rows.append(self._apply((ts_ns, ADD, taker.sign, taker.order_id, taker.price, taker.left, number)))
        return rows

    def _apply(self, row: Row) -> Row:
        self.book.apply(row)
        return row


def read_orders(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of an order file."""
    return each(reading, lines, 7, _Decoder(reading).decode)


def read_trades(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of a trade file; it does not say who took."""
    grid = reading.grid

    def decode(ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        whole(fields[1], "trade_id")
        return ((ts_ns, TRADE, NEITHER, 0, grid.prints[fields[2]], grid.traded(fields[3]), number),)

    return each(reading, lines, 4, decode)


def read_book(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of snapshots of the best levels: each begins with level 1 and replaces what was there."""
    grid = reading.grid
    awaited = 1

    def decode(ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        nonlocal awaited
        level = whole(fields[1], "level")
        if level not in {1, awaited} or level > LEVELS_MAX:
            raise Wrong(f"expected level 1{f' or {awaited}' if awaited > 1 else ''}, was {level}")
        awaited = level + 1
        rows: list[Row] = [(ts_ns, CLEAR, NEITHER, 0, 0, 0, number)] if level == 1 else []
        for sign, price, qty in ((BUY, fields[2], fields[3]), (SELL, fields[4], fields[5])):
            if price and grid.sizes[qty or "0"]:
                rows.append((ts_ns, LEVEL, sign, 0, grid.ticks[price], grid.sizes[qty], number))
        return rows

    return each(reading, lines, 6, decode)


_layout = partial(Layout, depth=LEVELS, mic="BTSP", kind="crypto_spot")

BITSTAMP_LAYOUTS = (
    _layout(
        name="bitstamp orders",
        header="ts_ns,action,side,order_id,price,remaining,created_s",
        title="Bitstamp orders",
        read=read_orders,
        depth=ORDERS,
        prices=(4,),
        sizes=(5,),
        caveat="orders from before the capture are missing and some cancels were never sent: the best price is not always the venue's (right in about "
        "four of five moments); for the levels take the snapshots of the book",
    ),
    _layout(
        name="bitstamp trades",
        header="ts_ns,trade_id,price,qty",
        title="Bitstamp trades",
        read=read_trades,
        prices=(2,),
        sizes=(3,),
        prints_only=True,
    ),
    _layout(
        name="book snapshots",
        header="ts_ns,level,bid,bid_qty,ask,ask_qty",
        title="snapshots of the best levels",
        read=read_book,
        prices=(2, 4),
        sizes=(3, 5),
    ),
)
