"""A real engine is killed at each step and started again on the same ledger, against a venue that lived on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bolt_tui.wiring import projections
from brokers.paperbroker import PaperSession, ensure_venue, stop_venue
from engine.store.verify import verify

ROOT = Path(__file__).parents[2]
STEPS = (
    "order_placed", "send", "order_acked", "order_filled", "amend_intent", "amend", "order_amended", "amend_placed",
    "cancel_placed", "cancel", "order_cancelled", "parent_ended",
)  # fmt: skip
POINTS = tuple(f"{when}:{step}" for step in STEPS for when in ("before", "after"))
QUICK = {"after:order_placed", "after:send", "before:order_filled"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "h"
    folder.mkdir(mode=0o700)
    ensure_venue(folder, options=("--no-latency",))
    yield folder
    stop_venue(folder)


def life(home: Path, point: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.crash.child", str(home), point]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p in QUICK else pytest.mark.proof) for p in POINTS], ids=lambda p: p
)
def test_killed_engine_loses_and_doubles_nothing(home: Path, point: str) -> None:
    first = life(home, point)
    assert first.returncode == -9, f"the point was not reached: {first.stdout} {first.stderr}"
    second = life(home, "none")
    assert second.returncode == 0, second.stderr
    state = json.loads(second.stdout.splitlines()[-1])
    session = PaperSession(home)
    assert session.open_orders() == ()
    held = {position.symbol: str(position.qty) for position in session.positions() if position.qty}
    assert held.get("AAPL", "0") == state["position"]
    assert str(session.cash()["USD"]) == state["cash"]
    session.close()
    assert state["faults"] == []
    filled = [order for order in state["orders"].values() if order[1] != "0"]
    assert len(filled) <= 1, f"the same intent was filled twice: {state['orders']}"
    assert state["position"] in {"0", "50"}
    assert verify(home / "ledger.db", projections).findings == ()
