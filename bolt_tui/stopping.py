"""Ending an engine from outside: what was at work, what became of it, and what is left, in counts.

The counts are read from the ledger after the engine has let go of it: what it was asked to do is no answer to what it did.
"""

from __future__ import annotations

import msgspec

from bolt_tui.client import EngineClient
from bolt_tui.settings import Home
from engine.domain.commands import CommandResult, StopEngine
from engine.domain.errors import StoreError
from engine.domain.money import padded, text
from engine.domain.order import TOUCHED, OrderState, OrderType, Source
from engine.views import DeskView, OrderView

STOP_DEADLINE_S = 20.0
_NAMED_BY_PRICES = {OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED}
"""``limit 188.90`` and ``stop 188.40 limit 188.10`` say what kind of order it is."""


class AtWork(msgspec.Struct, frozen=True):
    """What a stop must decide on."""

    orders: tuple[OrderView, ...]
    """At the venue, or perhaps there."""
    algorithms: tuple[OrderView, ...]
    """Parents that would still send."""

    def words(self) -> str:
        """``3 orders are at the venue (1 of them UNKNOWN), 1 algorithm is open``; empty where nothing is."""
        unknown = sum(row.state is OrderState.UNKNOWN for row in self.orders)
        parts = []
        if self.orders:
            parts.append(_count(len(self.orders), "order is", "orders are") + " at the venue")
            parts[-1] += f" ({unknown} of them UNKNOWN)" if unknown else ""
        if self.algorithms:
            parts.append(_count(len(self.algorithms), "algorithm is", "algorithms are") + " open")
        return ", ".join(parts)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What a stop led to."""

    ended: bool
    """The engine has let go of its ledger."""
    pid: int
    cancelled: int = 0
    filled: int = 0
    other: int = 0
    """Of the orders that were at work: ended in another way (rejected, expired, never sent)."""
    left: int = 0
    unknown: int = 0
    """Of those left."""
    algorithms: int = 0
    """Left open: they go on at the next start."""
    orders_left: tuple[str, ...] = ()
    fault: str = ""
    """Why nothing is known of the orders: the ledger cannot be read."""

    def lines(self) -> list[str]:
        """For a person."""
        counts = [
            f"{count} {word}"
            for count, word in ((self.cancelled, "cancelled"), (self.filled, "filled"), (self.other, "ended otherwise"))
            if count
        ]
        if self.fault:
            return [f"the engine has ended; what became of its orders is not known here: {self.fault}"]
        said = ["the engine has ended" + (f"; of its orders {', '.join(counts)}" if counts else "")]
        if self.left:
            unknown = f" ({self.unknown} of them UNKNOWN: look at the broker)" if self.unknown else ""
            said.append(
                f"{_count(self.left, 'order is', 'orders are')} left at the venue{unknown} and stand again at the next start:"
            )
            said += [f"  {order}" for order in self.orders_left]
        if self.algorithms:
            said.append(f"{_count(self.algorithms, 'algorithm', 'algorithms')} left open: they go on at the next start")
        return said


def at_work(view: DeskView) -> AtWork:
    """Live children and foreign orders, and parents whose algorithm would send more."""
    live = [row for row in view.orders if row.state.is_live and row.state is not OrderState.STAGED]
    parents = [row for row in live if row.order_id.startswith("P")]
    return AtWork(
        tuple(row for row in live if not row.order_id.startswith("P")),
        tuple(row for row in parents if row.algo not in {"", "direct"}),
    )


def stop_engine(
    client: EngineClient, view: DeskView, home: Home, source: Source, *, cancel: bool
) -> Ended | CommandResult:
    """Ask the engine to end, wait until it has, and end its paper venue; the refusal where the engine refuses.

    Args:
        view: the client's first picture.
    """
    result = client.submit(StopEngine(source=source, cancel=cancel))
    if not result.ok:
        return result
    if not client.wait_closed(STOP_DEADLINE_S):
        return Ended(ended=False, pid=view.status.pid, left=len(at_work(view).orders))
    from brokers.paperbroker import stop_venue

    stop_venue(home.root)
    return what_became(home, at_work(view), view.status.pid)


def what_became(home: Home, before: AtWork, pid: int) -> Ended:
    """The end, told from the ledger that the engine has let go of."""
    from bolt_tui.stored import open_stored

    try:
        stored = open_stored(home)
        if stored is None:
            return Ended(ended=True, pid=pid)
        states = stored.states(tuple(row.order_id for row in before.orders))
        open_orders, digits = stored.orders(with_ended=False), stored.digits()
    except StoreError as error:
        return Ended(ended=True, pid=pid, left=len(before.orders), fault=str(error))
    ends = [state for state in states.values() if state.is_terminal]
    left = [row for row in open_orders if row.state.is_live and not row.order_id.startswith("P")]
    parents = [row for row in open_orders if row.order_id.startswith("P") and row.algo not in {"", "direct"}]
    return Ended(
        ended=True,
        pid=pid,
        cancelled=ends.count(OrderState.CANCELLED),
        filled=ends.count(OrderState.FILLED),
        other=sum(state not in {OrderState.CANCELLED, OrderState.FILLED} for state in ends),
        left=len(left),
        unknown=sum(row.state is OrderState.UNKNOWN for row in left),
        algorithms=sum(row.state.is_live and row.state is not OrderState.STAGED for row in parents),
        orders_left=tuple(left_words(row, digits(row.symbol)) for row in left),
    )


def left_words(row: OrderView, digits: int) -> str:
    """An order that is left, with every price of it: ``C732 new sell 100 MSFT stop 188.40 limit 188.10``.

    Its type is said where its prices do not say it. ``digits``: decimals that a price has at least.
    """
    words = [row.order_id, row.state.value, row.side.value, text(row.qty), row.symbol]
    words += [] if row.type in _NAMED_BY_PRICES else [row.type]
    words += [] if row.stop is None else ["touch" if row.type in TOUCHED else "stop", padded(row.stop, digits)]
    words += [] if row.limit is None else ["limit", padded(row.limit, digits)]
    return " ".join(word for word in (*words, row.terms(digits)) if word)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
