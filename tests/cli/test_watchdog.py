"""The process beside the engine: it halts where the engine can do nothing at all, and lives no longer than it."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from bolt_tui.client import EngineClient
from bolt_tui.launch import start_engine
from bolt_tui.settings import Home, ensure_policy
from bolt_tui.watchdog import GRACE_NS, Watch, Watchdog, halt
from brokers.paperbroker import stop_venue
from engine.domain.clock import NS_PER_S, SimClock
from engine.domain.commands import Halt
from engine.domain.events import TradingState
from engine.risk.latch import Latch
from engine.views import StatusView
from tests.cli.conftest import Ran
from tests.cli.test_halt import state
from tests.cli.test_live import end_child, pid_of_last, rest_an_order, wait_for_market
from tests.cli.test_stuck import working
from tests.server.fakes import until

Bolt = Callable[..., Ran]


@pytest.fixture
def trading(home: Home, bolt: Bolt) -> Iterator[Home]:
    """An engine with an order at the venue, whose loop may stand for three seconds."""
    ensure_policy(home)
    text = home.policy.read_text(encoding="utf-8")
    assert "max_stall_s: 10 " in text
    home.policy.write_text(text.replace("max_stall_s: 10 ", "max_stall_s: 3 "), encoding="utf-8")
    assert start_engine(home)
    wait_for_market(home)
    rest_an_order(bolt)
    yield home
    end_child()
    stop_venue(home.root)


def status(home: Home) -> StatusView:
    with EngineClient(home.socket) as client:
        return client.view().status


def test_a_stopped_engine_is_halted_from_outside_and_journals_it_later(trading: Home) -> None:
    assert working(trading) == 1
    os.kill(pid_of_last(), signal.SIGSTOP)
    until(lambda: working(trading) == 0, "the cancel at the venue")
    assert state(trading) is TradingState.HALTED
    until(lambda: any("did not beat" in path.read_text("utf-8") for path in trading.receipts.glob("*.json")), "why")
    os.kill(pid_of_last(), signal.SIGCONT)
    until(lambda: status(trading).halt.state == "halted", "the engine to see it")
    until(lambda: status(trading).orders_working == 0, "its books to agree")


def test_it_shuts_the_gate_first_and_leaves_the_disk_to_the_procedure(home: Home) -> None:
    """An engine may be stuck because its disk is: who waited for that disk would not cancel either."""
    Latch.open(home.latch, ledger_used=False).close()
    seen: list[tuple[TradingState, int, bool, int]] = []

    def notes() -> int:
        return len(list(home.trips.glob("*.json")))

    def run(of: Home, command: Halt, *, record: Callable[[], bool]) -> dict[str, object]:
        assert of is home
        assert command.why == "it stands"
        seen.append((state(home), notes(), record(), notes()))
        return {"is_clean": True}

    halt(home, "it stands", run)
    assert seen == [(TradingState.HALTED, 0, True, 1)]


def test_a_latch_that_the_disk_does_not_take_is_not_called_durable(home: Home) -> None:
    """The note lies there and the latch is not on disk: a power cut would leave an engine that may trade."""
    home.latch.mkdir()
    told: list[bool] = []

    def run(_home: Home, _command: Halt, *, record: Callable[[], bool]) -> dict[str, object]:
        told.append(record())
        return {"is_clean": True}

    halt(home, "it stands", run)
    assert (told, len(list(home.trips.glob("*.json")))) == ([False], 1)


def test_it_ends_with_its_engine_and_is_started_again_without_it(home: Home) -> None:
    dog = Watchdog(home, lambda: NS_PER_S)
    dog.start()
    first = dog.pid
    assert first
    dog.beat()
    os.kill(first, signal.SIGKILL)
    until(lambda: dog.pid == 0, "its end")
    dog.beat()
    assert dog.starts == 2
    second = dog.pid
    assert second not in {0, first}
    dog.stop()
    assert dog.pid == 0
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


def test_it_halts_once_for_each_stall_and_never_without_a_limit() -> None:
    clock, told = SimClock(NS_PER_S), list[str]()
    watch = Watch(clock, told.append)

    def after(seconds: float, beat_ms: int | None = None) -> int:
        clock.set_ns(clock.now_ns() + int(seconds * NS_PER_S))
        if beat_ms is not None:
            watch.heard(beat_ms.to_bytes(4, "little"))
        watch.look()
        return len(told)

    assert after(1_000) == 0, "no limit is known"
    assert after(0, beat_ms=2_000) == 0
    assert after(2 + GRACE_NS / NS_PER_S) == 0, "at the limit and its grace"
    assert after(0.001) == 1
    assert after(60) == 1, "once"
    assert after(0, beat_ms=2_000) == 1
    assert after(3.1) == 2
    assert "did not beat for 3.1 s" in told[-1]
    watch.heard(b"\x01")
    assert after(1) == 2, "half a beat is none"
    watch.heard((9_000).to_bytes(4, "little") + b"\xff\xff")
    assert after(9) == 2, "half a beat behind a whole one says nothing about the limit"
    assert after(1 + GRACE_NS / NS_PER_S) == 3
