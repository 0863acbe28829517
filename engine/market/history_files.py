"""History out of files: bars ``symbol,ts,open,high,low,close,volume``, or any recording whose prints are made into minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from engine.domain.clock import iso, parse_iso
from engine.domain.errors import DataError, MoneyError
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Price, Rounding, round_to
from engine.market.formats.fields import Grid, Wrong, lines_of, refuse
from engine.market.formats.layout import BARS, ORDERS
from engine.market.history import Loaded, Piece, minutes_of
from engine.market.replay import RecordedFile, open_recordings
from engine.market.rows import EXEC, HIDDEN, TRADE
from engine.market.session_curve import MINUTE_NS
from engine.market.sidecar import InstrumentWords

BARS_HEADER = "symbol,ts,open,high,low,close,volume"


def read_history(path: Path, made: Instrument) -> Loaded | None:
    """History of one instrument in a file, on its grid; None where a file of bars holds no row of it.

    Raises:
        DataError: naming file, row and what was expected.
        InstrumentError: a recording whose terms make no instrument.
    """
    if next(lines_of(path), "") == BARS_HEADER:
        pieces = tuple(_bars(path, made))
        return Loaded(instrument=made, source=path.name, pieces=pieces) if pieces else None
    (file,) = open_recordings(path, InstrumentWords(symbol=made.symbol))
    return Loaded(instrument=made, source=path.name, pieces=tuple(minutes_of(prints_of(file, made))))


def prints_of(file: RecordedFile, made: Instrument) -> Iterator[tuple[int, int, int]]:
    """Time, price and quantity of every print of a recording, in the integers of ``made``: a price between them is rounded."""
    kinds = {TRADE, HIDDEN, EXEC} if file.depth == ORDERS else {TRADE, HIDDEN}
    own = file.instrument
    is_same = (own.price_digits, own.qty_digits) == (made.price_digits, made.qty_digits)
    for _, row in file.feed():
        if row[1] in kinds:
            if is_same:
                yield row[0], row[4], row[5]
            else:
                yield row[0], _units(own.price_of(row[4]), made), _sizes(own.qty_of(row[5]), made)


def _units(price: Decimal, made: Instrument) -> int:
    """Nearest unit of a price: a print at a mid-point lies between two."""
    return int(round_to(EXACT.scaleb(price, made.price_digits), Decimal(1), Rounding.HALF_UP))


def _sizes(qty: Decimal, made: Instrument) -> int:
    return int(EXACT.scaleb(qty, made.qty_digits))


def _price(word: str, made: Instrument) -> int:
    try:
        price = Price(word)
    except MoneyError as error:
        raise Wrong(str(error)) from None
    if price <= 0 and not made.price_negative:
        raise Wrong(f"expected a price above zero, was {word}")
    return _units(price, made)


def _bars(path: Path, made: Instrument) -> Iterator[Piece]:
    """The bars of one symbol; a bar lasts as long as the shortest step between two of them, a minute where there is one."""
    grid = Grid(made, loose=True)
    lines = lines_of(path)
    next(lines)
    rows: list[tuple[int, tuple[int, int, int, int, int]]] = []
    for number, line in enumerate(lines, 1):
        fields = line.split(",")
        if len(fields) != 7:
            refuse(path, number, line, f"expected 7 fields, was {len(fields)}")
        if fields[0] != made.symbol:
            continue
        try:
            start_ns = parse_iso(fields[1])
            first, high, low, close = (_price(word, made) for word in fields[2:6])
            volume = grid.volume(fields[6])
        except Wrong as error:
            refuse(path, number, line, str(error))
        except ValueError as error:
            refuse(path, number, line, f"ts: {error}; expected as in 2019-02-11T14:30:00Z")
        if rows and start_ns <= rows[-1][0]:
            refuse(path, number, line, "the file is not sorted: expected a ts after that of the symbol's row before")
        if not low <= min(first, close) <= max(first, close) <= high:
            refuse(path, number, line, "expected low at most, and high at least, open and close")
        rows.append((start_ns, (first, high, low, close, volume)))
    length_ns = min((later[0] - earlier[0] for earlier, later in pairwise(rows)), default=MINUTE_NS)
    for start_ns, values in rows:
        yield (start_ns, start_ns + length_ns, *values)


def bar_lines(files: Sequence[RecordedFile]) -> Iterator[str]:
    """Recordings of one or several symbols as lines of bars of a minute; each symbol's files in order of time.

    Raises:
        DataError: for a recording that holds bars already, and for two of one symbol that overlap.
    """
    yield BARS_HEADER
    last: dict[str, tuple[int, RecordedFile]] = {}
    for file in files:
        made = file.instrument
        if file.depth == BARS:
            raise DataError(f"{file.path}: it holds bars already; give it as it is")
        end_ns, other = last.get(made.symbol, (0, file))
        if file.first_ns < end_ns:
            raise DataError(
                f"{file.path}: it begins before {other.path} ends; give the files of a symbol in order of time"
            )
        last[made.symbol] = (file.last_ns - file.last_ns % MINUTE_NS + MINUTE_NS, file)
        for start_ns, _, *prices, volume in minutes_of(prints_of(file, made)):
            words = ",".join(str(made.price_of(price)) for price in prices)
            yield f"{made.symbol},{iso(start_ns)[:19]}Z,{words},{made.qty_of(volume)}"


def history_in(folder: Path, made: Instrument) -> Loaded | None:
    """All history of an instrument in the bar files of a folder; None where there is none.

    Raises:
        DataError: a file has a fault, or is no file of bars.
    """
    pieces: dict[int, Piece] = {}
    names = []
    for path in sorted([*folder.glob("*.csv"), *folder.glob("*.csv.gz")]):
        if next(lines_of(path), "") != BARS_HEADER:
            raise DataError(
                f"{path}: expected a file of bars, {BARS_HEADER}; `bolt data bars` makes one of a recording"
            )
        found = read_history(path, made)
        if found is not None:
            pieces |= {piece[0]: piece for piece in found.pieces}
            names.append(path.name)
    if not names:
        return None
    return Loaded(instrument=made, source=", ".join(names), pieces=tuple(pieces[start] for start in sorted(pieces)))
