"""The line between engine and venue, and what goes wrong on it: every fault of a schedule acts here."""

from __future__ import annotations

from collections.abc import Callable

from bolt_tui.faults import bookings, pipe
from bolt_tui.faults.schedule import Fault
from bolt_tui.faults.venue import Venue, cents, price
from bolt_tui.faults.world import World
from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.domain.commands import HaltScopeKind
from engine.domain.errors import VenueError
from engine.domain.events import TradingState, encode
from engine.domain.ids import Random
from engine.domain.order import Side
from engine.oms import broker_interface as bi

CONNECT_NS = 50 * NS_PER_MS
CALL_NS = 5 * NS_PER_MS
LOST_CALL_NS = 200 * NS_PER_MS
HELD_NS = 2 * NS_PER_S
"""How long a report waits for one to overtake it."""
BOOKINGS = ("dividend", "split", "liquidation", "margin_call", "pause")
UNREADABLE_NS = 300 * NS_PER_MS
"""An adapter that could not read a frame is back after this."""


class Line:
    """Messages both ways take some milliseconds and keep their order, but for the faults."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = Random(world.schedule.seed ^ 0xFA17)
        self._faults: list[Fault] = list(world.schedule.faults)
        self._seen: dict[str, int] = {}
        self.venue = Venue(world.schedule, world.after, self._report)
        self.is_up = False
        self.is_armed = False
        """Whether faults act yet: the opening trade is spared."""
        self._is_shut = False
        self._is_wanted = False
        self._up_after_ns = 0
        self._number = self._drops = 0
        """Of connections, and of those that dropped with all that was on its way."""
        self._in_ns = self._back_ns = 0
        self._held: list[bi.BrokerEvent] = []
        self._mute_until_ns: dict[str, int] = {}

    def calm(self) -> None:
        """No further fault begins."""
        self._faults.clear()

    def _fires(self, *kinds: str) -> Fault | None:
        """An opportunity for some kinds of fault: the one that was waiting for it, at most one at a time."""
        if not self.is_armed:
            return None
        found: Fault | None = None
        for kind in kinds:
            count = self._seen[kind] = self._seen.get(kind, 0) + 1
            if found is None:
                found = next((one for one in self._faults if one.kind == kind and one.nth <= count), None)
        if found is not None:
            self._faults.remove(found)
            self._world.out.fired.append(found.kind)
            self._world.disturb()
        return found

    # -- the connection ----------------------------------------------------------------------------------------------------

    def hear(self, frame: pipe.FromEngine) -> None:
        """Something left the engine: it is on its way from here on, whatever becomes of the engine."""
        match frame:
            case pipe.New():
                if self._is_shut:
                    self._world.out.leaked.append(frame.order.wire_id)
                self._inbound(frame.at_ns, lambda: self._new(frame))
            case pipe.Cancel():
                self._inbound(frame.at_ns, lambda: self._cancel(frame.wire_id))
            case pipe.Amend():
                self._inbound(frame.at_ns, lambda: self._amend(frame))
            case pipe.AskState():
                ask = frame
                self._inbound(ask.at_ns, lambda: self._report(self.venue.snapshot(ask.request_id, ask.since_ns)))
            case pipe.Connect():
                self._is_wanted = True
                self._world.at(max(frame.at_ns + CONNECT_NS, self._up_after_ns), self._connect)
            case pipe.Drop():
                self._world.set_ns(frame.at_ns)
                self._drop(UNREADABLE_NS)
            case pipe.Call():
                self._call(frame)
            case pipe.Tripped():
                if frame.scope.kind is HaltScopeKind.GLOBAL:
                    self._is_shut = frame.state is TradingState.HALTED
            case pipe.Done():
                return

    def engine_died(self) -> None:
        """Nobody listens any more. What it wrote before is in the kernel and arrives."""
        self.is_up = self._is_wanted = False
        self._number += 1
        self._held.clear()

    def _connect(self) -> None:
        if self.is_up or not self._is_wanted:
            return
        if self._world.now_ns < self._up_after_ns:
            self._world.at(self._up_after_ns, self._connect)
            return
        self.is_up = True
        self._number += 1
        self._in_ns = self._back_ns = self._world.now_ns
        self._world.disturb()
        self._world.tell(lambda now_ns: pipe.LineUp(at_ns=now_ns))

    def _drop(self, wait_ns: int) -> None:
        """The line is gone with all that is on its way, for a while; the engine hears of it at once."""
        self.is_up = False
        self._number += 1
        self._drops += 1
        self._held.clear()
        self._up_after_ns = self._world.now_ns + wait_ns
        self._world.disturb(self._up_after_ns)
        self._world.after(0, self._tell_down)
        self._world.at(self._up_after_ns, self._connect)

    def _tell_down(self) -> None:
        if not self.is_up:
            self._world.tell(lambda now_ns: pipe.LineDown(at_ns=now_ns, why="the line dropped"))

    def _drops_now(self) -> bool:
        fault = self._fires("disconnect")
        if fault is not None:
            self._drop(fault.size * NS_PER_MS)
        return fault is not None

    # -- to the venue --------------------------------------------------------------------------------------------------------

    def _delay_ns(self) -> int:
        return self._rng.between(2, 20) * NS_PER_MS

    def _inbound(self, sent_ns: int, act: Callable[[], None]) -> None:
        """A message arrives after a while, in order, unless the line drops before."""
        if not self.is_up:
            return
        drops = self._drops
        self._in_ns = max(self._in_ns + 1, sent_ns + self._delay_ns())

        def arrive() -> None:
            if drops == self._drops and not self._drops_now():
                act()

        self._world.at(self._in_ns, arrive)

    def _new(self, frame: pipe.New) -> None:
        now_ns, spec = self._world.now_ns, frame.order.spec
        self._book(self._fires(*BOOKINGS), spec.symbol)
        is_short = spec.side is Side.SELL and not spec.reduce_only
        refused = self._fires("reject", *(("borrow",) if is_short else ()))
        code = "" if refused is None else {"reject": "REFUSED", "borrow": "NO_BORROW"}[refused.kind]
        self.venue.new(now_ns, frame.order, refuse=code, on_disk=frame.on_disk)

    def _book(self, fault: Fault | None, symbol: str) -> None:
        """Something else than an order of ours changes the account, or stops the market that an order comes to."""
        now_ns = self._world.now_ns
        if fault is None:
            return
        match fault.kind:
            case "dividend":
                bookings.dividend(self.venue, now_ns)
            case "split":
                bookings.split(self.venue, now_ns)
            case "liquidation":
                bookings.liquidate(self.venue, now_ns, fault.size)
            case "margin_call":
                self._world.disturb(now_ns + fault.size * NS_PER_MS)
                bookings.margin_call(self.venue, now_ns, fault.size * NS_PER_MS)
            case _:
                wait_ns = fault.size * NS_PER_MS
                self._world.disturb(now_ns + wait_ns)
                bookings.pause(self.venue, now_ns, symbol, wait_ns)

    def _cancel(self, wire_id: str) -> None:
        if fault := self._fires("cancel_fill"):
            self.venue.fill_now(self._world.now_ns, wire_id, fault.size)
        self.venue.cancel(self._world.now_ns, wire_id)

    def _amend(self, frame: pipe.Amend) -> None:
        now_ns = self._world.now_ns
        if fault := self._fires("modify_fill"):
            self.venue.fill_now(now_ns, frame.wire_id, fault.size)
        limit = None if frame.limit is None else cents(frame.limit)
        stop = None if frame.stop is None else cents(frame.stop)
        self.venue.amend(now_ns, frame.wire_id, int(frame.qty), limit, stop)

    # -- from the venue ------------------------------------------------------------------------------------------------------

    def _report(self, event: bi.BrokerEvent) -> None:
        """The venue tells the account something; nobody is told who has no line."""
        if isinstance(event, bi.Filled):
            self._maybe_bust(event.fill.fill_key)
        is_ack = isinstance(event, bi.Acked)
        ack = self._fires("lost_ack", "timeout", "overfill") if is_ack else None
        if ack is not None and isinstance(event, bi.Acked):
            self._spoil_ack(ack, event.wire_id)
        if not self.is_up or self._drops_now() or (ack is not None and ack.kind == "lost_ack"):
            return
        report = self._fires("reordered", "delayed", "corrupt", "duplicate")
        kind = report.kind if report is not None else ""
        size_ns = report.size * NS_PER_MS if report is not None else 0
        if kind == "reordered":
            self._held.append(event)
            self._world.disturb(self._world.now_ns + HELD_NS)
            self._world.after(HELD_NS, self._let_go)
            return
        body = encode(event).decode()
        late_ns = size_ns if kind == "delayed" else self._mute_ns(event)
        self._back(_garbled(body, report.size) if report is not None and kind == "corrupt" else body, late_ns)
        if kind == "duplicate":
            self._back(body, size_ns)
        self._let_go()

    def _spoil_ack(self, fault: Fault, wire_id: str) -> None:
        if fault.kind == "timeout":
            until_ns = self._mute_until_ns[wire_id] = self._world.now_ns + fault.size * NS_PER_MS
            self._world.disturb(until_ns)
        elif fault.kind == "overfill":
            self.venue.overfill_pct[wire_id] = fault.size

    def _mute_ns(self, event: bi.BrokerEvent) -> int:
        wire_id = event.fill.wire_id if isinstance(event, bi.Filled) else getattr(event, "wire_id", "")
        return max(0, self._mute_until_ns.get(wire_id, 0) - self._world.now_ns)

    def _maybe_bust(self, fill_key: str) -> None:
        if fault := self._fires("bust"):
            wait_ns = fault.size * NS_PER_MS
            self._world.disturb(self._world.now_ns + wait_ns)
            self._world.after(wait_ns, lambda: self.venue.bust(self._world.now_ns, fill_key))

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for event in held:
            self._back(encode(event).decode(), 0)

    def _back(self, body: str, late_ns: int) -> None:
        """A frame on its way back: in order, or so much later by itself."""
        number = self._number
        if late_ns:
            due_ns = self._world.now_ns + late_ns
            self._world.disturb(due_ns)
        else:
            due_ns = self._back_ns = max(self._back_ns + 1, self._world.now_ns + self._delay_ns())

        def arrive() -> None:
            if number == self._number and self.is_up:
                self._world.tell(lambda now_ns: pipe.Data(at_ns=now_ns, body=body))

        self._world.at(due_ns, arrive)

    # -- sessions of the kill procedure ------------------------------------------------------------------------------------------

    def _call(self, call: pipe.Call) -> None:
        """A call takes a moment, and may be lost with its line, before or after it has acted."""
        world = self._world
        world.set_ns(call.at_ns + CALL_NS)
        fault = self._fires("disconnect")
        try:
            if fault is not None and fault.size % 2:
                raise VenueError("the session's line dropped")
            reply = self._answer(call, world.now_ns)
            if fault is not None:
                raise VenueError("the session's line dropped before the answer")
        except VenueError as error:
            reply = pipe.Reply(now_ns=world.now_ns + LOST_CALL_NS, error=str(error))
        world.reply(reply)

    def _answer(self, call: pipe.Call, now_ns: int) -> pipe.Reply:
        venue = self.venue
        match call.what:
            case "open":
                return pipe.Reply(now_ns=now_ns, orders=venue.open_orders())
            case "positions":
                return pipe.Reply(now_ns=now_ns, positions=venue.positions())
            case "cash":
                return pipe.Reply(now_ns=now_ns, cash={"USD": venue.cash()})
            case "quote":
                bid, ask = venue.touch(call.symbol)
                return pipe.Reply(now_ns=now_ns, bid=price(bid), ask=price(ask))
            case "place":
                assert call.order is not None
                made = venue.new(now_ns, call.order, session=True)
                return pipe.Reply(now_ns=now_ns, text=made.venue_order_id if made else "")
            case _:
                for wire_id in [call.wire_id] if call.wire_id else [order.wire_id for order in venue.open_orders()]:
                    self._cancel(wire_id)
                return pipe.Reply(now_ns=now_ns)


def _garbled(body: str, how: int) -> str:
    """A frame that is cut, has a byte wrong in its middle, or is something else."""
    middle = len(body) // 2
    return (body[:middle], f"{{{body[:middle]}\0{body[middle + 1 :]}", "ok")[how % 3]
