"""Baskets: many orders held, judged and released as one act (C28).

Each line is judged with those before it counted as sent, so that lines which pass by themselves and not together are found. One
denied line keeps the whole basket here. A release judges anew, parents and children, before the first intent is journaled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeGuard

import msgspec

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.basket_events import BasketDropped, BasketReleased, BasketStaged
from engine.domain.money import EXACT, Money, text
from engine.domain.order import OrderState, Source
from engine.risk.basket_rows import BasketCase, judge_basket, judge_total, next_step
from engine.risk.controls import BASKET_BLOCKED
from engine.risk.controls_case import Candidate, Role
from engine.risk.overlay import Overlay
from engine.risk.risk_manager import Verdict
from engine.views import BasketView

if TYPE_CHECKING:
    from engine.api.engine import Engine

LINES_MAX = 500
"""Lines of one basket; a larger list is several baskets."""
BASKETS_SHOWN_MAX = 50
BLOCKED, BAD = BASKET_BLOCKED.code, "BASKET_BAD"
WHY = "a line of basket {basket_id}"


class Basket(msgspec.Struct, kw_only=True):
    """One basket as the journal tells it."""

    basket_id: str
    intent_id: str
    name: str
    source: Source
    lines: tuple[co.BasketLine, ...]
    why: str
    staged_ns: int
    state: str = "staged"
    """``staged``, ``released`` or ``dropped``."""
    orders: tuple[str, ...] = ()


class Baskets:
    """All baskets by id, projected from the journal, and what may be done with them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.all: dict[str, Basket] = {}
        self._by_intent: dict[str, str] = {}
        self.routes: ev.Routes = {
            BasketStaged: self._staged,
            BasketReleased: self._released,
            BasketDropped: self._dropped,
        }

    # -- following the journal -------------------------------------------------------------------------------------------

    def _staged(self, _seq: int, ts_ns: int, event: BasketStaged) -> None:
        self._by_intent[event.intent_id] = event.basket_id
        self.all[event.basket_id] = Basket(
            basket_id=event.basket_id, intent_id=event.intent_id, name=event.name, source=event.source,
            lines=event.lines, why=event.why, staged_ns=ts_ns,
        )  # fmt: skip

    def _released(self, _seq: int, _ts_ns: int, event: BasketReleased) -> None:
        basket = self.all[event.basket_id]
        basket.state, basket.orders = "released", event.orders

    def _dropped(self, _seq: int, _ts_ns: int, event: BasketDropped) -> None:
        self.all[event.basket_id].state = "dropped"

    def views(self) -> tuple[BasketView, ...]:
        """The last ones, for the desk; their lines are asked for with ``LookAtBasket``."""
        return tuple(
            BasketView(
                basket_id=one.basket_id, name=one.name, state=one.state, count=len(one.lines),
                staged_ns=one.staged_ns, source=f"{one.source.kind.value}:{one.source.name}".rstrip(":"),
                orders=one.orders,
            )
            for one in list(self.all.values())[-BASKETS_SHOWN_MAX:]
        )  # fmt: skip

    # -- commands --------------------------------------------------------------------------------------------------------

    def knows(self, command: object) -> TypeGuard[co.StageBasket]:
        """Whether this is the staging of a basket that is staged already."""
        return isinstance(command, co.StageBasket) and command.intent_id in self._by_intent

    def decide(self, command: co.StageBasket | co.LookAtBasket | co.ReleaseBasket | co.DropBasket) -> co.CommandResult:
        """Do what was asked."""
        if isinstance(command, co.StageBasket):
            return self._stage(command)
        basket = self.all.get(command.basket_id)
        if basket is None:
            known = ", ".join(one.basket_id for one in self.all.values() if one.state == "staged") or "none"
            return _no("BASKET_UNKNOWN", f"there is no basket {command.basket_id}; staged are: {known}")
        if isinstance(command, co.LookAtBasket) and basket.state != "staged":
            return self._told(basket, self._shown(basket), "")
        if basket.state != "staged":
            return _no("ILLEGAL", f"basket {basket.basket_id} is {basket.state}", basket.basket_id)
        match command:
            case co.LookAtBasket():
                return self._looked(basket, command.source)
            case co.ReleaseBasket():
                return self._release(basket, command)
            case _:
                who = command.source.name or command.source.kind.value
                self._engine.record(BasketDropped(basket_id=basket.basket_id, who=who))
                return co.CommandResult(
                    ok=True, order_id=basket.basket_id, text=f"{basket.basket_id} dropped; nothing of it had left"
                )

    def _stage(self, command: co.StageBasket) -> co.CommandResult:
        known = self._by_intent.get(command.intent_id)
        if known is not None:
            basket = self.all[known]
            if basket.lines != command.lines:
                said = f"intent {command.intent_id} was used for basket {known} ({basket.name}); nothing was done"
                return msgspec.structs.replace(_no("INTENT_REUSED", said, known), repeated=True)
            told = self._told(basket, self._shown(basket), "REPEATED")
            return msgspec.structs.replace(told, ok=True, repeated=True)
        count = len(command.lines)
        if not 0 < count <= LINES_MAX:
            return _no(BAD, f"a basket has 1 to {LINES_MAX} lines; {command.name} has {count}")
        bad = next((one for one in command.lines if one.spec.link is not None), None)
        if bad is not None:
            return _no(BAD, f"line {bad.line}: orders that belong together are placed by themselves, not in a basket")
        basket_id = f"B{len(self.all) + 1}"
        self._engine.record(
            BasketStaged(
                basket_id=basket_id, intent_id=command.intent_id, name=command.name, source=command.source,
                lines=command.lines, why=command.why,
            )
        )  # fmt: skip
        return self._looked(self.all[basket_id], command.source)

    def _looked(self, basket: Basket, source: Source) -> co.CommandResult:
        """The verdict of each line, and whether the total is one that a person confirms."""
        lines = self.judge(basket, source)[0]
        asked = judge_total(self._case(lines, source, frozenset()))
        told = self._told(basket, lines, "")
        return told if asked is None else msgspec.structs.replace(told, denials=(asked.denial,))

    def judge(
        self, basket: Basket, source: Source, confirmed: frozenset[str] = frozenset()
    ) -> tuple[tuple[co.LineVerdict, ...], tuple[Verdict, ...]]:
        """Every line as a parent, with those before it counted as sent; a question that counts nothing."""
        engine = self._engine
        now_ns = engine.clock.now_ns()
        overlay = Overlay(engine.view_of_risk, engine.gate.history)
        shown, verdicts = [], []
        for one in basket.lines:
            candidate = Candidate(
                order_id=f"{basket.basket_id}.{one.line}", role=Role.PARENT, spec=one.spec, source=source,
                intent_id=f"{basket.intent_id}#{one.line}", confirmed=confirmed, why=basket.why,
            )  # fmt: skip
            verdict = engine.gate.judge(candidate, now_ns, full=True, dry=True, ahead=overlay.pair)
            refused = engine.agent.refuse(one.spec)
            denials = verdict.denials if refused is None else (refused, *verdict.denials)
            notional = Money(verdict.figures["notional"]) if "notional" in verdict.figures else None
            words = one.spec.words(engine.market.price_digits(one.spec.symbol))
            shown.append(co.LineVerdict(line=one.line, words=words, notional=notional, denials=denials))
            verdicts.append(verdict)
            worth = None if notional is None else (engine.ledger.base_currency, notional)
            overlay.add(candidate.order_id, one.spec, source, now_ns, worth)
        return tuple(shown), tuple(verdicts)

    def _shown(self, basket: Basket) -> tuple[co.LineVerdict, ...]:
        ids = basket.orders or ("",) * len(basket.lines)
        digits = self._engine.market.price_digits
        return tuple(
            co.LineVerdict(line=one.line, words=one.spec.words(digits(one.spec.symbol)), order_id=order_id)
            for one, order_id in zip(basket.lines, ids, strict=True)
        )

    def _told(self, basket: Basket, lines: tuple[co.LineVerdict, ...], code: str) -> co.CommandResult:
        blocked = [one for one in lines if any(not denial.confirmable for denial in one.denials)]
        asks = [one for one in lines if one.denials and one not in blocked]
        total = total_of(lines)
        amount = "n/a" if total is None else f"{text(total)} {self._engine.ledger.base_currency}"
        said = f"{basket.basket_id} {basket.name}: {len(lines)} orders, {amount}, {basket.state}"
        said += f"; lines that block it: {_named(blocked)}{_step_of(blocked)}" if blocked else ""
        said += f"; lines to confirm: {_named(asks)}" if asks else ""
        return co.CommandResult(
            ok=not blocked,
            code=code or (BLOCKED if blocked else ""),
            text=said,
            order_id=basket.basket_id,
            lines=lines,
            preview={
                "count": str(len(lines)),
                "notional": "n/a" if total is None else text(total),
                "state": basket.state,
            },
        )

    def _release(self, basket: Basket, command: co.ReleaseBasket) -> co.CommandResult:
        shown, verdicts = self.judge(basket, command.source, command.confirmed)
        found = judge_basket(self._case(shown, command.source, command.confirmed))
        if found is not None:
            where = "" if found.line is None else f"line {found.line}: "
            return msgspec.structs.replace(
                self._told(basket, shown, ""),
                ok=False,
                code=found.code,
                text=f"{basket.basket_id} stays staged, nothing of it was sent: {where}{found.denial.text}{next_step(found.denial)}",
                denials=(found.denial,),
            )
        return self._send(basket, command, shown, verdicts)

    def _case(self, lines: tuple[co.LineVerdict, ...], source: Source, confirmed: frozenset[str]) -> BasketCase:
        """What C28 judges by."""
        return BasketCase(
            lines=[(one.line, one.denials) for one in lines],
            total=total_of(lines),
            policy=self._engine.parts.policy.policy,
            is_person=source.kind.is_person,
            confirmed=confirmed,
        )

    def _send(
        self,
        basket: Basket,
        command: co.ReleaseBasket,
        shown: tuple[co.LineVerdict, ...],
        verdicts: tuple[Verdict, ...],
    ) -> co.CommandResult:
        """Accept every line, judge every child, and only then let the first intent be journaled."""
        engine, who = self._engine, command.source.name or command.source.kind.value
        first = engine.store.next_counter()
        ids = tuple(f"P{first + at}" for at in range(len(basket.lines)))
        for order_id, one, verdict in zip(ids, basket.lines, verdicts, strict=True):
            intent_id = f"{basket.intent_id}#{one.line}"
            engine.agent.accept(order_id, one.spec, command.source, intent_id, verdict, basket.why)
        children, denied = self._judge_children(basket, ids, command.source)
        if denied is not None:
            order_id, verdict = denied
            for parent_id in ids:
                why = f"{order_id} of its basket was denied: {verdict.denials[0].text}"
                engine.record(ev.ParentEnded(order_id=parent_id, state=OrderState.DENIED, why=why))
            engine.record(BasketReleased(basket_id=basket.basket_id, who=who, orders=ids))
            against, line = verdict.denials[0], basket.lines[ids.index(order_id)].line
            said = (
                f"nothing of {basket.basket_id} was sent: line {line} ({order_id}): {against.text}{next_step(against)}"
            )
            return co.CommandResult(
                ok=False, code=BLOCKED, text=said, order_id=basket.basket_id, denials=verdict.denials, lines=shown
            )
        engine.record(BasketReleased(basket_id=basket.basket_id, who=who, orders=ids))
        for order_id, one in zip(ids, basket.lines, strict=True):
            decision = children.get(order_id)
            if decision is None:
                engine.agent.calls.append((order_id, "start", ""))
            else:
                engine.orders.send_child(order_id, one.spec, command.source, decision)
        engine.agent.pump()
        placed = tuple(
            msgspec.structs.replace(one, order_id=order_id) for one, order_id in zip(shown, ids, strict=True)
        )
        return msgspec.structs.replace(self._told(basket, placed, ""), ok=True, code="")

    def _judge_children(
        self, basket: Basket, ids: tuple[str, ...], source: Source
    ) -> tuple[dict[str, ev.Decision], tuple[str, Verdict] | None]:
        """Decisions of the children that leave at once, and the first that was denied."""
        engine = self._engine
        now_ns, decisions = engine.clock.now_ns(), {}
        overlay = Overlay(engine.view_of_risk, engine.gate.history)
        why = WHY.format(basket_id=basket.basket_id)
        for parent_id, one in zip(ids, basket.lines, strict=True):
            if one.spec.algo.name != "direct":
                continue
            candidate = Candidate(
                order_id=f"{parent_id}.1", role=Role.CHILD, spec=one.spec, source=source, parent_id=parent_id, why=why
            )
            verdict = engine.gate.judge(candidate, now_ns, full=False, ahead=overlay.pair)
            if not verdict.ok:
                return {}, (parent_id, verdict)
            decisions[parent_id] = verdict.decision
            overlay.add(candidate.order_id, one.spec, source, now_ns, None)
        return decisions, None


def total_of(lines: tuple[co.LineVerdict, ...]) -> Money | None:
    """Sum of all lines in base currency; None where one of them is not known."""
    total = Decimal(0)
    for one in lines:
        if one.notional is None:
            return None
        total = EXACT.add(total, one.notional)
    return Money(total)


def _named(lines: list[co.LineVerdict]) -> str:
    return ", ".join(str(one.line) for one in lines[:10]) + (" ..." if len(lines) > 10 else "")


def _step_of(blocked: list[co.LineVerdict]) -> str:
    """What to do where it is their number that blocks them."""
    return next((step for denial in blocked[0].denials if (step := next_step(denial))), "")


def _no(code: str, said: str, basket_id: str = "") -> co.CommandResult:
    return co.CommandResult(ok=False, code=code, text=said, order_id=basket_id)
