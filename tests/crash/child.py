"""A real engine process that places orders and is killed with SIGKILL at a named point of its own order path.

``python -m tests.crash.child HOME POINT`` with POINT as ``before:order_placed``, ``after:send`` or ``none``; prints one JSON
line when everything has settled (it never gets there where the point is met).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bolt_tui.settings import Home, Settings
from bolt_tui.wiring import LiveEngine, build_live
from engine.domain import commands as co
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Source, SourceKind, Tif
from engine.store.journal import Batch

ME = Source(SourceKind.CLI, "crash")
WAIT_S = 45.0


class Killer:
    """Kills this process when a point is reached."""

    def __init__(self, point: str) -> None:
        self.point = point

    def reach(self, point: str) -> None:
        if point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            self.reach(f"before:{name}")
            result = call(*args)
            self.reach(f"after:{name}")
            return result

        return wrapped


class Adapter:
    """The real adapter, with points around what it hands over."""

    def __init__(self, broker: Any, killer: Killer) -> None:
        self._broker = broker
        self.send_new = killer.around("send", broker.send_new)
        self.send_cancel = killer.around("cancel", broker.send_cancel)
        self.send_amend = killer.around("amend", broker.send_amend)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


def arm(live: LiveEngine, killer: Killer) -> None:
    """Put the points into an engine: around the adapter's calls and around each commit that holds a kind."""
    brokers: Any = live.engine.parts.brokers
    brokers["paper"] = Adapter(brokers["paper"], killer)
    journal: Any = live.engine.journal
    write = journal.write

    def written(batch: Batch) -> int:
        kinds = {row[2] for row in batch.rows}
        for kind in sorted(kinds):
            killer.reach(f"before:{kind}")
        seq: int = write(batch)
        for kind in sorted(kinds):
            killer.reach(f"after:{kind}")
        return seq

    journal.write = written


async def until(condition: Callable[[], bool], what: str) -> None:
    end = asyncio.get_running_loop().time() + WAIT_S
    while not condition():
        if asyncio.get_running_loop().time() > end:
            raise TimeoutError(what)
        await asyncio.sleep(0.01)


async def trade(live: LiveEngine) -> None:
    """One order that fills, one that rests, is amended twice and cancelled. The same intents on every life."""
    engine = live.engine
    await until(lambda: engine.view_of_risk.position_verified("paper", "PAPER") is not None, "reconciliation")
    await until(lambda: engine.market.quote("AAPL") is not None, "a quote")
    engine.submit(_new("fills", OrderType.MARKET, None))
    quote = engine.market.quote("AAPL")
    assert quote is not None
    assert quote.bid is not None
    rests = engine.submit(_new("rests", OrderType.LIMIT, Price(quote.bid - Price("1"))))
    await until(lambda: _settled(live), "answers")
    if not rests.repeated:
        engine.submit(co.AmendOrder(source=ME, intent_id="amend", order_id=rests.order_id, qty=Qty(60)))
        await until(lambda: _settled(live), "the amend")
        # One that asks for no more than the order has is one row with its command.
        engine.submit(co.AmendOrder(source=ME, intent_id="again", order_id=rests.order_id, qty=Qty(55)))
        await until(lambda: _settled(live), "the second amend")
    engine.submit(co.CancelOrder(source=ME, order_id=rests.order_id))
    await until(lambda: not engine.store.live and not engine.store.parents_open, "the end of every order")


def _settled(live: LiveEngine) -> bool:
    pending = {"pending_new", "pending_replace", "unknown"}
    return not any(order.state.value in pending for order in live.engine.store.live.values())


def _new(intent: str, kind: OrderType, limit: Price | None) -> co.NewOrder:
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(50), type=kind, limit=limit, tif=Tif.GTC)
    return co.NewOrder(source=ME, intent_id=intent, spec=spec, why="")


async def main(home: Path, point: str) -> None:
    live = build_live(Home(home), Settings())
    arm(live, Killer(point))
    running = asyncio.ensure_future(live.run())
    await trade(live)
    store, ledger = live.engine.store, live.engine.ledger
    print(
        json.dumps(
            {
                "orders": {o.wire_id: [o.state.value, str(o.qty_filled)] for o in store.orders.values() if o.wire_id},
                "position": str(ledger.qty("PAPER", "AAPL")),
                "cash": str(ledger.cash["paper", "PAPER", "USD"]),
                "faults": ledger.conservation_faults(),
                "illegal": store.illegal_inputs,
            }
        ),
        flush=True,
    )
    live.request_stop(False)
    await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
