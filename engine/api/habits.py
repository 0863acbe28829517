"""What sizes a person usually orders: a median over the last orders of each symbol, so that one zero too many is seen."""

from __future__ import annotations

from collections import deque

from engine.domain import events as ev
from engine.domain.money import EXACT, Qty
from engine.domain.order import Source

ORDERS_KEPT = 99
"""Orders of one person in one symbol that the median looks at."""
ORDERS_MIN = 3
"""Fewer orders make no habit."""
PLACES_MAX = 2_000
"""Persons times symbols that are remembered; at the bound the one not used for longest goes."""


class Habits:
    """Follows accepted orders of persons; desk and command line count as the same person."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[str, str], deque[Qty]] = {}
        self.routes: ev.Routes = {ev.ParentAccepted: self._accepted}

    def _accepted(self, _seq: int, _ts_ns: int, event: ev.ParentAccepted) -> None:
        if not event.source.kind.is_person:
            return
        key = (event.source.name, event.spec.symbol)
        sizes = self._sizes.pop(key, None) or deque(maxlen=ORDERS_KEPT)
        sizes.append(event.spec.qty)
        self._sizes[key] = sizes
        if len(self._sizes) > PLACES_MAX:
            del self._sizes[next(iter(self._sizes))]

    def median(self, source: Source, symbol: str) -> Qty | None:
        """Usual quantity of this person in this symbol; None where there are fewer than three orders."""
        sizes = sorted(self._sizes.get((source.name, symbol), ()))
        if len(sizes) < ORDERS_MIN:
            return None
        middle = len(sizes) // 2
        if len(sizes) % 2:
            return sizes[middle]
        return Qty(EXACT.divide(EXACT.add(sizes[middle - 1], sizes[middle]), 2))
