"""Conditional: an order that waits in this engine until a time has come, or a symbol traded at or beyond a price.

No venue holds it, so it dies with its engine and every picture of it says so. It sends its one child the moment its trigger
passes; the gate judges that child on the market of then. A trigger that passed while no engine was up is never fired late: the
order is SUSPENDED, and a person releases, amends or cancels it. Of a price this is taken to be so where the first trade that the
next engine sees is at or beyond it; a price that was reached and left again meanwhile was not seen by anybody.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain.clock import iso
from engine.domain.errors import MoneyError
from engine.domain.money import Price
from engine.domain.order import WHEN, OrderSpec, Tif
from engine.execution.algo import AlgoContext, ParentInfo
from engine.execution.one_child import OneChild

AT_TIME, FIRST, NEXT, RELEASED = "time", "first", "next", "released"
"""Why it is called: its time has come; the first trade since a restart; a later trade; a person's release."""


def watched_symbol(spec: OrderSpec) -> str:
    """The symbol whose trades trigger an order; empty where none does."""
    return spec.algo.params.get("symbol", "") if spec.algo.name == WHEN else ""


class Conditional(OneChild):
    """Holds one child back until its trigger passes."""

    name = WHEN
    params: Mapping[str, tuple[str, ...]] = {}

    def validate(self, spec: OrderSpec) -> str | None:
        """Refuse what is no trigger, and an order that could end before it."""
        algo = spec.algo
        sides = [side for side in ("above", "below") if side in algo.params]
        is_price = len(sides) == 1 and set(algo.params) == {"symbol", sides[0]} and bool(algo.params["symbol"])
        if algo.duration_ns or bool(algo.start_ns) == is_price or (algo.params and not is_price):
            return (
                "an order that waits needs one trigger: a time, or a symbol with one price that it trades at or beyond"
            )
        if is_price and _price(algo.params[sides[0]]) is None:
            return f"trigger price {algo.params[sides[0]]!r} is no number"
        if spec.tif is Tif.GTD:
            return "an order that waits here is good for the day or till cancelled, not until a date of its own"
        return None

    def start(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """Wait. A time that has passed by now is refused."""
        spec = parent.spec
        if not spec.algo.start_ns:
            ctx.watch(parent.order_id, watched_symbol(spec), NEXT)
        elif spec.algo.start_ns <= ctx.now_ns():
            ctx.finish(parent.order_id, f"its time, {iso(spec.algo.start_ns)}, has passed already")
        else:
            ctx.set_timer(parent.order_id, spec.algo.start_ns, AT_TIME)

    def resume(self, parent: ParentInfo, data: Mapping[str, str], ctx: AlgoContext) -> None:
        """Go on waiting; suspend where the time passed meanwhile."""
        del data
        spec = parent.spec
        if ctx.children(parent.order_id):
            self.finish_when_done(parent, ctx)
        elif not spec.algo.start_ns:
            ctx.watch(parent.order_id, watched_symbol(spec), FIRST)
        elif spec.algo.start_ns <= ctx.now_ns():
            ctx.suspend(parent.order_id, f"{iso(spec.algo.start_ns)} passed while no engine was up")
        else:
            ctx.set_timer(parent.order_id, spec.algo.start_ns, AT_TIME)

    def on_timer(self, parent: ParentInfo, tag: str, ctx: AlgoContext) -> None:
        """The time has come, a trade was printed, or a person released it."""
        if ctx.children(parent.order_id):
            return
        if tag in {AT_TIME, RELEASED}:
            self._fire(parent, ctx, "its time has come" if tag == AT_TIME else "released by hand")
            return
        symbol = watched_symbol(parent.spec)
        last = ctx.last(symbol)
        if last is None:
            return
        passed = _is_passed(parent.spec, last)
        if passed and tag == FIRST:
            ctx.suspend(parent.order_id, f"{symbol} was at {last} when it was first seen after a restart")
        elif passed:
            self._fire(parent, ctx, f"{symbol} traded at {last}")
        elif tag == FIRST:
            ctx.watch(parent.order_id, symbol, NEXT)

    def _fire(self, parent: ParentInfo, ctx: AlgoContext, why: str) -> None:
        ctx.unwatch(parent.order_id)
        self.send_whole(parent, ctx, why, "the gate denied its child when its trigger passed")


def _price(word: str) -> Price | None:
    try:
        found = Price(word)
    except MoneyError:
        return None
    return found if found.is_finite() else None


def _is_passed(spec: OrderSpec, last: Price) -> bool:
    params = spec.algo.params
    if "above" in params:
        return last >= Price(params["above"])
    return last <= Price(params["below"])
