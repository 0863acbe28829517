"""How much stands ahead of our resting orders: the venue's word where it gives one, an estimate from depth where it does not.

The estimate follows the level models of hftbacktest (github.com/nkaz001/hftbacktest, models/queue.rs): an order begins behind the size
that is displayed at its price; prints at its price move it on; of what else goes from its level a share that the logarithms
of the sizes behind and ahead decide is taken to have stood ahead. It is for people to look at: no decision rests on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import log1p

import msgspec

from engine.domain.money import Qty
from engine.domain.order import OrderState, OrderType, Side
from engine.market.feed import BookTick, MarketTick, QuoteTick, TradeTick
from engine.store.order import Order

BehindShare = Callable[[float, float], float]
"""Of what is ahead and what is behind: the share of cancels that came from behind."""
RESTING = frozenset(
    {OrderState.NEW, OrderState.PARTIALLY_FILLED, OrderState.PENDING_CANCEL, OrderState.PENDING_REPLACE}
)
FOLLOWED_MAX = 500
"""Orders whose place is estimated, and as many whose venue told it; of further ones none is known."""


def by_logarithm(ahead: float, behind: float) -> float:
    """The shipped rule: it met most first fills with nothing ahead on recorded order-by-order data."""
    weight = log1p(behind)
    whole = weight + log1p(ahead)
    return weight / whole if whole else 1.0


class DepthQueue:
    """One order's place at its level, in the instrument's integer units.

    Args:
        ahead: displayed size at its price when it came there.
        behind_share: whose cancels they were.
    """

    def __init__(self, ahead: float, behind_share: BehindShare = by_logarithm) -> None:
        self.ahead = ahead
        self._size = ahead
        self._traded = 0.0
        self._behind_share = behind_share

    def on_trade(self, qty: float) -> None:
        """A print at its price."""
        self.ahead = max(0.0, self.ahead - qty)
        self._traded += qty

    def on_level(self, size: float) -> None:
        """Its level is displayed with another size; what was printed there since the last one is counted already."""
        gone, behind = self._size - size - self._traded, self._size - self.ahead
        self._traded, self._size = 0.0, size
        if gone <= 0:
            self.ahead = min(self.ahead, size)
            return
        share = self._behind_share(self.ahead, behind) if behind > 0 else 0.0
        spill = min(behind - share * gone, 0.0)
        self.ahead = max(0.0, min(self.ahead - (1.0 - share) * gone + spill, size))


class Place(msgspec.Struct, frozen=True):
    """Quantity ahead of a resting order."""

    ahead: Qty
    is_guessed: bool


class _Followed:
    """An order whose place is estimated."""

    __slots__ = ("order", "price", "qty", "queue", "sign", "venue")

    def __init__(self, order: Order, price: int, venue: str) -> None:
        self.order = order
        self.price = price
        self.qty = order.qty
        self.sign = 1 if order.spec.side is Side.BUY else -1
        self.venue = venue
        self.queue: DepthQueue | None = None
        """None until its level, or a better one of its side alone, was shown."""


class QueuePlaces:
    """The places of all resting orders of an engine.

    Args:
        is_on: a replay follows no order: nobody looks at it. Who brings orders here asks first.
    """

    def __init__(self, *, is_on: bool) -> None:
        self.watched: dict[str, dict[str, _Followed]] = {}
        """Symbol, then wire id: estimated ones only."""
        self.is_on = is_on
        self._told: dict[str, tuple[Order, Place]] = {}
        """By wire id: what venues said, and of which order."""

    def begin(self, order: Order, price: int, venue: str, shown: Iterable[MarketTick]) -> None:
        """A child rests at its venue, or has new terms there; asked again of one that is followed it changes nothing.

        Args:
            order: one that rests at no price, and one whose venue tells its place, is not followed.
            price: its limit, in the instrument's units.
            venue: whose depth counts.
            shown: what is displayed there now.
        """
        if order.wire_id in self._told or order.state not in RESTING or order.spec.type is not OrderType.LIMIT:
            return
        known = self.watched.setdefault(order.spec.symbol, {})
        for wire_id in [wire_id for wire_id, one in known.items() if one.order.state.is_terminal]:
            del known[wire_id]  # here too: nobody may ever look
        before = known.get(order.wire_id)
        if before is not None and (before.price, before.venue) == (price, venue) and order.qty <= before.qty:
            before.qty = order.qty
            return  # fewer at the same price keep their place
        if before is None and sum(map(len, self.watched.values())) >= FOLLOWED_MAX:
            return
        known[order.wire_id] = _Followed(order, price, venue)
        for tick in shown:
            self.on_tick(tick)

    def told(self, order: Order, place: Place) -> None:
        """The venue says a place."""
        self._told[order.wire_id] = (order, place)
        known = self.watched.get(order.spec.symbol, {})
        if known.pop(order.wire_id, None) is not None and not known:
            del self.watched[order.spec.symbol]
        if len(self._told) > FOLLOWED_MAX:
            self.forget_ended()
            while len(self._told) > FOLLOWED_MAX:
                del self._told[next(iter(self._told))]

    def on_tick(self, tick: MarketTick) -> None:
        """A tick of a watched symbol."""
        for one in self.watched.get(tick.symbol, {}).values():
            if one.venue != tick.venue:
                continue
            if isinstance(tick, TradeTick):
                if not tick.hidden and one.queue is not None:
                    _print(one, tick)
            elif isinstance(tick, BookTick):
                _depth(one, tick.bids if one.sign > 0 else tick.asks, is_whole=True)
            elif isinstance(tick, QuoteTick):
                best = (tick.bid, tick.bid_qty) if one.sign > 0 else (tick.ask, tick.ask_qty)
                _depth(one, (best,) if best[1] else (), is_whole=False)

    def place(self, order: Order, qty_of: Callable[[int], Qty]) -> Place | None:
        """Where an order stands; None where nobody can tell."""
        if order.state not in RESTING or not order.wire_id:
            return None
        if order.wire_id in self._told:
            return self._told[order.wire_id][1]
        one = self.watched.get(order.spec.symbol, {}).get(order.wire_id)
        if one is None or one.queue is None:
            return None
        return Place(qty_of(0 if order.qty_filled else round(one.queue.ahead)), is_guessed=True)

    def forget_ended(self) -> None:
        """Let go of orders that do not rest any more."""
        for wire_id in [wire_id for wire_id, (order, _) in self._told.items() if order.state.is_terminal]:
            del self._told[wire_id]
        for symbol, known in list(self.watched.items()):
            for wire_id in [wire_id for wire_id, one in known.items() if one.order.state.is_terminal]:
                del known[wire_id]
            if not known:
                del self.watched[symbol]


def _print(one: _Followed, tick: TradeTick) -> None:
    assert one.queue is not None
    beyond = (one.price - tick.price) * one.sign
    if beyond > 0:
        one.queue.ahead = 0.0  # what stood at our price has traded through
    elif beyond == 0:
        one.queue.on_trade(tick.qty)


def _depth(one: _Followed, levels: tuple[tuple[int, int], ...], *, is_whole: bool) -> None:
    """Look at the displayed levels of our side, best first; a quote shows one level only."""
    size = next((qty for price, qty in levels if price == one.price), None)
    if size is not None:
        if one.queue is None:
            one.queue = DepthQueue(size)
        else:
            one.queue.on_level(size)
        return
    is_best = not levels or (one.price - levels[0][0]) * one.sign > 0
    is_within = is_whole and bool(levels) and (one.price - levels[-1][0]) * one.sign > 0
    if is_best or is_within:  # nobody else is at our price
        if one.queue is None:
            one.queue = DepthQueue(0)
        else:
            one.queue.on_level(0)
