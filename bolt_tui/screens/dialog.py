"""What every dialog is: a modal screen with a box, and below it the keys that work in it, the halt among them."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Input

from bolt_tui.keymap import Place
from bolt_tui.screens.footer import FooterLine
from widgets.typed_line import TypedLine

Choice = TypeVar("Choice")

DIALOG_CSS = """
    SearchIcon { display: none; }
    #dialog { width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; background: $panel;
        border: heavy $focus; border-title-style: bold; border-title-color: $focus; }
    #dialog Input { height: 1; border: none; padding: 0; background: $cursor-rest; }
    #dialog Input:focus { background: $cursor; border: none; }
    Dialog { align: center middle; background: $background 60%; }
    PreviewScreen { align: center bottom; background: $background 35%; }
    #basket-lines { height: auto; scrollbar-size: 0 0; }
    PreviewScreen #dialog, BasketScreen #dialog { width: 100%; max-width: 124; }
"""
"""Belongs into the app's CSS: shared by every dialog."""


class Dialog(ModalScreen[Choice], Generic[Choice]):
    """A dialog yields its box from :meth:`body`; it returns a choice and sends nothing itself."""

    PLACE: ClassVar[Place]
    HAS_FIELDS: ClassVar[bool] = False
    """Somebody types in it: keys of a burst wait until the field they are for is there and has the focus."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[events.Key] = []
        self._is_holding = self.HAS_FIELDS

    def compose(self) -> ComposeResult:
        """The box and the keys."""
        yield from self.body()
        yield FooterLine(self.PLACE)

    def body(self) -> ComposeResult:
        """The box, with the id ``dialog``."""
        raise NotImplementedError

    # -- keys of a burst, in the order in which they were typed ------------------------------------------------------------

    def holds(self, event: events.Key) -> bool:
        """Whether the key is kept until the one before it has done its work."""
        if self._is_holding:
            self._held.append(event)
        return self._is_holding

    def hold_behind(self) -> None:
        """Keep what follows until the line is settled."""
        self._is_holding = True

    def _forward_event(self, event: events.Event) -> None:
        if not (isinstance(event, events.Key) and self.holds(event)):
            super()._forward_event(event)

    def on_screen_resume(self) -> None:
        """Its fields are there, and one of them has the focus."""
        self.call_next(self._let_go)

    def on_typed_line_settled(self) -> None:
        """The field that the keys are for has the focus now. Those behind the enter that ended the dialog are nobody's."""
        self._let_go()

    def _let_go(self) -> None:
        self._is_holding = False
        held, self._held = self._held, []
        if self.is_current:
            for event in held:
                (self.focused or self)._forward_event(event)  # noqa: SLF001 - as the app hands them over


def still_input(placeholder: str, name: str, value: str = "") -> Input:
    """An input whose cursor does not blink."""
    made = TypedLine(value, placeholder=placeholder, id=name, select_on_focus=False, max_length=200)
    made.cursor_blink = False
    return made
