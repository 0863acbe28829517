"""How near each standing limit is, measured by the gate's own rows with an order of nothing.

The same functions measure here and at the gate, so that a bar on the screen cannot tell another story than a denial. Limits
of one order (its size, its price) have no standing value and are not here: a preview shows those.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Price, Qty, Rounding, round_to, text
from engine.domain.order import OrderSpec, OrderType, Side, Source, SourceKind
from engine.risk.controls import ROWS, Measured, Row
from engine.risk.controls_case import Candidate, Case, Role
from engine.risk.policy import Limit
from engine.risk.risk_manager import RiskManager
from engine.views import LimitView

ACCOUNT = (
    "LOSS_MAX", "DRAWDOWN_MAX", "GROSS_MAX", "NET_MAX", "LEVERAGE_MAX", "OPEN_COUNT", "OPEN_NOTIONAL", "TURNOVER_MAX",
    "DAY_ORDERS", "DAY_CANCELS", "RATE_ACCOUNT", "UNKNOWN_COUNT", "UNKNOWN_AGE", "RECON_STALE",
)  # fmt: skip
SECTOR, CURRENCY = "SECTOR_MAX", "CURRENCY_MAX"
SYMBOL = ("POSITION_MAX", "POSITION_NOTIONAL", "OPEN_COUNT_SYMBOL", "OPEN_NOTIONAL_SYMBOL")
SYMBOLS_MAX = 40
"""Symbols whose own limits are measured, those with the largest share first in the picture."""

_ROWS: dict[str, Row] = {row.code: row for row in ROWS}
_SHORT = {
    "RATE_ACCOUNT": "messages in a second",
    "UNKNOWN_AGE": "age of the oldest UNKNOWN",
    "RECON_STALE": "since a clean reconciliation",
    "SECTOR_MAX": "gross exposure, sector",
    "CURRENCY_MAX": "gross exposure, currency",
    "POSITION_MAX": "worst position",
    "POSITION_NOTIONAL": "worst position, amount",
    "OPEN_COUNT_SYMBOL": "open orders",
    "OPEN_NOTIONAL_SYMBOL": "open orders, amount",
}
"""What a row measures, where the table's own words are longer than a pane has room for."""
_WITH_THIS_ONE = frozenset({"DAY_ORDERS", "RATE_ACCOUNT"})
"""Rows that count the order that is judged; here there is none."""
_PROBE = Source(SourceKind.DESK, "headroom")
_CENT, _ZERO = Decimal("0.01"), Decimal(0)


def standing(
    risk: RiskManager, broker: str, account: str, instruments: Iterable[Instrument], now_ns: int
) -> list[LimitView]:
    """Every standing limit of an account, and those of the given symbols.

    A value that cannot be known is left empty, and its share too: the gate denies what it cannot know.
    """
    policy = risk.policy.policy
    named = list(instruments)[:SYMBOLS_MAX]
    if policy is None or not named:
        return []
    found: list[LimitView] = []
    cases = {made.symbol: _case(risk, broker, account, made, now_ns, Side.BUY) for made in named}
    first = next(iter(cases.values()))
    found += [view for code in ACCOUNT if (view := _measured(code, account, first)) is not None]
    base = policy.word("currency")
    sectors: dict[str, Case] = {}
    currencies: dict[str, Case] = {}
    for made in named:
        sectors.setdefault(made.sector, cases[made.symbol])
        if made.currency != base:
            currencies.setdefault(made.currency, cases[made.symbol])
    found += [view for name, case in sectors.items() if name and (view := _measured(SECTOR, name, case)) is not None]
    found += [view for name, case in currencies.items() if (view := _measured(CURRENCY, name, case)) is not None]
    for made in named:
        other = _case(risk, broker, account, made, now_ns, Side.SELL)
        for code in SYMBOL:
            sides = [view for case in (cases[made.symbol], other) if (view := _measured(code, made.symbol, case))]
            # Long and short have the same limit; the nearer side is shown, and an unknown one first.
            found += sorted(sides, key=lambda view: -1_000_000 if view.used_pct is None else -view.used_pct)[:1]
    return found


def _case(risk: RiskManager, broker: str, account: str, made: Instrument, now_ns: int, side: Side) -> Case:
    """An amendment to nothing: it adds no quantity, no amount and no order."""
    spec = OrderSpec(
        symbol=made.symbol,
        side=side,
        qty=Qty(0),
        type=OrderType.LIMIT,
        limit=Price(made.ticks[0].tick),
        broker=broker,
        account=account,
    )
    probe = Candidate(order_id="", role=Role.AMEND, spec=spec, source=_PROBE)
    return Case(probe, now_ns, risk.view, risk.policy.policy, risk.kill, risk.history, risk.signals)


def _measured(code: str, scope: str, case: Case) -> LimitView | None:
    row = _ROWS[code]
    limit = case.limit(row.path)
    if limit is None or row.measure is None:
        return None
    value = row.measure(case)
    if value is not None and code in _WITH_THIS_ONE:
        value -= 1
    return LimitView(
        code=code,
        control=row.control,
        what=_SHORT.get(code) or row.input.removesuffix(" with this one"),
        scope=scope,
        value=_shown(row, value),
        limit=text(limit.value),
        unit=_unit(row, case),
        used_pct=_share(row, value, limit),
        policy_line=limit.line,
    )


def _shown(row: Row, value: Measured) -> str:
    if value is None:
        return ""
    exact = max(_ZERO, EXACT.scaleb(Decimal(value), -9) if row.is_time else Decimal(value))
    return text(round_to(exact, _CENT, Rounding.HALF_EVEN))


def _share(row: Row, value: Measured, limit: Limit) -> int | None:
    """Percent of the limit, rounded up: what is not nothing does not look like nothing."""
    if value is None:
        return None
    most, used = Decimal(limit.ns if row.is_time else limit.value), max(_ZERO, Decimal(value))
    if not most:
        return 100 if used else 0
    whole = EXACT.divide(EXACT.multiply(used, 100), most)
    return int(whole) + (whole != int(whole))


def _unit(row: Row, case: Case) -> str:
    if row.is_time:
        return "s"
    if row.path.endswith("_pct"):
        return "%"
    is_amount = "notional" in row.path or row.path.startswith(("portfolio.", "loss.")) or row.path.endswith("turnover")
    return case.policy.word("currency") if is_amount and case.policy is not None else ""
