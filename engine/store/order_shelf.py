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
from engine.domain.money import ZERO_QTY, Price, Qty
from engine.domain.order import OrderSpec, OrderState, Source
from engine.store.order import FillId, Order
from engine.store.packed import Packed

Asked = NewOrder | AmendOrder
_ZERO = Decimal(0)


class Told(msgspec.Struct, array_like=True):
    """An order's own sums, where it is not at rest, and what its parent's and its account's hold of it."""

    own_committed: Qty
    own_overfill: Qty
    committed: Qty
    filled: Qty
    over: Qty
    value: Decimal
    worst: Qty


class PackedOrder(msgspec.Struct, array_like=True):
    """One order as it is packed: the fields of :class:`Order` but for its place in the family, which the family's order says.

    What follows from other fields, or is its parent's, stands as None at the end: a number that is not written and terms that are not
    written twice are time of each order of a long day.
    """

    acked_ns: int
    algo_data: dict[str, str]
    amend: ev.AmendIntent | None
    awaits: str
    cancel_asked: bool
    created_ns: int
    denials: tuple[Denial, ...]
    end_state: OrderState | None
    fills: list[FillId]
    intent_id: str
    is_parent: bool
    limit: Price | None
    note: str
    order_id: str
    parent_id: str
    paused: bool
    qty_filled: Qty
    state: OrderState
    stop: Price | None
    stopping: bool
    suspended: bool
    unknown_since_ns: int
    updated_ns: int
    updated_seq: int
    value_filled: Decimal
    venue_order_id: str
    why: str
    wire_id: str
    decision: ev.Decision | None
    """Without its quote where that is the parent's."""
    has_quote_of_parent: bool
    qty: Qty | None
    """None: what its terms say."""
    source: Source | None
    """None: its parent's."""
    spec: OrderSpec | None
    """None: its parent's."""
    told: Told | None
    """None: what follows from what it came to, as of any order at rest."""


class Wish(msgspec.Struct, array_like=True):
    """The command that asked for a parent, without what the parent says itself."""

    confirmed: frozenset[str]
    why: str
    words: str


class Family(msgspec.Struct, array_like=True):
    """A parent, its children in order of birth, and the commands that asked for them."""

    orders: list[PackedOrder]
    wish: Wish | None
    """The first command, where the parent says the rest of it."""
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
        first = self._packed.add([_packed(orders, asked) for orders, asked in families])
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
        self._on_back(family, _asked(found, family[0]))


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


_SAME = PackedOrder.__struct_fields__[: PackedOrder.__struct_fields__.index("decision")]
"""Fields that are packed as they are."""
SUMS = ("committed", "overfill", "told_committed", "told_filled", "told_over", "told_value", "told_worst")
"""Fields that :class:`Told` has, in its order."""
_fields_of, _sums_of = attrgetter(*_SAME), attrgetter(*SUMS)


def _packed(orders: list[Order], asked: list[Asked]) -> Family:
    parent = orders[0]
    wish = _wish(asked[0], parent) if asked else None
    return Family(
        [_flat(parent, None), *(_flat(child, parent) for child in orders[1:])],
        wish,
        asked if wish is None else asked[1:],
    )


def _flat(order: Order, parent: Order | None) -> PackedOrder:
    decision, spec, source = order.decision, order.spec, order.source
    quote = None if decision is None or parent is None or parent.decision is None else parent.decision.quote
    is_same = quote is not None and decision is not None and decision.quote is quote
    if is_same and decision is not None:
        decision = ev.Decision(decision.policy_hash, None, decision.why, decision.fallbacks)
    sums = _sums_of(order)
    return PackedOrder(
        *_fields_of(order),
        decision,
        is_same,
        None if order.qty is spec.qty else order.qty,
        None if parent is not None and source is parent.source else source,
        None if parent is not None and spec is parent.spec else spec,
        None if sums == _at_rest(order) else Told(*sums),
    )  # type: ignore[call-arg] # mypy counts the fields behind a star as none


def _at_rest(order: Order) -> tuple[Decimal, ...]:
    """The sums of an order that has ended: what it came to; the sums over children hold nothing of a parent."""
    filled = order.qty_filled
    if order.is_parent:
        return filled, ZERO_QTY, ZERO_QTY, ZERO_QTY, ZERO_QTY, _ZERO, ZERO_QTY
    return ZERO_QTY, ZERO_QTY, filled, filled, ZERO_QTY, order.value_filled, ZERO_QTY


def _wish(command: Asked, parent: Order) -> Wish | None:
    """What a command says beyond its parent; None where that says other things."""
    if not isinstance(command, NewOrder) or command.staged or command.linked:
        return None
    is_said = command.spec is parent.spec and command.source is parent.source and command.intent_id == parent.intent_id
    return Wish(command.confirmed, command.why, command.words) if is_said else None


def _asked(packed: Family, parent: Order) -> list[Asked]:
    if packed.wish is None:
        return packed.asked
    wish = NewOrder(
        source=parent.source, intent_id=parent.intent_id, spec=parent.spec,
        confirmed=packed.wish.confirmed, why=packed.wish.why, words=packed.wish.words,
    )  # fmt: skip
    return [wish, *packed.asked]


def _family(packed: Family) -> list[Order]:
    """Orders as they were when they were packed: new objects."""
    made: list[Order] = []
    for flat in packed.orders:
        order = _order(flat, made[0] if made else None)
        if made:
            order.parent = made[0]
            made[0].children.append(order)
        made.append(order)
    return made


def _order(flat: PackedOrder, parent: Order | None) -> Order:
    spec, source, decision = flat.spec, flat.source, flat.decision
    if parent is not None:
        spec, source = spec or parent.spec, source or parent.source
        if flat.has_quote_of_parent and decision is not None and parent.decision is not None:
            decision = msgspec.structs.replace(decision, quote=parent.decision.quote)
    assert spec is not None, flat.order_id
    assert source is not None, flat.order_id
    order = Order(flat.order_id, spec, source, flat.state, flat.created_ns)
    for name in _SAME:
        value = getattr(flat, name)
        setattr(order, name, value.copy() if isinstance(value, (list, dict)) else value)
    order.decision = decision
    order.qty = spec.qty if flat.qty is None else flat.qty
    for name, value in zip(
        SUMS, _at_rest(order) if flat.told is None else msgspec.structs.astuple(flat.told), strict=True
    ):
        setattr(order, name, value)
    return order
