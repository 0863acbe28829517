"""What travels on the engine's socket: a 4-byte big-endian length, then one JSON message with its sequence number.

Each side counts its own frames from 1 on each connection, so a gap is seen. Messages are the domain's own structs.
Requests are small by nature: the engine refuses one above :data:`REQUEST_BYTES_MAX` before reading it, so that no
client can make it hold memory. Refused are frames that are too long, are no JSON, or are of no known kind.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from engine.domain.commands import AnyCommand, CommandResult, Preview
from engine.domain.errors import InputError
from engine.domain.events import AnyEvent, decoder, encode

PROTOCOL = 2
"""Raised when a frame changes its meaning; a client of another number is told so and leaves."""
REQUEST_BYTES_MAX = 256 * 1024
"""Longest frame the engine takes."""
FRAME_BYTES_MAX = 16 * 1024 * 1024
"""Longest frame a client takes; a picture of the desk is far below."""
EVENTS_MAX = 1_000
"""Most events in one frame."""

_LENGTH = struct.Struct(">I")


class FrameError(Exception):
    """Bytes that are no frame. The connection ends; nothing else does."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="frame"):
    """Base of all frames."""

    seq: int
    """The sender's counter on this connection, from 1."""


# -- from a client ---------------------------------------------------------------------------------------------------


class Request(Frame, frozen=True, kw_only=True, tag="request"):
    """A command; answered by one Result with the same id."""

    id: int
    command: AnyCommand


class Subscribe(Frame, frozen=True, kw_only=True, tag="subscribe"):
    """Send updates from now on, at most ``hz`` a second (1 to 10)."""

    hz: int = 10


class EventsAsk(Frame, frozen=True, kw_only=True, tag="events_ask"):
    """Send journaled events from a sequence number on; ``follow`` goes on as they happen."""

    id: int
    from_seq: int = 1
    limit: int = EVENTS_MAX
    follow: bool = False


class WhatIfAsk(Frame, frozen=True, kw_only=True, tag="what_if"):
    """What an order would do, for a screen that asks while somebody types.

    The newest question of a connection wins: one that waits is forgotten when the next arrives, and only what was asked last
    is sure of its Result. It changes nothing and is not journaled, so its answer does not wait for the disk.
    """

    id: int
    question: Preview


ClientFrame = Request | Subscribe | EventsAsk | WhatIfAsk


# -- from the engine -------------------------------------------------------------------------------------------------


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame on each connection."""

    schema: int
    """Number of the views' schema."""
    protocol: int
    version: str
    pid: int


class Result(Frame, frozen=True, kw_only=True, tag="result"):
    """The answer to a Request."""

    id: int
    result: CommandResult


class Snapshot(Frame, frozen=True, kw_only=True, tag="snapshot"):
    """The whole picture: the second frame on each connection, and again for a client that fell behind."""

    body: msgspec.Raw
    """A DeskView, encoded once for everybody."""


class Update(Frame, frozen=True, kw_only=True, tag="update"):
    """What changed since the last Snapshot or Update."""

    body: msgspec.Raw
    """A DeskUpdate, encoded once for all clients that are equally far."""


class Events(Frame, frozen=True, kw_only=True, tag="events"):
    """Journaled events in order; ``done`` closes the answer to an EventsAsk."""

    id: int
    events: tuple[tuple[int, int, AnyEvent], ...]
    """Journal sequence number, time in nanoseconds, event."""
    done: bool


class Error(Frame, frozen=True, kw_only=True, tag="error"):
    """What was wrong. ``id`` is that of the request, 0 where the connection as a whole is meant."""

    id: int = 0
    code: str
    text: str


ServerFrame = Hello | Result | Snapshot | Update | Events | Error

_CLIENT: msgspec.json.Decoder[ClientFrame] = decoder(ClientFrame)
_SERVER: msgspec.json.Decoder[ServerFrame] = decoder(ServerFrame)
F = TypeVar("F")


def pack(frame: Frame) -> bytes:
    """The bytes of a frame, its length first."""
    body = encode(frame)
    return _LENGTH.pack(len(body)) + body


def read_client(body: bytes) -> ClientFrame:
    """A client's frame; raises FrameError where it is none."""
    return _read(_CLIENT, body)


def read_server(body: bytes) -> ServerFrame:
    """The engine's frame; raises FrameError where it is none."""
    return _read(_SERVER, body)


def _read(reader: msgspec.json.Decoder[F], body: bytes) -> F:
    try:
        return reader.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError, InputError) as error:
        msg = f"a frame of {len(body)} bytes cannot be read: {error}"
        raise FrameError(msg) from error


class Unpacker:
    """Cuts a stream of bytes into frames, holding at most one unfinished frame."""

    __slots__ = ("_bytes_max", "_held")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frame bodies that ``data`` completes, each as soon as it is whole.

        Raises:
            FrameError: at a length above the limit, after the frames before it.
        """
        self._held += data
        while len(self._held) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._held)
            if length > self._bytes_max:
                msg = f"a frame says it is {length} bytes long; the limit here is {self._bytes_max}"
                raise FrameError(msg)
            end = _LENGTH.size + length
            if len(self._held) < end:
                return
            body = bytes(self._held[_LENGTH.size : end])
            del self._held[:end]
            yield body
