"""Our layout for order-by-order books, which is LOBSTER's message file with words for its numbers.

``ts_ns,action,side,order_id,price,qty``; ``docs/market-data.md`` lists the actions. A file with ``END`` rows is judged at those only.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.market.formats.fields import AGGRESSORS, ODD, SIDES, TS_MAX, TS_MIN, Wrong, order_fault, refuse
from engine.market.formats.layout import ORDERS, Layout, Reading
from engine.market.rows import (
    ADD,
    DELETE,
    END,
    EXEC,
    FILL,
    HALT,
    HIDDEN,
    MODIFY,
    NEITHER,
    REDUCE,
    RESUME,
    TRADE,
    Feed,
)

ACTIONS = {
    "ADD": ADD,
    "REDUCE": REDUCE,
    "DELETE": DELETE,
    "EXEC": EXEC,
    "HIDDEN": HIDDEN,
    "HALT": HALT,
    "RESUME": RESUME,
    "MODIFY": MODIFY,
    "FILL": FILL,
    "TRADE": TRADE,
    "END": END,
}
# LOBSTER's price of a trading-halt message: -1 halted, 0 quoting resumed, 1 trading resumed (also as 1/10000 units).
_HALT_WORDS = {"-1": HALT, "-0.0001": HALT, "": HALT, "0": HALT, "1": RESUME, "0.0001": RESUME}


def read_orders(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of the order-by-order layout."""
    path, key = reading.path, reading.key
    ticks, prints, sizes = reading.grid.ticks, reading.grid.prints, reading.grid.sizes
    odd = ODD.search
    last = TS_MIN
    for number, line in enumerate(lines, 1):
        try:
            when, action, side, order_id, price, qty = line.split(",")
            code = ACTIONS[action]
            ts_ns = int(when)
            if ts_ns < last or odd(line) or ts_ns > TS_MAX:
                refuse(path, number, line, order_fault(ts_ns, last))
            last = ts_ns
            if code <= EXEC or code == MODIFY:
                row = (ts_ns, code, SIDES[side], int(order_id), ticks[price], sizes[qty], number)
                if row[5] <= 0 or row[3] <= 0:
                    refuse(path, number, line, "expected a quantity and an order_id above zero")
            elif code in {HIDDEN, FILL, TRADE}:
                sign = AGGRESSORS[side] if code == TRADE else SIDES[side]
                row = (ts_ns, code, sign, int(order_id), prints[price], sizes[qty], number)
            elif code == END:
                row = (ts_ns, END, NEITHER, 0, 0, 0, number)
            else:
                row = (ts_ns, HALT if code == HALT and _HALT_WORDS[price] == HALT else RESUME, NEITHER, 0, 0, 0, number)
        except (ValueError, KeyError) as error:
            refuse(path, number, line, _fault(line, error))
        yield key, row


def _fault(line: str, error: Exception) -> str:
    fields = line.split(",")
    if len(fields) != 6:
        return f"expected 6 fields, was {len(fields)}"
    if isinstance(error, Wrong):
        return str(error)
    if fields[1] not in ACTIONS:
        return f"unknown action {fields[1]!r}; expected one of {', '.join(ACTIONS)}"
    if fields[1] in {"HALT", "RESUME"}:
        return f"unknown halt price {fields[4]!r}; expected -1 (halted), 0 (quoting resumed) or 1 (trading resumed)"
    if fields[2] not in SIDES:
        return f"unknown side {fields[2]!r}; expected B or S"
    return "expected whole numbers in ts_ns and order_id"


ORDER_LAYOUT = Layout(
    name="lobster",
    header="ts_ns,action,side,order_id,price,qty",
    title="order by order (LOBSTER, or ours)",
    read=read_orders,
    depth=ORDERS,
    mic="XNAS",
)
