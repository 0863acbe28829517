"""Money itself: cash by currency and stated rates as they are shown, and the commands that concern them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.domain.clock import NS_PER_S, iso
from engine.domain.commands import CommandResult, SetFxRates
from engine.domain.money import EXACT, Money, text
from engine.domain.money_events import FxRateSet
from engine.views import CashView, RateView

if TYPE_CHECKING:
    from engine.api.engine import Engine

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
