"""What holds for any feed and any orders of ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from brokers.paper.matching import OrderListing
from engine.domain.events import Fill, encode
from engine.domain.order import Liquidity, Side, Tif
from engine.market.book import OrderBook
from engine.market.fees import shipped_fees
from engine.market.rows import ADD, DELETE, EXEC, HIDDEN, REDUCE
from tests.paper_venue.lab import FREE, ME, Lab

Step = tuple[int, int, int, int]

STEPS = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 10**6), st.integers(-6, 6), st.integers(1, 120)),
    min_size=5,
    max_size=120,
)


@dataclass
class Pure:
    """The feed's own world, in which we do not exist: rows that are possible there."""

    book: OrderBook = field(default_factory=OrderBook)
    rows: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    ids: int = 0

    def next(self, kind: int, pick: int, offset: int, qty: int) -> tuple[int, int, int, int, int] | None:
        """A row (action, sign, id, price, qty), or None where the step asks for something that cannot be."""
        book = self.book
        if kind <= 3 or not book.orders:
            return self._add(1 if pick % 2 else -1, 1000 + offset, qty)
        if kind == 4:
            return HIDDEN, 1 if pick % 2 else -1, 0, 1000 + offset, qty
        if kind == 5:  # an execution hits the front of the best level
            side = book.bids if (pick % 2 and book.bids.prices) or not book.asks.prices else book.asks
            order_id, entry = next(iter(side.levels[side.best()].queue.items()))
            qty = min(qty, entry.left)
            book.execute(order_id, entry, qty)
            return EXEC, entry.sign, order_id, entry.price, qty
        order_id = list(book.orders)[pick % len(book.orders)]
        entry = book.orders[order_id]
        sign, price = entry.sign, entry.price
        if kind == 6 and entry.left > 1:
            qty = min(qty, entry.left - 1)
            book.reduce(order_id, entry, qty)
            return REDUCE, sign, order_id, price, qty
        left = entry.left
        book.delete(order_id, entry, left)
        return DELETE, sign, order_id, price, left

    def _add(self, sign: int, price: int, qty: int) -> tuple[int, int, int, int, int] | None:
        other = self.book.side(-sign)
        if other.prices and (price - other.best()) * sign >= 0:
            return None
        self.ids += 1
        self.book.add(self.ids, sign, price, qty, len(self.rows) + 1)
        return ADD, sign, self.ids, price, qty


def play(steps: list[Step], *, with_orders: bool) -> tuple[Lab, Pure]:
    """Play steps as feed rows (kinds 0 to 7) and as orders of ours (8 to 11)."""
    lab, pure = Lab(replace(FREE, fees=shipped_fees())), Pure()
    for kind, pick, offset, qty in steps:
        if kind <= 7:
            row = pure.next(kind, pick, offset, qty)
            if row is not None:
                pure.rows.append(row)
                lab.row(*row)
        elif with_orders:
            trade(lab, kind, pick, f"{(1000 + offset) / 100:.2f}", qty)
        check(lab)
    return lab, pure


def trade(lab: Lab, kind: int, pick: int, limit: str, qty: int) -> None:
    side = Side.BUY if pick % 2 else Side.SELL
    if kind == 8:
        lab.order(side, qty)
    elif kind == 9:
        lab.order(side, qty, limit)
    elif kind == 10:
        open_orders = lab.core.open_orders(ME)
        if open_orders and pick % 3:
            lab.amend(open_orders[pick % len(open_orders)].wire_id, qty, limit)
        elif open_orders:
            lab.cancel(open_orders[pick % len(open_orders)].wire_id)
    else:
        lab.order(side, qty, limit, tif=[Tif.IOC, Tif.FOK, Tif.GTC][pick % 3], post_only=pick % 3 == 2)


def check(lab: Lab) -> None:
    """After each step: nothing negative, nothing crossed, every level the sum of its orders, every account exact."""
    listing = lab.core.listings[lab.key]
    assert isinstance(listing, OrderListing)
    for ladder in (listing.book.bids, listing.book.asks):
        assert ladder.prices == sorted(ladder.levels)
        for level in ladder.levels.values():
            assert level.total == sum(entry.left for entry in level.queue.values()) > 0
            assert all(entry.left > 0 for entry in level.queue.values())
    assert all(entry.left >= 0 and entry.taken >= 0 for entry in listing.book.orders.values())
    bids, asks = listing.book.bids, listing.book.asks
    assert not (bids.prices and asks.prices and bids.best() >= asks.best())
    for order in lab.core.orders_since(ME, 0):
        assert 0 <= order.qty_filled <= order.qty
    lab.core.check()


@given(STEPS)
def test_without_orders_the_venue_is_the_pure_book(steps: list[Step]) -> None:
    lab, pure = play(steps, with_orders=False)
    assert lab.events == []
    for sign in (1, -1):
        assert lab.book.side(sign).top(99) == pure.book.side(sign).top(99)


@given(STEPS)
def test_a_unit_of_feed_volume_serves_one_fill_at_most(steps: list[Step]) -> None:
    lab, pure = play(steps, with_orders=True)
    made: dict[int, int] = {}
    for fill in lab.fills:
        if fill.liquidity is Liquidity.MAKER:
            made[fill.tape_row] = made.get(fill.tape_row, 0) + int(fill.qty)
    for row, qty in made.items():
        action, volume = pure.rows[row - 1][0], pure.rows[row - 1][4]
        assert action in {ADD, EXEC, HIDDEN}
        assert qty <= volume
    visible = sum(row[4] for row in pure.rows if row[0] == ADD)
    hidden = sum(row[4] for row in pure.rows if row[0] == HIDDEN)
    taken = sum(int(fill.qty) for fill in lab.fills if fill.liquidity is Liquidity.TAKER)
    assert taken <= visible
    assert taken + sum(made.values()) <= visible + hidden


@given(STEPS)
def test_the_shadow_book_never_holds_more_than_the_feed(steps: list[Step]) -> None:
    lab, pure = play(steps, with_orders=True)
    assert set(lab.book.orders) == set(pure.book.orders), "no ghost stays, none is lost"
    for order_id, entry in lab.book.orders.items():
        assert entry.left + entry.taken == pure.book.orders[order_id].left


@given(STEPS)
def test_our_orders_at_one_price_fill_first_in_first_out(steps: list[Step]) -> None:
    lab, _ = play(steps, with_orders=True)
    makers: dict[tuple[int, Side], list[Fill]] = {}
    for fill in lab.fills:
        if fill.liquidity is Liquidity.MAKER:
            makers.setdefault((fill.tape_row, fill.side), []).append(fill)
    for fills in makers.values():
        for before, after in pairwise(fills):
            assert (after.price - before.price) * after.side.sign <= 0
            if after.price == before.price:
                assert before.rests_from_row <= after.rests_from_row


@given(STEPS)
def test_the_same_steps_give_the_same_reports(steps: list[Step]) -> None:
    first, _ = play(steps, with_orders=True)
    second, _ = play(steps, with_orders=True)
    assert [encode(event) for event in first.events] == [encode(event) for event in second.events]
