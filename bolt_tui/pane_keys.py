"""What the desk's keys do to the screen: modes, panes, filters, sorting, marks. Nothing here sends anything but a cancel of
what was marked, and that only on a second press.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from textual import on
from textual.widget import Widget
from textual.widgets import Input

from bolt_tui.alert_file import AlertFile
from bolt_tui.basket_keys import BasketKeys
from bolt_tui.desk_base import NEVER_DRAWN
from bolt_tui.screens.dialogs import CardScreen
from bolt_tui.screens.filter_bar import NAMES, FilterBar
from bolt_tui.screens.floor import HOME, JUMPS, Floor, Mode
from bolt_tui.screens.jump import JumpScreen
from bolt_tui.screens.line_dialog import LineScreen
from bolt_tui.screens.order_card import order_card
from engine.domain.clock import iso
from engine.domain.money import text
from engine.views import DeskView, OrderView
from widgets.alerts import Alert, AlertBook, alerts_of, card_words, read_alert
from widgets.alerts_panel import AlertsPanel
from widgets.blotter import Blotter, Open
from widgets.formats import counted, quantity
from widgets.live_table import LiveTable, Row
from widgets.position_strip import PositionStrip
from widgets.trade_log_panel import TradeLogPanel
from widgets.watch_list import WatchList

WAITS = "waits for a person"
COPIED_ROWS_MAX = 5_000
WITH_ORDERS = frozenset({Mode.DESK, Mode.BLOTTER, Mode.ANALYSIS})
"""Modes that show the orders, at every size."""


class PaneKeys(BasketKeys):
    """The desk's half that moves about."""

    mode_shown = Mode.DESK
    exports: Path | None = None
    """Folder for exported tables; None where there is none."""

    def _start_panes(self, alerts: AlertFile | None) -> None:
        self._is_entering = False
        """The mode has changed, and its panes have no places yet."""
        self._focus_of: dict[Mode, str] = dict(HOME)
        self._alerts = AlertBook() if alerts is None else AlertBook(alerts.load(), alerts.keep)
        self._told: set[str] = set()

    @property
    def _floor(self) -> Floor:
        return self._part(Floor)

    # -- modes -------------------------------------------------------------------------------------------------------------

    def action_mode(self, name: str) -> None:
        """Show another mode. Selection, filters and the order line stay as they are; each mode keeps its own focus."""
        mode = Mode(f"mode-{name}")
        held = self._base.focused
        if held is not None and held.id and not isinstance(held, Input):
            self._focus_of[self.mode_shown] = held.id
        self._base.remove_class(self.mode_shown)
        self._base.add_class(mode)
        self.mode_shown = mode
        self._drawn = NEVER_DRAWN
        if not isinstance(held, Input):
            # At once, for the keys that are typed behind this one; which panes have a place is known after the layout only.
            self._focus_on(self._base.query_one(f"#{self._focus_of[mode]}"))
        self._is_entering = True
        self.call_after_refresh(self._entered)

    def _entered(self) -> None:
        """The mode's panes have their places now."""
        self._is_entering = False
        if not isinstance(self._base.focused, Input):
            self._focus_on(self._home_pane())
        self.draw_anew()

    def _home_pane(self) -> Widget:
        """The pane that had the focus in this mode last; its first one where that has no place at this size."""
        for name in (self._focus_of[self.mode_shown], HOME[self.mode_shown]):
            pane = self._base.query_one(f"#{name}")
            if self._floor.is_shown(pane):
                return pane
        return self._orders

    def _to_orders(self) -> None:
        """Back from the order line: to the pane that had the focus before."""
        self._focus_on(self._home_pane())

    # -- the cursor --------------------------------------------------------------------------------------------------------

    @on(LiveTable.Moved)
    def follow_cursor(self, event: LiveTable.Moved) -> None:
        """Ladder, chart and order line follow the symbol under the cursor at once."""
        table = event.table
        row = table.row
        if row is None:
            return
        if isinstance(table, WatchList):
            self._symbol = row.id
        elif isinstance(table, PositionStrip):
            self._symbol = row.words(0).strip()
        elif isinstance(table, Blotter):
            self._follow_order(self._port.view())
        self.draw_anew()

    def action_move(self, steps: int) -> None:
        """Move the cursor of the focused table."""
        table = self.focused
        if isinstance(table, LiveTable):
            table.move(steps)

    def action_up(self) -> None:
        """Let go of the selected row, and from another pane go back to the orders."""
        table = self.focused
        if isinstance(table, LiveTable):
            table.release()
        self._focus_on(self._orders if self._floor.is_shown(self._orders) else self._home_pane())
        self.draw_anew()

    def action_open(self) -> None:
        """Details of the selected order; in the log, go to the line's order."""
        view = self._port.view()
        if isinstance(self.focused, TradeLogPanel):
            self._drill(view, self.focused)
        elif isinstance(self.focused, AlertsPanel):
            self._acknowledge(view, self.focused)
        elif isinstance(self.focused, Blotter):
            self._open_row(view)

    def _open_row(self, view: DeskView) -> None:
        """The card of the order under the cursor; of a basket, its lines."""
        basket = self._basket(view)
        if basket is not None:
            self._review(basket)
        else:
            self._show_order(view, self._chosen("open"))

    def _drill(self, view: DeskView, log: TradeLogPanel) -> None:
        """From a line of the log to its order: to its row where it has one, else to its card."""
        order_id = log.row.words(2) if log.row is not None else ""
        if not order_id:
            self._say("this line belongs to no order")
        elif any(row.id == order_id for row in self._orders.rows):
            if not self._floor.is_shown(self._orders):
                self.action_mode("blotter")
                self._focus_of[self.mode_shown] = "orders"
            else:
                self._focus_on(self._orders)
            self._orders.select(order_id)
            self._follow_order(view)
            self.draw_anew()
        else:
            self._show_order(view, next((order for order in view.orders if order.order_id == order_id), None))

    def _show_order(self, view: DeskView, order: OrderView | None) -> None:
        if order is None:
            return
        made = next((made for made in view.instruments if made.symbol == order.symbol), None)
        digits = 2 if made is None else made.tick_digits
        self.push_screen(CardScreen(f"{order.order_id} {order.symbol}", order_card(view, order, digits)))

    def _shows_orders(self) -> bool:
        # A key right behind the one that changed the mode: how many rows have a place is not known yet, and they are about to be seen.
        return self._has_orders() and (self._is_entering or bool(self._orders.window) or not self._orders.rows)

    def _has_orders(self) -> bool:
        return self.mode_shown in WITH_ORDERS

    def action_newest(self) -> None:
        """Select the newest order that is not done; where the mode shows no orders, in the blotter."""
        found = [order for order in self._port.view().orders if not order.parent_id and not order.state.is_terminal]
        newest = max(found, key=lambda order: (order.created_ns, len(order.order_id), order.order_id), default=None)
        if newest is None:
            self._say("no order is open")
            return
        if self._shows_orders():
            self._focus_on(self._orders)
        else:
            self.action_mode("blotter")
            self._focus_of[self.mode_shown] = "orders"
        self._select(newest.order_id)
        if self._orders.row is None:
            self._say(f"{newest.order_id} is the newest and does not pass the filter; / changes it")
            return
        self._say(
            f"{newest.order_id} {newest.side} {quantity(newest.qty)} {newest.symbol} is the newest: x cancels, a amends"
        )
        self.draw_anew()

    def action_tree(self, steps: int) -> None:
        """Open the selected parent's family, or shut it."""
        view = self._port.view()
        basket, order = self._basket(view), self._order(view)
        if basket is not None and isinstance(self.focused, Blotter):
            self._orders.shut_basket(basket.basket_id, is_shut=steps < 0)
            self.draw_anew()
        if order is None or not isinstance(self.focused, Blotter):
            return
        opened = self._orders.step(order.parent_id or order.order_id, steps)
        if opened is Open.SHUT and order.parent_id:
            self._orders.select(order.parent_id)
        self.draw_anew()

    def action_jump(self) -> None:
        """A letter on every pane; the next key goes there."""
        panes = {pane.id or "": pane.region.offset for pane in self._floor.panes if self._floor.is_shown(pane)}
        panes["pad"] = self._pad.region.offset

        def end(name: str | None) -> None:
            if name == "pad":
                self._pad.start("")
            elif name:
                self._focus_on(self._base.query_one(f"#{name}"))

        self.push_screen(JumpScreen({name: panes[name] for name in JUMPS.values() if name in panes}), end)

    # -- filters, sorting, marks -------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Narrow the focused pane, the orders or the log."""
        focused = self.focused
        pane = focused.id if focused is not None and focused.id in NAMES else self._filterable()
        panel = self._base.query_one(f"#{pane}")
        words = panel.filter.text if isinstance(panel, Blotter | TradeLogPanel) else ""
        self._part(FilterBar).open(pane or "orders", words)

    def _filterable(self) -> str:
        return next(name for name in NAMES if self._floor.is_shown(self._base.query_one(f"#{name}")) or name == "log")

    def apply_filter(self, pane: str, words: str) -> str:
        """What the filter line says; the words that are wrong with it."""
        panel = self._base.query_one(f"#{pane}")
        error = panel.set_filter(words) if isinstance(panel, Blotter | TradeLogPanel) else ""
        if isinstance(panel, Blotter):
            panel.reorder()
        self.draw_anew()
        return error

    def end_filter(self, pane: str) -> None:
        """Back from the filter line."""
        self._focus_on(self._base.query_one(f"#{pane}"))
        self.draw_anew()

    def action_sort(self) -> None:
        """Sort the orders by their next column."""
        self._say(f"orders sorted by {self._orders.next_sort()}; < reverses")
        self._orders.reorder()
        self.draw_anew()

    def action_reverse(self) -> None:
        """Turn the sorting round."""
        self._orders.is_reversed = not self._orders.is_reversed
        self._orders.reorder()
        self.draw_anew()

    def action_mark(self) -> None:
        """Mark the selected order, or take its mark off, and go on to the next."""
        order = self._order(self._port.view())
        if order is None or order.state.is_terminal:
            self._say("select an order that is not done to mark it; x then cancels all that are marked")
            return
        self._orders.toggle_mark(order.order_id)
        self._orders.move(1)
        self.draw_anew()

    def action_mark_all(self) -> None:
        """Mark every order that is shown and not done; again takes all marks off."""
        orders = self._orders
        if orders.marked:
            orders.marked.clear()
        else:
            shown = {row.id for row in orders.rows if not row.is_gone}
            for order in self._port.view().orders:
                if order.order_id in shown and not order.parent_id and not order.state.is_terminal:
                    orders.marked[order.order_id] = None
        self._say(f"{counted(len(orders.marked), 'order')} marked" if orders.marked else "no order is marked")
        self.draw_anew()

    # -- what leaves the screen --------------------------------------------------------------------------------------------

    def action_close(self) -> None:
        """Fill the order line with what would close the position of the symbol under the cursor."""
        held = [item for item in self._port.view().positions if item.symbol == self._symbol and item.qty]
        if not held:
            self._say(f"no position in {self._symbol} to close" if self._symbol else "no position to close")
            return
        qty = sum((item.qty for item in held[1:]), held[0].qty)
        self._pad.start(f"{'s' if qty > 0 else 'b'} {text(abs(qty))} {self._symbol} @take reduce")
        self._say(f"closes {quantity(qty)} {self._symbol}: enter previews it, nothing is sent from here")

    def action_copy(self) -> None:
        """Put the selected line, or the whole pane, into the terminal's clipboard."""
        table = self.focused if isinstance(self.focused, LiveTable) else self._orders
        rows = [table.row] if table.row is not None else [row for row in table.rows if not row.is_rule]
        self.copy_to_clipboard("\n".join("\t".join(_cells(row)) for row in rows[:COPIED_ROWS_MAX]))
        self._say(f"copied {counted(len(rows), 'line')} of {table.id}, where the terminal allows it (OSC 52)")

    def action_export(self) -> None:
        """Write the focused pane as a csv file."""
        table = self.focused if isinstance(self.focused, LiveTable) else self._orders
        if self.exports is None:
            self._say("this desk has no folder for exports")
            return
        made = io.StringIO()
        writer = csv.writer(made, lineterminator="\n")
        writer.writerow([column.title.strip() for column in table.columns])
        writer.writerows(_cells(row) for row in table.rows if not row.is_rule)
        stamp = iso(self._clock.now_ns())[:19].replace(":", "")
        path = self.exports / f"{table.id}-{stamp}.csv"
        try:
            self.exports.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(made.getvalue(), encoding="utf-8")
        except OSError as error:
            self._say(f"{path} could not be written: {error.strerror}", "bad")
            return
        self._say(f"wrote {path}")

    def action_alert(self) -> None:
        """Ask for a price to be told about."""
        symbols = [quote.symbol for quote in self._port.view().quotes]

        def end(words: str | None) -> None:
            if words:
                alert = read_alert(words, symbols)
                self._say(alert if isinstance(alert, str) else self._alerts.toggle(alert))
                self.draw_anew()

        title = "ALERT: tell me when a price is reached"
        start = f"{self._symbol} > " if self._symbol else ""
        self.push_screen(LineScreen(title, "AAPL > 190.00; the same again takes it away", start), end)

    def _check_alerts(self, view: DeskView, now_ns: int, *, is_loud: bool) -> None:
        for alert in self._alerts.check(view, now_ns):
            self._say(f"ALERT {alert.words} reached", "bad")
            if is_loud:
                self.bell()
        self._part(AlertsPanel).book = self._alerts
        if view.status.ledger_id and self._port.connected:
            found = alerts_of(view, self._alerts.alerts)
            self._alerts.forget(found)
            self._tell_waiting(
                [alert for alert in found if alert.group == WAITS and self._alerts.is_new(alert)], is_loud=is_loud
            )

    def _tell_waiting(self, waiting: list[Alert], *, is_loud: bool) -> None:
        """Say once that an order waits for a person; such an order does nothing until somebody comes."""
        untold = [alert for alert in waiting if alert.key not in self._told]
        self._told = {alert.key for alert in waiting}
        if untold:
            more = f" and {len(untold) - 1} more" if len(untold) > 1 else ""
            self._say(f"ALERT {untold[0].words}{more}: r on its row shows it", "bad")
            if is_loud:
                self.bell()

    def _acknowledge(self, view: DeskView, panel: AlertsPanel) -> None:
        """Somebody has seen the alert under the cursor; the next one comes up in its place."""
        row = panel.row
        found = [alert for alert in alerts_of(view, self._alerts.alerts) if row is not None and alert.key == row.id]
        if not self._alerts.acknowledge(found):
            self._say("select an alert that is new to acknowledge it; A sets or takes away a price")
            return
        panel.release()
        self._say(f"acknowledged: {found[0].words}; it calls again when it gets worse or comes back")
        self.draw_anew()

    def action_acknowledge(self) -> None:
        """Acknowledge every alert. Where no pane shows them they are shown first, because nobody has seen them there."""
        found = alerts_of(self._port.view(), self._alerts.alerts)
        words, is_shown = card_words(found, self._alerts), self._floor.is_shown(self._part(AlertsPanel))
        count = self._alerts.acknowledge(found)
        self._say(f"{counted(count, 'alert')} acknowledged" if count else "no alert is new")
        if not is_shown:
            self.push_screen(CardScreen("ALERTS", words))
        self.draw_anew()

    # -- single panes ------------------------------------------------------------------------------------------------------

    def action_recentre(self) -> None:
        """Put the market in the middle of the ladder."""
        self._ladder.recentre()
        self.draw_anew()

    def action_ladder(self) -> None:
        """Go to the ladder, where this mode and size show it."""
        if not self._floor.is_shown(self._ladder):
            self.action_mode("desk")
            self._focus_of[Mode.DESK] = "ladder"
        else:
            self._focus_on(self._ladder)

    def action_follow(self) -> None:
        """Follow the log's newest line."""
        self._part(TradeLogPanel).set_follow()
        self.draw_anew()

    def action_done(self) -> None:
        """Show or hide done orders."""
        self._orders.is_done_shown = not self._orders.is_done_shown
        self.draw_anew()


def _cells(row: Row) -> list[str]:
    return [row.words(index).strip() for index in range(len(row.cells))]
