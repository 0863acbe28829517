"""Market, matching core and memory as one: what the venue process holds between its sockets and its disk."""

from __future__ import annotations

from collections.abc import Callable

from brokers.paper.bands import BandState
from brokers.paper.config import Report, VenueConfig
from brokers.paper.flights import Flight
from brokers.paper.market import Levels, SimulatedMarket
from brokers.paper.matching import Listing
from brokers.paper.orders import Working
from brokers.paper.script import ScriptMarket
from brokers.paper.venue import VenueCore
from brokers.paper.venue_log import SCHEMA, Change, Memory, VenueLog
from engine.domain.clock import NS_PER_S
from engine.domain.events import Fill
from engine.domain.instrument import Instrument
from engine.domain.money import Price, Qty
from engine.domain.movements import Movement
from engine.domain.order import Liquidity
from engine.market.feed import BookTick, MarketTick, QuoteTick, StatusTick
from engine.oms.broker_interface import BrokerEvent, OrderAnswer, Snapshot, VenueOrder, WireOrder

SKIP_NS = 30 * NS_PER_S
"""A longer gap is a sleep of the machine."""
BOOK_DEPTH = 10
LEVELS_NS = 60 * NS_PER_S
"""How often the price levels are written down while nothing of ours happens."""

MarketOf = Callable[[int, Levels | None], SimulatedMarket | ScriptMarket]
"""Makes the market of an epoch from its start and the levels of the one before."""


class _Core(VenueCore):
    """The core, its orders as they stand, and whether one changed without a word to anybody."""

    booked: list[Movement]
    """Bookings beside executions that the log does not hold yet."""
    is_touched = False
    """A stop was triggered, a trailing one moved, an iceberg showed its next part: no report says so."""

    def triggered(self, listing: Listing, order: Working) -> None:
        """A stop was passed."""
        self.is_touched = True
        super().triggered(listing, order)

    def changed_silently(self) -> None:
        """An order changed and nobody is told."""
        self.is_touched = True

    def _tell_moved(self, account: str, made: Movement) -> None:
        self.booked.append(made)
        super()._tell_moved(account, made)

    def working(self, account: str, wire_id: str) -> Working | None:
        """An order that arrived and was taken."""
        return self._orders.get(account, {}).get(wire_id)

    def counts(self) -> tuple[int, int]:
        """How many numbers were given out, and where the generator stands."""
        return self._numbered, self._random.state


class HostedVenue:
    """The venue without its sockets. Every call names the time; time never runs backwards.

    Args:
        report: called with the account and what happened; nothing of it may leave before :meth:`commit`.
    """

    def __init__(
        self,
        config: VenueConfig,
        market_of: MarketOf,
        log: VenueLog,
        now_ns: int,
        report: Report,
        on_tick: Callable[[MarketTick], None],
    ) -> None:
        self._report = report
        self._log = log
        self._is_touched = False
        self.core = _Core(config, self._on_report, on_tick, self._on_own_flow)
        self.core.booked = []
        memory = log.read()
        if memory is not None:
            now_ns = max(now_ns, memory.venue.now_ns)
        self.market = market_of(now_ns, memory.levels if memory else None)
        for listing in self.market.listings:
            for mic in listing.mics:
                calendar = self.market.calendars.get(listing.instrument.symbol)
                self.core.list_instrument(listing.instrument, mic, calendar)
        # The opening books come first, so that orders which come back stand behind them.
        self.market.advance(now_ns, self.core.on_row)
        self.core.bands.on_pause = self.market.hush
        if memory is not None:
            self.core.load_state(memory.venue)
        self.core.start_carry(now_ns if memory is None else memory.venue.now_ns)
        self.core.now_ns = max(self.core.now_ns, now_ns)
        self._levels_ns = now_ns
        self._rows_shown: dict[str, int] = {}
        self._watched: dict[tuple[str, str], tuple[object, ...] | None] = {}
        self._fill_seen: dict[str, tuple[int, str]] = {}
        self._flights: dict[int, Flight] = {}
        self._bands = BandState()
        self._remember_all()

    # -- time ----------------------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due by now."""
        self.market.advance(now_ns, self.core.on_row)
        self.core.advance(max(now_ns, self.core.now_ns))

    def skip_sleep(self, now_ns: int) -> None:
        """Where time has jumped (the machine slept), let the market wait rather than make up for it."""
        if now_ns - self.market.now_ns > SKIP_NS:
            self.market.skip_to(now_ns)

    def next_due_ns(self) -> int | None:
        """When a message of ours is due; None where none is under way."""
        return self.core.next_due_ns()

    # -- what clients ask ------------------------------------------------------------------------------------------------

    def submit_new(self, now_ns: int, account: str, order: WireOrder) -> None:
        """Take an order on its way."""
        for one in order.members:
            self._watched.setdefault((account, one.wire_id), None)
        self._is_touched = True
        self.core.submit_new(now_ns, account, order)

    def submit_cancel(self, now_ns: int, account: str, wire_id: str, venue_order_id: str) -> None:
        """Take a cancel on its way; an order without a known wire id is found by the venue's."""
        self._is_touched = True
        if not wire_id and venue_order_id:
            open_orders = self.core.open_orders(account)
            wire_id = next((one.wire_id for one in open_orders if one.venue_order_id == venue_order_id), "")
        self.core.submit_cancel(now_ns, account, wire_id)

    def submit_amend(
        self, now_ns: int, account: str, wire_id: str, qty: Qty, limit: Price | None, stop: Price | None
    ) -> None:
        """Take new terms on their way."""
        self._is_touched = True
        self.core.submit_amend(now_ns, account, wire_id, qty, limit, stop)

    def cancel_all(self, account: str) -> int:
        """Cancel what the account has, at once; how many."""
        self._is_touched = True
        return self.core.cancel_all(account)

    def open_orders(self, account: str) -> tuple[VenueOrder, ...]:
        """Orders that may still fill: those at the venue, oldest first, and those on their way to it."""
        coming = (one.view() for one in self.core.in_flight() if one.account == account)
        return (*self.core.open_orders(account), *(order for order in coming if order is not None))

    def open_account(self, name: str) -> None:
        """Open an account on its first use."""
        if name not in self.core.accounts:
            self.core.account(name)
            self._is_touched = True

    def instruments(self) -> tuple[Instrument, ...]:
        """What is listed, once per symbol."""
        return tuple(listing.instrument for listing in self.market.listings)

    def is_idle(self) -> bool:
        """Whether no order of anybody is open or under way."""
        return not self._watched

    def picture(self) -> list[MarketTick]:
        """Status, quote and book of each listing, for a reader who has just come."""
        ticks: list[MarketTick] = []
        for listing in self.core.listings.values():
            state = self.core.status(listing.symbol, listing.mic)
            ticks.append(StatusTick(listing.symbol, listing.mic, self.core.now_ns, state))
            ticks.append(self._quote(listing.symbol, listing.mic))
            ticks.append(listing.book_tick(BOOK_DEPTH))
        return ticks

    def changed_books(self) -> list[BookTick]:
        """Books with rows since this was last asked."""
        ticks = []
        for key, listing in self.core.listings.items():
            if self._rows_shown.get(key) != listing.row:
                self._rows_shown[key] = listing.row
                ticks.append(listing.book_tick(BOOK_DEPTH))
        return ticks

    def best_quote(self, symbol: str) -> tuple[Price | None, Price | None, int]:
        """Best bid and offer over the venues, and the time of the newest of them."""
        bid: Price | None = None
        ask: Price | None = None
        at_ns = 0
        for listing in self.core.listings.values():
            if listing.symbol != symbol:
                continue
            at_ns = max(at_ns, listing.ts_ns)
            if listing.bid_qty and (bid is None or listing.instrument.price_of(listing.bid) > bid):
                bid = listing.instrument.price_of(listing.bid)
            if listing.ask_qty and (ask is None or listing.instrument.price_of(listing.ask) < ask):
                ask = listing.instrument.price_of(listing.ask)
        return bid, ask, at_ns

    def _quote(self, symbol: str, mic: str) -> QuoteTick:
        tick = self.core.quote(symbol, mic)
        assert tick is not None, "it is listed"
        return tick

    # -- memory ---------------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Write down what changed; only afterwards may anything be told.

        Raises:
            OSError: the disk refused. The venue must end: what it cannot remember it must not say.
        """
        core = self.core
        if not (self._is_touched or core.is_touched) and core.now_ns - self._levels_ns < LEVELS_NS:
            return
        self._is_touched = core.is_touched = False
        self._levels_ns = core.now_ns
        if self._log.is_long:
            self._remember_all()
            return
        numbered, random = core.counts()
        orders, refused = self._changed_orders()
        fills = self._new_fills()
        taken, arrived = self._changed_flights()
        change = Change(
            now_ns=core.now_ns,
            numbered=numbered,
            random=random,
            counters=core.counters,
            levels=self.market.levels(),
            orders=tuple(orders),
            refused=tuple(refused),
            fills=tuple(fills),
            accounts=tuple(core.accounts.values()),
            movements=tuple(core.booked),
            taken=tuple(taken),
            arrived=tuple(arrived),
            bands=self._changed_bands(),
            paced=() if core.pace is None else tuple(core.pace.take_new()),
            tallies=() if core.pace is None else tuple(core.pace.tallies.take_changed()),
        )
        self._log.append(change)
        self.core.booked.clear()

    def close(self) -> None:
        """Write down the rest and let go."""
        self._is_touched = True
        self.commit()
        self._log.close()

    def _remember_all(self) -> None:
        """Begin the log anew with everything as it is now; what follows is told as changes to that."""
        state = self.core.state()
        self._log.start(Memory(schema=SCHEMA, venue=state, levels=self.market.levels()))
        self._flights = {one.number: one for one in state.flights}
        self._bands = state.bands
        if self.core.pace is not None:
            self.core.pace.take_new()
            self.core.pace.tallies.take_changed()
        self.core.booked.clear()
        flown = ((one.account, one.order) for one in state.flights if one.order is not None)
        coming = {(account, one.wire_id): None for account, order in flown for one in order.members}
        here = {(order.account, order.wire_id): _print_of(order) for order in state.orders if order.is_open}
        self._watched = {**coming, **here}
        for account, fills in state.fills.items():
            if fills:
                self._fill_seen[account] = (fills[-1].ts_ns, fills[-1].fill_key)

    def _changed_bands(self) -> BandState | None:
        """References and pauses, where they are not what the log holds."""
        state = self.core.bands.state()
        if state == self._bands:
            return None
        self._bands = state
        return state

    def _changed_flights(self) -> tuple[list[Flight], list[int]]:
        """Messages that were taken (or swept) since the last line, and the numbers of those that arrived."""
        now = {one.number: one for one in self.core.in_flight()}
        taken = [one for number, one in now.items() if self._flights.get(number) != one]
        arrived = [number for number in self._flights if number not in now]
        self._flights = now
        return taken, arrived

    def _changed_orders(self) -> tuple[list[Working], list[tuple[str, VenueOrder]]]:
        orders: list[Working] = []
        refused: list[tuple[str, VenueOrder]] = []
        for (account, wire_id), before in list(self._watched.items()):
            order = self.core.working(account, wire_id)
            if order is not None:
                now = _print_of(order)
                if now != before:
                    orders.append(order)
                    self._watched[account, wire_id] = now
                if not order.is_open:
                    del self._watched[account, wire_id]
                continue
            answer = self.core.order(account, wire_id)
            if answer is not None:
                refused.append((account, answer))
                del self._watched[account, wire_id]
        return orders, refused

    def _new_fills(self) -> list[Fill]:
        new: list[Fill] = []
        for account in self.core.accounts:
            seen_ns, seen_key = self._fill_seen.get(account, (0, ""))
            fills = self.core.fills_since(account, seen_ns)
            start = next((at for at, fill in enumerate(fills, 1) if fill.fill_key == seen_key), 0)
            if fills[start:]:
                new += fills[start:]
                self._fill_seen[account] = (fills[-1].ts_ns, fills[-1].fill_key)
        return new

    # -- callbacks of the core ---------------------------------------------------------------------------------------------

    def _on_report(self, account: str, event: BrokerEvent) -> None:
        if not isinstance(event, (OrderAnswer, Snapshot)):
            self._is_touched = True
        self._report(account, event)

    def _on_own_flow(self, key: str, _ts_ns: int, signed_qty: int, liquidity: Liquidity) -> None:
        self._is_touched = True
        if liquidity is Liquidity.TAKER:
            self.market.own_trade(key.partition("@")[0], 1 if signed_qty > 0 else -1, abs(signed_qty))


def _print_of(order: Working) -> tuple[object, ...]:
    """What of an order can change."""
    return (
        order.filled, order.status, order.qty, order.limit, order.stop, order.is_open, order.is_waiting,
        order.is_resting, order.expires_ns, order.shown, order.held, order.amends,
    )  # fmt: skip
