"""The orders' way out and back: intents, effects that wait for the disk, and what the venue's answers mean.

Out: :meth:`Orders.send_child` journals the intent and queues the send behind its sequence number. :meth:`Orders.release` hands over
what is durable, reading the kill latch again at the call; tripped means KILLED, never sent. Cancels and queries never wait.
Back: :meth:`Orders.on_broker` checks every answer against the order's state. What the state does not allow is
journaled as an illegal input and has no other effect; nothing raises for what a venue says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine.domain import events as ev
from engine.domain.clock import Clock
from engine.domain.commands import AmendOrder, CancelOrder, NewOrder
from engine.domain.ids import is_exit_wire_id, wire_id
from engine.domain.money import ZERO_QTY, Price, Qty, text
from engine.domain.order import OrderSpec, OrderState, OrderType, Source, SourceKind
from engine.oms import broker_interface as bi
from engine.store.order import Order
from engine.store.order_store import OrderStore

Record = Callable[[ev.AnyEvent], int]
"""Journals and publishes an event; its sequence number."""

ANSWERABLE = {OrderState.PENDING_NEW, OrderState.UNKNOWN}
AMENDABLE = {OrderState.NEW, OrderState.PARTIALLY_FILLED}


class Effect(msgspec.Struct, frozen=True):
    """Something to be sent once a sequence number is on disk."""

    waits_for: int
    order_id: str
    amend: ev.AmendIntent | None = None
    linked: tuple[str, ...] = ()
    """Other orders that leave with it, in the same message."""

    @property
    def new_ids(self) -> tuple[str, ...]:
        """New orders that it sends."""
        return () if self.amend is not None else (self.order_id, *self.linked)


class Orders:
    """Sends children and understands answers."""

    def __init__(
        self,
        store: OrderStore,
        record: Record,
        brokers: Mapping[str, bi.Broker],
        clock: Clock,
        may_send: Callable[[Order], str],
    ) -> None:
        """``may_send`` reads the kill latch again for an order: empty where it may leave, otherwise the reason."""
        self._store = store
        self._record = record
        self._brokers = brokers
        self._clock = clock
        self._may_send = may_send
        self.is_rescaled: Callable[[Order], bool] = lambda _: False
        """Whether a split gave an order new terms that nobody asked for; the comparison with the broker knows."""
        self._effects: deque[Effect] = deque()
        self.sent = 0
        """New orders handed to adapters since start."""

    # -- out -----------------------------------------------------------------------------------------------------------

    def place(self, command: NewOrder, decision: ev.Decision, why: str) -> Order:
        """Journal a direct order that passed the gate together with the intent of its one child, and queue its send; the order."""
        counter = self._store.next_counter()
        child = counter + 1
        placed = ev.OrderPlaced(
            command=command,
            order_id=f"P{counter}",
            child_id=f"C{child}",
            wire_id=wire_id(self._store.ledger_id, child),
            decision=decision,
            why=why,
        )
        self._effects.append(Effect(self._record(placed), placed.child_id))
        return self._store.get(placed.order_id)

    def send_child(self, parent_id: str, spec: OrderSpec, source: Source, decision: ev.Decision) -> Order:
        """Journal the intent of a child that passed the gate and queue its send."""
        seq, order_id = self._intend(parent_id, spec, source, decision)
        self._effects.append(Effect(seq, order_id))
        return self._store.get(order_id)

    def send_linked(self, members: Sequence[tuple[str, OrderSpec, ev.Decision]], source: Source) -> None:
        """Journal the intents of orders that passed the gate together (parent, terms, decision) and queue them as one send."""
        intents = [self._intend(parent_id, spec, source, decision) for parent_id, spec, decision in members]
        ids = [order_id for _, order_id in intents]
        self._effects.append(Effect(intents[-1][0], ids[0], linked=tuple(ids[1:])))

    def _intend(self, parent_id: str, spec: OrderSpec, source: Source, decision: ev.Decision) -> tuple[int, str]:
        counter = self._store.next_counter()
        order_id = f"C{counter}"
        intent = ev.OrderIntent(
            order_id=order_id,
            parent_id=parent_id,
            wire_id=wire_id(self._store.ledger_id, counter),
            spec=spec,
            source=source,
            decision=decision,
        )
        return self._record(intent), order_id

    def send_amend(self, intent: ev.AmendIntent) -> None:
        """Journal an amend that passed the gate and queue its send."""
        seq = self._record(intent)
        self._effects.append(Effect(seq, intent.order_id, intent))

    def amend(self, command: AmendOrder, intent: ev.AmendIntent) -> None:
        """Journal an amend that passed the gate together with the command that asked for it, and queue its send."""
        placed = ev.AmendPlaced(command=command, intent=intent)
        self._effects.append(Effect(self._record(placed), intent.order_id, intent))

    def call_back(self, command: CancelOrder, child: Order, why: str) -> None:
        """Journal that a direct order is to be cancelled, together with the cancel of its one child, which has left; ask for that."""
        self._record(ev.CancelPlaced(command=command, child_id=child.order_id, why=why))
        self._brokers[child.spec.broker].send_cancel(child.wire_id, child.venue_order_id)

    def has_left(self, order_id: str) -> bool:
        """Whether a new order is no longer waiting for the disk."""
        return not any(order_id in effect.new_ids for effect in self._effects)

    def cancel(self, order: Order, why: str) -> bool:
        """Ask for a cancel at once; False where there is nothing to cancel.

        An intent that has not left yet is killed instead. A cancel may be asked again: it cannot place anything.
        """
        if not order.is_live:
            return False
        dropped = self._drop_unsent(order.order_id)
        if dropped:
            for order_id in dropped:
                self._record(ev.OrderKilled(order_id=order_id, why=f"cancelled before it left: {why}"))
            return True
        self._record(ev.CancelIntent(order_id=order.order_id, why=why))
        self._brokers[order.spec.broker].send_cancel(order.wire_id, order.venue_order_id)
        return True

    def unsent(self) -> list[str]:
        """New orders that wait for the disk, oldest first: none of them has left."""
        return [order_id for effect in self._effects for order_id in effect.new_ids]

    def _drop_unsent(self, order_id: str) -> tuple[str, ...]:
        """Take an order that has not left out of the queue, with those that would have left with it; their ids."""
        for effect in self._effects:
            if order_id in effect.new_ids:
                self._effects.remove(effect)
                return effect.new_ids
        return ()

    def release(self, durable_seq: int) -> int:
        """Hand over every effect whose sequence number is on disk; the number of messages that left."""
        left = 0
        while self._effects and self._effects[0].waits_for <= durable_seq:
            effect = self._effects.popleft()
            left += self._hand_over(effect)
        return left

    def _hand_over(self, effect: Effect) -> int:
        order = self._store.get(effect.order_id)
        broker = self._brokers[order.spec.broker]
        refusal = self._may_send(order)
        if effect.amend is not None:
            amend = effect.amend
            if order.state is not OrderState.PENDING_REPLACE:
                if order.amend is amend:
                    self._amend_unsent(order, "NOT_SENT", f"the order was {order.state.value} before it left")
                return 0
            if refusal:
                self._amend_unsent(order, "KILLED", refusal)
                return 0
            broker.send_amend(order.wire_id, order.venue_order_id, amend.qty, amend.limit, amend.stop)
            return 1
        if order.state is not OrderState.PENDING_NEW:
            return 0
        others = [self._store.get(order_id) for order_id in effect.linked] if effect.linked else ()
        refusal = refusal or (next(filter(None, map(self._may_send, others)), "") if others else "")
        if refusal:
            for order_id in effect.new_ids:
                self._record(ev.OrderKilled(order_id=order_id, why=refusal))
            return 0
        self.sent += 1 + len(others)
        linked = tuple([bi.WireOrder(wire_id=other.wire_id, spec=other.spec) for other in others]) if others else ()
        broker.send_new(bi.WireOrder(wire_id=order.wire_id, spec=order.spec, linked=linked))
        return 1

    def _amend_unsent(self, order: Order, code: str, why: str) -> None:
        self._record(ev.AmendRejected(order_id=order.order_id, code=code, text=why, ts_ns=self._clock.now_ns()))

    def kill_unsent(self, why: str, covers: Callable[[Order], bool]) -> int:
        """Turn queued intents of a halted scope into KILLED; they are never sent after a reconnect."""
        kept: deque[Effect] = deque()
        killed: list[Effect] = []
        for effect in self._effects:
            is_covered = any(covers(self._store.get(order_id)) for order_id in effect.new_ids)
            (killed if is_covered else kept).append(effect)
        self._effects = kept
        ids = [order_id for effect in killed for order_id in effect.new_ids]
        for order_id in ids:
            self._record(ev.OrderKilled(order_id=order_id, why=why))
        return len(ids)

    @property
    def waiting(self) -> int:
        """Effects that wait for the disk."""
        return len(self._effects)

    # -- after a restart -------------------------------------------------------------------------------------------------

    def recover(self) -> int:
        """After a restart every unanswered send, cancel or amend is UNKNOWN until the venue is asked; how many."""
        found = [
            order
            for order in self._store.live.values()
            if order.state in {OrderState.PENDING_NEW, OrderState.PENDING_CANCEL, OrderState.PENDING_REPLACE}
        ]
        for order in found:
            self._record(ev.OrderUnknown(order_id=order.order_id, why=f"engine restarted while {order.state.value}"))
        return len(found)

    # -- back ------------------------------------------------------------------------------------------------------------

    def on_broker(self, event: bi.Reply | bi.Busted) -> None:
        """Take in one answer about an order; :meth:`book_fill` takes executions."""
        if isinstance(event, bi.Busted):
            self._bust(event)
            return
        order = self._store.by_wire.get(event.wire_id)
        if order is None:
            # The kill procedure follows its own exits; the books hear of them by executions and comparisons.
            if not is_exit_wire_id(event.wire_id, self._store.ledger_id):
                self._illegal(type(event).__name__, "", f"wire id {event.wire_id!r} is not in this ledger")
        else:
            self._answer(order, event)

    def _answer(self, order: Order, event: bi.Reply) -> None:
        made, allowed = self._meaning(order, event)
        asked = order.amend
        if allowed:
            self._record(made)
            if asked is not None and isinstance(event, bi.Amended) and not self.is_rescaled(order):
                self._compare(asked, event)
        else:
            self._illegal(type(event).__name__, order.order_id, f"order is {order.state.value}")
            return
        if isinstance(event, bi.Acked) and order.cancel_asked:
            # The cancel overtook its order: the venue may not have found it, so it is asked again.
            self._brokers[order.spec.broker].send_cancel(order.wire_id, order.venue_order_id)

    def _compare(self, asked: ev.AmendIntent, event: bi.Amended) -> None:
        """A venue that works other prices than it was asked for is believed, and that is said; a size may be cut for good reasons."""
        told = [
            f"{word} {'-' if got is None else text(got)} and not {'-' if want is None else text(want)}"
            for word, want, got in (("limit", asked.limit, event.limit), ("stop", asked.stop, event.stop))
            if want != got
        ]
        if told:
            words = f"{asked.order_id}: the venue says that it amended, with {' and '.join(told)} as was asked; amend it again, or cancel it"
            self._record(ev.AlertRaised(severity="warn", code="AMENDED_OTHERWISE", text=words))

    def _meaning(self, order: Order, event: bi.Reply) -> tuple[ev.AnyEvent, bool]:
        """The event an answer becomes, and whether the order's state allows it."""
        order_id, state, ts_ns = order.order_id, order.state, event.ts_ns
        match event:
            case bi.Acked():
                made: ev.AnyEvent = ev.OrderAcked(order_id=order_id, venue_order_id=event.venue_order_id, ts_ns=ts_ns)
                return made, not order.acked_ns and not state.is_terminal
            case bi.Rejected():
                made = ev.OrderRejected(order_id=order_id, code=event.code, text=event.text, ts_ns=ts_ns)
                return made, state in ANSWERABLE and not order.acked_ns and not order.qty_filled
            case bi.Uncertain():
                return ev.OrderUnknown(order_id=order_id, why=event.why), state.is_live and state != OrderState.UNKNOWN
            case bi.Cancelled() | bi.Expired() if (event.qty_filled or 0) > order.qty_filled:
                # It has ended, and executions of it are still on their way: their quantity counts until they are here.
                why = f"ended at the venue with {text(event.qty_filled or ZERO_QTY)} filled; executions are missing"
                return ev.OrderUnknown(order_id=order_id, why=why), state.is_live
            case bi.Cancelled():
                return ev.OrderCancelled(order_id=order_id, ts_ns=ts_ns, why=event.why), state.is_live
            case bi.Expired():
                return ev.OrderExpired(order_id=order_id, ts_ns=ts_ns), state.is_live
            case bi.CancelRefused():
                made = ev.CancelRejected(order_id=order_id, code=event.code, text=event.text, ts_ns=ts_ns)
                return made, order.cancel_asked
            case bi.Amended():
                made = ev.OrderAmended(
                    order_id=order_id, qty=event.qty, limit=event.limit, stop=event.stop, ts_ns=ts_ns
                )
                is_expected = order.amend is not None or _is_converting(order) or _is_cut(order, event.qty)
                is_expected = is_expected or self.is_rescaled(order)
                return made, is_expected and event.qty > 0
            case bi.AmendRefused():
                made = ev.AmendRejected(order_id=order_id, code=event.code, text=event.text, ts_ns=ts_ns)
                return made, order.amend is not None

    def book_fill(self, fill: ev.Fill) -> bool:
        """Book one execution, once; False where it was known. The same key with other content is a conflict."""
        key = (fill.broker, fill.account, fill.fill_key)
        known = self._store.fills.get(key)
        if known is not None:
            if known[1] != fill:
                self._record(ev.FillConflict(fill=fill, booked=known[1]))
            return False
        if fill.qty <= ZERO_QTY:
            self._illegal("Filled", "", f"fill {fill.fill_key} has quantity {fill.qty}")
            return False
        order = self._order_of(fill)
        if order is None or not _is_of(fill, order.spec):
            self._record(ev.ForeignFillSeen(fill=fill))
            return True
        if fill.corrects:
            return self._correct(order, fill)
        stated = (fill.broker, fill.account, stated_key(order))
        if stated in order.fills:
            # The venue's own execution takes the place of what a person said of the order: both would count it twice.
            self._record(ev.FillBusted(order_id=order.order_id, fill=self._store.fills[stated][1]))
        total = order.qty_filled + fill.qty if order.qty_filled else fill.qty
        over = ZERO_QTY if total <= order.most_qty else total - max(order.most_qty, order.qty_filled)
        self._record(
            ev.OrderFilled(
                order_id=order.order_id,
                fill=fill,
                overfill=over if over > 0 else ZERO_QTY,
                late=order.state.is_terminal,
            )
        )
        return True

    def _correct(self, order: Order, fill: ev.Fill) -> bool:
        old = (fill.broker, fill.account, fill.corrects)
        if old not in order.fills:
            self._illegal("Filled", order.order_id, f"{fill.fill_key} corrects {fill.corrects}, which is not booked")
            return False
        self._record(ev.OrderFilled(order_id=order.order_id, fill=fill, late=order.state.is_terminal))
        return True

    def _order_of(self, fill: ev.Fill) -> Order | None:
        if fill.wire_id:
            return self._store.by_wire.get(fill.wire_id)
        return self._store.of_venue(fill.broker, fill.account, fill.venue_order_id)

    def _bust(self, event: bi.Busted) -> None:
        for key, (order_id, fill) in self._store.fills.items():
            if key[0] == event.broker and key[2] == event.fill_key and fill.symbol == event.symbol:
                if key in self._store.busted:
                    break
                self._record(ev.FillBusted(order_id=order_id, fill=fill))
                return
        self._illegal("Busted", "", f"fill {event.fill_key} of {event.symbol} is not booked, or was busted before")

    def adopt(self, order: bi.VenueOrder, broker: str, account: str) -> None:
        """Make a foreign open order visible and count it at its worst case."""
        self._record(
            ev.ForeignOrderSeen(
                order_id=f"F{self._store.next_counter()}",
                spec=OrderSpec(
                    symbol=order.symbol,
                    side=order.side,
                    qty=order.qty,
                    type=order.type,
                    limit=order.limit,
                    stop=order.stop,
                    tif=order.tif,
                    reduce_only=order.reduce_only,
                    broker=broker,
                    account=account,
                ),
                venue_order_id=order.venue_order_id,
                wire_id=order.wire_id,
                qty_filled=order.qty_filled,
            )
        )

    def _illegal(self, what: str, order_id: str, why: str) -> None:
        self._record(ev.IllegalInput(what=what, order_id=order_id, why=why))


def _is_converting(order: Order) -> bool:
    """A market-to-limit order whose limit the venue has not told yet."""
    return order.spec.type is OrderType.MARKET_TO_LIMIT and order.limit is None


def _is_cut(order: Order, qty: Qty) -> bool:
    """Whether the venue may have made a linked order smaller: what an entry did not fill, or another of its group did."""
    return order.spec.link is not None and qty <= order.qty


def _is_of(fill: ev.Fill, spec: OrderSpec) -> bool:
    return (fill.broker, fill.account, fill.symbol, fill.side) == (spec.broker, spec.account, spec.symbol, spec.side)


def stated_key(order: Order) -> str:
    """Key of the execution that a person stated for an order; one for all that was unknown of it."""
    return f"stated:{order.order_id}"


def is_exit(order: Order) -> bool:
    """Whether this is a flatten order of the kill procedure, which a halt lets through."""
    return order.source.kind is SourceKind.HALT and order.spec.reduce_only


def amended(order: Order, qty: Qty | None, limit: Price | None, stop: Price | None) -> OrderSpec:
    """The order as it would be with new terms; None leaves a term as it is."""
    is_converted = order.spec.type is OrderType.MARKET_TO_LIMIT and order.limit is not None
    return msgspec.structs.replace(
        order.spec,
        type=OrderType.LIMIT if is_converted else order.spec.type,
        qty=order.qty if qty is None else qty,
        limit=order.limit if limit is None else limit,
        stop=order.stop if stop is None else stop,
    )
