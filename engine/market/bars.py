"""One-minute bars and the day's traded volume of each symbol, from the market's prints as they come.

For charts and for comparing an order with the market of its time. Nothing decides by them, and they are not journaled: an
engine that was started again begins them anew, and says so by having none.
"""

from __future__ import annotations

from collections import deque

import msgspec

from engine.domain.clock import NS_PER_S
from engine.market.feed import TradeTick

BAR_NS = 60 * NS_PER_S
BARS_KEPT = 240
"""Bars kept of each symbol: four hours."""


class Bar:
    """One minute of one symbol, in the hot path's integer units."""

    __slots__ = ("close", "high", "low", "open", "start_ns", "tick", "volume")

    def __init__(self, start_ns: int, price: int) -> None:
        self.start_ns = start_ns
        self.open = self.high = self.low = self.close = price
        self.volume = 0
        self.tick = 0
        """Number of the tick that changed it last."""


class Traded(msgspec.Struct, frozen=True):
    """What the market has traded of a symbol since the engine started: sums of quantity and of price times quantity."""

    qty: int
    value: int


NOTHING = Traded(0, 0)


class Bars:
    """The bars of every symbol."""

    def __init__(self) -> None:
        self.of: dict[str, deque[Bar]] = {}
        self._sums: dict[str, list[int]] = {}

    def on_trade(self, trade: TradeTick, number: int) -> None:
        """Take in a print; ``number`` is the tick's."""
        start_ns = trade.ts_ns - trade.ts_ns % BAR_NS
        price = trade.price
        bars = self.of.get(trade.symbol)
        if bars is None:
            bars = self.of[trade.symbol] = deque(maxlen=BARS_KEPT)
            self._sums[trade.symbol] = [0, 0]
        if not bars or bars[-1].start_ns < start_ns:
            bars.append(Bar(start_ns, price))
        # A print that comes late belongs to a bar that is closed; it counts in the running one.
        bar = bars[-1]
        if price > bar.high:
            bar.high = price
        elif price < bar.low:
            bar.low = price
        bar.close = price
        bar.volume += trade.qty
        bar.tick = number
        sums = self._sums[trade.symbol]
        sums[0] += trade.qty
        sums[1] += trade.qty * price

    def traded(self, symbol: str) -> Traded:
        """The sums so far."""
        sums = self._sums.get(symbol)
        return NOTHING if sums is None else Traded(sums[0], sums[1])
