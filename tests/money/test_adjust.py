"""A person's bookings: with a reason, once for each id, at what a position had cost, and nothing of it is a result of the day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.money import Money, Qty
from engine.domain.money_events import AdjustAs, Adjustment
from engine.domain.order import Source, SourceKind
from engine.oms import broker_interface as bi
from tests.core.lab import ME, Lab


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
        ("BROKER_UNKNOWN", {"cash": Money(1), "currency": "USD", "account": "OTHER"}),
        ("ADJUST_BAD", {"currency": "USD"}),
        ("ADJUST_BAD", {"cash": Money(1), "currency": "usd"}),
        ("INSTRUMENT_UNKNOWN", {"symbol": "NOPE", "qty": Qty(1), "cost": Money(1)}),
        ("ADJUST_BAD", {"symbol": "AAPL", "qty": Qty("0.5"), "cost": Money(1)}),
        ("ADJUST_BAD", {"symbol": "AAPL", "qty": Qty(-1), "cost": Money(1)}),
        ("SOURCE_NOT_ALLOWED", {"cash": Money(1), "currency": "USD", "source": Source(SourceKind.STRATEGY, "Dip")}),
    ],
)
def test_what_cannot_be_booked_books_nothing(lab: Lab, code: str, terms: dict[str, Any]) -> None:
    refused = booked(lab, **terms)
    assert (refused.ok, refused.code) == (False, code)
    assert "books_adjusted" not in lab.kinds()


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
