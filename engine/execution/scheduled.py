"""Work a parent along a schedule: what TWAP and VWAP share. They differ only in the weights of their slices.

The span is cut into equal slices of time, the quantity into whole lots by the weights (:mod:`engine.execution.slices`).
``c_k`` is what should be done by the end of slice ``k``. In each slice:

1. The deficit ``c_k - filled - resting`` is posted at the near touch.
2. At 75 % of the slice what rests is cancelled, and what the venue confirms as gone is taken: a limit IOC at the far touch
   plus 5 ticks. The parent's limit bounds both prices; where it is beyond the far touch the post stays.

Bounds, each stated because it decides what a bad day costs:

* Fills are never ahead of the schedule by more than the slice in progress.
* A slice fills at most twice the largest of its own quantity, the average slice's and the venue's smallest order. Slices missed (no quote, engine down) are
  caught up within that bound and never fired at once; what does not fit is reported as not done.
* At most 3 posts and 3 takes a slice, so that a venue that refuses everything is asked 6 times a slice, not in a loop.
* A child that is live, UNKNOWN ones too, counts with its whole rest: nothing is sent in its place.
* At the end the same goes on for a grace of one slice, between 1 and 10 seconds; then the parent ends with its rest.

Words: ``slices=N``; ``style=passive`` (or a post-only parent) never takes; ``style=take`` (or an IOC parent) never rests.
Without ``slices=`` a slice is a minute where the span is 10 minutes or more, else a tenth of it, at least a second; never more than 390.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.events import QuoteSeen
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Price, text
from engine.domain.order import OrderSpec, OrderState, OrderType, Side, Tif
from engine.execution.algo import AlgoContext, ChildView, ParentInfo
from engine.execution.slices import cumulative_quantities

SLICES_MAX = 390
TAKE_AT_PCT = 75
COLLAR_TICKS = 5
CATCH_UP = 2
POSTS_MAX = 3
TAKES_MAX = 3
GRACE_NS_MIN = NS_PER_S
GRACE_NS_MAX = 10 * NS_PER_S
READ_MAX = 256
"""Parents whose progress stays read."""
_CANCELLABLE = {OrderState.PENDING_NEW, OrderState.NEW, OrderState.PARTIALLY_FILLED}
_NEVER_RESTS = {Tif.IOC, Tif.FOK}

Weigh = Callable[[ParentInfo, int, AlgoContext], tuple[list[int], str]]
"""Gives the weights of a number of slices, and a note on where they are from."""


def slice_count(spec: OrderSpec) -> int:
    """Number of slices of a valid scheduled order."""
    asked = spec.algo.params.get("slices")
    if asked:
        return int(asked)
    duration_ns = spec.algo.duration_ns
    length_ns = 60 * NS_PER_S if duration_ns >= 600 * NS_PER_S else max(NS_PER_S, duration_ns // 10)
    return min(SLICES_MAX, max(1, duration_ns // length_ns))


class Plan(msgspec.Struct, frozen=True):
    """The schedule: a function of the order, its start and its weights."""

    start_ns: int
    end_ns: int
    done_units: tuple[int, ...]
    """Cumulative quantity after each slice."""
    lot_units: int

    @property
    def grace_ns(self) -> int:
        """How long work goes on after the end."""
        return min(GRACE_NS_MAX, max(GRACE_NS_MIN, (self.end_ns - self.start_ns) // len(self.done_units)))

    def begin_ns(self, index: int) -> int:
        """Start of a slice; of one past the last: the end."""
        return self.start_ns - (-(self.end_ns - self.start_ns) * index // len(self.done_units))

    def take_ns(self, index: int) -> int:
        """When a slice stops waiting for passive fills."""
        begin_ns = self.begin_ns(index)
        return begin_ns + (self.begin_ns(index + 1) - begin_ns) * TAKE_AT_PCT // 100

    def slice_at(self, now_ns: int) -> int:
        """Slice in progress; the last one after the end."""
        count = len(self.done_units)
        return max(0, min(count - 1, (now_ns - self.start_ns) * count // (self.end_ns - self.start_ns)))

    def bound_units(self, index: int, fewest: int) -> int:
        """Most that a slice may fill, where the venue takes no order below ``fewest``."""
        own = self.done_units[index] - (self.done_units[index - 1] if index else 0)
        parts = len(self.done_units) * self.lot_units
        average = -(-self.done_units[-1] // parts) * self.lot_units
        return CATCH_UP * max(own, average, fewest)

    def next_ns(self, now_ns: int, index: int) -> tuple[int, str] | None:
        """The next moment at which something is decided (``index``: of the slice in progress), and its name; None after the grace."""
        if (at_ns := self.begin_ns(index)) > now_ns:
            return at_ns, f"slice {index + 1}"
        if (at_ns := self.take_ns(index)) > now_ns:
            return at_ns, f"take {index + 1}"
        if (at_ns := self.begin_ns(index + 1)) > now_ns:
            return at_ns, f"slice {index + 2}" if index + 1 < len(self.done_units) else "end"
        at_ns = self.end_ns + self.grace_ns
        return (at_ns, "grace") if at_ns > now_ns else None


class Progress(msgspec.Struct, frozen=True):
    """What is saved: the weights once chosen, and the budget of the slice in progress."""

    weights: tuple[int, ...]
    source: str
    index: int = -1
    base: int = 0
    """Units filled when the slice began."""
    posts: int = 0
    takes: int = 0
    note: str = ""
    """Why nothing is sent at the moment."""
    done: str = ""

    def data(self) -> dict[str, str]:
        """As text; equal weights are not spelled out."""
        flat = len(set(self.weights)) == 1
        weights = f"{len(self.weights)}x{self.weights[0]}" if flat else ",".join(map(str, self.weights))
        numbers = {"slice": self.index, "base": self.base, "posts": self.posts, "takes": self.takes}
        return {
            "weights": weights,
            "source": self.source,
            **{name: str(number) for name, number in numbers.items()},
            "note": self.note,
            "done": self.done,
        }


def progress_of(data: Mapping[str, str]) -> Progress | None:
    """Read back :meth:`Progress.data`; None where nothing was saved."""
    if "weights" not in data:
        return None
    count, flat, weight = data["weights"].partition("x")
    weights = (int(weight),) * int(count) if flat else tuple(map(int, data["weights"].split(",")))
    return Progress(
        weights=weights,
        source=data["source"],
        index=int(data["slice"]),
        base=int(data["base"]),
        posts=int(data["posts"]),
        takes=int(data["takes"]),
        note=data["note"],
        done=data["done"],
    )


@lru_cache(maxsize=256)
def _plan(start_ns: int, end_ns: int, total: int, weights: tuple[int, ...], lot: int) -> Plan:
    """The schedule of one parent; asked for at each of its steps, so a made one is kept."""
    return Plan(start_ns, end_ns, tuple(cumulative_quantities(total, weights, lot)), lot)


class _View:
    """Everything a step decides on: the schedule and what is done of it at once, the market and the rest where it is asked for."""

    def __init__(self, parent: ParentInfo, progress: Progress, ctx: AlgoContext) -> None:
        spec = parent.spec
        self.parent, self.ctx, self.spec = parent, ctx, spec
        self._quote: QuoteSeen | None = None
        self.instrument: Instrument = ctx.instrument(spec.symbol)
        units = self.instrument.qty_units
        self.total = units(spec.qty)
        self.plan = _plan(parent.start_ns, parent.end_ns, self.total, progress.weights, units(self.instrument.lot))
        self.now_ns = ctx.now_ns()
        self.live: Sequence[ChildView] = ctx.live_children(parent.order_id)
        self.filled = units(parent.qty_filled) if parent.qty_filled else 0
        self.rest = self._rest() if self.live else 0
        """Units that live children may still fill."""
        self.is_over = self.now_ns >= self.plan.end_ns
        self.index = self.plan.slice_at(self.now_ns)
        """Of the slice in progress."""

    def _rest(self) -> int:
        units = self.instrument.qty_units
        return sum(max(0, units(child.qty) - units(child.qty_filled)) for child in self.live)

    @property
    def leaves(self) -> int:
        """Units that nobody works."""
        return max(0, min(self.instrument.qty_units(self.parent.qty_leaves), self.total - self.filled - self.rest))

    @property
    def quote(self) -> QuoteSeen | None:
        """What may be acted on."""
        if self._quote is None:
            self._quote = self.ctx.quote(self.spec.symbol)
        return self._quote

    @property
    def never_takes(self) -> bool:
        """Whether it only rests."""
        return self.spec.post_only or self.spec.algo.params.get("style") == "passive"

    @property
    def never_rests(self) -> bool:
        """Whether it only takes."""
        return self.spec.tif in _NEVER_RESTS or self.spec.algo.params.get("style") == "take"

    @property
    def is_taking(self) -> bool:
        """Whether the slice in progress has come to take."""
        return not self.never_takes and (self.never_rests or self.now_ns >= self.plan.take_ns(self.index))

    def is_idle(self, progress: Progress) -> bool:
        """Whether there is nothing to do until the next slice: what is due by its end has filled, and no child is live."""
        is_done = not self.live and self.filled >= self.plan.done_units[self.index]
        return is_done and progress.index == self.index and not (progress.note or self.is_over)

    def join_price(self) -> Price | None:
        """Near touch, no further than the parent's limit."""
        if self.quote is None:
            return None
        near = self.quote.bid if self.spec.side is Side.BUY else self.quote.ask
        return None if near is None else _bounded(near, self.spec)

    def take_price(self) -> Price | None:
        """Far touch plus the collar, no further than the parent's limit; None where that would not trade."""
        if self.quote is None:
            return None
        side = self.spec.side
        far = self.quote.ask if side is Side.BUY else self.quote.bid
        if far is None or _bounded(far, self.spec) != far:
            return None
        price = self.instrument.step_price(far, side.sign * COLLAR_TICKS)
        if price <= 0 and not self.instrument.price_negative:
            price = self.instrument.ticks[0].tick
        return _bounded(price, self.spec)

    def deficit(self, progress: Progress, fewest: int) -> int:
        """Units that may be sent now, in whole lots."""
        bound = progress.base + self.plan.bound_units(progress.index, fewest)
        reach = min(self.plan.done_units[progress.index], bound)
        units = min(reach - self.filled - self.rest, self.leaves)
        return max(0, units) // self.plan.lot_units * self.plan.lot_units

    def fewest(self, price: Price) -> int:
        """Units below which the venue takes no order at ``price``."""
        instrument = self.instrument
        fewest = instrument.qty_units(instrument.qty_min) if instrument.qty_min else 1
        each = instrument.notional(price, instrument.lot)
        if instrument.notional_min and each > 0:
            lots = EXACT.divide_int(instrument.notional_min, each)
            short = EXACT.multiply(lots, each) < instrument.notional_min
            fewest = max(fewest, (int(lots) + short) * self.plan.lot_units)
        return fewest


def _bounded(price: Price, spec: OrderSpec) -> Price:
    if spec.limit is None:
        return price
    return min(price, spec.limit) if spec.side is Side.BUY else max(price, spec.limit)


class Scheduled:
    """A schedule with given weights; see the module for what it does and its bounds."""

    params: Mapping[str, tuple[str, ...]] = {"slices": (), "style": ("passive", "take")}

    def __init__(self, name: str, weigh: Weigh) -> None:
        self.name = name
        self._weigh = weigh
        self._read: dict[str, tuple[Mapping[str, str], Progress]] = {}
        """What was saved of a parent last, with what it says: reading it anew at each step costs more than most steps."""

    def validate(self, spec: OrderSpec) -> str | None:
        """Refuse what a schedule cannot hold."""
        params = spec.algo.params
        unknown = sorted(set(params) - set(self.params))
        slices, style = params.get("slices", "1"), params.get("style", "")
        if unknown:
            return f"{self.name} has no parameter {unknown[0]!r}; it has slices= and style="
        if spec.type not in {OrderType.MARKET, OrderType.LIMIT} or spec.tif is Tif.FOK:
            return f"{self.name} works market and limit orders that may fill in parts, not {spec.type} {spec.tif}"
        if style not in {"", *self.params["style"]}:
            return f"style was {style!r}; expected passive or take"
        if (spec.post_only or style == "passive") and (spec.tif in _NEVER_RESTS or style == "take"):
            return "the order must both rest and never rest; drop post, ioc or style="
        if not (slices.isascii() and slices.isdecimal() and 1 <= int(slices[:9]) <= SLICES_MAX):
            return f"slices was {slices!r}; expected 1 to {SLICES_MAX}"
        if spec.algo.duration_ns < int(slices) * NS_PER_S:
            return f"{self.name} needs a duration of at least one second a slice, such as 30m"
        return None

    def start(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """Choose the weights and begin the first slice."""
        count = slice_count(parent.spec)
        weights, source = self._weigh(parent, count, ctx)
        if len(weights) != count or min(weights) < 0 or not any(weights):
            weights, source = [1] * count, f"flat: unusable weights ({source})"
        self._save(parent, Progress(tuple(weights), source), ctx)
        self.on_timer(parent, "start", ctx)

    def resume(self, parent: ParentInfo, data: Mapping[str, str], ctx: AlgoContext) -> None:
        """Go on with the slice that is due now; slices missed meanwhile count only within the catch-up bound."""
        progress = progress_of(data)
        if progress is None:
            self.start(parent, ctx)
        elif progress.done:
            # It had ended, and an engine died before the fate of its last child was known.
            ctx.finish(parent.order_id, progress.done)
        else:
            self.on_timer(parent, "resume", ctx)

    def on_timer(self, parent: ParentInfo, tag: str, ctx: AlgoContext) -> None:
        """Begin a slice, turn from posting to taking, or end."""
        del tag
        progress = self._saved(parent, ctx)
        if progress is None or progress.done:
            return
        view = _View(parent, progress, ctx)
        if upcoming := view.plan.next_ns(view.now_ns, view.index):
            ctx.set_timer(parent.order_id, upcoming[0], upcoming[1])
        if view.now_ns < parent.start_ns or view.is_idle(progress):
            return
        is_new = progress.index != view.index
        if is_new:
            progress = msgspec.structs.replace(progress, index=view.index, base=view.filled, posts=0, takes=0)
        if upcoming is None:
            self._end(parent, view, progress, ctx)
            return
        _cancel_resting(view, ctx)
        self._send(parent, view, progress, ctx, is_new=is_new)

    def on_child(self, parent: ParentInfo, child_id: str, ctx: AlgoContext) -> None:
        """Send what a confirmed cancel or a partial fill left open. A child that ended for nothing is left for the next timer."""
        child = ctx.child(child_id)
        if child is not None and child.is_live:
            return
        progress = self._saved(parent, ctx)
        if progress is None or progress.done or progress.index < 0:
            return
        view = _View(parent, progress, ctx)
        if view.filled >= view.total and not view.live:
            self._end(parent, view, progress, ctx)
        elif child is not None and _is_progress(child) and not view.is_idle(progress):
            self._send(parent, view, progress, ctx)

    def on_stop(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """Cancel what rests; nothing is sent any more."""
        progress = self._saved(parent, ctx) or Progress((1,), "stopped before it began")
        self._save(parent, msgspec.structs.replace(progress, done="stopped"), ctx)
        for child in ctx.children(parent.order_id):
            if child.is_live and child.state in _CANCELLABLE:
                ctx.cancel_child(child.order_id, "parent stopped")

    def _saved(self, parent: ParentInfo, ctx: AlgoContext) -> Progress | None:
        data = ctx.saved(parent.order_id)
        known = self._read.get(parent.order_id)
        return known[1] if known is not None and known[0] is data else progress_of(data)

    def _save(self, parent: ParentInfo, progress: Progress, ctx: AlgoContext) -> None:
        ctx.save(parent.order_id, progress.data())
        if len(self._read) >= READ_MAX:
            self._read.clear()
        self._read[parent.order_id] = (ctx.saved(parent.order_id), progress)

    def _send(
        self, parent: ParentInfo, view: _View, progress: Progress, ctx: AlgoContext, *, is_new: bool = False
    ) -> None:
        """Send what is due. ``is_new``: the slice has just begun, and nothing of it is saved yet; one row holds that and its send."""
        if progress.index != view.index:
            return  # The slice's own timer is due and begins it.
        take = view.take_price() if view.is_taking else None
        may_post = not (view.never_rests or view.is_over)
        price = take if take is not None else view.join_price() if may_post else None
        fewest = 1 if price is None else view.fewest(price)
        units = view.deficit(progress, fewest)
        note = ""
        if price is None:
            note = _why_waiting(view) if units else ""
        elif units < fewest or 0 < view.leaves - units < fewest:
            note = (
                f"waits: less than the venue's smallest order is due or would be left at {text(price)}" if units else ""
            )
        elif (progress.posts if take is None else progress.takes) >= (POSTS_MAX if take is None else TAKES_MAX):
            note = "tried as often as a slice may"
        else:
            # Saved before it is sent: a crash in between costs one try of the slice, never a second child.
            done = {"posts": progress.posts + 1} if take is None else {"takes": progress.takes + 1}
            progress = msgspec.structs.replace(progress, note="", **done)
            self._save(parent, progress, ctx)
            if self._send_child(parent, view, units, price, progress, ctx, is_take=take is not None) is None:
                self._save(parent, msgspec.structs.replace(progress, note="the gate denied a child"), ctx)
            return
        if is_new or note != progress.note:
            self._save(parent, msgspec.structs.replace(progress, note=note), ctx)
        self._end_early(parent, view, note, ctx)

    def _send_child(
        self,
        parent: ParentInfo,
        view: _View,
        units: int,
        price: Price,
        progress: Progress,
        ctx: AlgoContext,
        *,
        is_take: bool,
    ) -> str | None:
        spec, of = view.spec, view.instrument.qty_of
        due = view.plan.done_units[progress.index]
        why = (
            f"{self.name} slice {progress.index + 1}/{len(progress.weights)}: {text(of(view.filled))} of {text(of(due))} done, "
            f"{'take' if is_take else 'join'} {text(price)}"
        )
        resting = Tif.GTC if spec.tif is Tif.GTC else Tif.DAY
        return ctx.send_child(
            parent.order_id,
            of(units),
            OrderType.LIMIT,
            limit=price,
            tif=Tif.IOC if is_take else resting,
            post_only=spec.post_only and not is_take,
            why=why,
        )

    def _end_early(self, parent: ParentInfo, view: _View, note: str, ctx: AlgoContext) -> None:
        progress = self._saved(parent, ctx)
        can_wait = view.quote is None and not view.never_takes
        if progress is not None and view.is_over and not view.live and not can_wait:
            self._end(parent, view, msgspec.structs.replace(progress, note=note), ctx)

    def _end(self, parent: ParentInfo, view: _View, progress: Progress, ctx: AlgoContext) -> None:
        for child in view.live:
            if child.state in _CANCELLABLE:
                ctx.cancel_child(child.order_id, "the schedule has ended")
        missing = view.total - view.filled
        done = (
            "complete"
            if missing <= 0
            else f"{text(view.instrument.qty_of(missing))} of {text(parent.spec.qty)} not done at the end"
        )
        if missing > 0 and progress.note:
            done += f": {progress.note}"
        self._save(parent, msgspec.structs.replace(progress, done=done), ctx)
        self._read.pop(parent.order_id, None)
        ctx.finish(parent.order_id, done)


def _cancel_resting(view: _View, ctx: AlgoContext) -> None:
    """Cancel what is to be taken instead, what rests at a left price in a new slice, and all of it at the end."""
    if not view.live:
        return
    taking = view.is_taking and view.take_price() is not None
    join = view.join_price()
    for child in view.live:
        if child.state not in _CANCELLABLE or child.tif in _NEVER_RESTS:
            continue
        if view.is_over:
            ctx.cancel_child(child.order_id, "the schedule has ended")
        elif taking:
            ctx.cancel_child(child.order_id, f"{TAKE_AT_PCT} % of the slice passed: take the rest")
        elif join is not None and child.limit != join:
            ctx.cancel_child(child.order_id, f"the near touch moved to {text(join)}")


def _is_progress(child: ChildView) -> bool:
    """Whether a child's end leaves something that may be sent again at once: it filled, or we took it back."""
    return child.qty_filled > 0 or (child.state is OrderState.CANCELLED and child.tif not in _NEVER_RESTS)


def _why_waiting(view: _View) -> str:
    if view.quote is None:
        return "waits: no usable quote"
    if view.is_over and view.never_takes:
        return "the time is over and it never takes"
    return (
        "waits: one side is empty"
        if view.spec.limit is None
        else f"waits: the limit {text(view.spec.limit)} is beyond the market"
    )
