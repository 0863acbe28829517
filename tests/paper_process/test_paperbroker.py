"""The paper broker against a real venue process: answers, lost answers, dead and hung venues. Nothing is ever sent twice."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from brokers.paper.protocol import FaultKind
from brokers.paperbroker import stop_venue
from engine.domain.clock import parse_iso
from engine.domain.events import BrokerState
from engine.domain.ids import wire_id
from engine.domain.money import Money, Price, Qty
from engine.domain.order import Link, LinkRole, Liquidity, OrderSpec, Side
from engine.market.feed import BookTick, QuoteTick, StatusTick, TradeTick
from engine.oms.broker_interface import (
    Acked,
    Amended,
    AmendRefused,
    Cancelled,
    CancelRefused,
    ChannelChanged,
    Filled,
    OrderAnswer,
    QueuePlace,
    Rejected,
    Snapshot,
    Uncertain,
    WireOrder,
)
from tests.paper_process.lab import Ear, Lab, limit, market


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as made:
        made.book("AAPL", [("189.40", "300"), ("189.39", "500")], [("189.42", "200"), ("189.43", "400")])
        yield made


def up(ear: Ear, count: int = 1) -> None:
    ear.until(
        lambda: sum(event.state is BrokerState.RESYNCING for event in ear.all(ChannelChanged)) >= count, "a connection"
    )


def test_the_venue_tells_what_stands_ahead_of_a_resting_order(lab: Lab) -> None:
    with Ear(lab.home) as ear:
        up(ear)
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.40"))
        ear.wait(Acked)
        assert str(ear.wait(QueuePlace).ahead) == "300"
        lab.print("AAPL", Side.BUY, "189.40", "120")
        assert str(ear.wait(QueuePlace, 2).ahead) == "180"
        assert not ear.all(QueuePlace)[-1].guessed, "the script's venue knows its queue"


def test_a_nightly_reset_loses_the_engine_and_keeps_its_orders(tmp_path: Path) -> None:
    before, during, after = (parse_iso(f"2024-03-11T{clock}Z") for clock in ("03:44:00", "03:46:00", "03:51:00"))
    options = ("--reset", "23:45 America/New_York 5m", "--script", "--no-latency", "--manual-clock", str(before))
    with Lab(tmp_path, *options) as lab, Ear(lab.home) as ear:
        lab.book("AAPL", [("189.40", "300")], [("189.42", "200")])
        up(ear)
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.30"))
        ear.wait(Acked)
        lab.tick(during)
        ear.until(lambda: ear.all(ChannelChanged)[-1].state is BrokerState.DOWN, "the reset")
        lab.tick(after)
        seen = len(ear.all(Snapshot))
        ear.until(lambda: ear.all(ChannelChanged)[-1].state is BrokerState.RESYNCING, "the end of the reset")
        ear.broker.query_state(1, 0)
        ear.until(lambda: len(ear.all(Snapshot)) > seen, "a snapshot")
        assert [order.wire_id for order in ear.all(Snapshot)[-1].orders] == [wire_id("TESTS", 1)]


def test_an_order_walks_the_book_and_the_rest_of_it_rests(lab: Lab) -> None:
    with Ear(lab.home) as ear:
        up(ear)
        ear.broker.send_new(limit(1, Side.BUY, "500", "189.42"))
        fill = ear.wait(Filled).fill
        assert (fill.price, fill.qty, fill.venue, fill.liquidity) == (
            Price("189.42"),
            Qty(200),
            "SIMA",
            Liquidity.TAKER,
        )
        assert ear.events.index(ear.wait(Acked)) < ear.events.index(ear.wait(Filled))
        ear.broker.send_amend(wire_id("TESTS", 1), "", Qty(400), Price("189.41"), None)
        assert ear.wait(Amended).qty == Qty(400)
        ear.broker.send_cancel(wire_id("TESTS", 1), "")
        assert ear.wait(Cancelled).wire_id == wire_id("TESTS", 1)
        ear.broker.send_cancel(wire_id("TESTS", 1), "")
        assert ear.wait(CancelRefused).code == "TOO_LATE"
        ear.broker.send_amend(wire_id("TESTS", 9), "", Qty(1), None, None)
        assert ear.wait(AmendRefused).code == "UNKNOWN_ORDER"
        ear.broker.send_new(limit(2, Side.BUY, "1", "189.421"))
        assert ear.wait(Rejected).code == "TICK"


def test_market_data_comes_with_a_picture_first(lab: Lab) -> None:
    with Ear(lab.home) as ear:
        ear.until(lambda: any(isinstance(tick, QuoteTick) and tick.bid == 18_940 for tick in ear.ticks), "the quote")
        assert any(isinstance(tick, BookTick) and tick.asks == ((18_942, 200), (18_943, 400)) for tick in ear.ticks)
        assert any(isinstance(tick, StatusTick) and tick.status == "open" for tick in ear.ticks)
        lab.print("AAPL", Side.BUY, "189.40", "100")
        ear.until(lambda: any(isinstance(tick, TradeTick) and tick.aggressor == "S" for tick in ear.ticks), "the print")
        assert {instrument.symbol for instrument in ear.broker.instruments()} >= {"AAPL", "ES", "BTC-USD"}


def test_a_resting_order_fills_in_its_turn(lab: Lab) -> None:
    with Ear(lab.home) as ear:
        up(ear)
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.40"))
        ear.wait(Acked)
        lab.print("AAPL", Side.BUY, "189.40", "250")
        lab.book("AAPL", [("189.40", "300")], [("189.42", "200")])
        lab.print("AAPL", Side.BUY, "189.40", "60")
        fill = ear.wait(Filled).fill
        assert (fill.qty, fill.liquidity, fill.price) == (Qty(60), Liquidity.MAKER, Price("189.40"))


def test_a_lost_ack_is_uncertain_and_the_order_is_found(lab: Lab) -> None:
    """A lost answer must never become a second order or a forgotten one."""
    with Ear(lab.home, answer_s=0.3) as ear:
        up(ear)
        lab.plant(FaultKind.DROP_ACK)
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.00"))
        assert ear.wait(Uncertain).wire_id == wire_id("TESTS", 1)
        ear.broker.query_order(wire_id("TESTS", 1))
        ear.wait(OrderAnswer, 2)
        assert {answer.source for answer in ear.all(OrderAnswer)} == {"orders", "history"}
        assert all(answer.order is not None and answer.order.is_open for answer in ear.all(OrderAnswer))
        ear.broker.query_state(5, 0)
        assert [order.wire_id for order in ear.wait(Snapshot).orders] == [wire_id("TESTS", 1)]
        assert not ear.all(Acked)


@pytest.mark.parametrize(("kind", "arrives"), [(FaultKind.CUT_AFTER_NEW, True), (FaultKind.CUT_BEFORE_NEW, False)])
def test_a_line_cut_around_a_new_order_is_uncertain(lab: Lab, kind: FaultKind, arrives: bool) -> None:
    with Ear(lab.home) as ear:
        up(ear)
        lab.plant(kind)
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.00"))
        assert ear.wait(Uncertain).wire_id == wire_id("TESTS", 1)
        up(ear, 2)
        states = [event.state for event in ear.all(ChannelChanged)]
        assert states == [BrokerState.RESYNCING, BrokerState.DOWN, BrokerState.RESYNCING]
        ear.broker.query_order(wire_id("TESTS", 1))
        ear.wait(OrderAnswer, 2)
        assert [answer.order is not None for answer in ear.all(OrderAnswer)] == [arrives, arrives]
        ear.broker.query_state(1, 0)
        assert len(ear.wait(Snapshot).orders) == int(arrives), "and it is there once at most"


def bracket() -> WireOrder:
    """Orders 1, 2 and 3 as one message."""
    entry, *legs = (limit(1, Side.BUY, "100", "189.00"), *(limit(at, Side.SELL, "100", "195.00") for at in (2, 3)))
    legs = [msgspec.structs.replace(leg, spec=in_role(leg.spec, LinkRole.LEG)) for leg in legs]
    return msgspec.structs.replace(entry, spec=in_role(entry.spec, LinkRole.ENTRY), linked=tuple(legs))


def in_role(spec: OrderSpec, role: LinkRole) -> OrderSpec:
    return msgspec.structs.replace(spec, link=Link(role, "P1"))


def test_a_line_cut_around_a_bracket_leaves_every_order_of_it_uncertain(lab: Lab) -> None:
    """One that stayed pending would count and block for ever."""
    with Ear(lab.home) as ear:
        up(ear)
        lab.plant(FaultKind.CUT_BEFORE_NEW)
        ear.broker.send_new(bracket())
        ear.wait(Uncertain, 3)
        assert {event.wire_id for event in ear.all(Uncertain)} == {wire_id("TESTS", at) for at in (1, 2, 3)}


def test_a_bracket_that_never_left_is_refused_whole(lab: Lab) -> None:
    with Ear(lab.home) as ear:
        up(ear)
        stop_venue(lab.home)
        ear.until(lambda: ear.all(ChannelChanged)[-1].state is BrokerState.DOWN, "the end of the line")
        ear.broker.send_new(bracket())
        ear.wait(Rejected, 3)
        assert {event.code for event in ear.all(Rejected)} == {"NOT_SENT"}


def test_planted_refusal_duplicate_and_delay(lab: Lab) -> None:
    with Ear(lab.home) as ear:
        up(ear)
        lab.plant(FaultKind.REFUSE)
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.00"))
        assert ear.wait(Rejected).code == "PLANTED"
        lab.plant(FaultKind.DUPLICATE, 2)
        ear.broker.send_new(market(2, Side.BUY, "100"))
        ear.wait(Filled, 2)
        assert ear.all(Filled)[0].fill == ear.all(Filled)[1].fill
        lab.plant(FaultKind.DELAY, ms=300)
        ear.broker.send_new(limit(3, Side.BUY, "100", "189.00"))
        late = ear.wait(Acked, 3)
        assert late.wire_id == wire_id("TESTS", 3)


def test_a_garbled_answer_costs_the_line_and_is_uncertain(lab: Lab) -> None:
    with Ear(lab.home) as ear:
        up(ear)
        lab.plant(FaultKind.GARBLE)
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.00"))
        assert ear.wait(Uncertain).wire_id == wire_id("TESTS", 1)
        up(ear, 2)
        ear.broker.query_state(1, 0)
        assert len(ear.wait(Snapshot).orders) == 1


def test_a_hung_venue_is_noticed(lab: Lab) -> None:
    with Ear(lab.home, silence_s=0.4) as ear:
        up(ear)
        lab.plant(FaultKind.HANG)
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.00"))
        ear.until(lambda: any(event.state is BrokerState.DOWN for event in ear.all(ChannelChanged)), "DOWN")
        assert ear.wait(Uncertain).wire_id == wire_id("TESTS", 1)
        lab.plant(FaultKind.CLEAR)
        up(ear, 2)


def test_cancels_overtake_queued_questions(lab: Lab) -> None:
    """With a full queue a cancel must not wait its turn."""
    with Ear(lab.home) as ear:
        up(ear)
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.00"))
        ear.wait(Acked)
        os.kill(lab.pid, signal.SIGSTOP)
        try:
            for number in range(500):
                ear.broker.query_state(number, 0)
            ear.broker.send_cancel(wire_id("TESTS", 1), "")
        finally:
            os.kill(lab.pid, signal.SIGCONT)
        ear.wait(Snapshot, 500)
        before = ear.events.index(ear.wait(Cancelled))
        answered = sum(isinstance(event, Snapshot) for event in ear.events[:before])
        assert answered <= 16, f"{answered} questions were answered before the cancel"
        assert [event.request_id for event in ear.all(Snapshot)] == list(range(500))


def test_what_waits_for_the_line_when_trading_is_halted_does_not_leave_and_cancels_do(lab: Lab) -> None:
    halted: list[bool] = []
    asked: list[OrderSpec | None] = []

    def is_halted(spec: OrderSpec | None) -> bool:
        asked.append(spec)
        return bool(halted)

    with Ear(lab.home, is_halted=is_halted) as ear:
        up(ear)
        first, second = limit(1, Side.BUY, "100", "189.00"), limit(2, Side.BUY, "100", "189.00")
        ear.broker.send_new(first)
        ear.wait(Acked)
        halted.append(True)
        ear.broker.send_new(second)
        ear.broker.send_amend(first.wire_id, "", Qty(50), None, None)
        assert (ear.wait(Rejected).wire_id, ear.wait(Rejected).code) == (second.wire_id, "NOT_SENT")
        assert (ear.wait(AmendRefused).wire_id, ear.wait(AmendRefused).code) == (first.wire_id, "NOT_SENT")
        ear.broker.send_cancel(first.wire_id, "")
        assert ear.wait(Cancelled).wire_id == first.wire_id
        ear.broker.query_state(7, 0)
        assert [one.wire_id for one in ear.wait(Snapshot).orders] == [first.wire_id]
    assert asked == [first.spec, second.spec, None]


def test_without_a_line_nothing_is_sent_and_that_is_said(tmp_path: Path) -> None:
    with Ear(tmp_path) as ear:
        assert ear.wait(ChannelChanged).state is BrokerState.DOWN
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.00"))
        ear.broker.send_cancel(wire_id("TESTS", 2), "")
        ear.broker.send_amend(wire_id("TESTS", 3), "", Qty(1), None, None)
        assert (ear.wait(Rejected).wire_id, ear.wait(Rejected).code) == (wire_id("TESTS", 1), "NOT_SENT")
        assert ear.wait(CancelRefused).code == "NOT_SENT"
        assert ear.wait(AmendRefused).code == "NOT_SENT"
        with Lab(tmp_path):
            up(ear)
            ear.broker.query_state(1, 0)
            assert not ear.wait(Snapshot).orders, "what was refused does not arrive later"
        assert [event.state for event in ear.all(ChannelChanged)][:2] == [BrokerState.DOWN, BrokerState.RESYNCING]


def test_every_client_of_an_account_hears_and_others_do_not(lab: Lab) -> None:
    with Ear(lab.home) as one, Ear(lab.home) as two, Ear(lab.home, "OTHER") as other:
        for ear in (one, two, other):
            up(ear)
        one.broker.send_new(market(1, Side.BUY, "100"))
        assert one.wait(Filled).fill == two.wait(Filled).fill
        two.broker.query_state(3, 0)
        assert two.wait(Snapshot).positions[0].qty == Qty(100)
        other.broker.query_state(4, 0)
        assert other.wait(Snapshot).cash == {"USD": Money(1_000_000)}
        assert not one.all(Snapshot), "an answer goes to who asked"
        assert not other.all(Filled)


def test_an_engine_that_cannot_take_an_event_gets_its_state_anew(lab: Lab) -> None:
    with Ear(lab.home) as ear:
        up(ear)
        hear = ear.broker._line.sink

        def broken(event: object) -> None:
            ear.broker._line.sink = hear
            raise RuntimeError("no room")

        ear.broker._line.sink = broken
        ear.broker.send_new(limit(1, Side.BUY, "100", "189.00"))
        up(ear, 2)
        assert ear.broker.callback_failures == 1
