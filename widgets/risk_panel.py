"""Each standing limit as a bar of what is used of it, with the line of the policy that sets it."""

from __future__ import annotations

from decimal import Decimal

from engine.views import LimitView
from widgets.formats import UNKNOWN, bar, figure, fixed, plain
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

COLUMNS = (
    Column(" limit", 31),
    Column("of", 12),
    Column("used", 13),
    Column("%", 6, is_right=True),
    Column("now", 19, is_right=True, is_live=True, from_width=100),
    Column("most", 17, is_right=True, from_width=90),
    Column("policy", 0),
)
BAR_WIDTH = 10
CURRENCY_LETTERS = 3
WARN_PCT, FULL_PCT = 80, 100
EMPTY = "no limits yet: they are measured once the first price is there; `bolt policy check` reads the file"


class RiskPanel(LiveTable):
    """The account's limits first, then those of sectors, currencies and symbols."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Limits", empty=EMPTY, id="limits")

    def draw(self, frame: Frame) -> None:
        """Show the picture's limits."""
        limits = frame.view.limits
        self.show(limit_rows(limits), frame.now_ns)
        near = sum(1 for item in limits if item.used_pct is not None and item.used_pct >= WARN_PCT)
        unknown = sum(1 for item in limits if item.used_pct is None)
        words = f"Limits: {len(limits)} in force" if limits else "Limits"
        words += f", {near} at {WARN_PCT}% or more" if near else ""
        words += f", {unknown} not known" if unknown else ""
        self.retitle(words, "at the limit passes, above it is denied; what is not known is denied")


def limit_rows(limits: tuple[LimitView, ...]) -> list[Row]:
    """A row each; a heading where the scope changes from the account to its parts."""
    account = limits[0].scope if limits else ""
    rows: list[Row] = []
    for item in limits:
        if item.scope != account and rows and not any(row.id == "#parts" for row in rows):
            rows.append(Row("#parts", ("by symbol, currency and sector",), is_rule=True))
        rows.append(limit_row(item))
    return rows


def _amount(words: str, unit: str) -> str:
    """What is used of a limit; money always with its cents, so that amounts stand one below the other."""
    is_money = len(unit) == CURRENCY_LETTERS and unit.isupper()
    return fixed(Decimal(words), 2) if is_money else figure(words)


def limit_row(item: LimitView) -> Row:
    """One limit. A share that is not known is a question mark: the gate denies then."""
    used = item.used_pct
    tone = "warn" if used is None or used >= WARN_PCT else ""
    unit = f" {item.unit}" if item.unit else ""
    word = " FULL" if used is not None and used >= FULL_PCT else ""
    cells = (
        f" {plain(item.what)}",
        plain(item.scope),
        "not known" if used is None else bar(used, BAR_WIDTH),
        Cell(UNKNOWN if used is None else f"{used}%", tone),
        Cell(f"{_amount(item.value, item.unit)}{unit}" if item.value else UNKNOWN, tone),
        f"{figure(item.limit)}{unit}",
        Cell(f"{item.policy_line}{word}", "warn" if word else ""),
    )
    return Row(f"{item.code}/{item.scope}", cells)
