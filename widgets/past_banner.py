"""The line that makes the past unmistakable: where it is, that nothing can be sent, and the keys that move it."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from widgets.formats import fit, plain

KEYS = "[ ] a line back, on   { } a minute"


class PastBanner(Widget):
    """Hidden while the desk shows now."""

    DEFAULT_CSS = """
    PastBanner { height: 1; display: none; background: $alarm; color: $alarm-text; text-style: bold; }
    PastBanner.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(id="past")
        self.words = self.missing = ""

    def draw(self, words: str, missing: str = "") -> None:
        """Show where the past is (empty for now), and what is not known of it."""
        if (words, missing) != (self.words, self.missing):
            self.words, self.missing = words, missing
            self.set_class(bool(words), "-shown")
            self.refresh()

    def render(self) -> Content:
        """The line: what matters most first."""
        width = self.size.width
        said = f" THE PAST: {self.words}. NOTHING CAN BE SENT." + (f" {plain(self.missing)}" if self.missing else "")
        room = width - len(said) - 3
        return Content(fit(f"{said}   {KEYS}" if len(KEYS) <= room else said, width))
