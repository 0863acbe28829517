"""Money itself: cash by currency and stated rates as they are shown, and the commands that concern them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.domain.clock import NS_PER_S, iso
from engine.domain.commands import AdjustBooks, CommandResult, SetFxRates
from engine.domain.events import BrokerState
from engine.domain.instrument import is_currency
from engine.domain.money import DIGITS_MAX, EXACT, Money, is_bounded, text
from engine.domain.money_events import Adjustment, BooksAdjusted, FxRateSet
from engine.views import CashView, RateView

if TYPE_CHECKING:
    from engine.api.engine import Engine

ID_CHARS_MAX, REASON_CHARS_MAX = 64, 1_000
"""Of an adjustment: both stand in the ledger and in lists for ever."""
AHEAD_NS = 60 * NS_PER_S
"""How far in the future the moment of a rate may lie: clocks differ."""


def set_rates(engine: Engine, command: SetFxRates) -> CommandResult:
    """Journal the rates that are news. All are looked at first: one that cannot be right refuses the whole command."""
    now_ns = engine.clock.now_ns()
    for rate in command.rates:
        fault = rate.fault()
        if not fault and rate.ts_ns > now_ns + AHEAD_NS:
            fault = f"the rate of {rate.of} in {rate.to} is of {iso(rate.ts_ns)}, which is still to come"
        if fault:
            return CommandResult(ok=False, code="FX_BAD", text=f"{fault}; nothing was set")
    news = [rate for rate in command.rates if engine.fx.is_news(rate)]
    who = command.source.name or command.source.kind.value
    for rate in news:
        engine.record(FxRateSet(rate=rate, who=who))
    words = ", ".join(f"{rate.of} = {rate.rate} {rate.to}" for rate in news)
    known = len(command.rates) - len(news)
    return CommandResult(
        ok=True, text=f"set: {words or 'nothing'}{f'; {known} known already, or older' if known else ''}"
    )


def adjust(engine: Engine, command: AdjustBooks, lift: Callable[[str, str, str, str], None]) -> CommandResult:
    """Book a person's word once; ``lift(symbol, code, who, reason)`` ends what a comparison tripped and is explained by it."""
    made, who = command.adjustment, command.source.name or command.source.kind.value
    held = engine.ledger.adjustments.get(made.id)
    if held is not None:
        if held == made:
            return CommandResult(
                ok=True, code="REPEATED", text=f"adjustment {made.id} is booked: {held.words()}", repeated=True
            )
        text = (
            f"adjustment {made.id} was used for {held.words()}; nothing was booked: give another one an id of its own"
        )
        return CommandResult(ok=False, code="ADJUST_REUSED", text=text, repeated=True)
    code, fault = _fault(engine, command)
    if fault:
        return CommandResult(ok=False, code=code, text=f"{fault}; nothing was booked")
    mark = engine.view_of_risk.mark(made.symbol, made.qty) if made.symbol else None
    engine.record(BooksAdjusted(adjustment=made, who=who, mark=mark))
    engine.reconciler.forget_settled()
    lift(made.symbol, "ADJUSTED", who, made.reason)
    broker = engine.parts.brokers[made.broker]
    if engine.view_of_risk.channel(broker.name) is not BrokerState.DOWN:
        engine.reconciler.ask(broker)
    unmarked = (
        "; it has no fresh price, so the result of the day counts it from its cost"
        if made.symbol and mark is None
        else ""
    )
    return CommandResult(ok=True, text=f"booked {made.id}: {made.words()}{unmarked}")


def _fault(engine: Engine, command: AdjustBooks) -> tuple[str, str]:
    """Code and sentence of what is wrong with an adjustment."""
    made = command.adjustment
    if not command.source.kind.is_person:
        return "SOURCE_NOT_ALLOWED", "only a person can adjust the books"
    fault = _words_fault(made)
    if fault:
        return "REASON", fault
    broker = engine.parts.brokers.get(made.broker)
    if broker is None or broker.account != made.account:
        known = ", ".join(f"{one.name}/{one.account}" for one in engine.parts.brokers.values())
        return "BROKER_UNKNOWN", f"there is no account {made.broker}/{made.account}; there is {known}"
    if not is_bounded(made.cash, made.qty, made.cost):
        said = f"a number of it has more than {DIGITS_MAX} digits before or behind the point"
        return "ADJUST_BAD", f"{made.words()}: {said}"
    return _position_fault(engine, made) if made.symbol else _cash_fault(engine, made)


def _words_fault(made: Adjustment) -> str:
    if not made.reason.strip() or not made.id.strip():
        return "an adjustment needs an id and a reason; say what it is and how you know"
    for name, words, most in (("id", made.id, ID_CHARS_MAX), ("reason", made.reason, REASON_CHARS_MAX)):
        if len(words) > most or not words.isprintable():
            return f"the {name} of an adjustment is one line of at most {most} printable characters"
    return ""


def _cash_fault(engine: Engine, made: Adjustment) -> tuple[str, str]:
    if made.currency in engine.ledger.instruments and made.currency not in _currencies(engine):
        return (
            "ADJUST_BAD",
            f"{made.currency} is an instrument and no currency: give --cost or --price with its quantity",
        )
    if made.cash and is_currency(made.currency) and not (made.qty or made.cost):
        return "", ""
    return "ADJUST_BAD", "cash needs an amount that is not zero, and a currency code"


def _position_fault(engine: Engine, made: Adjustment) -> tuple[str, str]:
    instrument = engine.ledger.instruments.get(made.symbol)
    if instrument is None:
        return "INSTRUMENT_UNKNOWN", f"the terms of {made.symbol} are not known; `bolt find` lists what is"
    if not made.qty or not instrument.is_on_lot(made.qty) or made.cash:
        return "ADJUST_BAD", f"a position needs a quantity in whole lots of {instrument.lot}, and no cash beside it"
    if EXACT.multiply(made.cost, made.qty) < 0 and not instrument.price_negative:
        said = f"a cost of {made.cost} for {made.qty} has the other sign; what is sold short has a cost below zero"
        return "ADJUST_BAD", said
    return "", ""


def _currencies(engine: Engine) -> set[str]:
    """What is money here: the base currency, what instruments are paid in, and what is held or has a rate."""
    ledger = engine.ledger
    paid_in = {made.currency for made in ledger.instruments.values()}
    return {
        ledger.base_currency,
        *paid_in,
        *(key[2] for key in ledger.cash),
        *(rate.of for rate in engine.fx.rates.values()),
    }


def cash_views(engine: Engine) -> tuple[CashView, ...]:
    """Cash by currency, each with the rate it is worth in base currency by."""
    view, found = engine.view_of_risk, []
    base = engine.ledger.base_currency
    for (broker, account, currency), amount in sorted(engine.ledger.cash.items()):
        seen = None if currency == base else view.rate_seen(currency)
        rate = view.currency_rate(currency)
        found.append(
            CashView(
                broker=broker,
                account=account,
                currency=currency,
                amount=amount,
                rate="1" if currency == base else "" if seen is None else text(seen.rate),
                rate_ns=0 if seen is None else seen.ts_ns,
                rate_source="" if seen is None else seen.source,
                stale=rate is None,
                base_amount=None if rate is None else Money(EXACT.multiply(amount, rate)),
            )
        )
    return tuple(found)


def rate_views(engine: Engine) -> tuple[RateView, ...]:
    """Every stated rate, and whether it is too old to be used."""
    policy, now_ns = engine.parts.policy.policy, engine.clock.now_ns()
    most_ns = 0 if policy is None else policy.ns("fx.max_age_s")
    return tuple(
        RateView(
            of=rate.of, to=rate.to, rate=text(rate.rate), ts_ns=rate.ts_ns, source=rate.source,
            stale=now_ns - rate.ts_ns > most_ns,
        )
        for _, rate in sorted(engine.fx.rates.items())
    )  # fmt: skip
