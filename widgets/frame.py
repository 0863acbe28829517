"""What every pane draws from: one picture with the moment it is drawn at and what the cursor points to."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.domain.instrument import Instrument
from engine.views import DeskView, OrderView


class Frame(msgspec.Struct, frozen=True):
    """One moment of the desk. A pane makes its own rows or model of it and keeps nothing that could grow old."""

    view: DeskView
    now_ns: int
    instruments: Mapping[str, Instrument]
    symbol: str = ""
    """The symbol under the cursor, or the last one that was."""
    order_id: str = ""
    """The order under the cursor; empty where there is none."""

    def digits(self, symbol: str) -> int:
        """Decimals of a symbol's ticks; a grid that is finer, for prints between them, adds no noughts."""
        made = self.instruments.get(symbol)
        return 2 if made is None else made.tick_digits

    def order(self, order_id: str) -> OrderView | None:
        """An order of the picture by its id."""
        return next((order for order in self.view.orders if order.order_id == order_id), None)

    @property
    def parent(self) -> OrderView | None:
        """The parent under the cursor: of the selected order, or the selected order itself."""
        order = self.order(self.order_id) if self.order_id else None
        return self.order(order.parent_id) or order if order is not None and order.parent_id else order


def frame_of(view: DeskView, now_ns: int, symbol: str = "", order_id: str = "") -> Frame:
    """A frame with the picture's own instruments."""
    return Frame(view, now_ns, {made.symbol: made for made in view.instruments}, symbol, order_id)
