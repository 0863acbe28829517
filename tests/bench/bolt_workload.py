"""Puts Bolt through the common workloads and prints one JSON line each, as the scripts that run other engines do.

    python tests/bench/bolt_workload.py W1 [ticks]

W1   a strategy called on each tick                      W1b  100 resting orders re-pegged by a timer, no tick wanted
W2   a marketable order on every 10th tick, journal on disk
W2b  the same, journal in memory                         W3   submit, amend, cancel, one a tick
W4   TWAP parents of 100 children, a second apart        W5   the live loop: command to disk and to confirmation
W6   rows of the journal on disk

The shipped policy judges every order with its rates, counts and sums lifted (the workload sends thousands a second); no control
is switched off. Building the ticks stands outside the clock, as it does for everybody.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import resource
import sys
import tempfile
import time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

if not __package__:  # run by its path, as scripts for other engines are
    sys.path[0] = str(Path(__file__).parents[2])

from bolt_tui.collector import calm
from bolt_tui.sim_driver import SimDriver
from brokers.paper.config import VenueConfig
from brokers.paper.latency import NO_LATENCY
from brokers.paper.replay_broker import ReplayBroker
from engine.api import Engine, EngineParts
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, SimClock
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import AlgoSpec, OrderState, Side, Source, SourceKind
from engine.intake.strategy_base import OwnFill, OwnOrder, Strategy, StrategyContext, StrategyEvent, TimerDue
from engine.market.columns import NAMES, TickColumns
from engine.market.feed import QuoteTick, TradeTick
from engine.market.volume import flat_weights
from engine.risk.latch import Latch
from engine.risk.policy import PolicyHolder
from engine.store.journal import Journal
from tests.bench import journal_rows, live_loop
from tests.bench.arrays import MILLION, START_NS, SYMBOL, checksum, columns

POLICY = Path(__file__).parents[2] / "policy.yaml"
LIFTED = (
    "max_orders", "max_cancels", "max_turnover", "max_order_to_trade", "max_per_s_broker", "max_per_s_account", "max_per_s_source", "max_messages",
)  # fmt: skip
ONE, HUNDRED = Qty(1), Qty(100)
EVERY = 10
REMEMBERED = 2_000
"""Ended orders that the venue in this process still answers for; as in a replay."""
TICKS = (QuoteTick, TradeTick)


def lifted_policy(folder: Path, *, is_wide: bool = False) -> Path:
    """The shipped policy with its daily counts, message rates and repeats lifted, and the duplicate window shut.

    ``is_wide`` lets a hundred orders of one symbol rest, where the shipped file allows fifty.
    """
    text, count = re.subn(
        rf"(?m)^(  (?:{'|'.join(LIFTED)}):) *[\d_.]+", r"\1 1_000_000_000_000", POLICY.read_text("utf-8")
    )
    assert count == len(LIFTED) + 1, "max_orders stands twice: a day's and the repeats'"
    text, count = re.subn(r"(?m)^(duplicate:\n  window_s:) *[\d_.]+", r"\1 0", text)
    assert count == 1
    if is_wide:
        text, count = re.subn(r"(?m)^(  max_count_per_symbol:) *[\d_]+", r"\1 200", text)
        assert count == 1
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


class Counted(Strategy):
    """Counts what it is told; the workloads build on it."""

    symbol: str = SYMBOL

    def on_start(self, ctx: StrategyContext) -> None:
        self.row = self.ticks = self.amended = self.fills = self.accepted = self.ended = self.refused = self.sent = 0
        LIVE.append(self)

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        if isinstance(event, TICKS):
            if event.row != self.row:  # what our own order took from a quote is told as a quote of the same row
                self.row = event.row
                self.ticks += 1
                self.on_tick(ctx, event)
        elif isinstance(event, OwnFill):
            self.fills += 1
        elif isinstance(event, OwnOrder):
            self.on_order(event)

    def on_order(self, event: OwnOrder) -> None:
        if event.state is OrderState.NEW:
            self.accepted += 1
        elif event.state is OrderState.DENIED:
            self.refused += 1
        else:
            self.ended += 1

    def on_tick(self, ctx: StrategyContext, tick: QuoteTick | TradeTick) -> None:
        """Nothing."""


class Watch(Strategy):
    """W1: the least a strategy can do."""

    symbol: str = SYMBOL
    ticks = 0

    def on_start(self, ctx: StrategyContext) -> None:
        LIVE.append(self)

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        self.ticks += 1


class Pegs(Counted):
    """W1b: a hundred orders, fifty a side, each re-pegged in its turn by a timer; no tick is wanted.

    An order that was filled or refused is placed anew when its turn comes.
    """

    wants_ticks = False
    every_ns: int = 1_500_000_000
    orders_max: int = 100
    nearest_ticks: int = 40

    def on_start(self, ctx: StrategyContext) -> None:
        super().on_start(ctx)
        self.turn = 0
        self.pegged: dict[int, str] = {}
        ctx.timer("peg", ctx.now_ns() + NS_PER_S)

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        if not isinstance(event, TimerDue):
            super().on_event(ctx, event)
            return
        for _ in range(1 if self.turn >= self.orders_max else self.orders_max):
            self.peg(ctx, self.turn % self.orders_max)
            self.turn += 1
        ctx.timer("peg", event.due_ns + self.every_ns)

    def peg(self, ctx: StrategyContext, number: int) -> None:
        """Put one order at its distance from the market."""
        quote = ctx.quote(SYMBOL)
        if quote is None:
            return
        side = Side.SELL if number % 2 else Side.BUY
        best = quote.bid if side is Side.BUY else quote.ask
        limit = Price(Decimal(best - side.sign * (self.nearest_ticks + 2 * (number // 2))).scaleb(-2))
        store = BENCHES[-1].engine.store
        order_id = self.pegged.get(number)
        if order_id is None or order_id not in store.parents_open:
            self.sent += 1
            made = ctx.order(SYMBOL, side, HUNDRED, limit=limit, why="pegged")
            if made is not None:
                self.pegged[number] = made
        elif store.orders[order_id].spec.limit != limit:
            source = Source(SourceKind.STRATEGY, type(self).__name__)
            asked = co.AmendOrder(source=source, intent_id=f"p{self.turn}", order_id=order_id, limit=limit)
            self.amended += BENCHES[-1].engine.commander.submit(asked).ok


class Rounds(Counted):
    """W2: buy one, sell one, at the market."""

    def on_tick(self, ctx: StrategyContext, tick: QuoteTick | TradeTick) -> None:
        if self.ticks % EVERY == 0:
            side = Side.SELL if self.sent % 2 else Side.BUY
            self.sent += 1
            ctx.order(SYMBOL, side, ONE, why="round trip")


class Stack(Rounds):
    """W2 with a position that is never flat."""

    def on_tick(self, ctx: StrategyContext, tick: QuoteTick | TradeTick) -> None:
        if self.ticks == 1:
            ctx.order(SYMBOL, Side.BUY, ONE, why="a position that stays")
        super().on_tick(ctx, tick)


class Rest(Counted):
    """W3: a limit order far from the market, then new terms, then its cancel."""

    _order_id: str | None = None

    def on_tick(self, ctx: StrategyContext, tick: QuoteTick | TradeTick) -> None:
        phase = self.ticks % 3
        if phase == 1:
            self.sent += 1
            self._order_id = ctx.order(SYMBOL, Side.BUY, ONE, limit=Price("80.00"), why="rests")
        elif self._order_id is not None and phase == 2:
            asked = co.AmendOrder(
                source=Source(SourceKind.STRATEGY, "Rest"),
                intent_id=f"a{self.ticks}",
                order_id=self._order_id,
                limit=Price("80.01"),
            )
            self.amended += BENCHES[-1].engine.commander.submit(asked).ok
        elif self._order_id is not None:
            ctx.cancel(self._order_id)


class Slices(Counted):
    """W4: TWAP parents of 100 children, a second apart, that take."""

    parents_max: int = 0

    def on_tick(self, ctx: StrategyContext, tick: QuoteTick | TradeTick) -> None:
        if self.ticks % 800 == 0 and self.sent < self.parents_max:
            self.sent += 1
            algo = AlgoSpec("twap", duration_ns=100 * NS_PER_S, params={"slices": "100", "style": "take"})
            ctx.order(SYMBOL, Side.BUY, HUNDRED, algo=algo, why="a schedule")


LIVE: list[Any] = []
BENCHES: list[Bench] = []


def ticks(rows: int) -> list[QuoteTick | TradeTick]:
    """The arrays as ticks."""
    made = columns(rows)
    if rows == 1_000_000:
        assert checksum(made) == MILLION
    names = ("ts", "trade", "bid", "ask", "bsz", "asz", "px", "qty", "buy")
    found: list[QuoteTick | TradeTick] = []
    for row, (ts, is_trade, bid, ask, bsz, asz, px, qty, buy) in enumerate(
        zip(*(made[name].tolist() for name in names), strict=True), 1
    ):
        if is_trade:
            found.append(TradeTick(SYMBOL, "XSIM", ts, row, px, qty, "B" if buy else "S"))
        else:
            found.append(QuoteTick(SYMBOL, "XSIM", ts, row, bid, bsz, ask, asz))
    return found


def tick_columns(rows: int) -> TickColumns:
    """The arrays as columns."""
    made = columns(rows)
    if rows == 1_000_000:
        assert checksum(made) == MILLION
    names = {"ts_ns": "ts", "is_trade": "trade", "bid_qty": "bsz", "ask_qty": "asz", "price": "px"}
    named = {name: made[names.get(name, name)] for name in NAMES if name != "aggressor"}
    return TickColumns(SYMBOL, "XSIM", {**named, "aggressor": 2 * made["buy"].astype("int64") - 1})


class Bench:
    """An engine, a venue and a driver."""

    def __init__(
        self, folder: Path, *, on_disk: bool, strategy: type[Strategy], params: dict[str, str] | None = None
    ) -> None:
        self.clock = SimClock(START_NS)
        instrument = make_instrument(SYMBOL, "equity", "XSIM", "USD", "0.01", calendar="24x7")
        config = VenueConfig(history_max=REMEMBERED, latency=NO_LATENCY, cash={"USD": Money(1_000_000_000)})
        self.broker = ReplayBroker(config, self.clock)
        self.listing = self.broker.core.list_ticks(instrument, "XSIM")
        self.journal = (
            Journal.open(folder / "ledger.db", START_NS, lambda: "BENCH", "USD")
            if on_disk
            else Journal.open_memory(START_NS, "BENCH", "USD")
        )
        self.policy = PolicyHolder.from_file(lifted_policy(folder, is_wide=strategy is Pegs))
        self.engine = Engine(
            EngineParts(
                journal=self.journal,
                clock=self.clock,
                brokers={"paper": self.broker},
                policy=self.policy,
                latch=Latch.open(folder / "latch", ledger_used=False),
                mode="replay",
                strategies={strategy.__name__: strategy},
                weights=lambda _symbol, _start, _end, bins: flat_weights(bins),
            )
        )
        self.driver = SimDriver(self.engine, self.broker, self.clock)
        self.engine.start()
        self.driver.settle()
        self.driver.run_until(START_NS + 1)
        BENCHES.append(self)
        started = self.engine.submit(
            co.SetStrategy(source=Source(SourceKind.CLI, "bench"), name=strategy.__name__, on=True, params=params or {})
        )
        assert started.ok, started.text
        self.driver.settle()
        self.strategy = LIVE[-1]

    def close(self) -> None:
        """End the run."""
        self.engine.stop("done")
        self.journal.close()


def resident_mb() -> float:
    """Resident memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def probe_ns() -> float:
    """A fixed loop: how fast the machine is at this moment."""
    best = 9e9
    for _ in range(3):
        begin = time.perf_counter()
        total = 0
        for number in range(1_000_000):
            total += number & 7
        best = min(best, time.perf_counter() - begin)
    return best * 1_000


STRATEGIES: dict[str, type[Strategy]] = {
    "W1": Watch, "W1b": Pegs, "W2": Rounds, "W2b": Rounds, "W2NEST": Stack, "W3": Rest, "W3b": Rest, "W4": Slices, "W4b": Slices,
}  # fmt: skip
"""A ``b`` keeps the journal in memory."""


def measure(workload: str, rows: int, folder: Path, parents: int) -> dict[str, Any]:
    """Run one workload; its JSON line."""
    begin = time.perf_counter()
    is_column = workload == "W1b"
    by_column, by_tick = (tick_columns(rows), []) if is_column else (None, ticks(rows))
    build_s = time.perf_counter() - begin
    params = {"parents_max": str(parents)} if workload.startswith("W4") else {}
    is_on_disk = is_column or (workload != "W1" and not workload.endswith("b"))
    bench = Bench(folder, on_disk=is_on_disk, strategy=STRATEGIES[workload], params=params)
    calm()
    before = resident_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    if by_column is not None:
        bench.driver.feed_columns(bench.listing, by_column)
    else:
        bench.driver.feed(bench.listing, by_tick)
    bench.driver.run_until(bench.clock.now_ns() + 1)
    bench.journal.commit()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    told = bench.strategy
    done = told.ticks if workload == "W1" else rows if is_column else told.fills
    if workload.startswith("W3"):
        done = told.accepted + told.amended + told.ended
    policy = bench.policy.policy
    line = {
        **about(workload), "n": done,
        "wall_s": round(wall, 4), "cpu_s": round(cpu, 4), "rate": round(done / wall, 1), "rate_cpu": round(done / cpu, 1),
        "rss_before_mb": round(before, 1), "rss_after_mb": round(resident_mb(), 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1), "probe_ns": round(probe_ns(), 2),
        "build_s": round(build_s, 2), "ticks": bench.driver.ticks if is_column else told.ticks, "policy_hash": "" if policy is None else policy.hash,
        "journal_rows": bench.journal.head_seq, "ledger_hash": bench.journal.head_hash.hex(),
    }  # fmt: skip
    if workload != "W1":
        line |= {"sent": told.sent, "acc": told.accepted, "fills": told.fills, "rej": told.refused, "upd": told.amended}
        line |= {"ended": told.ended, "pos": str(bench.engine.ledger.qty("PAPER", SYMBOL))}
        line["conservation"] = bench.engine.ledger.conservation_faults()
    bench.close()
    return line


def about(workload: str) -> dict[str, Any]:
    """What stands on every line."""
    return {"peer": "bolt", "version": version("bolt-tui"), "workload": workload, "py": platform.python_version()}


def measure_disk(workload: str, count: int, folder: Path) -> dict[str, Any]:
    """W5 and W6."""
    path = lifted_policy(folder)
    calm()
    if workload == "W5":
        figures = asyncio.run(live_loop.measure(folder, path, count))
    else:
        figures = journal_rows.measure(folder, count)
    policy = PolicyHolder.from_file(path).policy
    return {
        **about(workload),
        **figures,
        "probe_ns": round(probe_ns(), 2),
        "policy_hash": policy.hash if policy else "",
    }


def main() -> None:
    """Run what was asked for."""
    workload = sys.argv[1]
    if workload in {"W5", "W6"}:
        count = int(sys.argv[2]) if len(sys.argv) > 2 else 2_000
        with tempfile.TemporaryDirectory(dir=".") as folder:
            print(json.dumps(measure_disk(workload, count, Path(folder))), flush=True)
        return
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 300_000 if workload.startswith("W3") else 1_000_000
    parents = int(sys.argv[3]) if len(sys.argv) > 3 else 500
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print(json.dumps(measure(workload, rows, Path(folder), parents)), flush=True)


if __name__ == "__main__":
    main()
