"""Tick tables in words: ``0.01``, ``0:0.001|0.25:0.005`` (from a price on, a step), or the name of a table that is kept here."""

from __future__ import annotations

from engine.domain.errors import InstrumentError
from engine.domain.instrument import TickBand

HKEX = (
    ("0", "0.001"), ("0.25", "0.005"), ("0.5", "0.01"), ("10", "0.02"), ("20", "0.05"), ("100", "0.1"), ("200", "0.2"),
    ("500", "0.5"), ("1000", "1"), ("2000", "2"), ("5000", "5"),
)  # fmt: skip
"""Minimum spreads of the Hong Kong exchange as in force from 24 July 2006 (its notice of 18 July 2006) until the narrower steps between 10 and
50 dollars of August 2025: for recordings of those years."""

TABLES = {"HKEX": HKEX}
BANDS_MAX = 50

TickTable = tuple[tuple[str, str], ...]


def parse_ticks(words: str) -> str | TickTable:
    """One tick, or a table of ``(from price, tick)``.

    Raises:
        InstrumentError: naming the word and what was expected.
    """
    table = TABLES.get(words.upper())
    if table is not None:
        return table
    if ":" not in words:
        return words
    bands = [band.partition(":") for band in words.split("|")]
    if len(bands) > BANDS_MAX or any(not above or not tick for above, _, tick in bands):
        raise InstrumentError(
            f"tick {words[:80]!r}: expected one step, one of {', '.join(TABLES)}, or FROM:STEP|FROM:STEP as in 0:0.001|0.25:0.005"
        )
    return tuple((above, tick) for above, _, tick in bands)


def tick_words(bands: tuple[TickBand, ...]) -> str:
    """The words of a tick table."""
    if len(bands) == 1:
        return str(bands[0].tick)
    return "|".join(f"{band.above}:{band.tick}" for band in bands)
