"""`bolt orders | positions | fills | events`: what the running engine knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bolt_tui.commands import show
from bolt_tui.commands.exits import Exit
from engine.domain.clock import iso
from engine.domain.events import AnyEvent, encode, kind_of

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context

EVENTS_SHOWN = 100


def orders(context: Context) -> Exit:
    """List orders, children under their parents."""
    args = context.args
    with context.client() as client:
        view = client.view()
    rows = [row for row in view.orders if (args.all or not row.state.is_terminal) and _is_of(args.symbol, row.symbol)]
    rows.sort(key=lambda row: (_number(row.parent_id or row.order_id), bool(row.parent_id), row.created_ns))
    context.out.object("orders", {"orders": rows})
    context.out.table(show.ORDER_HEADERS, [show.order_row(row) for row in rows], show.ORDER_RIGHT)
    if not rows:
        context.out.say("bolt: no orders" if args.all else "bolt: no open orders; --all shows those that have ended")
    return Exit.OK


def positions(context: Context) -> Exit:
    """List positions."""
    with context.client() as client:
        view = client.view()
    rows = [row for row in view.positions if _is_of(context.args.symbol, row.symbol)]
    context.out.object(
        "positions", {"positions": rows, "pnl_day": view.status.pnl_day, "currency": view.status.currency}
    )
    context.out.table(show.POSITION_HEADERS, [show.position_row(row) for row in rows], show.POSITION_RIGHT)
    return Exit.OK


def fills(context: Context) -> Exit:
    """List executions."""
    with context.client() as client:
        view = client.view()
    rows = [row for row in view.fills if _is_of(context.args.symbol, row.symbol)]
    rows = rows[-context.args.limit :] if context.args.limit > 0 else []
    context.out.object("fills", {"fills": rows})
    context.out.table(show.FILL_HEADERS, [show.fill_row(row) for row in rows], show.FILL_RIGHT)
    return Exit.OK


def events(context: Context) -> Exit:
    """Show journaled events, JSON or not: each on its own line, so that it can be followed."""
    args = context.args
    with context.client() as client:
        head = client.view().status.head_seq
        first = args.from_seq or max(1, head - EVENTS_SHOWN + 1)
        stream = client.follow(first) if args.follow else client.events(first, max(0, head - first + 1))
        left = args.limit
        for seq, ts_ns, event in stream:
            if args.kind and kind_of(event) not in args.kind:
                continue
            if not args.follow and left <= 0:
                break
            left -= 1
            context.out.object("event", event_fields(seq, ts_ns, event))
            context.out.line(event_line(seq, ts_ns, event))
    return Exit.OK


def event_fields(seq: int, ts_ns: int, event: AnyEvent) -> dict[str, Any]:
    """A journaled event as JSON fields."""
    return {"seq": seq, "ts_ns": ts_ns, "kind": kind_of(event), "event": event}


def event_line(seq: int, ts_ns: int, event: AnyEvent) -> str:
    """A journaled event for a person."""
    return f"{seq} {iso(ts_ns)} {encode(event).decode()}"


def _is_of(asked: str, symbol: str) -> bool:
    return not asked or asked.upper() == symbol


def _number(order_id: str) -> int:
    return int(order_id[1:]) if order_id[1:].isdigit() else 0
