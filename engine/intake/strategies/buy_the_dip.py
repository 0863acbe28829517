"""Buy a dip below a robust reference in steps, sell when it is over, when it took too long or when it went too far.

The reference is the rolling median of one price a ``sample_ns`` (mid of the quote, or the print where there is no quote): a
single bad print moves it by at most one rank. It is frozen as the *anchor* when the first step is bought, and every threshold of
that dip is measured from the anchor, so that neither the steps nor the exits drift with a falling market. All comparisons are
integers: ``(anchor - price) * 10000 >= bps * anchor``.

Entries are judged and priced at the ask, exits at the bid; both are limit IOC orders, asked again after ``retry_ns`` while the
reason still holds. After an exit nothing is bought before the bid has been at the reference again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from itertools import pairwise

from engine.domain.clock import NS_PER_S
from engine.domain.errors import InputError
from engine.domain.money import Qty, text
from engine.domain.order import Tif
from engine.intake.strategy_base import Strategy, StrategyContext, StrategyEvent
from engine.market.feed import QuoteTick, TradeTick

BPS = 10_000

WATCH = "watch"
"""Flat and armed."""
HOLD = "hold"
"""In a dip: steps and exits are judged against the anchor."""
EXIT = "exit"
"""Selling everything."""
WAIT = "wait"
"""Flat; the reference must be crossed again."""


class RollingMedian:
    """Median of the last ``size`` integers; of an even number, the lower mean rounded down."""

    __slots__ = ("_order", "_sorted", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._order: deque[int] = deque()
        self._sorted: list[int] = []

    def add(self, value: int) -> None:
        """Take a value in; the oldest falls out."""
        if len(self._order) == self.size:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
        self._order.append(value)
        insort(self._sorted, value)

    @property
    def value(self) -> int | None:
        """The median; None before ``size`` values were seen."""
        count = len(self._sorted)
        if count < self.size:
            return None
        return (self._sorted[(count - 1) // 2] + self._sorted[count // 2]) // 2


class BuyTheDip(Strategy):
    """See the module. Thresholds are in basis points below the anchor."""

    symbol: str
    ladder: str = "30:100 60:200 100:300"
    """Steps ``bps:shares``, deepening; shares add up."""
    cap: Qty = Qty(600)
    """Most that is held, whatever the ladder says."""
    stop_bps: int = 200
    """Sell everything here: deeper than the last step."""
    hold_ns: int = 1800 * NS_PER_S
    """Sell everything when the first step is this old."""
    window: int = 300
    """Samples in the reference; nothing is bought before there are as many."""
    sample_ns: int = NS_PER_S
    retry_ns: int = NS_PER_S
    collar: int = 10
    """Ticks through the bid that a stop or time exit may sell at."""

    def check(self) -> None:
        """Refuse a ladder that does not deepen, and limits that contradict it."""
        self._steps = _read_ladder(self.ladder)
        if self.stop_bps <= self._steps[-1][0] or self.stop_bps >= BPS:
            msg = f"stop_bps was {self.stop_bps}; it must be deeper than the last step at {self._steps[-1][0]} and below {BPS}"
            raise InputError(msg)
        if self.cap <= 0:
            msg = f"cap was {self.cap}; it must be above zero"
            raise InputError(msg)
        for name in ("window", "sample_ns", "hold_ns", "retry_ns", "collar"):
            if getattr(self, name) < 1:
                msg = f"{name} was {getattr(self, name)}; it must be 1 or more"
                raise InputError(msg)
        if self.window > 100_000:
            msg = f"window was {self.window}; at most 100000 samples are kept"
            raise InputError(msg)

    def on_start(self, ctx: StrategyContext) -> None:
        """Go on where the state says; the reference fills anew."""
        self._median = RollingMedian(self.window)
        self._sampled_ns = -self.sample_ns
        self._asked_ns = -self.retry_ns
        ctx.state.setdefault("phase", WATCH)
        self._phase = ctx.state["phase"]
        self._anchor = int(ctx.state.get("anchor", "0"))
        self._step = int(ctx.state.get("step", "-1"))
        self._since_ns = int(ctx.state.get("since_ns", "0"))

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        """Sample the price and decide; fills and order updates are read from the context with the next tick."""
        if isinstance(event, QuoteTick):
            if 0 < event.bid <= event.ask:
                self._sample(ctx.now_ns(), (event.bid + event.ask) // 2)
                self._decide(ctx, event.bid, event.ask)
        elif isinstance(event, TradeTick) and event.price > 0 and ctx.quote(self.symbol) is None:
            self._sample(ctx.now_ns(), event.price)
            self._decide(ctx, event.price, event.price)

    def on_stop(self, ctx: StrategyContext) -> None:
        """Nothing rests: every order is immediate-or-cancel. The position stays and is said in the state."""
        ctx.state["stopped_with"] = str(ctx.position(self.symbol))

    def _sample(self, now_ns: int, price: int) -> None:
        if now_ns - self._sampled_ns >= self.sample_ns:
            self._sampled_ns = now_ns
            self._median.add(price)

    def _decide(self, ctx: StrategyContext, bid: int, ask: int) -> None:
        reference = self._median.value
        if self._phase == WAIT and reference is not None and bid >= reference:
            self._enter(ctx, WATCH)
        elif self._phase == WATCH and reference is not None:
            self._anchor = reference
            if self._deepest(ask) >= 0:
                self._since_ns = ctx.now_ns()
                self._enter(ctx, HOLD)
        if self._phase == HOLD:
            self._hold(ctx, bid, ask)
        if self._phase == EXIT:
            self._exit(ctx, bid)

    def _hold(self, ctx: StrategyContext, bid: int, ask: int) -> None:
        step = self._deepest(ask)
        why = self._exit_reason(ctx.now_ns(), bid)
        if why:
            ctx.state["why"] = why
            self._enter(ctx, EXIT)
            return
        if step > self._step:
            self._step = step
            self._enter(ctx, HOLD)
        if step >= 0 and step == self._step and self._may_ask(ctx.now_ns()):
            bps, shares = self._steps[step]
            want = min(self.cap, shares)
            limit = ctx.instrument(self.symbol).price_of(ask)
            why = f"step {step + 1}: {bps} bps below {self._price(ctx, self._anchor)}"
            if ctx.position(self.symbol) < want:
                ctx.target(self.symbol, want, limit=limit, tif=Tif.IOC, why=why)
                self._asked_ns = ctx.now_ns()

    def _exit_reason(self, now_ns: int, bid: int) -> str:
        if (self._anchor - bid) * BPS >= self.stop_bps * self._anchor:
            return f"stop: {self.stop_bps} bps below the anchor"
        if now_ns - self._since_ns >= self.hold_ns:
            return "time: held as long as allowed"
        if bid >= self._anchor:
            return "mean: back at the anchor"
        return ""

    def _exit(self, ctx: StrategyContext, bid: int) -> None:
        if ctx.position(self.symbol) == 0 and ctx.working(self.symbol) == 0:
            self._step = -1
            self._enter(ctx, WAIT)
        elif self._may_ask(ctx.now_ns()):
            why = ctx.state.get("why", "")
            ticks = 0 if why.startswith("mean") else self.collar
            limit = ctx.instrument(self.symbol).step_price(ctx.instrument(self.symbol).price_of(bid), -ticks)
            if limit <= 0:
                limit = ctx.instrument(self.symbol).price_of(bid)
            ctx.target(self.symbol, 0, limit=limit, tif=Tif.IOC, why=why)
            self._asked_ns = ctx.now_ns()

    def _deepest(self, ask: int) -> int:
        """Index of the deepest step reached at a price; -1 for none."""
        dip = (self._anchor - ask) * BPS
        deepest = -1
        for index, (bps, _) in enumerate(self._steps):
            if dip >= bps * self._anchor:
                deepest = index
        return deepest

    def _may_ask(self, now_ns: int) -> bool:
        return now_ns - self._asked_ns >= self.retry_ns

    def _enter(self, ctx: StrategyContext, phase: str) -> None:
        self._phase = phase
        ctx.state["phase"] = phase
        if phase == HOLD:
            ctx.state.update(anchor=str(self._anchor), step=str(self._step), since_ns=str(self._since_ns))
        elif phase == WAIT:
            ctx.state["step"] = str(self._step)

    def _price(self, ctx: StrategyContext, units: int) -> str:
        return text(ctx.instrument(self.symbol).price_of(units))


def _read_ladder(words: str) -> list[tuple[int, Qty]]:
    """Steps as (bps, shares so far)."""
    steps: list[tuple[int, Qty]] = []
    total = Qty(0)
    for word in words.replace(",", " ").split():
        bps, _, shares = word.partition(":")
        if not (bps.isascii() and bps.isdecimal() and len(bps) <= 5) or Qty(shares) <= 0 or not int(bps):
            msg = f"ladder step {word!r} must be bps:shares, both above zero, such as 30:100"
            raise InputError(msg)
        total += Qty(shares)
        steps.append((int(bps), total))
    if not steps or any(after[0] <= before[0] for before, after in pairwise(steps)):
        msg = f"ladder was {words!r}; it needs one step or more, each deeper than the one before"
        raise InputError(msg)
    return steps
