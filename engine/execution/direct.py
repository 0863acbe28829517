"""Direct: one child with the parent's own terms."""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain.order import OrderSpec
from engine.execution.algo import AlgoContext, ParentInfo


class Direct:
    """Sends one child and waits for its end. What the venue ends unfilled is not sent again."""

    name = "direct"
    params: Mapping[str, tuple[str, ...]] = {}

    def validate(self, spec: OrderSpec) -> str | None:
        """Refuse a schedule: there is nothing to spread over time."""
        if spec.algo.duration_ns or spec.algo.start_ns or spec.algo.params:
            return "direct sends one child at once and takes no duration, start or parameters; use twap or vwap"
        return None

    def start(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """Send the child."""
        spec = parent.spec
        child_id = ctx.send_child(
            parent.order_id,
            parent.qty_leaves,
            spec.type,
            limit=spec.limit,
            stop=spec.stop,
            tif=spec.tif,
            post_only=spec.post_only,
            why="the whole order at once",
        )
        if child_id is None:
            ctx.finish(parent.order_id, "the gate denied its only child")

    def resume(self, parent: ParentInfo, data: Mapping[str, str], ctx: AlgoContext) -> None:
        """Wait for the child where there is one; otherwise end: an order is not fired late on old prices."""
        del data
        if ctx.children(parent.order_id):
            self._finish_when_done(parent, ctx)
        else:
            ctx.finish(parent.order_id, "the engine stopped before its child was made; it is not sent late")

    def on_timer(self, parent: ParentInfo, tag: str, ctx: AlgoContext) -> None:
        """Nothing: it sets no timers."""

    def on_child(self, parent: ParentInfo, child_id: str, ctx: AlgoContext) -> None:
        """End when the child ends."""
        del child_id
        self._finish_when_done(parent, ctx)

    def on_stop(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """Cancel the child."""
        for child in ctx.children(parent.order_id):
            if child.is_live:
                ctx.cancel_child(child.order_id, "parent stopped")

    def _finish_when_done(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        children = ctx.children(parent.order_id)
        if children and not any(child.is_live for child in children):
            ctx.finish(parent.order_id, f"its child ended {children[-1].state}")
