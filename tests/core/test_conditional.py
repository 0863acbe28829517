"""Orders that wait in the engine: they fire once, on the trade or at the time; never late, and never without a person after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.instrument import make_instrument
from engine.domain.money import Price, Qty
from engine.domain.order import WHEN, AlgoSpec, OrderSpec, OrderState, OrderType, Side, Tif
from engine.market.feed import TradeTick
from tests.core.lab import AAPL, ME, Lab, _let_go

LISTED = (AAPL, make_instrument("MSFT", "equity", "XSIM", "USD", "0.01"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path, ledger=tmp_path / "ledger.db", listed=LISTED)
    made.connect()
    return made


def restarted(lab: Lab, tmp_path: Path) -> Lab:
    """Another engine on the same ledger, behind one that was killed."""
    _let_go(lab.journal)
    made = Lab(tmp_path, ledger=tmp_path / "ledger.db", listed=LISTED, start_ns=lab.clock.now_ns())
    made.connect()
    return made


def waits(lab: Lab, intent: str = "w1", start_s: int = 0, **params: str) -> co.CommandResult:
    start_ns = lab.clock.now_ns() + start_s * NS_PER_S if start_s else 0
    spec = OrderSpec(
        symbol="AAPL", side=Side.BUY, qty=Qty(100), type=OrderType.LIMIT, limit=Price("189.10"), tif=Tif.GTC,
        algo=AlgoSpec(name=WHEN, start_ns=start_ns, params=params),
    )  # fmt: skip
    return lab.submit(co.NewOrder(source=ME, intent_id=intent, spec=spec, why=""))


def trade(lab: Lab, symbol: str, price: str) -> None:
    made = lab.engine.market.instruments[symbol]
    row = lab.engine.market.ticks + 1
    tick = TradeTick(symbol, "XSIM", lab.clock.now_ns(), row, made.price_units(Price(price)), 100, "B", False)
    lab.engine.on_market(tick)
    lab.settle()


def state(lab: Lab, order_id: str) -> OrderState:
    return lab.engine.store.get(order_id).state


def test_it_fires_once_at_the_first_trade_that_reaches_its_price(lab: Lab) -> None:
    order = waits(lab, symbol="MSFT", above="430")
    assert order.ok
    trade(lab, "MSFT", "429.99")
    trade(lab, "AAPL", "189")
    assert lab.broker.sent == []
    assert lab.engine.picture.view().orders[0].waits == "when MSFT >= 430 (dies with this engine)"
    trade(lab, "MSFT", "430")
    trade(lab, "MSFT", "431")
    assert [one.spec.limit for one in lab.broker.sent] == [Price("189.10")]
    assert lab.engine.agent.watched == {}


def test_below_and_its_own_symbol(lab: Lab) -> None:
    waits(lab, symbol="AAPL", below="188.50")
    trade(lab, "AAPL", "188.51")
    assert lab.broker.sent == []
    trade(lab, "AAPL", "188.50")
    assert len(lab.broker.sent) == 1


def test_a_time_that_has_come(lab: Lab) -> None:
    waits(lab, start_s=5)
    lab.pass_time(4)
    assert lab.broker.sent == []
    lab.pass_time(1)
    assert len(lab.broker.sent) == 1


@pytest.mark.parametrize(
    ("start_s", "params"),
    [
        (0, {}),
        (5, {"symbol": "AAPL", "above": "1"}),
        (0, {"symbol": "AAPL"}),
        (0, {"symbol": "AAPL", "above": "1", "below": "2"}),
        (0, {"symbol": "AAPL", "above": "x"}),
        (0, {"symbol": "NONE", "above": "1"}),
    ],
)
def test_what_is_no_trigger_is_refused(lab: Lab, start_s: int, params: dict[str, str]) -> None:
    result = waits(lab, start_s=start_s, **params)
    assert (result.ok, result.code) == (False, "ALGO_REFUSES")


def test_what_the_gate_denies_when_it_fires_is_not_sent(lab: Lab) -> None:
    order = waits(lab, symbol="MSFT", above="430")
    lab.submit(co.Reduce(source=ME, why="calm"))
    trade(lab, "MSFT", "430")
    assert lab.broker.sent == []
    assert state(lab, order.order_id) is OrderState.DENIED


def test_after_a_restart_it_waits_on_and_fires(lab: Lab, tmp_path: Path) -> None:
    order = waits(lab, symbol="MSFT", above="430")
    again = restarted(lab, tmp_path)
    trade(again, "MSFT", "429")
    trade(again, "MSFT", "430")
    assert len(again.broker.sent) == 1
    assert again.engine.store.get(order.order_id).children


def test_a_price_passed_while_the_engine_was_down_is_suspended_and_released_by_hand(lab: Lab, tmp_path: Path) -> None:
    order = waits(lab, symbol="MSFT", above="430")
    again = restarted(lab, tmp_path)
    trade(again, "MSFT", "440")
    trade(again, "MSFT", "441")
    assert again.broker.sent == []
    assert state(again, order.order_id) is OrderState.SUSPENDED
    third = restarted(again, tmp_path)
    trade(third, "MSFT", "442")
    assert state(third, order.order_id) is OrderState.SUSPENDED, "it stays so over the next restart"
    amend = co.AmendOrder(source=ME, intent_id="a1", order_id=order.order_id, limit=Price("189.05"), qty=Qty(50))
    assert third.submit(amend).ok
    assert third.submit(co.ReleaseOrder(source=ME, order_id=order.order_id)).ok
    assert [(one.spec.qty, one.spec.limit) for one in third.broker.sent] == [(Qty(50), Price("189.05"))]
    assert not third.submit(co.ReleaseOrder(source=ME, order_id=order.order_id)).ok
    assert len(third.broker.sent) == 1


def test_a_time_passed_while_the_engine_was_down_is_suspended_and_cancelled_by_hand(lab: Lab, tmp_path: Path) -> None:
    order = waits(lab, start_s=5)
    lab.clock.set_ns(lab.clock.now_ns() + 60 * NS_PER_S)
    again = restarted(lab, tmp_path)
    again.pass_time(5)
    assert state(again, order.order_id) is OrderState.SUSPENDED
    again.submit(co.CancelOrder(source=ME, order_id=order.order_id))
    assert state(again, order.order_id) is OrderState.CANCELLED
    assert again.broker.sent == []


def test_a_halt_ends_it(lab: Lab) -> None:
    order = waits(lab, symbol="MSFT", above="430")
    lab.submit(co.Halt(source=ME, why="stop"))
    trade(lab, "MSFT", "430")
    assert lab.broker.sent == []
    assert state(lab, order.order_id) is OrderState.CANCELLED


def test_its_terms_are_amended_while_it_waits_and_judged(lab: Lab) -> None:
    order = waits(lab, symbol="MSFT", above="430")
    off = lab.submit(co.AmendOrder(source=ME, intent_id="a1", order_id=order.order_id, limit=Price("189.001")))
    assert (off.ok, off.code) == (False, "TICK")
    assert lab.submit(co.AmendOrder(source=ME, intent_id="a2", order_id=order.order_id, limit=Price("189"))).ok
    trade(lab, "MSFT", "430")
    assert lab.broker.sent[0].spec.limit == Price("189")


def test_the_preview_says_that_no_venue_holds_it(lab: Lab) -> None:
    spec = OrderSpec(
        symbol="AAPL", side=Side.BUY, qty=Qty(100), type=OrderType.LIMIT, limit=Price("189.10"),
        algo=AlgoSpec(name=WHEN, params={"symbol": "MSFT", "above": "430"}),
    )  # fmt: skip
    told = lab.engine.submit(co.Preview(source=ME, spec=spec))
    assert told.ok
    assert told.preview["waits"].startswith("when MSFT >= 430; dies with this engine")
    assert lab.kinds()[-1] != ev.ParentAccepted.__struct_config__.tag


def test_a_time_that_has_passed_is_refused_with_the_reason(lab: Lab) -> None:
    result = waits(lab, start_s=-60)
    assert (result.ok, result.code) == (False, "ALGO_REFUSES")
    assert "has passed already" in result.text
