"""What a picture shows does not depend on how often somebody looks: events are noted when one is drawn, or at a bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api import picture
from engine.domain.order import Side
from engine.views import DeskView
from tests.core.lab import Lab

ROUNDS = picture.HEARD_MAX // 3
"""A round leaves at least four rows: the bound is passed."""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def _worked(folder: Path, *, is_watched: bool) -> tuple[Lab, DeskView]:
    folder.mkdir()
    lab = Lab(folder)
    lab.connect()
    for number in range(ROUNDS):
        lab.pass_time(2)
        side = Side.SELL if number % 2 else Side.BUY
        assert lab.order(side, 1, "189.00", f"i{number}").ok
        wire_id = lab.broker.sent[-1].wire_id
        if is_watched:
            lab.engine.view()
        lab.answer(lab.ack(wire_id))
        lab.answer(lab.fill(wire_id, 1, f"k{number}", "189.00", side))
        assert len(lab.engine.picture.heard) <= picture.HEARD_MAX, "few wait, however seldom somebody looks"
    assert lab.journal.head_seq > 4 * ROUNDS > picture.HEARD_MAX
    return lab, lab.engine.view()


def test_a_picture_looked_at_once_shows_what_one_looked_at_always_does(tmp_path: Path) -> None:
    seldom, one = _worked(tmp_path / "seldom", is_watched=False)
    often, other = _worked(tmp_path / "often", is_watched=True)
    assert len(one.log) > ROUNDS
    assert one.log == other.log
    assert one.orders == other.orders
    assert one.fills == other.fills
    for lab in (seldom, often):
        assert not lab.engine.picture.heard


def test_the_cursor_counts_what_nobody_has_looked_at_yet(lab: Lab) -> None:
    cursor, _ = lab.engine.update_since(0)
    lab.buy(1, "150.00")
    assert lab.engine.picture.heard
    assert lab.engine.cursor() > cursor
    again, update = lab.engine.update_since(cursor)
    assert {order.symbol for order in update.orders} == {"AAPL"}
    assert again == lab.engine.cursor()
    assert not lab.engine.update_since(again)[1].orders
