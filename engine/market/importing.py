"""Recorded files of any layout, written anew in ours: one file of one symbol, in order of time, with its terms beside it.

Order-by-order files become our order layout, levels, quotes and trades our own layout (several files and venues in one), bars stay
bars. The same files make the same bytes.
"""

from __future__ import annotations

import gzip
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml

from engine.domain.clock import iso
from engine.domain.errors import DataError
from engine.domain.instrument import Instrument
from engine.market.formats.fields import lines_of
from engine.market.formats.known import LAYOUTS
from engine.market.formats.layout import BARS, ORDERS
from engine.market.formats.orders import ACTIONS, ORDER_LAYOUT
from engine.market.formats.own import KINDS, MARKS, OWN_LAYOUT
from engine.market.official import Mark
from engine.market.replay import RecordedFile, check_together, merge
from engine.market.rows import AGGRESSOR, CLEAR, DELETE, END, HALT, QUOTE, RESUME, Row
from engine.market.sidecar import sidecar_path
from engine.market.ticks import tick_words

_ORDER_NAMES = {code: name for name, code in ACTIONS.items()}
_KIND_NAMES = {code: name for name, code in KINDS.items()}
_MARK_NAMES = {code: name for name, code in MARKS.items()}


def import_files(files: Sequence[RecordedFile], out: Path) -> int:
    """Write recordings of one symbol as one gzip file of our layout and its sidecar; returns the rows written.

    Raises:
        DataError: for files of several symbols or depths, for a file that is there already, and where it cannot be written.
    """
    symbols = sorted({file.instrument.symbol for file in files})
    depths = sorted({file.depth for file in files})
    if len(symbols) > 1:
        raise DataError(f"the files hold {', '.join(symbols)}; import one symbol at a time: --instrument SYM")
    if len(depths) > 1:
        raise DataError(f"{out}: {' and '.join(depths)} data do not go into one file; import each alone")
    if out.exists() or sidecar_path(out).exists():
        raise DataError(f"{out}: it, or its sidecar, is there already; name a new file")
    if len(files) > 1:
        check_together(files)
    lines = _bars(files) if depths == [BARS] else _rows(files)
    rows = write_packed(out, lines)
    write_terms(out, files[0].instrument)
    return rows


def write_packed(out: Path, lines: Iterator[str]) -> int:
    """Write lines, a header first, as gzip; the same lines make the same bytes. Write beside it and move it there, and count the rows: an import that is cut short leaves no file that looks whole."""
    part = out.with_name(out.name + ".part")
    written = -1
    try:
        with part.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
            text = io.TextIOWrapper(packed, encoding="ascii", newline="\n")
            for line in lines:
                text.write(line + "\n")
                written += 1
            text.flush()
            text.detach()
        os.replace(part, out)  # noqa: PTH105 - as everywhere else where a file is moved into place
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    return written


def _rows(files: Sequence[RecordedFile]) -> Iterator[str]:
    made = files[0].instrument
    by_order = files[0].depth == ORDERS
    yield ORDER_LAYOUT.header if by_order else OWN_LAYOUT.header
    write: Callable[[Instrument, str, Row], str] = _order_line if by_order else _own_line
    marks = deque(sorted((mark for file in files for mark in file.marks), key=lambda mark: mark.ts_ns))
    for key, row in merge(files):
        while marks and marks[0].ts_ns < row[0]:  # behind the rows of its own moment
            yield _mark_line(made, marks.popleft())
        if row[1] != DELETE or row[5]:  # a row of an order that nobody announced changes nothing
            yield write(made, key, row)
    for mark in marks:
        yield _mark_line(made, mark)


def _mark_line(made: Instrument, mark: Mark) -> str:
    kind = _MARK_NAMES[mark.kind]
    return f"{mark.ts_ns},{kind},{mark.exchange},N,{made.price_of(mark.price)},{made.qty_of(mark.qty)}"


def _order_line(made: Instrument, _key: str, row: Row) -> str:
    ts_ns, action, sign, order_id, price, qty, _ = row
    if action in {HALT, RESUME, END}:
        return f"{ts_ns},{_ORDER_NAMES[action]},N,0,,"
    return f"{ts_ns},{_ORDER_NAMES[action]},{AGGRESSOR[sign]},{order_id},{made.price_of(price)},{made.qty_of(qty)}"


def _own_line(made: Instrument, key: str, row: Row) -> str:
    ts_ns, action, sign, _, price, qty, _ = row
    venue = key.partition("@")[2]
    if action in {HALT, RESUME, CLEAR} or (action == QUOTE and not qty):
        return f"{ts_ns},{_KIND_NAMES[action]},{venue},{AGGRESSOR[sign]},,"
    return f"{ts_ns},{_KIND_NAMES[action]},{venue},{AGGRESSOR[sign]},{made.price_of(price)},{made.qty_of(qty)}"


def _bars(files: Sequence[RecordedFile]) -> Iterator[str]:
    """The lines of one symbol, as they are."""
    file = files[0]
    if len(files) > 1:
        raise DataError(f"{file.path}: bars of one symbol come from one file; give it alone")
    layout = next(one for one in LAYOUTS.values() if one.name == file.layout)
    yield layout.header
    lines = lines_of(Path(file.path))
    next(lines)
    for line in lines:
        if line.partition(",")[0] == file.only:
            yield line


def write_terms(out: Path, made: Instrument) -> None:
    """Write an instrument's terms as the sidecar of a file."""
    terms = {
        "symbol": made.symbol,
        "tick": tick_words(made.ticks),
        "lot": str(made.lot),
        "mult": str(made.multiplier),
        "ccy": made.currency,
        "mic": made.mic,
        "kind": made.kind.value,
        "calendar": made.calendar,
    }
    if made.adv is not None:
        terms["adv"] = str(made.adv)
    if made.expiry_ns is not None:
        terms["expiry"] = iso(made.expiry_ns)
    try:
        sidecar_path(out).write_text(yaml.safe_dump({"instrument": terms}, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{sidecar_path(out)}: cannot be written: {error.strerror or error}") from None
