"""Executions, newest first: of the parent under the cursor, or all of them where none is selected."""

from __future__ import annotations

from engine.domain.clock import hms
from engine.domain.money import Money
from engine.domain.order import Side
from engine.views import FillView
from widgets.formats import exact, fixed, plain, quantity, short_quantity
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

COLUMNS = (
    Column(" time", 14),
    Column("order", 7),
    Column("S", 2),
    Column("symbol", 9),
    Column("qty", 9, is_right=True),
    Column("price", 11, is_right=True),
    Column("venue", 8),
    Column("fee", 9, is_right=True, from_width=69),
    Column("", 5, from_width=74),
    Column("made", 0, from_width=90),
)
FEE_WIDTH = 8
SHOWN_MAX = 200
EMPTY = "no fills yet: each execution of an order gets a line here"


class FillsPanel(LiveTable):
    """One row per execution."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Fills", empty=EMPTY, id="fills")

    def draw(self, frame: Frame) -> None:
        """Show the fills that belong to what is selected."""
        parent = frame.parent
        fills = frame.view.fills
        if parent is not None:
            fills = tuple(fill for fill in fills if parent.order_id in {fill.order_id, fill.parent_id})
        rows = [fill_row(fill, frame.digits(fill.symbol)) for fill in reversed(fills[-SHOWN_MAX:])]
        self.show(rows, frame.now_ns)
        whose = f" of {parent.order_id}" if parent is not None else ""
        self.retitle(f"Fills{whose}: {len(fills)}", "esc shows all" if parent is not None else "")


def fee_words(fee: Money) -> str:
    """What an execution cost; below zero it brought something. A fee in a coin may have no hundredths: it is never shown as nothing."""
    words = fixed(fee, 2)
    if not fee or words.strip("-0."):
        return words
    return f"{'-' if fee < 0 else ''}{short_quantity(abs(fee), FEE_WIDTH - 1)}"


def fill_row(fill: FillView, digits: int) -> Row:
    """One execution; a late or busted one says so in a word."""
    flag = "BUSTED" if fill.busted else "LATE" if fill.late else ""
    is_buy = fill.side is Side.BUY
    cells = (
        f" {hms(fill.ts_ns)}",
        fill.order_id or fill.source or "foreign",
        Cell(fill.side.letter, "buy" if is_buy else "sell"),
        fill.symbol,
        quantity(fill.qty),
        exact(fill.price, digits),
        plain(fill.venue),
        fee_words(fill.fee),
        fill.fee_currency,
        Cell(f"{flag} {fill.liquidity}".strip(), "warn" if flag else ""),
    )
    return Row(f"{fill.seq}/{fill.fill_key}", cells)
