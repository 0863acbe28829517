"""Baskets in the blotter: a row that stands for many orders, above those of them that it became."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.domain.order import OrderState
from engine.views import BasketView, OrderView
from widgets.formats import age, plain
from widgets.live_table import Row

STAGED, RELEASED = "staged", "released"
TAIL = 6
"""Column from which name and note are written over the rest: an average price is none of a basket's."""


def basket_row(basket: BasketView, members: Sequence[OrderView], now_ns: int, sign: str) -> Row:
    """One basket as a row: what is done of how many, and its name."""
    if basket.state == STAGED:
        count, state, note = f"0/{basket.count}", "STAGED", "enter shows every line"
    else:
        # A picture has every open order, and of the ended ones only the last: what it lacks has ended, how is not known here.
        working = sum(1 for order in members if not order.state.is_terminal)
        state = "WORK" if working else "DONE"
        filled = sum(1 for order in members if order.state is OrderState.FILLED)
        count, note = f"{len(basket.orders) - working}/{basket.count}", f"{filled} filled" + _bad(members)
        if len(members) < len(basket.orders):
            note += f" of the {len(members)} shown, `bolt blotter` has all"
    words = f"{plain(basket.name)}: {note}, {age(now_ns - basket.staged_ns)}"
    cells = (
        f" {basket.basket_id}{sign}", "", "basket", count, f"{basket.count} orders", state,
        "", "", "", "", "", plain(basket.source), words,
    )  # fmt: skip
    return Row(basket.basket_id, cells, "", TAIL)


def _bad(members: Sequence[OrderView]) -> str:
    refused = sum(1 for order in members if order.state in {OrderState.DENIED, OrderState.REJECTED})
    return f", {refused} refused" if refused else ""


def filter_fields(basket: BasketView) -> dict[str, str]:
    """A basket's columns by the names that a filter may use."""
    return {"id": basket.basket_id, "src": basket.source, "state": basket.state, "note": f"basket {basket.name}"}


def basket_of(baskets: Iterable[BasketView]) -> dict[str, BasketView]:
    """The basket of each order that one became."""
    return {order_id: basket for basket in baskets for order_id in basket.orders}


def members_of(basket: BasketView, orders: Mapping[str, OrderView]) -> list[OrderView]:
    """The orders that it became, as far as the picture has them."""
    return [orders[order_id] for order_id in basket.orders if order_id in orders]
