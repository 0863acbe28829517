"""Where an engine can be killed: the real journal, latch and engine, with points around what they do."""

from __future__ import annotations

import os
import signal

from bolt_tui.faults import pipe
from bolt_tui.faults.schedule import NONE, Crash
from engine.api import Engine
from engine.domain import commands as co
from engine.domain import events as ev
from engine.risk.latch import Latch
from engine.store.journal import Batch, Journal


class Points:
    """Kills this process where it is told, at the so-and-so-many-th time."""

    def __init__(self, crash: Crash | None) -> None:
        self._point = crash.point if crash else NONE
        self._left = crash.nth if crash else 0

    def reach(self, point: str) -> None:
        """This point has come."""
        if point == self._point:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


class LabJournal(Journal):
    """The journal, with points around each commit that holds a step."""

    points = Points(None)
    store_of: Engine | None = None
    log_bytes = 0
    """A life of some hundred rows needs no room ahead, and giving it costs more than the life."""

    def write(self, batch: Batch) -> int:
        """Commit one batch."""
        steps = self._steps(batch)
        for step in steps:
            self.points.reach(f"before:{step}")
        seq = super().write(batch)
        for step in steps:
            self.points.reach(f"after:{step}")
        return seq

    def _steps(self, batch: Batch) -> list[str]:
        found = []
        for row in batch.rows:
            match row[2]:
                case "order_intent" | "order_placed":
                    found.append("intent")
                case "order_acked":
                    found.append("ack")
                case "order_filled":
                    found.append(self._fill_step(row[3]))
                case "trading_state":
                    found.append("kill2")
                case "engine_started" if row[0] > 2:
                    found.append("recover1")
                case "order_unknown" if b"engine restarted" in row[3]:
                    found.append("recover2")
                case "reconcile_done":
                    found.append("recover4")
                case _:
                    continue
        return list(dict.fromkeys(found))

    def _fill_step(self, payload: bytes) -> str:
        event = ev.decode_event(payload)
        assert isinstance(event, ev.OrderFilled)
        engine = self.store_of
        order = engine.store.orders.get(event.order_id) if engine else None
        return "partial" if order is not None and order.qty_filled < order.qty else "fill"


class LabLatch(Latch):
    """The latch, with points around its trips; what it says is told to the laboratory."""

    points = Points(None)
    out: pipe.Pipe

    def tighten(self, scope: co.HaltScope, state: ev.TradingState) -> None:
        """Tighten a scope; every trip does."""
        self.points.reach("before:kill1")
        super().tighten(scope, state)
        self.out.send(pipe.Tripped(scope=scope, state=state))
        self.points.reach("after:kill1")

    def lift(self, scope: co.HaltScope, seen_trips: int) -> bool:
        """Loosen a scope."""
        done = super().lift(scope, seen_trips)
        if done:
            self.out.send(pipe.Tripped(scope=scope, state=ev.TradingState.ACTIVE))
        return done


class LabEngine(Engine):
    """The engine, with points around the stop of its sources."""

    points = Points(None)

    def freeze(self, scope: co.HaltScope, why: str) -> None:
        """Stop the sources of a scope."""
        self.points.reach("before:kill3")
        super().freeze(scope, why)
        self.points.reach("after:kill3")
