"""Runs the kill procedure on a thread of its own, for an engine or for a process beside a dead one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from bolt_tui.exit_lock import ExitLock
from bolt_tui.settings import Home
from brokers.paper.listings import LISTINGS
from engine.domain.clock import NS_PER_S, Clock
from engine.domain.commands import Halt, HaltScope, HaltScopeKind
from engine.domain.errors import SettingsError, StoreError
from engine.domain.events import encode
from engine.oms.broker_interface import SessionFactory, VenueOrder
from engine.oms.halt import HaltPlan, emergency_wire_ids, in_thread, run_halt
from engine.oms.receipt import Receipt, words, write_receipt
from engine.risk.latch import Latch
from engine.risk.policy import PolicyHolder
from engine.store.head import noted_ledger_id
from engine.store.journal import read_journal

_LOG = logging.getLogger("bolt.halting")

OnStep = Callable[[str, str, dict[str, str]], None]
"""Halt id, step and its figures; called from the halt's thread."""

Record = Callable[[], bool]
AT_ONCE = 8


class Request(msgspec.Struct, frozen=True):
    """One procedure that was asked for."""

    command: Halt
    halt_id: str
    record: Record
    belongs: Callable[[VenueOrder], bool] | None


class Halting:
    """Runs procedures, each in a thread of its own: none waits behind one that hangs at a broker or is still at its exits.

    At most :data:`AT_ONCE` run at the same time, and one of everything besides; what is asked for beyond them waits, halts of
    everything first. Exits at one broker are sent by one procedure at a time, whichever process it runs in.
    """

    def __init__(
        self,
        home: Home,
        clock: Clock,
        sessions: Mapping[str, SessionFactory],
        policy: PolicyHolder,
        on_step: OnStep,
    ) -> None:
        self._home = home
        self._clock = clock
        self._sessions = sessions
        self._policy = policy
        self._on_step = on_step
        self._lock = threading.Lock()
        self._waiting: list[Request] = []
        self._running: list[Request] = []
        self._exits = {broker: ExitLock(home.root / f"exits-{broker}.lock") for broker in sessions}

    def begin(
        self,
        command: Halt,
        halt_id: str,
        *,
        record: Record,
        belongs: Callable[[VenueOrder], bool] | None = None,
    ) -> None:
        """Start the procedure and return at once. The gate must be shut already.

        ``record`` is called in a thread of its own and says whether who, why and scope are on disk; it may wait.
        """
        with self._lock:
            self._waiting.append(Request(command, halt_id, record, belongs))
        self._start_next()

    def _start_next(self) -> None:
        with self._lock:
            request = self._next()
        if request is not None:
            in_thread(partial(self._work, request), "bolt-halt")

    def _next(self) -> Request | None:
        """The next that may run, noted as running; None where nothing may."""
        wide = next((one for one in self._waiting if is_wide(one)), None)
        found = wide or next(iter(self._waiting), None)
        if found is None:
            return None
        if len(self._running) >= AT_ONCE and (wide is None or any(is_wide(one) for one in self._running)):
            return None
        self._waiting.remove(found)
        self._running.append(found)
        return found

    def _work(self, request: Request) -> None:
        try:
            receipt = self._run(request)
            self._on_step(request.halt_id, "receipt_file", self._file(receipt))
        except Exception as error:  # loop edge: the gate stays shut; the failure is logged and shown
            _LOG.exception("the kill procedure failed behind the shut gate")
            self._on_step(request.halt_id, "failed", {"residual": f"the procedure failed: {error}"})
        finally:
            with self._lock:
                self._running.remove(request)
            self._start_next()

    def _file(self, receipt: Receipt) -> dict[str, str]:
        """Write the receipt. A disk that refuses it takes nothing from what was done at the brokers."""
        found = {"clean": str(receipt.is_clean).lower(), "verified": str(receipt.is_over).lower()}
        try:
            return {"receipt_path": str(write_receipt(receipt, self._home.receipts)), **found}
        except OSError as error:
            _LOG.error("the receipt could not be written: %s\n%s", error, words(receipt))
            return {"note": f"the receipt could not be written: {error.strerror}", **found}

    def _run(self, request: Request) -> Receipt:
        command = request.command
        policy = self._policy.policy
        collar_bps = 100 if policy is None else int(policy.number("kill.flatten_collar_pct") * 100)
        plan = HaltPlan(
            halt_id=request.halt_id,
            scope=command.scope,
            who=command.source.name or command.source.kind.value,
            why=command.why,
            protective="keep" if policy is None else policy.word("kill.protective"),
            flatten=command.flatten and policy is not None,  # without a policy nobody knows how far an exit may reach
            collar_bps=collar_bps,
            flatten_deadline_ns=10 * NS_PER_S if policy is None else policy.ns("kill.flatten_deadline_s"),
            instruments={listing.instrument.symbol: listing.instrument for listing in LISTINGS},
            drill=command.drill,
            orders_of_scope=request.belongs,
        )
        return run_halt(
            plan,
            self._sessions,
            clock=self._clock,
            on_step=lambda step, data: self._on_step(request.halt_id, step, data),
            trip=lambda: command.drill or trip_latch(self._home, command.scope),
            record_durable=request.record,
            next_wire_id=emergency_wire_ids(self._ledger_id()),
            exits=self._exits,
        )

    def _ledger_id(self) -> str:
        """For the ids of exits; a ledger that cannot be read must not keep orders from being cancelled."""
        try:
            place = self._home.place
            noted = noted_ledger_id(place)
            if noted:
                return noted
            for row in read_journal(place, 1, 1):
                return str(msgspec.json.decode(row.payload)["ledger_id"])
        except (StoreError, SettingsError, msgspec.DecodeError, KeyError) as error:
            _LOG.error("the ledger cannot be read, exits get ids of no ledger: %s", error)
        return "00000"

    def run_here(self, command: Halt, *, record: Record) -> dict[str, Any]:
        """Run it in this thread; the outcome as `bolt kill` prints it. ``record`` is as in :meth:`begin`."""
        receipt = self._run(Request(command, f"K{self._clock.now_ns()}", record, None))
        filed = self._file(receipt)
        notes = [filed["note"]] if "note" in filed else []
        if self._policy.policy is None:
            notes.append(
                "no policy could be read: protective orders were kept" + ", nothing was flattened" * command.flatten
            )
        return {
            "is_latched": True,
            "by": "here",
            "is_clean": receipt.is_clean,
            "receipt": msgspec.json.decode(encode(receipt)),
            "receipt_path": filed.get("receipt_path", ""),
            "text": "; ".join(notes),
        }


def is_wide(request: Request) -> bool:
    """Whether it halts everything."""
    return request.command.scope.kind is HaltScopeKind.GLOBAL


def trip_latch(home: Home, scope: HaltScope) -> bool:
    """Trip the shared latch by a view of its own; True where it is also on disk.

    A view that threads share would be closed by one of them, where the file is gone, under the hands of another.
    """
    latch = Latch.attach(home.latch)
    try:
        return latch.trip(scope)
    finally:
        latch.close()
