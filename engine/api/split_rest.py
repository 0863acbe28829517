"""What a split leaves of an order that an algorithm was working: said as a line that places it, in new units and at new prices.

The algorithm's parent stops at a split (its plan counted in old units) and ends once the venue has said what became of its children. Only
then is it known what is left, and a person places it: an engine that went on by itself would do so on what it knew before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from math import prod
from typing import TYPE_CHECKING

import msgspec

from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, ZERO_QTY, Price, Qty, Rounding, ratio, round_to, text
from engine.domain.money_events import MovementBooked
from engine.domain.movements import Movement, MovementKind
from engine.domain.order import AlgoSpec, OrderSpec, Side
from engine.execution.algo import window
from engine.intake.canonical import order_words
from engine.store.order import Order
from engine.store.order_store import OrderStore

if TYPE_CHECKING:
    from engine.oms.orders import Record

SPLIT_REST = "SPLIT_REST"


def left_after(qty: Qty, fills: Iterable[ev.Fill], splits: Sequence[Movement], lot: Qty) -> Qty:
    """What is left of a quantity that was asked for before splits, in units of now and whole lots; never below zero.

    Executions before a split are in its old units, later ones in its new ones. Of one at that very moment nobody can say which: it
    counts as what leaves less.
    """
    left: Decimal = qty
    parts, told = 1, list(fills)  # of a unit: so small that nothing is rounded before the end
    for split in splits:
        new, old = split.ratio
        left = EXACT.subtract(left, _weighed((fill for fill in told if fill.ts_ns < split.ts_ns), parts))
        doubtful = _weighed((fill for fill in told if fill.ts_ns == split.ts_ns), parts * max(new, old))
        left = EXACT.subtract(EXACT.multiply(left, Decimal(new)), doubtful)
        parts, told = parts * old, [fill for fill in told if fill.ts_ns > split.ts_ns]
    left = ratio(EXACT.subtract(left, _weighed(told, parts)), Decimal(parts))
    return Qty(round_to(left, lot, Rounding.DOWN)) if left > 0 else ZERO_QTY


def _weighed(fills: Iterable[ev.Fill], parts: int) -> Decimal:
    total = Decimal(0)
    for fill in fills:
        total = EXACT.add(total, EXACT.multiply(fill.qty, Decimal(parts)))
    return total


class SplitRest:
    """Waits for the end of parents that a split stopped, and says what is left of each."""

    def __init__(self, store: OrderStore, instrument: Callable[[str], Instrument], record: Record) -> None:
        self._store, self._instrument, self._record = store, instrument, record
        self._stopped: dict[str, list[Movement]] = {}
        """By parent: the splits since it worked."""
        self.routes: ev.Routes = {MovementBooked: self._booked, ev.ParentEnded: self._ended}
        self.routes_rebuild: ev.Routes = {MovementBooked: self._booked, ev.ParentEnded: self._told_before}
        """The same on a start, where what ended was told by the engine before."""

    def _booked(self, _seq: int, _ts_ns: int, event: MovementBooked) -> None:
        made = event.movement
        if made.kind is not MovementKind.SPLIT:
            return
        for parent in self._store.parents_open.values():
            spec = parent.spec
            is_there = (spec.broker, spec.account, spec.symbol) == (made.broker, made.account, made.symbol)
            if is_there and spec.algo.duration_ns and (not parent.stopping or parent.order_id in self._stopped):
                self._stopped.setdefault(parent.order_id, []).append(made)

    def _ended(self, _seq: int, ts_ns: int, event: ev.ParentEnded) -> None:
        splits = self._stopped.pop(event.order_id, [])
        if splits:
            self._tell(self._store.get(event.order_id), splits, ts_ns)

    def _told_before(self, _seq: int, _ts_ns: int, event: ev.ParentEnded) -> None:
        self._stopped.pop(event.order_id, None)

    def _tell(self, parent: Order, splits: Sequence[Movement], now_ns: int) -> None:
        made = self._instrument(parent.spec.symbol)
        children = {child.order_id for child in parent.children}
        fills = [fill for order_id, fill in self._store.fills.values() if order_id in children]
        ratios = ", then ".join(f"{new} for {old}" for new, old in (split.ratio for split in splits))
        done = ZERO_QTY
        for fill in fills:
            done = done + fill.qty
        if (
            done != parent.qty_filled
        ):  # some were undone or corrected: which of them, and in which units, the ledger must say
            told = f"{made.symbol} was split {ratios} while executions of {parent.order_id} were corrected"
            self._record(
                ev.AlertRaised(severity="warn", code=SPLIT_REST, text=f"{told}: work out by hand what is left")
            )
            return
        left = left_after(parent.qty, fills, splits, made.lot)
        told = f"{made.symbol} was split {ratios}: of {parent.order_id} {text(left)} are left in new units"
        if left:
            told += f"; place them with: {order_words(rest_of(parent, left, splits, made, now_ns))}"
        self._record(ev.AlertRaised(severity="warn", code=SPLIT_REST, text=told))


def rest_of(parent: Order, left: Qty, splits: Sequence[Movement], made: Instrument, now_ns: int) -> OrderSpec:
    """The order for what is left: its limit on the safe side of the tick, its algorithm for the time that is left."""
    spec = parent.spec
    _, end_ns = window(spec, parent.created_ns)
    limit = parent.limit
    if limit is not None:
        new, old = (prod(split.ratio[at] for split in splits) for at in (0, 1))
        exact = ratio(EXACT.multiply(limit, Decimal(old)), Decimal(new))
        limit = Price(made.round_price(exact, Rounding.FLOOR if spec.side is Side.BUY else Rounding.CEILING))
    seconds = max(1, (end_ns - now_ns) // NS_PER_S)
    params = dict(spec.algo.params)
    if "slices" in params:
        share = -(-int(params["slices"]) * seconds * NS_PER_S // spec.algo.duration_ns)
        params["slices"] = str(max(1, min(int(params["slices"]), share)))
    algo = AlgoSpec(name=spec.algo.name, duration_ns=seconds * NS_PER_S, params=params)
    return msgspec.structs.replace(spec, qty=left, limit=limit, algo=algo)
