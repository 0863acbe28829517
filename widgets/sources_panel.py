"""Who may make orders here: strategies and other sources, whether each is on, why not, and how many parents it has open."""

from __future__ import annotations

from engine.views import SourceView
from widgets.formats import plain
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

COLUMNS = (Column(" source", 14), Column("state", 9), Column("open", 5, is_right=True), Column(" why", 0))
EMPTY = "no strategy runs: `bolt strategy on NAME`"


class SourcesPanel(LiveTable):
    """One row per source."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Sources", empty=EMPTY, id="sources")

    def draw(self, frame: Frame) -> None:
        """Show the picture's sources."""
        self.show([source_row(item) for item in frame.view.status.sources], frame.now_ns)


def source_row(item: SourceView) -> Row:
    """One source; any state but on is a word that stands out."""
    tone = "" if item.state == "on" else "dim" if item.state == "off" else "warn"
    return Row(
        item.name, (f" {plain(item.name)}", Cell(item.state.upper(), tone), str(item.parents), f" {plain(item.why)}")
    )
