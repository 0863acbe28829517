"""Quit, re-arm and text cards: small modal screens that return what was chosen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from bolt_tui.keymap import Place, bindings
from bolt_tui.screens.dialog import Dialog, still_input
from engine.domain.commands import CommandResult
from engine.views import DeskView
from widgets.formats import counted, plain, wrap
from widgets.messages import DeskExit
from widgets.status_bar import hold_seconds

REARM_WORD = "REARM"
WIDTH = 74


class Quitting:
    """What both ways to quit have in common."""

    PLACE: ClassVar[Place]
    TITLE_WORDS: ClassVar[str]

    def __init__(self, working: int, parents: int, unknown: int) -> None:
        super().__init__()
        self._counts = (working, parents, unknown)

    def body(self) -> ComposeResult:
        """What each key does, with counts."""
        working, parents, unknown = self._counts
        counts = f"{counted(working, 'order')} at work, {counted(parents, 'parent')} open"
        counts += f", {unknown} UNKNOWN (a person must look at the broker)" if unknown else ""
        with Vertical(id="dialog") as box:
            box.border_title = self.TITLE_WORDS
            yield Static(Content("\n".join(self.lines(counts, working))))

    def lines(self, counts: str, working: int) -> list[str]:
        """What each key does."""
        raise NotImplementedError


class QuitScreen(Quitting, Dialog[str]):
    """What becomes of the engine."""

    PLACE = Place.QUIT
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)
    TITLE_WORDS = "QUIT: what becomes of the engine?"

    def lines(self, counts: str, working: int) -> list[str]:
        """The dialog's words."""
        return [
            f"{counts}.",
            "",
            f" c    cancel all orders ({working}), then stop the engine",
            f" o    stop the engine; {_stay(working)} at the venue",
            " l    leave; the engine goes on, `bolt` shows it again",
            " esc  stay",
        ]

    def action_choose(self, choice: str) -> None:
        """Take a :class:`DeskExit`, or nothing to stay."""
        self.dismiss(DeskExit(choice) if choice else "")


class QuitAloneScreen(Quitting, Dialog[str]):
    """What becomes of the orders of an engine that answers no more: nobody is there to be stopped, or to go on."""

    PLACE = Place.ALONE
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)
    TITLE_WORDS = "QUIT: no engine answers; what becomes of its orders?"

    def lines(self, counts: str, working: int) -> list[str]:
        """The dialog's words."""
        return [
            f"When it was last heard: {counts}.",
            "",
            " c    halt, and cancel all orders at the venue; the receipt is shown",
            f" l    leave; {_stay(working)} at the venue: `bolt kill` cancels there",
            " esc  stay",
        ]

    def action_choose(self, choice: str) -> None:
        """Take a :class:`DeskExit`, or nothing to stay."""
        self.dismiss(DeskExit(choice) if choice else "")


def _stay(working: int) -> str:
    return f"{counted(working, 'order')} {'stays' if working == 1 else 'stay'}"


class RearmScreen(Dialog[bool]):
    """The typed word and the reason; it stays open, and says why, while the engine refuses.

    Args:
        view: the newest picture.
        ask: asks the engine with word and reason.
        now_ns: wall clock, for the hold time.
    """

    PLACE = Place.REARM
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)
    HAS_FIELDS = True

    def __init__(
        self,
        view: Callable[[], DeskView],
        ask: Callable[[str, str], Awaitable[CommandResult]],
        now_ns: Callable[[], int],
    ) -> None:
        super().__init__()
        self._view = view
        self._ask = ask
        self._now_ns = now_ns
        self._is_asking = False

    def body(self) -> ComposeResult:
        """What is missing, and two fields."""
        with Vertical(id="dialog") as box:
            box.border_title = "REARM: lift the halt"
            yield Static(id="missing")
            yield still_input(f"type {REARM_WORD}", "word")
            yield still_input("reason: what was found, what was done", "reason")
            yield Static(Content("enter goes on, esc stays halted"), id="rearm-answer")

    def on_mount(self) -> None:
        """Count the hold time down."""
        self.set_focus(self.query_one("#word", Input))
        self._show_missing()
        self.set_interval(0.25, self._show_missing)

    def _show_missing(self) -> None:
        # The timer may fire once more while the dialog is taken down.
        for line in self.query("#missing").results(Static):
            line.update(Content("\n".join(missing(self._view(), self._now_ns()))))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Word first, then the reason, then the engine."""
        event.stop()
        word = self.query_one("#word", Input).value.strip()
        reason = self.query_one("#reason", Input).value.strip()
        if word != REARM_WORD:
            self._answer(f"the word is {REARM_WORD}, in capitals; was {plain(word)!r}")
            self.screen.set_focus(self.query_one("#word", Input))
        elif not reason:
            if event.input.id == "reason":
                self._answer("a reason is needed: it is journaled as your word")
            else:
                self._answer("and now the reason; enter behind it asks the engine")
            self.screen.set_focus(self.query_one("#reason", Input))
        elif not self._is_asking:
            self._rearm(word, reason)

    @work(exclusive=True, group="rearm")
    async def _rearm(self, word: str, reason: str) -> None:
        self._is_asking = True
        try:
            result = await self._ask(word, reason)
        finally:
            self._is_asking = False
        if result.ok:
            self.dismiss(True)
        else:
            self._answer(f"NOT REARMED {result.code} {result.text}")

    def _answer(self, words: str) -> None:
        self.query_one("#rearm-answer", Static).update(
            Content("\n".join(wrap(plain(words), WIDTH))).stylize("bold $caution")
        )

    def action_drop(self) -> None:
        """Stay halted."""
        self.dismiss(False)


def missing(view: DeskView, now_ns: int) -> list[str]:
    """What stands between now and a re-arm, a line each."""
    halt = view.status.halt
    lines = [f"state {halt.state.upper()}" + (f" ({plain(halt.why)})" if halt.why else "")]
    left_s = hold_seconds(halt.rearm_after_ns, now_ns)
    lines.append(f"hold time: {left_s} s left" if left_s else "hold time: over")
    if not halt.done:
        lines.append("the kill procedure is still working")
    for broker in view.status.brokers:
        if broker.state != "up":
            lines.append(f"{plain(broker.broker)} is {broker.state}")
        elif broker.reconciled_s is None:
            lines.append(f"{plain(broker.broker)} was never reconciled: bolt reconcile")
        else:
            lines.append(f"{plain(broker.broker)} up, reconciled {broker.reconciled_s:.0f} s ago")
    if view.status.orders_unknown:
        lines.append(f"{view.status.orders_unknown} orders are UNKNOWN: bolt resolve ID --as ... --reason ...")
    lines += [f"left open: {plain(words)}" for words in halt.residual]
    lines += [f"{plain(name)} did not answer in the halt: look at its own screen" for name in halt.unreachable]
    return [part for line in lines for part in wrap(line, WIDTH, "  ")]


class CardScreen(Dialog[None]):
    """A text to read."""

    PLACE = Place.CARD
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)

    def __init__(self, title: str, words: str) -> None:
        super().__init__()
        self._title = title
        self.words = words

    def body(self) -> ComposeResult:
        """The text."""
        with VerticalScroll(id="dialog", can_focus=False) as box:
            box.border_title = self._title
            yield Static(Content(self.words))

    def action_scroll(self, lines: int) -> None:
        """Read on."""
        self.query_one("#dialog", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_close(self) -> None:
        """Back to the desk."""
        self.dismiss(None)
