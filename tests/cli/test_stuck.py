"""An engine whose loop is stuck in a strategy, in a process of its own: everything that halts still halts, judged at the venue."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bolt_tui.client import ClientError, EngineClient
from bolt_tui.commands.exits import Exit
from bolt_tui.launch import start_engine
from bolt_tui.settings import Home, ensure_policy
from brokers.paper.home import VenueLock
from brokers.paperbroker import PaperSession, stop_venue
from engine.domain.commands import SetStrategy
from engine.domain.events import TradingState
from tests.cli.conftest import Ran
from tests.cli.test_halt import state
from tests.cli.test_live import end_child, pid_of_last, rest_an_order, wait_for_market
from tests.server.fakes import ME, until

Bolt = Callable[..., Ran]

SPIN = """
from engine.intake.strategy_base import Strategy

class Spin(Strategy):
    symbol: str = "AAPL"

    def on_start(self, ctx):
        self.started_ns = ctx.now_ns()

    def on_event(self, ctx, event):
        while ctx.now_ns() - self.started_ns > 1_000_000_000:  # so that who started it gets an answer
            pass
"""


def working(home: Home) -> int:
    session = PaperSession(home.root)
    try:
        return len(session.open_orders())
    finally:
        session.close()


@pytest.fixture
def stuck(home: Home, bolt: Bolt) -> Iterator[Home]:
    """An engine with an order at the venue whose loop does not come back from a strategy."""
    folder = Path(home.strategies)
    folder.mkdir(exist_ok=True)
    (folder / "spin.py").write_text(SPIN, encoding="utf-8")
    ensure_policy(home)
    text = home.policy.read_text(encoding="utf-8")
    home.policy.write_text(text.replace("max_stall_s: 10 ", "max_stall_s: 3 "), encoding="utf-8")
    assert start_engine(home)
    wait_for_market(home)
    rest_an_order(bolt)
    assert working(home) == 1
    with EngineClient(home.socket) as client:
        assert client.submit(SetStrategy(source=ME, name="Spin", on=True)).ok
    until(lambda: not answers(home), "the loop to be stuck")
    yield home
    end_child()
    stop_venue(home.root)


def answers(home: Home) -> bool:
    try:
        with EngineClient(home.socket, 0.5) as client:
            client.view()
    except ClientError:
        return False
    return True


def test_another_process_kills_it(stuck: Home, bolt: Bolt) -> None:
    ran = bolt("kill", "--why", "stuck", "--json")
    assert (ran.json["by"], ran.json["is_clean"]) == ("here", True)
    assert state(stuck) is TradingState.HALTED
    assert working(stuck) == 0


@pytest.mark.parametrize("way", ["signal", "sentinel"])
def test_a_signal_or_the_sentinel_file_halts_it(stuck: Home, way: str) -> None:
    if way == "signal":
        os.kill(pid_of_last(), signal.SIGUSR1)
    else:
        (stuck.root / "HALT").write_text("smoke in the room", encoding="utf-8")
    until(lambda: working(stuck) == 0, "the cancels at the venue")
    assert state(stuck) is TradingState.HALTED
    until(lambda: len(list(stuck.receipts.glob("*.json"))) == 1, "the receipt")


def test_nobody_asks_and_it_is_halted_all_the_same(stuck: Home) -> None:
    until(lambda: working(stuck) == 0, "the cancels at the venue")
    assert state(stuck) is TradingState.HALTED
    until(lambda: any("did not turn" in path.read_text("utf-8") for path in stuck.receipts.glob("*.json")), "why")


VANDAL = """
from engine.intake.strategy_base import Strategy

class Vandal(Strategy):
    symbol: str = "AAPL"

    def on_event(self, ctx, event):
        ctx._host.queue = 5

class Leaver(Strategy):
    symbol: str = "AAPL"

    def on_event(self, ctx, event):
        raise SystemExit(0)
"""


@pytest.fixture
def spoiled(home: Home, bolt: Bolt) -> Iterator[Home]:
    """An engine with an order at the venue, and strategies at hand that mean it harm."""
    folder = Path(home.strategies)
    folder.mkdir(exist_ok=True)
    (folder / "vandal.py").write_text(VANDAL, encoding="utf-8")
    ensure_policy(home)
    assert start_engine(home)
    wait_for_market(home)
    rest_an_order(bolt)
    yield home
    end_child()
    stop_venue(home.root)


def switch_on(home: Home, name: str) -> None:
    with EngineClient(home.socket) as client:
        client.submit(SetStrategy(source=ME, name=name, on=True))


def test_an_engine_that_fails_inside_is_halted_and_stays_to_say_so(spoiled: Home, bolt: Bolt) -> None:
    switch_on(spoiled, "Vandal")
    until(lambda: working(spoiled) == 0, "the cancels at the venue")
    assert state(spoiled) is TradingState.HALTED
    assert answers(spoiled)
    until(lambda: "AttributeError" in bolt("status", "--json").out, "the cause")


def test_a_strategy_that_leaves_takes_only_itself_along(spoiled: Home, bolt: Bolt) -> None:
    switch_on(spoiled, "Leaver")
    until(lambda: "SystemExit" in bolt("status", "--json").out, "the cause")
    assert (answers(spoiled), state(spoiled), working(spoiled)) == (True, TradingState.ACTIVE, 1)


def test_what_a_halt_keeps_is_told_with_its_end(spoiled: Home, bolt: Bolt) -> None:
    bought = bolt("order", "b 10 AAPL @take", "--wait", "15", "--json")
    assert bought.json["state"] == "filled"
    assert bolt("order", "s 10 AAPL @ask+500t gtc reduce", "--json").json["ok"]
    until(lambda: working(spoiled) == 2, "both orders at the venue")
    told = bolt("kill", "--drill").out
    assert "gate shut: no, a drill" in told
    assert "nothing works any more but the 1 kept" in told
    assert state(spoiled) is TradingState.ACTIVE


def test_a_trip_file_that_cannot_even_be_removed_halts_and_ends_nothing(spoiled: Home, bolt: Bolt) -> None:
    (spoiled.root / "trips" / "odd.json").mkdir(parents=True)
    until(lambda: "odd.json cannot be read" in bolt("status").out, "the cause")
    until(lambda: working(spoiled) == 0, "the cancels at the venue")
    assert answers(spoiled)


def test_a_venue_that_does_not_answer_is_never_called_clean(spoiled: Home, bolt: Bolt) -> None:
    """Its order may fill at any moment: the person must not be told that nothing works."""
    lock = VenueLock(spoiled.root)
    pid = lock.holder()
    lock.release()
    os.kill(pid, signal.SIGSTOP)
    try:
        ran = bolt("kill", "--why", "the venue hangs")
        told = bolt("status")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert ran.code == Exit.INCOMPLETE
    assert "NOT CLEAN: a person must look at the broker now" in ran.out
    assert "no order was working" not in ran.out + told.out
    assert "what works there is NOT KNOWN" in told.out
    until(lambda: working(spoiled) == 0, "the engine's own cancels, once it answers again")
