"""Books at the paper venue what is no execution, keeps it for those who ask, and reports it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from brokers.paper.accounts import Account
from brokers.paper.config import VenueConfig
from engine.domain.errors import InputError
from engine.domain.money import Money, Qty
from engine.domain.movements import CashLeg, Movement, MovementKind

MOVEMENTS_MAX = 10_000
"""Kept for each account; older ones are told to nobody who was away for so long."""


class Till(Protocol):
    """What the teller needs of the venue."""

    config: VenueConfig
    now_ns: int

    def account(self, name: str) -> Account:
        """An account, opened on first use."""
        ...

    def number(self) -> int:
        """A number that no other thing of this venue has."""
        ...


class Teller:
    """One for a venue. ``tell`` reports a booking to the account's owner."""

    def __init__(self, till: Till, tell: Callable[[str, Movement], None]) -> None:
        self._till = till
        self._tell = tell
        self.moved: dict[str, list[Movement]] = {}
        self.counts: dict[str, int] = {}
        """Bookings by kind, for the realism report."""
        self.no_rate = 0
        """Amounts that stayed in their currency, because no rate was stated."""

    def book(self, account: str, kind: MovementKind, *legs: CashLeg, text: str = "", **more: Any) -> Movement:
        """Book and report one movement; ``more`` are its other fields."""
        till = self._till
        made = Movement(
            broker=till.config.broker,
            account=account,
            key=f"{kind}:{till.number():09d}",
            kind=kind,
            ts_ns=till.now_ns,
            cash=legs,
            text=text,
            **more,
        )
        till.account(account).move(made)
        kept = self.moved.setdefault(account, [])
        kept.append(made)
        if len(kept) > 2 * MOVEMENTS_MAX:
            del kept[:MOVEMENTS_MAX]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self._tell(account, made)
        return made

    def next_number(self) -> int:
        """A number that no other thing of this venue has."""
        return self._till.number()

    def transfer(self, account: str, symbol: str, currency: str, qty: Qty, cost: Money, text: str) -> Movement:
        """A position comes from, or goes to, another account, with what it had cost."""
        if not qty:
            raise InputError("a transfer needs a quantity that is not zero")
        self._till.account(account).currency_of(symbol, currency)
        return self.book(account, MovementKind.TRANSFER, symbol=symbol, qty=qty, cost=cost, text=text)

    def since(self, account: str, ts_ns: int) -> tuple[Movement, ...]:
        """Bookings at or after a time, oldest first."""
        return tuple(made for made in self.moved.get(account, ()) if made.ts_ns >= ts_ns)

    def deposit(self, account: str, currency: str, amount: Money, text: str) -> Movement:
        """Cash comes in (below zero: goes out)."""
        return self.book(account, MovementKind.DEPOSIT, CashLeg(currency, amount), text=text)

    def convert(self, account: str, amount: Money, of: str, to: str) -> Movement:
        """Change an amount of one currency into another.

        Raises:
            InputError: there is no rate, or the venue changes nothing.
        """
        terms = self._till.config.exchange
        found = None if terms is None else terms.change(amount, of, to, self._till.now_ns)
        if found is None:
            msg = f"the paper venue knows no rate of {of} in {to}; give it one in fx.yaml of the state folder and start it again (`bolt stop`, then `bolt`)"
            raise InputError(msg)
        legs, words = found
        return self.book(account, MovementKind.CONVERSION, *legs, text=words)

    def sweep(self, account: str, currency: str) -> None:
        """Change what an account holds or owes in a currency into its own, where the venue does that by itself."""
        terms = self._till.config.exchange
        if terms is None or not terms.is_automatic or currency == terms.base:
            return
        amount = self._till.account(account).cash.get(currency, Money(0))
        if not amount:
            return
        found = terms.change(amount, currency, terms.base, self._till.now_ns)
        if found is None:
            self.no_rate += 1
            return
        legs, words = found
        self.book(account, MovementKind.CONVERSION, *legs, text=words)
