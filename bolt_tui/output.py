"""How commands speak: data on stdout, words on stderr; aligned columns for people, one JSON object for scripts.

Every JSON object carries `schema`, the number of the views' schema, and `type`. A list can also be CSV, with one header line
and nothing else on stdout, or plain: a sentence a row with each figure named, which a screen reader reads without counting columns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TextIO

SCHEMA = 1
"""As `engine.views.SCHEMA`; written here so that `--help` and errors need not load the engine (a test compares them)."""


Shape = Literal["columns", "csv", "plain"]
SIDES = {"B": "buy", "S": "sell"}


class Output:
    """Where one command writes.

    Args:
        json: whether the command was asked for JSON.
        shape: how lists look where it was not.
        data: stdout.
        words: stderr.
    """

    def __init__(self, data: TextIO, words: TextIO, *, json: bool, shape: Shape = "columns") -> None:
        self.json = json
        self.shape = shape
        self._data = data
        self._words = words

    def say(self, text: str) -> None:
        """A sentence for a person, on stderr."""
        print(harmless(text), file=self._words, flush=True)

    def progress(self, text: str) -> None:
        """A passing sentence, shown in place on a terminal's stderr and nowhere else."""
        if self._words.isatty():
            print(f"\r\x1b[K{text}", end="", file=self._words, flush=True)

    def progress_end(self) -> None:
        """Clear the passing sentence."""
        if self._words.isatty():
            print("\r\x1b[K", end="", file=self._words, flush=True)

    def line(self, text: str = "") -> None:
        """A line of data for people; nothing where JSON was asked for, and on stderr where CSV was."""
        if not self.json:
            print(harmless(text), file=self._words if self.shape == "csv" else self._data, flush=True)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> None:
        """Columns, CSV or sentences for people; nothing where JSON was asked for."""
        if self.json:
            return
        if self.shape == "csv":
            self._csv(headers, rows)
        else:
            lines = sentences(headers, rows) if self.shape == "plain" else columns(headers, rows, right)
            for text in lines:
                print(text, file=self._data)
        self._data.flush()

    def _csv(self, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        import csv

        writer = csv.writer(self._data, lineterminator="\n")
        writer.writerow([header.lower() for header in headers])
        writer.writerows([_cell(cell) for cell in row] for row in rows)

    def object(self, kind: str, fields: dict[str, Any]) -> None:
        """One JSON object on a line of its own; nothing where JSON was not asked for."""
        if self.json:
            self.emit(kind, fields)

    def emit(self, kind: str, fields: dict[str, Any]) -> None:
        """One JSON object on a line of its own, in any case."""
        self._data.write(json_line(kind, fields))
        self._data.flush()


def json_line(kind: str, fields: dict[str, Any]) -> str:
    """One JSON object and its newline; decimals are text."""
    from engine.domain.events import ENCODER

    assert not fields.keys() & {"schema", "type"}, "a field would hide what kind of object this is"
    return ENCODER.encode({"schema": SCHEMA, "type": kind, **fields}).decode() + "\n"


def _cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; a dash that stands for nothing is nothing."""
    found = printable(text)
    if found == "-":
        return ""
    is_number = found[1:].replace(".", "", 1).isdecimal()
    return f"'{found}" if found[:1] in {"=", "+", "-", "@"} and not is_number else found


def sentences(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A line a row, each figure behind its name; what is empty is not said."""
    found = []
    for row in rows:
        parts = []
        for header, cell in zip(headers, row, strict=True):
            said = printable(cell)
            if said and said != "-":
                said = SIDES.get(said, said) if header == "SIDE" else said
                parts.append(f"{header.lower()} {said}".strip())
        found.append(", ".join(parts) + ".")
    return found


def columns(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> list[str]:
    """Lines with columns as wide as their content, two spaces apart; the named ones aligned to the right."""
    table = [[printable(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(width(row[index]) for row in table) for index in range(len(headers))]
    to_right = [header in set(right) for header in headers]
    return [
        "  ".join(
            _pad(cell, room, at_right) for cell, room, at_right in zip(row, widths, to_right, strict=True)
        ).rstrip()
        for row in table
    ]


def printable(text: str) -> str:
    """The text on one line without control characters: what a venue sends must not move a terminal's cursor."""
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))


def harmless(text: str) -> str:
    """Lines without control characters; they stay lines."""
    return text if text.isprintable() else "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


def width(text: str) -> int:
    """Cells that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _pad(cell: str, room: int, at_right: bool) -> str:
    blank = " " * (room - width(cell))
    return blank + cell if at_right else cell + blank
