"""A table for live data on Textual's line API: fixed columns, a cursor bound to a row's id, only changed lines repainted.

Not DataTable: each of its cell updates drops the row caches and repaints the whole widget.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip


class Column(msgspec.Struct, frozen=True):
    """One column: its title and width in cells; the last column takes what is left."""

    title: str
    width: int
    is_right: bool = False


class Row(msgspec.Struct, frozen=True):
    """One line: an id that never changes, the cells as text, and a style name."""

    id: str
    cells: tuple[str, ...]
    tone: str = ""


TONES = {
    "": Style(),
    "buy": Style(color="#5fafff"),
    "sell": Style(color="#ffaf5f"),
    "dim": Style(dim=True),
    "warn": Style(bold=True),
    "alarm": Style(bold=True, reverse=True),
}


class LiveTable(ScrollView, can_focus=True):
    """Rows of text that change often. ``selected`` is an id, so that rows may come, go and move under the cursor."""

    def __init__(self, columns: Sequence[Column], *, title: str, empty: str, follow: bool = False, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.border_title = title
        self._columns = tuple(columns)
        self._empty = empty
        self._follow = follow
        self._rows: tuple[Row, ...] = ()
        self.selected = ""

    def show(self, rows: Sequence[Row]) -> None:
        """Put new rows; repaints only the lines that differ."""
        before, self._rows = self._rows, tuple(rows)
        ids = [row.id for row in self._rows]
        if self.selected and self.selected not in ids:
            # Never slide to a neighbour: the next key would act on an order that nobody chose.
            self.selected = ""
        elif not before and not self.selected and ids and not self._follow:
            self.selected = ids[0]
        if len(before) != len(self._rows):
            self.virtual_size = Size(self.size.width, len(self._rows) + 1)
            self.refresh()
        else:
            for index, (old, new) in enumerate(zip(before, self._rows, strict=True)):
                if old != new:
                    self._refresh_line(index)
        if self._follow:
            self.scroll_end(animate=False)

    def _refresh_line(self, index: int) -> None:
        y = index + 1 - self.scroll_offset.y
        if 1 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def move(self, steps: int) -> None:
        """Move the cursor by rows."""
        ids = [row.id for row in self._rows]
        if not ids:
            return
        index = ids.index(self.selected) if self.selected in ids else -steps
        index = max(0, min(len(ids) - 1, index + steps))
        self.selected = ids[index]
        if index + 1 - self.scroll_offset.y >= self.size.height:
            self.scroll_to(y=index + 2 - self.size.height, animate=False)
        elif index < self.scroll_offset.y:
            self.scroll_to(y=index, animate=False)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        if y == 0:
            return self._strip([column.title for column in self._columns], Style(bold=True), width)
        index = y - 1 + self.scroll_offset.y
        if index >= len(self._rows):
            text = self._empty if not self._rows and y == 1 else ""
            return Strip([Segment(set_cell_size(text, width), Style(dim=True))], width)
        row = self._rows[index]
        style = TONES[row.tone]
        if row.id == self.selected and not self._follow:
            style += Style(reverse=True) if self.has_focus else Style(underline=True)
        return self._strip(row.cells, style, width)

    def _strip(self, cells: Sequence[str], style: Style, width: int) -> Strip:
        parts = []
        used = 0
        for number, (column, cell) in enumerate(zip(self._columns, cells, strict=True)):
            size = width - used if number == len(self._columns) - 1 else column.width
            text = cell.replace("\n", " ")
            if column.is_right and cell_len(text) < size - 1:
                text = " " * (size - 1 - cell_len(text)) + text
            parts.append(set_cell_size(text, max(0, size)))
            used += size
        return Strip([Segment(set_cell_size("".join(parts), width), style)], width)
