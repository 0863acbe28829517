"""A letter on every pane: the next key goes to the pane that carries it."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Offset
from textual.widgets import Static

from bolt_tui.keymap import Place, bindings
from bolt_tui.screens.dialog import Dialog
from bolt_tui.screens.floor import JUMPS


class JumpScreen(Dialog[str]):
    """Returns the id of the chosen pane, or nothing.

    Args:
        places: where each pane that can be seen begins.
    """

    PLACE = Place.JUMP
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)
    DEFAULT_CSS = """
    JumpScreen { align: left top; background: $background 35%; }
    JumpScreen .letter { position: absolute; width: 5; height: 1; background: $focus; color: $background; text-style: bold; }
    """

    def __init__(self, places: dict[str, Offset]) -> None:
        super().__init__()
        self._places = places

    def body(self) -> ComposeResult:
        """The letters, each at the upper left of its pane."""
        for letter, name in JUMPS.items():
            if name in self._places:
                label = Static(Content(f"  {letter}  "), classes="letter")
                label.styles.offset = (self._places[name].x + 1, self._places[name].y)
                yield label

    def on_key(self, event: events.Key) -> None:
        """A letter goes to its pane; any other key changes nothing."""
        if (name := JUMPS.get(event.character or "")) in self._places:
            event.stop()
            self.dismiss(name)

    def action_drop(self) -> None:
        """Stay."""
        self.dismiss("")
