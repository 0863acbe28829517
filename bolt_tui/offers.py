"""What a preview offers: one order, amend or release with the engine's judgement of it, and the one command that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from engine.domain import commands as co
from engine.domain.order import OrderSpec, OrderType, Source, Tif
from engine.intake.drafts import AmendDraft
from engine.intake.presets import Default
from engine.views import OrderView
from widgets.formats import figure


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The intent id is born with it, so that whatever happens it goes out once."""

    line: str
    """What was typed; a refresh reads it again."""
    echo: str
    spec: OrderSpec
    intent_id: str
    result: co.CommandResult
    """The engine's judgement."""
    kind: Literal["new", "amend", "release", "approve"] = "new"
    order_id: str = ""
    """Of the order that is amended, released or approved."""
    order_hash: str = ""
    """What an approval is bound to: the terms as they were shown."""
    notes: tuple[str, ...] = ()
    """What else the person is to know before deciding, in sentences."""
    amend: AmendDraft | None = None
    linked: tuple[OrderSpec, ...] = ()
    """Orders that go with it."""
    defaults: tuple[Default, ...] = ()
    """What the line did not say, and where it is from."""

    def command(self, source: Source, *, staged: bool, is_confirmed: bool) -> co.AnyCommand:
        """The command that is sent, once; what the gate asked a person to confirm is confirmed only where they did."""
        confirmed = frozenset(denial.code for denial in self.result.denials) if is_confirmed else frozenset[str]()
        if self.kind == "approve":
            return co.ApproveOrder(
                source=source, order_id=self.order_id, order_hash=self.order_hash, confirmed=confirmed
            )
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


def approval_notes(order: OrderView, figures: Mapping[str, str]) -> tuple[str, ...]:
    """Why a second person is needed, and what their word holds for."""
    amount, most = figure(figures.get("four_eyes", "")), figure(figures.get("four_eyes_max", ""))
    where = f" ({figures['four_eyes_line']})" if figures.get("four_eyes_line") else ""
    why = f"{amount} is above {most}{where}: " if amount and most else ""
    return (
        f"FOUR_EYES {why}asked for by {order.source}, another person approves it",
        f"the approval holds for exactly these terms: {order.awaits}; what is changed is approved anew",
    )


def suspended_notes(order: OrderView) -> tuple[str, ...]:
    """Why it was not sent when its trigger passed, and what a release means now."""
    return (
        f"SUSPENDED {order.note or order.waits}",
        "released, it meets the market of now, not the one of its trigger; what the gate then denies ends it",
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
        trail=order.trail,
        display=order.display,
        tif=Tif(order.tif),
        expires_ns=order.expires_ns,
        post_only="post-only" in order.flags,
        reduce_only="reduce-only" in order.flags,
        broker=order.broker,
        account=order.account,
        venue=order.venue,
    )
