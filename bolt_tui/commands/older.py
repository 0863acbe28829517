"""Rows that an engine's picture is too short for: they are read from its ledger, and what even that leaves out is said.

A picture holds every open order and the last ended ones, so that it stays small on the wire; a list promises more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.api.picture import DONE_SHOWN_MAX
from engine.views import DeskView, FillView, OrderView

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context
    from bolt_tui.stored import Stored


def with_ended(
    context: Context, view: DeskView, marks: dict[str, Any], symbol: str, fills_max: int = 0
) -> tuple[tuple[OrderView, ...], tuple[FillView, ...]]:
    """The picture's orders and executions (of one symbol, or of all), and behind them the newest ended ones of the ledger.

    How many older orders are left out is said, and stands in ``marks`` as ``left_out``. Of a past only its picture is known.
    Where both have a row it is the picture's.

    Raises:
        StoreError: the ledger is there and cannot be read.
    """
    orders = {row.order_id: row for row in view.orders if symbol in {"", row.symbol}}
    fills = {row.seq: row for row in view.fills if symbol in {"", row.symbol}}
    if context.args.at or context.args.ledger:
        if len(view.orders) >= DONE_SHOWN_MAX:
            context.out.say(
                f"bolt: the picture of a past has its open orders and the last {DONE_SHOWN_MAX} rows; older ones are left out"
            )
        return tuple(orders.values()), tuple(fills.values())
    stored = beside(context)
    if stored is None:
        return tuple(orders.values()), tuple(fills.values())
    # An open one that the picture lacks was placed after it was drawn.
    ended = [row for row in stored.orders(with_ended=True, symbol=symbol) if row.state.is_terminal]
    orders = {row.order_id: row for row in ended} | orders
    if fills_max:
        fills = {row.seq: row for row in stored.fills(fills_max, symbol)} | fills
    say_left_out(context, marks, stored.count(symbol) - len(orders), symbol)
    return tuple(orders.values()), tuple(fills[seq] for seq in sorted(fills))


def with_older_fills(context: Context, rows: list[FillView], limit: int, symbol: str) -> list[FillView]:
    """The last executions where the picture has fewer than were asked for: those of the ledger before them."""
    stored = beside(context)
    if stored is None:
        return rows
    found = {row.seq: row for row in stored.fills(limit, symbol)} | {row.seq: row for row in rows}
    return [found[seq] for seq in sorted(found)][-limit:]


def beside(context: Context) -> Stored | None:
    """The ledger of an engine that answers; None where it keeps none here. Raises StoreError where it cannot be read."""
    from bolt_tui.stored import open_stored

    return open_stored(context.found)


def say_left_out(context: Context, marks: dict[str, Any], count: int, symbol: str) -> None:
    """Say how many older orders a list does not have, where there are any."""
    marks["left_out"] = max(0, count)
    if count > 0:
        more = "`bolt statement` and `bolt events` read the whole ledger"
        narrow = "" if symbol else "--symbol narrows the list; "
        context.out.say(f"bolt: {count} older ended rows are left out; {narrow}{more}")
