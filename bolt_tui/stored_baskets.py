"""Baskets as a ledger's rows tell them, where no engine answers."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from engine.api.baskets import BASKETS_SHOWN_MAX
from engine.domain.basket_events import BasketDropped, BasketReleased, BasketStaged
from engine.domain.events import AnyEvent
from engine.views import BasketView

BASKET_EVENTS = (BasketStaged, BasketReleased, BasketDropped)


def baskets_in(events: Iterable[tuple[int, AnyEvent]]) -> tuple[BasketView, ...]:
    """The last baskets, as an engine's picture has them, from their events with the times of these, in order."""
    found: dict[str, BasketView] = {}
    for ts_ns, event in events:
        match event:
            case BasketStaged():
                found[event.basket_id] = BasketView(
                    basket_id=event.basket_id,
                    name=event.name,
                    state="staged",
                    count=len(event.lines),
                    staged_ns=ts_ns,
                    source=f"{event.source.kind.value}:{event.source.name}".rstrip(":"),
                )
            case BasketReleased():
                found[event.basket_id] = replace(found[event.basket_id], state="released", orders=event.orders)
            case BasketDropped():
                found[event.basket_id] = replace(found[event.basket_id], state="dropped")
            case _:
                pass
    return tuple(found.values())[-BASKETS_SHOWN_MAX:]
