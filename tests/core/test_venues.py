"""What is told of brokers, feeds and market hours, from a real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.instrument import make_instrument
from engine.market.calendar import SessionTable
from engine.market.sessions import Sessions
from engine.oms import broker_interface as bi
from engine.views import HoursView, StatusView
from tests.core.lab import AAPL, Lab

IBM = make_instrument("IBM", "equity", "XNYS", "USD", "0.01", calendar="XNYS")


def at(clock: str) -> int:
    return parse_iso(f"2024-{clock}:00Z")


TABLE = SessionTable(
    name="XNYS",
    days=("2024-11-22", "2024-11-29", "2024-12-02"),
    opens=(at("11-22T14:30"), at("11-29T14:30"), at("12-02T14:30")),
    closes=(at("11-22T21:00"), at("11-29T18:00"), at("12-02T21:00")),
)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def status(lab: Lab) -> StatusView:
    lab.clock.set_ns(lab.clock.now_ns() + NS_PER_S)
    return lab.engine.view().status


def test_latency_and_rejects_are_those_of_the_last_orders(lab: Lab) -> None:
    for number, wait_ms in enumerate((5, 9, 40)):
        lab.buy(number + 1, "188.50", intent=f"i{number}")
        lab.clock.set_ns(lab.clock.now_ns() + wait_ms * 1_000_000)
        lab.answer(lab.ack(lab.broker.sent[-1].wire_id))
    lab.buy(9, "188.50", intent="no")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(bi.Rejected(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire_id, code="NO", text="no"))
    broker = status(lab).brokers[0]
    assert (broker.latency_ms, broker.latency_ms_p99) == (9, 40)
    assert (broker.sent, broker.rejected) == (4, 1)


def test_the_first_connection_is_no_reconnect(lab: Lab) -> None:
    assert status(lab).brokers[0].reconnects == 0
    lab.engine.on_broker(bi.ChannelChanged(broker="paper", ts_ns=lab.clock.now_ns(), state=ev.BrokerState.DOWN))
    lab.connect()
    assert status(lab).brokers[0].reconnects == 1


def test_a_feed_that_falls_silent_is_stale(lab: Lab) -> None:
    feed = status(lab).feeds[0]
    assert (feed.venue, feed.symbols, feed.stale) == ("XSIM", 1, False)
    lab.clock.set_ns(lab.clock.now_ns() + 60 * NS_PER_S)
    after = status(lab).feeds[0]
    assert (after.heard_ns, after.stale) == (feed.heard_ns, True)


@pytest.mark.parametrize(
    ("clock", "state", "next_clock", "is_early"),
    [
        ("11-22T15:00", "open", "11-22T21:00", False),
        ("11-29T15:00", "open", "11-29T18:00", True),
        ("11-29T10:00", "closed", "11-29T14:30", True),
        ("11-30T10:00", "closed", "12-02T14:30", False),
    ],
)
def test_hours_come_from_the_calendar(tmp_path: Path, clock: str, state: str, next_clock: str, is_early: bool) -> None:
    lab = Lab(tmp_path, listed=(AAPL, IBM), sessions=Sessions({"XNYS": TABLE}), start_ns=at(clock))
    lab.connect()
    always, table = status(lab).hours
    assert always == HoursView(calendar="24x7", state="open")
    assert table == HoursView(calendar="XNYS", state=state, next_ns=at(next_clock), is_early=is_early)


def test_hours_that_are_not_known_say_why(tmp_path: Path) -> None:
    lab = Lab(tmp_path, listed=(IBM,))
    lab.connect()
    assert status(lab).hours == (HoursView(calendar="XNYS", state="unknown", why="calendar XNYS is not here"),)
