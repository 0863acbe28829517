"""TWAP: equal slices over time."""

from __future__ import annotations

from engine.execution.algo import AlgoContext, ParentInfo
from engine.execution.scheduled import Scheduled


def equal_weights(parent: ParentInfo, count: int, ctx: AlgoContext) -> tuple[list[int], str]:
    """The same weight for each slice."""
    del parent, ctx
    return [1] * count, "equal slices of time"


TWAP = Scheduled("twap", equal_weights)
