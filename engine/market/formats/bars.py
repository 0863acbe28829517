"""Bars ``symbol,ts,open,high,low,close,volume`` (or ``volume_usd``), quote bars, and trades by symbol.

``ts`` is the start of a bar, ISO 8601 in UTC; its length is the shortest step between bars of its symbol. A bar becomes a BAR row for
each side at its start, which the venue keeps to itself, a quote around its open, and at its end one print at the close
with its whole volume, END, and a quote around the close. The made quotes are one tick wide on each side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from engine.domain.clock import NS_PER_S, parse_iso
from engine.market.formats.fields import Wrong, refuse
from engine.market.formats.layout import BARS, LEVELS, Layout, Reading, each
from engine.market.rows import BAR, BUY, END, NEITHER, QUOTE, SELL, TRADE, Feed, Row

MINUTE_NS = 60 * NS_PER_S
PRICES_OF_TRADES = (2, 3, 4, 5)
PRICES_OF_QUOTES = (2, 3, 4, 5, 7, 8, 9, 10)
_Decode = Callable[[int, int, list[str], int], Iterable[Row]]


def _lines_of(reading: Reading, lines: Iterator[str], columns: int) -> tuple[list[tuple[int, list[str], int]], int]:
    """The bars of one symbol, each with its start and row, and their length."""
    path = reading.path
    found: list[tuple[int, list[str], int]] = []
    for number, line in enumerate(lines, 1):
        fields = line.split(",")
        if len(fields) != columns:
            refuse(path, number, line, f"expected {columns} fields, was {len(fields)}")
        if reading.only and fields[0] != reading.only:
            continue
        try:
            start_ns = parse_iso(fields[1])
        except ValueError as error:
            refuse(path, number, line, f"ts: {error}; expected as in 2019-02-11T14:30:00Z")
        if found and start_ns <= found[-1][0]:
            refuse(path, number, line, "the file is not sorted: expected a ts after that of the symbol's row before")
        found.append((start_ns, fields, number))
    steps = [later[0] - earlier[0] for earlier, later in pairwise(found)]
    return found, min(steps, default=MINUTE_NS)


def _decoded(reading: Reading, lines: Iterator[str], columns: int, decode: _Decode) -> Feed:
    bars, length_ns = _lines_of(reading, lines, columns)
    reading.findings.add(f"bars of {length_ns // NS_PER_S} s", len(bars))
    for start_ns, fields, number in bars:
        try:
            for row in decode(start_ns, start_ns + length_ns - 1, fields, number):
                yield reading.key, row
        except Wrong as error:
            refuse(reading.path, number, ",".join(fields), str(error))


def _check(low: int, high: int, *inside: int) -> None:
    if not all(low <= price <= high for price in inside):
        raise Wrong("expected low at most, and high at least, open and close")


def read_bars(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of bars of trades."""
    return _bars(reading, lines, is_in_money=False)


def read_money_bars(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of bars whose volume is money: at the close it is so much of the instrument, rounded down."""
    return _bars(reading, lines, is_in_money=True)


def _bars(reading: Reading, lines: Iterator[str], *, is_in_money: bool) -> Feed:
    grid = reading.grid
    price_unit = 10**reading.instrument.price_digits

    def quote(ts_ns: int, price: int, size: int, number: int) -> list[Row]:
        tick = grid.tick_units(price)
        sides = ((BUY, price // tick * tick - tick), (SELL, -(-price // tick) * tick + tick))
        return [
            (ts_ns, QUOTE, sign, 0, at if at > 0 and size else 0, size if at > 0 else 0, number) for sign, at in sides
        ]

    def decode(start_ns: int, end_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        first, high, low, close = (grid.prints[fields[at]] for at in PRICES_OF_TRADES)
        _check(low, high, first, close)
        volume = grid.volume(fields[6])
        if is_in_money:
            volume = volume * price_unit // close
        shown = max(volume, 1)
        rows: list[Row] = [
            (start_ns, BAR, BUY, low, high, volume, number),
            (start_ns, BAR, SELL, high, low, volume, number),
            *quote(start_ns, first, shown, number),
        ]
        if volume:
            rows.append((end_ns, TRADE, NEITHER, 0, close, volume, number))
        rows.append((end_ns, END, NEITHER, 0, 0, 0, number))
        return rows + quote(end_ns, close, shown, number)

    return _decoded(reading, lines, 7, decode)


def read_quote_bars(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of bars of quotes: what may trade in one is the size shown at its end."""
    grid = reading.grid

    def decode(start_ns: int, end_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        bids, asks = ([grid.prints[fields[at]] for at in range(first, first + 4)] for first in (2, 7))
        for first, high, low, close in (bids, asks):
            _check(low, high, first, close)
        bid_qty, ask_qty = grid.volume(fields[6]), grid.volume(fields[11])
        return (
            (start_ns, BAR, BUY, asks[2], asks[1], ask_qty, number),
            (start_ns, BAR, SELL, bids[1], bids[2], bid_qty, number),
            (start_ns, QUOTE, BUY, 0, bids[0], bid_qty, number),
            (start_ns, QUOTE, SELL, 0, asks[0], ask_qty, number),
            (end_ns, END, NEITHER, 0, 0, 0, number),
            (end_ns, QUOTE, BUY, 0, bids[3], bid_qty, number),
            (end_ns, QUOTE, SELL, 0, asks[3], ask_qty, number),
        )

    return _decoded(reading, lines, 12, decode)


def read_symbol_trades(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of trades by symbol."""
    grid = reading.grid

    def decode(ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        if reading.only and fields[1] != reading.only:
            return ()
        size = grid.sizes[fields[3]]
        if not size:
            raise Wrong("expected a quantity above zero")
        return ((ts_ns, TRADE, NEITHER, 0, grid.prints[fields[2]], size, number),)

    return each(reading, lines, 4, decode)


BAR_LAYOUTS = (
    Layout(
        name="bars",
        header="symbol,ts,open,high,low,close,volume",
        title="bars of trades",
        read=read_bars,
        depth=BARS,
        prices=PRICES_OF_TRADES,
        sizes=(6,),
        symbol=0,
    ),
    Layout(
        name="bars with volume in money",
        header="symbol,ts,open,high,low,close,volume_usd",
        title="bars of trades, volume in US dollars",
        read=read_money_bars,
        depth=BARS,
        prices=PRICES_OF_TRADES,
        symbol=0,
        kind="perpetual",
    ),
    Layout(
        name="quote bars",
        header="symbol,ts,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size",
        title="bars of quotes",
        read=read_quote_bars,
        depth=BARS,
        prices=PRICES_OF_QUOTES,
        sizes=(6, 11),
        symbol=0,
    ),
    Layout(
        name="trades by symbol",
        header="ts_ns,symbol,price,qty",
        title="trades by symbol",
        read=read_symbol_trades,
        depth=LEVELS,
        prices=(2,),
        sizes=(3,),
        symbol=1,
        prints_only=True,
    ),
)
