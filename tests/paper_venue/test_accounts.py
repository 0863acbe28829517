"""The venue's account and the engine's ledger book the same fills to the same cash: otherwise every order on it would differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.paper.accounts import Account, check_conservation
from engine.domain import events as ev
from engine.domain.instrument import make_instrument
from engine.domain.ledger_events import InstrumentDefined, LedgerOpened
from engine.domain.money import Money, Price, Qty
from engine.domain.order import Side
from engine.ledger.ledger import Ledger

FILLS = st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.integers(1, 400)), max_size=20)


@pytest.mark.parametrize("kind", ["equity", "crypto_spot", "future", "perpetual"])
@given(fills=FILLS)
def test_venue_and_ledger_agree_on_cash(kind: str, fills: list[tuple[bool, int, int]]) -> None:
    made = make_instrument("ES", kind, "XSIM", "USD", "0.25", multiplier="50")
    account, ledger = Account(name="PAPER"), Ledger()
    ledger.apply(1, 1, LedgerOpened(ledger_id="TEST0", schema=1, currency="USD"))
    ledger.apply(2, 1, InstrumentDefined(instrument=made))
    for number, (is_buy, qty, ticks) in enumerate(fills):
        fill = ev.Fill(
            broker="paper",
            account="PAPER",
            fill_key=f"f{number}",
            symbol="ES",
            side=Side.BUY if is_buy else Side.SELL,
            qty=Qty(qty),
            price=Price(Price(ticks) * Qty("0.25")),
            ts_ns=number,
            fee=Money("0.85"),
        )
        account.book(fill, made)
        ledger.apply(3 + number, number, ev.OrderFilled(order_id="C2", fill=fill))
    check_conservation(account)
    assert account.cash.get("USD", Money(0)) == ledger.cash.get(("paper", "PAPER", "USD"), Money(0))
    assert account.position("ES") == ledger.qty("PAPER", "ES")


def test_a_future_moves_no_cash_until_it_is_closed() -> None:
    made = make_instrument("ES", "future", "XSIM", "USD", "0.25", multiplier="50")
    account = Account(name="PAPER")
    for key, side, price in (("a", Side.BUY, "5000"), ("b", Side.SELL, "5001")):
        fill = ev.Fill(
            broker="paper", account="PAPER", fill_key=key, symbol="ES", side=side, qty=Qty(2), price=Price(price), ts_ns=1
        )  # fmt: skip
        account.book(fill, made)
        assert account.cash["USD"] == (0 if key == "a" else 100)
