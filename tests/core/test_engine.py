"""The order's way through the engine: durable before sent, never twice, unknown until known."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.errors import InvariantError
from engine.domain.ledger_events import InstrumentDefined, PolicyLoaded
from engine.domain.money import Money, Price, Qty
from engine.domain.order import AlgoSpec, OrderSpec, OrderType, Side, Source, SourceKind, Tif
from engine.ledger.ledger import Ledger
from engine.market.feed import StatusTick
from engine.oms import broker_interface as bi
from engine.store.journal import Journal
from engine.store.order_store import OrderStore
from tests.core.lab import AAPL, ME, POLICY, Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def venue_order(wire_id: str, **parts: object) -> bi.VenueOrder:
    held: dict[str, object] = {
        "venue_order_id": f"V{wire_id}",
        "symbol": "AAPL",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "tif": Tif.DAY,
        "qty": Qty(100),
        "qty_filled": Qty(0),
        "limit": Price("188"),
        "is_open": True,
        "status": "new",
    }
    held.update(parts)
    return bi.VenueOrder(wire_id=wire_id, **held)  # type: ignore[arg-type] # the parts a test gives


def test_nothing_is_sent_before_the_first_reconciliation(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.quote()
    result = lab.buy(100)
    assert not result.ok
    assert lab.broker.sent == []


def test_a_broker_with_another_time_is_not_traded_with(lab: Lab) -> None:
    """Its orders would expire, and its fills be dated, by a clock that is not ours."""
    lab.pass_time(11)
    late = msgspec.structs.replace(lab.snapshot(), ts_ns=lab.clock.now_ns() - 6_000_000_000)
    lab.answer(late)
    assert [item.code for item in lab.buy(1).denials] == ["CLOCK_OFFSET"]
    lab.pass_time(11)
    lab.answer(lab.snapshot())
    assert lab.buy(1, intent="i2").ok


def test_order_waits_for_the_disk(lab: Lab) -> None:
    """The intent is in the journal and committed before the adapter sees the order."""
    spec = lab.engine.submit(co.NewOrder(source=ME, intent_id="w", spec=_spec(100), why=""))
    assert spec.ok
    assert lab.broker.sent == []
    lab.engine.release(lab.journal.durable_seq)
    assert lab.broker.sent == [], "released before its row was durable"
    lab.settle()
    assert [order.spec.qty for order in lab.broker.sent] == [Qty(100)]


def _spec(qty: int) -> OrderSpec:
    return OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(qty), type=OrderType.LIMIT, limit=Price("189"))


def test_same_intent_is_told_and_never_sent_again(lab: Lab) -> None:
    first = lab.buy(100, "189", intent="same")
    again = lab.buy(100, "189", intent="same")
    assert again.repeated
    assert again.order_id == first.order_id
    assert len(lab.broker.sent) == 1


def test_latch_tripped_between_disk_and_wire_kills(lab: Lab) -> None:
    lab.engine.submit(co.NewOrder(source=ME, intent_id="k", spec=_spec(100), why=""))
    seq = lab.journal.commit()
    lab.latch.trip(HaltScope())
    lab.engine.release(seq)
    assert lab.broker.sent == []
    assert lab.state("C2") == "killed"
    lab.settle()
    assert lab.state("P1") == "killed"


def test_what_waited_for_the_disk_does_not_leave_on_a_line_that_went_meanwhile(lab: Lab) -> None:
    """Nothing is queued behind a lost line to fire when it is back."""
    lab.buy(10, "189")
    first = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(first))
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(100), type=OrderType.LIMIT, limit=Price("188"))
    assert lab.engine.submit(co.NewOrder(source=ME, intent_id="i2", spec=spec, why="")).ok
    assert lab.engine.submit(co.AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(20))).ok
    lab.answer(bi.ChannelChanged(broker="paper", ts_ns=lab.clock.now_ns(), state=ev.BrokerState.DOWN, why="cut"))
    assert [order.wire_id for order in lab.broker.sent] == [first]
    assert lab.broker.amends == []
    assert lab.state("C4") == "killed"
    assert lab.state("C2") == "new"


def test_an_order_that_the_venue_speaks_of_before_it_left_does_not_leave(lab: Lab) -> None:
    """A wire id of ours that is there already, as behind a ledger put back from an old copy: sending it again would double it."""
    lab.engine.submit(co.NewOrder(source=ME, intent_id="i1", spec=_spec(100), why=""))
    lab.engine.on_broker(lab.ack(lab.engine.store.get("C2").wire_id))
    lab.settle()
    assert lab.state("C2") == "new"
    assert not lab.broker.sent


def test_a_cancel_of_what_has_ended_is_neither_journaled_nor_sent(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.fill(wire, 100, "f1"))
    rows = lab.journal.head_seq
    assert not lab.engine.orders.cancel(lab.engine.store.get("C2"), "too late")
    assert (lab.journal.head_seq, lab.broker.cancels) == (rows, [])


def test_an_intent_that_waits_at_a_stop_never_leaves_and_is_no_riddle_after_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    lab = Lab(tmp_path, ledger=path)
    lab.connect()
    lab.engine.submit(co.NewOrder(source=ME, intent_id="k", spec=_spec(100), why=""))
    lab.engine.stop("asked")
    lab.engine.release(lab.journal.commit())
    assert lab.broker.sent == []
    lab.journal.close()
    lab.latch.close()
    again = Lab(tmp_path, ledger=path)
    assert again.state("C2") == "killed"
    again.connect()
    assert again.broker.sent == []
    assert not again.engine.store.live


def test_uncertain_is_unknown_counts_at_worst_and_is_not_resent(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(bi.Uncertain(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, why="timeout"))
    assert lab.state("C2") == "unknown"
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 100
    lab.pass_time(1)
    assert len(lab.broker.sent) == 1


def test_unknown_is_resolved_by_the_venues_absence_only_after_its_wait(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(bi.Uncertain(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, why="timeout"))
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot())
    assert lab.state("C2") == "unknown", "too early to call it absent"
    asked = len(lab.broker.asked)
    lab.pass_time(3)
    assert len(lab.broker.asked) > asked, "the venue must be asked again by itself"
    lab.answer(lab.snapshot())
    assert lab.state("C2") == "killed"
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 0


def test_unknown_that_filled_is_booked_from_the_snapshot(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(bi.Uncertain(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, why="timeout"))
    assert lab.engine.view_of_risk.unknown_orders()[0] == 1
    lab.submit(co.Reconcile(source=ME))
    fill = lab.fill(wire, 100, "k1")
    lab.answer(
        lab.snapshot(
            fills=(fill.fill,),
            orders=(venue_order(wire, qty_filled=Qty(100), is_open=False, status="filled"),),
            positions=(bi.VenuePosition("AAPL", Qty(100)),),
            cash={"USD": Money("981098")},
        )
    )
    assert lab.state("C2") == "filled"
    assert lab.state("P1") == "filled"
    assert lab.engine.view_of_risk.unknown_orders() == (0, 0)
    lab.answer(fill)
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 100, "the late report was booked twice"
    assert lab.engine.ledger.conservation_faults() == []


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("cancelled", 0, "cancelled"),
        ("expired", 0, "expired"),
        ("rejected", 0, "rejected"),
        ("cancelled", 40, "unknown"),  # executions are missing: they are not guessed
        ("filled", 100, "unknown"),
    ],
)
def test_what_ended_while_nobody_listened_ends_as_the_venue_says(
    lab: Lab, status: str, filled: int, state: str
) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(bi.Uncertain(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, why="timeout"))
    lab.submit(co.Reconcile(source=ME))
    theirs = venue_order(wire, qty_filled=Qty(filled), is_open=False, status=status, text="as said")
    lab.answer(lab.snapshot(orders=(theirs,)))
    assert lab.state("C2") == state


def test_a_comparison_that_changes_nothing_tells_of_nothing(lab: Lab) -> None:
    lab.buy(100, "188")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(orders=(venue_order(wire),)))
    assert lab.engine.reconciler.last["paper", "PAPER"].differences == ()


def test_fill_before_ack_late_fill_and_overfill_are_booked(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.fill(wire, 40, "a"))
    assert lab.state("C2") == "partially_filled"
    lab.answer(lab.ack(wire))
    lab.submit(co.CancelOrder(source=ME, order_id="P1"))
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire))
    assert lab.state("P1") == "cancelled"
    lab.answer(lab.fill(wire, 70, "b"))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 110
    assert lab.engine.store.overfills == 1


def test_same_key_with_other_content_halts_the_symbol(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.fill(wire, 40, "a"))
    lab.answer(lab.fill(wire, 41, "a"))
    assert "fill_conflict" in lab.kinds()
    assert not lab.buy(10, "189", intent="i2").ok


def test_busted_fill_is_taken_back_exactly(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    before = lab.engine.ledger.cash["paper", "PAPER", "USD"]
    lab.answer(lab.fill(wire, 40, "a"))
    undone = bi.Busted(broker="paper", ts_ns=lab.clock.now_ns(), fill_key="a", symbol="AAPL")
    lab.answer(undone)
    assert lab.engine.ledger.cash["paper", "PAPER", "USD"] == before
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 0
    lab.answer(undone)
    assert lab.kinds()[-1] == "illegal_input", "said twice, it is taken back once"
    assert lab.engine.ledger.cash["paper", "PAPER", "USD"] == before


def test_a_busted_foreign_execution_is_of_no_order_and_is_taken_back(lab: Lab) -> None:
    lab.answer(lab.fill("", 10, "x1"))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 10
    lab.answer(bi.Busted(broker="paper", ts_ns=lab.clock.now_ns(), fill_key="x1", symbol="AAPL"))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 0


def test_cancel_does_not_wait_for_the_disk(lab: Lab) -> None:
    lab.buy(100, "189")
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    lab.engine.submit(co.CancelOrder(source=ME, order_id="P1"))
    assert lab.journal.pending
    assert lab.broker.cancels == [lab.broker.sent[0].wire_id]


def test_cancel_that_overtook_its_order_is_asked_again(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.submit(co.CancelOrder(source=ME, order_id="P1"))
    lab.answer(lab.ack(wire))
    assert lab.broker.cancels == [wire, wire]


def test_amend_enlarges_after_the_gate_and_denial_keeps_the_old_terms(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    denied = lab.submit(co.AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(10_000_000)))
    assert not denied.ok
    assert denied.denials[0].policy_line.startswith("policy.yaml:")
    assert lab.engine.store.get("P1").qty == 100
    assert lab.submit(co.AmendOrder(source=ME, intent_id="a2", order_id="P1", qty=Qty(150))).ok
    assert lab.broker.amends == [wire]
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 150
    lab.answer(bi.Amended(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, qty=Qty(150), limit=Price("189")))
    assert lab.engine.store.get("P1").qty == 150
    assert lab.state("C2") == "new"


def test_an_amend_waits_for_the_disk(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    assert lab.engine.submit(co.AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(150))).ok
    lab.engine.release(lab.journal.durable_seq)
    assert lab.broker.amends == [], "released before its row was durable"
    lab.settle()
    assert lab.broker.amends == [wire]


def test_a_halt_trips_the_shared_latch_and_kills_what_has_not_left(lab: Lab) -> None:
    assert lab.engine.submit(co.NewOrder(source=ME, intent_id="w", spec=_spec(100), why="")).ok
    assert lab.engine.submit(co.Halt(source=ME, why="enough")).ok
    assert lab.latch.read() is ev.TradingState.HALTED, "other processes see it at once"
    assert lab.state("C2") == "killed", "without waiting for the disk"
    assert lab.engine.orders.unsent() == []
    lab.settle()
    assert lab.broker.sent == []


def test_a_child_that_the_gate_denies_does_not_leave(lab: Lab) -> None:
    """The parent passed; by its second child only what shrinks the position may."""
    algo = AlgoSpec("twap", duration_ns=100 * NS_PER_S, params={"slices": "10", "style": "take"})
    assert lab.buy(1_000, algo=algo).ok
    assert len(lab.broker.sent) == 1
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    lab.answer(lab.fill(lab.broker.sent[0].wire_id, 100, "k1"))
    lab.engine.trip(co.HaltScope(co.HaltScopeKind.ACCOUNT, "PAPER"), ev.TradingState.REDUCING, "TEST", "a test")
    lab.pass_time(30)
    assert len(lab.broker.sent) == 1
    assert any(child.state.value == "denied" for child in lab.engine.store.get("P1").children)


def test_staged_order_leaves_only_when_released(lab: Lab) -> None:
    lab.submit(co.NewOrder(source=ME, intent_id="s", spec=_spec(10), why="", staged=True))
    assert lab.broker.sent == []
    told = lab.submit(co.CancelAll(source=ME)).text
    assert told == "cancel asked: parents 0, other orders 0; 1 staged stay, they are cancelled one by one"
    assert lab.submit(co.ReleaseOrder(source=ME, order_id="P1")).ok
    assert len(lab.broker.sent) == 1


def test_what_a_person_may_confirm_can_be_confirmed_in_an_amend_and_a_release(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.read_text().replace("confirm_notional: 4_000_000", "confirm_notional: 1_000"))
    lab = Lab(tmp_path, policy=path)
    lab.connect()
    yes = frozenset({"UNITS_CONFIRM"})
    lab.submit(co.NewOrder(source=ME, intent_id="s", spec=_spec(10), why="", staged=True, confirmed=yes))
    assert lab.submit(co.ReleaseOrder(source=ME, order_id="P1")).code == "UNITS_CONFIRM"
    assert lab.submit(co.ReleaseOrder(source=ME, order_id="P1", confirmed=yes)).ok
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    larger = co.AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(11))
    assert lab.submit(larger).code == "UNITS_CONFIRM"
    assert lab.broker.amends == []
    assert lab.submit(msgspec.structs.replace(larger, intent_id="a2", confirmed=yes)).ok
    assert len(lab.broker.amends) == 1


def test_unexplained_position_reduces_the_symbol_until_accepted(lab: Lab) -> None:
    lab.submit(co.Reconcile(source=ME))
    foreign = lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(70)),))
    lab.answer(foreign)
    assert not lab.buy(10, "189").ok
    assert lab.submit(co.Reconcile(source=ME, accept=True, reason=" ")).code == "REASON"
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 0
    assert lab.submit(co.Reconcile(source=ME, accept=True, reason="transferred in")).ok
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 70
    assert lab.engine.ledger.conservation_faults() == []
    lab.answer(lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(70)),)))
    assert lab.buy(10, "189", intent="i2").ok


def test_foreign_order_is_adopted_and_counted(lab: Lab) -> None:
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(orders=(venue_order("", venue_order_id="X9"),)))
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 100


def test_a_foreign_order_that_still_works_is_found_again_by_the_venues_own_id(lab: Lab) -> None:
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(orders=(venue_order("", venue_order_id="X9"),)))
    lab.pass_time(5)
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(orders=(venue_order("", venue_order_id="X9"),)))
    (order,) = lab.engine.store.live.values()
    assert (order.state.value, lab.kinds()[-1]) == ("new", "reconcile_done")
    assert lab.engine.reconciler.last["paper", "PAPER"].clean


def test_an_answer_that_nobody_waits_for_says_nothing(lab: Lab) -> None:
    lab.submit(co.Reconcile(source=ME))
    old = lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(70)),))
    lab.submit(co.Reconcile(source=ME))  # asked anew: the answer to the first question is no longer waited for
    rows = lab.journal.head_seq
    lab.answer(old)
    assert lab.journal.head_seq == rows


def test_resolve_needs_a_reason_and_journals_the_persons_word(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(bi.Uncertain(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, why="timeout"))
    assert not lab.submit(co.Resolve(source=ME, order_id="C2", as_=co.ResolveAs.NEVER_SENT, reason=" ")).ok
    for price in (None, Price("0")):
        filled = co.Resolve(source=ME, order_id="C2", as_=co.ResolveAs.FILLED, reason="they said so", price=price)
        assert lab.submit(filled).code == "PRICE"
    assert lab.state("C2") == "unknown"
    assert lab.submit(co.Resolve(source=ME, order_id="C2", as_=co.ResolveAs.NEVER_SENT, reason="broker desk said")).ok
    assert lab.state("C2") == "killed"


def test_restart_makes_unanswered_orders_unknown_and_state_equal(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    lab = Lab(tmp_path, ledger=path)
    lab.connect()
    lab.buy(100, "189")
    lab.buy(50, "188", intent="i2")
    wire = lab.broker.sent[1].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 20, "f1", "188"))
    for number, intent in ((5, "i3"), (7, "i4")):
        lab.buy(number, "187", intent=intent)
        lab.answer(lab.ack(lab.broker.sent[-1].wire_id))
    assert lab.submit(co.AmendOrder(source=ME, intent_id="a1", order_id="C6", qty=Qty(9))).ok
    assert lab.submit(co.CancelOrder(source=ME, order_id="C8")).ok
    lab.journal.close()
    lab.latch.close()
    again = Lab(tmp_path, ledger=path)
    assert again.state("C2") == "unknown"
    assert again.state("C4") == "partially_filled"
    assert again.state("C6") == "unknown", "its amend may have arrived"
    assert again.engine.store.get("C6").worst_qty == 9
    assert again.state("C8") == "unknown", "its cancel may have arrived"
    assert again.broker.sent == []
    assert again.broker.amends == []
    assert again.engine.view_of_risk.recovering()
    assert not again.buy(10, "189", intent="i5").ok
    rebuilt = OrderStore(), Ledger()
    for row in again.journal.read():
        for projection in rebuilt:
            projection.apply(row.seq, row.ts_ns, ev.decode_event(row.payload))
    live = {name: order.state for name, order in again.engine.store.orders.items()}
    assert {name: order.state for name, order in rebuilt[0].orders.items()} == live
    assert rebuilt[1].cash == again.engine.ledger.cash


def test_flat_memory_journal_gives_the_same_hash(tmp_path: Path) -> None:
    one = Journal.open_memory(1, "ABCDE", "USD")
    two = Journal.open(tmp_path / "l.db", 1, lambda: "ABCDE", "USD")
    for journal in (one, two):
        journal.append(2, InstrumentDefined(instrument=AAPL))
        journal.commit()
    assert one.head_hash == two.head_hash
    one.close()
    two.close()


def test_a_restart_with_working_orders_waits_for_its_first_quote(tmp_path: Path) -> None:
    """The market comes after the orders; that alone must not latch a halt."""
    path = tmp_path / "ledger.db"
    lab = Lab(tmp_path, ledger=path)
    lab.connect()
    lab.buy(50, "188")
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    lab.journal.close()
    lab.latch.close()
    again = Lab(tmp_path, ledger=path)
    again.engine.on_time(again.clock.now_ns() + 1_000_000_000, again.clock.now_ns() + 1_000_000_000)
    assert again.engine.kill.held() == ()


def test_a_foreign_fills_correction_replaces_it(lab: Lab) -> None:
    """Both views of the executions must agree: the store's list and the books."""
    first = lab.fill("", 40, "x1", "189.00")
    lab.answer(first)
    again = msgspec.structs.replace(first.fill, fill_key="x2", qty=Qty(30), corrects="x1")
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=again))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 30
    assert list(lab.engine.store.busted) == [("paper", "PAPER", "x1")]
    assert lab.engine.ledger.conservation_faults() == []


def test_a_correction_of_a_full_order_is_no_overfill_and_one_of_nothing_is_not_booked(lab: Lab) -> None:
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    first = lab.fill(wire, 100, "x1", "189.00")
    lab.answer(first)
    again = msgspec.structs.replace(first.fill, fill_key="x2", price=Price("188.50"), corrects="x1")
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=again))
    assert lab.engine.store.overfills == 0
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 100
    of_nothing = msgspec.structs.replace(again, fill_key="x4", corrects="x3")
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=of_nothing))
    assert lab.kinds()[-1] == "illegal_input"
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 100


def test_an_order_that_arrives_behind_a_halt_is_cancelled(lab: Lab) -> None:
    """It was on its way when the gate shut: no look at the venue's open orders could see it."""
    lab.buy(100, "189.00")
    lab.submit(co.Halt(source=ME, why="test"))
    assert lab.broker.cancels == []
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    assert lab.broker.cancels == [wire]


def test_what_still_works_after_a_halt_is_cancelled_again(lab: Lab) -> None:
    lab.buy(100, "189.00")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.buy(10, "188.00", "i2", reduce_only=False)
    lab.submit(co.Halt(source=ME, why="test"))
    assert lab.broker.cancels == [], "for the first moments the procedure is at it, with sessions of its own"
    lab.pass_time(4)
    assert lab.broker.cancels == [order.wire_id for order in lab.broker.sent]
    lab.pass_time(4)
    assert len(lab.broker.cancels) == 2, "asked once"


@pytest.mark.parametrize("protective", ["keep", "cancel"])
def test_what_protects_is_kept_behind_a_halt_where_the_policy_says_so(tmp_path: Path, protective: str) -> None:
    """The engine's own lane holds to the same word as the procedure: for what arrives late, and for what still works."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.read_text("utf-8").replace("protective: keep ", f"protective: {protective} "), "utf-8")
    lab = Lab(tmp_path, policy=policy)
    lab.connect()
    assert lab.buy(100, "189").ok
    held = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(held))
    lab.answer(lab.fill(held, 100, "k1", price="189"))
    for number in (1, 2):
        assert lab.sell(10 * number, "190", f"exit{number}", reduce_only=True).ok
    early, late = (order.wire_id for order in lab.broker.sent[1:])
    lab.answer(lab.ack(early))
    lab.submit(co.Halt(source=ME, why="test"))
    lab.answer(lab.ack(late))
    assert lab.broker.cancels == ([] if protective == "keep" else [late])
    lab.pass_time(4)
    assert sorted(lab.broker.cancels) == ([] if protective == "keep" else sorted([early, late]))


def test_a_halt_of_one_symbol_cancels_no_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path, listed=(AAPL, msgspec.structs.replace(AAPL, symbol="MSFT")))
    lab.connect()
    lab.buy(100, "189.00")
    lab.submit(co.Halt(source=ME, scope=co.HaltScope(co.HaltScopeKind.SYMBOL, "MSFT"), why="test"))
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    lab.pass_time(4)
    assert lab.broker.cancels == []


def test_an_order_that_was_called_never_sent_and_stands_at_the_venue_is_shown_and_counted(lab: Lab) -> None:
    lab.buy(100, "189.00")
    sent = lab.broker.sent[0]
    lab.answer(bi.Uncertain(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=sent.wire_id, why="line lost"))
    told = co.Resolve(source=ME, order_id="C2", as_=co.ResolveAs.NEVER_SENT, reason="asked by phone")
    assert lab.submit(told).ok
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 0
    lab.pass_time(11)
    lab.answer(lab.snapshot(orders=(venue_order(sent.wire_id),)))
    assert lab.engine.store.open_qty("PAPER", "AAPL", Side.BUY) == 100
    lab.answer(lab.fill(sent.wire_id, 100, "k1", "189.00"))
    assert lab.engine.ledger.qty("PAPER", "AAPL") == 100
    assert lab.engine.store.live == {}


def typed(lab: Lab, words: str, limit: str, **more: object) -> co.NewOrder:
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(100), type=OrderType.LIMIT, limit=Price(limit))
    made = co.NewOrder(source=ME, intent_id="mine", spec=spec, why="", words=words)
    return msgspec.structs.replace(made, **more)


def test_an_intent_is_kept_to_its_first_wish(lab: Lab) -> None:
    assert lab.submit(co.LookUp(source=ME, intent_id="mine", words="b 100 AAPL @bid")).code == "INTENT_NEW"
    assert lab.submit(typed(lab, "b 100 AAPL @bid", "189.00")).ok
    again = lab.submit(typed(lab, "B 100  aapl @bid", "189.05"))
    assert (again.ok, again.code, again.order_id) == (True, "REPEATED", "P1"), "a price word freezes to another price"
    other = lab.submit(typed(lab, "b 200 AAPL @bid", "189.00"))
    assert (other.ok, other.code, other.repeated) == (False, "INTENT_REUSED", True)
    assert "b 100 AAPL @bid" in other.text
    form = lab.submit(typed(lab, "", "189.00"))
    assert form.code == "REPEATED"
    assert lab.submit(typed(lab, "", "190.00")).code == "INTENT_REUSED"
    strategy = Source(SourceKind.STRATEGY, "s")
    assert lab.submit(typed(lab, "", "190.00", source=strategy)).code == "REPEATED", "it keeps its ids itself"
    assert lab.submit(co.LookUp(source=ME, intent_id="mine", words="b 100 AAPL @bid")).repeated
    assert lab.submit(co.LookUp(source=ME, intent_id="mine", words="s 100 AAPL @bid")).code == "INTENT_REUSED"
    assert lab.submit(co.AmendOrder(source=ME, intent_id="mine", order_id="P1", qty=Qty(50))).code == "INTENT_REUSED"
    assert len(lab.broker.sent) == 1
    assert lab.kinds().count("order_placed") == 1
    assert "command" not in lab.kinds(), "what was only looked up is not journaled"


def test_an_amend_asked_again_amends_once(lab: Lab) -> None:
    lab.buy(100, "189.00")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    smaller = co.AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(50))
    assert lab.submit(smaller).ok
    lab.answer(bi.Amended(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, qty=Qty(50), limit=Price("189.00")))
    assert lab.submit(smaller).repeated
    assert lab.broker.amends == [wire]
    assert lab.submit(msgspec.structs.replace(smaller, qty=Qty(40))).code == "INTENT_REUSED"
    lost = msgspec.structs.replace(smaller, intent_id="a2", order_id="P77")
    assert lab.submit(lost).code == "ILLEGAL"
    assert lab.submit(lost).repeated


def test_intents_are_known_after_a_restart(tmp_path: Path) -> None:
    lab = Lab(tmp_path, ledger=tmp_path / "ledger.db")
    lab.connect()
    lab.submit(typed(lab, "b 100 AAPL @bid", "189.00"))
    lab.journal.close()
    lab.latch.close()
    again = Lab(tmp_path, ledger=tmp_path / "ledger.db")
    assert again.submit(typed(again, "b 100 AAPL @bid", "189.05")).code == "REPEATED"
    assert again.submit(typed(again, "b 101 AAPL @bid", "189.05")).code == "INTENT_REUSED"
    assert again.broker.sent == []


def test_a_trip_of_another_process_does_not_say_that_this_engine_is_at_work(lab: Lab) -> None:
    """After a restart nobody here runs its procedure: a desk that waited for the receipt would wait for ever."""
    lab.latch.trip(HaltScope())
    lab.pass_time(1)
    shown = lab.engine.view().status.halt
    assert (shown.state, shown.done) == ("halted", True)
    assert shown.counts() == "its procedure ran in another process"
    lab.engine.halt_step("N1", "cancel", {"found": "2", "cancels_confirmed": "1", "unknown": "1"})
    shown = lab.engine.view().status.halt
    assert not shown.done
    assert shown.counts() == "1 of 2 orders gone at the venue, 1 still open"


def test_what_cannot_be_done_to_an_order_is_said_and_nothing_is_done(lab: Lab) -> None:
    lab.buy(100, "188")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 60, "f1", "188"))
    lab.answer(lab.fill(wire, 40, "f2", "188"))
    for order_id, why in (("P9", "there is no such order"), ("P1", "it is filled; there is nothing to cancel")):
        result = lab.submit(co.CancelOrder(source=ME, order_id=order_id))
        assert (result.ok, result.code) == (False, "ILLEGAL")
        assert why in result.text
    assert not lab.broker.cancels


def test_an_amend_to_what_is_filled_already_is_refused(lab: Lab) -> None:
    lab.buy(100, "188")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 60, "f1", "188"))
    result = lab.submit(co.AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(60)))
    assert (result.ok, result.code, lab.broker.amends) == (False, "ILLEGAL", [])
    assert "new quantity 60 is not above the 60 filled; cancel the rest instead" in result.text


def test_an_algorithm_that_nobody_knows_is_denied(lab: Lab) -> None:
    result = lab.buy(100, algo=AlgoSpec("guess", duration_ns=NS_PER_S))
    assert (result.ok, result.code) == (False, "ALGO_UNKNOWN")
    assert "use direct" in result.text


def test_algorithms_act_on_no_price_that_is_old_crossed_or_of_a_halted_market(lab: Lab) -> None:
    agent = lab.engine.agent
    assert agent.quote("AAPL") is not None
    lab.quote(18905, 18900)
    assert agent.quote("AAPL") is None
    lab.quote()
    lab.engine.on_market(StatusTick("AAPL", "XSIM", lab.clock.now_ns(), "halted"))
    assert agent.quote("AAPL") is None
    lab.engine.on_market(StatusTick("AAPL", "XSIM", lab.clock.now_ns(), "open"))
    assert agent.quote("AAPL") is not None
    lab.clock.set_ns(lab.clock.now_ns() + 60 * NS_PER_S)
    assert agent.quote("AAPL") is None


def test_the_books_take_no_execution_twice_whoever_asks(lab: Lab) -> None:
    seen = ev.ForeignFillSeen(fill=lab.fill("", 10, "x1").fill)
    lab.engine.record(seen)
    with pytest.raises(InvariantError, match="booked twice"):
        lab.engine.record(seen)
    with pytest.raises(InvariantError, match="P99 is not in the ledger"):
        lab.engine.store.get("P99")


@pytest.mark.parametrize("spoil", ["unknown", "cancelled", "schedule", "not there yet"])
def test_only_a_working_direct_order_is_amended(lab: Lab, spoil: str) -> None:
    """Of one whose fate is not known nobody can say what new terms would do."""
    algo = AlgoSpec("twap", duration_ns=600 * NS_PER_S) if spoil == "schedule" else AlgoSpec()
    lab.buy(100, None if spoil == "schedule" else "188", algo=algo)
    lab.pass_time(1)
    wire = lab.broker.sent[0].wire_id
    if spoil != "not there yet":
        lab.answer(lab.ack(wire))
    if spoil == "unknown":
        lab.answer(bi.Uncertain(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, why="timeout"))
    if spoil == "cancelled":
        lab.submit(co.CancelOrder(source=ME, order_id="P1"))
    result = lab.submit(co.AmendOrder(source=ME, intent_id="a1", order_id="P1", qty=Qty(90)))
    assert (result.ok, result.code, lab.broker.amends) == (False, "ILLEGAL", [])


def test_each_halt_runs_its_procedure_and_takes_foreign_orders_too(tmp_path: Path) -> None:
    """One that is asked again, or as a drill, trips nothing new and still cancels what works."""
    ran: list[co.Halt] = []
    lab = Lab(tmp_path, halter=lambda command, _halt_id: ran.append(command))
    lab.connect()
    for halt in (co.Halt(source=ME, why="one"), co.Halt(source=ME, why="two"), co.Halt(source=ME, why="x", drill=True)):
        assert lab.submit(halt).ok
    assert [halt.why for halt in ran] == ["one", "two", "x"]
    belongs = lab.engine.commander.orders_of
    assert belongs(ran[0]) is None, "everything at the broker, whoever placed it"
    only = belongs(co.Halt(source=ME, scope=HaltScope(HaltScopeKind.STRATEGY, "BuyTheDip")))
    assert only is not None
    assert not only(venue_order("", venue_order_id="X9"))


def test_an_old_answer_does_not_bring_a_channel_up(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    down_to_up = bi.ChannelChanged(broker="paper", ts_ns=lab.clock.now_ns(), state=ev.BrokerState.RESYNCING)
    lab.engine.on_broker(down_to_up)
    old = lab.snapshot()
    lab.engine.on_broker(down_to_up)
    assert len(lab.broker.asked) == 2
    lab.answer(old)
    assert lab.engine.view_of_risk.channel("paper") is ev.BrokerState.RESYNCING
    lab.answer(lab.snapshot())
    assert lab.engine.view_of_risk.channel("paper") is ev.BrokerState.UP


def test_an_order_that_ended_without_all_its_executions_is_asked_after_soon(lab: Lab) -> None:
    lab.buy(100, "188")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.pass_time(1)
    asked = len(lab.broker.asked)
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire, qty_filled=Qty(40)))
    assert lab.state("C2") == "unknown"
    lab.pass_time(3)
    assert len(lab.broker.asked) == asked + 1


def test_an_intent_of_an_order_amends_nothing(lab: Lab) -> None:
    lab.buy(100, "188")
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    result = lab.submit(co.AmendOrder(source=ME, intent_id="i1", order_id="P1", qty=Qty(50)))
    assert (result.ok, result.code, lab.broker.amends) == (False, "INTENT_REUSED", [])


def test_a_stop_that_cancels_cancels_and_one_that_does_not_says_what_stays(lab: Lab) -> None:
    lab.buy(100, "188")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    assert lab.submit(co.StopEngine(source=ME, cancel=False)).text == "stopping; 1 orders stay at the venue"
    assert not lab.broker.cancels
    assert lab.submit(co.StopEngine(source=ME, cancel=True)).ok
    assert lab.broker.cancels == [wire]


def test_the_policy_in_force_stands_in_the_journal_word_for_word(lab: Lab) -> None:
    (loaded,) = [event for row in lab.journal.read() if isinstance(event := ev.decode_event(row.payload), PolicyLoaded)]
    assert loaded.text == POLICY.read_text("utf-8")


@pytest.mark.parametrize("state", list(ev.BrokerState))
def test_what_was_due_is_due_no_more_whatever_the_channel(tmp_path: Path, state: ev.BrokerState) -> None:
    """A time in the past would keep its driver spinning."""
    lab = Lab(tmp_path)
    lab.engine.on_broker(bi.ChannelChanged(broker="paper", ts_ns=lab.clock.now_ns(), state=state, why="so"))
    for _ in range(3):
        lab.pass_time(11)
        assert lab.engine.next_time_ns() > lab.clock.now_ns()


def test_a_trip_by_a_monitor_cancels_as_one_by_hand_does(tmp_path: Path) -> None:
    ran: list[co.Halt] = []
    lab = Lab(tmp_path, halter=lambda command, _halt_id: ran.append(command))
    lab.connect()
    assert lab.engine.trip(HaltScope(), ev.TradingState.HALTED, "LOSS_MAX", "the loss of the day")
    assert [(halt.scope, halt.why) for halt in ran] == [(HaltScope(), "the loss of the day")]


@pytest.mark.parametrize(("found", "state"), [("100", "pending_new"), ("70", "killed")])
def test_what_only_closes_leaves_where_the_position_is_verified_and_else_not(lab: Lab, found: str, state: str) -> None:
    """The scope is tightened while the order waits for the disk, by the comparison that doubts the position or beside it."""
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.fill(wire, 100, "f1", "189"))
    held = {"cash": {"USD": Money("981100")}}
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(100)),), **held))
    lab.engine.reconciler.ask(lab.broker)
    spec = OrderSpec(symbol="AAPL", side=Side.SELL, qty=Qty(50), type=OrderType.LIMIT, limit=Price("189"))
    assert lab.engine.submit(co.NewOrder(source=ME, intent_id="out", spec=spec, why="")).ok
    lab.engine.on_broker(lab.snapshot(positions=(bi.VenuePosition("AAPL", Qty(found)),), **held))
    lab.latch.trip(HaltScope(), ev.TradingState.REDUCING)
    lab.settle()
    assert lab.state("C4") == state
    assert len(lab.broker.sent) == (2 if found == "100" else 1)


def test_an_answer_tells_prices_with_the_decimals_of_the_tick(lab: Lab) -> None:
    """The list of orders wrote 189.10 and the answer to the same order 189.1."""
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(10), type=OrderType.LIMIT, limit=Price("188.9"))
    asked = lab.engine.submit(co.Preview(source=ME, spec=spec))
    assert asked.text == "buy 10 AAPL limit 188.90 day"
    assert lab.buy(10, "188.9").text == "P1 buy 10 AAPL limit 188.90 day"
