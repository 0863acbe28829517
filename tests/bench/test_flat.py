"""An order late in the day takes no more steps than an early one, and memory holds the orders and nothing else.

Steps are calls of functions, Python's and C's, which no other load on the machine can bend.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench import bolt_workload as bench
from tests.bench.bolt_workload import Bench, Rounds, Stack

PART = 14_000
"""Ticks of twenty seconds: two comparisons with the venue fall into each part."""
BETWEEN = 3
"""Parts that run uncounted between the early and the late one."""


def steps_of(act: Callable[[], None]) -> int:
    """How many calls an act makes."""
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.bench
@pytest.mark.parametrize("strategy", [Rounds, Stack], ids=["flat and reopened", "never flat"])
def test_a_late_order_takes_as_many_steps_as_an_early_one(strategy: type[Rounds], tmp_path: Path) -> None:
    run = Bench(tmp_path, on_disk=False, strategy=strategy)
    try:
        ticks = bench.ticks((BETWEEN + 3) * PART)

        def steps(part: int) -> float:
            sent = run.strategy.sent
            took = steps_of(lambda: run.driver.feed(run.listing, ticks[part * PART : (part + 1) * PART]))
            assert run.strategy.refused == 0
            orders: int = run.strategy.sent - sent
            return took / orders

        run.driver.feed(run.listing, ticks[:PART])
        early = steps(1)
        run.driver.feed(run.listing, ticks[2 * PART : (BETWEEN + 2) * PART])
        late = steps(BETWEEN + 2)
        print(f"\n{strategy.__name__}: {early:.0f} steps an order early, {late:.0f} after {run.strategy.sent} orders")
        assert late <= early / 0.95
    finally:
        run.close()
