"""The figures that need sums over the account: limits, exposures and what parents cost. Made once a second, when asked."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.api.costs import Costs
from engine.api.exposures import Exposures
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.instrument import Instrument
from engine.risk.headroom import SYMBOLS_MAX, standing
from engine.store.order import Order
from engine.views import CostView, ExposureView, LimitView

if TYPE_CHECKING:
    from engine.api.engine import Engine

COSTS_KEPT = 600
"""Parents whose costs are kept ready; the oldest go."""


class Overview:
    """What the picture shows of risk and cost. Its parts follow fills; the rest is read when a second has passed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._costs = Costs(engine.market, engine.store)
        self._exposures = Exposures(engine.ledger, engine.store, engine.view_of_risk)
        self._second = -1
        self._version = 0
        """Version in which limits and exposures changed last."""
        self._dirty: dict[str, None] = {}
        self._made: dict[str, tuple[int, CostView]] = {}
        self.limits: tuple[LimitView, ...] = ()
        self.exposures: tuple[ExposureView, ...] = ()

    # -- following the journal ---------------------------------------------------------------------------------------------

    def accepted(self, event: ev.ParentAccepted) -> None:
        """A parent starts."""
        self._costs.accepted(event)
        self._dirty[event.order_id] = None

    def booked(self, order: Order | None, fill: ev.Fill, sign: int) -> None:
        """A fill, or (``sign`` -1) one that was taken back."""
        self._costs.booked(order, fill, sign)
        source = None if order is None else order.source
        wrong = self._engine.store.fills.get((fill.broker, fill.account, fill.corrects)) if fill.corrects else None
        if wrong is not None and sign > 0:
            self._exposures.booked(source, wrong[1], -1)
        self._exposures.booked(source, fill, sign)
        if order is not None:
            if wrong is not None and sign > 0:
                self._engine.markouts.booked(order.parent_id or order.order_id, wrong[1], -1)
            self._engine.markouts.booked(order.parent_id or order.order_id, fill, sign)
            self._dirty[order.parent_id or order.order_id] = None
            if len(self._dirty) > 2 * COSTS_KEPT:
                self._dirty = dict.fromkeys(islice(self._dirty, COSTS_KEPT, None))

    # -- pictures ----------------------------------------------------------------------------------------------------------

    def refresh(self, version: int) -> bool:
        """Work the figures out again where a second has passed; whether one of them changed: it did so in this version.

        Time alone changes some, so neither the journal's place nor the market's says which ones a reader has seen.
        """
        second = self._engine.clock.now_ns() // NS_PER_S
        if second == self._second:
            return False
        self._second = second
        found = self._limits(), self._exposures.views()
        is_changed = found != (self.limits, self.exposures)
        if is_changed:
            self.limits, self.exposures = found
            self._version = version
        return self._refresh_costs(version) or is_changed

    def _refresh_costs(self, version: int) -> bool:
        store, markouts = self._engine.store, self._engine.markouts
        markouts.settle()
        is_changed = False
        for order_id in {**self._dirty, **markouts.changed, **dict.fromkeys(store.parents_open)}:
            order = store.orders.get(order_id)
            view = None if order is None or not order.is_parent else self._costs.view(order)
            if view is not None and (after := markouts.view(order_id)):
                view = replace(view, markouts=after)
            if view is not None and (order_id not in self._made or self._made[order_id][1] != view):
                self._made.pop(order_id, None)
                self._made[order_id] = (version, view)
                is_changed = True
        self._dirty.clear()
        markouts.changed.clear()
        while len(self._made) > COSTS_KEPT:
            del self._made[next(iter(self._made))]
        return is_changed

    def forget_second(self) -> None:
        """Let the next :meth:`refresh` work the figures out, whatever the time."""
        self._second = -1

    def limits_since(self, version: int) -> tuple[tuple[LimitView, ...], tuple[ExposureView, ...]] | None:
        """Limits and exposures where they changed after a version; always after 0."""
        return (self.limits, self.exposures) if version < self._version or not version else None

    def costs_since(self, version: int) -> tuple[CostView, ...]:
        """Costs that changed after a version, oldest change first."""
        return tuple(view for since, view in self._made.values() if since > version)

    def _limits(self) -> tuple[LimitView, ...]:
        engine = self._engine
        found: list[LimitView] = []
        for broker in engine.parts.brokers.values():
            named = self._named(broker.account)
            found += standing(engine.gate, broker.name, broker.account, named, engine.clock.now_ns())
        return tuple(found)

    def _named(self, account: str) -> list[Instrument]:
        """The instruments whose own limits matter: held, or with live orders; with none, one to measure the account by."""
        market = self._engine.market
        symbols = dict.fromkeys(symbol for symbol, _ in self._engine.view_of_risk.positions(account))
        found = [market.instruments[symbol] for symbol in symbols if symbol in market.instruments][:SYMBOLS_MAX]
        return found or [made for made in market.instruments.values() if market.quote(made.symbol) is not None][:1]
