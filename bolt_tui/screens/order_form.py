"""The order line as fields, with the same answer below them. It returns the line they say and never sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from bolt_tui.keymap import Place, bindings
from bolt_tui.screens.dialog import Dialog, still_input
from widgets.formats import plain
from widgets.messages import LineChanged

ANSWER_ROWS = 4
"""Lines of the answer below the fields; fixed, so that nothing jumps while somebody types."""


class FormScreen(Dialog[str]):
    """Fields that make a line.

    Args:
        values: what they hold at first.
        words: what may stand in each field, for completion.
    """

    PLACE = Place.FORM
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)
    HAS_FIELDS = True
    FIELDS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("side", "b or s"),
        ("size", "100, 5k, $10k, 25%pos, risk 200 stop 188.4"),
        ("symbol", "AAPL"),
        ("price", "189.10, mkt, join, take, mid, bid+2t"),
        ("stop", "188.40, or empty"),
        ("tif", "day, gtc, ioc, fok"),
        ("algo", "twap 30m, vwap 1h slices=20, or empty"),
        ("flags", "post, reduce, or empty"),
        ("acct", "account, or empty for the desk's own"),
        ("broker", "broker, or empty for the desk's own"),
        ("venue", "MIC, or empty for the broker's choice"),
    )
    ROUTES: ClassVar[tuple[str, ...]] = ("acct", "broker", "venue")

    def __init__(self, values: Mapping[str, str], words: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self._values = values
        self._choices = words

    def body(self) -> ComposeResult:
        """A field a line, the line they make, and what it would do."""
        with Vertical(id="dialog") as box:
            box.border_title = "ORDER FORM: enter previews, nothing is sent from here"
            for name, hint in self.FIELDS:
                with Horizontal(classes="field"):
                    yield Static(f"{name:<8}", classes="label")
                    field = still_input(hint, f"form-{name}", self._values.get(name, ""))
                    field.suggester = SuggestFromList(self._choices.get(name, ()), case_sensitive=False)
                    yield field
            yield Static(id="form-line")
            yield Static(id="form-answer")

    DEFAULT_CSS = f"""
    FormScreen .field {{ height: 1; }}
    FormScreen .label {{ width: 9; color: $quiet; }}
    FormScreen Input {{ width: 1fr; }}
    FormScreen #form-line {{ text-style: bold; }}
    FormScreen #form-answer {{ height: {ANSWER_ROWS}; }}
    """

    def on_mount(self) -> None:
        """Start at the first empty field."""
        first = next((name for name, _ in self.FIELDS if not self._values.get(name)), "size")
        self.set_focus(self.query_one(f"#form-{first}", Input))
        self._show()

    @property
    def line(self) -> str:
        """The order line that the fields say."""
        value = {name: self.query_one(f"#form-{name}", Input).value.strip() for name, _ in self.FIELDS}
        price = value["price"]
        parts = [value["side"], value["size"], value["symbol"].upper()]
        parts.append(f"@{price.removeprefix('@')}" if price else "")
        parts.append(f"stop {value['stop']}" if value["stop"] else "")
        parts += [value["tif"], value["algo"], value["flags"]]
        parts += [f"{name}:{value[name]}" for name in self.ROUTES if value[name]]
        return " ".join(part for part in parts if part)

    def on_input_changed(self) -> None:
        """Say the line aloud."""
        self._show()

    def _show(self) -> None:
        self.query_one("#form-line", Static).update(Content(f": {plain(self.line)}"))
        empty = [name for name in ("side", "symbol") if not self.query_one(f"#form-{name}", Input).value.strip()]
        if empty:
            self.answer(Content(f"still empty: {', '.join(empty)}").stylize("$quiet"))
            return
        self.post_message(LineChanged(self.line, self.answer, min(74, self.app.size.width - 4), ANSWER_ROWS))

    def answer(self, content: Content) -> None:
        """Show what the line would do."""
        for found in self.query("#form-answer").results(Static):
            found.update(content)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand the line over; its preview follows."""
        event.stop()
        self.dismiss(self.line)

    def action_drop(self) -> None:
        """Forget it."""
        self.dismiss("")
