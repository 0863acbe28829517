"""What the control table measures. Each returns a number, or None where it cannot be known (which denies).

Times are nanoseconds, amounts base currency unless said, shares percent.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.domain.money import EXACT
from engine.risk import controls_case as inputs
from engine.risk.controls_case import Case, Role, percent
from engine.risk.controls_history import source_name, strategy_of
from engine.risk.controls_rules import number_bad
from engine.risk.exposure import Abilities
from engine.risk.policy import Limit

FOREVER_NS = 2**62
"""Stands for "never before" where a time since something is asked."""

_ZERO = Decimal(0)


def _venue(value: Decimal | None, otherwise: Decimal) -> Limit:
    return Limit(otherwise if value is None else value, "")


ENDLESS = Decimal("1e40")
"""Stands for a limit that a venue or a parent does not have."""


def venue_qty_min(case: Case) -> Limit | None:
    """Venue's least quantity; its smallest lot where it names none."""
    return None if case.instrument is None else _venue(case.instrument.qty_min, case.instrument.lot)


def venue_qty_max(case: Case) -> Limit | None:
    """Venue's largest quantity."""
    return None if case.instrument is None else _venue(case.instrument.qty_max, ENDLESS)


def venue_notional_min(case: Case) -> Limit | None:
    """Venue's least amount, in the instrument's currency."""
    return None if case.instrument is None else _venue(case.instrument.notional_min, _ZERO)


CANCEL_RESERVE = 5
"""One in so many of the messages that a broker takes is kept for cancels."""


def venue_rate(case: Case) -> Limit | None:
    """Messages that the broker takes per second, less what is kept for cancels (one at least, where it takes two)."""
    return None if case.caps is None else Limit(Decimal(venue_messages_max(case.caps)), "")


def venue_messages_max(caps: Abilities) -> int:
    """New orders and amendments that a broker's own rate leaves room for."""
    most = caps.messages_per_s
    return most - max(most // CANCEL_RESERVE, 1 if most > 1 else 0)


def parent_qty(case: Case) -> Limit | None:
    """Quantity of the parent; endless for orders that are no child."""
    if not case.candidate.parent_id:
        return Limit(ENDLESS, "")
    return None if case.parent is None else Limit(case.parent.qty, "")


def unknown_count(case: Case) -> int:
    """Orders in UNKNOWN."""
    return case.view.unknown_orders()[0]


def unknown_age(case: Case) -> int:
    """Age of the oldest order in UNKNOWN."""
    count, since_ns = case.view.unknown_orders()
    return case.now_ns - since_ns if count else 0


def clock_jump(case: Case) -> int | None:
    """Size of the wall clock's last jump."""
    jump = case.signals.clock_jump_ns
    return None if jump is None else abs(jump)


def clock_offset(case: Case) -> int | None:
    """How far the broker's clock was from ours when they were last compared."""
    offset = case.view.clock_offset(case.spec.broker)
    return None if offset is None else abs(offset)


def qty(case: Case) -> Decimal:
    """Order quantity."""
    return case.spec.qty


def notional(case: Case) -> Decimal | None:
    """Order amount at its worst price; of a combination, the amounts of all its legs (asked with its first one)."""
    total, candidate = case.notional, case.candidate
    for spec in candidate.others:
        leg = msgspec.structs.replace(candidate, spec=spec, others=())
        its = Case(leg, case.now_ns, case.view, case.policy, case.kill, case.history, case.signals)
        if total is None or number_bad(its) is not None or its.notional is None:
            return None
        total = EXACT.add(total, its.notional)
    return total


def asked_notional(case: Case) -> Decimal | None:
    """Order amount of what a person asks for; zero for everything a machine makes."""
    is_asked = case.candidate.source.kind.is_person and case.candidate.role is not Role.CHILD
    return notional(case) if is_asked else _ZERO


def unapproved_notional(case: Case) -> Decimal | None:
    """Order amount of what no second person has approved; a child's parent was."""
    return _ZERO if case.candidate.is_approved or case.candidate.role is Role.CHILD else notional(case)


def own_notional(case: Case) -> Decimal | None:
    """Order amount in the instrument's currency, at its own limit or else the middle of the quote."""
    made, spec = case.instrument, case.spec
    if made is None or made.notional_min is None:
        return _ZERO
    price = spec.limit if spec.limit is not None else case.ref
    return None if price is None else EXACT.abs(made.notional(price, spec.qty))


def quote_age(case: Case) -> int | None:
    """Age of the quote."""
    return None if case.quote is None else abs(case.now_ns - case.quote.ts_ns)


def rate_age(case: Case) -> int | None:
    """Age of the currency rate; zero where there is none, which RATE_NONE denies."""
    if case.instrument is None:
        return None
    return case.view.rate_age(case.instrument.currency) or 0


def outlier(case: Case) -> Decimal | None:
    """Distance of the quote's middle from the last trade; zero before the first trade."""
    quote, middle = case.quote, case.middle
    if quote is None or middle is None:
        return None
    last = quote.last
    if last is None:
        return _ZERO
    if not last.is_finite() or not last:
        return None
    return percent(EXACT.abs(EXACT.subtract(middle, last)), last)


def reach(case: Case) -> Decimal | None:
    """How far the order may reach through the market."""
    return inputs.reach(case)


def distance(case: Case) -> Decimal | None:
    """How far from the market it rests or waits."""
    return inputs.distance(case)


def adv_pct(case: Case) -> Decimal:
    """Share of the average daily volume; zero where it is not known (the tighter amount then holds)."""
    return _ZERO if case.adv is None else percent(case.spec.qty, case.adv)


def notional_without_adv(case: Case) -> Decimal | None:
    """Order amount where the average daily volume is not known, else zero."""
    return case.notional if case.adv is None else _ZERO


def children(case: Case) -> Decimal:
    """What the parent's children have filled or may fill, with this one: the larger of the two counts."""
    candidate, parent = case.candidate, case.parent
    if not candidate.parent_id or parent is None:
        return _ZERO
    sent = case.history.committed(candidate.parent_id)
    seen: Decimal = parent.committed
    new: Decimal = candidate.spec.qty
    if candidate.role is Role.AMEND and candidate.original is not None:
        # The old worst case stays counted while the amendment is pending; only what goes beyond it is new.
        new = max(_ZERO, EXACT.subtract(new, EXACT.add(candidate.qty_filled, candidate.original.leaves)))
    return EXACT.add(max(sent, seen), new)


def worst(case: Case) -> Decimal:
    """Position on the order's side if everything of that side fills."""
    return case.worst


def worst_notional(case: Case) -> Decimal | None:
    """The same as an amount at the middle of the quote."""
    made, ref, rate = case.instrument, case.ref, case.rate
    if made is None or ref is None or rate is None:
        return None
    amount = inputs.base_amount(made, ref, case.worst, rate)
    return amount if case.worst > 0 else _ZERO


def gross(case: Case) -> Decimal | None:
    """Gross exposure of the account."""
    return None if case.book is None else case.book.gross


def net(case: Case) -> Decimal | None:
    """Net exposure of the account."""
    return None if case.book is None else case.book.net


def sector(case: Case) -> Decimal | None:
    """Gross of the order's sector."""
    return None if case.book is None else case.book.sector


def currency(case: Case) -> Decimal | None:
    """Gross of the order's currency, zero for the base currency."""
    return None if case.book is None else case.book.currency


def working(case: Case) -> Decimal | None:
    """Open orders with this one, as an amount."""
    return None if case.book is None else case.book.working


def working_symbol(case: Case) -> Decimal | None:
    """Open orders of the symbol with this one, as an amount."""
    return None if case.book is None else case.book.working_symbol


def leverage(case: Case) -> Decimal | None:
    """Gross in percent of equity; not known where equity is not above zero."""
    equity = case.view.equity(case.spec.account)
    if case.book is None or equity is None or not equity.is_finite() or equity <= 0:
        return None
    return percent(case.book.gross, equity)


def margin(case: Case) -> Decimal | None:
    """Margin needed in percent of equity; not known where equity is not above zero."""
    equity = case.view.equity(case.spec.account)
    if case.book is None or equity is None or not equity.is_finite() or equity <= 0:
        return None
    return percent(case.book.margin, equity)


def order_to_trade(case: Case) -> int | None:
    """Messages of the day for each execution, with this one."""
    policy = case.policy
    return None if policy is None else case.history.order_to_trade(case.spec.account, policy.number("day.ratio_from"))


def _one_more(case: Case) -> int:
    return 0 if case.candidate.role is Role.AMEND else 1


def open_count(case: Case) -> int:
    """Open orders of the account with this one."""
    return case.view.open_count(case.spec.account, None) + _one_more(case)


def open_count_symbol(case: Case) -> int:
    """Open orders of the symbol with this one."""
    return case.view.open_count(case.spec.account, case.spec.symbol) + _one_more(case)


def turnover(case: Case) -> Decimal | None:
    """Traded today, with this order; an amount in a currency without a rate makes it unknown."""
    total = case.notional
    if total is None:
        return None
    for name, amount in case.history.day_turnover(case.spec.account).items():
        rate = case.view.currency_rate(name)
        if rate is None:
            return None
        total = EXACT.add(total, EXACT.multiply(amount, rate))
    return total


def day_orders(case: Case) -> int:
    """Orders and amendments sent today, with this one."""
    return case.history.day_orders(case.spec.account) + 1


def day_cancels(case: Case) -> int:
    """Cancels sent today."""
    return case.history.day_cancels(case.spec.account)


def loss(case: Case) -> Decimal | None:
    """Loss of the day; below zero for a gain."""
    return None if case.pnl is None else EXACT.minus(case.pnl)


def drawdown(case: Case) -> Decimal | None:
    """Fall from the day's best result."""
    return case.drawdown


def recon_age(case: Case) -> int | None:
    """Time since positions were found equal to the broker's."""
    verified_ns = case.view.position_verified(case.spec.broker, case.spec.account)
    return None if verified_ns is None else case.now_ns - verified_ns


def since_same(case: Case) -> int:
    """Time since the same order was accepted; only new parents are looked at."""
    if case.candidate.role is not Role.PARENT:
        return FOREVER_NS
    seen_ns = case.history.seen_ns(case.spec)
    return FOREVER_NS if seen_ns is None else case.now_ns - seen_ns


def rate_broker(case: Case) -> int:
    """Messages to the broker in the last second, with this one."""
    return case.history.messages("broker", case.spec.broker, case.now_ns) + 1


def rate_venue(case: Case) -> int:
    """Every message to the broker in the last second, cancels too, with this one."""
    return case.history.messages("venue", case.spec.broker, case.now_ns) + 1


def rate_account(case: Case) -> int:
    """Messages of the account in the last second, with this one."""
    return case.history.messages("account", case.spec.account, case.now_ns) + 1


def rate_source(case: Case) -> int:
    """Messages of the source in the last second, with this one."""
    return case.history.messages("source", source_name(case.candidate.source), case.now_ns) + 1


def repeats(case: Case) -> int:
    """Executed orders of the order's strategy or algorithm in its direction within the window."""
    policy = case.policy
    if policy is None:
        return 0
    strategy, algo = case.history.algo_of(case.candidate.parent_id)
    strategy = strategy or strategy_of(case.candidate.source)
    if not algo and case.spec.algo.name != "direct":
        algo = f"algo:{case.spec.algo.name}"
    if not strategy and not algo:
        return 0
    spec, span_ns = case.spec, policy.ns("repeat.window_s")
    return max(case.history.repeats(name, spec.symbol, spec.side, case.now_ns, span_ns) for name in (strategy, algo))
