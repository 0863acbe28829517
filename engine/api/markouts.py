"""Where the market went after our fills: the middle at fixed times behind each fill, against its price.

The middle at a horizon is that of the last quote before it, taken when the first tick behind it arrives, or when somebody looks and
none has come. A fill that became known after a horizon, and one whose symbol had no fresh two-sided quote then, has no figure there;
nor has a fill from before this engine's start. Positive is good for us: the market went our way after we traded.
"""

from __future__ import annotations

from decimal import Decimal
from heapq import heappop, heappush
from typing import Any

from engine.api.market_state import MarketState
from engine.domain import events as ev
from engine.domain.clock import NS_PER_MS, Clock
from engine.domain.money import EXACT, Money, ratio
from engine.domain.order import Side
from engine.risk.policy import PolicyHolder
from engine.views import MarkoutView

HORIZONS_MS = (100, 1_000, 10_000, 60_000)
PARENTS_KEPT, FILLS_KEPT = 600, 1_000
"""Parents that are followed, and fills of one; the oldest go."""
BP = Decimal(10_000)
_ZERO, _HALF = Decimal(0), Decimal("0.5")


class _Traded:
    """A fill, and the middles behind it: None while a horizon has not passed, False where there was none."""

    __slots__ = ("mids", "parent_id", "price", "qty", "sign", "symbol")

    def __init__(self, parent_id: str, fill: ev.Fill) -> None:
        self.parent_id = parent_id
        self.symbol = fill.symbol
        self.sign = 1 if fill.side is Side.BUY else -1
        self.price: Decimal = fill.price
        self.qty: Decimal = fill.qty
        self.mids: list[Decimal | bool | None] = [None] * len(HORIZONS_MS)


class Markouts:
    """Follows fills; :meth:`before_tick` must be called before a tick of a symbol in :attr:`waiting` changes the market.

    Args:
        market: the latest quotes.
        clock: the engine's time.
        policy: says from which age on a quote is no quote.
        is_on: a replay and a look at the past measure nothing.
    """

    def __init__(self, market: MarketState, clock: Clock, policy: PolicyHolder, *, is_on: bool) -> None:
        self.waiting: dict[str, list[tuple[int, int, _Traded, int]]] = {}
        """Symbol, then due time, a running number, fill and place of its horizon, as a heap."""
        self.changed: dict[str, None] = {}
        """Parents whose figures changed since somebody cleared this."""
        self._market = market
        self._clock = clock
        self._policy = policy
        self._is_on = is_on
        self._number = 0
        self._of: dict[str, dict[str, _Traded]] = {}
        """Parent, then fill key."""

    def booked(self, parent_id: str, fill: ev.Fill, sign: int) -> None:
        """A fill, or (``sign`` -1) one that was taken back. On a rebuild there is no market, and nothing is measured."""
        known = self._of.pop(parent_id, {})
        if sign < 0:
            known.pop(fill.fill_key, None)
        if known:
            self._of[parent_id] = known
            self.changed[parent_id] = None
        if sign < 0:
            self.changed[parent_id] = None
            return
        if not self._is_on or not self._market.ticks or not fill.price:
            return
        now_ns = self._clock.now_ns()
        if fill.symbol in self.waiting:
            self._settle(fill.symbol, now_ns)  # where no tick comes and nobody looks, what waits stays short
        made = known[fill.fill_key] = _Traded(parent_id, fill)
        self._of[parent_id] = known
        self.changed[parent_id] = None
        _keep(known, FILLS_KEPT)
        _keep(self._of, PARENTS_KEPT)
        _keep(self.changed, PARENTS_KEPT)
        heap = self.waiting.setdefault(fill.symbol, [])
        for at, horizon_ms in enumerate(HORIZONS_MS):
            due_ns = fill.ts_ns + horizon_ms * NS_PER_MS
            if due_ns < now_ns:
                made.mids[at] = False  # told too late: what stood then is gone
                continue
            self._number += 1
            heappush(heap, (due_ns, self._number, made, at))

    def before_tick(self, symbol: str) -> None:
        """The market of a symbol is about to change: what stands now stood at every horizon that has passed."""
        self._settle(symbol, self._clock.now_ns())

    def settle(self) -> None:
        """Measure what is due of every symbol: no tick has come since."""
        now_ns = self._clock.now_ns()
        for symbol in list(self.waiting):
            self._settle(symbol, now_ns)

    def _settle(self, symbol: str, now_ns: int) -> None:
        heap = self.waiting[symbol]
        while heap and heap[0][0] <= now_ns:
            due_ns, _, made, at = heappop(heap)
            mid = self._middle(symbol, due_ns)
            made.mids[at] = False if mid is None else mid
            self.changed[made.parent_id] = None
        if not heap:
            del self.waiting[symbol]

    def _middle(self, symbol: str, due_ns: int) -> Decimal | None:
        quote, policy = self._market.quote(symbol), self._policy.policy
        if quote is None or quote.bid is None or quote.ask is None or policy is None:
            return None
        if due_ns - quote.ts_ns > policy.ns("price.max_quote_age_s"):
            return None
        return EXACT.multiply(EXACT.add(quote.bid, quote.ask), _HALF)

    def view(self, parent_id: str) -> tuple[MarkoutView, ...]:
        """The parent's figures by horizon, weighted by notional; empty where none of its fills is followed."""
        fills = list(self._of.get(parent_id, {}).values())
        return tuple(_view(fills, at, horizon_ms) for at, horizon_ms in enumerate(HORIZONS_MS)) if fills else ()


def _keep(rows: dict[str, Any], most: int) -> None:
    """Let the oldest go."""
    while len(rows) > most:
        del rows[next(iter(rows))]


def _view(fills: list[_Traded], at: int, horizon_ms: int) -> MarkoutView:
    gained = traded = _ZERO
    count = missing = 0
    for fill in fills:
        mid = fill.mids[at]
        if isinstance(mid, Decimal):
            count += 1
            moved = EXACT.multiply(EXACT.subtract(mid, fill.price), EXACT.multiply(fill.qty, fill.sign))
            gained = EXACT.add(gained, moved)
            traded = EXACT.add(traded, EXACT.multiply(EXACT.abs(fill.price), fill.qty))
        elif mid is False:
            missing += 1
    return MarkoutView(
        horizon_ms=horizon_ms,
        bp=Money(ratio(EXACT.multiply(gained, BP), traded, 4)) if traded else None,
        fills=count,
        waiting=len(fills) - count - missing,
        missing=missing,
    )
