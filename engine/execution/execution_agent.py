"""Takes parents through the gate, gives each to its algorithm, and takes the algorithm's children through the gate.

Algorithms are called from :meth:`ExecutionAgent.pump` only, never from inside one of their own calls: what happens to a child is
queued and told afterwards.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine.domain import events as ev
from engine.domain.clock import Clock
from engine.domain.commands import Denial, NewOrder
from engine.domain.instrument import Instrument
from engine.domain.money import ZERO_QTY, Price, Qty
from engine.domain.order import LIVE, OrderSpec, OrderState, OrderType, Source, Tif
from engine.domain.parent_events import ParentPaused, ParentReleased, ParentResumed, ParentSuspended, UrgencySet
from engine.execution.algo import Algo, ChildView, ParentInfo, window
from engine.execution.algos import ALGOS
from engine.execution.conditional import RELEASED, watched_symbol
from engine.execution.day_end import DAY_ENDED, DayEnds
from engine.execution.direct import WHOLE
from engine.oms.orders import Orders, Record
from engine.risk.controls_case import MARKED_SHORT
from engine.risk.controls_history import History
from engine.risk.exposure import OPEN, RiskView
from engine.risk.risk_manager import Candidate, RiskManager, Role, Verdict
from engine.store.order import Order
from engine.store.order_store import OrderStore

PUMP_MAX = 10_000
"""Algorithm calls in one pump; beyond it an algorithm is talking to itself."""

Weights = Callable[[str, int, int, int], tuple[list[int], str]]
"""Symbol, start, end, bins -> weights and a note on where they are from."""

CHILD_END = {
    OrderState.REJECTED: OrderState.REJECTED,
    OrderState.EXPIRED: OrderState.EXPIRED,
    OrderState.KILLED: OrderState.KILLED,
}

UNANSWERED = frozenset(
    {
        ev.OrderIntent, ev.OrderAcked, ev.AmendIntent, ev.CancelIntent,
        ev.OrderStaged, ev.ParentAccepted, ev.ParentStopping, ev.ParentEnded, ev.AlgoProgress,
    }
)  # fmt: skip
"""Events that leave an algorithm nothing to decide: a child that was sent, confirmed, or is asked back is live as before, at no more than
was counted of it; the others are about a parent.
"""


class ExecutionAgent:
    """Parents at work. Implements ``AlgoContext`` for its algorithms."""

    def __init__(
        self,
        store: OrderStore,
        orders: Orders,
        gate: RiskManager,
        view: RiskView,
        record: Record,
        clock: Clock,
        weights: Weights,
        algos: Mapping[str, Algo] = ALGOS,
    ) -> None:
        self._store = store
        self._orders = orders
        self._gate = gate
        self._view = view
        self._record = record
        self._clock = clock
        self._weights = weights
        self._algos = algos
        self.calls: deque[tuple[str, str, str]] = deque()
        """Algorithms that wait to be called by :meth:`pump`: parent, kind, argument."""
        self._timers: list[tuple[int, int, str, str]] = []
        self._timer_count = 0
        self._lasts: dict[str, Price] = {}
        """Last trades of watched symbols."""
        self._finished: dict[str, str] = {}
        self.watched: dict[str, dict[str, str]] = {}
        """Symbols whose trades trigger something: the parents that wait for them, each with the word it is called with."""
        self._day_ends = DayEnds(view)
        self.weight_notes: dict[str, str] = {}

    # -- parents -------------------------------------------------------------------------------------------------------

    def refuse(self, spec: OrderSpec) -> Denial | None:
        """Why no algorithm can work that order; None where one can."""
        algo = self._algos.get(spec.algo.name)
        if algo is None:
            known = ", ".join(self._algos)
            return _denial("ALGO_UNKNOWN", spec.algo.name, f"there is no algorithm {spec.algo.name!r}; use {known}")
        why = algo.validate(spec)
        watched = watched_symbol(spec)
        if not why and watched and self._view.instrument(watched) is None:
            why = f"the terms of {watched}, which it waits for, are not loaded; check the symbol"
        return _denial("ALGO_REFUSES", spec.algo.name, why) if why else None

    def judge(
        self,
        order_id: str,
        spec: OrderSpec,
        source: Source,
        intent_id: str,
        *,
        ahead: tuple[RiskView, History] | None = None,
        others: tuple[OrderSpec, ...] = (),
        **more: object,
    ) -> Verdict:
        """The gate's verdict on a parent. A person gets every check, a program the first denial.

        ``ahead``: a view and a memory in which orders that go with this one count as sent; then every check is made.
        ``others``: of the first leg of a combination, the legs whose amounts count with its own; the short way knows none.
        ``dry`` (in ``more``) is a question only: it counts nothing.
        """
        candidate = Candidate(
            order_id=order_id,
            role=Role.PARENT,
            spec=spec,
            source=source,
            intent_id=intent_id,
            confirmed=more.get("confirmed", frozenset()),  # type: ignore[arg-type] # checked by the command's own type
            why=str(more.get("why", "")),
            is_approved=bool(more.get("is_approved", False)),
            others=others,
        )
        now_ns, dry = self._clock.now_ns(), bool(more.get("dry", False))
        if ahead is None and not others:
            verdict = self._gate.check(candidate, now_ns, full=source.kind.is_person, dry=dry)
        else:
            verdict = self._gate.judge(candidate, now_ns, full=True, dry=dry, ahead=ahead)
        refused = self.refuse(spec)
        if refused is not None:
            return msgspec.structs.replace(verdict, ok=False, denials=(refused, *verdict.denials))
        return verdict

    def begin(self, order_id: str, spec: OrderSpec, source: Source, intent_id: str, verdict: Verdict, why: str) -> None:
        """Accept a parent that passed the gate and queue its algorithm."""
        self.accept(order_id, spec, source, intent_id, verdict, why)
        self.calls.append((order_id, "start", ""))

    def accept(
        self, order_id: str, spec: OrderSpec, source: Source, intent_id: str, verdict: Verdict, why: str
    ) -> None:
        """Accept a parent that passed the gate; who asks sends its child."""
        self._record(
            ev.ParentAccepted(
                order_id=order_id,
                intent_id=intent_id,
                spec=spec,
                source=source,
                decision=verdict.decision
                if verdict.decision.why.startswith(why)
                else msgspec.structs.replace(
                    verdict.decision, why="; ".join(filter(None, (why, verdict.decision.why)))
                ),
            )
        )
        self._day_ends.watch(self._store.get(order_id))

    def takes_at_once(self, command: NewOrder) -> bool:
        """Whether an order is a plain one that :meth:`place` sends in one step: direct, by itself, and with nobody before it."""
        return command.spec.algo.name == "direct" and not command.staged and not self.calls

    def place(self, command: NewOrder, verdict: Verdict) -> Order:
        """Accept a direct order that passed the gate, with its one child; one check judges both, because they are one order."""
        why = f"{WHOLE}; {MARKED_SHORT}" if verdict.decision.why.endswith(MARKED_SHORT) else WHOLE
        parent = self._orders.place(command, verdict.decision, why)
        self._day_ends.watch(parent)
        return parent

    def only_child(self, parent: Order) -> Order | None:
        """The one live child of a direct parent, where it has left and nobody stops either; else None."""
        if parent.spec.algo.name != "direct" or parent.stopping or len(parent.children_live) != 1 or self.calls:
            return None
        child = next(iter(parent.children_live.values()))
        return child if self._orders.has_left(child.order_id) else None

    def stop_parent(self, parent: Order, why: str) -> None:
        """Let a parent send nothing more, and cancel what it has working."""
        if not parent.stopping:
            self._record(ev.ParentStopping(order_id=parent.order_id, why=why))
        for child in parent.live_children:
            self._orders.cancel(child, why)
        self.calls.append((parent.order_id, "end", ""))

    def cancel_again(self, broker: str) -> None:
        """Ask for the cancels that met a line which was down, where nobody wants the order any more: else it would work for good."""
        for order in list(self._store.cancels_unsent.values()):
            if order.spec.broker == broker and self._is_left(order):
                self._orders.cancel(order, "asked again: the cancel never left")

    def _is_left(self, child: Order) -> bool:
        """Whether nobody works with it any more: its parent has ended, is about to, or is paused; or it never had one."""
        parent = self._store.parents_open.get(child.parent_id)
        return parent is None or parent.stopping or parent.paused or parent.order_id in self._finished

    def freeze(self, covers: Callable[[Order], bool], why: str) -> int:
        """A halt: parents in its reach send nothing more; their children are cancelled by the kill procedure."""
        found = [parent for parent in self._store.parents_open.values() if covers(parent) and not parent.stopping]
        for parent in found:
            self._record(ev.ParentStopping(order_id=parent.order_id, why=why))
            self.calls.append((parent.order_id, "end", ""))
        return len(found)

    def resume(self) -> int:
        """After a restart: go on with every open parent; how many."""
        found = list(self._store.parents_open.values())
        for parent in found:
            self._day_ends.watch(parent)
        self._day_ends.run(self._clock.now_ns(), self._end_day)
        for parent in found:
            self.calls.append((parent.order_id, "end" if parent.stopping else "resume", ""))
        return len(found)

    def release_suspended(self, parent: Order, who: str) -> None:
        """A person lets a suspended parent go on, now."""
        self._record(ParentReleased(order_id=parent.order_id, who=who))
        self.calls.append((parent.order_id, "timer", RELEASED))

    def algo_of(self, parent: Order) -> Algo:
        """What works it."""
        return self._algos[parent.spec.algo.name]

    def pause(self, parent: Order, who: str) -> None:
        """Let a parent send nothing more for now. Its children are asked back; fills that cross that are booked as ever."""
        self._record(ParentPaused(order_id=parent.order_id, who=who))
        self._drop_timers(parent.order_id)
        self._pull_back(parent)

    def go_on(self, parent: Order, who: str) -> None:
        """A paused parent goes on as after a restart: by its schedule, with what it missed inside its catch-up bound."""
        self._record(ParentResumed(order_id=parent.order_id, who=who))
        self._drop_timers(parent.order_id)
        self.calls.append((parent.order_id, "resume", ""))

    def set_urgency(self, parent: Order, urgency: str, who: str) -> None:
        """Change how eagerly it trades, from now on."""
        self._record(UrgencySet(order_id=parent.order_id, urgency=urgency, who=who))
        if not parent.paused:
            self._drop_timers(parent.order_id)
            self.calls.append((parent.order_id, "resume", ""))

    def _pull_back(self, parent: Order) -> None:
        for child in parent.live_children:
            if not child.cancel_asked:
                self._orders.cancel(child, "its parent is paused")

    def _drop_timers(self, parent_id: str) -> None:
        """Whoever calls the algorithm now lets it set its own anew; two chains of them would act twice."""
        self._timers = [timer for timer in self._timers if timer[2] != parent_id]
        heapq.heapify(self._timers)

    # -- being told ----------------------------------------------------------------------------------------------------

    def hears(self, kind: type[msgspec.Struct]) -> bool:
        """Whether :meth:`on_event` is to be told of a kind of event: of those about a child that leave something to decide."""
        return "order_id" in kind.__struct_fields__ and kind not in UNANSWERED

    def on_event(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Queue what happened to a child for its parent's algorithm."""
        del seq, ts_ns
        order_id: str = event.order_id  # type: ignore[union-attr] # hears() lets through no other
        order = self._store.orders.get(order_id)
        parent = None if order is None else self._store.parents_open.get(order.parent_id)
        if parent is not None:
            self.calls.append((parent.order_id, "child", order_id))

    def next_timer_ns(self) -> int | None:
        """When the next algorithm timer is due, or the next session ends."""
        close_ns = self._day_ends.next_ns()
        if not self._timers:
            return close_ns
        return self._timers[0][0] if close_ns is None else min(close_ns, self._timers[0][0])

    def on_time(self, now_ns: int) -> None:
        """Queue every timer that is due; end what was good for a session that has closed."""
        self._day_ends.run(now_ns, self._end_day)
        while self._timers and self._timers[0][0] <= now_ns:
            _, _, parent_id, tag = heapq.heappop(self._timers)
            self.calls.append((parent_id, "timer", tag))

    def on_trade(self, symbol: str, price: Price) -> None:
        """Queue the parents that wait for a trade of this symbol."""
        self._lasts[symbol] = price
        for parent_id, tag in self.watched[symbol].items():
            self.calls.append((parent_id, "timer", tag))

    def _end_day(self, parent_id: str) -> None:
        """Its children are left to the venue, which expires them itself: a cancel would only race with that."""
        parent = self._store.parents_open.get(parent_id)
        if parent is not None and not parent.stopping:
            self._record(ev.ParentStopping(order_id=parent_id, why=DAY_ENDED))
            self.calls.append((parent_id, "end", ""))

    def pump(self) -> None:
        """Call algorithms until nothing is queued, then end parents that are done."""
        for _ in range(PUMP_MAX):
            if not self.calls:
                return
            parent_id, kind, argument = self.calls.popleft()
            parent = self._store.parents_open.get(parent_id)
            if parent is None:
                continue
            if kind == "child":
                self._follow_amend(parent, self._store.get(argument))
                self._cancel_excess(parent)
            if kind != "end" and not parent.stopping and not parent.suspended and not parent.paused:
                self._call(parent, kind, argument)
            elif kind == "resume" and parent.paused:
                self._pull_back(parent)  # an engine that died in between may not have asked for all of them
            self._end_when_done(parent)
        self._record(ev.AlertRaised(severity="critical", code="ALGO_LOOP", text="an algorithm is talking to itself"))
        self.calls.clear()

    def _call(self, parent: Order, kind: str, argument: str) -> None:
        algo, info = self._algos[parent.spec.algo.name], self._info(parent)
        match kind:
            case "start":
                algo.start(info, self)
            case "resume":
                algo.resume(info, parent.algo_data, self)
            case "timer":
                algo.on_timer(info, argument, self)
            case _:
                algo.on_child(info, argument, self)

    def _follow_amend(self, parent: Order, child: Order) -> None:
        """A direct parent has its only child's terms, once no amend is under way.

        It never grows by the venue's word: what was asked for it has from the gate. A venue that works more than that has
        its order cancelled as an excess.
        """
        if parent.spec.algo.name != "direct" or child.amend is not None or child.state is OrderState.DENIED:
            return
        qty = min(parent.qty, child.qty)
        if (parent.qty, parent.limit, parent.stop) != (qty, child.limit, child.stop):
            self._record(
                ev.OrderAmended(
                    order_id=parent.order_id,
                    qty=qty,
                    limit=child.limit,
                    stop=child.stop,
                    ts_ns=self._clock.now_ns(),
                )
            )

    def _cancel_excess(self, parent: Order) -> None:
        """A child that was gone filled after all, and what was sent in its place is now too much."""
        if not parent.children_live or parent.committed <= parent.qty:
            return
        for child in parent.live_children:
            if not child.cancel_asked:
                self._orders.cancel(child, "a late execution made it too much")

    def _end_when_done(self, parent: Order) -> None:
        if parent.order_id not in self._store.parents_open or parent.children_live:
            return
        is_filled = parent.qty_filled >= parent.qty
        if not (is_filled or parent.stopping or parent.order_id in self._finished):
            return
        why = self._finished.pop(parent.order_id, parent.note if parent.stopping else "")
        state = OrderState.FILLED if is_filled else OrderState.CANCELLED
        if not is_filled and parent.stopping and parent.note == DAY_ENDED:
            state = OrderState.EXPIRED
        elif not is_filled and not parent.stopping and not parent.children:
            state = OrderState.DENIED
        elif not is_filled and parent.children:
            last = parent.children[-1].state
            state = CHILD_END.get(last, OrderState.DENIED if last is OrderState.DENIED else OrderState.CANCELLED)
        self.unwatch(parent.order_id)
        self._record(ev.ParentEnded(order_id=parent.order_id, state=state, why=why))

    def _info(self, parent: Order) -> ParentInfo:
        start_ns, end_ns = window(parent.spec, parent.created_ns)
        left = parent.qty - parent.committed
        return ParentInfo(
            order_id=parent.order_id,
            spec=parent.spec
            if parent.qty is parent.spec.qty and parent.limit is parent.spec.limit and parent.stop is parent.spec.stop
            else msgspec.structs.replace(parent.spec, qty=parent.qty, limit=parent.limit, stop=parent.stop),
            qty_filled=parent.qty_filled,
            qty_leaves=left if left > 0 else ZERO_QTY,
            start_ns=start_ns,
            end_ns=end_ns,
        )

    # -- AlgoContext ---------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """Engine time."""
        return self._clock.now_ns()

    def quote(self, symbol: str) -> ev.QuoteSeen | None:
        """Best prices to act on; None where they are missing, one-sided, crossed, stale, halted or closed."""
        quote = self._view.quote(symbol)
        policy = self._gate.policy.policy
        if quote is None or policy is None or quote.status != OPEN:
            return None
        if quote.bid is None or quote.ask is None or quote.bid > quote.ask:
            return None
        if self._clock.now_ns() - quote.ts_ns > policy.ns("price.max_quote_age_s"):
            return None
        return quote.seen()

    def instrument(self, symbol: str) -> Instrument:
        """Terms of a symbol that the gate let through."""
        found = self._view.instrument(symbol)
        if found is None:
            msg = f"{symbol} passed the gate and is not known"
            raise KeyError(msg)
        return found

    def children(self, parent_id: str) -> Sequence[ChildView]:
        """All children so far, oldest first; those the gate denied never were orders."""
        return [_seen(child) for child in self._store.get(parent_id).children if child.state is not OrderState.DENIED]

    def live_children(self, parent_id: str) -> Sequence[ChildView]:
        """Those that the venue has or may have."""
        return [_seen(child) for child in self._store.get(parent_id).children_live.values()]

    def child(self, child_id: str) -> ChildView | None:
        """One child."""
        child = self._store.get(child_id)
        return None if child.state is OrderState.DENIED else _seen(child)

    def volume_weights(self, symbol: str, start_ns: int, end_ns: int, bins: int) -> tuple[list[int], str]:
        """Expected volume by equal parts of a span."""
        weights, note = self._weights(symbol, start_ns, end_ns, bins)
        self.weight_notes[symbol] = note
        return weights, note

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
        """Send a child through the gate; its id, or None where it was denied."""
        parent = self._store.get(parent_id)
        spec = parent.spec
        if (qty, order_type, limit, stop, tif, post_only) != (
            spec.qty,
            spec.type,
            spec.limit,
            spec.stop,
            spec.tif,
            spec.post_only,
        ):
            spec = msgspec.structs.replace(
                spec, qty=qty, type=order_type, limit=limit, stop=stop, tif=tif, post_only=post_only
            )
        order_id = f"C{self._store.next_counter()}"
        candidate = Candidate(
            order_id=order_id, role=Role.CHILD, spec=spec, source=parent.source, parent_id=parent_id, why=why
        )
        verdict = self._gate.check(candidate, self._clock.now_ns(), full=False)
        if not verdict.ok:
            self._record(
                ev.OrderDenied(
                    order_id=order_id,
                    parent_id=parent_id,
                    spec=spec,
                    source=parent.source,
                    denials=verdict.denials,
                    decision=verdict.decision,
                )
            )
            return None
        return self._orders.send_child(parent_id, spec, parent.source, verdict.decision).order_id

    def cancel_child(self, child_id: str, why: str) -> None:
        """Ask for a cancel."""
        self._orders.cancel(self._store.get(child_id), why)

    def set_timer(self, parent_id: str, at_ns: int, tag: str) -> None:
        """Call the algorithm at ``at_ns``."""
        self._timer_count += 1
        heapq.heappush(self._timers, (at_ns, self._timer_count, parent_id, tag))

    def last(self, symbol: str) -> Price | None:
        """Last trade since it was watched."""
        return self._lasts.get(symbol)

    def watch(self, parent_id: str, symbol: str, tag: str) -> None:
        """Call the algorithm at each trade."""
        self.unwatch(parent_id)
        self.watched.setdefault(symbol, {})[parent_id] = tag

    def unwatch(self, parent_id: str) -> None:
        """End that."""
        for symbol in [symbol for symbol, parents in self.watched.items() if parent_id in parents]:
            del self.watched[symbol][parent_id]
            if not self.watched[symbol]:
                del self.watched[symbol]
                self._lasts.pop(symbol, None)

    def suspend(self, parent_id: str, why: str) -> None:
        """Hold a parent until a person decides."""
        self.unwatch(parent_id)
        self._record(ParentSuspended(order_id=parent_id, why=why))
        told = f"{parent_id} is suspended: {why}. It is not fired late; release, amend or cancel it"
        self._record(ev.AlertRaised(severity="warn", code="SUSPENDED", text=told))

    def save(self, parent_id: str, data: Mapping[str, str]) -> None:
        """Journal what the algorithm needs to go on."""
        self._record(ev.AlgoProgress(order_id=parent_id, data=dict(data)))

    def saved(self, parent_id: str) -> Mapping[str, str]:
        """What was last saved."""
        return self._store.get(parent_id).algo_data

    def finish(self, parent_id: str, why: str) -> None:
        """Nothing more will be sent for this parent."""
        self._finished[parent_id] = why


def _seen(child: Order) -> ChildView:
    return ChildView(
        order_id=child.order_id,
        qty=child.qty,
        qty_filled=child.qty_filled,
        state=child.state,
        is_live=child.state in LIVE,
        limit=child.limit,
        tif=child.spec.tif,
    )


def _denial(code: str, value: str, text: str) -> Denial:
    return Denial(code=code, control="C05", value=value, limit="", policy_line="", text=text)
