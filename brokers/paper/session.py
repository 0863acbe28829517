"""A blocking session with the paper venue, on a connection of its own: what the kill procedure uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from brokers.paper.home import venue_folder
from brokers.paper.protocol import (
    FRAME_BYTES_MAX,
    PROTOCOL,
    VENUE,
    Act,
    AnyVenueFrame,
    Ask,
    Book,
    Cancel,
    Done,
    Greet,
    Hello,
    New,
    Refused,
    Report,
    Role,
    What,
)
from brokers.paper.realism import RealismReport
from brokers.paper.wire import FrameError, Unpacker, connect, pack, read_frame
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.errors import VenueError, VenueRefused
from engine.domain.events import decoder
from engine.domain.money import Money, Price
from engine.oms.broker_interface import Acked, Rejected, VenueOrder, VenuePosition, WireOrder

_READ_BYTES = 256 * 1024

_REALISM = decoder(RealismReport)


class PaperSession:
    """The ``BrokerSession`` of the paper venue. One thread at a time; after a VenueError open a new one.

    Args:
        deadline_s: for each call, connecting included.

    Raises:
        VenueError: no venue serves this home, or it does not answer in time.
    """

    name = "paper"

    def __init__(self, home: Path, account: str = "PAPER", deadline_s: float = 2.0) -> None:
        self.account = account
        self._deadline_s = deadline_s
        self._clock = SystemClock()
        self._due_ns = 0
        self._asked = 0
        self._unpacker = Unpacker(FRAME_BYTES_MAX)
        self._line = connect(venue_folder(home), deadline_s)
        try:
            self._send(Greet(protocol=PROTOCOL, role=Role.SESSION, account=account))
            for frame in self._frames():
                if isinstance(frame, Hello):
                    break
        except VenueError:
            self._line.close()
            raise

    def open_orders(self) -> tuple[VenueOrder, ...]:
        """All open orders of the account, foreign ones too."""
        return self._ask(What.OPEN_ORDERS).orders

    def cancel(self, order: VenueOrder) -> None:
        """Ask for one cancel; the venue has the request when this returns, :meth:`open_orders` tells what became of it."""
        self._send(Cancel(wire_id=order.wire_id, venue_order_id=order.venue_order_id))
        self._ask(What.HEALTH)

    def cancel_all(self) -> bool:
        """Cancel everything the account has, at once."""
        return self._ask(What.CANCEL_ALL).ok

    def positions(self) -> tuple[VenuePosition, ...]:
        """Positions of the account that are not flat."""
        return self._ask(What.POSITIONS).positions

    def cash(self) -> Mapping[str, Money]:
        """Cash of the account by currency."""
        return self._ask(What.CASH).cash

    def quote(self, symbol: str) -> tuple[Price | None, Price | None, int]:
        """Best bid and ask over the venues, and their age in ns; VenueError for an unknown symbol."""
        done = self._ask(What.QUOTE, symbol)
        return done.bid, done.ask, done.age_ns

    def realism(self) -> RealismReport:
        """What the venue modelled and counted since it was made."""
        report: RealismReport = _REALISM.decode(self._ask(What.REALISM).text.encode())
        return report

    def status(self, symbol: str) -> str:
        """``open``, ``closed`` or ``halted``."""
        return self._ask(What.STATUS, symbol).text

    def book(self, act: Act, **terms: Any) -> str:
        """Act as the account's owner beside trading (``terms`` as in :class:`Book`); the booking in words.

        Raises:
            VenueRefused: with the refusal.
            VenueError: without an answer in time.
        """
        self._asked += 1
        self._send(Book(id=self._asked, act=act, **terms))
        for frame in self._frames():
            if isinstance(frame, Done) and frame.id == self._asked:
                if not frame.ok:
                    msg = f"the paper venue refused: {frame.text}"
                    raise VenueRefused(msg)
                return frame.text
        raise AssertionError("frames end by raising")

    def place(self, order: WireOrder) -> str:
        """Send one order and wait for its answer; the venue order id.

        Raises:
            VenueError: with the refusal; or without an answer in time, and then the outcome is unknown.
        """
        self._send(New(order=order))
        for frame in self._frames():
            if not isinstance(frame, Report):
                continue
            event = frame.event
            if isinstance(event, Acked) and event.wire_id == order.wire_id:
                return event.venue_order_id
            if isinstance(event, Rejected) and event.wire_id == order.wire_id:
                msg = f"paper refused {order.spec.words()}: {event.code}: {event.text}"
                raise VenueError(msg)
        raise AssertionError("frames end by raising")

    def close(self) -> None:
        """Let go of the connection; calling it again does nothing."""
        self._line.close()

    def _ask(self, what: What, symbol: str = "") -> Done:
        self._asked += 1
        self._send(Ask(id=self._asked, what=what, symbol=symbol))
        for frame in self._frames():
            if isinstance(frame, Done) and frame.id == self._asked:
                if not frame.ok:
                    msg = f"paper refused to answer {what}: {frame.text}"
                    raise VenueError(msg)
                return frame
        raise AssertionError("frames end by raising")

    def _send(self, frame: msgspec.Struct) -> None:
        """Start a call: its deadline counts from here."""
        self._due_ns = self._clock.monotonic_ns() + int(self._deadline_s * NS_PER_S)
        try:
            self._line.settimeout(self._deadline_s)
            self._line.sendall(pack(frame))
        except OSError as error:
            msg = f"the line to the paper venue broke: {error}"
            raise VenueError(msg) from error

    def _frames(self) -> Iterator[AnyVenueFrame]:
        """What the venue says, until the deadline passes or the line breaks; both raise VenueError."""
        while True:
            left_s = (self._due_ns - self._clock.monotonic_ns()) / NS_PER_S
            try:
                if left_s <= 0:
                    raise TimeoutError
                self._line.settimeout(left_s)
                data = self._line.recv(_READ_BYTES)
                frames = [read_frame(VENUE, body) for body in self._unpacker.feed(data)]
            except TimeoutError:
                msg = f"the paper venue did not answer within {self._deadline_s:g} s"
                raise VenueError(msg) from None
            except (OSError, FrameError) as error:
                msg = f"the line to the paper venue broke: {error}"
                raise VenueError(msg) from error
            if not data:
                msg = "the paper venue ended the connection"
                raise VenueError(msg)
            for frame in frames:
                if isinstance(frame, Refused):
                    msg = f"the paper venue refused this session: {frame.code}: {frame.text}"
                    raise VenueError(msg)
                yield frame
