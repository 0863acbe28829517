"""What the desk's keys do to orders that exist. Each acts on the id under the cursor, never on a place in a list."""

from __future__ import annotations

from collections import Counter

from bolt_tui.basket_keys import TWICE_NS, BasketKeys
from engine.domain import commands as co
from engine.domain.money import text
from engine.domain.order import URGENCIES, OrderState
from engine.views import DeskView, OrderView
from widgets.formats import counted


class OrderKeys(BasketKeys):
    """The desk's half that amends, cancels and releases."""

    _asked_all_ns = -TWICE_NS
    _asked_marked: tuple[int, tuple[str, ...]] = (-TWICE_NS, ())
    """When x announced which marked orders it would cancel."""
    _asked_resume: tuple[int, str] = (-TWICE_NS, "")
    """When p announced which paused order would go on."""

    def _preview_release(self, order: OrderView) -> object:
        """The order line's half shows it."""
        raise NotImplementedError

    def action_amend(self) -> None:
        """Put the selected order's amend in the order line, with its terms of now."""
        basket = self._basket(self._port.view())
        if basket is not None:
            self._say(f"{basket.basket_id} is a basket: amend its orders one by one, or drop it and read a mended file")
            return
        order = self._chosen("amend")
        if order is None:
            return
        if order.state.is_terminal:
            self._say(f"{order.order_id} has ended; it cannot be amended")
            return
        if order.algo not in {"", "direct"} and order.state.is_live and not order.waits:
            self._say(
                f"{order.order_id} is worked by {order.algo} and cannot be amended: + and - change its urgency, p pauses it, x cancels it"
            )
            return
        price = order.limit
        words = f"a {order.order_id} qty {text(order.qty)}" + (f" @{text(price)}" if price is not None else "")
        self._pad.start(words)
        self._say(
            f"amend {order.order_id}: change quantity (new total) or price, enter asks the engine, esc leaves it as it is"
        )

    def action_cancel(self) -> None:
        """Cancel the selected order, by its id; where orders are marked, those, on a second press."""
        if self._orders.marked and self._orders.display:
            self._cancel_marked()
            return
        basket = self._basket(self._port.view())
        if basket is not None:
            self._cancel_basket(self._port.view(), basket)
            return
        order = self._chosen("cancel")
        if order is None:
            return
        if order.state.is_terminal:
            self._say(f"{order.order_id} has ended; there is nothing to cancel")
            return
        self._say(f"cancelling {order.order_id} {order.side} {order.symbol}: gone only when the venue says so")
        self._post(co.CancelOrder(source=self._source, order_id=order.order_id))

    def _cancel_marked(self) -> None:
        marked = tuple(self._orders.marked)
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._asked_marked[0] <= TWICE_NS and self._asked_marked[1] == marked:
            self._asked_marked = (-TWICE_NS, ())
            self._orders.marked.clear()
            for order_id in marked:
                self._post(co.CancelOrder(source=self._source, order_id=order_id))
            return
        self._asked_marked = (now_ns, marked)
        names = ", ".join(marked[:8]) + (f" and {len(marked) - 8} more" if len(marked) > 8 else "")
        self._say(
            f"x again within 2 s cancels the {counted(len(marked), 'marked order')}: {names}. * takes the marks off",
            "bad",
        )

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
        if not (status.orders_working or status.parents_open):
            self._say(
                "no order works in what is shown; X again within 2 s asks the engine to cancel all the same", "bad"
            )
            return
        counts = f"{counted(status.orders_working, 'working order')} of {counted(status.parents_open, 'parent')}"
        counts += f"{_kinds(self._port.view())}, all symbols"
        self._say(
            f"X again within 2 s cancels {counts}"
            + (f" ({staged} staged {'stays' if staged == 1 else 'stay'})" if staged else ""),
            "bad",
        )

    def _worked(self, what: str) -> OrderView | None:
        """The parent under the cursor, or of the child there."""
        order = self._chosen(what)
        if order is None or not order.parent_id:
            return order
        return next((one for one in self._port.view().orders if one.order_id == order.parent_id), None)

    def action_pause(self) -> None:
        """Pause the selected parent at once; let a paused one go on at a second press."""
        order = self._worked("pause")
        if order is None:
            return
        if not order.paused:
            self._say(f"pausing {order.order_id}: it sends nothing more, and what it has working is cancelled")
            self._post(co.PauseOrder(source=self._source, order_id=order.order_id))
            return
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._asked_resume[0] <= TWICE_NS and self._asked_resume[1] == order.order_id:
            self._asked_resume = (-TWICE_NS, "")
            self._post(co.ResumeOrder(source=self._source, order_id=order.order_id))
            return
        self._asked_resume = (now_ns, order.order_id)
        self._say(f"{order.order_id} is paused; p again within 2 s lets it go on", "bad")

    def action_urgency(self, step: int) -> None:
        """Make the algorithm of the selected parent a step more or less eager."""
        order = self._worked("make more or less eager")
        if order is None:
            return
        names = list(URGENCIES)
        if order.urgency not in names:
            self._say(f"{order.order_id} is {order.algo or 'a child'}, which has no urgency; amend its price instead")
            return
        at = names.index(order.urgency) + step
        if not 0 <= at < len(names):
            self._say(f"{order.order_id} is {order.urgency} already: there is nothing beyond")
            return
        self._say(f"{order.order_id}: from {order.urgency} to {names[at]} ...")
        self._post(co.SetUrgency(source=self._source, order_id=order.order_id, urgency=names[at]))

    def action_release(self) -> None:
        """Preview the selected staged or suspended order or basket; its release, or approval, leaves from there."""
        basket = self._basket(self._port.view())
        if basket is not None:
            self._review(basket)
            return
        order = self._chosen("release")
        if order is None:
            return
        if order.state in {OrderState.STAGED, OrderState.SUSPENDED}:
            self._preview_release(order)
        else:
            self._say(f"{order.order_id} is neither staged nor suspended; only such orders are released or approved")


def _kinds(view: DeskView) -> str:
    """How many open parents there are of each kind, stops and algorithms among them; nothing where there are none."""
    parents = [one for one in view.orders if not (one.parent_id or one.state.is_terminal)]
    kinds = Counter(
        one.type.replace("_", "-") if one.algo in {"", "direct"} else one.algo
        for one in parents
        if one.state is not OrderState.STAGED
    )
    words = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))
    return f" ({words})" if words else ""
