"""What is packed away is given back as it was: rows of a journal without a file, old executions, orders with their families."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.commands import AmendOrder, NewOrder
from engine.domain.events import Decision, QuoteSeen
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderState, OrderType, Side, Source, SourceKind
from engine.store.kept_rows import BLOCK, KeptRows, Row
from engine.store.order import Order
from engine.store.order_shelf import SUMS, OrderShelf, PackedOrder, Told
from engine.store.shelf import Shelf

OF_THE_FAMILY = {"parent", "children", "children_live", "counter", "is_foreign"}
"""Worked out where a family is unpacked: nothing of a packed family is live, and none is foreign."""
ACTS = st.tuples(st.sampled_from(["put", "put", "put", "get", "del", "turn"]), st.integers(0, 12), st.integers())


def _row(seq: int) -> Row:
    return (seq, seq * 7, "kind", b"payload %d" % seq, b"before %d" % seq, b"hash %d" % seq)


@given(st.lists(st.integers(1, 700), max_size=6), st.integers(1, 3_000), st.integers(-1, 2_000))
def test_rows_in_memory_are_those_that_were_put(sizes: list[int], from_seq: int, limit: int) -> None:
    kept, rows = KeptRows(), [_row(seq) for seq in range(1, sum(sizes) + 1)]
    at = 0
    for size in sizes:
        kept.append(rows[at : at + size])
        at += size
    assert kept.rows(from_seq, limit) == rows[from_seq - 1 : None if limit < 0 else from_seq - 1 + limit]


def test_old_rows_in_memory_are_small() -> None:
    kept = KeptRows()
    kept.append([_row(seq) for seq in range(1, 20 * BLOCK)])
    assert len(kept._newest) < 2 * BLOCK


@given(st.lists(ACTS, max_size=60))
def test_a_shelf_is_a_dictionary(acts: list[tuple[str, int, int]]) -> None:
    shelf: Shelf[str, tuple[str, int]] = Shelf(tuple[str, int])
    shelf.at_hand_max, shelf.step = 2, 1
    plain: dict[str, tuple[str, int]] = {}
    for act, number, value in acts:
        key = f"k{number}"
        if act == "put":
            shelf[key] = plain[key] = (key, value % 2**60)
        elif act == "del":
            assert shelf.pop(key, None) == plain.pop(key, None)
        elif act == "turn":
            shelf.rearrange(lambda held: dict(reversed(held.items())))
            plain = dict(reversed(plain.items()))
        assert shelf.get(key) == plain.get(key)
        assert (key in shelf) is (key in plain)
        assert list(shelf.items()) == list(plain.items())
        assert len(shelf) == len(plain)


def test_a_packed_order_has_every_field_of_an_order() -> None:
    slots: Any = Order.__slots__
    packed = {*PackedOrder.__struct_fields__, *SUMS} - {"told", "has_quote_of_parent"}
    assert packed == set(slots) - OF_THE_FAMILY
    assert len(SUMS) == len(Told.__struct_fields__)


def _fields(order: Order) -> dict[str, object]:
    return {name: getattr(order, name) for name in sorted(set(Order.__slots__) - OF_THE_FAMILY)}


SPEC = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(100), type=OrderType.LIMIT, limit=Price("189.00"))
ME = Source(SourceKind.STRATEGY, "script")
QUOTE = QuoteSeen(bid=Price("189.00"), ask=Price("189.02"), ts_ns=5)


def _put(order: Order, **changes: object) -> None:
    for name, value in changes.items():
        setattr(order, name, value)


FILLED: dict[str, object] = {
    "qty_filled": Qty(40), "value_filled": Decimal("7560.00"), "told_filled": Qty(40), "told_committed": Qty(40),
    "told_value": Decimal("7560.00"), "fills": [("paper", "PAPER", "F1")], "state": OrderState.CANCELLED,
}  # fmt: skip


@pytest.mark.parametrize(
    ("parents", "childs"),
    [
        ({}, {}),
        ({"qty_filled": Qty(40), "committed": Qty(40), "value_filled": Decimal("7560.00")}, FILLED),
        ({"overfill": Qty(3)}, {"overfill": Qty(3), "told_over": Qty(3)}),
        ({"committed": Qty(7)}, {"told_committed": Qty(7), "told_worst": Qty(7)}),
        ({"qty": Qty(60), "limit": Price("188.90")}, {"qty": Qty(60), "limit": Price("188.90")}),
        (
            {},
            {
                "spec": msgspec.structs.replace(SPEC, qty=Qty(9)),
                "qty": Qty(9),
                "source": Source(SourceKind.CLI, "anna"),
            },
        ),
        ({}, {"decision": Decision("policy", msgspec.structs.replace(QUOTE, ts_ns=6), "later")}),
        ({"decision": Decision("policy", None, "no quote")}, {"decision": Decision("policy", None, "none either")}),
        ({"decision": None}, {"decision": None}),
    ],
)
@pytest.mark.parametrize("asked", ["plain", "other", "staged", "none"])
def test_a_family_comes_back_as_it_was(parents: dict[str, object], childs: dict[str, object], asked: str) -> None:
    parent, child = Order("P1", SPEC, ME, OrderState.CANCELLED, 7), Order("C2", SPEC, ME, OrderState.CANCELLED, 8)
    _put(parent, is_parent=True, intent_id="i1", **{"decision": Decision("policy", QUOTE, "why"), **parents})
    _put(child, parent_id="P1", wire_id="W2", **{"decision": Decision("policy", QUOTE, "the whole"), **childs})
    parent.children.append(child)
    child.parent = parent
    wish = NewOrder(
        source=ME, intent_id="i1", spec=SPEC, why="why", confirmed=frozenset({"ADV_PCT"}), words="b 100 AAPL"
    )
    wishes: dict[str, list[NewOrder | AmendOrder]] = {
        "plain": [wish, AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(60))],
        "other": [msgspec.structs.replace(wish, spec=msgspec.structs.replace(SPEC, qty=Qty(5)))],
        "staged": [msgspec.structs.replace(wish, staged=True)],
        "none": [],
    }
    before = [_fields(order) for order in (parent, child)]
    told: list[tuple[list[Order], list[NewOrder | AmendOrder]]] = []
    shelf = OrderShelf(lambda family, commands: told.append((family, commands)))
    shelf["P1"], shelf["C2"] = parent, child
    shelf.pack([([parent, child], list(wishes[asked]))])
    assert shelf.packed_count == 2
    again = shelf["C2"]
    assert again is not child
    assert again.parent is shelf["P1"]
    assert [_fields(order) for order in (shelf["P1"], again)] == before
    assert told == [([shelf["P1"], again], wishes[asked])]
