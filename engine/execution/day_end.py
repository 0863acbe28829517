"""When parents that are good for the day end: with the close of the session in which they were accepted.

A direct parent ends with its only child, which the venue expires. One that is worked over time would go on in the next
session by itself; this is what stops it. A venue that never closes ends no parent.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from engine.domain.order import WHEN, Tif
from engine.market.calendar import ALWAYS
from engine.risk.exposure import RiskView
from engine.store.order import Order

DAY_ENDED = "its day ended with the session"


class DayEnds:
    """Parents that end with a session, by the time of its close."""

    def __init__(self, view: RiskView) -> None:
        self._view = view
        self._due: list[tuple[int, str]] = []
        self._undated: dict[str, Order] = {}
        """Parents whose calendar is not known yet."""

    def watch(self, parent: Order) -> None:
        """End this parent with its session, where that ends."""
        made = self._view.instrument(parent.spec.symbol)
        works_on = parent.spec.algo.duration_ns or parent.spec.algo.name == WHEN
        if parent.spec.tif is Tif.DAY and works_on and made is not None and made.calendar != ALWAYS:
            self._undated[parent.order_id] = parent
            self._date()

    def _date(self) -> None:
        for order_id, parent in list(self._undated.items()):
            close_ns = self._view.session_close_ns(parent.spec.symbol, parent.created_ns)
            if close_ns is not None:
                del self._undated[order_id]
                heapq.heappush(self._due, (close_ns, order_id))

    def next_ns(self) -> int | None:
        """When the next known close is."""
        return self._due[0][0] if self._due else None

    def run(self, now_ns: int, end: Callable[[str], None]) -> None:
        """End every parent whose session has closed by now."""
        if self._undated:
            self._date()
        while self._due and self._due[0][0] <= now_ns:
            end(heapq.heappop(self._due)[1])
