"""The owner of a paper account at its counter: a real venue process, its log, and an engine that was away."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from brokers.paper.protocol import Act
from brokers.paperbroker import PaperSession, ensure_venue, stop_venue
from engine.domain import commands as co
from engine.domain.errors import VenueError, VenueRefused
from engine.domain.money import Money, Qty
from engine.domain.movements import CashLeg, Movement, MovementKind
from engine.oms import broker_interface as bi
from tests.core.lab import ME, Lab
from tests.money.test_fx import RATES


def test_a_conversion_and_a_deposit_outlive_the_venue(tmp_path: Path) -> None:
    (tmp_path / "fx.yaml").write_text(RATES)
    ensure_venue(tmp_path, 7, "1000")
    try:
        session = PaperSession(tmp_path, deadline_s=20)
        assert "deposit 500 EUR" in session.book(Act.DEPOSIT, amount=Money(500), currency="EUR", text="first")
        assert "conversion -100 EUR 119.94 USD" in session.book(
            Act.CONVERT, amount=Money(100), currency="EUR", to="USD"
        )
        with pytest.raises(VenueRefused, match=r"no rate of EUR in JPY.*fx\.yaml of the state folder"):
            session.book(Act.CONVERT, amount=Money(100), currency="EUR", to="JPY")
        session.close()
        stop_venue(tmp_path)
        ensure_venue(tmp_path, 7, "1000")
        session = PaperSession(tmp_path, deadline_s=20)
        assert session.cash() == {"USD": Money("1119.94"), "EUR": Money(400)}
        session.close()
    finally:
        stop_venue(tmp_path)


def test_another_terminal_trades_and_an_engine_that_was_away_learns_of_it(tmp_path: Path) -> None:
    ensure_venue(tmp_path, 7, "1000000")
    try:
        session = PaperSession(tmp_path, deadline_s=20)
        assert "filled" in session.book(Act.ORDER, symbol="AAPL", qty=Qty(10))
        assert "transfer 100 MSFT" in session.book(Act.TRANSFER, symbol="MSFT", qty=Qty(100), amount=Money(40_000))
        with pytest.raises(VenueError, match="NOPE is not listed"):
            session.book(Act.ORDER, symbol="NOPE", qty=Qty(10))
        with pytest.raises(VenueError, match=r"AAPL is an instrument and no currency"):
            session.book(Act.DEPOSIT, currency="AAPL", amount=Money(100))
        with pytest.raises(VenueError, match=r"0.5 MSFT is no whole number of lots of 1"):
            session.book(Act.TRANSFER, symbol="MSFT", qty=Qty("0.5"), amount=Money(200))
        for act, terms in (
            (Act.TRANSFER, {"symbol": "MSFT", "qty": Qty(1), "amount": Money("1e50")}),
            (Act.DEPOSIT, {"currency": "USD", "amount": Money("1e18")}),
            (Act.ORDER, {"symbol": "AAPL", "qty": Qty("1e30")}),
        ):
            with pytest.raises(VenueError, match="more than 18 digits before or behind the point; nothing was booked"):
                session.book(act, **terms)
        with pytest.raises(VenueError, match="only what is paid in full"):
            session.book(Act.TRANSFER, symbol="ES", qty=Qty(1), amount=Money(1))
        stop_venue(tmp_path)
        session.close()
        ensure_venue(tmp_path, 7, "1000000")
        session = PaperSession(tmp_path, deadline_s=20)
        assert {one.symbol: str(one.qty) for one in session.positions()} == {"AAPL": "10", "MSFT": "100"}
        session.close()
    finally:
        stop_venue(tmp_path)


def test_a_snapshot_brings_what_was_missed_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.connect()
    moved = Movement(
        broker="paper", account="PAPER", key="transfer:000000001", kind=MovementKind.TRANSFER, symbol="AAPL",
        qty=Qty(30), cost=Money(3000), ts_ns=lab.clock.now_ns(),
    )  # fmt: skip
    paid = Movement(
        broker="paper", account="PAPER", key="interest:000000002", kind=MovementKind.INTEREST,
        cash=(CashLeg("USD", Money("1.23")),), ts_ns=lab.clock.now_ns(),
    )  # fmt: skip
    for _ in range(2):
        lab.submit(co.Reconcile(source=ME))
        held = (bi.VenuePosition("AAPL", Qty(30)),)
        lab.answer(lab.snapshot(movements=(moved, paid), positions=held, cash={"USD": Money("1000001.23")}))
        lab.answer(bi.Moved(broker="paper", ts_ns=lab.clock.now_ns(), movement=paid))
    assert lab.kinds().count("movement_booked") == 2
    assert lab.engine.reconciler.last["paper", "PAPER"].clean
    assert str(lab.engine.view_of_risk.pnl_day("PAPER")) != "0", "interest is a result, a transfer is none"
    other = msgspec.structs.replace(paid, cash=(CashLeg("USD", Money(9)),))
    lab.answer(bi.Moved(broker="paper", ts_ns=lab.clock.now_ns(), movement=other))
    lab.answer(bi.Moved(broker="paper", ts_ns=lab.clock.now_ns(), movement=other))
    assert lab.kinds().count("alert") == 1
    assert not lab.engine.ledger.conservation_faults()
