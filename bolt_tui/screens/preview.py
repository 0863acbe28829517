"""An order before it is sent: its words, its figures, every check, and one deliberate key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import ClassVar

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from bolt_tui.keymap import Place, bindings
from bolt_tui.offers import Offer
from bolt_tui.screens.dialog import Dialog
from bolt_tui.screens.dialogs import CardScreen
from engine.domain.clock import NS_PER_S
from engine.domain.money import EXACT
from engine.domain.order import Side
from engine.views import QuoteView
from widgets.formats import fixed, grouped, pack, plain, seconds, wrap
from widgets.what_if import Line, check_words, content_of, preview_lines

GUARD_NS = 250_000_000
"""Enter sooner than this after the preview appeared is type-ahead and does nothing."""
STALE_NS = NS_PER_S
"""A quote older than this makes enter refresh the preview instead of sending."""
PROVEN_NS = 3 * NS_PER_S
"""For this long after a refresh the engine's quote counts as the newest there is, however old: some symbols trade slowly."""
BORDER_ROWS = 3
"""The box's border and the footer."""
MOVED_BPS = 50
"""So far may the middle move from the preview's before enter refreshes instead of sending."""


class Choice(msgspec.Struct, frozen=True):
    """What the person decided: ``send``, ``confirm``, ``stage``, ``edit``, ``reject`` or nothing, about which offer."""

    act: str
    offer: Offer


class PreviewScreen(Dialog[Choice]):
    """Shows an offer and takes one decision about it.

    Args:
        offer: what would be sent.
        again: makes a new offer from the same line, on the quote of that moment; None where it cannot be read any more.
        quote: the newest quote of a symbol.
        digits: decimals of the symbol's prices.
        now_ns: the moment of the picture, for the quote's age.
        monotonic_ns: for the guard.
        leaving: called with what was decided before the preview goes, so that the next key finds its pane.
    """

    PLACE = Place.PREVIEW
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)

    def __init__(
        self,
        offer: Offer,
        *,
        again: Callable[[str], Awaitable[Offer | None]],
        quote: Callable[[str], QuoteView | None],
        digits: int,
        now_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        leaving: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.offer = offer
        self._again = again
        self._quote = quote
        self._digits = digits
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._leaving = leaving
        self._shown_ns = monotonic_ns()
        self._is_done = False
        self._is_busy = False
        self._is_refreshed = False
        self._note = ""

    def body(self) -> ComposeResult:
        """Words, figures, verdicts, keys."""
        with Vertical(id="dialog") as box:
            box.border_title = "PREVIEW: nothing has been sent"
            yield Static(id="preview-words")
            yield Static(id="preview")
            yield Static(id="preview-live")
            yield Static(id="preview-keys")

    def on_mount(self) -> None:
        """The guard counts from when it can be seen; the live line follows the market."""
        self._show()
        self.set_interval(0.1, self._follow)

    def on_resize(self) -> None:
        """Lay it out for the new size; it stays guarded as it was."""
        self._lay_out()

    def _show(self) -> None:
        self._shown_ns = self._monotonic_ns()
        self._lay_out()

    def _lay_out(self) -> None:
        width = min(118, self.app.size.width - 4)
        words = self._words(width)
        notes = [(line, "bold $caution") for note in self.offer.notes for line in wrap(plain(note), width, "  ")]
        defaults = self._defaults(width)
        # What is sent, the quote's age and the keys stay in sight, however much there is to say.
        live = len(wrap(self._quote_words(), width)) + len(wrap(self._keys(), width))
        room = max(1, self.app.size.height - BORDER_ROWS - len(words) - live)
        lines = [*notes, *preview_lines(self.offer.result, width, room - len(notes) - len(defaults)), *defaults]
        self.query_one("#preview-words", Static).update(Content("\n".join(words)).stylize("bold"))
        self.query_one("#preview", Static).update(content_of(lines[:room]))
        self._show_live()

    def _words(self, width: int) -> list[str]:
        words = grouped(plain(self.offer.echo))
        side = self.offer.spec.side
        head, _, rest = words.partition(" ")
        said = f"{head.upper()} {rest}" if head in {str(Side.BUY), str(Side.SELL), "combo"} else f"{side} {words}"
        what = {
            "new": "",
            "amend": f"AMEND {self.offer.order_id} to ",
            "release": f"RELEASE {self.offer.order_id}: ",
            "approve": f"APPROVE {self.offer.order_id} ({self.offer.order_hash}): ",
        }
        return wrap(f"{what[self.offer.kind]}{said}", width)

    def _defaults(self, width: int) -> list[Line]:
        """What nobody typed, and where it is from."""
        found = [f"{item.name} {plain(item.value)} ({plain(item.where)})" for item in self.offer.defaults]
        return [(line, "$quiet") for line in pack([f"by default: {found[0]}", *found[1:]], width)] if found else []

    def _follow(self) -> None:
        # The timer also fires while the screen is being taken down.
        if self.is_mounted:
            self._show_live()

    def _show_live(self) -> None:
        words = self._quote_words()
        keys = self._keys()
        self.query_one("#preview-live", Static).update(Content(words).stylize("$quiet"))
        self.query_one("#preview-keys", Static).update(Content(keys).stylize("bold $focus"))

    def _quote_words(self) -> str:
        quote = self._quote(self.offer.spec.symbol)
        if quote is None or quote.bid is None or quote.ask is None:
            return "no quote now"
        age_ns = self._now_ns() - quote.ts_ns
        stale = f"STALE {seconds(age_ns)}" if age_ns > STALE_NS else f"{seconds(age_ns)} old"
        if age_ns > STALE_NS and self._is_proven:
            stale = f"{seconds(age_ns)} old, the newest there is"
        prices = f"{fixed(quote.bid, self._digits)} / {fixed(quote.ask, self._digits)}"
        return f"quote now {prices}, {stale}{self._moved_words(quote)}"

    def _moved_words(self, quote: QuoteView) -> str:
        return f"; the market has moved more than {MOVED_BPS} bp since" if self._has_moved(quote) else ""

    def _has_moved(self, quote: QuoteView) -> bool:
        then = self.offer.result.preview.get("mid", "")
        if not then or quote.bid is None or quote.ask is None:
            return False
        middle = EXACT.multiply(quote.bid + quote.ask, Decimal("0.5"))
        before = Decimal(then)
        return abs(middle - before) * 10_000 > abs(before) * MOVED_BPS

    @property
    def is_stale(self) -> bool:
        """Enter would refresh: the quote is old (and the engine has not just said that it is the newest), or far away."""
        quote = self._quote(self.offer.spec.symbol)
        if quote is None:
            return self._monotonic_ns() - self._shown_ns > PROVEN_NS
        if self._has_moved(quote):
            return True
        return self._now_ns() - quote.ts_ns > STALE_NS and not self._is_proven

    @property
    def _is_proven(self) -> bool:
        """The engine has just said that it knows no newer quote."""
        return self._is_refreshed and self._monotonic_ns() - self._shown_ns <= PROVEN_NS

    @property
    def is_confirmable(self) -> bool:
        """Refused only by rules that a person may confirm."""
        denials = self.offer.result.denials
        return bool(denials) and all(denial.confirmable for denial in denials)

    def _keys(self) -> str:
        if self._is_busy:
            return "asking again ..."
        note = f"{self._note}   " if self._note else ""
        rest = (
            "e edits   esc drops" if self.offer.kind in {"new", "amend"} else f"{self._reject_words()}   esc leaves it"
        )
        if self.offer.result.ok:
            does = "enter approves it, and it sends" if self.offer.kind == "approve" else "enter sends"
            act = "enter refreshes: the quote is stale" if self.is_stale else does
            stages = "   t stages" if self.offer.kind == "new" and not self.offer.linked else ""
            return f"{note}{act}{stages}   {rest}"
        if self.is_confirmable:
            return f"{note}y confirms and sends   {rest}"
        return f"{note}the gate refuses it as it is: {rest}"

    def _reject_words(self) -> str:
        return "d turns it down" if self.offer.kind == "approve" else "d cancels it"

    # -- keys --------------------------------------------------------------------------------------------------------------

    def _is_ahead(self) -> bool:
        """Too soon after the preview appeared: type-ahead. The guard then starts again, so that a held key never gets through."""
        is_ahead = self._monotonic_ns() - self._shown_ns < GUARD_NS
        if is_ahead:
            self._shown_ns = self._monotonic_ns()
        return is_ahead

    def _choose(self, act: str) -> None:
        if self._is_done or self._is_busy or self._is_ahead():
            return
        self._end(act)

    def _end(self, act: str) -> None:
        self._is_done = True
        self._leaving(act)
        self.dismiss(Choice(act, self.offer))

    def action_send(self) -> None:
        """Send what the gate would pass, or look again where the quote is old."""
        if self.is_stale or not self.offer.result.ok:
            if self.is_stale and not (self._is_done or self._is_busy or self._is_ahead()):
                self._refresh_offer()
            return
        self._choose("send")

    def action_confirm(self) -> None:
        """Send what the gate asks a person to confirm."""
        if self.is_confirmable:
            self._choose("confirm")

    def action_stage(self) -> None:
        """Keep it, unsent."""
        if not self.offer.result.ok or self.offer.kind != "new":
            return
        if self.offer.linked:
            self._note = "orders that belong together cannot be staged"
            self._show_live()
        else:
            self._choose("stage")

    def action_reject(self) -> None:
        """Turn down what waits for a second person; cancel what is staged or suspended."""
        if self.offer.kind in {"release", "approve"}:
            self._choose("reject")

    def action_checks(self) -> None:
        """Every check, to read; sending needs the preview in front again, and its guard starts anew."""
        checks = sorted(self.offer.result.checks, key=lambda check: check.ok)
        if checks:
            self.app.push_screen(CardScreen("CHECKS", "\n".join(map(check_words, checks))), lambda _: self._show())

    def action_edit(self) -> None:
        """Back to its words."""
        if self.offer.kind in {"new", "amend"}:
            self._leave("edit")

    def action_drop(self) -> None:
        """Forget it."""
        self._leave("")

    def _leave(self, act: str) -> None:
        if not self._is_done:
            self._end(act)

    @work(exclusive=True, group="refresh")
    async def _refresh_offer(self) -> None:
        """A new offer of the same line; the guard starts again, because what is on the screen has changed."""
        self._is_busy = True
        self._show_live()
        try:
            offer = await self._again(self.offer.line)
        finally:
            self._is_busy = False
        if offer is None:
            self._note = "the line cannot be priced now"
        else:
            self.offer, self._note, self._is_refreshed = offer, "refreshed", True
        self._show()
