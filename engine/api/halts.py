"""Halts and re-arms as commands: what is tightened, what is lifted, and when the kill procedure runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.domain import commands as co
from engine.domain import events as ev
from engine.risk.kill_switch import scope_words
from engine.risk.latch import TripNote

if TYPE_CHECKING:
    from engine.api.engine import Engine


def halt(engine: Engine, command: co.Halt | co.Reduce) -> co.CommandResult:
    """Tighten a scope as a person asks; a halt runs the kill procedure, each time it is asked for."""
    who = command.source.name or command.source.kind.value
    state = ev.TradingState.HALTED if isinstance(command, co.Halt) else ev.TradingState.REDUCING
    procedure = command if isinstance(command, co.Halt) else None
    began = False
    if procedure is None or not procedure.drill:
        began = engine.trip(command.scope, state, "MANUAL", command.why or "asked", who, procedure)
    if procedure is not None and not began:
        engine.run_halt(procedure, engine.halt_id())
    held = engine.kill.cause_of(command.scope)
    stays = "stays" if held is not None and held.state is not state else "is"
    return co.CommandResult(
        ok=True, text=f"{scope_words(command.scope)} {stays} {(state if held is None else held.state).value}"
    )


def rearm(engine: Engine, command: co.Rearm) -> co.CommandResult:
    """Lift a scope where word, hold time and comparison allow it; journaled first, so that a crash leaves it tripped."""
    policy = engine.parts.policy.policy
    if policy is None:
        return _no("POLICY_NONE", "no policy is loaded; mend policy.yaml first")
    seen, notes = seen_trips(engine)
    if any(note.code == "SENTINEL" for note in notes):
        return _no("SENTINEL", "a file named HALT lies in the state folder; remove it, then re-arm")
    refusal = engine.kill.refuse_rearm(command, engine.clock.now_ns(), policy.whole("kill.rearm_hold_s"))
    if refusal is not None:
        return _no(refusal.code, refusal.text)
    if engine.picture.halts.is_at_work:
        # It would cancel what is sent behind the re-arm, and trip the latch once more where it began late.
        return _no("REARM_RUNNING", "a kill procedure is still at work; wait for its receipt, then re-arm")
    who = command.source.name or command.source.kind.value
    engine.record(
        ev.TradingStateChanged(
            scope=command.scope, state=ev.TradingState.ACTIVE, code="REARM", who=who, why=command.reason
        )
    )
    latch = engine.parts.latch
    if not latch.lift(command.scope, seen):
        why = latch.fault or latch.damage() or "the latch was tripped again meanwhile"
        return _no("REARM_RACE", f"{why}; look, then re-arm again")
    return co.CommandResult(ok=True, text=f"{scope_words(command.scope)} is active again")


def seen_trips(engine: Engine) -> tuple[int, list[TripNote]]:
    """How often the latch was tripped, all of it looked at and journaled, and the notes that were found.

    The number is read before the look: what another process trips while we look, or later, is not lifted.
    """
    latch = engine.parts.latch
    before, own = latch.trips(), latch.own_trips
    notes = engine.take_trips()
    return before + latch.own_trips - own, notes


def _no(code: str, text: str) -> co.CommandResult:
    return co.CommandResult(ok=False, code=code, text=text)
