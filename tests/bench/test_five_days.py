"""Memory over five simulated days of one engine: quotes, prints, timers, a strategy and orders, and none of it piles up."""

from __future__ import annotations

import gc
import re
import tracemalloc
from pathlib import Path

import pytest

from engine.domain import commands as co
from engine.domain.clock import NS_PER_S
from engine.domain.order import Side
from engine.market.feed import TradeTick
from tests.core.lab import ME, POLICY, Lab

STEP_S = 60
DAY_STEPS = 86_400 // STEP_S
ORDER_EVERY = 30
"""Steps between two orders: one each half hour."""
ORDER_BYTES = 12_000
"""What an order, its child and its fill may keep: the day's orders stay in reach."""
PARAMS = {
    "symbol": "AAPL",
    "window": "10",
    "sample_ns": "5000000000",
    "ladder": "150:100",
    "cap": "100",
    "hold_ns": "1h",
}


class Days:
    """One engine and its days."""

    def __init__(self, folder: Path) -> None:
        # A minute passes in a step: what watches for a stalled loop and old comparisons must expect that.
        policy = folder / "policy.yaml"
        words = re.sub(r"(max_stall_s|max_age_s): *[0-9.]+", r"\1: 300", POLICY.read_text(encoding="utf-8"))
        policy.write_text(words, encoding="utf-8")
        self.lab = Lab(folder, ledger=folder / "ledger.db", policy=policy)
        self.lab.connect()
        assert self.lab.submit(co.SetStrategy(source=ME, name="BuyTheDip", on=True, params=PARAMS)).ok
        self.steps = self.orders = self.filled = 0

    def run_day(self) -> None:
        lab, engine = self.lab, self.lab.engine
        for _ in range(DAY_STEPS):
            self.steps += 1
            lab.clock.set_ns(lab.clock.now_ns() + STEP_S * NS_PER_S)
            now_ns, price = lab.clock.now_ns(), 18_900 + self.steps % 7
            lab.quote(price, price + 2)
            engine.on_market(TradeTick("AAPL", "XSIM", now_ns, 1, price, 5, "N"))
            engine.on_time(now_ns, now_ns)
            if lab.broker.asked:
                lab.answer(lab.snapshot())
                lab.broker.asked.clear()
            if self.steps % ORDER_EVERY == 0:
                self.order()
            lab.settle()

    def order(self) -> None:
        lab = self.lab
        self.orders += 1
        lab.buy(1, "189.50", intent=f"i{self.orders}")
        if lab.broker.sent:
            self.filled += 1
            sent = lab.broker.sent.pop()
            lab.answer(lab.ack(sent.wire_id))
            lab.answer(lab.fill(sent.wire_id, 1, f"f{self.orders}", side=Side.BUY))
        lab.broker.sent.clear()


@pytest.mark.proof
def test_memory_is_flat_over_five_days(tmp_path: Path) -> None:
    days = Days(tmp_path)
    held: list[int] = []
    orders: list[int] = []
    tracemalloc.start()
    try:
        for _ in range(5):
            days.run_day()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
            orders.append(days.orders)
    finally:
        tracemalloc.stop()
    told = [f"{size / 2**20:.2f} MB after {count} orders" for size, count in zip(held, orders, strict=True)]
    print(told)
    assert days.filled == days.orders, "each order was taken and filled"
    # The first two days fill what is bounded: kept bars, quantities and prices that are remembered, windows of monitors.
    grown = held[4] - held[1] - (orders[4] - orders[1]) * ORDER_BYTES
    assert grown < 512 * 1024, told
