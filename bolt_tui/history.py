"""Reads history beside a running engine: on a thread of its own, a symbol at a time, handed over through the engine's inbox."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator

from bolt_tui.settings import Home
from bolt_tui.tape_minutes import Chunks, recent_chunks, tape_history
from engine.domain.errors import BoltError
from engine.domain.instrument import Instrument
from engine.market.history import Loaded
from engine.market.history_files import history_in
from engine.store.link import DATABASE_ERRORS

_LOG = logging.getLogger("bolt.history")


def load_beside(
    home: Home, now_ns: int, recovered: Chunks, instruments: Iterable[Instrument], take: Callable[[Loaded], None]
) -> None:
    """Begin to read files of history and the recorded tape of today and yesterday for these instruments, and return at once;
    ``take`` is called from the thread. ``recovered`` are chunks of the tape that the ledger may not name yet.

    A file with a fault is logged and leaves its symbol without history: an engine starts without it. What there is of each symbol,
    or that there is nothing, is logged.
    """
    threading.Thread(
        target=_load, args=(home, now_ns, recovered, tuple(instruments), take), name="bolt-history", daemon=True
    ).start()


def _load(
    home: Home, now_ns: int, recovered: Chunks, instruments: tuple[Instrument, ...], take: Callable[[Loaded], None]
) -> None:
    found: dict[str, list[str]] = {made.symbol: [] for made in instruments}
    for loaded in (*_of_files(home, instruments), *_of_tape(home, now_ns, recovered, instruments)):
        found[loaded.instrument.symbol].append(f"{len(loaded.pieces)} bars of {loaded.source}")
        take(loaded)
    for symbol, sources in found.items():
        if sources:
            _LOG.info("history of %s: %s", symbol, "; ".join(sources))
    without = [symbol for symbol, sources in found.items() if not sources]
    if without:
        _LOG.info("no history of %s: strategies see what comes from now on", ", ".join(without))


def _of_files(home: Home, instruments: tuple[Instrument, ...]) -> Iterator[Loaded]:
    if not home.history.is_dir():
        return
    for made in instruments:
        try:
            loaded = history_in(home.history, made)
        except (BoltError, OSError) as error:
            _LOG.error("history of %s: %s", made.symbol, error)
        else:
            if loaded is not None:
                yield loaded


def _of_tape(home: Home, now_ns: int, recovered: Chunks, instruments: tuple[Instrument, ...]) -> Iterator[Loaded]:
    try:
        chunks = dict([*recent_chunks(home.place, now_ns), *((name, sha256) for name, sha256 in recovered if sha256)])
        loaded, faults = tape_history(home.tape, list(chunks.items()), instruments)
    except (BoltError, OSError, *DATABASE_ERRORS) as error:
        _LOG.error("history out of the tape: %s", error)
        return
    for fault in faults:
        _LOG.error("history out of the tape has a gap: %s", fault)
    yield from loaded
