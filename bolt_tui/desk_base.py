"""What every part of the desk's app shares: the engine's port, the clock, who asks, and the one way to send a command."""

from __future__ import annotations

from typing import TypeVar

from textual import work
from textual.app import App
from textual.screen import Screen
from textual.widget import Widget

from bolt_tui.settings import who
from engine.domain import commands as co
from engine.domain.clock import Clock
from engine.domain.order import OrderState, Source, SourceKind
from engine.views import DeskView, OrderView
from widgets.aged import Ageing
from widgets.basket_rows import STAGED
from widgets.blotter import Blotter
from widgets.formats import figure, grouped, is_figure
from widgets.frame import frame_of
from widgets.messages import EnginePort, LooksBack
from widgets.order_book_panel import OrderBookPanel
from widgets.quick_order_pad import QuickOrderPad

NEVER_DRAWN = (-1, -1, "")
Part = TypeVar("Part", bound=Widget)


class DeskBase(App[str]):
    """The app without its keys. What it sends goes out once, and what came of it is said below the order line."""

    _port: EnginePort
    _clock: Clock
    _base: Screen[object]
    """The screen with the panes; dialogs lie above it."""

    def __init__(self, port: EnginePort, clock: Clock) -> None:
        super().__init__()
        self._port = port
        self._clock = clock
        self._who = who()
        self._source = Source(SourceKind.DESK, self._who)
        self._drawn: tuple[int, int, str] = NEVER_DRAWN
        self._ageing = Ageing()
        self._is_old = False
        """What is drawn is of before the engine went."""
        self._awaited = ""
        """A new order or basket of this person's that no picture has shown yet."""
        self._released = ""
        """What this person released and no picture has shown at work yet."""
        self._symbol = ""
        self._parts: dict[type[Widget], Widget] = {}

    def _part(self, kind: type[Part]) -> Part:
        """The one widget of a kind on the desk; looked for once."""
        found = self._parts.get(kind)
        if not isinstance(found, kind):
            found = self._parts[kind] = self._base.query_one(kind)
        return found

    # -- parts -------------------------------------------------------------------------------------------------------------

    @property
    def _orders(self) -> Blotter:
        return self._part(Blotter)

    @property
    def _ladder(self) -> OrderBookPanel:
        return self._part(OrderBookPanel)

    @property
    def _pad(self) -> QuickOrderPad:
        return self._part(QuickOrderPad)

    @property
    def said(self) -> str:
        """The last answer below the order line."""
        return self._pad.answer

    def _say(self, words: str, tone: str = "") -> None:
        self._pad.say(words, tone)

    def _order(self, view: DeskView) -> OrderView | None:
        """The order under the cursor, as the newest picture has it."""
        row = self._orders.row
        return None if row is None else next((order for order in view.orders if order.order_id == row.id), None)

    def _chosen(self, what: str) -> OrderView | None:
        if not self._shows_orders():
            why = (
                "the terminal is too low to show an order: make it higher"
                if self._has_orders()
                else "no orders are shown here; 2 shows them"
            )
            self._say(f"{why}, then select the one to {what}")
            return None
        order = self._order(self._port.view())
        if order is None:
            gone = f"{self._orders.selected} is not shown any more; " if self._orders.selected else ""
            self._say(f"{gone}select the order to {what} with up and down first")
        return order

    def _shows_orders(self) -> bool:
        """Whether the person sees the orders: what cannot be seen is not acted upon."""
        raise NotImplementedError

    def _has_orders(self) -> bool:
        """Whether the mode has a pane of orders, however small."""
        raise NotImplementedError

    def _select(self, order_id: str) -> None:
        """Put the cursor on an order where it belongs now, nothing held."""
        view = self._port.view()
        self._orders.select("")
        self._orders.draw(frame_of(view, self._now_ns()))
        self._orders.select(order_id, in_place=True)
        self._follow_order(view)

    def _now_ns(self) -> int:
        """The moment that the picture is of: now, or the instant of the past that is looked at."""
        port = self._port
        return port.view().status.ts_ns if isinstance(port, LooksBack) else self._clock.now_ns()

    def _is_out(self, view: DeskView, released: str) -> bool:
        """Whether the picture shows a released order or basket as released, or not at all."""
        orders = (one.state is OrderState.STAGED for one in view.orders if one.order_id == released)
        baskets = (one.state == STAGED for one in view.baskets if one.basket_id == released)
        return not any((*orders, *baskets))

    def _follow_order(self, view: DeskView) -> None:
        """The symbol of the order under the cursor is the desk's symbol from here on."""
        order = self._order(view)
        if order is not None:
            self._symbol = order.symbol

    def _focus_on(self, pane: Widget) -> None:
        """Give a pane the keys at once: Widget.focus() waits for its turn, and what is typed behind would go elsewhere."""
        self._base.set_focus(pane)

    def _to_orders(self) -> None:
        """Back from the order line."""
        self._focus_on(self._orders)

    def draw(self) -> None:
        """Show the newest picture."""
        raise NotImplementedError

    def draw_anew(self) -> None:
        """Show the newest picture though nothing in it changed."""
        self._drawn = NEVER_DRAWN
        self.draw()

    # -- sending -----------------------------------------------------------------------------------------------------------

    @work(group="send")
    async def _post(self, command: co.AnyCommand) -> None:
        """Send once and say what came of it."""
        result = await self._port.submit(command)
        if isinstance(command, co.NewOrder) and result.order_id and result.ok:
            self._awaited = result.order_id
            self._drawn = NEVER_DRAWN
        if isinstance(command, co.ReleaseOrder | co.ApproveOrder) and result.ok:
            self._released = command.order_id
        elif isinstance(
            command, co.ReleaseBasket
        ):  # one that was sent in part is no success, and its row moves all the same
            self._released = command.basket_id
        self._tell(result)

    def _tell(self, result: co.CommandResult) -> None:
        if result.denials:
            first = result.denials[0]
            against = f" limit {figure(first.limit)}" if is_figure(first.limit) else ""
            where = f" ({first.policy_line})" if first.policy_line else ""
            self._say(f"DENIED {first.code} {figure(first.value)}{against}{where}: {first.text}", "bad")
        elif result.code == "UNKNOWN":
            self._say(f"UNKNOWN: {result.text}. Look at orders and broker before asking again", "bad")
        elif not result.ok:
            self._say(f"REFUSED {result.code}: {result.text}", "bad")
        else:
            words = grouped(result.text) or result.code or "done"
            is_named = not result.order_id or words.split()[0] == result.order_id
            self._say(words if is_named else f"{result.order_id} {words}", "good")
