"""Whatever a venue or a person says, in whatever order: nothing raises, what was ordered bounds what may fill, each input that
the order's state does not allow is journaled as illegal and changes nothing, and the journal alone gives the same state.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.money import ZERO_QTY, Price, Qty
from engine.domain.order import AlgoSpec, OrderSpec, OrderState, OrderType, Side, Tif
from engine.oms import broker_interface as bi
from engine.store.order import Order
from engine.store.order_store import OrderStore
from tests.core.lab import ME, Lab
from tests.core.test_engine import venue_order

ANSWERS = (
    "ack", "reject", "fill", "same_fill", "no_fill", "cancelled", "expired", "uncertain", "cancel_refused", "amended",
    "amended_more", "amend_refused", "bust", "nobody",
)  # fmt: skip
WISHES = (
    "buy", "sell", "market", "stop", "stop_limit", "ioc", "fok", "gtc", "post_only", "reduce_only", "twap", "stage", "release",
    "cancel", "cancel_all", "amend", "resolve", "state_filled", "state_never", "snapshot", "time", "again",
)  # fmt: skip
WORDS = st.one_of(st.sampled_from(ANSWERS), st.sampled_from(WISHES))
LIMIT, STOP = Price("189"), Price("189.5")
TERMS: dict[str, dict[str, Any]] = {
    "buy": {"limit": LIMIT},
    "sell": {"side": Side.SELL, "limit": Price("189.1")},
    "market": {"type": OrderType.MARKET},
    "stop": {"type": OrderType.STOP, "stop": STOP},
    "stop_limit": {"type": OrderType.STOP_LIMIT, "stop": STOP, "limit": Price("189.6")},
    "ioc": {"limit": Price("189.02"), "tif": Tif.IOC},
    "fok": {"limit": Price("189.02"), "tif": Tif.FOK},
    "gtc": {"limit": LIMIT, "tif": Tif.GTC},
    "post_only": {"limit": LIMIT, "post_only": True},
    "reduce_only": {"side": Side.SELL, "limit": Price("189.1"), "reduce_only": True},
    "twap": {"limit": Price("189.02"), "algo": AlgoSpec("twap", duration_ns=10 * NS_PER_S)},
    "stage": {"limit": LIMIT},
}


class Script:
    """One engine, and what is said to it."""

    def __init__(self, folder: Path, *, is_packing: bool) -> None:
        """``is_packing``: what has ended is packed at once, not after thousands of others."""
        self.lab = Lab(folder)
        self.lab.connect()
        self.store = self.lab.engine.store
        if is_packing:
            self.store.idle_max, self.store.step = 0, 1
            self.store.fills.at_hand_max, self.store.fills.step = 0, 1
        self.number = 0

    def refused(self) -> int:
        return self.lab.kinds().count("illegal_input")

    def illegal(self) -> int:
        return self.store.illegal_inputs

    def pick(self, pick: int, is_apt: Callable[[Order], bool], found: list[Order]) -> Order | None:
        """One of the orders; three times of four one for which the word has a meaning, where there is one."""
        apt = [order for order in found if is_apt(order)] if pick % 4 else []
        found = apt or found
        return found[pick % len(found)] if found else None

    def snapshot(self, *, is_listing: bool) -> bi.Snapshot:
        """The venue agrees with the books; it lists what works there, or has forgotten all of it."""
        books = self.lab.engine.ledger
        qty = books.qty("PAPER", "AAPL")
        live = [order for order in self.store.live.values() if order.acked_ns] if is_listing else []
        return self.lab.snapshot(
            orders=tuple(
                venue_order(
                    order.wire_id,
                    side=order.spec.side,
                    qty=order.qty,
                    qty_filled=order.qty_filled,
                    limit=order.limit,
                    stop=order.stop,
                )
                for order in live
            ),
            positions=(bi.VenuePosition(symbol="AAPL", qty=qty),) if qty else (),
            cash={"USD": books.cash["paper", "PAPER", "USD"]},
        )

    def say(self, word: str, pick: int, qty: int) -> None:
        self.number += 1
        if word in ANSWERS:
            self.answer(word, pick, qty)
        elif word in TERMS:
            self.place(word, qty)
        else:
            self.wish(word, pick, qty)

    # -- what a person asks -------------------------------------------------------------------------------------------------

    def place(self, word: str, qty: int) -> None:
        words: dict[str, Any] = {"side": Side.BUY, "type": OrderType.LIMIT, **TERMS[word]}
        spec = OrderSpec(symbol="AAPL", qty=Qty(qty), **words)
        command = co.NewOrder(source=ME, intent_id=f"i{self.number}", spec=spec, why="", staged=word == "stage")
        self.lab.submit(command)

    def wish(self, word: str, pick: int, qty: int) -> None:
        order = self.pick(pick, WISH_APT.get(word, _is_live), list(self.store.orders.all()))
        assert order is not None
        before, state, at = self.refused(), order.state, {"source": ME, "order_id": order.order_id}
        sent_wrong = self.illegal()
        legal: bool | None = None
        match word:
            case "cancel":
                self.lab.submit(co.CancelOrder(**at))  # type: ignore[arg-type] # the same two words for every command
                legal = not state.is_terminal
            case "release":
                self.lab.submit(co.ReleaseOrder(**at))  # type: ignore[arg-type]
                legal = state is OrderState.STAGED
            case "amend":
                terms: dict[str, Any] = {"qty": Qty(qty)} if pick % 2 else {"limit": Price("189.01")}
                result = self.lab.submit(co.AmendOrder(intent_id=f"i{self.number}", **at, **terms))  # type: ignore[arg-type]
                legal = result.code != "ILLEGAL"
            case "resolve" | "state_filled" | "state_never":
                as_ = {"resolve": co.ResolveAs.CANCELLED, "state_filled": co.ResolveAs.FILLED}
                how = as_.get(word, co.ResolveAs.NEVER_SENT)
                never = how is co.ResolveAs.NEVER_SENT and (order.acked_ns or order.qty_filled)
                self.lab.submit(co.Resolve(as_=how, reason="seen there", price=LIMIT, **at))  # type: ignore[arg-type]
                legal = state is OrderState.UNKNOWN and not order.is_parent and not never
            case "cancel_all":
                self.lab.submit(co.CancelAll(source=ME))
            case "snapshot":
                self.lab.submit(co.Reconcile(source=ME))
                self.lab.answer(self.snapshot(is_listing=bool(pick % 2)))
            case "again":
                sent = len(self.lab.broker.sent)
                for command in self.wishes():
                    assert self.lab.submit(command).repeated
                assert len(self.lab.broker.sent) == sent
            case _:
                self.lab.pass_time(1)
        if legal is not None:
            assert self.refused() == before + (not legal), f"{word} of {order.order_id} in {state}"
            assert self.illegal() == sent_wrong, "a wish is nothing that a venue sent"

    # -- what a venue says --------------------------------------------------------------------------------------------------

    def answer(self, word: str, pick: int, qty: int) -> None:
        children = [self.store.by_wire[sent.wire_id] for sent in self.lab.broker.sent]
        order = self.pick(pick, ANSWER_APT.get(word, _is_live), children)
        at: dict[str, Any] = {"broker": "paper", "ts_ns": self.lab.clock.now_ns()}
        wire = "NOBODY00000000" if order is None or word == "nobody" else order.wire_id
        event, legal = self.event(word, order, {**at, "wire_id": wire}, qty)
        before, was = self.illegal(), None if order is None else _terms(order)
        self.lab.answer(event)
        if legal is None:
            return
        if word == "nobody" or order is None:
            legal = False
        assert self.illegal() == before + (not legal), f"{word} of {order and order.order_id}: {was}"
        if not legal and order is not None:
            assert _terms(order) == was, "an illegal input changes nothing"

    def event(  # noqa: PLR0911, PLR0912 - one for each word
        self, word: str, order: Order | None, at: dict[str, Any], qty: int
    ) -> tuple[bi.BrokerEvent, bool | None]:
        """The answer, and whether the state of its order allows it; None where either may be."""
        lab, state = self.lab, OrderState.DENIED if order is None else order.state
        live, wire = state.is_live, at["wire_id"]
        side = Side.BUY if order is None else order.spec.side
        asked = order is not None and order.cancel_asked
        amending = order is not None and order.amend is not None
        unanswered = state in {OrderState.PENDING_NEW, OrderState.UNKNOWN}
        untouched = order is not None and not order.acked_ns and not order.qty_filled
        match word:
            case "ack" | "nobody":
                return lab.ack(wire), order is not None and not order.acked_ns and not state.is_terminal
            case "reject":
                return bi.Rejected(**at, code="X", text="no"), unanswered and untouched
            case "fill":
                return lab.fill(wire, qty, f"k{self.number}", side=side), True if order else None
            case "same_fill" if self.store.fills and qty < 195:
                known = [fill for _, fill in self.store.fills.values()]
                return bi.Filled(broker="paper", ts_ns=at["ts_ns"], fill=known[qty % len(known)]), True
            case "same_fill":
                return lab.fill(wire, qty, "the same key", side=side), None
            case "no_fill":
                return lab.fill(wire, 0, f"k{self.number}", side=side), False
            case "cancelled":
                return bi.Cancelled(**at), live
            case "expired":
                return bi.Expired(**at), live
            case "uncertain":
                return bi.Uncertain(**at, why="timeout"), live and state is not OrderState.UNKNOWN
            case "cancel_refused":
                return bi.CancelRefused(**at, code="LATE", text="too late"), asked
            case "amended":
                return bi.Amended(**at, qty=Qty(qty), limit=LIMIT), amending
            case "amended_more":
                return bi.Amended(**at, qty=Qty(qty + 500), limit=LIMIT), amending
            case "amend_refused":
                return bi.AmendRefused(**at, code="X", text="no"), amending
            case _:
                booked = [fill.fill_key for key, (_, fill) in self.store.fills.items() if key not in self.store.busted]
                del at["wire_id"]
                key = booked[qty % len(booked)] if booked else "never"
                return bi.Busted(**at, fill_key=key, symbol="AAPL"), bool(booked) if order else None

    def wishes(self) -> list[co.AnyCommand]:
        """Everything that was asked for with an intent of its own."""
        self.lab.journal.commit()
        events = [part for row in self.lab.journal.read() for part in ev.parts_of(ev.decode_event(row.payload))]
        commands = [event.command for event in events if isinstance(event, ev.CommandReceived)]
        return [command for command in commands if isinstance(command, co.NewOrder | co.AmendOrder)]

    # -- what must hold -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        for order in self.store.orders.all():
            ordered = order.most_qty + order.overfill
            assert order.qty_filled + order.worst_qty <= ordered, f"{order.order_id}: more than ordered"
        for parent in (order for order in self.store.orders.all() if order.is_parent):
            # A venue may break its word (fill what it called ended, work more than was asked); then all else is being cancelled.
            told = sum((child.qty_filled + child.worst_qty for child in parent.children), ZERO_QTY)
            assert parent.committed == told
            if told > parent.qty + parent.overfill:
                assert all(child.cancel_asked for child in parent.live_children), (
                    f"{parent.order_id}: more than ordered"
                )
        assert self.lab.engine.ledger.conservation_faults() == []

    def end(self) -> None:
        sent = [order.wire_id for order in self.lab.broker.sent]
        assert len(set(sent)) == len(sent), "one id was sent twice"
        fresh = OrderStore()
        for row in self.lab.journal.read():
            fresh.apply(row.seq, row.ts_ns, ev.decode_event(row.payload))
        assert {order.order_id: _terms(order) for order in fresh.orders.all()} == {
            order.order_id: _terms(order) for order in self.store.orders.all()
        }
        assert list(fresh.fills.items()) == list(self.store.fills.items())
        assert (fresh.illegal_inputs, fresh.overfills) == (self.store.illegal_inputs, self.store.overfills)
        self.lab.latch.close()


def _is_live(order: Order) -> bool:
    return order.is_live


def _is_amending(order: Order) -> bool:
    return order.amend is not None


def _is_working(order: Order) -> bool:
    return order.state in {OrderState.NEW, OrderState.PARTIALLY_FILLED} and not order.is_parent


def _is_unacked(order: Order) -> bool:
    return order.is_live and not order.acked_ns


def _is_unknown(order: Order) -> bool:
    return order.state is OrderState.UNKNOWN and not order.is_parent


WISH_APT: dict[str, Callable[[Order], bool]] = {
    "amend": _is_working,
    "release": lambda order: order.state is OrderState.STAGED,
    "resolve": _is_unknown,
    "state_filled": _is_unknown,
    "state_never": _is_unknown,
}
ANSWER_APT: dict[str, Callable[[Order], bool]] = {
    "ack": _is_unacked,
    "reject": _is_unacked,
    "amended": _is_amending,
    "amended_more": _is_amending,
    "amend_refused": _is_amending,
    "cancel_refused": lambda order: order.cancel_asked,
}


def _terms(order: Order) -> tuple[object, ...]:
    return (order.state, order.qty, order.limit, order.stop, order.qty_filled, order.worst_qty, order.overfill, order.committed,
            order.cancel_asked, order.amend, order.stopping, order.fills, order.value_filled, order.updated_seq, order.note,
            order.venue_order_id, order.intent_id, [child.order_id for child in order.children])  # fmt: skip


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(WORDS, st.integers(0, 5), st.integers(1, 200)), max_size=30), st.booleans())
def test_any_inputs_keep_the_books(words: list[tuple[str, int, int]], is_packing: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Script(Path(folder), is_packing=is_packing)
        script.lab.buy(100, "189", intent="first")
        for word, pick, qty in words:
            script.say(word, pick, qty)
            script.lab.clock.set_ns(script.lab.clock.now_ns() + 300_000_000)
            script.lab.quote()
            script.check()
        script.end()
