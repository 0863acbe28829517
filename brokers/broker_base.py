"""What adapters share: the way out with its lanes, and market data that never piles up."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from engine.market.feed import BookTick, MarketTick, QuoteTick, StatusTick, TradeTick

M = TypeVar("M")

LANE_MAX = 4_096
"""Messages waiting in one lane; one more is refused to its sender, who learns that it never left."""
TRADES_MAX = 1_024
"""Prints waiting for a reader; the oldest are dropped and counted."""


class Lanes(Generic[M]):
    """Messages waiting to leave: cancels first, then orders and amends, then questions. Not for two threads at once.

    A cancel whose own new order still waits takes that order along to the front: overtaken by its cancel, it would
    rest at the venue for ever.
    """

    __slots__ = ("_cancels", "_orders", "_questions", "_room")

    def __init__(self, lane_max: int = LANE_MAX) -> None:
        self._cancels: deque[M] = deque()
        self._orders: OrderedDict[object, M] = OrderedDict()
        self._questions: deque[M] = deque()
        self._room = lane_max

    def __len__(self) -> int:
        return len(self._cancels) + len(self._orders) + len(self._questions)

    def put_cancel(self, wire_id: str, message: M) -> bool:
        """Queue a cancel; False where the lane is full."""
        if len(self._cancels) >= self._room:
            return False
        own = self._orders.pop(wire_id, None)
        if own is not None:
            self._cancels.append(own)
        self._cancels.append(message)
        return True

    def put_new(self, wire_id: str, message: M) -> bool:
        """Queue a new order; False where the lane is full or an order of this id waits already."""
        if len(self._orders) >= self._room or wire_id in self._orders:
            return False
        self._orders[wire_id] = message
        return True

    def put_amend(self, message: M) -> bool:
        """Queue an amend behind the orders; False where the lane is full."""
        if len(self._orders) >= self._room:
            return False
        self._orders[object()] = message
        return True

    def put_question(self, message: M) -> bool:
        """Queue a question; False where the lane is full."""
        if len(self._questions) >= self._room:
            return False
        self._questions.append(message)
        return True

    def take(self, *, may_ask: bool = True) -> M | None:
        """The next to leave, None where nothing (or only questions that must wait) is there."""
        if self._cancels:
            return self._cancels.popleft()
        if self._orders:
            return self._orders.popitem(last=False)[1]
        return self._questions.popleft() if may_ask and self._questions else None

    def drain(self) -> list[M]:
        """Everything, in the order it would have left; nothing waits afterwards."""
        drained = [*self._cancels, *self._orders.values(), *self._questions]
        self._cancels.clear()
        self._orders.clear()
        self._questions.clear()
        return drained


class TickBuffer:
    """Market data on its way to a reader: the newest quote, book and status of each listing, and the newest prints.

    A slow reader loses old prints (counted) and in-between quotes, never the present state; memory is bounded.
    """

    __slots__ = ("_books", "_quotes", "_states", "_trades", "dropped")

    def __init__(self, trades_max: int = TRADES_MAX) -> None:
        self._quotes: dict[tuple[str, str], QuoteTick] = {}
        self._books: dict[tuple[str, str], BookTick] = {}
        self._states: dict[tuple[str, str], StatusTick] = {}
        self._trades: deque[TradeTick] = deque(maxlen=trades_max)
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._quotes or self._trades or self._books or self._states)

    def put(self, tick: MarketTick) -> None:
        """Take one tick."""
        match tick:
            case QuoteTick():
                self._quotes[tick.symbol, tick.venue] = tick
            case TradeTick():
                if len(self._trades) == self._trades.maxlen:
                    self.dropped += 1
                self._trades.append(tick)
            case BookTick():
                self._books[tick.symbol, tick.venue] = tick
            case StatusTick():
                self._states[tick.symbol, tick.venue] = tick

    def drain(self) -> tuple[MarketTick, ...]:
        """Everything that waits: status first, then prints in order, then quotes and books."""
        drained: tuple[MarketTick, ...] = (
            *self._states.values(),
            *self._trades,
            *self._quotes.values(),
            *self._books.values(),
        )
        self._states.clear()
        self._trades.clear()
        self._quotes.clear()
        self._books.clear()
        return drained
