"""Combinations at the laboratory's venue: all legs at once and evenly, or one leg after another where it is not guaranteed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from engine.domain.money import Price

if TYPE_CHECKING:
    from bolt_tui.faults.venue import Standing, Venue


def settle(venue: Venue, legs: list[Standing]) -> None:
    """Where one leg was ended, the others are; else the next leg does what the one before it has done."""
    if any(not leg.is_open and leg.status != "filled" for leg in legs):
        for leg in legs:
            if leg.is_open:
                venue.end(leg, "cancelled")
        return
    work(venue, legs[0].group)


def work(venue: Venue, group: str) -> None:
    """Let the legs do what their markets allow now."""
    legs = [order for order in venue.orders.values() if order.group == group]
    link = legs[0].spec.link
    assert link is not None
    assert link.combo is not None
    is_whole = all(leg.is_open or leg.status == "filled" for leg in legs)
    if not is_whole or {leg.spec.symbol for leg in legs} & venue.paused:
        return
    for before, leg in pairwise(legs):
        if leg.is_open and leg.filled < before.filled:
            _do(venue, leg, before.filled - leg.filled)
            return
    asked = sum(venue.touch(leg.spec.symbol)[1] for leg in legs)
    first = legs[0]
    if not first.is_open or (link.combo.net is not None and asked > _cents(link.combo.net)):
        return
    piece = max(1, (first.qty - first.filled) // max(1, first.parts))
    first.parts -= 1
    for leg in legs[:1] if link.combo.legged else legs:
        if leg.is_open:
            _do(venue, leg, piece)


def _do(venue: Venue, leg: Standing, qty: int) -> None:
    leg.held -= min(qty, leg.held)
    venue.piece(leg, qty)
    leg.held = max(0, leg.qty - leg.filled)


def _cents(net: Price) -> int:
    return int(net * 100)
