"""A basket's row counts what it knows: a picture has every open order, and of the ended ones only the last."""

from __future__ import annotations

from engine.domain.order import OrderState
from tests.screens import frozen
from widgets.basket_rows import basket_row, members_of
from widgets.live_table import words_of


def test_lines_that_the_picture_lacks_have_ended_and_how_is_not_guessed() -> None:
    view = frozen.with_baskets()
    basket = view.baskets[0]
    open_only = {row.order_id: row for row in view.orders if row.state is not OrderState.FILLED}
    row = words_of(basket_row(basket, members_of(basket, open_only), frozen.NOW_NS, "v"))
    assert "1/3" in row
    assert "0 filled of the 2 shown" in row
    whole = {row.order_id: row for row in view.orders}
    assert "1 filled, " in words_of(basket_row(basket, members_of(basket, whole), frozen.NOW_NS, "v"))
