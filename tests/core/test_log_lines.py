"""Every kind of event has a line of the trade log, or stands in the list of those that only machines read."""

from __future__ import annotations

import inspect
import re

import msgspec

from engine.api import log_lines
from engine.api.market_state import MarketState
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.money_events import PositionAdjusted
from engine.domain.order import AlgoSpec, OrderSpec, OrderState, OrderType, Side
from engine.store.order import Order
from tests.core.lab import ME


def test_every_kind_is_told_or_silent() -> None:
    told = set(re.findall(r"case (?:ev\.)?(\w+)\(\)", inspect.getsource(log_lines)))
    silent = {kind.__name__ for kind in log_lines.SILENT}
    assert not told & silent
    assert told | silent == {kind.__name__ for kind in ev.EVENT_KINDS if kind not in ev.TOGETHER}, (
        "a row of several is told part by part"
    )


def test_money_that_a_person_moves_is_told() -> None:
    event = PositionAdjusted(
        broker="paper", account="PAPER", cash=Money(-5), currency="USD", reason="bank fee", who="cli:anna"
    )
    assert log_lines.is_told(event)
    line = log_lines.line(7, 1, event, None)
    assert line is not None
    assert (line.word, line.text) == ("ADJUST", "cash -5 USD by cli:anna: bank fee")


def test_a_step_of_a_halt_says_what_was_done_and_no_noughts() -> None:
    done = {
        "broker": "paper",
        "durable": "true",
        "found": "2",
        "cancels_sent": "1",
        "cancels_confirmed": "2",
        "unknown": "0",
    }
    open_ = {
        "durable": "false",
        "found": "0",
        "residual": "paper AAPL 100: no price",
        "unreachable": "",
        "verified": "false",
    }
    filed = {"clean": "true", "verified": "true", "receipt_path": "/r/1.json"}
    said = [
        log_lines.line(1, 1, ev.HaltStep(halt_id="H1", step=step, data=data), None)
        for step, data in (("verify", done), ("receipt", open_), ("receipt_file", filed), ("sources", {}))
    ]
    assert [one.text for one in said if one is not None] == [
        "verify paper: found 2, cancels sent 1, gone at the venue 2",
        "receipt: still open: paper AAPL 100: no price, not durable yet, NOT verified",
        "receipt file: /r/1.json",
        "sources stopped",
    ]


def test_how_an_order_ended_is_said_once() -> None:
    said = [
        log_lines.line(1, 1, ev.ParentEnded(order_id="P1", state=state, why=why), None)
        for state, why in (
            (OrderState.FILLED, "its child ended filled"),
            (OrderState.CANCELLED, "halted: MANUAL"),
            (OrderState.EXPIRED, ""),
        )
    ]
    assert [one.text for one in said if one is not None] == ["filled", "cancelled: halted: MANUAL", "expired"]


def test_prices_have_the_decimals_of_their_tick() -> None:
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(60), type=OrderType.LIMIT, limit=Price("189.4"))
    event = ev.ParentAccepted(order_id="P1", intent_id="i1", source=ME, spec=spec, decision=ev.Decision("hash"))
    said = log_lines.line(1, 1, event, None, lambda symbol: {"AAPL": 2}[symbol])
    assert said is not None
    assert said.text == "buy 60 AAPL limit 189.40 day"


def test_a_child_does_not_say_again_what_works_its_parent() -> None:
    algo = AlgoSpec("twap", 60 * NS_PER_S, params={"slices": "5"})
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(10), type=OrderType.MARKET, algo=algo)
    parent, child = (Order(name, spec, ME, OrderState.NEW, 1) for name in ("P1", "C2"))
    child.parent_id = "P1"
    event = ev.OrderAcked(order_id="", venue_order_id="v1", ts_ns=1)
    said = [log_lines.line(1, 1, event, order) for order in (parent, child)]
    assert [one.text for one in said if one is not None] == [
        "buy 10 AAPL market day twap over 1m slices=5",
        "buy 10 AAPL market day",
    ]


def test_a_grid_that_is_finer_than_the_tick_adds_no_noughts() -> None:
    """A recording keeps prints between ticks; a limit was told as 10.0000."""
    fine = msgspec.structs.replace(make_instrument("ABC", "equity", "XSIM", "USD", "0.01"), price_digits=4)
    market = MarketState()
    market.instruments["ABC"] = fine
    assert (market.price_digits("ABC"), market.price_digits("NOPE")) == (2, 0)
    assert make_instrument("ES", "future", "XSIM", "USD", "0.25").tick_digits == 2


def test_an_amended_price_has_the_decimals_of_the_tick_where_the_order_is_known() -> None:
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(60), type=OrderType.LIMIT, limit=Price("189.4"))
    event = ev.OrderAmended(order_id="C1", qty=Qty(50), limit=Price("189.1"), stop=None, ts_ns=1)
    said = log_lines.line(1, 1, event, Order("C1", spec, ME, OrderState.NEW, 1), lambda symbol: {"AAPL": 2}[symbol])
    assert said is not None
    assert said.text == "quantity 50 limit 189.10"


def test_an_amended_stop_is_told_with_its_stop() -> None:
    told = [
        log_lines.line(1, 1, ev.OrderAmended(order_id="C1", qty=Qty(50), limit=limit, stop=stop, ts_ns=1), None)
        for limit, stop in ((Price("189.1"), None), (None, Price("188.4")), (Price("188.1"), Price("188.4")))
    ]
    assert [line.text for line in told if line is not None] == [
        "quantity 50 limit 189.1",
        "quantity 50 stop 188.4",
        "quantity 50 limit 188.1 stop 188.4",
    ]
