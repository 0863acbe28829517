"""The paper venue's core: orders in, reports out, deterministic. No clock, thread or I/O of its own.

The caller owns time. It hands over feed rows (:meth:`VenueCore.on_row`) and orders with the time they were sent; the core
draws latencies from its seed, lets each order meet the book as of its arrival, and reports after a latency back. Messages of
one account stay in order both ways. What is due strictly before a row runs before it; :meth:`VenueCore.advance` runs
what is due up to and including a time.

``fill_key`` is ``symbol:trading day:venue order id:number of the order's execution``; venue order ids never repeat over the
life of a venue, restarts included.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop

from brokers.paper.accounts import check_conservation
from brokers.paper.bars import BarListing
from brokers.paper.carry import Carry
from brokers.paper.config import Counters, OwnFlow, Report, VenueConfig, VenueState
from brokers.paper.event_orders import EventListing
from brokers.paper.flights import Flight, Message, flight
from brokers.paper.house import HouseRules
from brokers.paper.impact import Impact
from brokers.paper.levels import LevelListing
from brokers.paper.lifecycle import Act
from brokers.paper.matching import Listing, MarketSink, OrderListing
from brokers.paper.orders import Working
from brokers.paper.tallies import Message as Asked
from brokers.paper.teller import Teller
from brokers.paper.top import TopListing
from engine.domain.errors import InputError
from engine.domain.events import Fill
from engine.domain.instrument import Instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.movements import Movement
from engine.domain.order import AUCTIONS, Tif
from engine.market.calendar import AlwaysOpen, Calendar
from engine.market.feed import BookTick, QuoteTick
from engine.market.rows import Row, listing_key
from engine.oms.broker_interface import (
    Moved,
    OrderAnswer,
    QueuePlace,
    Snapshot,
    VenueOrder,
    VenuePosition,
    WireOrder,
)

__all__ = ["Counters", "OwnFlow", "Report", "VenueConfig", "VenueCore", "VenueState"]


class VenueCore(HouseRules):
    """Matching, accounts and message timing of one or more simulated venues."""

    def __init__(
        self,
        config: VenueConfig,
        report: Report,
        market: MarketSink,
        own_flow: OwnFlow | None = None,
    ) -> None:
        super().__init__(config, report, own_flow)
        self.teller = Teller(self, self._tell_moved)
        self._market = market
        self._by_level: list[LevelListing] = []

    def _tell_moved(self, account: str, made: Movement) -> None:
        self.changed_silently()
        ts_ns = self._back_ns(account, self.config.latency.report)
        self._tell(account, Moved(broker=self.config.broker, ts_ns=ts_ns, movement=made))

    def number(self) -> int:
        """A number that nothing else of this venue has."""
        self._numbered += 1
        return self._numbered

    # -- what happens over time ----------------------------------------------------------------------------------------

    def start_carry(self, since_ns: int) -> None:
        """Plan what the configured file says for after a time; once, when everything is listed."""
        self.start_house(since_ns)
        if self.config.carry is not None:
            Carry(self, self.config.carry).start(since_ns)

    def plan(self, due_ns: int, act: Act, *arguments: object) -> None:
        """Let something happen at a time, or at once where that has passed."""
        self._schedule(int(due_ns), act, *arguments)

    def open_at(self, key: str) -> list[Working]:
        """Open orders of every account at a listing, oldest first."""
        found = [order for orders in self._working.values() for order in orders.values() if order.key == key]
        return sorted(found, key=lambda order: order.seq)

    def linked_in(self, symbol: str) -> list[Working]:
        """Orders of a symbol that stand in groups which are not over, ended ones too."""
        return [order for members in self.groups.members.values() for order in members if order.spec.symbol == symbol]

    def told_amended(self, order: Working) -> None:
        """Tell the terms that an order has got without asking, as a change of now."""
        order.updated_ns = self.now_ns
        self.changed_silently()
        self.tell_amended(order)

    def publish_to(self, market: MarketSink) -> None:
        """Market ticks go there from now on."""
        self._market = market
        for listing in self.listings.values():
            listing.market = market

    # -- set-up and feed -----------------------------------------------------------------------------------------------

    def list_instrument(
        self,
        instrument: Instrument,
        venue_mic: str,
        calendar: Calendar | None = None,
        *,
        by_level: bool = False,
        by_event: bool = False,
        by_bar: bool = False,
    ) -> str:
        """Make an instrument tradable at a venue; returns its listing key.

        Args:
            instrument: its terms.
            venue_mic: the venue.
            calendar: sessions; always open where it is not given.
            by_level: the feed names levels, quotes and trades, not orders: queues are then estimated.
            by_event: the feed names orders, and its book may be judged only where an event ends.
            by_bar: the feed is bars.
        """
        kind: type[Listing] = OrderListing
        if by_level or by_event or by_bar:
            kind = LevelListing if by_level else EventListing if by_event else BarListing
        return self._list(kind(instrument, venue_mic, calendar or AlwaysOpen(), self, self._market))

    def list_ticks(self, instrument: Instrument, venue_mic: str, calendar: Calendar | None = None) -> TopListing:
        """Make an instrument tradable whose feed is ready-made ticks, handed to the listing itself."""
        listing = TopListing(instrument, venue_mic, calendar or AlwaysOpen(), self, self._market)
        self._list(listing)
        return listing

    def _list(self, listing: Listing) -> str:
        if isinstance(listing, BarListing):
            listing.share_pct = self.config.queue.bar_share_pct
        if isinstance(listing, LevelListing):
            listing.model = self.config.queue
            self._by_level.append(listing)
        self.listings[listing.key] = listing
        listing.is_banded = self.bands.covers(listing.symbol)
        params = self.config.impact.get(listing.symbol)
        if params is not None and params.is_on:
            self.impacts.setdefault(listing.symbol, Impact(params))
        return listing.key

    def on_row(self, key: str, row: Row) -> None:
        """Apply one feed row, after everything that was due before it."""
        ts_ns = row[0]
        if self._due and self._due[0][0] < ts_ns:
            self.advance(ts_ns - 1)
        if ts_ns > self.now_ns:
            for listing in self._by_level:
                listing.settle()
            self.now_ns = ts_ns
        self.listings[key].on_row(row)

    def advance(self, ts_ns: int) -> None:
        """Run everything due up to and including a time; what this makes due by then, too."""
        for listing in self._by_level:
            listing.settle()
        while self._due and self._due[0][0] <= ts_ns:
            due_ns, _, act, arguments = heappop(self._due)
            self.now_ns = max(self.now_ns, due_ns)
            act(*arguments)
        self.now_ns = max(self.now_ns, ts_ns)

    def next_due_ns(self) -> int | None:
        """When something is due next, None where nothing is under way."""
        return self._due[0][0] if self._due else None

    # -- messages in ---------------------------------------------------------------------------------------------------

    def submit_new(self, ts_ns: int, account: str, order: WireOrder) -> None:
        """A new order leaves the engine now."""
        self._send(ts_ns, account, self.config.latency.insert, self._arrive_new, account, order, False)

    def submit_cancel(self, ts_ns: int, account: str, wire_id: str) -> None:
        """A cancel leaves the engine now."""
        self._send(ts_ns, account, self.config.latency.cancel, self._arrive_cancel, account, wire_id)

    def submit_amend(
        self, ts_ns: int, account: str, wire_id: str, qty: Qty, limit: Price | None, stop: Price | None
    ) -> None:
        """New terms leave the engine now; ``qty`` is the new total."""
        terms = (account, wire_id, qty, limit, stop)
        self._send(ts_ns, account, self.config.latency.modify, self._arrive_amend, *terms)

    def submit_query_order(self, ts_ns: int, account: str, wire_id: str) -> None:
        """Ask for one order; an OrderAnswer of both sources comes back."""
        self._send(ts_ns, account, self.config.latency.insert, self._arrive_query, account, wire_id)

    def submit_query_state(self, ts_ns: int, account: str, request_id: int, since_ns: int) -> None:
        """Ask for a Snapshot."""
        terms = (account, request_id, since_ns)
        self._send(ts_ns, account, self.config.latency.insert, self._arrive_state_query, *terms)

    def cancel_all(self, account: str) -> int:
        """Cancel every open order of an account at once, and refuse those on their way when they arrive; how many."""
        orders = self._open(account)
        for order in orders:
            self._cancelled(order, "mass cancel")
        swept = 0
        for at, (due_ns, number, act, arguments) in enumerate(self._due):
            if act == self._arrive_new and arguments[0] == account and not arguments[2]:
                # In place: neither time nor number changes, so the heap stays one.
                self._due[at] = (due_ns, number, act, (account, arguments[1], True))
                swept += 1
        return len(orders) + swept

    def cancel_now(self, account: str, wire_id: str) -> None:
        """Cancel at once, without a way in: for a session that simulated time waits for."""
        self._arrive_cancel(account, wire_id)

    def place_now(self, account: str, order: WireOrder) -> None:
        """Let an order arrive at once, as above; the answer is in :meth:`order` and comes through the sink too."""
        self._arrive_new(account, order, is_swept=False)

    def deposit(self, account: str, currency: str, amount: Money) -> None:
        """Pay into an account."""
        self.account(account).deposit(currency, amount)

    # -- questions ------------------------------------------------------------------------------------------------------

    def open_orders(self, account: str) -> tuple[VenueOrder, ...]:
        """Orders that may still fill, oldest first."""
        return tuple(self._view(order) for order in self._open(account))

    def in_flight(self) -> tuple[Flight, ...]:
        """Messages of clients that were taken and have not arrived, in the order of their arrival."""
        kinds = {
            self._arrive_new: Message.NEW,
            self._arrive_cancel: Message.CANCEL,
            self._arrive_amend: Message.AMEND,
        }
        found = ((due_ns, number, kinds.get(act), arguments) for due_ns, number, act, arguments in self._due)
        flights = [flight(kind, number, due_ns, arguments) for due_ns, number, kind, arguments in found if kind]
        return tuple(sorted(flights, key=lambda one: (one.due_ns, one.number)))

    def order(self, account: str, wire_id: str) -> VenueOrder | None:
        """One order by its wire id, refused ones too; None where it never arrived."""
        found = self._orders.get(account, {}).get(wire_id)
        return self._view(found) if found is not None else self._refused.get(account, {}).get(wire_id)

    def orders_since(self, account: str, ts_ns: int) -> tuple[VenueOrder, ...]:
        """Open orders and those that ended at or after a time, oldest first."""
        found = list(self._working.get(account, {}).values())
        for order in reversed(self._ended):  # a walk from the newest: a day's orders are not looked through each time
            if order.updated_ns < ts_ns:
                break
            if order.account == account:
                found.append(order)
        found.sort(key=lambda order: order.venue_order_id[-9:])
        return tuple(self._view(order) for order in found)

    def fills_since(self, account: str, ts_ns: int) -> tuple[Fill, ...]:
        """Executions at or after a time, oldest first."""
        found: list[Fill] = []
        for fill in reversed(self._fills.get(account, [])):
            if fill.ts_ns < ts_ns:
                break
            found.append(fill)
        return tuple(reversed(found))

    def positions(self, account: str) -> tuple[VenuePosition, ...]:
        """Positions that are not flat."""
        holdings = self.account(account).holdings
        return tuple(VenuePosition(symbol, held.qty) for symbol, held in sorted(holdings.items()) if held.qty)

    def cash(self, account: str) -> dict[str, Money]:
        """Cash by currency."""
        return dict(self.account(account).cash)

    def listing(self, symbol: str, venue: str = "") -> Listing:
        """A symbol at a venue, or at the first that lists it; InputError where it is not listed."""
        found = self._listing(symbol, venue)
        if found is None:
            raise InputError(f"{symbol} is not listed at {venue or 'any venue'}")
        return found

    def quote(self, symbol: str, venue: str = "") -> QuoteTick | None:
        """Best prices at a venue (the first that lists it where none is named); None where it is not listed."""
        listing = self._listing(symbol, venue)
        if listing is None:
            return None
        bid, ask = (listing.bid, listing.bid_qty), (listing.ask, listing.ask_qty)
        return QuoteTick(symbol, listing.mic, listing.ts_ns, listing.row, *bid, *ask)

    def book(self, symbol: str, venue: str = "", depth: int = 10) -> BookTick | None:
        """Visible levels, what we took left out and our own orders not in it."""
        listing = self._listing(symbol, venue)
        return None if listing is None else listing.book_tick(depth)

    def status(self, symbol: str, venue: str = "") -> str:
        """``open``, ``closed`` or ``halted``; closed where it is not listed."""
        listing = self._listing(symbol, venue)
        if listing is None or not listing.calendar.is_open(self.now_ns):
            return "closed"
        return "halted" if listing.is_halted else "open"

    def queue_ahead(self, account: str, wire_id: str) -> Qty | None:
        """Quantity ahead of a resting order at its price; None where it does not rest."""
        order = self._orders.get(account, {}).get(wire_id)
        if order is None or not order.is_resting:
            return None
        listing = self.listings[order.key]
        return listing.instrument.qty_of(listing.queue_ahead(order))

    def places(self, account: str, most: int) -> tuple[QueuePlace, ...]:
        """What stands ahead of the account's resting orders, of so many at most; not of those at a listing known by bars alone."""
        found: list[QueuePlace] = []
        for wire_id, order in self._orders.get(account, {}).items():
            listing = self.listings[order.key]
            if order.is_resting and not isinstance(listing, BarListing) and len(found) < most:
                ahead = listing.instrument.qty_of(listing.queue_ahead(order))
                place = QueuePlace(
                    broker=self.config.broker,
                    ts_ns=self.now_ns,
                    wire_id=wire_id,
                    ahead=ahead,
                    guessed=not listing.knows_queue,
                )
                found.append(place)
        return tuple(found)

    def snapshot(self, account: str, request_id: int, since_ns: int, ts_ns: int) -> Snapshot:
        """Everything reconciliation needs, at this moment."""
        return Snapshot(
            broker=self.config.broker,
            ts_ns=ts_ns,
            account=account,
            request_id=request_id,
            orders=self.orders_since(account, since_ns),
            fills=self.fills_since(account, since_ns),
            positions=self.positions(account),
            cash=self.cash(account),
            movements=self.teller.since(account, since_ns),
        )

    def check(self) -> None:
        """Raise InvariantError where an account does not add up to the last unit."""
        for account in self.accounts.values():
            check_conservation(account)

    # -- restart --------------------------------------------------------------------------------------------------------

    def state(self) -> VenueState:
        """All that must outlive the process; plain structs."""
        orders = [order for known in self._orders.values() for order in known.values()]
        return VenueState(
            now_ns=self.now_ns,
            numbered=self._numbered,
            random=self._random.state,
            accounts=self.accounts,
            orders=tuple(orders),
            refused={account: tuple(known.values()) for account, known in self._refused.items()},
            fills={account: tuple(fills) for account, fills in self._fills.items()},
            counters=self.counters,
            movements={account: tuple(made) for account, made in self.teller.moved.items()},
            flights=self.in_flight(),
            bands=self.bands.state(),
            paced=() if self.pace is None else tuple(self.pace.counted()),
            tallies=() if self.pace is None else tuple(self.pace.tallies.all()),
        )

    def load_state(self, state: VenueState) -> None:
        """Take over a state, once, after the instruments were listed. Resting orders re-enter behind everything else, and
        messages that were under way arrive at their time, or at once where that has passed.

        Raises:
            InputError: where an order stands at a listing that is not listed.
        """
        self.now_ns, self._numbered = max(self.now_ns, state.now_ns), state.numbered
        self._random.state = state.random
        self.accounts, self.counters = state.accounts, state.counters
        self._fills = {account: list(fills) for account, fills in state.fills.items()}
        self.teller.moved = {account: list(made) for account, made in state.movements.items()}
        self._refused = {name: {order.wire_id: order for order in known} for name, known in state.refused.items()}
        self.bands.load_state(state.bands, self.listings)
        if self.pace is not None:
            self.pace.load(state.paced)
            self.pace.tallies.load(state.tallies)
        for order in state.orders:
            self._restore(order)
        self._ended = deque(sorted(self._ended, key=lambda order: order.updated_ns))
        for account, group in list(self.groups.members):
            self._schedule(self.now_ns, self.groups.settle, account, group)
        acts: dict[Message, Act] = {
            Message.NEW: self._arrive_new,
            Message.CANCEL: self._arrive_cancel,
            Message.AMEND: self._arrive_amend,
        }
        for one in state.flights:
            self._schedule(one.due_ns, acts[one.message], *one.arguments)
            self._arrivals[one.account] = max(one.due_ns, self._arrivals.get(one.account, 0))

    def _restore(self, order: Working) -> None:
        listing = self.listings.get(order.key)
        if listing is None:
            raise InputError(
                f"order {order.wire_id} stands at {order.key}, which is not listed; list it before loading"
            )
        self._orders.setdefault(order.account, {})[order.wire_id] = order
        if order.group:
            self.groups.add(order)
        if not order.is_open:
            self._ended.append(order)
            return
        self._working.setdefault(order.account, {})[order.wire_id] = order
        if order.spec.reduce_only:
            self._shrinking.append(order)
        if order.expires_ns and (order.spec.tif is Tif.GTD or listing.day_end_ns != order.expires_ns):
            listing.day_end_ns = order.expires_ns if order.spec.tif is Tif.DAY else listing.day_end_ns
            self._schedule(order.expires_ns, self._end_day, listing, order.expires_ns)
        was_waiting, order.is_waiting, order.is_resting = order.is_waiting, False, False
        if order.spec.tif in AUCTIONS:
            self.auctions.collect(listing, order)
            return
        if order.held == order.qty - order.filled:
            return
        if was_waiting:
            listing.wait(order)
        elif order.spec.post_only and listing.crosses(order):
            self._cancelled(order, "POST_ONLY: the market opened through its price")
        elif order.leaves:
            self.start(listing, order)

    # -- arrivals of questions ------------------------------------------------------------------------------------------

    def _open(self, account: str) -> list[Working]:
        return list(self._working.get(account, {}).values())

    def _view(self, order: Working) -> VenueOrder:
        return order.view(self.listings[order.key].instrument)

    def _listing(self, symbol: str, venue: str) -> Listing | None:
        if venue:
            return self.listings.get(listing_key(symbol, venue))
        return next((one for one in self.listings.values() if one.symbol == symbol), None)

    def _arrive_query(self, account: str, wire_id: str) -> None:
        if self.pace is not None:
            self.pace.asked(account, self.now_ns, Asked.ORDER_QUESTION)
        found = self.order(account, wire_id)
        for source in ("orders", "history"):
            ts_ns = self._ack_ns(account)
            answer = OrderAnswer(broker=self.config.broker, ts_ns=ts_ns, wire_id=wire_id, source=source, order=found)
            self._tell(account, answer)

    def _arrive_state_query(self, account: str, request_id: int, since_ns: int) -> None:
        if self.pace is not None:
            self.pace.asked(account, self.now_ns, Asked.STATE_QUESTION)
        self._tell(account, self.snapshot(account, request_id, since_ns, self._ack_ns(account)))
