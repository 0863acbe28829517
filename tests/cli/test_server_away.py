"""A live engine whose PostgreSQL server is stopped while orders work: what may leave then, what is said, and what is found later."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from bolt_tui.client import EngineClient
from bolt_tui.commands.exits import Exit
from bolt_tui.launch import _children, start_engine
from bolt_tui.settings import Home, child_environment, ensure_policy
from brokers.paper.venue_log import VenueLog
from brokers.paperbroker import stop_venue
from engine.domain.events import TradingState
from tests.cli.conftest import Ran
from tests.cli.test_failing_store import venue_orders
from tests.cli.test_halt import state
from tests.cli.test_live import end_child, rest_an_order, status, wait_for_market
from tests.cli.test_on_server import START_S
from tests.server.fakes import until
from tests.store.server import Server, running

pytestmark = pytest.mark.proof
Bolt = Callable[..., Ran]


@pytest.fixture
def own() -> Iterator[Server]:
    """A server that nobody else uses: it is stopped here."""
    with running() as made:
        yield made


@pytest.fixture
def live(home: Home, own: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A folder with a running engine whose ledger is there; afterwards neither engine nor venue is left."""
    monkeypatch.setenv("BOLT_LEDGER", own.make_database())
    ensure_policy(home)
    assert start_engine(home, START_S)
    yield home
    if _children:
        end_child()
    stop_venue(home.root)


def asked(home: Home, *words: str) -> subprocess.Popen[str]:
    """A command that may wait for its answer as long as the ledger does."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "bolt_tui", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=child_environment(home.root),
    )  # fmt: skip


def log_of(home: Home) -> list[str]:
    """The trade log as a desk shows it, which needs no ledger."""
    with EngineClient(home.socket) as client:
        return [line.text for line in client.view().log]


def told(command: subprocess.Popen[str]) -> str:
    out, err = command.communicate(timeout=90)
    return out + err


def arrived(home: Home) -> int:
    """How many orders ever came to the venue, by its own log."""
    memory = VenueLog(home.venue / "venue.log").read()
    assert memory is not None
    return memory.venue.counters.orders


def test_while_it_is_away_orders_wait_and_cancels_go_and_nothing_is_lost(bolt: Bolt, live: Home, own: Server) -> None:
    wait_for_market(live)
    first = rest_an_order(bolt)
    assert bolt("order", "b 15 AAPL @bid-55t").code == Exit.OK
    until(lambda: venue_orders(live) == 2, "both orders at the venue")
    own.stop()
    order = asked(live, "order", "b 20 AAPL @bid-60t", "--intent", "waits-1", "--json")
    until(lambda: any("does not answer; new orders wait" in line for line in log_of(live)), "its words on the desk")
    cancel = asked(live, "cancel", first, "--json")
    until(lambda: venue_orders(live) == 1, "the cancel at the venue")
    assert (order.poll(), arrived(live)) == (None, 2), "an order left whose intent is on no disk"
    assert state(live) is TradingState.ACTIVE, "a restart of the server is no failure"

    own.start()
    assert '"ok":true' in told(order)
    assert '"ok":true' in told(cancel)
    until(lambda: venue_orders(live) == 2, "the order that waited")
    again = bolt("order", "b 20 AAPL @bid-60t", "--intent", "waits-1", "--json").json
    assert again["repeated"], "asked again it is the same order"

    own.stop()
    halt = asked(live, "kill", "--why", "the server is away", "--json")
    until(lambda: venue_orders(live) == 0, "the cancels of the halt")
    assert state(live) is TradingState.HALTED
    own.start()
    assert '"is_clean":true' in told(halt)
    until(lambda: status(bolt)["durable_seq"] == status(bolt)["head_seq"], "the ledger to catch up")
    assert bolt("stop", "--leave", "--json").json["ended"]
    assert bolt("ledger", "verify", "--json").json["ok"]
    assert arrived(live) == 3, "no order arrived twice, and none that nobody sent"


def test_one_that_stays_away_halts_and_the_next_engine_finds_everything(bolt: Bolt, live: Home, own: Server) -> None:
    wait_for_market(live)
    resting = rest_an_order(bolt)
    own.stop()
    order = asked(live, "order", "b 20 AAPL @bid-60t", "--intent", "waits-1", "--json")
    until(lambda: bool(status(bolt)["ledger_error"]), "the failure to be seen")
    until(lambda: venue_orders(live) == 0, "the cancels")
    assert state(live) is TradingState.HALTED
    shown = bolt("status")
    assert (shown.code, "LEDGER FAILED" in shown.out) == (Exit.HALTED, True)
    assert "see that its server runs" in shown.out
    assert told(order), "who waited is answered"
    refused = bolt("order", "b 30 AAPL @bid-60t", "--json")
    assert (refused.code, refused.json["code"]) == (Exit.REFUSED, "LEDGER_UNHEALTHY")
    assert bolt("stop", "--leave", "--json").json["ended"]
    end_child()

    own.start()
    assert start_engine(live, START_S)
    until(lambda: [broker["state"] for broker in status(bolt)["brokers"]] == ["up"], "the comparison with the venue")
    assert bolt("status").code == Exit.HALTED, "it stays halted"
    (child,) = [row for row in bolt("orders", "--all", "--json").json["orders"] if row["parent_id"] == resting]
    assert child["state"] == "cancelled"
    assert bolt("stop", "--leave", "--json").json["ended"]
    assert bolt("ledger", "verify", "--json").json["ok"]
    assert arrived(live) == 1, "what waited for the ledger never left"
