"""Scopes, the strictest of journal and latch, and what a re-arm needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.commands import HaltScope, HaltScopeKind, Rearm
from engine.domain.events import ReconcileDone, TradingState, TradingStateChanged
from engine.domain.order import Source, SourceKind
from engine.risk.kill_switch import KillSwitch
from engine.risk.latch import GLOBAL, Latch

ACTIVE, REDUCING, HALTED = TradingState
SECOND = 1_000_000_000
CLI = Source(SourceKind.CLI, "anna")
AAPL = HaltScope(HaltScopeKind.SYMBOL, "AAPL")
PAPER = HaltScope(HaltScopeKind.ACCOUNT, "PAPER")
DIP = HaltScope(HaltScopeKind.STRATEGY, "Dip")
VWAP = HaltScope(HaltScopeKind.STRATEGY, "algo:vwap")


@pytest.fixture
def kill(tmp_path: Path) -> KillSwitch:
    return KillSwitch(Latch.open(tmp_path / "latch", ledger_used=False))


def trip(
    kill: KillSwitch,
    scope: HaltScope = GLOBAL,
    state: TradingState = HALTED,
    ts_s: int = 100,
    seq: int = 0,
    code: str = "MANUAL",
) -> None:
    """A trip; its row's number is its second where none is given, as rows and seconds both count up."""
    event = TradingStateChanged(scope=scope, state=state, code=code, who="anna", why="test")
    kill.apply(seq or ts_s, ts_s * SECOND, event)


def reconcile(kill: KillSwitch, ts_s: int, account: str = "PAPER", *, clean: bool = True, seq: int = 0) -> None:
    event = ReconcileDone(broker="paper", account=account, clean=clean, ts_ns=0)
    kill.apply(seq or ts_s, ts_s * SECOND, event)


def rearm(scope: HaltScope = GLOBAL, word: str = "REARM", reason: str = "mended", source: Source = CLI) -> Rearm:
    return Rearm(scope=scope, word=word, reason=reason, source=source)


@pytest.mark.parametrize("scope", [GLOBAL, AAPL, PAPER, DIP, VWAP])
@pytest.mark.parametrize("by_latch", [True, False])
def test_every_scope_covers_its_orders(kill: KillSwitch, scope: HaltScope, by_latch: bool) -> None:
    if by_latch:
        kill.latch.trip(scope, REDUCING)
    else:
        trip(kill, scope, REDUCING)
    assert kill.state_for("PAPER", "Dip", "AAPL", "vwap") is REDUCING
    others = ACTIVE if scope != GLOBAL else REDUCING
    assert kill.state_for("OTHER", "Else", "MSFT", "twap") is others
    assert kill.state_for("OTHER", "", "MSFT") is others


def test_the_strictest_wins(kill: KillSwitch) -> None:
    trip(kill, AAPL, HALTED)
    trip(kill, GLOBAL, REDUCING)
    assert kill.state_for("PAPER", "", "AAPL") is HALTED
    assert kill.state_for("PAPER", "", "MSFT") is REDUCING
    trip(kill, GLOBAL, ACTIVE)
    assert kill.state_for("PAPER", "", "AAPL") is HALTED
    assert kill.state_for("PAPER", "", "MSFT") is ACTIVE


def test_the_stricter_of_journal_and_latch_holds(kill: KillSwitch) -> None:
    trip(kill, GLOBAL, REDUCING)
    assert kill.state_for("PAPER", "", "AAPL") is REDUCING
    kill.latch.trip(GLOBAL, HALTED)
    assert kill.state_of(GLOBAL) is HALTED
    assert kill.unjournaled() == ((GLOBAL, HALTED),)
    trip(kill, GLOBAL, HALTED)
    assert kill.unjournaled() == ()


def test_start_up_tightens_the_latch_to_the_journal(kill: KillSwitch) -> None:
    trip(kill, AAPL, REDUCING)
    kill.push_to_latch()
    assert kill.latch.read((AAPL,)) is REDUCING
    trips = kill.latch.trips()
    kill.push_to_latch()
    assert kill.latch.trips() == trips


def test_a_state_lists_who_and_why(kill: KillSwitch) -> None:
    trip(kill, AAPL, REDUCING, seq=2)
    trip(kill, GLOBAL, HALTED, seq=3)
    assert [item.scope for item in kill.held()] == [AAPL, GLOBAL]
    cause = kill.cause_for("PAPER", "", "AAPL")
    assert cause is not None
    assert (cause.scope, cause.who, cause.why, cause.seq) == (GLOBAL, "anna", "test", 3)


def refusal(kill: KillSwitch, command: Rearm, now_s: int = 200) -> str:
    refused = kill.refuse_rearm(command, now_s * SECOND, 60)
    return refused.code if refused else ""


def test_a_re_arm_needs_word_reason_person_time_and_a_clean_reconciliation(kill: KillSwitch) -> None:
    assert refusal(kill, rearm()) == "REARM_ACTIVE"
    trip(kill)
    assert refusal(kill, rearm()) == "REARM_RECONCILE"
    reconcile(kill, 100)
    assert refusal(kill, rearm()) == "REARM_RECONCILE"
    reconcile(kill, 101, clean=False)
    assert refusal(kill, rearm()) == "REARM_RECONCILE"
    reconcile(kill, 102)
    assert refusal(kill, rearm()) == ""
    assert refusal(kill, rearm(word="rearm")) == "REARM_WORD"
    assert refusal(kill, rearm(reason="  ")) == "REARM_REASON"
    assert refusal(kill, rearm(source=Source(SourceKind.STRATEGY, "Dip"))) == "REARM_PERSON"
    assert refusal(kill, rearm(), now_s=159) == "REARM_HOLD"
    assert refusal(kill, rearm(), now_s=160) == ""
    assert kill.rearm_after_ns(GLOBAL, 60) == 160 * SECOND


def test_every_account_must_be_clean_for_everything_and_one_for_itself(kill: KillSwitch) -> None:
    trip(kill)
    trip(kill, PAPER)
    reconcile(kill, 150, "PAPER")
    reconcile(kill, 50, "OTHER")
    assert refusal(kill, rearm()) == "REARM_RECONCILE"
    trip(kill, GLOBAL, ACTIVE)
    assert refusal(kill, rearm(PAPER)) == ""


def test_a_lower_scope_cannot_lift_a_higher_one(kill: KillSwitch) -> None:
    trip(kill)
    trip(kill, AAPL)
    reconcile(kill, 150)
    assert refusal(kill, rearm(AAPL)) == "REARM_HIGHER"
    assert refusal(kill, rearm()) == ""


def test_a_trip_that_is_only_in_the_latch_must_be_journaled_first(kill: KillSwitch) -> None:
    kill.latch.trip()
    reconcile(kill, 150)
    assert refusal(kill, rearm()) == "REARM_JOURNAL"


def test_a_new_trip_starts_the_hold_time_again(kill: KillSwitch) -> None:
    trip(kill, ts_s=100)
    reconcile(kill, 150)
    trip(kill, ts_s=155)
    assert refusal(kill, rearm(), now_s=200) == "REARM_HOLD"
    assert refusal(kill, rearm(), now_s=300) == "REARM_RECONCILE"


@pytest.mark.parametrize("hour", [-3600, 3600])
def test_a_clock_that_jumps_neither_ends_nor_lengthens_a_hold(kill: KillSwitch, hour: int) -> None:
    """Set back by an hour, a halt could not be lifted for that hour; set ahead, its hold was over at once."""
    trip(kill, AAPL, ts_s=5000, seq=1)
    trip(kill, ts_s=5001, seq=2)
    trip(kill, ts_s=5010 + hour, seq=3, code="CLOCK_JUMP")
    reconcile(kill, 5011 + hour, seq=4)
    for scope in (GLOBAL, AAPL):
        assert refusal(kill, rearm(scope), now_s=5069 + hour) == "REARM_HOLD"
        assert refusal(kill, rearm(scope), now_s=5070 + hour) == ""
        assert kill.rearm_after_ns(scope, 60) == (5070 + hour) * SECOND
        trip(kill, GLOBAL, ACTIVE, seq=5)


def test_a_comparison_behind_a_trip_counts_whatever_the_clock_says(kill: KillSwitch) -> None:
    trip(kill, ts_s=100, seq=1)
    reconcile(kill, 90, seq=2)
    assert refusal(kill, rearm()) == ""
    trip(kill, ts_s=50, seq=3)
    assert refusal(kill, rearm()) == "REARM_RECONCILE"
