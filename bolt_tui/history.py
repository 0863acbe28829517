"""Reads history beside a running engine: on a thread of its own, a symbol at a time, handed over through the engine's inbox."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.domain.errors import BoltError
from engine.domain.instrument import Instrument
from engine.market.history import Loaded
from engine.market.history_files import history_in

_LOG = logging.getLogger("bolt.history")


def load_beside(folder: Path, instruments: Iterable[Instrument], take: Callable[[Loaded], None]) -> None:
    """Begin to read the folder's files for these instruments and return at once; ``take`` is called from the thread.

    A file with a fault is logged and leaves its symbol without history: an engine starts without it.
    """
    if folder.is_dir():
        threading.Thread(
            target=_load, args=(folder, tuple(instruments), take), name="bolt-history", daemon=True
        ).start()


def _load(folder: Path, instruments: tuple[Instrument, ...], take: Callable[[Loaded], None]) -> None:
    for made in instruments:
        try:
            loaded = history_in(folder, made)
        except (BoltError, OSError) as error:
            _LOG.error("history of %s: %s", made.symbol, error)
        else:
            if loaded is not None:
                take(loaded)
