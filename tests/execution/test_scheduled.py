"""TWAP and VWAP, step by step against a venue that the test plays."""

import pytest

from engine.domain.events import QuoteSeen
from engine.domain.instrument import make_instrument
from engine.domain.money import Price
from engine.domain.order import WHEN, OrderState, OrderType, Side, Tif
from engine.execution.algos import ALGOS
from engine.execution.scheduled import Plan, Progress, progress_of, slice_count
from engine.execution.twap import TWAP
from engine.execution.vwap import VWAP
from engine.intake.grammar import ALGO_WORDS
from tests.execution.fakes import QUOTE, START_NS, FakeContext, order


def started(**terms: object) -> FakeContext:
    """1000 shares over 10 minutes: ten slices of 100, taking at 45 s of each."""
    ctx = FakeContext(TWAP, order(**terms))  # type: ignore[arg-type]
    ctx.start()
    return ctx


def test_a_slice_is_posted_then_taken_once_the_cancel_is_confirmed() -> None:
    ctx = started()
    assert [(s.qty, s.limit, s.tif) for s in ctx.sent] == [(100, "100", "day")]
    ctx.change("C1", OrderState.NEW)
    ctx.fill("C1", 30)
    ctx.run_to(45)
    assert ctx.cancels == [(45, "C1")]
    assert len(ctx.sent) == 1, "the rest may still fill while the cancel is not confirmed"
    ctx.fill("C1", 10)
    ctx.change("C1", OrderState.CANCELLED)
    assert [(s.qty, s.limit, s.tif) for s in ctx.sent[1:]] == [(60, "100.07", "ioc")]
    assert ctx.sent[1].why == "twap slice 1/10: 40 of 100 done, take 100.07"


def test_a_whole_day_of_passive_fills_follows_the_schedule() -> None:
    ctx = started()
    for index in range(10):
        ctx.run_to(60 * index + 1)
        assert ctx.worst == 100 * (index + 1)
        ctx.fill(ctx.live[0])
    assert ctx.finished == ["complete"]
    assert [s.at_s for s in ctx.sent] == [60 * index for index in range(10)]
    assert ctx.worst == 1000


def test_sells_mirror() -> None:
    ctx = started(side=Side.SELL)
    ctx.run_to(45)
    ctx.change("C1", OrderState.CANCELLED)
    assert [s.limit for s in ctx.sent] == ["100.02", "99.95"]


def test_the_parents_limit_bounds_post_and_take() -> None:
    ctx = started(limit=Price("100.04"))
    ctx.run_to(45)
    ctx.change("C1", OrderState.CANCELLED)
    assert [s.limit for s in ctx.sent] == ["100", "100.04"]


def test_beyond_the_limit_the_post_stays() -> None:
    ctx = started(limit=Price("99.50"))
    ctx.run_to(50)
    assert [s.limit for s in ctx.sent] == ["99.5"]
    assert not ctx.cancels


def test_no_quote_waits_says_why_and_catches_up_within_the_bound() -> None:
    ctx = FakeContext(TWAP, order())
    ctx.seen = None
    ctx.start()
    ctx.run_to(239)
    assert not ctx.sent
    assert ctx.data["note"] == "waits: no usable quote"
    ctx.seen = QUOTE
    ctx.run_to(240)
    assert [s.qty for s in ctx.sent] == [200], "five slices are due; one slice fills at most two"
    assert ctx.data["note"] == ""


def test_missed_slices_are_not_fired_at_once_after_a_crash() -> None:
    ctx = started()
    ctx.fill("C1")
    ctx.time_ns = START_NS + 250 * 10**9
    ctx.crash_and_resume()
    assert [s.qty for s in ctx.sent] == [100, 200]
    ctx.fill("C2")
    ctx.run_to(299)
    assert len(ctx.sent) == 2
    for _ in range(10):
        ctx.run_to(ctx.at_s + 60)
        for child_id in list(ctx.live):
            ctx.fill(child_id)
    assert ctx.finished == ["complete"]
    assert ctx.worst == 1000


def test_a_crash_within_a_slice_sends_nothing_twice() -> None:
    ctx = started()
    ctx.change("C1", OrderState.UNKNOWN)
    ctx.crash_and_resume()
    assert len(ctx.sent) == 1
    assert not ctx.cancels


def test_a_crash_after_the_grace_ends_with_the_rest_reported() -> None:
    ctx = started()
    ctx.time_ns = START_NS + 700 * 10**9
    ctx.crash_and_resume()
    assert ctx.cancels == [(700, "C1")]
    assert ctx.finished == ["1000 of 1000 not done at the end"]


def test_a_crash_after_its_end_was_saved_ends_it_again() -> None:
    """What a laboratory schedule found (seed 2309): it waited for ever, because nothing was left for it to do."""
    ctx = started()
    ctx.time_ns = START_NS + 700 * 10**9
    ctx.change("C1", OrderState.UNKNOWN)
    ctx.crash_and_resume()
    ctx.crash_and_resume()
    assert ctx.finished == ["1000 of 1000 not done at the end"] * 2


def test_a_crash_before_anything_was_saved_begins() -> None:
    ctx = FakeContext(TWAP, order())
    ctx.crash_and_resume()
    assert len(ctx.sent) == 1


def test_an_unknown_child_blocks_its_quantity_only() -> None:
    ctx = started()
    ctx.change("C1", OrderState.UNKNOWN)
    ctx.run_to(60)
    assert [s.qty for s in ctx.sent] == [100, 100]
    assert ctx.worst == 200


def test_a_venue_that_refuses_everything_is_asked_six_times_a_slice() -> None:
    ctx = started()
    for _ in range(40):
        for child_id in list(ctx.live):
            ctx.change(child_id, OrderState.REJECTED)
        ctx.run_to(ctx.at_s + 1)
    assert len(ctx.sent) <= 6


def test_partial_takes_are_bounded() -> None:
    ctx = started(params={"style": "take"})
    for _ in range(9):
        for child_id in list(ctx.live):
            ctx.fill(child_id, 1)
            ctx.change(child_id, OrderState.CANCELLED)
    assert [s.qty for s in ctx.sent] == [100, 99, 98]
    assert ctx.data["note"] == "tried as often as a slice may"


def test_denied_children_are_tried_again_at_the_next_moment() -> None:
    ctx = FakeContext(TWAP, order())
    ctx.deny = True
    ctx.start()
    assert ctx.data["note"] == "the gate denied a child"
    ctx.deny = False
    ctx.run_to(45)
    assert [(s.at_s, s.tif) for s in ctx.sent] == [(45, "ioc")]


def test_passive_never_takes_and_moves_with_the_touch() -> None:
    ctx = started(params={"style": "passive"})
    ctx.run_to(59)
    assert not ctx.cancels
    ctx.seen = QuoteSeen(bid=Price("100.05"), ask=Price("100.07"))
    ctx.run_to(60)
    assert ctx.cancels == [(60, "C1")]
    ctx.change("C1", OrderState.CANCELLED)
    assert sum(s.qty for s in ctx.sent if s.limit == "100.05") == 200
    ctx.run_to(600)
    for child_id in list(ctx.live):
        ctx.change(child_id, OrderState.CANCELLED)
    assert all(s.tif == "day" for s in ctx.sent)
    assert ctx.finished[0].startswith("1000 of 1000 not done")


def test_a_post_only_parent_posts_post_only() -> None:
    ctx = started(limit=Price("100.01"), post_only=True)
    ctx.run_to(59)
    assert [(s.post_only, s.tif) for s in ctx.sent] == [(True, "day")]


def test_an_ioc_parent_never_rests() -> None:
    ctx = started(tif=Tif.IOC)
    assert [s.tif for s in ctx.sent] == ["ioc"]
    assert ctx.sent[0].at_s == 0


def test_a_gtc_parent_has_gtc_children() -> None:
    assert started(tif=Tif.GTC).sent[0].tif == "gtc"


def test_vwap_follows_its_curve_and_saves_it() -> None:
    ctx = FakeContext(VWAP, order(10_000, name="vwap", duration_s=11 * 60))
    ctx.weights = [12, 9, 7, 6, 5, 5, 6, 7, 9, 14, 20]
    ctx.start()
    ctx.weights = [1] * 11
    for index in range(11):
        ctx.run_to(60 * index)
        ctx.fill(ctx.live[0])
    assert [s.qty for s in ctx.sent] == [1200, 900, 700, 600, 500, 500, 600, 700, 900, 1400, 2000]
    assert ctx.data["source"] == "curve of the test"


def test_a_useless_curve_is_flat_and_says_so() -> None:
    ctx = FakeContext(VWAP, order(name="vwap"))
    ctx.weights = [0] * 10
    ctx.start()
    assert ctx.sent[0].qty == 100
    assert ctx.data["source"].startswith("flat")


def test_long_volumes_are_scaled() -> None:
    ctx = FakeContext(VWAP, order(name="vwap"))
    ctx.weights = [10**12, 3 * 10**12] + [0] * 8
    ctx.start()
    assert ctx.sent[0].qty == 250
    assert len(ctx.data["weights"]) < 40


def test_a_small_order_waits_for_the_venues_minimum() -> None:
    instrument = make_instrument("AAPL", "equity", "XSIM", "USD", "0.01", qty_min="25", notional_min="3100")
    ctx = FakeContext(TWAP, order(100), instrument)
    ctx.start()
    ctx.run_to(119)
    assert not ctx.sent
    assert "smallest order" in ctx.data["note"]
    ctx.run_to(180)
    ctx.fill("C1")
    ctx.run_to(539)
    assert [s.qty for s in ctx.sent] == [40], "40 more would leave less than the smallest order for the end"
    ctx.run_to(540)
    assert [s.qty for s in ctx.sent] == [40, 60]


def test_a_later_start_waits() -> None:
    ctx = FakeContext(TWAP, order())
    ctx.start_ns += 100 * 10**9
    ctx.end_ns += 100 * 10**9
    ctx.start()
    ctx.run_to(99)
    assert not ctx.sent
    ctx.run_to(100)
    assert len(ctx.sent) == 1


def test_stop_cancels_and_sends_nothing_more() -> None:
    ctx = started()
    ctx.algo.on_stop(ctx.parent, ctx)
    ctx.change("C1", OrderState.CANCELLED)
    ctx.run_to(700)
    assert (len(ctx.sent), ctx.cancels) == (1, [(0, "C1")])


def test_the_end_takes_the_last_rest_within_the_grace() -> None:
    ctx = started(duration_s=10, qty=1000, params={"slices": "1"})
    ctx.run_to(7.5)
    ctx.run_to(10)
    ctx.change("C1", OrderState.CANCELLED)
    assert [(s.at_s, s.qty, s.tif) for s in ctx.sent[1:]] == [(10, 1000, "ioc")]
    ctx.fill("C2")
    assert ctx.finished == ["complete"]


def test_what_is_not_done_after_the_grace_is_reported_with_its_reason() -> None:
    ctx = FakeContext(TWAP, order(100, duration_s=10))
    ctx.seen = None
    ctx.start()
    ctx.run_to(10.9)
    assert not ctx.finished
    ctx.run_to(11)
    assert ctx.finished == ["100 of 100 not done at the end: waits: no usable quote"]


def test_a_sell_at_a_few_ticks_keeps_a_price_above_zero() -> None:
    ctx = FakeContext(TWAP, order(side=Side.SELL, params={"style": "take"}))
    ctx.seen = QuoteSeen(bid=Price("0.03"), ask=Price("0.04"))
    ctx.start()
    assert ctx.sent[0].limit == "0.01"


@pytest.mark.parametrize(
    ("duration_s", "params", "count"),
    [
        (600, {}, 10),
        (1800, {}, 30),
        (599, {}, 10),
        (60, {}, 10),
        (5, {}, 5),
        (1, {}, 1),
        (86_400, {}, 390),
        (60, {"slices": "3"}, 3),
    ],
)
def test_slice_counts(duration_s: int, params: dict[str, str], count: int) -> None:
    assert slice_count(order(duration_s=duration_s, params=params)) == count


@pytest.mark.parametrize(
    "terms",
    [
        {"duration_s": 0},
        {"params": {"slices": "0"}},
        {"params": {"slices": "391"}},
        {"params": {"slices": "x"}},
        {"duration_s": 5, "params": {"slices": "6"}},
        {"params": {"style": "bold"}},
        {"params": {"cap": "10"}},
        {"tif": Tif.FOK},
        {"type": OrderType.STOP, "stop": Price(5)},
        {"post_only": True, "tif": Tif.IOC},
        {"post_only": True, "params": {"style": "take"}},
        {"tif": Tif.IOC, "params": {"style": "passive"}},
    ],
)
def test_what_a_schedule_cannot_hold_is_refused(terms: dict[str, object]) -> None:
    assert TWAP.validate(order(**terms))  # type: ignore[arg-type]


def test_sound_orders_are_taken() -> None:
    assert TWAP.validate(order(params={"slices": "390", "style": "passive"})) is None


def test_a_plan_has_no_gap_and_no_overlap() -> None:
    plan = Plan(7, 7 + 1000, tuple(range(1, 8)), 1)
    for index in range(7):
        assert plan.slice_at(plan.begin_ns(index)) == index
        assert plan.slice_at(plan.begin_ns(index + 1) - 1) == index
    assert plan.begin_ns(7) == plan.end_ns
    assert plan.slice_at(plan.end_ns + 5) == 6


def test_progress_reads_back() -> None:
    for weights in ((1, 1, 1), (5, 0, 2), (3,)):
        progress = Progress(weights, "here", 2, 100, 1, 2, "waits", "")
        assert progress_of(progress.data()) == progress


def test_the_grammar_knows_every_algorithm_and_its_words() -> None:
    # What an order waits for is said by the word `when`, not by an algorithm's name.
    assert {name: dict(algo.params) for name, algo in ALGOS.items() if name != WHEN} == {
        name: dict(words.params) for name, words in ALGO_WORDS.items()
    }
