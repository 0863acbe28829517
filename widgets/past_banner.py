"""The line that makes the past unmistakable: where it is, that nothing can be sent, and the keys that move it."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from widgets.formats import fit

KEYS = "[ ] a line back, on   { } a minute"


class PastBanner(Widget):
    """Hidden while the desk shows now."""

    DEFAULT_CSS = """
    PastBanner { height: 1; display: none; background: $alarm; color: $alarm-text; text-style: bold; }
    PastBanner.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(id="past")
        self.words = ""

    def draw(self, words: str) -> None:
        """Show where the past is; empty for now."""
        if words != self.words:
            self.words = words
            self.set_class(bool(words), "-shown")
            self.refresh()

    def render(self) -> Content:
        """The line: what matters most first."""
        width = self.size.width
        said = f" THE PAST: {self.words}. NOTHING CAN BE SENT."
        room = width - len(said) - 3
        return Content(fit(f"{said}   {KEYS}" if len(KEYS) <= room else said, width))
