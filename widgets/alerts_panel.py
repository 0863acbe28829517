"""The alerts pane: what calls for somebody first, in groups; then prices that wait; then what somebody has acknowledged."""

from __future__ import annotations

from collections.abc import Iterable

from widgets.alerts import GROUPS, Alert, AlertBook, PriceAlert, alerts_of
from widgets.formats import clock_minute, fixed, plain
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

COLUMNS = (Column(" alert", 20), Column("", 0))
EMPTY = "no alerts: A sets one on a price"


class AlertsPanel(LiveTable):
    """What calls for somebody: enter acknowledges the row under the cursor."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Alerts", empty=EMPTY, id="alerts")
        self.book = AlertBook()

    def draw(self, frame: Frame) -> None:
        """Show what the picture warns of, and the prices that were set."""
        found = alerts_of(frame.view, self.book.alerts)
        new = [alert for alert in found if self.book.is_new(alert)]
        seen = [alert for alert in found if not self.book.is_new(alert)]
        hits = {f"reached {alert.words} {alert.hit_ns}": alert for alert in self.book.alerts}
        rows: list[Row] = []
        for group in GROUPS:
            of_group = [alert for alert in new if alert.group == group]
            if of_group:
                rows.append(Row(f"#{group}", (f"{group}: {len(of_group)}",), is_rule=True))
                rows += [alert_row(alert, frame, hits.get(alert.key)) for alert in of_group]
        waiting = [alert for alert in self.book.alerts if not alert.hit_ns]
        if waiting:
            rows.append(Row("#prices", (f"prices: {len(waiting)}",), is_rule=True))
            rows += price_rows(waiting, frame)
        if seen:
            rows.append(Row("#seen", (f"acknowledged: {len(seen)}",), is_rule=True))
            rows += [alert_row(alert, frame, hits.get(alert.key), is_seen=True) for alert in seen]
        self.show(rows, frame.now_ns)
        self.retitle(f"Alerts: {len(new)} new" if new else "Alerts", "enter acknowledges, K all" if new else "")


def alert_row(alert: Alert, frame: Frame, hit: PriceAlert | None = None, *, is_seen: bool = False) -> Row:
    """One alert; loud until somebody has acknowledged it."""
    tone = "dim" if is_seen else "warn"
    if hit is not None:
        digits = frame.digits(hit.symbol)
        words = f" {hit.symbol} {'>' if hit.is_above else '<'} {fixed(hit.price, digits)}"
        return Row(alert.key, (words, f"REACHED {clock_minute(hit.hit_ns)}"), tone)
    said = plain(f"{alert.state} {alert.words}".strip())
    return Row(alert.key, (" ", said), tone, 0)


def price_rows(alerts: Iterable[PriceAlert], frame: Frame) -> list[Row]:
    """Prices that are waited for, and how far away they are."""
    last = {quote.symbol: quote for quote in frame.view.quotes}
    rows = []
    for alert in alerts:
        quote, digits = last.get(alert.symbol), frame.digits(alert.symbol)
        if quote is None or quote.last is None or quote.stale:
            state: str | Cell = Cell("no price now", "warn")
        else:
            state = f"{fixed(abs(alert.price - quote.last), digits)} away"
        sign = ">" if alert.is_above else "<"
        rows.append(Row(f"alert {alert.words}", (f" {alert.symbol} {sign} {fixed(alert.price, digits)}", state)))
    return rows
