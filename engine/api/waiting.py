"""Orders that wait in this engine for their trigger: a person amends, or releases where the trigger passed meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.api.answers import told
from engine.domain import events as ev
from engine.domain.commands import AmendOrder, CommandResult, ReleaseOrder
from engine.domain.order import WHEN
from engine.oms.orders import amended
from engine.store.order import Order

if TYPE_CHECKING:
    from engine.api.engine import Engine


def waiting_parent(engine: Engine, order_id: str) -> Order | None:
    """The order of that id where it still waits for its trigger; None otherwise."""
    parent = engine.store.parents_open.get(order_id)
    is_waiting = parent is not None and parent.spec.algo.name == WHEN and not parent.children and not parent.stopping
    return parent if is_waiting else None


def amend_waiting(engine: Engine, parent: Order, command: AmendOrder) -> CommandResult:
    """Give it new terms; the gate judges them as it would a new order. Its trigger stays."""
    spec = amended(parent, command.qty, command.limit, command.stop)
    verdict = engine.agent.judge(parent.order_id, spec, command.source, command.intent_id, confirmed=command.confirmed)
    if not verdict.ok:
        engine.record(
            ev.OrderDenied(
                order_id=parent.order_id, spec=spec, source=command.source, denials=verdict.denials,
                decision=verdict.decision, amend=True,
            )
        )  # fmt: skip
        first = verdict.denials[0]
        return CommandResult(
            ok=False, code=first.code, text=first.text, order_id=parent.order_id, state=parent.state,
            denials=verdict.denials,
        )  # fmt: skip
    now_ns = engine.clock.now_ns()
    engine.record(
        ev.OrderAmended(order_id=parent.order_id, qty=spec.qty, limit=spec.limit, stop=spec.stop, ts_ns=now_ns)
    )
    return CommandResult(
        ok=True,
        text=f"amended; it still waits: {spec.words(engine.market.price_digits(spec.symbol))}",
        order_id=parent.order_id,
        state=parent.state,
    )


def release_suspended(engine: Engine, parent: Order, command: ReleaseOrder) -> CommandResult:
    """Send it now. The gate judges its child on the market of now, and what it denies ends the order."""
    engine.agent.release_suspended(parent, command.source.name or command.source.kind.value)
    engine.agent.pump()
    return told(parent, engine.market.price_digits)
