"""Where the market went after our fills: the middle at fixed times behind each fill, against its price.

The middle at a horizon is that of the last quote before it, taken when the first tick behind it arrives, or when somebody looks and
none has come. A fill that became known after a horizon, and one whose symbol had no fresh two-sided quote then, has no figure there.
A fill from before this engine's start has those that the tape tells (:meth:`Markouts.recall`), and none where nothing was recorded.
Positive is good for us: the market went our way after we traded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any

import msgspec

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
BEFORE_KEPT = 2_000
"""Fills from before the start that the tape is asked for, the newest."""
BP = Decimal(10_000)
_ZERO, _HALF = Decimal(0), Decimal("0.5")


class Asked(msgspec.Struct, frozen=True):
    """The question for the middles behind a fill of before."""

    key: str
    symbol: str
    ts_ns: int


Middles = Sequence[Decimal | None]
"""The answer: the middle at each horizon, None where there was no fresh quote."""


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
        is_kept: fills that cannot be measured are kept for :meth:`recall`.
    """

    def __init__(
        self, market: MarketState, clock: Clock, policy: PolicyHolder, *, is_on: bool, is_kept: bool = True
    ) -> None:
        self.waiting: dict[str, list[tuple[int, int, _Traded, int]]] = {}
        """Symbol, then due time, a running number, fill and place of its horizon, as a heap."""
        self.changed: dict[str, None] = {}
        """Parents whose figures changed since somebody cleared this."""
        self._market = market
        self._clock = clock
        self._policy = policy
        self._is_on = is_on
        self._is_kept = is_kept
        self._before: deque[tuple[str, ev.Fill]] = deque(maxlen=BEFORE_KEPT)
        """Parent and fill of before the start, or of the past."""
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
            if any(one.fill_key == fill.fill_key for _, one in self._before):
                self._before = deque(
                    (one for one in self._before if one[1].fill_key != fill.fill_key), maxlen=BEFORE_KEPT
                )
            return
        if not fill.price:
            return
        if not self._is_on or not self._market.ticks:
            if self._is_kept:
                self._before.append((parent_id, fill))
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

    def asked(self) -> tuple[Asked, ...]:
        """Fills that only the tape can tell of, oldest first."""
        return tuple(Asked(_key(fill), fill.symbol, fill.ts_ns) for _, fill in self._before)

    def recall(self, told: Mapping[str, Middles]) -> None:
        """Take what the tape tells of fills of before, by :attr:`Asked.key`; one that it does not name stays without figures.

        A horizon that has not passed yet waits for it, as behind any fill.
        """
        now_ns = self._clock.now_ns()
        for parent_id, fill in self._before:
            middles = told.get(_key(fill))
            if middles is None:
                continue
            made = self._of.setdefault(parent_id, {})[fill.fill_key] = _Traded(parent_id, fill)
            self.changed[parent_id] = None
            for at, horizon_ms in enumerate(HORIZONS_MS):
                due_ns, middle = fill.ts_ns + horizon_ms * NS_PER_MS, middles[at]
                if due_ns <= now_ns:
                    made.mids[at] = False if middle is None else middle
                elif self._is_on:
                    self._number += 1
                    heappush(self.waiting.setdefault(fill.symbol, []), (due_ns, self._number, made, at))
        if self._is_on:
            self._before.clear()  # asked once; the past asks again at each instant
        _keep(self._of, PARENTS_KEPT)
        _keep(self.changed, PARENTS_KEPT)

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
        policy = self._policy.policy
        return None if policy is None else middle(self._market, symbol, due_ns, policy.ns("price.max_quote_age_s"))

    def view(self, parent_id: str) -> tuple[MarkoutView, ...]:
        """The parent's figures by horizon, weighted by notional; empty where none of its fills is followed."""
        fills = list(self._of.get(parent_id, {}).values())
        return tuple(_view(fills, at, horizon_ms) for at, horizon_ms in enumerate(HORIZONS_MS)) if fills else ()


def middle(market: MarketState, symbol: str, due_ns: int, age_ns_max: int) -> Decimal | None:
    """Half way between the best prices that stand; None where a side is empty, or the quote was older than so much then."""
    quote = market.quote(symbol)
    if quote is None or quote.bid is None or quote.ask is None or due_ns - quote.ts_ns > age_ns_max:
        return None
    return EXACT.multiply(EXACT.add(quote.bid, quote.ask), _HALF)


def _key(fill: ev.Fill) -> str:
    """What is one execution's alone."""
    return f"{fill.broker}/{fill.account}/{fill.fill_key}"


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
