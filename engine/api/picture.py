"""Draws the read models from the engine's state, and knows what changed since a cursor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine.api import log_lines
from engine.api.cash_desk import cash_views, rate_views
from engine.api.halt_picture import HaltPicture
from engine.api.overview import Overview
from engine.api.places import follow_place
from engine.api.venues import Venues
from engine.domain import events as ev
from engine.domain.basket_events import BasketDropped, BasketReleased, BasketStaged
from engine.domain.clock import NS_PER_S
from engine.domain.instrument import Instrument
from engine.domain.ledger_events import EngineStarted, PolicyLoaded, PolicyRefused
from engine.domain.money import EXACT, ZERO_MONEY, ZERO_QTY, Price, ratio, text
from engine.domain.order import DIES, source_of_wire, urgency_of
from engine.market.bars import Bar
from engine.routing.queue_position import Place
from engine.store.order import Order
from engine.views import (
    BarView,
    BookView,
    DeskUpdate,
    DeskView,
    FillView,
    LogLine,
    OrderView,
    PositionView,
    QuoteView,
    StatusView,
)

if TYPE_CHECKING:
    from engine.api.engine import Engine

Item = TypeVar("Item", bound=tuple[Any, ...])

TICK_BITS = 36
"""A place holds the journal sequence above this many bits of tick count."""
VERSION_BITS = 40
"""A cursor holds the place above this many bits, which count changes of what follows neither: status, positions, limits, costs."""
LOG_MAX = 2_000
FILLS_MAX = 2_000
BARS_SHOWN_MAX, BARS_TOTAL_MAX = 120, 4_000
"""Minutes of one symbol, and of all symbols together, in a whole picture."""
DONE_SHOWN_MAX = 300
"""Ended orders that a picture holds; all of them are in the ledger."""

CHANGED_MAX = 10_000
"""Orders whose last change is remembered; at the bound the older half is forgotten, but for what still works. A desk that is
so far behind has long been sent a whole picture."""
HEARD_MAX = 1_024
"""Events that wait for somebody to look; at the bound they are noted unasked. Few, so that their orders are still at hand."""


class Picture:
    """The reading half of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._log: deque[tuple[int, int, ev.AnyEvent, Order | None]] = deque(maxlen=LOG_MAX)
        """Sequence, time, event and its order: made into words only when somebody looks."""
        self._fills: deque[tuple[int, ev.OrderFilled | ev.ForeignFillSeen, Order | None]] = deque(maxlen=FILLS_MAX)
        self._changed: dict[str, int] = {}
        """Order id -> sequence number of its last change, oldest change first."""
        self.heard: list[tuple[int, int, ev.AnyEvent]] = []
        """Events that are still to be noted in both, oldest first: an engine adds each, and it is noted when somebody looks."""
        self._cursor = self._basket_seq = 0
        self._version = self._status_version = 0
        self._status_seen: StatusView | None = None
        self._positions_seen: dict[tuple[str, str, str], tuple[int, PositionView]] = {}
        """What was shown of each position last, and since which version."""
        self._places_seen: dict[str, tuple[int, Place | None]] = {}
        """The same of what stands ahead of each live order, looked at once a second."""
        self._places_second = -1
        self._overview = Overview(engine)
        self._venues = Venues(engine)
        self._started_ns = 0
        self._mode = ""
        self.halts = HaltPicture(engine)
        self._policy_error = ""
        self._remarks: dict[str, str] = {}
        self.routes: dict[type, Callable[[int, int, Any], None]] = {
            EngineStarted: self._started,
            ev.ParentAccepted: self._accepted,
            ev.OrderFilled: self._filled,
            ev.FillBusted: self._busted,
            ev.ForeignFillSeen: self._filled,
            PolicyLoaded: self._policy,
            PolicyRefused: self._policy,
            ev.TradingStateChanged: self.halts.changed,
            ev.HaltStep: self.halts.step,
            ev.BrokerChanged: self._venues.changed,
        }

    # -- following the journal ---------------------------------------------------------------------------------------------

    def on_event(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Take in an event at once; an engine calls :meth:`hear`, and the handler of the event's kind when its turn comes."""
        self.hear(seq, ts_ns, event)
        handler = self.routes.get(event.__class__)
        if handler is not None:
            handler(seq, ts_ns, event)

    def hear(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Remember an event until somebody looks."""
        if len(self.heard) >= HEARD_MAX:
            self.catch_up()
        self.heard.append((seq, ts_ns, event))

    def catch_up(self) -> None:
        """Note what was heard: its lines of the log, and which orders it changed (one that changed ten times, once)."""
        if not self.heard:
            return
        heard, self.heard = self.heard, []
        orders, changed = self._engine.store.orders, self._changed
        touched: dict[str, int] = {}
        parts = ((seq, ts_ns, part) for seq, ts_ns, event in heard for part in ev.parts_of(event))
        for seq, ts_ns, event in parts:
            has_order, is_basket = _traits(event.__class__)
            order = orders.get(event.order_id) if has_order else None  # type: ignore[union-attr] # the trait says it has one
            if order is not None:
                for order_id in (order.order_id, order.parent_id) if order.parent_id else (order.order_id,):
                    touched.pop(order_id, None)
                    touched[order_id] = seq
            if log_lines.is_told(event):
                self._log.append((seq, ts_ns, event, order))
            if is_basket:
                self._basket_seq = seq
        self._cursor = heard[-1][0]
        for order_id, seq in touched.items():
            changed.pop(order_id, None)
            changed[order_id] = seq
        if len(changed) > CHANGED_MAX:
            self._forget_half()

    def _forget_half(self) -> None:
        store, half = self._engine.store, CHANGED_MAX // 2
        at_work = store.parents_open.keys() | store.live.keys() | store.staged.keys()
        self._changed = {
            order_id: seq
            for at, (order_id, seq) in enumerate(self._changed.items())
            if at >= half or order_id in at_work
        }

    def _started(self, _seq: int, ts_ns: int, event: EngineStarted) -> None:
        self._started_ns = ts_ns
        self._venues.started()
        self._mode = "LIVE" if event.mode == "live" else "PAPER"
        self.halts.started()

    def _filled(self, seq: int, _ts_ns: int, event: ev.OrderFilled | ev.ForeignFillSeen) -> None:
        order = self._engine.store.orders.get(event.order_id) if isinstance(event, ev.OrderFilled) else None
        self._fills.append((seq, event, order))
        self._overview.booked(order, event.fill, 1)

    def _accepted(self, _seq: int, _ts_ns: int, event: ev.ParentAccepted) -> None:
        self._overview.accepted(event)

    def _busted(self, _seq: int, _ts_ns: int, event: ev.FillBusted) -> None:
        self._overview.booked(self._engine.store.orders.get(event.order_id), event.fill, -1)

    def _policy(self, _seq: int, _ts_ns: int, event: PolicyLoaded | PolicyRefused) -> None:
        self._policy_error = event.error if isinstance(event, PolicyRefused) else ""

    def remark(self, order_id: str, text: str) -> None:
        """Show a note on an order that no journaled event carries; drawn with the next event that is shown."""
        self._remarks[order_id] = text
        self.catch_up()
        self._changed.pop(order_id, None)
        self._changed[order_id] = self._cursor + 1

    # -- pictures ----------------------------------------------------------------------------------------------------------

    def view(self) -> DeskView:
        """A whole picture: every open order, the last ended ones, the tails of log and fills."""
        store = self._engine.store
        self.catch_up()
        recent = list(self._changed)[-DONE_SHOWN_MAX:]
        wanted = {**dict.fromkeys(store.parents_open), **dict.fromkeys(store.staged), **dict.fromkeys(store.live)}
        wanted |= dict.fromkeys(recent)
        orders = sorted((store.orders[order_id] for order_id in wanted), key=lambda order: order.counter)
        self._sum_up()
        return DeskView(
            status=self.status(),
            orders=tuple(self._order(order) for order in orders),
            positions=self._positions(),
            quotes=tuple(self._quotes(0)),
            books=tuple(self._books(0)),
            log=self._lines(0),
            fills=self._fill_views(0),
            instruments=tuple(self._engine.market.instruments.values()),
            bars=self._bars(0),
            limits=self._overview.limits,
            exposures=self._overview.exposures,
            costs=self._overview.costs_since(0),
            cash=cash_views(self._engine),
            rates=rate_views(self._engine),
            baskets=self._engine.baskets.views(),
        )

    def update_since(self, cursor: int) -> tuple[int, DeskUpdate]:
        """Rows that changed since a cursor that :meth:`update_since` gave (0: everything)."""
        place, version = divmod(cursor, 1 << VERSION_BITS) if cursor else (0, 0)
        seq, ticks = divmod(place, 1 << TICK_BITS)
        changed = self._changed_since(seq)
        self._sum_up()
        sums = self._overview.limits_since(version)
        status = self._see()
        store = self._engine.store
        moved = [order_id for order_id, (since, _) in self._places_seen.items() if since > version]
        changed = [*dict.fromkeys((*changed, *moved))]
        update = DeskUpdate(
            status=status if self._status_version > version else None,
            orders=tuple(self._order(store.orders[order_id]) for order_id in changed),
            positions=tuple(row for since, row in self._positions_seen.values() if since > version),
            quotes=tuple(self._quotes(ticks)),
            books=tuple(self._books(ticks)),
            log=self._lines(seq),
            fills=self._fill_views(seq),
            bars=self._bars(ticks),
            baskets=self._engine.baskets.views() if self._basket_seq > seq else None,
            limits=None if sums is None else sums[0],
            exposures=None if sums is None else sums[1],
            costs=self._overview.costs_since(version),
        )
        return self.cursor(), update

    def look_anew(self) -> None:
        """Work out the sums of the next picture, though one was drawn within this second: the past moves by rows."""
        self._overview.forget_second()

    def _sum_up(self) -> None:
        """Bring limits, exposures and costs up to date; what of them changed is a version of its own."""
        self._version += self._overview.refresh(self._version + 1)

    def _see(self) -> StatusView:
        """The status of now; notes whether more of it than the running time has changed, and which positions have."""
        version = self._version + 1
        status = self.status()
        calm = msgspec.structs.replace(
            status,
            ts_ns=status.ts_ns // NS_PER_S,
            brokers=tuple(msgspec.structs.replace(broker, reconciled_s=None) for broker in status.brokers),
        )
        if calm != self._status_seen:
            self._status_seen, self._status_version, self._version = calm, version, version
        seen = self._positions_seen
        for row in self._positions():
            key = (row.broker, row.account, row.symbol)
            if key not in seen or seen[key][1] != row:
                seen[key] = (version, row)
                self._version = version
        if self._places_second != calm.ts_ns:
            self._places_second = calm.ts_ns
            self._see_places(version)
        return status

    def _see_places(self, version: int) -> None:
        """Note whose place in its queue has changed, and follow orders that came back with a restart."""
        engine, seen = self._engine, self._places_seen
        live = engine.store.live
        engine.places.forget_ended()
        working = live.keys() | engine.store.parents_open.keys()
        for order_id in seen.keys() - working:
            del seen[order_id]
        for order in live.values():
            follow_place(engine.places, engine.market, order)
            place = self._place(order)
            if place != seen.get(order.order_id, (0, None))[1]:
                seen[order.order_id] = (version, place)
                if order.parent is not None:
                    seen[order.parent.order_id] = (version, place)
                self._version = version

    def _place(self, order: Order) -> Place | None:
        """What stands ahead of an order; of a parent, of its only working child."""
        made = self._engine.market.instruments.get(order.spec.symbol)
        if order.is_parent and len(order.children_live) == 1:
            order = next(iter(order.children_live.values()))
        return None if made is None else self._engine.places.place(order, made.qty_of)

    def cursor(self) -> int:
        """The cursor of now, for :meth:`update_since`: a picture taken now holds at least as much."""
        return (self._number() << VERSION_BITS) + self._version

    def _number(self) -> int:
        """The place of now: the journal's and the market's."""
        seq = self.heard[-1][0] if self.heard else self._cursor
        return (seq << TICK_BITS) + self._engine.market.ticks

    def _changed_since(self, seq: int) -> list[str]:
        """Orders that changed after a sequence number, oldest change first; looks at those and one more."""
        self.catch_up()
        found = []
        for order_id in reversed(self._changed):
            if self._changed[order_id] <= seq:
                break
            found.append(order_id)
        return found[::-1]

    def _lines(self, seq: int) -> tuple[LogLine, ...]:
        """Log lines after a sequence number."""
        digits, ledger_id = self._engine.market.price_digits, self._engine.store.ledger_id
        lines = [log_lines.line(*item, digits, ledger_id) for item in _after(self._log, seq)]
        return tuple(line for line in lines if line is not None)

    def _fill_views(self, seq: int) -> tuple[FillView, ...]:
        """Executions after a sequence number."""
        ledger_id = self._engine.store.ledger_id
        return tuple(_fill_view(*item, ledger_id) for item in _after(self._fills, seq))

    def status(self) -> StatusView:
        """The status bar."""
        engine = self._engine
        self.catch_up()
        self._venues.refresh(reversed(self._changed))
        store = engine.store
        policy = engine.parts.policy.policy
        brokers = list(engine.parts.brokers.values())
        account = brokers[0].account if brokers else ""
        return StatusView(
            mode=self._mode or "PAPER",
            account=account,
            ledger_id=store.ledger_id,
            head_seq=engine.journal.head_seq,
            durable_seq=engine.journal.durable_seq,
            ts_ns=engine.clock.now_ns(),
            started_ns=self._started_ns,
            policy_hash="" if policy is None else policy.hash,
            policy_error=self._policy_error,
            ledger_error=engine.journal.failed,
            halt=self.halts.view(),
            brokers=tuple(self._venues.broker(name) for name in engine.parts.brokers),
            feeds=self._venues.feeds,
            hours=self._venues.hours,
            sources=engine.host.views(),
            orders_working=len(store.live) - (len(engine.orders.unsent()) if engine.journal.failed else 0),
            orders_unknown=engine.view_of_risk.unknown_orders()[0],
            parents_open=len(store.parents_open),
            pnl_day=engine.view_of_risk.pnl_day(account),
            pnl_rate_ns=engine.view_of_risk.pnl_rate_ns(account),
            currency=engine.ledger.base_currency,
            illegal_inputs=store.illegal_inputs,
            overfills=store.overfills,
            pid=engine.parts.pid,
        )

    def _order(self, order: Order) -> OrderView:
        made = self._engine.market.instruments.get(order.spec.symbol)
        average, place = None, self._place(order)
        if order.qty_filled:
            digits = (made.price_digits if made else 2) + 2
            average = Price(ratio(order.value_filled, order.qty_filled, digits))
        trigger = order.spec.algo.trigger
        waits = (
            f"{trigger} ({DIES})" if trigger and order.is_parent and not order.children and not order.end_state else ""
        )
        return OrderView(
            order_id=order.order_id,
            parent_id=order.parent_id,
            wire_id=order.wire_id,
            intent_id=order.intent_id,
            symbol=order.spec.symbol,
            side=order.spec.side,
            qty=order.qty,
            qty_filled=order.qty_filled,
            type=order.spec.type.value,
            limit=order.limit,
            stop=order.stop,
            tif=order.spec.tif.value,
            trail=order.spec.trail,
            display=order.spec.display,
            venue=order.spec.venue,
            expires_ns=order.spec.expires_ns,
            flags=order.spec.flags,
            avg_price=average,
            state=order.state,
            stale=order.state.is_live and self._engine.view_of_risk.channel(order.spec.broker) is not ev.BrokerState.UP,
            algo=order.spec.algo.name if order.is_parent else "",
            progress_pct=int(EXACT.divide(order.qty_filled * 100, order.qty)) if order.qty else 0,
            broker=order.spec.broker,
            account=order.spec.account,
            source=f"{order.source.kind.value}:{order.source.name}".rstrip(":"),
            why=order.why,
            note=self._remarks.get(order.order_id) or order.note or waits,
            waits=waits,
            paused=order.paused,
            urgency=urgency_of(order.spec) if order.is_parent and order.spec.algo.duration_ns else "",
            awaits=order.awaits,
            queue_ahead=None if place is None else place.ahead,
            queue_guessed=place is not None and place.is_guessed,
            denials=order.denials,
            created_ns=order.created_ns,
            updated_ns=order.updated_ns,
            is_foreign=order.is_foreign,
        )

    def _positions(self) -> tuple[PositionView, ...]:
        engine = self._engine
        found, bare = [], engine.leg_risk.by_symbol()
        for (broker, account, symbol), position in engine.ledger.positions.items():
            mark = engine.view_of_risk.mark(symbol, position.qty) if position.qty else None
            made = engine.ledger.instrument(symbol)
            mean = position.average()
            mean = None if mean is None else Price(ratio(mean, EXACT.create_decimal(1), made.price_digits + 2))
            found.append(
                PositionView(
                    broker=broker,
                    account=account,
                    symbol=symbol,
                    qty=position.qty,
                    avg_price=mean,
                    mark=mark,
                    mark_stale=bool(position.qty) and mark is None,
                    realised=position.realised,
                    unrealised=ZERO_MONEY if not position.qty else None if mark is None else position.unrealised(mark),
                    fees=position.fees,
                    currency=made.currency,
                    limit_pct=self._limit_pct(account, symbol),
                    bare=bare.get((broker, account, symbol)),
                )
            )
        return tuple(found)

    def _limit_pct(self, account: str, symbol: str) -> int | None:
        policy = self._engine.parts.policy.policy
        limit = None if policy is None else policy.limits(account, "", symbol).get("position.max_qty")
        if limit is None or not limit.value:
            return None
        return int(EXACT.divide(abs(self._engine.ledger.qty(account, symbol)) * 100, limit.value))

    def _quotes(self, ticks: int) -> list[QuoteView]:
        market, now_ns = self._engine.market, self._engine.clock.now_ns()
        policy = self._engine.parts.policy.policy
        stale_ns = 0 if policy is None else policy.ns("price.max_quote_age_s")
        found = []
        for symbol, changed in market.changed.items():
            quote = market.quote(symbol) if changed > ticks else None
            if quote is None:
                continue
            found.append(
                QuoteView(
                    symbol=symbol,
                    venue=quote.venue,
                    bid=quote.bid,
                    ask=quote.ask,
                    bid_qty=quote.bid_qty,
                    ask_qty=quote.ask_qty,
                    last=quote.last,
                    change_pct=self._change(symbol, quote.last),
                    ts_ns=quote.ts_ns,
                    stale=now_ns - quote.ts_ns > stale_ns,
                    status=quote.status,
                )
            )
        return found

    def _change(self, symbol: str, last: Price | None) -> str:
        market = self._engine.market
        first = market.first_trade.get(symbol)
        if last is None or not first:
            return ""
        start = market.instruments[symbol].price_of(first)
        change = ratio(EXACT.multiply(EXACT.subtract(last, start), 100), start, 2)
        return f"{'+' if change >= 0 else ''}{text(change)}"

    def _bars(self, ticks: int) -> tuple[BarView, ...]:
        """Bars that changed after a tick, in order of their minute; of all symbols no more than a picture can carry."""
        market = self._engine.market
        kept = max(2, min(BARS_SHOWN_MAX, BARS_TOTAL_MAX // max(1, len(market.bars.of))))
        found: list[BarView] = []
        for symbol, bars in market.bars.of.items():
            made = market.instruments.get(symbol)
            if made is None or bars[-1].tick <= ticks:
                continue
            last = islice(bars, max(0, len(bars) - (2 if ticks else kept)), None)
            found += [_bar_view(made, bar) for bar in last if bar.tick > ticks]
        return tuple(sorted(found, key=lambda bar: bar.ts_ns))

    def _books(self, ticks: int) -> list[BookView]:
        market = self._engine.market
        found = []
        for (symbol, venue), tick in market.books.items():
            made = market.instruments.get(symbol)
            if made is None or market.changed.get(symbol, 0) <= ticks or venue != market.venue_of(symbol):
                continue
            first = tick.bids or tick.asks
            found.append(
                BookView(
                    symbol=symbol,
                    venue=venue,
                    ts_ns=tick.ts_ns,
                    tick=made.tick_at(made.price_of(first[0][0])) if first else made.ticks[0].tick,
                    bids=tuple((made.price_of(price), made.qty_of(qty)) for price, qty in tick.bids),
                    asks=tuple((made.price_of(price), made.qty_of(qty)) for price, qty in tick.asks),
                )
            )
        return found


@cache
def _traits(kind: type[msgspec.Struct]) -> tuple[bool, bool]:
    """Of a kind of event: whether it is about an order, and whether it is about a basket."""
    return "order_id" in kind.__struct_fields__, issubclass(kind, BasketStaged | BasketReleased | BasketDropped)


def _after(items: deque[Item], seq: int) -> list[Item]:
    """The items behind a sequence number, which each has first; looks at those and one more."""
    found = []
    for item in reversed(items):
        if item[0] <= seq:
            break
        found.append(item)
    return found[::-1]


def _bar_view(made: Instrument, bar: Bar) -> BarView:
    return BarView(
        symbol=made.symbol,
        ts_ns=bar.start_ns,
        open=made.price_of(bar.open),
        high=made.price_of(bar.high),
        low=made.price_of(bar.low),
        close=made.price_of(bar.close),
        volume=made.qty_of(bar.volume),
    )


def _fill_view(seq: int, event: ev.OrderFilled | ev.ForeignFillSeen, order: Order | None, ledger_id: str) -> FillView:
    fill = event.fill
    return FillView(
        seq=seq,
        order_id="" if order is None else order.order_id,
        parent_id="" if order is None else order.parent_id,
        symbol=fill.symbol,
        side=fill.side,
        qty=fill.qty,
        price=fill.price,
        venue=fill.venue,
        liquidity=fill.liquidity.value,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        ts_ns=fill.ts_ns,
        fill_key=fill.fill_key,
        overfill=event.overfill if isinstance(event, ev.OrderFilled) else ZERO_QTY,
        late=isinstance(event, ev.OrderFilled) and event.late,
        source="" if isinstance(event, ev.OrderFilled) else source_of_wire(fill.wire_id, ledger_id).value,
        note=fill.note,
    )
