"""Cut a quantity into whole lots by weights: the one rule every schedule uses.

With weights ``w``, lot ``b`` and quantity ``Q`` the cumulative quantity after slice ``k`` is
``c_k = floor(Q * sum(w_1..w_k) / sum(w) / b + 1/2) * b`` with ``c_N = Q``, and slice ``k`` is ``c_k - c_(k-1)``: the exact
schedule rounded half up to the lot, so it is never a lot away and never gives out more or less than ``Q``. Rounding each
slice by itself and adding the rest at the end, the usual way, puts the whole error into the last slice.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.errors import InputError


def cumulative_quantities(qty_units: int, weights: Sequence[int], lot_units: int) -> list[int]:
    """Quantity that should be done after each slice; the last entry is ``qty_units``.

    A quantity that is no whole number of lots keeps its odd rest for the last slice.

    Args:
        qty_units: what to cut, zero or more, in the instrument's hot-path units.
        weights: one for each slice, zero or more, with a sum above zero.
        lot_units: the lot in the same units, above zero.

    Raises:
        InputError: for values outside these bounds.
    """
    total = sum(weights)
    if qty_units < 0 or lot_units <= 0 or total <= 0 or min(weights, default=0) < 0:
        msg = (
            f"cannot cut {qty_units} by {len(weights)} weights with sum {total} and lot {lot_units}; quantity and "
            "weights must be zero or more, their sum and the lot above zero"
        )
        raise InputError(msg)
    whole = qty_units // lot_units * lot_units
    done = []
    running = 0
    for weight in weights:
        running += weight
        lots = (2 * qty_units * running + total * lot_units) // (2 * total * lot_units)
        done.append(min(lots * lot_units, whole))
    done[-1] = qty_units
    return done


def slice_quantities(qty_units: int, weights: Sequence[int], lot_units: int) -> list[int]:
    """Quantity of each slice; arguments and refusals as in :func:`cumulative_quantities`."""
    done = cumulative_quantities(qty_units, weights, lot_units)
    return [now - before for before, now in zip([0, *done], done, strict=False)]
