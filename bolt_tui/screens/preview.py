"""An order before it is sent: its words, its figures, every check, and one deliberate key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
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
from bolt_tui.screens.dialog import Dialog
from bolt_tui.screens.dialogs import CardScreen
from engine.domain.clock import NS_PER_S
from engine.domain.commands import CheckResult, CommandResult, Denial
from engine.domain.money import EXACT
from engine.domain.order import OrderSpec, Side
from engine.views import QuoteView
from widgets.formats import figure, fixed, pack, plain, quantity, seconds, signed_quantity, wrap

GUARD_NS = 250_000_000
"""Enter sooner than this after the preview appeared is type-ahead and does nothing."""
STALE_NS = NS_PER_S
"""A quote older than this makes enter refresh the preview instead of sending."""
PROVEN_NS = 3 * NS_PER_S
"""For this long after a refresh the engine's quote counts as the newest there is, however old: some symbols trade slowly."""
MOVED_BPS = 50
"""So far may the middle move from the preview's before enter refreshes instead of sending."""


class Offer(msgspec.Struct, frozen=True):
    """One order with the engine's judgement of it; the intent id is born with it."""

    line: str
    echo: str
    spec: OrderSpec
    intent_id: str
    result: CommandResult
    linked: tuple[OrderSpec, ...] = ()
    """Orders that go with it."""


class Choice(msgspec.Struct, frozen=True):
    """What the person decided: ``send``, ``confirm``, ``stage``, ``edit`` or nothing, about which offer."""

    act: str
    offer: Offer


class PreviewScreen(Dialog[Choice]):
    """Shows an offer and takes one decision about it.

    Args:
        offer: what would be sent.
        again: makes a new offer from the same line, on the quote of that moment; None where it cannot be read any more.
        quote: the newest quote of a symbol.
        now_ns: wall clock, for the quote's age.
        monotonic_ns: for the guard.
    """

    PLACE = Place.PREVIEW
    BINDINGS: ClassVar[list[BindingType]] = bindings(PLACE)

    def __init__(
        self,
        offer: Offer,
        *,
        again: Callable[[str], Awaitable[Offer | None]],
        quote: Callable[[str], QuoteView | None],
        now_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
    ) -> None:
        super().__init__()
        self.offer = offer
        self._again = again
        self._quote = quote
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
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
        self.set_interval(0.1, self._show_live)

    def _show(self) -> None:
        self._shown_ns = self._monotonic_ns()
        width = min(118, self.app.size.width - 4)
        self.query_one("#preview-words", Static).update(Content("\n".join(self._words(width))).stylize("bold"))
        self.query_one("#preview", Static).update(verdict_content(self.offer.result, width))
        self._show_live()

    def _words(self, width: int) -> list[str]:
        words = plain(self.offer.echo)
        side = self.offer.spec.side
        head, _, rest = words.partition(" ")
        return wrap(f"{head.upper()} {rest}" if head in {str(Side.BUY), str(Side.SELL)} else f"{side} {words}", width)

    def _show_live(self) -> None:
        if not self.is_mounted:
            return
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
        return f"quote now {quote.bid} / {quote.ask}, {stale}{self._moved_words(quote)}"

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
        is_proven = self._is_refreshed and self._monotonic_ns() - self._shown_ns <= PROVEN_NS
        return self._now_ns() - quote.ts_ns > STALE_NS and not is_proven

    @property
    def is_confirmable(self) -> bool:
        """Refused only by rules that a person may confirm."""
        denials = self.offer.result.denials
        return bool(denials) and all(denial.confirmable for denial in denials)

    def _keys(self) -> str:
        if self._is_busy:
            return "asking again ..."
        note = f"{self._note}   " if self._note else ""
        if self.offer.result.ok:
            act = "enter refreshes: the quote is stale" if self.is_stale else "enter sends"
            return f"{note}{act}   t stages   e edits   esc drops"
        if self.is_confirmable:
            return f"{note}y confirms and sends   e edits   esc drops"
        return f"{note}the gate refuses it as it is: e edits   esc drops"

    # -- keys --------------------------------------------------------------------------------------------------------------

    def _choose(self, act: str) -> None:
        if self._is_done or self._is_busy or self._monotonic_ns() - self._shown_ns < GUARD_NS:
            return
        self._is_done = True
        self.dismiss(Choice(act, self.offer))

    def action_send(self) -> None:
        """Send what the gate would pass, or look again where the quote is old."""
        if self.is_stale or not self.offer.result.ok:
            if (
                not self._is_done
                and not self._is_busy
                and self._monotonic_ns() - self._shown_ns >= GUARD_NS
                and self.is_stale
            ):
                self._refresh_offer()
            return
        self._choose("send")

    def action_confirm(self) -> None:
        """Send what the gate asks a person to confirm."""
        if self.is_confirmable:
            self._choose("confirm")

    def action_stage(self) -> None:
        """Keep it, unsent."""
        if self.offer.result.ok:
            self._choose("stage")

    def action_checks(self) -> None:
        """Every check, to read; sending needs the preview in front again, and its guard starts anew."""
        checks = sorted(self.offer.result.checks, key=lambda check: check.ok)
        if checks:
            self.app.push_screen(CardScreen("CHECKS", "\n".join(map(check_words, checks))), lambda _: self._show())

    def action_edit(self) -> None:
        """Back to its words."""
        self._leave("edit")

    def action_drop(self) -> None:
        """Forget it."""
        self._leave("")

    def _leave(self, act: str) -> None:
        if not self._is_done:
            self._is_done = True
            self.dismiss(Choice(act, self.offer))

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


FIGURES = ("units", "notional", "position_after", "position_worst", "mid", "quote_age_ms")
_LABELS = {"position_after": "position after", "position_worst": "at worst", "quote_age_ms": "quote age"}


def figure_words(figures: Mapping[str, str]) -> list[str]:
    """The preview's figures as short phrases, those that matter first, then all others by name."""
    found = []
    for name in (*FIGURES, *sorted(set(figures) - set(FIGURES) - {"currency", "bid", "ask", "last", "position"})):
        value = figures.get(name)
        if value is None:
            continue
        if name == "units":
            found.append(plain(value))
        elif name == "notional":
            found.append(f"{fixed(Decimal(value), 2)} {figures.get('currency', '')}".rstrip())
        elif name == "quote_age_ms":
            found.append(f"quote {value} ms old")
        elif name in {"position_after", "position_worst"}:
            found.append(f"{_LABELS[name]} {signed_quantity(Decimal(value))}")
        elif name == "mid":
            found.append(f"mid {plain(value)}")
        else:
            found.append(f"{name.replace('_', ' ')} {plain(value)}")
    if "bid" in figures and "ask" in figures:
        found.append(f"bid {plain(figures['bid'])} ask {plain(figures['ask'])}")
    return found


def verdict_content(result: CommandResult, width: int) -> Content:
    """Figures, how many checks pass, and each refusal with its code, value, limit and policy line."""
    lines: list[tuple[str, str]] = [(line, "") for line in pack(figure_words(result.preview), width)]
    if result.checks:
        passed = sum(1 for check in result.checks if check.ok)
        lines.append((f"{passed} of {len(result.checks)} checks pass   c lists them", "$quiet"))
    for denial in result.denials:
        lines += [(line, "bold $caution") for line in denial_lines(denial, width)]
    if not result.ok and not result.denials:
        lines.append((f"NOT JUDGED {plain(result.code)} {plain(result.text)}", "bold $caution"))
    parts: list[tuple[str, str]] = []
    for index, (words, style) in enumerate(lines):
        parts.append((words if index == len(lines) - 1 else f"{words}\n", style))
    return Content.assemble(*parts)


def check_words(check: CheckResult) -> str:
    """One control's verdict: its code, and its value beside the limit where it has one."""
    figures = f"{figure(check.value)} of {figure(check.limit)}" if check.limit else figure(check.value)
    return f"{'ok     ' if check.ok else 'REFUSED'} {check.control} {check.code:<18} {figures}".rstrip()


def denial_lines(denial: Denial, width: int) -> list[str]:
    """One refusal: code, value, limit, line of the policy, then its sentence."""
    against = f" against a limit of {figure(denial.limit)}" if denial.limit else ""
    value = f": {figure(denial.value)}" if denial.value else ""
    where = f" ({plain(denial.policy_line)})" if denial.policy_line else ""
    word = "CONFIRM" if denial.confirmable else "DENIED"
    return [
        *wrap(f"{word} {denial.code}{value}{against}{where}", width, "  "),
        *wrap(f"  {plain(denial.text)}", width, "  "),
    ]


def size_words(spec: OrderSpec) -> str:
    """Side, quantity and symbol, for an answer in one line."""
    return f"{spec.side} {quantity(spec.qty)} {spec.symbol}"
