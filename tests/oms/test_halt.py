"""The kill procedure: every step, against venues that are healthy, dead, hung, stubborn, or fill while we cancel."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import msgspec
import pytest

from brokers.paperbroker import PaperSession
from engine.domain.clock import NS_PER_MS, NS_PER_S, SimClock, SystemClock
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.errors import VenueError
from engine.domain.ids import ALPHABET
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderType, Side, Tif
from engine.oms.broker_interface import BrokerSession, SessionFactory, VenueOrder, VenuePosition, WireOrder
from engine.oms.halt import RECANCEL_NS, HaltPlan, Receipt, emergency_wire_ids, run_halt
from engine.oms.receipt import words, write_receipt
from tests.paper_process.lab import Lab, limit, market

ROOT = Path(__file__).resolve().parents[2]
AAPL = make_instrument("AAPL", "equity", "SIMA", "USD", "0.01")
COIN = make_instrument("COIN", "crypto_spot", "SIMA", "USD", "0.5", "0.1", qty_max="2")
PLAN = HaltPlan(
    halt_id="H1",
    scope=HaltScope(),
    who="ann",
    why="test",
    collar_bps=100,
    deadline_ns=2 * NS_PER_S,
    grace_ns=200 * NS_PER_MS,
    instruments={"AAPL": AAPL, "COIN": COIN},
)

FLATTEN = msgspec.structs.replace(PLAN, flatten=True)


def order(number: int, side: Side = Side.BUY, qty: str = "100", symbol: str = "AAPL", **more: object) -> VenueOrder:
    made = VenueOrder(
        wire_id=f"TESTS{number:09d}",
        venue_order_id=f"V{number}",
        symbol=symbol,
        side=side,
        type=OrderType.LIMIT,
        tif=Tif.GTC,
        qty=Qty(qty),
        qty_filled=Qty(0),
        limit=Price("189"),
        is_open=True,
        status="new",
    )
    return msgspec.structs.replace(made, **more)


class Fake:
    """A venue and its sessions: orders, positions, and switches for what goes wrong."""

    def __init__(self, *orders: VenueOrder, mass: bool = True, name: str = "paper", **held: str) -> None:
        self.name, self.account, self.mass = name, "PAPER", mass
        self.orders = {one.venue_order_id: one for one in orders}
        self.held = {symbol: Qty(qty) for symbol, qty in held.items()}
        self.state = "open"
        self.quotes: dict[str, tuple[Price | None, Price | None, int]] = {
            "AAPL": (Price("100.00"), Price("100.10"), 0),
            "COIN": (Price("50"), Price("51"), 0),
        }
        self.stubborn: set[str] = set()
        self.races: set[str] = set()
        self.late: list[VenueOrder] = []
        self.failures = 0
        self.place_error = ""
        self.take = Qty(1_000_000)
        self.calls: list[str] = []
        self.placed: list[WireOrder] = []
        self.opened = 0

    def session(self) -> BrokerSession:
        self.opened += 1
        return self

    def _enter(self, call: str) -> None:
        self.calls.append(call)
        if self.failures:
            self.failures -= 1
            raise VenueError("the line broke")

    def _fill(self, symbol: str, move: Qty) -> None:
        self.held[symbol] = self.held.get(symbol, Qty(0)) + move

    def _end(self, key: str) -> None:
        if key in self.races:
            self.races.discard(key)
            gone = self.orders.pop(key)
            self._fill(gone.symbol, gone.qty if gone.side is Side.BUY else -gone.qty)
        elif key not in self.stubborn:
            self.orders.pop(key, None)

    def open_orders(self) -> tuple[VenueOrder, ...]:
        self._enter("open_orders")
        seen = tuple(self.orders.values())
        if self.late and not seen:
            arrived = self.late.pop()
            self.orders[arrived.venue_order_id] = arrived
        return seen

    def cancel(self, order: VenueOrder) -> None:
        self._enter(f"cancel {order.venue_order_id}")
        self._end(order.venue_order_id)

    def cancel_all(self) -> bool:
        self._enter("cancel_all")
        if self.mass:
            for key in tuple(self.orders):
                self._end(key)
        return self.mass

    def positions(self) -> tuple[VenuePosition, ...]:
        self._enter("positions")
        return tuple(VenuePosition(symbol, qty) for symbol, qty in self.held.items())

    def cash(self) -> Mapping[str, Money]:
        self._enter("cash")
        return {"USD": Money(5)}

    def quote(self, symbol: str) -> tuple[Price | None, Price | None, int]:
        self._enter("quote")
        return self.quotes[symbol]

    def status(self, symbol: str) -> str:
        self._enter("status")
        return self.state

    def place(self, order: WireOrder) -> str:
        self._enter("place")
        self.placed.append(order)
        if self.place_error:
            raise VenueError(self.place_error)
        size = min(order.spec.qty, self.take)
        self._fill(order.spec.symbol, size if order.spec.side is Side.BUY else -size)
        return f"X{len(self.placed)}"

    def close(self) -> None:
        self.calls.append("close")


class Hook:
    """The caller's side: what was called, in order."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.data: dict[str, dict[str, str]] = {}

    def on_step(self, step: str, data: dict[str, str]) -> None:
        self.steps.append(step)
        self.data[step] = data


def halt(
    plan: HaltPlan,
    *fakes: Fake,
    hook: Hook | None = None,
    trip: Callable[[], object] = lambda: None,
    record: Callable[[], bool] = lambda: True,
    stop: Callable[[], object] = lambda: None,
    place: Callable[[str, WireOrder], str] | None = None,
    clock: SimClock | None = None,
    **factories: SessionFactory,
) -> Receipt:
    """Run the procedure, in real time or by a clock that its lanes move on with every pause."""
    sessions: dict[str, SessionFactory] = {fake.name: fake.session for fake in fakes}
    return run_halt(
        plan,
        {**sessions, **factories},
        clock=clock or SystemClock(),
        trip=trip,
        record_durable=record,
        on_step=(hook or Hook()).on_step,
        stop_sources=stop,
        place=place,
        next_wire_id=emergency_wire_ids("TESTS"),
        pause=threading.Event.wait if clock is None else _moves(clock),
    )


def _moves(clock: SimClock) -> Callable[[threading.Event, float], object]:
    return lambda _event, pause_s: clock.set_ns(clock.now_ns() + int(pause_s * NS_PER_S))


def test_the_steps_come_in_order_and_each_is_told() -> None:
    done: list[str] = []
    hook = Hook()
    fake = Fake(order(1), order(2), AAPL="100")
    receipt = halt(
        FLATTEN,
        fake,
        hook=hook,
        trip=lambda: done.append("trip"),
        record=lambda: not done.append("record"),  # type: ignore[func-returns-value]
        stop=lambda: done.append(f"stop after {len(fake.calls)} calls"),
    )
    assert done == ["trip", "record", "stop after 0 calls"]
    assert hook.steps == ["gate", "record", "sources", "cancel", "verify", "flatten", "receipt"]
    assert [step.step for step in receipt.steps] == hook.steps
    assert all(step.ended_ns >= step.began_ns for step in receipt.steps)
    assert hook.data["receipt"]["cancels_confirmed"] == "2"
    part = receipt.brokers[0]
    assert (part.found, part.mass_cancel, part.cancels_sent, part.cancelled) == (2, True, 1, 2)
    assert part.verified
    assert receipt.is_clean
    assert part.cash == {"USD": Money(5)}
    assert fake.calls.index("cancel_all") < fake.calls.index("place")


def test_without_a_mass_cancel_each_order_is_cancelled() -> None:
    fake = Fake(order(1), order(2, wire_id=""), mass=False)
    part = halt(PLAN, fake).brokers[0]
    assert [call for call in fake.calls if call.startswith("cancel ")] == ["cancel V1", "cancel V2"]
    assert (part.cancels_sent, part.cancelled, part.verified) == (2, 2, True)


def test_a_protective_order_is_kept_and_listed() -> None:
    fake = Fake(order(1), order(2, Side.SELL, reduce_only=True))
    part = halt(PLAN, fake).brokers[0]
    assert "cancel_all" not in fake.calls
    assert list(fake.orders) == ["V2"]
    assert part.verified
    assert part.kept == ("sell 100 AAPL limit 189 [TESTS000000002/V2]",)
    part = halt(msgspec.structs.replace(PLAN, protective="cancel"), fake).brokers[0]
    assert not fake.orders
    assert not part.kept


def test_a_symbol_scope_touches_its_symbol_only() -> None:
    fake = Fake(order(1), order(2, symbol="COIN"), AAPL="10", COIN="1")
    scope = HaltScope(HaltScopeKind.SYMBOL, "COIN")
    part = halt(msgspec.structs.replace(FLATTEN, scope=scope), fake).brokers[0]
    assert list(fake.orders) == ["V1"]
    assert "cancel_all" not in fake.calls
    assert (fake.held["AAPL"], fake.held["COIN"], part.residual) == (Qty(10), Qty(0), ())


@pytest.mark.parametrize(("drill", "said"), [(True, "a drill: nothing stays halted"), (False, "stays halted until")])
def test_the_receipt_says_whether_anything_stays_halted(drill: bool, said: str) -> None:
    receipt = halt(msgspec.structs.replace(PLAN, drill=drill), Fake(order(1)))
    assert words(receipt).splitlines()[-1].strip().startswith(said)


def test_a_symbol_that_nobody_knows_is_named_in_the_receipt() -> None:
    plan = msgspec.structs.replace(PLAN, scope=HaltScope(HaltScopeKind.SYMBOL, "COIM"))
    assert "symbol COIM is not known here" in words(halt(plan, Fake(order(1))))


def test_a_strategy_scope_cancels_its_orders_and_flattens_nothing() -> None:
    fake = Fake(order(1), order(2), AAPL="10")
    scope = HaltScope(HaltScopeKind.STRATEGY, "dip")
    plan = msgspec.structs.replace(FLATTEN, scope=scope, orders_of_scope=lambda one: one.venue_order_id == "V2")
    receipt = halt(plan, fake)
    assert list(fake.orders) == ["V1"]
    assert "no strategies" in receipt.brokers[0].residual[0].reason
    receipt = halt(msgspec.structs.replace(plan, orders_of_scope=None), fake)
    assert not fake.orders, "orders that cannot be told apart are all cancelled"
    assert "cannot be told apart" in receipt.notes[0]


def test_another_account_is_left_alone() -> None:
    fake = Fake(order(1))
    plan = msgspec.structs.replace(PLAN, scope=HaltScope(HaltScopeKind.ACCOUNT, "OTHER"))
    assert "not in scope" in halt(plan, fake).brokers[0].notes[0]
    assert list(fake.orders) == ["V1"]


@pytest.mark.parametrize(
    "changes", [{"drill": True}, {"scope": HaltScope(HaltScopeKind.ACCOUNT, "PAPER")}], ids=["drill", "account"]
)
def test_a_broker_that_never_said_who_it_is_is_told_with_its_reason(changes: dict[str, object]) -> None:
    def dead() -> BrokerSession:
        raise VenueError("connection refused")

    plan = msgspec.structs.replace(PLAN, deadline_ns=50 * NS_PER_MS, **changes)
    part = halt(plan, dead=dead).brokers[0]
    assert (part.unreachable, part.verified) == ("VenueError: connection refused", False)


def test_an_order_that_arrives_late_is_cancelled_too() -> None:
    fake = Fake(order(1), mass=False)
    fake.late = [order(7)]
    part = halt(PLAN, fake).brokers[0]
    assert "cancel V7" in fake.calls
    assert (part.found, part.cancelled, part.verified) == (2, 2, True)


def test_a_survivor_is_listed_and_nothing_is_flattened() -> None:
    fake = Fake(order(1), order(2), AAPL="10")
    fake.stubborn = {"V2"}
    receipt = halt(msgspec.structs.replace(FLATTEN, deadline_ns=600 * NS_PER_MS), fake)
    part = receipt.brokers[0]
    assert not part.verified
    assert not receipt.is_clean
    assert part.survivors == ("buy 100 AAPL limit 189 [TESTS000000002/V2]",)
    assert part.cancelled == 1
    assert part.cancels_sent >= 2, "it was asked again"
    assert part.residual[0].reason.startswith("orders may still be open")
    assert not fake.placed
    assert "survivor: buy 100 AAPL" in words(receipt)


@pytest.mark.parametrize("mass", [True, False])
def test_a_fill_that_crosses_the_cancel_is_told_apart(mass: bool) -> None:
    fake = Fake(order(1), order(2, Side.SELL, "30"), mass=mass)
    fake.races = {"V2"}
    part = halt(FLATTEN, fake).brokers[0]
    assert (part.found, part.cancelled, part.filled_meanwhile) == (2, 1, {"AAPL": Qty(-30)})
    assert fake.held["AAPL"] == 0, "the exit was sized by the position as it was after the race"
    assert [placed.spec.qty for placed in fake.placed] == [Qty(30)]


def test_a_dead_and_a_hung_broker_delay_nobody() -> None:
    def dead() -> BrokerSession:
        raise VenueError("connection refused")

    hung = threading.Event()

    def hang() -> BrokerSession:
        hung.wait(30)
        raise VenueError("too late")

    hook = Hook()
    fake = Fake(order(1), AAPL="10")
    clock = SystemClock()
    began_ns = clock.monotonic_ns()
    receipt = halt(msgspec.structs.replace(FLATTEN, deadline_ns=500 * NS_PER_MS), fake, hook=hook, dead=dead, hung=hang)
    assert clock.monotonic_ns() - began_ns < 10 * NS_PER_S
    hung.set()
    healthy, lost, stuck = receipt.brokers
    assert healthy.verified
    assert fake.held["AAPL"] == 0
    flattened = next(step for step in receipt.steps if step.step == "flatten")
    assert flattened.began_ns < 400 * NS_PER_MS, "the healthy broker was not held up"
    assert "connection refused" in lost.unreachable
    assert lost.notes == (), "what was never opened is not closed"
    assert "no answer in time" in stuck.unreachable
    assert not receipt.is_clean
    assert hook.data["receipt"]["unreachable"] == "dead;hung"


class Back(Fake):
    """A venue that hangs until its lane is left behind, and then answers as if nothing had been."""

    def __init__(self) -> None:
        super().__init__(order(1), name="back")
        self.left: threading.Event | None = None
        self.ended = threading.Event()

    def pause(self, left: threading.Event, pause_s: float) -> None:
        """A lane rests: what it waits for meanwhile is set when it is left behind."""
        if threading.current_thread().name == "halt-back":
            self.left = left
        left.wait(pause_s)

    def open_orders(self) -> tuple[VenueOrder, ...]:
        if self.left is None:
            raise VenueError("once more")
        self.left.wait(5)
        return super().open_orders()

    def close(self) -> None:
        if self.left is not None:
            self.ended.set()


class Patient(Fake):
    """A venue whose last answer comes when the other lane has ended."""

    other: Back

    def cash(self) -> Mapping[str, Money]:
        self.other.ended.wait(10)
        return super().cash()


def test_what_a_broker_says_when_it_was_left_behind_changes_nothing_on_the_receipt() -> None:
    back, patient = Back(), Patient(order(2))
    patient.other = back
    receipt = run_halt(
        # A flatten has a time of its own: the other lane may wait in it.
        msgspec.structs.replace(
            FLATTEN, deadline_ns=100 * NS_PER_MS, grace_ns=100 * NS_PER_MS, flatten_deadline_ns=10 * NS_PER_S
        ),
        {"back": back.session, "paper": patient.session},
        clock=SystemClock(),
        trip=lambda: None,
        record_durable=lambda: True,
        on_step=Hook().on_step,
        next_wire_id=emergency_wire_ids("TESTS"),
        pause=back.pause,
    )
    assert back.ended.is_set()
    assert not receipt.brokers[0].verified
    assert receipt.brokers[0].unreachable.startswith("no answer in time")


class Growing(Fake):
    """A venue where another order arrives at every look."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, mass=False)
        self.looks = 0
        self.is_holding = False
        self.looked = threading.Condition()

    def open_orders(self) -> tuple[VenueOrder, ...]:
        with self.looked:
            self.looks += 1
            self.looked.notify_all()
        return tuple(
            order(number, venue_order_id=Held("V0", self) if self.looks == 1 else f"V{number}")
            for number in range(self.looks)
        )


class Held(str):
    """An id at which who first reads the receipt meanwhile is held up until the lane has looked once more."""

    __slots__ = ("venue",)

    def __new__(cls, word: str, _venue: Growing) -> Self:
        return super().__new__(cls, word)

    def __init__(self, _word: str, venue: Growing) -> None:
        self.venue = venue

    def __hash__(self) -> int:
        if threading.current_thread() is threading.main_thread() and self.venue.is_holding:
            self.venue.is_holding = False
            with self.venue.looked:
                due = self.venue.looks + 2
                self.venue.looked.wait_for(lambda: self.venue.looks >= due, 1)
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


class Second(Fake):
    """A venue whose clean end comes while the other lane is at its looks."""

    busy: Growing

    def positions(self) -> tuple[VenuePosition, ...]:
        if not self.orders:
            with self.busy.looked:
                self.busy.looked.wait_for(lambda: self.busy.looks >= 4, 5)
            self.busy.is_holding = True
        return super().positions()


def test_a_lane_that_finds_more_orders_disturbs_nobody_who_is_told_of_another() -> None:
    hook, other = Hook(), Second(order(1))
    other.busy = Growing("busy")
    receipt = halt(msgspec.structs.replace(PLAN, deadline_ns=NS_PER_S), other.busy, other, hook=hook)
    assert receipt.notes == ()
    assert hook.steps.count("verify") == 2
    busy, calm = receipt.brokers
    assert (busy.verified, calm.verified) == (False, True)


def test_a_broken_line_is_opened_again() -> None:
    fake = Fake(order(1), mass=False)
    fake.failures = 3
    part = halt(PLAN, fake).brokers[0]
    assert part.verified
    assert fake.opened > 3
    assert not fake.orders


def test_hooks_that_fail_or_hang_stop_nothing() -> None:
    never = threading.Event()

    def fail() -> bool:
        raise RuntimeError("disk full")

    class Deaf(Hook):
        def on_step(self, step: str, data: dict[str, str]) -> None:
            raise RuntimeError("no screen")

    fake = Fake(order(1), AAPL="10")
    receipt = halt(FLATTEN, fake, hook=Deaf(), trip=fail, record=fail, stop=lambda: never.wait(30))
    never.set()
    assert not fake.orders
    assert receipt.brokers[0].verified
    assert not receipt.durable
    assert "not durably recorded" in receipt.brokers[0].residual[0].reason
    assert not fake.placed
    told = " ".join(receipt.notes)
    assert "gate failed: RuntimeError: disk full" in told
    assert "sources gave no answer" in told
    assert "on_step(cancel) failed" in told
    assert "NOT DURABLE" in words(receipt)


def test_a_record_that_comes_late_delays_no_cancel_and_counts_all_the_same() -> None:
    verified = threading.Event()

    class Tells(Hook):
        def on_step(self, step: str, data: dict[str, str]) -> None:
            if step == "verify":
                verified.set()

    fake = Fake(order(1), AAPL="10")
    receipt = halt(FLATTEN, fake, hook=Tells(), record=lambda: verified.wait(30))
    assert not fake.orders
    assert receipt.durable
    assert fake.placed, "the flatten waits for the record"
    assert receipt.notes == ()


def test_a_record_that_never_comes_delays_no_cancel_and_is_told() -> None:
    never = threading.Event()
    fake = Fake(order(1))
    receipt = halt(PLAN, fake, record=lambda: never.wait(30))
    never.set()
    assert not fake.orders
    assert receipt.brokers[0].verified
    assert not receipt.durable
    assert receipt.notes == ("record gave no answer within 0.2 s; the procedure went on",)


def test_exits_are_collared_reduce_only_and_widen() -> None:
    fake = Fake(AAPL="250", COIN="-3.05")
    fake.take = Qty(100)
    part = halt(FLATTEN, fake).brokers[0]
    sells = [one.spec for one in fake.placed if one.spec.symbol == "AAPL"]
    assert [(one.side, one.qty, one.limit) for one in sells] == [
        (Side.SELL, Qty(250), Price("99")),
        (Side.SELL, Qty(150), Price("98")),
        (Side.SELL, Qty(50), Price("97")),
    ]
    assert all(one.reduce_only and one.tif is Tif.IOC and one.type is OrderType.LIMIT for one in sells)
    buys = [one.spec for one in fake.placed if one.spec.symbol == "COIN"]
    assert [(one.side, one.qty, one.limit) for one in buys] == [
        (Side.BUY, Qty(2), Price("51.5")),
        (Side.BUY, Qty(1), Price("52")),
    ]
    assert [(left.symbol, left.qty) for left in part.residual] == [("COIN", Qty("-0.05"))]
    assert part.residual[0].reason.startswith("less than can be ordered")
    assert len(set(part.exits)) == 5


def test_an_exit_of_something_cheap_asks_for_a_tick_and_never_for_less_than_nothing() -> None:
    cheap = make_instrument("CHEAP", "equity", "SIMA", "USD", "0.01")
    fake = Fake(CHEAP="10")
    fake.quotes["CHEAP"] = (Price("0.03"), Price("0.04"), 0)
    plan = msgspec.structs.replace(FLATTEN, collar_ticks=5, instruments={"CHEAP": cheap})
    assert halt(plan, fake).brokers[0].residual == ()
    assert [one.spec.limit for one in fake.placed] == [Price("0.01")]


def test_less_than_the_venue_takes_is_left_and_said() -> None:
    block = make_instrument("BLOCK", "equity", "SIMA", "USD", "0.01", qty_min="5")
    fake = Fake(BLOCK="3")
    fake.quotes["BLOCK"] = (Price("10"), Price("10.01"), 0)
    residual = halt(msgspec.structs.replace(FLATTEN, instruments={"BLOCK": block}), fake).brokers[0].residual
    assert not fake.placed
    assert residual[0].reason == "less than can be ordered (lot 1, minimum 5)"


class Arriving(Fake):
    """An order that was on its way arrives behind the clean verification, and its first cancel does nothing."""

    def __init__(self, **held: str) -> None:
        super().__init__(mass=False, **held)
        self.beside: list[bool] = []

    def positions(self) -> tuple[VenuePosition, ...]:
        if self.calls.count("positions") == 1:
            self.orders["V9"], self.stubborn = order(9, Side.SELL, "10"), {"V9"}
        return super().positions()

    def cancel(self, order: VenueOrder) -> None:
        super().cancel(order)
        self.stubborn.clear()

    def place(self, order: WireOrder) -> str:
        self.beside.append(bool(self.orders))
        return super().place(order)


def test_no_exit_leaves_while_an_order_works_that_may_sell_the_same_position() -> None:
    fake = Arriving(AAPL="10")
    receipt = halt(FLATTEN, fake, clock=SimClock(NS_PER_S))
    assert fake.calls.count("cancel V9") == 2
    assert fake.beside == [False]
    assert (receipt.is_clean, fake.held["AAPL"]) == (True, Qty(0))


@pytest.mark.parametrize(
    ("state", "quote", "reason"),
    [
        ("halted", (Price("100"), Price("101"), 0), "the market is halted"),
        ("closed", (Price("100"), Price("101"), 0), "the market is closed"),
        ("open", (None, Price("101"), 0), "no price: no bid"),
        ("open", (Price("100"), None, 61 * NS_PER_S), "no price: the quote is 61000 ms old"),
    ],
)
def test_no_exit_without_a_market(state: str, quote: tuple[Price | None, Price | None, int], reason: str) -> None:
    fake = Fake(AAPL="10", NONE="5")
    fake.state = state
    fake.quotes["AAPL"] = quote
    residual = halt(FLATTEN, fake).brokers[0].residual
    assert not fake.placed
    assert [left.symbol for left in residual] == ["AAPL", "NONE"]
    assert residual[0].reason.startswith(reason)
    assert residual[1].reason == "its tick and lot are not known here"


def test_a_protective_order_gives_way_to_an_exit_only_where_there_is_one() -> None:
    fake = Fake(
        order(1, Side.SELL, reduce_only=True), order(2, Side.SELL, "1", "COIN", reduce_only=True), AAPL="10", COIN="1"
    )
    fake.quotes["COIN"] = (None, None, 0)
    part = halt(FLATTEN, fake).brokers[0]
    assert fake.calls.index("cancel V1") < fake.calls.index("place")
    assert list(fake.orders) == ["V2"], "what cannot be exited keeps its protection"
    assert (len(part.kept), fake.held["AAPL"], part.residual[0].symbol) == (1, Qty(0), "COIN")


def test_an_exit_without_an_answer_is_never_sent_again() -> None:
    fake = Fake(AAPL="10")
    fake.place_error = "no answer within 2 s"
    part = halt(FLATTEN, fake).brokers[0]
    assert len(fake.placed) == 1
    assert "no answer within 2 s" in part.residual[0].reason


def test_an_exit_that_finds_nobody_ends_at_the_deadline() -> None:
    fake = Fake(AAPL="10")
    fake.take = Qty(0)
    plan = msgspec.structs.replace(FLATTEN, flatten_deadline_ns=5 * NS_PER_S, widen_steps=1)
    part = halt(plan, fake, clock=SimClock(NS_PER_S)).brokers[0]
    limits = [one.spec.limit for one in fake.placed]
    assert limits[:2] == [Price("99"), Price("98")]
    assert set(limits[1:]) == {Price("98")}, "it widens no further than it was told"
    assert part.residual[0].reason == "not filled inside the collar by the deadline"


class Blind(Fake):
    """A venue that lists orders and does not tell positions."""

    def positions(self) -> tuple[VenuePosition, ...]:
        self._enter("positions")
        raise VenueError("positions are down")


def test_a_flatten_that_never_saw_a_position_is_not_called_clean() -> None:
    plan = msgspec.structs.replace(FLATTEN, flatten_deadline_ns=100 * NS_PER_MS)
    receipt = halt(plan, Blind(order(1), AAPL="10"))
    part = receipt.brokers[0]
    assert (part.verified, part.residual) == (True, ())
    assert "positions are down" in part.unreachable
    assert not receipt.is_over
    assert "NOT CLEAN" in words(receipt)
    assert "unreachable: positions could not be read" in words(receipt)


class Unpriced(Fake):
    """A venue that tells no price of one symbol."""

    def quote(self, symbol: str) -> tuple[Price | None, Price | None, int]:
        if symbol == "AAPL":
            raise VenueError("no feed")
        return super().quote(symbol)


def test_a_symbol_without_a_price_is_given_up_after_some_tries_and_holds_up_no_other() -> None:
    fake = Unpriced(AAPL="10", COIN="1")
    receipt = halt(FLATTEN, fake)
    assert [(left.symbol, left.reason) for left in receipt.brokers[0].residual] == [
        ("AAPL", "no price: VenueError: no feed")
    ]
    assert fake.held["COIN"] == 0
    flattened = next(step for step in receipt.steps if step.step == "flatten")
    assert flattened.ended_ns - flattened.began_ns < FLATTEN.deadline_ns, "not tried to the end"


class Timed(Fake):
    """A venue that notes when it was asked to cancel."""

    def __init__(self, clock: SimClock, *orders: VenueOrder) -> None:
        super().__init__(*orders, mass=False)
        self.clock = clock
        self.asked_ns: list[int] = []

    def cancel(self, order: VenueOrder) -> None:
        self.asked_ns.append(self.clock.now_ns())
        super().cancel(order)


def test_an_order_that_stays_is_asked_again_but_not_at_every_look() -> None:
    """A broker allows so many messages: those for the last order must not use up what others need."""
    clock = SimClock(NS_PER_S)
    fake = Timed(clock, order(1))
    fake.stubborn = {"V1"}
    halt(PLAN, fake, clock=clock)
    gaps = [after - before for before, after in zip(fake.asked_ns, fake.asked_ns[1:], strict=False)]
    assert min(gaps) >= RECANCEL_NS
    assert len(gaps) >= 4
    assert fake.calls.count("open_orders") > len(fake.asked_ns) + 2


class Moving(Fake):
    """A position that changes between the look at it and the order: an exit of a round before arrives."""

    def quote(self, symbol: str) -> tuple[Price | None, Price | None, int]:
        self.held[symbol] = min(self.held[symbol], Qty(40))
        return super().quote(symbol)


def test_an_exit_is_sized_by_the_position_right_before_it() -> None:
    fake = Moving(AAPL="100")
    receipt = halt(FLATTEN, fake)
    assert [placed.spec.qty for placed in fake.placed] == [40]
    assert fake.held["AAPL"] == 0
    assert receipt.is_clean


class Skipping(SystemClock):
    """A machine's clock that a test lets run ahead."""

    ahead_ns = 0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.ahead_ns


class Slow(Fake):
    """A venue whose price comes behind the deadline."""

    def __init__(self, clock: Skipping) -> None:
        super().__init__(AAPL="100")
        self.clock = clock

    def quote(self, symbol: str) -> tuple[Price | None, Price | None, int]:
        self.clock.ahead_ns += 3600 * NS_PER_S
        return super().quote(symbol)


def test_no_exit_leaves_behind_the_deadline() -> None:
    clock = Skipping()
    fake = Slow(clock)
    receipt = run_halt(
        FLATTEN,
        {fake.name: fake.session},
        clock=clock,
        trip=lambda: None,
        record_durable=lambda: True,
        on_step=Hook().on_step,
        next_wire_id=emergency_wire_ids("TESTS"),
    )
    assert fake.calls.count("quote") == 1
    assert fake.placed == []
    assert not receipt.is_clean


def test_no_exit_leaves_while_another_halt_is_at_its_own() -> None:
    other = threading.Lock()
    fake = Fake(order(1), AAPL="10")
    with other:
        receipt = run_halt(
            msgspec.structs.replace(FLATTEN, deadline_ns=300 * NS_PER_MS),
            {fake.name: fake.session},
            clock=SystemClock(),
            trip=lambda: None,
            record_durable=lambda: True,
            on_step=Hook().on_step,
            next_wire_id=emergency_wire_ids("TESTS"),
            exits={"paper": other},
        )
    assert not fake.orders, "the cancels wait for nobody"
    assert fake.placed == []
    assert receipt.brokers[0].residual[0].reason.startswith("another halt sends exits here")


def test_exits_pass_the_callers_gate() -> None:
    sent: list[tuple[str, WireOrder]] = []
    fake = Fake(AAPL="10")

    def gate(broker: str, made: WireOrder) -> str:
        sent.append((broker, made))
        raise VenueError("DENIED C05")

    part = halt(FLATTEN, fake, place=gate).brokers[0]
    assert [broker for broker, _ in sent] == ["paper"]
    assert not fake.placed
    assert "DENIED C05" in part.residual[0].reason


def test_a_drill_leaves_other_brokers_alone() -> None:
    paper, live = Fake(order(1)), Fake(order(2), name="ibkr")
    receipt = halt(msgspec.structs.replace(PLAN, drill=True), paper, live)
    assert receipt.brokers[0].verified
    assert list(live.orders) == ["V2"]
    assert "paper only" in receipt.brokers[1].unreachable
    assert words(receipt).startswith("DRILL HALTED, durable: global by ann: test")


def test_the_receipt_is_a_file_for_its_owner(tmp_path: Path) -> None:
    receipt = halt(FLATTEN, Fake(order(1), AAPL="10"))
    path = write_receipt(receipt, tmp_path / "receipts")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = msgspec.json.decode(path.read_bytes())
    assert read["brokers"][0]["positions"] == [{"symbol": "AAPL", "qty": "0"}]
    assert read["brokers"][0]["cash"] == {"USD": "5"}
    assert list(path.parent.iterdir()) == [path]


def test_emergency_ids_are_the_ledgers_and_never_the_journals() -> None:
    ids = {emergency_wire_ids("TESTS")() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) == 14 and one.startswith("TESTSZ") and set(one) <= set(ALPHABET) for one in ids)


def test_it_loads_nothing_that_can_fail_elsewhere() -> None:
    code = (
        "import sys, engine.oms.halt; print(*(m for m in sys.modules if m.startswith(('engine.', 'sql', 'textual'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    rooms = {name.split(".")[1] for name in done.stdout.split() if "." in name}
    assert rooms <= {"domain", "market", "oms"}, rooms
    assert "engine.market.feed" in done.stdout
    assert "engine.market.book" not in done.stdout


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as made:
        made.book("AAPL", [("189.40", "300"), ("189.39", "500")], [("189.42", "200"), ("189.43", "400")])
        yield made


def test_a_protected_position_is_flattened_at_a_real_paper_venue(lab: Lab) -> None:
    session = PaperSession(lab.home)
    session.place(market(1, Side.BUY, "400"))
    stop = limit(2, Side.SELL, "400", "199.10")
    session.place(msgspec.structs.replace(stop, spec=msgspec.structs.replace(stop.spec, reduce_only=True)))
    receipt = halt(FLATTEN, paper=lambda: PaperSession(lab.home))
    assert receipt.is_clean, words(receipt)
    assert not session.open_orders()
    assert not session.positions()
    session.close()


def test_against_a_real_paper_venue(lab: Lab) -> None:
    session = PaperSession(lab.home)
    session.place(market(1, Side.BUY, "400"))
    session.place(limit(2, Side.BUY, "10", "189.10"))
    session.place(limit(3, Side.SELL, "10", "199.10"))
    receipt = halt(FLATTEN, paper=lambda: PaperSession(lab.home))
    part = receipt.brokers[0]
    assert receipt.is_clean, words(receipt)
    assert (part.found, part.cancelled, part.mass_cancel) == (2, 2, True)
    assert not session.open_orders()
    assert not session.positions()
    assert part.positions == (), "the receipt shows the flat account, not the look before the exit"
    assert "position: AAPL" not in words(receipt)
    assert len(part.exits) == 1
    assert part.cash["USD"] < Money(1_000_000)
    session.close()
