"""The trade log: one line per event a person wants to read, newest last."""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain.clock import hms
from engine.views import LogLine
from widgets.formats import clock_second, grouped, plain
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row
from widgets.row_filter import RowFilter, read_filter

NARROW = (Column(" time", 10), Column("what", 7), Column("order", 6), Column("text", 0))
WIDE = (Column(" time", 14), Column("what", 8), Column("order", 8), Column("text", 0))
WIDE_FROM = 90
LINES_MAX = 400
EMPTY = "nothing has happened yet: what orders, brokers and limits do is told here"
EMPTY_FILTER = "no line passes the filter: / changes it, esc in it clears it"
TONES: Mapping[str, str] = {"FILL": "strong", "REJ": "warn", "DENY": "warn", "UNKN": "alarm", "HALT": "alarm"}
SEVERE = {"warn": "warn", "critical": "alarm"}
FILTER_NAMES = ("time", "what", "id", "text", "sev")


class TradeLogPanel(LiveTable):
    """It follows the newest line until the cursor is moved; ``f`` follows again. Enter goes to a line's order."""

    def __init__(self) -> None:
        super().__init__(WIDE, title="Log", empty=EMPTY, id="log", follow=True)
        self.filter = RowFilter()
        self._lines: tuple[LogLine, ...] = ()
        self._shown: list[Row] = []
        self._is_made = False

    def set_filter(self, words: str) -> str:
        """Show only the lines that pass; the words that are wrong with it, or nothing."""
        self.filter = read_filter(words, FILTER_NAMES)
        self.empty = EMPTY_FILTER if words.strip() else EMPTY
        self._is_made = False
        return self.filter.error

    def draw(self, frame: Frame) -> None:
        """Show the tail of the picture's log."""
        columns = WIDE if self.size.width >= WIDE_FROM else NARROW
        if self.columns is not columns:
            self.columns = columns
            self._is_made = False
            self._shown = []
            self.refresh()
        self._say()
        if self._is_made and frame.view.log is self._lines:
            return
        self._is_made = True
        self._lines = frame.view.log
        known = {row.id: row for row in self._shown}
        passed = self._lines if not self.filter.terms else [line for line in self._lines if self._passes(line)]
        is_wide = columns is WIDE
        self._shown = [known.get(_id(line)) or log_row(line, is_wide=is_wide) for line in passed[-LINES_MAX:]]
        self.show(self._shown, frame.now_ns)

    def _passes(self, line: LogLine) -> bool:
        return self.filter.passes(
            {
                "time": clock_second(line.ts_ns),
                "what": line.word,
                "id": line.order_id,
                "text": line.text,
                "sev": line.severity,
            }
        )

    def _say(self) -> None:
        held = "" if self.follow else ": held, f follows"
        self.retitle(f"Log{held}" + (f"  /{self.filter.text}" if self.filter.text else ""))

    def set_follow(self) -> None:
        """Follow the newest line again."""
        self.follow = True
        self.release()
        self._is_made = False


def log_row(line: LogLine, *, is_wide: bool = True) -> Row:
    """One line as a row."""
    when = hms(line.ts_ns) if is_wide else clock_second(line.ts_ns)
    tone = TONES.get(line.word) or SEVERE.get(line.severity, "")
    return Row(_id(line), (f" {when}", Cell(plain(line.word), tone), line.order_id, grouped(plain(line.text))))


def _id(line: LogLine) -> str:
    """One row of the journal may have several lines, each with a word of its own."""
    return f"{line.seq}.{line.word}"
