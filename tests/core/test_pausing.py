"""A parent worked over time: paused it sends nothing, over a restart too; resumed it goes on; a halt is stronger than both."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain import commands as co
from engine.domain.clock import NS_PER_S
from engine.domain.money import Price, Qty
from engine.domain.order import AlgoSpec, OrderSpec, OrderState, OrderType, Side
from engine.oms import broker_interface as bi
from tests.core.lab import ME, Lab, _let_go


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path, ledger=tmp_path / "ledger.db")
    made.connect()
    return made


def twap(lab: Lab, **terms: object) -> str:
    params = terms.pop("params", {"slices": "10"})
    algo = AlgoSpec(name="twap", duration_ns=100 * NS_PER_S, params=params)  # type: ignore[arg-type]
    fields: dict[str, object] = {
        "symbol": "AAPL", "side": Side.BUY, "qty": Qty(100), "type": OrderType.LIMIT, "limit": Price("189.20"), "algo": algo,
    }  # fmt: skip
    result = lab.submit(co.NewOrder(source=ME, intent_id="t1", spec=OrderSpec(**{**fields, **terms}), why=""))  # type: ignore[arg-type]
    assert result.ok
    return result.order_id


def pause(lab: Lab, order_id: str) -> co.CommandResult:
    return lab.submit(co.PauseOrder(source=ME, order_id=order_id))


def resume(lab: Lab, order_id: str) -> co.CommandResult:
    return lab.submit(co.ResumeOrder(source=ME, order_id=order_id))


def urge(lab: Lab, order_id: str, urgency: str) -> co.CommandResult:
    return lab.submit(co.SetUrgency(source=ME, order_id=order_id, urgency=urgency))


def work(lab: Lab, seconds: int) -> None:
    """Time passes, with a fresh quote each second, and the venue confirms what it has."""
    for _ in range(seconds):
        lab.pass_time(1)
        lab.quote()
        lab.settle()


def gone(lab: Lab) -> None:
    """The venue confirms the last cancel."""
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=wire_id))


def answer_all(lab: Lab) -> None:
    for sent in lab.broker.sent:
        if lab.engine.store.by_wire[sent.wire_id].state is OrderState.PENDING_NEW:
            lab.answer(lab.ack(sent.wire_id))


def test_a_paused_parent_sends_nothing_and_asks_its_children_back(lab: Lab) -> None:
    order_id = twap(lab)
    answer_all(lab)
    assert len(lab.broker.sent) == 1
    told = pause(lab, order_id)
    assert told.ok
    assert len(lab.broker.cancels) == 1
    work(lab, 40)
    assert len(lab.broker.sent) == 1
    view = next(one for one in lab.engine.picture.view().orders if one.order_id == order_id)
    assert (view.paused, view.urgency) == (True, "normal")
    assert "paused by" in view.note
    assert {"parent_paused"} <= set(lab.kinds())
    assert pause(lab, order_id).ok
    assert lab.kinds().count("parent_paused") == 1


def test_a_fill_that_crosses_the_pause_is_booked(lab: Lab) -> None:
    order_id = twap(lab)
    answer_all(lab)
    pause(lab, order_id)
    lab.answer(lab.fill(lab.broker.sent[0].wire_id, 10, "f1"))
    assert lab.engine.store.get(order_id).qty_filled == 10
    assert len(lab.broker.sent) == 1


def test_resumed_it_goes_on_by_its_schedule_within_the_catch_up_bound(lab: Lab) -> None:
    order_id = twap(lab)
    answer_all(lab)
    pause(lab, order_id)
    gone(lab)
    work(lab, 40)
    assert len(lab.broker.sent) == 1
    assert resume(lab, order_id).ok
    lab.quote()
    lab.settle()
    work(lab, 1)
    assert len(lab.broker.sent) == 2
    assert lab.broker.sent[1].spec.qty <= 20  # twice a slice, not the four that were missed
    assert (resume(lab, order_id).ok, resume(lab, order_id).code) == (False, "ILLEGAL")


def test_it_stays_paused_over_a_crash_and_asks_again_for_what_rests(lab: Lab, tmp_path: Path) -> None:
    order_id = twap(lab)
    answer_all(lab)
    pause(lab, order_id)
    _let_go(lab.journal)
    again = Lab(tmp_path, ledger=tmp_path / "ledger.db", start_ns=lab.clock.now_ns())
    again.connect()
    assert again.engine.store.get(order_id).paused
    work(again, 30)
    assert again.broker.sent == []
    assert resume(again, order_id).ok


def test_a_halt_is_stronger_than_a_resume(lab: Lab) -> None:
    order_id = twap(lab)
    answer_all(lab)
    pause(lab, order_id)
    lab.submit(co.Halt(source=ME, why="stop"))
    refused = resume(lab, order_id)
    assert (refused.ok, refused.code) == (False, "ILLEGAL")
    work(lab, 30)
    assert len(lab.broker.sent) == 1


def test_a_paused_parent_is_cancelled_and_ends(lab: Lab) -> None:
    order_id = twap(lab)
    answer_all(lab)
    pause(lab, order_id)
    gone(lab)
    lab.submit(co.CancelOrder(source=ME, order_id=order_id))
    assert lab.state(order_id) == "cancelled"


def test_what_is_not_worked_over_time_is_neither_paused_nor_urged(lab: Lab) -> None:
    direct = lab.buy(10, "188").order_id
    assert (pause(lab, direct).code, urge(lab, direct, "take").code) == ("NO_PAUSE", "NO_URGENCY")
    assert pause(lab, "P99").code == "ILLEGAL"
    assert urge(lab, twap(lab), "hasty").code == "NO_URGENCY"


def test_urgency_changes_the_style_from_now_on(lab: Lab) -> None:
    order_id = twap(lab)
    answer_all(lab)
    gone(lab)
    assert urge(lab, order_id, "take").ok
    lab.quote()
    lab.settle()
    work(lab, 10)
    assert lab.broker.sent[-1].spec.tif.value == "ioc"
    assert urge(lab, order_id, "take").ok
    assert lab.kinds().count("urgency_set") == 1


def test_an_urgency_that_the_order_cannot_have_is_refused_with_the_reason(lab: Lab) -> None:
    order_id = twap(lab, post_only=True)
    refused = urge(lab, order_id, "take")
    assert (refused.ok, refused.code) == (False, "ALGO_REFUSES")
    assert "rest and never rest" in refused.text
