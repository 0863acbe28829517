"""The integer slice rule: published vectors, and that it never gives out more or less than was asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import InputError
from engine.execution.slices import cumulative_quantities, slice_quantities


def test_d_s1_equal_slices() -> None:
    assert slice_quantities(100, [1] * 7, 1) == [14, 15, 14, 14, 14, 15, 14]
    assert slice_quantities(1000, [1] * 6, 50) == [150, 200, 150, 150, 200, 150]


def test_d_s2_a_volume_curve_in_round_lots() -> None:
    curve = [12, 9, 7, 6, 5, 5, 6, 7, 9, 14, 20]
    expected = [1200, 900, 700, 600, 500, 500, 600, 700, 900, 1400, 2000]
    assert slice_quantities(10_000, curve, 100) == expected


def test_an_odd_rest_goes_last_and_never_turns_a_slice_negative() -> None:
    assert slice_quantities(160, [999, 1], 100) == [100, 60]
    assert slice_quantities(30, [1, 1, 1], 100) == [0, 0, 30]


def test_zero_weights_get_nothing() -> None:
    assert slice_quantities(10, [0, 1, 0, 1, 0], 1) == [0, 5, 0, 5, 0]


@pytest.mark.parametrize(
    ("qty", "weights", "lot"), [(-1, [1], 1), (1, [], 1), (1, [0, 0], 1), (1, [2, -1], 1), (1, [1], 0)]
)
def test_impossible_cuts_are_refused(qty: int, weights: list[int], lot: int) -> None:
    with pytest.raises(InputError):
        slice_quantities(qty, weights, lot)


@given(
    st.integers(0, 10**15),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=60).filter(any),
    st.integers(1, 10**6),
)
def test_slices_add_up_are_never_negative_and_stay_within_a_lot(qty: int, weights: list[int], lot: int) -> None:
    slices = slice_quantities(qty, weights, lot)
    assert sum(slices) == qty
    assert min(slices) >= 0
    assert all(part % lot == 0 for part in slices[:-1])
    running = 0
    for weight, done in zip(weights, cumulative_quantities(qty, weights, lot), strict=True):
        running += weight
        assert abs(done * sum(weights) - qty * running) < lot * sum(weights)
