"""Recorded market files as integer rows: LOBSTER order-by-order CSV, and our own CSV of quotes, trades and levels.

Both may be gzip or plain; ``docs/market-data.md`` describes them. A file is read once in full before anything trades on it:
a wrong, cut or unsorted file is a DataError that names the file, the row and what was expected. No row is skipped.
"""

from __future__ import annotations

import gzip
import hashlib
import heapq
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NoReturn, TextIO

import msgspec

from engine.domain.errors import DataError, InstrumentError, MoneyError
from engine.domain.instrument import Instrument
from engine.domain.money import Price, Qty
from engine.market.book import OrderBook
from engine.market.rows import (
    ADD,
    BUY,
    CLEAR,
    DELETE,
    EXEC,
    HALT,
    HIDDEN,
    LEVEL,
    NEITHER,
    QUOTE,
    REDUCE,
    RESUME,
    SELL,
    TRADE,
    Row,
    listing_key,
)
from engine.market.sidecar import InstrumentWords, Sidecar, read_sidecar, settle_instrument

Feed = Iterator[tuple[str, Row]]
"""Rows, each with the key of its listing (symbol and venue)."""

LOBSTER = "lobster"
OWN = "own"
HEADERS = {"ts_ns,action,side,order_id,price,qty": LOBSTER, "ts_ns,kind,venue,side,price,qty": OWN}

KEPT_ROWS = 400_000
"""Longer files are read again from disk instead of being kept in memory (about 250 bytes a row)."""
CACHED_NUMBERS = 200_000
TS_MIN = 10**17
"""1973: a smaller time stamp is in seconds, milliseconds or microseconds."""
TS_MAX = 2**63 - 1
UNITS_MAX = 10**18

_ACTIONS = {
    "ADD": ADD,
    "REDUCE": REDUCE,
    "DELETE": DELETE,
    "EXEC": EXEC,
    "HIDDEN": HIDDEN,
    "HALT": HALT,
    "RESUME": RESUME,
}
_KINDS = {"quote": QUOTE, "level": LEVEL, "trade": TRADE, "clear": CLEAR, "halt": HALT, "resume": RESUME}
_SIDES = {"B": BUY, "S": SELL}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_ODD = re.compile(r"[^0-9A-Za-z,.\-]")
_MIC = re.compile(r"[A-Z0-9]{4}")
# LOBSTER's price of a trading-halt message: -1 halted, 0 quoting resumed, 1 trading resumed (also as 1/10000 units).
_HALT_WORDS = {"-1": HALT, "-0.0001": HALT, "": HALT, "0": HALT, "1": RESUME, "0.0001": RESUME}


class Wrong(ValueError):
    """A field that cannot be read; the text says what was expected."""


class Numbers(dict[str, int]):
    """Text to hot-path integer, remembered: a file has few distinct prices and sizes."""

    def __init__(self, read: Callable[[str], int]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, word: str) -> int:
        if not _NUMBER.fullmatch(word):
            raise Wrong(f"expected a number, was {word!r}")
        units = self._read(word)
        if abs(units) > UNITS_MAX:
            raise Wrong(f"expected less than 10**18 units, was {word}")
        if len(self) >= CACHED_NUMBERS:
            self.clear()
        self[word] = units
        return units


class Grid:
    """The numbers of one instrument: prices on the tick, prints on the finer grid, quantities on the lot."""

    __slots__ = ("instrument", "prints", "sizes", "ticks")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.ticks = Numbers(self._tick_price)
        self.prints = Numbers(self._print_price)
        self.sizes = Numbers(self._size)

    def _print_price(self, word: str) -> int:
        try:
            price = Price(word)
            if price <= 0 and not self.instrument.price_negative:
                raise Wrong(f"expected a price above zero, was {word}")
            return self.instrument.price_units(price)
        except (InstrumentError, MoneyError) as error:
            raise Wrong(f"{error}; give the tick: --instrument SYM:tick=...") from None

    def _tick_price(self, word: str) -> int:
        units = self._print_price(word)
        if not self.instrument.is_on_tick(Decimal(word)):
            tick = self.instrument.tick_at(Decimal(word))
            raise Wrong(f"price {word} is off the tick of {tick}; give the right one: --instrument SYM:tick=...")
        return units

    def _size(self, word: str) -> int:
        try:
            units = self.instrument.qty_units(Qty(word))
        except (InstrumentError, MoneyError) as error:
            raise Wrong(f"{error}; give the lot: --instrument SYM:lot=...") from None
        if units < 0:
            raise Wrong(f"expected a quantity of at least 0, was {word}")
        return units


class RecordedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded market that was read in full and found sound. Made by :func:`open_recorded`."""

    path: str
    layout: str
    """``lobster`` or ``own``."""
    instrument: Instrument
    """Its ``price_digits`` hold prints between ticks too (mid-point executions)."""
    venues: tuple[str, ...]
    sha256: str
    """Of the file as it lies on disk."""
    rows: int
    first_ns: int
    last_ns: int
    curve: str = ""
    """Path of a volume curve named by the sidecar, empty where none is."""
    defaults: tuple[str, ...] = ()
    """One sentence for each value that nobody gave."""
    kept: tuple[tuple[str, Row], ...] | None = None

    @property
    def name(self) -> str:
        """File name without its folder."""
        return Path(self.path).name

    @property
    def depth(self) -> str:
        """What the data shows of the market: ``L3`` or ``L1/L2``."""
        return "L3" if self.layout == LOBSTER else "L1/L2"

    def feed(self) -> Feed:
        """All rows in file order, each with its listing key."""
        return iter(self.kept) if self.kept is not None else _parse(Path(self.path), self.instrument)


def open_recorded(path: Path, words: InstrumentWords | None = None, *, kept_rows: int = KEPT_ROWS) -> RecordedFile:
    """Read a recorded file in full: its terms (``words`` over the sidecar over defaults), hash, rows and soundness.

    Raises:
        DataError: naming file, row and what was expected.
        InstrumentError: for terms that make no instrument.
    """
    sidecar = read_sidecar(path)
    layout = _layout(path)
    instrument, defaults = settle_instrument(path, words, sidecar, _first_venue(path, layout))
    kept: list[tuple[str, Row]] | None = []
    venues: dict[str, None] = {}
    rows = first_ns = last_ns = 0
    for rows, (key, row) in enumerate(_sound(path, layout, instrument), 1):
        if rows == 1:
            first_ns = row[0]
        last_ns = row[0]
        venues[key] = None
        if kept is not None:
            kept.append((key, row))
            if rows >= kept_rows:
                kept = None
    if not rows:
        raise DataError(f"{path}: there is no row after the header; expected at least one")
    return RecordedFile(
        path=str(path),
        layout=layout,
        instrument=instrument,
        venues=tuple(key.partition("@")[2] for key in venues),
        sha256=_sha256(path),
        rows=rows,
        first_ns=first_ns,
        last_ns=last_ns,
        curve=_curve_path(path, sidecar),
        defaults=defaults,
        kept=None if kept is None else tuple(kept),
    )


def merge(files: Iterable[RecordedFile]) -> Feed:
    """The rows of several files in time order; rows of one moment in the order of the files."""
    feeds = [file.feed() for file in files]
    return feeds[0] if len(feeds) == 1 else heapq.merge(*feeds, key=lambda item: item[1][0])


def _curve_path(path: Path, sidecar: Sidecar) -> str:
    return str(path.parent / sidecar.curve) if sidecar.curve else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(path: Path) -> TextIO:
    try:
        with path.open("rb") as probe:
            is_gzip = probe.read(2) == b"\x1f\x8b"
        if is_gzip:
            return gzip.open(path, "rt", encoding="ascii", newline="\n")
        return path.open("r", encoding="ascii", newline="\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _lines(path: Path) -> Iterator[str]:
    """The lines of a gzip or plain file without their ends; DataError where it is cut, damaged or not ASCII."""
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file):
                if not line.endswith("\n"):
                    raise DataError(
                        f"{path}: row {number} does not end with a newline, so the file may be cut; "
                        "get it again, or add the newline if it is complete"
                    )
                yield line[:-2] if line.endswith("\r\n") else line[:-1]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is cut or damaged after row {number}: {error}; get it again") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: row {number + 1} or one soon after holds bytes that are not ASCII") from None


def _layout(path: Path) -> str:
    header = next(_lines(path), "")
    layout = HEADERS.get(header)
    if layout is None:
        known = " or ".join(f"{words!r}" for words in HEADERS)
        raise DataError(f"{path}: the header is {header[:80]!r}; expected {known}")
    return layout


def _first_venue(path: Path, layout: str) -> str:
    """MIC that the file itself names: LOBSTER reconstructs Nasdaq's book, our layout has a column for it."""
    if layout == LOBSTER:
        return "XNAS"
    lines = _lines(path)
    next(lines)
    fields = next(lines, "").split(",")
    venue = fields[2] if len(fields) > 2 else ""
    if not _MIC.fullmatch(venue):
        raise DataError(f"{path}: row 1: venue is {venue!r}; expected a market identifier of 4 capitals and digits")
    return venue


def _parse(path: Path, instrument: Instrument) -> Feed:
    lines = _lines(path)
    layout = HEADERS[next(lines)]
    grid = Grid(instrument)
    if layout == LOBSTER:
        return _lobster(path, lines, grid, listing_key(instrument.symbol, instrument.mic))
    return _own(path, lines, grid)


def _sound(path: Path, layout: str, instrument: Instrument) -> Feed:
    """Rows, each of which was found to fit those before it."""
    if layout == OWN:
        yield from _parse(path, instrument)
        return
    book = OrderBook()
    for key, row in _parse(path, instrument):
        try:
            book.apply(row)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        yield key, row


def _refuse(path: Path, number: int, line: str, why: str) -> NoReturn:
    raise DataError(f"{path}: row {number}: {why}; the row is {line[:120]!r}") from None


def _lobster(path: Path, lines: Iterator[str], grid: Grid, key: str) -> Feed:
    ticks, prints, sizes = grid.ticks, grid.prints, grid.sizes
    odd = _ODD.search
    last = TS_MIN
    for number, line in enumerate(lines, 1):
        try:
            when, action, side, order_id, price, qty = line.split(",")
            code = _ACTIONS[action]
            ts_ns = int(when)
            if ts_ns < last or odd(line) or ts_ns > TS_MAX:
                _refuse(path, number, line, _order_fault(ts_ns, last))
            last = ts_ns
            if code <= EXEC:
                row = (ts_ns, code, _SIDES[side], int(order_id), ticks[price], sizes[qty], number)
                if row[5] <= 0 or row[3] <= 0:
                    _refuse(path, number, line, "expected a quantity and an order_id above zero")
            elif code == HIDDEN:
                row = (ts_ns, code, _SIDES[side], int(order_id), prints[price], sizes[qty], number)
            else:
                row = (ts_ns, HALT if code == HALT and _HALT_WORDS[price] == HALT else RESUME, NEITHER, 0, 0, 0, number)
        except (ValueError, KeyError) as error:
            _refuse(path, number, line, _lobster_fault(line, error))
        yield key, row


def _order_fault(ts_ns: int, last: int) -> str:
    if ts_ns < TS_MIN or ts_ns > TS_MAX:
        return "expected ts_ns in nanoseconds since 1970"
    if ts_ns < last:
        return f"the file is not sorted: expected ts_ns of at least {last}, that of the row before"
    return "expected letters, digits, comma, point and minus only"


def _lobster_fault(line: str, error: Exception) -> str:
    fields = line.split(",")
    if len(fields) != 6:
        return f"expected 6 fields, was {len(fields)}"
    if isinstance(error, Wrong):
        return str(error)
    if fields[1] not in _ACTIONS:
        return f"unknown action {fields[1]!r}; expected one of {', '.join(_ACTIONS)}"
    if fields[1] in {"HALT", "RESUME"}:
        return f"unknown halt price {fields[4]!r}; expected -1 (halted), 0 (quoting resumed) or 1 (trading resumed)"
    if fields[2] not in _SIDES:
        return f"unknown side {fields[2]!r}; expected B or S"
    return "expected whole numbers in ts_ns and order_id"


def _own(path: Path, lines: Iterator[str], grid: Grid) -> Feed:
    keys: dict[str, str] = {}
    last = TS_MIN
    odd = _ODD.search
    for number, line in enumerate(lines, 1):
        try:
            when, kind, venue, side, price, qty = line.split(",")
            code = _KINDS[kind]
            ts_ns = int(when)
            if ts_ns < last or odd(line) or ts_ns > TS_MAX:
                _refuse(path, number, line, _order_fault(ts_ns, last))
            last = ts_ns
            key = keys.get(venue)
            if key is None:
                key = keys[venue] = _venue_key(venue, grid.instrument.symbol)
            row = (ts_ns, code, *_own_fields(code, side, price, qty, grid), number)
        except (ValueError, KeyError) as error:
            _refuse(path, number, line, _own_fault(line, error))
        yield key, row


def _venue_key(venue: str, symbol: str) -> str:
    if not _MIC.fullmatch(venue):
        raise Wrong(f"expected a venue of 4 capitals and digits, was {venue!r}")
    return listing_key(symbol, venue)


def _own_fields(code: int, side: str, price: str, qty: str, grid: Grid) -> tuple[int, int, int, int]:
    """Side, order id, price and quantity of one row of our layout."""
    if code in {CLEAR, HALT, RESUME}:
        if price or qty or side != "N":
            raise Wrong("expected side N and an empty price and qty")
        return NEITHER, 0, 0, 0
    if code == TRADE:
        size = grid.sizes[qty]
        if not size:
            raise Wrong("expected a quantity above zero")
        return NEITHER if side == "N" else _SIDES[side], 0, grid.prints[price], size
    if code == QUOTE and not price:
        if qty not in {"", "0"}:
            raise Wrong("expected no quantity where there is no price")
        return _SIDES[side], 0, 0, 0
    size = grid.sizes[qty]
    if code == QUOTE and not size:
        raise Wrong("expected a quantity above zero, or an empty price and qty for an empty side")
    return _SIDES[side], 0, grid.ticks[price], size


def _own_fault(line: str, error: Exception) -> str:
    fields = line.split(",")
    if len(fields) != 6:
        return f"expected 6 fields, was {len(fields)}"
    if isinstance(error, Wrong):
        return str(error)
    if fields[1] not in _KINDS:
        return f"unknown kind {fields[1]!r}; expected one of {', '.join(_KINDS)}"
    if fields[3] not in {*_SIDES, "N"} or (fields[1] in {"quote", "level"} and fields[3] == "N"):
        return f"unknown side {fields[3]!r}; expected B or S" + (" or N" if fields[1] == "trade" else "")
    return "expected a whole number in ts_ns"
