"""Renders the changed lines of the desk and nothing else.

Textual's compositor draws a partial update by asking every widget within the box around all changes for all of its lines. On a
desk where a line at the top and one at the bottom change, that box is the screen. This asks only the widgets that show in a
changed piece of a line, for the lines between their first and last such piece.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from textual import screen as textual_screen
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.screen import Screen

if TYPE_CHECKING:
    from textual.strip import Strip
    from textual.widget import Widget

FRAMES_PER_S = 240
"""Textual paints at most so often; a key waits up to two frames. What the market changes comes at the desk's own rate."""


def hasten() -> None:
    """Let screens that are made from now on paint :data:`FRAMES_PER_S` times a second at most, where Textual would less often."""
    textual_screen.UPDATE_PERIOD = min(textual_screen.UPDATE_PERIOD, 1 / FRAMES_PER_S)  # type: ignore[misc]  # read when a screen starts


class LineCompositor(Compositor):
    """A compositor whose partial updates cost what changed."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """The pieces of lines in which something changed; None where nothing did."""
        screen_region = self.size.region
        regions = {region.intersection(screen_region) for region in self._dirty_regions}
        self._dirty_regions.clear()
        spans = list(self._regions_to_spans(region for region in regions if region))
        if not spans:
            return None
        cuts = self.cuts
        missing = _pieces(cuts, spans)
        chops: list[dict[int, Strip | None]] = [
            dict.fromkeys(cut_set[:-1]) if y in missing else {} for y, cut_set in enumerate(cuts)
        ]
        for widget, (region, clip) in self.visible_widgets.items():
            if not missing:
                break
            shown = clip.intersection(region)
            lines = [y for y in range(shown.y, shown.bottom) if _shows(missing.get(y), shown.x, shown.right)]
            if lines:
                self._fill(chops, missing, widget, region, shown, lines)
        return ChopsUpdate(chops, spans, [cut_set[1:] for cut_set in cuts])

    def _fill(
        self,
        chops: list[dict[int, Strip | None]],
        missing: dict[int, set[int]],
        widget: Widget,
        region: Region,
        shown: Region,
        lines: list[int],
    ) -> None:
        """Put a widget's lines where nothing before it stands: the widgets come front to back."""
        first = lines[0]
        crop = Region(shown.x - region.x, first - region.y, shown.width, lines[-1] - first + 1)
        strips = widget.render_lines(crop)
        for y in lines:
            at = [cut for cut in self.cuts[y] if shown.x <= cut <= shown.right]
            chops_line, wanted = chops[y], missing[y]
            pieces = strips[y - first].divide([cut - shown.x for cut in at[1:]])
            for cut, piece in zip(at, pieces, strict=False):
                if chops_line.get(cut, piece) is None:
                    chops_line[cut] = piece
                    wanted.discard(cut)
            if not wanted:
                del missing[y]


def _pieces(cuts: list[list[int]], spans: list[tuple[int, int, int]]) -> dict[int, set[int]]:
    """Line -> beginnings of the pieces that a span of it touches."""
    found: dict[int, set[int]] = {}
    for y, x1, x2 in spans:
        if y < len(cuts):
            line = cuts[y]
            touched = {cut for cut, end in pairwise(line) if cut < x2 and x1 < end}
            if touched:
                found.setdefault(y, set()).update(touched)
    return found


def _shows(missing: set[int] | None, x: int, right: int) -> bool:
    return missing is not None and any(x <= cut < right for cut in missing)


class DeskScreen(Screen[None]):
    """The screen with the panes."""

    def __init__(self) -> None:
        super().__init__(id="_default")
        self._compositor = LineCompositor()
