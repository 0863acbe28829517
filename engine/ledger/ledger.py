"""The books: cash per currency and positions per symbol, a pure function of the journal.

Equities, ETFs and spot coins exchange their full value in cash. Futures and perpetuals exchange only realised results and
fees. In both cases, per currency: cash = adjustments + realised - fees - cost of what was paid for and is still open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from engine.domain import events as ev
from engine.domain.errors import InvariantError
from engine.domain.instrument import Instrument, InstrumentKind
from engine.domain.ledger_events import InstrumentDefined, LedgerOpened
from engine.domain.money import EXACT, ZERO_MONEY, ZERO_QTY, Money, Qty, text
from engine.domain.money_events import Adjustment, BooksAdjusted, MovementBooked, PositionAdjusted
from engine.domain.movements import BROUGHT, Movement, MovementKind
from engine.ledger.positions import Entry, Position, Split, parts_at_cost
from engine.store.shelf import Shelf
from engine.store.statements import Changed, Values

Key = tuple[str, str, str]
"""Broker, account, symbol (or currency, or fill key)."""

_ZERO = Decimal(0)
_NOTHING: Mapping[str, Decimal] = {}

MARGINED = frozenset({InstrumentKind.FUTURE, InstrumentKind.PERPETUAL})


_NO_POSITION: Mapping[Key, Position] = {}


class Ledger:
    """Cash and positions of every account."""

    name = "ledger"

    def __init__(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.positions: dict[Key, Position] = {}
        self.cash: dict[Key, Money] = {}
        self.adjusted: dict[Key, Money] = {}
        """What adjustments brought in, for the conservation check."""
        self.base_currency = ""
        self.moved: dict[Key, Movement] = {}
        """By (broker, account, its key): what brokers booked beside executions."""
        self.adjustments: dict[str, Adjustment] = {}
        """By the id that each was asked with."""
        self.waiting: dict[Key, ev.Fill] = {}
        """Executions of symbols that no one has defined yet: booked when the definition comes, never guessed."""
        self._fills: Shelf[Key, ev.Fill] = Shelf(ev.Fill)
        self._settled: dict[str, dict[str, Decimal]] = {}
        """By account and currency: cash less what was paid in, less the cost of what is open on margin."""
        self._open: dict[str, dict[Key, Position]] = {}
        """By account: positions that are not flat."""
        self._net: dict[tuple[str, str], Qty] = {}
        self._splits: dict[Key, list[tuple[int, str]]] = {}
        """By position: the venue's time of each booked split, and its key there."""
        self._dirty_positions: dict[Key, None] = {}
        self._dirty_cash: dict[Key, None] = {}
        self.routes: ev.Routes = {
            ev.OrderFilled: self._filled,
            ev.ForeignFillSeen: self._filled,
            ev.FillBusted: self._busted,
            PositionAdjusted: self._adjust,
            BooksAdjusted: self._adjust_books,
            MovementBooked: self._book_movement,
            InstrumentDefined: self._defined,
            LedgerOpened: self._opened,
        }

    def apply(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Change the books as the event says.

        Raises:
            InvariantError: an execution comes twice, or one that was never booked is undone. The orders let neither through.
        """
        handler = self.routes.get(event.__class__)
        if handler is not None:
            handler(seq, ts_ns, event)

    def _opened(self, _seq: int, _ts_ns: int, event: LedgerOpened) -> None:
        self.base_currency = event.currency

    def _filled(self, _seq: int, _ts_ns: int, event: ev.OrderFilled | ev.ForeignFillSeen) -> None:
        self._fill(event.fill)

    def _busted(self, _seq: int, _ts_ns: int, event: ev.FillBusted) -> None:
        self._undo((event.fill.broker, event.fill.account, event.fill.fill_key))

    def _defined(self, _seq: int, _ts_ns: int, event: InstrumentDefined) -> None:
        self._define(event.instrument)

    def instrument(self, symbol: str) -> Instrument:
        """An instrument that must be known by now; raises InvariantError otherwise."""
        found = self.instruments.get(symbol)
        if found is None:
            msg = f"{symbol} was traded and is not defined in the ledger"
            raise InvariantError(msg)
        return found

    def _define(self, made: Instrument) -> None:
        self.instruments[made.symbol] = made
        for (_, _, symbol), position in self.positions.items():
            if symbol == made.symbol:
                position.multiplier = made.multiplier
        for key in [key for key, fill in self.waiting.items() if fill.symbol == made.symbol]:
            self._fill(self.waiting.pop(key))

    # -- executions ----------------------------------------------------------------------------------------------------

    def _fill(self, fill: ev.Fill) -> None:
        key = (fill.broker, fill.account, fill.fill_key)
        if key in self._fills or key in self.waiting:
            msg = f"fill {key} was booked twice"
            raise InvariantError(msg)
        wrong = (fill.broker, fill.account, fill.corrects)
        # A correction may name one that never came (of a foreign order): then it is the only execution there is.
        old = self._fills.get(wrong) if fill.corrects else None
        self.waiting.pop(wrong, None)
        if fill.symbol not in self.instruments:
            self.waiting[key] = fill
            return
        if old is not None and old.symbol != fill.symbol:
            self._undo(wrong)
            old = None
        if fill.corrects:
            self._fills.pop(wrong, None)
        self._fills[key] = fill
        position = self._position(fill.broker, fill.account, fill.symbol)
        qty = fill.qty if fill.side.sign > 0 else -fill.qty
        entry = position.entry(qty, fill.price, self._own_fee(position, fill))
        if old is None:
            later = self._split_behind(fill)
            if later:
                self._move(position, fill, lambda: position.insert(fill.fill_key, entry, later), entry)
            else:
                self._move(position, fill, lambda: position.add(fill.fill_key, entry), entry)
        else:
            was = position.booked(old.fill_key)
            self._pay_fee(position, old, -1)
            self._move(position, fill, lambda: position.replace(old.fill_key, fill.fill_key, entry), entry, was)
        self._pay_fee(position, fill, 1)

    def _undo(self, key: Key) -> None:
        if self.waiting.pop(key, None) is not None:
            return
        fill = self._fills.pop(key, None)
        if fill is None:
            msg = f"fill {key} is undone and was never booked"
            raise InvariantError(msg)
        position = self._position(fill.broker, fill.account, fill.symbol)
        was = position.booked(fill.fill_key)
        self._pay_fee(position, fill, -1)
        self._move(position, fill, lambda: position.remove(fill.fill_key), None, was)

    def _position(self, broker: str, account: str, symbol: str) -> Position:
        position = self.positions.get((broker, account, symbol))
        if position is None:
            made = self.instrument(symbol)
            position = Position(made.multiplier, made.currency, is_margined=made.kind in MARGINED)
            self.positions[broker, account, symbol] = position
        return position

    def _move(
        self, position: Position, fill: ev.Fill, act: Callable[[], None], come: Entry | None, gone: Entry | None = None
    ) -> None:
        """Change a position and pay for it: results where it is margined, else the full value of what comes and goes."""
        realised, qty, cost = position.realised, position.qty, position.cost
        act()
        if position.is_margined:
            self._pay(fill.broker, fill.account, position.currency, position.realised - realised)
            self._settle(fill.account, position.currency, cost - position.cost)
        else:
            value = ZERO_MONEY if come is None else Money(EXACT.minus(EXACT.multiply(come.qty, come.unit)))
            if gone is not None:
                value = value + EXACT.multiply(gone.qty, gone.unit)
            self._pay(fill.broker, fill.account, position.currency, value)
        self._moved((fill.broker, fill.account, fill.symbol), position, position.qty - qty)

    def _moved(self, key: Key, position: Position, change: Qty) -> None:
        self._dirty_positions[key] = None
        place = key[1:]
        self._net[place] = self._net.get(place, ZERO_QTY) + change
        if position.qty:
            self._open.setdefault(key[1], {})[key] = position
        else:
            self._open.get(key[1], {}).pop(key, None)

    @staticmethod
    def _own_fee(position: Position, fill: ev.Fill) -> Money:
        return fill.fee if fill.fee_currency in {"", position.currency} else ZERO_MONEY

    def _pay_fee(self, position: Position, fill: ev.Fill, sign: int) -> None:
        amount = -fill.fee if sign > 0 else fill.fee
        self._pay(fill.broker, fill.account, fill.fee_currency or position.currency, amount)

    def _pay(self, broker: str, account: str, currency: str, amount: Money) -> None:
        key = (broker, account, currency)
        self._dirty_cash[key] = None
        if amount or key not in self.cash:
            self.cash[key] = self.cash.get(key, ZERO_MONEY) + amount
            self._settle(account, currency, amount)

    def _settle(self, account: str, currency: str, amount: Decimal) -> None:
        settled = self._settled.setdefault(account, {})
        settled[currency] = EXACT.add(settled.get(currency, _ZERO), amount)

    # -- a person's word -----------------------------------------------------------------------------------------------

    def _adjust(self, seq: int, _ts_ns: int, event: PositionAdjusted) -> None:
        """Book what a person accepted: a position comes or goes against no cash, cash moves by what the event says."""
        if event.symbol and event.qty:
            self._take_over((event.broker, event.account, event.symbol), f"adjust:{seq}", event.qty, event.cost)
        self._bring(event.broker, event.account, event.currency, event.cash)
        self._pay(event.broker, event.account, event.currency, event.cash)

    def _adjust_books(self, _seq: int, _ts_ns: int, event: BooksAdjusted) -> None:
        made = event.adjustment
        if made.id in self.adjustments:
            raise InvariantError(f"adjustment {made.id} was booked twice")
        self.adjustments[made.id] = made
        if made.symbol:
            self._take_over((made.broker, made.account, made.symbol), f"adjust:{made.id}", made.qty, made.cost)
        else:
            self._bring(made.broker, made.account, made.currency, made.cash)
            self._pay(made.broker, made.account, made.currency, made.cash)

    def _take_over(self, key: Key, name: str, qty: Qty, cost: Money) -> None:
        """A position comes or goes against no cash, at exactly that cost."""
        position = self._position(*key)
        before, was = _settled(position), position.cost
        for number, (part, unit) in enumerate(parts_at_cost(qty, cost)):
            position.add(f"{name}:{number}", Entry(part, unit, ZERO_MONEY))
        self._moved(key, position, qty)
        if position.is_margined:
            self._settle(key[1], position.currency, was - position.cost)
        self._bring(key[0], key[1], position.currency, before - _settled(position))

    # -- what a broker books beside executions -------------------------------------------------------------------------

    def _book_movement(self, _seq: int, _ts_ns: int, event: MovementBooked) -> None:
        made = event.movement
        key = (made.broker, made.account, made.key)
        if key in self.moved:
            raise InvariantError(f"movement {key} was booked twice")
        self.moved[key] = made
        for leg in made.cash:
            if made.kind in BROUGHT:
                self._bring(made.broker, made.account, leg.currency, leg.amount)
            self._pay(made.broker, made.account, leg.currency, leg.amount)
        if made.kind is MovementKind.TRANSFER and made.qty:
            self._take_over((made.broker, made.account, made.symbol), f"move:{made.key}", made.qty, made.cost)
        elif made.kind is MovementKind.SPLIT:
            self._split(made)

    def _split(self, made: Movement) -> None:
        """What was executed before it counts in old units, what was executed behind it in new ones, whichever was heard of first."""
        place = (made.broker, made.account, made.symbol)
        position, key = self._position(*place), f"split:{made.key}"
        qty = position.qty
        position.split(key, Split(made.ratio, made.qty), self._behind(made, position))
        self._splits.setdefault(place, []).append((made.ts_ns, key))
        self._moved(place, position, position.qty - qty)

    def _behind(self, made: Movement, position: Position) -> list[str]:
        """Keys of the bookings that the venue made behind a split, in the order they count."""
        splits = self._splits.get((made.broker, made.account, made.symbol), [])
        found = {key for ts_ns, key in splits if ts_ns > made.ts_ns}
        for key in position.entries:
            fill = self._fills.get((made.broker, made.account, key))
            if fill is not None and fill.ts_ns > made.ts_ns:
                found.add(key)
        return [key for key in position.entries if key in found] if found else []

    def _split_behind(self, fill: ev.Fill) -> str:
        """The first booked split that the venue made behind an execution; empty where there is none."""
        splits = self._splits.get((fill.broker, fill.account, fill.symbol))
        return min([split for split in splits if split[0] > fill.ts_ns], default=(0, ""))[1] if splits else ""

    def _bring(self, broker: str, account: str, currency: str, amount: Money) -> None:
        key = (broker, account, currency)
        self.adjusted[key] = self.adjusted.get(key, ZERO_MONEY) + amount
        self._settle(account, currency, -amount)

    # -- reading -------------------------------------------------------------------------------------------------------

    def qty(self, account: str, symbol: str) -> Qty:
        """Signed position of an account over all brokers."""
        return self._net.get((account, symbol), ZERO_QTY)

    def position(self, broker: str, account: str, symbol: str) -> Position | None:
        """One position."""
        return self.positions.get((broker, account, symbol))

    def settled(self, account: str) -> Mapping[str, Decimal]:
        """By currency: cash less what people paid in, less the cost of what is open on margin."""
        return self._settled.get(account, _NOTHING)

    def open_positions(self, account: str) -> Mapping[Key, Position]:
        """Positions of an account that are not flat, by (broker, account, symbol), in order of opening."""
        return self._open.get(account, _NO_POSITION)

    def held(self, account: str) -> Iterator[tuple[str, str, Position]]:
        """(broker, symbol, position) of an account, in order of first trade."""
        for (broker, held_account, symbol), position in self.positions.items():
            if held_account == account:
                yield broker, symbol, position

    def conservation_faults(self) -> list[str]:
        """Per account and currency, what does not add up; empty where every unit is accounted for.

        Worked out from the single bookings and open lots, not from the running sums that cash was paid by.
        """
        wanted: dict[Key, Money] = dict(self.adjusted)
        for (broker, account, _), position in self.positions.items():
            key = (broker, account, position.currency)
            total = wanted.get(key, ZERO_MONEY)
            for entry in position.entries.values():
                if isinstance(entry, Entry):
                    total = total - EXACT.multiply(entry.qty, entry.unit)
            for lot in position.lots if position.is_margined else ():
                total = total + EXACT.multiply(lot.qty, lot.unit)
            wanted[key] = total
        for (broker, account, _), fill in self._fills.items():
            position = self.positions[broker, account, fill.symbol]
            key = (broker, account, fill.fee_currency or position.currency)
            wanted[key] = wanted.get(key, ZERO_MONEY) - fill.fee
        for (broker, account, _), made in self.moved.items():
            for leg in made.cash if made.kind not in BROUGHT else ():
                key = (broker, account, leg.currency)
                wanted[key] = wanted.get(key, ZERO_MONEY) + leg.amount
        return [
            f"{'/'.join(key)}: cash is {self.cash.get(key, ZERO_MONEY)}, the bookings add up to "
            f"{wanted.get(key, ZERO_MONEY)}"
            for key in {**wanted, **self.cash}
            if self.cash.get(key, ZERO_MONEY) != wanted.get(key, ZERO_MONEY)
        ]

    def dirty(self) -> Changed:
        """Rows changed since the last call."""
        positions = [self._position_row(key) for key in self._dirty_positions]
        cash: list[Values] = [(*key, text(self.cash[key])) for key in self._dirty_cash]
        self.forget()
        return [("positions", positions), ("cash", cash)]

    def forget(self) -> None:
        """Take what changed as written."""
        self._dirty_positions, self._dirty_cash = {}, {}

    def _position_row(self, key: Key) -> Values:
        position = self.positions[key]
        numbers = (position.qty, position.cost, position.realised, position.fees)
        return (*key, *map(text, numbers), position.currency)


def _settled(position: Position) -> Money:
    """What a position has brought in (negative: taken) in cash terms, fees aside."""
    return position.realised if position.is_margined else position.realised - position.cost
