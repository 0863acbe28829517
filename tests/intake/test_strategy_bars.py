"""A strategy asks for bars: on the real host, with no look at what is still to come."""

from typing import ClassVar

import pytest

from engine.domain.clock import NS_PER_S, SimClock
from engine.domain.commands import CommandResult, SetStrategy
from engine.domain.instrument import make_instrument
from engine.intake.strategy_base import HistoryReady, Strategy, StrategyContext, StrategyEvent
from engine.intake.strategy_host import StrategyHost
from engine.market.bars import Bars
from engine.market.feed import TradeTick
from engine.market.history import History
from engine.store.order_store import OrderStore
from tests.core.lab import ME
from tests.market.test_history import MINUTE, T0, loaded


class Looks(Strategy):
    symbol: str
    seen: ClassVar[list[list[str]]] = []
    told: ClassVar[list[StrategyEvent]] = []
    ask_ns: int = MINUTE

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        self.told.append(event)
        bars = ctx.bars(self.symbol, self.ask_ns, 3)
        assert all(bar.end_ns <= ctx.now_ns() for bar in bars)
        self.seen.append([str(bar.close) for bar in bars])


@pytest.fixture
def host() -> StrategyHost:
    Looks.seen.clear()
    Looks.told.clear()
    made = make_instrument("AAA", "equity", "XNAS", "USD", "0.01")
    return StrategyHost(
        {"Looks": Looks},
        OrderStore(),
        {"AAA": made}.get,
        lambda _: CommandResult(ok=True),
        lambda _: None,
        SimClock(T0),
        past=(History(), Bars()),
    )


def trade(host: StrategyHost, at_ns: int, price: int) -> None:
    assert isinstance(host.clock, SimClock)
    host.clock.set_ns(at_ns)
    tick = TradeTick("AAA", "XNAS", at_ns, 1, price, 5, "N")
    host.bars.on_trade(tick, 1)
    host.on_tick(tick)


def test_bars_grow_with_time_and_history_comes_before_them(host: StrategyHost) -> None:
    assert host.set(SetStrategy(source=ME, name="Looks", on=True, params={"symbol": "AAA"})).ok
    trade(host, T0 + 5 * MINUTE, 200)
    trade(host, T0 + 5 * MINUTE + NS_PER_S, 201)
    trade(host, T0 + 6 * MINUTE, 202)
    assert Looks.seen == [[], [], ["2.01"]]
    past = loaded([100, 101, 102, 103, 104, 105, 106, 107])
    host.history.add(past)
    host.on_history("AAA", len(past.pieces), past.source)
    assert Looks.told[-1] == HistoryReady("AAA", 8, "a file")
    assert Looks.seen[-1] == ["1.03", "1.04", "2.01"], "what was seen goes before the file, and nothing later comes"


@pytest.mark.parametrize("ask", ["1", "90s", "2d", "1441m"])
def test_a_period_that_is_none_disables_the_strategy_that_asks(host: StrategyHost, ask: str) -> None:
    params = {"symbol": "AAA", "ask_ns": ask}
    result = host.set(SetStrategy(source=ME, name="Looks", on=True, params=params))
    if result.ok:
        trade(host, T0, 200)
        assert host.views()[0].state == "off"
        assert Looks.seen == []
