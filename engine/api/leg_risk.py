"""What stands bare of combinations that are not guaranteed: legs that were filled while others were not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import prod
from typing import TYPE_CHECKING

from engine.domain import events as ev
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, ZERO_QTY, Qty, Rounding, round_to, text
from engine.domain.money_events import MovementBooked
from engine.domain.movements import Movement, MovementKind
from engine.domain.order import OrderSpec
from engine.execution.combos import LegDone, bare_legs, combo_of
from engine.oms.orders import stated_key
from engine.store.order import Order
from engine.store.order_store import OrderStore

if TYPE_CHECKING:
    from engine.oms.orders import Record

LEG_RISK = "LEG_RISK"


class LegRisk:
    """Reads it from the orders; says so where a combination ends with a leg that stands alone, or comes to that later."""

    def __init__(self, store: OrderStore, instrument: Callable[[str], Instrument], record: Record) -> None:
        self._store, self._instrument, self._record = store, instrument, record
        self._splits: dict[tuple[str, str, str], list[Movement]] = {}
        """By broker, account and symbol."""
        self.routes: ev.Routes = {
            ev.ParentEnded: self._ended,
            ev.OrderFilled: self._filled,
            ev.FillBusted: self._busted,
            MovementBooked: self._booked,
        }
        self.routes_rebuild: ev.Routes = {MovementBooked: self._booked}
        """The same on a start: what ended was told by the engine before."""

    def by_symbol(self) -> dict[tuple[str, str, str], Qty]:
        """By broker, account and symbol: the signed quantity that legs of open combinations leave bare."""
        found: dict[tuple[str, str, str], Qty] = {}
        groups = {
            spec.link.group
            for spec in map(_spec_of, self._store.parents_open.values())
            if spec.link and _is_legged(spec)
        }
        for group in sorted(groups):
            legs = self._legs(group)
            for symbol, qty in self._bare(legs).items():
                key = (legs[0].spec.broker, legs[0].spec.account, symbol)
                found[key] = found.get(key, ZERO_QTY) + qty
        return found

    def _ended(self, _seq: int, _ts_ns: int, event: ev.ParentEnded) -> None:
        self._look(event.order_id)

    def _filled(self, _seq: int, _ts_ns: int, event: ev.OrderFilled) -> None:
        if event.late:
            self._look(event.order_id)

    def _busted(self, _seq: int, _ts_ns: int, event: ev.FillBusted) -> None:
        # A foreign execution is of no order of ours. Where it is what a person said, the venue's own one takes its place at once.
        order = self._store.orders.get(event.order_id)
        if order is not None and event.fill.fill_key != stated_key(order):
            self._look(event.order_id)

    def _look(self, order_id: str) -> None:
        """Raise an alert where nothing of the order's combination is open any more and its legs are not even."""
        spec = self._store.get(order_id).spec
        if combo_of(spec) is None or spec.link is None:
            return
        legs = self._legs(spec.link.group)
        bare = self._bare(legs)
        if not bare or any(leg.order_id in self._store.parents_open for leg in legs):
            return
        words = ", ".join(f"{text(qty)} {symbol}" for symbol, qty in bare.items())
        told = (
            f"combo {spec.link.group} ended with legs that stand alone: {words}; close them, or fill the missing legs"
        )
        self._record(ev.AlertRaised(severity="warn", code=LEG_RISK, text=told))

    def _booked(self, _seq: int, _ts_ns: int, event: MovementBooked) -> None:
        made = event.movement
        if made.kind is MovementKind.SPLIT:
            self._splits.setdefault((made.broker, made.account, made.symbol), []).append(made)

    def _bare(self, legs: list[Order]) -> dict[str, Qty]:
        """What stands bare, in whole lots of now: a split pays fractions of them out."""
        found = bare_legs([self._done(leg) for leg in legs])
        if not self._splits:
            return found
        lots = {
            symbol: Qty(round_to(qty, self._instrument(symbol).lot, Rounding.DOWN)) for symbol, qty in found.items()
        }
        return {symbol: qty for symbol, qty in lots.items() if qty}

    def _done(self, leg: Order) -> LegDone:
        """What a leg has done. Executions up to a split are in its old units, later ones in its new ones."""
        spec = leg.spec
        splits = self._splits.get((spec.broker, spec.account, spec.symbol), ())
        since = [made for made in splits if made.ts_ns >= leg.created_ns]
        if not since:
            return LegDone(spec, leg.qty_filled)
        parts, ratios = Decimal(0), [made.ratio for made in since]
        for child in leg.children:
            for key in child.fills:
                fill = self._store.fills[key][1]
                passed = sum(made.ts_ns < fill.ts_ns for made in since)
                weight = prod(old for _, old in ratios[:passed]) * prod(new for new, _ in ratios[passed:])
                parts = EXACT.add(parts, EXACT.multiply(fill.qty, Decimal(weight)))
        return LegDone(spec, parts, prod(new for new, _ in ratios), prod(old for _, old in ratios))

    def _legs(self, group: str) -> list[Order]:
        """The parents of a combination: they have numbers one after another, from that of the first."""
        legs: list[Order] = []
        number = int(group[1:])
        while (found := self._store.orders.get(f"P{number + len(legs)}")) is not None:
            if found.spec.link is None or found.spec.link.group != group:
                break
            legs.append(found)
        return legs


def _spec_of(order: Order) -> OrderSpec:
    return order.spec


def _is_legged(spec: OrderSpec) -> bool:
    combo = combo_of(spec)
    return combo is not None and combo.legged
