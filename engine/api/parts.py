"""What an engine is built from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from engine.domain import events as ev
from engine.domain.clock import Clock
from engine.domain.commands import Halt
from engine.execution.execution_agent import Weights
from engine.intake.strategy_base import Strategy
from engine.market.fees import FeeSchedule
from engine.market.history import History
from engine.market.sessions import Sessions
from engine.oms import broker_interface as bi
from engine.risk.latch import Latch, TripNote
from engine.risk.policy import PolicyHolder
from engine.store.journal import Journal

TakeNotes = Callable[[], list[TripNote]]
"""Trip files, each told once, and the sentinel, told for as long as it lies there."""
Halter = Callable[[Halt, str], None]
"""Runs the kill procedure behind a shut gate: the command and the halt's id."""


class EngineParts(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is built from."""

    journal: Journal
    clock: Clock
    brokers: Mapping[str, bi.Broker]
    policy: PolicyHolder
    latch: Latch
    mode: str
    """``paper``, ``live`` or ``replay``."""
    weights: Weights
    """Expected volume over a span."""
    history: History = msgspec.field(default_factory=History)
    sessions: Sessions = msgspec.field(default_factory=Sessions)
    """Calendars of the instruments; one that is missing is asked for."""
    take_notes: TakeNotes = list
    pid: int = 0
    """Of the process, for people; 0 in a replay."""
    halter: Halter | None = None
    strategies: Mapping[str, type[Strategy]] = {}
    """What may be started, by name."""
    fees: Mapping[str, FeeSchedule] = {}
    """Rates by MIC, for what an order would pay; the venue's own statement is what is booked."""
    told: Mapping[type[msgspec.Struct], Callable[[int, int, ev.AnyEvent], None]] = {}
    """Who else hears of a kind of event as it is journaled; it must return at once and decides nothing."""
