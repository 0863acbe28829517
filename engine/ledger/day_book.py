"""The result of the risk day, per account and currency: what its cash and positions are worth now less what they were worth
when the day began.

A position that is taken over, or given away, counts from its mark of that moment. Worth is cash without what people paid in or out, plus positions at their marks (futures: the open result). So a fee counts
in whatever currency it was paid, and a position carried over counts from its mark at the cut, not from its cost. A pure
function of the journal and of the marks it is asked with; sums are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from engine.domain import day_events as de
from engine.domain import events as ev
from engine.domain.clock import iso
from engine.domain.money import EXACT, ZERO_MONEY, ZERO_QTY, Money, Price, Qty
from engine.domain.money_events import BooksAdjusted, MovementBooked
from engine.domain.movements import MovementKind
from engine.domain.order import Side
from engine.ledger.ledger import Key, Ledger

Place = tuple[str, str]
"""Broker and symbol."""
MarkOf = Callable[[str, Decimal], Price | None]
"""Symbol and signed quantity -> what closing it would meet; None where that is not known."""

_ZERO = Decimal(0)


class Unknown(msgspec.Struct, frozen=True):
    """Why there is no number."""

    why: str


class Carried(msgspec.Struct, frozen=True):
    """A position as the day found it: what one price unit of it is worth."""

    qty: Qty
    """Signed."""
    multiplier: Decimal
    currency: str


class Day(msgspec.Struct):
    """A running risk day of one account."""

    begins_ns: int
    settled: dict[str, Decimal]
    carried: dict[Place, Carried]
    marks: dict[Place, Price]
    before: dict[str, tuple[Price, int]]
    """Last journaled price of each carried symbol, from before the day, and its time."""
    shorted: dict[str, Qty] = msgspec.field(default_factory=dict)
    """By symbol: what was sold beyond what was held; buying it back takes nothing off."""
    peak: Money = ZERO_MONEY
    """Best result so far; zero is the day's own beginning."""

    def waiting(self) -> list[Place]:
        """Positions carried over that have no mark yet."""
        return [place for place in self.carried if place not in self.marks]


class DayBook:
    """The running risk day of each account. Call :meth:`apply` after the ledger's."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.days: dict[str, Day] = {}
        self.seen: dict[str, tuple[Price, int]] = {}
        """Last journaled price of each symbol and its time: of a mark or of an execution."""
        self._bases: dict[str, dict[str, Decimal] | Unknown] = {}
        """By account and currency: all that was worth something at the cut; kept until the day or one of its marks changes."""
        self.routes: ev.Routes = {
            ev.OrderFilled: self._filled,
            ev.ForeignFillSeen: self._filled,
            de.RiskDayBegan: self._began,
            de.RiskDayMarked: self._marked,
            de.PositionsMarked: self._positions_marked,
            de.ResultPeaked: self._peaked,
            BooksAdjusted: self._adjusted,
            MovementBooked: self._moved,
        }

    def apply(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Follow the journal."""
        handler = self.routes.get(event.__class__)
        if handler is not None:
            handler(seq, ts_ns, event)

    def _filled(self, _seq: int, _ts_ns: int, event: ev.OrderFilled | ev.ForeignFillSeen) -> None:
        fill = event.fill
        self.seen[fill.symbol] = (fill.price, fill.ts_ns)
        if fill.side is Side.SELL:
            self._sold(fill)

    def _sold(self, fill: ev.Fill) -> None:
        """The ledger has booked it: what stands below zero by now, as far as it comes from this sale, was sold short."""
        day, held = self.days.get(fill.account), self._ledger.qty(fill.account, fill.symbol)
        if day is not None and held < 0:
            short = min(fill.qty, Qty(-held))
            day.shorted[fill.symbol] = Qty(EXACT.add(day.shorted.get(fill.symbol, ZERO_QTY), short))

    def _began(self, _seq: int, _ts_ns: int, event: de.RiskDayBegan) -> None:
        self._bases.clear()
        self.days[event.account] = self._begin(event)
        self._see(event.marks)

    def _marked(self, _seq: int, _ts_ns: int, event: de.RiskDayMarked) -> None:
        self._bases.clear()
        day = self.days[event.account]
        day.marks.update({(mark.broker, mark.symbol): mark.price for mark in event.marks})
        self._see(event.marks)

    def _positions_marked(self, _seq: int, _ts_ns: int, event: de.PositionsMarked) -> None:
        self._see(event.marks)

    def _peaked(self, _seq: int, _ts_ns: int, event: de.ResultPeaked) -> None:
        self.days[event.account].peak = event.result

    def _adjusted(self, _seq: int, ts_ns: int, event: BooksAdjusted) -> None:
        made = event.adjustment
        if made.symbol and event.mark is not None:
            self.seen[made.symbol] = (event.mark, ts_ns)
            self._brought((made.broker, made.account, made.symbol), made.qty, made.cost, event.mark)

    def _moved(self, _seq: int, ts_ns: int, event: MovementBooked) -> None:
        made = event.movement
        if made.kind is MovementKind.TRANSFER and made.qty and event.mark is not None:
            self.seen[made.symbol] = (event.mark, ts_ns)
            self._brought((made.broker, made.account, made.symbol), made.qty, made.cost, event.mark)

    def _brought(self, key: Key, qty: Qty, cost: Money, mark: Price) -> None:
        """A position came or went at a cost that is not what it was worth: the difference was made before, and is no result of the day."""
        day, position = self.days.get(key[1]), self._ledger.position(*key)
        if day is None or position is None:
            return
        worth = EXACT.multiply(EXACT.multiply(qty, position.multiplier), mark)
        _add(day.settled, position.currency, EXACT.subtract(worth, cost))
        self._bases.pop(key[1], None)

    def _see(self, marks: tuple[de.DayMark, ...]) -> None:
        for mark in marks:
            self.seen[mark.symbol] = (mark.price, mark.ts_ns)

    def _begin(self, event: de.RiskDayBegan) -> Day:
        carried = {
            (broker, symbol): Carried(position.qty, position.multiplier, position.currency)
            for broker, symbol, position in self._ledger.held(event.account)
            if position.qty
        }
        return Day(
            begins_ns=event.begins_ns,
            settled=dict(self._ledger.settled(event.account)),
            carried=carried,
            marks={(mark.broker, mark.symbol): mark.price for mark in event.marks},
            before={symbol: self.seen[symbol] for _, symbol in carried if symbol in self.seen},
        )

    # -- reading -------------------------------------------------------------------------------------------------------

    def worth(self, account: str, mark_of: MarkOf) -> dict[str, Decimal] | Unknown:
        """By currency: cash less what people paid in, and positions at their marks. Both figures below come from it."""
        return self._with_marks(dict(self._ledger.settled(account)), account, mark_of)

    def results(self, account: str, worth: Mapping[str, Decimal] | Unknown) -> Mapping[str, Decimal] | Unknown:
        """By currency: the result of the day so far, of what the account is worth."""
        base = self._bases.get(account)
        if base is None:
            base = self._bases[account] = self._base(account)
        if isinstance(base, Unknown) or isinstance(worth, Unknown):
            return base if isinstance(base, Unknown) else worth
        found = dict(worth)
        for currency, amount in base.items():
            found[currency] = EXACT.subtract(found.get(currency, _ZERO), amount)
        return found

    def equity(self, account: str, worth: Mapping[str, Decimal] | Unknown) -> Mapping[str, Decimal] | Unknown:
        """By currency: what the account is worth, with what people paid in."""
        if isinstance(worth, Unknown):
            return worth
        found = dict(worth)
        for (_, held, currency), amount in self._ledger.adjusted.items():
            if held == account:
                _add(found, currency, amount)
        return found

    def _base(self, account: str) -> dict[str, Decimal] | Unknown:
        """Everything that the account was worth at the cut."""
        day = self.days.get(account)
        if day is None:
            return Unknown(f"no risk day of {account} has begun")
        waiting = sorted({symbol for _, symbol in day.waiting()})
        if waiting:
            return Unknown(f"{', '.join(waiting)} had no price when the day began at {iso(day.begins_ns)[:16]}Z")
        found = dict(day.settled)
        for place, carried in day.carried.items():
            value = EXACT.multiply(EXACT.multiply(carried.qty, carried.multiplier), day.marks[place])
            _add(found, carried.currency, value)
        return found

    def _with_marks(self, found: dict[str, Decimal], account: str, mark_of: MarkOf) -> dict[str, Decimal] | Unknown:
        """Add what is open, each position at its mark."""
        ledger = self._ledger
        if ledger.waiting:
            waiting = {fill.symbol for key, fill in ledger.waiting.items() if key[1] == account}
            if waiting:
                return Unknown(f"executions of {', '.join(sorted(waiting))} wait for the terms of the instrument")
        for (_, _, symbol), position in ledger.open_positions(account).items():
            mark = mark_of(symbol, position.qty)
            if mark is None:
                return Unknown(f"{symbol} has no fresh price to value its position with")
            value = EXACT.multiply(EXACT.multiply(position.qty, position.multiplier), mark)
            _add(found, position.currency, value)
        return found


def _add(amounts: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    amounts[currency] = EXACT.add(amounts.get(currency, _ZERO), amount)
