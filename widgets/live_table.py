"""A table for live data on Textual's line API: fixed columns, a cursor bound to a row's id, only changed lines repainted.

Not DataTable: each of its cell updates drops the row caches and repaints the whole widget, and its cursor stays on a
coordinate while the rows move under it.

While a row is selected it holds still: what stands above it stays as it is (a row that ended is kept, dimmed), and what
would have come above arrives under an ``n new`` line below. :meth:`LiveTable.release` puts everything in place again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.domain.clock import NS_PER_S
from widgets.formats import fit, fit_number
from widgets.tones import Tone, Tones

NEW = "#new"
"""Id of the line above arrivals."""
BOLD_NS = NS_PER_S
"""How long a changed figure is bold; nothing ever flashes."""


TONES = {
    "head": Tone(ink="quiet", is_bold=True),
    "rule": Tone(ink="quiet"),
    "dim": Tone(ink="quiet"),
    "buy": Tone(ink="buy"),
    "sell": Tone(ink="sell"),
    "up": Tone(ink="up"),
    "down": Tone(ink="down"),
    "warn": Tone(ink="caution", is_bold=True),
    "alarm": Tone(ink="alarm-text", ground="alarm", is_bold=True),
    "strong": Tone(is_bold=True),
    "cursor": Tone(ground="cursor", is_bold=True),
    "rest": Tone(ground="cursor-rest"),
}


class Column(msgspec.Struct, frozen=True):
    """One column: title and width in cells; the last one shown takes what is left."""

    title: str
    width: int
    is_right: bool = False
    is_live: bool = False
    """A change of its text is shown bold for a second."""
    from_width: int = 0
    """Table width from which it is shown."""


class Cell(msgspec.Struct, frozen=True):
    """Text with a tone of its own."""

    text: str
    tone: str = ""


class Row(msgspec.Struct, frozen=True):
    """One line: an id that never changes, and a cell for each column."""

    id: str
    cells: tuple[str | Cell, ...]
    tone: str = ""
    tail_from: int = -1
    """Column from which the last cell is written over the rest of the line; -1 for none."""
    is_rule: bool = False
    """A heading between sections, of its first cell; it cannot be selected."""
    is_gone: bool = False
    """It is not in the data any more and only holds its place."""

    def words(self, column: int) -> str:
        """The text of a cell; empty behind the last one."""
        cell = self.cells[column] if column < len(self.cells) else ""
        return cell if isinstance(cell, str) else cell.text


def words_of(row: Row) -> str:
    """A row as one line of text, for tests and for screen readers."""
    return " ".join(part for part in (row.words(index) for index in range(len(row.cells))) if part)


class LiveTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows that change often. The keys that move the cursor belong to the app."""

    DEFAULT_CSS = """
    LiveTable {
        scrollbar-size: 0 0; background: $background; color: $foreground;
        border: round $edge; border-title-color: $title; border-title-style: bold; border-subtitle-color: $quiet;
    }
    LiveTable:focus { border: round $focus; border-title-color: $focus; }
    """

    class Moved(Message):
        """The cursor went to another row."""

        def __init__(self, table: LiveTable) -> None:
            super().__init__()
            self.table = table

    class Resized(Message):
        """It has another place on the screen: what is made for a width or a height is to be made anew."""

    def __init__(self, columns: Sequence[Column], *, title: str, empty: str, id: str, follow: bool = False) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.border_title = title
        self.columns = tuple(columns)
        self.empty = empty
        self.follow = follow
        """The newest line, at the end, is always shown."""
        self.selected = ""
        """Id of the row under the cursor; empty where there is none."""
        self._titles = ("", "")
        self._tones = Tones(TONES)
        self._fitted: tuple[int, tuple[Column, ...], list[tuple[int, Column, int]]] = (-1, (), [])
        self._own_style: tuple[object, Style] = (None, Style())
        """Theme, and the table's style in it."""
        self._edges: tuple[object, Strip, Strip] | None = None
        """What decides how left and right border look, and both."""
        self._rows: tuple[Row, ...] = ()
        self._new: dict[str, None] = {}
        self._bold: dict[tuple[str, int], int] = {}

    # -- data --------------------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows as they are shown."""
        return self._rows

    @property
    def row(self) -> Row | None:
        """The row under the cursor, where it still is in the data."""
        return next((row for row in self._rows if row.id == self.selected and not row.is_gone), None)

    def show(self, rows: Iterable[Row], now_ns: int = 0) -> None:
        """Put new rows; repaints only the lines that differ. ``now_ns`` times how long a changed figure is bold."""
        before, natural = self._rows, tuple(rows)
        self._rows = self._held(natural) if self.selected else natural
        if not self.selected:
            self._new = {}
        dirty = self._mark_changes(before, now_ns)
        if len(before) != len(self._rows):
            self._resized()
        else:
            self._refresh_rows(
                index
                for index, (old, new) in enumerate(zip(before, self._rows, strict=True))
                if (old is not new and old != new) or new.id in dirty
            )
        if self.follow:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)

    def retitle(self, title: str, subtitle: str = "") -> None:
        """Words in the border; repaints only the line of it in which they changed."""
        # Past Textual's own setters, which read markup (a filter's words are none) and repaint the whole table.
        width, height = self.outer_size
        if title != self._titles[0]:
            self._border_title = Content(title)
            self.refresh(Region(-1, -1, width, 1))
        if subtitle != self._titles[1]:
            self._border_subtitle = Content(subtitle)
            self.refresh(Region(-1, height - 2, width, 1))
        self._titles = (title, subtitle)

    def select(self, row_id: str, *, in_place: bool = False) -> None:
        """Put the cursor on a row by its id (empty: nowhere). ``in_place`` lets the rows take their own order first."""
        if in_place:
            self.selected = ""
            self._new = {}
        self.selected = row_id
        self._reveal()
        self.refresh()

    def release(self) -> None:
        """Let go of the row: nothing is selected, and the next picture puts every row in its place."""
        self.selected = ""
        self._new = {}
        self.refresh()

    def move(self, steps: int) -> None:
        """Move the cursor by rows; with none selected it starts at the first (or last) one."""
        ids = [row.id for row in self._rows if not row.is_rule]
        if not ids:
            return
        if self.selected in ids:
            index = max(0, min(len(ids) - 1, ids.index(self.selected) + steps))
        else:
            index = len(ids) - 1 if self.follow or steps < 0 else 0
        if self.follow:
            self.follow = False
        self.select(ids[index])
        self.post_message(self.Moved(self))

    # -- holding a row -----------------------------------------------------------------------------------------------------

    def _held(self, natural: tuple[Row, ...]) -> tuple[Row, ...]:
        """The rows with everything down to the selected one where it was."""
        at = next((index for index, row in enumerate(self._rows) if row.id == self.selected), -1)
        if at < 0:
            return natural
        fresh = {row.id: row for row in natural}
        above = [fresh.get(row.id) or _gone(row) for row in self._rows[: at + 1]]
        fixed_ids = {row.id for row in above}
        before = {row.id for row in self._rows}
        place = next((index for index, row in enumerate(natural) if row.id == self.selected), -1)
        for row in natural[: max(0, place)]:
            if row.id not in before and not row.is_rule:
                self._new[row.id] = None
        self._new = {row_id: None for row_id in self._new if row_id in fresh}
        below = [row for row in natural if row.id not in fixed_ids and row.id not in self._new]
        arrived = [fresh[row_id] for row_id in self._new if row_id not in fixed_ids]
        if arrived and NEW not in fixed_ids:
            arrived.insert(0, Row(NEW, (f"{len(arrived)} new: esc puts them in place",), is_rule=True))
        spot = next((index for index, row in enumerate(below) if row.is_rule), len(below))
        return (*above, *below[:spot], *arrived, *below[spot:])

    def _mark_changes(self, before: tuple[Row, ...], now_ns: int) -> set[str]:
        """Note which live figures changed; the rows to repaint because a bold one has had its second."""
        ended = [key for key, until_ns in self._bold.items() if until_ns <= now_ns]
        for key in ended:
            del self._bold[key]
        if not now_ns or not any(column.is_live for column in self.columns):
            return {row_id for row_id, _ in ended}
        old = {row.id: row for row in before}
        for row in self._rows:
            was = old.get(row.id)
            if was is None or was is row or row.is_rule:
                continue
            for index, column in enumerate(self.columns):
                if column.is_live and was.words(index) != row.words(index):
                    self._bold[row.id, index] = now_ns + BOLD_NS
        return {row_id for row_id, _ in ended}

    # -- drawing -----------------------------------------------------------------------------------------------------------

    def _resized(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        self.refresh()

    def on_resize(self) -> None:
        """The width decides the columns, the height what must be scrolled."""
        self._resized()
        self._reveal()
        if self.follow:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        self.post_message(self.Resized())

    def _refresh_rows(self, rows: Iterable[int]) -> None:
        """Repaint those of some rows that can be seen; together, because each refresh drops what Textual has kept."""
        width, height, top = self.size.width, self.size.height, 1 - self.scroll_offset.y
        regions = [Region(0, top + index, width, 1) for index in rows if 1 <= top + index < height]
        if regions:
            self.refresh(*regions)

    def _reveal(self) -> None:
        index = next((index for index, row in enumerate(self._rows) if row.id == self.selected), -1)
        if index < 0 or self.size.height < 2:
            return
        if index + 1 - self.scroll_offset.y >= self.size.height:
            self.scroll_to(y=index + 2 - self.size.height, animate=False, immediate=True)
        elif index < self.scroll_offset.y:
            self.scroll_to(y=index, animate=False, immediate=True)

    def on_click(self, event: events.Click) -> None:
        """A click selects; it never does more."""
        index = event.y - self.gutter.top - 1 + self.scroll_offset.y
        if 0 <= index < len(self._rows) and not self._rows[index].is_rule:
            self.follow = False
            self.select(self._rows[index].id)
            self.post_message(self.Moved(self))

    def tone(self, name: str) -> Style:
        """The style of a tone in the theme; of the table itself where it has no name."""
        theme = self.app.theme_variables
        if name:
            return self._tones.style(name, theme)
        if self._own_style[0] is not theme:
            self._own_style = (theme, self.rich_style)
        return self._own_style[1]

    def shown(self) -> list[tuple[int, Column, int]]:
        """The columns that fit: index, column and width; worked out anew for another width."""
        width = self.size.width
        if self._fitted[0] == width and self._fitted[1] is self.columns:
            return self._fitted[2]
        found = [
            (index, column, column.width) for index, column in enumerate(self.columns) if width >= column.from_width
        ]
        if found:
            index, column, _ = found[-1]
            found[-1] = (index, column, max(0, width - sum(size for _, _, size in found[:-1])))
        self._fitted = (width, self.columns, found)
        return found

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines for the compositor. Textual works out border and styles anew for each line it draws; the rows of a table
        differ only in what stands between the same two edges, so they are put there as they are.
        """
        kept = self._styles_cache
        width, height = self.region.size
        wanted = [
            y
            for y in crop.line_range
            if 0 < y < height - 1 and (y in kept._dirty_lines or y not in kept._cache)  # noqa: SLF001 - Textual's own store
        ]
        if wanted and self.gutter == (1, 1, 1, 1):
            key = (self.app.theme_variables, self.styles.border_left, self.styles.border_right, width)
            if self._edges is None or self._edges[0] != key:
                super().render_lines(Region(0, wanted[0], width, 1))
                line = kept._cache[wanted[0]]  # noqa: SLF001 - as Textual drew it, before any filter
                self._edges = (key, line.crop(0, 1), line.crop(width - 1, width))
            _, left, right = self._edges
            for y in wanted:
                kept._cache[y] = Strip([*left, *self.render_line(y - 1), *right], width)  # noqa: SLF001
                kept._dirty_lines.discard(y)  # noqa: SLF001
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        base = self.tone("")
        if y == 0:
            return self._strip([(self._head(), base + self.tone("head"))], width)
        index = y - 1 + self.scroll_offset.y
        if index >= len(self._rows):
            words = f" {self.empty}" if not self._rows and y == 1 else ""
            return self._strip([(fit(words, width), base + self.tone("dim"))], width)
        row = self._rows[index]
        if row.is_rule:
            words = fit(f"-- {row.words(0)} ", width) if len(row.words(0)) + 4 > width else f"-- {row.words(0)} "
            return self._strip([(words.ljust(width, "-"), base + self.tone("rule"))], width)
        return self._strip(self._cells(row, base), width)

    def _head(self) -> str:
        parts, used = [], 0
        for _, column, size in self.shown():
            used += size
            room = size if used >= self.size.width else max(0, size - 1)
            parts.append(f"{fit_number(column.title, room) if column.is_right else fit(column.title, room)} "[:size])
        return "".join(parts)

    def _cells(self, row: Row, base: Style) -> list[tuple[str, Style]]:
        tone = "dim" if row.is_gone else row.tone
        style = base + self.tone(tone) if tone else base
        if row.id == self.selected:
            style += self.tone("cursor" if self.has_focus else "rest")
        parts: list[tuple[str, Style]] = []
        used, width = 0, self.size.width
        for index, column, size in self.shown():
            if index == row.tail_from:
                parts.append((fit(row.words(len(row.cells) - 1), width - used), style))
                break
            cell = row.cells[index]
            words = cell if isinstance(cell, str) else cell.text
            own = style if isinstance(cell, str) or row.is_gone or not cell.tone else style + self.tone(cell.tone)
            if (row.id, index) in self._bold:
                own += Style(bold=True)
            used += size
            room = size if used >= width else max(0, size - 1)
            shown = f"{fit_number(words, room) if column.is_right else fit(words, room)} "[:size]
            parts += self._padded(shown, own, style) if own.bgcolor != style.bgcolor else [(shown, own)]
        return parts

    @staticmethod
    def _padded(shown: str, own: Style, style: Style) -> list[tuple[str, Style]]:
        """A background of its own lies under the words, not under the spaces around them."""
        words = shown.strip()
        before, _, after = shown.partition(words)
        return [part for part in ((before, style), (words, own), (after, style)) if part[0]]

    @staticmethod
    def _strip(parts: Sequence[tuple[str, Style]], width: int) -> Strip:
        merged: list[tuple[str, Style]] = []
        for words, style in parts:
            if merged and merged[-1][1] == style:
                merged[-1] = (merged[-1][0] + words, style)
            else:
                merged.append((words, style))
        segments = [Segment(words, style) for words, style in merged]
        length = sum(cell_len(words) for words, _ in merged)
        last = merged[-1][1] if merged else Style()
        return Strip(segments, length).adjust_cell_length(width, last)


def _gone(row: Row) -> Row:
    return row if row.is_rule or row.is_gone else msgspec.structs.replace(row, is_gone=True)
