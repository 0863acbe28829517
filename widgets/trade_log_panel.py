"""The trade log: one line per event a person wants to read, newest last."""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain.clock import hms
from engine.views import LogLine
from widgets.formats import clock_second, plain
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

NARROW = (Column(" time", 10), Column("what", 7), Column("order", 6), Column("text", 0))
WIDE = (Column(" time", 14), Column("what", 8), Column("order", 8), Column("text", 0))
WIDE_FROM = 90
LINES_MAX = 400
EMPTY = "nothing has happened yet"
TONES: Mapping[str, str] = {"FILL": "strong", "REJ": "warn", "DENY": "warn", "UNKN": "alarm", "HALT": "alarm"}
SEVERE = {"warn": "warn", "critical": "alarm"}


class TradeLogPanel(LiveTable):
    """It follows the newest line until the cursor is moved; ``f`` follows again. Enter goes to a line's order."""

    def __init__(self) -> None:
        super().__init__(WIDE, title="Log", empty=EMPTY, id="log", follow=True)
        self._lines: tuple[LogLine, ...] = ()
        self._shown: list[Row] = []

    def draw(self, frame: Frame) -> None:
        """Show the tail of the picture's log."""
        view, now_ns = frame.view, frame.now_ns
        is_wide = self.size.width >= WIDE_FROM
        columns = WIDE if is_wide else NARROW
        if self.columns is columns and view.log is self._lines:
            return
        if self.columns is not columns:
            self.columns = columns
            self.refresh()
        self._lines = view.log
        known = (
            {row.id: row for row in self._shown}
            if self._shown and is_wide == (len(self._shown[0].words(0)) > 9)
            else {}
        )
        self._shown = [known.get(str(line.seq)) or log_row(line, is_wide=is_wide) for line in view.log[-LINES_MAX:]]
        self.show(self._shown, now_ns)
        words = "Log" if self.follow else "Log: held, f follows"
        if self.border_title != words:
            self.border_title = words

    def set_follow(self) -> None:
        """Follow the newest line again."""
        self.follow = True
        self.release()
        self.border_title = "Log"
        self._lines = ()


def log_row(line: LogLine, *, is_wide: bool = True) -> Row:
    """One line as a row."""
    when = hms(line.ts_ns) if is_wide else clock_second(line.ts_ns)
    tone = TONES.get(line.word) or SEVERE.get(line.severity, "")
    return Row(str(line.seq), (f" {when}", Cell(plain(line.word), tone), line.order_id, plain(line.text)))
