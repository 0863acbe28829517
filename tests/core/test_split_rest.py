"""What a split leaves of an order that was worked over time is said as a line that places it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api.split_rest import left_after
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.ids import Random
from engine.domain.money import Price, Qty
from engine.domain.movements import Movement, MovementKind
from engine.domain.order import AlgoSpec, Side
from engine.intake.drafts import NewOrderDraft
from engine.intake.grammar import GrammarContext, parse_order
from engine.oms import broker_interface as bi
from tests.core.lab import AAPL, Lab

T = 1_000


def split(new: int, old: int, ts_ns: int = T, key: str = "s1") -> Movement:
    return Movement(
        broker="paper", account="PAPER", key=key, kind=MovementKind.SPLIT, ts_ns=ts_ns, symbol="AAPL", ratio=(new, old)
    )


def fill(qty: int, ts_ns: int) -> ev.Fill:
    return ev.Fill(
        broker="paper", account="PAPER", fill_key=f"{ts_ns}", symbol="AAPL", side=Side.BUY, qty=Qty(qty),
        price=Price(1), ts_ns=ts_ns, venue="X",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "fills", "left"),
    [
        ((4, 1), [], 4_000),
        ((4, 1), [(300, T - 1)], 2_800),
        ((4, 1), [(300, T - 1), (800, T + 1)], 2_000),
        ((4, 1), [(300, T)], 2_800),  # could be 3,700 left: it counts as what leaves less
        ((1, 4), [(300, T)], -50),
        ((1, 4), [(400, T - 1), (50, T + 1)], 100),
        ((3, 2), [(1, T - 1)], 1_498),  # 1498.5: whole lots, down
        ((4, 1), [(1_000, T - 1), (3, T + 1)], -3),
    ],
)
def test_executions_count_in_the_units_of_their_time(
    ratio: tuple[int, int], fills: list[tuple[int, int]], left: int
) -> None:
    found = left_after(Qty(1_000), [fill(*one) for one in fills], [split(*ratio)], Qty(1))
    assert found == max(0, left)


@pytest.mark.parametrize("seed", range(50))
def test_with_what_was_done_it_never_comes_to_more_than_was_asked_for(seed: int) -> None:
    """In new units: asked x ratio >= done before x ratio + done after + left, and less than a lot short of it."""
    random = Random(seed)
    new, old = 1 + random.below(5), 1 + random.below(5)
    before, after = random.below(600), random.below(400 * new // old + 1)
    left = left_after(Qty(1_000), [fill(before, T - 5), fill(after, T + 5)], [split(new, old)], Qty(1))
    whole = 1_000 * new
    done = before * new + after * old
    assert done + int(left) * old <= max(whole, done)
    assert not left or whole - done - int(left) * old < old


def alerts(lab: Lab) -> list[str]:
    told = [ev.decode_event(row.payload) for row in lab.journal.read() if row.kind == "alert"]
    return [one.text for one in told if isinstance(one, ev.AlertRaised) and one.code == "SPLIT_REST"]


def worked(folder: Path, ledger: Path | None = None) -> tuple[Lab, bi.WireOrder]:
    """A schedule of 1,000 with 60 done, a part of it working."""
    lab = Lab(folder, ledger=ledger)
    lab.connect()
    algo = AlgoSpec("twap", duration_ns=600 * NS_PER_S, params={"slices": "10"})
    assert lab.buy(1_000, "190.01", algo=algo).ok
    lab.pass_time(1)
    (child,) = lab.broker.sent
    lab.answer(lab.ack(child.wire_id))
    lab.answer(lab.fill(child.wire_id, 60, "f1", "189.00"))
    lab.pass_time(1)
    return lab, child


def test_the_line_places_what_is_left_in_the_time_that_is_left(tmp_path: Path) -> None:
    lab, child = worked(tmp_path)
    now = lab.clock.now_ns()
    lab.answer(bi.Moved(broker="paper", ts_ns=now, movement=split(4, 1, now)))
    assert alerts(lab) == [], "not known before the venue has said what became of its children"
    lab.pass_time(1)
    late = lab.fill(child.wire_id, 40, "f2", "47.25")  # in new units, while the cancel was on its way
    lab.answer(late)
    lab.answer(bi.Cancelled(broker="paper", ts_ns=lab.clock.now_ns(), wire_id=child.wire_id, qty_filled=Qty(100)))
    (told,) = alerts(lab)
    assert "AAPL was split 4 for 1: of P1 3720 are left in new units" in told  # (1000 - 60) x 4 - 40
    line = told.partition("place them with: ")[2]
    draft = parse_order(line, GrammarContext(instruments={"AAPL": AAPL}))
    assert isinstance(draft, NewOrderDraft), draft
    spec = draft.spec
    assert (spec.side, spec.qty, spec.limit) == (Side.BUY, Qty(3_720), Price("47.50"))  # 190.01 / 4 = 47.5025, down
    assert (spec.algo.name, spec.algo.params) == ("twap", {"slices": "10"})
    assert 590 <= spec.algo.duration_ns // NS_PER_S <= 598
    assert lab.engine.store.last_counter == 2, "nothing is placed by itself"


def test_two_splits_leave_what_both_make_of_it() -> None:
    """3 for 2 and then 1 for 4: 1,000 less 100 are 1,350; less 50 of them 1,300, which are 325; less 5 of those."""
    both = [split(3, 2), split(1, 4, T + 10, "s2")]
    done = [fill(100, T - 1), fill(50, T + 5), fill(5, T + 11)]
    assert left_after(Qty(1_000), done, both, Qty(1)) == 320
    assert left_after(Qty(1_000), [*done, fill(4, T + 10)], both, Qty(1)) == 316, "old or new units: what leaves less"
    assert left_after(Qty(7), [], both, Qty(1)) == 2, "2.625: whole lots, rounded once"


def test_the_line_behind_two_splits_has_quantity_and_price_of_now(tmp_path: Path) -> None:
    lab, child = worked(tmp_path)
    now = lab.clock.now_ns()
    lab.answer(bi.Moved(broker="paper", ts_ns=now, movement=split(4, 1, now)))
    lab.answer(bi.Moved(broker="paper", ts_ns=now, movement=split(2, 1, now, "s2")))
    lab.answer(bi.Cancelled(broker="paper", ts_ns=now, wire_id=child.wire_id, qty_filled=Qty(60)))
    (told,) = alerts(lab)
    assert "AAPL was split 4 for 1, then 2 for 1: of P1 7520 are left in new units" in told  # (1000 - 60) x 8
    assert "@23.75 day" in told  # 190.01 / 8 = 23.75125, down


def test_an_execution_that_was_undone_is_left_to_a_person(tmp_path: Path) -> None:
    busted, order = worked(tmp_path)
    now = busted.clock.now_ns()
    busted.answer(bi.Moved(broker="paper", ts_ns=now, movement=split(4, 1, now)))
    busted.answer(bi.Busted(broker="paper", ts_ns=now, fill_key="f1", symbol="AAPL"))
    busted.answer(bi.Cancelled(broker="paper", ts_ns=now, wire_id=order.wire_id, qty_filled=Qty(0)))
    (told,) = alerts(busted)
    assert "work out by hand what is left" in told


def test_an_engine_that_was_started_anew_before_the_end_still_says_what_is_left(tmp_path: Path) -> None:
    lab, child = worked(tmp_path, tmp_path / "ledger.db")
    now = lab.clock.now_ns()
    lab.answer(bi.Moved(broker="paper", ts_ns=now, movement=split(4, 1, now)))
    lab.journal.close()
    again = Lab(tmp_path, ledger=tmp_path / "ledger.db", start_ns=now)
    gone = bi.Cancelled(broker="paper", ts_ns=now, wire_id=child.wire_id, qty_filled=Qty(60))
    again.answer(gone)
    (told,) = alerts(again)
    assert "of P1 3760 are left in new units" in told
    again.journal.close()
    assert alerts_after_a_start(tmp_path, now) == [told], "said once"


def alerts_after_a_start(folder: Path, now: int) -> list[str]:
    return alerts(Lab(folder, ledger=folder / "ledger.db", start_ns=now))
