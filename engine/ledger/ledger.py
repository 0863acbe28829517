"""The books: cash per currency and positions per symbol, a pure function of the journal.

Equities, ETFs and spot coins exchange their full value in cash. Futures and perpetuals exchange only realised results and
fees. In both cases, per currency: cash = adjustments + realised - fees - cost of what was paid for and is still open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.domain import events as ev
from engine.domain.errors import InvariantError
from engine.domain.instrument import Instrument, InstrumentKind
from engine.domain.money import EXACT, ZERO_MONEY, ZERO_QTY, Money, Price, Qty, notional, ratio, text
from engine.ledger.positions import Position

Key = tuple[str, str, str]
"""Broker, account, symbol (or currency)."""

MARGINED = frozenset({InstrumentKind.FUTURE, InstrumentKind.PERPETUAL})


class Ledger:
    """Cash and positions of every account."""

    name = "ledger"

    def __init__(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.positions: dict[Key, Position] = {}
        self.cash: dict[Key, Money] = {}
        self.adjusted: dict[Key, Money] = {}
        """Cash that was moved by adjustments, for the conservation check."""
        self.base_currency = ""
        self._owner: dict[Key, ev.Fill] = {}
        self._dirty_positions: dict[Key, None] = {}
        self._dirty_cash: dict[Key, None] = {}

    def apply(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Change the books as the event says."""
        del seq, ts_ns
        match event:
            case ev.OrderFilled() | ev.ForeignFillSeen():
                if event.fill.corrects:
                    self._undo((event.fill.broker, event.fill.account, event.fill.corrects))
                self._book(event.fill)
            case ev.FillBusted():
                self._undo((event.fill.broker, event.fill.account, event.fill.fill_key))
            case ev.PositionAdjusted():
                self._adjust(event)
            case ev.InstrumentDefined():
                self.instruments[event.instrument.symbol] = event.instrument
            case ev.LedgerOpened():
                self.base_currency = event.currency
            case _:
                pass

    def instrument(self, symbol: str) -> Instrument:
        """An instrument that must be known by now; raises InvariantError otherwise."""
        found = self.instruments.get(symbol)
        if found is None:
            msg = f"{symbol} was traded and is not defined in the ledger"
            raise InvariantError(msg)
        return found

    def _book(self, fill: ev.Fill) -> None:
        key = (fill.broker, fill.account, fill.fill_key)
        if key in self._owner:
            msg = f"fill {key} was booked twice"
            raise InvariantError(msg)
        self._owner[key] = fill
        self._move(fill, lambda position: position.book(fill), 1)

    def _undo(self, key: Key) -> None:
        fill = self._owner.pop(key, None)
        if fill is None:
            msg = f"fill {key} is undone and was never booked"
            raise InvariantError(msg)
        self._move(fill, lambda position: position.remove(fill.fill_key), -1)

    def _move(self, fill: ev.Fill, change: Any, sign: int) -> None:
        made = self.instrument(fill.symbol)
        key = (fill.broker, fill.account, fill.symbol)
        position = self.positions.setdefault(key, Position(made.multiplier))
        before = position.realised
        change(position)
        if made.kind in MARGINED:
            self._pay(fill.broker, fill.account, made.currency, position.realised - before)
        else:
            value = notional(fill.price, fill.qty, made.multiplier)
            self._pay(fill.broker, fill.account, made.currency, Money(value * (-fill.side.sign * sign)))
        self._pay(fill.broker, fill.account, fill.fee_currency or made.currency, Money(fill.fee * -sign))
        self._dirty_positions[key] = None

    def _pay(self, broker: str, account: str, currency: str, amount: Money) -> None:
        key = (broker, account, currency)
        self.cash[key] = self.cash.get(key, ZERO_MONEY) + amount
        self._dirty_cash[key] = None

    def _adjust(self, event: ev.PositionAdjusted) -> None:
        """Book what a person accepted: a position comes or goes against no cash, cash moves by what the event says."""
        currency, booked = event.currency, event.cash
        if event.symbol and event.qty:
            made = self.instrument(event.symbol)
            currency = made.currency
            key = (event.broker, event.account, event.symbol)
            position = self.positions.setdefault(key, Position(made.multiplier))
            realised, cost = position.realised, position.cost
            price = Price(ratio(event.cost, EXACT.multiply(event.qty, made.multiplier)))
            position.enter(f"adjust:{len(position.entries)}", event.qty, price, ZERO_MONEY)
            self._dirty_positions[key] = None
            paid = ZERO_MONEY if made.kind in MARGINED else position.cost - cost
            booked = booked + paid - (position.realised - realised)
        total = (event.broker, event.account, currency)
        self.adjusted[total] = self.adjusted.get(total, ZERO_MONEY) + booked
        self._pay(event.broker, event.account, currency, event.cash)

    # -- reading -----------------------------------------------------------------------------------------------------

    def qty(self, account: str, symbol: str) -> Qty:
        """Signed position of an account over all brokers."""
        total = ZERO_QTY
        for (_, held_account, held_symbol), position in self.positions.items():
            if held_account == account and held_symbol == symbol:
                total = total + position.qty
        return total

    def position(self, broker: str, account: str, symbol: str) -> Position | None:
        """One position."""
        return self.positions.get((broker, account, symbol))

    def held(self, account: str) -> Iterator[tuple[str, str, Position]]:
        """(broker, symbol, position) of an account, in order of first trade."""
        for (broker, held_account, symbol), position in self.positions.items():
            if held_account == account:
                yield broker, symbol, position

    def conservation_faults(self) -> list[str]:
        """Per account and currency, what does not add up; empty where every unit is accounted for."""
        wanted: dict[Key, Money] = dict(self.adjusted)
        for (broker, account, symbol), position in self.positions.items():
            made = self.instrument(symbol)
            key = (broker, account, made.currency)
            paid = ZERO_MONEY if made.kind in MARGINED else position.cost
            wanted[key] = wanted.get(key, ZERO_MONEY) + position.realised - paid
        for (broker, account, _), fill in self._owner.items():
            key = (broker, account, fill.fee_currency or self.instrument(fill.symbol).currency)
            wanted[key] = wanted.get(key, ZERO_MONEY) - fill.fee
        return [
            f"{'/'.join(key)}: cash is {self.cash.get(key, ZERO_MONEY)}, the bookings add up to {amount}"
            for key, amount in wanted.items()
            if self.cash.get(key, ZERO_MONEY) != amount
        ]

    def dirty(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Rows changed since the last call."""
        positions = [self._position_row(key) for key in self._dirty_positions]
        cash = [
            {"broker": key[0], "account": key[1], "currency": key[2], "amount": text(self.cash[key])}
            for key in self._dirty_cash
        ]
        self._dirty_positions, self._dirty_cash = {}, {}
        return [("positions", positions), ("cash", cash)]

    def _position_row(self, key: Key) -> dict[str, Any]:
        position = self.positions[key]
        return {
            "broker": key[0],
            "account": key[1],
            "symbol": key[2],
            "qty": text(position.qty),
            "cost": text(position.cost),
            "realised": text(position.realised),
            "fees": text(position.fees),
            "currency": self.instrument(key[2]).currency,
        }
