"""Orders and fills as rows of their tables: what other tools read without replaying the journal."""

from __future__ import annotations

from engine.domain import events as ev
from engine.store.order import Order
from engine.store.statements import Values

# ``_value_`` is the text of an enumeration's member; ``value`` asks Python code for it.


def order_row(order: Order) -> Values:
    """One order as its table holds it: values in the order of its columns."""
    spec, source, limit, stop = order.spec, order.source, order.limit, order.stop
    return (
        order.order_id,
        order.parent_id,
        order.wire_id,
        order.intent_id,
        spec.symbol,
        spec.side._value_,
        order.qty.text(),
        order.qty_filled.text(),
        spec.type._value_,
        None if limit is None else limit.text(),
        None if stop is None else stop.text(),
        spec.tif._value_,
        order.state._value_,
        spec.broker,
        spec.account,
        f"{source.kind._value_}:{source.name}",
        order.created_ns,
        order.updated_ns,
        order.updated_seq,
        ev.encode(spec).decode(),
    )


def fill_row(order_id: str, fill: ev.Fill, seq: int, *, busted: bool) -> Values:
    """One execution as its table holds it."""
    return (
        fill.broker,
        fill.account,
        fill.fill_key,
        order_id,
        fill.symbol,
        fill.side._value_,
        fill.qty.text(),
        fill.price.text(),
        fill.fee.text(),
        fill.fee_currency,
        fill.ts_ns,
        fill.venue,
        fill.liquidity._value_,
        seq,
        int(busted),
    )
