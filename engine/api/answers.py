"""What a person or a program is told of an order that was just placed or let go."""

from __future__ import annotations

from engine.domain.commands import CommandResult, Denial
from engine.domain.instrument import Digits
from engine.domain.order import OrderState, SourceKind
from engine.store.order import Order


def told(order: Order, digits: Digits, denials: tuple[Denial, ...] = ()) -> CommandResult:
    """Its state, and the first reason of a refusal: ``denials`` of the order itself, else those of a child that was denied.

    ``digits``: decimals that prices have at least.
    """
    denied = denials or next((child.denials for child in order.children if child.state is OrderState.DENIED), ())
    if denied:
        text = denied[0].text
    else:
        # Nobody reads a strategy's answers.
        text = order.order_id
        if order.source.kind is not SourceKind.STRATEGY:
            text = f"{order.order_id} {order.spec.words(digits(order.spec.symbol))}"
    is_ended = order.state is OrderState.DENIED and not denied
    if is_ended and order.note:
        text = f"{text}: {order.note}"  # its algorithm ended it before anything was sent
    return CommandResult(
        ok=not denials and order.state is not OrderState.DENIED,
        code=denied[0].code if denied else "ALGO_REFUSES" if is_ended else "",
        text=text,
        order_id=order.order_id,
        state=order.state,
        denials=denied,
    )
