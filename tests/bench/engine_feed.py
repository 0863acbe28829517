"""A process that serves a real engine with working orders over a market of a chosen rate, on a broker that only answers.

``python -m tests.bench.engine_feed SOCKET MESSAGES_PER_S`` says ``ready``, and on a line on its stdin, as JSON, how late its own
1 ms tick was since the line before and what processor time the process took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bolt_tui.server import EngineServer
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S
from engine.domain.instrument import make_instrument
from engine.market.feed import BookTick, QuoteTick
from engine.views import DeskUpdate, DeskView
from tests.bench.desk_feed import CLOCK, ROWS, Lateness
from tests.core.lab import AAPL, Lab

LEVELS = 20


class EngineDoor:
    """A lab's engine in real time: its simulated clock is set to the machine's before each turn."""

    def __init__(self, folder: Path) -> None:
        listed = (AAPL, *(make_instrument(f"SYM{n:02}", "equity", "XSIM", "USD", "0.01") for n in range(ROWS - 1)))
        self.symbols = [made.symbol for made in listed]
        self.lab = Lab(folder, listed=listed, start_ns=CLOCK.now_ns())
        self.lab.connect()
        self.step = 0
        self._timed_ns = 0

    def work_orders(self) -> None:
        """Put orders to work a tick or more below the market, as many as the policy lets be open."""
        for number in range(ROWS):
            self.turn(1)
            if self.lab.buy(10, f"188.{50 + number % 20}", intent=f"work{number}").ok:
                self.lab.answer(self.lab.ack(self.lab.broker.sent[-1].wire_id))

    def turn(self, messages: int) -> None:
        """The market's messages of one turn: a fourth of them books of the first symbol, the rest quotes."""
        engine, now_ns = self.lab.engine, CLOCK.now_ns()
        self.lab.clock.set_ns(now_ns)
        for _ in range(messages):
            self.step += 1
            bid = 18_900 + self.step % 7
            if self.step % 4 == 0:
                bids = tuple((bid - at, 100 + self.step % 9 * 100) for at in range(LEVELS))
                asks = tuple((bid + 2 + at, 100 + self.step % 5 * 100) for at in range(LEVELS))
                engine.on_market(BookTick(AAPL.symbol, "XSIM", now_ns, self.step, bids, asks))
            else:
                symbol = self.symbols[self.step % ROWS]
                engine.on_market(QuoteTick(symbol, "XSIM", now_ns, self.step, bid, 500, bid + 2, 500))
        if now_ns - self._timed_ns > NS_PER_S // 10:
            self._timed_ns = now_ns
            engine.on_time(now_ns, now_ns)
            self.lab.settle()

    def submit(self, command: co.AnyCommand) -> co.CommandResult:
        return self.lab.submit(command)

    def what_if(self, command: co.Preview) -> co.CommandResult:
        return self.lab.engine.what_if(command)

    def view(self) -> DeskView:
        return self.lab.engine.view()

    def cursor(self) -> int:
        return self.lab.engine.cursor()

    def update_since(self, cursor: int) -> tuple[int, DeskUpdate]:
        return self.lab.engine.update_since(cursor)

    def events(self, from_seq: int, limit: int) -> list[tuple[int, int, object]]:
        del from_seq, limit
        return []

    def when_durable(self, act: Callable[[bool], None]) -> None:
        act(True)


class Market:
    """Feeds a door in turns of the loop, so many messages a second."""

    def __init__(self, door: EngineDoor, per_s: int) -> None:
        self._door = door
        self._per_ns = per_s / NS_PER_S
        self._begin_ns = CLOCK.monotonic_ns()
        self.fed = 0
        self._turn()

    def _turn(self) -> None:
        # What is due is fed in small pieces: a burst after a pause would be measured as the engine's own lateness.
        due = int((CLOCK.monotonic_ns() - self._begin_ns) * self._per_ns) - self.fed
        piece = min(due, 40)
        self._door.turn(piece)
        self.fed += piece
        asyncio.get_running_loop().call_later(0.0 if due > piece else 0.002, self._turn)


async def serve(path: Path, per_s: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        door = EngineDoor(Path(folder))
        door.work_orders()
        server = EngineServer(door, path, CLOCK, lambda cancel: None)  # type: ignore[arg-type]  # its events are never read
        await server.start()
        market = Market(door, per_s)
        lateness = Lateness()
        loop = asyncio.get_running_loop()
        print("ready", flush=True)
        cpu_s, fed = time.process_time(), market.fed
        while await loop.run_in_executor(None, sys.stdin.readline):
            spent_s, taken = time.process_time() - cpu_s, market.fed - fed
            cpu_s, fed = cpu_s + spent_s, fed + taken
            print(json.dumps({**lateness.take(), "cpu_s": spent_s, "messages": taken}), flush=True)
        await server.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
