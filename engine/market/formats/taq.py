"""Trades and quotes of US stocks (TAQ): one national best bid and offer stream, and the consolidated prints.

Two writings: quotes ``ts_ns,side,price,qty,exchange,suspicious`` with trades ``ts_ns,price,qty,exchange,cond,suspicious`` (``cond``
a hexadecimal flag word), and quotes ``ts_ns,exchange,bid,bid_lots,ask,ask_lots`` with trades ``ts_ns,price,qty,exchange,cond,corr``
(sale conditions as letters). The last row of a side is the best of that side: books per exchange cannot be rebuilt.

A print reported by FINRA (``D``), outside regular hours, late or out of sequence took part in no queue on an exchange: it counts as volume
and fills nobody. Rows marked suspicious, corrected or cancelled are left out and counted. Official opening and closing prints are marked by
flag (40 and 80, and where an exchange calls a price its official one 4000000 and 1000000) or by letter (O and 6, Q and M).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial

from engine.market.formats.fields import Wrong, side_of, whole
from engine.market.formats.layout import LEVELS, Layout, Reading, each
from engine.market.official import CLOSE_PRICE, CLOSE_PRINT, EXCHANGES, OPEN_PRICE, OPEN_PRINT, Mark
from engine.market.rows import BUY, HIDDEN, NEITHER, QUOTE, SELL, TRADE, Feed, Row

LOT = 100
"""Shares in a lot of the second writing."""
OFF_EXCHANGE = "D"
REGULAR_FLAGS = 0x1 | 0x20 | 0x40 | 0x80 | 0x20000000
"""Flags of the first writing that leave a print regular: regular, intermarket sweep, opening, closing, exempt under Rule 611. Any
other (2000 is extended hours) sets it aside."""
LATE_LETTERS = frozenset("TUZLGPBWCNRV4789HMQ")
"""Letters of the second writing: extended hours, out of sequence, late, average or derived prices, official prints."""
_MARK_FLAGS = ((0x40, OPEN_PRINT), (0x80, CLOSE_PRINT), (0x4000000, OPEN_PRICE), (0x1000000, CLOSE_PRICE))
_MARK_LETTERS = (("O", OPEN_PRINT), ("6", CLOSE_PRINT), ("Q", OPEN_PRICE), ("M", CLOSE_PRICE))
Condition = tuple[bool, int | None]
"""Whether it sets the print aside, and what it marks it as."""
_EXCHANGE = re.compile(r"[A-Z]")
_HEX = re.compile(r"[0-9a-fA-F]{1,16}")


def _exchange(word: str) -> str:
    if not _EXCHANGE.fullmatch(word):
        raise Wrong(f"expected the capital letter of an exchange, was {word[:20]!r}")
    return word


def _flag(word: str, name: str) -> bool:
    """Whether a row is marked."""
    return whole(word, name) != 0


@lru_cache(maxsize=4_096)
def _by_flags(word: str) -> Condition:
    if not _HEX.fullmatch(word):
        raise Wrong(f"expected a hexadecimal flag word in cond, was {word[:20]!r}")
    flags = int(word, 16)
    mark = next((kind for flag, kind in _MARK_FLAGS if flags & flag), None)
    return bool(flags & ~REGULAR_FLAGS), mark


@lru_cache(maxsize=4_096)
def _by_letters(word: str) -> Condition:
    return not LATE_LETTERS.isdisjoint(word), next((kind for letter, kind in _MARK_LETTERS if letter in word), None)


def _trades(marked: str, read_condition: Callable[[str], Condition]) -> Callable[[Reading, Iterator[str]], Feed]:
    def read(reading: Reading, lines: Iterator[str]) -> Feed:
        grid, findings = reading.grid, reading.findings

        def decode(ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
            _, price, qty, exchange, cond, mark = fields
            at, size = grid.prints[price], grid.traded(qty)
            is_late, kind = read_condition(cond)
            is_aside = _exchange(exchange) == OFF_EXCHANGE or is_late
            if _flag(mark, marked):
                findings.add(f"prints marked {marked}, left out")
                return ()
            if kind is not None and exchange != OFF_EXCHANGE:
                mic = EXCHANGES.get(exchange, f"XXX{exchange}")
                reading.mark(Mark(ts_ns, kind, mic, at, size, number))
            if is_aside:
                findings.add("prints off the exchanges or out of order: volume only, they fill nobody")
            return ((ts_ns, HIDDEN if is_aside else TRADE, NEITHER, 0, at, size, number),)

        return each(reading, lines, 6, decode)

    return read


def read_sides(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of quotes, one side each."""
    grid, findings = reading.grid, reading.findings

    def decode(ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        _, side, price, qty, exchange, mark = fields
        sign, size = side_of(side), grid.sizes[qty]
        _exchange(exchange)
        if _flag(mark, "suspicious"):
            findings.add("quotes marked suspicious, left out")
            return ()
        if not size:
            return ((ts_ns, QUOTE, sign, 0, 0, 0, number),)
        return ((ts_ns, QUOTE, sign, 0, grid.ticks[price], size, number),)

    return each(reading, lines, 6, decode)


def read_pairs(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of quotes with both sides; a price or size of 0 is an empty side."""
    grid = reading.grid

    def decode(ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        _, exchange, bid, bid_lots, ask, ask_lots = fields
        _exchange(exchange)
        rows: list[Row] = []
        for sign, price, lots in ((BUY, bid, bid_lots), (SELL, ask, ask_lots)):
            size = whole(lots, "the lots") * LOT
            is_empty = not size or not price.strip("0.")
            at = 0 if is_empty else grid.ticks[price]
            rows.append((ts_ns, QUOTE, sign, 0, at, 0 if is_empty else grid.sizes[str(size)], number))
        return rows

    return each(reading, lines, 6, decode)


_layout = partial(Layout, depth=LEVELS, mic="NBBO")

TAQ_LAYOUTS = (
    _layout(
        name="taq quotes",
        header="ts_ns,side,price,qty,exchange,suspicious",
        title="national best bid and offer (TAQ), a side a row",
        read=read_sides,
        prices=(2,),
        sizes=(3,),
    ),
    _layout(
        name="taq trades",
        header="ts_ns,price,qty,exchange,cond,suspicious",
        title="consolidated trades (TAQ), conditions as flags",
        read=_trades("suspicious", _by_flags),
        prices=(1,),
        sizes=(2,),
        prints_only=True,
    ),
    _layout(
        name="taq quote pairs",
        header="ts_ns,exchange,bid,bid_lots,ask,ask_lots",
        title="national best bid and offer (TAQ), both sides a row",
        read=read_pairs,
        prices=(2, 4),
        sizes=(3, 5),
    ),
    _layout(
        name="taq trades with letters",
        header="ts_ns,price,qty,exchange,cond,corr",
        title="consolidated trades (TAQ), conditions as letters",
        read=_trades("corr", _by_letters),
        prices=(1,),
        sizes=(2,),
        prints_only=True,
    ),
)
