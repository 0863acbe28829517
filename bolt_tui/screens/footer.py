"""The footer: which keys work in the state the screen is in, the halt always among them."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from bolt_tui.keymap import KEYS, Key, Place, footer

ROOMY = 100
"""From this width the keys stand two spaces apart, and below it where all of them fit so."""


class FooterLine(Widget):
    """One line of keys at the bottom of a screen or dialog."""

    DEFAULT_CSS = "FooterLine { height: 1; dock: bottom; background: $bar; color: $foreground; }"

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def draw(self, place: Place) -> None:
        """Show the keys of another place; repaints only where it is another one."""
        if place is not self.place:
            self.place = place
            self.refresh()

    def render(self) -> Content:
        """The line."""
        return footer_content(self.place, self.size.width, getattr(self.app, "keys", KEYS))


def footer_content(place: Place, width: int, keys: tuple[Key, ...] = KEYS) -> Content:
    """The footer's line: the halt at the right, and as many other keys as fit."""
    entries = footer(place, keys)
    halt = next(entry for entry in entries if entry[1] == "HALT")
    tail = f" {halt[0]} HALT "
    whole = sum(len(key) + len(words) + 3 for key, words in entries)
    gap = 1 if width < min(ROOMY, whole) else 2
    parts: list[tuple[str, str]] = [(" ", "")]
    used = 1
    for key, words in entries:
        if words == "HALT" or used + len(key) + len(words) + gap + 1 + len(tail) > width:
            continue
        parts += [(key, "bold $focus"), (f" {words}{' ' * gap}", "")]
        used += len(key) + len(words) + gap + 1
    parts.append((" " * max(0, width - used - len(tail)), ""))
    parts.append((tail, "bold $alarm-text on $alarm"))
    return Content.assemble(*parts)
