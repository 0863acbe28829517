"""The kill procedure behind a shut gate: cancel, verify at the broker, flatten if asked, receipt.

Any process can run it with broker sessions of its own: the engine, ``bolt kill`` beside a dead or hung engine, a watchdog.
It shares no code with P&L, pricing or drawing. One thread per broker: a dead broker never delays the others.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from engine.domain.clock import NS_PER_MS, NS_PER_S, Clock
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.errors import VenueError
from engine.domain.ids import base32, random_bytes
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Price, Qty, Rounding, text
from engine.domain.order import OrderSpec, OrderType, Side, Tif
from engine.oms.broker_interface import BrokerSession, SessionFactory, VenueOrder, VenuePosition, WireOrder

POLL_NS = 50 * NS_PER_MS
CANCEL_ROUND_NS = 500 * NS_PER_MS
"""After so long what still stands is asked to be cancelled again."""
FLATTEN_STEPS = 4

OnStep = Callable[[str, dict[str, str]], None]


class HaltPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done."""

    halt_id: str
    scope: HaltScope
    who: str
    why: str
    keep_protective: bool
    """Reduce-only orders at the venue are kept, and listed in the receipt."""
    flatten: bool
    collar_pct: Price
    """How far beyond the far touch the first exit order may go; each step widens it once more."""
    cancel_deadline_ns: int = 3 * NS_PER_S
    flatten_deadline_ns: int = 10 * NS_PER_S
    instruments: Mapping[str, Instrument] = {}
    drill: bool = False
    keeps: Callable[[VenueOrder], bool] | None = None
    """Orders outside the scope, where the caller can tell (strategies)."""


class BrokerReceipt(msgspec.Struct, kw_only=True):
    """What happened at one broker."""

    broker: str
    found: int = 0
    cancels_sent: int = 0
    survivors: list[str] = []
    kept: list[str] = []
    is_clean: bool = False
    error: str = ""
    positions: dict[str, str] = {}
    cash: dict[str, str] = {}
    residual: dict[str, str] = {}
    """Symbol -> quantity left and why, where flattening was asked."""


class Receipt(msgspec.Struct, kw_only=True):
    """The whole procedure, for the screen and as a file."""

    halt_id: str
    scope: str
    who: str
    why: str
    drill: bool
    started_ns: int
    durable: bool
    steps_ms: dict[str, str] = {}
    brokers: dict[str, BrokerReceipt] = {}

    @property
    def is_clean(self) -> bool:
        """Every broker answered, nothing works any more but what is kept, nothing is left of what was to be flattened."""
        return all(b.is_clean and not b.residual for b in self.brokers.values())


def emergency_wire_ids(ledger_id: str) -> Callable[[], str]:
    """Wire ids for exits that are not journaled first: the ledger's letters, Z, and 8 random characters."""

    def make() -> str:
        return f"{ledger_id}Z{base32(int.from_bytes(random_bytes(5), 'big'), 8)}"

    return make


def run_halt(
    plan: HaltPlan,
    sessions: Mapping[str, SessionFactory],
    *,
    clock: Clock,
    on_step: OnStep,
    trip: Callable[[], None],
    record_durable: Callable[[], bool],
    stop_sources: Callable[[], None],
    next_wire_id: Callable[[], str],
    pause: Callable[[float], object] | None = None,
) -> Receipt:
    """Run every step in order; :class:`Receipt`. Raises nothing for what a broker does or does not do.

    Args:
        trip: shuts the gate (latch); harmless to call again.
        record_durable: makes the trip durable; False where it could not: then nothing is flattened.
        stop_sources: stops strategies and algorithms of this process.
        pause: waits between two looks at the broker (seconds).
    """
    begin_ns = clock.monotonic_ns()
    receipt = Receipt(
        halt_id=plan.halt_id,
        scope=f"{plan.scope.kind.value} {plan.scope.name}".rstrip(),
        who=plan.who,
        why=plan.why,
        drill=plan.drill,
        started_ns=clock.now_ns(),
        durable=False,
    )

    def done(step: str, data: dict[str, str] | None = None) -> None:
        receipt.steps_ms[step] = text(EXACT.divide(Qty(clock.monotonic_ns() - begin_ns), Qty(NS_PER_MS)))
        on_step(step, data or {})

    trip()
    done("gate_shut")
    receipt.durable = record_durable()
    done("durable" if receipt.durable else "not_durable")
    stop_sources()
    done("sources_stopped")
    waiter = pause or threading.Event().wait
    threads = []
    for name, factory in sessions.items():
        found = receipt.brokers[name] = BrokerReceipt(broker=name)
        worker = _BrokerHalt(plan, found, factory, clock, next_wire_id, waiter, can_flatten=receipt.durable)
        threads.append(threading.Thread(target=worker.run, name=f"bolt-halt-{name}", daemon=True))
    for thread in threads:
        thread.start()
    limit_s = (plan.cancel_deadline_ns + plan.flatten_deadline_ns * plan.flatten) / NS_PER_S + 5
    for thread in threads:
        thread.join(limit_s)
    for thread, found in zip(threads, receipt.brokers.values(), strict=True):
        if thread.is_alive():
            found.error = f"did not answer within {limit_s:g} s"
    done("verified", _totals(receipt))
    return receipt


def _totals(receipt: Receipt) -> dict[str, str]:
    brokers = receipt.brokers.values()
    sent, left = sum(b.cancels_sent for b in brokers), sum(len(b.survivors) for b in brokers)
    data = {
        "cancels_sent": str(sent),
        "cancels_confirmed": str(max(0, sum(b.found - len(b.kept) for b in brokers) - left)),
        "unknown": str(left + sum(1 for b in brokers if b.error)),
        "kept": str(sum(len(b.kept) for b in brokers)),
    }
    residual = [f"{s} {why}" for b in brokers for s, why in b.residual.items()]
    residual += [f"{b.broker}: {b.error}" for b in brokers if b.error]
    if residual:
        data["residual"] = ";".join(residual)
    return data


class _BrokerHalt:
    """Steps 4 to 6 at one broker."""

    def __init__(
        self,
        plan: HaltPlan,
        receipt: BrokerReceipt,
        factory: SessionFactory,
        clock: Clock,
        next_wire_id: Callable[[], str],
        pause: Callable[[float], object],
        *,
        can_flatten: bool,
    ) -> None:
        self._plan = plan
        self._receipt = receipt
        self._factory = factory
        self._clock = clock
        self._next_wire_id = next_wire_id
        self._pause = pause
        self._can_flatten = can_flatten
        self._seen: set[str] = set()

    def run(self) -> None:
        """Cancel, verify, flatten; a broken session is opened again until the deadline."""
        end_ns = self._clock.monotonic_ns() + self._plan.cancel_deadline_ns
        while True:
            try:
                session = self._factory()
                try:
                    self._steps(session, end_ns)
                    self._receipt.error = ""
                    return
                finally:
                    session.close()
            except VenueError as error:
                self._receipt.error = str(error)
            if self._clock.monotonic_ns() >= end_ns:
                return
            self._pause(POLL_NS / NS_PER_S)

    def _steps(self, session: BrokerSession, end_ns: int) -> None:
        self._receipt.is_clean = self._cancel(session, end_ns)
        if self._plan.flatten and not self._plan.drill:
            self._flatten_all(session)
        self._receipt.positions = {p.symbol: str(p.qty) for p in session.positions()}
        self._receipt.cash = {currency: str(amount) for currency, amount in session.cash().items()}

    def _targets(self, session: BrokerSession) -> list[VenueOrder]:
        found, kept = [], []
        for order in session.open_orders():
            if not self._covers(order):
                continue
            if order.venue_order_id not in self._seen:
                self._seen.add(order.venue_order_id)
                self._receipt.found += 1
            if self._plan.keep_protective and order.reduce_only:
                kept.append(f"{order.venue_order_id} {order.side} {order.qty} {order.symbol}")
            else:
                found.append(order)
        self._receipt.kept = kept
        return found

    def _covers(self, order: VenueOrder) -> bool:
        scope = self._plan.scope
        if scope.kind is HaltScopeKind.SYMBOL and order.symbol != scope.name:
            return False
        return self._plan.keeps is None or not self._plan.keeps(order)

    def _cancel(self, session: BrokerSession, end_ns: int) -> bool:
        left = self._targets(session)
        if self._plan.drill:
            return True
        is_whole = self._plan.scope.kind in {HaltScopeKind.GLOBAL, HaltScopeKind.ACCOUNT}
        if left and is_whole and not self._receipt.kept and self._plan.keeps is None and session.cancel_all():
            self._receipt.cancels_sent += len(left)
            left = self._targets(session)
        again_ns = 0
        while left:
            now_ns = self._clock.monotonic_ns()
            if now_ns >= end_ns:
                break
            if now_ns >= again_ns:
                again_ns = now_ns + CANCEL_ROUND_NS
                for order in left:
                    session.cancel(order)
                    self._receipt.cancels_sent += 1
            self._pause(POLL_NS / NS_PER_S)
            left = self._targets(session)
        self._receipt.survivors = [f"{o.venue_order_id} {o.side} {o.qty} {o.symbol} {o.status}" for o in left]
        return not left

    # -- flattening ------------------------------------------------------------------------------------------------------

    def _flatten_all(self, session: BrokerSession) -> None:
        wanted = [p for p in session.positions() if p.qty and self._in_scope(p)]
        refusal = ""
        if not self._receipt.is_clean:
            refusal = "not flattened: orders survive, an exit could double them"
        elif not self._can_flatten:
            refusal = "not flattened: the halt is not durable"
        for position in wanted:
            why = refusal or self._flatten(session, position.symbol)
            left = self._qty(session, position.symbol)
            if left:
                self._receipt.residual[position.symbol] = f"{left}: {why or 'not filled before the deadline'}"

    def _in_scope(self, position: VenuePosition) -> bool:
        return self._plan.scope.kind is not HaltScopeKind.SYMBOL or position.symbol == self._plan.scope.name

    def _qty(self, session: BrokerSession, symbol: str) -> Qty:
        return next((p.qty for p in session.positions() if p.symbol == symbol), Qty(0))

    def _flatten(self, session: BrokerSession, symbol: str) -> str:
        """Exit one position by collared orders, each wider than the one before; why it stopped, empty when flat."""
        end_ns = self._clock.monotonic_ns() + self._plan.flatten_deadline_ns
        for step in range(1, FLATTEN_STEPS + 1):
            qty = self._qty(session, symbol)
            if not qty:
                return ""
            if self._clock.monotonic_ns() >= end_ns:
                return "deadline"
            status = session.status(symbol)
            if status != "open":
                return f"{symbol} is {status}"
            order = self._exit(session, symbol, qty, step)
            if order is None:
                return "no price to exit at"
            session.place(order)
            if not self._settled(session, order.wire_id, end_ns):
                return "an exit order has not ended"
        return ""

    def _settled(self, session: BrokerSession, wire_id: str, end_ns: int) -> bool:
        while any(order.wire_id == wire_id for order in session.open_orders()):
            if self._clock.monotonic_ns() >= end_ns:
                return False
            self._pause(POLL_NS / NS_PER_S)
        return True

    def _exit(self, session: BrokerSession, symbol: str, qty: Qty, step: int) -> WireOrder | None:
        bid, ask, _ = session.quote(symbol)
        made = self._plan.instruments.get(symbol)
        touch = bid if qty > 0 else ask
        if touch is None or made is None:
            return None
        side = Side.SELL if qty > 0 else Side.BUY
        away = EXACT.multiply(EXACT.multiply(touch, self._plan.collar_pct), EXACT.scaleb(Price(step), -2))
        raw = EXACT.subtract(touch, away) if side is Side.SELL else EXACT.add(touch, away)
        limit = made.round_price(raw, Rounding.CEILING if side is Side.SELL else Rounding.FLOOR)
        spec = OrderSpec(
            symbol=symbol,
            side=side,
            qty=abs(qty),
            type=OrderType.LIMIT,
            limit=limit,
            tif=Tif.IOC,
            reduce_only=True,
            broker=session.name,
            account=session.account,
        )
        return WireOrder(wire_id=self._next_wire_id(), spec=spec)


def write_receipt(receipt: Receipt, folder: Path) -> Path:
    """Write the receipt, readable by its owner only; its path."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{receipt.started_ns}-{receipt.halt_id}.json"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(receipt)))
        file.flush()
        os.fsync(file.fileno())
    return path
