"""Writes to the terminal only the cells that differ from what stands there already.

Textual repaints whole fragments of lines, each piece with its full style and a reset. On a live desk most of their cells are
the same as before; over SSH the difference is what makes a desk usable. This keeps what was written, compares cell by cell,
and sends runs of changed cells with a style only where it changes. Where the terminal may show something else (its size
changed, it had no focus, a person asked), :meth:`CellPainter.forget` makes the next update a whole one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.cells import cell_len, get_character_cell_size
from rich.color import ColorSystem
from rich.segment import Segment
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

BRIDGE = 5
"""So many unchanged cells between two changed ones are written again: going to a place costs about as much."""

Cell = tuple[str, str]
"""A character (empty behind a wide one) and the numbers of its style."""


class CellPainter:
    """Knows what the terminal shows."""

    def __init__(self) -> None:
        self._lines: list[list[Cell | None]] = []
        self._width = 0

    def forget(self) -> None:
        """What the terminal shows is not known any more."""
        self._lines = []

    def wrap(self, update: object) -> object:
        """The same update, written by this painter; anything it does not know is left as it is."""
        if isinstance(update, ChopsUpdate | LayoutUpdate):
            return _Painted(self, update)
        self.forget()
        return update

    def paint(self, update: ChopsUpdate | LayoutUpdate, system: ColorSystem) -> str:
        """The bytes that bring the terminal from what it shows to what the update shows."""
        if isinstance(update, LayoutUpdate):
            if (len(self._lines), self._width) != (update.region.height, update.region.width) or update.region.x:
                self._width = update.region.width
                self._lines = [[None] * self._width for _ in range(update.region.bottom)]
            pieces = [
                (update.region.y + at, update.region.x, strip)
                for at, line in enumerate(update.strips)
                for strip in [Strip.join(line)]
            ]
        else:
            pieces = list(_fragments(update))
        found: list[str] = []
        style = "?"
        for y, x, strip in pieces:
            if y >= len(self._lines):
                raise _UnknownScreenError
            style = self._paint_piece(found, y, x, _cells(strip, system), style)
        return "".join((*found, "\x1b[0m")) if found else ""

    def _paint_piece(self, found: list[str], y: int, x: int, cells: list[Cell], style: str) -> str:
        """Append what changed of a piece of a line; the style that the terminal is left with."""
        line = self._lines[y]
        end = min(x + len(cells), len(line))
        if line[x:end] == cells[: end - x]:
            return style
        column = x
        while column < end:
            if line[column] == cells[column - x]:
                column += 1
                continue
            # From here on, up to the last changed cell that no longer gap parts from the one before.
            last = at = column
            while at < end and at - last <= BRIDGE:
                if line[at] != cells[at - x]:
                    last = at
                at += 1
            while column > x and not cells[column - x][0]:
                column -= 1
            while last + 1 < end and not cells[last + 1 - x][0]:
                last += 1
            found.append(f"\x1b[{y + 1};{column + 1}H")
            for char, wanted in cells[column - x : last + 1 - x]:
                if wanted != style:
                    found.append(f"\x1b[0;{wanted}m" if wanted else "\x1b[0m")
                    style = wanted
                found.append(char)
            line[column : last + 1] = cells[column - x : last + 1 - x]
            column = last + 1
        return style


class _UnknownScreenError(Exception):
    """A part of the screen changed that was never painted."""


class _Painted(CompositorUpdate):
    """An update that writes changed cells only."""

    def __init__(self, painter: CellPainter, update: ChopsUpdate | LayoutUpdate) -> None:
        self._painter = painter
        self._update = update

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._update.__rich_console__(console, options)

    def render_segments(self, console: Console) -> str:
        """The bytes."""
        system = console._color_system or ColorSystem.TRUECOLOR  # noqa: SLF001 - as Textual's own strips read it
        try:
            return self._painter.paint(self._update, system)
        except _UnknownScreenError:
            return self._update.render_segments(console)


def _fragments(update: ChopsUpdate) -> Iterable[tuple[int, int, Strip]]:
    """Line, column and content of each fragment that a span of the update touches."""
    done: set[tuple[int, int]] = set()
    for y, x1, x2 in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is None or x >= x2 or end <= x1 or (y, x) in done:
                continue
            done.add((y, x))
            # Whole, though only a part of it may have changed: what is the same is found out cheaper than it is cut off.
            yield y, x, strip


def _cells(strip: Strip, system: ColorSystem) -> list[Cell]:
    """A strip, cell by cell."""
    found: list[Cell] = []
    for segment in strip:
        if segment.control:
            continue
        found += _segment_cells(segment, system)
    return found


def _segment_cells(segment: Segment, system: ColorSystem) -> list[Cell]:
    style = segment.style
    codes = "" if style is None else style._ansi  # noqa: SLF001 - where Textual keeps the rendered numbers of a style
    if codes is None and style is not None:
        codes = Strip.render_ansi(style, system)
    return _cells_of(segment.text, codes or "")


@lru_cache(maxsize=16_384)
def _cells_of(text: str, codes: str) -> list[Cell]:
    """Words in one style; the same ones are painted again and again. The list is for reading."""
    if text.isascii() or cell_len(text) == len(text):
        return [(char, codes) for char in text]
    found: list[Cell] = []
    for char in text:
        width = get_character_cell_size(char)
        if width:
            found.append((char, codes))
            found += [("", codes)] * (width - 1)
        elif found:
            # A combining mark belongs to the character before it.
            found[-1] = (found[-1][0] + char, codes)
    return found
