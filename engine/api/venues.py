"""How the venues are: each broker's channel, each market's feed and its hours. Looked at once a second, when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from engine.domain import events as ev
from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.domain.order import OrderState
from engine.market.calendar import DAY_NS, Calendar
from engine.views import BrokerView, FeedView, HoursView

if TYPE_CHECKING:
    from engine.api.engine import Engine

ORDERS_LOOKED_AT = 300
"""The newest orders, of which latency and rejects are told."""
SAME_DAYS = (-14, -7, 7, 14)
"""Sessions on the same day of the week that a session's length is compared with."""


class Venues:
    """Follows channel changes; the rest is read from the engine's own state."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._second = -1
        self._reconnects: dict[str, int] = {}
        self._acks: dict[str, list[int]] = {}
        """Sorted times from intent to acknowledgement, ns, by broker."""
        self._rejects: dict[str, tuple[int, int]] = {}
        """Rejected and all of the looked at orders, by broker."""
        self.feeds: tuple[FeedView, ...] = ()
        self.hours: tuple[HoursView, ...] = ()

    def started(self) -> None:
        """An engine starts: reconnects are counted from here."""
        self._reconnects.clear()

    def changed(self, _seq: int, _ts_ns: int, event: ev.BrokerChanged) -> None:
        """A channel came up or went down; the first time up is no reconnect."""
        if event.state is ev.BrokerState.UP:
            self._reconnects[event.broker] = self._reconnects.get(event.broker, -1) + 1

    def refresh(self, newest_first: Iterable[str]) -> None:
        """Look again where a second has passed.

        Args:
            newest_first: ids of orders, the last changed first.
        """
        now_ns = self._engine.clock.now_ns()
        if now_ns // NS_PER_S == self._second:
            return
        self._second = now_ns // NS_PER_S
        self._look_at_orders(newest_first)
        market = self._engine.market
        policy = self._engine.parts.policy.policy
        stale_ns = 0 if policy is None else policy.ns("price.max_quote_age_s")
        self.feeds = tuple(
            FeedView(venue=venue, symbols=count, heard_ns=heard_ns, stale=now_ns - heard_ns > stale_ns)
            for venue, (count, heard_ns) in sorted(market.heard().items())
        )
        if self._engine.parts.mode != "past":  # calendars are not loaded to look back
            names = dict.fromkeys(made.calendar for made in market.instruments.values())
            self.hours = tuple(self._hours(name, now_ns) for name in sorted(names))

    def _look_at_orders(self, newest_first: Iterable[str]) -> None:
        orders = self._engine.store.orders
        self._acks, self._rejects = {}, {}
        for order_id in islice(newest_first, ORDERS_LOOKED_AT):
            order = dict.get(orders, order_id)  # one that ended long ago stays packed
            if order is None or order.is_parent or not order.wire_id:
                continue
            broker = order.spec.broker
            rejected, count = self._rejects.get(broker, (0, 0))
            self._rejects[broker] = (rejected + (order.state is OrderState.REJECTED), count + 1)
            if order.acked_ns:
                self._acks.setdefault(broker, []).append(order.acked_ns - order.created_ns)
        for times in self._acks.values():
            times.sort()

    def _hours(self, name: str, now_ns: int) -> HoursView:
        table = self._engine.parts.sessions.table(name, now_ns)
        if table is None:
            return HoursView(calendar=name, state="unknown", why=self._engine.parts.sessions.words(name, now_ns))
        next_ns = table.next_change(now_ns)
        return HoursView(
            calendar=name,
            state="open" if table.is_open(now_ns) else "closed",
            next_ns=next_ns or 0,
            is_early=next_ns is not None and _is_short(table, now_ns),
        )

    def broker(self, name: str) -> BrokerView:
        """Health of a broker."""
        engine = self._engine
        broker = engine.parts.brokers[name]
        verified_ns = engine.view_of_risk.position_verified(name, broker.account)
        now_ns = engine.clock.now_ns()
        age_s = None if verified_ns is None else (now_ns - verified_ns) / NS_PER_S
        reset_ns, until_ns = min((reset.window(now_ns) for reset in broker.capabilities.resets), default=(0, 0))
        acks, (rejected, sent) = self._acks.get(name, []), self._rejects.get(name, (0, 0))
        return BrokerView(
            broker=name,
            account=broker.account,
            state=engine.view_of_risk.channel(name).value,
            latency_ms=acks[len(acks) // 2] // NS_PER_MS if acks else None,
            latency_ms_p99=acks[len(acks) * 99 // 100] // NS_PER_MS if acks else None,
            reconciled_s=None if age_s is None else round(age_s, 1),
            queue=engine.orders.waiting,
            reset_ns=reset_ns,
            reset_until_ns=until_ns,
            sent=sent,
            rejected=rejected,
            reconnects=max(0, self._reconnects.get(name, 0)),
        )


def _is_short(table: Calendar, now_ns: int) -> bool:
    """Whether the session that runs or comes next is shorter than those of the same day in the weeks around it."""
    opens_ns, closes_ns = table.session(now_ns)
    others = [table.session(opens_ns + days * DAY_NS) for days in SAME_DAYS if table.covers(opens_ns + days * DAY_NS)]
    return closes_ns - opens_ns < max((end - begin for begin, end in others), default=0)
