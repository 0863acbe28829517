"""What a journal row, a commit and a projected fill cost, against a bare fdatasync and a bare hash of the same run."""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.domain import events as ev
from engine.domain.ledger_events import InstrumentDefined
from engine.ledger.ledger import Ledger
from engine.store.journal import Journal, read_journal
from engine.store.verify import rebuild, verify
from tests.store.day import write_day
from tests.store.shop import AAPL, START_NS, Desk, alert, fill, make, trade

BIG_ROWS = 1_000_000


def spread_us(act: Callable[[], object], count: int) -> tuple[float, float]:
    """Median and 99th percentile of ``count`` single calls, in microseconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter_ns()
        act()
        times.append((time.perf_counter_ns() - start) / 1000)
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def flush_us(folder: Path, size: int) -> float:
    """Median of one append and fdatasync on the same disk: the unit of every durable number."""
    handle = os.open(folder / "flush", os.O_RDWR | os.O_CREAT, 0o600)
    data = b"x" * size

    def flush() -> None:
        os.write(handle, data)
        getattr(os, "fdatasync", os.fsync)(handle)

    median, _ = spread_us(flush, 300)
    os.close(handle)
    return median


@pytest.mark.bench
def test_an_append_costs_microseconds() -> None:
    journal = Journal.open_memory(START_NS, "BENCH", "USD")
    event = fill(1)
    payload = ev.encode(event)
    unit, _ = spread_us(lambda: hashlib.sha256(payload).digest(), 20_000)
    encode, _ = spread_us(lambda: ev.encode(event), 20_000)
    append, worst = spread_us(lambda: journal.append(START_NS, event), 20_000)
    print(
        f"\nappend: {append:.1f} us (p99 {worst:.1f}) = {append / unit:.1f} x one SHA-256 of its {len(payload)} bytes"
    )
    print(f"  of it encoding {encode:.1f} us")


@pytest.mark.bench
@pytest.mark.parametrize("rows", [1, 16, 64, 256])
def test_a_commit_costs_about_a_flush(tmp_path: Path, rows: int) -> None:
    desk = Desk(tmp_path / "ledger.db")
    desk.record(InstrumentDefined(instrument=AAPL))
    desk.journal.commit()
    number = 0
    times = []
    for _ in range(200):
        for _ in range(rows):
            number += 1
            desk.record(fill(number))
        start = time.perf_counter_ns()
        desk.journal.commit()
        times.append((time.perf_counter_ns() - start) / 1000)
    median, worst = statistics.median(times), statistics.quantiles(times, n=100)[98]
    unit = flush_us(tmp_path, 4096)
    print(f"\ncommit of {rows} fills with orders, cash and positions: {median:.0f} us (p99 {worst:.0f})", end="")
    print(f" = {median / unit:.1f} x fdatasync ({unit:.0f} us), {rows / median * 1e6:,.0f} rows/s")
    desk.journal.close()


@pytest.mark.bench
def test_a_fill_costs_the_same_late_in_the_day() -> None:
    ledger = Ledger()
    ledger.apply(1, 1, InstrumentDefined(instrument=AAPL))
    costs = []
    number = 1
    for _ in range(10):
        start = time.perf_counter_ns()
        for _ in range(2_000):
            number += 1
            ledger.apply(number, number, fill(number))
            if number % 10 == 0:
                ledger.dirty()
        costs.append((time.perf_counter_ns() - start) / 2_000_000)
    print(
        f"\nbooking a fill: {costs[0]:.1f} us in the first 2,000, {costs[-1]:.1f} us in the last of {number:,}", end=""
    )
    print(f" ({costs[-1] / costs[0]:.2f} x)")


@pytest.mark.bench
def test_reading_and_proving_a_day(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    trade(path, 1)
    desk = Desk(path)
    for number in range(10, 20_010):
        desk.record(fill(number) if number % 4 == 0 else alert(number))
        if number % 500 == 0:
            desk.journal.commit()
    desk.journal.commit()
    start = time.perf_counter_ns()
    rows = sum(1 for _ in read_journal(path))
    read = time.perf_counter_ns() - start
    start = time.perf_counter_ns()
    checked = sum(1 for _ in desk.journal.read())
    chained = time.perf_counter_ns() - start
    desk.journal.close()
    start = time.perf_counter_ns()
    assert verify(path, make).ok
    proven = time.perf_counter_ns() - start
    assert rows == checked
    print(f"\nper row: read {read / rows / 1000:.1f} us, with its hash {chained / rows / 1000:.1f} us", end="")
    print(f", verified and projected {proven / rows / 1000:.1f} us ({rows:,} rows)")


@pytest.mark.bench
def test_a_million_rows_are_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    write_day(path, BIG_ROWS)
    unit = time.process_time_ns()
    sum(range(3_000_000))
    unit = time.process_time_ns() - unit
    start, busy = time.perf_counter_ns(), time.process_time_ns()
    rows = rebuild(path, make)
    wall, busy = time.perf_counter_ns() - start, time.process_time_ns() - busy
    assert rows >= BIG_ROWS
    print(f"\nrebuilt {rows:,} rows in {wall / 1e9:.1f} s ({busy / 1e9:.1f} s of the processor,", end="")
    print(f" {busy / unit:,.0f} x adding up 3,000,000 numbers); wanted: 60 s")
