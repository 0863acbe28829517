"""W5: the live loop. From a strategy's order to its intent on disk and to the venue's confirmation, with market data around it.

The parts are those of a live engine: the asyncio loop with its inbox, the journal's writer on a thread of its own, SQLite with
full synchronisation, every control on. The venue is the paper core in the same process and answers at once, as the peers'
simulated venues do, so that what is measured is the engine and the disk.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from bolt_tui.wiring import TURN_S, Inbox
from brokers.paper.config import VenueConfig
from brokers.paper.latency import NO_LATENCY
from brokers.paper.replay_broker import ReplayBroker
from engine.api import Engine, EngineParts
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import Side, Source, SourceKind
from engine.intake.strategy_base import Strategy, StrategyContext, StrategyEvent
from engine.market.feed import QuoteTick
from engine.market.volume import flat_weights
from engine.oms import broker_interface as bi
from engine.risk.latch import Latch
from engine.risk.policy import PolicyHolder
from engine.store.journal import Journal
from engine.store.writer import JournalWriter
from tests.bench.arrays import SYMBOL, columns

TICKS_PER_S = 1_900
EVERY = 10
LIVE: list[Taker] = []


class Taker(Strategy):
    """Takes one unit on every tenth tick, and notes when."""

    symbol: str = SYMBOL

    def on_start(self, ctx: StrategyContext) -> None:
        self.seen = self.sent = self.begin_ns = 0
        self.asked_ns: dict[str, int] = {}
        self.call_ns: list[int] = []
        LIVE.append(self)

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        if not isinstance(event, QuoteTick):
            return
        self.seen += 1
        if self.seen % EVERY == 0:
            side = Side.SELL if self.sent % 2 else Side.BUY
            self.sent += 1
            begin_ns = self.begin_ns = time.perf_counter_ns()
            units = event.ask if side is Side.BUY else event.bid
            order_id = ctx.order(
                SYMBOL, side, Qty(1), limit=Price(Decimal(units + 50 * side.sign).scaleb(-2)), why="round trip"
            )
            self.call_ns.append(time.perf_counter_ns() - begin_ns)
            if order_id is not None:
                self.asked_ns[order_id] = begin_ns


class PromptBroker:
    """The paper core on the loop: what is sent arrives in the same turn, answers come through the inbox."""

    def __init__(self, inner: ReplayBroker, inbox: Inbox, clock: SystemClock) -> None:
        self._inner = inner
        self._inbox = inbox
        self._clock = clock
        self.name, self.account, self.capabilities = inner.name, inner.account, inner.capabilities
        self.acked_ns: dict[str, int] = {}
        """When the engine had taken in a confirmation, by wire id."""

    def start(self, sink: bi.Sink, market: bi.MarketSink) -> None:
        def take_in(event: bi.BrokerEvent) -> None:
            sink(event)
            if isinstance(event, bi.Acked):
                self.acked_ns[event.wire_id] = time.perf_counter_ns()

        self._inner.start(lambda event: self._inbox.put(partial(take_in, event)), market)
        self._advance()

    def stop(self) -> None:
        self._inner.stop()

    def instruments(self) -> tuple[Instrument, ...]:
        return self._inner.instruments()

    def send_new(self, order: bi.WireOrder) -> None:
        self._inner.send_new(order)
        self._advance()

    def send_cancel(self, wire_id: str, venue_order_id: str) -> None:
        self._inner.send_cancel(wire_id, venue_order_id)
        self._advance()

    def send_amend(self, wire_id: str, venue_order_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        self._inner.send_amend(wire_id, venue_order_id, qty, limit, stop)
        self._advance()

    def query_order(self, wire_id: str) -> None:
        self._inner.query_order(wire_id)
        self._advance()

    def query_state(self, request_id: int, since_ns: int) -> None:
        self._inner.query_state(request_id, since_ns)
        self._advance()

    def _advance(self) -> None:
        self._inner.core.advance(self._clock.now_ns())


def _fail(error: Exception) -> None:
    raise error


class LiveBench:
    """One engine in this loop."""

    def __init__(self, folder: Path, policy: Path) -> None:
        loop = asyncio.get_running_loop()
        self.clock = SystemClock()
        self.inbox = Inbox(loop, _fail)
        config = VenueConfig(latency=NO_LATENCY, cash={"USD": Money(1_000_000_000)})
        inner = ReplayBroker(config, self.clock)
        self.listing = inner.core.list_ticks(
            make_instrument(SYMBOL, "equity", "XSIM", "USD", "0.01", calendar="24x7"), "XSIM"
        )
        self.broker = PromptBroker(inner, self.inbox, self.clock)
        self.journal = Journal.open(folder / "ledger.db", self.clock.now_ns(), lambda: "BENCH", "USD")
        self.engine = Engine(
            EngineParts(
                journal=self.journal,
                clock=self.clock,
                brokers={"paper": self.broker},
                policy=PolicyHolder.from_file(policy),
                latch=Latch.open(folder / "latch", ledger_used=False),
                mode="paper",
                strategies={"Taker": Taker},
                weights=lambda _symbol, _start, _end, bins: flat_weights(bins),
            )
        )
        self.writer = JournalWriter(self.journal, self._on_durable, self._on_failure)
        self.journal.on_waiting = lambda: loop.call_soon(self.writer.hand_over)
        self.durable_ns: list[int] = []
        self.late_ns: list[int] = []
        self.failure = ""

    def ack_ns(self) -> list[int]:
        """From each order to its confirmation in the engine's books."""
        asked = LIVE[-1].asked_ns
        found = []
        for wire_id, at_ns in self.broker.acked_ns.items():
            parent_id = self.engine.store.by_wire[wire_id].parent_id
            if parent_id in asked:
                found.append(at_ns - asked[parent_id])
        return found

    def _on_disk(self, begin_ns: int, _is_on_disk: bool) -> None:
        self.durable_ns.append(time.perf_counter_ns() - begin_ns)

    def _on_durable(self, seq: int) -> None:
        self.inbox.put(partial(self._release, seq))

    def _release(self, seq: int) -> None:
        self.engine.release(seq)
        self.writer.hand_over()

    def _on_failure(self, why: str) -> None:
        self.failure = why

    async def start(self) -> None:
        self.writer.start()
        self.engine.start()
        self.writer.hand_over()
        await asyncio.sleep(0.2)
        self.tick(100_00, 100_01)
        await asyncio.sleep(0.1)
        source = Source(SourceKind.CLI, "bench")
        started = self.engine.submit(co.SetStrategy(source=source, name="Taker", on=True))
        assert started.ok, started.text

    def tick(self, bid: int, ask: int) -> None:
        """One quote through the listing, at this moment."""
        self.listing.on_tick(
            QuoteTick(SYMBOL, "XSIM", self.clock.now_ns(), self.listing.rows + 1, bid, 5_000, ask, 5_000)
        )
        self.writer.hand_over()

    async def run(self, orders: int) -> None:
        """Market data at its rate until so many orders were sent and answered."""
        taker = LIVE[-1]
        made = columns(orders * (EVERY + 3) + 1_000)
        prices = list(zip(made["bid"].tolist(), made["ask"].tolist(), strict=True))
        begin, number = time.perf_counter(), 0
        while taker.sent < orders and number < len(prices):
            before = taker.sent
            self.tick(*prices[number])
            if taker.sent > before:
                self.engine.when_durable(partial(self._on_disk, taker.begin_ns))
            number += 1
            late_s = time.perf_counter() - begin - number / TICKS_PER_S
            self.late_ns.append(max(0, int(late_s * NS_PER_S)))
            if number % 100 == 0:
                self.engine.on_time(self.clock.now_ns(), self.clock.monotonic_ns())
            await asyncio.sleep(max(0.0, -late_s))
        await asyncio.sleep(0.3)

    def close(self) -> None:
        self.engine.stop("done")
        self.writer.stop()
        self.journal.close()


async def flush_us(folder: Path, wait_s: float, count: int = 300) -> float:
    """Median of an append with fdatasync on the same disk, microseconds: one after the other, or with a pause before each.

    A disk that rests between two flushes takes longer for each, and an order's intent finds it at rest.
    """
    handle = os.open(folder / "flush", os.O_RDWR | os.O_CREAT, 0o600)
    flush, times = getattr(os, "fdatasync", os.fsync), []
    for _ in range(count):
        if wait_s:
            await asyncio.sleep(wait_s)
        begin = time.perf_counter_ns()
        os.write(handle, b"x" * 500)
        flush(handle)
        times.append((time.perf_counter_ns() - begin) / 1_000)
    os.close(handle)
    return statistics.median(times)


def _spread(times_ns: list[int]) -> tuple[float, float, float]:
    """Median, 99th percentile and largest, microseconds."""
    cuts = statistics.quantiles(times_ns, n=100)
    return round(cuts[49] / 1_000, 1), round(cuts[98] / 1_000, 1), round(max(times_ns) / 1_000, 1)


async def measure(folder: Path, policy: Path, orders: int) -> dict[str, Any]:
    """The figures of one run."""
    before = await flush_us(folder, 0)
    paced = await flush_us(folder, EVERY / TICKS_PER_S)
    bench = LiveBench(folder, policy)
    sys.setswitchinterval(TURN_S)  # as a live engine does
    await bench.start()
    wall, cpu = time.perf_counter(), time.process_time()
    await bench.run(orders)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    flush = (before + await flush_us(folder, 0)) / 2
    taker = LIVE[-1]
    acks = bench.ack_ns()
    durable, ack, call = _spread(bench.durable_ns), _spread(acks), _spread(taker.call_ns)
    bench.close()
    assert not bench.failure, bench.failure
    return {
        "n": len(acks), "sent": taker.sent, "wall_s": round(wall, 2), "cpu_pct": round(100 * cpu / wall),
        "ticks_per_s": round(taker.seen / wall), "us_fdatasync_p50": round(flush, 1), "us_fdatasync_paced_p50": round(paced, 1),
        "us_call_p50": call[0],
        "us_durable_p50": durable[0], "us_durable_p99": durable[1], "us_ack_p50": ack[0], "us_ack_p99": ack[1],
        "us_ack_max": ack[2], "us_tick_late_p99": _spread(bench.late_ns)[1],
        "us_durable_bar": round(3 * flush + 150, 1), "us_durable_bar_paced": round(3 * paced + 150, 1),
    }  # fmt: skip
