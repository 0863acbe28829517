"""Middles behind fills out of the recorded tape, in a process of its own: reading it would keep an engine's or a desk's loop waiting.

``python -m bolt_tui.tape_middles`` reads a :class:`Question` from stdin and answers ``{"middles": {key: [middle or null, ...]}, "faults":
[...]}``: for each fill the middle at each of :data:`engine.api.markouts.HORIZONS_MS`, as the engine that heard the tape would have taken
it. A fill around which nothing was recorded is left out. Only chunks whose hash the ledger holds are read, and of these only those that
a fill needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from engine.api.market_state import MarketState
from engine.api.markouts import HORIZONS_MS, Asked, middle
from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.domain.errors import DataError
from engine.domain.events import decoder
from engine.domain.instrument import Instrument
from engine.market.feed import MarketTick
from engine.market.tape import first_row, read_chunk
from engine.market.tape_days import TICK

NICE = 10
GAP_NS = NS_PER_S
"""A longer silence between two chunks is one of the engine, which looks at its clock many times a second."""
FAR_NS = HORIZONS_MS[-1] * NS_PER_MS


class Chunk(msgspec.Struct, frozen=True):
    """A chunk as the ledger names it."""

    name: str
    sha256: str
    ts_ns: int
    """When the ledger did: nothing in it is later."""


class Question(msgspec.Struct, frozen=True):
    """What is asked."""

    folder: str
    instruments: tuple[Instrument, ...]
    fills: tuple[Asked, ...]
    age_ns_max: int
    """An older quote is none."""
    chunks: tuple[Chunk, ...] = ()
    """In the order in which they were recorded."""


class Answer(msgspec.Struct, frozen=True):
    """What is answered."""

    middles: dict[str, list[Decimal | None]]
    faults: list[str] = []


def middles_in(question: Question) -> Answer:
    """The answer, worked out here."""
    market = MarketState()
    market.instruments.update((made.symbol, made) for made in question.instruments)
    due = sorted(
        (fill.ts_ns + horizon_ms * NS_PER_MS, number, at)
        for number, fill in enumerate(question.fills)
        for at, horizon_ms in enumerate(HORIZONS_MS)
    )
    found: list[list[Decimal | None]] = [[None] * len(HORIZONS_MS) for _ in question.fills]
    spans: list[tuple[int, int]] = []
    faults: list[str] = []
    ticks, settled = decoder(MarketTick), 0
    for chunk in _needed(question):
        try:
            rows = list(read_chunk(Path(question.folder), chunk.name, chunk.sha256))
            heard = [(row.ts_ns, ticks.decode(row.payload) if row.kind == TICK else None) for row in rows]
        except (DataError, msgspec.DecodeError) as error:
            faults.append(str(error))
            continue
        if not heard:
            continue
        if not spans or heard[0][0] - spans[-1][1] > GAP_NS:
            while settled < len(due) and due[settled][0] < heard[0][0]:
                settled += 1  # nobody listened, so what stood then is not known
        for ts_ns, tick in heard:
            while settled < len(due) and due[settled][0] <= ts_ns:
                due_ns, number, at = due[settled]
                found[number][at] = middle(market, question.fills[number].symbol, due_ns, question.age_ns_max)
                settled += 1
            if tick is not None:
                market.on_tick(tick)
        spans.append((heard[0][0], heard[-1][0]))
    return Answer(
        {
            fill.key: found[number]
            for number, fill in enumerate(question.fills)
            if any(begin <= fill.ts_ns + FAR_NS and fill.ts_ns <= end for begin, end in spans)
        },
        faults,
    )


def _needed(question: Question) -> Sequence[Chunk]:
    """The chunks in which something stands that a fill needs: the quote at each horizon, which may be a little older."""
    windows = sorted((fill.ts_ns - question.age_ns_max, fill.ts_ns + FAR_NS) for fill in question.fills)
    kept: list[Chunk] = []
    folder = Path(question.folder)
    for number, chunk in enumerate(question.chunks):
        # One chunk is filled when the one before it is named, so it begins behind the naming of the one before that.
        begin_ns = question.chunks[number - 2].ts_ns if number > 1 else 0
        if not _meets(windows, begin_ns, chunk.ts_ns):
            continue
        row = first_row(folder, chunk.name)
        if row is None or _meets(windows, row.ts_ns, chunk.ts_ns):
            kept.append(chunk)
    return kept


def _meets(windows: Sequence[tuple[int, int]], begin_ns: int, end_ns: int) -> bool:
    return any(first <= end_ns and begin_ns <= last for first, last in windows)


def main() -> int:
    """The other process."""
    os.nice(NICE)
    question = decoder(Question).decode(sys.stdin.buffer.read())
    sys.stdout.buffer.write(msgspec.json.encode(middles_in(question)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
