"""What is at risk, summed by symbol, by who asked for it, by broker and by currency, in base currency."""

from __future__ import annotations

from decimal import Decimal

from engine.api.risk_view import EngineRiskView
from engine.domain import events as ev
from engine.domain.money import EXACT, Money
from engine.domain.order import Side, Source, SourceKind, source_of_wire
from engine.ledger.ledger import Ledger
from engine.risk.controls_case import mark_of
from engine.store.order_store import OrderStore
from engine.views import ExposureView

KINDS = ("symbol", "source", "broker", "currency")
_ZERO = Decimal(0)


def source_words(source: Source) -> str:
    """``BuyTheDip`` for a strategy, the person or ``copilot`` for others."""
    return source.name if source.kind is SourceKind.STRATEGY else f"{source.kind.value}:{source.name}".rstrip(":")


class Exposures:
    """Follows which source's fills made a position; the rest is read from the ledger."""

    def __init__(self, ledger: Ledger, store: OrderStore, view: EngineRiskView) -> None:
        self._ledger = ledger
        self._store = store
        self._view = view
        self._by_source: dict[tuple[str, str], Decimal] = {}

    def booked(self, source: Source | None, fill: ev.Fill, sign: int) -> None:
        """A fill, or (``sign`` -1) one that was taken back; ``source`` None for one of no order of the books: an exit of the
        kill procedure, told by its wire id, or a foreign one.
        """
        key = (
            self._foreign(fill) if source is None or source.kind is SourceKind.FOREIGN else source_words(source),
            fill.symbol,
        )
        moved = fill.qty * sign if fill.side is Side.BUY else fill.qty * -sign
        held = EXACT.add(self._by_source.get(key, _ZERO), moved)
        if held:
            self._by_source[key] = held
        else:
            self._by_source.pop(key, None)

    def _foreign(self, fill: ev.Fill) -> str:
        return source_of_wire(fill.wire_id, self._store.ledger_id).value

    def views(self) -> tuple[ExposureView, ...]:
        """Longs and shorts by each kind; a name that holds something without mark or rate has no figure."""
        sums: dict[tuple[str, str], list[Decimal] | None] = {}
        for (broker, _, symbol), position in self._ledger.positions.items():
            if not position.qty:
                continue
            made = self._ledger.instrument(symbol)
            amount = self._amount(symbol, position.qty)
            for kind, name in (("symbol", symbol), ("broker", broker), ("currency", made.currency)):
                _add(sums, (kind, name), amount)
        for (name, symbol), qty in self._by_source.items():
            _add(sums, ("source", name), self._amount(symbol, qty))
        return tuple(
            ExposureView(
                kind=kind,
                name=name,
                long=None if found is None else Money(found[0]),
                short=None if found is None else Money(found[1]),
            )
            for (kind, name), found in sorted(sums.items(), key=lambda item: (KINDS.index(item[0][0]), item[0][1]))
        )

    def _amount(self, symbol: str, qty: Decimal) -> Decimal | None:
        """Signed amount at the middle of the market, in base currency."""
        made, mark = self._view.instrument(symbol), mark_of(self._view.quote(symbol))
        rate = None if made is None else self._view.currency_rate(made.currency)
        if made is None or mark is None or rate is None:
            return None
        return EXACT.multiply(EXACT.multiply(EXACT.multiply(mark, qty), made.multiplier), rate)


def _add(sums: dict[tuple[str, str], list[Decimal] | None], key: tuple[str, str], amount: Decimal | None) -> None:
    found = sums.setdefault(key, [_ZERO, _ZERO])
    if found is None:
        return
    if amount is None:
        sums[key] = None
        return
    at = 0 if amount >= 0 else 1
    found[at] = EXACT.add(found[at], amount)
