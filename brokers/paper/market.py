"""The simulated market: an endless, seeded stream of order-by-order rows for several instruments and venues.

Each book is zero-intelligence Poisson flow (limit orders, cancels and market orders at random; Daniels, Farmer,
Gillemot, Iori, Smith, Phys. Rev. Lett. 90, 2003) around a latent value, with three additions that make it look alive:
trades excite more trades on the same side (a Hawkes process with exponential kernel; Bacry, Mastromatteo, Muzy, Market
Microstructure and Liquidity 1, 2015), intensity follows a curve over the UTC day, and shocks arrive now and then.

The latent value is the start price times one plus a factor shared by a group, an own part and the impact of our own
executions; each part is pulled back to zero (Ornstein and Uhlenbeck), so a desk left running for weeks finds prices
where it knows them. Bids stay at or below the latent value and offers above it, so that no book is ever crossed, nor are
two venues of one instrument.

A listing with a calendar is quiet outside its sessions: nothing comes, goes or trades, while its latent value moves on. In the call
phase before an open orders come and go while the listing is halted, so that there is a quote; it opens with one large print, and
the last print of a session is such a one too. While the venue pauses a listing (a price band) orders come and go there, and nobody trades.

Integers only, and our own generator: the rows are a function of seed, start and what :meth:`SimulatedMarket.own_trade`
was told. Nothing is kept but the books themselves, at most :data:`ORDERS_MAX` orders a side.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping

import msgspec

from brokers.paper.listings import LISTINGS, Listing
from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.domain.ids import Random, splitmix64
from engine.market.calendar import Calendar
from engine.market.rows import ADD, DELETE, EXEC, HALT, HIDDEN, REDUCE, RESUME, Row, listing_key
from engine.market.rows import BUY as BID
from engine.market.rows import SELL as ASK

OnRow = Callable[[str, Row], None]
"""Called with the listing key (``AAPL@SIMA``) and the row."""

ORDERS_TARGET = 32
ORDERS_MAX = 2 * ORDERS_TARGET
ORDERS_MIN = 8
"""Below this many a side is refilled at once: a market order always finds somebody."""
GAPS_MAX = 24
"""Orders further than this many gaps from the latent value are the first to be cancelled."""
STEP_NS = 250 * NS_PER_MS
"""How often the latent values move."""
ONE = 1_000_000_000
"""Fixed point of the parts of the latent value: 1e-9."""
SWING_MAX = ONE // 5
"""The latent value never leaves a fifth above or below its start."""

_CURVE_PCT = (165, 150, 135, 120, 108, 98, 90, 82, 76, 72, 68, 66)
_CURVE = (*_CURVE_PCT, *reversed(_CURVE_PCT), _CURVE_PCT[0])
"""Intensity at each full hour UTC, in percent: a U over the day with a mean close to 100."""
_OPEN, _CALL, _CLOSED = "open", "call", "closed"
_STEP = -1
"""Mark of the next move of the latent values among what is due; a book's own number is its next event, lower ones its sessions' edges."""
_REVERT_STEPS = 4 * 14_400
"""Time constant of the pull to the start: four hours, in steps."""
_IMPACT_FADE_STEPS = 120
"""Time constant of the temporary impact: half a minute."""
_FACTOR_VOL = 12_000
"""Standard deviation of a factor's step, in 1e-9 (a quarter of a basis point in the square root of a second)."""
_SHOCK_STEPS = 14_400
"""A shock to one instrument about once an hour, to a factor every four hours."""
_TRADE_PM = 130
_HIDDEN_PM = 40
_INFORMED_PM = 400
"""Of the orders that a move of the latent value leaves behind, so many are hit; the others are cancelled in time."""
_BRANCHING_PM = 300
"""Each trade brings about 0.3 more events: below one, or the flow would explode."""
_HEAT_MAX = 5_000
_HEAT_NS = 2 * NS_PER_S
_LEAN_TRADE = 120
_LEAN_NS = 12 * NS_PER_S
_HOUR_NS = 3_600 * NS_PER_S
_AUCTION_SIZES = 50
"""What others trade in an auction, in usual order sizes."""


def curve_pct(ts_ns: int) -> int:
    """Intensity of the flow at this time of the UTC day, in percent of the mean."""
    hour, rest = divmod(ts_ns % (24 * _HOUR_NS), _HOUR_NS)
    here, there = _CURVE[hour], _CURVE[hour + 1]
    return here + (there - here) * rest // _HOUR_NS


def exponential(rng: Random, mean: int) -> int:
    """An exponential draw, in integers: -ln(U) by the binary logarithm of 64 random bits.

    log2(1 + x) is taken as x + 0.3432 x (1 - x), which is within 0.01.
    """
    bits = rng.bits64() | 1
    length = bits.bit_length()
    x = ((bits << 16) >> (length - 1)) & 0xFFFF
    log2 = x + ((22_489 * x * (65_536 - x)) >> 32)
    e = ((65 - length) << 16) - log2
    return mean * ((e * 45_426) >> 16) >> 16


def _toward_zero(value: int, divisor: int) -> int:
    return value // divisor if value >= 0 else -(-value // divisor)


def _gauss(rng: Random, deviation: int) -> int:
    """About normal: the number of ones among 64 bits, whose standard deviation is 4."""
    return _toward_zero((rng.bits64().bit_count() - 32) * deviation, 4)


class Levels(msgspec.Struct, frozen=True):
    """Where the latent values stand, so that the next epoch starts where this one ended."""

    factors: tuple[int, ...]
    own: dict[str, int]
    row: int
    """Number of the last row: the next epoch counts on."""


class _Latent:
    """The value around which the books of one instrument trade."""

    __slots__ = ("impact", "listing", "own", "top")

    def __init__(self, listing: Listing, own: int) -> None:
        self.listing = listing
        self.own = own
        self.impact = 0
        self.top = 0
        """Highest bid allowed, in price units; offers start one tick above."""

    def place(self, factor: int) -> None:
        """Put the allowed quotes where the parts say."""
        listing = self.listing
        swing = _toward_zero(factor * listing.beta_pct, 100) + self.own + self.impact
        swing = max(-SWING_MAX, min(SWING_MAX, swing))
        self.top = listing.start * (ONE + swing) // ONE // listing.tick * listing.tick


class _Book:
    """The orders of one instrument at one venue."""

    __slots__ = (
        "_emit", "_heat_trade", "_qty", "_rng", "_sides", "calendar", "heat", "is_hushed", "key", "latent", "lean", "phase",
        "stamp",
    )  # fmt: skip

    def __init__(
        self, key: str, latent: _Latent, rng: Random, emit: Callable[[str, int, int, int, int, int, int], int]
    ) -> None:
        self.key = key
        self.latent = latent
        self.heat = 0
        """Excitement by recent trades, in thousandths of the base intensity."""
        self.lean = 0
        """Which side recent market orders took, -1000 to 1000."""
        self.stamp = 0
        self.calendar: Calendar | None = None
        """None where it never closes."""
        self.phase = _OPEN
        self.is_hushed = False
        """The venue has halted it."""
        # A trade's heat lasts _HEAT_NS and _TRADE_PM of the events are trades: this much makes _BRANCHING_PM events.
        per_s = latent.listing.rate_mhz * _TRADE_PM * (_HEAT_NS // NS_PER_S)
        self._heat_trade = _BRANCHING_PM * 1_000_000 // per_s
        self._rng = rng
        self._emit = emit
        # (price, id) for offers and (-price, id) for bids: sorted, the front is the best and oldest.
        self._sides: dict[int, list[tuple[int, int]]] = {BID: [], ASK: []}
        self._qty: dict[int, int] = {}

    def fill_up(self, ts_ns: int, count: int) -> None:
        """Add orders until each side has ``count``."""
        for side in (BID, ASK):
            while len(self._sides[side]) < count:
                self._add(ts_ns, side)

    def wait_ns(self, ts_ns: int) -> int:
        """Time to the next event."""
        rate = self.latent.listing.rate_mhz * curve_pct(ts_ns) * (1_000 + self.heat)
        return 1 + exponential(self._rng, 1_000 * NS_PER_S * 100_000 // rate)

    def act(self, ts_ns: int) -> None:
        """One event: somebody trades, adds or cancels."""
        passed = ts_ns - self.stamp
        self.stamp = ts_ns
        self.heat -= min(self.heat, self.heat * passed // _HEAT_NS)
        self.lean -= _toward_zero(self.lean * min(passed, _LEAN_NS), _LEAN_NS)
        rng = self._rng
        if rng.below(1_000) < _TRADE_PM:
            if self.phase == _OPEN and not self.is_hushed:
                self._trade(ts_ns)
            return
        side = BID if rng.below(2) else ASK
        if rng.below(ORDERS_MAX) >= len(self._sides[side]):
            self._add(ts_ns, side)
        else:
            self._cancel(ts_ns, side)

    def follow(self, ts_ns: int) -> None:
        """Clear the orders that the moved latent value left on the wrong side; both sides are then refilled."""
        top = self.latent.top
        for side, limit in ((BID, -top), (ASK, top + self.latent.listing.tick)):
            rows = self._sides[side]
            stale = bisect_left(rows, (limit, 0))
            for _ in range(stale):
                mark, order_id = rows.pop(0)
                qty = self._qty.pop(order_id)
                is_hit = self._rng.below(1_000) < _INFORMED_PM and self.phase == _OPEN and not self.is_hushed
                action = EXEC if is_hit else DELETE
                self._emit(self.key, ts_ns, action, side, order_id, abs(mark), qty)
        self.fill_up(ts_ns, ORDERS_MIN)

    def call(self, ts_ns: int) -> None:
        """Orders are collected for an open: the book is built anew around the value of now, and nobody trades."""
        self.stamp, self.phase = ts_ns, _CALL
        self._emit(self.key, ts_ns, HALT, 0, 0, 0, 0)
        self.follow(ts_ns)
        self.fill_up(ts_ns, ORDERS_TARGET)

    def open(self, ts_ns: int) -> None:
        """A session begins, or goes on after a break, with one large print."""
        if self.phase != _CALL:
            self.call(ts_ns)
        self.follow(ts_ns)
        self._emit(self.key, ts_ns, RESUME, 0, 0, 0, 0)
        self.phase = _OPEN
        self.print_auction(ts_ns)

    def close(self, ts_ns: int) -> None:
        """A session ends with one large print."""
        self.print_auction(ts_ns)
        self.phase = _CLOSED

    def print_auction(self, ts_ns: int) -> None:
        """What others have done in an auction, at the value of now."""
        if not self.is_hushed:
            self._emit(self.key, ts_ns, HIDDEN, BID, 0, self.latent.top, _AUCTION_SIZES * self.latent.listing.size)

    def excite(self, heat: int, lean: int) -> None:
        """More trades, and more of them on one side."""
        self.heat = min(_HEAT_MAX, self.heat + heat)
        self.lean = max(-1_000, min(1_000, self.lean + lean))

    def _size(self) -> int:
        """An order's size: mostly the listing's usual size or half of it, seldom many times as much, at times odd."""
        rng = self._rng
        listing = self.latent.listing
        size = listing.size * (1 + rng.below(3)) << min(4, self._geometric())
        size = max(1, size // 4)
        if rng.below(100) < listing.odd_pct:
            size = 1 + rng.below(listing.size)
        return max(listing.lot, size // listing.lot * listing.lot)

    def _geometric(self) -> int:
        bits = self._rng.bits64()
        return (bits & -bits).bit_length() - 1 if bits else 63

    def _add(self, ts_ns: int, side: int) -> None:
        rng = self._rng
        listing = self.latent.listing
        gaps = self._geometric() if rng.below(100) < 60 else rng.below(GAPS_MAX * 2 // 3)
        away = gaps * listing.gap + rng.below(listing.gap // listing.tick) * listing.tick
        if rng.below(100) < listing.edge_pct:
            away += listing.edge
        top = self.latent.top
        price = max(listing.tick, top - away) if side == BID else top + listing.tick + away
        qty = self._size()
        order_id = self._emit(self.key, ts_ns, ADD, side, 0, price, qty)
        insort(self._sides[side], (-price if side == BID else price, order_id))
        self._qty[order_id] = qty

    def _cancel(self, ts_ns: int, side: int) -> None:
        rng = self._rng
        rows = self._sides[side]
        if len(rows) <= ORDERS_MIN:
            return
        listing = self.latent.listing
        worst = abs(rows[-1][0])
        is_far = abs(worst - self.latent.top) > GAPS_MAX * listing.gap
        at = len(rows) - 1 if is_far else rng.below(len(rows))
        mark, order_id = rows[at]
        qty = self._qty[order_id]
        less = qty // 2 // listing.lot * listing.lot
        if less and not is_far and rng.below(5) == 0:
            self._qty[order_id] = qty - less
            self._emit(self.key, ts_ns, REDUCE, side, order_id, abs(mark), less)
            return
        del rows[at]
        del self._qty[order_id]
        self._emit(self.key, ts_ns, DELETE, side, order_id, abs(mark), qty)

    def _trade(self, ts_ns: int) -> None:
        rng = self._rng
        listing = self.latent.listing
        bid, ask = -self._sides[BID][0][0], self._sides[ASK][0][0]
        # The side that is dear against the latent value is hit less often: quotes are pulled back to it.
        pull = (2 * self.latent.top + listing.tick - bid - ask) * 100 // listing.gap
        is_buy = rng.below(1_000) < 500 + max(-250, min(250, pull)) + _toward_zero(self.lean * 3, 10)
        resting = ASK if is_buy else BID
        size = self._size()
        if rng.below(1_000) < _HIDDEN_PM and ask - bid > listing.tick:
            price = bid + (1 + rng.below((ask - bid) // listing.tick - 1)) * listing.tick
            self._emit(self.key, ts_ns, HIDDEN, resting, 0, price, size)
        else:
            self._take(ts_ns, resting, size)
        self.excite(self._heat_trade, -resting * _LEAN_TRADE)

    def _take(self, ts_ns: int, side: int, size: int) -> None:
        rows = self._sides[side]
        while size and len(rows) > ORDERS_MIN // 2:
            mark, order_id = rows[0]
            qty = self._qty[order_id]
            part = min(qty, size)
            size -= part
            if part == qty:
                del rows[0]
                del self._qty[order_id]
            else:
                self._qty[order_id] = qty - part
            self._emit(self.key, ts_ns, EXEC, side, order_id, abs(mark), part)
        if len(rows) < ORDERS_MIN:
            self._add(ts_ns, side)


class SimulatedMarket:
    """All books, and what moves them. :meth:`advance` makes the rows; nothing happens before it is called.

    Args:
        seed: with ``start_ns`` it fixes every row.
        start_ns: when this epoch starts; the first rows (the opening books) carry it.
        levels: of the epoch before, to start from its prices.
        calendars: by symbol; one that is not named never closes.
        call_ns: length of the call phase before an open.
    """

    def __init__(
        self,
        seed: int,
        start_ns: int,
        listings: tuple[Listing, ...] = LISTINGS,
        levels: Levels | None = None,
        calendars: Mapping[str, Calendar] | None = None,
        call_ns: int = 0,
    ) -> None:
        self._call_ns = call_ns
        self.listings = listings
        self.calendars: Mapping[str, Calendar] = calendars or {}
        self.now_ns = start_ns
        self.row = levels.row if levels else 0
        self._rng = Random(splitmix64(seed & 0xFFFFFFFFFFFFFFFF) ^ start_ns)
        count = 1 + max(listing.factor for listing in listings)
        held = levels.factors if levels else ()
        self._factors = [held[at] if at < len(held) else 0 for at in range(count)]
        own = levels.own if levels else {}
        self._latents = {
            listing.instrument.symbol: _Latent(listing, own.get(listing.instrument.symbol, 0)) for listing in listings
        }
        self._place()
        self._on_row: OnRow = _nobody
        self._books = [
            _Book(listing_key(symbol, mic), latent, Random(self._rng.bits64()), self._emit)
            for symbol, latent in self._latents.items()
            for mic in latent.listing.mics
        ]
        self._is_open = False
        self._due = [(start_ns + book.wait_ns(start_ns), at) for at, book in enumerate(self._books)]
        self._due.append((start_ns + STEP_NS, _STEP))
        for at, book in enumerate(self._books):
            book.calendar = self.calendars.get(book.latent.listing.instrument.symbol)
            if book.calendar is not None and not book.calendar.is_open(start_ns):
                book.phase = _CLOSED
            self._plan_edge(at, start_ns)
        heapq.heapify(self._due)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every book, in a fixed order."""
        return tuple(book.key for book in self._books)

    def next_ns(self) -> int:
        """When the next row may come."""
        return self._due[0][0] if self._is_open else self.now_ns

    def advance(self, to_ns: int, on_row: OnRow) -> None:
        """Make every row up to and with ``to_ns``, in order of time."""
        self._on_row = on_row
        if not self._is_open:
            self._is_open = True
            for book in self._books:
                book.stamp = self.now_ns
                if book.phase == _OPEN:
                    book.fill_up(self.now_ns, ORDERS_TARGET)
        due = self._due
        while due[0][0] <= to_ns:
            ts_ns, at = due[0]
            if at == _STEP:
                self._step(ts_ns)
                heapq.heapreplace(due, (ts_ns + STEP_NS, at))
            elif at < _STEP:
                heapq.heappop(due)
                self._edge(_edge_of(at), ts_ns)
            elif self._books[at].phase == _CLOSED:
                heapq.heappop(due)  # it acts again from the next call phase on
            else:
                book = self._books[at]
                book.act(ts_ns)
                heapq.heapreplace(due, (ts_ns + book.wait_ns(ts_ns), at))
        self.now_ns = max(self.now_ns, to_ns)

    def skip_to(self, to_ns: int) -> None:
        """Let time pass in which nothing happened (the machine slept): the books wait, and go on at ``to_ns``."""
        passed = max(0, to_ns - self.now_ns)
        self._due = [(ts_ns + passed, at) for ts_ns, at in self._due]
        for book in self._books:
            book.stamp += passed
        self.now_ns += passed
        self._wake_sessions(self.now_ns)
        heapq.heapify(self._due)

    def hush(self, key: str, is_hushed: bool) -> None:
        """The venue has halted a listing: nobody trades there until it says otherwise."""
        for book in self._books:
            if book.key == key:
                book.is_hushed = is_hushed

    def _plan_edge(self, at: int, from_ns: int) -> None:
        """Put the next edge of a book among what is due: the moment just before a close, an open, or the call phase before it."""
        book = self._books[at]
        edge_ns = None if book.calendar is None else book.calendar.next_change(from_ns)
        if book.calendar is None or edge_ns is None:
            return
        if book.phase == _OPEN:
            edge_ns -= 1
        elif book.phase == _CLOSED and book.calendar.session(from_ns)[0] > from_ns:  # no break inside a session
            edge_ns = max(from_ns, edge_ns - self._call_ns)
        heapq.heappush(self._due, (edge_ns, _edge_of(at)))

    def _edge(self, at: int, ts_ns: int) -> None:
        """A call phase or a session begins, or a session ends a nanosecond from now: its last print must still be in it."""
        book = self._books[at]
        assert book.calendar is not None
        if book.phase == _OPEN:
            book.close(ts_ns)
            self._plan_edge(at, ts_ns + 1)
            return
        if book.calendar.is_open(ts_ns):
            book.open(ts_ns)
        else:
            book.call(ts_ns)
        if all(one[1] != at for one in self._due):
            heapq.heappush(self._due, (ts_ns + book.wait_ns(ts_ns), at))
        self._plan_edge(at, ts_ns)

    def _wake_sessions(self, now_ns: int) -> None:
        """After a sleep each book is where its calendar says by now; what it slept through was not."""
        self._due = [one for one in self._due if one[1] >= _STEP]
        for at, book in enumerate(self._books):
            if book.calendar is None:
                continue
            is_open = book.calendar.is_open(now_ns)
            if is_open and book.phase != _OPEN:
                self._due.append((now_ns, _edge_of(at)))
                continue
            if not is_open:
                book.phase = _CLOSED
            self._plan_edge(at, now_ns)

    def own_trade(self, symbol: str, sign: int, qty_units: int) -> None:
        """Let our own execution move the latent value: half a gap per ten usual sizes for good, a whole one for a while.

        Linear in size (Almgren, Chriss, Journal of Risk 3, 2001), at most 40 gaps at once; seen at the next step.
        """
        latent = self._latents[symbol]
        listing = latent.listing
        gap = listing.gap * ONE // listing.start
        moved = sign * min(40 * gap, gap * qty_units // (10 * listing.size))
        latent.impact += moved
        latent.own += _toward_zero(moved, 2)

    def levels(self) -> Levels:
        """Where prices stand, for the next epoch."""
        own = {symbol: latent.own for symbol, latent in self._latents.items()}
        return Levels(tuple(self._factors), own, self.row)

    def _emit(self, key: str, ts_ns: int, action: int, side: int, order_id: int, price: int, qty: int) -> int:
        self.row += 1
        if action == ADD:
            order_id = self.row
        self._on_row(key, (ts_ns, action, side, order_id, price, qty, self.row))
        return order_id

    def _step(self, ts_ns: int) -> None:
        rng = self._rng
        for at, level in enumerate(self._factors):
            shock = self._shock(4 * _SHOCK_STEPS, 1_500_000)
            self._factors[at] = level - _toward_zero(level, _REVERT_STEPS) + _gauss(rng, _FACTOR_VOL) + shock
        for symbol, latent in self._latents.items():
            shock = self._shock(_SHOCK_STEPS, 50 * latent.listing.vol)
            drift = _gauss(rng, latent.listing.vol) - _toward_zero(latent.own, _REVERT_STEPS)
            latent.own += drift + shock
            latent.impact -= _toward_zero(latent.impact, _IMPACT_FADE_STEPS)
            if shock:
                self._excite(symbol, 1 if shock > 0 else -1)
        self._place()
        for book in self._books:
            if book.phase != _CLOSED:
                book.follow(ts_ns)

    def _shock(self, mean_steps: int, size: int) -> int:
        rng = self._rng
        if rng.below(mean_steps):
            return 0
        return (size + rng.below(size)) * (1 if rng.below(2) else -1)

    def _excite(self, symbol: str, sign: int) -> None:
        for book in self._books:
            if book.latent.listing.instrument.symbol == symbol:
                book.excite(_HEAT_MAX, sign * 600)

    def _place(self) -> None:
        for latent in self._latents.values():
            latent.place(self._factors[latent.listing.factor])


def _edge_of(at: int) -> int:
    """The mark among what is due of a book's next session edge, and back."""
    return _STEP - 1 - at


def _nobody(_key: str, _row: Row) -> None:
    """Take rows made before anybody listens: there are none."""
