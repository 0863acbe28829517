"""Placing orders that belong together: every member is judged before any is accepted, and all are placed or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING

from engine.api.what_if import NOT_KNOWN
from engine.domain import events as ev
from engine.domain.commands import CommandResult, Denial, NewOrder, Preview
from engine.domain.errors import MoneyError
from engine.domain.money import EXACT, Money, text
from engine.domain.order import OrderSpec, OrderState, Source
from engine.execution.combos import combo_of, net_denials
from engine.execution.linked import group_refusal, in_group
from engine.risk.controls_case import base_amount, mark_of
from engine.risk.controls_history import strategy_of
from engine.risk.overlay import Overlay
from engine.risk.policy import Limit
from engine.risk.risk_manager import Verdict

if TYPE_CHECKING:
    from engine.api.engine import Engine


def place_linked(engine: Engine, command: NewOrder) -> CommandResult:
    """Place the order of a command with those linked to it."""
    first = engine.store.next_counter()
    ids = [f"P{first + at}" for at in range(1 + len(command.linked))]
    specs = in_group((command.spec, *command.linked), ids[0])
    verdicts = _judge(engine, command, ids, specs)
    denied = next((at for at, verdict in enumerate(verdicts) if not verdict.ok), None)
    if denied is not None:
        verdict = verdicts[denied]
        engine.record(
            ev.OrderDenied(
                order_id=ids[0], intent_id=command.intent_id, spec=specs[denied], source=command.source,
                denials=verdict.denials, decision=verdict.decision,
            )
        )  # fmt: skip
        return _told(engine, ids[:1], verdict)
    for order_id, spec, verdict, intent_id in zip(ids, specs, verdicts, _intents(command), strict=True):
        engine.agent.accept(order_id, spec, command.source, intent_id, verdict, command.why)
    engine.linked.send(ids, command.source)
    engine.agent.pump()
    return _told(engine, ids, None)


def linked_denials(engine: Engine, command: Preview) -> tuple[Denial, ...]:
    """Why the group as such, or an order that would go with the first, is denied; nothing is counted or placed."""
    first, specs = engine.store.next_counter(), (command.spec, *command.linked)
    refused = _group_denials(engine, specs, command.source)
    ids, intents = [f"P{first + at}" for at in range(len(specs))], [f"preview#{at}" for at in range(len(specs))]
    _, *verdicts = _one_by_one(engine, command.source, zip(ids, specs, intents, strict=True), dry=True)
    return (*refused, *(denial for one in verdicts for denial in one.denials))


def other_legs(specs: Sequence[OrderSpec]) -> tuple[OrderSpec, ...]:
    """The legs whose amounts count with the first one's (C07, C29, C30, C31); empty where the orders are no combination."""
    return tuple(specs[1:]) if combo_of(specs[0]) is not None else ()


OF_ONE_LEG = frozenset(
    {"units", "position", "position_after", "position_worst", "median", "median_times", "ticks_from_mid"}
)
"""Figures of a preview that would be those of a combination's first leg only; so is what a book meets (``book_...``)."""


def combo_figures(
    engine: Engine, specs: Sequence[OrderSpec], source: Source, first: Mapping[str, str]
) -> dict[str, str]:
    """The figures of a preview for all legs of a combination: amount, cost and fee of each, and where each would lead.

    Args:
        engine: its market and positions.
        specs: the legs.
        source: whose order it would be.
        first: the figures of the first leg, from the gate and the what-if.
    """
    found = {name: said for name, said in first.items() if name not in OF_ONE_LEG and not name.startswith("book_")}
    found.pop("cost_bp", None)
    each = [(spec.symbol, engine.commander.figures(spec, source)) for spec in specs]
    for name in ("cost", "fee", "self_cross"):
        found[name] = "; ".join(f"{symbol} {figures.get(name, NOT_KNOWN)}" for symbol, figures in each)
    if all(figures["self_cross"] == "none" for _, figures in each):
        found["self_cross"] = "none"
    view, moves, amounts = engine.view_of_risk, list[str](), list[Decimal]()
    for spec in specs:
        held, made = view.position(spec.account, spec.symbol), view.instrument(spec.symbol)
        mark = mark_of(view.quote(spec.symbol))
        moves.append(f"{spec.symbol} {text(held)} to {text(held + spec.qty * spec.side.sign)}")
        rate = None if made is None else view.currency_rate(made.currency)
        if made is not None and mark is not None and rate is not None:
            amounts.append(base_amount(made, mark, spec.qty, rate))
    found["legs"] = ", ".join(moves)
    found.pop("notional", None)
    if len(amounts) == len(specs):
        found["notional"] = text(reduce(EXACT.add, amounts))
    return found


def _group_denials(engine: Engine, specs: Sequence[OrderSpec], source: Source) -> tuple[Denial, ...]:
    """Why these orders cannot be placed together, whatever the gate says of each by itself."""
    try:
        refused = group_refusal(specs)
        if refused is not None or combo_of(specs[0]) is None:
            return () if refused is None else (refused,)
        return _net_denials(engine, specs, source)
    except (ArithmeticError, MoneyError):
        # An absurd question must not look like a failing engine, which halts.
        said = "a leg's quantity or the net price is beyond what can be computed"
        return (Denial("LINK_BAD", "C05", f"{len(specs)} orders", "", "", said),)


def _net_denials(engine: Engine, specs: Sequence[OrderSpec], source: Source) -> tuple[Denial, ...]:
    policy = engine.parts.policy.policy

    def limits(spec: OrderSpec) -> Mapping[str, Limit]:
        return {} if policy is None else policy.limits(spec.account, strategy_of(source), spec.symbol)

    return net_denials(specs, engine.view_of_risk, limits)


def _intents(command: NewOrder) -> list[str]:
    """An intent id for each member, so that no id serves two orders."""
    return [command.intent_id, *(f"{command.intent_id}#{at}" for at in range(2, 2 + len(command.linked)))]


def _judge(engine: Engine, command: NewOrder, ids: list[str], specs: list[OrderSpec]) -> list[Verdict]:
    members = zip(ids, specs, _intents(command), strict=True)
    verdicts = _one_by_one(engine, command.source, members, confirmed=command.confirmed, why=command.why)
    refused = _group_denials(engine, specs, command.source)
    if refused:
        verdicts[0] = Verdict(
            ok=False, denials=(*refused, *verdicts[0].denials), decision=verdicts[0].decision,
            checks=verdicts[0].checks, figures=verdicts[0].figures,
        )  # fmt: skip
    return verdicts


def _one_by_one(
    engine: Engine, source: Source, members: Iterable[tuple[str, OrderSpec, str]], **more: object
) -> list[Verdict]:
    """Judge each member; of a combination the later legs with the earlier ones counted as sent, since all of them may fill.

    The first leg stands for the amount of all of them (:func:`other_legs`). Members of other groups stand by themselves: of those only
    some can fill, and they are on both sides of one symbol.
    """
    overlay, now_ns, verdicts = Overlay(engine.view_of_risk, engine.gate.history), engine.clock.now_ns(), []
    listed = list(members)
    others = other_legs([spec for _, spec, _ in listed])
    for at, (order_id, spec, intent_id) in enumerate(listed):
        ahead = None if combo_of(spec) is None else overlay.pair
        verdict = engine.agent.judge(
            order_id, spec, source, intent_id, ahead=ahead, others=() if at else others, **more
        )
        amount = verdict.figures.get("notional")
        worth = None if amount is None else (engine.ledger.base_currency, Money(amount))
        overlay.add(order_id, spec, source, now_ns, worth)
        verdicts.append(verdict)
    return verdicts


def _told(engine: Engine, ids: list[str], denied: Verdict | None) -> CommandResult:
    order = engine.store.get(ids[0])
    denials = denied.denials if denied is not None else ()
    ended = next((engine.store.get(one) for one in ids if engine.store.get(one).state is OrderState.DENIED), None)
    if not denials and ended is not None:
        denials = next((child.denials for child in ended.children if child.denials), ())
    specs = {one: engine.store.get(one).spec for one in ids}
    words = "; ".join(f"{one} {spec.words(engine.market.price_digits(spec.symbol))}" for one, spec in specs.items())
    return CommandResult(
        ok=not denials and order.state is not OrderState.DENIED,
        code=denials[0].code if denials else "",
        text=denials[0].text if denials else words,
        order_id=ids[0],
        state=order.state,
        denials=denials,
    )
