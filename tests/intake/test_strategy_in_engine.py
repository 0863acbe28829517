"""A strategy on the real engine: gate, durability, children, fills and halt."""

from pathlib import Path

import pytest

from engine.domain import commands as co
from engine.domain.events import BrokerState, decode_event
from engine.domain.money import Price, Qty
from engine.domain.order import Source, SourceKind
from engine.domain.strategy_events import StrategyChanged
from engine.intake.strategy_base import Strategy, StrategyContext, StrategyEvent
from engine.market.feed import QuoteTick
from engine.oms import broker_interface as bi
from tests.core.lab import ME, Lab
from tests.core.test_engine import venue_order

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


class Holder(Strategy):
    """Wants a hundred, at every tick anew, and counts the ticks."""

    def symbols(self) -> tuple[str, ...]:
        return ("AAPL",)

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        ctx.state["ticks"] = str(int(ctx.state.get("ticks", "0")) + 1)
        ctx.target("AAPL", 100, why="hold a hundred", limit=Price("189"))


def holding(folder: Path, start_ns: int) -> Lab:
    lab = Lab(folder, ledger=folder / "ledger.db", start_ns=start_ns)
    lab.engine.host.strategies["Holder"] = Holder
    return lab


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_target_that_is_partly_there_is_not_ordered_again_after_a_restart(tmp_path: Path, is_clean: bool) -> None:
    """What it holds and what still works are the journal's; so is its state. After a crash only a person starts it again."""
    lab = holding(tmp_path, 1_700_000_000_000_000_000)
    lab.connect()
    start = co.SetStrategy(source=ME, name="Holder", on=True)
    assert lab.submit(start).ok
    lab.pass_time(1)
    (order,) = lab.broker.sent
    lab.answer(lab.ack(order.wire_id))
    lab.answer(lab.fill(order.wire_id, 30, "k1", price="189"))
    if is_clean:
        lab.engine.stop("end of the test")
        lab.settle()
    cash = lab.engine.ledger.cash["paper", "PAPER", "USD"]
    ticks = int(lab.engine.host._runners["Holder"].state["ticks"])
    lab.journal.close()
    lab.latch.close()

    again = holding(tmp_path, lab.clock.now_ns() + 10**9)
    at_ns = again.clock.now_ns()
    again.engine.on_broker(bi.ChannelChanged(broker="paper", ts_ns=at_ns, state=BrokerState.RESYNCING))
    listed = venue_order(order.wire_id, qty_filled=Qty(30), limit=Price("189"))
    held = (bi.VenuePosition("AAPL", Qty(30)),)
    again.answer(again.snapshot(orders=(listed,), positions=held, cash={"USD": cash}))
    again.quote()
    assert ("Holder" in again.engine.host._runners) is is_clean
    assert again.submit(start).repeated is is_clean
    again.pass_time(2)
    assert again.broker.sent == []
    assert int(again.engine.host._runners["Holder"].state["ticks"]) > ticks
    again.answer(again.fill(order.wire_id, 70, "k2", price="189"))
    again.pass_time(2)
    assert again.broker.sent == []
    assert again.engine.host.position("Holder", "AAPL") == 100
