"""What parents share that send their whole quantity as one child: the send, the cancel, and the end with the child."""

from __future__ import annotations

from engine.execution.algo import AlgoContext, ParentInfo


class OneChild:
    """Base of algorithms that send one child and end when it ends. What the venue ends unfilled is not sent again."""

    def on_child(self, parent: ParentInfo, child_id: str, ctx: AlgoContext) -> None:
        """End when the child ends."""
        del child_id
        self.finish_when_done(parent, ctx)

    def on_stop(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """Cancel the child."""
        for child in ctx.live_children(parent.order_id):
            ctx.cancel_child(child.order_id, "parent stopped")

    def send_whole(self, parent: ParentInfo, ctx: AlgoContext, why: str, denied: str) -> None:
        """Send what is left with the parent's own terms; the parent ends with the words ``denied`` where the gate says no."""
        spec = parent.spec
        child_id = ctx.send_child(
            parent.order_id,
            parent.qty_leaves,
            spec.type,
            limit=spec.limit,
            stop=spec.stop,
            tif=spec.tif,
            post_only=spec.post_only,
            why=why,
        )
        if child_id is None:
            ctx.finish(parent.order_id, denied)

    def finish_when_done(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """End the parent where its child has ended."""
        children = ctx.children(parent.order_id)
        if children and not any(child.is_live for child in children):
            ctx.finish(parent.order_id, f"its child ended {children[-1].state}")
