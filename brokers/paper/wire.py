"""The paper venue's socket: where it is, and how bytes become frames. Unix sockets only: paper reaches no network.

A frame is a 4-byte big-endian length and that many bytes. The socket lies in the venue's folder where its path is short
enough for the system, otherwise in a private folder of the system's temporary one, which a file in the venue's folder
names. A folder that is not the user's own or that others may enter is not trusted.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.domain.errors import InputError, VenueError
from engine.domain.events import encode

PATH_BYTES_MAX = 100
"""107 on Linux, 103 on macOS, less a little."""
_NAME = "venue.sock"
_RECORD = "venue.sock.path"
_LENGTH = struct.Struct(">I")
F = TypeVar("F")


class FrameError(Exception):
    """Bytes that are no frame. The connection ends; nothing else does."""


def pack(frame: msgspec.Struct) -> bytes:
    """The bytes of a frame, its length first."""
    body = encode(frame)
    return _LENGTH.pack(len(body)) + body


def pack_bytes(body: bytes) -> bytes:
    """A frame of any bytes."""
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Cuts a stream of bytes into frames, holding at most one unfinished frame."""

    __slots__ = ("_bytes_max", "_held")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies that ``data`` completes; FrameError at a length above the limit, after the frames before it."""
        held = self._held
        held += data
        start = 0
        try:
            while len(held) - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(held, start)
                if length > self._bytes_max:
                    msg = f"a frame says it is {length} bytes long; the limit here is {self._bytes_max}"
                    raise FrameError(msg)
                end = start + _LENGTH.size + length
                if len(held) < end:
                    return
                body = bytes(held[start + _LENGTH.size : end])
                start = end
                yield body
        finally:
            del held[:start]


def read_frame(reader: msgspec.json.Decoder[F], body: bytes) -> F:
    """A frame; raises FrameError where it is none."""
    try:
        return reader.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError, InputError) as error:
        msg = f"a frame of {len(body)} bytes cannot be read: {error}"
        raise FrameError(msg) from error


# -- where the socket is ----------------------------------------------------------------------------------------------


def claim_socket(folder: Path) -> Path:
    """Where the venue of this folder must listen; only who holds the venue's lock may ask."""
    direct = folder / _NAME
    record = folder / _RECORD
    if _fits(direct):
        record.unlink(missing_ok=True)
        return direct
    known = _recorded(record)
    if known is not None and _is_private(known.parent):
        return known
    place = Path(tempfile.mkdtemp(prefix="bolt-venue-", dir=_short_base())) / _NAME
    fresh = record.with_suffix(".new")
    fresh.write_text(f"{place}\n", encoding="utf-8")
    fresh.replace(record)
    return place


def release_socket(folder: Path) -> None:
    """Remove the socket, and the short folder with its record where one was made."""
    (folder / _NAME).unlink(missing_ok=True)
    record = folder / _RECORD
    known = _recorded(record)
    if known is not None and _is_private(known.parent) and known.parent.name.startswith("bolt-venue-"):
        shutil.rmtree(known.parent, ignore_errors=True)
    record.unlink(missing_ok=True)


def find_socket(folder: Path) -> Path:
    """Where a venue of this folder listens, if one runs.

    Raises:
        VenueError: the recorded place is not the user's own.
    """
    direct = folder / _NAME
    if _fits(direct):
        return direct
    known = _recorded(folder / _RECORD)
    if known is None:
        return direct
    if known.parent.exists() and not _is_private(known.parent):
        msg = f"{folder / _RECORD} names {known}, in a folder that is not yours alone; remove that file"
        raise VenueError(msg)
    return known


def connect(folder: Path, deadline_s: float) -> socket.socket:
    """A connection to the venue of this folder, with ``deadline_s`` as its timeout.

    Raises:
        VenueError: none listens there.
    """
    path = find_socket(folder)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(deadline_s)
    try:
        line.connect(str(path))
    except OSError as error:
        line.close()
        msg = f"no paper venue listens at {path}: {error.strerror or error}"
        raise VenueError(msg) from error
    return line


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= PATH_BYTES_MAX


def _short_base() -> str:
    base = tempfile.gettempdir()
    return base if _fits(Path(base) / "bolt-venue-12345678" / _NAME) else "/tmp"  # noqa: S108 - mkdtemp makes it private


def _recorded(record: Path) -> Path | None:
    try:
        words = record.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return Path(words) if words else None


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
