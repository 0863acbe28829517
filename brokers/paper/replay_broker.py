"""The paper venue in process, in simulated time: what a replay trades against.

The driver owns the clock: it moves it, feeds rows to :attr:`ReplayBroker.core` and calls ``core.advance``; answers come
through the sink at their own time.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from brokers.paper.config import OwnFlow, VenueConfig
from brokers.paper.venue import VenueCore
from engine.domain.clock import NS_PER_S, Clock
from engine.domain.errors import VenueError
from engine.domain.events import BrokerState
from engine.domain.instrument import Instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import AUCTIONS, OrderType, Tif
from engine.market.feed import MarketTick
from engine.oms.broker_interface import (
    BrokerEvent,
    Capabilities,
    ChannelChanged,
    MarketSink,
    Sink,
    VenueOrder,
    VenuePosition,
    WireOrder,
)

_RESTS = (Tif.DAY, Tif.GTC, Tif.GTD)
_AT_ONCE = (OrderType.MARKET, OrderType.LIMIT)
PAPER_TYPES = frozenset(
    {(kind, tif) for kind in OrderType for tif in _RESTS}
    | {(kind, tif) for kind in _AT_ONCE for tif in (Tif.IOC, Tif.FOK, *sorted(AUCTIONS))}
)

PAPER_CAPABILITIES = Capabilities(
    types=PAPER_TYPES,
    post_only=True,
    reduce_only=True,
    amend=True,
    mass_cancel=True,
    client_id_lookup=True,
    absence_wait_ns=2 * NS_PER_S,
    messages_per_s=10_000,
    links=True,
)
"""What the paper venue can do."""


class ReplayBroker:
    """The ``Broker`` over a core of its own."""

    def __init__(
        self, config: VenueConfig, clock: Clock, account: str = "PAPER", own_flow: OwnFlow | None = None
    ) -> None:
        self.name = config.broker
        self.account = account
        # Its clock is the engine's own.
        self.capabilities = msgspec.structs.replace(PAPER_CAPABILITIES, history_margin_ns=NS_PER_S)
        self.core = VenueCore(config, self._on_report, _ignored, own_flow)
        self._clock = clock
        self._sink: Sink | None = None
        self.core.account(account)

    def _on_report(self, account: str, event: BrokerEvent) -> None:
        if self._sink is not None and account == self.account:
            self._sink(event)

    def start(self, sink: Sink, market: MarketSink) -> None:
        """Connect: RESYNCING follows at once."""
        self._sink = sink
        self.core.publish_to(market)
        sink(ChannelChanged(broker=self.name, ts_ns=self._clock.now_ns(), state=BrokerState.RESYNCING, why="started"))

    def stop(self) -> None:
        """Let go; orders stay where they are."""
        self._sink = None
        self.core.publish_to(_ignored)

    def instruments(self) -> tuple[Instrument, ...]:
        """Everything listed, once per symbol."""
        found = {listing.symbol: listing.instrument for listing in reversed(list(self.core.listings.values()))}
        return tuple(found[symbol] for symbol in sorted(found))

    def send_new(self, order: WireOrder) -> None:
        """Hand over one new order."""
        self.core.submit_new(self._clock.now_ns(), self.account, order)

    def send_cancel(self, wire_id: str, venue_order_id: str) -> None:  # noqa: ARG002 - the wire id is enough here
        """Ask for a cancel."""
        self.core.submit_cancel(self._clock.now_ns(), self.account, wire_id)

    def send_amend(
        self,
        wire_id: str,
        venue_order_id: str,  # noqa: ARG002 - as above
        qty: Qty,
        limit: Price | None,
        stop: Price | None,
    ) -> None:
        """Ask for new terms."""
        self.core.submit_amend(self._clock.now_ns(), self.account, wire_id, qty, limit, stop)

    def query_order(self, wire_id: str) -> None:
        """Ask both sources; one OrderAnswer each."""
        self.core.submit_query_order(self._clock.now_ns(), self.account, wire_id)

    def query_state(self, request_id: int, since_ns: int) -> None:
        """Ask for a Snapshot."""
        self.core.submit_query_state(self._clock.now_ns(), self.account, request_id, since_ns)

    def open_session(self) -> ReplaySession:
        """A session of its own for the kill procedure, in simulated time."""
        return ReplaySession(self.core, self._clock, self.account)


def _ignored(tick: MarketTick) -> None:
    """Nobody listens."""


class ReplaySession:
    """The ``BrokerSession`` over the same core. Simulated time stands still while it asks, so no deadline can pass;
    an order it places is carried to its answer.
    """

    def __init__(self, core: VenueCore, clock: Clock, account: str) -> None:
        self.name = core.config.broker
        self.account = account
        self._core = core
        self._clock = clock
        self._is_closed = False

    def _use(self) -> VenueCore:
        if self._is_closed:
            raise VenueError(f"{self.name}: this session is closed; open a new one")
        return self._core

    def open_orders(self) -> tuple[VenueOrder, ...]:
        """All open orders of the account."""
        return self._use().open_orders(self.account)

    def cancel(self, order: VenueOrder) -> None:
        """Ask for one cancel; it is at the venue when this returns."""
        self._use().cancel_now(self.account, order.wire_id)

    def cancel_all(self) -> bool:
        """Cancel everything the account has."""
        self._use().cancel_all(self.account)
        return True

    def positions(self) -> tuple[VenuePosition, ...]:
        """Positions of the account."""
        return self._use().positions(self.account)

    def cash(self) -> Mapping[str, Money]:
        """Cash of the account."""
        return self._use().cash(self.account)

    def quote(self, symbol: str) -> tuple[Price | None, Price | None, int]:
        """Best bid and ask, and their age."""
        core = self._use()
        tick = core.quote(symbol)
        if tick is None:
            raise VenueError(f"{self.name}: {symbol} is not listed")
        instrument = core.listing(symbol).instrument
        bid = instrument.price_of(tick.bid) if tick.bid_qty else None
        ask = instrument.price_of(tick.ask) if tick.ask_qty else None
        return bid, ask, max(0, self._clock.now_ns() - tick.ts_ns)

    def status(self, symbol: str) -> str:
        """``open``, ``closed`` or ``halted``."""
        return self._use().status(symbol)

    def place(self, order: WireOrder) -> str:
        """Place one flatten order at once; its venue order id."""
        core = self._use()
        core.place_now(self.account, order)
        found = core.order(self.account, order.wire_id)
        if found is None or found.status == "rejected":
            raise VenueError(f"{self.name}: {order.spec.words()} was refused: {found.text if found else 'not taken'}")
        return found.venue_order_id

    def close(self) -> None:
        """Let go."""
        self._is_closed = True
