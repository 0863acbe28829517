"""What the ledger itself lives through: engines that take it and let go, and what decisions from there on refer to."""

from __future__ import annotations

from engine.domain.event import Event
from engine.domain.instrument import Instrument


class LedgerOpened(Event, frozen=True, kw_only=True, tag="ledger_opened"):
    """Always the first row."""

    ledger_id: str
    schema: int
    currency: str
    """Base currency of limits and totals."""


class EngineStarted(Event, frozen=True, kw_only=True, tag="engine_started"):
    """An engine took this ledger. ``clean`` says whether the one before it ended with EngineStopped."""

    clean: bool
    mode: str
    """``paper``, ``live`` or ``replay``."""


class EngineStopped(Event, frozen=True, kw_only=True, tag="engine_stopped"):
    """The engine let go of the ledger on purpose."""

    why: str


class PolicyLoaded(Event, frozen=True, kw_only=True, tag="policy_loaded"):
    """Limits in force from here on; the text makes the day provable without the file."""

    policy_hash: str
    text: str


class PolicyRefused(Event, frozen=True, kw_only=True, tag="policy_refused"):
    """A reload failed; the old policy stays."""

    error: str


class InstrumentDefined(Event, frozen=True, kw_only=True, tag="instrument_defined"):
    """An instrument as it is known from here on."""

    instrument: Instrument


class TapeAnchored(Event, frozen=True, kw_only=True, tag="tape_anchored"):
    """A market data file or chunk that decisions from here on refer to."""

    name: str
    sha256: str
    rows: int


class TapePruned(Event, frozen=True, kw_only=True, tag="tape_pruned"):
    """Days of the tape that were removed to keep what the settings allow: their chunks are missing rightly."""

    days: tuple[str, ...]
