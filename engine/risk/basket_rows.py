"""Control C28: a basket is judged as a whole. Its rows stand in the table like all others; they are asked once for a basket.

The lines are orders, and each was judged by every other row with those before it counted as sent.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.domain.commands import Denial
from engine.domain.money import Money, text
from engine.risk.controls import BASKET_BLOCKED, BASKET_CONFIRM, Row
from engine.risk.policy import Policy

_RATES = frozenset({"RATE_BROKER", "RATE_VENUE", "RATE_ACCOUNT", "RATE_SOURCE"})
_COUNTS = frozenset({"OPEN_COUNT", "OPEN_COUNT_SYMBOL"})


class BasketCase(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a basket that asks to leave."""

    lines: Sequence[tuple[int, tuple[Denial, ...]]]
    """Number of each line, and what the gate says against it."""
    total: Money | None
    """Amount of all lines in base currency; None where one is not known."""
    policy: Policy | None
    is_person: bool
    confirmed: frozenset[str] = frozenset()


class BasketDenial(msgspec.Struct, frozen=True):
    """Why nothing of it leaves."""

    code: str
    """Of the row."""
    denial: Denial
    line: int | None = None
    """The line that stops it; None where it is the whole."""


def judge_basket(case: BasketCase) -> BasketDenial | None:
    """None where all of it may leave. A hard block of any line comes first, then what a person may confirm."""
    against = [(line, denial) for line, denials in case.lines for denial in denials]
    for line, denial in against:
        if not denial.confirmable:
            return BasketDenial(BASKET_BLOCKED.code, denial, line)
    for line, denial in against:
        return BasketDenial(BASKET_CONFIRM.code, denial, line)
    return judge_total(case)


def next_step(denial: Denial) -> str:
    """What to do about a line that is denied because of how many lines the basket has; empty for every other reason."""
    if denial.code in _RATES:
        return (
            f"; all lines of a basket leave in one second, of which {denial.limit} fit"
            f"{denial.policy_line and f' ({denial.policy_line})'}: drop it and stage baskets of at most so many lines, "
            "released a second apart"
        )
    if denial.code in _COUNTS:
        return (
            f"; every line is an open order, of which {denial.limit} fit{denial.policy_line and f' ({denial.policy_line})'}: "
            "drop it, stage fewer lines, and the rest when those have ended"
        )
    return ""


def judge_total(case: BasketCase) -> BasketDenial | None:
    """A person confirms the total as one amount: many small lines are a large one."""
    row, count, total = BASKET_CONFIRM, len(case.lines), case.total
    if not case.is_person:
        return None
    most = None if case.policy is None else case.policy.limits("", "", "").get(row.path)
    if most is None:
        return _no(
            row, "LIMIT_MISSING", "", "none", "", f"{row.path} is not in the policy, so the basket cannot be judged"
        )
    if total is None or not total.is_finite():
        said = f"the amount of the basket's {count} orders is not known"
        return _no(row, row.unknown, "unknown", text(most.value), most.line, said)
    if total <= most.value or row.code in case.confirmed:
        return None
    said = f"the basket comes to {text(total)} in {count} orders, above {text(most.value)}; confirm that"
    return BasketDenial(
        row.code, Denial(row.code, row.control, text(total), text(most.value), most.line, said, confirmable=True)
    )


def _no(row: Row, code: str, value: str, limit: str, line: str, said: str) -> BasketDenial:
    """A refusal that nobody can confirm away."""
    return BasketDenial(BASKET_BLOCKED.code, Denial(code, row.control, value, limit, line, said))
