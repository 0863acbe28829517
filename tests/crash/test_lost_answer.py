"""An order whose answer was lost, asked for again: it is reported and never sent a second time, whoever died."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bolt_tui.client import EngineClient
from bolt_tui.commands.exits import Exit
from bolt_tui.demo import is_ready
from bolt_tui.launch import _children, start_engine
from bolt_tui.settings import Home, child_environment, ensure_policy, open_home
from brokers.paper.venue_log import VenueLog
from brokers.paperbroker import ensure_venue, stop_venue
from tests.server.fakes import until

ROOT = Path(__file__).parents[2]
WORDS = "b 50 AAPL @take"
QUICK = {"after:send"}
KNOWN = {"before:order_placed": False, "after:order_placed": True, "before:send": True, "after:send": True}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = open_home(tmp_path / "h")
    ensure_policy(made)
    ensure_venue(made.root, options=("--no-latency",))
    yield made
    while _children:
        child = _children.pop()
        child.terminate()
        child.wait(20)
    stop_venue(made.root)


def run(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=child_environment(home.root), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def ask(home: Home, words: str = WORDS) -> tuple[int, dict[str, Any]]:
    done = run(home, "-m", "bolt_tui", "order", words, "--intent", "mine", "--json")
    return done.returncode, json.loads(done.stdout)


def wait_for_market(home: Home) -> None:
    def is_there() -> bool:
        with EngineClient(home.socket) as client:
            return is_ready(client.view())

    until(is_there, "the market")


def arrived(home: Home) -> list[tuple[str, str]]:
    """Orders that ever came to the venue, from its own log."""
    memory = VenueLog(home.venue / "venue.log").read()
    assert memory is not None
    return [(order.wire_id, order.status) for order in memory.venue.orders]


def ended(home: Home) -> str:
    """The order's state once the engine knows its end."""
    found = ""

    def is_told() -> bool:
        nonlocal found
        _, answer = ask(home)
        found = str(answer["state"])
        return found in {"filled", "cancelled", "killed"}

    until(is_told, "the end of the order")
    return found


@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p in QUICK else pytest.mark.proof) for p in KNOWN], ids=lambda p: p
)
def test_the_engine_dies_before_it_answers(home: Home, point: str) -> None:
    words = [sys.executable, "-m", "tests.crash.served", str(home.root), point]
    engine = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert engine.stdout is not None
        assert engine.stdout.readline() == "ready\n"
        wait_for_market(home)
        code, answer = ask(home)
        # Behind the send the answer may have been on its way already.
        assert (code, answer.get("code")) == (Exit.UNKNOWN, "UNKNOWN") or (point.endswith("send") and code == Exit.OK)
        assert engine.wait(20) == -9
    finally:
        engine.kill()
        engine.communicate()
    code, answer = ask(home)
    if KNOWN[point]:
        assert (code, answer["state"], answer["read_from"]) == (Exit.UNKNOWN, "unknown", "ledger")
        assert ask(home, "b 60 AAPL @take")[1]["code"] == "INTENT_REUSED"
    else:
        assert (code, answer["code"]) == (Exit.NO_ENGINE, "NO_ENGINE")
        assert "nothing was ever sent for it" in answer["text"]
    start_engine(home)
    wait_for_market(home)
    code, answer = ask(home)
    assert answer["repeated"] is KNOWN[point]
    state = ended(home)
    assert ask(home, "b 60 AAPL @take")[1]["code"] == "INTENT_REUSED"
    there = arrived(home)
    assert len(there) == (0 if state == "killed" else 1), f"{state}, and at the venue: {there}"
    if not KNOWN[point]:
        assert state == "filled", "never taken by the first engine, so this was its first time"


def test_the_client_dies_before_it_hears(home: Home) -> None:
    start_engine(home)
    wait_for_market(home)
    assert run(home, "-m", "tests.crash.asker", str(home.socket), "mine", WORDS).returncode == -9
    until(lambda: bool(arrived(home)), "the order")
    code, answer = ask(home)
    assert (code, answer["repeated"], answer["code"]) == (Exit.OK, True, "REPEATED")
    code, answer = ask(home, "s 50 AAPL @take")
    assert (code, answer["code"]) == (Exit.REFUSED, "INTENT_REUSED")
    assert ended(home) == "filled"
    assert len(arrived(home)) == 1
