"""What the venue does with each frame of a client."""

from __future__ import annotations

import os
from collections import deque
from typing import Protocol

from msgspec.structs import replace

from brokers.paper.clients import Client, Faults
from brokers.paper.hosted import HostedVenue
from brokers.paper.protocol import (
    PROTOCOL,
    Act,
    Amend,
    AnyClientFrame,
    Ask,
    AskOrder,
    AskState,
    Book,
    Cancel,
    Done,
    Fault,
    FaultKind,
    Greet,
    Hello,
    New,
    Print,
    Refused,
    Report,
    Role,
    SetBook,
    Tick,
    What,
)
from brokers.paper.realism import realism_report
from brokers.paper.script import ScriptMarket
from engine.domain.clock import Clock, SimClock, SystemClock
from engine.domain.errors import BoltError, InputError
from engine.domain.events import encode
from engine.domain.instrument import Instrument
from engine.domain.money import DIGITS_MAX, Price, Qty, is_bounded
from engine.domain.order import Side
from engine.ledger.ledger import MARGINED
from engine.market.rows import listing_key
from engine.oms.broker_interface import OrderAnswer, Rejected, Snapshot

REFUSED_CODE = "PLANTED"


class Owner(Protocol):
    """What the desk needs of the process around it."""

    venue: HostedVenue
    faults: Faults
    clock: Clock

    def now_ns(self) -> int:
        """Venue time."""
        ...

    def end(self) -> None:
        """End the process."""
        ...

    @property
    def allows_faults(self) -> bool:
        """Whether faults may be planted."""
        ...


class Desk:
    """Reads frames, asks the venue, answers. One client's wrong frame costs that client its connection, nobody else anything."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._wall = SystemClock()
        self._asked = 0
        # The core answers questions after a latency, by account: these say which client and which number it was.
        self._snapshots: dict[int, tuple[Client, int, int]] = {}
        self._orders: dict[tuple[str, str], deque[tuple[Client, int]]] = {}

    def handle(self, client: Client, frame: AnyClientFrame) -> None:
        """Do what a frame asks."""
        if isinstance(frame, Greet):
            self._greet(client, frame)
            return
        if client.role is None:
            self.refuse(client, "GREET", "the first frame must be a greeting")
            return
        match frame:
            case New() | Cancel() | Amend() | AskOrder() | AskState():
                if client.role is Role.ADMIN:
                    self.refuse(client, "ROLE", "an admin connection has no account")
                    return
                self._order_frame(client, frame)
            case Ask():
                self._reply(client, self._ask(client, frame))
            case Book():
                self._reply(client, self._book(client.account, frame))
            case _:
                self._reply(client, self._laboratory(client, frame))

    def refuse(self, client: Client, code: str, text: str) -> None:
        """Say why, and end the connection once that has left."""
        client.send(Refused(code=code, text=text), self._wall.monotonic_ns())
        client.leaves_when_sent = True

    def forget(self, client: Client) -> None:
        """A client left: nobody waits for its answers."""
        self._snapshots = {number: asker for number, asker in self._snapshots.items() if asker[0] is not client}
        for askers in self._orders.values():
            kept = [asker for asker in askers if asker[0] is not client]
            askers.clear()
            askers.extend(kept)
        self._orders = {key: askers for key, askers in self._orders.items() if askers}

    def answer(self, account: str, event: Snapshot | OrderAnswer) -> None:
        """Carry an answer of the core to the client that asked."""
        at_ns = self._wall.monotonic_ns()
        if isinstance(event, Snapshot):
            asker = self._snapshots.pop(event.request_id, None)
            if asker is not None:
                client, number, request_id = asker
                client.send(Report(event=replace(event, request_id=request_id)), at_ns)
                client.send(Done(id=number), at_ns)
            return
        askers = self._orders.get((account, event.wire_id))
        if not askers:
            return
        client, number = askers[0]
        client.send(Report(event=event), at_ns)
        if event.source == "history":
            askers.popleft()
            if not askers:
                del self._orders[account, event.wire_id]
            client.send(Done(id=number), at_ns)

    def _reply(self, client: Client, done: Done) -> None:
        client.send(done, self._wall.monotonic_ns())

    def _greet(self, client: Client, frame: Greet) -> None:
        if frame.protocol != PROTOCOL:
            self.refuse(client, "PROTOCOL", f"this venue speaks protocol {PROTOCOL}, the client {frame.protocol}")
            return
        if (frame.role is Role.ADMIN) == bool(frame.account):
            self.refuse(client, "ACCOUNT", "engines and sessions name an account, admins none")
            return
        venue = self._owner.venue
        client.role, client.account = frame.role, frame.account
        if frame.account:
            venue.open_account(frame.account)
        hello = Hello(
            protocol=PROTOCOL,
            pid=os.getpid(),
            now_ns=self._owner.now_ns(),
            account=frame.account,
            instruments=venue.instruments(),
        )
        client.send(hello, self._wall.monotonic_ns())
        if frame.role is Role.ENGINE:
            for tick in venue.picture():
                client.ticks.put(tick)

    def _order_frame(self, client: Client, frame: New | Cancel | Amend | AskOrder | AskState) -> None:
        venue, faults, now_ns = self._owner.venue, self._owner.faults, self._owner.now_ns()
        account = client.account
        match frame:
            case New():
                if client.is_faulty and faults.strikes(FaultKind.REFUSE):
                    refusal = Rejected(
                        broker=venue.core.config.broker,
                        ts_ns=now_ns,
                        wire_id=frame.order.wire_id,
                        code=REFUSED_CODE,
                        text="a planted refusal",
                    )
                    client.send_report(refusal, self._wall.monotonic_ns())
                    return
                venue.submit_new(now_ns, account, frame.order)
                if client.is_faulty and faults.strikes(FaultKind.CUT_AFTER_NEW):
                    client.is_gone = True
            case Cancel():
                venue.submit_cancel(now_ns, account, frame.wire_id, frame.venue_order_id)
            case Amend():
                venue.submit_amend(now_ns, account, frame.wire_id, frame.qty, frame.limit, frame.stop)
            case AskOrder():
                self._orders.setdefault((account, frame.wire_id), deque()).append((client, frame.id))
                venue.core.submit_query_order(now_ns, account, frame.wire_id)
            case AskState():
                self._asked += 1
                self._snapshots[self._asked] = (client, frame.id, frame.request_id)
                venue.core.submit_query_state(now_ns, account, self._asked, frame.since_ns)

    def _ask(self, client: Client, frame: Ask) -> Done:  # noqa: PLR0911 - one case per question
        venue, account, number = self._owner.venue, client.account, frame.id
        match frame.what:
            case What.HEALTH:
                return Done(id=number)
            case What.SHUTDOWN:
                self._owner.end()
                return Done(id=number)
            case What.QUOTE:
                bid, ask, at_ns = venue.best_quote(frame.symbol)
                if not at_ns:
                    return Done(id=number, ok=False, text=f"{frame.symbol} is not listed")
                return Done(id=number, bid=bid, ask=ask, age_ns=max(0, venue.core.now_ns - at_ns))
            case What.REALISM:
                return Done(id=number, text=encode(realism_report(venue.core, source="simulated")).decode())
            case What.STATUS:
                return Done(id=number, text=venue.core.status(frame.symbol))
            case _ if not account:
                return Done(id=number, ok=False, text="an admin connection has no account")
            case What.OPEN_ORDERS:
                return Done(id=number, orders=venue.open_orders(account))
            case What.CANCEL_ALL:
                return Done(id=number, figures={"cancelled": venue.cancel_all(account)})
            case What.POSITIONS:
                return Done(id=number, positions=venue.core.positions(account))
            case What.CASH:
                return Done(id=number, cash=venue.core.cash(account))

    def _book(self, account: str, frame: Book) -> Done:
        teller = self._owner.venue.core.teller
        if not account:
            return Done(id=frame.id, ok=False, text="an admin connection has no account")
        if not is_bounded(frame.amount, frame.qty):
            fault = f"a number of it has more than {DIGITS_MAX} digits before or behind the point"
            return Done(id=frame.id, ok=False, text=f"{fault}; nothing was booked")
        try:
            if frame.act is Act.ORDER:
                return self._terminal(account, frame)
            if frame.act is Act.CONVERT:
                made = teller.convert(account, frame.amount, frame.currency, frame.to)
            elif frame.act is Act.TRANSFER:
                listed = self._owner.venue.core.listing(frame.symbol).instrument
                if listed.kind in MARGINED:
                    raise InputError(f"{frame.symbol} is a {listed.kind}; only what is paid in full can be transferred")
                if not listed.is_on_lot(frame.qty):
                    raise InputError(f"{frame.qty} {frame.symbol} is no whole number of lots of {listed.lot}")
                made = teller.transfer(account, frame.symbol, listed.currency, frame.qty, frame.amount, frame.text)
            elif any(one.symbol == frame.currency for one in self._owner.venue.core.listings.values()):
                raise InputError(f"{frame.currency} is an instrument and no currency; a position comes by a transfer")
            else:
                made = teller.deposit(account, frame.currency, frame.amount, frame.text)
        except BoltError as error:
            return Done(id=frame.id, ok=False, text=str(error))
        return Done(id=frame.id, text=made.words())

    def _terminal(self, account: str, frame: Book) -> Done:
        """A manual order from another terminal: foreign to every engine."""
        core = self._owner.venue.core
        core.listing(frame.symbol)
        wire_id = core.place_foreign(account, frame.symbol, frame.qty, "HAND")
        core.changed_silently()
        found = core.order(account, wire_id)
        state = (
            "it was not taken" if found is None else f"{found.status}, {found.qty_filled} filled {found.text}".rstrip()
        )
        is_taken = found is not None and found.status != "rejected"
        return Done(id=frame.id, ok=is_taken, text=f"{frame.qty} {frame.symbol} at the market: {state}")

    # -- the laboratory ------------------------------------------------------------------------------------------------

    def _laboratory(self, client: Client, frame: Tick | SetBook | Print | Fault) -> Done:
        if client.role is not Role.ADMIN or not self._owner.allows_faults:
            return Done(id=frame.id, ok=False, text="this venue was not started as a laboratory (--allow-faults)")
        try:
            match frame:
                case Fault():
                    self._owner.faults.plant(frame.kind, frame.count, frame.ms)
                case Tick():
                    self._tick(frame.to_ns)
                case SetBook():
                    self._set_book(frame)
                case Print():
                    self._print(frame)
        except BoltError as error:
            return Done(id=frame.id, ok=False, text=str(error))
        return Done(id=frame.id, figures={"now_ns": self._owner.now_ns()})

    def _tick(self, to_ns: int) -> None:
        clock = self._owner.clock
        if not isinstance(clock, SimClock):
            msg = "this venue runs on the wall clock; start it with --manual-clock"
            raise InputError(msg)
        clock.set_ns(to_ns)
        self._owner.venue.advance(self._owner.now_ns())

    def _script(self, symbol: str) -> tuple[ScriptMarket, Instrument]:
        market = self._owner.venue.market
        if not isinstance(market, ScriptMarket):
            msg = "this venue simulates its market; start it with --script"
            raise InputError(msg)
        found = [one for one in self._owner.venue.instruments() if one.symbol == symbol]
        if not found:
            msg = f"{symbol} is not listed"
            raise InputError(msg)
        return market, found[0]

    def _set_book(self, frame: SetBook) -> None:
        market, instrument = self._script(frame.symbol)

        def units(levels: tuple[tuple[Price, Qty], ...]) -> tuple[tuple[int, int], ...]:
            return tuple((instrument.price_units(price), instrument.qty_units(qty)) for price, qty in levels)

        market.set_book(listing_key(frame.symbol, frame.venue), units(frame.bids), units(frame.asks))
        self._owner.venue.advance(self._owner.now_ns())

    def _print(self, frame: Print) -> None:
        market, instrument = self._script(frame.symbol)
        price, qty = instrument.price_units(frame.price), instrument.qty_units(frame.qty)
        market.trade(listing_key(frame.symbol, frame.venue), Side(frame.side).sign, price, qty)
        self._owner.venue.advance(self._owner.now_ns())
