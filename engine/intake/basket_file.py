"""A basket as a csv file: each row becomes an order by the same grammar as a typed line, and every bad row is named.

Columns: ``side``, ``qty`` and ``symbol`` always; ``price`` (a number, ``mkt``, ``join``, ``bid+2t``; empty only beside a stop or an
algorithm), ``stop``, ``tif``, ``algo`` (``twap 30m``), ``words`` (anything else of the grammar, such as ``show 100``), ``account``,
``broker``, ``venue``. The first row names them, in any order. Nothing is guessed, and one bad row refuses the file.
"""

from __future__ import annotations

import csv
import io

import msgspec

from engine.domain.commands import BasketLine
from engine.intake.drafts import GrammarError
from engine.intake.grammar import GrammarContext, parse_order

NEEDED = ("side", "qty", "symbol")
COLUMNS = (*NEEDED, "price", "stop", "tif", "algo", "words", "account", "broker", "venue")
ROWS_MAX = 500
BYTES_MAX = 1_000_000
_Row = tuple[int, list[str]]
"""Number of a row's first line, and its cells."""
_PREFIX = {"price": "@", "stop": "stop ", "account": "acct:", "broker": "broker:", "venue": "venue:"}


class BadLine(msgspec.Struct, frozen=True):
    """A row that is no order."""

    line: int
    text: str
    """Which value, against which rule."""


class BasketFile(msgspec.Struct, frozen=True):
    """What a file holds: orders, or what is wrong with it."""

    lines: tuple[BasketLine, ...] = ()
    bad: tuple[BadLine, ...] = ()


def read_basket(text: str, context: GrammarContext) -> BasketFile:
    """Read a whole file. Never raises for what stands in it."""
    if len(text) > BYTES_MAX:
        return _bad(0, f"the file has {len(text)} characters; {BYTES_MAX} are read")
    if "\0" in text:
        return _bad(0, "the file holds a zero byte; save it as csv text in UTF-8")
    reader, numbered, at = (
        csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True),
        list[_Row](),
        1,
    )
    try:
        for row in reader:
            if any(map(str.strip, row)):
                numbered.append((at, [cell.strip() for cell in row]))
            at = reader.line_num + 1  # a cell in quotes may go over several lines
    except csv.Error as error:
        return _bad(at, f"from here on the file is no csv: {error}")
    if not numbered:
        return _bad(0, f"the file is empty; its first row names the columns: {', '.join(COLUMNS)}")
    (at, header), *body = numbered
    names = [name.lower() for name in header]
    fault = _header_fault(names)
    if fault:
        return _bad(at, fault)
    if not 0 < len(body) <= ROWS_MAX:
        return _bad(at, f"the file has {len(body)} orders; a basket has 1 to {ROWS_MAX}")
    lines: list[BasketLine] = []
    bad: list[BadLine] = []
    for number, row in body:
        found = _order(dict(zip(names, row, strict=False)), len(row), len(names), context)
        if isinstance(found, str):
            bad.append(BadLine(number, found))
        else:
            lines.append(msgspec.structs.replace(found, line=number))
    return BasketFile(bad=tuple(bad)) if bad else BasketFile(tuple(lines))


def _bad(line: int, text: str) -> BasketFile:
    return BasketFile(bad=(BadLine(line, text),))


def _header_fault(names: list[str]) -> str:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        return f"there is no column {unknown[0]!r}; the columns are {', '.join(COLUMNS)}"
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        return f"column {twice!r} stands twice"
    missing = [name for name in NEEDED if name not in names]
    return f"column {missing[0]!r} is missing; every order needs {', '.join(NEEDED)}" if missing else ""


def _order(cells: dict[str, str], width: int, columns: int, context: GrammarContext) -> BasketLine | str:
    """The order of a row, or why it is none."""
    if width != columns:
        return f"the row has {width} cells and the header {columns}"
    empty = next((name for name in NEEDED if not cells[name]), "")
    if empty:
        return f"{empty} is empty"
    wide = next((name for name in ("side", "qty", "symbol", "price", "stop", "tif") if " " in cells.get(name, "")), "")
    if wide:
        return f"{wide} {cells[wide]!r} is more than one word; other words of an order stand in the column 'words'"
    words = [cells[name] for name in NEEDED]
    for name in COLUMNS[len(NEEDED) :]:
        value = cells.get(name, "")
        if value:
            words.append(f"{_PREFIX.get(name, '')}{value.removeprefix('@') if name == 'price' else value}")
    draft = parse_order(" ".join(words), context)
    if isinstance(draft, GrammarError):
        return draft.text
    if draft.linked:
        return "orders that belong together (tp, sl, oco) are placed by themselves, not in a basket"
    return BasketLine(0, draft.spec)
