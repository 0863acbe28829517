"""What each strategy holds of the positions at a broker: a pure function of the journal, read when somebody asks.

Executions of a strategy's orders are its own; everything else a position consists of (orders of people, foreign executions,
adjustments, transfers, fractions of splits) is nobody's: ``UNASSIGNED`` is the broker's position less all of theirs, so the
parts always add up to the whole.
"""

from __future__ import annotations

from engine.domain import events as ev
from engine.domain.money import ZERO_MONEY, ZERO_QTY, Qty
from engine.domain.money_events import MovementBooked
from engine.domain.movements import Movement, MovementKind
from engine.domain.order import SourceKind
from engine.ledger.ledger import MARGINED, Key, Ledger
from engine.ledger.positions import Position, Split, share_of

UNASSIGNED = "unassigned"
Place = tuple[str, str, str, str]
"""Strategy, broker, account, symbol."""


class SubBook:
    """Positions by strategy. Call :meth:`apply` after the ledger's."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.positions: dict[Place, Position] = {}
        self._strategies: dict[str, str] = {}
        """By order: the strategy that sent it."""
        self._fills: dict[Key, Place] = {}

    def apply(self, _seq: int, _ts_ns: int, event: ev.AnyEvent) -> None:
        """Follow the journal."""
        for part in ev.parts_of(event):
            self._take(part)

    def _take(self, event: ev.AnyEvent) -> None:
        match event:
            case ev.OrderIntent() if event.source.kind is SourceKind.STRATEGY:
                self._strategies[event.order_id] = event.source.name
            case ev.OrderFilled() if event.order_id in self._strategies:
                self._fill(self._strategies[event.order_id], event.fill)
            case ev.FillBusted():
                self._undo((event.fill.broker, event.fill.account, event.fill.fill_key))
            case MovementBooked() if event.movement.kind is MovementKind.SPLIT:
                self._split(event.movement)
            case _:
                return

    def _fill(self, strategy: str, fill: ev.Fill) -> None:
        made = self._ledger.instruments.get(fill.symbol)
        if made is None:
            return
        if fill.corrects:
            self._undo((fill.broker, fill.account, fill.corrects))
        place = (strategy, fill.broker, fill.account, fill.symbol)
        position = self.positions.get(place)
        if position is None:
            position = Position(made.multiplier, made.currency, is_margined=made.kind in MARGINED)
            self.positions[place] = position
        fee = fill.fee if fill.fee_currency in {"", made.currency} else ZERO_MONEY
        position.add(fill.fill_key, position.entry(fill.qty if fill.side.sign > 0 else -fill.qty, fill.price, fee))
        self._fills[fill.broker, fill.account, fill.fill_key] = place

    def _undo(self, key: Key) -> None:
        place = self._fills.pop(key, None)
        if place is not None:
            self.positions[place].remove(key[2])

    def _split(self, made: Movement) -> None:
        """Each strategy's part splits alike, in whole steps of the position; the fraction is nobody's."""
        new, old = made.ratio
        for (_, broker, account, symbol), position in self.positions.items():
            if (broker, account, symbol) == (made.broker, made.account, made.symbol) and position.qty:
                position.split(f"split:{made.key}", Split(made.ratio, share_of(position.qty, new, old, made.qty)))

    def rows(self) -> list[tuple[str, str, str, str, Position]]:
        """(broker, account, symbol, strategy, position), the unassigned rest of each broker's position behind its parts."""
        found = []
        for (broker, account, symbol), whole in sorted(self._ledger.positions.items()):
            parts = [
                (name, held)
                for (name, *place), held in sorted(self.positions.items(), key=lambda item: item[0])
                if tuple(place) == (broker, account, symbol)
            ]
            found += [(broker, account, symbol, name, held) for name, held in parts]
            rest = Position(whole.multiplier, whole.currency, is_margined=whole.is_margined)
            rest.qty, rest.cost, rest.realised, rest.fees = whole.qty, whole.cost, whole.realised, whole.fees
            for _, held in parts:
                rest.qty = rest.qty - held.qty
                rest.cost = rest.cost - held.cost
                rest.realised = rest.realised - held.realised
                rest.fees = rest.fees - held.fees
            if not parts or any((rest.qty, rest.cost, rest.realised, rest.fees)):
                found.append((broker, account, symbol, UNASSIGNED, rest))
        return found


def total(rows: list[tuple[str, str, str, str, Position]], place: Key) -> Qty:
    """What the parts of one position add up to."""
    return Qty(sum((held.qty for *key, _, held in rows if tuple(key) == place), ZERO_QTY))
