"""Messages of clients on their way in: taken by the venue, not yet at the matching.

They are part of what the venue remembers. A venue that was killed lets them arrive when it comes back, once; what was
not taken before it died never arrives.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from engine.domain.money import Price, Qty
from engine.oms.broker_interface import VenueOrder, WireOrder


class Message(StrEnum):
    """What is on its way."""

    NEW = "new"
    CANCEL = "cancel"
    AMEND = "amend"


class Flight(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message on its way."""

    number: int
    """Place among everything that was scheduled; unique over the life of a process."""
    due_ns: int
    account: str
    message: Message
    order: WireOrder | None = None
    """Of a new order."""
    is_swept: bool = False
    """A mass cancel came while it was on its way: it is refused on arrival."""
    wire_id: str = ""
    """Of a cancel or an amend."""
    qty: Qty | None = None
    limit: Price | None = None
    stop: Price | None = None

    @property
    def arguments(self) -> tuple[object, ...]:
        """What its arrival is called with."""
        match self.message:
            case Message.NEW:
                return (self.account, self.order, self.is_swept)
            case Message.CANCEL:
                return (self.account, self.wire_id)
            case Message.AMEND:
                return (self.account, self.wire_id, self.qty, self.limit, self.stop)

    def view(self) -> VenueOrder | None:
        """The order as one that may still come to work; None for anything else."""
        if self.order is None or self.is_swept:
            return None
        spec = self.order.spec
        return VenueOrder(
            wire_id=self.order.wire_id,
            venue_order_id="",
            symbol=spec.symbol,
            side=spec.side,
            type=spec.type,
            tif=spec.tif,
            qty=spec.qty,
            qty_filled=Qty(0),
            limit=spec.limit,
            stop=spec.stop,
            reduce_only=spec.reduce_only,
            is_open=True,
            status="pending_new",
        )


def flight(message: Message, number: int, due_ns: int, arguments: tuple[Any, ...]) -> Flight:
    """A message from what its arrival will be called with."""
    match message:
        case Message.NEW:
            account, order, is_swept = arguments
            return Flight(
                number=number, due_ns=due_ns, account=account, message=message, order=order, is_swept=is_swept
            )
        case Message.CANCEL:
            account, wire_id = arguments
            return Flight(number=number, due_ns=due_ns, account=account, message=message, wire_id=wire_id)
        case Message.AMEND:
            account, wire_id, qty, limit, stop = arguments
            return Flight(
                number=number,
                due_ns=due_ns,
                account=account,
                message=message,
                wire_id=wire_id,
                qty=qty,
                limit=limit,
                stop=stop,
            )
