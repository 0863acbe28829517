"""Parents that wait in the engine: suspended where their trigger passed unseen, and released by a person."""

from __future__ import annotations

from engine.domain.event import Event


class ParentSuspended(Event, frozen=True, kw_only=True, tag="parent_suspended"):
    """What a parent waited for passed while no engine was up: it is not fired late, a person releases or cancels it."""

    order_id: str
    why: str


class ParentReleased(Event, frozen=True, kw_only=True, tag="parent_released"):
    """A person let a suspended parent go on."""

    order_id: str
    who: str


class ApprovalAsked(Event, frozen=True, kw_only=True, tag="approval_asked"):
    """A staged order waits for a second person (C31)."""

    order_id: str
    order_hash: str
    """Of its exact terms and its author."""
    who: str


class OrderApproved(Event, frozen=True, kw_only=True, tag="order_approved"):
    """A second person approved exactly that order."""

    order_id: str
    order_hash: str
    who: str


class ParentPaused(Event, frozen=True, kw_only=True, tag="parent_paused"):
    """A person paused a parent that is worked over time: it sends nothing, and what it had working is cancelled."""

    order_id: str
    who: str


class ParentResumed(Event, frozen=True, kw_only=True, tag="parent_resumed"):
    """A person let a paused parent go on by its schedule."""

    order_id: str
    who: str


class UrgencySet(Event, frozen=True, kw_only=True, tag="urgency_set"):
    """A person changed how a parent's algorithm trades, as far as its parameters allow."""

    order_id: str
    urgency: str
    """``passive``, ``normal`` or ``take``."""
    who: str


ParentEvent = (
    ParentSuspended | ParentReleased | ParentPaused | ParentResumed | UrgencySet | ApprovalAsked | OrderApproved
)
