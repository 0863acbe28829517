"""The real thing: engines in processes of their own, the paper venue, and nothing left behind."""

import argparse
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bolt_tui.client import EngineClient
from bolt_tui.commands.context import Context
from bolt_tui.commands.desk import leave
from bolt_tui.commands.engine import report_end
from bolt_tui.commands.exits import Exit
from bolt_tui.demo import is_ready, run_demo
from bolt_tui.launch import EngineNotStarted, _children, is_running, start_engine
from bolt_tui.output import Output
from bolt_tui.session_report import summary
from bolt_tui.settings import Home, child_environment, ensure_policy
from bolt_tui.stopping import Ended
from brokers.paper.home import VenueLock
from brokers.paperbroker import ensure_venue, stop_venue
from engine.domain.errors import SettingsError, StoreError, StoreLocked
from engine.domain.events import TradingState
from engine.store.lock import LedgerLock
from engine.views import HaltView
from tests.cli.conftest import Ran
from tests.cli.test_halt import state
from tests.server.fakes import until

Bolt = Callable[..., Ran]


def pid_of_last() -> int:
    return _children[-1].pid


def end_child() -> None:
    """Reap the last engine started here; kill it where a test left it hanging."""
    child = _children.pop()
    if child.poll() is None:
        child.send_signal(signal.SIGCONT)
        child.kill()
    child.wait(20)


@pytest.fixture
def live(home: Home) -> Iterator[Home]:
    """A folder with a running engine; afterwards neither engine nor venue is left."""
    ensure_policy(home)
    assert start_engine(home)
    yield home
    end_child()
    stop_venue(home.root)


def status(bolt: Bolt) -> dict[str, Any]:
    return bolt("status", "--json").json


def wait_for_market(home: Home) -> None:
    """Until the broker is reconciled and AAPL has a price."""

    def is_tradable() -> bool:
        with EngineClient(home.socket) as client:
            view = client.view()
        return is_ready(view) and any(row.symbol == "AAPL" and row.bid and not row.stale for row in view.quotes)

    until(is_tradable, "the market")


def rest_an_order(bolt: Bolt) -> str:
    """An order so far below the market that it does not come there, until the venue has it."""
    order_id = bolt("order", "b 10 AAPL @bid-50t", "--json").json["order_id"]

    def is_working() -> bool:
        rows = bolt("orders", "--json").json["orders"]
        children = [row for row in rows if row["parent_id"] == order_id]
        return [row["state"] for row in children] == ["new"]

    until(is_working, "the resting order")
    return str(order_id)


def test_an_engine_trades_is_asked_from_outside_and_ends(bolt: Bolt, live: Home) -> None:
    wait_for_market(live)
    filled = bolt("order", "b 10 AAPL @take", "--intent", "mine-1", "--wait", "15", "--json")
    assert (filled.code, filled.json["state"]) == (Exit.OK, "filled")
    again = bolt("order", "b 10 AAPL @take", "--intent", "mine-1", "--json")
    assert (again.json["order_id"], again.json["repeated"]) == (filled.json["order_id"], True)
    assert bolt("positions", "--json").json["positions"][0]["qty"] == "10"
    assert sum(int(fill["qty"]) for fill in bolt("fills", "--json").json["fills"]) == 10
    resting = rest_an_order(bolt)
    undecided = bolt("stop", "--json")
    assert (undecided.code, undecided.json["code"]) == (Exit.USAGE, "SettingsError")
    assert "1 order is at the venue: say --cancel" in undecided.err
    assert bolt("cancel", resting, "--json").json["ok"]
    until(lambda: status(bolt)["orders_working"] == 0, "the cancel")
    ended = bolt("stop", "--json")
    assert (ended.code, ended.json["ended"], ended.json["left"]) == (Exit.OK, True, 0)
    how_real = ended.json["realism"]
    assert how_real["P06 queue position"] == "on: exact, from the orders themselves"
    assert how_real["fills"] != "0", "the venue's own count, not the ledger's"
    assert " 0 messages" not in how_real["P01 latency"]
    assert not is_running(live)
    until(lambda: not live.socket.exists(), "the end of the socket")
    assert bolt("status").code == Exit.NO_ENGINE
    proof = bolt("ledger", "verify", "--json")
    assert (proof.code, proof.json["ok"]) == (Exit.OK, True)


def test_a_stop_says_what_became_of_everything(bolt: Bolt, live: Home) -> None:
    wait_for_market(live)
    resting = rest_an_order(bolt)
    assert bolt("order", "b 200 AAPL @bid-9t twap 30m slices=3").code == Exit.OK
    undecided = bolt("stop")
    assert undecided.code == Exit.USAGE
    assert "1 algorithm is open: say --cancel" in undecided.err
    left = bolt("stop", "--leave", "--json").json
    assert (left["ended"], left["cancelled"], left["algorithms"]) == (True, 0, 1)
    assert left["left"] == len(left["orders_left"]) >= 1
    assert any("AAPL" in words for words in left["orders_left"])
    assert "orders sent" in left["realism"]["session"]
    assert venue_is_gone(live)
    end_child()
    assert start_engine(live)
    wait_for_market(live)
    assert resting in {row["order_id"] for row in bolt("orders", "--json").json["orders"]}
    ended = bolt("stop", "--cancel", "--json")
    assert (ended.code, ended.json["left"], ended.json["algorithms"]) == (Exit.OK, 0, 0)
    assert ended.json["cancelled"] >= left["left"]
    assert json.loads(live.realism.read_bytes())["session"]["is_clean"]
    session, how_real = summary(live)
    assert "orders sent" in session
    assert how_real.startswith("how real it was: simulated market (L3), 0 fills of which 0 guessed; off: ")
    assert how_real.endswith(f"effect by effect in {live.realism}")
    assert venue_is_gone(live)
    said = io.StringIO()
    desk = Context(argparse.Namespace(), Output(said, io.StringIO(), json=False))
    report_end(desk, live, Ended(ended=True, pid=1, cancelled=1), cancel=True, is_short=True)
    assert said.getvalue().splitlines() == [
        "the engine has ended; of its orders 1 cancelled",
        f"how real the session was stands in {live.realism}",
    ], "after a desk that fits a screen"


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
def test_a_stop_ends_the_venue_of_a_dead_engine_and_not_that_of_a_hung_one(
    bolt: Bolt, live: Home, fate: signal.Signals
) -> None:
    wait_for_market(live)
    rest_an_order(bolt)
    os.kill(pid_of_last(), fate)
    if fate is signal.SIGKILL:
        _children[-1].wait(20)
    ran = bolt("stop", "--leave")
    assert ran.code == Exit.NO_ENGINE
    assert venue_is_gone(live) is (fate is signal.SIGKILL)
    if fate is signal.SIGKILL:
        assert "it did not end cleanly" in ran.err, "the crashed session has its report too"
    else:
        assert f"process {pid_of_last()} holds the ledger" in ran.err


def test_leaving_a_desk_whose_engine_died_says_what_works_and_cancels_it_where_asked(bolt: Bolt, live: Home) -> None:
    wait_for_market(live)
    rest_an_order(bolt)
    os.kill(pid_of_last(), signal.SIGKILL)
    _children[-1].wait(20)

    def left(choice: str, halted: HaltView | None = None) -> tuple[Exit, str, str]:
        data, words = io.StringIO(), io.StringIO()
        desk = Context(argparse.Namespace(), Output(data, words, json=False))
        return leave(desk, live, choice, None, halted), data.getvalue(), words.getvalue()

    code, _, words = left("leave")
    assert code == Exit.INCOMPLETE
    assert "1 order is left at the venue" in words
    assert "`bolt kill` halts" in words
    halted = HaltView(state="halted", found=1, cancels_confirmed=1, receipt_path="K1.json")
    code, _, words = left("leave", halted)
    assert code == Exit.OK
    assert "1 of 1 order gone at the venue, 0 still open" in words
    assert "left at the venue" not in words
    assert left("leave", msgspec.structs.replace(halted, verified=False))[0] == Exit.INCOMPLETE
    assert not venue_is_gone(live)
    code, receipt, _ = left("stop_cancel")
    assert code == Exit.OK
    assert "clean: nothing works any more" in receipt
    (made,) = live.receipts.glob("*.json")
    assert f"receipt: {made}" in receipt
    assert json.loads(made.read_bytes())["brokers"][0]["cancelled"] == 1
    assert state(live) is TradingState.HALTED
    assert venue_is_gone(live)


def test_an_order_beyond_the_limits_is_denied_with_its_line(bolt: Bolt, live: Home) -> None:
    wait_for_market(live)
    ran = bolt("order", "b $900m AAPL @mkt", "--json")
    assert ran.code == Exit.REFUSED
    assert any(denial["policy_line"].startswith("policy.yaml:") for denial in ran.json["denials"])


def test_a_second_engine_attaches_or_refuses_and_never_shares_the_ledger(live: Home) -> None:
    assert start_engine(live) is False
    _children.pop().wait(20)
    with pytest.raises(StoreError):
        LedgerLock(live.ledger).release()


def test_a_kill_halts_the_engine_with_a_receipt(bolt: Bolt, live: Home) -> None:
    wait_for_market(live)
    rest_an_order(bolt)
    ran = bolt("kill", "--why", "a test", "--json")
    assert (ran.code, ran.json["by"], ran.json["is_clean"]) == (Exit.OK, "engine", True), ran.json
    assert Path(ran.json["receipt_path"]).is_file()
    assert bolt("order", "b 10 AAPL @take", "--json").code == Exit.HALTED
    assert bolt("status").code == Exit.HALTED


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
def test_a_kill_needs_no_engine(bolt: Bolt, live: Home, fate: signal.Signals) -> None:
    """Dead or hung, the orders at the venue are cancelled by a session of the command's own."""
    wait_for_market(live)
    rest_an_order(bolt)
    os.kill(pid_of_last(), fate)
    if fate is signal.SIGKILL:
        _children[-1].wait(20)
    ran = bolt("kill", "--json")
    assert (ran.code, ran.json["by"], ran.json["is_clean"]) == (Exit.OK, "here", True), ran.json
    assert ran.json["receipt"]["brokers"][0]["found"] == 1
    assert state(live) is TradingState.HALTED


@pytest.mark.parametrize("lost", ["policy", "ledger", "settings"])
def test_a_kill_needs_no_file_of_the_engine(bolt: Bolt, live: Home, lost: str) -> None:
    """Orders are cancelled whatever has become of policy, ledger and settings; without a policy nothing is flattened."""
    wait_for_market(live)
    rest_an_order(bolt)
    os.kill(pid_of_last(), signal.SIGKILL)
    _children[-1].wait(20)
    path = {"policy": live.policy, "ledger": live.ledger, "settings": live.settings}[lost]
    path.write_bytes(b"\x00 this is none [")
    ran = bolt("kill", "--flatten", "--json")
    assert (ran.code, ran.json["by"], ran.json["is_clean"]) == (Exit.OK, "here", True), ran.json
    assert ran.json["receipt"]["brokers"][0]["found"] == 1
    assert ("no policy could be read" in ran.json["text"]) is (lost == "policy")
    assert state(live) is TradingState.HALTED


def test_a_start_that_fails_says_why_with_the_last_words(home: Home) -> None:
    home.policy.write_text("nonsense: 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"policy\.yaml"):
        start_engine(home)
    _children.pop().wait(20)
    home.policy.unlink()
    home.ledger.write_bytes(b"this is no ledger" * 100)
    with pytest.raises((StoreError, EngineNotStarted), match="its last words"):
        start_engine(home)
    _children.pop().wait(20)
    stop_venue(home.root)


# -- headless ------------------------------------------------------------------------------------------------------------


def command(home: Home | None, *words: str) -> subprocess.Popen[str]:
    env = child_environment(home.root if home else Path())
    if home is None:
        del env["BOLT_HOME"]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "bolt_tui", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )


def venue_is_gone(home: Home) -> bool:
    lock = VenueLock(home.root)
    try:
        return lock.take()
    finally:
        lock.release()


def test_the_demo_prints_its_session_proves_its_ledger_and_leaves_nothing(tmp_path: Path) -> None:
    env = {name: value for name, value in child_environment(tmp_path).items() if name != "BOLT_HOME"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bolt_tui", "headless", "--demo"],
        capture_output=True, text=True, timeout=120, check=False, env={**env, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == Exit.OK, done.stderr
    for word in (
        "ORDERS",
        "FILLS",
        "POSITIONS",
        "P&L",
        "REALISM",
        "LEDGER",
        "DENIED",
        "every hash, link and projection",
    ):
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_demo_speaks_json(home: Home) -> None:
    with command(home, "headless", "--demo", "--json") as running:
        out, err = running.communicate(timeout=120)
    assert running.returncode == Exit.OK, err
    (line,) = out.splitlines()
    made = json.loads(line)
    assert (made["schema"], made["type"], made["ok"], made["ledger"]["ok"]) == (1, "demo", True, True)
    assert venue_is_gone(home)


def test_a_demo_that_an_engine_is_in_the_way_of_leaves_its_venue(home: Home) -> None:
    """The engine holds the ledger, and its orders work at that venue."""
    ensure_policy(home)
    assert ensure_venue(home.root)
    held = LedgerLock(home.ledger)
    try:
        with pytest.raises(StoreLocked, match="held by another engine"):
            run_demo(home, Output(io.StringIO(), io.StringIO(), json=False))
        assert not venue_is_gone(home)
    finally:
        held.release()
        stop_venue(home.root)


def test_headless_lines_are_json_and_a_signal_ends_it(home: Home, bolt: Bolt) -> None:
    with command(home, "headless") as running:
        assert running.stdout is not None
        try:
            ready, _, _ = select.select([running.stdout], [], [], 30)
            assert ready, "no line within 30 s"
            assert json.loads(running.stdout.readline())["type"] == "status"
            wait_for_market(home)
            assert bolt("order", "b 10 AAPL @take", "--wait", "15").code == Exit.OK
            running.send_signal(signal.SIGTERM)
            out, err = running.communicate(timeout=30)
        finally:
            running.kill()
            stop_venue(home.root)
    lines = [json.loads(line) for line in out.splitlines()]
    assert running.returncode == Exit.OK, err
    assert {"event", "order", "fill", "status", "realism"} == {line["type"] for line in lines}
    assert lines[-1]["type"] == "realism"
    assert lines[-1]["effects"]["fills"] != "0"
    events = [line for line in lines if line["type"] == "event"]
    assert [line["seq"] for line in events] == list(range(events[0]["seq"], events[0]["seq"] + len(events)))
    assert events[-1]["kind"] == "engine_stopped"


def test_headless_ends_by_itself_after_its_seconds(home: Home) -> None:
    with command(home, "headless", "--seconds", "0.5") as running:
        _, err = running.communicate(timeout=60)
    assert running.returncode == Exit.OK, err
    assert "the engine has ended" in err
    assert venue_is_gone(home), "a clean end leaves no process"


def test_the_settings_start_strategies_with_the_engine(home: Home, bolt: Bolt) -> None:
    home.settings.write_text("strategies: {BuyTheDip: {symbol: AAPL}}\n", encoding="utf-8")
    ensure_policy(home)
    assert start_engine(home)
    try:
        assert "strategy BuyTheDip: on" in bolt("status").out
    finally:
        end_child()
        stop_venue(home.root)


def test_a_bad_policy_changes_nothing_in_a_running_engine(bolt: Bolt, live: Home) -> None:
    """Edited while it trades: the answer names file, line and expectation, and the limits in force stay."""
    wait_for_market(live)
    words = live.policy.read_text(encoding="utf-8")
    before = status(bolt)["policy_hash"]
    spoiled = {
        "max_qty: 20_000": ("max_qty: lots", r"policy\.yaml:\d+: order\.max_qty was 'lots'; expected a quantity"),
        "  max_day: 250_000": ("  max_dya: 250_000", r"loss\.max_dya was an unknown key|loss\.max_dya: an unknown key"),
        "  max_count: 200 ": ("  max_count: 200\n  max_count: 300 ", r"open_orders\.max_count was given twice"),
        "  live: false": ("", r"arm\.live was missing; expected true or false"),
    }
    for old, (new, told) in spoiled.items():
        assert old in words
        live.policy.write_text(words.replace(old, new, 1), encoding="utf-8")
        ran = bolt("policy", "reload", "--json")
        assert (ran.code, ran.json["code"]) == (Exit.REFUSED, "POLICY_REFUSED")
        assert re.search(told, ran.json["text"]), ran.json["text"]
        assert bolt("policy", "check", "--json").json["ok"] is False
        shown = status(bolt)
        assert shown["policy_hash"] == before
        assert re.search(told, shown["policy_error"])
    assert bolt("order", "b 10 AAPL @take", "--wait", "15").code == Exit.OK
    live.policy.write_text(words.replace("max_qty: 20_000", "max_qty: 5", 1), encoding="utf-8")
    assert bolt("policy", "reload", "--json").json["ok"]
    after = status(bolt)
    assert (after["policy_hash"] != before, after["policy_error"]) == (True, "")
    denied = bolt("order", "b 10 AAPL @take", "--json").json["denials"]
    assert "QTY_MAX" in {item["code"] for item in denied}
