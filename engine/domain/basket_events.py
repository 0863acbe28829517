"""Baskets: many orders that are held and released as one act."""

from __future__ import annotations

from engine.domain.commands import BasketLine
from engine.domain.event import Event
from engine.domain.order import Source


class BasketStaged(Event, frozen=True, kw_only=True, tag="basket_staged"):
    """A basket was made and waits for release; nothing of it has left."""

    basket_id: str
    intent_id: str
    name: str
    source: Source
    lines: tuple[BasketLine, ...]
    why: str = ""


class BasketReleased(Event, frozen=True, kw_only=True, tag="basket_released"):
    """Every line of a basket passed the gate and became an order."""

    basket_id: str
    who: str
    orders: tuple[str, ...]
    """Ids of the parents, in the order of the lines."""


class BasketDropped(Event, frozen=True, kw_only=True, tag="basket_dropped"):
    """A staged basket was forgotten."""

    basket_id: str
    who: str
