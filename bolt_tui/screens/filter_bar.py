"""The filter line: what is typed narrows the pane at once; enter keeps it, escape clears it."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from widgets.blotter import FILTER_NAMES as ORDER_NAMES
from widgets.row_filter import CHARS_MAX
from widgets.trade_log_panel import FILTER_NAMES as LOG_NAMES
from widgets.typed_line import TypedLine

NAMES = {"orders": ORDER_NAMES, "log": LOG_NAMES}


class FilterWords(TypedLine):
    """The filter that is typed."""

    async def on_key(self, event: events.Key) -> None:
        """Escape clears and leaves."""
        if event.key == "escape" and isinstance(self.parent, FilterBar):
            event.stop()
            event.prevent_default()
            self.parent.leave(clear=True)


class FilterBar(Horizontal):
    """Shown while a filter is typed.

    Args:
        apply: sets the filter of a pane by its id; what is wrong with the words, or nothing.
        done: called with the pane's id when the line is left.
    """

    DEFAULT_CSS = """
    FilterBar { height: 1; display: none; background: $panel; }
    FilterBar.-open { display: block; }
    FilterBar #filter-name { width: auto; color: $focus; text-style: bold; padding: 0 1; }
    FilterBar #filter { height: 1; border: none; padding: 0; background: $panel; width: 1fr; }
    FilterBar #filter:focus { border: none; background: $panel; }
    FilterBar #filter-say { width: auto; max-width: 60%; color: $quiet; padding: 0 1; }
    """

    def __init__(self, apply: Callable[[str, str], str], done: Callable[[str], None]) -> None:
        super().__init__(id="filter-bar")
        self._apply = apply
        self._done = done
        self.pane = ""

    def compose(self) -> ComposeResult:
        """Name, words, and what may be named in them."""
        yield Static(id="filter-name")
        words = FilterWords(id="filter", select_on_focus=False, max_length=CHARS_MAX)
        words.cursor_blink = False
        yield words
        yield Static(id="filter-say")

    def open(self, pane: str, words: str) -> None:
        """Type a filter of a pane, beginning with the one it has."""
        self.pane = pane
        self.add_class("-open")
        self.query_one("#filter-name", Static).update(Content(f"filter {pane} /"))
        line = self.query_one("#filter", Input)
        line.value = words
        line.cursor_position = len(words)
        self._say("")
        # At once, as in the order line: what is typed behind the key must not go to the pane.
        self.screen.set_focus(line)

    def leave(self, *, clear: bool) -> None:
        """Back to the pane."""
        if clear:
            self._apply(self.pane, "")
        self.remove_class("-open")
        self._done(self.pane)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow while typing."""
        event.stop()
        if self.has_class("-open"):
            self._say(self._apply(self.pane, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep it."""
        event.stop()
        self.leave(clear=False)

    def _say(self, error: str) -> None:
        hint = " ".join(f"{name}:" for name in NAMES.get(self.pane, ()))
        words = (
            Content(error).stylize("bold $caution") if error else Content(f"{hint} -not a|b qty>100").stylize("$quiet")
        )
        self.query_one("#filter-say", Static).update(words)
