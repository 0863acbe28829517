"""What every dialog is: a modal screen with a box, and below it the keys that work in it, the halt among them."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Input

from bolt_tui.keymap import Place
from bolt_tui.screens.footer import FooterLine
from widgets.typed_line import TypedLine

Choice = TypeVar("Choice")

DIALOG_CSS = """
    #dialog { width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; background: $panel;
        border: heavy $focus; border-title-style: bold; border-title-color: $focus; }
    #dialog Input { height: 1; border: none; padding: 0; background: $cursor-rest; }
    #dialog Input:focus { background: $cursor; border: none; }
    Dialog { align: center middle; background: $background 60%; }
    PreviewScreen { align: center bottom; background: $background 35%; }
    PreviewScreen #dialog { width: 100%; max-width: 124; }
"""
"""Belongs into the app's CSS: shared by every dialog."""


class Dialog(ModalScreen[Choice], Generic[Choice]):
    """A dialog yields its box from :meth:`body`; it returns a choice and sends nothing itself."""

    PLACE: ClassVar[Place]

    def compose(self) -> ComposeResult:
        """The box and the keys."""
        yield from self.body()
        yield FooterLine(self.PLACE)

    def body(self) -> ComposeResult:
        """The box, with the id ``dialog``."""
        raise NotImplementedError


def still_input(placeholder: str, name: str, value: str = "") -> Input:
    """An input whose cursor does not blink."""
    made = TypedLine(value, placeholder=placeholder, id=name, select_on_focus=False, max_length=200)
    made.cursor_blink = False
    return made
