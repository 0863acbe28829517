"""The engine's two ends of the laboratory's line: the adapter, and the session of the kill procedure.

The adapter does what the port asks of every adapter: what has no answer in time, or was on its way when the line went, is
Uncertain; what never left is refused; nothing is sent twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from bolt_tui.faults import pipe
from bolt_tui.faults.points import Points
from bolt_tui.faults.schedule import BEGINS_NS, DAY_NS, NIGHT_NS, OPENING, SYMBOLS
from bolt_tui.faults.venue import ACCOUNT, BROKER, MIC
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, SimClock
from engine.domain.errors import VenueError
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderType, Tif
from engine.market.calendar import ALWAYS, SessionTable
from engine.market.feed import QuoteTick
from engine.oms import broker_interface as bi

ANSWER_NS = NS_PER_S
"""How long the adapter waits for an answer before it says that it does not know."""
ABSENCE_NS = 2 * NS_PER_S
TYPES = frozenset(
    {(kind, tif) for kind in (OrderType.MARKET, OrderType.LIMIT) for tif in Tif}
    | {(kind, tif) for kind in OrderType for tif in (Tif.DAY, Tif.GTC)}
)
CAPABILITIES = bi.Capabilities(
    types=TYPES,
    post_only=True,
    reduce_only=True,
    amend=True,
    mass_cancel=True,
    client_id_lookup=True,
    absence_wait_ns=ABSENCE_NS,
    messages_per_s=10_000,
    links=True,
)
NIGHTS = "NIGHTS"
"""Calendar of the symbols that have some."""
_DAYS = 4_000
SESSIONS = SessionTable(
    name=NIGHTS,
    days=tuple(f"day {number}" for number in range(_DAYS)),
    opens=tuple(BEGINS_NS + number * DAY_NS + NIGHT_NS for number in range(-1, _DAYS - 1)),
    closes=tuple(BEGINS_NS + number * DAY_NS + DAY_NS for number in range(-1, _DAYS - 1)),
)
INSTRUMENTS = tuple(
    make_instrument(symbol, "equity", MIC, "USD", "0.01", calendar=NIGHTS if symbol in OPENING else ALWAYS)
    for symbol in SYMBOLS
)
EVENTS: msgspec.json.Decoder[bi.BrokerEvent] = ev.decoder(bi.BrokerEvent)


class LabBroker:
    """The adapter: what a line's end owes the engine. No answer in time, or a lost line, is Uncertain; nothing is sent twice."""

    name, account, capabilities = BROKER, ACCOUNT, CAPABILITIES

    def __init__(self, out: pipe.Pipe, clock: SimClock, points: Points, on_disk: Callable[[], int]) -> None:
        self._out, self._clock, self._points, self._on_disk = out, clock, points, on_disk
        self._sink: bi.Sink | None = None
        self._market: bi.MarketSink | None = None
        self._pending: dict[tuple[str, str], int] = {}
        self.inbox: deque[bi.BrokerEvent] = deque()
        self.is_up = False
        self.spoke = 0

    def start(self, sink: bi.Sink, market: bi.MarketSink) -> None:
        """Connect."""
        self._sink, self._market = sink, market
        self._say(pipe.Connect(at_ns=self._clock.now_ns()))

    def stop(self) -> None:
        """Let go."""

    def instruments(self) -> tuple[Instrument, ...]:
        """What can be traded."""
        return INSTRUMENTS

    def _say(self, frame: pipe.Frame) -> None:
        self.spoke += 1
        self._out.send(frame)

    # -- out -------------------------------------------------------------------------------------------------------------

    def send_new(self, order: bi.WireOrder) -> None:
        """Hand over one new order."""
        now_ns, ids = self._clock.now_ns(), [one.wire_id for one in order.members]
        self._points.reach("before:send")
        if self.is_up:
            self._say(pipe.New(at_ns=now_ns, order=order, on_disk=self._on_disk()))
            self._pending.update((("new", wire_id), now_ns + ANSWER_NS) for wire_id in ids)
        else:
            self.inbox += [
                bi.Rejected(broker=BROKER, ts_ns=now_ns, wire_id=wire_id, code="NOT_SENT", text="no line")
                for wire_id in ids
            ]
        self._points.reach("after:send")

    def send_cancel(self, wire_id: str, venue_order_id: str) -> None:
        """Ask for a cancel."""
        now_ns = self._clock.now_ns()
        self._points.reach("before:cancel")
        if self.is_up:
            self._say(pipe.Cancel(at_ns=now_ns, wire_id=wire_id, venue_order_id=venue_order_id))
            self._pending["cancel", wire_id] = now_ns + ANSWER_NS
        else:
            refused = bi.CancelRefused(broker=BROKER, ts_ns=now_ns, wire_id=wire_id, code="NOT_SENT", text="no line")
            self.inbox.append(refused)
        self._points.reach("after:cancel")

    def send_amend(self, wire_id: str, venue_order_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        """Ask for new terms."""
        del venue_order_id
        now_ns = self._clock.now_ns()
        self._points.reach("before:amend")
        if self.is_up:
            self._say(pipe.Amend(at_ns=now_ns, wire_id=wire_id, qty=qty, limit=limit, stop=stop))
            self._pending["amend", wire_id] = now_ns + ANSWER_NS
        else:
            refused = bi.AmendRefused(broker=BROKER, ts_ns=now_ns, wire_id=wire_id, code="NOT_SENT", text="no line")
            self.inbox.append(refused)
        self._points.reach("after:amend")

    def query_order(self, wire_id: str) -> None:
        """The engine asks for states only."""
        del wire_id

    def query_state(self, request_id: int, since_ns: int) -> None:
        """Ask for a snapshot."""
        self._points.reach("before:recover3")
        if self.is_up:
            self._say(pipe.AskState(at_ns=self._clock.now_ns(), request_id=request_id, since_ns=since_ns))
        self._points.reach("after:recover3")

    # -- in --------------------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """The line stands."""
        self.is_up = True
        now_ns = self._clock.now_ns()
        self.inbox.append(
            bi.ChannelChanged(broker=BROKER, ts_ns=now_ns, state=ev.BrokerState.RESYNCING, why="connected")
        )

    def down(self, why: str) -> None:
        """The line is gone: what had no answer is uncertain."""
        if not self.is_up:
            return
        self.is_up = False
        now_ns = self._clock.now_ns()
        self.inbox.append(bi.ChannelChanged(broker=BROKER, ts_ns=now_ns, state=ev.BrokerState.DOWN, why=why))
        pending, self._pending = self._pending, {}
        for _, wire_id in pending:
            self.inbox.append(bi.Uncertain(broker=BROKER, ts_ns=now_ns, wire_id=wire_id, why=f"no answer: {why}"))

    def data(self, body: str) -> None:
        """A frame came. One that cannot be read ends the line: nobody knows what it said."""
        if not self.is_up:
            return
        try:
            event = EVENTS.decode(body)
        except (msgspec.DecodeError, ValueError):
            self._say(pipe.Drop(at_ns=self._clock.now_ns()))
            self.down("a frame could not be read")
            return
        self._settle(event)
        self.inbox.append(msgspec.structs.replace(event, ts_ns=self._clock.now_ns()))

    def _settle(self, event: bi.BrokerEvent) -> None:
        """Cross off what this answers."""
        pending = self._pending
        match event:
            case bi.Acked() | bi.Rejected():
                pending.pop(("new", event.wire_id), None)
            case bi.Filled():
                pending.pop(("new", event.fill.wire_id), None)
            case bi.Cancelled() | bi.Expired():
                for what in ("new", "cancel", "amend"):
                    pending.pop((what, event.wire_id), None)
            case bi.CancelRefused():
                pending.pop(("cancel", event.wire_id), None)
            case bi.Amended() | bi.AmendRefused():
                pending.pop(("amend", event.wire_id), None)
            case _:
                return

    def market(self, ticks: tuple[QuoteTick, ...]) -> None:
        """Quotes, whatever the order line does."""
        assert self._market is not None
        for tick in ticks:
            self._market(tick)

    def next_ns(self) -> int | None:
        """When an answer is overdue next."""
        return min(self._pending.values(), default=None)

    def on_time(self, now_ns: int) -> None:
        """Say what has no answer."""
        for key in [key for key, due_ns in self._pending.items() if due_ns <= now_ns]:
            del self._pending[key]
            why = f"no answer to the {key[0]} in time"
            self.inbox.append(bi.Uncertain(broker=BROKER, ts_ns=now_ns, wire_id=key[1], why=why))

    def drain(self) -> None:
        """Hand over what came."""
        assert self._sink is not None
        while self.inbox:
            self._sink(self.inbox.popleft())


class LabSession:
    """A session of the kill procedure: each call goes to the laboratory and is answered by the venue."""

    name, account = BROKER, ACCOUNT

    def __init__(self, line: pipe.Pipe, clock: SimClock, points: Points) -> None:
        self._line, self._clock, self._points = line, clock, points
        self._has_cancelled = False

    def _call(self, what: str, *, wire_id: str = "", symbol: str = "", order: bi.WireOrder | None = None) -> pipe.Reply:
        call = pipe.Call(at_ns=self._clock.now_ns(), what=what, wire_id=wire_id, symbol=symbol, order=order)
        self._line.send(call)
        reply = pipe.TO_ENGINE.decode(self._line.read())
        assert isinstance(reply, pipe.Reply)
        self._clock.set_ns(reply.now_ns)
        if reply.error:
            raise VenueError(reply.error)
        return reply

    def open_orders(self) -> tuple[bi.VenueOrder, ...]:
        """All open orders."""
        if not self._has_cancelled:
            return self._call("open").orders
        self._points.reach("before:kill5")
        found = self._call("open").orders
        self._points.reach("after:kill5")
        return found

    def cancel(self, order: bi.VenueOrder) -> None:
        """Ask for one cancel."""
        self._points.reach("before:kill4")
        self._has_cancelled = True
        self._call("cancel", wire_id=order.wire_id)
        self._points.reach("after:kill4")

    def cancel_all(self) -> bool:
        """Cancel everything."""
        self._points.reach("before:kill4")
        self._has_cancelled = True
        self._call("cancel_all")
        self._points.reach("after:kill4")
        return True

    def positions(self) -> tuple[bi.VenuePosition, ...]:
        """Positions."""
        return self._call("positions").positions

    def cash(self) -> Mapping[str, Money]:
        """Cash."""
        return self._call("cash").cash

    def quote(self, symbol: str) -> tuple[Price | None, Price | None, int]:
        """Best prices."""
        found = self._call("quote", symbol=symbol)
        return found.bid, found.ask, 0

    def status(self, symbol: str) -> str:
        """Always open here."""
        del symbol
        return "open"

    def place(self, order: bi.WireOrder) -> str:
        """Place one exit."""
        self._points.reach("before:kill6")
        placed = self._call("place", order=order).text
        self._points.reach("after:kill6")
        return placed

    def close(self) -> None:
        """Let go."""
