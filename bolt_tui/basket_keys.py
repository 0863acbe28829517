"""Baskets by keys: a file becomes a staged basket, a staged basket is looked at, released as one, or dropped."""

from __future__ import annotations

import asyncio

from textual import work

from bolt_tui.basket_files import read_basket_file, typed_path
from bolt_tui.desk_base import DeskBase
from bolt_tui.screens.basket import BasketChoice, BasketFileScreen, BasketScreen
from bolt_tui.screens.dialogs import CardScreen
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S
from engine.domain.errors import SettingsError
from engine.domain.ids import new_intent_id
from engine.intake.basket_file import BadLine
from engine.intake.grammar import GrammarContext
from engine.views import BasketView, DeskView
from widgets.formats import counted, plain, wrap

TWICE_NS = 2 * NS_PER_S
"""Within this time a second x cancels what the first one announced."""
WIDTH = 74


class BasketKeys(DeskBase):
    """The desk's half that handles baskets. One leaves only from its preview, all of it or nothing."""

    _path = ""
    """The file that was read last."""
    _asked_basket: tuple[int, str] = (-TWICE_NS, "")
    """When x announced which basket's orders it would cancel."""

    def _words_known(self) -> GrammarContext:
        """The order line's half makes it."""
        raise NotImplementedError

    def _basket(self, view: DeskView) -> BasketView | None:
        """The basket under the cursor."""
        row = self._orders.row if self._shows_orders() else None
        return None if row is None else next((one for one in view.baskets if one.basket_id == row.id), None)

    def action_basket(self) -> None:
        """Ask for a file; its orders are judged and shown, and none is sent from here."""

        def end(words: str | None) -> None:
            if words:
                self._stage_file(words)

        self.push_screen(BasketFileScreen(self._path), end)

    @work(exclusive=True, group="basket")
    async def _stage_file(self, words: str) -> None:
        path = await asyncio.to_thread(typed_path, words)
        if isinstance(path, str):
            self._say(path, "bad")
            return
        self._path = words
        try:
            found = await asyncio.to_thread(read_basket_file, path, self._words_known())
        except SettingsError as error:
            self._say(str(error), "bad")
            return
        if found.bad:
            self._say(
                f"{path.name}: {counted(len(found.bad), 'bad line')}, nothing was staged; B reads it again", "bad"
            )
            self.push_screen(CardScreen(f"{plain(path.name)}: NOTHING WAS STAGED", bad_words(found.bad)))
            return
        self._say(f"staging {path.name}: {counted(len(found.lines), 'order')} ...")
        intent_id = new_intent_id("d")
        command = co.StageBasket(source=self._source, intent_id=intent_id, name=path.name, lines=found.lines)
        result = await self._port.submit(command)
        self._awaited = result.order_id
        self._show_basket(result)

    def _review(self, basket: BasketView) -> None:
        """Every line as the engine judges it now."""
        self._say(f"asking the gate about {basket.basket_id} ...")
        self._look_at(basket.basket_id)

    @work(exclusive=True, group="basket")
    async def _look_at(self, basket_id: str) -> None:
        self._show_basket(await self._port.submit(co.LookAtBasket(source=self._source, basket_id=basket_id)))

    def _show_basket(self, result: co.CommandResult) -> None:
        if not result.lines:
            self._tell(result)
            return
        basket_id = result.order_id

        async def again() -> co.CommandResult:
            return await self._port.submit(co.LookAtBasket(source=self._source, basket_id=basket_id))

        screen = BasketScreen(result, again=again, monotonic_ns=self._clock.monotonic_ns, leaving=self._to_orders)
        self._say(f"{basket_id} is {result.preview.get('state', '')}")
        self.push_screen(screen, self._decided_basket)

    def _decided_basket(self, choice: BasketChoice | None) -> None:
        if choice is None:
            return
        basket_id, count = choice.result.order_id, len(choice.result.lines)
        if choice.act in {"release", "confirm"}:
            confirmed = frozenset[str]()
            if choice.act == "confirm":
                denials = [*choice.result.denials, *(one for line in choice.result.lines for one in line.denials)]
                confirmed = frozenset(denial.code for denial in denials if denial.confirmable)
            self._say(f"releasing {basket_id}: {counted(count, 'order')} ...")
            self._post(co.ReleaseBasket(source=self._source, basket_id=basket_id, confirmed=confirmed))
        elif choice.act == "drop":
            self._post(co.DropBasket(source=self._source, basket_id=basket_id))
        elif choice.result.preview.get("state") == "staged":
            self._say(f"{basket_id} stays staged, nothing of it was sent: enter or r on its row shows it again")
        else:
            self._say("")

    def _cancel_basket(self, view: DeskView, basket: BasketView) -> None:
        """Cancel every order of a basket that is not done, on a second press."""
        if basket.state == "staged":
            self._say(f"{basket.basket_id} is staged and nothing of it works: r shows it, d there drops it")
            return
        live = [one for one in view.orders if one.order_id in basket.orders and not one.state.is_terminal]
        if not live:
            self._say(f"every order of {basket.basket_id} has ended; there is nothing to cancel")
            return
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._asked_basket[0] <= TWICE_NS and self._asked_basket[1] == basket.basket_id:
            self._asked_basket = (-TWICE_NS, "")
            for order in live:
                self._post(co.CancelOrder(source=self._source, order_id=order.order_id))
            return
        self._asked_basket = (now_ns, basket.basket_id)
        self._say(
            f"x again within 2 s cancels the {counted(len(live), 'open order')} of basket {basket.basket_id}", "bad"
        )


def bad_words(bad: tuple[BadLine, ...]) -> str:
    """Every line of a file that is no order, with the rule against it."""
    lines = [f"line {one.line}: {plain(one.text)}" if one.line else plain(one.text) for one in bad]
    return "\n".join(
        part for line in (*lines, "mend the file, then B reads it again") for part in wrap(line, WIDTH, "  ")
    )
