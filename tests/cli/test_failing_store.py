"""A ledger that can no longer be written under a running engine: real processes, and the kernel's or SQLite's own refusal."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.launch import start_engine
from bolt_tui.settings import Home, child_environment, ensure_policy
from brokers.paper.venue_log import VenueLog
from brokers.paperbroker import PaperSession, ensure_venue, is_venue_running, stop_venue
from engine.domain.events import TradingState
from tests.cli.conftest import Ran
from tests.cli.test_halt import state
from tests.cli.test_live import end_child, pid_of_last, rest_an_order, status, wait_for_market
from tests.server.fakes import until
from tests.store.shop import run_sql, trade

Bolt = Callable[..., Ran]


@contextmanager
def full(home: Home, pid: int) -> Iterator[str]:
    """No file of the engine's may grow: to it the disk is full."""
    import resource

    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    yield "disk I/O error"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(home: Home, pid: int) -> Iterator[str]:
    """Another program holds the write lock for longer than a commit waits."""
    other = sqlite3.connect(home.ledger, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield "locked by another program"
    other.close()


@contextmanager
def read_only(home: Home, pid: int) -> Iterator[str]:
    """The files were made immutable: the kernel refuses writes also to who had them open."""
    files = [str(path) for path in (home.ledger, home.ledger.with_name("ledger.db-wal"))]
    subprocess.run(["chattr", "+i", *files], check=True)
    try:
        yield "disk I/O error"
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


def can_be_immutable() -> bool:
    """Only root may, and only where the file system keeps that flag."""
    if os.geteuid() != 0 or shutil.which("chattr") is None:
        return False
    probe = Path(__file__)
    return subprocess.run(["lsattr", str(probe)], capture_output=True, check=False).returncode == 0


KINDS: dict[str, Any] = {"locked": locked}
if hasattr(__import__("resource"), "prlimit"):  # Linux
    KINDS["full"] = full
if can_be_immutable():
    KINDS["read-only"] = read_only


@pytest.fixture
def live(home: Home) -> Iterator[Home]:
    """A folder with a running engine; afterwards neither engine nor venue is left."""
    ensure_policy(home)
    assert start_engine(home)
    yield home
    end_child()
    stop_venue(home.root)


def venue_orders(home: Home) -> int:
    """How many orders the venue has open, by its own word."""
    session = PaperSession(home.root)
    try:
        return len(session.open_orders())
    finally:
        session.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_ledger_that_fails_under_a_running_engine_stops_trading_and_says_so(
    bolt: Bolt, live: Home, kind: str
) -> None:
    wait_for_market(live)
    resting = rest_an_order(bolt)
    assert venue_orders(live) == 1
    with KINDS[kind](live, pid_of_last()) as words:
        unlucky = bolt("order", "b 20 AAPL @bid-5t", "--json")
        until(lambda: bool(status(bolt)["ledger_error"]), "the failure to be seen")
        until(lambda: venue_orders(live) == 0, "the cancels")
        shown = bolt("status")
        assert shown.code == Exit.HALTED
        assert "LEDGER FAILED" in shown.out
        assert words in shown.out
        assert state(live) is TradingState.HALTED
        assert (status(bolt)["halt"]["durable"], status(bolt)["durable_seq"] < status(bolt)["head_seq"]) == (
            False,
            True,
        )
        refused = bolt("order", "b 30 AAPL @bid-5t", "--json")
        assert (refused.code, refused.json["code"]) == (Exit.REFUSED, "LEDGER_UNHEALTHY")
        assert words in refused.json["text"]
        assert bolt("cancel", resting, "--json").json["ok"]
        assert bolt("cancel", "--all", "--json").json["ok"]
        rows = {row["order_id"]: row for row in bolt("orders", "--all", "--json").json["orders"]}
        if unlucky.json["ok"]:
            assert "never sent" in rows[unlucky.json["order_id"]]["note"]
        killed = bolt("kill", "--why", words, "--json")
        assert (killed.json["by"], killed.json["is_clean"]) == ("engine", True)
        assert killed.json["receipt"].get("durable", False) is False, "it does not claim what the ledger does not hold"
        note = status(bolt)["halt"]["note"]
        assert bool(killed.json["receipt_path"]) is not note.startswith("the receipt could not be written")
    assert bolt("stop", "--leave", "--json").json["ended"]
    end_child()
    assert start_engine(live), "what the next engine finds"
    until(lambda: [broker["state"] for broker in status(bolt)["brokers"]] == ["up"], "the comparison with the venue")
    after = bolt("status", "--json")
    assert after.code == Exit.HALTED, "it stays halted"
    assert after.json["ledger_error"] == ""
    assert words in after.json["halt"]["why"]
    (child,) = [row for row in bolt("orders", "--all", "--json").json["orders"] if row["parent_id"] == resting]
    assert child["state"] == "cancelled"
    assert bolt("stop", "--leave", "--json").json["ended"]
    assert bolt("ledger", "verify", "--json").json["ok"]
    memory = VenueLog(live.venue / "venue.log").read()
    assert memory is not None
    assert memory.venue.counters.orders == 1, "one order ever arrived"


@pytest.mark.parametrize("was_there", [False, True])
def test_an_engine_whose_ledger_does_not_hold_never_says_that_it_serves(home: Home, was_there: bool) -> None:
    """It said so, ended, and left a paper venue running that nobody had asked for. One that ran before it goes on."""
    trade(home.ledger)
    run_sql(home.ledger, "UPDATE journal SET hash = zeroblob(32) WHERE seq = 4")
    if was_there:
        ensure_venue(home.root)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "bolt_tui", "headless", "--seconds", "5"],
            capture_output=True, text=True, timeout=60, check=False, env=child_environment(home.root),
        )  # fmt: skip
        assert is_venue_running(home.root) is was_there
    finally:
        stop_venue(home.root)
    assert done.returncode == Exit.STORE
    assert "row 4" in done.stderr
    assert "serves" not in done.stderr
