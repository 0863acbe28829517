"""What an order of a group may do: figures only, worked out anew each time from what all of the group have filled.

The legs of an entry work as far as it is filled; what fills of one leg, or of one peer, is taken off the others. That takes the
venue the time of a cancel, in which another leg may fill as well: a reduce-only leg then never beyond the position, a plain
one for real, as in a fast market.
"""

from __future__ import annotations

from typing import NamedTuple

from brokers.paper.orders import Working
from engine.domain.order import LinkRole


class Share(NamedTuple):
    """What an order of a group may do now, in units."""

    qty: int
    """Total it has now."""
    held: int
    """Of it: what waits for the entry."""
    why: str
    """Why it ends, where nothing is left."""


def link_role(order: Working) -> LinkRole | None:
    """What it is in its group."""
    return None if order.spec.link is None else order.spec.link.role


def share_of(order: Working, entry: Working | None, others_filled: int) -> Share:
    """The share of a leg (``entry`` given) or a peer, after the other legs or peers filled ``others_filled``."""
    if entry is None:
        qty = max(order.done, order.asked - others_filled)
        return Share(qty - order.base, 0, "another order of its group was filled")
    freed = _freed(order, entry)
    most = order.asked if entry.is_open else freed
    qty = max(order.done, most - others_filled)
    working = max(0, min(freed, most) - others_filled - order.done)
    why = "its entry ended unfilled" if not most else "another leg of its group was filled"
    return Share(qty - order.base, qty - order.done - working, why)


def _freed(order: Working, entry: Working) -> int:
    """What the entry's fills let a leg do: as much of the same symbol, all of another one once the entry is done."""
    if order.spec.symbol == entry.spec.symbol:
        return min(order.asked, entry.done)
    return order.asked if entry.status == "filled" else 0
