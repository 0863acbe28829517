"""Minutes out of recorded prints, made in a process of its own: reading two days of a tape would keep the engine's loop waiting.

``python -m bolt_tui.tape_minutes FOLDER`` reads ``[[name, sha256], ...]`` from stdin and answers ``{"minutes": {symbol: pieces},
"faults": [...]}``. Only chunks whose hash the ledger holds are taken; one with a fault is left out and named.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from engine.domain.clock import NS_PER_S, iso
from engine.domain.errors import DataError
from engine.domain.events import decode_event, decoder
from engine.domain.instrument import Instrument
from engine.domain.ledger_events import TapeAnchored
from engine.market.feed import MarketTick, TradeTick
from engine.market.history import Loaded, Piece
from engine.market.session_curve import MINUTE_NS
from engine.market.tape import day_of, is_chunk, read_chunk
from engine.market.tape_days import TICK
from engine.store.link import open_reader
from engine.store.place import Place

DAY_NS = 86_400 * NS_PER_S
READ_S = 300
"""Longest wait for that process."""
NICE = 10
Chunks = list[tuple[str, str]]


class Minutes(msgspec.Struct, frozen=True):
    """The answer."""

    minutes: dict[str, list[Piece]]
    faults: list[str] = []


def recent_chunks(place: Place, now_ns: int) -> Chunks:
    """Name and hash of the chunks of today and yesterday (UTC) that the ledger names, also while an engine writes it."""
    days = {day_of(now_ns), day_of(now_ns - DAY_NS)}
    with closing(open_reader(place)) as connection:
        rows = connection.execute("SELECT payload FROM journal WHERE kind = 'tape_anchored' ORDER BY seq").fetchall()
    events = [decode_event(payload) for (payload,) in rows]
    named = {event.name: event.sha256 for event in events if isinstance(event, TapeAnchored) and is_chunk(event.name)}
    return [(name, sha256) for name, sha256 in named.items() if sha256 and name.split("/")[1] in days]


def tape_history(folder: Path, chunks: Chunks, instruments: Iterable[Instrument]) -> tuple[list[Loaded], list[str]]:
    """What chunks hold of these instruments as minutes, and what is wrong with some of them. Waits for the other process.

    Raises:
        DataError: it gave no answer.
    """
    if not chunks:
        return [], []
    command = [sys.executable, "-m", "bolt_tui.tape_minutes", str(folder)]
    asked = msgspec.json.encode(chunks)
    try:
        done = subprocess.run(command, input=asked, capture_output=True, timeout=READ_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"the tape could not be read: {error}") from None
    if done.returncode:
        raise DataError(f"the tape could not be read: {done.stderr.decode(errors='replace').strip()[-300:]}")
    found = msgspec.json.decode(done.stdout, type=Minutes)
    return [
        _loaded(made, found.minutes[made.symbol]) for made in instruments if made.symbol in found.minutes
    ], found.faults


def _loaded(made: Instrument, pieces: list[Piece]) -> Loaded:
    source = f"the tape from {iso(pieces[0][0])[:16]}Z on, {len(pieces)} minutes with trades"
    return Loaded(instrument=made, source=source, pieces=tuple(pieces), is_whole=False)


def minutes_in(folder: Path, chunks: Chunks) -> Minutes:
    """Minutes of every symbol with prints, in order of time; venues of a symbol are taken together."""
    ticks = decoder(MarketTick)
    found: dict[str, dict[int, list[int]]] = {}
    faults = []
    for name, sha256 in sorted(chunks):
        try:
            for row in read_chunk(folder, name, sha256):
                tick = ticks.decode(row.payload) if row.kind == TICK else None
                if isinstance(tick, TradeTick):
                    _take(found.setdefault(tick.symbol, {}), tick)
        except (DataError, msgspec.DecodeError) as error:
            faults.append(str(error))
    made = {symbol: [_piece(start, known[start]) for start in sorted(known)] for symbol, known in found.items()}
    return Minutes(made, faults)


def _take(known: dict[int, list[int]], tick: TradeTick) -> None:
    start_ns = tick.ts_ns - tick.ts_ns % MINUTE_NS
    bar = known.get(start_ns)
    if bar is None:
        known[start_ns] = [tick.price, tick.price, tick.price, tick.price, tick.qty]
        return
    bar[1], bar[2] = max(bar[1], tick.price), min(bar[2], tick.price)
    bar[3] = tick.price
    bar[4] += tick.qty


def _piece(start_ns: int, bar: list[int]) -> Piece:
    return start_ns, start_ns + MINUTE_NS, bar[0], bar[1], bar[2], bar[3], bar[4]


def main(words: list[str]) -> int:
    """The other process."""
    os.nice(NICE)
    chunks = msgspec.json.decode(sys.stdin.buffer.read(), type=list[tuple[str, str]])
    sys.stdout.buffer.write(msgspec.json.encode(minutes_in(Path(words[0]), chunks)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
