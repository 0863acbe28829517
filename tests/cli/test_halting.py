"""Several halts at once: none waits behind another, and no position is exited by two."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bolt_tui.exit_lock import ExitLock
from bolt_tui.halting import AT_ONCE, Halting
from bolt_tui.settings import Home, ensure_policy
from engine.domain.clock import SystemClock
from engine.domain.commands import Halt, HaltScope, HaltScopeKind
from engine.domain.money import Price, Qty
from engine.domain.order import Side, Source, SourceKind
from engine.oms.broker_interface import BrokerSession, SessionFactory, WireOrder
from engine.risk.policy import PolicyHolder
from tests.oms.test_halt import Fake, order
from tests.server.fakes import until

ME = Source(SourceKind.CLI, "anna")


class Steps:
    """What was told of each halt."""

    def __init__(self) -> None:
        self.told: dict[str, list[str]] = {}
        self.last: dict[str, dict[str, str]] = {}

    def __call__(self, halt_id: str, step: str, data: dict[str, str]) -> None:
        self.told.setdefault(halt_id, []).append(step)
        self.last[halt_id] = data

    def is_over(self, halt_id: str) -> bool:
        return "receipt_file" in self.told.get(halt_id, ())


def halting(home: Home, steps: Steps, sessions: Mapping[str, SessionFactory]) -> Callable[..., None]:
    """Asks for a halt by its name, scope and flatten."""
    ensure_policy(home)
    made = Halting(home, SystemClock(), sessions, PolicyHolder.from_file(home.policy), steps)

    def ask(halt_id: str, symbol: str = "", *, flatten: bool = False) -> None:
        scope = HaltScope(HaltScopeKind.SYMBOL, symbol) if symbol else HaltScope()
        made.begin(Halt(source=ME, scope=scope, why="test", flatten=flatten), halt_id, record=lambda: True)

    return ask


class Door:
    """Opens sessions of a venue, each only once it is let through."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.asked = 0
        self.is_open = threading.Event()

    def __call__(self) -> BrokerSession:
        self.asked += 1
        assert self.is_open.wait(30)
        return self.fake.session()


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def hung() -> Iterator[Door]:
    made = Door(Fake(name="hung"))
    yield made
    made.is_open.set()


def test_a_halt_of_everything_waits_for_no_halt_that_hangs_at_a_broker(home: Home, steps: Steps, hung: Door) -> None:
    fake = Fake(order(1), order(2, symbol="COIN"))
    ask = halting(home, steps, {"hung": hung, "paper": fake.session})
    ask("one", "COIN")
    until(lambda: list(fake.orders) == ["V1"], "the symbol's cancel")
    ask("all")
    until(lambda: not fake.orders, "the other's cancel")
    assert not steps.is_over("one")
    hung.is_open.set()
    until(lambda: steps.is_over("one") and steps.is_over("all"), "both receipts")
    assert len(list(home.receipts.glob("*.json"))) == 2


def running() -> int:
    return [thread.name for thread in threading.enumerate()].count("bolt-halt")


def test_so_many_run_at_once_and_a_halt_of_everything_besides(home: Home, steps: Steps, hung: Door) -> None:
    ask = halting(home, steps, {"hung": hung})
    others = running()
    for number in range(AT_ONCE + 1):
        ask(f"S{number}", "COIN")
    assert running() - others == AT_ONCE
    ask("all")
    ask("again")
    assert running() - others == AT_ONCE + 1
    until(lambda: "gate" in steps.told.get("all", ()), "everything's")
    assert {f"S{AT_ONCE}", "again"}.isdisjoint(steps.told)
    hung.is_open.set()
    names = {f"S{number}" for number in range(AT_ONCE + 1)} | {"all", "again"}
    until(lambda: all(steps.is_over(name) for name in names), "every receipt")


class Slow(Fake):
    """A venue whose execution comes late: who looks at the position meanwhile sees it whole."""

    def __init__(self) -> None:
        super().__init__(AAPL="100")
        self.second = threading.Event()

    def place(self, order: WireOrder) -> str:
        if self.placed:
            self.second.set()
        self.placed.append(order)
        self.second.wait(0.5)
        move = order.spec.qty if order.spec.side is Side.BUY else -order.spec.qty
        self.held["AAPL"] += move
        return "X"


@pytest.mark.parametrize("is_beside", [False, True], ids=["one process", "two"])
def test_two_halts_that_flatten_exit_a_position_once(home: Home, steps: Steps, is_beside: bool) -> None:
    fake = Slow()
    fake.quotes["AAPL"] = (Price("100.00"), Price("100.10"), 0)
    ask = halting(home, steps, {"paper": fake.session})
    ask("one", flatten=True)
    until(lambda: bool(fake.placed), "the first exit")
    if is_beside:
        ask = halting(home, steps, {"paper": fake.session})
    ask("two", "AAPL", flatten=True)
    until(lambda: steps.is_over("one") and steps.is_over("two"), "both receipts")
    assert [placed.spec.qty for placed in fake.placed] == [100]
    assert fake.held["AAPL"] == Qty(0)
    assert [steps.last[name]["clean"] for name in ("one", "two")] == ["true", "true"]


def test_a_halt_runs_where_no_more_threads_are_to_be_had(home: Home, steps: Steps) -> None:
    fake = Fake(order(1))
    ask = halting(home, steps, {"paper": fake.session})
    before = threading.stack_size(1 << 46)  # no machine has room for such a thread
    try:
        ask("one")
    finally:
        threading.stack_size(before)
    assert steps.is_over("one")
    assert not fake.orders


def test_without_a_policy_nothing_is_flattened_and_the_cancels_go_all_the_same(home: Home, steps: Steps) -> None:
    fake = Fake(order(1), AAPL="10")
    made = Halting(home, SystemClock(), {"paper": fake.session}, PolicyHolder(None), steps)
    outcome = made.run_here(Halt(source=ME, why="test", flatten=True), record=lambda: True)
    assert not fake.orders
    assert fake.placed == []
    assert outcome["text"] == "no policy could be read: protective orders were kept, nothing was flattened"


def test_the_turn_to_send_exits_is_waited_for_and_given_up(tmp_path: Path) -> None:
    one, other = ExitLock(tmp_path / "lock"), ExitLock(tmp_path / "lock")
    assert one.acquire(timeout=0)
    assert not other.acquire(timeout=0.05)
    one.release()
    assert other.acquire(timeout=0)
    assert not one.acquire(timeout=0)
    other.release()
    assert one.acquire(timeout=0)
    one.release()


def test_without_its_file_the_turn_holds_in_this_process(tmp_path: Path) -> None:
    lock = ExitLock(tmp_path / "gone" / "lock")
    assert lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0)
    lock.release()
    assert lock.acquire(timeout=0)
    lock.release()
