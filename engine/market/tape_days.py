"""The market of recorded days, out of the tape: as a file of our layout for a replay, and as volume by time of day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.domain.errors import DataError
from engine.domain.events import decoder
from engine.domain.instrument import Instrument
from engine.market.feed import MarketTick, QuoteTick, StatusTick, TradeTick
from engine.market.formats.own import OWN_LAYOUT
from engine.market.importing import write_packed, write_terms
from engine.market.sidecar import sidecar_path
from engine.market.tape import read_chunk

TICK = "tick"
"""Kind of the rows of a tape that are market data."""
_TICKS = decoder(MarketTick)
Chunks = Iterable[tuple[str, str]]
"""Name and hash of chunks, as the journal holds them."""


def ticks_of(folder: Path, chunks: Chunks, symbol: str) -> Iterator[QuoteTick | TradeTick | StatusTick]:
    """Quotes, prints and halts of one symbol, in the order in which the engine heard them.

    Raises:
        DataError: for a chunk that is missing or not the one that was written.
    """
    for name, sha256 in sorted(chunks):
        for row in read_chunk(folder, name, sha256):
            if row.kind == TICK:
                tick = _TICKS.decode(row.payload)
                if isinstance(tick, QuoteTick | TradeTick | StatusTick) and tick.symbol == symbol:
                    yield tick


def export_day(folder: Path, chunks: Chunks, made: Instrument, out: Path) -> int:
    """Write what the tape holds of one symbol as a file of our layout, its terms beside it; returns the rows.

    Raises:
        DataError: for a chunk as above, for a file that is there, and where the tape holds nothing of the symbol.
    """
    if out.exists() or sidecar_path(out).exists():
        raise DataError(f"{out}: it, or its sidecar, is there already; name a new file")
    rows = write_packed(out, _lines(folder, chunks, made))
    if not rows:
        out.unlink()
        raise DataError(f"{made.symbol}: the tape holds no quote and no print of it on that day")
    write_terms(out, made)
    return rows


def _lines(folder: Path, chunks: Chunks, made: Instrument) -> Iterator[str]:
    yield OWN_LAYOUT.header
    last_ns = 0
    for tick in ticks_of(folder, chunks, made.symbol):
        # Venues stamp their ticks themselves: one that comes late counts from when it came.
        last_ns = max(last_ns, tick.ts_ns)
        yield from _tick_lines(tick, made, last_ns)


def _tick_lines(tick: QuoteTick | TradeTick | StatusTick, made: Instrument, ts_ns: int) -> list[str]:
    venue = tick.venue or made.mic
    if isinstance(tick, QuoteTick):
        sides = (("B", tick.bid, tick.bid_qty), ("S", tick.ask, tick.ask_qty))
        return [
            f"{ts_ns},quote,{venue},{side},{made.price_of(price)},{made.qty_of(qty)}"
            if qty
            else f"{ts_ns},quote,{venue},{side},,"
            for side, price, qty in sides
        ]
    if isinstance(tick, TradeTick):
        kind = "hidden" if tick.hidden else "trade"
        return [f"{ts_ns},{kind},{venue},{tick.aggressor},{made.price_of(tick.price)},{made.qty_of(tick.qty)}"]
    kinds = {"halted": "halt", "open": "resume"}
    return [f"{ts_ns},{kinds[tick.status]},{venue},N,,"] if tick.status in kinds else []
