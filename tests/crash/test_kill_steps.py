"""The halt is killed between each pair of its steps: the gate stays shut, the books agree, and a second halt finishes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bolt_tui.settings import Home
from bolt_tui.wiring import halt_here, projections
from brokers.paperbroker import PaperSession
from engine.domain.commands import Halt
from engine.domain.order import Source, SourceKind
from engine.store.verify import verify
from tests.crash.test_sigkill import ROOT, home

__all__ = ["home"]

STEPS = ("latch", "record", "sources", "look", "cancel", "exit", "account", "steps", "receipt")
POINTS = tuple(f"{when}:{step}" for step in STEPS for when in ("before", "after"))
QUICK = {"after:exit"}
NEVER_BEGUN = {"before:latch"}
"""Killed before the gate was shut: nothing was promised yet."""


def life(folder: Path, point: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.crash.kill_child", str(folder), point]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)


def venue(folder: Path) -> dict[str, Any]:
    """What the venue itself says."""
    session = PaperSession(folder)
    try:
        return {
            "working": sorted(order.wire_id for order in session.open_orders()),
            "position": str(sum(held.qty for held in session.positions() if held.symbol == "AAPL")),
            "cash": str(session.cash()["USD"]),
        }
    finally:
        session.close()


@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p in QUICK else pytest.mark.proof) for p in POINTS], ids=lambda p: p
)
def test_a_killed_halt_stays_shut_and_can_be_finished(home: Path, point: str) -> None:
    first = life(home, point)
    assert first.returncode == -9, f"the point was not reached: {first.stdout} {first.stderr}"
    second = life(home, "look")
    assert second.returncode == 0, second.stderr
    found = json.loads(second.stdout.splitlines()[-1])
    if point not in NEVER_BEGUN:
        assert found["halt"] == "halted"
        assert found["denied"][0] == "HALTED"
        there = venue(home)
        assert {name: found[name] for name in there} == there, "ledger and venue differ"
        assert there["position"] in {"0", "50"}, "an exit was sent twice or never"
    assert found["faults"] == []
    ended = halt_here(
        Home(home), Halt(source=Source(SourceKind.CLI, "anna"), why="again", flatten=True), record=lambda: True
    )
    assert ended["is_clean"], ended
    assert venue(home)["working"] == []
    assert venue(home)["position"] == "0"
    third = life(home, "look")
    assert third.returncode == 0, third.stderr
    found = json.loads(third.stdout.splitlines()[-1])
    assert {name: found[name] for name in ("working", "position", "cash")} == venue(home)
    assert verify(home / "ledger.db", projections).findings == ()
