"""A halt over a thousand working paper orders, under stress, judged by the venue's own log.

    python -m tests.bench.kill_stress              every scenario, a JSON line each
    python -m tests.bench.kill_stress queue disk   some of them
    python -m tests.bench.kill_stress --repeat 20 stopped writer brokers
                                                   each so often, then p50 and p99 over the runs beside what is wanted

``gate_ms`` is from the trigger to the shut latch, ``durable_ms`` and ``verified_ms`` are the receipt's, ``venue_ms`` is when the last order
ended by the venue's log, and ``late_arrivals`` counts orders that came to the venue more than ``gate_ms`` after the trigger and
the time that a message is on its way. Times of ``stuck`` and ``stopped`` begin at the limit of the heartbeat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from bolt_tui.client import ClientError, EngineClient, OutcomeUnknown
from bolt_tui.commands.halt import HaltKey
from bolt_tui.halting import Halting
from bolt_tui.launch import start_engine
from bolt_tui.settings import Home, Settings, ensure_policy, open_home
from bolt_tui.wiring import LiveEngine, build_live
from brokers.paper.home import VenueLock
from brokers.paperbroker import PaperSession, ensure_venue, stop_venue
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import Halt, HaltScope, NewOrder, SetStrategy
from engine.domain.events import TradingState
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Source, SourceKind
from engine.oms.broker_interface import WireOrder
from engine.risk.latch import Latch
from engine.risk.policy import PolicyHolder

ORDERS = 1_000
STALL_S = 3
PRESSES = 300
MACHINE, PERSON = Source(SourceKind.DISPATCHER, "stress"), Source(SourceKind.CLI, "anna")
WIDE = {
    r"open_orders:\n\s+max_count": "5_000", r"max_count_per_symbol": "5_000", r"max_notional_per_symbol": "1_000_000_000",
    r"max_gross": "1_000_000_000", r"max_net": "1_000_000_000", r"max_sector": "1_000_000_000", r"max_leverage_pct": "100_000",
    r"max_per_s_broker": "5_000", r"max_per_s_account": "5_000", r"max_per_s_source": "5_000", r"max_messages": "100_000",
    r"open_orders:\n(?:.*\n){2}\s+max_notional": "1_000_000_000", r"position:.*\n\s+max_qty": "1_000_000",
    r"position:.*\n.*\n\s+max_notional": "1_000_000_000", r"max_stall_s": str(STALL_S), r"max_orders": "100_000",
}  # fmt: skip
SPIN = """
from engine.intake.strategy_base import Strategy

class Spin(Strategy):
    symbol: str = "AAPL"

    def on_event(self, ctx, event):
        while True:
            pass
"""


def widen(home: Home) -> None:
    """The shipped policy with room for a thousand orders and a short limit of the heartbeat."""
    ensure_policy(home)
    text = home.policy.read_text("utf-8")
    for name, value in WIDE.items():
        text, count = re.subn(rf"(?m)^(\s*{name}:) *[\d_]+", rf"\1 {value}", text)
        assert count >= 1, name
    home.policy.write_text(text, "utf-8")


def resting(bid: Decimal, number: int) -> NewOrder:
    """An order well below the market; no two alike."""
    price = Price(Decimal(int(bid * 100) - 200 - number % 300).scaleb(-2))
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(1 + number // 300), type=OrderType.LIMIT, limit=price)
    return NewOrder(source=MACHINE, intent_id=f"k{number}", spec=spec, why="a stress")


def until(holds: Callable[[], object], what: str, deadline_s: float = 60.0) -> None:
    """Wait for something of another process."""
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < deadline_s, f"{what} did not come in time"
        time.sleep(0.002)


def working(home: Home) -> int:
    """Orders that the venue has open, by its own word."""
    session = PaperSession(home.root, deadline_s=10)
    try:
        return len(session.open_orders())
    finally:
        session.close()


# -- what the venue wrote ----------------------------------------------------------------------------------------------------


def judged(home: Home, trip_ns: int, gate_ms: float) -> dict[str, Any]:
    """From the venue's log alone: what arrived after the trip, what still works, and when the last order ended."""
    born: dict[str, int] = {}
    ended: dict[str, int] = {}
    for line in (home.venue / "venue.log").read_bytes().splitlines():
        row = msgspec.json.decode(line[9:])
        if row.get("type") == "memory" or "venue" in row:
            continue
        for order in row.get("orders", ()):
            born.setdefault(order["wire_id"], row["now_ns"])
            if not order.get("is_open", True):
                ended.setdefault(order["wire_id"], row["now_ns"])
    shut_ns = trip_ns + int(gate_ms * 1e6)
    late = [at_ns - shut_ns for at_ns in born.values() if at_ns > shut_ns]
    return {
        "orders": len(born),
        "late_arrivals": sum(ns > FLIGHT_NS for ns in late),
        "last_arrival_ms": round(max(late, default=0) / 1e6, 1),
        "left_working": len(set(born) - set(ended)),
        "venue_ms": round((max(ended.values(), default=trip_ns) - trip_ns) / 1e6, 1),
    }


FLIGHT_NS = 50_000_000
"""How long a message that left before the trip may be on its way in the simulated network and the venue's queue."""


def receipt_of(home: Home) -> dict[str, Any]:
    """The first receipt: where a halt is asked for twice, the second finds nothing any more."""
    until(lambda: list(home.receipts.glob("*.json")), "the receipt")
    found: list[dict[str, Any]] = [json.loads(path.read_bytes()) for path in home.receipts.glob("*.json")]
    return min(found, key=lambda receipt: int(receipt["started_ns"]))


def told(receipt: dict[str, Any], begin_ns: int) -> dict[str, Any]:
    """Times of a receipt, from ``begin_ns`` on."""
    ends = {step["step"]: (receipt["started_ns"] + step["ended_ns"] - begin_ns) / 1e6 for step in receipt["steps"]}
    broker = receipt["brokers"][0]
    return {
        "found": broker.get("found", 0),
        "durable": receipt.get("durable", False),
        "durable_ms": round(ends["record"], 1) if receipt.get("durable") else None,
        "verified_ms": round(ends["verify"], 1) if broker.get("verified") else None,
    }


# -- engines -----------------------------------------------------------------------------------------------------------------


@contextmanager
def engine(folder: Path) -> Iterator[tuple[Home, int]]:
    """A real engine with a thousand orders at its venue, and its process number."""
    home = open_home(folder)
    widen(home)
    (home.root / "strategies").mkdir(exist_ok=True)
    (home.root / "strategies" / "spin.py").write_text(SPIN, "utf-8")
    assert start_engine(home)
    try:
        with EngineClient(home.socket) as client:
            view = client.view()
            pid = view.status.pid
        place(home)
        until(lambda: working(home) >= ORDERS, "the orders")
        yield home, pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGKILL)
        stop_venue(home.root)


def bid_of(home: Home) -> Decimal:
    """The best price to sell at, once there is one."""
    found: list[Decimal] = []

    def look() -> bool:
        with EngineClient(home.socket) as client:
            found[:] = [one.bid for one in client.view().quotes if one.symbol == "AAPL" and one.bid]
        return bool(found)

    until(look, "the market")
    return found[0]


def place(home: Home) -> None:
    """Rest the orders below the market."""
    bid = bid_of(home)
    with EngineClient(home.socket) as client:
        results = [client.submit(resting(bid, number)) for number in range(ORDERS)]
    refused = [result.text for result in results if not result.ok]
    assert not refused, refused[:3]


class Pusher(threading.Thread):
    """A source that goes on sending orders until it is refused."""

    def __init__(self, home: Home) -> None:
        super().__init__(daemon=True)
        self._home = home
        self._bid = bid_of(home)
        self.sent = 0
        self.refusal = ""

    def run(self) -> None:
        """Send."""
        with suppress(ClientError), EngineClient(self._home.socket) as client:
            # Of another quantity than those that rest: the bid may have moved since, and with it which prices were used.
            first = (ORDERS // 300 + 1) * 300
            while (result := client.submit(resting(self._bid, first + self.sent))).ok:
                self.sent += 1
            self.refusal = result.text

    def begin(self) -> None:
        """Start, and wait for its first orders."""
        self.start()
        until(lambda: self.sent > 20 or self.refusal, "some orders")
        assert self.sent > 20, self.refusal


def pressed(home: Home, *, is_pushed: bool = True) -> dict[str, Any]:
    """Press the desk's key under orders that go on coming, and judge."""
    pusher = Pusher(home)
    if is_pushed:
        pusher.begin()
    key = HaltKey(home)
    trip_ns = time.time_ns()
    begin_ns = time.perf_counter_ns()
    key.press("anna")
    gate_ms = (time.perf_counter_ns() - begin_ns) / 1e6
    until(lambda: key.outcome is not None, "the procedure's end")
    ended_ns = time.time_ns()
    key.close()
    assert key.outcome is not None
    figures = {"gate_ms": round(gate_ms, 2), **judged(home, trip_ns, gate_ms)}
    if list(home.receipts.glob("*.json")):
        return {**figures, **told(receipt_of(home), trip_ns)}
    # A full disk takes no file: what the engine answered is all there is, and when it did.
    clean_ms = round((ended_ns - trip_ns) / 1e6, 1) if key.outcome.is_clean else None
    return {**figures, "durable": False, "durable_ms": None, "verified_ms": clean_ms, "text": key.outcome.text}


# -- scenarios ---------------------------------------------------------------------------------------------------------------


def gate(folder: Path) -> dict[str, Any]:
    """Many presses on one latch: the trigger to the shut gate, by itself."""
    latch = Latch.open(folder / "latch", ledger_used=False)
    shut, flushed = [], []
    for _ in range(PRESSES):
        begin_ns = time.perf_counter_ns()
        latch.shut()
        shut.append((time.perf_counter_ns() - begin_ns) / 1e6)
        latch.trip()
        flushed.append((time.perf_counter_ns() - begin_ns) / 1e6)
        latch.lift(HaltScope(), latch.trips())
    latch.close()
    names = {"in_process_ms": shut, "durable_ms": flushed}
    found = {name: [statistics.median(times), statistics.quantiles(times, n=100)[98]] for name, times in names.items()}
    return {"presses": PRESSES, **{name: [round(value, 3) for value in pair] for name, pair in found.items()}}


def idle(folder: Path) -> dict[str, Any]:
    """Nothing but a source that goes on sending."""
    with engine(folder) as (home, _):
        return pressed(home)


def ui(folder: Path) -> dict[str, Any]:
    """Desks that are connected and take nothing in, as one whose screen is blocked for five seconds."""
    with engine(folder) as (home, _):
        blocked = [EngineClient(home.socket) for _ in range(3)]
        for client in blocked:
            client.connect()
            next(client.watch(client.view(), 10))
        time.sleep(5)
        found = pressed(home)
        for client in blocked:
            client.close()
        return found


def latch(folder: Path) -> dict[str, Any]:
    """Another engine's process trips the shared latch and does nothing else: this one must see it and do the rest."""
    with engine(folder) as (home, _):
        pusher = Pusher(home)
        pusher.begin()
        shared = Latch.attach(home.latch)
        trip_ns, begin_ns = time.time_ns(), time.perf_counter_ns()
        shared.trip()
        gate_ms = (time.perf_counter_ns() - begin_ns) / 1e6
        shared.close()
        return {"gate_ms": round(gate_ms, 2), **told(receipt_of(home), trip_ns), **judged(home, trip_ns, gate_ms)}


def stuck(folder: Path) -> dict[str, Any]:
    """A strategy never comes back: the loop is stuck, and nobody presses anything."""
    with engine(folder) as (home, _):
        began_ns = time.time_ns()
        # Its answer comes only where the loop writes it before the strategy's first tick.
        with suppress(OutcomeUnknown), EngineClient(home.socket, 1.0) as client:
            client.submit(SetStrategy(source=PERSON, name="Spin", on=True))
        return unattended(home, began_ns)


def stopped(folder: Path) -> dict[str, Any]:
    """The engine's process is stopped: only the watchdog is left."""
    with engine(folder) as (home, pid):
        began_ns = time.time_ns()
        os.kill(pid, signal.SIGSTOP)
        return unattended(home, began_ns)


def unattended(home: Home, began_ns: int) -> dict[str, Any]:
    """The engine stands since then; times count from the limit of its heartbeat."""
    limit_ns = began_ns + STALL_S * NS_PER_S
    shared = Latch.attach(home.latch)
    until(lambda: shared.read() is TradingState.HALTED, "the trip")
    gate_ms = (time.time_ns() - limit_ns) / 1e6
    shared.close()
    until(lambda: working(home) == 0, "the cancels")
    return {"gate_ms": round(gate_ms, 2), **told(receipt_of(home), limit_ns), **judged(home, limit_ns, gate_ms)}


def disk(folder: Path) -> dict[str, Any]:
    """No file of the engine's may grow any more: to it the disk is full."""
    import resource

    with engine(folder) as (home, pid):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        return pressed(home, is_pushed=False)


def queue(folder: Path) -> dict[str, Any]:
    """Five hundred questions stand in the adapter's queue when the halt comes."""
    return asyncio.run(_inside(folder, _ask_much))


def writer(folder: Path) -> dict[str, Any]:
    """The journal's writer hangs in the disk and says nothing at all."""
    return asyncio.run(_inside(folder, _hang_writer))


def _ask_much(live: LiveEngine) -> None:
    broker = live.engine.parts.brokers["paper"]
    for number in range(500):
        broker.query_state(1_000_000 + number, 0)


def _hang_writer(live: LiveEngine) -> None:
    hangs = threading.Event()

    def write(batch: object) -> int:
        del batch
        hangs.wait(30)
        raise OSError("the disk is gone")

    live.engine.journal.write = write  # type: ignore[method-assign]


async def _inside(folder: Path, stress: Callable[[LiveEngine], None]) -> dict[str, Any]:
    """An engine in this process, so that the stress reaches inside it; its venue is a process of its own."""
    home = open_home(folder)
    widen(home)
    live = build_live(home, Settings())
    running = asyncio.ensure_future(live.run())

    async def reached(holds: Callable[[], object]) -> None:
        for _ in range(60_000):
            if holds():
                return
            await asyncio.sleep(0.002)
        raise AssertionError("it did not come in time")

    view = live.engine.view_of_risk
    await reached(lambda: live.engine.market.quote("AAPL") and view.position_verified("paper", "PAPER") is not None)
    made = live.engine.market.quote("AAPL")
    assert made is not None
    assert made.bid is not None
    for number in range(ORDERS):
        result = live.door.submit(resting(made.bid, number))
        assert result.ok, result.text
        await asyncio.sleep(0)
    await reached(lambda: sum(order.acked_ns > 0 for order in live.engine.store.live.values()) >= ORDERS)
    stress(live)
    seen: list[int] = []
    trip_ns = time.time_ns()
    watcher = threading.Thread(target=_see, args=(home, seen), daemon=True)
    watcher.start()
    live.door.submit(Halt(source=PERSON, why="stress"))
    await reached(lambda: seen)
    gate_ms = (seen[0] - trip_ns) / 1e6
    await reached(lambda: list(home.receipts.glob("*.json")))
    found = {"gate_ms": round(gate_ms, 2), **told(receipt_of(home), trip_ns), **judged(home, trip_ns, gate_ms)}
    live.request_stop(False)
    with suppress(Exception):  # loop edge: a ledger that hangs may end the engine as it likes, the figures are taken
        await asyncio.wait_for(running, 15)
    stop_venue(home.root)
    return found


def _see(home: Home, seen: list[int]) -> None:
    """Note when the shared latch is shut."""
    shared = Latch.attach(home.latch)
    while shared.read() is not TradingState.HALTED:
        time.sleep(0.0002)
    seen.append(time.time_ns())
    shared.close()


def brokers(folder: Path) -> dict[str, Any]:
    """Two brokers, and one of them hangs: the other meets the same figures, and this one is reported and asked again."""
    homes = {name: open_home(folder / name) for name in ("well", "hung")}
    for home in homes.values():
        ensure_venue(home.root)
        rest_at(home)
    lock = VenueLock(homes["hung"].root)
    pid = lock.holder()
    lock.release()
    home = homes["well"]
    ensure_policy(home)
    gate_latch = Latch.open(home.latch, ledger_used=False)
    sessions = {name: (lambda root=one.root: PaperSession(root)) for name, one in homes.items()}
    halting = Halting(home, SystemClock(), sessions, PolicyHolder.from_file(home.policy), lambda *_: None)
    os.kill(pid, signal.SIGSTOP)
    trip_ns, begin_ns = time.time_ns(), time.perf_counter_ns()
    gate_latch.trip()
    gate_ms = (time.perf_counter_ns() - begin_ns) / 1e6
    threading.Timer(4.0, os.kill, (pid, signal.SIGCONT)).start()
    halting.run_here(Halt(source=PERSON, why="stress"), record=lambda: True)
    receipt = receipt_of(home)
    parts = {part["broker"]: part for part in receipt["brokers"]}
    ends = {step.get("broker", ""): step["ended_ns"] for step in receipt["steps"] if step["step"] == "verify"}
    found = {
        "gate_ms": round(gate_ms, 2),
        "verified_ms": round((receipt["started_ns"] + ends["well"] - trip_ns) / 1e6, 1),
        "hung_for_ms": 4_000,
        "hung_verified_ms": round((receipt["started_ns"] + ends["hung"] - trip_ns) / 1e6, 1)
        if "hung" in ends
        else None,
        "hung_told": parts["hung"].get("unreachable", ""),
        **judged(home, trip_ns, gate_ms),
    }
    gate_latch.close()
    for one in homes.values():
        stop_venue(one.root)
    return found


def rest_at(home: Home) -> None:
    """A thousand orders, placed at a venue by a session of their own."""
    session = PaperSession(home.root, deadline_s=10)
    until(lambda: session.quote("AAPL")[0], "the market")
    bid = session.quote("AAPL")[0]
    assert bid is not None
    for number in range(ORDERS):
        session.place(WireOrder(wire_id=f"STRES{number:09d}", spec=resting(bid, number).spec))
    assert len(session.open_orders()) == ORDERS
    session.close()


SCENARIOS: dict[str, Callable[[Path], dict[str, Any]]] = {
    made.__name__: made for made in (gate, idle, ui, queue, latch, stuck, stopped, brokers, disk, writer)
}


def run(name: str) -> dict[str, Any]:
    """One scenario on a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bolt-kill-") as folder:
        return {"scenario": name, **SCENARIOS[name](Path(folder) / "h" if name != "gate" else Path(folder))}


LIMITS_MS = {"gate_ms": 50.0, "durable_ms": 100.0, "verified_ms": 1_000.0, "venue_ms": 1_000.0}
UNATTENDED_MS = {"verified_ms": 3_000.0, "venue_ms": 3_000.0}
"""Where nobody asks, only the end counts, from the limit of the heartbeat on."""


def limits(name: str) -> dict[str, float]:
    """What is wanted of a scenario, in milliseconds."""
    return UNATTENDED_MS if name in {"stuck", "stopped"} else LIMITS_MS


def summed(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The runs of one scenario: the middle and the 99th of a hundred of each time, its limit, and how many runs missed it."""
    times: dict[str, dict[str, Any]] = {}
    for figure in LIMITS_MS:
        taken = sorted(float(run[figure]) for run in runs if run.get(figure) is not None)
        if not taken:
            continue
        limit = limits(name).get(figure)
        times[figure] = {
            "p50": statistics.median(taken),
            "p99": taken[-(-99 * len(taken) // 100) - 1],
            "limit": limit,
            "missed": None if limit is None else sum(value > limit for value in taken),
            "runs": len(taken),
        }
    kept = {figure: sum(run.get(figure, 0) for run in runs) for figure in ("late_arrivals", "left_working")}
    return {"scenario": name, "summary_of": len(runs), **times, **kept}


def main(words: list[str]) -> int:
    """Run what is named; everything where nothing is."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kill_stress", description="A halt under stress.")
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run each so often and sum up (default: 1)")
    args = parser.parse_args(words)
    unknown = [name for name in args.names if name not in SCENARIOS]
    if unknown or args.repeat < 1:
        said = f"there is no scenario {unknown[0]!r}" if unknown else f"--repeat was {args.repeat}; give 1 or more"
        print(f"{said}; the scenarios are {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    for name in args.names or SCENARIOS:
        runs = []
        for _ in range(args.repeat):
            runs.append(run(name))
            print(json.dumps(runs[-1]), flush=True)
        if args.repeat > 1 and name != "gate":
            print(json.dumps(summed(name, runs)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
