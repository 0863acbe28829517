"""Direct: one child with the parent's own terms."""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain.order import OrderSpec
from engine.execution.algo import AlgoContext, ParentInfo
from engine.execution.one_child import OneChild

WHOLE = "the whole order at once"
"""Why its child is sent, as the child says."""


class Direct(OneChild):
    """Sends its child at once."""

    name = "direct"
    params: Mapping[str, tuple[str, ...]] = {}

    def validate(self, spec: OrderSpec) -> str | None:
        """Refuse a schedule: there is nothing to spread over time."""
        if spec.algo.duration_ns or spec.algo.start_ns or spec.algo.params:
            return "direct sends one child at once and takes no duration, start or parameters; use twap or vwap"
        return None

    def start(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """Send the child."""
        self.send_whole(parent, ctx, WHOLE, "the gate denied its only child")

    def resume(self, parent: ParentInfo, data: Mapping[str, str], ctx: AlgoContext) -> None:
        """Wait for the child where there is one; otherwise end: an order is not fired late on old prices."""
        del data
        if ctx.children(parent.order_id):
            self.finish_when_done(parent, ctx)
        else:
            ctx.finish(parent.order_id, "the engine stopped before its child was made; it is not sent late")

    def on_timer(self, parent: ParentInfo, tag: str, ctx: AlgoContext) -> None:
        """Nothing: it sets no timers."""
