"""A basket before it is sent: every line with its verdict, the total, and one deliberate key. One denied line stops all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import ClassVar

import msgspec
from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static
from textual.widgets.input import Selection

from bolt_tui.basket_files import completed
from bolt_tui.keymap import Place, bindings
from bolt_tui.screens.dialog import Dialog
from bolt_tui.screens.preview import GUARD_NS
from engine.domain.clock import NS_PER_S
from engine.domain.commands import CommandResult, LineVerdict
from widgets.formats import fit, fixed, grouped, plain, seconds, wrap
from widgets.typed_line import TypedLine
from widgets.what_if import Line, content_of, denial_lines

OLD_NS = 15 * NS_PER_S
"""A verdict older than this makes enter look again instead of releasing; the engine judges at the release in any case."""
TWICE_NS = 2 * NS_PER_S
"""Within this time a second d drops the basket."""
AMOUNT_CELLS, VERDICT_CELLS = 17, 9
BORDER_ROWS = 3
"""Of the dialog's frame and of the footer below it."""


class BasketChoice(msgspec.Struct, frozen=True):
    """What the person decided: ``release``, ``confirm``, ``drop`` or nothing, about which judgement."""

    act: str
    result: CommandResult


class BasketScreen(Dialog[BasketChoice]):
    """Shows a basket as the engine judges it, and takes one decision about it.

    Args:
        result: the engine's judgement, line by line.
        again: asks for a new one.
        monotonic_ns: for the guard and for the judgement's age.
        leaving: called before it goes, so that the next key finds its pane.
    """

    PLACE = Place.BASKET
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)

    def __init__(
        self,
        result: CommandResult,
        *,
        again: Callable[[], Awaitable[CommandResult]],
        monotonic_ns: Callable[[], int],
        leaving: Callable[[], None],
    ) -> None:
        super().__init__()
        self.result = result
        self._again = again
        self._monotonic_ns = monotonic_ns
        self._leaving = leaving
        self._shown_ns = self._judged_ns = monotonic_ns()
        self._dropping_ns = -TWICE_NS
        self._is_done = False
        self._is_busy = False
        self._note = ""

    @property
    def is_staged(self) -> bool:
        """Whether it can still be released or dropped."""
        return self.result.preview.get("state", "") == "staged"

    @property
    def blocked(self) -> list[LineVerdict]:
        """Lines that nobody can confirm away."""
        return [one for one in self.result.lines if any(not denial.confirmable for denial in one.denials)]

    @property
    def is_confirmable(self) -> bool:
        """Kept back only by what a person may confirm."""
        return bool(self.codes()) and not self.blocked

    def codes(self) -> frozenset[str]:
        """What a person is asked to confirm, of the whole and of its lines."""
        of_lines = (denial for one in self.result.lines for denial in one.denials)
        return frozenset(denial.code for denial in (*self.result.denials, *of_lines) if denial.confirmable)

    def body(self) -> ComposeResult:
        """Total, verdict, lines, keys."""
        with Vertical(id="dialog") as box:
            box.border_title = "BASKET: nothing has been sent" if self.is_staged else "BASKET"
            yield Static(id="basket-words")
            with VerticalScroll(id="basket-lines", can_focus=False):
                yield Static(id="basket-rows")
            yield Static(id="basket-keys")

    def on_mount(self) -> None:
        """The guard counts from when it can be seen."""
        self._show()
        self.set_interval(0.25, self._show_keys)

    def _show(self) -> None:
        self._shown_ns = self._monotonic_ns()
        words = [(line, "bold") for line in wrap(head_words(self.result), self._width)]
        words += verdict_lines(self, self._width)
        rows = basket_lines(self.result.lines, self._width)
        self.query_one("#basket-words", Static).update(content_of(words))
        self.query_one("#basket-rows", Static).update(content_of(rows))
        # Keys and footer stay in sight, however long the basket is.
        room = self.app.size.height - len(words) - len(self._keys()) - BORDER_ROWS
        self.query_one("#basket-lines").styles.max_height = max(3, room)
        self._show_keys()

    def on_resize(self) -> None:
        """Lay it out for the new size; it stays guarded as it was."""
        shown_ns = self._shown_ns
        self._show()
        self._shown_ns = shown_ns

    @property
    def _width(self) -> int:
        return min(118, self.app.size.width - 4)

    def _show_keys(self) -> None:
        # The timer also fires while the screen is being taken down.
        for box in self.query("#basket-keys").results(Static):
            box.update(Content("\n".join(self._keys())).stylize("bold $focus"))

    @property
    def is_old(self) -> bool:
        """Enter would look again: the verdicts are not of now."""
        return self._monotonic_ns() - self._judged_ns > OLD_NS

    def _keys(self) -> list[str]:
        if self._is_busy:
            return ["asking again ...", ""]
        if not self.is_staged:
            return ["esc closes"]
        if self.blocked:
            act = "it cannot be released as it is"
        elif self.is_old:
            act = "enter refreshes: the verdicts are old"
        else:
            act = "y confirms and sends all of it" if self.is_confirmable else "enter sends all of it, once"
        age = f"judged {seconds(self._monotonic_ns() - self._judged_ns)} ago"
        return [
            f"{self._note or age}   {act}",
            "l looks again   d drops the basket   esc leaves it staged",
        ]

    # -- keys --------------------------------------------------------------------------------------------------------------

    def _is_ahead(self) -> bool:
        """Too soon after it appeared: type-ahead. The guard then starts again, so that a held key never gets through."""
        is_ahead = self._monotonic_ns() - self._shown_ns < GUARD_NS
        if is_ahead:
            self._shown_ns = self._monotonic_ns()
        return is_ahead

    def _may_act(self) -> bool:
        return self.is_staged and not (self._is_done or self._is_busy or self._is_ahead())

    def _end(self, act: str) -> None:
        self._is_done = True
        self._leaving()
        self.dismiss(BasketChoice(act, self.result))

    def action_release(self) -> None:
        """Release all of it, once; look again where the verdicts are old."""
        if not self._may_act() or self.blocked:
            return
        if self.is_old:
            self._look_again()
        elif not self.is_confirmable:
            self._end("release")

    def action_confirm(self) -> None:
        """Release what a person is asked to confirm."""
        if self._may_act() and self.is_confirmable:
            if self.is_old:
                self._look_again()
            else:
                self._end("confirm")

    def action_look(self) -> None:
        """Judge every line anew."""
        if self.is_staged and not (self._is_done or self._is_busy):
            self._look_again()

    def action_drop_basket(self) -> None:
        """Forget the basket, on a second press: a file is read again more easily than an order is taken back."""
        if not self._may_act():
            return
        now_ns = self._monotonic_ns()
        if now_ns - self._dropping_ns <= TWICE_NS:
            self._end("drop")
            return
        self._dropping_ns = now_ns
        self._note = "d again within 2 s drops it"
        self._show_keys()
        self.set_timer(TWICE_NS / NS_PER_S, self._forget_note)

    def _forget_note(self) -> None:
        self._note = ""
        self._show_keys()

    def action_leave(self) -> None:
        """Leave it as it is."""
        if not self._is_done:
            self._end("")

    def action_scroll(self, lines: int) -> None:
        """Read on."""
        self.query_one("#basket-lines", VerticalScroll).scroll_relative(y=lines, animate=False)

    @work(exclusive=True, group="look")
    async def _look_again(self) -> None:
        """A new judgement; the guard starts again, because what is on the screen has changed."""
        self._is_busy = True
        self._show_keys()
        try:
            result = await self._again()
        finally:
            self._is_busy = False
        if result.lines:
            self.result, self._note, self._judged_ns = result, "refreshed", self._monotonic_ns()
            self.set_timer(TWICE_NS / NS_PER_S, self._forget_note)
        else:
            self._note = plain(f"not judged ({result.code} {result.text})")
        self._show()


def head_words(result: CommandResult) -> str:
    """``B1 rebal.csv: 14 orders, 412,300.00 USD, staged``."""
    name, orders, rest = plain(result.text.partition("; lines ")[0]).rpartition(" orders, ")
    amount, space, rest = rest.partition(" ")
    if amount == result.preview.get("notional") and amount != "n/a":
        amount = fixed(Decimal(amount), 2)
    return f"{name}{orders}{amount}{space}{rest}"


def verdict_lines(screen: BasketScreen, width: int) -> list[Line]:
    """What the whole comes to: the first refusal in full, with its value, its limit and where that stands."""
    blocked, lines = screen.blocked, screen.result.lines
    found: list[Line] = []
    if blocked:
        first = next(denial for denial in blocked[0].denials if not denial.confirmable)
        count = f"{len(blocked)} of {len(lines)} lines are denied" if len(blocked) > 1 else "one line is denied"
        said = f"BLOCKED: {count}, so nothing of the basket leaves (C28). Line {blocked[0].line}:"
        found += [(line, "bold $caution") for line in (*wrap(said, width, "  "), *denial_lines(first, width))]
    elif screen.is_confirmable:
        asked = [one for one in lines if one.denials]
        denials = [*screen.result.denials, *(denial for one in asked for denial in one.denials)]
        found += [(line, "bold $caution") for line in denial_lines(denials[0], width)]
        if len(denials) > 1:
            found.append((f"  and {len(denials) - 1} more to confirm, below", "bold $caution"))
    elif screen.is_staged:
        found.append((f"every line passes: {len(lines)} of {len(lines)}", ""))
    return found


def basket_lines(lines: tuple[LineVerdict, ...], width: int) -> list[Line]:
    """A line each, in the order of the file; below a denied one its reason."""
    room = width - 6 - AMOUNT_CELLS - VERDICT_CELLS
    found: list[Line] = [
        (f"{'line':>4}  {fit('order', room)}{'amount':>{AMOUNT_CELLS - 2}}  {'verdict':<{VERDICT_CELLS}}", "$quiet")
    ]
    for one in lines:
        is_blocked = any(not denial.confirmable for denial in one.denials)
        verdict = "DENIED" if is_blocked else "CONFIRM" if one.denials else one.order_id or "ok"
        amount = "" if one.order_id else fixed(one.notional, 2) or "not known"
        words = f"{one.line:>4}  {fit(grouped(plain(one.words)), room)}{amount:>{AMOUNT_CELLS - 2}}  {verdict:<{VERDICT_CELLS}}"
        found.append((words, "bold" if one.denials else ""))
        for denial in one.denials:
            found += [(f"      {line}", "bold $caution") for line in denial_lines(denial, width - 6)]
    return found


class _PathLine(TypedLine):
    """A line that holds the name of a file."""

    KEEPS_TAB = True

    async def on_key(self, event: events.Key) -> None:
        """Tab completes; in the line's own turn, so that what is typed behind it comes behind it."""
        if event.key != "tab":
            return
        event.stop()
        event.prevent_default()
        words, names = await asyncio.to_thread(completed, self.value)
        self.value = words
        self.cursor_position = len(words)
        if isinstance(self.screen, BasketFileScreen):
            self.screen.offer(names)


class BasketFileScreen(Dialog[str]):
    """Returns the name of a file, or nothing.

    Args:
        start: what the line begins with.
    """

    PLACE = Place.PATH
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)
    HAS_FIELDS = True
    HINT: ClassVar[str] = "first row: side,qty,symbol, and price, stop, tif, algo, words where needed; tab completes"

    def __init__(self, start: str = "") -> None:
        super().__init__()
        self._start = start

    def body(self) -> ComposeResult:
        """The line, and the names that fit."""
        with Vertical(id="dialog") as box:
            box.border_title = "BASKET: a csv file of orders; nothing is sent from here"
            line = _PathLine(self._start, placeholder="~/rebal.csv", id="path", select_on_focus=False, max_length=1000)
            line.cursor_blink = False
            yield line
            yield Static(Content(self.HINT).stylize("$quiet"), id="path-names")

    def on_mount(self) -> None:
        """Type at once: the name of before stands there to be taken again, and the first character puts another in its place."""
        line = self.query_one("#path", Input)
        line.selection = Selection(0, len(self._start))
        self.set_focus(line)

    def offer(self, names: list[str]) -> None:
        """Show what the line may go on with."""
        words = "  ".join(plain(name) for name in names[:40]) if names else "no csv file and no folder begins like that"
        for box in self.query("#path-names").results(Static):
            box.update(Content("\n".join(wrap(words, 74)[:6])).stylize("$quiet"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand it over."""
        event.stop()
        self.dismiss(event.value)

    def action_drop(self) -> None:
        """Forget it."""
        self.dismiss("")
