"""Interactive Brokers' streaming ticks: ``ts_ns,tick_type,price,size``.

They are samples (four a second and less), not every change. Types 0 to 3 carry a side's price and size; a trade is a rise of the day's
volume (8) at the last price (4, 5), because equal last sizes are not sent twice. Without volume ticks each last (4, and a 5 with a
time of its own) is a trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.market.formats.fields import Wrong, lines_of, whole
from engine.market.formats.layout import LEVELS, Layout, Reading, each
from engine.market.rows import BUY, NEITHER, QUOTE, SELL, TRADE, Feed, Row

BID_SIZE, BID, ASK, ASK_SIZE, LAST, LAST_SIZE, VOLUME = 0, 1, 2, 3, 4, 5, 8
_QUOTES = {BID_SIZE: BUY, BID: BUY, ASK: SELL, ASK_SIZE: SELL}
_NO_PRICE = frozenset({"-1", "-1.0", "0", "0.0", ""})
TYPE_MAX = 200


class _Decoder:
    def __init__(self, reading: Reading, *, has_volume: bool) -> None:
        self.grid = reading.grid
        self.findings = reading.findings
        self.has_volume = has_volume
        self.last = 0
        self.last_ns = 0
        self.volume: int | None = None

    def decode(self, ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        """The rows of one line."""
        _, kind, price, size = fields
        tick_type = whole(kind, "tick_type")
        if tick_type > TYPE_MAX:
            raise Wrong(f"expected a tick_type of Interactive Brokers, was {tick_type}")
        sign = _QUOTES.get(tick_type)
        if sign is not None:
            units = self.grid.sizes[size]
            if price in _NO_PRICE or not units:
                return ((ts_ns, QUOTE, sign, 0, 0, 0, number),)
            return ((ts_ns, QUOTE, sign, 0, self.grid.ticks[price], units, number),)
        if tick_type in {LAST, LAST_SIZE}:
            return self._last(ts_ns, tick_type, price, size, number)
        if tick_type == VOLUME:
            return self._volume(ts_ns, size, number)
        self.findings.add("ticks of other types, not needed")
        return ()

    def _last(self, ts_ns: int, tick_type: int, price: str, size: str, number: int) -> Iterable[Row]:
        if price in _NO_PRICE:
            return ()
        units = self.grid.sizes[size]
        is_echo = tick_type == LAST_SIZE and ts_ns == self.last_ns
        self.last, self.last_ns = self.grid.prints[price], ts_ns
        if self.has_volume or is_echo or not units:
            return ()
        return ((ts_ns, TRADE, NEITHER, 0, self.last, units, number),)

    def _volume(self, ts_ns: int, size: str, number: int) -> Iterable[Row]:
        now = self.grid.sizes[size]
        before, self.volume = self.volume, now
        if before is None or now == before:
            return ()
        if now < before:
            self.findings.add("falls of the day's volume: counted anew from there")
            return ()
        if not self.last:
            self.findings.add("rises of the volume before any last price: no trade made of them")
            return ()
        return ((ts_ns, TRADE, NEITHER, 0, self.last, now - before, number),)


def read_ib(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of a tick file."""
    has_volume = any(line.split(",", 2)[1:2] == [str(VOLUME)] for line in lines_of(reading.path))
    return each(reading, lines, 4, _Decoder(reading, has_volume=has_volume).decode)


IB_LAYOUT = Layout(
    name="ib ticks",
    header="ts_ns,tick_type,price,size",
    title="Interactive Brokers ticks",
    read=read_ib,
    depth=LEVELS,
    prices=(2,),
    sizes=(3,),
)
