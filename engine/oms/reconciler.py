"""Compares the ledger with what a broker says, at start, after each reconnect and periodically.

Explained differences (fills we missed, answers we missed, foreign orders) become events. What stays unexplained is listed,
and its symbol (or account, for cash) goes to REDUCING until a person resolves or accepts it with a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from engine.domain import events as ev
from engine.domain.clock import Clock
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.instrument import Instrument
from engine.domain.money import ZERO_MONEY, ZERO_QTY, Money, Qty, Rounding, ratio, round_to, text
from engine.domain.money_events import PositionAdjusted
from engine.domain.movements import Movement, MovementKind
from engine.domain.order import OrderState
from engine.ledger.ledger import Ledger
from engine.oms import broker_interface as bi
from engine.oms.movements import Movements
from engine.oms.orders import Orders, Record
from engine.store.order import Order
from engine.store.order_store import OrderStore

RECONCILE_CODE = "RECONCILE"
STATED = "stated"
"""Venue of an execution that a person stated: the venue's lists cannot hold it."""

ENDED = {
    "cancelled": OrderState.CANCELLED,
    "rejected": OrderState.REJECTED,
    "expired": OrderState.EXPIRED,
    "filled": OrderState.FILLED,
}


class Asked(msgspec.Struct, frozen=True):
    """A snapshot under way."""

    broker: str
    since_ns: int
    at_ns: int


class Reconciler:
    """Asks brokers for snapshots and books what they explain."""

    def __init__(
        self,
        store: OrderStore,
        ledger: Ledger,
        orders: Orders,
        record: Record,
        clock: Clock,
        trip: Callable[..., object],
        stop_parent: Callable[[Order, str], None],
    ) -> None:
        """``trip(scope, state, code, why)`` journals and latches a trading state; ``stop_parent(parent, why)`` lets it send
        nothing more and cancels what it has working.
        """
        self._store = store
        self._ledger = ledger
        self._orders = orders
        self._record = record
        self._clock = clock
        self._trip = trip
        self._stop_parent = stop_parent
        self.movements = Movements(ledger, record)
        orders.is_rescaled = self._is_rescaled
        self._asked: dict[int, Asked] = {}
        self._next_id = 0
        self.last: dict[tuple[str, str], ev.ReconcileDone] = {}
        """Last result by broker and account, also of the life before."""
        self._held: dict[tuple[str, str], tuple[bi.Snapshot, list[ev.Difference]]] = {}
        """Last snapshot by broker and account, with what is still unexplained and not accepted."""
        self._too_young: dict[tuple[str, str], dict[str, str]] = {}
        """By broker and account: symbols whose gap is what an execution made that the venue does not list, and that execution."""
        self._lifted: dict[tuple[str, str], None] = {}
        """Accounts where a person accepted since the last comparison: what is left then is tripped again."""
        self.routes: ev.Routes = {ev.ReconcileDone: self._done}
        """Remembers results, live and on rebuild."""

    def _done(self, _seq: int, _ts_ns: int, event: ev.ReconcileDone) -> None:
        self.last[event.broker, event.account] = event

    def ask(self, broker: bi.Broker, since_ns: int = 0) -> None:
        """Ask for a snapshot; at most one under way per broker counts."""
        self._next_id += 1
        stale = [number for number, asked in self._asked.items() if asked.broker == broker.name]
        for number in stale:
            del self._asked[number]
        self._asked[self._next_id] = Asked(broker.name, since_ns, self._clock.now_ns())
        broker.query_state(self._next_id, since_ns)

    def on_snapshot(self, snapshot: bi.Snapshot, broker: bi.Broker) -> ev.ReconcileDone | None:
        """Book what the snapshot explains and list what it does not; None for an answer nobody waits for."""
        asked = self._asked.pop(snapshot.request_id, None)
        if asked is None:
            return None
        found: list[ev.Difference] = []
        self._too_young.pop((snapshot.broker, snapshot.account), None)
        # In the order of the venue: what was held when it split decides what is held now.
        told: list[ev.Fill | Movement] = [*snapshot.fills, *snapshot.movements]
        booked = sorted(told, key=lambda item: (item.ts_ns, _key_of(item)))
        for item in booked:
            if isinstance(item, Movement):
                if self.book_movement(item):
                    found.append(_told("movement", item.key, "not booked", item.words()))
            elif self._orders.book_fill(item):
                found.append(_told("fill", item.fill_key, "not booked", f"{item.qty} {item.symbol} @{item.price}"))
        found += self._undone(snapshot, asked, broker)
        theirs = {order.wire_id: order for order in snapshot.orders if order.wire_id}
        for venue_order in snapshot.orders:
            found += self._venue_order(venue_order, snapshot, asked.at_ns)
        for order in list(self._store.live.values()):
            if order.spec.broker == snapshot.broker and order.spec.account == snapshot.account:
                found += self._our_order(order, theirs, snapshot, asked.at_ns, broker)
        found += self._positions(snapshot)
        found += self._cash(snapshot)
        found = self._noting_young(snapshot, found)
        self._held[snapshot.broker, snapshot.account] = (snapshot, [item for item in found if not item.explained])
        return self._conclude(snapshot, found)

    def book_movement(self, movement: Movement) -> bool:
        """Book what a broker booked; whether it was new. A split reaches open parents: what is left of them is in new units."""
        if not self.movements.book(movement):
            return False
        if movement.kind is MovementKind.SPLIT:
            made = self._ledger.instrument(movement.symbol)
            place = (movement.broker, movement.account, movement.symbol)
            for parent in list(self._store.parents_open.values()):
                spec = parent.spec
                if (spec.broker, spec.account, spec.symbol) == place:
                    self._rescale_parent(parent, movement, made)
        return True

    def _rescale_parent(self, parent: Order, movement: Movement, made: Instrument) -> None:
        if parent.spec.algo.name != "direct":
            self._stop_parent(parent, f"{movement.symbol} was split; place what is left anew")
            return
        new, old = movement.ratio
        exact = ratio((parent.qty - parent.qty_filled) * new, Decimal(old))
        left = Qty(round_to(exact, made.lot, Rounding.DOWN))
        if left > 0:
            self._record(
                ev.OrderAmended(
                    order_id=parent.order_id, qty=parent.qty_filled + left, limit=parent.limit, stop=parent.stop,
                    ts_ns=movement.ts_ns,
                )
            )  # fmt: skip

    def _is_rescaled(self, order: Order) -> bool:
        spec = order.spec
        return self.movements.has_split(spec.broker, spec.account, spec.symbol, order.created_ns)

    # -- orders --------------------------------------------------------------------------------------------------------

    def _venue_order(self, theirs: bi.VenueOrder, snapshot: bi.Snapshot, asked_ns: int) -> list[ev.Difference]:
        """An open order that nobody here works: a foreign one, or one of ours that was thought to have ended."""
        if not theirs.is_open:
            return []
        words = f"{theirs.side} {theirs.qty} {theirs.symbol}"
        store, known_as = self._store, (snapshot.broker, snapshot.account, theirs.venue_order_id)
        ours = store.by_wire.get(theirs.wire_id) if theirs.wire_id else store.of_venue(*known_as)
        if ours is not None:
            # What ended after the question was asked may still be in an answer that was on its way.
            if ours.is_live or ours.updated_ns >= asked_ns:
                return []
            self._orders.adopt(theirs, snapshot.broker, snapshot.account)
            return [_told("order", ours.order_id, ours.state.value, f"open at the venue after all: {words}")]
        self._orders.adopt(theirs, snapshot.broker, snapshot.account)
        return [_told("order", theirs.venue_order_id, "unknown", f"foreign order {words}")]

    def _our_order(
        self,
        order: Order,
        theirs: dict[str, bi.VenueOrder],
        snapshot: bi.Snapshot,
        asked_ns: int,
        broker: bi.Broker,
    ) -> list[ev.Difference]:
        seen = theirs.get(order.wire_id) if order.wire_id else None
        if seen is None and not order.wire_id:
            seen = next((o for o in snapshot.orders if o.venue_order_id == order.venue_order_id), None)
        if seen is None:
            return self._absent(order, snapshot, asked_ns, broker)
        before = order.state
        is_found = not order.acked_ns and not order.is_foreign
        if is_found:
            self._record(
                ev.OrderAcked(order_id=order.order_id, venue_order_id=seen.venue_order_id, ts_ns=snapshot.ts_ns)
            )
        if order.state.is_live and not seen.is_open:
            self._end(order, seen, snapshot.ts_ns)
        elif order.state.is_live:
            self._settle(order, seen, snapshot.ts_ns, asked_ns, broker)
            if is_found and order.state is OrderState.PENDING_CANCEL:
                # It was asked for while nobody knew whether there was anything to cancel, and may never have left.
                broker.send_cancel(order.wire_id, order.venue_order_id)
        if before is order.state:
            return []
        return [_told("order", order.order_id, before.value, order.state.value)]

    def _end(self, order: Order, seen: bi.VenueOrder, ts_ns: int) -> None:
        state = ENDED.get(seen.status, OrderState.CANCELLED)
        if state is OrderState.REJECTED:
            self._record(ev.OrderRejected(order_id=order.order_id, code="REJECTED", text=seen.text, ts_ns=ts_ns))
        elif order.qty_filled < seen.qty_filled:
            # Ended there, and not all executions came: what is missing is not guessed.
            if order.state is not OrderState.UNKNOWN:
                why = f"the venue says {seen.status}, {text(seen.qty_filled)} of it filled; executions are missing"
                self._record(ev.OrderUnknown(order_id=order.order_id, why=why))
        elif state is OrderState.EXPIRED:
            self._record(ev.OrderExpired(order_id=order.order_id, ts_ns=ts_ns))
        elif order.state.is_live:
            why = "found at reconciliation"
            if state is OrderState.FILLED:
                why = f"ended at the venue as filled, and {text(seen.qty_filled)} is all that stands of it: the rest was undone"
            self._record(ev.OrderCancelled(order_id=order.order_id, ts_ns=ts_ns, why=why))

    def _settle(self, order: Order, seen: bi.VenueOrder, ts_ns: int, asked_ns: int, broker: bi.Broker) -> None:
        """The venue has it open: settle pending amends and unknown states by its terms; ask again for a cancel."""
        is_new = order.amend is not None and _has_terms(seen, order.amend)
        if order.spec.link is not None and order.amend is None and seen.qty < order.qty:
            # The venue took off it what others of its group filled; its word of that was lost.
            self._record(
                ev.OrderAmended(order_id=order.order_id, qty=seen.qty, limit=seen.limit, stop=seen.stop, ts_ns=ts_ns)
            )
        is_other = (seen.qty, seen.limit, seen.stop) != (order.qty, order.limit, order.stop)
        if is_other and order.amend is None and order.state.is_live and self._is_rescaled(order):
            # A split while nobody listened: the venue's word of the new terms was lost.
            self._record(
                ev.OrderAmended(order_id=order.order_id, qty=seen.qty, limit=seen.limit, stop=seen.stop, ts_ns=ts_ns)
            )
        if order.state is OrderState.UNKNOWN or is_new:
            was_cancelling = order.cancel_asked
            is_early = asked_ns - order.unknown_since_ns < broker.capabilities.absence_wait_ns
            if order.amend is not None and not is_new and is_early:
                # Old terms prove nothing yet: the amend may still be on its way, and counts until it cannot be.
                if was_cancelling:
                    broker.send_cancel(order.wire_id, order.venue_order_id)
                return
            self._record(ev.OrderAcked(order_id=order.order_id, venue_order_id=seen.venue_order_id, ts_ns=ts_ns))
            self._record(
                ev.OrderAmended(order_id=order.order_id, qty=seen.qty, limit=seen.limit, stop=seen.stop, ts_ns=ts_ns)
            )
            if was_cancelling:
                broker.send_cancel(order.wire_id, order.venue_order_id)

    def _absent(self, order: Order, snapshot: bi.Snapshot, asked_ns: int, broker: bi.Broker) -> list[ev.Difference]:
        """The venue's open orders and its history since before the send do not hold it.

        What counts is when the question was asked, not when its answer came; and that it was asked long enough after the order
        had left for certain, which is when it was lost sight of: a send waits for the disk, so its intent may be much older.
        """
        # The venue's own time of the acknowledgement is believed as far as it is past.
        last_ns = max(order.created_ns, order.unknown_since_ns, min(order.acked_ns, order.updated_ns))
        waited_ns = asked_ns - last_ns
        if waited_ns < broker.capabilities.absence_wait_ns or order.order_id in self._orders.unsent():
            return []
        state = order.state
        is_certain_to_have_been = order.acked_ns or order.qty_filled or order.is_foreign
        if state is not OrderState.UNKNOWN:
            # Nobody answered, or what was there is gone: shown as such, so that a person can say what became of it.
            why = f"{snapshot.broker} lists it neither as open nor as ended"
            self._record(ev.OrderUnknown(order_id=order.order_id, why=why))
            if not is_certain_to_have_been:
                return [_told("order", order.order_id, state.value, order.state.value)]
        if is_certain_to_have_been:
            return [_open("order", order.order_id, order.state.value, "not known to the venue")]
        evidence = f"open orders and history of {snapshot.broker} do not hold {order.wire_id} {waited_ns} ns after it"
        self._record(ev.OrderResolved(order_id=order.order_id, state=OrderState.KILLED, evidence=evidence, by="venue"))
        return [_told("order", order.order_id, "unknown", "never arrived")]

    def _undone(self, snapshot: bi.Snapshot, asked: Asked, broker: bi.Broker) -> list[ev.Difference]:
        """Executions that the venue took back while nobody listened: it lists them no more, and its position is without them.

        Both must say so, for executions old enough to be listed; one source alone proves nothing.
        """
        gaps = {item.name: Qty(Qty(item.theirs) - Qty(item.ours)) for item in self._positions(snapshot)}
        if not gaps:
            return []
        listed = {fill.fill_key for fill in snapshot.fills}
        until_ns = asked.at_ns - broker.capabilities.absence_wait_ns
        missing: dict[str, list[tuple[str, ev.Fill]]] = {}
        young: dict[str, list[ev.Fill]] = {}
        for key, (order_id, fill) in self._store.fills.items():
            is_here = key[:2] == (snapshot.broker, snapshot.account) and key not in self._store.busted
            is_asked = asked.since_ns <= fill.ts_ns and fill.venue != STATED
            if is_here and is_asked and fill.symbol in gaps and fill.fill_key not in listed:
                missing.setdefault(fill.symbol, [])
                if fill.ts_ns <= until_ns:
                    missing[fill.symbol].append((order_id, fill))
                else:
                    young.setdefault(fill.symbol, []).append(fill)
        found = []
        for symbol, fills in missing.items():
            late = young.get(symbol, [])
            change = self._change_without(snapshot, symbol)
            if late and change([*late, *(fill for _, fill in fills)]) == gaps[symbol]:
                names = ", ".join(fill.fill_key for fill in late)
                self._too_young.setdefault((snapshot.broker, snapshot.account), {})[symbol] = names
            elif change([fill for _, fill in fills]) == gaps[symbol]:
                for order_id, fill in fills:
                    self._record(ev.FillBusted(order_id=order_id, fill=fill))
                    found.append(_told("fill", fill.fill_key, f"{fill.qty} {symbol} @{fill.price}", "undone"))
        return found

    def _change_without(self, snapshot: bi.Snapshot, symbol: str) -> Callable[[list[ev.Fill]], Qty]:
        """By how much the position changes if executions were undone, in the units of now: a split may have come since."""
        position = self._ledger.position(snapshot.broker, snapshot.account, symbol)

        def change(fills: list[ev.Fill]) -> Qty:
            if position is None:
                return ZERO_QTY
            return position.without({fill.fill_key for fill in fills}) - position.qty

        return change

    def _noting_young(self, snapshot: bi.Snapshot, found: list[ev.Difference]) -> list[ev.Difference]:
        """The same differences; those that an execution may explain which is too young to be called undone say so."""
        young = self._too_young.get((snapshot.broker, snapshot.account))
        if not young:
            return found
        why = f"; execution {', '.join(young.values())} is not listed there, and too young to say that it was undone"
        return [
            msgspec.structs.replace(item, text=item.text + why) if self._may_pass(item, young) else item
            for item in found
        ]

    def _may_pass(self, item: ev.Difference, young: dict[str, str]) -> bool:
        return not item.explained and (item.what == "cash" or (item.what == "position" and item.name in young))

    def is_waiting(self, broker: str) -> bool:
        """Whether the last comparison left something that the next one may explain."""
        return any(key[0] == broker for key in self._too_young)

    # -- positions and cash --------------------------------------------------------------------------------------------

    def _positions(self, snapshot: bi.Snapshot) -> list[ev.Difference]:
        theirs = {position.symbol: position.qty for position in snapshot.positions}
        ours = {
            symbol: position.qty
            for (broker, account, symbol), position in self._ledger.positions.items()
            if broker == snapshot.broker and account == snapshot.account
        }
        found = []
        for symbol in sorted(set(theirs) | set(ours)):
            there, here = theirs.get(symbol, ZERO_QTY), ours.get(symbol, ZERO_QTY)
            if there != here:
                found.append(_open("position", symbol, str(here), str(there)))
        return found

    def _cash(self, snapshot: bi.Snapshot) -> list[ev.Difference]:
        found = []
        for currency in sorted(snapshot.cash):
            here = self._ledger.cash.get((snapshot.broker, snapshot.account, currency), ZERO_MONEY)
            there = snapshot.cash[currency]
            if here == there:
                continue
            is_opening = not any(
                key[0] == snapshot.broker and key[1] == snapshot.account and key[2] == currency
                for key in self._ledger.cash
            )
            if is_opening:
                self._adjust(snapshot, "", ZERO_QTY, ZERO_MONEY, there, currency, "opening balance", "venue")
                found.append(_told("cash", currency, "0", str(there)))
            else:
                found.append(_open("cash", currency, str(here), str(there)))
        return found

    def _adjust(
        self,
        snapshot: bi.Snapshot,
        symbol: str,
        qty: Qty,
        cost: Money,
        cash: Money,
        currency: str,
        reason: str,
        who: str,
    ) -> None:
        self._record(
            PositionAdjusted(
                broker=snapshot.broker,
                account=snapshot.account,
                symbol=symbol,
                qty=qty,
                cost=cost,
                cash=cash,
                currency=currency,
                reason=reason,
                who=who,
            )
        )

    def _conclude(self, snapshot: bi.Snapshot, found: list[ev.Difference]) -> ev.ReconcileDone:
        unexplained = [item for item in found if not item.explained]
        done = ev.ReconcileDone(
            broker=snapshot.broker,
            account=snapshot.account,
            clean=not unexplained,
            differences=tuple(found),
            ts_ns=snapshot.ts_ns,
        )
        before = self.last.get((snapshot.broker, snapshot.account))
        self._record(done)
        key = (snapshot.broker, snapshot.account)
        if before is None or before.clean or before.differences != done.differences or key in self._lifted:
            self._lifted.pop(key, None)
            young = self._too_young.get(key, {})
            for item in [item for item in unexplained if not (young and self._may_pass(item, young))]:
                self._trip(self._scope(item, snapshot.account), ev.TradingState.REDUCING, RECONCILE_CODE, item.text)
        return done

    def _scope(self, item: ev.Difference, account: str) -> HaltScope:
        if item.what == "position":
            return HaltScope(HaltScopeKind.SYMBOL, item.name)
        if item.what == "order":
            return HaltScope(HaltScopeKind.SYMBOL, self._store.get(item.name).spec.symbol)
        return HaltScope(HaltScopeKind.ACCOUNT, account)

    def accept(
        self, symbol: str, reason: str, who: str, mark: Callable[[str], Money | None]
    ) -> tuple[list[str], list[str]]:
        """Book the unexplained differences of the last comparison as the broker has them; what was booked, in words, and
        what could not be: a position in something whose terms are not known stays as it is.

        ``mark`` values a position that came from nowhere, at cost = today's price.
        """
        told: list[str] = []
        unknown: list[str] = []
        for key, (snapshot, items) in self._held.items():
            self._lifted[key] = None
            for item in [item for item in items if item.what != "order" and (not symbol or item.name == symbol)]:
                if item.what == "position" and item.name not in self._ledger.instruments:
                    unknown.append(
                        f"{item.text}; the terms of {item.name} are not known here, so close it at the broker"
                    )
                    continue
                items.remove(item)  # booked once: the next comparison tells what is left
                if not self._still_stands(item, snapshot):
                    continue
                if item.what == "position":
                    qty = Qty(Qty(item.theirs) - Qty(item.ours))
                    made = self._ledger.instrument(item.name)
                    price = mark(item.name) or ZERO_MONEY
                    cost = Money(price * qty * made.multiplier)
                    self._adjust(snapshot, item.name, qty, cost, ZERO_MONEY, made.currency, reason, who)
                else:
                    cash = Money(Money(item.theirs) - Money(item.ours))
                    self._adjust(snapshot, "", ZERO_QTY, ZERO_MONEY, cash, item.name, reason, who)
                told.append(item.text)
        return told, unknown

    def open_scopes(self) -> list[HaltScope]:
        """Scopes of what the last comparison left unexplained and nobody accepted: they stay as they are."""
        return [
            self._scope(item, snapshot.account)
            for snapshot, items in self._held.values()
            for item in items
            if item.what != "order" or self._store.get(item.name).is_live
        ]

    def forget_settled(self) -> None:
        """Drop from the last comparison what the books agree on by now: a person has booked it."""
        for snapshot, items in self._held.values():
            for item in items[:]:
                key = (snapshot.broker, snapshot.account, item.name)
                position = self._ledger.positions.get(key)
                held = ZERO_QTY if position is None else position.qty
                now = {"position": held, "cash": self._ledger.cash.get(key, ZERO_MONEY)}.get(item.what)
                if str(now) == item.theirs:
                    items.remove(item)

    def _still_stands(self, item: ev.Difference, snapshot: bi.Snapshot) -> bool:
        """Whether it can be booked, and the ledger still says what it said then: a fill since may have been the explanation."""
        key = (snapshot.broker, snapshot.account, item.name)
        if item.what == "position":
            position = self._ledger.positions.get(key)
            return item.ours == str(ZERO_QTY if position is None else position.qty)
        return item.what == "cash" and item.ours == str(self._ledger.cash.get(key, ZERO_MONEY))


def _key_of(item: ev.Fill | Movement) -> str:
    return item.key if isinstance(item, Movement) else item.fill_key


def _has_terms(seen: bi.VenueOrder, amend: ev.AmendIntent) -> bool:
    return (seen.qty, seen.limit, seen.stop) == (amend.qty, amend.limit, amend.stop)


def _told(what: str, name: str, ours: str, theirs: str) -> ev.Difference:
    return ev.Difference(
        what=what, name=name, ours=ours, theirs=theirs, explained=True, text=f"{what} {name}: {ours} -> {theirs}"
    )


def _open(what: str, name: str, ours: str, theirs: str) -> ev.Difference:
    text = f"{what} {name}: the ledger says {ours}, the broker says {theirs}"
    return ev.Difference(what=what, name=name, ours=ours, theirs=theirs, explained=False, text=text)
