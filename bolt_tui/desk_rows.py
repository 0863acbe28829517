"""Turns pictures into table rows and lines of words: what the desk shows, as plain text."""

from __future__ import annotations

from decimal import Decimal

from engine.domain.clock import NS_PER_S, hms, iso
from engine.domain.order import STATES, OrderState
from engine.views import DeskView, OrderView
from widgets.live_table import Column, Row

POSITIONS = (
    Column("symbol", 10),
    Column("qty", 10, is_right=True),
    Column("avg", 12, is_right=True),
    Column("mark", 12, is_right=True),
    Column("open", 11, is_right=True),
    Column("booked", 11, is_right=True),
    Column(" fees", 12),
)
ORDERS = (
    Column("id", 7),
    Column("S", 2),
    Column("symbol", 9),
    Column("done/qty", 14, is_right=True),
    Column("price", 11, is_right=True),
    Column("avg", 11, is_right=True),
    Column("state", 8),
    Column("algo", 10),
    Column("note", 0),
)
LADDER = (
    Column("bid qty", 9, is_right=True),
    Column("price", 12, is_right=True),
    Column("ask qty", 9, is_right=True),
    Column("own", 0),
)
LOG = (Column("time", 13), Column("what", 8), Column("order", 7), Column("text", 0))

LADDER_LEVELS = 5


def signed(value: Decimal | None) -> str:
    """A number with its sign; a question mark where it is not known."""
    return "?" if value is None else f"{value:+f}" if value else "0"


def status_line(view: DeskView, trouble: str) -> str:
    """Mode, trading state, brokers, result and time."""
    status = view.status
    word = {"active": "TRADING ON", "reducing": "REDUCING", "halted": "HALTED"}[status.halt.state]
    parts = [f" {status.mode} {status.account}", word]
    for broker in status.brokers:
        parts.append(f"{broker.broker} {broker.state}")
    parts.append(f"P&L {signed(status.pnl_day)} {status.currency}")
    if status.orders_unknown:
        parts.append(f"{status.orders_unknown} UNKNOWN")
    if trouble:
        parts.append(f"LINE: {trouble}")
    parts.append(iso(status.ts_ns)[11:19] + "Z")
    return " | ".join(parts)


def banner(view: DeskView) -> str:
    """The halt and its growing receipt; empty while all is active."""
    halt = view.status.halt
    if halt.state == "active":
        return ""
    durable = "durable" if halt.durable else "NOT YET ON DISK"
    words = f" {halt.state.upper()} {hms(halt.ts_ns)} by {halt.who}: {halt.why} | {durable}"
    if halt.state == "halted":
        words += f" | {halt.cancels_sent} cancels sent, {halt.cancels_confirmed} confirmed, {halt.unknown} unknown"
        words += f", {halt.kept} kept | " + ("done" if halt.done else "working")
    for text in halt.residual:
        words += f"\n LEFT {text}"
    left_s = max(0, halt.rearm_after_ns - view.status.ts_ns) // NS_PER_S
    return words + (f"\n R re-arms in {left_s} s" if left_s else "\n R re-arms")


def order_rows(view: DeskView) -> list[Row]:
    """Parents newest first, each with its children below it."""
    children: dict[str, list[OrderView]] = {}
    tops = []
    for order in view.orders:
        if order.parent_id:
            children.setdefault(order.parent_id, []).append(order)
        else:
            tops.append(order)
    rows = []
    for parent in sorted(tops, key=lambda order: -order.created_ns):
        rows.append(_order_row(parent, ""))
        kids = children.get(parent.order_id, [])
        if parent.algo != "direct":
            rows += [_order_row(child, " ") for child in kids if child.state.is_live]
    return rows


def _order_row(order: OrderView, indent: str) -> Row:
    price = "MKT" if order.limit is None and order.stop is None else str(order.limit or "")
    if order.stop is not None:
        price = f"S{order.stop} {price}".strip()
    tone = "alarm" if order.state is OrderState.UNKNOWN else "sell" if order.side.letter == "S" else "buy"
    if order.state.is_terminal:
        tone = "warn" if order.state in {OrderState.REJECTED, OrderState.DENIED} else "dim"
    algo = order.algo if order.algo in {"", "direct"} else f"{order.algo} {order.progress_pct}%"
    cells = (
        indent + order.order_id,
        order.side.letter,
        order.symbol,
        f"{order.qty_filled}/{order.qty}",
        price,
        "" if order.avg_price is None else str(order.avg_price),
        STATES[order.state].screen + ("!" if order.stale else ""),
        algo,
        " ".join(part for part in (order.flags, order.note) if part),
    )
    return Row(order.order_id, tuple(f" {cell}" if n == 6 else cell for n, cell in enumerate(cells)), tone)


def position_rows(view: DeskView) -> list[Row]:
    """Every position, flat ones last."""
    rows = []
    for position in sorted(view.positions, key=lambda item: (not item.qty, item.symbol)):
        cells = (
            position.symbol,
            signed(position.qty),
            "" if position.avg_price is None else str(position.avg_price),
            "STALE" if position.mark_stale else "" if position.mark is None else str(position.mark),
            signed(position.unrealised),
            signed(position.realised),
            f" {position.fees} {position.currency}",
        )
        rows.append(
            Row(f"{position.broker}/{position.account}/{position.symbol}", cells, "" if position.qty else "dim")
        )
    return rows


def ladder_rows(view: DeskView, symbol: str) -> list[Row]:
    """The best levels, asks above bids, with our own working quantity beside its price."""
    book = next((book for book in view.books if book.symbol == symbol), None)
    if book is None:
        return []
    own: dict[Decimal, str] = {}
    for order in view.orders:
        if order.symbol == symbol and order.parent_id and order.state.is_live and order.limit is not None:
            own[order.limit] = f" {order.side.letter}{order.qty - order.qty_filled}"
    digits = max(0, -int(book.tick.as_tuple().exponent))
    asks = [
        Row(f"a{n}", ("", f"{p:.{digits}f}", str(q), own.get(p, "")))
        for n, (p, q) in enumerate(book.asks[:LADDER_LEVELS])
    ]
    bids = [
        Row(f"b{n}", (str(q), f"{p:.{digits}f}", "", own.get(p, "")))
        for n, (p, q) in enumerate(book.bids[:LADDER_LEVELS])
    ]
    return [*reversed(asks), *bids]


def log_rows(view: DeskView) -> list[Row]:
    """The tail of the log."""
    tones = {"info": "", "warn": "warn", "critical": "alarm"}
    return [
        Row(str(line.seq), (hms(line.ts_ns), line.word, line.order_id, line.text), tones.get(line.severity, ""))
        for line in view.log[-200:]
    ]
