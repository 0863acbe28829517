"""What the laboratory's venue does while orders work, with no order of ours behind it: dividends, splits, sales of the house, pauses.

A booking is told once by a report that may be lost, doubled or late like any other, and stands in every snapshot from then on.
"""

from __future__ import annotations

from bolt_tui.faults.schedule import HELD, START_CENTS
from bolt_tui.faults.venue import ACCOUNT, BROKER, Execution, Venue, mils
from engine.domain.clock import NS_PER_MS
from engine.domain.money import Qty
from engine.domain.movements import CashLeg, Movement, MovementKind
from engine.domain.order import Side
from engine.oms import broker_interface as bi

DIVIDEND_MILS = 120
"""A share."""
NEW_FOR_OLD = 2
CALLED_PCT = 5
"""Of what is held, so much is sold where a call has run out."""


def dividend(venue: Venue, now_ns: int) -> None:
    """Cash for what is held."""
    venue.at(now_ns)
    amount = venue.position(HELD) * DIVIDEND_MILS
    venue.booked_mils += amount
    _tell(venue, now_ns, MovementKind.DIVIDEND, cash=(CashLeg("USD", mils(amount)),))


def split(venue: Venue, now_ns: int) -> None:
    """Two new shares for one: positions, prices and what is left of open orders."""
    venue.at(now_ns)
    venue.splits += 1
    venue.mids[HELD] //= NEW_FOR_OLD
    venue.homes[HELD] = max(START_CENTS >> venue.splits, 1)
    _tell(venue, now_ns, MovementKind.SPLIT, qty=Qty(venue.position(HELD)), ratio=(NEW_FOR_OLD, 1))
    for order in list(venue.orders.values()):
        if order.is_open and order.spec.symbol == HELD:
            venue.rescale(order, NEW_FOR_OLD)


def liquidate(venue: Venue, now_ns: int, percent: int) -> None:
    """The house sells a part of what is held: an execution of an order that is none of ours."""
    venue.at(now_ns)
    qty = venue.position(HELD) * percent // 100
    if qty <= 0:
        return
    number = sum(not one.wire_id for one in venue.executions.values()) + 1
    made = Execution(
        key=f"{HELD}:H{number}",
        wire_id="",
        symbol=HELD,
        side=Side.SELL,
        qty=qty,
        cents=venue.touch(HELD)[0],
        ts_ns=now_ns,
        venue_order_id=f"H{number}",
        splits=venue.splits,
    )
    venue.executions[made.key] = made
    venue.note("fill", key=made.key, wire="", symbol=HELD, side="sell", qty=qty, cents=made.cents)
    _tell(venue, now_ns, MovementKind.LIQUIDATION, text="equity is below what the positions need")
    venue.report(bi.Filled(broker=BROKER, ts_ns=0, fill=made.fill()))


def margin_call(venue: Venue, now_ns: int, wait_ns: int) -> None:
    """The house wants margin until a deadline; then it cancels what works and sells a part of what is held."""
    venue.at(now_ns)
    _tell(venue, now_ns, MovementKind.MARGIN_CALL, text=f"margin is wanted within {wait_ns // NS_PER_MS} ms")

    def run_out() -> None:
        due_ns = now_ns + wait_ns
        venue.end_all(due_ns)
        liquidate(venue, due_ns, CALLED_PCT)

    venue.after(wait_ns, run_out)


def pause(venue: Venue, now_ns: int, symbol: str, wait_ns: int) -> None:
    """Trading of a symbol stops, and opens again with a cross of all that can trade by then."""
    venue.at(now_ns)
    venue.paused.add(symbol)
    venue.note("paused", symbol=symbol, ms=wait_ns // NS_PER_MS)

    def reopen() -> None:
        venue.at(now_ns + wait_ns)
        venue.paused.discard(symbol)
        venue.note("reopened", symbol=symbol)
        venue.cross(symbol)

    venue.after(wait_ns, reopen)


def _tell(venue: Venue, now_ns: int, kind: MovementKind, **parts: object) -> None:
    facts = {"broker": BROKER, "account": ACCOUNT, "key": f"M{len(venue.moved) + 1}", "kind": kind, "ts_ns": now_ns}
    made = Movement(**facts, symbol=HELD, **parts)  # type: ignore[arg-type] # the facts above and a movement's own parts
    venue.moved.append(made)
    venue.note("moved", key=made.key, kind=str(kind), symbol=HELD, factor=made.ratio[0])
    venue.report(bi.Moved(broker=BROKER, ts_ns=0, movement=made))
