"""A venue-side account: deposits, cash, positions and fees, exact in Decimal.

Shares and coins are paid for in full. Futures and perpetuals move only realised results, first in first out, as the engine's
ledger books them. Conservation, to the last unit and per currency: ``cash + sum of what was paid = deposits - fees + other bookings``.
"""

from __future__ import annotations

import msgspec

from engine.domain.errors import InvariantError
from engine.domain.events import Fill
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, ZERO_MONEY, Money, Price, Qty
from engine.domain.movements import BROUGHT, Movement, MovementKind
from engine.ledger.ledger import MARGINED


class OpenLot(msgspec.Struct, kw_only=True):
    """Contracts opened at one price; ``qty`` is signed."""

    qty: Qty
    price: Price


class Holding(msgspec.Struct, kw_only=True):
    """A position: signed quantity, and what has been paid for it so far (received: negative)."""

    currency: str
    qty: Qty = Qty(0)
    cost: Money = Money(0)
    lots: list[OpenLot] = []
    """Of a future or perpetual, oldest first."""

    def settle(self, qty: Qty, price: Price, multiplier: Qty) -> Money:
        """Book signed contracts; what they realise is paid in cash, so the payment is its negative."""
        paid = Money(0)
        rest = qty
        while rest and self.lots and (self.lots[0].qty > 0) != (rest > 0):
            lot = self.lots[0]
            closed = rest if abs(rest) < abs(lot.qty) else -lot.qty
            paid += Money(EXACT.multiply(EXACT.multiply(EXACT.subtract(price, lot.price), closed), multiplier))
            lot.qty = lot.qty + closed
            rest = rest - closed
            if not lot.qty:
                self.lots.pop(0)
        if rest:
            self.lots.append(OpenLot(qty=rest, price=price))
        return paid


class Account(msgspec.Struct, kw_only=True):
    """One account at the venue. Serialisable as it stands."""

    name: str
    deposits: dict[str, Money] = {}
    cash: dict[str, Money] = {}
    fees: dict[str, Money] = {}
    moved: dict[str, Money] = {}
    """What came in beside executions and deposits: conversions, dividends, funding, interest."""
    holdings: dict[str, Holding] = {}
    called_ns: int = 0
    """When its margin call runs out; 0 where there is none."""
    due: dict[str, Qty] = {}
    """What was held when a dividend was cut off that is still to be paid."""

    def deposit(self, currency: str, amount: Money) -> None:
        """Pay in (negative: take out)."""
        self.deposits[currency] = self.deposits.get(currency, Money(0)) + amount
        self.cash[currency] = self.cash.get(currency, Money(0)) + amount

    def position(self, symbol: str) -> Qty:
        """Signed quantity held."""
        held = self.holdings.get(symbol)
        return Qty(0) if held is None else held.qty

    def book(self, fill: Fill, instrument: Instrument) -> None:
        """Book one execution: position, what is paid for it, the fee and the cash of both."""
        currency = instrument.currency
        held = self.holdings.get(fill.symbol)
        if held is None:
            held = self.holdings[fill.symbol] = Holding(currency=currency)
        signed = fill.qty if fill.side.sign > 0 else -fill.qty
        held.qty = held.qty + signed
        if instrument.kind in MARGINED:
            value = held.settle(signed, fill.price, instrument.multiplier)
        else:
            value = instrument.notional(fill.price, signed)
        held.cost += value
        self.cash[currency] = self.cash.get(currency, ZERO_MONEY) - value
        paid_in, fee = fill.fee_currency or currency, fill.fee
        if fee or paid_in not in self.fees:
            self.fees[paid_in] = self.fees.get(paid_in, ZERO_MONEY) + fee
            self.cash[paid_in] = self.cash.get(paid_in, ZERO_MONEY) - fee

    def currency_of(self, symbol: str, currency: str) -> None:
        """Have a holding of a symbol, so that something may come in."""
        self.holdings.setdefault(symbol, Holding(currency=currency))

    def move(self, made: Movement) -> None:
        """Book a movement: its cash, and what it does to a position."""
        for leg in made.cash:
            sums = self.deposits if made.kind in BROUGHT else self.moved
            sums[leg.currency] = sums.get(leg.currency, Money(0)) + leg.amount
            self.cash[leg.currency] = self.cash.get(leg.currency, Money(0)) + leg.amount
        held = self.holdings.get(made.symbol)
        if made.kind is MovementKind.TRANSFER and held is not None and made.qty:
            held.qty = held.qty + made.qty
            held.cost = held.cost + made.cost
            self.deposits[held.currency] = self.deposits.get(held.currency, Money(0)) + made.cost
        if made.kind is MovementKind.SPLIT and held is not None:
            held.qty = made.qty

    def imbalance(self) -> dict[str, Money]:
        """Per currency what conservation misses; every value is zero in a sound account."""
        missing: dict[str, Money] = {}
        for currency in sorted({*self.cash, *self.deposits, *self.fees, *self.moved}):
            cost = Money(0)
            for held in self.holdings.values():
                if held.currency == currency:
                    cost += held.cost
            expected = self.deposits.get(currency, Money(0)) - self.fees.get(currency, Money(0))
            expected += self.moved.get(currency, Money(0))
            missing[currency] = self.cash.get(currency, Money(0)) + cost - expected
        return missing


def check_conservation(account: Account) -> None:
    """Raise InvariantError where cash, positions, deposits and fees do not add up to the last unit."""
    wrong = {currency: str(amount) for currency, amount in account.imbalance().items() if amount}
    if wrong:
        raise InvariantError(f"account {account.name}: cash + cost of positions - deposits + fees is {wrong}, not zero")
