"""Takes what brokers book beside executions into the books: each once, whether it is told live, again, or in a snapshot."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from engine.domain import events as ev
from engine.domain.money import DIGITS_MAX, Price, is_bounded
from engine.domain.money_events import MovementBooked
from engine.domain.movements import Movement, MovementKind
from engine.ledger.ledger import MARGINED, Ledger


class Movements:
    """The one way of a movement into the journal."""

    def __init__(self, ledger: Ledger, record: Callable[[ev.AnyEvent], int]) -> None:
        self._ledger = ledger
        self._record = record
        self.mark_of: Callable[[str, Decimal], Price | None] = lambda *_: None
        """What a unit of a signed quantity is worth now; the engine knows."""
        self._refused: dict[tuple[str, str, str], None] = {}
        """Told once by an alert; a snapshot brings them again and again."""

    def book(self, movement: Movement) -> bool:
        """Book one; whether it was new. What cannot be booked is an alert, and the comparison of positions and cash shows it."""
        key = (movement.broker, movement.account, movement.key)
        held = self._ledger.moved.get(key)
        if held is not None:
            if held != movement:
                self._refuse(key, f"{movement.key} was booked as {held.words()} and came again as {movement.words()}")
            return False
        fault = self._fault(movement)
        if fault:
            self._refuse(key, f"{movement.words()} is not booked: {fault}")
            return False
        is_position = movement.kind is MovementKind.TRANSFER and bool(movement.qty)
        mark = self.mark_of(movement.symbol, movement.qty) if is_position else None
        self._record(MovementBooked(movement=movement, mark=mark))
        return True

    def has_split(self, broker: str, account: str, symbol: str, since_ns: int) -> bool:
        """Whether a symbol was split in an account after a time: its orders then have new terms that nobody asked for."""
        return any(
            made.kind is MovementKind.SPLIT and (made.broker, made.account, made.symbol) == (broker, account, symbol)
            for made in self._ledger.moved.values()
            if made.ts_ns >= since_ns
        )

    def _fault(self, movement: Movement) -> str:
        if not is_bounded(movement.qty, movement.cost, *(leg.amount for leg in movement.cash)):
            return f"a number in it has more than {DIGITS_MAX} digits before or behind the point"
        if not movement.symbol:
            return ""
        made = self._ledger.instruments.get(movement.symbol)
        if made is None:
            return f"the terms of {movement.symbol} are not known"
        if movement.kind is MovementKind.SPLIT and made.kind in MARGINED:
            return f"{movement.symbol} is a {made.kind}; its contract size changes by a new definition, not by a split"
        return ""

    def _refuse(self, key: tuple[str, str, str], text: str) -> None:
        if key not in self._refused:
            self._refused[key] = None
            self._record(ev.AlertRaised(severity="critical", code="MOVEMENT", text=text))
