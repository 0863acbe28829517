"""The desk: it draws the engine's pictures and posts commands. It holds no truth of its own.

What is on the screen may be late; what the engine does is not. A key acts on the order whose id is under the cursor, an
order leaves only from its preview, and the halt keys are read in the terminal's input thread (:mod:`bolt_tui.halt_keys`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Input

from bolt_tui import themes
from bolt_tui.halt_keys import DeskDriver
from bolt_tui.keymap import Place, bindings, card, commands, opens_line
from bolt_tui.screens.dialog import DIALOG_CSS
from bolt_tui.screens.dialogs import CardScreen, FormScreen, QuitScreen, RearmScreen
from bolt_tui.screens.footer import FooterLine
from bolt_tui.screens.order_card import order_card
from bolt_tui.screens.preview import Choice, Offer, PreviewScreen, size_words
from bolt_tui.settings import Settings, who
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, Clock, SystemClock
from engine.domain.ids import new_intent_id
from engine.domain.money import text
from engine.domain.order import OrderState, Source, SourceKind
from engine.intake.drafts import AmendDraft, GrammarError, NewOrderDraft
from engine.intake.grammar import GrammarContext, complete, parse_line
from engine.views import DeskView, OrderView, QuoteView
from widgets.ascii_filter import AsciiFilter
from widgets.formats import figure
from widgets.kill_banner import KillBanner
from widgets.ladder_panel import LadderPanel
from widgets.live_table import LiveTable
from widgets.messages import DeskExit, EnginePort, LineLeft, LineTyped
from widgets.order_book_panel import OrderBookPanel
from widgets.position_strip import DayLine, PositionStrip
from widgets.quick_order_pad import HINT, QuickOrderPad
from widgets.status_bar import StatusBar
from widgets.trade_log_panel import TradeLogPanel

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.filter import LineFilter

TWICE_NS = 2 * NS_PER_S
"""Within this time a second X does what the first one announced."""
ASKED_SHOWN_NS = 30 * NS_PER_S
"""How long the desk says by itself that its halt key was pressed, where the engine does not show it."""
DATA_HZ = 10
PARTS = (StatusBar, DayLine, KillBanner, OrderBookPanel, LadderPanel, PositionStrip, TradeLogPanel, QuickOrderPad)


class Desk(App[str]):
    """The whole desk; its result is a :class:`DeskExit`.

    Args:
        port: the engine.
        settings: the owner's settings: theme and data rate.
        is_ours: whether this desk started the engine; leaving any other one just leaves.
        hz: pictures drawn per second where the settings do not say.
        is_ascii: draw with ASCII characters only.
    """

    ENABLE_COMMAND_PALETTE = True
    TITLE = "Bolt"
    CSS = (
        """
    Screen { layout: vertical; background: $background; }
    #floor { height: 1fr; layout: grid; grid-size: 2; grid-columns: 34 1fr; grid-rows: 1fr 7; }
    #orders { column-span: 2; }
    #positions { display: none; }
    .-wide #floor { grid-columns: 1fr 36; grid-rows: 1fr 8 9; }
    .-wide #orders { column-span: 1; }
    .-wide #ladder { row-span: 2; }
    .-wide #positions { display: block; }
    .-wide #log { column-span: 2; }
    .-wide.-low #floor { grid-rows: 1fr 6 6; }
    CommandPalette { background: $background 60%; }
    CommandPalette > Vertical { background: $panel; }
    * { scrollbar-size-vertical: 1; scrollbar-background: $panel; scrollbar-background-hover: $panel;
        scrollbar-background-active: $panel; scrollbar-color: $edge; scrollbar-color-hover: $focus; }
    LiveTable { scrollbar-size: 0 0; }
    """
        + DIALOG_CSS
    )
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high")]  # noqa: RUF012 - as above
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Place.EVERYWHERE), *bindings(Place.DESK)]

    def __init__(
        self,
        port: EnginePort,
        settings: Settings,
        *,
        is_ours: bool,
        clock: Clock | None = None,
        hz: int = DATA_HZ,
        is_ascii: bool = False,
    ) -> None:
        super().__init__(driver_class=DeskDriver)
        self._port = port
        self._is_ours = is_ours
        self._clock = clock or SystemClock()
        self._who = who()
        self._source = Source(SourceKind.DESK, self._who)
        self._hz = settings.desk.updates_per_s or hz
        self._drawn: tuple[int, int, str] = (-1, -1, "")
        self._asked_all_ns = -TWICE_NS
        self._halt_asked_ns = 0
        self._awaited = ""
        self._symbol = ""
        self._themes = themes.shipped()
        for theme in self._themes.values():
            self.register_theme(theme)
        self.theme = themes.chosen(settings.desk.theme, self._themes).name
        self._ascii = AsciiFilter(enabled=is_ascii)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own colour names, for any theme that does not have them."""
        return dict(themes.shipped()["dark"].variables)

    def get_driver_class(self) -> type[Driver]:
        """Ours, on a terminal."""
        return DeskDriver

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, and ours for terminals that know ASCII only."""
        return [*super().get_line_filters(), *([self._ascii] if self._ascii.enabled else [])]

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette's entries: our own actions only, so that none of Textual's can end the desk unasked."""
        del screen
        for key in commands():
            yield SystemCommand(key.name, key.help, lambda action=key.action: self.run_worker(self.run_action(action)))

    def compose(self) -> ComposeResult:
        """One tree for every size."""
        yield StatusBar()
        yield DayLine()
        yield KillBanner()
        with Container(id="floor"):
            yield OrderBookPanel()
            yield LadderPanel()
            yield PositionStrip()
            yield TradeLogPanel()
        yield QuickOrderPad(self._complete)
        yield FooterLine(Place.DESK)

    def on_mount(self) -> None:
        """Draw, and go on drawing at the data rate."""
        self._base = self.screen
        self._orders.focus()
        self.draw()
        self.call_after_refresh(self.draw)
        self.set_interval(1 / self._hz, self.draw)

    # -- parts -------------------------------------------------------------------------------------------------------------

    @property
    def _orders(self) -> OrderBookPanel:
        return self._base.query_one(OrderBookPanel)

    @property
    def _ladder(self) -> LadderPanel:
        return self._base.query_one(LadderPanel)

    @property
    def _pad(self) -> QuickOrderPad:
        return self._base.query_one(QuickOrderPad)

    @property
    def said(self) -> str:
        """The last answer below the order line."""
        return self._pad.answer

    def _say(self, words: str, tone: str = "") -> None:
        self._pad.say(words, tone)

    # -- drawing -----------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Show the newest picture on the desk, whatever lies above it. Nothing is drawn where nothing changed."""
        if not all(self._base.query(part) for part in PARTS):
            # The timer also fires while the tree is being built or taken down, part by part.
            return
        view = self._port.view()
        now_ns = self._clock.now_ns()
        trouble = "" if self._port.connected else self._port.link_text or "the line is down"
        if self._halt_asked_ns and (
            view.status.halt.state == "halted" or now_ns - self._halt_asked_ns > ASKED_SHOWN_NS
        ):
            self._halt_asked_ns = 0
        self._base.query_one(StatusBar).draw(view, trouble)
        self._base.query_one(KillBanner).draw(view.status.halt, now_ns, self._halt_asked_ns)
        self._draw_footer()
        state = (self._port.version(), now_ns // NS_PER_S, self._symbol)
        if state == self._drawn:
            return
        self._drawn = state
        self._draw_panes(view, now_ns)

    def _draw_panes(self, view: DeskView, now_ns: int) -> None:
        instruments = {made.symbol: made for made in view.instruments}
        orders = self._orders
        self._base.query_one(DayLine).draw(view)
        if self._awaited and any(order.order_id == self._awaited for order in view.orders):
            # The person's own new order: it is selected where it belongs, at the top.
            orders.select("")
            orders.draw(view, instruments, now_ns)
            orders.select(self._awaited, in_place=True)
            orders.say(view)
            self._awaited = ""
        else:
            orders.draw(view, instruments, now_ns)
        self._base.query_one(PositionStrip).draw(view, instruments, now_ns)
        self._base.query_one(TradeLogPanel).draw(view, now_ns)
        self._ladder.draw(view, self._symbol_shown(view), instruments, now_ns)
        self._aim(view)

    def _symbol_shown(self, view: DeskView) -> str:
        """The symbol under the cursor, or the last one that was; at first that of the newest order or book."""
        order = self._order(view)
        if order is not None:
            self._symbol = order.symbol
        known = {book.symbol for book in view.books}
        if not self._symbol and known:
            newest = max(view.orders, key=lambda item: item.created_ns, default=None)
            self._symbol = newest.symbol if newest and newest.symbol in known else view.books[0].symbol
        return self._symbol

    def _aim(self, view: DeskView) -> None:
        """Let the order line complete with what is under the cursor."""
        del view
        price = self._ladder.price if self._base.focused is self._ladder else ""
        self._pad.target = (self._symbol, f"@{price}" if price else "@join")

    def _draw_footer(self) -> None:
        is_typing = isinstance(self._base.focused, Input)
        self._base.query_one(FooterLine).draw(Place.LINE if is_typing else Place.DESK)

    def on_resize(self) -> None:
        """Widths decide what is shown."""
        self._drawn = (-1, -1, "")
        self.call_after_refresh(self.draw)

    @on(LiveTable.Moved)
    def follow_cursor(self) -> None:
        """The ladder shows the symbol under the cursor at once."""
        self._drawn = (-1, -1, "")
        self.draw()

    # -- halting -----------------------------------------------------------------------------------------------------------

    def halt_from_driver(self) -> None:
        """From the terminal's input thread; nothing of the screen is touched here."""
        self._port.halt_now(self._who)

    def action_halt(self) -> None:
        """The key's binding: where the driver saw it already, this shuts a shut gate again; and the screen says so."""
        self._port.halt_now(self._who)
        self._halt_asked_ns = self._clock.now_ns()
        self.draw()

    def action_rearm(self) -> None:
        """Ask for word and reason; the engine judges."""
        if self._port.view().status.halt.state == "active" and not self._port.view().status.halt.scopes:
            self._say("trading is on; there is nothing to re-arm")
            return

        async def ask(word: str, reason: str) -> co.CommandResult:
            return await self._port.submit(co.Rearm(source=self._source, word=word, reason=reason))

        def end(is_on: bool | None) -> None:
            self._say(
                "re-armed: trading is on" if is_on else "not re-armed; trading stays halted", "good" if is_on else ""
            )

        self.push_screen(RearmScreen(self._port.view, ask, self._clock.now_ns), end)

    # -- the order line ----------------------------------------------------------------------------------------------------

    def _words_known(self) -> GrammarContext:
        from bolt_tui.commands.orders import grammar_context

        return grammar_context(self._port.view())

    def _complete(self, line: str, cursor: int) -> list[str]:
        return complete(line, cursor, self._words_known())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys that open the order line are letters where text is typed, and do nothing behind a dialog."""
        del parameters
        if opens_line(action):
            return self.screen is self._base and not isinstance(self.focused, Input)
        return True

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
        self._orders.focus()

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
        self._orders.focus()
        if isinstance(draft, AmendDraft):
            self._post(draft.command(self._source, new_intent_id("d")))
        else:
            self._post(draft.command(self._source))

    async def _offer(self, line: str, draft: NewOrderDraft) -> Offer:
        """What the engine says to an order now. The intent id is born here, so that whatever happens it goes out once."""
        intent_id = new_intent_id("d")
        result = await self._port.submit(co.Preview(source=self._source, spec=draft.spec))
        return Offer(line, draft.echo, draft.spec, intent_id, result)

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
        self._orders.focus()
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
            why="",
            staged=choice.act == "stage",
            confirmed=confirmed,
        )
        self._say(f"{'staging' if command.staged else 'sending'} {size_words(offer.spec)} ...")
        # A worker of its own: the next preview ends this one, and must not take a confirmed order with it.
        self._post(command)

    # -- orders ------------------------------------------------------------------------------------------------------------

    def _order(self, view: DeskView) -> OrderView | None:
        """The order under the cursor, as the newest picture has it."""
        row = self._orders.row
        return None if row is None else next((order for order in view.orders if order.order_id == row.id), None)

    def _chosen(self, what: str) -> OrderView | None:
        order = self._order(self._port.view())
        if order is None:
            gone = f"{self._orders.selected} is not shown any more; " if self._orders.selected else ""
            self._say(f"{gone}select the order to {what} with up and down first")
        return order

    def action_amend(self) -> None:
        """Put the selected order's amend in the order line, with its terms of now."""
        order = self._chosen("amend")
        if order is None:
            return
        if order.state.is_terminal:
            self._say(f"{order.order_id} has ended; it cannot be amended")
            return
        price = order.limit
        words = f"a {order.order_id} qty {text(order.qty)}" + (f" @{text(price)}" if price is not None else "")
        self._pad.start(words)
        self._say(
            f"amend {order.order_id}: change quantity (new total) or price, enter asks the engine, esc leaves it as it is"
        )

    def action_cancel(self) -> None:
        """Cancel the selected order, by its id."""
        order = self._chosen("cancel")
        if order is None:
            return
        if order.state.is_terminal:
            self._say(f"{order.order_id} has ended; there is nothing to cancel")
            return
        self._say(f"cancelling {order.order_id} {order.side} {order.symbol}: gone only when the venue says so")
        self._post(co.CancelOrder(source=self._source, order_id=order.order_id))

    def action_cancel_all(self) -> None:
        """The first press says what would go, the second within two seconds does it."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._asked_all_ns <= TWICE_NS:
            self._asked_all_ns = -TWICE_NS
            self._post(co.CancelAll(source=self._source))
            return
        self._asked_all_ns = now_ns
        status = self._port.view().status
        staged = sum(1 for order in self._port.view().orders if order.state is OrderState.STAGED)
        counts = f"{status.orders_working} working orders of {status.parents_open} parents, all symbols"
        self._say(f"X again within 2 s cancels {counts}" + (f" ({staged} staged stay)" if staged else ""), "bad")

    def action_release(self) -> None:
        """Release the selected staged order."""
        order = self._chosen("release")
        if order is None:
            return
        if order.state is OrderState.STAGED:
            self._post(co.ReleaseOrder(source=self._source, order_id=order.order_id))
        else:
            self._say(f"{order.order_id} is not staged; only staged orders are released")

    @work(group="send")
    async def _post(self, command: co.AnyCommand) -> None:
        """Send once and say what came of it."""
        result = await self._port.submit(command)
        if isinstance(command, co.NewOrder) and result.order_id and result.ok:
            self._awaited = result.order_id
            self._drawn = (-1, -1, "")
        self._tell(result)

    def _tell(self, result: co.CommandResult) -> None:
        if result.denials:
            first = result.denials[0]
            against = f" limit {figure(first.limit)}" if first.limit else ""
            where = f" ({first.policy_line})" if first.policy_line else ""
            self._say(f"DENIED {first.code} {figure(first.value)}{against}{where}: {first.text}", "bad")
        elif result.code == "UNKNOWN":
            self._say(f"UNKNOWN: {result.text}. Look at orders and broker before asking again", "bad")
        elif not result.ok:
            self._say(f"REFUSED {result.code}: {result.text}", "bad")
        else:
            self._say(
                " ".join(part for part in (result.order_id, result.text or result.code or "done") if part), "good"
            )

    # -- around ------------------------------------------------------------------------------------------------------------

    def action_move(self, steps: int) -> None:
        """Move the cursor of the focused table."""
        table = self.focused
        if isinstance(table, LiveTable):
            table.move(steps)

    def action_up(self) -> None:
        """Let go of the selected row, and from another pane go back to the orders."""
        table = self.focused
        if isinstance(table, LiveTable):
            table.release()
        self._drawn = (-1, -1, "")
        self._orders.focus()
        self.draw()

    def action_open(self) -> None:
        """Details of the selected order; in the log, go to the line's order."""
        view = self._port.view()
        log = self._base.query_one(TradeLogPanel)
        if self.focused is log:
            order_id = log.row.words(2) if log.row is not None else ""
            if any(row.id == order_id for row in self._orders.rows):
                self._orders.select(order_id)
                self._orders.focus()
            elif order_id:
                self._show_order(view, next((order for order in view.orders if order.order_id == order_id), None))
            return
        if isinstance(self.focused, OrderBookPanel):
            self._show_order(view, self._chosen("open"))

    def _show_order(self, view: DeskView, order: OrderView | None) -> None:
        if order is None:
            return
        made = next((made for made in view.instruments if made.symbol == order.symbol), None)
        digits = 2 if made is None else made.price_digits
        self.push_screen(CardScreen(f"{order.order_id} {order.symbol}", order_card(view, order, digits)))

    def action_recentre(self) -> None:
        """Put the market in the middle of the ladder."""
        self._ladder.recentre()
        self._drawn = (-1, -1, "")
        self.draw()

    def action_follow(self) -> None:
        """Follow the log's newest line."""
        self._base.query_one(TradeLogPanel).set_follow()
        self._drawn = (-1, -1, "")
        self.draw()

    def action_done(self) -> None:
        """Show or hide done orders."""
        self._orders.is_done_shown = not self._orders.is_done_shown
        self._drawn = (-1, -1, "")
        self.draw()

    def action_theme(self) -> None:
        """The next shipped theme."""
        names = [theme.name for theme in self._themes.values()]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]
        self._say(f"theme {self.theme.removeprefix('bolt-')}; desk.theme in settings.yaml keeps it")

    def action_help(self) -> None:
        """Show the card."""
        self.push_screen(CardScreen("KEYS", card(min(72, self.size.width - 8))))

    def action_quit_desk(self) -> None:
        """Ask what becomes of an engine this desk started; any other one goes on."""
        if not self._is_ours:
            self.exit(DeskExit.LEAVE)
            return
        if isinstance(self.screen, QuitScreen):
            return
        status = self._port.view().status
        self.push_screen(QuitScreen(status.orders_working, status.parents_open, status.orders_unknown), self._leave)

    def _leave(self, choice: str | None) -> None:
        if choice:
            self.exit(choice)


def run_desk(
    port: EnginePort, settings: Settings, is_ours: bool, *, hz: int = DATA_HZ, is_ascii: bool = False
) -> DeskExit:
    """Show the desk until the person leaves; what is to become of the engine. Ended any other way, the engine goes on."""
    return DeskExit(Desk(port, settings, is_ours=is_ours, hz=hz, is_ascii=is_ascii).run() or DeskExit.LEAVE)
