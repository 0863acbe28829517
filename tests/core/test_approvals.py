"""Four eyes: a large order waits for somebody else's word on exactly its terms."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain.money import Price, Qty
from engine.domain.order import OrderState, Source, SourceKind
from tests.core.lab import ME, POLICY, Lab, _let_go

BEN = Source(SourceKind.DESK, "ben")
ROBOT = Source(SourceKind.STRATEGY, "Robot")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    path = tmp_path / "policy.yaml"
    text = POLICY.read_text(encoding="utf-8")
    assert "four_eyes_notional: 5_000_000" in text
    path.write_text(text.replace("four_eyes_notional: 5_000_000", "four_eyes_notional: 18_900"), encoding="utf-8")
    made = Lab(tmp_path, policy=path, ledger=tmp_path / "ledger.db")
    made.connect()
    return made


def approve(lab: Lab, order_id: str, digest: str | None = None, source: Source = BEN) -> co.CommandResult:
    awaits = lab.engine.store.get(order_id).awaits if digest is None else digest
    return lab.submit(co.ApproveOrder(source=source, order_id=order_id, order_hash=awaits))


def test_at_the_threshold_it_goes_and_above_it_waits(lab: Lab) -> None:
    assert lab.buy(100, "189", "i1").state is not OrderState.STAGED
    assert len(lab.broker.sent) == 1
    held = lab.buy(101, "189", "i2")
    assert (held.ok, held.code, held.state) == (True, "FOUR_EYES", OrderState.STAGED)
    assert len(lab.broker.sent) == 1
    row = next(one for one in lab.engine.picture.view().orders if one.order_id == held.order_id)
    assert row.awaits in held.text


def test_another_person_releases_exactly_that_order_once(lab: Lab) -> None:
    held = lab.buy(200, "189")
    done = approve(lab, held.order_id)
    assert done.ok
    assert [one.spec.qty for one in lab.broker.sent] == [Qty(200)]
    assert "approved by ben" in lab.engine.store.get(held.order_id).why
    assert not approve(lab, held.order_id, "x").ok
    assert len(lab.broker.sent) == 1
    assert {"approval_asked", "order_approved"} <= set(lab.kinds())


@pytest.mark.parametrize(
    ("source", "digest"),
    [
        (ME, None),
        (msgspec.structs.replace(ME, kind=SourceKind.DESK), None),
        (BEN, "0123456789AB"),
        (BEN, ""),
        (ROBOT, None),
    ],
)
def test_who_and_what_does_not_fit_releases_nothing(lab: Lab, source: Source, digest: str | None) -> None:
    held = lab.buy(200, "189")
    refused = approve(lab, held.order_id, digest, source)
    assert (refused.ok, refused.code) == (False, "APPROVAL")
    assert lab.broker.sent == []
    assert lab.state(held.order_id) == "staged"


def test_a_release_by_hand_is_no_way_around(lab: Lab) -> None:
    held = lab.buy(200, "189")
    for source in (ME, BEN):
        refused = lab.submit(co.ReleaseOrder(source=source, order_id=held.order_id))
        assert (refused.ok, refused.code) == (False, "FOUR_EYES")
    assert lab.broker.sent == []


def test_an_amendment_above_the_threshold_is_a_change_and_denied(lab: Lab) -> None:
    held = lab.buy(200, "189")
    approve(lab, held.order_id)
    lab.answer(lab.ack(lab.broker.sent[0].wire_id))
    amend = co.AmendOrder(source=ME, intent_id="a1", order_id=held.order_id, limit=Price("189.01"))
    refused = lab.submit(amend)
    assert (refused.ok, refused.code) == (False, "FOUR_EYES")
    assert lab.broker.amends == []


def test_it_waits_over_a_restart_and_may_be_dropped(lab: Lab, tmp_path: Path) -> None:
    held = lab.buy(200, "189")
    awaits = lab.engine.store.get(held.order_id).awaits
    _let_go(lab.journal)
    again = Lab(tmp_path, policy=tmp_path / "policy.yaml", ledger=tmp_path / "ledger.db", start_ns=lab.clock.now_ns())
    again.connect()
    assert again.engine.store.get(held.order_id).awaits == awaits
    again.submit(co.CancelOrder(source=ME, order_id=held.order_id))
    assert not approve(again, held.order_id, awaits).ok
    assert again.broker.sent == []


def test_a_machine_is_denied_and_the_gate_judges_the_approved_order_anew(lab: Lab) -> None:
    spec = lab.engine.store.get(lab.buy(200, "189").order_id).spec
    robot = lab.submit(co.NewOrder(source=ROBOT, intent_id="r1", spec=spec, why="size"))
    assert (robot.ok, robot.code) == (False, "FOUR_EYES")
    lab.submit(co.Halt(source=ME, why="stop"))
    refused = approve(lab, "P1")
    assert (refused.ok, refused.code) == (False, "HALTED")
    assert lab.broker.sent == []
    assert lab.state("P1") == "staged", "it still waits, for a better moment"


def look(lab: Lab, order_id: str, source: Source) -> co.CommandResult:
    spec = lab.engine.store.get(order_id).spec
    return lab.submit(co.Preview(source=source, spec=spec, order_id=order_id))


def test_the_preview_shows_threshold_and_hash_and_passes_for_another_person_only(lab: Lab) -> None:
    held = lab.buy(200, "189")
    seen = look(lab, held.order_id, BEN)
    assert seen.ok
    assert (seen.preview["four_eyes"], seen.preview["four_eyes_max"]) == ("37800", "18900")
    assert seen.preview["four_eyes_line"].startswith("policy.yaml:")
    assert seen.preview["order_hash"] == lab.engine.store.get(held.order_id).awaits
    for source in (ME, ROBOT):
        refused = look(lab, held.order_id, source)
        assert (refused.ok, refused.denials[0].code, refused.denials[0].control) == (False, "APPROVAL", "C31")
    lab.submit(co.Halt(source=ME, why="stop"))
    assert look(lab, held.order_id, BEN).code == "HALTED"
    assert lab.broker.sent == []
    assert lab.state(held.order_id) == "staged"


def test_who_turns_an_order_down_is_journaled(lab: Lab) -> None:
    held = lab.buy(200, "189")
    lab.submit(co.CancelOrder(source=BEN, order_id=held.order_id))
    assert lab.state(held.order_id) == "cancelled"
    assert any("turned down by ben" in line.text for line in lab.engine.picture.view().log)
    assert not approve(lab, held.order_id, "0123456789AB").ok
