"""A venue-side account: deposits, cash, positions and fees, exact in Decimal.

Conservation, to the last unit and per currency: ``cash + sum of what positions cost = deposits - fees``.
"""

from __future__ import annotations

import msgspec

from engine.domain.errors import InvariantError
from engine.domain.events import Fill
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Money, Qty


class Holding(msgspec.Struct, kw_only=True):
    """A position: signed quantity, and what it has cost so far (buys positive, sells negative)."""

    currency: str
    qty: Qty = Qty(0)
    cost: Money = Money(0)


class Account(msgspec.Struct, kw_only=True):
    """One account at the venue. Serialisable as it stands."""

    name: str
    deposits: dict[str, Money] = {}
    cash: dict[str, Money] = {}
    fees: dict[str, Money] = {}
    holdings: dict[str, Holding] = {}

    def deposit(self, currency: str, amount: Money) -> None:
        """Pay in (negative: take out)."""
        self.deposits[currency] = self.deposits.get(currency, Money(0)) + amount
        self.cash[currency] = self.cash.get(currency, Money(0)) + amount

    def position(self, symbol: str) -> Qty:
        """Signed quantity held."""
        held = self.holdings.get(symbol)
        return Qty(0) if held is None else held.qty

    def book(self, fill: Fill, instrument: Instrument) -> None:
        """Book one execution: position, its cost, the fee and the cash of both."""
        sign = fill.side.sign
        value = Money(EXACT.multiply(instrument.notional(fill.price, fill.qty), sign))
        currency = instrument.currency
        held = self.holdings.setdefault(fill.symbol, Holding(currency=currency))
        held.qty = held.qty + fill.qty if sign > 0 else held.qty - fill.qty
        held.cost += value
        self.cash[currency] = self.cash.get(currency, Money(0)) - value
        paid_in = fill.fee_currency or currency
        self.fees[paid_in] = self.fees.get(paid_in, Money(0)) + fill.fee
        self.cash[paid_in] = self.cash.get(paid_in, Money(0)) - fill.fee

    def imbalance(self) -> dict[str, Money]:
        """Per currency what conservation misses; every value is zero in a sound account."""
        missing: dict[str, Money] = {}
        for currency in sorted({*self.cash, *self.deposits, *self.fees}):
            cost = Money(0)
            for held in self.holdings.values():
                if held.currency == currency:
                    cost += held.cost
            expected = self.deposits.get(currency, Money(0)) - self.fees.get(currency, Money(0))
            missing[currency] = self.cash.get(currency, Money(0)) + cost - expected
        return missing


def check_conservation(account: Account) -> None:
    """Raise InvariantError where cash, positions, deposits and fees do not add up to the last unit."""
    wrong = {currency: str(amount) for currency, amount in account.imbalance().items() if amount}
    if wrong:
        raise InvariantError(f"account {account.name}: cash + cost of positions - deposits + fees is {wrong}, not zero")
