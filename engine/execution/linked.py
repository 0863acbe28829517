"""Orders that are placed together: a bracket (an entry with its exits), one-triggers-other, one-cancels-other, a combo.

Each member is a direct parent of its own, judged by the gate like any other, so that what holds for a parent holds here too.
They leave as one message and the venue keeps the link, so that the exits of a filled entry stand whether an engine lives or
not. Where one member is denied, none is placed. A venue that knows no links is denied (``FLAG_UNSUPPORTED``): an engine that
emulated them would leave a position without its stop when it dies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from engine.domain import events as ev
from engine.domain.clock import Clock
from engine.domain.commands import Denial
from engine.domain.order import LinkRole, OrderSpec, OrderState, Source
from engine.execution.combos import combo_fault, combo_of
from engine.oms.orders import Orders
from engine.risk.overlay import Overlay
from engine.risk.risk_manager import Candidate, RiskManager, Role
from engine.store.order_store import OrderStore

MEMBERS_MAX = 10
"""Orders of one group."""
WHY = "placed with the orders of its group"


def group_refusal(specs: Sequence[OrderSpec]) -> Denial | None:
    """Why these orders cannot be placed together; None where they can."""
    why = _fault(specs)
    return None if why is None else Denial("LINK_BAD", "C05", f"{len(specs)} orders", "", "", why)


def _fault(specs: Sequence[OrderSpec]) -> str | None:
    first, roles = specs[0], [None if spec.link is None else spec.link.role for spec in specs]
    is_bracket = roles[0] is LinkRole.ENTRY and set(roles[1:]) == {LinkRole.LEG}
    is_peers = len(roles) > 1 and set(roles) == {LinkRole.PEER}
    if LinkRole.COMBO in roles:
        return combo_fault(specs)
    if any(combo_of(spec) is not None for spec in specs):
        return "units and a net price belong to the legs of a combo"
    if not (is_bracket or is_peers):
        return "orders placed together are one entry with its legs, peers of which one cancels the others, or a combo"
    if len(specs) > MEMBERS_MAX:
        return f"{len(specs)} orders in one group; at most {MEMBERS_MAX} go together"
    for spec in specs:
        if spec.algo.name != "direct":
            return f"{spec.words()}: an order of a group is sent as it is, not worked by {spec.algo.name}"
        if (spec.broker, spec.account) != (first.broker, first.account):
            return f"{spec.words()}: orders of one group go to one broker and account"
    return _legs_fault(first, specs[1:]) if is_bracket else None


def _legs_fault(entry: OrderSpec, legs: Sequence[OrderSpec]) -> str | None:
    for leg in legs:
        if leg.symbol != entry.symbol:
            continue
        if leg.side is entry.side:
            return f"{leg.words()}: an exit of a {entry.side} is a {entry.side.other}"
        if leg.qty != entry.qty:
            return f"{leg.words()}: an exit has the quantity of its entry, {entry.qty}"
    return None


class LinkedOrders:
    """Takes groups through the gate and sends each as one."""

    def __init__(
        self, store: OrderStore, orders: Orders, gate: RiskManager, record: Callable[[ev.AnyEvent], int], clock: Clock
    ) -> None:
        self._store, self._orders, self._gate, self._record, self._clock = store, orders, gate, record, clock

    def send(self, parents: Sequence[str], source: Source) -> bool:
        """Judge the one child of each accepted parent, then send all of them as one message; False where one was denied."""
        members: list[tuple[str, OrderSpec, ev.Decision]] = []
        now_ns, overlay = self._clock.now_ns(), Overlay(self._gate.view, self._gate.history)
        for parent_id in parents:
            spec = self._store.get(parent_id).spec
            order_id = f"C{self._store.next_counter()}"
            candidate = Candidate(
                order_id=order_id, role=Role.CHILD, spec=spec, source=source, parent_id=parent_id, why=WHY
            )
            if combo_of(spec) is None:
                verdict = self._gate.check(candidate, now_ns, full=False)
            else:  # all legs may fill: the earlier ones count for this one
                verdict = self._gate.judge(candidate, now_ns, full=False, ahead=overlay.pair)
                overlay.add(order_id, spec, source, now_ns, None)
            if not verdict.ok:
                self._deny(order_id, parent_id, spec, source, verdict.denials, verdict.decision)
                self._end(parents, f"{parent_id} of the group was denied: {verdict.denials[0].text}")
                return False
            members.append((parent_id, spec, msgspec.structs.replace(verdict.decision, why=WHY)))
        self._orders.send_linked(members, source)
        return True

    def _deny(
        self,
        order_id: str,
        parent_id: str,
        spec: OrderSpec,
        source: Source,
        denials: tuple[Denial, ...],
        decision: ev.Decision,
    ) -> None:
        self._record(
            ev.OrderDenied(
                order_id=order_id, parent_id=parent_id, spec=spec, source=source, denials=denials, decision=decision
            )
        )

    def _end(self, parents: Sequence[str], why: str) -> None:
        for parent_id in parents:
            self._record(ev.ParentEnded(order_id=parent_id, state=OrderState.DENIED, why=why))


def in_group(specs: Sequence[OrderSpec], group: str) -> list[OrderSpec]:
    """The orders with their group's name in the link."""
    return [
        msgspec.structs.replace(spec, link=msgspec.structs.replace(spec.link, group=group))
        if spec.link is not None
        else spec
        for spec in specs
    ]
