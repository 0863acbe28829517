"""A second person for large orders (C31): the order waits, bound by a hash of its exact terms, until somebody else approves it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from engine.api.answers import told
from engine.domain import events as ev
from engine.domain.commands import ApproveOrder, CommandResult, Denial, NewOrder
from engine.domain.order import OrderSpec, OrderState, Source
from engine.domain.parent_events import ApprovalAsked, OrderApproved
from engine.risk.risk_manager import Verdict

if TYPE_CHECKING:
    from engine.api.engine import Engine
    from engine.store.order import Order

FOUR_EYES = "FOUR_EYES"
HASH_CHARS = 12


def order_hash(order_id: str, spec: OrderSpec, author: Source) -> str:
    """What an approval is bound to: the order's id, who asked for it and every one of its terms."""
    whole = b"\n".join((order_id.encode(), ev.encode(author), ev.encode(spec)))
    return hashlib.sha256(whole).hexdigest()[:HASH_CHARS].upper()


def must_wait(command: NewOrder, verdict: Verdict) -> bool:
    """Whether nothing but the second person is missing."""
    return command.source.kind.is_person and {denial.code for denial in verdict.denials} == {FOUR_EYES}


def ask_approval(engine: Engine, order_id: str, command: NewOrder, verdict: Verdict) -> CommandResult:
    """Hold the order and say what a second person has to do."""
    spec = command.spec
    digest = order_hash(order_id, spec, command.source)
    engine.record(
        ev.OrderStaged(
            order_id=order_id, intent_id=command.intent_id, spec=spec, source=command.source, why=command.why
        )
    )
    engine.record(ApprovalAsked(order_id=order_id, order_hash=digest, who=command.source.name))
    said = f"{order_id} {spec.words(engine.market.price_digits(spec.symbol))} waits for a second person: `bolt approve {order_id}` (it is {digest})"
    return CommandResult(
        ok=True, code=FOUR_EYES, text=said, order_id=order_id, state=OrderState.STAGED, denials=verdict.denials
    )


def look_at_waiting(engine: Engine, order: Order, source: Source) -> tuple[Verdict, dict[str, str]]:
    """The gate's verdict on a waiting order as it stands once it is approved, and what it waits for; changes nothing.

    Denied with ``APPROVAL`` to whom may not approve it.
    """
    asked = engine.agent.judge(order.order_id, order.spec, order.source, "preview", dry=True)
    limit = next((denial for denial in asked.denials if denial.code == FOUR_EYES), None)
    verdict = engine.agent.judge(order.order_id, order.spec, order.source, "preview", dry=True, is_approved=True)
    figures = {"order_hash": order.awaits, "asked_by": order.source.name}
    if limit is not None:
        figures |= {"four_eyes": limit.value, "four_eyes_max": limit.limit, "four_eyes_line": limit.policy_line}
    why = _may_not(order, source)
    if why:
        denial = Denial("APPROVAL", "C31", source.name, order.source.name, "", why)
        verdict = msgspec.structs.replace(verdict, ok=False, denials=(denial, *verdict.denials))
    return verdict, figures


def _may_not(order: Order, source: Source) -> str:
    """Why a source may not approve an order; empty where it may."""
    if not source.kind.is_person or not source.name:
        return "an approval needs a person with a name"
    if source.name == order.source.name:
        return f"{order.order_id} was asked for by {order.source.name}; another person approves it"
    return ""


def approve(engine: Engine, command: ApproveOrder) -> CommandResult:
    """Release a waiting order on a second person's word for exactly its terms. The gate judges it anew."""
    order = engine.store.staged.get(command.order_id)
    if order is None or not order.awaits:
        return _no(f"{command.order_id} waits for nobody's approval; see `bolt orders --waiting`", command.order_id)
    why_not = _may_not(order, command.source)
    if why_not:
        return _no(why_not, order.order_id)
    now = order_hash(order.order_id, order.spec, order.source)
    if command.order_hash.upper() != now or order.awaits != now:
        said = f"{order.order_id} is {now}, and {command.order_hash or 'nothing'} was approved: look at it again"
        return _no(said, order.order_id)
    verdict = engine.agent.judge(
        order.order_id, order.spec, order.source, f"{order.intent_id}:approve", confirmed=command.confirmed,
        is_approved=True,
    )  # fmt: skip
    if not verdict.ok:
        first = verdict.denials[0]
        return CommandResult(
            ok=False, code=first.code, text=f"{order.order_id} stays staged: {first.text}", order_id=order.order_id,
            state=order.state, denials=verdict.denials,
        )  # fmt: skip
    engine.record(OrderApproved(order_id=order.order_id, order_hash=now, who=command.source.name))
    why = f"{order.why}; approved by {command.source.name} ({now})".removeprefix("; ")
    engine.agent.begin(order.order_id, order.spec, order.source, order.intent_id, verdict, why)
    engine.agent.pump()
    return told(order, engine.market.price_digits)


def _no(said: str, order_id: str) -> CommandResult:
    return CommandResult(ok=False, code="APPROVAL", text=said, order_id=order_id)
