"""History comes to a running engine: strategies are told, and what no broker says of volume is known from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.domain.errors import StoreUnwritable
from engine.market.history import Loaded

if TYPE_CHECKING:
    from engine.api.engine import Engine


def take_history(engine: Engine, loaded: Loaded) -> None:
    """Take in history of one symbol."""
    if engine.aftermath.is_on:
        return
    engine.parts.history.add(loaded)
    try:
        engine.host.on_history(loaded.instrument.symbol, len(loaded.pieces), loaded.source)
        engine.settle()
    except StoreUnwritable:
        engine.aftermath.begin()
