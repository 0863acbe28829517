"""What follows for an order, and for its parent, from what was told of it: states and sums, worked out from the order alone."""

from __future__ import annotations

from engine.domain.money import EXACT, Qty
from engine.domain.order import LIVE, OrderState
from engine.store.order import Order

_UNKNOWN, _PENDING_NEW = OrderState.UNKNOWN, OrderState.PENDING_NEW
_NEW, _PARTIALLY_FILLED, _PENDING_CANCEL = OrderState.NEW, OrderState.PARTIALLY_FILLED, OrderState.PENDING_CANCEL


def rightly_filled(order: Order) -> Qty:
    """What has filled, without what the venue filled too much."""
    return order.qty_filled - order.overfill


def end_amend(order: Order) -> None:
    """No amend is under way any more; what filled beyond the old quantity shows that the new one was in force."""
    if order.amend is not None and rightly_filled(order) > order.qty:
        order.qty = order.amend.qty
    order.amend = None


def working(order: Order) -> OrderState:
    """State of an order that the venue surely has, from what is pending and filled."""
    if order.qty_filled >= order.qty:
        return OrderState.FILLED
    if order.cancel_asked:
        return OrderState.PENDING_CANCEL
    if order.amend is not None:
        return OrderState.PENDING_REPLACE
    return OrderState.PARTIALLY_FILLED if order.qty_filled else OrderState.NEW


def take_over(parent: Order, child: Order) -> bool:
    """Bring a parent's sums up to what one child is now: what it told before is replaced, so the cost of an event does not
    grow with the number of children. True where the venue filled the parent too much, and no child of it by itself.
    """
    filled, worst = child.qty_filled, child.worst_qty
    committed = worst if not filled else filled + worst if worst else filled
    if filled is not child.told_filled or child.value_filled is not child.told_value:
        parent.qty_filled = parent.qty_filled + filled - child.told_filled
        parent.value_filled = EXACT.subtract(EXACT.add(parent.value_filled, child.value_filled), child.told_value)
        child.told_filled, child.told_value = filled, child.value_filled
    if committed is not child.told_committed and committed != child.told_committed:
        parent.committed = parent.committed + committed - child.told_committed
        child.told_committed = committed
    if child.overfill is not child.told_over:
        parent.overfill = parent.overfill + child.overfill - child.told_over
        child.told_over = child.overfill
    if child.state in LIVE:
        parent.children_live[child.order_id] = child
    else:
        parent.children_live.pop(child.order_id, None)
    if parent.qty_filled <= parent.qty:
        return False
    excess = parent.qty_filled - parent.qty
    if excess <= parent.overfill:
        return False
    # A late fill of what another child took the place of, or more than an amendment asked for.
    parent.overfill = excess
    return True


def derive_parent(parent: Order) -> None:
    """A parent's state shows its children's; its end is an event of its own."""
    if parent.end_state is not None:
        parent.state = OrderState.FILLED if parent.qty_filled >= parent.qty else parent.end_state
    elif parent.state is not OrderState.STAGED and parent.state is not OrderState.DENIED:
        parent.state = _parent_state(parent)


def _parent_state(parent: Order) -> OrderState:
    are_pending = bool(parent.children_live)
    for child in parent.children_live.values():
        state = child.state
        if state is _UNKNOWN:
            return state
        are_pending = are_pending and state is _PENDING_NEW
    if parent.stopping and any(one.cancel_asked or not one.spec.reduce_only for one in parent.children_live.values()):
        return _PENDING_CANCEL  # a halt keeps exits: they go on working
    if parent.suspended:
        return OrderState.SUSPENDED
    if parent.qty_filled:
        return _PARTIALLY_FILLED
    return _PENDING_NEW if are_pending else _NEW
