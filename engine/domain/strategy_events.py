"""What strategies leave in the journal: when each was on, and what it must remember."""

from __future__ import annotations

import msgspec

from engine.domain.event import Event


class StrategyChanged(Event, frozen=True, kw_only=True, tag="strategy_changed"):
    """A strategy was started, stopped or disabled."""

    name: str
    state: str
    """``on``, ``off`` or ``disabled``."""
    why: str = ""
    params: dict[str, str] = msgspec.field(default_factory=dict)


class StrategySaved(Event, frozen=True, kw_only=True, tag="strategy_saved"):
    """A strategy's persisted state."""

    name: str
    data: dict[str, str]
