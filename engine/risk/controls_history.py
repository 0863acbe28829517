"""What was sent and executed, counted from the journal: the controls' own memory, rebuilt like every other state.

It counts what left (intents, amendments, cancels), rejected messages too, and does not ask the order store: a mistake there
must not hide here. Rates look back over a sliding window; a day is the account's risk day, from one RiskDayBegan to the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

from engine.domain.clock import NS_PER_S
from engine.domain.day_events import RiskDayBegan
from engine.domain.events import (
    AmendIntent,
    AmendRejected,
    AnyEvent,
    CancelIntent,
    FillBusted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderIntent,
    OrderKilled,
    OrderRejected,
    OrderResolved,
    ParentAccepted,
    ParentEnded,
    Routes,
    TradingStateChanged,
)
from engine.domain.instrument import Instrument
from engine.domain.ledger_events import InstrumentDefined
from engine.domain.money import EXACT, ZERO_QTY, Qty
from engine.domain.order import OrderSpec, Side, Source, SourceKind

PARENTS_REMEMBERED = 4096
"""Accepted parents that a duplicate is looked for among; at the bound the oldest is forgotten."""

ShapeKey = tuple[object, ...]


def shape(spec: OrderSpec) -> ShapeKey:
    """What makes two orders the same to a person who pressed a key twice. The venue does not: who asks again elsewhere within
    a moment may have lost sight of the first.
    """
    return (
        spec.account,
        spec.symbol,
        spec.side,
        spec.qty,
        spec.type,
        spec.limit,
        spec.stop,
        spec.trail,
        spec.algo.name,
        None if spec.link is None else spec.link.combo,
    )


def source_name(source: Source) -> str:
    """``strategy:BuyTheDip``."""
    return f"{source.kind}:{source.name}"


def strategy_of(source: Source) -> str:
    """Name of the strategy, empty for every other source."""
    return source.name if source.kind is SourceKind.STRATEGY else ""


class Window:
    """Times of the last events of one kind, oldest first."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[int] = deque()

    def add(self, ts_ns: int, span_ns: int) -> None:
        """Note one event; what is older than ``span_ns`` is dropped."""
        times = self._times
        times.append(ts_ns)
        since = ts_ns - span_ns
        while times[0] <= since:
            times.popleft()
            if not times:
                return

    def count(self, now_ns: int, span_ns: int) -> int:
        """Events later than ``now_ns - span_ns``."""
        times = self._times
        since = now_ns - span_ns
        while times and times[0] <= since:
            times.popleft()
        return len(times)

    def leaves_room(self, now_ns: int, span_ns: int, most: Decimal | int) -> bool:
        """Whether one event more is no more than ``most`` within ``span_ns``; where all that are held are few, none is counted."""
        return len(self._times) + 1 <= most or self.count(now_ns, span_ns) + 1 <= most


class _Sent:
    """One order that left."""

    __slots__ = ("algo", "filled", "fills", "is_live", "parent_id", "pending", "qty", "source", "spec", "strategy")

    def __init__(self, spec: OrderSpec, source: Source, parent_id: str, strategy: str, algo: str) -> None:
        self.spec = spec
        self.source = source
        self.parent_id = parent_id
        self.strategy = strategy
        self.algo = algo
        self.qty: Qty = spec.qty
        self.pending: Qty | None = None
        self.filled: Qty = ZERO_QTY
        self.fills: dict[str, Qty] = {}
        """By fill key: what a correction takes the place of."""
        self.is_live = True

    def committed(self) -> Qty:
        """What it has filled or may still fill, at worst."""
        if not self.is_live:
            return self.filled
        most = self.qty if self.pending is None or self.pending < self.qty else self.pending
        return max(most, self.filled)


class _Parent:
    __slots__ = ("algo", "children", "committed", "qty", "strategy")

    def __init__(self, qty: Qty, strategy: str, algo: str) -> None:
        self.qty = qty
        self.strategy = strategy
        self.algo = algo
        self.children: list[str] = []
        self.committed: Qty = ZERO_QTY


class _Day:
    """Counts of one account in one risk day."""

    __slots__ = ("cancels", "fills", "orders", "turnover")

    def __init__(self) -> None:
        self.orders = 0
        self.cancels = 0
        self.fills = 0
        self.turnover: dict[str, Decimal] = {}


class History:
    """Counters of everything that left. ``apply`` is the only writer."""

    def __init__(self, repeat_window_ns: Callable[[], int] = lambda: 60 * NS_PER_S) -> None:
        self._repeat_window_ns = repeat_window_ns
        self.over_sent: list[str] = []
        """Parents whose children exceed them: reported once by the monitor, which empties it."""
        self._orders: dict[str, _Sent] = {}
        self._parents: dict[str, _Parent] = {}
        self._instruments: dict[str, Instrument] = {}
        self._shapes: dict[ShapeKey, int] = {}
        self._messages: dict[tuple[str, str], Window] = {}
        self._senders: dict[tuple[str, str, Source], tuple[Window, Window, Window, Window]] = {}
        """The windows that a message of an account and a source at a broker counts in."""
        self._repeats: dict[tuple[str, str, Side], Window] = {}
        self._days: dict[str, _Day] = {}
        self.routes: Routes = {
            AmendIntent: self._amended,
            AmendRejected: self._amended,
            CancelIntent: self._cancelled,
            FillBusted: self._busted,
            InstrumentDefined: self._defined,
            OrderAmended: self._amended,
            OrderCancelled: self._ended,
            OrderExpired: self._ended,
            OrderFilled: self._filled,
            OrderIntent: self._sent,
            OrderKilled: self._ended,
            OrderRejected: self._ended,
            OrderResolved: self._resolved,
            ParentAccepted: self._accepted,
            ParentEnded: self._forget,
            RiskDayBegan: self._begun,
            TradingStateChanged: self._tripped,
        }

    # -- reading -----------------------------------------------------------------------------------------------------

    def messages(self, kind: str, name: str, now_ns: int) -> int:
        """New orders and amendments sent in the last second; ``kind`` is ``broker``, ``account`` or ``source``, or
        ``venue``, where cancels count too.
        """
        window = self._messages.get((kind, name))
        return window.count(now_ns, NS_PER_S) if window else 0

    def windows(self, spec: OrderSpec, source: Source) -> tuple[Window, Window, Window, Window]:
        """What :meth:`messages` counts for a message of a source: of its broker, venue, account and source, in this order."""
        return self._senders.get((spec.broker, spec.account, source)) or self._windows_of(spec, source)

    def repeats(self, name: str, symbol: str, side: Side, now_ns: int, span_ns: int) -> int:
        """Orders of a strategy or algorithm (``algo:vwap``) that were executed in one direction within ``span_ns``."""
        window = self._repeats.get((name, symbol, side))
        return window.count(now_ns, span_ns) if window else 0

    def repeated(self) -> tuple[tuple[str, str, Side], ...]:
        """Every (strategy or algorithm, symbol, side) that has executed, in order of first appearance."""
        return tuple(self._repeats)

    def seen_ns(self, spec: OrderSpec) -> int | None:
        """When the same order was last accepted."""
        return self._shapes.get(shape(spec))

    def committed(self, parent_id: str) -> Qty:
        """Filled, working and unknown quantity of a parent's children, by what was sent."""
        parent = self._parents.get(parent_id)
        return parent.committed if parent else ZERO_QTY

    def worst_of(self, order_id: str) -> Qty:
        """What one order that left has filled or may still fill; zero where it did not leave."""
        sent = self._orders.get(order_id)
        return sent.committed() if sent else ZERO_QTY

    def algo_of(self, parent_id: str) -> tuple[str, str]:
        """Strategy and algorithm of a parent, empty where it has none."""
        parent = self._parents.get(parent_id)
        return (parent.strategy, parent.algo) if parent else ("", "")

    def day_orders(self, account: str) -> int:
        """Orders and amendments sent today."""
        day = self._days.get(account)
        return day.orders if day else 0

    def day_cancels(self, account: str) -> int:
        """Cancels sent today."""
        day = self._days.get(account)
        return day.cancels if day else 0

    def order_to_trade(self, account: str, ratio_from: Decimal) -> int:
        """Messages of the day for each execution, with one more message, rounded up; 0 below ``ratio_from`` messages."""
        day = self._days.get(account)
        count = 1 if day is None else day.orders + day.cancels + 1
        return 0 if count < ratio_from or day is None else -(-count // max(1, day.fills))

    def day_turnover(self, account: str) -> dict[str, Decimal]:
        """Amount executed today, by currency."""
        day = self._days.get(account)
        return day.turnover if day else {}

    # -- following the journal ---------------------------------------------------------------------------------------

    def apply(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        """Take in a journaled event."""
        handler = self.routes.get(event.__class__)
        if handler is not None:
            handler(seq, ts_ns, event)

    def _accepted(self, _seq: int, ts_ns: int, event: ParentAccepted) -> None:
        spec = event.spec
        algo = "" if spec.algo.name == "direct" else f"algo:{spec.algo.name}"
        self._parents[event.order_id] = _Parent(spec.qty, strategy_of(event.source), algo)
        key = shape(spec)
        self._shapes.pop(key, None)
        self._shapes[key] = ts_ns
        if len(self._shapes) > PARENTS_REMEMBERED:
            del self._shapes[next(iter(self._shapes))]

    def _sent(self, _seq: int, ts_ns: int, event: OrderIntent) -> None:
        strategy, algo = self.algo_of(event.parent_id)
        sent = _Sent(event.spec, event.source, event.parent_id, strategy or strategy_of(event.source), algo)
        self._orders[event.order_id] = sent
        parent = self._parents.get(event.parent_id)
        if parent is not None:
            parent.children.append(event.order_id)
            self._commit(event.parent_id, parent, sent.committed(), is_send=True)
        self._message(ts_ns, event.spec, event.source)

    def _message(self, ts_ns: int, spec: OrderSpec, source: Source) -> None:
        self._today(spec.account).orders += 1
        key = (spec.broker, spec.account, source)
        windows = self._senders.get(key)
        if windows is None:
            windows = self._senders[key] = self._windows_of(spec, source)
        for window in windows:
            window.add(ts_ns, NS_PER_S)

    def _windows_of(self, spec: OrderSpec, source: Source) -> tuple[Window, Window, Window, Window]:
        windows = self._messages
        return (
            windows.setdefault(("broker", spec.broker), Window()),
            windows.setdefault(("venue", spec.broker), Window()),
            windows.setdefault(("account", spec.account), Window()),
            windows.setdefault(("source", source_name(source)), Window()),
        )

    def _amended(self, _seq: int, ts_ns: int, event: AmendIntent | OrderAmended | AmendRejected) -> None:
        parent = self._parents.get(event.order_id)
        if parent is not None and isinstance(event, OrderAmended):
            parent.qty = event.qty
        sent = self._orders.get(event.order_id)
        if sent is None:
            return
        before = sent.committed()
        if isinstance(event, AmendIntent):
            sent.pending = event.qty
            self._message(ts_ns, sent.spec, sent.source)
        else:
            sent.pending = None
            if isinstance(event, OrderAmended):
                sent.qty = event.qty
        self._settle(sent, before, is_send=isinstance(event, AmendIntent))

    def _filled(self, _seq: int, ts_ns: int, event: OrderFilled) -> None:
        fill = event.fill
        instrument = self._instruments.get(fill.symbol)
        if instrument is not None:
            self._today(fill.account).fills += 1
            turnover = self._today(fill.account).turnover
            amount = EXACT.abs(instrument.notional(fill.price, fill.qty))
            turnover[instrument.currency] = EXACT.add(turnover.get(instrument.currency, Decimal(0)), amount)
        sent = self._orders.get(event.order_id)
        if sent is None:
            return
        if not sent.filled:
            for name in (sent.strategy, sent.algo):
                if name:
                    key = (name, fill.symbol, sent.spec.side)
                    window = self._repeats.get(key)
                    if window is None:
                        window = self._repeats[key] = Window()
                    window.add(ts_ns, self._repeat_window_ns())
        wrong = sent.fills.pop(fill.corrects, ZERO_QTY) if fill.corrects else ZERO_QTY
        sent.fills[fill.fill_key] = fill.qty
        self._move(event.order_id, fill.qty - wrong)

    def _busted(self, _seq: int, _ts_ns: int, event: FillBusted) -> None:
        self._move(event.order_id, -event.fill.qty)

    def _move(self, order_id: str, filled: Qty) -> None:
        sent = self._orders.get(order_id)
        if sent is not None:
            before = sent.committed()
            sent.filled = sent.filled + filled
            self._settle(sent, before)

    def _cancelled(self, _seq: int, ts_ns: int, event: CancelIntent) -> None:
        sent = self._orders.get(event.order_id)
        if sent is not None:
            self._today(sent.spec.account).cancels += 1
            self._messages.setdefault(("venue", sent.spec.broker), Window()).add(ts_ns, NS_PER_S)

    def _defined(self, _seq: int, _ts_ns: int, event: InstrumentDefined) -> None:
        self._instruments[event.instrument.symbol] = event.instrument

    def _tripped(self, _seq: int, _ts_ns: int, event: TradingStateChanged) -> None:
        if event.code == "CHILD_SUM":
            # Told already: a rebuild must not tell it again after a person re-armed.
            self.over_sent.clear()

    def _resolved(self, seq: int, ts_ns: int, event: OrderResolved) -> None:
        if event.state.is_terminal:
            self._ended(seq, ts_ns, event)

    def _ended(
        self, _seq: int, _ts_ns: int, event: OrderCancelled | OrderExpired | OrderKilled | OrderRejected | OrderResolved
    ) -> None:
        sent = self._orders.get(event.order_id)
        if sent is not None:
            before = sent.committed()
            sent.is_live = False
            self._settle(sent, before)

    def _settle(self, sent: _Sent, before: Qty, *, is_send: bool = False) -> None:
        parent = self._parents.get(sent.parent_id)
        if parent is not None:
            self._commit(sent.parent_id, parent, sent.committed() - before, is_send=is_send)

    def _commit(self, parent_id: str, parent: _Parent, change: Qty, *, is_send: bool) -> None:
        if not change:
            return
        parent.committed = parent.committed + change
        # Only a send can be our fault: a venue that fills too much is booked and counted elsewhere.
        if is_send and change > 0 and parent.committed > parent.qty:
            self.over_sent.append(parent_id)

    def _forget(self, _seq: int, _ts_ns: int, event: ParentEnded) -> None:
        parent = self._parents.pop(event.order_id, None)
        for child in parent.children if parent else ():
            self._orders.pop(child, None)

    def _begun(self, _seq: int, _ts_ns: int, event: RiskDayBegan) -> None:
        self._days.pop(event.account, None)

    def _today(self, account: str) -> _Day:
        return self._days.setdefault(account, _Day())
