"""What the desk's keys do to orders that exist. Each acts on the id under the cursor, never on a place in a list."""

from __future__ import annotations

from bolt_tui.desk_base import DeskBase
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S
from engine.domain.money import text
from engine.domain.order import OrderState
from engine.views import OrderView

TWICE_NS = 2 * NS_PER_S
"""Within this time a second X does what the first one announced."""


class OrderKeys(DeskBase):
    """The desk's half that amends, cancels and releases."""

    _asked_all_ns = -TWICE_NS

    def _chosen(self, what: str) -> OrderView | None:
        if not self._orders.display:
            self._say(f"no orders are shown here; 2 shows them, then select the one to {what}")
            return None
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
