"""Messages on their way: a venue that is killed over them neither loses nor doubles one, and a mass cancel sees them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from brokers.paper.protocol import AskState, Cancel, New
from brokers.paperbroker import PaperSession
from engine.domain.clock import NS_PER_S
from engine.domain.ids import wire_id
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Tif
from engine.oms.broker_interface import BrokerEvent, Rejected, Snapshot, VenueOrder, WireOrder
from tests.paper_process.lab import Lab, Raw, limit, wait_ended

START_NS = 1_790_000_000 * NS_PER_S
STOPPED = ("--script", "--manual-clock", str(START_NS))
BIDS = [("189.40", "300"), ("189.39", "500")]
ASKS = [("189.42", "200"), ("189.43", "400")]


def kill_and_restart(lab: Lab) -> None:
    pid = lab.pid
    os.kill(pid, signal.SIGKILL)
    wait_ended(pid)
    assert lab.start()


def snapshot(lab: Lab, home: Path, at_ns: int) -> Snapshot:
    """The account as a client that was away finds it at a time."""
    with Raw(home) as raw:
        raw.send(AskState(id=1, request_id=1, since_ns=0))
        lab.tick(at_ns)
        raw.send()
        (found,) = [event for event in raw.events if isinstance(event, Snapshot)]
        return found


def states(orders: tuple[VenueOrder, ...]) -> dict[str, str]:
    return {order.wire_id: order.status for order in orders}


def test_an_order_that_was_taken_arrives_once_however_often_the_venue_is_killed(tmp_path: Path) -> None:
    with Lab(tmp_path, *STOPPED) as lab:
        lab.book("AAPL", BIDS, ASKS)
        with Raw(tmp_path) as raw:
            raw.send(New(order=limit(1, Side.BUY, "100", "189.40")), New(order=limit(2, Side.BUY, "50", "189.42")))
        for _ in range(3):
            kill_and_restart(lab)
        lab.book("AAPL", BIDS, ASKS)
        found = snapshot(lab, tmp_path, START_NS + NS_PER_S)
        assert states(found.orders) == {wire_id("TESTS", 1): "new", wire_id("TESTS", 2): "filled"}
        assert [fill.qty for fill in found.fills] == [Qty(50)]
        kill_and_restart(lab)
        again = snapshot(lab, tmp_path, START_NS + 2 * NS_PER_S)
        assert (again.orders, again.fills, again.positions) == (found.orders, found.fills, found.positions)


def test_a_cancel_that_was_taken_arrives_after_its_order(tmp_path: Path) -> None:
    with Lab(tmp_path, *STOPPED) as lab:
        lab.book("AAPL", BIDS, ASKS)
        with Raw(tmp_path) as raw:
            raw.send(New(order=limit(1, Side.BUY, "100", "189.40")), Cancel(wire_id=wire_id("TESTS", 1)))
        kill_and_restart(lab)
        found = snapshot(lab, tmp_path, START_NS + NS_PER_S)
        assert states(found.orders) == {wire_id("TESTS", 1): "cancelled"}


def test_a_mass_cancel_reaches_orders_on_their_way(tmp_path: Path) -> None:
    with Lab(tmp_path, *STOPPED) as lab:
        lab.book("AAPL", BIDS, ASKS)
        with Raw(tmp_path) as raw:
            raw.send(New(order=limit(1, Side.BUY, "100", "189.40")))
            lab.tick(START_NS + NS_PER_S)
            raw.send(New(order=limit(2, Side.BUY, "100", "189.41")))
            session = PaperSession(tmp_path)
            assert states(session.open_orders()) == {wire_id("TESTS", 1): "new", wire_id("TESTS", 2): "pending_new"}
            assert session.cancel_all()
            assert session.open_orders() == ()
            session.close()
            # Sent after it: not its business.
            raw.send(New(order=limit(3, Side.BUY, "100", "189.40")))
        kill_and_restart(lab)
        found = snapshot(lab, tmp_path, START_NS + 2 * NS_PER_S)
        assert states(found.orders) == {wire_id("TESTS", 1): "cancelled", wire_id("TESTS", 3): "new"}
        with Raw(tmp_path) as raw:
            raw.send(New(order=limit(2, Side.BUY, "100", "189.41")))
            lab.tick(START_NS + 3 * NS_PER_S)
            raw.send()
            assert codes(raw.events) == ["DUPLICATE_ID"], "the swept order was refused for good"


def codes(events: list[BrokerEvent]) -> list[str]:
    return [event.code for event in events if isinstance(event, Rejected)]


def test_a_triggered_stop_does_not_wait_again(tmp_path: Path) -> None:
    """It came to rest without a report to anybody: nothing but the venue's own log could know."""
    spec = OrderSpec(
        symbol="AAPL", side=Side.BUY, qty=Qty(100), type=OrderType.STOP_LIMIT,
        stop=Price("189.42"), limit=Price("189.41"), tif=Tif.GTC,
    )  # fmt: skip
    with Lab(tmp_path, *STOPPED) as lab:
        lab.book("AAPL", BIDS, ASKS)
        with Raw(tmp_path) as raw:
            raw.send(New(order=WireOrder(wire_id=wire_id("TESTS", 1), spec=spec)))
            lab.tick(START_NS + NS_PER_S)
            raw.send()
        lab.print("AAPL", Side.SELL, "189.42", "100")
        kill_and_restart(lab)
        # A seller comes down to its limit: a stop that waited again would miss it, as nothing trades at the stop.
        lab.book("AAPL", BIDS, [("189.41", "100"), *ASKS])
        lab.tick(START_NS + 2 * NS_PER_S)
        found = snapshot(lab, tmp_path, START_NS + 3 * NS_PER_S)
        assert states(found.orders) == {wire_id("TESTS", 1): "filled"}
