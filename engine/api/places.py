"""Which of an engine's orders have their place in the queue estimated, and from what is displayed when they come there."""

from __future__ import annotations

from engine.api.market_state import MarketState
from engine.routing.queue_position import QueuePlaces
from engine.store.order import Order


def follow_place(places: QueuePlaces, market: MarketState, order: Order) -> None:
    """Estimate from now on what stands ahead of a resting order, unless its venue says it. Asked again it changes nothing."""
    if not places.is_on:
        return
    symbol, made = order.spec.symbol, market.instruments.get(order.spec.symbol)
    if made is None or order.limit is None:
        return
    venue = order.spec.venue or market.venue_of(symbol)
    places.begin(order, made.price_units(order.limit), venue, market.displayed(symbol, venue))
