"""A real engine with working orders and a position that is told to halt and flatten, killed with SIGKILL at a step of it.

``python -m tests.crash.kill_child HOME POINT``; after the restart ``python -m tests.crash.kill_child HOME look`` says how it found
things: one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bolt_tui.settings import Home, Settings
from bolt_tui.wiring import LiveEngine, build_live
from brokers.paperbroker import PaperSession
from engine.domain import commands as co
from engine.domain.money import Price
from engine.domain.order import OrderType
from engine.store.journal import Batch
from tests.crash.child import ME, Killer, _new, until


class Gate:
    """The real latch, with points around its trip."""

    def __init__(self, latch: Any, killer: Killer) -> None:
        self._latch = latch
        self.tighten = killer.around("latch", latch.tighten)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._latch, name)


class Session:
    """A kill session of the real venue, with points around what it asks."""

    def __init__(self, home: Path, killer: Killer) -> None:
        self._session = PaperSession(home)
        self.account = self._session.account
        for name, step in (("cancel_all", "cancel"), ("cancel", "cancel"), ("place", "exit"), ("positions", "account")):
            setattr(self, name, killer.around(step, getattr(self._session, name)))
        self._looks = killer.around("look", self._session.open_orders)

    def open_orders(self) -> Any:
        return self._looks()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def arm(live: Any, home: Home, killer: Killer) -> None:
    """Points around the latch, the journal's rows of the halt, the stop of the sources, the sessions and the receipt."""
    live.engine.parts = msgspec.structs.replace(live.engine.parts, latch=Gate(live._latch, killer))
    live.engine.freeze = killer.around("sources", live.engine.freeze)
    halting = live._halting
    halting._sessions = {"paper": lambda: Session(home.root, killer)}
    halting._file = killer.around("receipt", halting._file)
    write = live.engine.journal.write

    def written(batch: Batch) -> int:
        steps = {"trading_state": "record", "halt_step": "steps"}
        kinds = sorted({steps[row[2]] for row in batch.rows if row[2] in steps})
        for kind in kinds:
            killer.reach(f"before:{kind}")
        seq: int = write(batch)
        for kind in kinds:
            killer.reach(f"after:{kind}")
        return seq

    live.engine.journal.write = written


async def ready(live: LiveEngine) -> None:
    engine = live.engine
    await until(lambda: engine.view_of_risk.position_verified("paper", "PAPER") is not None, "reconciliation")
    await until(lambda: engine.market.quote("AAPL") is not None, "a quote")


async def halt(live: LiveEngine, home: Home, killer: Killer) -> None:
    """A position of 50, two resting orders, then the halt."""
    engine = live.engine
    await ready(live)
    engine.submit(_new("fills", OrderType.MARKET, None))
    await until(lambda: engine.ledger.qty("PAPER", "AAPL") == 50, "the position")
    quote = engine.market.quote("AAPL")
    assert quote is not None
    assert quote.bid is not None
    for number in (2, 3):
        engine.submit(_new(f"rests{number}", OrderType.LIMIT, Price(quote.bid - number)))
    await until(lambda: sum(order.acked_ns > 0 for order in engine.store.live.values()) == 2, "two working orders")
    arm(live, home, killer)
    engine.submit(co.Halt(source=ME, why="test", flatten=True))
    await until(lambda: engine.view().status.halt.done, "the receipt")


async def look(live: LiveEngine) -> dict[str, Any]:
    """What a restarted engine says, and what it does with a new order."""
    engine = live.engine
    await ready(live)
    await until(lambda: not engine.view_of_risk.recovering(), "a clean comparison")
    await until(lambda: not engine.view_of_risk.unknown_orders()[0], "the fate of every order")
    if engine.view().status.halt.state == "halted":
        # It cancels by itself what still works; how the venue stands can be compared when that has been answered.
        await until(lambda: not engine.store.live, "the cancels of a halted engine")
    asked = engine.submit(_new("after", OrderType.MARKET, None))
    return {
        "halt": engine.view().status.halt.state,
        "denied": [denial.code for denial in asked.denials],
        "working": sorted(order.wire_id for order in engine.store.live.values()),
        "position": str(engine.ledger.qty("PAPER", "AAPL")),
        "cash": str(engine.ledger.cash["paper", "PAPER", "USD"]),
        "faults": engine.ledger.conservation_faults(),
    }


async def main(home: Home, point: str) -> None:
    live = build_live(home, Settings())
    running = asyncio.ensure_future(live.run())
    act: Callable[[], Any] = (lambda: look(live)) if point == "look" else (lambda: halt(live, home, Killer(point)))
    print(json.dumps(await act()), flush=True)
    live.request_stop(False)
    await running


if __name__ == "__main__":
    asyncio.run(main(Home(Path(sys.argv[1])), sys.argv[2]))
