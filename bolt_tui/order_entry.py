"""The order line of the desk: words become a preview, a preview becomes at most one order.

Nothing is sent from the line itself; an order leaves only from its preview, with the intent id that was born with it.
"""

from __future__ import annotations

from textual import on, work

from bolt_tui.desk_base import DeskBase
from bolt_tui.screens.dialogs import FormScreen
from bolt_tui.screens.preview import Choice, Offer, PreviewScreen, size_words
from engine.domain import commands as co
from engine.domain.ids import new_intent_id
from engine.intake.drafts import AmendDraft, GrammarError, NewOrderDraft
from engine.intake.grammar import GrammarContext, complete, parse_line
from engine.views import DeskView, QuoteView
from widgets.messages import LineLeft, LineTyped
from widgets.quick_order_pad import HINT


class OrderEntry(DeskBase):
    """The desk's half that makes orders."""

    def _aim(self, view: DeskView) -> None:
        """Let the order line complete with what is under the cursor."""
        del view
        price = self._ladder.price if self._base.focused is self._ladder else ""
        self._pad.target = (self._symbol, f"@{price}" if price else "@join")

    def _words_known(self) -> GrammarContext:
        from bolt_tui.commands.orders import grammar_context

        return grammar_context(self._port.view())

    def _complete(self, line: str, cursor: int) -> list[str]:
        return complete(line, cursor, self._words_known())

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
        values = {"symbol": symbol, "price": price.removeprefix("@"), "tif": "day"}

        def end(line: str | None) -> None:
            if line:
                self._read(line)

        self.push_screen(FormScreen(values), end)

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
        draft = parse_line(line, self._words_known())
        if isinstance(draft, GrammarError):
            place = f"word {draft.word!r} at {draft.position + 1}: " if draft.word else ""
            self._say(draft.text if draft.word and draft.word in draft.text else f"{place}{draft.text}", "bad")
            return
        self._pad.remember(line)
        if isinstance(draft, NewOrderDraft):
            self._preview(line, draft)
            return
        self._pad.clear()
        self._to_orders()
        if isinstance(draft, AmendDraft):
            self._post(draft.command(self._source, new_intent_id("d")))
        else:
            self._post(draft.command(self._source))

    async def _offer(self, line: str, draft: NewOrderDraft) -> Offer:
        """What the engine says to an order now. The intent id is born here, so that whatever happens it goes out once."""
        intent_id = new_intent_id("d")
        result = await self._port.submit(co.Preview(source=self._source, spec=draft.spec, linked=draft.linked))
        return Offer(line, draft.echo, draft.spec, intent_id, result, linked=draft.linked)

    async def _offer_again(self, line: str) -> Offer | None:
        draft = parse_line(line, self._words_known())
        return await self._offer(line, draft) if isinstance(draft, NewOrderDraft) else None

    def _quote(self, symbol: str) -> QuoteView | None:
        return next((quote for quote in self._port.view().quotes if quote.symbol == symbol), None)

    @work(exclusive=True, group="preview")
    async def _preview(self, line: str, draft: NewOrderDraft) -> None:
        """Ask for every check, show them, and do what is chosen, once."""
        self._say(f"asking the gate about {size_words(draft.spec)} ...")
        screen = PreviewScreen(
            await self._offer(line, draft),
            again=self._offer_again,
            quote=self._quote,
            now_ns=self._clock.now_ns,
            monotonic_ns=self._clock.monotonic_ns,
        )
        self._decided(await self.push_screen_wait(screen))

    def _decided(self, choice: Choice) -> None:
        offer = choice.offer
        if choice.act == "edit":
            self._pad.start(offer.line)
            self._say("edit the line; enter previews it again")
            return
        self._pad.clear()
        self._to_orders()
        if not choice.act:
            self._say("dropped; nothing was sent. up in the order line recalls it")
            return
        confirmed = (
            frozenset(denial.code for denial in offer.result.denials) if choice.act == "confirm" else frozenset()
        )
        command = co.NewOrder(
            source=self._source,
            intent_id=offer.intent_id,
            spec=offer.spec,
            linked=offer.linked,
            why="",
            staged=choice.act == "stage",
            confirmed=confirmed,
        )
        self._say(f"{'staging' if command.staged else 'sending'} {size_words(offer.spec)} ...")
        # A worker of its own: the next preview ends this one, and must not take a confirmed order with it.
        self._post(command)
