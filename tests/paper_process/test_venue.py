"""The venue as a process: one to a home, alive when engines die, back from SIGKILL with all it said, gone when told."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from brokers.paper.home import VenueLock, venue_folder
from brokers.paper.protocol import PROTOCOL, AskState, Fault, FaultKind, Greet, New, Role
from brokers.paper.wire import connect, find_socket, pack, pack_bytes
from brokers.paperbroker import PaperSession, ensure_venue, stop_venue
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.errors import VenueError
from engine.domain.events import BrokerState
from engine.domain.ids import wire_id
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Tif
from engine.oms.broker_interface import Acked, Cancelled, ChannelChanged, Filled, Snapshot, WireOrder
from tests.paper_process.lab import DEADLINE_S, Ear, Lab, Raw, limit, market, wait_ended

ROOT = Path(__file__).resolve().parents[2]
BIDS = [("189.40", "300"), ("189.39", "500")]
ASKS = [("189.42", "200"), ("189.43", "400")]
CLIENT = """
import sys, threading
from pathlib import Path
from brokers.paperbroker import PaperBroker
from engine.domain.order import OrderSpec, OrderType, Side, Tif
from tests.paper_process.lab import limit
broker = PaperBroker(Path(sys.argv[1]))
acked = threading.Event()
up = threading.Event()
def hear(event):
    name = type(event).__name__
    up.set() if name == "ChannelChanged" else None
    acked.set() if name == "Acked" else None
broker.start(hear, lambda tick: None)
up.wait(10)
broker.send_new(limit(1, Side.BUY, "100", "189.40"))
acked.wait(10)
print("acked", flush=True)
threading.Event().wait(60)
"""


def wait_gone(home: Path) -> None:
    """Until nobody holds the venue's lock."""
    clock = SystemClock()
    due_ns = clock.monotonic_ns() + int(DEADLINE_S * NS_PER_S)
    lock = VenueLock(home)
    try:
        while not lock.take():
            assert clock.monotonic_ns() < due_ns, "the venue's process is still there"
            clock.sleep(0.01)
    finally:
        lock.release()


def test_orders_live_on_when_their_client_is_killed(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        lab.book("AAPL", BIDS, ASKS)
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == "acked\n"
        finally:
            client.kill()
            client.communicate()
        lab.print("AAPL", Side.BUY, "189.40", "300")
        lab.book("AAPL", [("189.30", "300")], ASKS)
        lab.print("AAPL", Side.BUY, "189.30", "100")
        with Ear(tmp_path) as ear:
            ear.wait(ChannelChanged)
            ear.broker.query_state(1, 0)
            found = ear.wait(Snapshot)
        assert [fill.wire_id for fill in found.fills] == [wire_id("TESTS", 1)]
        assert found.positions[0].qty == Qty(100)
        assert found.orders[0].status == "filled"


def test_a_killed_venue_comes_back_with_all_it_said(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab, Ear(tmp_path) as ear:
        lab.book("AAPL", BIDS, ASKS)
        ear.wait(ChannelChanged)
        ear.broker.send_new(market(1, Side.BUY, "300"))
        for number in range(2, 40):
            ear.broker.send_new(limit(number, Side.BUY, "10", "189.10"))
        ear.broker.send_new(limit(40, Side.BUY, "10", "189.001"))
        ear.wait(Acked, 39)
        ear.broker.send_cancel(wire_id("TESTS", 2), "")
        ear.broker.query_state(1, 0)
        before = ear.wait(Snapshot)
        assert len(before.fills) == 2
        os.kill(lab.pid, signal.SIGKILL)
        ear.until(lambda: ear.all(ChannelChanged)[-1].state is BrokerState.DOWN, "DOWN")
        assert lab.start()
        ear.until(lambda: ear.all(ChannelChanged)[-1].state is BrokerState.RESYNCING, "a connection")
        ear.broker.query_state(2, 0)
        after = ear.wait(Snapshot, 2)
        assert after.orders == before.orders
        assert after.fills == before.fills
        assert (after.positions, after.cash) == (before.positions, before.cash)
        ear.broker.send_new(limit(3, Side.BUY, "10", "189.10"))
        ear.broker.send_new(limit(41, Side.BUY, "10", "189.10"))
        assert ear.wait(Acked, 40).venue_order_id not in {order.venue_order_id for order in before.orders}
        ear.broker.query_state(3, 0)
        assert len(ear.wait(Snapshot, 3).orders) == len(before.orders) + 1, "a used wire id is still refused"


def test_resting_orders_come_back_behind_the_book(tmp_path: Path) -> None:
    with Lab(tmp_path, "--no-latency") as lab, Ear(tmp_path) as ear:
        ear.wait(ChannelChanged)
        session = PaperSession(tmp_path)
        bid, _, _ = session.quote("AAPL")
        session.close()
        assert bid is not None
        ear.broker.send_new(limit(1, Side.BUY, "100", str(bid - Price("0.05"))))
        ear.wait(Acked)
        os.kill(lab.pid, signal.SIGKILL)
        wait_gone(tmp_path)
        lab.start()
        ear.until(lambda: len(ear.all(ChannelChanged)) >= 3, "a connection")
        session = PaperSession(tmp_path)
        again, _, _ = session.quote("AAPL")
        assert again is not None
        assert abs(again - bid) < Price("0.50"), "the market goes on near its last prices"
        session.close()


def test_a_torn_last_line_is_dropped_and_a_damaged_one_refused(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        lab.book("AAPL", BIDS, ASKS)
        session = PaperSession(tmp_path)
        session.place(limit(1, Side.BUY, "10", "189.10"))
        session.place(limit(2, Side.BUY, "10", "189.11"))
        session.close()
        os.kill(lab.pid, signal.SIGKILL)
        wait_gone(tmp_path)
        log = venue_folder(tmp_path) / "venue.log"
        whole = log.read_bytes()
        log.write_bytes(whole + b"0badc0de {half a li")
        lab.start()
        session = PaperSession(tmp_path)
        assert len(session.open_orders()) == 2
        session.close()
        stop_venue(tmp_path)
        log.write_bytes(whole.replace(b"189.1", b"188.1", 1))
        with pytest.raises(VenueError, match="does not verify"):
            lab.start()
        log.write_bytes(whole)


def test_one_venue_to_a_home(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        assert not lab.start(), "the one that runs is taken"
        done = subprocess.run(
            [sys.executable, "-m", "brokers.paper.server", "--home", str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert f"process {lab.pid} is the paper venue" in done.stderr


def test_stop_ends_it_and_keeps_its_orders(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        session = PaperSession(tmp_path)
        session.place(limit(1, Side.BUY, "10", "189.10"))
        session.close()
        pid = lab.pid
        assert stop_venue(tmp_path)
        assert not stop_venue(tmp_path)
        wait_ended(pid)
        with pytest.raises(VenueError, match="no paper venue listens"):
            PaperSession(tmp_path)
        lab.start()
        session = PaperSession(tmp_path)
        assert [order.wire_id for order in session.open_orders()] == [wire_id("TESTS", 1)]
        session.close()


def test_a_stopped_process_is_ended_by_signal(tmp_path: Path) -> None:
    """A venue that hangs must not survive its stop."""
    with Lab(tmp_path) as lab:
        os.kill(lab.pid, signal.SIGSTOP)
        assert stop_venue(tmp_path, deadline_s=2.0)


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        os.kill(lab.pid, signal.SIGTERM)
        wait_gone(tmp_path)
        assert not find_socket(venue_folder(tmp_path)).exists()


AT_ONCE = """
import os, signal, sys
from pathlib import Path
from brokers.paper.server import Options, serve
serve(Options(home=Path(sys.argv[1])), lambda: os.kill(os.getpid(), signal.SIGTERM))
"""
"""A venue that is told to end the moment it says that it serves."""


def test_sigterm_ends_it_cleanly_from_the_moment_it_is_ready(tmp_path: Path) -> None:
    words = [sys.executable, "-c", AT_ONCE, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not find_socket(venue_folder(tmp_path)).exists()


def test_an_idle_venue_ends_itself(tmp_path: Path) -> None:
    ensure_venue(tmp_path, 7, options=("--idle-exit", "0.2"))
    wait_gone(tmp_path)


def test_sessions_have_a_deadline(tmp_path: Path) -> None:
    clock = SystemClock()
    with Lab(tmp_path) as lab:
        session = PaperSession(tmp_path, deadline_s=0.5)
        os.kill(lab.pid, signal.SIGSTOP)
        try:
            began_ns = clock.monotonic_ns()
            with pytest.raises(VenueError, match=r"did not answer within 0\.5 s"):
                session.open_orders()
            assert clock.monotonic_ns() - began_ns < 5 * NS_PER_S
        finally:
            os.kill(lab.pid, signal.SIGCONT)
        session.close()
        session = PaperSession(tmp_path)
        os.kill(lab.pid, signal.SIGKILL)
        with pytest.raises(VenueError, match=r"the line|ended the connection"):
            session.positions()
        session.close()


def test_a_session_does_what_the_kill_procedure_needs(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        lab.book("AAPL", BIDS, ASKS)
        session = PaperSession(tmp_path)
        assert session.quote("AAPL")[:2] == (Price("189.40"), Price("189.42"))
        assert session.status("AAPL") == "open"
        with pytest.raises(VenueError, match="not listed"):
            session.quote("NONE")
        assert session.place(limit(1, Side.BUY, "10", "189.10")).startswith("SIMA")
        with pytest.raises(VenueError, match="TICK"):
            session.place(limit(2, Side.BUY, "10", "189.101"))
        session.place(limit(3, Side.BUY, "10", "189.11"))
        session.cancel(session.open_orders()[0])
        assert [order.wire_id for order in session.open_orders()] == [wire_id("TESTS", 3)]
        assert session.cancel_all()
        assert not session.open_orders()
        session.place(market(4, Side.BUY, "100"))
        assert session.positions()[0].qty == Qty(100)
        assert session.cash()["USD"] < Money(1_000_000) - Money(18_900)
        session.close()


def test_the_socket_is_the_users_own_and_a_long_path_falls_back(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with Lab(deep):
        path = find_socket(venue_folder(deep))
        assert len(os.fsencode(path)) <= 100
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        session = PaperSession(deep)
        assert session.cash() == {"USD": Money(1_000_000)}
        session.close()
        path.parent.chmod(0o755)
        with pytest.raises(VenueError, match="not yours alone"):
            PaperSession(deep)
        path.parent.chmod(0o700)
    assert not path.parent.exists()


def test_a_reader_who_sleeps_delays_nobody(tmp_path: Path) -> None:
    """The venue must not wait for a full socket; what the sleeper missed it gets by asking."""
    with Lab(tmp_path, "--no-latency") as lab, connect(venue_folder(tmp_path), DEADLINE_S) as sleeper:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sleeper.sendall(pack(Greet(protocol=PROTOCOL, role=Role.ENGINE, account="PAPER")))
        with Ear(tmp_path) as ear:
            ear.wait(ChannelChanged)
            for number in range(1, 1_500):
                ear.broker.send_new(limit(number, Side.BUY, "1", "150.00"))
            ear.wait(Acked, 1_499)
            ear.until(lambda: len(ear.ticks) > 100, "market data")
        assert lab.pid


def test_a_client_that_talks_nonsense_loses_its_line_only(tmp_path: Path) -> None:
    with Lab(tmp_path), Ear(tmp_path) as ear:
        ear.wait(ChannelChanged)
        for nonsense in (b"\xff\xff\xff\xff", pack_bytes(b"not json"), pack_bytes(b'{"f":"new"}'), b""):
            with connect(venue_folder(tmp_path), DEADLINE_S) as line:
                line.sendall(nonsense)
                line.shutdown(socket.SHUT_WR)
                while line.recv(4_096):
                    pass
        with connect(venue_folder(tmp_path), DEADLINE_S) as line:
            line.sendall(pack(Greet(protocol=PROTOCOL + 1, role=Role.ENGINE, account="PAPER")))
            assert b"speaks protocol" in line.recv(4_096)
        ear.broker.send_new(limit(1, Side.BUY, "10", "189.10"))
        ear.wait(Acked)


def test_faults_need_a_laboratory(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        stop_venue(tmp_path)
        ensure_venue(tmp_path, 7)
        done = lab.ask(Fault(id=1, kind=FaultKind.HANG))
        assert not done.ok
        assert "not started as a laboratory" in done.text


def test_with_a_stopped_clock_two_venues_do_the_same(tmp_path: Path) -> None:
    start_ns = 1_790_000_000 * NS_PER_S
    seen = []
    for name in ("one", "two"):
        home = tmp_path / name
        home.mkdir()
        with Lab(home, "--manual-clock", str(start_ns)) as lab, Raw(home) as raw:
            for number in range(1, 21):
                side = Side.BUY if number % 3 else Side.SELL
                order = market(number, side, "150") if number % 2 else limit(number, side, "100", "189.40")
                raw.send(New(order=order))
                lab.tick(start_ns + number * 2 * NS_PER_S)
            raw.send(AskState(id=1, request_id=1, since_ns=0))
            lab.tick(start_ns + 60 * NS_PER_S)
            raw.send()
            assert sum(isinstance(event, Filled) for event in raw.events) > 10
            assert isinstance(raw.events[-1], (Snapshot, Filled, Cancelled))
            seen.append(raw.events)
    assert seen[0] == seen[1]


def test_stop_and_stop_limit_wait_for_their_trigger(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab, Raw(tmp_path) as raw:
        lab.book("AAPL", BIDS, ASKS)
        spec = OrderSpec(
            symbol="AAPL", side=Side.SELL, qty=Qty(100), type=OrderType.STOP, stop=Price("189.39"), tif=Tif.GTC
        )
        raw.send(New(order=WireOrder(wire_id=wire_id("TESTS", 1), spec=spec)))
        lab.print("AAPL", Side.BUY, "189.40", "300")
        raw.send()
        assert not [event for event in raw.events if isinstance(event, Filled)]
        os.kill(lab.pid, signal.SIGKILL)
        wait_gone(tmp_path)
        lab.start()
        lab.book("AAPL", BIDS[1:], ASKS)
        with Raw(tmp_path) as again:
            lab.print("AAPL", Side.BUY, "189.39", "100")
            again.send()
            fills = [event.fill for event in again.events if isinstance(event, Filled)]
            assert [(fill.wire_id, fill.qty) for fill in fills] == [(wire_id("TESTS", 1), Qty(100))]


def test_paper_reaches_no_network(tmp_path: Path) -> None:
    """Paper must not be able to reach a live venue: the process holds Unix sockets only, and no code opens others."""
    text = "".join(path.read_text() for path in (ROOT / "brokers" / "paper").glob("*.py"))
    assert "AF_INET" not in text
    assert "create_connection" not in text
    sockets = Path("/proc/net/tcp")
    if not sockets.exists():
        return
    with Lab(tmp_path, "--no-latency") as lab, Ear(tmp_path) as ear:
        ear.wait(ChannelChanged)
        inet = {
            line.split()[9]
            for name in ("tcp", "tcp6", "udp", "udp6", "raw")
            if (table := Path(f"/proc/{lab.pid}/net/{name}")).exists()
            for line in table.read_text().splitlines()[1:]
        }
        held = {str(link.readlink()) for link in Path(f"/proc/{lab.pid}/fd").iterdir() if link.is_symlink()}
        assert not [name for name in held if name.startswith("socket:[") and name[8:-1] in inet]
