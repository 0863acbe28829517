"""`bolt kill | rearm`, and the desk's halt key.

The order of acts is the promise: the latch is tripped before anything is asked of anybody, then a trip file is left for
the journal, then the running engine is asked. Where none answers within a second, the procedure runs here with broker
sessions of its own; the gate of a hung engine is shut by the latch meanwhile. The desk's key leaves its trip file beside the
question to the engine, which waits for no disk then: an engine that finds the latch tripped by nobody that it knows begins a
procedure of its own, so that one press ran two.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bolt_tui.client import DEADLINE_S, ClientError, EngineClient
from bolt_tui.commands.context import read_scope
from bolt_tui.commands.exits import Exit
from bolt_tui.endpoint import find_socket
from bolt_tui.settings import Home, who
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import CommandResult, Halt, HaltScope, Rearm
from engine.domain.errors import BoltError, SettingsError
from engine.domain.events import TradingState, decoder
from engine.domain.order import Source, SourceKind
from engine.oms.halt import in_thread
from engine.oms.receipt import Receipt, words
from engine.risk.kill_switch import scope_words
from engine.risk.latch import Latch, TripNote, leave_note
from engine.views import HaltView

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context

ENGINE_ANSWER_S = 1.0
PROCEDURE_S = 60.0
"""How long the engine may work on a halt before a person is told that it is not finished."""
REARM_WORD = "REARM"
_LOG = logging.getLogger("bolt.halt")
Progress = Callable[[str], None]
IsDurable = Callable[[], bool]
"""Whether latch, who, why and scope are on disk; may wait for it."""
Here = Callable[[Home, Halt, IsDurable], "Outcome"]
"""Runs the procedure in this process."""
RECORD_S = 10.0
"""How long the desk's key waits for the disk, at its end, before it says that the record is not there."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a halt ended."""

    is_latched: bool
    """The latch is tripped, and with its reason on disk."""
    by: str
    """``engine`` or ``here``: who ran the procedure; ``nobody`` where neither could."""
    is_clean: bool
    """Every broker confirmed that nothing works any more, and nothing is left of what was to be flattened."""
    receipt: dict[str, Any] = {}
    receipt_path: str = ""
    text: str = ""


def kill(context: Context) -> Exit:
    """Halt, and show the receipt."""
    args = context.args
    command = Halt(
        source=context.source, scope=read_scope(args.scope), why=args.why, flatten=args.flatten, drill=args.drill
    )
    return halt_and_show(context, context.home, command)


def halt_and_show(context: Context, home: Home, command: Halt) -> Exit:
    """The whole halt: latch, procedure and the receipt in words; INCOMPLETE where a person must look at the broker."""
    is_latched = True
    if not command.drill:
        is_latched = trip(home, command)
        context.out.say("bolt: HALTED" + (", durable" if is_latched else "; its record could NOT be written to disk"))
    outcome = carry_out(home, command, is_durable=lambda: is_latched, progress=context.out.progress)
    context.out.progress_end()
    context.out.object("halt", msgspec.to_builtins(outcome))
    for text in outcome_lines(outcome, command):
        context.out.line(text)
    return Exit.OK if outcome.is_clean and is_latched else Exit.INCOMPLETE


def trip(home: Home, command: Halt, latch: Latch | None = None) -> bool:
    """Shut the gate of every process on this folder, and leave a note for the journal. True where both are on disk."""
    opened = latch or open_latch(home)
    try:
        is_durable = opened.trip(command.scope, TradingState.HALTED)
    finally:
        if latch is None:
            opened.close()
    note = TripNote(
        scope=command.scope,
        state=TradingState.HALTED,
        code="MANUAL",
        who=command.source.name,
        why=command.why,
        ts_ns=SystemClock().now_ns(),
        pid=os.getpid(),
    )
    if leave_note(home.root, note) is None:
        _LOG.warning("no trip file could be left in %s", home.trips)
        return False
    return is_durable


def open_latch(home: Home) -> Latch:
    """The folder's latch; made where it is missing, HALTED where a ledger shows that it was once there."""
    return Latch.open(home.latch, ledger_used=home.is_used)


def carry_out(
    home: Home, command: Halt, *, is_durable: IsDurable, progress: Progress | None = None, here: Here | None = None
) -> Outcome:
    """The procedure behind the latch, by the running engine or by this process."""
    found = _by_engine(home, command, progress)
    if found is None:
        if progress is not None:
            progress("no engine answers; asking the brokers directly ...")
        found = (here or by_sessions)(home, command, is_durable)
    return msgspec.structs.replace(found, is_latched=is_durable())


def _by_engine(home: Home, command: Halt, progress: Progress | None) -> Outcome | None:
    """Ask the running engine and follow it to the receipt; None where none answers in time."""
    try:
        with EngineClient(find_socket(home), ENGINE_ANSWER_S) as client:
            result = client.submit(command)
            if not result.ok:
                return Outcome(is_latched=True, by="engine", is_clean=False, text=_refusal(result))
        with EngineClient(find_socket(home), DEADLINE_S) as client:
            return _follow(client, progress)
    except (ClientError, SettingsError) as error:
        _LOG.info("the engine was not asked: %s", error)
        return None


def _refusal(result: CommandResult) -> str:
    return f"the engine refused: {result.code} {result.text}".strip()


def _follow(client: EngineClient, progress: Progress | None) -> Outcome:
    clock = SystemClock()
    end_ns = clock.monotonic_ns() + int(PROCEDURE_S * NS_PER_S)
    view = client.view()
    halt = view.status.halt
    pictures = client.watch(view)
    while not halt.done and clock.monotonic_ns() < end_ns:
        if progress is not None:
            progress(halt.counts())
        halt = next(pictures).status.halt
    return outcome_of(halt)


def outcome_of(halt: HaltView) -> Outcome:
    """The outcome that an engine's halt shows, with the receipt's content where the file can be read."""
    receipt: dict[str, Any] = {}
    if halt.receipt_path:
        try:
            receipt = msgspec.json.decode(Path(halt.receipt_path).read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.DecodeError) as error:
            _LOG.warning("the receipt %s cannot be read: %s", halt.receipt_path, error)
    is_clean = halt.done and halt.verified and not halt.unknown and not halt.residual and not halt.unreachable
    text = (
        "" if halt.done else f"the engine has not finished within {PROCEDURE_S:g} s; `bolt status` shows how far it is"
    )
    return Outcome(
        is_latched=halt.durable,
        by="engine",
        is_clean=is_clean,
        receipt=receipt,
        receipt_path=halt.receipt_path,
        text=text,
    )


def by_sessions(home: Home, command: Halt, is_durable: IsDurable) -> Outcome:
    """Run the procedure in this process, with broker sessions of its own."""
    from bolt_tui.wiring import halt_here

    try:
        return msgspec.convert(halt_here(home, command, record=is_durable), Outcome)
    except (BoltError, OSError) as error:
        text = (
            f"no engine answers, and the procedure could not run here: {error}. The gate stays shut; look at the broker"
        )
        return Outcome(is_latched=True, by="nobody", is_clean=False, text=text)


def outcome_lines(outcome: Outcome, command: Halt) -> list[str]:
    """The outcome for a person."""
    gate = "yes" if outcome.is_latched else "in memory only, NOT on disk"
    lines = [f"gate shut: {'no, a drill' if command.drill else gate}; procedure run by: {outcome.by}"]
    lines += _receipt_lines(outcome.receipt)
    if outcome.receipt_path:
        lines.append(f"receipt: {outcome.receipt_path}")
    if outcome.text:
        lines.append(outcome.text)
    of_scope = "" if command.scope == HaltScope() else f" of {scope_words(command.scope)}"
    kept = sum(len(one.get("kept", ())) for one in outcome.receipt.get("brokers", ()))
    but = f" but the {kept} kept" if kept else ""
    lines.append(
        f"clean: nothing{of_scope} works any more{but}"
        if outcome.is_clean
        else "NOT CLEAN: a person must look at the broker now"
    )
    return lines


UNTIL_REARMED = "no engine runs: the next one begins halted, until it is re-armed"


def view_of(outcome: Outcome, now_ns: int) -> HaltView:
    """A halt whose procedure ran in this process, as the desk shows one that the engine ran; of ``now_ns`` where there is no receipt."""
    done = HaltView(
        state=TradingState.HALTED.value,
        durable=outcome.is_latched,
        verified=outcome.is_clean,
        receipt_path=outcome.receipt_path,
        ts_ns=now_ns,
        note=outcome.text or UNTIL_REARMED,
    )
    if not outcome.receipt:
        return msgspec.structs.replace(done, unreachable=("the broker",))
    try:
        receipt = decoder(Receipt).decode(msgspec.json.encode(outcome.receipt))
    except (msgspec.DecodeError, ValueError):
        return msgspec.structs.replace(done, note=outcome.text or "look at the receipt, and at the broker")
    brokers = receipt.brokers
    return msgspec.structs.replace(
        done,
        who=receipt.who,
        why=receipt.why,
        ts_ns=receipt.started_ns,
        found=sum(one.found for one in brokers),
        cancels_sent=sum(one.cancels_sent for one in brokers),
        cancels_confirmed=sum(one.cancelled for one in brokers),
        unknown=sum(len(one.survivors) for one in brokers),
        kept=sum(len(one.kept) for one in brokers),
        residual=tuple(f"{one.broker} {left}" for one in brokers for left in one.survivors),
        unreachable=tuple(one.broker for one in brokers if one.unreachable),
    )


def _receipt_lines(receipt: dict[str, Any]) -> list[str]:
    """A receipt in words; field by field where it is of another version."""
    if not receipt:
        return []
    try:
        return words(decoder(Receipt).decode(msgspec.json.encode(receipt))).splitlines()
    except (msgspec.DecodeError, ValueError):
        return [f"  {name}: {_plain(value)}" for name, value in sorted(receipt.items())]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


class _Recording:
    """A halt's way to the disk, in a thread of its own: the engine and the brokers are asked meanwhile."""

    def __init__(self, write: Callable[[], bool], wait_s: float) -> None:
        self._write = write
        self._wait_s = wait_s
        self._is_durable = False
        self._ended = threading.Event()
        in_thread(self._work, "bolt-halt-record")

    def _work(self) -> None:
        try:
            self._is_durable = self._write()
        except (BoltError, OSError) as error:
            _LOG.error("the halt's record could not be written: %s", error)
        finally:
            self._ended.set()

    @property
    def is_under_way(self) -> bool:
        """Whether the disk has not answered yet."""
        return not self._ended.is_set()

    def is_durable(self) -> bool:
        """Whether latch and trip file are on disk; waits for them no longer than ``wait_s``."""
        self._ended.wait(self._wait_s)
        return self._is_durable


class HaltKey:
    """The desk's halt: returns at once, works with the screen blocked and the line down.

    The latch is tripped in the thread that saw the key. The rest runs in one thread; pressed again meanwhile, the key
    trips the latch again and starts no second procedure.

    ``write`` trips the latch down to the disk and leaves the trip file: True where both are there.
    """

    def __init__(
        self,
        home: Home,
        here: Here | None = None,
        write: Callable[[Home, Halt], bool] = trip,
        record_s: float = RECORD_S,
    ) -> None:
        self._write, self._record_s = write, record_s
        self.outcome: Outcome | None = None
        """Of the last procedure that ended."""
        self._halted_here: HaltView | None = None
        self._home = home
        self._here = here
        self._latch = open_latch(home)
        self._recording: _Recording | None = None
        self._working = threading.Lock()

    def press(self, name: str = "") -> None:
        """Halt everything."""
        self._latch.tighten(HaltScope(), TradingState.HALTED)  # the disk is the procedure's to wait for
        if self._working.acquire(blocking=False):
            in_thread(partial(self._work, name or who()), "bolt-halt")

    def halted_here(self) -> HaltView | None:
        """The halt of the last press, where its procedure ran in this process and is at its end."""
        return self._halted_here

    def close(self) -> None:
        """Let go of the latch."""
        self._latch.close()

    def _work(self, name: str) -> None:
        command = Halt(source=Source(SourceKind.DESK, name), why="halt key")
        self._halted_here = None
        try:
            if self._recording is None or not self._recording.is_under_way:
                # A disk that took nothing since the press before gets no second thread to hang in: it is the same halt.
                self._recording = _Recording(partial(self._write, self._home, command), self._record_s)
            outcome = carry_out(self._home, command, is_durable=self._recording.is_durable, here=self._here)
            if outcome.by != "engine":
                self._halted_here = view_of(outcome, SystemClock().now_ns())
            self.outcome = outcome
        except (BoltError, OSError) as error:
            _LOG.error("the halt's procedure failed behind the latch: %s", error)
        finally:
            self._working.release()


def rearm(context: Context) -> Exit:
    """Lift a halt: the word is typed, the engine judges hold time and reconciliation."""
    args = context.args
    scope: HaltScope = read_scope(args.scope)
    with context.client() as client:
        word = args.word
        if not word:
            if not sys.stdin.isatty():
                msg = f"re-arming needs the word: give --word {REARM_WORD}, or run this on a terminal"
                raise SettingsError(msg)
            context.out.say(f"bolt: trading will go on for {args.scope}. Type {REARM_WORD} to lift the halt:")
            word = sys.stdin.readline().strip()
        command = Rearm(source=context.source, scope=scope, word=word, reason=args.reason)
        return context.report(client.submit(command))
