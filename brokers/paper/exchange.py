"""Changing one currency into another at the paper venue: at a stated rate, less its cost, rounded against the customer."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from engine.domain.clock import iso
from engine.domain.money import EXACT, Money, Rate, Rounding, ratio, round_to, text
from engine.domain.money_events import FxRate
from engine.domain.movements import CashLeg
from engine.market.fx_rates import read_fx

CENT = Decimal("0.01")
_TEN_THOUSAND = Decimal(10_000)


class ExchangeTerms(msgspec.Struct, frozen=True, kw_only=True):
    """At which rates and for how much the venue changes currencies."""

    base: str
    """Currency of the account: what executions move in another one is changed into it at once."""
    rates: tuple[FxRate, ...]
    bps: Rate = Rate(0)
    """Cost in basis points of the amount, taken off the rate."""
    is_automatic: bool = True

    def rate_at(self, of: str, to: str, now_ns: int) -> tuple[Decimal, FxRate] | None:
        """The newest stated rate that is not still to come, read either way; None where there is none."""
        best: tuple[Decimal, FxRate] | None = None
        for one in self.rates:
            if one.ts_ns > now_ns or {one.of, one.to} != {of, to} or (best is not None and one.ts_ns < best[1].ts_ns):
                continue
            best = (one.rate if one.of == of else ratio(Decimal(1), one.rate), one)
        return best

    def change(self, amount: Money, of: str, to: str, now_ns: int) -> tuple[tuple[CashLeg, ...], str] | None:
        """What giving ``amount`` of one currency (below zero: getting it) does to cash, and the reckoning; None without a rate."""
        found = self.rate_at(of, to, now_ns)
        if found is None:
            return None
        rate, stated = found
        fair = EXACT.multiply(amount, rate)
        cost = EXACT.abs(EXACT.divide(EXACT.multiply(fair, self.bps), _TEN_THOUSAND))
        got = Money(round_to(EXACT.subtract(fair, cost), CENT, Rounding.FLOOR))
        lost = text(round_to(EXACT.subtract(fair, got), CENT, Rounding.HALF_UP))
        words = (
            f"1 {of} = {text(round_to(rate, Decimal('0.00000001'), Rounding.HALF_EVEN))} {to} of {iso(stated.ts_ns)[:19]}Z "
            f"({stated.source}), {self.bps} bp, cost {lost} {to}"
        )
        return (CashLeg(of, -amount), CashLeg(to, got)), words


def exchange_of(path: Path, base: str) -> ExchangeTerms | None:
    """The terms that a file of rates states; None where there is no such file. DataError where it cannot be used."""
    if not path.exists():
        return None
    found = read_fx(path)
    return ExchangeTerms(base=base, rates=found.rates, bps=found.bps, is_automatic=found.is_automatic)
