"""Direct: the parent's own terms, once."""

from engine.domain.money import Price
from engine.domain.order import AlgoSpec, OrderState, Tif
from engine.execution.direct import Direct
from tests.execution.fakes import FakeContext, order


def context(**terms: object) -> FakeContext:
    spec = order(100, **{"algo": AlgoSpec(), **terms})  # type: ignore[arg-type]
    return FakeContext(Direct(), spec)


def test_one_child_has_the_parents_terms() -> None:
    ctx = context(limit=Price("100.01"), tif=Tif.GTC, post_only=True)
    ctx.start()
    (child,) = ctx.sent
    assert (child.qty, child.limit, child.tif, child.post_only) == (100, "100.01", "gtc", True)
    ctx.fill("C1", 40)
    assert not ctx.finished
    ctx.change("C1", OrderState.CANCELLED)
    assert ctx.finished == ["its child ended cancelled"]
    assert len(ctx.sent) == 1


def test_a_denied_child_ends_the_parent() -> None:
    ctx = context()
    ctx.deny = True
    ctx.start()
    assert ctx.finished


def test_an_unknown_child_is_waited_for() -> None:
    ctx = context()
    ctx.start()
    ctx.change("C1", OrderState.UNKNOWN)
    ctx.crash_and_resume()
    assert (ctx.finished, len(ctx.sent)) == ([], 1)


def test_nothing_is_fired_late_after_a_crash_before_the_child() -> None:
    ctx = context()
    ctx.crash_and_resume()
    assert not ctx.sent
    assert "not sent late" in ctx.finished[0]


def test_stop_cancels_the_child() -> None:
    ctx = context()
    ctx.start()
    ctx.algo.on_stop(ctx.parent, ctx)
    assert ctx.cancels == [(0, "C1")]


def test_a_schedule_is_refused() -> None:
    assert Direct().validate(order(name="direct")) is not None
    assert Direct().validate(order(algo=AlgoSpec())) is None
