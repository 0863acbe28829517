"""What an engine still does when its ledger takes no writes any more: it shows why, cancels and halts.

Nothing is decided or booked from here on: state changes only by journaled events, and there is no journal. What the brokers
say is not applied (the next start asks them), no intent leaves, and every command but these is refused with the reason.
Cancels go straight to the broker: they wait for no disk in good times either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.commands import HaltScope

if TYPE_CHECKING:
    from engine.api.engine import Engine

CODE = "LEDGER_UNHEALTHY"
NEVER_SENT = "the ledger failed before this was on disk: it was never sent"


class Aftermath:
    """The last duties of an engine. They begin with :meth:`begin` and end with the process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shown = 0
        self.is_on = False
        self.ignored = 0
        """Messages of brokers that could not be booked."""

    def begin(self) -> None:
        """Shut the gate and show why; once. The driver runs the kill procedure by itself."""
        if self.is_on:
            return
        self.is_on = True
        engine = self._engine
        engine.give_up_waiting()
        engine.parts.latch.tighten(HaltScope(), ev.TradingState.HALTED)
        for order_id in engine.orders.unsent():
            order = engine.store.orders[order_id]
            for name in (order.parent_id, order_id):
                engine.picture.remark(name, NEVER_SENT)
        self.show(
            ev.TradingStateChanged(
                scope=HaltScope(), state=ev.TradingState.HALTED, code=CODE, who="engine", why=engine.journal.failed
            )
        )

    def show(self, event: ev.AnyEvent) -> None:
        """Put something on the screens that can no longer be journaled."""
        self._shown += 1
        engine = self._engine
        engine.picture.on_event(engine.journal.head_seq + self._shown, engine.clock.now_ns(), event)

    def submit(self, command: co.AnyCommand) -> co.CommandResult:
        """Decide a command with what is left."""
        self.begin()
        match command:
            case co.Preview() | co.LookUp():
                return self._engine.commander.submit(command)
            case co.CancelOrder():
                return self._cancel(command.order_id)
            case co.CancelAll():
                return self._cancel_all(command.symbol)
            case co.Halt() | co.Reduce():
                return self._halt(command)
            case co.StopEngine():
                left = self._cancel_all("") if command.cancel else None
                return msgspec.structs.replace(left, text=f"{left.text}; stopping") if left else self._ok("stopping")
            case _:
                text = f"{self._engine.journal.failed}; nothing is sent or booked until the engine is started again"
                return co.CommandResult(ok=False, code=CODE, text=text)

    def _ok(self, text: str) -> co.CommandResult:
        return co.CommandResult(ok=True, text=text)

    def _cancel(self, order_id: str) -> co.CommandResult:
        order = self._engine.store.orders.get(order_id)
        found = [] if order is None else order.live_children if order.is_parent else [order]
        sent = self._send_cancels([one.order_id for one in found])
        if not sent:
            text = f"cancel {order_id}: the venue has no live order of it, as far as the ledger knew before it failed"
            return co.CommandResult(ok=False, code="ILLEGAL", text=text, order_id=order_id)
        return self._ok(
            f"{sent} cancels sent for {order_id}; nothing can be booked, so look at the venue for the answer"
        )

    def _cancel_all(self, symbol: str) -> co.CommandResult:
        live = self._engine.store.live.values()
        sent = self._send_cancels([order.order_id for order in live if not symbol or order.spec.symbol == symbol])
        return self._ok(f"{sent} cancels sent; nothing can be booked, so look at the venue for the answers")

    def _send_cancels(self, order_ids: list[str]) -> int:
        engine, sent = self._engine, 0
        unsent = set(engine.orders.unsent())
        for order_id in order_ids:
            order = engine.store.orders[order_id]
            if order.state.is_live and order_id not in unsent:
                engine.parts.brokers[order.spec.broker].send_cancel(order.wire_id, order.venue_order_id)
                sent += 1
        return sent

    def _halt(self, command: co.Halt | co.Reduce) -> co.CommandResult:
        engine = self._engine
        state = ev.TradingState.HALTED if isinstance(command, co.Halt) else ev.TradingState.REDUCING
        is_drill = isinstance(command, co.Halt) and command.drill
        if not is_drill:
            engine.parts.latch.tighten(command.scope, state)
        if isinstance(command, co.Halt):
            who = command.source.name or command.source.kind.value
            self.show(
                ev.TradingStateChanged(
                    scope=command.scope, state=state, code="MANUAL", who=who, why=command.why or "asked"
                )
            )
            engine.run_halt(command, f"F{engine.clock.now_ns()}")
        return self._ok(f"the gate is shut; it cannot be journaled: {engine.journal.failed}")
