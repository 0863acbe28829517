"""What crosses what: answers that overtake, snapshots that are old, clocks that step back. Each case is a wrong order if it fails."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.commands import HaltScope
from engine.domain.ids import exit_wire_id
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.movements import Movement, MovementKind
from engine.domain.order import AlgoSpec, OrderSpec, OrderType, Side
from engine.oms import broker_interface as bi
from engine.risk.latch import GLOBAL
from tests.core.lab import AAPL, ME, Lab
from tests.core.test_engine import venue_order

MSFT = make_instrument("MSFT", "equity", "XSIM", "USD", "0.01")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def working(lab: Lab, qty: int = 100, limit: str = "189", intent: str = "i1", side: Side = Side.BUY) -> str:
    """An acknowledged order; its wire id."""
    assert lab.order(side, qty, limit, intent).ok
    wire = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire))
    return wire


def amend(lab: Lab, intent: str = "a1", **terms: object) -> None:
    assert lab.submit(co.AmendOrder(source=ME, intent_id=intent, order_id="P1", **terms)).ok  # type: ignore[arg-type]


def amended(lab: Lab, wire: str, qty: int, limit: str) -> bi.Amended:
    return bi.Amended(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, qty=Qty(qty), limit=Price(limit))


def uncertain(lab: Lab, wire: str) -> bi.Uncertain:
    return bi.Uncertain(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, why="timeout")


def ask(lab: Lab) -> None:
    assert lab.submit(co.Reconcile(source=ME)).ok


# -- snapshots that are older than what happened since ----------------------------------------------------------------------


def test_an_answer_to_a_question_from_before_the_send_proves_no_absence(lab: Lab) -> None:
    """The question was asked, then the order left and was lost sight of; the answer came late and could not hold it."""
    ask(lab)
    request = lab.broker.asked[-1][0]
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(uncertain(lab, wire))
    lab.clock.set_ns(lab.clock.now_ns() + 5 * NS_PER_S)
    lab.answer(msgspec.structs.replace(lab.snapshot(), request_id=request))
    assert lab.state("C2") == "unknown"
    lab.answer(lab.ack(wire))
    assert lab.state("C2") == "new"


def test_an_absence_is_waited_for_from_when_the_order_was_lost_sight_of(lab: Lab) -> None:
    """A send may leave long after its intent (a slow disk): only from its first UNKNOWN on is it known to have left."""
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.clock.set_ns(lab.clock.now_ns() + 5 * NS_PER_S)
    lab.answer(uncertain(lab, wire))
    ask(lab)
    lab.answer(lab.snapshot())
    assert lab.state("C2") == "unknown"


def test_an_order_acknowledged_after_the_question_is_no_difference(lab: Lab) -> None:
    ask(lab)
    request = lab.broker.asked[-1][0]
    working(lab)
    lab.clock.set_ns(lab.clock.now_ns() + 5 * NS_PER_S)
    lab.answer(msgspec.structs.replace(lab.snapshot(), request_id=request))
    assert lab.engine.kill.held() == ()


def test_an_order_that_ended_after_the_question_is_no_open_order_of_somebody_else(lab: Lab) -> None:
    """The answer shows it open, because it was when the venue looked; what came since says that it ended."""
    wire = working(lab)
    ask(lab)
    listed = venue_order(wire, qty=Qty(100), limit=Price("189"))
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire))
    lab.answer(lab.snapshot(orders=(listed,)))
    assert list(lab.engine.store.live) == []
    assert "foreign_order" not in lab.kinds()


def test_an_order_that_nobody_answers_becomes_unknown_and_then_never_arrived(lab: Lab) -> None:
    """An adapter that swallows an order must not leave it waiting for ever."""
    lab.buy(100, "189")
    lab.pass_time(3)
    ask(lab)
    lab.answer(lab.snapshot())
    assert lab.state("C2") == "unknown"
    lab.pass_time(3)
    lab.answer(lab.snapshot())
    assert lab.state("C2") == "killed"


def test_an_order_that_waits_for_the_disk_is_not_lost_sight_of(lab: Lab) -> None:
    lab.engine.submit(co.NewOrder(source=ME, intent_id="w", spec=limit_order(Side.BUY, 100), why=""))
    lab.clock.set_ns(lab.clock.now_ns() + 3 * NS_PER_S)
    lab.engine.submit(co.Reconcile(source=ME))
    lab.engine.on_broker(lab.snapshot())
    assert lab.state("C2") == "pending_new"


def test_a_working_order_that_the_venue_has_forgotten_can_be_resolved(lab: Lab) -> None:
    """It is shown as unknown, its symbol only reduces, and a person says what became of it."""
    working(lab)
    lab.pass_time(3)
    ask(lab)
    lab.answer(lab.snapshot())
    assert lab.state("C2") == "unknown"
    assert [(held.scope.name, held.state.value) for held in lab.engine.kill.held()] == [("AAPL", "reducing")]
    lab.pass_time(3)
    lab.answer(lab.snapshot())
    assert lab.state("C2") == "unknown", "that it was there is certain: its absence proves nothing"
    assert lab.submit(co.Resolve(source=ME, order_id="C2", as_=co.ResolveAs.CANCELLED, reason="the broker's desk")).ok
    ask(lab)
    lab.answer(lab.snapshot())
    assert lab.engine.reconciler.last["paper", "PAPER"].clean


# -- amendments ----------------------------------------------------------------------------------------------------------


def test_a_price_that_is_being_amended_is_not_settled_by_the_old_one(lab: Lab) -> None:
    """Quantity alone does not tell the old terms from the new ones."""
    wire = working(lab, 100, "188")
    amend(lab, limit=Price("189"))
    ask(lab)
    lab.answer(lab.snapshot(orders=(venue_order(wire),)))
    assert lab.state("C2") == "pending_replace"
    lab.answer(amended(lab, wire, 100, "189"))
    assert lab.engine.store.get("C2").limit == Price("189")
    assert lab.state("C2") == "new"


def test_an_amend_without_an_answer_counts_at_its_worst_until_the_venue_had_its_time(lab: Lab) -> None:
    """A snapshot with the old terms that was asked at once proves nothing: the amend may still be on its way."""
    wire = working(lab, 100, "188")
    amend(lab, qty=Qty(500))
    lab.answer(uncertain(lab, wire))
    ask(lab)
    lab.answer(lab.snapshot(orders=(venue_order(wire),)))
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 500
    lab.pass_time(3)
    lab.answer(lab.snapshot(orders=(venue_order(wire),)))
    assert lab.state("C2") == "new"
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 100


def test_a_fill_of_the_new_terms_before_their_confirmation_ends_nothing(lab: Lab) -> None:
    """The venue took 100 -> 500 and filled 300 of it; its word of the amend comes behind the fill."""
    wire = working(lab, 100, "189")
    amend(lab, qty=Qty(500))
    lab.answer(lab.fill(wire, 300, "k1", "189"))
    assert lab.engine.store.overfills == 0
    assert lab.state("C2") == "pending_replace"
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 200
    lab.answer(amended(lab, wire, 500, "189"))
    assert lab.state("C2") == "partially_filled"
    assert lab.state("P1") == "partially_filled"
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 200


def test_an_order_that_filled_while_its_amend_was_refused_is_filled(lab: Lab) -> None:
    wire = working(lab, 100, "189")
    amend(lab, qty=Qty(500))
    lab.answer(lab.fill(wire, 100, "k1", "189"))
    refused = bi.AmendRefused(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, code="LATE", text="filled")
    lab.answer(refused)
    assert (lab.state("C2"), lab.state("P1")) == ("filled", "filled")
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 0


def test_an_amend_that_a_cancel_overtook_before_it_left_is_no_longer_pending(lab: Lab) -> None:
    wire = working(lab, 100, "188")
    lab.engine.submit(co.AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(500)))
    lab.engine.submit(co.CancelOrder(source=ME, order_id="C2"))
    lab.settle()
    assert lab.broker.amends == []
    refused = bi.CancelRefused(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, code="BUSY", text="later")
    lab.answer(refused)
    assert lab.state("C2") == "new"
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 100


def test_own_orders_are_compared_with_the_sharper_terms_of_an_amend_under_way(lab: Lab) -> None:
    wire = working(lab, 100, "190", side=Side.SELL)
    amend(lab, limit=Price("189.03"))
    denied = lab.buy(100, "189.10", intent="i2")
    assert [item.code for item in denied.denials] == ["SELF_CROSS"]
    assert lab.broker.amends == [wire]


# -- cancels --------------------------------------------------------------------------------------------------------------


def test_a_cancel_that_was_refused_before_its_order_was_known_is_asked_again(lab: Lab) -> None:
    """The cancel overtook its order, and the venue's "not known" comes before its acknowledgement."""
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.submit(co.CancelOrder(source=ME, order_id="P1"))
    refused = bi.CancelRefused(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, code="UNKNOWN", text="")
    lab.answer(refused)
    lab.answer(lab.ack(wire))
    assert lab.broker.cancels == [wire, wire]
    assert lab.state("C2") == "pending_cancel"


def test_cancel_all_asks_again_for_what_got_no_answer(lab: Lab) -> None:
    wire = working(lab)
    lab.submit(co.CancelAll(source=ME))
    lab.answer(uncertain(lab, wire))
    lab.submit(co.CancelAll(source=ME))
    assert lab.broker.cancels == [wire, wire]


def test_what_a_late_fill_makes_too_much_is_cancelled(lab: Lab) -> None:
    """A slice was confirmed as gone and sent anew; then the venue says that the first one filled after all."""
    assert lab.buy(100, "190", algo=AlgoSpec(name="twap", duration_ns=20 * NS_PER_S, params={"slices": "1"})).ok
    first = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(first))
    lab.pass_time(15.5)
    assert lab.broker.cancels == [first]
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=first))
    second = lab.broker.sent[1].wire_id
    lab.answer(lab.ack(second))
    lab.answer(lab.fill(first, 100, "late"))
    assert lab.broker.cancels == [first, second]


# -- executions -----------------------------------------------------------------------------------------------------------


def test_a_late_fill_that_names_only_the_venues_id_is_our_orders(lab: Lab) -> None:
    wire = working(lab)
    lab.submit(co.CancelOrder(source=ME, order_id="P1"))
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire))
    fill = msgspec.structs.replace(lab.fill(wire, 40, "k1").fill, wire_id="", venue_order_id=f"V{wire}")
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=fill))
    assert lab.engine.store.get("P1").qty_filled == 40


def test_a_venues_id_is_its_own_brokers_and_accounts(lab: Lab) -> None:
    wire = working(lab)
    fill = msgspec.structs.replace(
        lab.fill(wire, 40, "k1").fill, wire_id="", venue_order_id=f"V{wire}", account="OTHER"
    )
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=fill))
    named = msgspec.structs.replace(fill, fill_key="k2", wire_id=wire)
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=named))
    assert lab.engine.store.get("C2").qty_filled == 0
    assert lab.kinds()[-2:] == ["foreign_fill", "foreign_fill"]


def test_an_open_order_under_the_venues_id_of_an_ended_one_is_shown(lab: Lab) -> None:
    """Some venues start their ids anew each day: an old id hides nothing."""
    wire = working(lab)
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire))
    lab.pass_time(1)
    ask(lab)
    lab.answer(lab.snapshot(orders=(venue_order("", venue_order_id=f"V{wire}"),)))
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 100
    ask(lab)
    lab.answer(lab.snapshot(orders=(venue_order("", venue_order_id=f"V{wire}"),)))
    assert len(lab.engine.store.live) == 1, "adopted twice"


@pytest.mark.parametrize("is_amending", [False, True])
def test_a_cancel_whose_answer_was_lost_is_asked_again_while_the_order_works(lab: Lab, is_amending: bool) -> None:
    """With an amend under way the old terms prove nothing yet, and the cancel is asked all the same."""
    wire = working(lab)
    if is_amending:
        amend(lab, limit=Price("188"))
    assert lab.submit(co.CancelOrder(source=ME, order_id="P1")).ok
    lab.answer(uncertain(lab, wire))
    ask(lab)
    lab.answer(lab.snapshot(orders=(venue_order(wire, limit=Price("189")),)))
    assert lab.broker.cancels == [wire, wire]
    assert lab.state("C2") == ("unknown" if is_amending else "pending_cancel")


@pytest.mark.parametrize(("symbol", "state"), [("AAPL", "cancelled"), ("MSFT", "new")])
def test_a_split_stops_the_schedules_of_its_symbol_and_of_no_other(tmp_path: Path, symbol: str, state: str) -> None:
    """What a schedule has working is cancelled too: of new units it could trade too much."""
    lab = Lab(tmp_path, listed=(AAPL, MSFT))
    lab.connect()
    assert lab.buy(100, algo=AlgoSpec("twap", duration_ns=600 * NS_PER_S)).ok
    lab.pass_time(1)
    (child,) = lab.broker.sent
    lab.answer(lab.ack(child.wire_id))
    split = Movement(
        broker="paper", account="PAPER", key="s1", kind=MovementKind.SPLIT, ts_ns=lab.clock.now_ns(), symbol=symbol, ratio=(4, 1)
    )  # fmt: skip
    lab.answer(bi.Moved(broker="paper", ts_ns=lab.clock.now_ns(), movement=split))
    assert lab.broker.cancels == ([child.wire_id] if symbol == "AAPL" else [])
    if symbol == "AAPL":
        lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=child.wire_id))
    assert lab.state("P1") == state


@pytest.mark.parametrize(("code", "asked"), [("NOT_SENT", 2), ("TOO_LATE", 1)])
def test_a_cancel_that_met_a_dead_line_is_asked_again_when_it_is_back(lab: Lab, code: str, asked: int) -> None:
    """Seed 501: a schedule ended while the line was down, its last child worked for good, and its parent waited for that. What the venue
    itself refused is not asked on and on.
    """
    wire = working(lab)
    lab.submit(co.CancelOrder(source=ME, order_id="P1"))
    now = lab.clock.now_ns()
    lab.answer(bi.CancelRefused(broker="paper", ts_ns=now, wire_id=wire, code=code, text="no line"))
    assert lab.state("C2") == "new"
    back = bi.ChannelChanged(broker="paper", ts_ns=now, state=ev.BrokerState.RESYNCING)
    for _ in range(2):
        lab.engine.on_broker(back)
        lab.answer(lab.snapshot(orders=(venue_order(wire, limit=Price("189")),)))
    assert lab.broker.cancels == [wire] * asked


def test_a_cancel_that_a_schedule_asked_for_itself_is_its_own_business(lab: Lab) -> None:
    assert lab.buy(100, algo=AlgoSpec("twap", duration_ns=600 * NS_PER_S)).ok
    lab.pass_time(1)
    (child,) = lab.broker.sent
    lab.answer(lab.ack(child.wire_id))
    lab.engine.agent.cancel_child("C2", "to replace it")
    now = lab.clock.now_ns()
    lab.answer(bi.CancelRefused(broker="paper", ts_ns=now, wire_id=child.wire_id, code="NOT_SENT", text="no line"))
    ask(lab)
    lab.answer(lab.snapshot(orders=(venue_order(child.wire_id, qty=child.spec.qty, limit=child.spec.limit),)))
    assert lab.broker.cancels == [child.wire_id]


def test_a_corrected_execution_counts_once_for_its_parent(lab: Lab) -> None:
    wire = working(lab)
    lab.answer(lab.fill(wire, 60, "k.01"))
    again = msgspec.structs.replace(lab.fill(wire, 50, "k.02").fill, corrects="k.01")
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=again))
    third = msgspec.structs.replace(lab.fill(wire, 40, "k.03").fill, corrects="k.02")
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=third))
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire))
    assert lab.engine.store.get("C2").qty_filled == 40
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 40
    assert lab.engine.gate.history.committed("P1") == 0, "its parent has ended"


def test_a_correction_frees_what_the_wrong_execution_held_of_its_parent(lab: Lab) -> None:
    wire = working(lab)
    lab.answer(lab.fill(wire, 60, "k.01"))
    again = msgspec.structs.replace(lab.fill(wire, 70, "k.02").fill, corrects="k.01")
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=again))
    assert lab.engine.gate.history.committed("P1") == 100


def test_a_difference_is_accepted_once(lab: Lab) -> None:
    ask(lab)
    lab.answer(lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(70)),)))
    accept = co.Reconcile(source=ME, accept=True, reason="transferred in")
    lab.submit(accept)
    lab.submit(accept)
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 70


@pytest.mark.parametrize("price", ["0", "-5"])
def test_nobody_states_a_fill_at_no_price(lab: Lab, price: str) -> None:
    lab.buy(100, "189")
    lab.answer(uncertain(lab, lab.broker.sent[0].wire_id))
    filled = co.Resolve(source=ME, order_id="C2", as_=co.ResolveAs.FILLED, reason="said", price=Price(price))
    assert not lab.submit(filled).ok
    assert lab.state("C2") == "unknown"


# -- the gate, between the verdict and the wire -------------------------------------------------------------------------------


def test_what_may_no_longer_grow_a_position_does_not_leave(lab: Lab) -> None:
    """A trip to REDUCING between the gate and the wire holds for what waits for the disk."""
    lab.engine.submit(co.NewOrder(source=ME, intent_id="w", spec=limit_order(Side.BUY, 100), why=""))
    lab.engine.trip(GLOBAL, ev.TradingState.REDUCING, "LOSS_MAX", "test")
    lab.settle()
    assert lab.broker.sent == []
    assert lab.state("C2") == "killed"


def test_what_shrinks_a_position_leaves_in_reducing(lab: Lab) -> None:
    wire = working(lab)
    lab.answer(lab.fill(wire, 100, "k1"))
    lab.engine.submit(co.NewOrder(source=ME, intent_id="w", spec=limit_order(Side.SELL, 100), why=""))
    lab.engine.trip(GLOBAL, ev.TradingState.REDUCING, "LOSS_MAX", "test")
    lab.settle()
    assert [order.spec.side for order in lab.broker.sent] == [Side.BUY, Side.SELL]


def limit_order(side: Side, qty: int) -> OrderSpec:
    return OrderSpec(symbol="AAPL", side=side, qty=Qty(qty), type=OrderType.LIMIT, limit=Price("189"))


def stated_filled(lab: Lab, filled: int = 0) -> str:
    """An order of 100 of which a person says that it filled; its wire id."""
    wire = working(lab)
    if filled:
        lab.answer(lab.fill(wire, filled, "k0", price="189"))
    lab.answer(uncertain(lab, wire))
    said = co.Resolve(
        source=ME, order_id="C2", as_=co.ResolveAs.FILLED, price=Price("189"), reason="seen at the broker"
    )
    assert lab.submit(said).ok
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 100
    return wire


@pytest.mark.parametrize(("filled", "parts"), [(0, [100]), (0, [30, 70]), (40, [60]), (40, [20, 40])])
def test_the_venues_executions_take_the_place_of_what_a_person_said(lab: Lab, filled: int, parts: list[int]) -> None:
    wire = stated_filled(lab, filled)
    for number, qty in enumerate(parts):
        lab.answer(lab.fill(wire, qty, f"v{number}", price="188.90"))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 100
    assert (lab.state("C2"), lab.state("P1")) == ("filled", "filled")
    assert lab.engine.store.overfills == 0
    assert lab.engine.ledger.conservation_faults() == []


def test_what_a_person_said_is_not_undone_because_the_venue_does_not_list_it(lab: Lab) -> None:
    """It cannot list it: the word stays, and what the venue says otherwise is shown as a difference."""
    wire = stated_filled(lab)
    lab.pass_time(lab.broker.capabilities.absence_wait_ns / NS_PER_S + 1)
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(cash={"USD": Money("1000000")}))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 100
    assert "fill_busted" not in lab.kinds()
    assert not lab.engine.reconciler.last["paper", "PAPER"].clean
    assert lab.engine.store.by_wire[wire].state.value == "filled"


@pytest.mark.parametrize("qty", ["1e400", "1e-400", "1e19"])
def test_a_number_of_too_many_digits_is_a_bad_number_and_no_broken_check(lab: Lab, qty: str) -> None:
    working(lab)
    spec = msgspec.structs.replace(limit_order(Side.BUY, 1), qty=Qty(qty))
    ordered = lab.submit(co.NewOrder(source=ME, intent_id="x", spec=spec, why=""))
    amended_to = lab.submit(co.AmendOrder(source=ME, intent_id="y", order_id="P1", limit=Price(qty)))
    assert [denial.code for denial in ordered.denials] == ["NUMBER_BAD"]
    assert [denial.code for denial in amended_to.denials] == ["NUMBER_BAD"]
    assert len(ordered.text) < 200


@pytest.mark.parametrize("qty", ["1e55", "1e300"])
def test_an_absurd_quantity_is_denied_in_words(lab: Lab, qty: str) -> None:
    spec = msgspec.structs.replace(limit_order(Side.BUY, 1), qty=Qty(qty))
    result = lab.submit(co.NewOrder(source=ME, intent_id="x", spec=spec, why=""))
    assert not result.ok
    assert result.denials
    assert not lab.submit(co.Preview(source=ME, spec=spec)).ok


def test_a_symbol_that_is_flat_and_quiet_stops_no_other(tmp_path: Path) -> None:
    """Nothing is held and nothing works there: a missing price of it is no risk."""
    lab = Lab(tmp_path, ledger=tmp_path / "ledger.db", listed=(AAPL, MSFT))
    lab.connect()
    for side, key in ((Side.BUY, "k1"), (Side.SELL, "k2")):
        fill = msgspec.structs.replace(lab.fill("", 10, key, "189", side).fill, symbol="MSFT")
        lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=fill))
    result = lab.buy(100, "189")
    assert result.ok, result.text


def step_back(lab: Lab, seconds: int) -> None:
    """As a wall clock does that is set right; a recorded feed never does."""
    lab.clock.at_ns -= seconds * NS_PER_S


# -- clocks ---------------------------------------------------------------------------------------------------------------


def test_a_clock_that_steps_back_halts_at_once(lab: Lab) -> None:
    """What is due by the wall clock would wait for as long as the step: monitors, latch and comparisons with it."""
    lab.pass_time(3)
    mono_ns = lab.clock.now_ns() + NS_PER_S
    step_back(lab, 3600)
    lab.engine.on_time(lab.clock.now_ns(), mono_ns)
    assert [held.code for held in lab.engine.kill.held()] == ["CLOCK_JUMP"]
    assert lab.engine.next_time_ns() < lab.clock.now_ns() + 2 * NS_PER_S


def test_the_latch_is_looked_at_after_a_clock_stepped_back(lab: Lab) -> None:
    lab.pass_time(3)
    step_back(lab, 3600)
    lab.latch.trip(HaltScope(), ev.TradingState.HALTED)
    lab.engine.on_time(lab.clock.now_ns(), lab.clock.now_ns())
    assert [held.code for held in lab.engine.kill.held()] == ["LATCH"]


# -- what a venue and a person cannot make true -----------------------------------------------------------------------------


def test_an_amendment_behind_its_fills_takes_none_of_them_back(lab: Lab) -> None:
    wire = working(lab)
    amend(lab, qty=Qty(50))
    lab.answer(lab.fill(wire, 80, "k1"))
    lab.answer(amended(lab, wire, 50, "189"))
    for order in lab.engine.store.orders.values():
        assert [order.qty, order.qty_filled, order.worst_qty, order.overfill] == [Qty(80), Qty(80), Qty(0), Qty(0)]
    assert lab.state("P1") == "filled"


def test_a_venue_that_works_more_than_was_asked_has_its_order_cancelled(lab: Lab) -> None:
    wire = working(lab)
    amend(lab, qty=Qty(120))
    lab.answer(amended(lab, wire, 5000, "189"))
    child, parent = lab.engine.store.get("C2"), lab.engine.store.get("P1")
    assert child.worst_qty == 5000, "what works is counted as it works"
    assert parent.qty == 120, "a parent never grows beyond what passed the gate"
    assert lab.broker.cancels == [wire]


@pytest.mark.parametrize("seen", ["acked", "filled"])
def test_what_the_venue_had_was_not_never_sent(lab: Lab, seen: str) -> None:
    assert lab.buy(100, "189").ok
    wire = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire) if seen == "acked" else lab.fill(wire, 10, "k1"))
    lab.answer(uncertain(lab, wire))
    result = lab.submit(co.Resolve(source=ME, order_id="C2", as_=co.ResolveAs.NEVER_SENT, reason="I think so"))
    assert (result.ok, result.code) == (False, "ILLEGAL")
    assert "state cancelled or filled" in result.text
    assert lab.state("C2") == "unknown"
    assert lab.kinds()[-1] == "illegal_input"


def test_a_position_in_something_unknown_is_refused_in_words_and_stays_open(lab: Lab) -> None:
    ask(lab)
    lab.answer(lab.snapshot(positions=(bi.VenuePosition(symbol="XYZ", qty=Qty(7)),)))
    for _ in range(2):
        result = lab.submit(co.Reconcile(source=ME, accept=True, reason="transferred in"))
        assert (result.ok, result.code) == (False, "INSTRUMENT_UNKNOWN")
        assert "close it at the broker" in result.text
    assert [held.scope.name for held in lab.engine.kill.held()] == ["XYZ"]
    assert lab.engine.ledger.conservation_faults() == []


def test_what_filled_beyond_the_old_quantity_shows_the_new_one_in_force(lab: Lab) -> None:
    """The venue's confirmation of a larger quantity is lost; its fills are not."""
    wire = working(lab)
    amend(lab, qty=Qty(120))
    lab.answer(lab.fill(wire, 110, "k1"))
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire))
    for order in lab.engine.store.orders.values():
        assert order.state.value == "cancelled"
        assert [order.qty, order.qty_filled, order.overfill] == [Qty(120), Qty(110), Qty(0)]


def test_what_filled_of_terms_that_were_refused_is_an_overfill(lab: Lab) -> None:
    wire = working(lab)
    amend(lab, qty=Qty(120))
    lab.answer(lab.fill(wire, 110, "k1"))
    lab.answer(bi.AmendRefused(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, code="X", text="no"))
    for order in lab.engine.store.orders.values():
        assert order.state.value == "filled"
        assert [order.qty, order.qty_filled, order.overfill] == [Qty(100), Qty(110), Qty(10)]
    assert lab.engine.view().status.overfills == 1


def test_what_filled_beyond_what_was_asked_is_an_overfill_of_its_parent(lab: Lab) -> None:
    wire = working(lab)
    amend(lab, qty=Qty(120))
    lab.answer(amended(lab, wire, 150, "189"))
    lab.answer(lab.fill(wire, 150, "k1"))
    parent = lab.engine.store.get("P1")
    assert [parent.qty, parent.qty_filled, parent.overfill] == [Qty(120), Qty(150), Qty(30)]
    assert lab.engine.view().status.overfills == 1


def test_answers_about_an_exit_of_the_kill_procedure_are_no_illegal_inputs(lab: Lab) -> None:
    """It has no journal to number them by, and follows them itself; the books hear of the execution."""
    lab.buy(100)
    entry = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(entry))
    lab.answer(lab.fill(entry, 100, "k1"))
    wire_id = exit_wire_id("TEST0")
    lab.answer(lab.ack(wire_id))
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire_id))
    lab.answer(lab.fill(wire_id, 100, "k2", side=Side.SELL))
    assert lab.engine.store.illegal_inputs == 0
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 0
    lab.answer(lab.ack(exit_wire_id("OTHER")))
    assert lab.engine.store.illegal_inputs == 1, "another ledger's is not ours"


def test_a_venue_that_amends_to_other_prices_than_it_was_asked_for_is_believed_and_told_of(lab: Lab) -> None:
    lab.buy(100, "188.00")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    lab.submit(co.AmendOrder(source=ME, intent_id="a1", order_id="C2", limit=Price("188.50")))
    now = lab.clock.now_ns()
    lab.answer(bi.Amended(broker="paper", ts_ns=now, wire_id=wire_id, qty=Qty(100), limit=Price("188.00")))
    (alert,) = [ev.decode_event(row.payload) for row in lab.journal.read() if row.kind == "alert"]
    assert isinstance(alert, ev.AlertRaised)
    assert (alert.code, "limit 188 and not 188.5" in alert.text) == ("AMENDED_OTHERWISE", True)
    lab.submit(co.AmendOrder(source=ME, intent_id="a2", order_id="C2", limit=Price("188.60")))
    lab.answer(bi.Amended(broker="paper", ts_ns=now, wire_id=wire_id, qty=Qty(100), limit=Price("188.60")))
    assert lab.kinds().count("alert") == 1


def test_an_exit_of_the_kill_procedure_is_named_as_its_own_and_not_as_foreign(lab: Lab) -> None:
    lab.buy(100)
    entry = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(entry))
    lab.answer(lab.fill(entry, 100, "k1"))
    lab.answer(lab.fill(exit_wire_id("TEST0"), 60, "k2", side=Side.SELL))
    lab.answer(lab.fill(exit_wire_id("OTHER"), 10, "k3", side=Side.SELL))
    view = lab.engine.view()
    assert [(fill.order_id, fill.source) for fill in view.fills] == [("C2", ""), ("", "halt"), ("", "foreign")]
    said = [line.text for line in view.log if line.word == "FILL" and line.order_id == ""]
    assert said == ["halt flatten sell 60 AAPL 189.02", "foreign sell 10 AAPL 189.02"]
    by_source = {row.name: row for row in view.exposures if row.kind == "source"}
    assert by_source.keys() >= {"foreign", "halt"}
    assert by_source["halt"].short == by_source["foreign"].short * 6  # type: ignore[operator] # both have a mark
