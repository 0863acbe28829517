"""A small venue of one stock whose feed is written row by row, with closed-form answers."""

from __future__ import annotations

from brokers.paper.config import OwnFlow, VenueConfig
from brokers.paper.latency import NO_LATENCY
from brokers.paper.matching import OrderListing
from brokers.paper.venue import VenueCore
from engine.domain.events import Fill
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Tif
from engine.market.book import OrderBook
from engine.market.calendar import Calendar
from engine.market.feed import MarketTick, QuoteTick
from engine.market.rows import (
    ADD,
    CLEAR,
    DELETE,
    EXEC,
    HALT,
    HIDDEN,
    LEVEL,
    QUOTE,
    REDUCE,
    RESUME,
    TRADE,
)
from engine.oms.broker_interface import BrokerEvent, Filled, WireOrder

START = 1_340_285_400_000_000_000
STEP = 1_000
B, S = 1, -1
ME = "PAPER"

ABC = make_instrument("ABC", "equity", "XNAS", "USD", "0.01", qty_max="100000")
FREE = VenueConfig(latency=NO_LATENCY, cash={"USD": Money(1_000_000)})


class Lab:
    """One listing; prices are cents, each row and each call to :meth:`buy` or :meth:`sell` is one step later."""

    def __init__(
        self,
        config: VenueConfig = FREE,
        *,
        instrument: Instrument = ABC,
        calendar: Calendar | None = None,
        by_level: bool = False,
        by_event: bool = False,
        by_bar: bool = False,
        own_flow: OwnFlow | None = None,
    ) -> None:
        self.events: list[BrokerEvent] = []
        self.ticks: list[MarketTick] = []
        self.core = VenueCore(config, lambda _account, event: self.events.append(event), self.ticks.append, own_flow)
        self.key = self.core.list_instrument(
            instrument, "XNAS", calendar, by_level=by_level, by_event=by_event, by_bar=by_bar
        )
        self.now = START
        self.rows = 0
        self.sent = 0

    # -- the feed --------------------------------------------------------------------------------------------------

    def row(self, action: int, sign: int, order_id: int, price: int, qty: int, *, wait: int = STEP) -> None:
        self.now += wait
        self.rows += 1
        self.core.on_row(self.key, (self.now, action, sign, order_id, price, qty, self.rows))
        self.core.advance(self.now)

    def add(self, order_id: int, sign: int, price: int, qty: int) -> None:
        self.row(ADD, sign, order_id, price, qty)

    def execute(self, order_id: int, qty: int) -> None:
        entry = self.book.orders[order_id]
        self.row(EXEC, entry.sign, order_id, entry.price, qty)

    def reduce(self, order_id: int, qty: int) -> None:
        entry = self.book.orders[order_id]
        self.row(REDUCE, entry.sign, order_id, entry.price, qty)

    def delete(self, order_id: int) -> None:
        entry = self.book.orders[order_id]
        self.row(DELETE, entry.sign, order_id, entry.price, entry.left + entry.taken)

    def hidden(self, sign: int, price: int, qty: int) -> None:
        self.row(HIDDEN, sign, 0, price, qty)

    def halt(self, is_halted: bool) -> None:
        self.row(HALT if is_halted else RESUME, 0, 0, 0, 0)

    def quote(self, sign: int, price: int, qty: int) -> None:
        self.row(QUOTE, sign, 0, price, qty)

    def level(self, sign: int, price: int, qty: int) -> None:
        self.row(LEVEL, sign, 0, price, qty)

    def trade(self, aggressor: int, price: int, qty: int) -> None:
        self.row(TRADE, aggressor, 0, price, qty)

    def clear(self) -> None:
        self.row(CLEAR, 0, 0, 0, 0)

    # -- our orders --------------------------------------------------------------------------------------------------

    def order(self, side: Side, qty: int | str, limit: str | None = None, **terms: object) -> str:
        """Send an order and let it arrive; its wire id."""
        self.sent += 1
        stop, trail, display = (terms.pop(name, None) for name in ("stop", "trail", "display"))
        kind = (
            terms.pop("kind", None)
            or {
                (False, False): OrderType.MARKET,
                (True, False): OrderType.LIMIT,
                (False, True): OrderType.STOP,
                (True, True): OrderType.STOP_LIMIT,
            }[limit is not None, stop is not None]
        )
        wire_id = str(terms.pop("wire_id", f"W{self.sent}"))
        account = str(terms.pop("account", ME))
        spec = OrderSpec(
            symbol=str(terms.pop("symbol", "ABC")),
            side=side,
            qty=Qty(str(qty)),
            type=OrderType(str(kind)),
            limit=None if limit is None else Price(limit),
            stop=None if stop is None else Price(str(stop)),
            trail=None if trail is None else Price(str(trail)),
            display=None if display is None else Qty(str(display)),
            **terms,  # type: ignore[arg-type]
        )
        self.core.submit_new(self.now, account, WireOrder(wire_id=wire_id, spec=spec))
        self.core.advance(self.now)
        return wire_id

    def buy(self, qty: int | str, limit: str | None = None, **terms: object) -> str:
        return self.order(Side.BUY, qty, limit, **terms)

    def sell(self, qty: int | str, limit: str | None = None, **terms: object) -> str:
        return self.order(Side.SELL, qty, limit, **terms)

    def ioc(self, side: Side, qty: int, limit: str) -> str:
        return self.order(side, qty, limit, tif=Tif.IOC)

    def cancel(self, wire_id: str) -> None:
        self.core.submit_cancel(self.now, ME, wire_id)
        self.core.advance(self.now)

    def amend(self, wire_id: str, qty: int, limit: str | None = None, stop: str | None = None) -> None:
        price = None if limit is None else Price(limit)
        trigger = None if stop is None else Price(stop)
        self.core.submit_amend(self.now, ME, wire_id, Qty(qty), price, trigger)
        self.core.advance(self.now)

    # -- what came of it -----------------------------------------------------------------------------------------------

    @property
    def book(self) -> OrderBook:
        listing = self.core.listings[self.key]
        assert isinstance(listing, OrderListing)
        return listing.book

    @property
    def fills(self) -> list[Fill]:
        return [event.fill for event in self.events if isinstance(event, Filled)]

    def traded(self) -> list[tuple[str, str]]:
        """Price and quantity of each fill."""
        return [(str(fill.price), str(fill.qty)) for fill in self.fills]

    def names(self) -> list[str]:
        """Kinds of the events, and codes where they have one."""
        return [getattr(event, "code", "") or type(event).__name__ for event in self.events]

    def status(self, wire_id: str) -> str:
        found = self.core.order(ME, wire_id)
        return "none" if found is None else found.status

    def best(self) -> tuple[int, int, int, int]:
        tick = self.core.quote("ABC")
        assert tick is not None
        return tick.bid, tick.bid_qty, tick.ask, tick.ask_qty

    def quotes(self) -> list[QuoteTick]:
        return [tick for tick in self.ticks if isinstance(tick, QuoteTick)]


def plain_book(lab: Lab) -> Lab:
    """Bids 10.00 x 100, 9.99 x 200; asks 10.02 x 150, 10.03 x 50 + 250."""
    lab.add(1, B, 1000, 100)
    lab.add(2, B, 999, 200)
    lab.add(3, S, 1002, 150)
    lab.add(4, S, 1003, 50)
    lab.add(5, S, 1003, 250)
    return lab
