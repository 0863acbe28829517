"""The owner of a paper account at its counter: a real venue process, its log, and an engine that was away."""

from __future__ import annotations

from pathlib import Path

import pytest

from brokers.paper.protocol import Act
from brokers.paperbroker import PaperSession, ensure_venue, stop_venue
from engine.domain.errors import VenueError
from engine.domain.money import Money
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
        with pytest.raises(VenueError, match="no rate of EUR in JPY"):
            session.book(Act.CONVERT, amount=Money(100), currency="EUR", to="JPY")
        session.close()
        stop_venue(tmp_path)
        ensure_venue(tmp_path, 7, "1000")
        session = PaperSession(tmp_path, deadline_s=20)
        assert session.cash() == {"USD": Money("1119.94"), "EUR": Money(400)}
        session.close()
    finally:
        stop_venue(tmp_path)
