"""What a decision of the gate and a look at the latch cost, against one message encoded in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.events import encode
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Qty
from engine.domain.order import Side
from engine.risk.policy import load
from engine.risk.risk_manager import Role
from tests.risk.world import CLI, NOW, SHIPPED, World, order, quote


def cost_us(act: Callable[[], object], count: int = 2000) -> float:
    """Best of five rounds, in microseconds per call."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter_ns()
        for _ in range(count):
            act()
        best = min(best, (time.perf_counter_ns() - start) / count / 1000)
    return best


def shipped(tmp: Path) -> World:
    world = World(tmp)
    world.holder.policy = load(SHIPPED)
    world.capital = Money(10_000_000)
    return world


@pytest.mark.bench
def test_a_decision_costs_microseconds(tmp_path: Path) -> None:
    world = shipped(tmp_path)
    world.use(Role.CHILD)
    candidate = world.candidate()
    message = msgspec.structs.replace(world.risk.check(candidate, NOW, full=False).decision, why="bench")
    event = encode(message)
    unit = cost_us(lambda: encode(message))
    fast = cost_us(lambda: world.risk.check(candidate, NOW, full=False))
    full = cost_us(lambda: world.risk.check(candidate, NOW, full=True), 500)
    for number in range(20):
        symbol = f"S{number}"
        world.instruments[symbol] = make_instrument(symbol, "equity", "XNAS", "USD", "0.01")
        world.quotes[symbol] = quote("50", "51")
        world.held[symbol] = Qty(10)
        world.opened[symbol, Side.BUY] = Qty(5)
    many = cost_us(lambda: world.risk.check(candidate, NOW, full=False), 500)
    assert world.risk.check(candidate, NOW, full=False).ok
    print(f"\ngate, all controls passed: {fast:.1f} us = {fast / unit:.1f} x one decision encoded ({len(event)} bytes)")
    print(f"gate, every control listed: {full:.1f} us; with 20 other positions: {many:.1f} us")


@pytest.mark.bench
def test_a_look_at_the_latch_costs_a_microsecond(tmp_path: Path) -> None:
    world = shipped(tmp_path)
    latch = world.kill.latch
    scopes = (HaltScope(HaltScopeKind.ACCOUNT, "PAPER"), HaltScope(HaltScopeKind.SYMBOL, "AAPL"))
    stat = cost_us((tmp_path / "latch").stat)
    plain, scoped = cost_us(latch.read), cost_us(lambda: latch.read(scopes))
    latch.trip(HaltScope(HaltScopeKind.SYMBOL, "MSFT"))
    tripped = cost_us(lambda: latch.read(scopes))
    trip = cost_us(lambda: latch.trip(HaltScope(HaltScopeKind.SYMBOL, "MSFT")), 20)
    print(f"\nlatch read: {plain:.2f} us = {plain / stat:.2f} x one stat; with scopes {scoped:.2f} us")
    print(f"with a tripped scope elsewhere: {tripped:.2f} us; a durable trip: {trip:.0f} us")


@pytest.mark.bench
def test_a_denial_costs_no_more_than_a_pass(tmp_path: Path) -> None:
    world = shipped(tmp_path)
    world.spec = order("1000000")
    world.source = CLI
    candidate = world.candidate()
    denied = cost_us(lambda: world.risk.check(candidate, NOW, full=False))
    print(f"\ngate, denied at the size: {denied:.1f} us")
