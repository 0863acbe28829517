"""Rows of a market feed as integer tuples: what recorded files and the simulated market both produce.

A row is ``(ts_ns, action, side, order_id, price, qty, row)``. Price and quantity are hot-path integers of the
instrument; ``row`` counts from 1 at the first row of the feed, 0 means before any row.
"""

from __future__ import annotations

from collections.abc import Iterator

Row = tuple[int, int, int, int, int, int, int]

Feed = Iterator[tuple[str, Row]]
"""Rows, each with the key of its listing (symbol and venue)."""

ADD = 0
"""A new visible order came to rest."""
REDUCE = 1
"""``qty`` of it was cancelled."""
DELETE = 2
"""The rest of it was cancelled; ``qty`` is what was left."""
EXEC = 3
"""``qty`` of this visible resting order was executed."""
HIDDEN = 4
"""``qty`` was executed in which no displayed order took part (hidden, off the exchange); ``side`` is the resting side."""
HALT = 5
RESUME = 6
QUOTE = 7
"""The best price of one side is now ``price`` with ``qty`` (0 and 0: that side is empty)."""
LEVEL = 8
"""The visible size at ``price`` is now ``qty``; 0 removes the level."""
TRADE = 9
"""A print; ``side`` is the aggressor's, 0 where it is not known."""
CLEAR = 10
"""The book of this venue is void; what follows with the same time stamp builds it anew."""
MODIFY = 11
"""This visible order has a new ``price`` and ``qty`` left, and goes to the back of its queue."""
FILL = 12
"""``qty`` of this visible resting order was matched at ``price``, which may be other than its own (an auction); the print
is a TRADE row of its own. ``order_id`` 0: of what nobody displayed (the reserve of an iceberg)."""
END = 13
"""The event is complete: only now is the book, or the bar, judged."""
BAR = 14
"""A bar begins. For orders of ``side``: ``price`` is the worst price in it, ``order_id`` the price it must pass to fill a
resting one, ``qty`` its volume."""

BUY = 1
SELL = -1
NEITHER = 0

ACTION_NAMES = (
    "ADD", "REDUCE", "DELETE", "EXEC", "HIDDEN", "HALT", "RESUME", "QUOTE", "LEVEL", "TRADE", "CLEAR", "MODIFY", "FILL",
    "END", "BAR",
)  # fmt: skip

AGGRESSOR = {BUY: "B", SELL: "S", NEITHER: "N"}


def listing_key(symbol: str, venue: str) -> str:
    """How a feed and a venue core name one symbol at one venue: ``AAPL@XNAS``."""
    return f"{symbol}@{venue}"
