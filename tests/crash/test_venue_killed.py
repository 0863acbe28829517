"""The paper venue is killed with SIGKILL under a working engine, again and again, and the books agree to the last fill."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bolt_tui.client import EngineClient
from bolt_tui.commands.orders import grammar_context
from bolt_tui.demo import is_ready
from bolt_tui.launch import _children, start_engine
from bolt_tui.settings import Home, ensure_policy, open_home
from bolt_tui.wiring import projections
from brokers.paper.home import VenueLock
from brokers.paperbroker import PaperSession, stop_venue
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import CancelOrder
from engine.domain.ids import new_intent_id
from engine.domain.order import OrderState, Source, SourceKind
from engine.intake.drafts import GrammarError
from engine.intake.grammar import parse_order
from engine.store.verify import verify
from engine.views import DeskView

ME = Source(SourceKind.CLI, "crash")
DEADLINE_S = 40.0
WORDS = ("b {qty} AAPL @bid gtc", "b {qty} AAPL @bid-3t gtc", "b {qty} MSFT @mkt", "b {qty} MSFT @ask+2t ioc")
OPEN = {OrderState.NEW, OrderState.PARTIALLY_FILLED}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = open_home(tmp_path / "h")
    ensure_policy(made)
    words = made.policy.read_text(encoding="utf-8")
    assert "max_count: 3" in words
    made.policy.write_text(words.replace("max_count: 3", "max_count: 500"), encoding="utf-8")
    start_engine(made)
    yield made
    child = _children.pop()
    child.terminate()
    child.wait(20)
    stop_venue(made.root)


def view(home: Home) -> DeskView:
    with EngineClient(home.socket) as client:
        return client.view()


def until(home: Home, condition: Callable[[DeskView], bool], what: str) -> DeskView:
    clock = SystemClock()
    end_ns = clock.monotonic_ns() + int(DEADLINE_S * NS_PER_S)
    while True:
        seen = view(home)
        if condition(seen):
            return seen
        states = [f"{row.order_id} {row.state}" for row in seen.orders if not row.state.is_terminal]
        assert clock.monotonic_ns() < end_ns, f"{what} did not come: {seen.status.halt} {states}"
        clock.sleep(0.05)


class Killer(threading.Thread):
    """Kills the venue once its log has grown so many times: in the midst of messages that were just taken."""

    def __init__(self, home: Home, writes: int) -> None:
        super().__init__(daemon=True)
        lock = VenueLock(home.root)
        self.pid = lock.holder()
        lock.release()
        self._log = home.venue / "venue.log"
        self._writes = writes

    def run(self) -> None:
        clock = SystemClock()
        end_ns = clock.monotonic_ns() + 2 * NS_PER_S
        seen, size = 0, self._log.stat().st_size
        while seen < self._writes and clock.monotonic_ns() < end_ns:
            if (now := self._log.stat().st_size) != size:
                seen, size = seen + 1, now
        os.kill(self.pid, signal.SIGKILL)


def trade(home: Home, rng: random.Random, turn: int) -> None:
    """Ten orders and some cancels in one breath, and the venue killed over them."""
    killer = Killer(home, rng.randrange(1, 25))
    killer.start()
    with EngineClient(home.socket) as client:
        seen = client.view()
        context = grammar_context(seen)
        working = [row.order_id for row in seen.orders if row.parent_id and row.state in OPEN]
        for number in range(10):
            if number % 3 == 2 and working:
                client.submit(CancelOrder(source=ME, order_id=working.pop(rng.randrange(len(working)))))
            # Every order has a size of its own: equal ones in a row are what the gate stops.
            draft = parse_order(rng.choice(WORDS).format(qty=1 + turn * 10 + number), context)
            assert not isinstance(draft, GrammarError), draft
            client.submit(draft.command(ME, new_intent_id("t"), why=""))
    killer.join()


def is_settled(seen: DeskView) -> bool:
    pending = {OrderState.PENDING_NEW, OrderState.PENDING_CANCEL, OrderState.UNKNOWN}
    children = [row for row in seen.orders if row.parent_id]
    return is_ready(seen) and not any(row.state in pending for row in children)


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.proof)])
def test_a_venue_that_dies_loses_and_doubles_nothing(home: Home, kills: int) -> None:
    rng = random.Random(kills)
    for turn in range(kills):
        until(home, is_ready, "the market")
        trade(home, rng, turn)
        until(home, lambda seen: seen.status.brokers[0].state == "down", "the loss of the line")
    seen = until(home, is_settled, "the end of everything unknown")
    with EngineClient(home.socket) as client:
        for row in seen.orders:
            if not row.parent_id and not row.state.is_terminal:
                client.submit(CancelOrder(source=ME, order_id=row.order_id))
    seen = until(home, lambda now: is_settled(now) and not now.status.orders_working, "the cancels")
    session = PaperSession(home.root)
    assert session.open_orders() == ()
    held = {one.symbol: one.qty for one in session.positions()}
    cash = session.cash()["USD"]
    session.close()
    assert {one.symbol: one.qty for one in seen.positions if one.qty} == held
    for symbol in ("AAPL", "MSFT"):
        assert sum(fill.qty for fill in seen.fills if fill.symbol == symbol) == held.get(symbol, 0)
    assert len({fill.fill_key for fill in seen.fills}) == len(seen.fills) > 0
    assert not any(row.is_foreign for row in seen.orders)
    store, ledger = projections()
    proof = verify(home.ledger, lambda: (store, ledger))
    assert proof.findings == ()
    assert ledger.cash["paper", "PAPER", "USD"] == cash
    wires = [row.wire_id for row in seen.orders if row.wire_id]
    assert len(set(wires)) == len(wires)
