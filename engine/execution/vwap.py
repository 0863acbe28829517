"""Static VWAP: slices by the expected share of volume, fixed at the start.

The curve is the mean over past days of each slice's share of its day's volume (the usual static form; Bialkowski,
Darolles and Le Fol 2008 call it the plain average). Where no curve is known the weights are flat, and the saved progress says so.
"""

from __future__ import annotations

from engine.execution.algo import AlgoContext, ParentInfo
from engine.execution.scheduled import Scheduled

WEIGHT_MAX = 999_999


def volume_weights(parent: ParentInfo, count: int, ctx: AlgoContext) -> tuple[list[int], str]:
    """Expected volume of each slice, scaled down where numbers are long (they are saved with each step)."""
    weights, source = ctx.volume_weights(parent.spec.symbol, parent.start_ns, parent.end_ns, count)
    largest = max(weights, default=0)
    if largest > WEIGHT_MAX:
        weights = [weight * WEIGHT_MAX // largest for weight in weights]
    return weights, source


VWAP = Scheduled("vwap", volume_weights)
