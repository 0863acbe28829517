"""A dialog that asks for one line of words."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from bolt_tui.keymap import Place, bindings
from bolt_tui.screens.dialog import Dialog, still_input


class LineScreen(Dialog[str]):
    """Returns what was typed, or nothing.

    Args:
        title: what is asked.
        hint: an example, shown while the line is empty.
        start: what the line begins with.
    """

    PLACE = Place.ASK
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)
    HAS_FIELDS = True

    def __init__(self, title: str, hint: str, start: str = "") -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._start = start

    def body(self) -> ComposeResult:
        """The line."""
        with Vertical(id="dialog") as box:
            box.border_title = self._title
            box.border_subtitle = self._hint
            yield still_input(self._hint, "asked", self._start)

    def on_mount(self) -> None:
        """Type at once, behind what is there."""
        line = self.query_one("#asked", Input)
        line.cursor_position = len(self._start)
        self.set_focus(line)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand it over."""
        event.stop()
        self.dismiss(event.value)

    def action_drop(self) -> None:
        """Forget it."""
        self.dismiss("")
