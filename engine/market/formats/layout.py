"""What a layout of recorded files is, and what its reader works with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from math import gcd
from pathlib import Path

import msgspec

from engine.domain.errors import DataError
from engine.domain.instrument import Instrument, is_symbol
from engine.domain.money import EXACT
from engine.market.formats.fields import TS_MAX, TS_MIN, Grid, Wrong, lines_of, order_fault, refuse, whole
from engine.market.official import MARKS_MAX, Mark
from engine.market.rows import Feed, Row, listing_key

ORDERS, LEVELS, BARS = "L3", "L1/L2", "bars"
"""Depths: every order is named; levels, quotes and trades; nothing but bars."""

STEP_DIGITS_MAX = 12


class Findings:
    """What a reader noticed and did not refuse: sentences with how often, for `bolt data inspect` and the realism report."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, what: str, count: int = 1) -> None:
        """Count something; ``what`` reads on after the number."""
        self.counts[what] = self.counts.get(what, 0) + count

    def words(self) -> tuple[str, ...]:
        """One sentence each."""
        return tuple(f"{count or 'no'} {what}" for what, count in self.counts.items())


class Reading:
    """One pass over one file, for one symbol."""

    def __init__(self, path: Path, instrument: Instrument, only: str, *, loose: bool) -> None:
        self.path = path
        self.instrument = instrument
        self.only = only
        """The file's own name of the symbol, where one file holds several."""
        self.grid = Grid(instrument, loose=loose)
        self.key = listing_key(instrument.symbol, instrument.mic)
        self.findings = Findings()
        self.marks: list[Mark] = []
        """Official prints that the file marks."""

    def mark(self, mark: Mark) -> None:
        """Keep an official print; beyond MARKS_MAX it is counted as left out."""
        if len(self.marks) < MARKS_MAX:
            self.marks.append(mark)
        else:
            self.findings.add(f"marks of official prints beyond the first {MARKS_MAX}, left out")


Reader = Callable[[Reading, Iterator[str]], Feed]
Decode = Callable[[int, list[str], int], Iterable[Row]]


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """One layout. Columns are counted from 0."""

    name: str
    header: str
    title: str
    """What it is, for people."""
    read: Reader
    depth: str
    mic: str = "XXXX"
    """Venue where neither the file nor anybody names one; XXXX is ISO 10383 for none."""
    mic_words: tuple[tuple[str, str], ...] = ()
    """Words of a file's name that tell its venue."""
    prices: tuple[int, ...] = ()
    """Columns from whose numbers a tick is inferred; empty for the layouts whose default is a cent."""
    sizes: tuple[int, ...] = ()
    symbol: int = -1
    """Column of the symbol, where one file may hold several."""
    kind: str = "equity"
    prints_only: bool = False
    """Trades without quotes: nothing can trade on it alone."""
    caveat: str = ""
    """What such a file cannot show, for people."""


def each(reading: Reading, lines: Iterator[str], columns: int, decode: Decode) -> Feed:
    """Rows of a layout whose first column is a time that never falls; ``decode`` makes the rows of one line.

    Raises:
        DataError: naming the row, for anything that ``decode`` finds Wrong.
    """
    path, key = reading.path, reading.key
    last, ts_ns = TS_MIN, 0
    for number, line in enumerate(lines, 1):
        fields = line.split(",")
        try:
            if len(fields) != columns:
                raise Wrong(f"expected {columns} fields, was {len(fields)}")
            ts_ns = whole(fields[0], "the time")
            if not last <= ts_ns <= TS_MAX:
                raise Wrong(order_fault(ts_ns, last))
            last = ts_ns
            for row in decode(ts_ns, fields, number):
                yield key, row
        except Wrong as error:
            refuse(path, number, line, str(error))


def symbols_of(path: Path, layout: Layout) -> tuple[str, ...]:
    """The symbols that a file names, in their order; empty where the layout names none.

    Raises:
        DataError: what stands in a symbol's place can be none, with the row.
    """
    if layout.symbol < 0:
        return ()
    lines = lines_of(path)
    next(lines)
    found: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split(",")
        if len(fields) > layout.symbol and (name := fields[layout.symbol]) not in found:
            if not is_symbol(name):
                refuse(
                    path, number, line, f"expected a symbol (capitals, digits and . _ / -, 24 at most), was {name!r}"
                )
            found[name] = None
    return tuple(found)


def steps_of(path: Path, layout: Layout, only: str) -> tuple[str, str]:
    """Tick and lot of a file: the coarsest steps that hold every price and (a power of ten, one at most) every size."""
    prices: set[str] = set()
    sizes: set[str] = set()
    lines = lines_of(path)
    next(lines)
    for line in lines:
        fields = line.split(",")
        if len(fields) <= max(*layout.prices, *layout.sizes, layout.symbol) or (only and fields[layout.symbol] != only):
            continue
        prices.update([fields[at] for at in layout.prices])
        sizes.update([fields[at] for at in layout.sizes])
    tick = common_step(prices)
    lot = _common(sizes)
    exponent = 0 if lot is None else lot.as_tuple().exponent
    power = min(0, exponent) if isinstance(exponent, int) else 0
    return tick or "0.01", format(EXACT.scaleb(Decimal(1), power), "f")


def common_step(words: Iterable[str]) -> str:
    """The coarsest step on which all numbers lie, empty where there is no number above zero."""
    found = _common(words)
    return "" if found is None else format(found, "f")


def _common(words: Iterable[str]) -> Decimal | None:
    """The largest number of which all are multiples; None where there is no number."""
    found = 0
    for word in words:
        try:
            value = Decimal(word)
        except InvalidOperation:
            continue  # the reader will refuse its row, or it is an empty side
        if value.is_finite() and value > 0:
            found = gcd(found, int(EXACT.scaleb(value, STEP_DIGITS_MAX)))
    return EXACT.normalize(EXACT.scaleb(Decimal(found), -STEP_DIGITS_MAX)) if found else None


def layout_of(path: Path, known: dict[str, Layout]) -> Layout:
    """The layout of a file, by its header.

    Raises:
        DataError: where it is none of them.
    """
    header = next(lines_of(path), "")
    layout = known.get(header)
    if layout is None:
        near = known[next(iter(get_close_matches(header[:200], known, 1, 0.0)), next(iter(known)))]
        raise DataError(
            f"{path}: the header is {header[:80]!r}; expected one of the {len(known)} that docs/market-data.md lists, "
            f"of which the nearest is {near.header!r} ({near.title})"
        )
    return layout
