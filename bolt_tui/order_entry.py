"""The order line of the desk: words become a preview, a preview becomes at most one order.

Nothing is sent from the line itself; an order, an amend and a release leave only from their preview, with the intent id that was
born with it. A cancel asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import on, work
from textual.content import Content
from textual.widgets import Input

from bolt_tui.desk_base import DeskBase
from bolt_tui.offers import Offer, approval_notes, spec_of, suspended_notes
from bolt_tui.screens.order_form import FormScreen
from bolt_tui.screens.preview import Choice, PreviewScreen
from engine.domain import commands as co
from engine.domain.ids import new_intent_id
from engine.domain.order import OrderSpec, OrderState
from engine.intake.drafts import AmendDraft, CancelDraft, Draft, GrammarError, NewOrderDraft, ReleaseDraft
from engine.intake.grammar import TIFS, GrammarContext, complete, parse_line
from engine.intake.presets import NONE, Presets
from engine.intake.sizes import PARTS
from engine.intake.words import PRICE_WORDS
from engine.views import DeskView, OrderView, QuoteView
from widgets.formats import plain, wrap
from widgets.frame import frame_of
from widgets.messages import LineChanged, LineLeft, LineTyped
from widgets.quick_order_pad import HINT
from widgets.what_if import content_of, live_lines, size_words

CHOICES_SHOWN = 12


class OrderEntry(DeskBase):
    """The desk's half that makes orders."""

    _presets: Presets = NONE
    """The owner's defaults of order words."""
    _unlisted: Callable[[str], str] | None = None
    """What the registry knows of a symbol that no broker lists."""
    _questions = 0
    """Counts what was typed: an answer to older words is not shown."""
    _known: tuple[int, GrammarContext] | None = None
    """What order words may name, by the picture that it was made of."""

    def _aim(self, view: DeskView) -> None:
        """Let the order line complete with what is under the cursor; a line that is being typed keeps what it began with."""
        del view
        if isinstance(self._base.focused, Input):
            return
        price = self._ladder.price if self._base.focused is self._ladder else ""
        self._pad.target = (self._symbol, f"@{price}" if price else "@join")

    def _words_known(self) -> GrammarContext:
        from bolt_tui.commands.orders import grammar_context

        version = self._port.version()
        if self._known is None or self._known[0] != version:
            made = grammar_context(self._port.view(), presets=self._presets, unlisted=self._unlisted)
            self._known = (version, made)
        return self._known[1]

    def _complete(self, line: str, cursor: int) -> list[str]:
        return complete(line, cursor, self._words_known())

    # -- what it would do, while it is typed -------------------------------------------------------------------------------

    @on(LineChanged)
    def answer_line(self, event: LineChanged) -> None:
        """Say what is expected next, or what the order would do; the newest words win."""
        event.stop()
        self._questions += 1
        draft = parse_line(event.line, self._words_known())
        if isinstance(draft, NewOrderDraft):
            self._ask_what_if(event, draft, self._questions)
        elif isinstance(draft, GrammarError):
            event.show(self._expected(event, draft))
        else:
            event.show(Content("enter asks the engine" if isinstance(draft, CancelDraft) else "enter previews it"))

    def _expected(self, event: LineChanged, error: GrammarError) -> Content:
        """What may stand here; loud only where the word is finished, or can be nothing that fits."""
        is_begun = event.line[error.position :].strip() == error.word and not event.line[-1:].isspace()
        fits = self._complete(event.line, len(event.line)) if is_begun else []
        if fits:
            words, style = " ".join(fits[:CHOICES_SHOWN]), "$quiet"
        elif not error.word:
            words, style = f"expected next: {', '.join(error.expected)}", "$quiet"
        else:
            words, style = error.text, "bold $caution"
        lines = [(line, style) for line in wrap(plain(words), event.width, "  ")]
        return content_of(lines[: event.rows])

    @work(group="what-if")
    async def _ask_what_if(self, event: LineChanged, draft: NewOrderDraft, number: int) -> None:
        result = await self._port.what_if(co.Preview(source=self._source, spec=draft.spec, linked=draft.linked))
        if number != self._questions:
            return
        if result is None:
            event.show(Content(f"{draft.echo}; the engine does not say what it would do").stylize("$quiet"))
        else:
            event.show(content_of(live_lines(draft.echo, result, event.width, event.rows)))

    # -- the line and the form ---------------------------------------------------------------------------------------------

    def action_ticket(self, side: str) -> None:
        """Go to the order line; a side starts an order for what is under the cursor. Nothing is sent."""
        self._aim(self._port.view())
        self._pad.start(f"{side} " if side else "")
        symbol, price = self._pad.target
        if side and symbol:
            self._say(
                f"{'buy' if side == 'b' else 'sell'} {symbol}: type a size; right or tab then completes {symbol} {price}"
            )

    def action_form(self) -> None:
        """The same order as fields."""
        symbol, price = self._pad.target
        values = {"symbol": symbol, "price": price.removeprefix("@")}

        def end(line: str | None) -> None:
            if line:
                self._read(line)

        self.push_screen(FormScreen(values, _form_words(self._words_known())), end)

    @on(LineLeft)
    def leave_line(self) -> None:
        """Back to the orders."""
        self._pad.say(HINT)
        self._to_orders()

    @on(LineTyped)
    def take_line(self, event: LineTyped) -> None:
        """Enter in the line."""
        self._read(event.line)

    def _read(self, line: str) -> None:
        """An order goes to its preview, never out; other lines ask the engine at once."""
        self._questions += 1
        draft = parse_line(line, self._words_known())
        if isinstance(draft, GrammarError):
            place = f"word {draft.word!r} at {draft.position + 1}: " if draft.word else ""
            self._say(draft.text if draft.word and draft.word in draft.text else f"{place}{draft.text}", "bad")
            return
        self._pad.remember(line)
        if isinstance(draft, CancelDraft):
            # Stopping asks nobody.
            self._pad.clear()
            self._to_orders()
            self._post(draft.command(self._source))
        else:
            self._preview(line, draft)

    def _preview_release(self, order: OrderView) -> None:
        """A staged or suspended order, and one that waits for a second person, goes out through the same preview as a typed one."""
        self._preview(f"release {order.order_id}", ReleaseDraft(order_id=order.order_id))

    async def _offer(self, line: str, draft: Draft) -> Offer | str:
        """What the engine says to it now; or why there is nothing to judge."""
        if isinstance(draft, NewOrderDraft):
            question = co.Preview(source=self._source, spec=draft.spec, linked=draft.linked)
            result = await self._port.submit(question)
            return Offer(
                line=line,
                echo=draft.echo,
                spec=draft.spec,
                intent_id=new_intent_id("d"),
                result=result,
                defaults=draft.defaults,
                linked=draft.linked,
            )
        assert isinstance(draft, AmendDraft | ReleaseDraft)
        order = next((row for row in self._port.view().orders if row.order_id == draft.order_id), None)
        if order is None:
            return f"{draft.order_id} is not in the newest picture; look at the orders, then ask again"
        amend = draft if isinstance(draft, AmendDraft) else None
        if wrong := _refused_by_state(order, is_amend=amend is not None):
            return wrong
        awaits = order.awaits if amend is None else ""
        spec = spec_of(order, amend)
        result = await self._port.submit(co.Preview(source=self._source, spec=spec, order_id=order.order_id))
        return Offer(
            line=line,
            echo=_echo(order, spec, result),
            spec=spec,
            intent_id=new_intent_id("d"),
            result=result,
            kind="amend" if amend is not None else "approve" if awaits else "release",
            order_id=order.order_id,
            order_hash=awaits,
            notes=_notes(order, result) if amend is None else (),
            amend=amend,
        )

    async def _offer_again(self, line: str) -> Offer | None:
        draft = parse_line(line, self._words_known())
        offer = None if isinstance(draft, GrammarError | CancelDraft) else await self._offer(line, draft)
        return offer if isinstance(offer, Offer) else None

    def _quote(self, symbol: str) -> QuoteView | None:
        return next((quote for quote in self._port.view().quotes if quote.symbol == symbol), None)

    @work(exclusive=True, group="preview")
    async def _preview(self, line: str, draft: Draft) -> None:
        """Ask for every check, show them, and do what is chosen, once."""
        self._say(f"asking the gate about {line} ...")
        offer = await self._offer(line, draft)
        if isinstance(offer, str):
            self._say(offer, "bad")
            return
        screen = PreviewScreen(
            offer,
            again=self._offer_again,
            quote=self._quote,
            digits=frame_of(self._port.view(), self._now_ns()).digits(offer.spec.symbol),
            now_ns=self._now_ns,
            monotonic_ns=self._clock.monotonic_ns,
            leaving=self._leave_preview,
        )
        self._decided(await self.push_screen_wait(screen))

    def _leave_preview(self, act: str) -> None:
        """Before it goes: what is typed behind the deciding key belongs to the panes, not to a line that is done."""
        if act != "edit":
            self._pad.clear()
            self._to_orders()

    def _decided(self, choice: Choice) -> None:
        offer = choice.offer
        if choice.act == "edit":
            self._pad.start(offer.line)
            self._say("edit the line; enter previews it again")
            return
        if not choice.act:
            self._say("dropped; nothing was sent. up in the order line recalls it")
            return
        if choice.act == "reject":
            self._say(f"turning {offer.order_id} down: it is cancelled, and nothing of it has left")
            self._post(co.CancelOrder(source=self._source, order_id=offer.order_id))
            return
        command = offer.command(self._source, staged=choice.act == "stage", is_confirmed=choice.act == "confirm")
        verb = (
            "staging"
            if choice.act == "stage"
            else {"new": "sending", "amend": "amending", "release": "releasing", "approve": "approving"}[offer.kind]
        )
        self._say(f"{verb} {size_words(offer.spec)} ...")
        # A worker of its own: the next preview ends this one, and must not take a confirmed order with it.
        self._post(command)


def _refused_by_state(order: OrderView, *, is_amend: bool) -> str:
    """Why there is nothing to show before an amend or a release; empty where there is."""
    if order.state.is_terminal:
        return f"{order.order_id} has ended ({order.word}); it cannot be {'amended' if is_amend else 'released'}"
    if is_amend or order.awaits or order.state in {OrderState.STAGED, OrderState.SUSPENDED}:
        return ""
    return f"{order.order_id} is neither staged nor suspended; only such orders are released or approved"


def _echo(order: OrderView, spec: OrderSpec, result: co.CommandResult) -> str:
    """The order in words, with what it waits for; where it was not judged, the answer is a reason and no order."""
    words = result.text if result.preview and result.text else spec.words()
    return f"{words} {order.waits}" if order.waits and order.waits not in words else words


def _notes(order: OrderView, result: co.CommandResult) -> tuple[str, ...]:
    """What is said of an order that waits for a person, beside its figures."""
    if order.awaits:
        return approval_notes(order, result.preview)
    return suspended_notes(order) if order.state is OrderState.SUSPENDED else ()


def _form_words(context: GrammarContext) -> dict[str, tuple[str, ...]]:
    """What may stand in each field of the form."""
    return {
        "side": ("buy", "sell"),
        "size": ("100", "1k", "$10k", *PARTS, "risk "),
        "symbol": tuple(sorted(context.instruments or ())),
        "price": tuple(word.removeprefix("@") for word in PRICE_WORDS),
        "tif": tuple(TIFS),
        "algo": tuple(f"{name} 30m" if made.timed else name for name, made in context.algos.items()),
        "flags": ("post", "reduce"),
        "acct": context.accounts,
        "broker": context.brokers,
        "venue": context.venues,
    }
