"""A table for live data on Textual's line API: fixed columns, a cursor bound to a row's id, only changed lines repainted.

Not DataTable: each of its cell updates drops the row caches and repaints the whole widget, and its cursor stays on a
coordinate while the rows move under it.

While a row is selected it holds still: what stands above it stays as it is (a row that ended is kept, dimmed), and what
would have come above arrives under an ``n new`` line below. :meth:`LiveTable.release` puts everything in place again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.color import Color
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.domain.clock import NS_PER_S
from widgets.formats import fit, fit_number, wrap
from widgets.tones import Tone, Tones

NEW = "#new"
"""Id of the line above arrivals."""
TITLE_EDGES = 6
"""Corners, lines and spaces around the words in a border."""
INKED_MAX = 8_192
"""Drawn cells that a table keeps."""
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
        self._looks: tuple[object, ...] = ()
        """What decides how every line looks: theme, filters, borders, size and columns."""
        self._ground: Color | None = None
        """What the table lies on, for the app's filters."""
        self._edges: tuple[Sequence[Segment], Sequence[Segment]] = ((), ())
        """Left and right border."""
        self._handed: dict[int, Strip] = {}
        """Lines as they were handed to the compositor."""
        self._inked: dict[tuple[object, ...], tuple[tuple[Segment, ...], int]] = {}
        """Cells as they were drawn, with their widths: of a row that changes, most are the same as before."""
        self._rows: tuple[Row, ...] = ()
        self._new: dict[str, None] = {}
        self._is_reordered = False
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
        is_held = bool(self.selected) and not self._is_reordered
        self._rows = self._held(natural) if is_held else natural
        if not is_held:
            self._new = {}
        dirty = self._mark_changes(before, now_ns)
        if len(before) != len(self._rows):
            self._resized()
        else:
            self._refresh_rows(
                index
                for index in self.window
                if (before[index] is not self._rows[index] and before[index] != self._rows[index])
                or self._rows[index].id in dirty
            )
        if self.follow:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        if self._is_reordered:
            self._is_reordered = False
            self._reveal()

    def reorder(self) -> None:
        """The person asked for other rows or another order: with the next picture every row goes to its place, the selected one too."""
        self._is_reordered = True

    def retitle(self, title: str, subtitle: str = "") -> None:
        """Words in the border; repaints only the line of it in which they changed."""
        # Past Textual's own setters, which read markup (a filter's words are none) and repaint the whole table.
        width, height = self.outer_size
        if len(title) > width - TITLE_EDGES > 0:
            title = fit(title, width - TITLE_EDGES).rstrip()
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
        """Move the cursor by rows; with none selected it comes in from above the first row, or from below the last one."""
        ids = [row.id for row in self._rows if not row.is_rule]
        if not ids:
            return
        outside = len(ids) if self.follow or steps < 0 else -1
        start = ids.index(self.selected) if self.selected in ids else outside
        index = max(0, min(len(ids) - 1, start + steps))
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
        """Note which live figures that can be seen changed; the rows to repaint because a bold one has had its second."""
        ended = [key for key, until_ns in self._bold.items() if until_ns <= now_ns]
        for key in ended:
            del self._bold[key]
        if not now_ns or not any(column.is_live for column in self.columns):
            return {row_id for row_id, _ in ended}
        old = {row.id: row for row in before}
        for at in self.window:
            row = self._rows[at]
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

    @property
    def window(self) -> range:
        """Which of the rows can be seen."""
        top = self.scroll_offset.y
        return range(min(top, len(self._rows)), min(len(self._rows), top + max(0, self.size.height - 1)))

    def _refresh_rows(self, rows: Iterable[int]) -> None:
        """Repaint some rows that can be seen; together, because each refresh drops what Textual has kept."""
        width, top = self.size.width, 1 - self.scroll_offset.y
        runs: list[list[int]] = []
        for index in rows:
            if runs and runs[-1][1] == index:
                runs[-1][1] += 1
            else:
                runs.append([index, index + 1])
        if runs:
            self.refresh(*(Region(0, top + first, width, end - first) for first, end in runs))

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

    def shown(self, width: int) -> list[tuple[int, Column, int]]:
        """The columns that fit: index, column and width; worked out anew for another width."""
        if self._fitted[0] == width and self._fitted[1] is self.columns:
            return self._fitted[2]
        found = [
            (index, column, column.width) for index, column in enumerate(self.columns) if width >= column.from_width
        ]
        while len(found) > 1 and _is_cut(found, width):
            found.pop()
        if found:
            index, column, _ = found[-1]
            found[-1] = (index, column, max(0, width - sum(size for _, _, size in found[:-1])))
        self._fitted = (width, self.columns, found)
        return found

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines for the compositor. Textual works out border, styles and filters anew for each line that it is asked for; here
        a line is kept as it was handed over, and one that changed takes the cells that did not from what was drawn before.
        """
        kept = self._styles_cache
        width, height = self.region.size
        if self.gutter != (1, 1, 1, 1) or crop.column_span != (0, width) or height < 3:
            return super().render_lines(crop)
        self._look(width, height)
        inner, top = width - 2, self.scroll_offset.y
        for y in crop.line_range:
            if y in self._handed and y in kept._cache and y not in kept._dirty_lines:  # noqa: SLF001 - Textual's own store
                continue
            if 0 < y < height - 1:
                left, right = self._edges
                line = Strip([*left, *self._line(y - 1, inner, top), *right], width)
                kept._cache[y] = line  # noqa: SLF001 - so that Textual's way to call for it anew is heard
                kept._dirty_lines.discard(y)  # noqa: SLF001
            else:
                line = super().render_lines(Region(0, y, width, 1))[0]
            self._handed[y] = line
        return [self._handed[y] for y in crop.line_range]

    def _look(self, width: int, height: int) -> None:
        """Forget what was drawn where the looks of everything have changed."""
        styles, filters = self.styles, self.app.get_line_filters()
        grounds = self.background_colors
        looks = (self.app.theme_variables, *filters, styles.border_left, styles.border_right, grounds, width, height)
        if len(looks) == len(self._looks) and all(
            now is was or now == was for now, was in zip(looks, self._looks, strict=True)
        ):
            return
        self._looks, self._ground = looks, grounds[1]
        self._handed.clear()
        self._inked.clear()
        line = super().render_lines(Region(0, 1, width, 1))[0]
        self._edges = [*line.crop(0, 1)], [*line.crop(width - 1, width)]

    def render_line(self, y: int) -> Strip:
        """One line of the screen, as the app's filters have it."""
        return self._line(y, self.size.width, self.scroll_offset.y)

    def _line(self, y: int, width: int, top: int) -> Strip:
        base = self.tone("")
        if y == 0:
            return self._strip([(self._head(width), base + self.tone("head"))], width)
        index = y - 1 + top
        if index >= len(self._rows):
            said = [] if self._rows else wrap(self.empty, width - 2)
            words = f" {said[y - 1]}" if y <= len(said) else ""
            return self._strip([(fit(words, width), base + self.tone("dim"))], width)
        row = self._rows[index]
        if row.is_rule:
            heading = f"-- {row.words(0)} " if row.words(0) else ""
            words = fit(heading, width) if len(heading) > width else heading
            return self._strip([(words.ljust(width, "-"), base + self.tone("rule"))], width)
        segments: list[Segment] = []
        length = 0
        for inked, cells in self._cells(row, width):
            segments += inked
            length += cells
        return Strip(segments, length).adjust_cell_length(width, segments[-1].style if segments else base)

    def _head(self, width: int) -> str:
        parts, used = [], 0
        for _, column, size in self.shown(width):
            used += size
            room = size if used >= width else max(0, size - 1)
            parts.append(f"{fit_number(column.title, room) if column.is_right else fit(column.title, room)} "[:size])
        return "".join(parts)

    def _cells(self, row: Row, width: int) -> Iterator[tuple[tuple[Segment, ...], int]]:
        """The cells of a row as they are drawn, with their widths."""
        tone = "dim" if row.is_gone else row.tone
        cursor = "" if row.id != self.selected else "cursor" if self.has_focus else "rest"
        used = 0
        for index, column, size in self.shown(width):
            if index == row.tail_from:
                yield self._ink(row.words(len(row.cells) - 1), None, width - used, ("", tone, cursor, False))
                break
            cell = row.cells[index]
            used += size
            words, own = (cell, "") if isinstance(cell, str) else (cell.text, "" if row.is_gone else cell.tone)
            is_last = used >= width
            yield self._ink(
                words, column, -size if is_last else size, (own, tone, cursor, (row.id, index) in self._bold)
            )

    def _ink(
        self, words: str, column: Column | None, size: int, look: tuple[str, str, str, bool]
    ) -> tuple[tuple[Segment, ...], int]:
        """One cell: as it was drawn before, or drawn now. A tail has no column; below zero stands the size of the last one."""
        key = (words, column and column.is_right, size, look)
        found = self._inked.get(key)
        if found is None:
            if len(self._inked) >= INKED_MAX:
                self._inked.clear()
            found = self._inked[key] = self._drawn(words, column, size, look)
        return found

    def _drawn(
        self, words: str, column: Column | None, size: int, look: tuple[str, str, str, bool]
    ) -> tuple[tuple[Segment, ...], int]:
        name, row_tone, cursor, is_bold = look
        style = self.tone("")
        for tone in (row_tone, cursor):
            if tone:
                style += self.tone(tone)
        own = style + self.tone(name) if name else style
        if is_bold:
            own += Style(bold=True)
        if column is None:
            parts = [(fit(words, size), own)]
        else:
            room = -size if size < 0 else max(0, size - 1)
            shown = f"{fit_number(words, room) if column.is_right else fit(words, room)} "[: abs(size)]
            parts = self._padded(shown, own, style) if own.bgcolor != style.bgcolor else [(shown, own)]
        strip = self._strip(parts, None)
        return tuple(strip), strip.cell_length

    @staticmethod
    def _padded(shown: str, own: Style, style: Style) -> list[tuple[str, Style]]:
        """A background of its own lies under the words, not under the spaces around them."""
        words = shown.strip()
        before, _, after = shown.partition(words)
        return [part for part in ((before, style), (words, own), (after, style)) if part[0]]

    def _strip(self, parts: Sequence[tuple[str, Style]], width: int | None) -> Strip:
        """Words with their styles as the app's filters have them."""
        merged: list[tuple[str, Style]] = []
        for words, style in parts:
            if merged and merged[-1][1] == style:
                merged[-1] = (merged[-1][0] + words, style)
            else:
                merged.append((words, style))
        segments = [Segment(words, style) for words, style in merged]
        ground = self.background_colors[1] if self._ground is None else self._ground
        for line_filter in self.app.get_line_filters():
            segments = line_filter.apply(segments, ground)
        strip = Strip(segments, sum(cell_len(segment.text) for segment in segments))
        return strip if width is None else strip.adjust_cell_length(width, segments[-1].style if segments else Style())


def _is_cut(found: Sequence[tuple[int, Column, int]], width: int) -> bool:
    """Whether a last column of figures has less room than it needs: half of one would be another figure."""
    _, column, size = found[-1]
    return column.is_right and width - sum(size for _, _, size in found[:-1]) < size


def _gone(row: Row) -> Row:
    """A row that only holds its place; a heading without its section says nothing."""
    if row.is_rule:
        return row if row.id == NEW else msgspec.structs.replace(row, cells=("",))
    return row if row.is_gone else msgspec.structs.replace(row, is_gone=True)
