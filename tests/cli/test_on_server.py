"""The whole of Bolt with its ledger on a real PostgreSQL server: an engine that is killed and started again, and every command."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.launch import _children, start_engine
from bolt_tui.settings import Home, ensure_policy
from brokers.paper.venue_log import VenueLog
from brokers.paperbroker import stop_venue
from engine.domain.errors import StoreLocked
from engine.store.journal import Journal
from tests.cli.conftest import Ran
from tests.cli.test_live import end_child, pid_of_last, rest_an_order, status, wait_for_market
from tests.server.fakes import until
from tests.store.server import Server

Bolt = Callable[..., Ran]
START_S = 120.0
SECRET = "hush-hush-0x1F"


@pytest.fixture
def url(server: Server, home: Home, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder's ledger is on the server, whose URL has a password that nobody may ever see."""
    made = server.make_database().replace("bolt@", f"bolt:{SECRET}@")
    monkeypatch.setenv("BOLT_LEDGER", made)
    return made


@pytest.fixture
def live(home: Home, url: str) -> Iterator[Home]:
    """A folder with a running engine; afterwards neither engine nor venue is left."""
    ensure_policy(home)
    assert start_engine(home, START_S)
    yield home
    if _children:
        end_child()
    stop_venue(home.root)


def test_an_engine_on_a_server_is_killed_and_loses_nothing(bolt: Bolt, live: Home, url: str, tmp_path: Path) -> None:
    wait_for_market(live)
    filled = bolt("order", "b 10 AAPL @take", "--intent", "mine-1", "--wait", "15", "--json")
    assert (filled.code, filled.json["state"]) == (Exit.OK, "filled")
    resting = rest_an_order(bolt)
    with pytest.raises(StoreLocked, match=rf"held by another engine \(pid {pid_of_last()} on .*bolt stop"):
        Journal.open(live.place, 1, lambda: "OTHER", "USD")
    os.kill(pid_of_last(), signal.SIGKILL)
    end_child()

    held = bolt("orders", "--json")
    assert (held.code, held.json["read_from"]) == (Exit.OK, "ledger")
    assert resting in {row["parent_id"] for row in held.json["orders"]}
    assert [row["qty"] for row in bolt("positions", "--json").json["positions"]] == ["10"]
    assert sum(int(fill["qty"]) for fill in bolt("fills", "--json").json["fills"]) == 10
    assert status(bolt)["read_from"] == "ledger"
    repeated = bolt("order", "b 10 AAPL @take", "--intent", "mine-1", "--json").json
    assert (repeated["repeated"], repeated["order_id"]) == (True, filled.json["order_id"])
    the_ledgers_commands(bolt, tmp_path)

    assert start_engine(live, START_S)
    until(lambda: [broker["state"] for broker in status(bolt)["brokers"]] == ["up"], "the comparison with the venue")
    wait_for_market(live)
    assert bolt("cancel", resting, "--json").json["ok"]
    until(lambda: status(bolt)["orders_working"] == 0, "the cancel")
    assert bolt("stop", "--json").json["ended"]
    assert bolt("ledger", "verify", "--json").json["ok"]
    memory = VenueLog(live.venue / "venue.log").read()
    assert memory is not None
    assert memory.venue.counters.orders == 2, "no order arrived twice"
    assert not live.ledger.exists()
    for path in (path for path in live.root.rglob("*") if path.is_file()):
        assert SECRET.encode() not in path.read_bytes(), f"the password is in {path}"


def the_ledgers_commands(bolt: Bolt, folder: Path) -> None:
    """Prove, show, export and rebuild, with no engine."""
    proof = bolt("ledger", "verify", "--json")
    assert (proof.code, proof.json["ok"]) == (Exit.OK, True)
    assert SECRET not in proof.out + proof.err
    assert "***" in proof.json["ledger"]
    assert [row["kind"] for row in bolt("ledger", "show", "--from", "1", "--limit", "1", "--json").json["rows"]] == [
        "ledger_opened"
    ]
    out = folder / "day.jsonl"
    assert bolt("ledger", "export", str(out)).code == Exit.OK
    assert len(out.read_text().splitlines()) == proof.json["rows"]
    assert bolt("ledger", "rebuild", "--json").json["rows"] == proof.json["rows"]
    assert bolt("events", "--limit", "3").code == Exit.OK


@pytest.mark.proof
def test_the_demo_runs_on_a_server(bolt: Bolt, home: Home, url: str) -> None:
    ran = bolt("headless", "--demo", "--json")
    assert ran.code == Exit.OK
    told = json.loads(ran.out)
    assert told["ledger"]["ok"]
    assert told["fills"]
    assert SECRET not in ran.out + ran.err


def test_a_server_that_is_not_there_is_said_without_its_password(
    bolt: Bolt, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOLT_LEDGER", f"postgresql://bolt:{SECRET}@127.0.0.1:1/ledger")
    for words in (("orders",), ("ledger", "verify"), ("status",), ("headless", "--seconds", "1")):
        ran = bolt(*words, "--json")
        assert ran.code == Exit.STORE, words
        assert "see that its server runs" in ran.out
        assert SECRET not in ran.out + ran.err
        assert "bolt:***@127.0.0.1:1" in ran.out + ran.err
