"""What the laboratory and an engine say to each other: frames over a socket pair, and nothing else.

What an engine has written is in the kernel: the laboratory reads it also after the engine was killed, as a venue would.
"""

from __future__ import annotations

import socket
import struct

import msgspec

from bolt_tui.faults.schedule import Act
from engine.domain.commands import HaltScope
from engine.domain.events import TradingState, decoder, encode
from engine.domain.money import Money, Price, Qty
from engine.market.feed import QuoteTick
from engine.oms.broker_interface import VenueOrder, VenuePosition, WireOrder

_LENGTH = struct.Struct(">I")


class Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="f"):
    """Base of all frames."""


# -- to the engine ---------------------------------------------------------------------------------------------------------


class Input(Frame, frozen=True, kw_only=True):
    """Something for the engine at a time. It runs its own timers first; where one of them speaks, the input is not taken."""

    at_ns: int


class Go(Input, frozen=True, kw_only=True, tag="go"):
    """Run your timers until then."""


class LineUp(Input, frozen=True, kw_only=True, tag="up"):
    """The order line stands."""


class LineDown(Input, frozen=True, kw_only=True, tag="down"):
    """The order line is gone."""

    why: str


class Data(Input, frozen=True, kw_only=True, tag="data"):
    """A frame of the venue, as it came over the line."""

    body: str


class Market(Input, frozen=True, kw_only=True, tag="market"):
    """Quotes."""

    ticks: tuple[QuoteTick, ...]


class Do(Input, frozen=True, kw_only=True, tag="do"):
    """A person's act."""

    act: Act
    attempt: int
    mid_cents: int


class Release(Input, frozen=True, kw_only=True, tag="release"):
    """Release a staged order."""

    intent_id: str


class Ask(Input, frozen=True, kw_only=True, tag="ask"):
    """What became of an intent?"""

    intent_id: str


class Rearm(Input, frozen=True, kw_only=True, tag="rearm"):
    """Lift what is halted."""


class Look(Input, frozen=True, kw_only=True, tag="look"):
    """What works, what is unknown, what is held?"""


class End(Input, frozen=True, kw_only=True, tag="end"):
    """Stop cleanly."""


class Reply(Frame, frozen=True, kw_only=True, tag="reply"):
    """Answer to a call of a kill session."""

    now_ns: int
    error: str = ""
    orders: tuple[VenueOrder, ...] = ()
    positions: tuple[VenuePosition, ...] = ()
    cash: dict[str, Money] = {}
    bid: Price | None = None
    ask: Price | None = None
    text: str = ""


ToEngine = Go | LineUp | LineDown | Data | Market | Do | Release | Ask | Rearm | Look | End | Reply


# -- from the engine ---------------------------------------------------------------------------------------------------------


class New(Frame, frozen=True, kw_only=True, tag="new"):
    """A new order has left."""

    at_ns: int
    order: WireOrder
    on_disk: int = -1
    """The last row of the ledger that another reader of the file finds at this moment."""


class Cancel(Frame, frozen=True, kw_only=True, tag="cancel"):
    """A cancel has left."""

    at_ns: int
    wire_id: str
    venue_order_id: str


class Amend(Frame, frozen=True, kw_only=True, tag="amend"):
    """New terms have left."""

    at_ns: int
    wire_id: str
    qty: Qty
    limit: Price | None = None
    stop: Price | None = None


class AskState(Frame, frozen=True, kw_only=True, tag="ask_state"):
    """The venue is asked for its state."""

    at_ns: int
    request_id: int
    since_ns: int


class Connect(Frame, frozen=True, kw_only=True, tag="connect"):
    """An adapter wants its line."""

    at_ns: int


class Drop(Frame, frozen=True, kw_only=True, tag="drop"):
    """The adapter could not read a frame and has let go of the line."""

    at_ns: int


class Call(Frame, frozen=True, kw_only=True, tag="call"):
    """A call of a kill session; a Reply is waited for."""

    at_ns: int
    what: str
    wire_id: str = ""
    symbol: str = ""
    order: WireOrder | None = None


class Tripped(Frame, frozen=True, kw_only=True, tag="tripped"):
    """The latch was tightened or lifted, which counts from here on."""

    scope: HaltScope
    state: TradingState


class Working(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the engine sees it."""

    wire_id: str
    venue_order_id: str
    state: str
    qty: Qty
    qty_filled: Qty
    is_sure: bool
    """Neither unknown nor waiting for an answer."""


class Done(Frame, frozen=True, kw_only=True, tag="done"):
    """The turn is over."""

    now_ns: int
    next_ns: int
    took: bool
    """Whether the input was taken in."""
    ok: bool = True
    code: str = ""
    answer: str = ""
    """Of :class:`Ask`: ``none``, ``staged``, ``open``, ``taken``, ``refused`` or ``never``."""
    held: tuple[str, ...] = ()
    """Scopes that are not active, in words."""
    channel: str = ""
    working: tuple[Working, ...] = ()
    parents_open: int = 0
    schedules_open: int = 0
    """Of those, the ones that are worked along a schedule."""
    positions: dict[str, Qty] = {}
    differences: tuple[str, ...] = ()
    cash: str = ""


FromEngine = New | Cancel | Amend | AskState | Connect | Drop | Call | Tripped | Done

TO_ENGINE: msgspec.json.Decoder[ToEngine] = decoder(ToEngine)
FROM_ENGINE: msgspec.json.Decoder[FromEngine] = decoder(FromEngine)


class LineClosed(Exception):
    """The other side is gone."""


class Pipe:
    """One end of the socket pair. Blocking; a frame is written whole before the call returns."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._held = bytearray()

    def send(self, frame: Frame) -> None:
        """Write one frame; LineClosed where nobody reads any more."""
        body = encode(frame)
        try:
            self._line.sendall(_LENGTH.pack(len(body)) + body)
        except (BrokenPipeError, ConnectionResetError):
            raise LineClosed from None

    def read(self) -> bytes:
        """The next frame's body; LineClosed where there is none."""
        held = self._held
        while len(held) < _LENGTH.size or len(held) < _LENGTH.size + _LENGTH.unpack_from(held)[0]:
            try:
                data = self._line.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise LineClosed
            held += data
        end = _LENGTH.size + _LENGTH.unpack_from(held)[0]
        body = bytes(held[_LENGTH.size : end])
        del held[:end]
        return body

    def close(self) -> None:
        """Let go."""
        self._line.close()
