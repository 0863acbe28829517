"""Alerts: what calls for somebody, worst first, in groups; and which of it somebody has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation

import msgspec

from engine.domain.order import OrderState
from engine.views import DeskView, OrderView
from widgets.formats import plain
from widgets.risk_panel import WARN_PCT

ALERTS_MAX = 50
ACKNOWLEDGED_MAX = 500
EXPECTED = "expected SYMBOL > PRICE or SYMBOL < PRICE, as in AAPL > 190.00"
GROUPS = ("reached", "waits for a person", "limits", "blocks")
"""Kinds of alert, in the order in which they stand."""
NOT_KNOWN, FULL = 101, 100
UNITS = frozenset({"s", "ms", "%"})
FOLD_FROM = 4
"""So many blocks for one reason are told in one line."""


class PriceAlert(msgspec.Struct, frozen=True):
    """One price to be told about, once."""

    symbol: str
    is_above: bool
    price: Decimal
    hit_ns: int = 0
    """When it was reached; 0 while it waits."""

    @property
    def words(self) -> str:
        """``AAPL > 190``."""
        return f"{self.symbol} {'>' if self.is_above else '<'} {self.price}"


class Alert(msgspec.Struct, frozen=True):
    """One thing that calls for somebody now."""

    key: str
    """Names it as long as it lasts, whatever its figures are meanwhile."""
    group: str
    words: str
    state: str = ""
    level: int = FULL
    """How bad: percent of a limit. What was acknowledged at a lower one calls again."""


class Kept(msgspec.Struct, frozen=True):
    """What outlives the desk."""

    alerts: tuple[PriceAlert, ...] = ()
    acknowledged: dict[str, int] = {}
    """Key of an alert to the level at which it was acknowledged."""


def read_alert(words: str, symbols: Iterable[str]) -> PriceAlert | str:
    """An alert from its words, or what was wrong with them."""
    sign = next((char for char in words if char in "<>"), "")
    symbol, _, price = (part.strip() for part in words.partition(sign)) if sign else (words.strip(), "", "")
    known = {name.casefold(): name for name in symbols}
    if not sign:
        return f"{words.strip()!r}: {EXPECTED}"
    if symbol.casefold() not in known:
        return f"{symbol!r} is no symbol that is quoted here; {EXPECTED}"
    try:
        value = Decimal(price.replace(",", ""))
    except InvalidOperation:
        return f"{price!r} is no price; {EXPECTED}"
    if not value.is_finite():
        return f"{price!r} is no price; {EXPECTED}"
    return PriceAlert(known[symbol.casefold()], sign == ">", value)


class AlertBook:
    """The price alerts of this desk, and what has been acknowledged.

    Args:
        kept: what an earlier desk kept.
        keep: keeps it whenever something changes; False where it cannot.
    """

    def __init__(self, kept: Kept | None = None, keep: Callable[[Kept], bool] = lambda _: False) -> None:
        found = kept or Kept()
        self.alerts = found.alerts
        self.acknowledged = dict(found.acknowledged)
        self._keep = keep

    def _save(self) -> bool:
        return self._keep(Kept(self.alerts, dict(self.acknowledged)))

    def toggle(self, alert: PriceAlert) -> str:
        """Set an alert, or take away the same one; what was done, in words."""
        if any(held.words == alert.words for held in self.alerts):
            self.alerts = tuple(held for held in self.alerts if held.words != alert.words)
            self._save()
            return f"alert {alert.words} taken away"
        if len(self.alerts) >= ALERTS_MAX:
            return f"{ALERTS_MAX} alerts are set; type one of them again to take it away"
        self.alerts = (*self.alerts, alert)
        is_kept = self._save()
        return f"alert {alert.words} set{'; it outlives this desk' if is_kept else ', for as long as this desk runs'}"

    def check(self, view: DeskView, now_ns: int) -> list[PriceAlert]:
        """Alerts that are reached now for the first time. A stale price reaches nothing."""
        if not any(not alert.hit_ns for alert in self.alerts):
            return []
        last = {quote.symbol: quote.last for quote in view.quotes if not quote.stale}
        hit = [alert for alert in self.alerts if not alert.hit_ns and _is_reached(alert, last.get(alert.symbol))]
        if hit:
            self.alerts = tuple(
                msgspec.structs.replace(alert, hit_ns=now_ns) if alert in hit else alert for alert in self.alerts
            )
            self._save()
        return hit

    def is_new(self, alert: Alert) -> bool:
        """Whether nobody has acknowledged it, or only when it was less bad."""
        return self.acknowledged.get(alert.key, -1) < alert.level

    def acknowledge(self, alerts: Iterable[Alert]) -> int:
        """Somebody has seen these; how many were new."""
        new = [alert for alert in alerts if self.is_new(alert)][:ACKNOWLEDGED_MAX]
        if new:
            self.acknowledged |= {alert.key: alert.level for alert in new}
            self._save()
        return len(new)

    def forget(self, alerts: Iterable[Alert]) -> None:
        """What has ended calls again when it comes back."""
        there = {alert.key for alert in alerts}
        if any(key not in there for key in self.acknowledged):
            self.acknowledged = {key: level for key, level in self.acknowledged.items() if key in there}
            self._save()


def _is_reached(alert: PriceAlert, last: Decimal | None) -> bool:
    return last is not None and (last > alert.price if alert.is_above else last < alert.price)


def alerts_of(view: DeskView, prices: Iterable[PriceAlert] = ()) -> list[Alert]:
    """Everything that calls for somebody now: by group, in each the worst first."""
    found = [
        Alert(f"reached {alert.words} {alert.hit_ns}", "reached", alert.words, "REACHED")
        for alert in prices
        if alert.hit_ns
    ]
    found += [alert for order in view.orders for alert in _of_order(order)]
    limits = []
    for item in view.limits:
        level = NOT_KNOWN if item.used_pct is None else item.used_pct
        if level >= WARN_PCT:
            state = "NOT KNOWN" if item.used_pct is None else f"{item.used_pct}% USED"
            band = level if level >= FULL else level // 10 * 10
            limits.append(
                (level, Alert(f"limit {item.code}/{item.scope}", "limits", f"{item.scope} {item.what}", state, band))
            )
    found += [alert for _, alert in sorted(limits, key=lambda pair: -pair[0])]
    return found + _blocks(view.status.halt.blocks)


def _of_order(order: OrderView) -> list[Alert]:
    group, words = "waits for a person", f"{order.order_id} {order.symbol}"
    if order.awaits and order.state is OrderState.STAGED:
        return [Alert(f"approve {order.order_id} {order.awaits}", group, f"{words} needs a second person", "APPROVE")]
    if order.state is OrderState.SUSPENDED:
        return [Alert(f"suspended {order.order_id}", group, f"{words} was not fired late", "SUSP")]
    return []


def _blocks(blocks: Iterable[str]) -> list[Alert]:
    """Blocks by their reason: many symbols with the same one are one line."""
    by_reason: dict[str, list[str]] = {}
    for words in blocks:
        _, colon, reason = words.partition(": ")
        by_reason.setdefault(_still(reason) if colon else _still(words), []).append(words)
    found = []
    for reason, all_words in by_reason.items():
        if len(all_words) < FOLD_FROM:
            found += [Alert(f"block {_still(words)}", "blocks", words, "BLOCKED") for words in all_words]
            continue
        names = [words.partition(": ")[0] for words in all_words]
        said = f"{reason or 'blocked'}: {', '.join(names)}"
        found.append(Alert(f"blocks {reason}", "blocks", said, f"{len(names)} BLOCKED", FULL + len(names)))
    return found


def _still(words: str) -> str:
    """Words without the figures in them, and their units, which change while the thing they speak of stays."""
    kept: list[str] = []
    is_figure = False
    for part in plain(words).split():
        is_unit = is_figure and part.strip(",;") in UNITS
        is_figure = any(char.isdigit() for char in part) and not part.isupper()
        if not (is_figure or is_unit):
            kept.append(part)
    return " ".join(kept)


def card_words(alerts: Iterable[Alert], book: AlertBook) -> str:
    """All of them as text, for a screen without the pane: what is new in each group first."""
    lines: list[str] = []
    found = list(alerts)
    for group in GROUPS:
        of_group = [alert for alert in found if alert.group == group]
        if of_group:
            lines += ["", f"{group.upper()}: {len(of_group)}"] if lines else [f"{group.upper()}: {len(of_group)}"]
            for alert in sorted(of_group, key=lambda alert: not book.is_new(alert)):
                lines.append(f"  {'new ' if book.is_new(alert) else 'seen'} {alert.state}  {plain(alert.words)}")
    return "\n".join(lines) or "nothing calls for anybody"
