"""Ticks of one listing as whole columns: what a simulated driver searches for the next tick that can matter."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import InputError
from engine.market.bars import BAR_NS, Prints
from engine.market.feed import QuoteTick, TradeTick

Column = NDArray[np.int64]
NAMES = ("ts_ns", "is_trade", "bid", "bid_qty", "ask", "ask_qty", "price", "qty", "aggressor")
ALWAYS = np.iinfo(np.int64).min
SPAN = 8_192
"""Rows looked at in one step."""
_WORDS = {1: "B", -1: "S", 0: "N"}


class PassedTicks(msgspec.Struct, frozen=True):
    """What is left of ticks that nobody had to look at: how many they were, and the newest of each kind."""

    symbol: str
    count: int
    ts_ns: int
    """Time of the last one."""
    quote: QuoteTick | None
    trade: TradeTick | None
    prints: tuple[Prints, ...]
    """By minute."""


class TickColumns:
    """Quotes and prints of one symbol at one venue in order of time, in hot-path integers.

    A row is a print where ``is_trade`` is set (``price``, ``qty``, ``aggressor`` +1, -1 or 0 hold then), else a quote (``bid``,
    ``bid_qty``, ``ask``, ``ask_qty``). Rows are numbered from 1, as ``tape_row`` of a fill names them.

    Raises:
        InputError: a column is missing or has another length, or time runs backwards.
    """

    def __init__(self, symbol: str, venue: str, columns: Mapping[str, Any]) -> None:
        self.symbol = symbol
        self.venue = venue
        missing = [name for name in NAMES if name not in columns]
        if missing:
            raise InputError(f"tick columns of {symbol} need {', '.join(NAMES)}; {missing[0]} is missing")
        made = {name: np.ascontiguousarray(columns[name], dtype=np.int64) for name in NAMES}
        self.ts_ns: Column = made["ts_ns"]
        self.rows = len(self.ts_ns)
        for name, column in made.items():
            if column.shape != (self.rows,):
                raise InputError(
                    f"tick columns of {symbol}: {name} has shape {column.shape}, ts_ns has {self.rows} rows"
                )
        back = np.flatnonzero(np.diff(self.ts_ns) < 0)
        if len(back):
            raise InputError(
                f"tick columns of {symbol}: ts_ns runs backwards after row {int(back[0]) + 1}; sort them first"
            )
        is_trade = made["is_trade"] != 0
        self._made = made
        self._trades = np.flatnonzero(is_trade)
        self._trades_before: Column = np.concatenate(([0], np.cumsum(is_trade))).astype(np.int64)
        self._newest_quote: Column = np.maximum.accumulate(np.where(is_trade, -1, np.arange(self.rows)))
        bid, ask, price = made["bid"], made["ask"], made["price"]
        # A quote without one of its sides leaves what it showed before in force, so it is always looked at.
        is_thin = ~is_trade & ((made["bid_qty"] == 0) | (made["ask_qty"] == 0))
        self._lowest: Column = np.where(is_trade, price, np.where(is_thin, ALWAYS, np.minimum(bid, ask)))
        self._highest: Column = np.where(is_trade, price, np.maximum(bid, ask))

    def tick(self, at: int) -> QuoteTick | TradeTick:
        """One row, counted from 0, as the tick it is."""
        made = self._made
        ts_ns, row = int(self.ts_ns[at]), at + 1
        if made["is_trade"][at]:
            side = _WORDS[int(made["aggressor"][at])]
            return TradeTick(self.symbol, self.venue, ts_ns, row, int(made["price"][at]), int(made["qty"][at]), side)
        bid, bid_qty = int(made["bid"][at]), int(made["bid_qty"][at])
        return QuoteTick(
            self.symbol, self.venue, ts_ns, row, bid, bid_qty, int(made["ask"][at]), int(made["ask_qty"][at])
        )

    def before(self, ts_ns: int) -> int:
        """How many rows are earlier than a time."""
        return int(np.searchsorted(self.ts_ns, ts_ns, side="left"))

    def reaching(self, begin: int, end: int, low: int, high: int) -> tuple[list[int], int]:
        """Rows from ``begin`` on that show or print a price of ``low`` or below, or of ``high`` or above, and those that are always
        looked at; and how far the search went. Where it found none it went to ``end``.
        """
        while begin < end:
            stop = min(end, begin + SPAN)
            hits = np.flatnonzero((self._lowest[begin:stop] <= low) | (self._highest[begin:stop] >= high))
            if len(hits):
                return (hits + begin).tolist(), stop
            begin = stop
        return [], end

    def passed(self, begin: int, end: int) -> PassedTicks:
        """What rows ``begin`` to ``end`` (not included) leave behind; at least one row."""
        first, last = int(self._trades_before[begin]), int(self._trades_before[end])
        newest = int(self._newest_quote[end - 1])
        quote, trade = self.tick(newest) if newest >= begin else None, None
        prints: tuple[Prints, ...] = ()
        if last > first:
            trade = self.tick(int(self._trades[last - 1]))
            prints = self._by_minute(self._trades[first:last], begin)
        assert quote is None or isinstance(quote, QuoteTick)
        assert trade is None or isinstance(trade, TradeTick)
        return PassedTicks(self.symbol, end - begin, int(self.ts_ns[end - 1]), quote, trade, prints)

    def _by_minute(self, rows: Column, begin: int) -> tuple[Prints, ...]:
        """The prints at these rows, minute by minute."""
        minutes = self.ts_ns[rows] // BAR_NS
        cuts = (
            [0, *(np.flatnonzero(np.diff(minutes)) + 1).tolist(), len(rows)]
            if minutes[0] != minutes[-1]
            else [0, len(rows)]
        )
        price, qty = self._made["price"][rows], self._made["qty"][rows]
        found = []
        for start, stop in pairwise(cuts):
            part, sizes = price[start:stop], qty[start:stop]
            found.append(
                Prints(
                    int(minutes[start]) * BAR_NS, int(part[0]), int(np.max(part)), int(np.min(part)), int(part[-1]),
                    int(sizes.sum()), int(part @ sizes), int(rows[stop - 1]) - begin + 1,
                )
            )  # fmt: skip
        return tuple(found)

    def prints(self, begin: int, end: int) -> int:
        """How many of the rows are prints."""
        return int(self._trades_before[end] - self._trades_before[begin])
