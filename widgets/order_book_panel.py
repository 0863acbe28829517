"""The market's book beside our own orders: a still ladder where there is room, both sides next to each other where not."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from engine.domain.clock import NS_PER_S
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Price, Qty
from engine.domain.order import OrderState, Side
from engine.views import BookView, DeskView, QuoteView
from widgets.blotter import queue_words
from widgets.formats import exact, fixed, quantity, seconds, short_quantity
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row
from widgets.watch_list import change_words

LADDER = (
    Column(" mine", 7),
    Column("bid", 8, is_right=True, is_live=True),
    Column("price", 11, is_right=True),
    Column("ask", 8, is_right=True, is_live=True),
    Column("", 0),
)
SIDES = (
    Column("bid", 10, is_right=True),
    Column("size", 6, is_right=True),
    Column("size", 6, is_right=True),
    Column("ask", 0, is_right=True),
)
TALL_FROM = 10
"""Lines from which the ladder stands upright."""
STALE_SHOWN_NS = NS_PER_S
RESTING = frozenset({OrderState.NEW, OrderState.PARTIALLY_FILLED})
EMPTY = "no book yet: it comes with the first quote; 5 shows whether the feed is up"
EMPTY_PAST = "no book: it needs a tape"


class OrderBookPanel(LiveTable):
    """Rows stand still at their prices; the market moves through them until it nears an edge, or ``m`` recentres."""

    def __init__(self) -> None:
        super().__init__(LADDER, title="Book", empty=EMPTY, id="ladder")
        self.symbol = ""
        self._top: Price | None = None
        self._digits = 2

    @property
    def price(self) -> str:
        """The price under the cursor, as digits; empty where there is none."""
        row = self.row
        return row.id.partition(":")[2] if row is not None else ""

    def recentre(self) -> None:
        """Put the market in the middle at the next picture."""
        self._top = None

    def draw(self, frame: Frame) -> None:
        """Show the book of the symbol under the cursor."""
        view, symbol, now_ns = frame.view, frame.symbol, frame.now_ns
        if symbol != self.symbol:
            self.symbol, self._top = symbol, None
            self.release()
        made = frame.instruments.get(symbol)
        self._digits = 2 if made is None else made.tick_digits
        book = next((book for book in view.books if book.symbol == symbol), None)
        quote = next((quote for quote in view.quotes if quote.symbol == symbol), None)
        self.empty = EMPTY_PAST if view.status.mode == "PAST" else EMPTY
        self._say(book, quote, now_ns, own_place(view, symbol, self.price))
        height = self.size.height - 1
        columns = LADDER if height >= TALL_FROM else SIDES
        if columns is not self.columns:
            self.columns = columns
            self.release()
        if book is None and quote is not None and made is not None:
            book = _touch(quote, made)
        if book is None or not (book.bids or book.asks):
            self.show((), now_ns)
            return
        own = own_orders(view, symbol)
        if columns is SIDES:
            self.show(self._sides(book, own, height), now_ns)
            return
        still = self._still(book, own, height)
        self.show(self._levels(book, own, height) if still is None else still, now_ns)

    def _say(self, book: BookView | None, quote: QuoteView | None, now_ns: int, place: str) -> None:
        title, words = f"Book {self.symbol}".rstrip(), ""
        if quote is not None:
            last = exact(quote.last, self._digits)
            change = f" {change_words(quote)}%" if quote.change_pct else ""
            title = f"{self.symbol} {last}{change}"
            if quote.stale:
                title = f"{self.symbol} STALE {seconds(now_ns - quote.ts_ns)}"
            if quote.status != "open":
                words = f"{quote.status} "
        if book is not None and book.bids and book.asks:
            ticks = int(EXACT.divide_int(book.asks[0][0] - book.bids[0][0], book.tick))
            words += f"spread {ticks}t  {book.venue}"
        self.retitle(title, f"{words}  {place}".strip())

    # -- upright -----------------------------------------------------------------------------------------------------------

    def _still(self, book: BookView, own: Mapping[Decimal, str], height: int) -> list[Row] | None:
        """One row per tick; None where the spread does not leave room for it."""
        best = book.asks[0][0] if book.asks else book.bids[0][0]
        low = book.bids[0][0] if book.bids else best
        spread = int(EXACT.divide_int(best - low, book.tick))
        if spread > height // 3:
            self._top = None
            return None
        if self._top is None or not self._fits(best, low, book.tick, height):
            above = (height - spread) // 2
            self._top = best + EXACT.multiply(book.tick, above)
        bids, asks = dict(book.bids), dict(book.asks)
        rows, price = [], self._top
        for _ in range(height):
            rows.append(self._price_row(price, bids.get(price), asks.get(price), own.get(price, ""), best, low))
            price = price - book.tick
        return rows

    def _fits(self, best: Price, low: Price, tick: Price, height: int) -> bool:
        assert self._top is not None
        bottom = self._top - EXACT.multiply(tick, height - 1)
        margin = EXACT.multiply(tick, 2)
        return best + margin <= self._top and low - margin >= bottom

    def _levels(self, book: BookView, own: Mapping[Decimal, str], height: int) -> list[Row]:
        """Only prices with size, where ticks are small beside the spread."""
        half = height // 2
        asks = [self._price_row(p, None, q, own.get(p, ""), p, p - book.tick) for p, q in book.asks[:half]]
        bids = [self._price_row(p, q, None, own.get(p, ""), p + book.tick, p) for p, q in book.bids[:half]]
        return [*reversed(asks), Row("#spread", ("spread",), is_rule=True), *bids]

    def _price_row(self, price: Price, bid: Qty | None, ask: Qty | None, own: str, best: Price, low: Price) -> Row:
        words = fixed(price, self._digits)
        tone = "dim" if not (bid or ask) else "sell" if price >= best else "buy" if price <= low else "dim"
        mine = Cell(f" {own}", "strong") if own else ""
        cells = (mine, _size(bid, "buy"), Cell(words, tone), _size(ask, "sell"), "")
        return Row(f"p:{words.replace(',', '')}", cells)

    # -- side by side ------------------------------------------------------------------------------------------------------

    def _sides(self, book: BookView, own: Mapping[Decimal, str], height: int) -> list[Row]:
        rows = []
        for index in range(min(height, max(len(book.bids), len(book.asks)))):
            bid = book.bids[index] if index < len(book.bids) else None
            ask = book.asks[index] if index < len(book.asks) else None
            cells = (*self._half(bid, own, "buy"), *reversed(self._half(ask, own, "sell")))
            price = fixed((bid or ask or (None,))[0], self._digits)
            rows.append(Row(f"{index}:{price.replace(',', '')}", cells))
        return rows

    def _half(self, level: tuple[Price, Qty] | None, own: Mapping[Decimal, str], tone: str) -> tuple[str | Cell, ...]:
        if level is None:
            return ("", "")
        mark = "*" if level[0] in own else ""
        return (Cell(f"{mark}{fixed(level[0], self._digits)}", tone), short_quantity(level[1], 5) if level[1] else "")


def _touch(quote: QuoteView, made: Instrument) -> BookView:
    """Where only the best prices are known: a book of one level."""
    bids = () if quote.bid is None else ((quote.bid, quote.bid_qty or Qty(0)),)
    asks = () if quote.ask is None else ((quote.ask, quote.ask_qty or Qty(0)),)
    tick = made.tick_at(quote.bid or quote.ask or made.ticks[0].above)
    return BookView(symbol=quote.symbol, venue=quote.venue, ts_ns=quote.ts_ns, tick=tick, bids=bids, asks=asks)


def own_orders(view: DeskView, symbol: str) -> dict[Decimal, str]:
    """What we have working at each price: ``B200``; unknown orders count, marked."""
    open_at: dict[Decimal, tuple[Side, Qty, bool]] = {}
    for order in view.orders:
        price = order.limit
        if order.symbol != symbol or not order.parent_id or not order.state.is_live or price is None:
            continue
        _, qty, unknown = open_at.get(price, (order.side, Qty(0), False))
        open_at[price] = (order.side, qty + order.qty - order.qty_filled, unknown or order.state.value == "unknown")
    return {
        price: f"{side.letter}{quantity(qty)}{'?' if unknown else ''}"
        for price, (side, qty, unknown) in open_at.items()
    }


def own_place(view: DeskView, symbol: str, price: str) -> str:
    """What stands ahead of our order at the price under the cursor, else of the one nearest to the market.

    ``ahead 1,200``, with a ``~`` where it is estimated; ``no queue`` where an order of ours rests and nobody tells its place.
    """
    resting = [
        order
        for order in view.orders
        if order.symbol == symbol
        and order.parent_id
        and order.state in RESTING
        and order.limit is not None
        and order.type == "limit"
    ]
    if not resting:
        return ""
    here = [order for order in resting if price and order.limit == Decimal(price)]
    nearest = here or sorted(resting, key=lambda order: -EXACT.multiply(order.limit or Price(0), order.side.sign))
    return f"ahead {queue_words(nearest[0])}" if nearest[0].queue_ahead is not None else "no queue"


def _size(qty: Qty | None, tone: str) -> str | Cell:
    return "" if not qty else Cell(quantity(qty), tone)
