"""Decides commands: each becomes journaled events and a result that says what was done and what was not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from engine.api.amends import amend, amendable, judge_amend, never_amended
from engine.api.answers import told
from engine.api.approvals import approve, ask_approval, look_at_waiting, must_wait
from engine.api.cash_desk import adjust, set_rates
from engine.api.groups import combo_figures, linked_denials, other_legs, place_linked
from engine.api.halts import halt, rearm, seen_trips
from engine.api.pausing import steer
from engine.api.waiting import release_suspended, waiting_parent
from engine.api.what_if import WhatIf
from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.errors import MoneyError
from engine.domain.ledger_events import PolicyRefused
from engine.domain.money import DIGITS_MAX, Money, is_bounded
from engine.domain.order import Liquidity, OrderSpec, OrderState, Source, SourceKind
from engine.execution.combos import leg_risk_words
from engine.oms.broker_interface import VenueOrder
from engine.oms.orders import stated_key
from engine.oms.reconciler import RECONCILE_CODE, STATED
from engine.risk.exposure import Quote
from engine.risk.risk_manager import Verdict
from engine.store.order import Order

if TYPE_CHECKING:
    from engine.api.engine import Engine

ASKED = (co.NewOrder, co.AmendOrder)
"""Commands with an intent of their own: asked for again they do nothing new."""


class Commander:
    """The command half of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._what_if = WhatIf(
            engine.market, engine.view_of_risk, engine.habits, engine.parts.fees, engine.clock, engine.parts.policy
        )

    def own_source(self, who: str) -> Source:
        """The source of what the engine does by itself."""
        return Source(SourceKind.HALT, who)

    def submit(self, command: co.AnyCommand) -> co.CommandResult:
        """Decide one command. Never raises for what a person asks."""
        if isinstance(command, co.Preview):
            return self.preview(command)
        if isinstance(command, co.LookUp):
            return self._look_up(command)
        if isinstance(command, ASKED) and self._engine.store.asked(command.intent_id) is not None:
            return self._known(command)
        if isinstance(command, co.LookAtBasket) or self._engine.baskets.knows(command):
            return self._engine.baskets.decide(command)
        match command:
            case co.NewOrder():
                return self._new(command)
            case co.AmendOrder():
                found = amend(self._engine, command)
                return self._illegal("amend", command.order_id, found) if isinstance(found, str) else found
            case co.CancelOrder():
                return self._cancel(command)
            case _:
                self._received(command)
                return self._decide(command)

    def _received(self, command: co.AnyCommand) -> None:
        self._engine.record(ev.CommandReceived(command=command))

    def _decide(self, command: co.AnyCommand) -> co.CommandResult:  # noqa: C901, PLR0911, PLR0912 - one case per command
        match command:
            case co.CancelAll():
                return self._cancel_all(command.symbol)
            case co.ReleaseOrder():
                return self._release(command)
            case co.ApproveOrder():
                return approve(self._engine, command)
            case co.PauseOrder() | co.ResumeOrder() | co.SetUrgency():
                return steer(self._engine, command)
            case co.StageBasket() | co.ReleaseBasket() | co.DropBasket():
                return self._engine.baskets.decide(command)
            case co.Halt() | co.Reduce():
                return halt(self._engine, command)
            case co.Rearm():
                return rearm(self._engine, command)
            case co.Resolve():
                return self._resolve(command)
            case co.Reconcile():
                return self._reconcile(command)
            case co.ReloadPolicy():
                return self._reload()
            case co.SetFxRates():
                return set_rates(self._engine, command)
            case co.AdjustBooks():
                return adjust(self._engine, command, self._lift_reconciled)
            case co.SetStrategy():
                return self._engine.host.set(command)
            case co.StopEngine():
                return self._stop(command)
            case _:
                return _no("NOT_HERE", f"{type(command).__name__} is not decided here")

    # -- orders ----------------------------------------------------------------------------------------------------------

    def _look_up(self, command: co.LookUp) -> co.CommandResult:
        if self._engine.store.asked(command.intent_id) is not None:
            return self._known(command)
        return _no("INTENT_NEW", f"intent {command.intent_id} is not known; nothing was ever done for it")

    def _known(self, command: co.NewOrder | co.AmendOrder | co.LookUp) -> co.CommandResult:
        """What became of an intent that is asked for again: nothing new is done, and never another order's wish."""
        store, intent_id = self._engine.store, command.intent_id
        first = store.asked(intent_id)
        assert first is not None, intent_id
        order_id = first.order_id if isinstance(first, co.AmendOrder) else store.by_intent.get(intent_id, "")
        order = store.orders.get(order_id)
        state = None if order is None else order.state
        if not is_same_wish(first, command):
            text = (
                f"intent {intent_id} was used for {order_id or 'no order'} ({wish(first)}); nothing was done: give another "
                "order an id of its own"
            )
            return co.CommandResult(
                ok=False, code="INTENT_REUSED", text=text, order_id=order_id, state=state, repeated=True
            )
        return co.CommandResult(
            ok=state is not None and state is not OrderState.DENIED,
            code="REPEATED",
            text=f"intent {intent_id} is known as {order_id or 'no order'} ({wish(first)})",
            order_id=order_id,
            state=state,
            repeated=True,
            denials=() if order is None else order.denials,
        )

    def preview(self, command: co.Preview) -> co.CommandResult:
        """Every check and figure of an order that is not placed. Journals nothing, counts nothing, changes nothing."""
        engine, spec = self._engine, command.spec
        figures: dict[str, str] = {}
        staged = engine.store.staged.get(command.order_id)
        if staged is not None and staged.awaits:
            spec = staged.spec
            verdict, figures = look_at_waiting(engine, staged, command.source)
        elif staged is not None:
            spec = staged.spec
            verdict = engine.agent.judge(command.order_id, spec, command.source, "preview", dry=True)
        elif waiting_parent(engine, command.order_id) is not None:
            verdict = engine.agent.judge(command.order_id, spec, command.source, "preview", dry=True)
        elif command.order_id:
            order = amendable(engine, command.order_id)
            why = order if isinstance(order, str) else never_amended(order, spec.qty)
            if isinstance(order, str) or why:
                return _no("ILLEGAL", f"amend {command.order_id}: {why}", command.order_id)
            verdict = judge_amend(engine, order, command)
            if spec.qty > order.qty_filled:
                spec = msgspec.structs.replace(spec, qty=spec.qty - order.qty_filled)
        else:
            order_id = f"P{engine.store.next_counter()}"
            others = other_legs((spec, *command.linked))
            verdict = engine.agent.judge(order_id, spec, command.source, "preview", dry=True, others=others)
        if command.linked or spec.link is not None:
            denials = (*verdict.denials, *linked_denials(engine, command))
            verdict = msgspec.structs.replace(verdict, ok=not denials, denials=denials)
        found = verdict.figures
        if found:
            try:
                figures |= self.figures(spec, command.source)
                if command.linked and (risk := leg_risk_words((spec, *command.linked))):
                    figures["leg_risk"] = risk
                    legs = (spec, *command.linked)
                    found = combo_figures(engine, legs, command.source, {**found, **figures})
                    figures = {}
            except (ArithmeticError, MoneyError):
                # An absurd question must not look like a failing engine, which halts.
                figures |= {"cost": "n/a (beyond what can be computed)"}
        return co.CommandResult(
            ok=verdict.ok,
            code=verdict.denials[0].code if verdict.denials else "",
            text=spec.words(engine.market.price_digits(spec.symbol)),
            denials=verdict.denials,
            checks=verdict.checks,
            preview={**found, **figures},
        )

    def figures(self, spec: OrderSpec, source: Source) -> dict[str, str]:
        """What one order would do, by name; for previews."""
        return self._what_if.figures(spec, source)

    def _new(self, command: co.NewOrder) -> co.CommandResult:
        engine = self._engine
        is_linked = bool(command.linked) or command.spec.link is not None
        # What is one step is one row; otherwise the command has a row of its own, before anything that follows from it.
        is_one_step = not is_linked and engine.agent.takes_at_once(command)
        if not is_one_step:
            self._received(command)
        if is_linked:
            if command.staged:
                return _no(
                    "LINK_STAGED", "orders that belong together cannot be staged; place them, or stage each by itself"
                )
            return place_linked(engine, command)
        order_id = f"P{engine.store.next_counter()}"
        verdict = engine.agent.judge(
            order_id, command.spec, command.source, command.intent_id, confirmed=command.confirmed, why=command.why
        )
        if verdict.ok and is_one_step:
            return told(engine.agent.place(command, verdict), engine.market.price_digits)
        if is_one_step:
            self._received(command)
        if must_wait(command, verdict):
            return ask_approval(engine, order_id, command, verdict)
        return self._new_in_steps(order_id, command, verdict)

    def _new_in_steps(self, order_id: str, command: co.NewOrder, verdict: Verdict) -> co.CommandResult:
        """An order that is denied, staged, or worked by an algorithm."""
        engine = self._engine
        if not verdict.ok:
            engine.record(
                ev.OrderDenied(
                    order_id=order_id,
                    intent_id=command.intent_id,
                    spec=command.spec,
                    source=command.source,
                    denials=verdict.denials,
                    decision=verdict.decision,
                )
            )
            return told(engine.store.get(order_id), engine.market.price_digits, verdict.denials)
        if command.staged:
            engine.record(
                ev.OrderStaged(
                    order_id=order_id,
                    intent_id=command.intent_id,
                    spec=command.spec,
                    source=command.source,
                    why=command.why,
                )
            )
        else:
            engine.agent.begin(order_id, command.spec, command.source, command.intent_id, verdict, command.why)
            engine.agent.pump()
        return told(engine.store.get(order_id), engine.market.price_digits)

    def _release(self, command: co.ReleaseOrder) -> co.CommandResult:
        engine = self._engine
        waiting = waiting_parent(engine, command.order_id)
        if waiting is not None and waiting.suspended:
            return release_suspended(engine, waiting, command)
        order = engine.store.staged.get(command.order_id)
        if order is None:
            return self._illegal("release", command.order_id, "it is neither staged nor suspended")
        verdict = engine.agent.judge(
            order.order_id, order.spec, command.source, f"{order.intent_id}:release", confirmed=command.confirmed
        )
        if not verdict.ok:
            return co.CommandResult(
                ok=False,
                code=verdict.denials[0].code,
                text=f"{order.order_id} stays staged: {verdict.denials[0].text}",
                order_id=order.order_id,
                state=order.state,
                denials=verdict.denials,
            )
        engine.agent.begin(order.order_id, order.spec, order.source, order.intent_id, verdict, order.why)
        engine.agent.pump()
        return told(order, engine.market.price_digits)

    def _cancel(self, command: co.CancelOrder) -> co.CommandResult:
        engine = self._engine
        parent = engine.store.parents_open.get(command.order_id)
        child = None if parent is None else engine.agent.only_child(parent)
        if parent is None or child is None:
            self._received(command)
            return self._cancel_in_steps(command)
        engine.orders.call_back(command, child, _cancelled_by(command))
        return _cancel_asked(parent)

    def _cancel_in_steps(self, command: co.CancelOrder) -> co.CommandResult:
        """A cancel of what is no plain direct order that works at the venue."""
        engine = self._engine
        order = engine.store.orders.get(command.order_id)
        if order is None:
            return self._illegal("cancel", command.order_id, "there is no such order")
        if order.state is OrderState.STAGED:
            who = command.source.name
            why = f"turned down by {who}" if order.awaits and who != order.source.name else "staged order dropped"
            engine.record(ev.ParentEnded(order_id=order.order_id, state=OrderState.CANCELLED, why=why))
        elif order.is_parent and order.order_id in engine.store.parents_open:
            engine.agent.stop_parent(order, _cancelled_by(command))
            engine.agent.pump()
        elif order.is_parent or not order.is_live:
            return self._illegal("cancel", order.order_id, f"it is {order.state.value}; there is nothing to cancel")
        else:
            engine.orders.cancel(order, _cancelled_by(command))
        return _cancel_asked(order)

    def _cancel_all(self, symbol: str) -> co.CommandResult:
        engine = self._engine
        parents = [p for p in engine.store.parents_open.values() if not symbol or p.spec.symbol == symbol]
        for parent in parents:
            engine.agent.stop_parent(parent, "cancel all")
        rest = [o for o in engine.store.live.values() if (not symbol or o.spec.symbol == symbol) and not o.cancel_asked]
        for order in rest:
            engine.orders.cancel(order, "cancel all")
        engine.agent.pump()
        staged = sum(not symbol or order.spec.symbol == symbol for order in engine.store.staged.values())
        stay = f"; {staged} staged stay, they are cancelled one by one" if staged else ""
        return co.CommandResult(
            ok=True,
            text=f"cancel asked: parents {len(parents)}, other orders {len(rest)}{symbol and ', of '}{symbol}{stay}",
        )

    def _illegal(self, what: str, order_id: str, why: str) -> co.CommandResult:
        self._engine.record(ev.IllegalInput(what=what, order_id=order_id, why=why))
        return _no("ILLEGAL", f"{what} {order_id}: {why}", order_id)

    # -- halting ---------------------------------------------------------------------------------------------------------

    def covers(self, scope: co.HaltScope, order: Order) -> bool:
        """Whether an order is in the reach of a scope."""
        match scope.kind:
            case co.HaltScopeKind.GLOBAL:
                return True
            case co.HaltScopeKind.ACCOUNT:
                return order.spec.account == scope.name
            case co.HaltScopeKind.SYMBOL:
                return order.spec.symbol == scope.name
            case _:
                parent = self._engine.store.orders.get(order.parent_id) or order
                is_algo = scope.name == f"algo:{parent.spec.algo.name}"
                return is_algo or (order.source.kind is SourceKind.STRATEGY and order.source.name == scope.name)

    def orders_of(self, command: co.Halt) -> Callable[[VenueOrder], bool] | None:
        """For a halt of one strategy: which venue orders are its own; None where the scope itself tells."""
        if command.scope.kind is not co.HaltScopeKind.STRATEGY:
            return None
        own = {order.wire_id for order in self._engine.store.live.values() if self.covers(command.scope, order)}
        return lambda order: order.wire_id in own

    # -- unknown orders and differences ----------------------------------------------------------------------------------

    def _resolve(self, command: co.Resolve) -> co.CommandResult:
        engine = self._engine
        order = engine.store.orders.get(command.order_id)
        if order is None or order.state is not OrderState.UNKNOWN or order.is_parent:
            state = "not known" if order is None else order.state.value
            return self._illegal("resolve", command.order_id, f"it is {state}; only a child in UNKNOWN can be resolved")
        if not command.reason.strip():
            return _no("REASON", "a statement needs a reason; say how you know", order.order_id)
        if command.as_ is co.ResolveAs.NEVER_SENT and (order.acked_ns or order.qty_filled or order.is_foreign):
            why = f"the venue had it ({order.qty_filled} filled), so it was sent; state cancelled or filled"
            return self._illegal("resolve", order.order_id, why)
        who = command.source.name or command.source.kind.value
        if command.as_ is co.ResolveAs.FILLED:
            if command.price is None:
                return _no("PRICE", "filled needs the average price; add --price", order.order_id)
            made = engine.market.instruments.get(order.spec.symbol)
            if not is_bounded(command.price):
                return _no("PRICE", f"price {command.price} has more than {DIGITS_MAX} digits", order.order_id)
            if command.price <= 0 and not (made is not None and made.price_negative):
                return _no("PRICE", f"price {command.price} is not above zero; give the average price", order.order_id)
            engine.record(ev.OrderFilled(order_id=order.order_id, fill=self._stated_fill(order, command)))
            self._lift_reconciled(order.spec.symbol, "RESOLVED", who, command.reason)
            return co.CommandResult(
                ok=True, text=f"{order.order_id} booked as filled", order_id=order.order_id, state=order.state
            )
        state = OrderState.KILLED if command.as_ is co.ResolveAs.NEVER_SENT else OrderState.CANCELLED
        engine.record(
            ev.OrderResolved(order_id=order.order_id, state=state, evidence=command.reason, by=who, as_=command.as_)
        )
        self._lift_reconciled(order.spec.symbol, "RESOLVED", who, command.reason)
        return co.CommandResult(
            ok=True, text=f"{order.order_id} is {state.value}", order_id=order.order_id, state=state
        )

    def _stated_fill(self, order: Order, command: co.Resolve) -> ev.Fill:
        assert command.price is not None
        spec = order.spec
        return ev.Fill(
            broker=spec.broker,
            account=spec.account,
            fill_key=stated_key(order),
            symbol=spec.symbol,
            side=spec.side,
            qty=order.worst_qty,
            price=command.price,
            ts_ns=self._engine.clock.now_ns(),
            venue=STATED,
            liquidity=Liquidity.TAKER,
            wire_id=order.wire_id,
        )

    def _reconcile(self, command: co.Reconcile) -> co.CommandResult:
        engine = self._engine
        told: list[str] = []
        unknown: list[str] = []
        if command.accept:
            if not command.reason.strip():
                return _no("REASON", "accepting a difference needs a reason; say why the broker is right")
            who = command.source.name or command.source.kind.value
            told, unknown = engine.reconciler.accept(command.symbol, command.reason, who, self._mark)
            self._lift_reconciled(command.symbol, "ACCEPTED", who, command.reason)
        for name, broker in engine.parts.brokers.items():
            if engine.view_of_risk.channel(name) is not ev.BrokerState.DOWN:
                engine.reconciler.ask(broker)
        open_items = [
            item.text for done in engine.reconciler.last.values() for item in done.differences if not item.explained
        ]
        text = f"booked: {'; '.join(told)}" if told else f"asked; open until now: {'; '.join(open_items) or 'nothing'}"
        if open_items and not told:
            text += ". Explain it with `bolt adjust`, or book what the broker says with `bolt reconcile --accept --reason TEXT`"
        if unknown:
            booked = f"booked: {'; '.join(told)}; " if told else ""
            return _no("INSTRUMENT_UNKNOWN", f"{booked}not booked: {'; '.join(unknown)}")
        return co.CommandResult(ok=True, text=text)

    def _lift_reconciled(self, symbol: str, code: str, who: str, reason: str) -> None:
        """End the REDUCING of comparisons (of one symbol, where it is named) of which nothing is left unexplained."""
        engine = self._engine
        seen, _ = seen_trips(engine)
        still_open = engine.reconciler.open_scopes()
        for held in engine.kill.held():
            if held.scope in still_open or held.code != RECONCILE_CODE or (symbol and held.scope.name != symbol):
                continue
            engine.record(
                ev.TradingStateChanged(scope=held.scope, state=ev.TradingState.ACTIVE, code=code, who=who, why=reason)
            )
            engine.parts.latch.lift(held.scope, seen)

    def _mark(self, symbol: str) -> Money | None:
        quote: Quote | None = self._engine.market.quote(symbol)
        price = None if quote is None else quote.last or quote.bid or quote.ask
        return None if price is None else Money(price)

    # -- the engine itself -----------------------------------------------------------------------------------------------

    def _reload(self) -> co.CommandResult:
        engine = self._engine
        error = engine.parts.policy.reload()
        if error is not None:
            engine.record(PolicyRefused(error=str(error)))
            return _no("POLICY_REFUSED", f"the old policy stays: {error}")
        engine.record_policy()
        policy = engine.parts.policy.policy
        return co.CommandResult(ok=True, text=f"policy {policy.hash[:12] if policy else ''} is in force")

    def _stop(self, command: co.StopEngine) -> co.CommandResult:
        if command.cancel:
            return msgspec.structs.replace(self._cancel_all(""), text="cancelling, then stopping")
        live = len(self._engine.store.live)
        return co.CommandResult(ok=True, text=f"stopping; {live} orders stay at the venue")


def wish(command: co.NewOrder | co.AmendOrder) -> str:
    """What was asked for, in words."""
    if isinstance(command, co.NewOrder):
        return command.words or "; ".join(spec.words() for spec in (command.spec, *command.linked))
    terms = (("qty", command.qty), ("limit", command.limit), ("stop", command.stop))
    return " ".join([f"amend {command.order_id}", *(f"{name} {value}" for name, value in terms if value is not None)])


def is_same_wish(first: co.NewOrder | co.AmendOrder, again: co.NewOrder | co.AmendOrder | co.LookUp) -> bool:
    """Whether an intent asked for again asks for the same. Lines are compared as typed, because their price words freeze
    anew; a source that is no person keeps its ids itself and may have computed a newer price.
    """
    if isinstance(again, co.LookUp):
        return isinstance(first, co.NewOrder) and (not (first.words and again.words) or _same(first.words, again.words))
    if type(first) is not type(again):
        return False
    if isinstance(first, co.NewOrder) and isinstance(again, co.NewOrder):
        if first.words and again.words:
            return _same(first.words, again.words)
        return (first.spec, first.linked) == (again.spec, again.linked) or not again.source.kind.is_person
    return wish(first) == wish(again)


def _same(one: str, other: str) -> bool:
    return one.lower().split() == other.lower().split()


def _cancelled_by(command: co.CancelOrder) -> str:
    return f"cancelled by {command.source.name or command.source.kind}"


def _cancel_asked(order: Order) -> co.CommandResult:
    return co.CommandResult(ok=True, text="cancel asked", order_id=order.order_id, state=order.state)


def _no(code: str, text: str, order_id: str = "") -> co.CommandResult:
    return co.CommandResult(ok=False, code=code, text=text, order_id=order_id)
