"""Text of recorded files: lines of plain and gzip files, numbers on an instrument's grid, and refusals that name the row."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NoReturn, TextIO

from engine.domain.errors import DataError, InstrumentError, MoneyError
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Price, Qty
from engine.market.rows import BUY, NEITHER, SELL

CACHED_NUMBERS = 200_000
TS_MIN = 10**17
"""1973: a smaller time stamp is in seconds, milliseconds or microseconds."""
TS_MAX = 2**63 - 1
UNITS_MAX = 10**18

SIDES = {"B": BUY, "S": SELL}
AGGRESSORS = {**SIDES, "N": NEITHER}
ODD = re.compile(r"[^0-9A-Za-z,.\-]")
MIC = re.compile(r"[A-Z0-9]{4}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_LOOSE = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?")


class Wrong(ValueError):
    """A field that cannot be read; the text says what was expected."""


class Numbers(dict[str, int]):
    """Text to hot-path integer, remembered: a file has few distinct prices and sizes."""

    def __init__(self, read: Callable[[str], int], pattern: re.Pattern[str]) -> None:
        super().__init__()
        self._read = read
        self._pattern = pattern

    def __missing__(self, word: str) -> int:
        if not self._pattern.fullmatch(word):
            raise Wrong(f"expected a number, was {word!r}")
        units = self._read(word)
        if abs(units) > UNITS_MAX:
            raise Wrong(f"expected less than 10**18 units, was {word}")
        if len(self) >= CACHED_NUMBERS:
            self.clear()
        self[word] = units
        return units


class Grid:
    """The numbers of one instrument: prices on the tick, prints on the finer grid, quantities on the lot.

    Args:
        instrument: whose grid it is.
        loose: numbers may have an exponent (``9e-05``), as programs write floats.
    """

    __slots__ = ("instrument", "prints", "sizes", "ticks")

    def __init__(self, instrument: Instrument, *, loose: bool = False) -> None:
        self.instrument = instrument
        pattern = _LOOSE if loose else _NUMBER
        self.ticks = Numbers(self._tick_price, pattern)
        self.prints = Numbers(self._print_price, pattern)
        self.sizes = Numbers(self._size, pattern)

    def volume(self, word: str) -> int:
        """Units of a traded volume, rounded down to the lot's digits (a volume in money is not on the lot)."""
        if not _LOOSE.fullmatch(word) or word.startswith("-"):
            raise Wrong(f"expected a volume of at least 0, was {word!r}")
        whole = int(EXACT.scaleb(Decimal(word), self.instrument.qty_digits))
        if whole > UNITS_MAX:
            raise Wrong(f"expected less than 10**18 units, was {word}")
        return whole

    def traded(self, word: str) -> int:
        """Units of what a print traded; Wrong for nothing."""
        size = self.sizes[word]
        if not size:
            raise Wrong("expected a quantity above zero")
        return size

    def tick_units(self, price: int) -> int:
        """The tick that holds at a price, in units."""
        made = self.instrument
        return made.price_units(made.tick_at(made.price_of(price)))

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


def whole(word: str, name: str) -> int:
    """A whole number of at least 0.

    Raises:
        Wrong: naming the column.
    """
    if not word.isdigit() or len(word) > 20:
        raise Wrong(f"expected a whole number in {name}, was {word[:40]!r}")
    return int(word)


def moment(word: str, name: str) -> int:
    """A time in nanoseconds since 1970, or 0 where a feed gives none.

    Raises:
        Wrong: naming the column.
    """
    found = whole(word, name)
    if found and not TS_MIN <= found <= TS_MAX:
        raise Wrong(f"expected nanoseconds since 1970 in {name}, or 0, was {word}")
    return found


def side_of(word: str, sides: dict[str, int] = SIDES) -> int:
    """Sign of a side; Wrong where it is none of them."""
    sign = sides.get(word)
    if sign is None:
        raise Wrong(f"unknown side {word[:20]!r}; expected {' or '.join(sides)}")
    return sign


def refuse(path: Path, number: int, line: str, why: str) -> NoReturn:
    """Refuse a file because of a row."""
    raise DataError(f"{path}: row {number}: {why}; the row is {line[:120]!r}") from None


def order_fault(ts_ns: int, last: int) -> str:
    """What is wrong with a time, or with the characters of a row whose time is right."""
    if ts_ns < TS_MIN or ts_ns > TS_MAX:
        return "expected ts_ns in nanoseconds since 1970"
    if ts_ns < last:
        return f"the file is not sorted: expected ts_ns of at least {last}, that of the row before"
    return "expected letters, digits, comma, point and minus only"


def is_packed(path: Path) -> bool:
    """Whether a file is gzip, by its first bytes."""
    with path.open("rb") as probe:
        return probe.read(2) == b"\x1f\x8b"


def _open(path: Path) -> TextIO:
    if path.exists() and not path.is_file():
        kind = "is a folder" if path.is_dir() else "is no ordinary file (a pipe or a device, which may never end)"
        raise DataError(f"{path}: {kind}; give a file: it is read more than once")
    try:
        if is_packed(path):
            return gzip.open(path, "rt", encoding="ascii", newline="\n")
        return path.open("r", encoding="ascii", newline="\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def lines_of(path: Path) -> Iterator[str]:
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
        raise DataError(f"{path}: row {_first_odd(path)} holds bytes that are not ASCII") from None


def _first_odd(path: Path) -> int:
    """The first row with other bytes; text is decoded by blocks, so that the error does not know."""
    with gzip.open(path, "rb") if is_packed(path) else path.open("rb") as file:
        return next((number for number, line in enumerate(file) if not line.isascii()), 0)
