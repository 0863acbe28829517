"""A venue and an agent small enough to see through: children, timers and saved data in dicts, time moved by the test."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.events import QuoteSeen
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.money import Price, Qty
from engine.domain.order import AlgoSpec, OrderSpec, OrderState, OrderType, Side, Tif
from engine.execution.algo import Algo, ChildView, ParentInfo, window

PARENT = "P1"
AAPL = make_instrument("AAPL", "equity", "XSIM", "USD", "0.01")
QUOTE = QuoteSeen(bid=Price("100.00"), ask=Price("100.02"))
START_NS = 1_000 * NS_PER_S


class Sent(msgspec.Struct, frozen=True):
    """What a child was sent with."""

    at_s: float
    child_id: str
    qty: int
    limit: str
    tif: str
    post_only: bool
    why: str


def order(qty: int = 1000, *, duration_s: int = 600, name: str = "twap", **terms: object) -> OrderSpec:
    params = terms.pop("params", {})
    fields: dict[str, object] = {
        "symbol": "AAPL",
        "side": Side.BUY,
        "qty": Qty(qty),
        "type": OrderType.LIMIT if "limit" in terms else OrderType.MARKET,
        "algo": AlgoSpec(name, duration_s * NS_PER_S, 0, params),  # type: ignore[arg-type]
    }
    return OrderSpec(**{**fields, **terms})  # type: ignore[arg-type]


class FakeContext:
    """One parent, worked by one algorithm."""

    def __init__(self, algo: Algo, spec: OrderSpec, instrument: Instrument = AAPL) -> None:
        self.algo = algo
        self.spec = spec
        self._instrument = instrument
        self.time_ns = START_NS
        self.start_ns, self.end_ns = window(spec, START_NS)
        self.seen: QuoteSeen | None = QUOTE
        self.views: dict[str, ChildView] = {}
        self.timers: list[tuple[int, int, str]] = []
        self.timer_count = 0
        self.data: dict[str, str] = {}
        self.sent: list[Sent] = []
        self.cancels: list[tuple[float, str]] = []
        self.finished: list[str] = []
        self.deny = False
        self.weights: list[int] = []

    # -- AlgoContext

    def now_ns(self) -> int:
        return self.time_ns

    def quote(self, symbol: str) -> QuoteSeen | None:
        return self.seen

    def instrument(self, symbol: str) -> Instrument:
        return self._instrument

    def children(self, parent_id: str) -> Sequence[ChildView]:
        return list(self.views.values())

    def live_children(self, parent_id: str) -> Sequence[ChildView]:
        return [view for view in self.views.values() if view.is_live]

    def child(self, child_id: str) -> ChildView | None:
        return self.views.get(child_id)

    def volume_weights(self, symbol: str, start_ns: int, end_ns: int, bins: int) -> tuple[list[int], str]:
        return (self.weights or [1] * bins), "curve of the test"

    def send_child(
        self,
        parent_id: str,
        qty: Qty,
        order_type: OrderType,
        *,
        limit: Price | None = None,
        stop: Price | None = None,
        tif: Tif = Tif.DAY,
        post_only: bool = False,
        why: str,
    ) -> str | None:
        assert why
        assert qty > 0
        if self.deny:
            return None
        child_id = f"C{len(self.views) + 1}"
        self.views[child_id] = ChildView(
            order_id=child_id,
            qty=qty,
            qty_filled=Qty(0),
            state=OrderState.PENDING_NEW,
            is_live=True,
            limit=limit,
            tif=tif,
        )
        self.sent.append(Sent(self.at_s, child_id, int(qty), str(limit), str(tif), post_only, why))
        return child_id

    def cancel_child(self, child_id: str, why: str) -> None:
        assert self.views[child_id].is_live
        self.cancels.append((self.at_s, child_id))
        self._set(child_id, state=OrderState.PENDING_CANCEL)

    def set_timer(self, parent_id: str, at_ns: int, tag: str) -> None:
        assert at_ns > self.time_ns
        self.timer_count += 1
        heapq.heappush(self.timers, (at_ns, self.timer_count, tag))

    def last(self, symbol: str) -> Price | None:
        raise NotImplementedError(symbol)

    def watch(self, parent_id: str, symbol: str, tag: str) -> None:
        raise NotImplementedError(symbol)

    def unwatch(self, parent_id: str) -> None:
        raise NotImplementedError(parent_id)

    def suspend(self, parent_id: str, why: str) -> None:
        raise NotImplementedError(parent_id)

    def save(self, parent_id: str, data: Mapping[str, str]) -> None:
        self.data = dict(data)

    def saved(self, parent_id: str) -> Mapping[str, str]:
        return dict(self.data)

    def finish(self, parent_id: str, why: str) -> None:
        self.finished.append(why)

    # -- what a test does

    @property
    def at_s(self) -> float:
        return (self.time_ns - START_NS) / NS_PER_S

    @property
    def parent(self) -> ParentInfo:
        filled = sum(int(view.qty_filled) for view in self.views.values())
        rest = sum(max(0, int(view.qty - view.qty_filled)) for view in self.views.values() if view.is_live)
        return ParentInfo(
            order_id=PARENT,
            spec=self.spec,
            qty_filled=Qty(filled),
            qty_leaves=Qty(max(0, int(self.spec.qty) - filled - rest)),
            start_ns=self.start_ns,
            end_ns=self.end_ns,
        )

    @property
    def live(self) -> list[str]:
        return [name for name, view in self.views.items() if view.is_live]

    @property
    def worst(self) -> int:
        """Quantity filled or still able to fill."""
        return sum(int(max(v.qty, v.qty_filled) if v.is_live else v.qty_filled) for v in self.views.values())

    def start(self) -> None:
        self.algo.start(self.parent, self)

    def crash_and_resume(self) -> None:
        self.timers.clear()
        self.algo.resume(self.parent, self.saved(PARENT), self)

    def run_to(self, at_s: float) -> None:
        """Fire timers up to and at a second since the start."""
        until = START_NS + int(at_s * NS_PER_S)
        while self.timers and self.timers[0][0] <= until and not self.finished:
            at_ns, _, tag = heapq.heappop(self.timers)
            self.time_ns = max(self.time_ns, at_ns)
            self.algo.on_timer(self.parent, tag, self)
        self.time_ns = until

    def change(self, child_id: str, state: OrderState, filled: int | None = None) -> None:
        """The venue says something about a child."""
        self._set(child_id, state=state, filled=filled)
        self.algo.on_child(self.parent, child_id, self)

    def fill(self, child_id: str, qty: int | None = None) -> None:
        view = self.views[child_id]
        filled = int(view.qty_filled) + (int(view.qty - view.qty_filled) if qty is None else qty)
        state = view.state if filled < view.qty else OrderState.FILLED
        if state in {OrderState.PENDING_NEW, OrderState.NEW} and filled:
            state = OrderState.PARTIALLY_FILLED
        self.change(child_id, state, filled)

    def _set(self, child_id: str, *, state: OrderState, filled: int | None = None) -> None:
        view = self.views[child_id]
        self.views[child_id] = msgspec.structs.replace(
            view,
            state=state,
            is_live=state.is_live,
            qty_filled=view.qty_filled if filled is None else Qty(filled),
        )
