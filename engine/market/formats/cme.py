"""CME market by order: ``ts_ns,recv_ns,action,side,order_id,price,qty,last,seq``.

``SNAP`` rows are the book at the start, in queue order; they count as of the first row behind them, because their time is that of the
snapshot. A FILL is matched at once and the CANCEL or MODIFY that the exchange sends for it afterwards is taken as done. ``last`` = 1
closes an event. ``seq`` numbers the messages of the whole channel, those of other instruments too: it has gaps in every sound file, and
never goes back, but where the channel counts anew with a new week.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.domain.clock import NS_PER_S
from engine.market.formats.fields import AGGRESSORS, Wrong, moment, side_of, whole
from engine.market.formats.layout import ORDERS, Layout, Reading, each
from engine.market.rows import ADD, DELETE, END, FILL, MODIFY, NEITHER, REDUCE, TRADE, Feed, Row

ANEW_NS = 6 * 3_600 * NS_PER_S
"""A pause from which ``seq`` may begin anew: longer than a day's maintenance, shorter than a weekend."""
ACTIONS = ("SNAP", "ADD", "CANCEL", "MODIFY", "TRADE", "FILL")


class _Order:
    """What the feed has left of one order."""

    __slots__ = ("filled", "left", "price", "sign")

    def __init__(self, sign: int, price: int, left: int) -> None:
        self.sign = sign
        self.price = price
        self.left = left
        self.filled = 0
        """Matched, and not yet taken off by a CANCEL or MODIFY."""


class _Decoder:
    def __init__(self, reading: Reading) -> None:
        self.grid = reading.grid
        self.findings = reading.findings
        self.orders: dict[int, _Order] = {}
        self.started: list[Row] = []
        """Rows of the start book, until its time is known."""
        self.has_begun = False
        self.seq = 0
        self.last_ns = 0

    def decode(self, ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        """The rows of one line."""
        _, received, action, side, order, price, qty, last, seq = fields
        moment(received, "recv_ns")
        if last not in {"0", "1"}:
            raise Wrong(f"expected 0 or 1 in last, was {last[:20]!r}")
        order_id, count = whole(order, "order_id"), whole(seq, "seq")
        if action == "SNAP":
            if self.has_begun:
                raise Wrong("expected SNAP rows at the start only")
            self.started += self._add(ts_ns, side, order_id, price, qty, number)
            return ()
        self._follow(ts_ns, count)
        rows = self._begin(ts_ns, number)
        match action:
            case "ADD":
                rows += self._add(ts_ns, side, order_id, price, qty, number)
            case "CANCEL":
                rows += self._cancel(ts_ns, order_id, side_of(side), self.grid.ticks[price], self._size(qty), number)
            case "MODIFY":
                rows += self._modify(ts_ns, order_id, side_of(side), self.grid.ticks[price], self._size(qty), number)
            case "TRADE":
                sign = side_of(side, AGGRESSORS)
                rows.append((ts_ns, TRADE, sign, 0, self.grid.prints[price], self._size(qty), number))
            case "FILL":
                side_of(side, AGGRESSORS)  # N in an auction
                rows += self._fill(ts_ns, order_id, self.grid.prints[price], self._size(qty), number)
            case _:
                raise Wrong(f"unknown action {action[:20]!r}; expected one of {', '.join(ACTIONS)}")
        if last == "1":
            rows.append((ts_ns, END, NEITHER, 0, 0, 0, number))
        return rows

    def _follow(self, ts_ns: int, seq: int) -> None:
        """Hold the number of a message behind the start book against the one before."""
        if seq < self.seq:
            if ts_ns - self.last_ns < ANEW_NS:
                raise Wrong(f"expected a seq of at least {self.seq}, that of the row before, was {seq}")
            self.findings.add("times that the channel's seq began anew behind a pause")
        self.seq, self.last_ns = seq, ts_ns

    def _begin(self, ts_ns: int, number: int) -> list[Row]:
        if self.has_begun:
            return []
        self.has_begun = True
        rows: list[Row] = [(ts_ns, *row[1:]) for row in self.started]
        if rows:
            rows.append((ts_ns, END, NEITHER, 0, 0, 0, number))
        self.started = []
        return rows

    def _size(self, qty: str) -> int:
        size = self.grid.sizes[qty]
        if not size:
            raise Wrong("expected a quantity above zero")
        return size

    def _add(self, ts_ns: int, side: str, order_id: int, price: str, qty: str, number: int) -> list[Row]:
        if order_id in self.orders or not order_id:
            raise Wrong(f"order {order_id} is in the book already; expected a new order_id")
        sign, at, size = side_of(side), self.grid.ticks[price], self._size(qty)
        self.orders[order_id] = _Order(sign, at, size)
        return [(ts_ns, ADD, sign, order_id, at, size, number)]

    def _unknown(self, ts_ns: int, order_id: int, number: int) -> list[Row]:
        """A row of an order that was never announced: the book counts it."""
        return [(ts_ns, DELETE, NEITHER, order_id, 0, 0, number)]

    def _cancel(self, ts_ns: int, order_id: int, sign: int, price: int, qty: int, number: int) -> list[Row]:
        order = self.orders.get(order_id)
        if order is None:
            return self._unknown(ts_ns, order_id, number)
        if (sign, price) != (order.sign, order.price):
            raise Wrong(f"expected the side and price of order {order_id}, {self._place(order)}")
        done = min(order.filled, qty)
        order.filled -= done
        qty -= done
        if qty > order.left:
            raise Wrong(
                f"CANCEL of {qty} units more than were matched of order {order_id}, of which {order.left} are left"
            )
        rows: list[Row] = []
        if qty:
            action = DELETE if qty == order.left else REDUCE
            rows.append((ts_ns, action, order.sign, order_id, order.price, qty, number))
            order.left -= qty
        if not order.left and not order.filled:
            del self.orders[order_id]
        return rows

    def _place(self, order: _Order) -> str:
        return f"{'B' if order.sign > 0 else 'S'} at {self.grid.instrument.price_of(order.price)}"

    def _modify(self, ts_ns: int, order_id: int, sign: int, price: int, qty: int, number: int) -> list[Row]:
        order = self.orders.get(order_id)
        if order is None:
            return self._unknown(ts_ns, order_id, number)
        if sign != order.sign:
            raise Wrong(f"expected the side of order {order_id}, {self._place(order)}")
        order.filled = 0
        if price == order.price and 0 < qty <= order.left:
            less, order.left = order.left - qty, qty
            return [(ts_ns, REDUCE, order.sign, order_id, price, less, number)] if less else []
        if not order.left:  # the book let it go when its last unit was matched
            order.price, order.left = price, qty
            return [(ts_ns, ADD, order.sign, order_id, price, qty, number)]
        order.price, order.left = price, qty
        return [(ts_ns, MODIFY, order.sign, order_id, price, qty, number)]

    def _fill(self, ts_ns: int, order_id: int, price: int, qty: int, number: int) -> list[Row]:
        order = self.orders.get(order_id)
        if order is None:
            # The taker of an auction, or an order that never rested: nothing in the book changes.
            self.findings.add("fills of orders that are not in the book")
            return []
        shown = min(qty, order.left)
        order.left -= shown
        order.filled += shown
        rows: list[Row] = [(ts_ns, FILL, order.sign, order_id, price, shown, number)] if shown else []
        if qty > shown:  # an iceberg: the rest came out of its reserve
            self.findings.add("fills beyond what their order displayed (icebergs)")
            rows.append((ts_ns, FILL, order.sign, 0, price, qty - shown, number))
        return rows


def read_cme(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of a market-by-order file."""
    decoder = _Decoder(reading)
    yield from each(reading, lines, 9, decoder.decode)
    for row in decoder.started:
        yield reading.key, row


CME_LAYOUT = Layout(
    name="cme",
    header="ts_ns,recv_ns,action,side,order_id,price,qty,last,seq",
    title="CME market by order",
    read=read_cme,
    depth=ORDERS,
    mic="XCME",
    prices=(5,),
    sizes=(6,),
    kind="future",
)
