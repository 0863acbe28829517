"""What is at risk in base currency: long, short, gross and net of each symbol, source, broker and currency."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from engine.domain.money import EXACT
from engine.views import ExposureView
from widgets.formats import UNKNOWN, bar, fixed, plain, signed
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

COLUMNS = (
    Column(" name", 18),
    Column("gross", 15, is_right=True, is_live=True),
    Column("net", 15, is_right=True, is_live=True),
    Column("long", 15, is_right=True, from_width=92),
    Column("short", 15, is_right=True, from_width=92),
    Column("  share of gross", 0),
)
HEADINGS = {
    "symbol": "by symbol",
    "source": "by who asked: strategies by name, people by desk or command line",
    "broker": "by broker",
    "currency": "by currency",
}
BAR_WIDTH = 10
EMPTY = "flat: nothing is at risk"


class ExposurePanel(LiveTable):
    """Four sections of the same positions."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Exposure", empty=EMPTY, id="exposure")

    def draw(self, frame: Frame) -> None:
        """Show the picture's exposures."""
        self.show(exposure_rows(frame.view.exposures), frame.now_ns)
        self.retitle(f"Exposure in {frame.view.status.currency}", "at the middle of the market")


def exposure_rows(items: Sequence[ExposureView]) -> list[Row]:
    """Sections in a fixed order, the largest first in each."""
    rows: list[Row] = []
    for kind, words in HEADINGS.items():
        found = [item for item in items if item.kind == kind]
        if not found:
            continue
        rows.append(Row(f"#{kind}", (words,), is_rule=True))
        total = sum((_gross(item) or Decimal(0) for item in found), Decimal(0))
        found.sort(key=lambda item: (-(_gross(item) or Decimal(0)), item.name))
        rows += [_row(item, total) for item in found]
    return rows


def _gross(item: ExposureView) -> Decimal | None:
    return None if item.long is None or item.short is None else EXACT.subtract(item.long, item.short)


def _row(item: ExposureView, total: Decimal) -> Row:
    gross = _gross(item)
    row_id = f"{item.kind}/{item.name}"
    if gross is None or item.long is None or item.short is None:
        words = "not known: no price or no rate"
        return Row(row_id, (f" {plain(item.name)}", Cell(UNKNOWN, "warn"), UNKNOWN, UNKNOWN, UNKNOWN, f"  {words}"))
    net = item.long + item.short
    share = int(EXACT.divide(gross * 100, total)) if total else 0
    cells = (
        f" {plain(item.name)}",
        fixed(gross, 2),
        Cell(signed(net), "up" if net > 0 else "down" if net < 0 else ""),
        fixed(item.long, 2),
        fixed(item.short, 2),
        f"  {bar(share, BAR_WIDTH)} {share}%",
    )
    return Row(row_id, cells)
