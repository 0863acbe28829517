"""An order late in the day takes no more steps than an early one, and memory holds the orders and nothing else.

Steps are calls of functions, Python's and C's, which no other load on the machine can bend.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench import bolt_workload as bench
from tests.bench.bolt_workload import Bench, Rounds, Stack

PART = 14_000
"""Ticks of twenty seconds: two comparisons with the venue fall into each part."""
BETWEEN = 3
"""Parts that run uncounted between the early and the late ones."""
LATE = 3
"""Late parts: what ended long ago is packed with each commit, which a replay makes for thousands of rows, so one part has more of it than another."""


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
        ticks = bench.ticks((BETWEEN + 2 + LATE) * PART)

        def steps(part: int, parts: int = 1) -> float:
            sent = run.strategy.sent
            took = steps_of(lambda: run.driver.feed(run.listing, ticks[part * PART : (part + parts) * PART]))
            assert run.strategy.refused == 0
            orders: int = run.strategy.sent - sent
            return took / orders

        run.driver.feed(run.listing, ticks[:PART])
        early = steps(1)
        run.driver.feed(run.listing, ticks[2 * PART : (BETWEEN + 2) * PART])
        late = steps(BETWEEN + 2, LATE)
        print(f"\n{strategy.__name__}: {early:.0f} steps an order early, {late:.0f} after {run.strategy.sent} orders")
        assert late <= early / 0.95
    finally:
        run.close()


@pytest.mark.bench
def test_a_day_of_orders_fits_into_memory() -> None:
    """What an order more leaves behind, between ten and thirty thousand; the bound is 200 MB for a hundred thousand."""

    def grown_mb(rows: int) -> tuple[int, float]:
        told = subprocess.run(
            [sys.executable, "-m", "tests.bench.bolt_workload", "W2", str(rows)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
        )
        line = json.loads(told.stdout)
        return line["n"], line["rss_after_mb"] - line["rss_before_mb"]

    few, many = grown_mb(100_000), grown_mb(300_000)
    each_kb = (many[1] - few[1]) / (many[0] - few[0]) * 1024
    print(f"\n{few[1]:.0f} MB after {few[0]} orders, {many[1]:.0f} MB after {many[0]}: {each_kb:.2f} kB an order more")
    assert few[1] + each_kb * (100_000 - few[0]) / 1024 <= 200
