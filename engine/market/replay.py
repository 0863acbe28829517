"""Recorded market files as integer rows: read once in full before anything trades on them, then fed in order of time.

The layout is found by the header line (:mod:`engine.market.formats.known`); files may be gzip or plain; ``docs/market-data.md``
describes them. A wrong, cut or unsorted file is a DataError that names the file, the row and what was expected. No row is skipped in
silence: what a reader leaves out it counts, and the count is in :attr:`RecordedFile.findings`.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from engine.domain.errors import DataError, InstrumentError
from engine.domain.instrument import Instrument
from engine.market.book import OrderBook
from engine.market.formats.fields import MIC, lines_of
from engine.market.formats.known import LAYOUTS
from engine.market.formats.layout import ORDERS, Layout, Reading, common_step, layout_of, steps_of, symbols_of
from engine.market.formats.own import KIND_COLUMN, MARKS, OWN_LAYOUT, VENUE_COLUMN
from engine.market.official import Mark
from engine.market.rows import END, Feed, Row, listing_key
from engine.market.sidecar import InstrumentWords, join_words, read_sidecar, settle_instrument, stem_of

KEPT_ROWS = 400_000
"""Longer files are read again from disk instead of being kept in memory (about 250 bytes a row)."""


Known = Callable[[str], InstrumentWords]
"""Terms of a symbol, empty where none are known."""


def no_terms(_symbol: str) -> InstrumentWords:
    """No registry."""
    return InstrumentWords()


class RecordedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded market of one symbol that was read in full and found sound. Made by :func:`open_recorded`."""

    path: str
    layout: str
    """Name of its layout."""
    title: str
    instrument: Instrument
    """Its ``price_digits`` hold prints between ticks too (mid-point executions)."""
    venues: tuple[str, ...]
    sha256: str
    """Of the file as it lies on disk."""
    rows: int
    first_ns: int
    last_ns: int
    depth: str
    """What the data shows of the market: ``L3``, ``L1/L2`` or ``bars``."""
    by_event: bool = False
    """The book is judged at END rows only."""
    prints_only: bool = False
    """Trades without quotes."""
    only: str = ""
    """The file's own name of the symbol, where it holds several."""
    curve: str = ""
    """Path of a volume curve named by the sidecar, empty where none is."""
    defaults: tuple[str, ...] = ()
    """One sentence for each value that nobody gave."""
    findings: tuple[str, ...] = ()
    """What was strange and not refused, in sentences."""
    marks: tuple[Mark, ...] = ()
    """Official prints that it marks, in file order."""
    kept: tuple[tuple[str, Row], ...] | None = None

    @property
    def name(self) -> str:
        """File name without its folder."""
        return Path(self.path).name

    def feed(self) -> Feed:
        """All rows in file order, each with its listing key."""
        if self.kept is not None:
            return iter(self.kept)
        path = Path(self.path)
        layout = layout_of(path, LAYOUTS)
        return _parse(Reading(path, self.instrument, self.only, loose=_is_loose(layout)), layout)


def open_recordings(
    path: Path, words: InstrumentWords | None = None, *, kept_rows: int = KEPT_ROWS
) -> tuple[RecordedFile, ...]:
    """Read one recorded file in full: :func:`open_all` of it alone."""
    return open_all((path,), (words,) if words is not None else (), kept_rows=kept_rows)


def open_all(
    paths: Sequence[Path],
    given: Sequence[InstrumentWords] = (),
    *,
    kept_rows: int = KEPT_ROWS,
    known: Known = no_terms,
) -> tuple[RecordedFile, ...]:
    """Read recorded files in full, one recording for each file and symbol.

    Files of one symbol have one instrument: where nobody gave tick or lot, they are the coarsest that fit all its files.

    Args:
        paths: the files.
        given: terms that somebody gave: none, one for all files, or one for each file in their order. With a symbol of a file of
            several symbols only that one is read.
        kept_rows: more rows than these are read again from disk.
        known: terms of a symbol that nobody gave, from the registry of instruments.

    Raises:
        DataError: naming file, row and what was expected.
        InstrumentError: for terms that make no instrument, or of one symbol two.
    """
    if len(given) > 1 and len(given) != len(paths):
        raise InstrumentError(
            f"--instrument was given {len(given)} times for {len(paths)} files; give it once for all, or once for each in their order"
        )
    plans: list[_Plan] = []
    for at, path in enumerate(paths):
        words = given[at] if len(given) > 1 else given[0] if given else None
        layout = layout_of(path, LAYOUTS)
        plans += [_plan(path, layout, words, only, known) for only in _symbols(path, layout, words)]
    _share_steps(plans)
    found = tuple(_open(plan, kept_rows) for plan in plans)
    _check_terms(found)
    return found


class _Plan(msgspec.Struct, kw_only=True):
    """A file and symbol that is about to be read."""

    path: Path
    layout: Layout
    words: InstrumentWords
    """What somebody gave, on the command line or beside the file."""
    curve: str
    only: str
    symbol: str
    found: dict[str, str]
    """Terms that the file itself gives."""


def _plan(path: Path, layout: Layout, words: InstrumentWords | None, only: str, known: Known) -> _Plan:
    sidecar = read_sidecar(path)
    given = join_words(words or InstrumentWords(), sidecar.instrument)
    found = {"kind": layout.kind, "mic": _venue(path, layout), "symbol": only or stem_of(path)}
    given = join_words(given, msgspec.structs.replace(known(given.symbol or found["symbol"]), symbol=""))
    if layout.prices and not (given.tick and given.lot):
        found["tick"], found["lot"] = steps_of(path, layout, only)
    return _Plan(
        path=path,
        layout=layout,
        words=given,
        curve=str(path.parent / sidecar.curve) if sidecar.curve else "",
        only=only,
        symbol=given.symbol or found["symbol"],
        found=found,
    )


def _share_steps(plans: list[_Plan]) -> None:
    """Let all files of a symbol have the tick and lot that somebody gave for one of them, else the coarsest that fit them all."""
    for field in ("tick", "lot"):
        for plan in plans:
            same = [other for other in plans if other.symbol == plan.symbol]
            if len(same) == 1 or getattr(plan.words, field):
                continue
            stated = next((getattr(other.words, field) for other in same if getattr(other.words, field)), "")
            steps = [other.found[field] for other in same if field in other.found]
            if stated or steps:
                plan.found[field] = stated or common_step(steps)


def _check_terms(found: tuple[RecordedFile, ...]) -> None:
    first: dict[str, RecordedFile] = {}
    for file in found:
        made, other = file.instrument, first.setdefault(file.instrument.symbol, file)
        before = other.instrument
        for field in ("kind", "currency", "ticks", "lot", "multiplier", "price_digits"):
            if getattr(made, field) != getattr(before, field):
                raise InstrumentError(
                    f"{made.symbol}: {file.name} and {other.name} have another {field}; give the files of one instrument the same "
                    "terms, or the instruments symbols of their own: one --instrument SYM:... for each file"
                )


def _symbols(path: Path, layout: Layout, words: InstrumentWords | None) -> tuple[str, ...]:
    """The symbols of a file to read, one empty name where the layout names none."""
    if layout.symbol < 0:
        return ("",)
    symbols = symbols_of(path, layout)
    if not symbols:
        raise DataError(f"{path}: there is no row after the header; expected at least one")
    if len(symbols) == 1 or words is None or not words.symbol:
        return symbols
    if words.symbol not in symbols:
        raise DataError(f"{path}: no row of {words.symbol}; it holds {', '.join(symbols)}")
    return (words.symbol,)


def open_recorded(path: Path, words: InstrumentWords | None = None, *, kept_rows: int = KEPT_ROWS) -> RecordedFile:
    """Read a recorded file of one symbol: its terms (``words`` over the sidecar over defaults), hash, rows and soundness.

    Raises:
        DataError: naming file, row and what was expected; also for a file of several symbols of which none is named.
        InstrumentError: for terms that make no instrument.
    """
    found = open_recordings(path, words, kept_rows=kept_rows)
    if len(found) > 1:
        names = ", ".join(one.only for one in found)
        raise DataError(f"{path}: it holds {names}; name one: --instrument SYM")
    return found[0]


def _open(plan: _Plan, kept_rows: int) -> RecordedFile:
    path, layout, only = plan.path, plan.layout, plan.only
    instrument, defaults = settle_instrument(path, plan.words, plan.found, is_inferred=bool(layout.prices))
    reading = Reading(path, instrument, only, loose=_is_loose(layout))
    kept: list[tuple[str, Row]] | None = []
    venues: dict[str, None] = {}
    rows = first_ns = last_ns = 0
    by_event = False
    for rows, (key, row) in enumerate(_sound(reading, layout), 1):
        if rows == 1:
            first_ns = row[0]
        last_ns = row[0]
        venues[key] = None
        by_event = by_event or row[1] == END
        if kept is not None:
            kept.append((key, row))
            if rows >= kept_rows:
                kept = None
    if not rows:
        raise DataError(f"{path}: there is no row after the header that tells of a market; expected at least one")
    return RecordedFile(
        path=str(path),
        layout=layout.name,
        title=layout.title,
        instrument=instrument,
        venues=tuple(key.partition("@")[2] for key in venues),
        sha256=_sha256(path),
        rows=rows,
        first_ns=first_ns,
        last_ns=last_ns,
        depth=layout.depth,
        by_event=by_event and layout.depth == ORDERS,
        prints_only=layout.prints_only,
        only=only,
        curve=plan.curve,
        defaults=defaults,
        findings=reading.findings.words(),
        marks=tuple(reading.marks),
        kept=None if kept is None else tuple(kept),
    )


def check_together(files: Sequence[RecordedFile]) -> None:
    """Refuse files that describe the same book of one listing twice, and files that no quote comes with.

    Raises:
        DataError: naming both files and which to leave out.
    """
    books: dict[str, RecordedFile] = {}
    for file in files:
        for venue in file.venues:
            key = listing_key(file.instrument.symbol, venue)
            other = books.get(key)
            if not file.prints_only and other is not None:
                raise DataError(
                    f"{file.path}: {other.path} shows the book of {key} already ({other.title}, this is {file.title}); leave one out, or "
                    "give them venues of their own: --instrument SYM:mic=..."
                )
            if not file.prints_only:
                books[key] = file
    for file in files:
        book = next((books[key] for key in _keys(file) if key in books), None)
        if file.prints_only and book is None:
            raise DataError(
                f"{file.path}: {file.title} hold no quotes, so nothing can trade; give the file of quotes or depth with it"
            )
        if file.prints_only and book is not None and book.depth == ORDERS:
            raise DataError(f"{file.path}: {book.path} holds the executions itself; leave this file out")


def _keys(file: RecordedFile) -> list[str]:
    return [listing_key(file.instrument.symbol, venue) for venue in file.venues]


def merge(files: Iterable[RecordedFile]) -> Feed:
    """The rows of several files in time order; rows of one moment in the order of the files."""
    feeds = [file.feed() for file in files]
    return feeds[0] if len(feeds) == 1 else heapq.merge(*feeds, key=lambda item: item[1][0])


def _is_loose(layout: Layout) -> bool:
    """Whether numbers may be written as programs write floats: in every layout that is not ours."""
    return bool(layout.prices)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _venue(path: Path, layout: Layout) -> str:
    """MIC that the file itself or its name gives, else the layout's own."""
    if layout is not OWN_LAYOUT:
        return next((mic for word, mic in layout.mic_words if word in path.name.lower()), layout.mic)
    lines = lines_of(path)
    next(lines)
    rows = (line.split(",") for line in lines)
    # A row that marks a print names the exchange that does, not the venue of the book.
    fields = next((row for row in rows if len(row) <= KIND_COLUMN or row[KIND_COLUMN] not in MARKS), [])
    venue = fields[VENUE_COLUMN] if len(fields) > VENUE_COLUMN else ""
    if not MIC.fullmatch(venue):
        raise DataError(f"{path}: row 1: venue is {venue!r}; expected a market identifier of 4 capitals and digits")
    return venue


def _parse(reading: Reading, layout: Layout) -> Feed:
    lines = lines_of(reading.path)
    next(lines)
    return layout.read(reading, lines)


def _sound(reading: Reading, layout: Layout) -> Feed:
    """Rows, each of which was found to fit those before it."""
    if layout.depth != ORDERS:
        yield from _parse(reading, layout)
        return
    book = OrderBook()
    for key, row in _parse(reading, layout):
        try:
            book.apply(row)
        except DataError as error:
            raise DataError(f"{reading.path}: {error}") from None
        yield key, row
    if book.unknown:
        reading.findings.add("rows name orders that were never announced", book.unknown)
