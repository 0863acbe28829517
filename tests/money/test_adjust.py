"""A person's bookings: with a reason, once for each id, at what a position had cost, and nothing of it is a result of the day."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Qty
from engine.domain.money_events import AdjustAs, Adjustment
from engine.domain.movements import Movement, MovementKind
from engine.domain.order import Source, SourceKind
from engine.oms import broker_interface as bi
from tests.core.lab import AAPL, ME, Lab


def booked(lab: Lab, source: Source = ME, **terms: Any) -> co.CommandResult:
    held: dict[str, Any] = {
        "id": "A1", "as_": AdjustAs.CASH, "broker": "paper", "account": "PAPER", "reason": "wire", **terms,
    }  # fmt: skip
    return lab.submit(co.AdjustBooks(source=source, adjustment=Adjustment(**held)))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def cash(lab: Lab) -> str:
    return str(lab.engine.ledger.cash["paper", "PAPER", "USD"])


def test_cash_is_booked_once_for_each_id_and_is_no_result(lab: Lab) -> None:
    assert booked(lab, cash=Money("500.25"), currency="USD").ok
    again = booked(lab, cash=Money("500.25"), currency="USD")
    assert (again.ok, again.repeated, again.code) == (True, True, "REPEATED")
    other = booked(lab, cash=Money(7), currency="USD")
    assert (other.ok, other.code) == (False, "ADJUST_REUSED")
    assert cash(lab) == "1000500.25"
    assert lab.engine.view_of_risk.pnl_day("PAPER") == Money(0)
    assert lab.kinds().count("books_adjusted") == 1
    assert not lab.engine.ledger.conservation_faults()


def test_a_position_is_taken_over_at_what_it_had_cost(lab: Lab) -> None:
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(30)),)))
    assert [(one.scope.name, one.state) for one in lab.engine.kill.held()] == [("AAPL", ev.TradingState.REDUCING)]
    took = booked(lab, symbol="AAPL", qty=Qty(30), cost=Money(1000), as_=AdjustAs.TRANSFER)
    assert took.ok, took.text
    held = lab.engine.ledger.position("paper", "PAPER", "AAPL")
    assert held is not None
    assert (str(held.qty), str(held.cost)) == ("30", "1000")
    assert not lab.engine.kill.held(), "what the comparison had tripped is explained"
    lab.answer(lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(30)),)))
    assert lab.engine.reconciler.last["paper", "PAPER"].clean
    lab.sell(30, intent="s")
    wire = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 30, "k", "40.00", side=lab.broker.sent[-1].spec.side))
    assert (str(held.qty), str(held.cost), str(held.realised)) == ("0", "0", "200")
    assert not lab.engine.ledger.conservation_faults()


@pytest.mark.parametrize(
    ("code", "terms"),
    [
        ("REASON", {"cash": Money(1), "currency": "USD", "reason": " "}),
        ("REASON", {"cash": Money(1), "currency": "USD", "reason": "two\nlines"}),
        ("REASON", {"cash": Money(1), "currency": "USD", "reason": "x" * 1_001}),
        ("REASON", {"cash": Money(1), "currency": "USD", "id": "\x1b[31m"}),
        ("BROKER_UNKNOWN", {"cash": Money(1), "currency": "USD", "account": "OTHER"}),
        ("ADJUST_BAD", {"currency": "USD"}),
        ("ADJUST_BAD", {"cash": Money(1), "currency": "usd"}),
        ("INSTRUMENT_UNKNOWN", {"symbol": "NOPE", "qty": Qty(1), "cost": Money(1)}),
        ("ADJUST_BAD", {"symbol": "AAPL", "qty": Qty("0.5"), "cost": Money(1)}),
        ("ADJUST_BAD", {"symbol": "AAPL", "qty": Qty(-1), "cost": Money(1)}),
        ("ADJUST_BAD", {"cash": Money("1e18"), "currency": "USD"}),
        ("ADJUST_BAD", {"cash": Money("1e-19"), "currency": "USD"}),
        ("ADJUST_BAD", {"symbol": "AAPL", "qty": Qty("1e30"), "cost": Money(1)}),
        ("ADJUST_BAD", {"symbol": "AAPL", "qty": Qty(1), "cost": Money("1e50")}),
        ("ADJUST_BAD", {"cash": Money(100), "currency": "AAPL"}),
        ("SOURCE_NOT_ALLOWED", {"cash": Money(1), "currency": "USD", "source": Source(SourceKind.STRATEGY, "Dip")}),
    ],
)
def test_what_cannot_be_booked_books_nothing(lab: Lab, code: str, terms: dict[str, Any]) -> None:
    refused = booked(lab, **terms)
    assert (refused.ok, refused.code) == (False, code)
    assert "books_adjusted" not in lab.kinds()


@pytest.mark.parametrize(("qty", "cost"), [(30, 9_000), (30, 1), (-30, -1), (-30, -9_000)])
def test_a_position_that_is_taken_over_is_no_result_of_the_day(tmp_path: Path, qty: int, cost: int) -> None:
    """It counted from its cost: what it had lost in a year could halt the desk on the day it was moved here."""
    lab = Lab(tmp_path, ledger=tmp_path / "ledger.db")
    lab.connect()
    lab.quote(18900, 18902)
    took = booked(lab, symbol="AAPL", qty=Qty(qty), cost=Money(cost), as_=AdjustAs.TRANSFER)
    assert "fresh price" not in took.text
    assert lab.engine.view_of_risk.pnl_day("PAPER") == Money(0)
    lab.quote(19000, 19002)
    gained = Money(qty)  # a dollar on each
    assert lab.engine.view_of_risk.pnl_day("PAPER") == gained
    assert booked(lab, id="A2", symbol="AAPL", qty=Qty(-qty), cost=Money(-7 * qty), as_=AdjustAs.TRANSFER).ok
    assert lab.engine.view_of_risk.pnl_day("PAPER") == gained + Money(Decimal("0.02") * abs(qty)), (
        "given away at the other side of the quote"
    )
    assert not lab.engine.ledger.conservation_faults()
    lab.journal.close()
    again = Lab(tmp_path, ledger=tmp_path / "ledger.db", start_ns=lab.clock.now_ns())
    assert again.engine.view_of_risk.pnl_day("PAPER") == lab.engine.view_of_risk.pnl_day("PAPER")
    again.journal.close()


def test_without_a_price_it_counts_from_its_cost_and_that_is_said(tmp_path: Path) -> None:
    lab = Lab(tmp_path, listed=(AAPL, make_instrument("MSFT", "equity", "XSIM", "USD", "0.05")))
    lab.connect()
    took = booked(lab, symbol="MSFT", qty=Qty(30), cost=Money(1000))
    assert took.text.startswith("booked A1: position 30 MSFT at a cost of 1000 (wire); it has no fresh price")


def test_a_transfer_that_the_broker_books_is_no_result_either(lab: Lab) -> None:
    lab.quote(18900, 18902)
    now = lab.clock.now_ns()
    moved = Movement(
        broker="paper", account="PAPER", key="m1", kind=MovementKind.TRANSFER, ts_ns=now, symbol="AAPL", qty=Qty(30),
        cost=Money(9_000),
    )  # fmt: skip
    lab.answer(bi.Moved(broker="paper", ts_ns=now, movement=moved))
    assert lab.engine.view_of_risk.pnl_day("PAPER") == Money(0)
    lab.answer(
        bi.Moved(broker="paper", ts_ns=now, movement=msgspec.structs.replace(moved, key="m2", cost=Money("1e50")))
    )
    assert lab.kinds().count("movement_booked") == 1, (
        "a number that cannot be worked with is an alert and is not booked"
    )
    assert lab.kinds()[-1] == "alert"


def test_the_books_are_the_same_after_a_restart(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    (tmp_path / "a").mkdir()
    one = Lab(tmp_path / "a", ledger=ledger)
    one.connect()
    booked(one, symbol="AAPL", qty=Qty(7), cost=Money(100), as_=AdjustAs.OPENING)
    one.engine.stop("done")
    one.journal.commit()
    one.journal.close()
    (tmp_path / "b").mkdir()
    two = Lab(tmp_path / "b", ledger=ledger)
    held = two.engine.ledger.position("paper", "PAPER", "AAPL")
    assert held is not None
    assert (str(held.qty), str(held.cost)) == ("7", "100"), (
        "a seventh of 100 does not come out even, and nothing is lost"
    )
    assert booked(two, symbol="AAPL", qty=Qty(7), cost=Money(100), as_=AdjustAs.OPENING).code == "REPEATED"
    two.journal.close()
