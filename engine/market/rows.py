"""Rows of a market feed as integer tuples: what recorded files and the simulated market both produce.

A row is ``(ts_ns, action, side, order_id, price, qty, row)``. Price and quantity are hot-path integers of the
instrument; ``row`` counts from 1 at the first row of the feed, 0 means before any row.
"""

from __future__ import annotations

Row = tuple[int, int, int, int, int, int, int]

ADD = 0
"""A new visible order came to rest."""
REDUCE = 1
"""``qty`` of it was cancelled."""
DELETE = 2
"""The rest of it was cancelled; ``qty`` is what was left."""
EXEC = 3
"""``qty`` of this visible resting order was executed."""
HIDDEN = 4
"""``qty`` of a hidden order was executed; ``side`` is the hidden order's."""
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

BUY = 1
SELL = -1
NEITHER = 0

ACTION_NAMES = (
    "ADD", "REDUCE", "DELETE", "EXEC", "HIDDEN", "HALT", "RESUME", "QUOTE", "LEVEL", "TRADE", "CLEAR",
)  # fmt: skip

AGGRESSOR = {BUY: "B", SELL: "S", NEITHER: "N"}


def listing_key(symbol: str, venue: str) -> str:
    """How a feed and a venue core name one symbol at one venue: ``AAPL@XNAS``."""
    return f"{symbol}@{venue}"
