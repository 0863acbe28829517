"""The kill switch: what the journal says of each scope, joined with the latch; the stricter of the two holds.

Scopes are global over account, strategy and symbol; the strictest that covers an order wins, so lifting a lower one never
lifts a higher one. Trips are latched: they end by a re-arm only (typed word, hold time, clean reconciliation, reason).
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.commands import HaltScope, HaltScopeKind, Rearm
from engine.domain.events import AnyEvent, ReconcileDone, Routes, TradingState, TradingStateChanged
from engine.risk.latch import GLOBAL, RANK, Latch, stricter

REARM_WORD = "REARM"
CLOCK_JUMP = "CLOCK_JUMP"
"""Code of the trip by a wall clock that jumped."""
ACTIVE, HALTED = TradingState.ACTIVE, TradingState.HALTED


class ScopeState(msgspec.Struct, frozen=True, kw_only=True):
    """Why and since when a scope is not active."""

    scope: HaltScope
    state: TradingState
    code: str
    who: str
    why: str
    ts_ns: int
    hold_from_ns: int
    """When its hold time began: with it, or with the last jump of the clock since."""
    seq: int

    @property
    def told(self) -> tuple[TradingState, str, str, str]:
        """State, code, who and why: what makes two words about a scope the same word."""
        return self.state, self.code, self.who, self.why


class RearmRefusal(msgspec.Struct, frozen=True):
    """Why a re-arm is not taken, with the next step."""

    code: str
    text: str


class KillSwitch:
    """States of all scopes. ``apply`` follows the journal; nothing here writes."""

    __slots__ = ("_clean_seq", "_states", "latch", "routes")

    def __init__(self, latch: Latch) -> None:
        self.latch = latch
        self._states: dict[HaltScope, ScopeState] = {}
        self._clean_seq: dict[tuple[str, str], int] = {}
        self.routes: Routes = {TradingStateChanged: self._change, ReconcileDone: self._reconciled}

    def apply(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        """Take in a journaled event."""
        handler = self.routes.get(event.__class__)
        if handler is not None:
            handler(seq, ts_ns, event)

    def _reconciled(self, seq: int, _ts_ns: int, event: ReconcileDone) -> None:
        # The row's number and not its time: whether it came behind a trip must not depend on a clock that may have jumped.
        self._clean_seq[event.broker, event.account] = seq if event.clean else 0

    def _change(self, seq: int, ts_ns: int, event: TradingStateChanged) -> None:
        if event.state is ACTIVE:
            self._states.pop(event.scope, None)
            return
        if event.code == CLOCK_JUMP:
            # By the clock of now an hour may have passed since a trip, or have to pass once more: each hold begins anew.
            for scope, held in self._states.items():
                self._states[scope] = msgspec.structs.replace(held, hold_from_ns=ts_ns)
        self._states[event.scope] = ScopeState(
            scope=event.scope,
            state=event.state,
            code=event.code,
            who=event.who,
            why=event.why,
            ts_ns=ts_ns,
            hold_from_ns=ts_ns,
            seq=seq,
        )

    def state_for(self, account: str, strategy: str, symbol: str, algo: str = "") -> TradingState:
        """What holds for an order: the strictest of every scope that covers it, in memory and in the latch."""
        scopes = scopes_of(account, strategy, symbol, algo)
        strictest = self.latch.read(scopes)
        if strictest is HALTED or not self._states:
            return strictest
        for scope in (GLOBAL, *scopes):
            held = self._states.get(scope)
            if held is not None:
                strictest = stricter(strictest, held.state)
        return strictest

    def is_tripped(self) -> bool:
        """Whether any scope is not active, by the journal or in the latch."""
        return bool(self._states) or not self.latch.is_clear()

    def state_of(self, scope: HaltScope) -> TradingState:
        """State of one scope by itself, stricter of journal and latch."""
        held = self._states.get(scope)
        journal = held.state if held else ACTIVE
        if scope.kind is HaltScopeKind.GLOBAL:
            return stricter(journal, self.latch.read())
        # The latch answers for the global scope too: where that is tripped, its part is not this scope's own.
        return journal if self.latch.read() is not ACTIVE else stricter(journal, self.latch.read((scope,)))

    def held(self) -> tuple[ScopeState, ...]:
        """Every scope that the journal says is not active, oldest first."""
        return tuple(sorted(self._states.values(), key=lambda item: item.seq))

    def cause_of(self, scope: HaltScope) -> ScopeState | None:
        """Why one scope by itself is not active, by the journal; None where it is."""
        return self._states.get(scope)

    def cause_for(self, account: str, strategy: str, symbol: str, algo: str = "") -> ScopeState | None:
        """The journaled scope behind :meth:`state_for`, strictest and widest first; None where only the latch says so."""
        found = [self._states.get(scope) for scope in (GLOBAL, *scopes_of(account, strategy, symbol, algo))]
        held = [item for item in found if item is not None]
        return max(held, key=lambda item: RANK[item.state]) if held else None

    def unjournaled(self) -> tuple[tuple[HaltScope, TradingState], ...]:
        """Scopes that the latch holds stricter than the journal: tripped by another process, to be journaled."""
        found = []
        for entry in self.latch.entries():
            scope = HaltScope(entry.kind, entry.name)
            held = self._states.get(scope)
            if RANK[entry.state] > RANK[held.state if held else ACTIVE]:
                found.append((scope, entry.state))
        return tuple(found)

    def push_to_latch(self) -> None:
        """At start-up: tighten the latch to what the journal says (the mapped bytes may have missed a power cut)."""
        for item in self.held():
            if RANK[self.state_in_latch(item.scope)] < RANK[item.state]:
                self.latch.trip(item.scope, item.state)

    def state_in_latch(self, scope: HaltScope) -> TradingState:
        """What the latch says of a scope and the global one."""
        return self.latch.read(() if scope.kind is HaltScopeKind.GLOBAL else (scope,))

    def rearm_after_ns(self, scope: HaltScope, hold_s: int) -> int:
        """Earliest time at which a re-arm of this scope is taken; 0 where nothing is journaled of it."""
        held = self._states.get(scope)
        return held.hold_from_ns + hold_s * NS_PER_S if held else 0

    def refuse_rearm(self, command: Rearm, now_ns: int, hold_s: int) -> RearmRefusal | None:
        """Why this re-arm is not taken; None where it is. The caller journals it, then lifts the latch."""
        scope = command.scope
        if not command.source.kind.is_person:
            return RearmRefusal("REARM_PERSON", f"{command.source.kind} cannot re-arm; a person at the desk or CLI can")
        if command.word != REARM_WORD:
            return RearmRefusal("REARM_WORD", f"the word was {command.word!r}; type {REARM_WORD}")
        if not command.reason.strip():
            return RearmRefusal("REARM_REASON", "a re-arm needs a reason; say what was found and done")
        if self.state_of(scope) is ACTIVE:
            return RearmRefusal("REARM_ACTIVE", f"{scope_words(scope)} is active; there is nothing to re-arm")
        if scope.kind is not HaltScopeKind.GLOBAL and self.state_of(GLOBAL) is HALTED:
            return RearmRefusal("REARM_HIGHER", "global is halted; a lower scope cannot lift it, re-arm global first")
        return self._refuse_time(scope, now_ns, hold_s)

    def _refuse_time(self, scope: HaltScope, now_ns: int, hold_s: int) -> RearmRefusal | None:
        held = self._states.get(scope)
        if held is None:
            return RearmRefusal("REARM_JOURNAL", f"the trip of {scope_words(scope)} is not journaled yet; try again")
        wait_ns = held.hold_from_ns + hold_s * NS_PER_S - now_ns
        if wait_ns > 0:
            seconds = -(-wait_ns // NS_PER_S)
            return RearmRefusal("REARM_HOLD", f"hold time: {seconds} s left of {hold_s} s since the trip")
        dirty = [
            f"{broker}/{account}"
            for (broker, account), clean_seq in sorted(self._clean_seq.items())
            if clean_seq <= held.seq and (scope.kind is not HaltScopeKind.ACCOUNT or scope.name == account)
        ]
        if dirty or not self._clean_seq:
            where = ", ".join(dirty) or "any broker"
            text = f"no clean reconciliation of {where} since the trip; run `bolt reconcile`"
            return RearmRefusal("REARM_RECONCILE", text)
        return None


@lru_cache(maxsize=4096)
def scopes_of(account: str, strategy: str, symbol: str, algo: str = "") -> tuple[HaltScope, ...]:
    """Scopes below global that cover an order. An algorithm's scope is a strategy named ``algo:vwap``."""
    found = [HaltScope(HaltScopeKind.ACCOUNT, account), HaltScope(HaltScopeKind.SYMBOL, symbol)]
    if strategy:
        found.append(HaltScope(HaltScopeKind.STRATEGY, strategy))
    if algo:
        found.append(HaltScope(HaltScopeKind.STRATEGY, f"algo:{algo}"))
    return tuple(found)


def scope_words(scope: HaltScope) -> str:
    """``global`` or ``symbol AAPL``."""
    return str(scope.kind) if scope.kind is HaltScopeKind.GLOBAL else f"{scope.kind} {scope.name}"
