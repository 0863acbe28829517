"""Limits with their headroom, exposures, costs and bars: what the desk shows beside orders, from a real engine."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from bolt_tui.client import merge
from engine.domain.clock import NS_PER_S
from engine.domain.money import Qty
from engine.market.bars import BAR_NS, BARS_KEPT
from engine.market.feed import TradeTick
from engine.views import CostView, DeskUpdate, DeskView, LimitView
from tests.core.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def trade(lab: Lab, price: int, qty: int = 100) -> None:
    lab.engine.on_market(TradeTick("AAPL", "XSIM", lab.clock.now_ns(), 1, price, qty, "N"))


def hold(lab: Lab, qty: int, price: str = "189.02") -> None:
    lab.buy(qty, "189.10", intent=f"hold{len(lab.broker.sent)}")
    wire = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, qty, f"k{len(lab.broker.sent)}", price))


def later(lab: Lab) -> DeskView:
    """The picture a second on: sums are made once a second."""
    lab.pass_time(1)
    return lab.engine.view()


def limit(view: DeskView, code: str, scope: str = "PAPER") -> LimitView:
    return next(row for row in view.limits if (row.code, row.scope) == (code, scope))


def cost(view: DeskView) -> CostView:
    return view.costs[-1]


def test_each_standing_limit_has_its_value_its_limit_and_its_policy_line(lab: Lab) -> None:
    lab.buy(1000, "189.00")
    view = later(lab)
    position = limit(view, "POSITION_MAX", "AAPL")
    assert (position.value, position.limit, position.used_pct) == ("1000", "50000", 2)
    assert position.policy_line.startswith("policy.yaml:")
    gross = limit(view, "GROSS_MAX")
    assert (gross.value, gross.unit, gross.used_pct) == ("189010", "USD", 1)
    assert limit(view, "OPEN_COUNT").value == "1"
    assert limit(view, "DAY_ORDERS").value == "1"
    assert limit(view, "RATE_ACCOUNT").limit == "40"
    assert not [row for row in view.limits if not row.policy_line]


def test_a_short_side_counts_as_a_long_one_does(lab: Lab) -> None:
    lab.sell(2000, "189.10")
    assert limit(later(lab), "POSITION_MAX", "AAPL").value == "2000"


def test_a_bar_tells_the_limit_and_line_that_a_denial_names(lab: Lab) -> None:
    lab.buy(9_000, "189.00")
    lab.clock.set_ns(lab.clock.now_ns() + 2 * NS_PER_S)
    lab.quote()
    denial = lab.buy(9_000, "189.00", intent="over").denials[0]
    row = limit(later(lab), denial.code)
    assert (row.limit, row.policy_line) == (denial.limit, denial.policy_line)
    assert Decimal(row.value) < Decimal(row.limit) < Decimal(denial.value)


def test_what_cannot_be_known_has_no_figure(lab: Lab) -> None:
    hold(lab, 100)
    lab.clock.set_ns(lab.clock.now_ns() + 3600 * NS_PER_S)
    row = limit(lab.engine.view(), "LOSS_MAX")
    assert (row.value, row.used_pct) == ("", None)


def test_exposure_is_summed_by_symbol_source_broker_and_currency(lab: Lab) -> None:
    hold(lab, 100)
    found = {(row.kind, row.name): row.long for row in later(lab).exposures}
    amount = Decimal(18901)
    assert found == {
        ("symbol", "AAPL"): amount,
        ("source", "cli:anna"): amount,
        ("broker", "paper"): amount,
        ("currency", "USD"): amount,
    }


def test_costs_split_into_timing_execution_and_fees(lab: Lab) -> None:
    hold(lab, 100, "189.03")
    view = cost(later(lab))
    # The arrival is the middle of 189.00 and 189.02; the child was decided on the same quote.
    assert (str(view.arrival), str(view.timing_bp), str(view.execution_bp)) == ("189.01", "0", "1.06")
    assert view.slip_bp == view.execution_bp
    assert [(share.venue, str(share.qty)) for share in view.venues] == [("XSIM", "100")]


def test_the_markets_own_average_is_told_while_an_order_works_and_not_after_a_restart(lab: Lab) -> None:
    trade(lab, 18_000, 7)
    lab.buy(100, "188.00")
    trade(lab, 18_900, 100)
    trade(lab, 18_910, 300)
    view = cost(later(lab))
    assert (str(view.market_vwap), str(view.market_qty)) == ("189.075", "400")
    assert view.slip_bp is None


def test_bars_are_minutes_of_prints_and_bounded(lab: Lab) -> None:
    start = lab.clock.now_ns() - lab.clock.now_ns() % BAR_NS + BAR_NS
    for minute in range(BARS_KEPT + 5):
        lab.clock.set_ns(start + minute * BAR_NS)
        for price in (18_900 + minute, 18_890, 18_920, 18_901):
            trade(lab, price)
    bars = lab.engine.market.bars.of["AAPL"]
    assert len(bars) == BARS_KEPT
    last = lab.engine.view().bars[-1]
    assert [str(value) for value in (last.open, last.high, last.low, last.close, last.volume)] == [
        "191.44",
        "191.44",
        "188.9",
        "189.01",
        "400",
    ]


def test_a_desk_that_follows_updates_has_the_whole_picture(lab: Lab) -> None:
    cursor, _ = lab.engine.update_since(0)
    view = lab.engine.view()
    for step in range(4):
        hold(lab, 100)
        trade(lab, 18_900 + step)
        lab.pass_time(1)
        cursor, update = lab.engine.update_since(cursor)
        view = merge(view, update)
    whole = lab.engine.view()
    assert (view.limits, view.exposures, view.bars) == (whole.limits, whole.exposures, whole.bars)
    assert {row.order_id: row for row in view.costs} == {row.order_id: row for row in whole.costs}


def test_what_time_alone_changed_is_told_without_a_tick(lab: Lab) -> None:
    """A quote that grows old makes values unknown, and a horizon behind a fill passes: nothing is journaled, nothing ticks."""
    hold(lab, 100)
    cursor, _ = lab.engine.update_since(0)
    view = lab.engine.view()
    for seconds in (1, 15, 120):
        lab.clock.set_ns(lab.clock.now_ns() + seconds * NS_PER_S)
        cursor, update = lab.engine.update_since(cursor)
        assert update.costs or update.limits is not None
        view, whole = merge(view, update), lab.engine.view()
        assert (view.limits, view.exposures, view.costs) == (whole.limits, whole.exposures, whole.costs)
        cursor, update = lab.engine.update_since(cursor)
        assert update == DeskUpdate(), "told once"


def test_what_did_not_change_is_not_told_again(lab: Lab) -> None:
    hold(lab, 100)
    cursor, first = lab.engine.update_since(0)
    assert first.status is not None
    assert [row.symbol for row in first.positions] == ["AAPL"]
    cursor, again = lab.engine.update_since(cursor)
    assert again == DeskUpdate()
    lab.quote(18_950, 18_952)
    moved, update = lab.engine.update_since(cursor)
    assert [row.mark for row in update.positions] == [Decimal("189.50")]
    assert update.status is not None, "the day's result has moved"
    behind, late = lab.engine.update_since(cursor)
    assert (behind, late.positions, late.status) == (moved, update.positions, update.status), "for a slower reader too"
    lab.clock.set_ns(lab.clock.now_ns() + NS_PER_S)
    _, ticked = lab.engine.update_since(moved)
    assert ticked.status is not None, "the time of the engine is told each second"
    assert not ticked.positions


def test_the_cursor_of_now_stands_behind_what_a_picture_holds(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.connect()
    lab.buy(100, "189")
    lab.engine.update_since(0)
    cursor = lab.engine.cursor()
    assert lab.engine.update_since(cursor)[1].log == ()
    assert lab.engine.update_since(cursor)[0] == cursor
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    assert [line.word for line in lab.engine.update_since(cursor)[1].log] == ["ACK"]


def test_a_corrected_execution_takes_the_place_of_the_wrong_one(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.connect()
    lab.buy(100, "189")
    wire_id = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire_id))
    lab.answer(lab.fill(wire_id, 100, "F1", "189"))
    right = lab.fill(wire_id, 60, "F2", "189")
    lab.answer(msgspec.structs.replace(right, fill=msgspec.structs.replace(right.fill, corrects="F1")))
    lab.pass_time(2)
    view = lab.engine.view()
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 60
    mine = {row.kind: row.long for row in view.exposures if row.kind in {"symbol", "source"}}
    assert mine["source"] == mine["symbol"]
    assert [(share.venue, share.qty) for cost in view.costs for share in cost.venues] == [("XSIM", Qty(60))]
