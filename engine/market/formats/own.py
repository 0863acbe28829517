"""Our layout of quotes, trades and levels: ``ts_ns,kind,venue,side,price,qty``."""

from __future__ import annotations

from collections.abc import Iterator

from engine.market.formats.fields import AGGRESSORS, MIC, ODD, SIDES, TS_MAX, TS_MIN, Grid, Wrong, order_fault, refuse
from engine.market.formats.layout import LEVELS, Layout, Reading
from engine.market.official import CLOSE_PRICE, CLOSE_PRINT, OPEN_PRICE, OPEN_PRINT, Mark
from engine.market.rows import CLEAR, HALT, HIDDEN, LEVEL, NEITHER, QUOTE, RESUME, TRADE, Feed, listing_key

KINDS = {
    "quote": QUOTE,
    "level": LEVEL,
    "trade": TRADE,
    "hidden": HIDDEN,
    "clear": CLEAR,
    "halt": HALT,
    "resume": RESUME,
}
MARKS = {"open-print": OPEN_PRINT, "close-print": CLOSE_PRINT, "open-price": OPEN_PRICE, "close-price": CLOSE_PRICE}
"""Kinds of rows that mark an official print: their venue is the exchange that marks it, and nothing of the market is in them."""
KIND_COLUMN, VENUE_COLUMN = 1, 2


def read_own(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of our layout."""
    path, grid = reading.path, reading.grid
    keys: dict[str, str] = {}
    last = TS_MIN
    odd = ODD.search
    for number, line in enumerate(lines, 1):
        try:
            when, kind, venue, side, price, qty = line.split(",")
            code = KINDS.get(kind)
            ts_ns = int(when)
            if ts_ns < last or odd(line) or ts_ns > TS_MAX:
                refuse(path, number, line, order_fault(ts_ns, last))
            last = ts_ns
            if code is None:
                reading.mark(_mark(ts_ns, MARKS[kind], venue, side, price, qty, grid, number))
                continue
            key = keys.get(venue)
            if key is None:
                key = keys[venue] = _venue_key(venue, grid.instrument.symbol)
            row = (ts_ns, code, *_fields(code, side, price, qty, grid), number)
        except (ValueError, KeyError) as error:
            refuse(path, number, line, _fault(line, error))
        yield key, row


def _venue_key(venue: str, symbol: str) -> str:
    if not MIC.fullmatch(venue):
        raise Wrong(f"expected a venue of 4 capitals and digits, was {venue!r}")
    return listing_key(symbol, venue)


def _mark(ts_ns: int, kind: int, venue: str, side: str, price: str, qty: str, grid: Grid, number: int) -> Mark:
    _venue_key(venue, grid.instrument.symbol)
    if side != "N":
        raise Wrong(f"expected side N, was {side!r}")
    return Mark(ts_ns, kind, venue, grid.prints[price], grid.traded(qty), number)


def _fields(code: int, side: str, price: str, qty: str, grid: Grid) -> tuple[int, int, int, int]:
    """Side, order id, price and quantity of one row of our layout."""
    if code in {CLEAR, HALT, RESUME}:
        if price or qty or side != "N":
            raise Wrong("expected side N and an empty price and qty")
        return NEITHER, 0, 0, 0
    if code in {TRADE, HIDDEN}:
        return AGGRESSORS[side], 0, grid.prints[price], grid.traded(qty)
    if code == QUOTE and not price:
        if qty not in {"", "0"}:
            raise Wrong("expected no quantity where there is no price")
        return SIDES[side], 0, 0, 0
    size = grid.sizes[qty]
    if code == QUOTE and not size:
        raise Wrong("expected a quantity above zero, or an empty price and qty for an empty side")
    return SIDES[side], 0, grid.ticks[price], size


def _fault(line: str, error: Exception) -> str:
    fields = line.split(",")
    if len(fields) != 6:
        return f"expected 6 fields, was {len(fields)}"
    if isinstance(error, Wrong):
        return str(error)
    if fields[KIND_COLUMN] not in {*KINDS, *MARKS}:
        return f"unknown kind {fields[KIND_COLUMN]!r}; expected one of {', '.join((*KINDS, *MARKS))}"
    if fields[3] not in {*SIDES, "N"} or (fields[1] in {"quote", "level"} and fields[3] == "N"):
        return f"unknown side {fields[3]!r}; expected B or S" + (" or N" if fields[1] in {"trade", "hidden"} else "")
    return "expected a whole number in ts_ns"


OWN_LAYOUT = Layout(
    name="own",
    header="ts_ns,kind,venue,side,price,qty",
    title="quotes, trades and levels (ours)",
    read=read_own,
    depth=LEVELS,
)
