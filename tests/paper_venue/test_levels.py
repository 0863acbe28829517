"""Trading against a feed of levels, quotes and prints: estimated against us, and marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from brokers.paper.levels import QueueModel, advance_queue
from engine.domain.order import Liquidity, Side
from engine.market.rows import CLEAR, LEVEL
from tests.paper_venue.lab import FREE, ME, B, Lab, S


def quoted() -> Lab:
    """Best prices only: 10.00 x 100 / 10.02 x 150."""
    lab = Lab(by_level=True)
    lab.quote(B, 1000, 100)
    lab.quote(S, 1002, 150)
    return lab


def deep() -> Lab:
    """Two levels a side."""
    lab = Lab(by_level=True)
    for sign, price, qty in ((B, 1000, 100), (B, 999, 200), (S, 1002, 150), (S, 1003, 300)):
        lab.level(sign, price, qty)
    return lab


def test_taking_walks_the_displayed_sizes() -> None:
    lab = deep()
    lab.buy(250)
    assert lab.traded() == [("10.02", "150"), ("10.03", "100")]
    assert not any(fill.guessed for fill in lab.fills)
    assert lab.best() == (1000, 100, 1003, 200)


def test_beyond_the_displayed_size_each_portion_costs_a_tick_and_is_a_guess() -> None:
    lab = quoted()
    lab.buy(400)
    assert lab.traded() == [("10.02", "150"), ("10.03", "150"), ("10.04", "100")]
    assert [fill.guessed for fill in lab.fills] == [False, True, True]
    lab.buy(100)
    assert lab.traded()[3:] == [("10.04", "50"), ("10.05", "50")], "it goes on where the last one ended"
    lab.quote(S, 1002, 500)
    lab.buy(10)
    assert lab.traded()[-1] == ("10.02", "10")


def test_a_limit_holds_beyond_the_displayed_size() -> None:
    lab = quoted()
    wire_id = lab.buy(400, "10.03")
    assert lab.traded() == [("10.02", "150"), ("10.03", "150")]
    assert lab.status(wire_id) == "partially_filled"


def test_consumed_size_stays_consumed_until_the_feed_shows_more() -> None:
    lab = deep()
    lab.buy(100)
    lab.level(S, 1002, 150)
    assert lab.best()[2:] == (1002, 50)
    lab.level(S, 1002, 180)
    assert lab.best()[2:] == (1002, 80)


def test_prints_at_our_price_work_off_the_queue_first() -> None:
    lab = quoted()
    wire_id = lab.buy(50, "10.00")
    assert str(lab.core.queue_ahead(ME, wire_id)) == "100"
    lab.trade(S, 1000, 70)
    assert lab.fills == []
    lab.trade(B, 1000, 70)
    assert lab.fills == [], "a buyer's print hits nobody who buys"
    lab.trade(S, 1000, 70)
    assert lab.traded() == [("10", "40")]
    assert lab.fills[0].guessed
    assert lab.fills[0].liquidity is Liquidity.MAKER


def test_a_print_through_our_price_fills_us() -> None:
    lab = quoted()
    lab.buy(50, "10.00")
    lab.trade(S, 999, 30)
    assert lab.traded() == [("10", "30")]


def test_one_print_serves_orders_of_ours_once() -> None:
    lab = quoted()
    lab.buy(60, "10.00")
    lab.quote(B, 1000, 150)
    lab.buy(60, "10.00")
    lab.trade(S, 1000, 200)
    assert [(fill.wire_id, str(fill.qty)) for fill in lab.fills] == [("W1", "60")]


@pytest.mark.parametrize(("power", "ahead"), [(0, ["100", "20"]), (1, ["60", "10"])])
def test_cancels_move_us_only_as_the_model_says(power: int, ahead: list[str]) -> None:
    lab = Lab(replace(FREE, queue=QueueModel(power)), by_level=True)
    lab.level(B, 1000, 100)
    wire_id = lab.buy(50, "10.00")
    lab.level(B, 1000, 200)
    for qty, expected in zip((120, 20), ahead, strict=True):
        lab.level(B, 1000, qty)
        assert str(lab.core.queue_ahead(ME, wire_id)) == expected


def test_the_other_side_coming_to_our_price_fills_us_with_what_it_shows() -> None:
    lab = quoted()
    lab.buy(200, "10.01")
    lab.quote(S, 1001, 80)
    lab.core.advance(lab.now)
    assert lab.traded() == [("10.01", "80")]
    lab.quote(S, 1001, 80)
    assert lab.traded() == [("10.01", "80")], "the same quote again brings nothing new"


def test_a_queue_that_is_not_displayed_is_not_known() -> None:
    lab = quoted()
    lab.buy(50, "9.98")
    lab.trade(S, 998, 500)
    assert lab.fills == []
    lab.quote(B, 998, 300)
    lab.trade(S, 998, 310)
    assert lab.traded() == [("9.98", "10")]


def test_a_snapshot_is_judged_when_it_is_whole() -> None:
    lab = deep()
    lab.buy(100, "10.01")
    quotes = len(lab.quotes())
    moment = lab.now + 1
    rows = [(CLEAR, 0, 0, 0), (LEVEL, S, 1003, 10), (LEVEL, B, 1000, 10), (LEVEL, S, 1002, 10)]
    for number, (action, sign, price, qty) in enumerate(rows, 1):
        lab.core.on_row(lab.key, (moment, action, sign, 0, price, qty, 10 + number))
    lab.core.advance(moment)
    assert len(lab.quotes()) == quotes + 1
    assert lab.best() == (1000, 10, 1002, 10)


def test_a_market_order_into_nothing_ends() -> None:
    lab = Lab(by_level=True)
    lab.quote(B, 1000, 100)
    assert lab.status(lab.buy(5)) == "cancelled"


@pytest.mark.parametrize(
    ("power", "expected"),
    [
        (1, [100, 70, 62.5, 39.4737, 39.4737, 19.4737, 18.1754]),
        (3, [100, 70, 62.5, 31.8146, 31.8146, 11.8146, 11.7821]),
    ],
)
def test_the_queue_model_gives_the_published_numbers(power: int, expected: list[float]) -> None:
    """hftbacktest's power models, computed in ten-thousandths."""
    unit = 10_000
    front, traded, level = 100 * unit, 0, 100 * unit
    seen = []
    for trade, after in ((0, 140), (30, 0), (0, 95), (0, 60), (0, 75), (20, 0), (0, 50)):
        if trade:
            front, traded = front - trade * unit, traded + trade * unit
        else:
            front = advance_queue(front, level, after * unit, traded, power)
            level, traded = after * unit, 0
        seen.append(front / unit)
    assert seen == pytest.approx(expected, abs=2e-3)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 500), st.integers(0, 3))
def test_the_estimate_stays_between_nothing_and_the_level(
    f: int, extra: int, after: int, traded: int, power: int
) -> None:
    moved = advance_queue(f, f + extra, after, traded, power)
    assert 0 <= moved <= after
    assert moved <= f


def test_side_words_are_kept() -> None:
    lab = quoted()
    lab.order(Side.SELL, 10)
    assert lab.traded() == [("10", "10")]
