"""New terms for an order that works at a venue: what is never amended, the gate's word on the rest, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.api.risk_view import open_order
from engine.api.waiting import amend_waiting, waiting_parent
from engine.domain import events as ev
from engine.domain.commands import AmendOrder, CommandResult, Preview
from engine.domain.money import Qty
from engine.domain.order import OrderSpec, Source
from engine.execution.combos import combo_of
from engine.oms.orders import AMENDABLE, amended
from engine.risk.risk_manager import Candidate, Role, Verdict
from engine.store.order import Order

if TYPE_CHECKING:
    from engine.api.engine import Engine


def amend(engine: Engine, command: AmendOrder) -> CommandResult | str:
    """Amend a working order, or one that waits for its trigger; words where it is none that can be amended.

    What passes is one row with its command, unless the parent has to grow first: then the command has a row of its own, as it has
    where it is refused.
    """
    waiting = waiting_parent(engine, command.order_id)
    if waiting is not None:
        _received(engine, command)
        return amend_waiting(engine, waiting, command)
    order = amendable(engine, command.order_id)
    spec = None if isinstance(order, str) else amended(order, command.qty, command.limit, command.stop)
    if isinstance(order, str) or spec is None or (why := never_amended(order, spec.qty)):
        _received(engine, command)
        return order if isinstance(order, str) else why
    parent = engine.store.orders.get(order.parent_id)
    is_more = parent is not None and spec.qty > parent.qty
    if parent is not None and is_more:
        _received(engine, command)
        _amend_parent(engine, parent, order, qty=spec.qty)
    candidate = _candidate(order, spec, command.source, command.intent_id, command.confirmed)
    verdict = engine.gate.check(candidate, engine.clock.now_ns(), full=command.source.kind.is_person)
    if not verdict.ok:
        if not is_more:
            _received(engine, command)
        return _denied(engine, parent, order, spec, command, verdict)
    intent = ev.AmendIntent(
        order_id=order.order_id, qty=spec.qty, limit=spec.limit, stop=spec.stop, decision=verdict.decision
    )
    if is_more:
        engine.orders.send_amend(intent)
    else:
        engine.orders.amend(command, intent)
    return CommandResult(ok=True, text="amend asked", order_id=order.order_id, state=order.state)


def judge_amend(engine: Engine, order: Order, question: Preview) -> Verdict:
    """The gate's word on new terms. The parent of a direct order would be amended with it, so it is not in the way."""
    candidate = _candidate(order, question.spec, question.source, "preview", frozenset())
    verdict = engine.gate.check(candidate, engine.clock.now_ns(), full=True, dry=True)
    denials = tuple(denial for denial in verdict.denials if denial.code != "PARENT_OVER")
    checks = tuple(check for check in verdict.checks if check.code != "PARENT_OVER")
    return msgspec.structs.replace(verdict, ok=not denials, denials=denials, checks=checks)


def amendable(engine: Engine, order_id: str) -> Order | str:
    """The child that an amendment of an order is about; words where there is none."""
    order = engine.store.orders.get(order_id)
    if order is None:
        return "there is no such order"
    if order.is_parent:
        live = order.live_children
        if order.spec.algo.name != "direct" or len(live) != 1:
            return "only a working direct order can be amended; cancel it and place it anew"
        order = live[0]
    if order.state not in AMENDABLE:
        return f"it is {order.state.value}; only a working order can be amended"
    return order


def never_amended(order: Order, qty: Qty) -> str:
    """Why a working order never gets these terms, whatever the gate says; empty where it may. ``qty``: its size then."""
    if combo_of(order.spec) is not None:
        return "a combo is not amended; cancel it and place another"
    asked = (
        order.parent.qty if order.parent is not None else order.qty
    )  # a venue may have made the child smaller by itself
    if order.spec.link is not None and qty not in {order.qty, asked}:
        return "the size of an order that belongs to others cannot be changed; cancel the group and place it anew"
    if qty <= order.qty_filled:
        return f"new quantity {qty} is not above the {order.qty_filled} filled; cancel the rest instead"
    return ""


def _denied(
    engine: Engine, parent: Order | None, order: Order, spec: OrderSpec, command: AmendOrder, verdict: Verdict
) -> CommandResult:
    """The order stands as it was; so does its parent, which may have been made larger for it."""
    if parent is not None:
        _amend_parent(engine, parent, order, qty=order.qty)
    engine.record(
        ev.OrderDenied(
            order_id=order.order_id,
            parent_id=order.parent_id,
            spec=spec,
            source=command.source,
            denials=verdict.denials,
            decision=verdict.decision,
            amend=True,
        )
    )
    first = verdict.denials[0]
    return CommandResult(
        ok=False,
        code=first.code,
        text=first.text,
        order_id=order.order_id,
        state=order.state,
        denials=verdict.denials,
    )


def _amend_parent(engine: Engine, parent: Order, child: Order, qty: Qty) -> None:
    if parent.qty != qty or parent.limit != child.limit or parent.stop != child.stop:
        engine.record(
            ev.OrderAmended(
                order_id=parent.order_id,
                qty=qty,
                limit=child.limit,
                stop=child.stop,
                ts_ns=engine.clock.now_ns(),
            )
        )


def _candidate(order: Order, spec: OrderSpec, source: Source, intent_id: str, confirmed: frozenset[str]) -> Candidate:
    return Candidate(
        order_id=order.order_id,
        role=Role.AMEND,
        spec=spec,
        source=source,
        intent_id=intent_id,
        parent_id=order.parent_id,
        original=open_order(order),
        qty_filled=order.qty_filled,
        confirmed=confirmed,
    )


def _received(engine: Engine, command: AmendOrder) -> None:
    engine.record(ev.CommandReceived(command=command))
