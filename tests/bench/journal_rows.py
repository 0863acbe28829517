"""W6: what a row of the journal costs on disk, beside the same row in a bare SQLite table of the same run."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.domain import events as ev
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Source, SourceKind
from engine.ledger.ledger import Ledger
from engine.store.journal import Journal
from engine.store.order_store import OrderStore
from engine.store.writer import JournalWriter
from tests.store.day import EVENTS_PER_ORDER
from tests.store.day import events as day_of_orders

SPEC = OrderSpec(symbol="BOLT", side=Side.BUY, qty=Qty(100), type=OrderType.LIMIT, limit=Price("100.01"))
SOURCE = Source(SourceKind.STRATEGY, "Rounds")
RAW = "CREATE TABLE event (seq INTEGER PRIMARY KEY, ts_ns INTEGER, kind TEXT, payload BLOB, prev_hash BLOB, hash BLOB)"
GROUPS = (64, 256)


def intent(number: int) -> ev.OrderIntent:
    """An intent as the engine journals them."""
    quote = ev.QuoteSeen(Price(100), Price("100.01"), Qty(500), Qty(600), number, number, "XSIM")
    return ev.OrderIntent(
        order_id=f"C{number}",
        parent_id=f"P{number}",
        wire_id=f"W{number:013d}",
        spec=SPEC,
        source=SOURCE,
        decision=ev.Decision("a" * 64, quote, "the whole order at once"),
    )


class Single:
    """Three ways to make one row durable, taken in turn, so that all meet the same disk."""

    def __init__(self, folder: Path) -> None:
        self.raw = sqlite3.connect(folder / "raw.db", isolation_level=None)
        self.raw.execute("PRAGMA journal_mode=WAL")
        self.raw.execute("PRAGMA synchronous=FULL")
        self.raw.execute(RAW)
        self.bare = Journal.open(folder / "bare.db", 1, lambda: "BENCH", "USD")
        self.full = Journal.open(folder / "full.db", 1, lambda: "BENCH", "USD")
        self.store = OrderStore()
        self.full.attach(self.store)
        self.payload = ev.encode(intent(1))
        self.times: dict[str, list[int]] = {"raw": [], "append": [], "append_orders": []}

    def turn(self, number: int) -> None:
        """One row in each."""
        event = intent(number)
        begin_ns = time.perf_counter_ns()
        row = (number, number, "order_intent", self.payload, bytes(32), bytes(32))
        self.raw.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", row)
        self._note("raw", begin_ns)
        begin_ns = time.perf_counter_ns()
        self.bare.append(number, event)
        self.bare.commit()
        self._note("append", begin_ns)
        begin_ns = time.perf_counter_ns()
        self.store.apply(self.full.append(number, event), number, event)
        self.full.commit()
        self._note("append_orders", begin_ns)

    def _note(self, name: str, begin_ns: int) -> None:
        self.times[name].append(time.perf_counter_ns() - begin_ns)

    def close(self) -> None:
        """Let go of the files."""
        self.raw.close()
        self.bare.close()
        self.full.close()


Table = OrderStore | Ledger
Follow = dict[type, list[Callable[[int, int, Any], None]]]


def _attached(journal: Journal, projections: Sequence[Table]) -> Follow:
    """Keep the tables with the journal, and say who follows which kind of event, as an engine does."""
    for projection in projections:
        journal.attach(projection)
    return {
        kind: [projection.routes[kind] for projection in projections if kind in projection.routes]
        for kind in ev.EVENT_KINDS
    }


def _record(journal: Journal, ts_ns: int, events: Sequence[ev.AnyEvent], follow: Follow) -> None:
    for event in events:
        seq = journal.append(ts_ns, event)
        for act in follow[event.__class__]:
            act(seq, ts_ns, event)


def grouped(folder: Path, events: Sequence[ev.AnyEvent], group: int, *projections: Table) -> tuple[float, float]:
    """Events per second of wall time and of the processor's, encoding, chaining and applying included, so many in a commit."""
    journal = Journal.open(folder / f"grouped{group}-{len(projections)}.db", 1, lambda: "BENCH", "USD")
    follow = _attached(journal, projections)
    begin, busy = time.perf_counter(), time.process_time()
    for first in range(0, len(events), group):
        _record(journal, first, events[first : first + group], follow)
        journal.commit()
    wall, busy = time.perf_counter() - begin, time.process_time() - busy
    journal.close()
    return len(events) / wall, len(events) / busy


def handed_over(folder: Path, events: Sequence[ev.AnyEvent], group: int, *projections: Table) -> float:
    """Events per second as a live engine journals them: handed to the writer's thread in groups, until the last one is on disk.

    What comes during a commit shares the next one.
    """
    journal = Journal.open(folder / f"handed{group}.db", 1, lambda: "BENCH", "USD")
    follow = _attached(journal, projections)
    failures: list[str] = []
    writer = JournalWriter(journal, lambda _: None, failures.append)
    writer.start()
    begin = time.perf_counter()
    for first in range(0, len(events), group):
        _record(journal, first, events[first : first + group], follow)
        writer.hand_over()
    assert writer.wait_durable(journal.head_seq, 60), failures
    wall = time.perf_counter() - begin
    writer.stop()
    journal.close()
    return len(events) / wall


def measure_groups(folder: Path, rows: int) -> dict[str, Any]:
    """Intents without tables, and a day of orders (five rows each) with its tables of orders, fills, positions and cash."""
    line = {}
    intents = [intent(number) for number in range(1, rows + 1)]
    day = list(day_of_orders(rows // EVENTS_PER_ORDER))
    for group in GROUPS:
        cases: tuple[tuple[str, list[Any], tuple[Table, ...]], ...] = (
            ("", intents, ()),
            ("_tables", day, (OrderStore(), Ledger())),
        )
        for name, events, projections in cases:
            rates = grouped(folder, events, group, *projections)
            line[f"per_s_{group}{name}"], line[f"per_cpu_s_{group}{name}"] = map(round, rates)
    line[f"per_s_{GROUPS[0]}_tables_writer"] = round(handed_over(folder, day, GROUPS[0], OrderStore(), Ledger()))
    return line


def measure(folder: Path, rows: int) -> dict[str, Any]:
    """The figures of one run: ``rows`` single rows, thirty times as many in groups."""
    line: dict[str, Any] = {"n": rows} | measure_groups(folder, 30 * rows)
    single = Single(folder)
    for number in range(1, rows + 1):
        single.turn(number)
    single.close()
    for name, times in single.times.items():
        cuts = statistics.quantiles(times, n=100)
        line[f"us_{name}_p50"], line[f"us_{name}_p99"] = round(cuts[49] / 1_000, 1), round(cuts[98] / 1_000, 1)
    line["append_to_raw"] = round(line["us_append_p50"] / line["us_raw_p50"], 2)
    return line
