"""The card of an order says its place in the queue where the broker tells it, and else that it does not."""

from __future__ import annotations

import pytest

from bolt_tui.screens.order_card import order_card
from engine.domain.clock import NS_PER_S
from engine.domain.money import Price, Qty
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


def test_every_term_that_was_asked_for_is_on_the_card() -> None:
    asked = frozen.order(
        "P1", type="trailing_stop", limit=None, trail=Price("0.5"), display=Qty(100), venue="SIMB", tif="gtd",
        expires_ns=1_796_068_800 * NS_PER_S,
    )  # fmt: skip
    first = " ".join(order_card(frozen.empty(), asked, 2).split("state ")[0].split())
    assert first == "buy 100 AAPL TRL 0.50 gtd trail 0.50 show 100 until 2026-11-30T20:00:00Z at SIMB"


def test_a_stop_limit_order_has_both_prices_on_its_card() -> None:
    both = frozen.order("P1", type="stop_limit", stop=Price("189.40"))
    assert order_card(frozen.empty(), both, 2).startswith("buy 100 AAPL STL 189.05 stop 189.40 day")
