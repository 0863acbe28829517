"""The gate: every new order, child, amendment and exit passes it last, before its intent is journaled.

It fails closed: what has no limit, no input, or a check that breaks, is denied. It never makes an order smaller.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.domain.commands import CheckResult, Denial
from engine.domain.events import AnyEvent, Decision
from engine.domain.money import ZERO_QTY, Qty
from engine.domain.order import OrderSpec, Source
from engine.risk.exposure import OpenOrder, RiskView
from engine.risk.kill_switch import KillSwitch
from engine.risk.policy import PolicyHolder


class Role(StrEnum):
    """What passes the gate."""

    PARENT = "parent"
    CHILD = "child"
    AMEND = "amend"
    FLATTEN = "flatten"
    """An exit of the kill procedure."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it would leave."""

    order_id: str
    role: Role
    spec: OrderSpec
    """For an amendment: the new terms, ``qty`` being the new total."""
    source: Source
    intent_id: str = ""
    parent_id: str = ""
    original: OpenOrder | None = None
    """For an amendment: the order as it stands."""
    qty_filled: Qty = ZERO_QTY
    """For an amendment: what the order has filled already."""
    confirmed: frozenset[str] = frozenset()
    why: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says, and on what it looked."""

    ok: bool
    denials: tuple[Denial, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    """Every control with its figures, where ``full`` was asked."""
    figures: dict[str, str] = {}
    """For a preview: notional, resulting position, quote age..."""
    decision: Decision


class RiskManager:
    """The gate over one view, one policy and one kill switch."""

    def __init__(self, view: RiskView, policy: PolicyHolder, kill: KillSwitch) -> None:
        self._view = view
        self._policy = policy
        self._kill = kill

    def on_event(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        """Follow the journal: counts of what was sent and decided, live and on rebuild alike."""

    def check(self, candidate: Candidate, now_ns: int, *, full: bool) -> Verdict:
        """Judge an order at ``now_ns``. ``full`` runs every control and lists it; otherwise the first denial ends it."""
        raise NotImplementedError
