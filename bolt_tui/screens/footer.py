"""The footer: which keys work in the state the screen is in, the halt always among them."""

from __future__ import annotations

from typing import Any

from textual.content import Content
from textual.screen import Screen

from bolt_tui.keymap import Place, footer
from bolt_tui.screens.dialogs import CardScreen, FormScreen, QuitScreen, RearmScreen
from bolt_tui.screens.preview import PreviewScreen

PLACES: tuple[tuple[type[Screen[Any]], Place], ...] = (
    (PreviewScreen, Place.PREVIEW),
    (QuitScreen, Place.QUIT),
    (RearmScreen, Place.REARM),
    (FormScreen, Place.FORM),
    (CardScreen, Place.CARD),
)


def place_of(screen: Screen[Any], *, is_typing: bool) -> Place:
    """Where the keys go now."""
    found = next((place for kind, place in PLACES if isinstance(screen, kind)), None)
    return found or (Place.LINE if is_typing else Place.DESK)


def footer_content(place: Place, width: int) -> Content:
    """The footer's line: the halt at the right, and as many other keys as fit."""
    entries = footer(place)
    halt = next(entry for entry in entries if entry[1] == "HALT")
    tail = f" {halt[0]} HALT "
    parts: list[tuple[str, str]] = [(" ", "")]
    used = 1
    for key, words in entries:
        if words == "HALT" or used + len(key) + len(words) + 3 + len(tail) > width:
            continue
        parts += [(key, "bold $focus"), (f" {words}  ", "")]
        used += len(key) + len(words) + 3
    parts.append((" " * max(0, width - used - len(tail)), ""))
    parts.append((tail, "bold $alarm-text on $alarm"))
    return Content.assemble(*parts)
