"""The floor: every pane of the desk in one tree, and which of them a mode shows at which size.

A mode (keys 1 to 5) and a size (Textual's breakpoints) are classes on the screen; `desk.tcss` lays the same panes out for
each pair. So a row that is selected, a filter and a half-typed line outlive a change of mode and a storm of resizes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, cast

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widget import Widget

from widgets.alerts_panel import AlertsPanel
from widgets.blotter import Blotter
from widgets.exposure_panel import ExposurePanel
from widgets.fills_panel import FillsPanel
from widgets.frame import Frame
from widgets.order_book_panel import OrderBookPanel
from widgets.position_strip import PositionStrip
from widgets.price_chart import PriceChart
from widgets.risk_panel import RiskPanel
from widgets.sources_panel import SourcesPanel
from widgets.tca_panel import TcaPanel
from widgets.trade_log_panel import TradeLogPanel
from widgets.venues_panel import VenuesPanel
from widgets.watch_list import WatchList


class Mode(StrEnum):
    """What the floor shows; the value is the mode's class on the screen."""

    DESK = "mode-desk"
    BLOTTER = "mode-blotter"
    ANALYSIS = "mode-analysis"
    RISK = "mode-risk"
    LOG = "mode-log"


HOME: dict[Mode, str] = {
    Mode.DESK: "orders",
    Mode.BLOTTER: "orders",
    Mode.ANALYSIS: "orders",
    Mode.RISK: "limits",
    Mode.LOG: "log",
}
"""The pane that takes the keys when a mode is entered for the first time."""

JUMPS: dict[str, str] = {
    "w": "watch", "a": "alerts", "s": "sources", "o": "orders", "b": "ladder", "p": "positions", "f": "fills",
    "r": "limits", "e": "exposure", "g": "log", "v": "venues", ":": "pad",
}  # fmt: skip
"""Letter to pane, for the jump key."""


class Pane(Protocol):
    """What draws itself from a frame."""

    def draw(self, frame: Frame) -> None:
        """Show the frame; repaint nothing that is the same."""
        ...


class Floor(Container):
    """Holds the panes and draws those that can be seen."""

    def __init__(self) -> None:
        super().__init__(id="floor")
        self.panes: tuple[Widget, ...] = (
            WatchList(), AlertsPanel(), SourcesPanel(), Blotter(), OrderBookPanel(), PositionStrip(), TcaPanel(),
            PriceChart(), FillsPanel(), RiskPanel(), ExposurePanel(), TradeLogPanel(), VenuesPanel(),
        )  # fmt: skip
        """Every pane, shown or not, in the order in which the grid takes them."""

    def compose(self) -> ComposeResult:
        """The first three share a column."""
        with Vertical(id="side"):
            yield from self.panes[:3]
        yield from self.panes[3:]

    def is_shown(self, pane: Widget) -> bool:
        """Whether a pane has a place in this mode and size."""
        return pane.display and (pane.parent is self or (isinstance(pane.parent, Widget) and pane.parent.display))

    def draw(self, frame: Frame) -> None:
        """Draw the panes that can be seen."""
        for pane in self.panes:
            if self.is_shown(pane):
                cast("Pane", pane).draw(frame)
