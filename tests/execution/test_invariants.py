"""Whatever the venue does, a schedule never has more out than the parent ordered."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.domain.events import QuoteSeen
from engine.domain.money import Price
from engine.domain.order import OrderState, Side, Tif
from engine.execution.twap import TWAP
from tests.execution.fakes import QUOTE, FakeContext, order

QUOTES = [
    QUOTE,
    None,
    QuoteSeen(bid=Price("99.90"), ask=Price("99.91")),
    QuoteSeen(bid=Price("100.50"), ask=None),
    QuoteSeen(bid=Price("100.20"), ask=Price("100.20")),
]
REJECTED_FOR_GOOD = [OrderState.REJECTED, OrderState.EXPIRED, OrderState.KILLED]


class WatchedContext(FakeContext):
    """Checks the promise at the moment of each send."""

    late_fills = 0

    def send_child(self, *args: object, **terms: object) -> str | None:
        child_id = super().send_child(*args, **terms)  # type: ignore[arg-type]
        assert self.worst - self.late_fills <= self.spec.qty
        index = int(self.data["slice"])
        due = -(-int(self.spec.qty) * (index + 1) // 10)
        assert self.worst - self.late_fills <= due + 1, "ahead of the schedule by more than the slice in progress"
        return child_id


class Schedule(RuleBasedStateMachine):
    """An arbitrary venue: partial fills, rejects, lost answers, late fills, crashes, denials, jumps of time."""

    @initialize(
        qty=st.integers(1, 500),
        side=st.sampled_from(Side),
        style=st.sampled_from(["", "passive", "take"]),
        limit=st.sampled_from([None, Price("100.01")]),
    )
    def begin(self, qty: int, side: Side, style: str, limit: Price | None) -> None:
        terms: dict[str, object] = {"limit": limit} if limit else {}
        params = {"style": style} if style else {}
        self.ctx = WatchedContext(TWAP, order(qty, side=side, params=params, **terms))  # type: ignore[arg-type]
        self.ctx.start()

    @rule(seconds=st.sampled_from([0.5, 1, 15, 46, 61, 130]))
    def time_passes(self, seconds: float) -> None:
        self.ctx.run_to(self.ctx.at_s + seconds)

    @rule(quote=st.sampled_from(QUOTES))
    def quote_changes(self, quote: QuoteSeen | None) -> None:
        self.ctx.seen = quote

    @rule(deny=st.booleans())
    def gate_changes(self, deny: bool) -> None:
        self.ctx.deny = deny

    @rule()
    def crash(self) -> None:
        if not self.ctx.finished:
            self.ctx.crash_and_resume()

    @precondition(lambda self: self.ctx.live)
    @rule(data=st.data())
    def venue_speaks(self, data: st.DataObject) -> None:
        ctx = self.ctx
        child_id = data.draw(st.sampled_from(ctx.live))
        view = ctx.views[child_id]
        act = data.draw(st.sampled_from(["ack", "fill", "part", "cancel", "unknown", "reject", "cancel_refused"]))
        if act == "fill":
            ctx.fill(child_id)
        elif act == "part":
            ctx.fill(child_id, data.draw(st.integers(0, int(view.qty - view.qty_filled))))
        elif act == "unknown":
            ctx.change(child_id, OrderState.UNKNOWN)
        elif act == "reject":
            ctx.change(child_id, data.draw(st.sampled_from(REJECTED_FOR_GOOD)))
        elif act == "cancel" and (view.state is OrderState.PENDING_CANCEL or view.tif is Tif.IOC):
            ctx.change(child_id, OrderState.CANCELLED)
        elif act in {"ack", "cancel_refused"}:
            ctx.change(child_id, OrderState.PARTIALLY_FILLED if view.qty_filled else OrderState.NEW)

    @precondition(lambda self: any(not v.is_live and v.qty_filled < v.qty for v in self.ctx.views.values()))
    @rule(data=st.data())
    def late_fill(self, data: st.DataObject) -> None:
        """The venue breaks its word: a fill of an order that it said was gone."""
        ctx = self.ctx
        gone = [name for name, v in ctx.views.items() if not v.is_live and v.qty_filled < v.qty]
        ctx.late_fills += 1
        ctx.fill(data.draw(st.sampled_from(gone)), 1)

    @invariant()
    def never_more_out_than_ordered(self) -> None:
        if hasattr(self, "ctx"):
            assert self.ctx.worst - self.ctx.late_fills <= self.ctx.spec.qty

    def teardown(self) -> None:
        """Time alone always brings it to an end."""
        if hasattr(self, "ctx"):
            self.ctx.run_to(self.ctx.at_s + 700)
            assert len(self.ctx.finished) == 1
            assert len(self.ctx.sent) <= 10 * 6 + 6


TestSchedule = Schedule.TestCase
TestSchedule.settings = settings(max_examples=150, stateful_step_count=40)
