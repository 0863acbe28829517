"""What is packed away is given back as it was: rows of a journal without a file, old executions, orders with their families."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.store.kept_rows import BLOCK, KeptRows, Row
from engine.store.order import Order
from engine.store.order_shelf import PackedOrder
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
    assert set(PackedOrder.__struct_fields__) == set(slots) - OF_THE_FAMILY
