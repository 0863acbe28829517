"""A process that serves the real server with a busy made-up market: 40 orders, 40 quotes, 1,000 row changes a second.

``python -m tests.bench.desk_feed SOCKET CHANGES_PER_S`` says ``ready``, and on a line on its stdin how late its own 1 ms tick
was since the line before.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from bolt_tui.server import TICKS_PER_S, EngineServer
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.instrument import make_instrument
from engine.domain.money import Price, Qty
from engine.domain.order import OrderState, Side
from engine.views import BookView, DeskUpdate, DeskView, OrderView, QuoteView
from tests.screens import frozen

ROWS = 40
STEPS = 45
"""Pictures that are made before the market begins and then sent in turn: what is measured is the server, not this door."""
CLOCK = SystemClock()


class BusyDoor:
    """Changes whole rows in turn; decides nothing."""

    def __init__(self, changes_per_s: int) -> None:
        self.step = 0
        self.per_tick = changes_per_s // TICKS_PER_S
        self.instruments = tuple(make_instrument(f"SYM{n:02}", "equity", "XSIM", "USD", "0.01") for n in range(ROWS))
        self.symbols = [made.symbol for made in self.instruments]
        self._begin_ns = CLOCK.now_ns()
        self._updates = [self._update(step) for step in range(STEPS)] if changes_per_s else []

    def view(self) -> DeskView:
        status = frozen.status(ts_ns=CLOCK.now_ns(), orders_working=ROWS, parents_open=ROWS)
        orders = tuple(self._order(n) for n in range(ROWS))
        quotes = tuple(self._quote(n) for n in range(ROWS))
        books = tuple(self._book(n) for n in range(ROWS))
        return msgspec.structs.replace(
            frozen.working_day(), status=status, orders=orders, quotes=quotes, books=books, instruments=self.instruments
        )

    def cursor(self) -> int:
        return self.step + 1

    def update_since(self, cursor: int) -> tuple[int, DeskUpdate]:
        if not self.per_tick:
            return 1, DeskUpdate()
        self.step += 1
        status = frozen.status(ts_ns=CLOCK.now_ns(), orders_working=ROWS, parents_open=ROWS, head_seq=self.step)
        return self.step + 1, msgspec.structs.replace(self._updates[self.step % STEPS], status=status)

    def _update(self, step: int) -> DeskUpdate:
        self.step = step
        half = self.per_tick // 2
        first = step * half
        return DeskUpdate(
            orders=tuple(self._order(n % ROWS) for n in range(first, first + min(half, ROWS))),
            quotes=tuple(self._quote(n % ROWS) for n in range(first, first + min(half, ROWS))),
            books=(self._book(0),),
        )

    def _order(self, n: int) -> OrderView:
        filled = (self.step * 7 + n * 13) % 5_000
        return frozen.order(
            f"P{100 + n}",
            OrderState.PARTIALLY_FILLED,
            symbol=self.symbols[n],
            side=Side.BUY if n % 3 else Side.SELL,
            qty=Qty(5_000),
            qty_filled=Qty(filled),
            avg_price=Price("189.05") + Price("0.001") * (filled % 90),
            algo="vwap",
            progress_pct=filled // 50,
            created_ns=self._begin_ns - (n + 1) * 60 * NS_PER_S,
        )

    def _quote(self, n: int) -> QuoteView:
        bid = Price("189.00") + Price("0.01") * ((self.step + n) % 7)
        return QuoteView(
            symbol=self.symbols[n],
            venue="XSIM",
            bid=bid,
            ask=bid + Price("0.01"),
            last=bid,
            change_pct="+0.4",
            ts_ns=CLOCK.now_ns(),
        )

    def _book(self, n: int) -> BookView:
        made = frozen.book(self.symbols[n], "189.06", "189.07")
        bids = tuple((price, size + self.step % 9 * 100) for price, size in made.bids)
        return msgspec.structs.replace(made, bids=tuple((price, Qty(size)) for price, size in bids))

    def submit(self, command: co.AnyCommand) -> co.CommandResult:
        return frozen.PASSED if isinstance(command, co.Preview) else co.CommandResult(ok=True, text="taken")

    def what_if(self, command: co.Preview) -> co.CommandResult:
        return frozen.PASSED

    def events(self, from_seq: int, limit: int) -> list[tuple[int, int, object]]:
        return []

    def when_durable(self, act: Callable[[bool], None]) -> None:
        act(True)


class Lateness:
    """How late a 1 ms tick on the serving loop was."""

    def __init__(self) -> None:
        self.late_us: list[int] = []
        self._due_ns = CLOCK.monotonic_ns()
        self._tick()

    def _tick(self) -> None:
        now_ns = CLOCK.monotonic_ns()
        self.late_us.append(max(0, now_ns - self._due_ns) // 1_000)
        self._due_ns = now_ns + 1_000_000
        asyncio.get_running_loop().call_later(0.001, self._tick)

    def take(self) -> dict[str, float]:
        found, self.late_us = sorted(self.late_us), []
        return {
            "ticks": len(found),
            "p50_ms": found[len(found) // 2] / 1e3,
            "p99_ms": found[len(found) * 99 // 100] / 1e3,
        }


async def serve(path: Path, changes_per_s: int) -> None:
    door = BusyDoor(changes_per_s)
    server = EngineServer(door, path, CLOCK, lambda cancel: None)  # type: ignore[arg-type]  # its events are never read
    await server.start()
    lateness = Lateness()
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(lateness.take()), flush=True)
    await server.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
