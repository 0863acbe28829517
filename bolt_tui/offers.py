"""What a preview offers: one order, amend or release with the engine's judgement of it, and the one command that it becomes."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.domain import commands as co
from engine.domain.order import OrderSpec, OrderType, Source, Tif
from engine.intake.drafts import AmendDraft
from engine.intake.presets import Default
from engine.views import OrderView


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The intent id is born with it, so that whatever happens it goes out once."""

    line: str
    """What was typed; a refresh reads it again."""
    echo: str
    spec: OrderSpec
    intent_id: str
    result: co.CommandResult
    """The engine's judgement."""
    kind: Literal["new", "amend", "release"] = "new"
    order_id: str = ""
    """Of the order that is amended or released."""
    amend: AmendDraft | None = None
    linked: tuple[OrderSpec, ...] = ()
    """Orders that go with it."""
    defaults: tuple[Default, ...] = ()
    """What the line did not say, and where it is from."""

    def command(self, source: Source, *, staged: bool, is_confirmed: bool) -> co.AnyCommand:
        """The command that is sent, once; what the gate asked a person to confirm is confirmed only where they did."""
        confirmed = frozenset(denial.code for denial in self.result.denials) if is_confirmed else frozenset[str]()
        if self.kind == "release":
            return co.ReleaseOrder(source=source, order_id=self.order_id, confirmed=confirmed)
        if self.amend is not None:
            return msgspec.structs.replace(self.amend.command(source, self.intent_id), confirmed=confirmed)
        return co.NewOrder(
            source=source,
            intent_id=self.intent_id,
            spec=self.spec,
            linked=self.linked,
            why="",
            staged=staged,
            confirmed=confirmed,
            words=self.line,
        )


def spec_of(order: OrderView, draft: AmendDraft | None = None) -> OrderSpec:
    """The terms of an order that is shown, with those that an amend would change. An algorithm's own terms are not in it."""
    return OrderSpec(
        symbol=order.symbol,
        side=order.side,
        qty=order.qty if draft is None or draft.qty is None else draft.qty,
        type=OrderType(order.type),
        limit=order.limit if draft is None or draft.limit is None else draft.limit,
        stop=order.stop if draft is None or draft.stop is None else draft.stop,
        tif=Tif(order.tif),
        post_only="post-only" in order.flags,
        reduce_only="reduce-only" in order.flags,
        broker=order.broker,
        account=order.account,
    )
