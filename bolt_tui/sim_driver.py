"""Drives one engine and one venue core in simulated time: replays, research sweeps and measurements share it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from brokers.paper.bars import BarListing
from brokers.paper.replay_broker import ReplayBroker
from brokers.paper.top import TopListing
from engine.api import Engine
from engine.domain.clock import SimClock
from engine.market.feed import QuoteTick, TradeTick

if TYPE_CHECKING:  # numpy only where columns are used
    from engine.market.columns import TickColumns

FOREVER_NS = 1 << 62
GROUP_ROWS = 4_096
"""Journal rows of one transaction."""


class SimDriver:
    """Moves the clock, the venue and the engine, in that order.

    A simulated venue forgets with the process, and the whole run can be made again from its inputs, so an effect does not
    wait for the disk here: what is chained may leave, and rows reach the disk in groups. Live drivers must not do this.
    """

    def __init__(self, engine: Engine, broker: ReplayBroker, clock: SimClock) -> None:
        self.engine = engine
        self.core = broker.core
        self.clock = clock
        self.journal = engine.journal
        self.ticks = 0
        self.bars: tuple[BarListing, ...] = ()
        """Listings known by bars: while one of them runs, its quote is as young as it can be."""

    def due_ns(self) -> int:
        """When something happens by itself next."""
        return min(self.core.next_due_ns() or FOREVER_NS, self.engine.next_time_ns())

    def run_until(self, ts_ns: int) -> int:
        """Everything due up to and including a time, in order; when the next thing is due."""
        while (due_ns := self.due_ns()) <= ts_ns:
            self.clock.set_ns(due_ns)
            now_ns = self.clock.now_ns()
            if self.bars and any(one.is_running for one in self.bars):
                self.engine.market.alive_ns = now_ns
            self.core.advance(now_ns)
            if self.engine.next_time_ns() <= now_ns:
                self.engine.on_time(now_ns, now_ns)
            self.settle()
        return due_ns

    def settle(self) -> None:
        """Let what was decided leave, until nothing more follows."""
        journal, engine = self.journal, self.engine
        while engine.orders.waiting:
            engine.release(journal.head_seq)
        if journal.pending >= GROUP_ROWS:
            journal.commit()

    def feed(self, listing: TopListing, ticks: Iterable[QuoteTick | TradeTick]) -> None:
        """Run ticks of one listing, in order of time, with everything that falls due between them."""
        journal, market, host, core = self.journal, self.engine.market, self.engine.host, self.core
        on_tick, clock = listing.on_tick, self.clock
        due_ns, seen, timers, scheduled = self.due_ns(), journal.head_seq, host.timers_set, core.scheduled
        rows = listing.rows
        for tick in ticks:
            ts_ns = tick.ts_ns
            if due_ns <= ts_ns:
                due_ns = self.run_until(ts_ns)
                seen, timers, scheduled = journal.head_seq, host.timers_set, core.scheduled
            if ts_ns > clock.at_ns:  # noqa: PLR1730 - on every tick; a call of max costs as much as the rest
                clock.at_ns = ts_ns
            market.alive_ns = ts_ns
            on_tick(tick)
            if journal.head_seq != seen or host.timers_set != timers or core.scheduled != scheduled:
                self.settle()
                seen, timers, scheduled = journal.head_seq, host.timers_set, core.scheduled
                due_ns = self.due_ns()
        self.ticks += listing.rows - rows

    def feed_columns(self, listing: TopListing, columns: TickColumns) -> None:
        """Run ticks of one listing as :meth:`feed` does, going straight to the next one that can matter.

        That is the next that can touch an order at the venue, or the first after something fell due; where a strategy wants each
        tick, each one. Every event, fill and hash is that of :meth:`feed`.
        """
        engine, journal, core = self.engine, self.journal, self.core
        market, host = engine.market, engine.host
        set_ns, on_tick, symbol = self.clock.set_ns, listing.on_tick, columns.symbol
        due_ns, at, until = self.due_ns(), 0, 0
        while at < columns.rows:
            if at >= until:  # else nothing was journaled since: what is due is due when it was
                ts_ns = int(columns.ts_ns[at])
                if due_ns <= ts_ns:
                    due_ns = self.run_until(ts_ns)
                until = columns.before(due_ns)
            next_at = listing.next_mattering(columns, at, until) if engine.can_pass_over(symbol) else at
            if next_at > at:
                passed = listing.pass_over(columns, at, next_at)
                set_ns(passed.ts_ns)
                market.alive_ns = passed.ts_ns
                engine.pass_over(passed)
                at = next_at
            if at == until:
                continue
            tick = columns.tick(at)
            set_ns(tick.ts_ns)
            market.alive_ns = tick.ts_ns
            seen, timers, scheduled = journal.head_seq, host.timers_set, core.scheduled
            on_tick(tick)
            at += 1
            if journal.head_seq != seen or host.timers_set != timers or core.scheduled != scheduled:
                self.settle()
                due_ns = self.due_ns()
                until = at
        self.ticks += columns.rows
