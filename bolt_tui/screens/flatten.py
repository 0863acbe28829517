"""FLATTEN: the second rung of the kill ladder. It halts, cancels, then closes positions; the word is typed, and the cost stands there."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from bolt_tui.keymap import Place, bindings
from bolt_tui.screens.dialog import Dialog, still_input
from engine.views import DeskView
from widgets.closing_cost import closing_costs, total_words
from widgets.formats import counted, plain, wrap

FLATTEN_WORD = "FLATTEN"
WIDTH = 74
ROWS_SHOWN_MAX = 10


class FlattenScreen(Dialog[bool]):
    """True where the word was typed; the cost follows the market meanwhile.

    Args:
        view: the newest picture.
        symbol: the one symbol to flatten, empty for all.
    """

    PLACE = Place.FLATTEN
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)
    HAS_FIELDS = True

    def __init__(self, view: Callable[[], DeskView], symbol: str) -> None:
        super().__init__()
        self._view = view
        self._symbol = symbol

    def body(self) -> ComposeResult:
        """What goes, what it costs, and the word."""
        with Vertical(id="dialog") as box:
            box.border_title = f"FLATTEN {self._symbol or 'EVERYTHING'}: halt, cancel, then close positions"
            yield Static(id="flatten-cost")
            yield still_input(f"type {FLATTEN_WORD}", "word")
            yield Static(Content("enter goes on, esc leaves everything as it is"), id="flatten-answer")

    def on_mount(self) -> None:
        """Follow the market."""
        self.set_focus(self.query_one("#word", Input))
        self._show()
        self.set_interval(0.5, self._show)

    def _show(self) -> None:
        for box in self.query("#flatten-cost").results(Static):
            box.update(Content("\n".join(cost_lines(self._view(), self._symbol))))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The word or nothing."""
        event.stop()
        word = event.value.strip()
        if word == FLATTEN_WORD:
            self.dismiss(True)
            return
        said = f"the word is {FLATTEN_WORD}, in capitals; was {plain(word)!r}"
        self.query_one("#flatten-answer", Static).update(Content(said).stylize("bold $caution"))

    def action_drop(self) -> None:
        """Leave everything as it is."""
        self.dismiss(False)


def cost_lines(view: DeskView, symbol: str) -> list[str]:
    """What flattening would cancel, close and cost, a line each."""
    costs = closing_costs(view, symbol)
    working = sum(1 for row in view.orders if row.state.is_live and row.parent_id and symbol in {"", row.symbol})
    lines = [f"{counted(working, 'working order')} cancelled first; the gate shuts and stays shut"]
    if not costs:
        return [*lines, "there is no open position to close"]
    lines += [found.words() for found in costs[:ROWS_SHOWN_MAX]]
    if len(costs) > ROWS_SHOWN_MAX:
        lines.append(f"and {len(costs) - ROWS_SHOWN_MAX} more positions")
    lines.append(total_words(costs))
    return [part for line in lines for part in ([line] if len(line) <= WIDTH else wrap(line, WIDTH, "  "))]
