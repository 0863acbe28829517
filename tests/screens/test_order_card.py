"""The card of an order says its place in the queue where the broker tells it, and else that it does not."""

from __future__ import annotations

import pytest

from bolt_tui.screens.order_card import order_card
from engine.domain.money import Qty
from engine.domain.order import OrderState
from tests.screens import frozen


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        ((Qty(300), False), "queue      300 ahead at this price"),
        ((Qty(1_300), True), "queue      ~1,300 ahead at this price, estimated from the depth"),
        ((None, False), "queue      no queue: paper tells no place"),
    ],
)
def test_the_place_in_the_queue_is_told_or_said_to_be_unknown(ahead: tuple[Qty | None, bool], said: str) -> None:
    child = frozen.order("C1", parent_id="P1", broker="paper", queue_ahead=ahead[0], queue_guessed=ahead[1])
    assert said in order_card(frozen.empty(), child, 2).splitlines()


def test_an_order_that_ended_stands_in_no_queue() -> None:
    child = frozen.order("C1", OrderState.FILLED, parent_id="P1")
    assert "queue" not in order_card(frozen.empty(), child, 2)
