"""Positions: a table where there is room, and one line of the day's figures that is always there."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from engine.domain.money import Money
from engine.views import DeskView, PositionView, SourceView
from widgets.formats import UNKNOWN, bar, counted, fixed, plain, signed, signed_quantity
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

COLUMNS = (
    Column(" symbol", 10),
    Column("net", 10, is_right=True, is_live=True),
    Column("avg", 11, is_right=True, from_width=64),
    Column("mark", 11, is_right=True),
    Column("open P&L", 11, is_right=True),
    Column("booked", 12, is_right=True, is_live=True, from_width=90),
    Column("  limit", 0),
)
EMPTY = "flat: b buys, s sells"
WARN_PCT = 80


class PositionStrip(LiveTable):
    """One row per position, those that are held first."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Positions", empty=EMPTY, id="positions")

    def draw(self, frame: Frame) -> None:
        """Show the picture's positions."""
        view, now_ns = frame.view, frame.now_ns
        held = sorted(view.positions, key=lambda item: (not item.qty, item.symbol, item.broker))
        self.show([position_row(item, frame.digits(item.symbol)) for item in held], now_ns)
        count = sum(1 for item in held if item.qty)
        title = f"Positions: {count} held" if count else "Positions"
        self.retitle(title, _totals(view))


def position_row(item: PositionView, digits: int) -> Row:
    """One position as a row. A mark that is old is the word STALE, and what depends on it is a question mark."""
    limit = "" if item.limit_pct is None else f"  {bar(item.limit_pct, 5)} {item.limit_pct}%"
    if item.bare is not None:
        limit = f"  {signed_quantity(item.bare)} BARE{limit}"
    cells = (
        f" {item.symbol}",
        signed_quantity(item.qty),
        fixed(item.avg_price, digits + 1),
        Cell("STALE", "warn") if item.mark_stale else fixed(item.mark, digits),
        Cell(signed(item.unrealised), _tone(item.unrealised)),
        Cell(signed(item.realised), _tone(item.realised)),
        limit,
    )
    return Row(f"{item.broker}/{item.account}/{item.symbol}", cells, "" if item.qty else "dim")


def _tone(value: Money | None) -> str:
    return "" if not value else "up" if value > 0 else "down"


def _totals(view: DeskView) -> str:
    if not view.positions:
        return ""
    realised, fees, unrealised = Money(0), Money(0), Money(0)
    known = True
    currency = view.status.currency
    for item in view.positions:
        if item.currency != currency:
            continue
        realised, fees = realised + item.realised, fees + item.fees
        if item.unrealised is None:
            known = False
        else:
            unrealised += item.unrealised
    shown = signed(unrealised) if known else UNKNOWN
    return f"open {shown}  booked {signed(realised)}  less fees {fixed(fees, 2)}"


class DayLine(Widget):
    """The day's result and, where it is narrow, the positions as words."""

    DEFAULT_CSS = "DayLine { height: 1; padding: 0 1; color: $foreground; background: $panel; }"

    def __init__(self) -> None:
        super().__init__(id="day")
        self._content = Content("")

    def draw(self, view: DeskView) -> None:
        """Show the picture's figures; repaints only when a word changed."""
        made = day_content(view, self.size.width)
        if made != self._content:
            self._content = made
            self.refresh()

    def render(self) -> Content:
        """The line."""
        return self._content


def day_content(view: DeskView, width: int) -> Content:
    """P&L, then what fits of the positions, then the sources of orders."""
    status = view.status
    parts: list[tuple[str, str]] = [("Day P&L ", "$quiet")]
    parts.append((f"{signed(status.pnl_day)} {status.currency}", _style(status.pnl_day)))
    used = sum(len(words) for words, _ in parts)
    held = [item for item in view.positions if item.qty]
    if width < 100:
        for index, item in enumerate(held):
            result = "STALE" if item.mark_stale else signed(item.unrealised)
            words = f"  {item.symbol} {signed_quantity(item.qty)} "
            if used + len(words) + len(result) + 12 > width:
                parts.append((f"  (+{len(held) - index})", "$quiet"))
                break
            parts += [(words, ""), (result, _style(item.unrealised))]
            used += len(words) + len(result)
        if not held:
            parts.append(("  flat", "$quiet"))
        return Content.assemble(*parts)
    parts += _results(view)
    if status.overfills or status.illegal_inputs:
        parts.append((f"   {status.overfills} overfills  {status.illegal_inputs} illegal inputs", "bold $caution"))
    if status.policy_error:
        parts.append(("   POLICY NOT TAKEN: the old one stays (see log)", "bold $caution"))
    parts.append((f" | {status.orders_working} working, {counted(status.parents_open, 'parent')}", ""))
    gross = next((item.used_pct for item in view.limits if item.code == "GROSS_MAX"), None)
    if gross is not None:
        parts.append((f" | gross {gross}% {bar(gross, 10)}", "bold $caution" if gross >= WARN_PCT else ""))
    shown, room = [], width
    for words, style in parts:
        if len(words) <= room:
            shown.append((words, style))
            room -= len(words)
    return Content.assemble(*shown, *_sources(status.sources, room))


def _sources(sources: Sequence[SourceView], room: int) -> list[tuple[str, str]]:
    """Those of orders with their states, as many as fit; a name without its state would say nothing."""
    found: list[tuple[str, str]] = []
    for index, source in enumerate(sources):
        words = f"   {plain(source.name)} {source.state.upper()}"
        more = f"   +{counted(len(sources) - index, 'source')}"
        if len(words) + (0 if index == len(sources) - 1 else len(more)) > room:
            return [*found, (more, "$quiet")] if len(more) <= room else found
        found.append((words, "$quiet" if source.state == "on" else "bold $caution"))
        room -= len(words)
    return found


def _results(view: DeskView) -> list[tuple[str, str]]:
    """What the positions have brought since they were opened; the day's result may begin later."""
    if not view.positions:
        return [("  flat", "$quiet")]
    return [(f" | {_totals(view)}", "$quiet")]


def _style(value: Money | None) -> str:
    return "bold" if not value else "bold $up" if value > 0 else "bold $down"
