"""What an order would do: a pure question with every verdict, and figures against book, rates, own orders and habit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from engine.api.habits import PLACES_MAX, Habits
from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.money import Price, Qty
from engine.domain.order import AlgoSpec, OrderSpec, OrderType, Side, Source, SourceKind
from engine.market.feed import BookTick
from engine.market.fees import shipped_fees
from tests.core.lab import ME, Lab

DESK = Source(SourceKind.DESK, "anna")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def spec_of(side: Side = Side.BUY, qty: str = "100", limit: str | None = "189.02", **more: object) -> OrderSpec:
    return OrderSpec(
        symbol="AAPL",
        side=side,
        qty=Qty(qty),
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit=None if limit is None else Price(limit),
        **more,  # type: ignore[arg-type] # the fields a test gives
    )


def ask(lab: Lab, spec: OrderSpec, source: Source = DESK) -> co.CommandResult:
    return lab.engine.what_if(co.Preview(source=source, spec=spec))


def show_book(lab: Lab) -> None:
    """Asks 300 at 189.02, 400 at 189.04, 500 at 189.10; bids 200 at 189.00."""
    asks = ((18902, 300), (18904, 400), (18910, 500))
    lab.engine.on_market(BookTick("AAPL", "XSIM", lab.clock.now_ns(), 2, ((18900, 200),), asks))


def test_a_question_changes_nothing(lab: Lab) -> None:
    engine = lab.engine
    lab.buy(100, "188.00")
    before = (engine.journal.head_seq, engine.journal.pending, engine.store.next_counter(), len(lab.broker.sent))
    orders = {order_id: order.state for order_id, order in engine.store.orders.items()}
    first = ask(lab, spec_of())
    for spec in (spec_of(Side.SELL, "999999"), spec_of(qty="0.5"), spec_of(limit="1"), spec_of(qty="1e300")):
        assert not ask(lab, spec).ok
    assert ask(lab, spec_of()) == first
    assert first.ok
    assert before == (
        engine.journal.head_seq,
        engine.journal.pending,
        engine.store.next_counter(),
        len(lab.broker.sent),
    )
    assert orders == {order_id: order.state for order_id, order in engine.store.orders.items()}
    assert lab.buy(100, "189.02", intent="i2").ok, "asking before is no duplicate of it"


def test_every_rule_has_its_verdict_and_each_limit_its_share(lab: Lab) -> None:
    result = ask(lab, spec_of(qty="1000"))
    checks = {check.code: check for check in result.checks}
    assert len(checks) > 50
    assert (checks["QTY_MAX"].value, checks["QTY_MAX"].limit, checks["QTY_MAX"].share) == ("1000", "20000", "5")
    assert checks["QTY_MAX"].policy_line.startswith("policy.yaml:")
    assert checks["POSITION_MAX"].share == "2"
    assert checks["DUPLICATE"].share == "", "a least allowed has no share"
    refused = ask(lab, spec_of(qty="30000"))
    assert next(check.share for check in refused.checks if check.code == "QTY_MAX") == "150"
    assert "QTY_MAX" in [denial.code for denial in refused.denials]


def test_a_share_above_its_limit_is_never_shown_as_within_it(lab: Lab) -> None:
    result = ask(lab, spec_of(qty="19999"))
    check = next(check for check in result.checks if check.code == "QTY_MAX")
    assert (check.ok, check.share) == (True, "100"), "rounded up: above the limit is never shown as within it"
    over = next(check for check in ask(lab, spec_of(qty="20001")).checks if check.code == "QTY_MAX")
    assert (over.ok, over.share) == (False, "100.1")


def test_the_cost_is_walked_through_the_visible_levels(lab: Lab) -> None:
    show_book(lab)
    figures = ask(lab, spec_of(qty="500", limit=None)).preview
    assert (figures["book_qty"], figures["book_levels"]) == ("500", "2")
    # 300 at 189.02 and 200 at 189.04 against a middle of 189.01: 300 * .01 + 200 * .03 = 9 USD, on 94,505: 0.95 bp.
    assert figures["book_avg"] == "189.028"
    assert (figures["cost"], figures["cost_bp"]) == ("9 USD", "1")
    limited = ask(lab, spec_of(qty="500", limit="189.02")).preview
    assert (limited["book_qty"], limited["book_rest"]) == ("300", "200 rests")
    assert limited["ticks_from_mid"] == "1"
    far = ask(lab, spec_of(qty="2000", limit=None)).preview
    assert far["book_rest"] == "800 beyond the visible book"


def test_a_resting_order_costs_nothing_now_and_a_schedule_says_that_it_meets_later_books(lab: Lab) -> None:
    assert ask(lab, spec_of(limit="189.00")).preview["cost"] == "0 (it rests)"
    minutes = AlgoSpec(name="twap", duration_ns=60_000_000_000)
    assert "later books" in ask(lab, spec_of(limit=None, algo=minutes)).preview["cost"]


def test_the_fee_is_the_rate_filess_and_says_that_it_is_an_example(tmp_path: Path) -> None:
    lab = Lab(tmp_path, fees={"XSIM": shipped_fees()["SIMA"]})
    lab.connect()
    show_book(lab)
    # One basis point of 300 * 189.02 taken, and a rebate of a fifth of a point on the 200 that rest.
    assert ask(lab, spec_of(qty="500")).preview["fee"] == "4.92 USD (example rates)"
    without = Lab(tmp_path / "other")
    without.connect()
    assert ask(without, spec_of()).preview["fee"] == "n/a (no rates for XSIM)"


def test_own_orders_that_it_could_meet_are_named(lab: Lab) -> None:
    assert ask(lab, spec_of()).preview["self_cross"] == "none"
    lab.sell(100, "189.05")
    child = next(iter(lab.engine.store.live))
    result = ask(lab, spec_of(limit="189.05"))
    assert result.preview["self_cross"] == child
    assert "SELF_CROSS" in [denial.code for denial in result.denials]


def test_the_size_stands_beside_what_its_person_usually_orders(lab: Lab) -> None:
    assert ask(lab, spec_of()).preview["median"] == "n/a (fewer than 3 orders)"
    for number, qty in enumerate((100, 300, 200)):
        lab.pass_time(2)
        lab.buy(qty, "188.00", intent=f"i{number}")
    figures = ask(lab, spec_of(qty="2000")).preview
    assert (figures["median"], figures["median_times"]) == ("200", "10")
    assert "fewer" in ask(lab, spec_of(), Source(SourceKind.DESK, "bert")).preview["median"]


def test_habits_are_bounded() -> None:
    habits = Habits()
    for number in range(PLACES_MAX + 5):
        event = ev.ParentAccepted(
            order_id=f"P{number}",
            intent_id="",
            spec=spec_of(),
            source=msgspec.structs.replace(ME, name=str(number)),
            decision=ev.Decision(policy_hash=""),
        )
        for _ in range(3):
            habits.routes[ev.ParentAccepted](1, 1, event)
    assert habits.median(msgspec.structs.replace(ME, name="0"), "AAPL") is None
    assert habits.median(msgspec.structs.replace(ME, name=str(PLACES_MAX)), "AAPL") == Qty(100)


def test_a_halt_is_said_and_the_figures_stay(lab: Lab) -> None:
    lab.submit(co.Halt(source=ME, why="test"))
    result = ask(lab, spec_of())
    assert "HALTED" in [denial.code for denial in result.denials]
    assert result.preview["position_after"] == "100"


def test_margin_is_what_the_gate_counts(lab: Lab) -> None:
    """Half of a share's exposure, in percent of the equity, as MARGIN_MAX judges it."""
    result = ask(lab, spec_of())
    (counted,) = [check for check in result.checks if check.code == "MARGIN_MAX"]
    share, _, needed = result.preview["margin"].partition("% of equity (")
    assert needed.endswith(" USD, all open orders filled)")
    assert Decimal(needed.split()[0]) == 100 * Decimal(result.preview["mid"]) / 2
    assert 0 <= Decimal(share) - Decimal(counted.value.rstrip("%")) < Decimal("0.1")


def of_order(lab: Lab, order_id: str, spec: OrderSpec) -> co.CommandResult:
    return lab.engine.what_if(co.Preview(source=DESK, spec=spec, order_id=order_id))


def test_the_preview_of_an_amend_is_judged_beside_no_copy_of_itself(lab: Lab) -> None:
    """What works already is not counted twice, and the figures are of what is left."""
    lab.buy(100, "188")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 40, "f1", "188"))
    new = of_order(lab, "P1", spec_of(qty="120", limit="188.01"))
    assert new.ok
    assert [new.preview[name] for name in ("position", "position_after", "position_worst")] == ["40", "120", "120"]
    show_book(lab)
    taking = of_order(lab, "P1", spec_of(qty="120", limit="189.02"))
    assert (taking.preview["book_qty"], taking.preview["notional"]) == ("80", "22682.4")


@pytest.mark.parametrize("order_id", ["P9", "P1"])
def test_the_preview_of_an_amend_that_cannot_be_says_why(lab: Lab, order_id: str) -> None:
    lab.buy(100, "189.02")
    lab.answer(lab.fill(lab.broker.sent[0].wire_id, 100, "f1"))
    told = of_order(lab, order_id, spec_of())
    assert (told.ok, told.code) == (False, "ILLEGAL")
    assert told.text.startswith(f"amend {order_id}: ")


def test_the_preview_of_a_staged_order_is_of_its_own_terms(lab: Lab) -> None:
    lab.submit(co.NewOrder(source=ME, intent_id="s", spec=spec_of(qty="10"), why="", staged=True))
    told = of_order(lab, "P1", spec_of(qty="999999"))
    assert told.ok
    assert told.preview["position_after"] == "10"
