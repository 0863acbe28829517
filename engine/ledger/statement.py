"""A day's statement of an account: what there was, what happened, what there is, per currency, proven against the books.

The day's lines are worked out from the events' own numbers, not from the running cash; where they do not lead from the opening
to the closing cash to the last unit, the statement says so. A pure function of the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.ledger_events import InstrumentDefined
from engine.domain.money import EXACT, ZERO_MONEY, ZERO_QTY, Money, Price, Qty, text
from engine.domain.money_events import BooksAdjusted, MovementBooked, PositionAdjusted
from engine.domain.movements import BROUGHT
from engine.ledger.day_book import DayBook
from engine.ledger.fx_book import FxBook
from engine.ledger.ledger import MARGINED, Key, Ledger
from engine.ledger.positions import Position
from engine.ledger.sub_book import SubBook
from engine.market.carry_file import CarryFile

ADJUSTMENTS = "adjustments"


class CashLines(msgspec.Struct, kw_only=True):
    """One currency's day."""

    opening: Money = ZERO_MONEY
    trades: Money = ZERO_MONEY
    """What executions paid (below zero) and brought; of futures and perpetuals their result."""
    fees: Money = ZERO_MONEY
    """Below zero: paid."""
    adjustments: Money = ZERO_MONEY
    """What people booked, deposits and transfers."""
    movements: dict[str, Money] = {}
    """What the broker booked, by kind."""
    closing: Money = ZERO_MONEY
    """As the ledger has it."""
    rate: str = ""
    rate_ns: int = 0
    closing_base: Money | None = None

    def missing(self) -> Money:
        """Closing less opening and all lines: zero where they add up."""
        told = self.opening + self.trades + self.fees + self.adjustments
        for amount in self.movements.values():
            told = told + amount
        return self.closing - told


class PositionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One position's day."""

    symbol: str
    currency: str
    opening: Qty
    bought: Qty
    sold: Qty
    other: Qty
    """Adjustments, transfers, splits."""
    closing: Qty
    cost: Money
    realised: Money
    """Of the day, before fees."""
    mark: Price | None = None
    """Last journaled price before the end."""
    mark_ns: int = 0
    unrealised: Money | None = None


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A day of an account at a broker."""

    broker: str
    account: str
    base: str
    cash: dict[str, CashLines]
    positions: tuple[PositionLine, ...]
    unrealised_base: Money | None
    """None where a mark or a rate is not known."""
    equity_base: Money | None
    """Cash and what positions are worth; of futures and perpetuals their open result."""
    faults: tuple[str, ...]
    """What does not add up; empty where every unit is accounted for."""


class _Day(msgspec.Struct):
    """What one position did."""

    opening: Qty = ZERO_QTY
    realised: Money = ZERO_MONEY
    bought: Qty = ZERO_QTY
    sold: Qty = ZERO_QTY


class Books:
    """All books of a journal. ``take`` rows in order; :meth:`open_day` where the day begins, then read."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.days = DayBook(self.ledger)
        self.fx = FxBook()
        self.subs = SubBook(self.ledger)
        self._fills: dict[Key, ev.Fill] = {}
        self._lines: dict[Key, CashLines] = {}
        self._held: dict[Key, _Day] = {}
        self._waiting: set[Key] = set()

    def open_day(self) -> None:
        """From here on lines are counted."""
        self._lines = {key: CashLines(opening=amount) for key, amount in self.ledger.cash.items()}
        self._held = {
            key: _Day(opening=held.qty, realised=held.realised) for key, held in self.ledger.positions.items()
        }

    def take(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Follow one row."""
        before = self._margined_of(event)
        self.ledger.apply(seq, ts_ns, event)
        self.days.apply(seq, ts_ns, event)
        if event.__class__ in self.fx.routes:
            self.fx.routes[event.__class__](seq, ts_ns, event)
        self.subs.apply(seq, ts_ns, event)
        self._count(event, before)

    # -- the day's lines -----------------------------------------------------------------------------------------------

    def _margined_of(self, event: ev.AnyEvent) -> tuple[Position, Money] | None:
        """Of an execution of a future or perpetual: its position and what that had realised before."""
        fill = getattr(event, "fill", None)
        if not isinstance(event, ev.OrderFilled | ev.ForeignFillSeen | ev.FillBusted) or not isinstance(fill, ev.Fill):
            return None
        held = self.ledger.positions.get((fill.broker, fill.account, fill.symbol))
        return (held, held.realised) if held is not None and held.is_margined else None

    def _count(self, event: ev.AnyEvent, before: tuple[Position, Money] | None) -> None:
        match event:
            case ev.OrderFilled() | ev.ForeignFillSeen():
                self._fill(event.fill, before)
            case ev.FillBusted():
                self._undo((event.fill.broker, event.fill.account, event.fill.fill_key))
                if before is not None:
                    self._margin(event.fill, before)
            case PositionAdjusted():
                self._line((event.broker, event.account, event.currency)).adjustments += event.cash
            case BooksAdjusted() if not event.adjustment.symbol:
                made = event.adjustment
                self._line((made.broker, made.account, made.currency)).adjustments += made.cash
            case MovementBooked():
                self._movement(event)
            case InstrumentDefined():
                for key in [key for key in self._waiting if key not in self.ledger.waiting]:
                    self._waiting.discard(key)
                    self._fill(self._fills.pop(key), None)
            case _:
                return

    def _movement(self, event: MovementBooked) -> None:
        made = event.movement
        for leg in made.cash:
            line = self._line((made.broker, made.account, leg.currency))
            if made.kind in BROUGHT:
                line.adjustments += leg.amount
            else:
                line.movements[made.kind] = line.movements.get(made.kind, ZERO_MONEY) + leg.amount

    def _fill(self, fill: ev.Fill, before: tuple[Position, Money] | None) -> None:
        key = (fill.broker, fill.account, fill.fill_key)
        if fill.corrects:
            self._undo((fill.broker, fill.account, fill.corrects))
        self._fills[key] = fill
        if key in self.ledger.waiting:
            self._waiting.add(key)
            return
        self._book(fill, 1)
        if before is None and self._is_margined(fill):
            before = (self.ledger.positions[fill.broker, fill.account, fill.symbol], ZERO_MONEY)
        if before is not None:
            self._margin(fill, before)

    def _undo(self, key: Key) -> None:
        fill = self._fills.pop(key, None)
        if fill is not None and key not in self._waiting:
            self._book(fill, -1)
        self._waiting.discard(key)

    def _is_margined(self, fill: ev.Fill) -> bool:
        held = self.ledger.positions.get((fill.broker, fill.account, fill.symbol))
        return held is not None and held.is_margined

    def _margin(self, fill: ev.Fill, before: tuple[Position, Money]) -> None:
        held, realised = before
        self._line((fill.broker, fill.account, held.currency)).trades += held.realised - realised

    def _book(self, fill: ev.Fill, sign: int) -> None:
        """An execution's value and fee, or both taken back."""
        made = self.ledger.instruments[fill.symbol]
        if not self._is_margined(fill):
            value = made.notional(fill.price, fill.qty)
            self._line((fill.broker, fill.account, made.currency)).trades += Money(
                EXACT.multiply(value, -sign * fill.side.sign)
            )
        fee = fill.fee if sign > 0 else -fill.fee
        self._line((fill.broker, fill.account, fill.fee_currency or made.currency)).fees += -fee
        day = self._held.setdefault((fill.broker, fill.account, fill.symbol), _Day())
        qty = fill.qty if sign > 0 else -fill.qty
        if fill.side.sign > 0:
            day.bought = day.bought + qty
        else:
            day.sold = day.sold + qty

    def _line(self, key: Key) -> CashLines:
        return self._lines.setdefault(key, CashLines())

    def unsettled(self, broker: str, account: str, carry: CarryFile, at_ns: int) -> dict[str, dict[date, Money]]:
        """By currency and day: cash of executions that is booked and settles only after a moment (fees with it).

        A trade counts from its day in UTC; a kind without a row settles at once.
        """
        today, found = _day_of(at_ns), dict[str, dict[date, Money]]()
        for (name, owner, _), fill in self._fills.items():
            made = self.ledger.instruments.get(fill.symbol)
            if (name, owner) != (broker, account) or made is None or made.kind in MARGINED:
                continue
            due = carry.settles_on(made.kind, _day_of(fill.ts_ns))
            if due is None or due <= today:
                continue
            value = Money(EXACT.multiply(made.notional(fill.price, fill.qty), -fill.side.sign))
            for currency, amount in ((made.currency, value), (fill.fee_currency or made.currency, -fill.fee)):
                days = found.setdefault(currency, {})
                days[due] = days.get(due, ZERO_MONEY) + amount
        return found

    # -- reading -------------------------------------------------------------------------------------------------------

    def accounts(self) -> list[tuple[str, str]]:
        """Every (broker, account) that has cash or a position."""
        return sorted({key[:2] for key in (*self.ledger.cash, *self.ledger.positions)})

    def statement(self, broker: str, account: str, is_rate_fresh: Callable[[int], bool]) -> Statement:
        """The day since :meth:`open_day`. ``is_rate_fresh`` judges the moment of a rate."""
        base = self.ledger.base_currency
        cash: dict[str, CashLines] = {}
        faults = [words for words in self.ledger.conservation_faults() if words.startswith(f"{broker}/{account}/")]
        wanted = (broker, account)
        for key in sorted({key for key in (*self._lines, *self.ledger.cash) if key[:2] == wanted}):
            line = cash[key[2]] = self._line(key)
            line.closing = self.ledger.cash.get(key, ZERO_MONEY)
            self._value(line, key[2], is_rate_fresh)
            if line.missing():
                faults.append(f"{key[2]}: the lines of the day and the ledger differ by {text(line.missing())}")
        places = sorted(key for key in self.ledger.positions if key[:2] == wanted)
        lines = tuple(self._position(key) for key in places)
        unrealised = self._sum([(line.currency, line.unrealised) for line in lines if line.closing], is_rate_fresh)
        worth = [
            (line.currency, self._worth(key, line)) for key, line in zip(places, lines, strict=True) if line.closing
        ]
        equity = self._sum([*((name, line.closing) for name, line in cash.items()), *worth], is_rate_fresh)
        return Statement(
            broker=broker, account=account, base=base, cash=cash, positions=lines, unrealised_base=unrealised,
            equity_base=equity, faults=tuple(faults),
        )  # fmt: skip

    def _position(self, key: Key) -> PositionLine:
        held, day = self.ledger.positions[key], self._held.get(key, _Day())
        seen = self.days.seen.get(key[2])
        mark = None if seen is None or not held.qty else seen[0]
        return PositionLine(
            symbol=key[2],
            currency=held.currency,
            opening=day.opening,
            bought=day.bought,
            sold=day.sold,
            other=held.qty - day.opening - day.bought + day.sold,
            closing=held.qty,
            cost=held.cost,
            realised=held.realised - day.realised,
            mark=mark,
            mark_ns=0 if seen is None or mark is None else seen[1],
            unrealised=None if mark is None else held.unrealised(mark),
        )

    def _worth(self, key: Key, line: PositionLine) -> Money | None:
        """What a position adds to equity: its value, or its open result where only that is paid."""
        held = self.ledger.positions[key]
        if line.mark is None or held.is_margined:
            return line.unrealised
        return Money(EXACT.multiply(EXACT.multiply(held.qty, held.multiplier), line.mark))

    def _rate(self, currency: str, is_rate_fresh: Callable[[int], bool]) -> tuple[Decimal, int] | None:
        if currency == self.ledger.base_currency:
            return Decimal(1), 0
        seen = self.fx.seen(currency, self.ledger.base_currency)
        return None if seen is None or not is_rate_fresh(seen.ts_ns) else (seen.rate, seen.ts_ns)

    def _value(self, line: CashLines, currency: str, is_rate_fresh: Callable[[int], bool]) -> None:
        found = self._rate(currency, is_rate_fresh)
        if found is not None:
            line.rate, line.rate_ns = str(found[0]), found[1]
            line.closing_base = Money(EXACT.multiply(line.closing, found[0]))

    def _sum(self, amounts: list[tuple[str, Money | None]], is_rate_fresh: Callable[[int], bool]) -> Money | None:
        total = ZERO_MONEY
        for currency, amount in amounts:
            found = self._rate(currency, is_rate_fresh)
            if amount is None or (found is None and amount):
                return None
            total = total + EXACT.multiply(amount, Decimal(0) if found is None else found[0])
        return total


def _day_of(ts_ns: int) -> date:
    return datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).date()
