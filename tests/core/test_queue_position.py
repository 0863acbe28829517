"""What stands ahead of a resting order: the venue's word, or an estimate that follows the published level models."""

from __future__ import annotations

from pathlib import Path

import pytest

from bolt_tui.client import merge
from engine.api.places import follow_place
from engine.domain.money import Qty
from engine.market.feed import BookTick, TradeTick
from engine.oms import broker_interface as bi
from engine.routing.queue_position import BehindShare, DepthQueue, by_logarithm
from tests.core.lab import Lab


def by_power(power: int) -> BehindShare:
    return lambda ahead, behind: behind**power / (behind**power + ahead**power) if ahead or behind else 1.0


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (by_power(1), (100, 70, 62.5, 39.4737, 39.4737, 19.4737, 18.1754)),
        (by_power(3), (100, 70, 62.5, 31.8146, 31.8146, 11.8146, 11.7821)),
        (by_logarithm, (100, 70, 62.5, 43.5395, 43.5395, 23.5395, 21.3048)),
    ],
    ids=["n=1", "n=3", "log"],
)
def test_the_level_models_agree_with_their_check_vector(rule: BehindShare, expected: tuple[float, ...]) -> None:
    queue = DepthQueue(100, rule)
    found = []
    for kind, qty in (
        ("depth", 140),
        ("trade", 30),
        ("depth", 95),
        ("depth", 60),
        ("depth", 75),
        ("trade", 20),
        ("depth", 50),
    ):
        (queue.on_trade if kind == "trade" else queue.on_level)(qty)
        found.append(round(queue.ahead, 4))
    assert tuple(found) == expected


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    show(made, (18_900, 500), (18_899, 700))
    made.buy(100, "188.99")
    made.answer(made.ack(made.broker.sent[0].wire_id))
    return made


def show(lab: Lab, *bids: tuple[int, int]) -> None:
    lab.engine.on_market(BookTick("AAPL", "XSIM", lab.clock.now_ns(), 1, bids, ((18_902, 500),)))


def trade(lab: Lab, price: int, qty: int) -> None:
    lab.engine.on_market(TradeTick("AAPL", "XSIM", lab.clock.now_ns(), 1, price, qty, "S"))


def ahead(lab: Lab, order_id: str = "C2") -> tuple[str, bool] | None:
    order = next(row for row in lab.engine.view().orders if row.order_id == order_id)
    return None if order.queue_ahead is None else (str(order.queue_ahead), order.queue_guessed)


def test_an_estimate_begins_behind_the_displayed_size_and_moves_on_with_prints(lab: Lab) -> None:
    assert ahead(lab) == ("700", True)
    assert ahead(lab, "P1") == ("700", True), "a parent has the place of its only working child"
    trade(lab, 18_899, 300)
    show(lab, (18_899, 500))
    assert ahead(lab) == ("400", True), "the 100 that came behind are not ahead"
    trade(lab, 18_898, 10)
    assert ahead(lab) == ("0", True), "what traded through its price has left nothing ahead"


def test_a_quote_alone_says_nothing_of_a_deeper_price(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.connect()
    lab.buy(100, "188.50")
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    assert ahead(lab) is None
    lab.quote(18_850, 18_852)
    assert ahead(lab) == ("500", True)


def test_the_word_of_the_venue_stands_over_an_estimate(lab: Lab) -> None:
    wire_id = lab.broker.sent[0].wire_id
    lab.answer(bi.QueuePlace(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire_id, ahead=Qty(40)))
    trade(lab, 18_899, 300)
    assert ahead(lab) == ("40", False)
    assert "queue_place" not in lab.kinds(), "it is for people to look at and stands in no journal"


def test_a_place_that_changes_reaches_a_desk_and_ends_with_the_order(lab: Lab) -> None:
    view = lab.engine.view()
    cursor, _ = lab.engine.update_since(0)
    trade(lab, 18_899, 300)
    lab.clock.set_ns(lab.clock.now_ns() + 1_000_000_000)
    cursor, update = lab.engine.update_since(cursor)
    assert [(row.order_id, str(row.queue_ahead)) for row in merge(view, update).orders] == [
        ("P1", "400"),
        ("C2", "400"),
    ]
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=lab.broker.sent[0].wire_id))
    lab.clock.set_ns(lab.clock.now_ns() + 1_000_000_000)
    cursor, _ = lab.engine.update_since(cursor)
    assert ahead(lab) is None
    assert not lab.engine.places.watched
    lab.clock.set_ns(lab.clock.now_ns() + 1_000_000_000)
    lab.engine.update_since(cursor)
    assert not lab.engine.picture._places_seen, "nothing is kept of an order that ended"


def test_a_replay_follows_no_order(lab: Lab) -> None:
    assert lab.engine.places.watched
    lab.engine.places.is_on = False
    lab.engine.places.watched.clear()
    follow_place(lab.engine.places, lab.engine.market, lab.engine.store.get("C2"))
    assert not lab.engine.places.watched
