"""A strategy on the real engine: gate, durability, children, fills and halt."""

from pathlib import Path

import pytest

from engine.domain import commands as co
from engine.domain.events import StrategyChanged, decode_event
from engine.domain.order import Source, SourceKind
from engine.market.feed import QuoteTick
from tests.core.lab import ME, Lab

PARAMS = {"symbol": "AAPL", "window": "4", "sample_ns": "100000000", "ladder": "30:100", "cap": "100", "hold_ns": "1h"}


class Trader:
    """A lab with a strategy host at its side."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.host = lab.engine.host
        command = co.SetStrategy(source=ME, name="BuyTheDip", on=True, params=PARAMS)
        self.result = lab.submit(command)

    def quote(self, bid: int, ask: int) -> None:
        lab = self.lab
        lab.clock.set_ns(lab.clock.now_ns() + 1_100_000_000)
        tick = QuoteTick("AAPL", "XSIM", lab.clock.now_ns(), 1, bid, 5000, ask, 5000)
        lab.engine.on_market(tick)
        lab.engine.on_time(lab.clock.now_ns(), lab.clock.now_ns())
        lab.settle()


@pytest.fixture
def trader(tmp_path: Path) -> Trader:
    lab = Lab(tmp_path)
    lab.connect()
    trader = Trader(lab)
    assert trader.result.ok
    for _ in range(4):
        trader.quote(18900, 18902)
    return trader


def test_a_dip_is_bought_once_and_sold_at_the_mean(trader: Trader) -> None:
    lab = trader.lab
    trader.quote(18840, 18842)
    (bought,) = lab.broker.sent
    assert bought.spec.words() == "buy 100 AAPL limit 188.42 ioc"
    trader.quote(18840, 18842)
    assert len(lab.broker.sent) == 1, "the first is still working"
    lab.answer(lab.ack(bought.wire_id))
    lab.answer(lab.fill(bought.wire_id, 100, "f1", "188.42"))
    assert trader.host.position("BuyTheDip", "AAPL") == 100
    trader.quote(18905, 18907)
    assert lab.broker.sent[1].spec.words() == "sell 100 AAPL limit 189.05 ioc"
    parent = lab.engine.store.get("P1")
    assert parent.source == Source(SourceKind.STRATEGY, "BuyTheDip")
    assert parent.why == "step 1: 30 bps below 189.01"


def test_a_halt_stops_the_strategy_and_journals_it(trader: Trader) -> None:
    lab = trader.lab
    lab.submit(co.Halt(source=ME, why="enough"))
    trader.quote(18840, 18842)
    assert not lab.broker.sent
    changes = [event for row in lab.journal.read() if isinstance(event := decode_event(row.payload), StrategyChanged)]
    assert [change.state for change in changes] == ["on", "off"]
    assert trader.host.set(co.SetStrategy(source=ME, name="BuyTheDip", on=True, params=PARAMS)).code == "HALTED"
