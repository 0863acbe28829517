"""Bars for strategies out of the recorded tape: proven chunks only, made beside the engine, and never an average of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from bolt_tui.input_tape import encode
from bolt_tui.settings import Home, Settings, open_home
from bolt_tui.tape_minutes import minutes_in, recent_chunks, tape_history
from bolt_tui.wiring import LiveEngine, build_live
from brokers.paperbroker import stop_venue
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import NewOrder
from engine.domain.events import BrokerState
from engine.domain.money import Qty
from engine.domain.order import OrderSpec, OrderType, Side
from engine.market.feed import TradeTick
from engine.market.history import History, Loaded
from engine.market.tape import Chunk, TapeWriter, chunk_path
from tests.core.lab import ME
from tests.market.test_history import MINUTE, T0, closes, loaded, share

WAIT_S = 45


def recorded(folder: Path, prints: list[tuple[int, int, int]]) -> list[tuple[str, str]]:
    """A tape of prints of AAA as ``(time, price, quantity)``, and what the journal would name of it."""
    chunks: list[Chunk] = []
    writer = TapeWriter(folder, encode, chunks.append)
    for number, (ts_ns, price, qty) in enumerate(prints):
        writer.add("tick", number, ts_ns, TradeTick("AAA", "XNAS", ts_ns, number, price, qty, "N"))
        writer.add("time", number, ts_ns, number)
    assert writer.close(20)
    return [(one.name, one.sha256) for one in chunks]


def test_prints_become_minutes_in_a_process_of_its_own(tmp_path: Path) -> None:
    prints = [(T0, 100, 5), (T0 + 1, 103, 1), (T0 + 2, 99, 2), (T0 + 3 * MINUTE, 101, 7)]
    chunks = recorded(tmp_path, prints)
    (found,), faults = tape_history(tmp_path, chunks, [share()])
    assert found.pieces == (
        (T0, T0 + MINUTE, 100, 103, 99, 99, 8),
        (T0 + 3 * MINUTE, T0 + 4 * MINUTE, 101, 101, 101, 101, 7),
    )
    assert (found.is_whole, faults) == (False, [])
    assert found.source == "the tape from 2024-03-04T14:30Z on, 2 minutes with trades"
    assert tape_history(tmp_path, [], [share()]) == ([], [])


def test_a_chunk_that_is_not_the_recorded_one_is_left_out_and_named(tmp_path: Path) -> None:
    chunks = recorded(tmp_path, [(T0, 100, 5)])
    assert chunks
    path = chunk_path(tmp_path, chunks[0][0])
    path.write_bytes(path.read_bytes() + b"x")
    found = minutes_in(tmp_path, chunks)
    assert found.minutes == {}
    assert "not the chunk whose hash" in found.faults[0]


def test_files_go_before_the_tape_and_what_was_seen_before_both(tmp_path: Path) -> None:
    history = History()
    history.add(loaded([100, 101, 102]))
    taped = [
        (T0 + at * MINUTE, T0 + (at + 1) * MINUTE, 200 + at, 200 + at, 200 + at, 200 + at, 3) for at in range(-2, 6)
    ]
    history.add(Loaded(instrument=share(), source="the tape", pieces=tuple(taped), is_whole=False))
    now = T0 + 6 * MINUTE
    assert closes(history, MINUTE, 99, now) == ["1.98", "1.99", "1", "1.01", "1.02", "2.03", "2.04", "2.05"]
    assert closes(history, MINUTE, 2, T0 + 4 * MINUTE) == ["1.02", "2.03"], "nothing that ends later than now"


def test_no_average_is_made_of_days_that_may_not_be_whole() -> None:
    history = History()
    pieces = ((T0, T0 + MINUTE, 100, 100, 100, 100, 500),)
    history.add(Loaded(instrument=share(), source="the tape", pieces=pieces, is_whole=False))
    later = T0 + 86_400 * NS_PER_S
    assert history.adv("AAA", later) is None
    assert history.weights("AAA", later, later + MINUTE, 4) == History().weights("AAA", later, later + MINUTE, 4)
    history.add(loaded([100, 101]))
    assert history.adv("AAA", later) == (Qty(20), 1)


async def life(home: Home, is_done: Callable[[LiveEngine], object]) -> None:
    """One life of a live engine, until a condition holds."""
    live = build_live(home, Settings())
    running = asyncio.ensure_future(live.run())
    end_ns = SystemClock().monotonic_ns() + WAIT_S * NS_PER_S
    while not is_done(live):
        assert not running.done(), running.exception()
        assert SystemClock().monotonic_ns() < end_ns
        await asyncio.wait({running}, timeout=0.05)
    live.request_stop(False)
    await running


def test_a_live_engine_reads_what_the_one_before_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bolt.history")
    home = open_home(tmp_path / "home")
    try:
        asyncio.run(life(home, lambda live: _has_traded(live) and _said(caplog, "no history of AAPL")))
        chunks = recent_chunks(home.place, SystemClock().now_ns())
        assert chunks
        assert minutes_in(home.tape, chunks).minutes["AAPL"]
        asyncio.run(life(home, lambda live: _said(caplog, "history of AAPL: ") and _measured(live)))
    finally:
        stop_venue(home.root)


def _has_traded(live: LiveEngine) -> bool:
    """Once there are prices, buy; then wait for the fill and a tenth of a second behind it."""
    engine = live.engine
    is_up = engine.view_of_risk.channel("paper") is BrokerState.UP  # else it is denied, and there is no second one
    if is_up and "AAPL" in engine.market.bars.of and not engine.store.orders:
        spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(10), type=OrderType.MARKET)
        live.door.submit(NewOrder(source=ME, intent_id="i1", spec=spec, why="", words="b 10 AAPL @mkt"))
    fills = engine.view().fills
    return bool(fills) and engine.clock.now_ns() - fills[0].ts_ns > NS_PER_S // 4


def _measured(live: LiveEngine) -> bool:
    """The engine knows where the market stood after a fill of the one before."""
    (cost,) = live.engine.view().costs
    return bool(cost.markouts) and cost.markouts[0].fills == 1


def _said(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return any(record.getMessage().startswith(words) for record in caplog.records)
