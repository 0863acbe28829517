"""Preview, quit, re-arm and help: small modal screens that return what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine.domain.commands import CommandResult

GUARD_NS = 250_000_000
"""Enter sooner than this after the preview appeared is type-ahead and does nothing."""


class PreviewScreen(ModalScreen[str]):
    """An order before it is sent: ``send``, ``confirm``, ``stage`` or nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("enter", "send", "send"),
        ("y", "confirm", "confirm"),
        ("t", "stage", "stage"),
        ("escape", "drop", "drop"),
    ]

    def __init__(self, words: str, result: CommandResult, monotonic_ns: Callable[[], int]) -> None:
        super().__init__()
        self._words = words
        self._result = result
        self._monotonic_ns = monotonic_ns
        self._shown_ns = monotonic_ns()
        self._is_done = False

    def compose(self) -> ComposeResult:
        """The order aloud, its figures, each denial, and what the keys do."""
        with Vertical(id="dialog"):
            yield Static(Text(f"PREVIEW  {self._words}", style="bold"))
            yield Static(Text("\n".join(self._lines())), id="preview")
            yield Static(Text(self._keys(), style="bold"), id="preview-keys")

    def on_mount(self) -> None:
        """The guard counts from when it can be seen."""
        self._shown_ns = self._monotonic_ns()

    def _lines(self) -> list[str]:
        result = self._result
        lines = [f"{name.replace('_', ' ')}: {value}" for name, value in result.preview.items()]
        if result.checks:
            passed = sum(1 for check in result.checks if check.ok)
            lines.append(f"checks: {passed} of {len(result.checks)} ok")
        lines += [f"DENIED {d.code} {d.value} limit {d.limit} {d.policy_line}: {d.text}" for d in result.denials]
        return lines

    @property
    def _is_confirmable(self) -> bool:
        return bool(self._result.denials) and all(denial.confirmable for denial in self._result.denials)

    def _keys(self) -> str:
        if self._result.ok:
            return "enter sends   t stages   esc drops"
        return "y confirms and sends   esc drops" if self._is_confirmable else "esc drops; the gate refuses it as it is"

    def _choose(self, choice: str) -> None:
        if not self._is_done and self._monotonic_ns() - self._shown_ns >= GUARD_NS:
            self._is_done = True
            self.dismiss(choice)

    def action_send(self) -> None:
        """Send what the gate would pass."""
        if self._result.ok:
            self._choose("send")

    def action_confirm(self) -> None:
        """Send what the gate asks a person to confirm."""
        if self._is_confirmable:
            self._choose("confirm")

    def action_stage(self) -> None:
        """Keep it, unsent."""
        if self._result.ok:
            self._choose("stage")

    def action_drop(self) -> None:
        """Forget it."""
        self.dismiss("")


class QuitScreen(ModalScreen[str]):
    """``stop``, ``stop_cancel``, ``leave``, or nothing to stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("c", "choose('stop_cancel')", "cancel and stop"),
        ("o", "choose('stop')", "stop, orders stay"),
        ("l", "choose('leave')", "leave running"),
        ("escape", "choose('')", "stay"),
    ]

    def __init__(self, working: int, parents: int, *, is_ours: bool) -> None:
        super().__init__()
        self._words = f"{working} orders work, {parents} parents are open."
        self._is_ours = is_ours

    def compose(self) -> ComposeResult:
        """What each key does, with counts."""
        lines = [self._words, ""]
        if self._is_ours:
            lines += [
                "c  cancel all orders, then stop the engine",
                "o  stop the engine; orders stay at the venue",
            ]
        lines += ["l  leave; the engine goes on", "esc  stay"]
        with Vertical(id="dialog"):
            yield Static(Text("QUIT", style="bold"))
            yield Static(Text("\n".join(lines)))

    def action_choose(self, choice: str) -> None:
        """Take one."""
        if self._is_ours or choice in {"leave", ""}:
            self.dismiss(choice)


class RearmScreen(ModalScreen[tuple[str, str]]):
    """The typed word and the reason; both empty to stay halted."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "drop", "stay halted")]

    def __init__(self, state: str) -> None:
        super().__init__()
        self._state = state

    def compose(self) -> ComposeResult:
        """Two lines to fill."""
        with Vertical(id="dialog"):
            yield Static(Text(f"REARM  {self._state}", style="bold"))
            yield Input(placeholder="type REARM", id="word")
            yield Input(placeholder="reason: what was found and done; enter asks the engine", id="reason")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Word first, then the reason."""
        event.stop()
        if event.input.id == "word":
            self.query_one("#reason", Input).focus()
            return
        self.dismiss((self.query_one("#word", Input).value, event.value))

    def action_drop(self) -> None:
        """Stay halted."""
        self.dismiss(("", ""))


class CardScreen(ModalScreen[None]):
    """A text to read; any of escape, enter or ? closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,enter,question_mark", "close", "close")]

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        """The text."""
        with Vertical(id="dialog"):
            yield Static(Text(self._words))

    def action_close(self) -> None:
        """Back to the desk."""
        self.dismiss(None)
