"""Everything a picture knows of one order, as lines of text."""

from __future__ import annotations

from engine.domain.clock import hms, iso
from engine.domain.money import padded, text
from engine.domain.order import STATES
from engine.views import DeskView, OrderView
from widgets.blotter import price_words, queue_words
from widgets.formats import figure, is_figure, plain, wrap

WIDTH = 72
FILLS_SHOWN_MAX = 40


def order_card(view: DeskView, order: OrderView, digits: int) -> str:
    """Terms, state, who and why, refusals, children and fills."""
    words = STATES[order.state]
    lines = [
        " ".join(
            word
            for word in (
                f"{order.side} {text(order.qty)} {order.symbol} {price_words(order, digits)}",
                *(
                    [f"stop {padded(order.stop, digits)}"]
                    if order.type == "stop_limit" and order.stop is not None
                    else []
                ),
                order.tif,
                order.terms(digits),
                order.flags,
            )
            if word
        ),
        f"state      {order.word}" + (f": {words.meaning}" if order.word == words.screen else ""),
        f"done       {text(order.qty_filled)} of {text(order.qty)}"
        + (f" at {padded(order.avg_price, digits)}" if order.avg_price is not None else ""),
        f"asked by   {plain(order.source)}" + (f", because {plain(order.why)}" if order.why else ""),
        f"algorithm  {order.algo or 'child of ' + order.parent_id}",
        f"broker     {plain(order.broker)} {plain(order.account)}",
        f"made       {iso(order.created_ns)[:23]}Z, changed {hms(order.updated_ns)}",
    ]
    lines += [
        f"{name:<11}{value}" for name, value in (("wire id", order.wire_id), ("intent id", order.intent_id)) if value
    ]
    if order.parent_id and order.limit is not None and order.state.is_live:
        lines.append(f"queue      {_queue_words(order)}")
    if order.note:
        lines.append(f"note       {plain(order.note)}")
    for denial in order.denials:
        against = f" limit {figure(denial.limit)}" if is_figure(denial.limit) else ""
        lines.append(f"DENIED {denial.code} {figure(denial.value)}{against} {denial.policy_line}".rstrip())
        lines.append(f"  {plain(denial.text)}")
    children = [child for child in view.orders if child.parent_id == order.order_id]
    if children:
        lines += ["", f"CHILDREN {len(children)}"]
        for child in children:
            state = child.word
            done = f"{text(child.qty_filled)}/{text(child.qty)}"
            lines.append(
                f"  {child.order_id:<7}{done:>12} {price_words(child, digits):<14} {state:<7}{plain(child.note)}"
            )
    family = {order.order_id, *(child.order_id for child in children)}
    fills = [fill for fill in view.fills if fill.order_id in family]
    if fills:
        lines += ["", f"FILLS {len(fills)}"]
        for fill in reversed(fills[-FILLS_SHOWN_MAX:]):
            fee = f"fee {text(fill.fee)} {fill.fee_currency}"
            flags = " BUSTED" if fill.busted else " LATE" if fill.late else ""
            lines.append(
                f"  {hms(fill.ts_ns)} {text(fill.qty):>8} at {padded(fill.price, digits):<10} {plain(fill.venue)} {fill.liquidity} {fee}{flags}"
                + (f"; {plain(fill.note)}" if fill.note else "")
            )
    return "\n".join(part for line in lines for part in (wrap(line, WIDTH, "  ") if len(line) > WIDTH else [line]))


def _queue_words(order: OrderView) -> str:
    """What stands before it at its price: as the broker tells it, or as an estimate that says so."""
    if order.queue_ahead is None:
        return f"no queue: {plain(order.broker)} tells no place"
    return f"{queue_words(order)} ahead at this price{', estimated from the depth' if order.queue_guessed else ''}"
