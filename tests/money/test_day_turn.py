"""Counts and loss begin anew with the journaled event, not because a clock passed the cut; good-till-cancelled orders carry over."""

from __future__ import annotations

from pathlib import Path

from engine.domain import events as ev
from engine.domain.day_events import RiskDayBegan
from engine.domain.order import Tif
from tests.core.lab import Lab
from tests.core.test_risk_day import MIDNIGHT, begun, open_lab, with_policy


def live(lab: Lab) -> list[str]:
    return [order.order_id for order in lab.engine.store.live.values()]


def test_the_event_resets_and_the_clock_does_not(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    lab.buy(5, "180.00", intent="g", tif=Tif.GTC)
    lab.answer(lab.ack(lab.broker.sent[-1].wire_id))
    history = lab.engine.gate.history
    assert history.day_orders("PAPER") == 1
    lab.clock.set_ns(MIDNIGHT + 1)
    assert history.day_orders("PAPER") == 1, "nothing was journaled yet"
    before = live(lab)
    lab.engine.on_time(lab.clock.now_ns(), lab.clock.now_ns())
    lab.settle()
    assert [event.begins_ns for event in begun(lab)][-1] == MIDNIGHT
    assert history.day_orders("PAPER") == 0
    assert live(lab) == before != []
    kinds = lab.kinds()
    assert "order_expired" not in kinds
    assert kinds.count("risk_day_began") == 2


def test_an_account_has_its_own_cut(tmp_path: Path) -> None:
    own = ("accounts: {}", "accounts: { PAPER: { day.starts: 17:00 America/New_York } }")
    lab = open_lab(tmp_path, policy=with_policy(tmp_path, own))
    lab.clock.set_ns(MIDNIGHT + 1)
    lab.engine.on_time(lab.clock.now_ns(), lab.clock.now_ns())
    lab.settle()
    (only,) = begun(lab)
    assert isinstance(only, RiskDayBegan)
    assert only.cut == "17:00 America/New_York"
    assert ev.kind_of(only) == "risk_day_began"
