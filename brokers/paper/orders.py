"""An order as the paper venue holds it. Quantities and prices are hot-path integers of its listing."""

from __future__ import annotations

import msgspec

from engine.domain.instrument import Instrument
from engine.domain.order import TOUCHED, OrderSpec, OrderType, Tif
from engine.market.fees import OrderFees
from engine.oms.broker_interface import VenueOrder


class Working(msgspec.Struct, kw_only=True, eq=False):
    """One order, open or done. ``seq`` is its place among our own orders at the same price."""

    account: str
    wire_id: str
    venue_order_id: str
    key: str
    """Listing it is at."""
    spec: OrderSpec
    sign: int
    qty: int
    limit: int | None
    stop: int | None
    """Trigger; that of a trailing stop moves, and is None until there is a trade to trail."""
    seq: int
    trail: int | None = None
    display: int | None = None
    """Most of it that stands in the queue at a time; None for all."""
    shown: int = 0
    """Of an order with ``display``: what is left of the part that stands in the queue now."""
    filled: int = 0
    status: str = "new"
    text: str = ""
    is_open: bool = True
    is_resting: bool = False
    is_waiting: bool = False
    """A stop that has not triggered."""
    rests_from: int = 0
    """Feed row after which it came to rest: visible orders up to that row stand ahead of it."""
    ahead: int = 0
    """Estimated quantity ahead, where only levels are known."""
    traded: int = 0
    """Prints at its price since its level last changed, where only levels are known."""
    triggered: bool = False
    executions: int = 0
    fees: OrderFees = msgspec.field(default_factory=OrderFees)
    expires_ns: int = 0
    """End of its day; 0 where it does not expire."""
    updated_ns: int = 0
    group: str = ""
    """Wire id of the first order of its group; empty for an order of its own."""
    asked: int = 0
    """Quantity of an order of a group when it was placed."""
    base: int = 0
    """By splits of a group's symbol: by how much its fills of before count for more in units of now."""
    auction_ns: int = 0
    """When the auction is that it waits for; 0 for every other order."""
    amends: int = 0
    """How often it got new terms."""
    held: int = 0
    """Of a leg: what the entry has not let to work yet."""

    @property
    def leaves(self) -> int:
        """What may fill now."""
        return self.qty - self.filled - self.held

    @property
    def done(self) -> int:
        """What was filled, in units of now: what its group counts with."""
        return self.filled + self.base

    @property
    def is_immediate(self) -> bool:
        """It never rests: IOC, FOK and every order without a limit (market-to-limit gets one when it first takes)."""
        return self.limit is None or self.spec.tif in {Tif.IOC, Tif.FOK}

    @property
    def is_stop(self) -> bool:
        """It waits for a trigger first."""
        return self.spec.type.terms.waits

    @property
    def waits_for_touch(self) -> bool:
        """Its trigger lies on the better side of the market."""
        return self.spec.type in TOUCHED

    @property
    def is_converting(self) -> bool:
        """A market-to-limit order that has not got its limit yet."""
        return self.spec.type is OrderType.MARKET_TO_LIMIT

    def follow(self, price: int) -> bool:
        """Move the trigger of a trailing stop behind a trade; whether it moved. It never turns back."""
        if self.trail is None:
            return False
        stop = price + self.sign * self.trail
        if self.stop is None or (self.stop - stop) * self.sign > 0:
            self.stop = stop
            return True
        return False

    def view(self, instrument: Instrument) -> VenueOrder:
        """The order as the venue reports it."""
        spec = self.spec
        return VenueOrder(
            wire_id=self.wire_id,
            venue_order_id=self.venue_order_id,
            symbol=spec.symbol,
            side=spec.side,
            type=spec.type,
            tif=spec.tif,
            qty=instrument.qty_of(self.qty),
            qty_filled=instrument.qty_of(self.filled),
            limit=None if self.limit is None else instrument.price_of(self.limit),
            stop=None if self.stop is None else instrument.price_of(self.stop),
            reduce_only=spec.reduce_only,
            is_open=self.is_open,
            status=self.status,
            text=self.text,
        )
