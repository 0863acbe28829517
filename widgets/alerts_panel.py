"""What a person wants to be told: prices they set, limits that come near, and what is blocked now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation

import msgspec

from engine.views import DeskView
from widgets.formats import clock_minute, fixed, plain
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row
from widgets.risk_panel import WARN_PCT

COLUMNS = (Column(" alert", 20), Column("", 0))
ALERTS_MAX = 50
EMPTY = "no alerts: A sets one on a price"
EXPECTED = "expected SYMBOL > PRICE or SYMBOL < PRICE, as in AAPL > 190.00"


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
    """The price alerts of this desk.

    Args:
        alerts: those that an earlier desk kept.
        keep: keeps all of them whenever one changes; False where it cannot.
    """

    def __init__(
        self, alerts: tuple[PriceAlert, ...] = (), keep: Callable[[tuple[PriceAlert, ...]], bool] = lambda _: False
    ) -> None:
        self.alerts = alerts
        self._keep = keep

    def toggle(self, alert: PriceAlert) -> str:
        """Set an alert, or take away the same one; what was done, in words."""
        if any(held.words == alert.words for held in self.alerts):
            self.alerts = tuple(held for held in self.alerts if held.words != alert.words)
            self._keep(self.alerts)
            return f"alert {alert.words} taken away"
        if len(self.alerts) >= ALERTS_MAX:
            return f"{ALERTS_MAX} alerts are set; type one of them again to take it away"
        self.alerts = (*self.alerts, alert)
        is_kept = self._keep(self.alerts)
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
            self._keep(self.alerts)
        return hit


def _is_reached(alert: PriceAlert, last: Decimal | None) -> bool:
    return last is not None and (last > alert.price if alert.is_above else last < alert.price)


class AlertsPanel(LiveTable):
    """What calls for somebody first: prices that were reached, limits from the fullest on, blocks; then prices that wait."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Alerts", empty=EMPTY, id="alerts")
        self.alerts: tuple[PriceAlert, ...] = ()

    def draw(self, frame: Frame) -> None:
        """Show the alerts that were set, and what the picture warns of."""
        reached = [alert for alert in self.alerts if alert.hit_ns]
        waiting = [alert for alert in self.alerts if not alert.hit_ns]
        rows = [*alert_rows(reached, frame), *warning_rows(frame.view), *alert_rows(waiting, frame)]
        self.show(rows, frame.now_ns)
        self.retitle(f"Alerts: {len(rows)}" if rows else "Alerts")


def alert_rows(alerts: Iterable[PriceAlert], frame: Frame) -> list[Row]:
    """One row per alert: how far the price is away, or when it was reached."""
    last = {quote.symbol: quote for quote in frame.view.quotes}
    rows = []
    for alert in alerts:
        quote, digits = last.get(alert.symbol), frame.digits(alert.symbol)
        sign = ">" if alert.is_above else "<"
        if alert.hit_ns:
            state: str | Cell = Cell(f"REACHED {clock_minute(alert.hit_ns)}", "warn")
        elif quote is None or quote.last is None or quote.stale:
            state = Cell("no price now", "warn")
        else:
            state = f"{fixed(abs(alert.price - quote.last), digits)} away"
        rows.append(Row(f"alert {alert.words}", (f" {alert.symbol} {sign} {fixed(alert.price, digits)}", state)))
    return rows


def warning_rows(view: DeskView) -> list[Row]:
    """Limits that come near or are not known, and blocks that are in force."""
    rows = []
    for item in sorted(view.limits, key=lambda item: -101 if item.used_pct is None else -item.used_pct):
        if item.used_pct is None:
            rows.append(_warning(f"{item.code}/{item.scope}", f"{item.scope} {item.what}", "NOT KNOWN"))
        elif item.used_pct >= WARN_PCT:
            rows.append(_warning(f"{item.code}/{item.scope}", f"{item.scope} {item.what}", f"{item.used_pct}% USED"))
    rows += [_warning(f"block {words}", words, "") for words in view.status.halt.blocks]
    return rows


def _warning(row_id: str, words: str, state: str) -> Row:
    return Row(row_id, (" ", Cell(plain(f"{state} {words}".strip()), "warn")), "", 0)
