"""A real engine process that places a bracket and is killed with SIGKILL at a named point of its own order path.

``python -m tests.crash.bracket_child HOME POINT [--with-venue]``; prints one JSON line when the entry is filled and its exits work.
With ``--with-venue`` the venue is killed first, at the same point.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from bolt_tui.settings import Home, Settings
from bolt_tui.wiring import LiveEngine, build_live
from brokers.paper.home import VenueLock
from engine.domain import commands as co
from engine.domain.money import Price, Qty
from engine.domain.order import Link, LinkRole, OrderSpec, OrderType, Side, Tif
from tests.crash.child import ME, Killer, arm, until

QTY = 50


async def trade(live: LiveEngine) -> None:
    """Buy at the market with a target and a stop far away. The same intent on every life."""
    engine = live.engine
    await until(lambda: engine.view_of_risk.position_verified("paper", "PAPER") is not None, "reconciliation")
    await until(lambda: engine.market.quote("AAPL") is not None, "a quote")
    quote = engine.market.quote("AAPL")
    assert quote is not None
    assert quote.bid is not None
    entry = OrderSpec(
        symbol="AAPL", side=Side.BUY, qty=Qty(QTY), type=OrderType.MARKET, tif=Tif.DAY, link=Link(LinkRole.ENTRY)
    )
    far = {
        "side": Side.SELL, "qty": Qty(QTY), "tif": Tif.GTC, "link": Link(LinkRole.LEG), "reduce_only": True
    }  # fmt: skip
    target = OrderSpec(symbol="AAPL", type=OrderType.LIMIT, limit=Price(quote.bid + 20), **far)  # type: ignore[arg-type] # the fields above
    guard = OrderSpec(symbol="AAPL", type=OrderType.STOP, stop=Price(quote.bid - 20), **far)  # type: ignore[arg-type] # as above
    command = co.NewOrder(source=ME, intent_id="bracket", spec=entry, linked=(target, guard), why="")
    engine.submit(command)
    await until(lambda: _is_settled(live), "a bracket that works, or none at all")


def _is_settled(live: LiveEngine) -> bool:
    """Everything is known: the position, and exits of its size; or nothing of it ever left."""
    engine = live.engine
    states = {order.state.value for order in engine.store.live.values()}
    if states & {"pending_new", "unknown"}:
        return False
    return engine.ledger.qty("PAPER", "AAPL") == QTY * bool(states)


class BothKiller(Killer):
    """Kills the venue's process, then this one."""

    def __init__(self, point: str, home: Path) -> None:
        super().__init__(point)
        self._home = home

    def reach(self, point: str) -> None:
        if point == self.point:
            lock = VenueLock(self._home)
            os.kill(lock.holder(), signal.SIGKILL)
            lock.release()
        super().reach(point)


async def main(home: Path, point: str, *, with_venue: bool) -> None:
    live = build_live(Home(home), Settings())
    arm(live, BothKiller(point, home) if with_venue else Killer(point))
    running = asyncio.ensure_future(live.run())
    await trade(live)
    engine = live.engine
    exits = [[str(one.worst_qty), one.spec.type.value] for one in engine.store.live.values()]
    print(json.dumps({"position": str(engine.ledger.qty("PAPER", "AAPL")), "exits": sorted(exits)}), flush=True)
    live.request_stop(False)
    await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], with_venue="--with-venue" in sys.argv[3:]))
