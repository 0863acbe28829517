"""An engine that placed a bracket is killed at each step: what is bought is guarded at the venue, with no engine alive; also where the
venue dies with it and comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bolt_tui.wiring import projections
from brokers.paper.home import VenueLock
from brokers.paperbroker import PaperSession, ensure_venue
from engine.domain.clock import NS_PER_S, SystemClock
from engine.store.verify import verify
from tests.crash.bracket_child import QTY
from tests.crash.test_sigkill import ROOT, home

__all__ = ["home"]

STEPS = ("order_intent", "send", "order_acked", "order_filled")
POINTS = tuple(f"{when}:{step}" for step in STEPS for when in ("before", "after"))
QUICK = {"before:order_filled"}
QUICK_BOTH = {"after:send", "after:order_filled"}
BOTH = [[str(QTY), "limit"], [str(QTY), "stop"]]
DEADLINE_S = 20
NEVER = threading.Event()


def life(home: Path, point: str, *more: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.crash.bracket_child", str(home), point, *more]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def guarded(session: PaperSession) -> tuple[str, list[list[str]]]:
    """The position at the venue, and the exits that stand there with what is left of them."""
    held = {one.symbol: str(one.qty) for one in session.positions() if one.qty}
    exits = [[str(one.qty - one.qty_filled), one.type.value] for one in session.open_orders() if one.reduce_only]
    return held.get("AAPL", "0"), sorted(exits)


def allowed_after(point: str) -> list[tuple[str, list[list[str]]]]:
    """What may stand at the venue without an engine: nothing of the bracket, or all of it."""
    nothing, whole = ("0", list[list[str]]()), (str(QTY), BOTH)
    if point in {"before:order_intent", "after:order_intent", "before:send"}:
        return [nothing]
    # The last bytes may still have been the dead process's own.
    return [nothing, whole] if point == "after:send" else [whole]


@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p in QUICK else pytest.mark.proof) for p in POINTS], ids=lambda p: p
)
def test_a_killed_engine_leaves_its_stop_at_the_venue(home: Path, point: str) -> None:
    first = life(home, point)
    assert first.returncode == -9, f"the point was not reached: {first.stdout} {first.stderr}"
    keeps_its_protection(home, point)


@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p in QUICK_BOTH else pytest.mark.proof) for p in POINTS], ids=lambda p: p
)
def test_a_venue_killed_with_its_engine_comes_back_with_the_stop(home: Path, point: str) -> None:
    """Both processes die at the same point. The venue alone is started again: all of the bracket stands there, or none."""
    pid = holder(home)
    first = life(home, point, "--with-venue")
    assert first.returncode == -9, f"the point was not reached: {first.stdout} {first.stderr}"
    assert ensure_venue(home, options=("--no-latency",)), "the venue had died"
    assert holder(home) != pid
    keeps_its_protection(home, point)


def holder(home: Path) -> int:
    """Process of the venue."""
    lock = VenueLock(home)
    try:
        return lock.holder()
    finally:
        lock.release()


def keeps_its_protection(home: Path, point: str) -> None:
    """Without an engine all of the bracket comes to stand at the venue, or none; the next engine knows it."""
    session, clock = PaperSession(home), SystemClock()
    allowed = allowed_after(point)
    end_ns = clock.monotonic_ns() + DEADLINE_S * NS_PER_S
    while (found := guarded(session)) not in allowed and clock.monotonic_ns() < end_ns:
        NEVER.wait(0.01)
    assert found in allowed
    second = life(home, "none")
    assert second.returncode == 0, second.stderr
    state = json.loads(second.stdout.splitlines()[-1])
    assert (state["position"], state["exits"]) == guarded(session), "the next engine knows what guards it"
    assert state["exits"] == (BOTH if state["position"] == str(QTY) else [])
    session.close()
    assert verify(home / "ledger.db", projections).findings == ()
