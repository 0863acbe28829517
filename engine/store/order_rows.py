"""Orders and fills as rows of their tables: what other tools read without replaying the journal."""

from __future__ import annotations

from typing import Any

from engine.domain import events as ev
from engine.domain.money import text
from engine.store.order import Order


def _maybe(value: Any) -> str | None:
    return None if value is None else text(value)


def order_row(order: Order) -> dict[str, Any]:
    """One order as its table holds it."""
    return {
        "order_id": order.order_id,
        "parent_id": order.parent_id,
        "wire_id": order.wire_id,
        "intent_id": order.intent_id,
        "symbol": order.spec.symbol,
        "side": order.spec.side.value,
        "qty": text(order.qty),
        "qty_filled": text(order.qty_filled),
        "type": order.spec.type.value,
        "limit": _maybe(order.limit),
        "stop": _maybe(order.stop),
        "tif": order.spec.tif.value,
        "state": order.state.value,
        "broker": order.spec.broker,
        "account": order.spec.account,
        "source": f"{order.source.kind.value}:{order.source.name}",
        "created_ns": order.created_ns,
        "updated_ns": order.updated_ns,
        "last_seq": order.updated_seq,
        "spec": ev.encode(order.spec).decode(),
    }


def fill_row(order_id: str, fill: ev.Fill, seq: int, *, busted: bool) -> dict[str, Any]:
    """One execution as its table holds it."""
    return {
        "broker": fill.broker,
        "account": fill.account,
        "fill_key": fill.fill_key,
        "order_id": order_id,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "qty": text(fill.qty),
        "price": text(fill.price),
        "fee": text(fill.fee),
        "fee_currency": fill.fee_currency,
        "ts_ns": fill.ts_ns,
        "venue": fill.venue,
        "liquidity": fill.liquidity.value,
        "seq": seq,
        "busted": int(busted),
    }
