# ruff: noqa: SLF001 - the table at the end names this class's own handlers
"""The orders, projected from the journal: a pure function of the event stream, live and on rebuild alike.

What a live child may still fill at worst (working, pending, unknown; the larger of old and new quantity while an amend
is pending) is kept as running sums per account, symbol and side, so that a limit check is a look-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any

from engine.domain import events as ev
from engine.domain.commands import AmendOrder, NewOrder
from engine.domain.errors import InvariantError
from engine.domain.ledger_events import LedgerOpened
from engine.domain.money import EXACT, ZERO_QTY, Qty
from engine.domain.order import LIVE, TERMINAL, OrderState, Side, Source, SourceKind, urged
from engine.domain.parent_events import (
    ApprovalAsked,
    OrderApproved,
    ParentPaused,
    ParentReleased,
    ParentResumed,
    ParentSuspended,
    UrgencySet,
)
from engine.store.order import FillId, Order
from engine.store.order_rows import fill_row, order_row
from engine.store.order_shelf import Asked, OrderShelf, WireIndex
from engine.store.order_sums import derive_parent, end_amend, rightly_filled, take_over, working
from engine.store.packed import BLOCK
from engine.store.shelf import Shelf
from engine.store.statements import Changed

_ZERO = Decimal(0)
_UNKNOWN = OrderState.UNKNOWN
_WAITING = (OrderState.PENDING_NEW, OrderState.UNKNOWN)

Booked = tuple[str, ev.Fill]
"""An execution with its order id (empty for a foreign one)."""

_WISHES = frozenset({"release", "cancel", "amend", "resolve"})
"""What a person asks for, as an illegal input calls it; every other is the name of what a venue or a broker sent."""

IDLE_MAX = 2_048
"""Parents that have ended and stay at hand: what a desk shows and a venue may still speak of."""


class OrderStore:
    """All orders by id, with the indexes the engine needs."""

    name = "orders"

    def __init__(self) -> None:
        self.orders = OrderShelf(self._came_back)
        self.by_wire = WireIndex(self.orders)
        self._by_venue: dict[tuple[str, str], dict[str, str]] = {}
        """By broker and account: order ids by the venue's own; where a venue starts its ids anew, the newest."""
        self.by_intent: dict[str, str] = {}
        """Intent id -> order id."""
        self._wishes: dict[str, Asked] = {}
        """Intent id -> the command that first came with it; those of packed orders are packed with them."""
        self._amends: dict[str, str] = {}
        """Intent id of an amendment -> order id."""
        self._asked_of: dict[str, list[str]] = {}
        """Order id -> intent ids of its amendments."""
        self._idle: dict[str, None] = {}
        """Parents that have ended and are at hand, in the order in which they did."""
        self.idle_max, self.step = IDLE_MAX, BLOCK
        self.live: dict[str, Order] = {}
        """Children and foreign orders that the venue has or may have, in order of birth."""
        self.parents_open: dict[str, Order] = {}
        self.staged: dict[str, Order] = {}
        self.fills: Shelf[FillId, Booked] = Shelf(Booked)
        """Booked executions."""
        self.busted: dict[FillId, None] = {}
        self.last_counter = 0
        self.illegal_inputs = 0
        """What a venue or broker sent against the state of an order; a person's refused wish is none."""
        self.overfills = 0
        self.ledger_id = ""
        self.cancels_unsent: dict[str, Order] = {}
        """Those of :attr:`live` whose last cancel certainly never left."""
        self.unknown: dict[str, Order] = {}
        """Those of :attr:`live` whose fate is unknown."""
        self._open_qty: dict[tuple[str, str, Side], Qty] = {}
        self._live_counts: dict[tuple[str, ...], int] = {}
        """Live orders by (account,), by (account, symbol) and by (``""``, symbol, side)."""
        self._dirty_orders: dict[str, Order] = {}
        self._dirty_fills: list[tuple[str, ev.Fill, int, bool]] = []
        self.routes: ev.Routes = {kind: partial(act, self) for kind, act in _HANDLERS.items()}

    # -- reading -----------------------------------------------------------------------------------------------------

    def open_qty(self, account: str, symbol: str, side: Side) -> Qty:
        """Worst-case quantity that live orders of a side may still fill."""
        return self._open_qty.get((account, symbol, side), ZERO_QTY)

    def count_of(self, account: str, symbol: str | None) -> int:
        """Live orders of an account, of one symbol where it is named."""
        return self._live_counts.get((account,) if symbol is None else (account, symbol), 0)

    def count_of_side(self, symbol: str, side: Side) -> int:
        """Live orders of a symbol on one side, of every account."""
        return self._live_counts.get(("", symbol, side), 0)

    def symbols_live(self, account: str) -> list[str]:
        """Symbols in which an account has live orders, by their first one."""
        return [key[1] for key in self._live_counts if len(key) == 2 and key[0] == account] if self.live else []

    def get(self, order_id: str) -> Order:
        """An order that must exist; raises InvariantError otherwise."""
        try:
            return self.orders[order_id]
        except KeyError:
            msg = f"order {order_id} is not in the ledger"
            raise InvariantError(msg) from None

    def of_venue(self, broker: str, account: str, venue_order_id: str) -> Order | None:
        """The order that a venue calls so."""
        order_id = self._by_venue.get((broker, account), {}).get(venue_order_id)
        return None if order_id is None else self.orders.get(order_id)

    def asked(self, intent_id: str) -> Asked | None:
        """The command that first came with an intent; None where none did."""
        found = self._wishes.get(intent_id)
        order_id = self.by_intent.get(intent_id) or self._amends.get(intent_id) if found is None else None
        if order_id is not None and self.orders.get(order_id) is not None:
            found = self._wishes.get(intent_id)
        return found

    def next_counter(self) -> int:
        """Number of the next order; it counts as used when an event with it is applied."""
        return self.last_counter + 1

    # -- applying ----------------------------------------------------------------------------------------------------

    def apply(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """Change the orders as the event says, or as each says that its row holds."""
        for part in ev.parts_of(event):
            handler = self.routes.get(part.__class__)
            if handler is not None:
                handler(seq, ts_ns, part)

    def _ledger_opened(self, _seq: int, _ts_ns: int, event: LedgerOpened) -> None:
        self.ledger_id = event.ledger_id

    def _asked(self, _seq: int, _ts_ns: int, event: ev.CommandReceived) -> None:
        if isinstance(event.command, NewOrder | AmendOrder):
            self._ask(event.command)

    def _ask(self, command: Asked) -> None:
        self._wishes[command.intent_id] = command
        if isinstance(command, AmendOrder):
            self._amends[command.intent_id] = command.order_id
            self._asked_of.setdefault(command.order_id, []).append(command.intent_id)

    def _illegal(self, _seq: int, _ts_ns: int, event: ev.IllegalInput) -> None:
        if event.what not in _WISHES:
            self.illegal_inputs += 1

    def _add(self, order: Order, seq: int) -> None:
        """Take in a new order; whoever adds a child that is live goes on with :meth:`_change`."""
        self.orders[order.order_id] = order
        self.last_counter = max(self.last_counter, order.counter)
        if order.wire_id:
            self.by_wire[order.wire_id] = order
        if order.venue_order_id:
            self._place(order)
        if order.intent_id:
            self.by_intent[order.intent_id] = order.order_id
        parent = order.parent = self.orders.get(order.parent_id) if order.parent_id else None
        if parent is not None:
            parent.children.append(order)
        order.updated_seq = seq
        self._dirty_orders[order.order_id] = order

    def _place(self, order: Order) -> None:
        if order.venue_order_id:
            place = (order.spec.broker, order.spec.account)
            self._by_venue.setdefault(place, {})[order.venue_order_id] = order.order_id

    def _touch(self, order: Order, seq: int, ts_ns: int) -> None:
        order.updated_seq = seq
        order.updated_ns = ts_ns
        dirty = self._dirty_orders
        dirty[order.order_id] = order
        parent = order.parent
        if parent is not None:
            if take_over(parent, order):
                self.overfills += 1
            derive_parent(parent)
            parent.updated_seq = seq
            parent.updated_ns = ts_ns
            dirty[parent.order_id] = parent

    def _change(self, order: Order, seq: int, ts_ns: int) -> None:
        """What follows from any change of an order: running sums, indexes and its parent."""
        is_live, worst, told = order.state in LIVE, order.worst_qty, order.told_worst
        if worst is not told and worst != told:
            spec = order.spec
            key = (spec.account, spec.symbol, spec.side)
            self._open_qty[key] = self._open_qty.get(key, ZERO_QTY) + (worst - told if told else worst)
            order.told_worst = worst
        if (order.order_id in self.live) is not (is_live and not order.is_parent):
            self._turn(order)
        if order.state is _UNKNOWN:
            order.unknown_since_ns = order.unknown_since_ns or ts_ns
            self.unknown[order.order_id] = order
        elif order.unknown_since_ns:
            order.unknown_since_ns = 0
            self.unknown.pop(order.order_id, None)
        self._touch(order, seq, ts_ns)

    def _turn(self, order: Order) -> None:
        """An order became live, or is it no more."""
        spec, counts = order.spec, self._live_counts
        step = -1 if order.order_id in self.live else 1
        if step > 0:
            self.live[order.order_id] = order
        else:
            del self.live[order.order_id]
            self.cancels_unsent.pop(order.order_id, None)
        for key in ((spec.account,), (spec.account, spec.symbol), ("", spec.symbol, spec.side)):
            count = counts.get(key, 0) + step
            if count:
                counts[key] = count
            else:
                counts.pop(key, None)

    # parents

    def _staged(self, seq: int, ts_ns: int, event: ev.OrderStaged) -> None:
        order = Order(event.order_id, event.spec, event.source, OrderState.STAGED, ts_ns)
        order.is_parent = True
        order.intent_id = event.intent_id
        order.why = event.why
        self.staged[order.order_id] = order
        self._add(order, seq)

    def _denied(self, seq: int, ts_ns: int, event: ev.OrderDenied) -> None:
        known = self.orders.get(event.order_id)
        if known is not None:
            known.denials = event.denials
            known.note = event.denials[0].text if event.denials else ""
            if not event.amend:
                known.state = OrderState.DENIED
                self.staged.pop(known.order_id, None)
            self._touch(known, seq, ts_ns)
            return
        order = Order(event.order_id, event.spec, event.source, OrderState.DENIED, ts_ns)
        order.is_parent = not event.parent_id
        order.parent_id = event.parent_id
        order.intent_id = event.intent_id
        order.denials = event.denials
        order.decision = event.decision
        order.note = event.denials[0].text if event.denials else ""
        self._add(order, seq)
        self._touch(order, seq, ts_ns)
        if order.is_parent:
            self._idle[order.order_id] = None

    def _accepted(self, seq: int, ts_ns: int, event: ev.ParentAccepted) -> None:
        order = self.staged.pop(event.order_id, None)
        if order is None:
            order = Order(event.order_id, event.spec, event.source, OrderState.PENDING_NEW, ts_ns)
            order.is_parent = True
            order.intent_id = event.intent_id
            self._add(order, seq)
        order.state = OrderState.PENDING_NEW
        order.created_ns = ts_ns
        order.decision = event.decision
        order.why = event.decision.why
        self.parents_open[order.order_id] = order
        self._touch(order, seq, ts_ns)

    def _stopping(self, seq: int, ts_ns: int, event: ev.ParentStopping) -> None:
        parent = self.get(event.order_id)
        parent.stopping = True
        parent.note = event.why
        derive_parent(parent)
        self._touch(parent, seq, ts_ns)

    def _suspended(self, seq: int, ts_ns: int, event: ParentSuspended) -> None:
        self._suspend(seq, ts_ns, event.order_id, event.why, is_on=True)

    def _released(self, seq: int, ts_ns: int, event: ParentReleased) -> None:
        self._suspend(seq, ts_ns, event.order_id, f"released by {event.who}", is_on=False)

    def _suspend(self, seq: int, ts_ns: int, order_id: str, note: str, *, is_on: bool) -> None:
        parent = self.get(order_id)
        parent.suspended, parent.note = is_on, note
        derive_parent(parent)
        self._touch(parent, seq, ts_ns)

    def _paused(self, seq: int, ts_ns: int, event: ParentPaused) -> None:
        self._pause(seq, ts_ns, event.order_id, f"paused by {event.who}", is_on=True)

    def _resumed(self, seq: int, ts_ns: int, event: ParentResumed) -> None:
        self._pause(seq, ts_ns, event.order_id, f"resumed by {event.who}", is_on=False)

    def _pause(self, seq: int, ts_ns: int, order_id: str, note: str, *, is_on: bool) -> None:
        parent = self.get(order_id)
        parent.paused, parent.note = is_on, note
        self._touch(parent, seq, ts_ns)

    def _urged(self, seq: int, ts_ns: int, event: UrgencySet) -> None:
        parent = self.get(event.order_id)
        parent.spec = urged(parent.spec, event.urgency)
        self._touch(parent, seq, ts_ns)

    def _approval_asked(self, seq: int, ts_ns: int, event: ApprovalAsked) -> None:
        self._await(seq, ts_ns, event.order_id, event.order_hash, f"waits for a second person ({event.order_hash})")

    def _approved(self, seq: int, ts_ns: int, event: OrderApproved) -> None:
        self._await(seq, ts_ns, event.order_id, "", f"approved by {event.who}")

    def _await(self, seq: int, ts_ns: int, order_id: str, awaits: str, note: str) -> None:
        order = self.get(order_id)
        order.awaits, order.note = awaits, note
        self._touch(order, seq, ts_ns)

    def _ended(self, seq: int, ts_ns: int, event: ev.ParentEnded) -> None:
        parent = self.get(event.order_id)
        parent.stopping = True
        parent.end_state = parent.state = event.state
        parent.note = event.why or parent.note
        self.parents_open.pop(parent.order_id, None)
        self.staged.pop(parent.order_id, None)
        self._touch(parent, seq, ts_ns)
        self._idle[parent.order_id] = None

    def _progress(self, seq: int, ts_ns: int, event: ev.AlgoProgress) -> None:
        parent = self.get(event.order_id)
        parent.algo_data = event.data
        self._touch(parent, seq, ts_ns)

    # children

    def _intent(self, seq: int, ts_ns: int, event: ev.OrderIntent) -> None:
        order = Order(event.order_id, event.spec, event.source, OrderState.PENDING_NEW, ts_ns)
        order.parent_id = event.parent_id
        order.wire_id = event.wire_id
        order.decision = event.decision
        order.why = event.decision.why
        self._add(order, seq)
        self._change(order, seq, ts_ns)

    def _foreign(self, seq: int, ts_ns: int, event: ev.ForeignOrderSeen) -> None:
        order = Order(event.order_id, event.spec, Source(SourceKind.FOREIGN), OrderState.NEW, ts_ns)
        order.is_foreign = True
        order.wire_id = event.wire_id
        order.venue_order_id = event.venue_order_id
        order.qty_filled = event.qty_filled
        order.why = "seen at the broker, not made by this ledger"
        self._add(order, seq)
        self._change(order, seq, ts_ns)

    def _acked(self, seq: int, ts_ns: int, event: ev.OrderAcked) -> None:
        order = self.get(event.order_id)
        order.venue_order_id = event.venue_order_id
        order.acked_ns = event.ts_ns
        self._place(order)
        if order.state not in TERMINAL:
            order.state = working(order)
        self._change(order, seq, ts_ns)

    def _rejected(self, seq: int, ts_ns: int, event: ev.OrderRejected) -> None:
        self._end(seq, ts_ns, event, OrderState.REJECTED, f"{event.code}: {event.text}")

    def _killed(self, seq: int, ts_ns: int, event: ev.OrderKilled) -> None:
        self._end(seq, ts_ns, event, OrderState.KILLED, event.why)

    def _cancelled(self, seq: int, ts_ns: int, event: ev.OrderCancelled) -> None:
        self._end(seq, ts_ns, event, OrderState.CANCELLED, event.why)

    def _expired(self, seq: int, ts_ns: int, event: ev.OrderExpired) -> None:
        self._end(seq, ts_ns, event, OrderState.EXPIRED, "")

    def _resolved(self, seq: int, ts_ns: int, event: ev.OrderResolved) -> None:
        self._end(seq, ts_ns, event, event.state, f"{event.by}: {event.evidence}")

    def _end(self, seq: int, ts_ns: int, event: Any, state: OrderState, note: str) -> None:
        order = self.get(event.order_id)
        order.state = state
        end_amend(order)
        order.cancel_asked = False
        order.note = note or order.note
        self._change(order, seq, ts_ns)

    def _unknown(self, seq: int, ts_ns: int, event: ev.OrderUnknown) -> None:
        order = self.get(event.order_id)
        order.state = OrderState.UNKNOWN
        order.note = event.why
        self._change(order, seq, ts_ns)

    def _cancel_intent(self, seq: int, ts_ns: int, event: ev.CancelIntent) -> None:
        order = self.get(event.order_id)
        order.cancel_asked = True
        self.cancels_unsent.pop(order.order_id, None)
        if order.state not in _WAITING:
            order.state = OrderState.PENDING_CANCEL
        self._change(order, seq, ts_ns)

    def _cancel_rejected(self, seq: int, ts_ns: int, event: ev.CancelRejected) -> None:
        order = self.get(event.order_id)
        if order.acked_ns or order.state not in _WAITING:
            order.cancel_asked = False
        # Otherwise the venue refused a cancel of what it does not know yet: it is asked again once it does.
        order.note = f"cancel refused: {event.code} {event.text}".strip()
        if order.state is OrderState.PENDING_CANCEL:
            order.state = working(order)
        if event.code == ev.NOT_SENT and order.order_id in self.live:
            self.cancels_unsent[order.order_id] = order
        self._change(order, seq, ts_ns)

    def _amend_intent(self, seq: int, ts_ns: int, event: ev.AmendIntent) -> None:
        order = self.get(event.order_id)
        order.amend = event
        order.state = OrderState.PENDING_REPLACE
        self._change(order, seq, ts_ns)

    def _amended(self, seq: int, ts_ns: int, event: ev.OrderAmended) -> None:
        order = self.get(event.order_id)
        order.amend = None
        # What has filled was ordered: an amendment that came behind its fills cannot make it less.
        order.qty, order.limit, order.stop = max(event.qty, rightly_filled(order)), event.limit, event.stop
        if not order.is_parent and not order.state.is_terminal and order.state not in _WAITING:
            order.state = working(order)
        self._change(order, seq, ts_ns)

    def _amend_rejected(self, seq: int, ts_ns: int, event: ev.AmendRejected) -> None:
        order = self.get(event.order_id)
        order.amend = None
        over = rightly_filled(order) - order.qty
        if over > 0:
            # It filled what it now says that it never granted.
            order.overfill = order.overfill + over
            self.overfills += 1
        order.note = f"amend refused: {event.code} {event.text}".strip()
        if order.state is OrderState.PENDING_REPLACE:
            order.state = working(order)
        self._change(order, seq, ts_ns)

    # executions

    def _filled(self, seq: int, ts_ns: int, event: ev.OrderFilled) -> None:
        fill = event.fill
        order = self.get(event.order_id)
        key = (fill.broker, fill.account, fill.fill_key)
        if fill.corrects:
            self._undo(order, (fill.broker, fill.account, fill.corrects), seq)
        self._book(key, event.order_id, fill, seq)
        order.fills.append(key)
        order.qty_filled = order.qty_filled + fill.qty
        order.value_filled = EXACT.add(order.value_filled, EXACT.multiply(fill.price, fill.qty))
        if event.overfill:
            order.overfill = order.overfill + event.overfill
            self.overfills += 1
        if order.qty_filled >= order.most_qty:
            order.state = OrderState.FILLED
            end_amend(order)
            order.cancel_asked = False
        elif order.state in {OrderState.PENDING_NEW, OrderState.NEW, OrderState.PARTIALLY_FILLED}:
            order.state = OrderState.PARTIALLY_FILLED
        self._change(order, seq, ts_ns)

    def _busted(self, seq: int, ts_ns: int, event: ev.FillBusted) -> None:
        fill = event.fill
        key = (fill.broker, fill.account, fill.fill_key)
        if event.order_id:
            order = self.get(event.order_id)
            self._undo(order, key, seq)
            order.note = f"fill {fill.fill_key} was busted"
            self._change(order, seq, ts_ns)
        else:
            self.busted[key] = None
            self._dirty_fills.append(("", fill, seq, True))

    def _undo(self, order: Order, key: FillId, seq: int) -> None:
        _, fill = self.fills[key]
        order.fills.remove(key)
        order.qty_filled = order.qty_filled - fill.qty
        order.value_filled = EXACT.subtract(order.value_filled, EXACT.multiply(fill.price, fill.qty))
        self.busted[key] = None
        self._dirty_fills.append((order.order_id, fill, seq, True))

    def _foreign_fill(self, seq: int, _ts_ns: int, event: ev.ForeignFillSeen) -> None:
        fill = event.fill
        old = (fill.broker, fill.account, fill.corrects)
        if fill.corrects and old in self.fills:
            self.busted[old] = None
            self._dirty_fills.append(("", self.fills[old][1], seq, True))
        self._book((fill.broker, fill.account, fill.fill_key), "", fill, seq)

    def _book(self, key: FillId, order_id: str, fill: ev.Fill, seq: int) -> None:
        if key in self.fills:
            msg = f"fill {key} was booked twice"
            raise InvariantError(msg)
        self.fills[key] = (order_id, fill)
        self._dirty_fills.append((order_id, fill, seq, False))

    # -- projection rows ---------------------------------------------------------------------------------------------

    def dirty(self) -> Changed:
        """Rows changed since the last call, for the projection tables."""
        orders = [order_row(order) for order in self._dirty_orders.values()]
        fills = [fill_row(order_id, fill, seq, busted=busted) for order_id, fill, seq, busted in self._dirty_fills]
        self.forget()
        return [("orders", orders), ("fills", fills)]

    def forget(self) -> None:
        """Take what changed as written, and pack what ended long ago."""
        self._dirty_orders, self._dirty_fills = {}, []
        if len(self._idle) >= self.idle_max + self.step:
            self._pack()

    # -- what ended long ago -----------------------------------------------------------------------------------------

    def _pack(self) -> None:
        """Pack the families that ended first; one that is not at rest waits for another turn."""
        for _ in range((len(self._idle) - self.idle_max) // self.step):
            families = []
            for order_id in list(islice(self._idle, self.step)):
                del self._idle[order_id]
                parent = self.orders[order_id]
                family = [parent, *parent.children]
                if parent.children_live or order_id in self.parents_open or order_id in self.staged:
                    self._idle[order_id] = None
                    continue
                families.append((family, self._asked_for(family)))
                for order in family:
                    dict.pop(self.by_wire, order.wire_id, None)
            if families:
                self.orders.pack(families)

    def _asked_for(self, family: list[Order]) -> list[Asked]:
        """The commands of a family, taken out of those at hand."""
        intents = [order.intent_id for order in family if order.intent_id]
        for order in family:
            intents += self._asked_of.pop(order.order_id, ())
        return [self._wishes.pop(intent_id) for intent_id in intents if intent_id in self._wishes]

    def _came_back(self, family: list[Order], asked: list[Asked]) -> None:
        """A packed family is wanted: it is at hand again, and packed again in its turn."""
        for order in family:
            if order.wire_id:
                self.by_wire[order.wire_id] = order
        for command in asked:
            self._ask(command)
        self._idle[family[0].order_id] = None


_HANDLERS: Mapping[type, Any] = {
    LedgerOpened: OrderStore._ledger_opened,
    ev.CommandReceived: OrderStore._asked,
    ev.IllegalInput: OrderStore._illegal,
    ev.OrderStaged: OrderStore._staged,
    ev.OrderDenied: OrderStore._denied,
    ev.ParentAccepted: OrderStore._accepted,
    ev.ParentStopping: OrderStore._stopping,
    ApprovalAsked: OrderStore._approval_asked,
    OrderApproved: OrderStore._approved,
    ParentSuspended: OrderStore._suspended,
    ParentReleased: OrderStore._released,
    ParentPaused: OrderStore._paused,
    ParentResumed: OrderStore._resumed,
    UrgencySet: OrderStore._urged,
    ev.ParentEnded: OrderStore._ended,
    ev.AlgoProgress: OrderStore._progress,
    ev.OrderIntent: OrderStore._intent,
    ev.ForeignOrderSeen: OrderStore._foreign,
    ev.OrderAcked: OrderStore._acked,
    ev.OrderRejected: OrderStore._rejected,
    ev.OrderKilled: OrderStore._killed,
    ev.OrderCancelled: OrderStore._cancelled,
    ev.OrderExpired: OrderStore._expired,
    ev.OrderResolved: OrderStore._resolved,
    ev.OrderUnknown: OrderStore._unknown,
    ev.CancelIntent: OrderStore._cancel_intent,
    ev.CancelRejected: OrderStore._cancel_rejected,
    ev.AmendIntent: OrderStore._amend_intent,
    ev.OrderAmended: OrderStore._amended,
    ev.AmendRejected: OrderStore._amend_rejected,
    ev.OrderFilled: OrderStore._filled,
    ev.FillBusted: OrderStore._busted,
    ev.ForeignFillSeen: OrderStore._foreign_fill,
}
