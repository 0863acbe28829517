"""Trips over trips, and what may lift them: nothing that is easier to lift ever takes the place of something harder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.money import Money, Qty
from engine.oms import broker_interface as bi
from engine.risk.latch import GLOBAL, Latch, TripNote, sentinel
from tests.core.lab import ME, POLICY, Lab

SYMBOL = HaltScope(HaltScopeKind.SYMBOL, "AAPL")
CASH = {"USD": Money("1000000")}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def held(lab: Lab) -> list[tuple[HaltScope, str, str]]:
    return [(item.scope, item.state.value, item.code) for item in lab.engine.kill.held()]


def compare(lab: Lab, qty: int = 0, **parts: object) -> None:
    """A comparison in which the broker has this position."""
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(qty)),) if qty else (), **parts))


def is_clean(lab: Lab) -> bool:
    return lab.engine.reconciler.last["paper", "PAPER"].clean


def accept(lab: Lab, symbol: str = "AAPL") -> co.CommandResult:
    return lab.submit(co.Reconcile(source=ME, accept=True, symbol=symbol, reason="the broker is right"))


def rearm(lab: Lab, scope: HaltScope) -> co.CommandResult:
    return lab.submit(co.Rearm(source=ME, scope=scope, word="REARM", reason="looked"))


def test_a_halted_scope_stays_halted_where_it_is_asked_to_reduce(lab: Lab) -> None:
    lab.submit(co.Halt(source=ME, scope=SYMBOL, why="strange fills"))
    told = lab.submit(co.Reduce(source=ME, scope=SYMBOL, why="less strict"))
    assert told.text == "symbol AAPL stays halted"
    lab.pass_time(2)
    assert held(lab) == [(SYMBOL, "halted", "MANUAL")]


def test_accepting_a_difference_does_not_lift_a_halt_that_stood_before_it(lab: Lab) -> None:
    lab.buy(10)
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 10, "k1"))
    lab.answer(lab.fill(wire, 10, "k1", price="190.00"))
    compare(lab, 50)
    assert (SYMBOL, "halted", "FILL_CONFLICT") in held(lab)
    accept(lab)
    assert (SYMBOL, "halted", "FILL_CONFLICT") in held(lab)
    assert lab.latch.read((SYMBOL,)) is ev.TradingState.HALTED


def test_accepting_a_difference_does_not_lift_what_a_person_reduced(lab: Lab) -> None:
    lab.submit(co.Reduce(source=ME, scope=SYMBOL, why="earnings"))
    compare(lab, 50)
    accept(lab)
    assert held(lab) == [(SYMBOL, "reducing", "MANUAL")]


def test_accepting_does_not_lift_what_another_process_tripped_a_moment_ago(lab: Lab) -> None:
    compare(lab, 50)
    lab.latch.trip(SYMBOL)
    accept(lab)
    assert lab.latch.read((SYMBOL,)) is ev.TradingState.HALTED


def forgotten(lab: Lab) -> None:
    """An acknowledged order that the venue lists no more."""
    lab.buy(10, "189")
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    lab.pass_time(3)
    compare(lab)
    assert held(lab) == [(SYMBOL, "reducing", "RECONCILE")]


def test_accepting_does_not_lift_what_it_cannot_book(lab: Lab) -> None:
    forgotten(lab)
    accept(lab)
    assert held(lab) == [(SYMBOL, "reducing", "RECONCILE")]


def test_what_became_of_an_order_said_by_a_person_ends_its_reducing(lab: Lab) -> None:
    forgotten(lab)
    said = co.Resolve(source=ME, order_id="C2", as_=co.ResolveAs.CANCELLED, reason="the broker's desk")
    assert lab.submit(said).ok
    assert held(lab) == []
    assert lab.latch.read((SYMBOL,)) is ev.TradingState.ACTIVE


def test_a_difference_that_stands_after_it_was_accepted_reduces_again(lab: Lab) -> None:
    """It was accepted while a fill was on its way: nothing was booked, so the next comparison tells it anew."""
    compare(lab, 50)
    lab.buy(10)
    lab.broker.sent.clear()
    foreign = lab.fill("", 10, "f1")
    lab.answer(foreign)
    accept(lab)
    lab.answer(lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(50)),)))
    assert (SYMBOL, "reducing", "RECONCILE") in held(lab)


def test_the_same_difference_reduces_again_where_it_was_accepted_and_nothing_was_booked(lab: Lab) -> None:
    """Word for word as before: a comparison that repeats itself trips once, and one that was lifted in between trips anew."""
    compare(lab, 50)
    lab.answer(lab.fill("", 10, "f1"))
    accept(lab)
    assert held(lab) == []
    lab.answer(bi.Busted(broker="paper", ts_ns=lab.clock.now_ns(), fill_key="f1", symbol="AAPL"))
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(50)),)))
    assert (SYMBOL, "reducing", "RECONCILE") in held(lab)


def test_cash_that_differs_is_not_booked_by_itself(lab: Lab) -> None:
    """Only an account of which nothing is booked yet takes its opening balance from the broker."""
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(cash={"USD": Money("999995")}))
    assert lab.engine.ledger.cash["paper", "PAPER", "USD"] == Money("1000000")
    assert not is_clean(lab)
    assert (HaltScope(HaltScopeKind.ACCOUNT, "PAPER"), "reducing", "RECONCILE") in held(lab)


def test_an_execution_of_before_what_was_asked_for_is_not_called_undone(lab: Lab) -> None:
    """The broker lists what came since then: that an older one is not in the list says nothing."""
    lab.buy(60)
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 60, "k1"))
    lab.pass_time(lab.broker.capabilities.absence_wait_ns / NS_PER_S + 1)
    lab.engine.reconciler.ask(lab.broker, since_ns=lab.clock.now_ns() - 1)
    lab.answer(lab.snapshot(cash=CASH))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 60
    assert (SYMBOL, "reducing", "RECONCILE") in held(lab)


# -- an execution that was undone a moment after it came ----------------------------------------------------------------------


def undone_at_once(lab: Lab) -> None:
    lab.buy(60)
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 60, "k1"))
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(cash=CASH))


def test_an_execution_undone_within_the_venues_time_is_waited_for_and_then_explained(lab: Lab) -> None:
    undone_at_once(lab)
    assert held(lab) == []
    assert not is_clean(lab)
    assert not lab.buy(10, "189", intent="i2").ok, "until it is explained nothing leaves"
    wait_ns = lab.broker.capabilities.absence_wait_ns
    asked = len(lab.broker.asked)
    lab.pass_time(wait_ns / NS_PER_S + 1)
    assert len(lab.broker.asked) > asked, "it is asked again as soon as that can prove something"
    lab.answer(lab.snapshot(cash=CASH))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 0
    assert is_clean(lab)
    assert held(lab) == []


def test_a_gap_that_no_young_execution_explains_reduces_at_once(lab: Lab) -> None:
    lab.buy(60)
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 60, "k1"))
    compare(lab, 59, cash=CASH)
    assert (SYMBOL, "reducing", "RECONCILE") in held(lab)


def test_a_gap_that_stays_after_its_execution_is_listed_again_reduces(lab: Lab) -> None:
    undone_at_once(lab)
    lab.pass_time(lab.broker.capabilities.absence_wait_ns / NS_PER_S + 1)
    fills = tuple(fill for _, fill in lab.engine.store.fills.values())
    lab.answer(lab.snapshot(cash=CASH, fills=fills))
    assert (SYMBOL, "reducing", "RECONCILE") in held(lab)


# -- the sentinel file --------------------------------------------------------------------------------------------------------


def test_a_sentinel_laid_again_with_the_same_words_halts_again_and_refuses_a_re_arm_while_it_lies(
    tmp_path: Path,
) -> None:
    def take_notes() -> list[TripNote]:
        found = sentinel(tmp_path)
        return [] if found is None else [found]

    lab = Lab(tmp_path, take_notes=take_notes)
    lab.connect()
    for _ in range(2):
        before = lab.kinds().count("trading_state")
        (tmp_path / "HALT").touch()
        lab.pass_time(61)
        compare(lab)
        assert held(lab) == [(GLOBAL, "halted", "SENTINEL")]
        assert lab.kinds().count("trading_state") == before + 1, "told once, not at every look"
        assert rearm(lab, GLOBAL).code == "SENTINEL"
        (tmp_path / "HALT").unlink()
        compare(lab)
        assert rearm(lab, GLOBAL).ok
        lab.pass_time(1)
        assert held(lab) == []


def test_no_answers_to_judge_are_no_reason_to_fall_over(tmp_path: Path) -> None:
    """`min_answers: 0` is a number like others: the monitors look, and find nothing to judge."""
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.read_text().replace("min_answers: 20", "min_answers: 0"))
    lab = Lab(tmp_path, policy=path)
    lab.connect()
    lab.pass_time(3)
    assert lab.buy(10, "189").ok


@pytest.mark.parametrize("spoil", ["remove", "blank", "cut"])
def test_a_spoiled_latch_halts_and_is_named_as_the_cause(lab: Lab, tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "latch"
    if spoil == "remove":
        path.unlink()
    elif spoil == "blank":
        with path.open("r+b") as out:
            out.write(bytes(64))
    else:
        with path.open("r+b") as out:
            out.truncate(7)
    lab.pass_time(1)
    cause = lab.engine.kill.cause_of(GLOBAL)
    assert cause is not None
    assert (cause.state.value, str(path) in cause.why) == ("halted", True), cause.why
    assert not lab.buy(10, "189").ok


def test_a_persons_halt_of_what_is_halted_already_is_journaled_once(tmp_path: Path) -> None:
    """Left as a trip file while no engine could take it; two of them that cannot be removed do not fill the journal."""
    notes = [
        TripNote(scope=GLOBAL, state=ev.TradingState.HALTED, code="MANUAL", who=who, why="by hand", ts_ns=5)
        for who in ("anna", "bert")
    ]
    lying: list[TripNote] = []
    lab = Lab(tmp_path, take_notes=lambda: list(lying))
    lab.connect()
    lab.submit(co.Halt(source=ME, why="first"))
    lying.extend(notes)
    lab.pass_time(2)
    told = [
        event for row in lab.journal.read() if isinstance(event := ev.decode_event(row.payload), ev.TradingStateChanged)
    ]
    assert [(event.who, event.why) for event in told] == [("anna", "first"), ("anna", "by hand"), ("bert", "by hand")]


def test_a_halt_told_by_its_trip_file_and_then_by_its_command_is_journaled_once(tmp_path: Path) -> None:
    """`bolt kill` leaves the file before it asks the engine; whichever is read first, the procedure begins once."""
    lying: list[TripNote] = []
    begun: list[str] = []
    lab = Lab(tmp_path, take_notes=lambda: list(lying), halter=lambda _command, halt_id: begun.append(halt_id))

    def times_told() -> int:
        return lab.kinds().count("trading_state")

    lab.connect()
    lying.append(TripNote(scope=GLOBAL, state=ev.TradingState.HALTED, code="MANUAL", who=ME.name, why="odd", ts_ns=5))
    lab.pass_time(1)
    assert (held(lab), begun, times_told()) == ([(GLOBAL, "halted", "MANUAL")], [], 1)
    lab.submit(co.Halt(source=ME, why="odd"))
    assert (times_told(), len(begun)) == (1, 1)
    lab.pass_time(3)
    lab.submit(co.Halt(source=ME, why="odd"))
    assert times_told() == 2, "a second halt, later, begins the hold time anew"


def test_two_who_tell_of_one_stall_leave_the_words_of_the_first(tmp_path: Path) -> None:
    """The watchdog halts an engine that was stopped; its own lookout wakes with it and says so too. A person is heard all the same."""
    watchdog, lookout, anna = (
        TripNote(scope=GLOBAL, state=ev.TradingState.HALTED, code=code, who=who, why=f"{who} saw it", ts_ns=at)
        for code, who, at in (("WATCHDOG", "watchdog", 5), ("MANUAL", "lookout", 6), ("MANUAL", "anna", 7))
    )
    for first, second in ((watchdog, lookout), (lookout, watchdog)):
        folder = tmp_path / first.who
        folder.mkdir()
        lying = [first]
        begun: list[str] = []
        lab = Lab(folder, take_notes=lying.copy, halter=partial(_note, begun))
        lab.connect()
        lab.pass_time(1)
        began = len(begun)
        lying.append(second)
        lab.pass_time(1)
        halt = lab.engine.view().status.halt
        assert (halt.who, halt.why) == (first.who, f"{first.who} saw it")
        assert len(begun) == began, "whoever left the second note has cancelled by itself"
        lying.append(anna)
        lab.pass_time(1)
        assert lab.engine.view().status.halt.who == "anna"


def _note(begun: list[str], _command: co.Halt, halt_id: str) -> None:
    begun.append(halt_id)


def test_a_latch_that_lost_its_trip_is_tightened_to_what_the_journal_says(tmp_path: Path) -> None:
    """Mapped bytes may miss a power cut that the journal survived; other processes read the latch alone."""
    lab = Lab(tmp_path, ledger=tmp_path / "ledger.db")
    lab.connect()
    lab.submit(co.Halt(source=ME, scope=SYMBOL, why="strange fills"))
    lab.journal.close()
    lab.latch.close()
    (tmp_path / "latch").unlink()
    Latch.open(tmp_path / "latch", ledger_used=False).close()
    again = Lab(tmp_path, ledger=tmp_path / "ledger.db")
    assert again.latch.read((SYMBOL,)) is ev.TradingState.HALTED
    assert again.latch.read() is ev.TradingState.ACTIVE


def test_a_trip_that_comes_while_a_re_arm_looks_is_not_lifted_with_it(tmp_path: Path) -> None:
    """Another process trips what is halted already: the journal shows no difference, so only the latch's own count tells."""
    comes: list[Latch] = []

    def take_notes() -> list[TripNote]:
        while comes:
            comes.pop().trip()
        return []

    lab = Lab(tmp_path, take_notes=take_notes)
    lab.connect()
    lab.submit(co.Halt(source=ME, why="odd"))
    lab.pass_time(61)
    compare(lab)
    comes.append(Latch.attach(tmp_path / "latch"))
    assert rearm(lab, GLOBAL).code == "REARM_RACE"
    assert lab.latch.read() is ev.TradingState.HALTED
    lab.pass_time(61)
    compare(lab)
    assert rearm(lab, GLOBAL).ok


def test_a_re_arm_looks_first_and_what_it_finds_by_itself_is_no_race(lab: Lab) -> None:
    lab.submit(co.Halt(source=ME, scope=SYMBOL, why="odd"))
    lab.pass_time(61)
    compare(lab)
    Latch.attach(lab.latch._path).trip(HaltScope(HaltScopeKind.SYMBOL, "MSFT"))
    assert rearm(lab, SYMBOL).ok
    assert [scope.name for scope, _, _ in held(lab)] == ["MSFT"]


class Stalled:
    """The shared bytes of a latch whose disk takes nothing for now: whoever waited for it would wait for ever."""

    def __init__(self, view: object) -> None:
        self.view = view

    def __getitem__(self, at: object) -> object:
        return self.view[at]  # type: ignore[index]

    def __setitem__(self, at: object, value: object) -> None:
        self.view[at] = value  # type: ignore[index]

    def flush(self) -> None:
        pytest.fail("the engine's loop waits for the disk")

    def close(self) -> None:
        self.view.close()  # type: ignore[attr-defined]


def test_no_halt_waits_for_the_disk_in_the_engines_loop(tmp_path: Path) -> None:
    begun: list[str] = []
    lab = Lab(tmp_path, halter=lambda _command, halt_id: begun.append(halt_id))
    lab.connect()
    lab.latch._map = Stalled(lab.latch._map)  # type: ignore[assignment] # the same bytes
    lab.submit(co.Reduce(source=ME, scope=SYMBOL, why="earnings"))
    lab.submit(co.Halt(source=ME, why="odd"))
    assert len(begun) == 1
    lab.journal.failed = "disk full"
    lab.submit(co.Halt(source=ME, why="again"))
    assert len(begun) == 2
    assert Latch.attach(tmp_path / "latch").read() is ev.TradingState.HALTED


def test_a_re_arm_that_is_refused_lifts_nothing(lab: Lab) -> None:
    lab.submit(co.Halt(source=ME, why="odd"))
    before = lab.kinds().count("trading_state")
    assert rearm(lab, GLOBAL).code == "REARM_HOLD"
    lab.pass_time(61)
    assert rearm(lab, GLOBAL).code == "REARM_RECONCILE"
    compare(lab)
    wrong = co.Rearm(source=ME, scope=GLOBAL, word="rearm", reason="looked")
    assert lab.submit(wrong).code == "REARM_WORD"
    lab.engine.parts.policy.policy = None
    assert rearm(lab, GLOBAL).code == "POLICY_NONE"
    assert lab.kinds().count("trading_state") == before
    assert lab.latch.read() is ev.TradingState.HALTED
