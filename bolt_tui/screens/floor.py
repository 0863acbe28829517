"""The floor: every pane of the desk in one tree, and which of them a mode shows at which size.

A mode (keys 1 to 5) and a size (Textual's breakpoints) are classes on the screen; `desk.tcss` lays the same panes out for
each pair. So a row that is selected, a filter and a half-typed line outlive a change of mode and a storm of resizes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from widgets.blotter import Blotter
from widgets.frame import Frame
from widgets.order_book_panel import OrderBookPanel
from widgets.position_strip import PositionStrip
from widgets.trade_log_panel import TradeLogPanel


class Mode(StrEnum):
    """What the floor shows; the value is the mode's class on the screen."""

    DESK = "mode-desk"
    BLOTTER = "mode-blotter"
    LOG = "mode-log"


HOME: dict[Mode, str] = {Mode.DESK: "orders", Mode.BLOTTER: "orders", Mode.LOG: "log"}
"""The pane that takes the keys when a mode is entered for the first time."""


class Pane(Protocol):
    """What draws itself from a frame."""

    def draw(self, frame: Frame) -> None:
        """Show the frame; repaint nothing that is the same."""
        ...


class Floor(Container):
    """Holds the panes and draws those that can be seen."""

    def __init__(self) -> None:
        super().__init__(id="floor")

    def compose(self) -> ComposeResult:
        """In the order in which the grid takes them."""
        yield Blotter()
        yield OrderBookPanel()
        yield PositionStrip()
        yield TradeLogPanel()

    @property
    def panes(self) -> list[Widget]:
        """Every pane, shown or not."""
        return [pane for pane in self.query("*") if hasattr(pane, "draw")]

    def is_shown(self, pane: Widget) -> bool:
        """Whether a pane has a place in this mode and size."""
        return pane.display and (pane.parent is self or getattr(pane.parent, "display", False))

    def draw(self, frame: Frame) -> None:
        """Draw the panes that can be seen, the orders first: the cursor in them decides what others show."""
        for pane in self.panes:
            if self.is_shown(pane):
                pane.draw(frame)  # type: ignore[attr-defined]  # they are Panes
