"""The order line: one line of words, what was answered last, and completion of every word. Enter here never sends."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Input, Static

from widgets.answer_lines import AnswerLines
from widgets.formats import fit, plain, wrap
from widgets.messages import LineChanged, LineLeft, LineTyped
from widgets.typed_line import TypedLine

HISTORY_MAX = 100
LINE_CHARS_MAX = 400
ANSWER_ROWS = 3
"""Lines below the order line; all of them stand while it has the focus, so that nothing jumps while somebody types."""
HINT = "b 100 AAPL @189.10 vwap 30m    enter previews  tab completes  up recalls"
IDLE = "press b, s or : to type an order, n for a form"
SIDES = frozenset({"b", "s", "buy", "sell"})
Complete = Callable[[str, int], list[str]]


class _Words(Suggester):
    """Completes the last word from the grammar; the target's own words come first."""

    def __init__(self, pad: QuickOrderPad) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._pad = pad

    async def get_suggestion(self, value: str) -> str | None:
        return self._pad.suggestion(value)


class OrderLine(TypedLine):
    """The input; its own bindings for copying and cutting stay, the cursor never blinks."""

    async def on_key(self, event: events.Key) -> None:
        """The pad's own keys first; Textual goes on to the line's where this does not prevent it."""
        pad = self.parent.parent if self.parent is not None else None
        if isinstance(pad, QuickOrderPad) and pad.take_key(event.key):
            event.stop()
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Take the first line only, as text: a line end in a paste is not the enter key."""
        lines = event.text.splitlines()
        if lines:
            self.insert_text_at_cursor(plain(lines[0])[:LINE_CHARS_MAX])
        event.stop()
        event.prevent_default()


class QuickOrderPad(Vertical):
    """The line and the answer below it.

    Args:
        complete: the grammar's words that may stand at a place in a line.
    """

    DEFAULT_CSS = """
    QuickOrderPad { height: auto; background: $panel; }
    QuickOrderPad #prompt { width: 3; color: $quiet; text-style: bold; }
    QuickOrderPad:focus-within #prompt { color: $focus; }
    QuickOrderPad #line-row { height: 1; }
    QuickOrderPad #pad { height: 1; border: none; padding: 0; background: $panel; width: 1fr; }
    QuickOrderPad #pad:focus { background: $panel; border: none; }
    QuickOrderPad #answer { height: auto; min-height: 1; max-height: 3; padding: 0 1 0 3; color: $foreground; }
    QuickOrderPad.-typing #answer { height: 3; }
    """

    def __init__(self, complete: Complete) -> None:
        super().__init__(id="pad-box")
        self._complete = complete
        self.target: tuple[str, str] = ("", "")
        """Symbol and price word that complete a line: those under the cursor."""
        self.history: list[str] = []
        self._recalled = 0
        self.answer = ""
        """The last answer, as plain words."""
        self._said: tuple[str, str] | None = None
        """What was said last, with its tone; None where the answer is to what is typed, or nothing was said yet."""
        self._columns = 0

    def compose(self) -> ComposeResult:
        """Prompt, line and answer."""
        with Horizontal(id="line-row"):
            yield Static(" : ", id="prompt")
            line = OrderLine(
                placeholder=IDLE, id="pad", select_on_focus=False, max_length=LINE_CHARS_MAX, suggester=_Words(self)
            )
            line.cursor_blink = False
            yield line
        yield AnswerLines(Content(HINT).stylize("$quiet"), "answer")

    @property
    def line(self) -> OrderLine:
        """The input."""
        return self.query_one("#pad", OrderLine)

    def start(self, words: str) -> None:
        """Put words in the line and go there."""
        self.line.value = words
        self.line.cursor_position = len(words)
        # At once: Widget.focus() waits for its turn, and what is typed or pasted behind the key would miss the line.
        self.screen.set_focus(self.line)

    def on_descendant_focus(self) -> None:
        """All lines of the answer have their place from now on."""
        self.add_class("-typing")

    def on_descendant_blur(self) -> None:
        """The room goes back to the panes."""
        self.remove_class("-typing")

    def clear(self) -> None:
        """Empty the line."""
        self.line.value = ""

    def on_input_changed(self, event: Input.Changed) -> None:
        """Let somebody answer what is being typed; where nothing is, the last answer stays."""
        event.stop()
        self._ask()

    def _ask(self) -> None:
        if self.line.has_focus and (value := self.line.value).strip():
            self.post_message(LineChanged(value, self.show, self._width(), ANSWER_ROWS))

    def _width(self) -> int:
        return max(20, self.app.size.width - 5)

    def on_resize(self) -> None:
        """Break the answer for another width."""
        if self._columns == self.size.width:
            return
        self._columns = self.size.width
        if self._said is not None:
            self.say(*self._said)
        else:
            self._ask()

    def show(self, content: Content) -> None:
        """Show an answer to what is being typed."""
        self.answer = content.plain
        self._said = None
        self._answer_lines(content)

    def _answer_lines(self, content: Content) -> None:
        self.query_one("#answer", AnswerLines).show(content, is_still=self.has_class("-typing"))

    def say(self, words: str, tone: str = "") -> None:
        """Show an answer: tone ``bad`` or ``good`` repeats by colour what its words say."""
        self.answer = plain(words)
        self._said = (words, tone)
        width = self._width()
        lines = wrap(self.answer, width)
        if len(lines) > ANSWER_ROWS:
            lines = [*lines[: ANSWER_ROWS - 1], fit(" ".join(lines[ANSWER_ROWS - 1 :]), width).rstrip()]
        style = {"bad": "bold $caution", "good": "bold"}.get(tone, "")
        self._answer_lines(Content("\n".join(lines)).stylize(style) if style else Content("\n".join(lines)))

    def remember(self, line: str) -> None:
        """Keep a line for recall."""
        if not self.history or self.history[-1] != line:
            self.history = [*self.history[1 - HISTORY_MAX :], line]
        self._recalled = len(self.history)

    def take_key(self, key: str) -> bool:
        """Keys with a meaning of their own in the line: recall, complete, leave."""
        if key in {"up", "down"}:
            self._recall(-1 if key == "up" else 1)
        elif key == "tab" and self.suggestion(self.line.value):
            self.start(self.suggestion(self.line.value) or "")
        elif key == "escape":
            self.clear()
            self.post_message(LineLeft())
        else:
            return False
        return True

    def _recall(self, step: int) -> None:
        self._recalled = max(0, min(len(self.history), self._recalled + step))
        words = self.history[self._recalled] if self._recalled < len(self.history) else ""
        self.line.value = words
        self.line.cursor_position = len(words)

    def suggestion(self, value: str) -> str | None:
        """The line with its next or begun word completed; None where nothing fits. A whole number is not begun any more."""
        if not value.strip():
            return None
        begun = value.rpartition(" ")[2]
        following = self._completed(f"{value} ") if begun.isdecimal() else None
        return following or self._completed(value)

    def _completed(self, value: str) -> str | None:
        head, _, begun = value.rpartition(" ")
        words = head.split()
        symbol, price = self.target
        choices: list[str] = []
        if len(words) == 2 and symbol and words[0].lower() in SIDES:
            choices.append(f"{symbol} {price}".rstrip())
        elif len(words) == 3 and price and words[0].lower() in SIDES:
            choices.append(price)
        choices += self._complete(value, len(value))
        for choice in choices:
            if choice.lower().startswith(begun.lower()) and len(choice) > len(begun):
                return value[: len(value) - len(begun)] + choice if begun else value + choice
        return None

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter asks for a preview of the line."""
        event.stop()
        if line := event.value.strip():
            self.post_message(LineTyped(line))
