"""One-minute bars and the day's traded volume of each symbol, from the market's prints as they come.

For charts, for comparing an order with the market of its time, and for strategies that ask for bars. They are not journaled: an
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

    __slots__ = ("close", "end_ns", "high", "low", "open", "start_ns", "tick", "volume")

    def __init__(self, start_ns: int, price: int) -> None:
        self.start_ns, self.end_ns = start_ns, start_ns + BAR_NS
        self.open = self.high = self.low = self.close = price
        self.volume = 0
        self.tick = 0
        """Number of the tick that changed it last."""


class Traded(msgspec.Struct, frozen=True):
    """What the market has traded of a symbol since the engine started: sums of quantity and of price times quantity."""

    qty: int
    value: int


NOTHING = Traded(0, 0)


class Prints(msgspec.Struct, frozen=True):
    """Prints of one minute that follow each other, taken together."""

    start_ns: int
    first: int
    high: int
    low: int
    last: int
    qty: int
    value: int
    number: int
    """Which tick the last one is, counted from 1 over the ticks that were taken together."""


class Bars:
    """The bars of every symbol."""

    def __init__(self) -> None:
        self.of: dict[str, deque[Bar]] = {}
        self._running: dict[str, Bar] = {}
        """The newest bar of each symbol."""
        self._sums: dict[str, list[int]] = {}
        self._kept: dict[str, int] = {}

    def forget(self) -> None:
        """Drop every bar and sum."""
        for known in (self.of, self._running, self._sums):
            known.clear()

    def keep(self, symbol: str, bars: int) -> None:
        """Keep at least so many bars of a symbol from now on."""
        if bars > self._kept.get(symbol, BARS_KEPT):
            self._kept[symbol] = bars
            if symbol in self.of:
                self.of[symbol] = deque(self.of[symbol], maxlen=bars)

    def on_trade(self, trade: TradeTick, number: int) -> None:
        """Take in a print; ``number`` is the tick's."""
        price, qty, symbol = trade.price, trade.qty, trade.symbol
        bar = self._running.get(symbol)
        if bar is None or trade.ts_ns >= bar.end_ns:
            bar = self._bar(symbol, trade.ts_ns - trade.ts_ns % BAR_NS, price)
        if price > bar.high:
            bar.high = price
        elif price < bar.low:
            bar.low = price
        bar.close = price
        bar.volume += qty
        bar.tick = number
        sums = self._sums[symbol]
        sums[0] += qty
        sums[1] += qty * price

    def on_prints(self, symbol: str, prints: Prints, before: int) -> None:
        """Take in prints of one minute at once; ``before`` is the number of the tick before those that were taken together."""
        bar = self._bar(symbol, prints.start_ns, prints.first)
        bar.high, bar.low = max(bar.high, prints.high), min(bar.low, prints.low)
        bar.close = prints.last
        bar.volume += prints.qty
        bar.tick = before + prints.number
        sums = self._sums[symbol]
        sums[0] += prints.qty
        sums[1] += prints.value

    def _bar(self, symbol: str, start_ns: int, price: int) -> Bar:
        bars = self.of.get(symbol)
        if bars is None:
            bars = self.of[symbol] = deque(maxlen=self._kept.get(symbol, BARS_KEPT))
            self._sums[symbol] = [0, 0]
        if not bars or bars[-1].start_ns < start_ns:
            bars.append(Bar(start_ns, price))
            self._running[symbol] = bars[-1]
        # A print that comes late belongs to a bar that is closed; it counts in the running one.
        return bars[-1]

    def traded(self, symbol: str) -> Traded:
        """The sums so far."""
        sums = self._sums.get(symbol)
        return NOTHING if sums is None else Traded(sums[0], sums[1])
