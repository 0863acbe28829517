"""All orders by id: those that work or ended lately at hand, the older ones packed as families (a parent and its children).

Whoever asks for a packed order gets its whole family back at hand, as if it had never been packed, so that a late execution
changes it like any other. Foreign orders stay at hand: they are few, and their ids are not ours.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from decimal import Decimal
from operator import attrgetter

import msgspec

from engine.domain import events as ev
from engine.domain.commands import AmendOrder, Denial, NewOrder
from engine.domain.errors import InputError
from engine.domain.ids import counter_of
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderState, Source
from engine.store.order import FillId, Order
from engine.store.packed import Packed

Asked = NewOrder | AmendOrder


class PackedOrder(msgspec.Struct, array_like=True):
    """One order as it is packed: the fields of :class:`Order` but for its place in the family, which the family's order says."""

    acked_ns: int
    algo_data: dict[str, str]
    amend: ev.AmendIntent | None
    awaits: str
    cancel_asked: bool
    created_ns: int
    decision: ev.Decision | None
    denials: tuple[Denial, ...]
    end_state: OrderState | None
    fills: list[FillId]
    intent_id: str
    is_parent: bool
    limit: Price | None
    note: str
    order_id: str
    overfill: Qty
    parent_id: str
    qty: Qty
    qty_filled: Qty
    source: Source
    spec: OrderSpec
    state: OrderState
    stop: Price | None
    stopping: bool
    suspended: bool
    paused: bool
    told_committed: Qty
    told_filled: Qty
    told_over: Qty
    told_value: Decimal
    told_worst: Qty
    unknown_since_ns: int
    updated_ns: int
    updated_seq: int
    value_filled: Decimal
    committed: Qty
    venue_order_id: str
    why: str
    wire_id: str


class Family(msgspec.Struct, array_like=True):
    """A parent, its children in order of birth, and the commands that asked for them."""

    orders: list[PackedOrder]
    asked: list[Asked]


class OrderShelf(dict[str, Order]):
    """Orders by id. As a dictionary it holds those at hand; ``get``, ``[]`` and ``in`` know the packed ones as well."""

    def __init__(self, on_back: Callable[[list[Order], list[Asked]], None]) -> None:
        """``on_back`` is told of a family that came back at hand, and of the commands that asked for it."""
        super().__init__()
        self._on_back = on_back
        self._packed: Packed[Family] = Packed(Family)
        self._places = array("L", [0])
        """By counter of an order: place of its family + 1, 0 where it is at hand (or no order)."""
        self.packed_count = 0
        """Orders that are packed."""

    def get(self, order_id: str, default: Order | None = None) -> Order | None:  # type: ignore[override] # narrower than dict's
        """An order; its family comes back at hand."""
        found = super().get(order_id)
        if found is None and self.packed_count and self._place(order_id):
            self._unpack(self._place(order_id))
            found = super().get(order_id)
        return default if found is None else found

    def __missing__(self, order_id: str) -> Order:
        """Bring a packed one back."""
        found = self.get(order_id)
        if found is None:
            raise KeyError(order_id)
        return found

    def __contains__(self, order_id: object) -> bool:
        """Whether there is such an order."""
        return super().__contains__(order_id) or (isinstance(order_id, str) and self.get(order_id) is not None)

    def all(self) -> Iterator[Order]:
        """Every order in order of birth; a packed one as a copy of its own, which nobody may change."""
        at_hand = {order.counter: order for order in self.values()}
        copies: dict[int, Order] = {}
        """Of families that were begun: a parent of a thousand children is unpacked once, not for each of them."""
        for counter in range(1, max(len(self._places), max(at_hand, default=0) + 1)):
            if counter in at_hand:
                yield at_hand[counter]
            elif counter < len(self._places) and self._places[counter]:
                if counter not in copies:
                    family = _family(self._packed.get(self._places[counter] - 1))
                    copies |= {order.counter: order for order in family}
                yield copies.pop(counter)

    def pack(self, families: list[tuple[list[Order], list[Asked]]]) -> None:
        """Pack families (each with its parent first) that are at hand and have ended."""
        first = self._packed.add([Family([_flat(order) for order in orders], asked) for orders, asked in families])
        for place, (orders, _) in enumerate(families, first):
            for order in orders:
                missing = order.counter + 1 - len(self._places)
                if missing > 0:
                    self._places.extend([0] * missing)
                self._places[order.counter] = place + 1
                del self[order.order_id]
                order.parent = None  # a circle would wait for the cyclic collector, which an engine lets look seldom
                self.packed_count += 1

    def _place(self, order_id: str) -> int:
        number = order_id[1:]
        counter = int(number) if number.isdecimal() else 0
        return self._places[counter] if counter < len(self._places) else 0

    def _unpack(self, place: int) -> None:
        found = self._packed.get(place - 1)
        family = _family(found)
        for order in family:
            self[order.order_id] = order
            self._places[order.counter] = 0
        self.packed_count -= len(family)
        self._on_back(family, found.asked)


class WireIndex(dict[str, Order]):
    """Orders by the id that the venue sees. Those of packed orders are not kept: the id holds the order's number."""

    def __init__(self, orders: OrderShelf) -> None:
        super().__init__()
        self._orders = orders

    def get(self, wire_id: str, default: Order | None = None) -> Order | None:  # type: ignore[override] # narrower than dict's
        """An order; the family of a packed one comes back at hand."""
        found = super().get(wire_id)
        if found is None and self._orders.packed_count:
            try:
                order = self._orders.get(f"C{counter_of(wire_id)}")
            except InputError:
                return default  # no id of ours
            found = order if order is not None and order.wire_id == wire_id else None
        return default if found is None else found

    def __missing__(self, wire_id: str) -> Order:
        """Bring a packed one back."""
        found = self.get(wire_id)
        if found is None:
            raise KeyError(wire_id)
        return found


_fields_of = attrgetter(*PackedOrder.__struct_fields__)


def _flat(order: Order) -> PackedOrder:
    return PackedOrder(*_fields_of(order))


def _family(packed: Family) -> list[Order]:
    """Orders as they were when they were packed: new objects."""
    made: list[Order] = []
    for flat in packed.orders:
        order = Order(flat.order_id, flat.spec, flat.source, flat.state, flat.created_ns)
        for name in PackedOrder.__struct_fields__:
            value = getattr(flat, name)
            setattr(order, name, value.copy() if isinstance(value, (list, dict)) else value)
        made.append(order)
    for child in made[1:]:
        child.parent = made[0]
        made[0].children.append(child)
    return made
