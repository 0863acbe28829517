"""A parent at work, told by a person: pause, go on, be more or less eager. Nothing here lifts what a halt has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.domain.commands import CommandResult, PauseOrder, ResumeOrder, SetUrgency
from engine.domain.order import URGENCIES, urged, urgency_of

if TYPE_CHECKING:
    from engine.api.engine import Engine
    from engine.store.order import Order

NO_PAUSE, NO_URGENCY = "NO_PAUSE", "NO_URGENCY"


def steer(engine: Engine, command: PauseOrder | ResumeOrder | SetUrgency) -> CommandResult:
    """Do what was asked of a working parent; refused by code where it is not worked over time, or is ending."""
    parent = engine.store.parents_open.get(command.order_id)
    if parent is None:
        known = engine.store.orders.get(command.order_id)
        said = "there is no such order" if known is None else f"it is {known.state.value}"
        said += f"; its parent {known.parent_id} is what is steered" if known is not None and known.parent_id else ""
        return _no("ILLEGAL", f"{command.order_id} is no parent at work: {said}", command.order_id)
    if parent.stopping:
        return _no(
            "ILLEGAL", f"{parent.order_id} is ending ({parent.note}); what was stopped does not go on", parent.order_id
        )
    who = command.source.name or command.source.kind.value
    match command:
        case PauseOrder():
            result = _pause(engine, parent, who)
        case ResumeOrder():
            result = _resume(engine, parent, who)
        case _:
            result = _urge(engine, parent, command.urgency, who)
    engine.agent.pump()
    return result


def _pause(engine: Engine, parent: Order, who: str) -> CommandResult:
    if not parent.spec.algo.duration_ns:
        said = f"{parent.order_id} is {parent.spec.algo.name}, not worked over time: there is nothing to pause; amend or cancel it"
        return _no(NO_PAUSE, said, parent.order_id)
    if parent.paused:
        return _yes(parent, "is paused already")
    engine.agent.pause(parent, who)
    return _yes(parent, "paused: it sends nothing, and what it had working is cancelled; its time runs on")


def _resume(engine: Engine, parent: Order, who: str) -> CommandResult:
    if not parent.paused:
        return _no("ILLEGAL", f"{parent.order_id} is not paused", parent.order_id)
    engine.agent.go_on(parent, who)
    return _yes(parent, "goes on by its schedule")


def _urge(engine: Engine, parent: Order, urgency: str, who: str) -> CommandResult:
    if urgency not in URGENCIES:
        return _no(NO_URGENCY, f"urgency was {urgency!r}; expected {', '.join(URGENCIES)}", parent.order_id)
    name = parent.spec.algo.name
    if "style" not in engine.agent.algo_of(parent).params:
        said = f"{parent.order_id} is {name}, which has no urgency: its price is what it is; amend it"
        return _no(NO_URGENCY, said, parent.order_id)
    if urgency_of(parent.spec) == urgency:
        return _yes(parent, f"is {urgency} already")
    refused = engine.agent.refuse(urged(parent.spec, urgency))
    if refused is not None:
        return CommandResult(
            ok=False,
            code=refused.code,
            text=refused.text,
            order_id=parent.order_id,
            state=parent.state,
            denials=(refused,),
        )
    engine.agent.set_urgency(parent, urgency, who)
    means = {"passive": "it rests and never takes", "take": "it never rests", "normal": "it rests, then takes"}
    return _yes(parent, f"is {urgency} from now on: {means[urgency]}")


def _yes(parent: Order, said: str) -> CommandResult:
    return CommandResult(ok=True, text=f"{parent.order_id} {said}", order_id=parent.order_id, state=parent.state)


def _no(code: str, said: str, order_id: str) -> CommandResult:
    return CommandResult(ok=False, code=code, text=said, order_id=order_id)
