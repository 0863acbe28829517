"""The paper venue as its own process: ``python -m brokers.paper.server --home DIR --seed N``.

It owns the wall clock, drives market and matching, and lives on when engines die. One venue to a home, by kernel lock. Its
loop waits for sockets and for what is due, lets time pass, writes down what changed, and only then lets anything leave.
It opens no connection to anywhere: its one socket is a Unix one that only its user may enter.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from brokers.paper.bands import BANDS_NAME, read_bands
from brokers.paper.clients import Client, Faults
from brokers.paper.config import VenueConfig
from brokers.paper.desk import Desk
from brokers.paper.exchange import exchange_of
from brokers.paper.home import VenueLock, venue_folder
from brokers.paper.hosted import HostedVenue
from brokers.paper.house_file import HOUSE_NAME, read_house
from brokers.paper.latency import NO_LATENCY, LatencyParams
from brokers.paper.market import Levels, SimulatedMarket
from brokers.paper.protocol import CLIENT, FaultKind, New, Role
from brokers.paper.script import ScriptMarket
from brokers.paper.session_plan import planned_auctions, planned_calendars, planned_listings
from brokers.paper.venue_log import VenueLog
from brokers.paper.wire import FrameError, claim_socket, read_frame, release_socket
from engine.domain.clock import NS_PER_MS, NS_PER_S, Clock, SimClock, SystemClock
from engine.domain.errors import BoltError, VenueError
from engine.domain.money import Money
from engine.domain.resets import EXAMPLE, DailyReset, read_reset
from engine.market.carry_file import CARRY_NAME, read_carry
from engine.market.feed import MarketTick
from engine.market.fees import shipped_fees
from engine.market.fx_rates import FX_NAME
from engine.market.own_sessions import OWN_NAME, read_plan
from engine.oms.broker_interface import BrokerEvent, OrderAnswer, Snapshot

PACE_NS = 20 * NS_PER_MS
"""How often the market moves while nobody sends anything."""
TICKS_NS = 50 * NS_PER_MS
"""How often market data leaves."""
BOOKS_NS = 100 * NS_PER_MS
PLACES_NS, PLACES_MAX = 1_000 * NS_PER_MS, 200
"""How often, and of how many orders, a client is told what stands ahead of them."""
"""How often books leave: ten a second."""
CLIENTS_MAX = 64
WORDS_BYTES_MAX = 1024 * 1024
_LOG = logging.getLogger("bolt.venue")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a venue process is run."""

    home: Path
    seed: int = 7
    cash: str = "1000000"
    """Opening cash of an account, in USD."""
    allow_faults: bool = False
    manual_clock_ns: int = 0
    """Above zero: time starts there, stands still, and moves by Tick frames only."""
    script: bool = False
    """A market whose books are placed by frames."""
    no_latency: bool = False
    idle_exit_s: float = 0
    """Above zero: end after so long without a client and without an open order."""
    reset: DailyReset | None = None
    """When engines are let go of each day; whoever halts or reads is not."""


class VenueServer:
    """Sockets and loop. Build it, then :meth:`run`; the caller holds the lock."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.folder = venue_folder(options.home)
        self.faults = Faults()
        self.clients: list[Client] = []
        self.clock: Clock = SimClock(options.manual_clock_ns) if options.manual_clock_ns else SystemClock()
        self._wall = SystemClock()
        self._now_ns = self.clock.now_ns()
        self._is_ending = False
        self._plan = read_plan(options.home / OWN_NAME)
        self._reset = (0, 0)
        """The nightly reset that runs or comes next, once looked for."""
        self.venue = HostedVenue(
            self._config(),
            self._market,
            VenueLog(self.folder / "venue.log"),
            self._now_ns,
            self._on_report,
            self._on_tick,
        )
        self.desk = Desk(self)
        self._selector = selectors.DefaultSelector()
        self._listener = self._listen()
        self._wake, wake = socket.socketpair()
        self._wake.setblocking(False)
        wake.setblocking(False)
        self._waker = wake
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._ticks_ns = self._books_ns = self._places_ns = 0
        self._alone_ns = self._wall.monotonic_ns()

    def _config(self) -> VenueConfig:
        latency = NO_LATENCY if self.options.no_latency else LatencyParams()
        cash = {"USD": Money(self.options.cash)}
        return VenueConfig(
            seed=self.options.seed,
            latency=latency,
            fees=shipped_fees(),
            cash=cash,
            auctions=planned_auctions(self._plan),
            bands=read_bands(self.options.home / BANDS_NAME),
            exchange=exchange_of(self.options.home / FX_NAME, "USD"),
            house=read_house(self.options.home / HOUSE_NAME) if (self.options.home / HOUSE_NAME).exists() else None,
            carry=read_carry(self.options.home / CARRY_NAME) if (self.options.home / CARRY_NAME).exists() else None,
        )

    def _market(self, start_ns: int, levels: Levels | None) -> SimulatedMarket | ScriptMarket:
        listings = planned_listings(self._plan)
        calendars = planned_calendars(self._plan, self.options.home, start_ns)
        if self.options.script:
            return ScriptMarket(start_ns, listings, levels, calendars)
        call_ns = planned_auctions(self._plan).open_call_ns
        return SimulatedMarket(self.options.seed, start_ns, listings, levels, calendars, call_ns)

    def _listen(self) -> socket.socket:
        path = claim_socket(self.folder)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(CLIENTS_MAX)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        return listener

    # -- the loop ------------------------------------------------------------------------------------------------------

    def heed_signals(self) -> None:
        """From here on a signal ends it cleanly; before anybody is told that it serves."""
        signal.set_wakeup_fd(self._waker.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end())

    def run(self) -> None:
        """Serve until told to end."""
        _LOG.info("venue %d serves %s, seed %d", os.getpid(), self.options.home, self.options.seed)
        try:
            while not self._is_ending:
                self._turn()
        finally:
            self._close()
        _LOG.info("venue %d has ended", os.getpid())

    @property
    def allows_faults(self) -> bool:
        """Whether clock, books and faults may be driven by frames."""
        return self.options.allow_faults

    def end(self) -> None:
        """Leave the loop after this turn."""
        self._is_ending = True

    def now_ns(self) -> int:
        """Venue time, which never runs backwards."""
        self._now_ns = max(self._now_ns, self.clock.now_ns())
        return self._now_ns

    def _turn(self) -> None:
        ready = self._selector.select(self._patience_s())
        now_ns = self.now_ns()
        # Time first: a frame meets the market as it stands now, not as it stood before the wait.
        self._pass_time(now_ns)
        for key, _ in ready:
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake:
                self._wake.recv(4096)
            else:
                self._read(key.data)
        self._pass_time(self.now_ns())
        self._let_go()
        self.venue.commit()
        self._publish()
        self._flush()
        self._end_when_idle()

    def _let_go(self) -> None:
        """Lose the engines while the nightly reset runs: orders stand, and what fills meanwhile is told at the next snapshot."""
        if self.options.reset is None:
            return
        now_ns = self._now_ns
        if now_ns >= self._reset[1]:
            self._reset = self.options.reset.window(now_ns)
        if now_ns >= self._reset[0]:
            for client in self.clients:
                if client.role is Role.ENGINE:
                    client.is_gone = True

    def _pass_time(self, now_ns: int) -> None:
        if not self.options.manual_clock_ns:
            self.venue.skip_sleep(now_ns)
        self.venue.advance(now_ns)

    def _patience_s(self) -> float:
        if self.options.manual_clock_ns:
            wait_ns = PACE_NS
        else:
            wait_ns = PACE_NS if self.clients or not self.venue.is_idle() else 10 * PACE_NS
            due_ns = self.venue.next_due_ns()
            if due_ns is not None:
                wait_ns = min(wait_ns, due_ns - self.now_ns())
        for client in self.clients:
            due_ns = client.next_due_ns()
            if due_ns is not None:
                wait_ns = min(wait_ns, due_ns - self._wall.monotonic_ns())
        return max(0, wait_ns) / NS_PER_S

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            line, _ = self._listener.accept()
            line.setblocking(False)
            client = Client(line, self.faults)
            if len(self.clients) >= CLIENTS_MAX:
                line.close()
                return
            self.clients.append(client)
            self._selector.register(line, selectors.EVENT_READ, client)

    def _read(self, client: Client) -> None:
        if client.is_hung:
            return
        for body in client.read():
            try:
                frame = read_frame(CLIENT, body)
            except FrameError as error:
                self.desk.refuse(client, "FRAME", str(error))
                return
            if isinstance(frame, New) and client.is_faulty and self.faults.strikes(FaultKind.CUT_BEFORE_NEW):
                client.is_gone = True
            if client.is_gone:
                return
            self.desk.handle(client, frame)

    def _publish(self) -> None:
        at_ns = self._wall.monotonic_ns()
        readers = [client for client in self.clients if client.role is Role.ENGINE]
        if not readers or at_ns - self._ticks_ns < TICKS_NS:
            return
        self._ticks_ns = at_ns
        if at_ns - self._books_ns >= BOOKS_NS:
            self._books_ns = at_ns
            for book in self.venue.changed_books():
                self._on_tick(book)
        for client in readers:
            client.send_market(at_ns)
        if at_ns - self._places_ns >= PLACES_NS and not self.options.manual_clock_ns:
            self._places_ns = at_ns
            for client in readers:
                client.send_places(self.venue.core.places(client.account, PLACES_MAX), at_ns)

    def _flush(self) -> None:
        at_ns = self._wall.monotonic_ns()
        for client in self.clients[:]:
            if not client.is_gone:
                client.flush(at_ns)
            if client.is_gone:
                self._drop(client)
                continue
            events = 0 if client.is_hung else selectors.EVENT_READ
            if client.wants_to_write and client.next_due_ns() is None:
                events |= selectors.EVENT_WRITE
            self._watch(client, events)

    def _watch(self, client: Client, events: int) -> None:
        known = self._selector.get_map().get(client.line.fileno())
        if known is None:
            if events:
                self._selector.register(client.line, events, client)
        elif not events:
            self._selector.unregister(client.line)
        elif known.events != events:
            self._selector.modify(client.line, events, client)

    def _drop(self, client: Client) -> None:
        self.clients.remove(client)
        self.desk.forget(client)
        if self._selector.get_map().get(client.line.fileno()) is not None:
            self._selector.unregister(client.line)
        client.line.close()
        self._alone_ns = self._wall.monotonic_ns()

    def _end_when_idle(self) -> None:
        limit_s = self.options.idle_exit_s
        if not limit_s or self.clients or not self.venue.is_idle():
            return
        if self._wall.monotonic_ns() - self._alone_ns >= limit_s * NS_PER_S:
            _LOG.info("no client and no open order for %g s", limit_s)
            self.end()

    def _close(self) -> None:
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.line.close()
        self._selector.close()
        self._listener.close()
        self._wake.close()
        signal.set_wakeup_fd(-1)
        self._waker.close()
        release_socket(self.folder)
        self.venue.close()

    # -- what the venue says ---------------------------------------------------------------------------------------------

    def _on_report(self, account: str, event: BrokerEvent) -> None:
        if isinstance(event, (Snapshot, OrderAnswer)):
            self.desk.answer(account, event)
            return
        at_ns = self._wall.monotonic_ns()
        for client in self.clients:
            if client.account == account and client.role in {Role.ENGINE, Role.SESSION} and not client.is_gone:
                client.send_report(event, at_ns)

    def _on_tick(self, tick: MarketTick) -> None:
        for client in self.clients:
            if client.role is Role.ENGINE:
                client.ticks.put(tick)


def serve(options: Options, on_ready: Callable[[], None] | None = None) -> None:
    """Be the venue of a home in this process until told to end; ``on_ready`` is called once clients may connect.

    Raises:
        VenueError: another venue serves this home.
    """
    lock = VenueLock(options.home)
    try:
        if not lock.take():
            msg = f"process {lock.holder()} is the paper venue of {options.home} already"
            raise VenueError(msg)
        lock.sign()
        server = VenueServer(options)
        server.heed_signals()
        if on_ready is not None:
            on_ready()
        server.run()
    finally:
        lock.release()


def _options(words: list[str]) -> tuple[Options, bool]:
    parser = argparse.ArgumentParser(
        prog="python -m brokers.paper.server", description="The paper venue of one BOLT_HOME."
    )
    parser.add_argument("--home", required=True, type=Path, help="the state folder; the venue keeps its own inside")
    parser.add_argument("--seed", type=int, default=7, help="seed of the simulated market")
    parser.add_argument("--cash", default="1000000", help="opening cash of an account, in USD")
    parser.add_argument("--detach", action="store_true", help="go on in the background once clients may connect")
    parser.add_argument(
        "--allow-faults", action="store_true", help="be a laboratory: take fault, clock and book frames"
    )
    parser.add_argument("--manual-clock", type=int, default=0, metavar="NS", help="start here and move by frames only")
    parser.add_argument("--script", action="store_true", help="a market whose books are placed by frames")
    parser.add_argument("--no-latency", action="store_true", help="messages arrive at once")
    parser.add_argument("--idle-exit", type=float, default=0, metavar="S", help="end when idle for so long")
    parser.add_argument("--reset", default="", metavar="WORDS", help=f"let go of engines each day, as in '{EXAMPLE}'")
    got = parser.parse_args(words)
    options = Options(
        home=got.home.resolve(),
        seed=got.seed,
        cash=got.cash,
        allow_faults=got.allow_faults,
        manual_clock_ns=got.manual_clock,
        script=got.script,
        no_latency=got.no_latency,
        idle_exit_s=got.idle_exit,
        reset=read_reset(got.reset) if got.reset else None,
    )
    return options, got.detach


def _detach(options: Options) -> int:
    """Start the venue in a session of its own; returns once it serves, or with its reason why it does not."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read()
        if said.startswith(b"ready"):
            return 0
        sys.stderr.write(said.decode(errors="replace") or "the venue ended before it served\n")
        return 1
    os.close(reader)
    os.setsid()
    _redirect(venue_folder(options.home))

    def on_ready() -> None:
        os.write(writer, b"ready")
        os.close(writer)

    try:
        serve(options, on_ready)
    except (BoltError, OSError) as error:
        _LOG.exception("the venue ends")
        with contextlib.suppress(OSError):
            os.write(writer, f"{error}\n".encode())
        return 1
    return 0


def _redirect(folder: Path) -> None:
    """Nothing to read, and words to a file; a long one starts anew."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(folder)
    words = folder / "venue.out"
    is_long = words.exists() and words.stat().st_size > WORDS_BYTES_MAX
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if is_long else 0)
    out = os.open(words, flags, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(nothing)
    os.close(out)


def main(words: list[str] | None = None) -> int:
    """Run the venue; the exit code."""
    options, detach = _options(sys.argv[1:] if words is None else words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    if detach:
        return _detach(options)
    try:
        serve(options)
    except (BoltError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
