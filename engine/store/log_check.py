"""Whether the write-ahead log of a ledger file still holds every commit that was on disk, asked before SQLite opens it.

SQLite reads a log up to the first frame whose checksum fails and takes what is behind it as never written: after a crash that is right,
and after a damage it is a loss that nobody is told of. Two things tell one from the other:

* A commit is synced before the next one begins. So where a frame fails and more than one commit stands at or behind it, the first of
  these was on disk: a crash breaks the last commit and no other.
* The log's index (``-shm``) counts a commit when it was synced. Where it counts more frames than the log holds, the log was cut.

Formats: SQLite, "WAL-mode File Format". Only frames are looked at that belong to the log by its two salts. A log of more than
:data:`LOOK_BYTES_MAX`, which only somebody's long transaction makes, is left to SQLite: its checksums would take seconds here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

LOOK_BYTES_MAX = 32 * 2**20
_HEAD, _FRAME_HEAD = 32, 24
_MAGIC = 0x377F0682
"""Its lowest bit says that checksums are of big-endian words."""
_MASK = 0xFFFFFFFF
_INDEX = struct.Struct("=IIIBBHIIII8sII")
_INDEX_SUMMED, _BACKFILLED_AT = 40, 96
Sums = tuple[int, int]


class _Frame(msgspec.Struct, frozen=True):
    is_commit: bool
    is_sound: bool
    """It and all before it."""


class _Index(msgspec.Struct, frozen=True):
    frames: int
    folded: int
    """Of these: in the file already."""
    salts: bytes


def log_fault(ledger: Path) -> str:
    """What is wrong with the log of a ledger that no engine has open; empty where nothing is. Raises OSError where it cannot be read."""
    log = ledger.with_name(f"{ledger.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    if not ledger.exists() or size > LOOK_BYTES_MAX:
        return ""
    data = log.read_bytes() if size else b""
    index = _index(ledger.with_name(f"{ledger.name}-shm"))
    if not any(data[:_HEAD]) and data.count(0) == len(data):
        left = 0 if index is None else index.frames - index.folded
        return (
            f"its log {log.name} is empty or gone, and held {left} pages that are not in the file" if left > 0 else ""
        )
    order = _order(data)
    if not order:
        return f"the head of its log {log.name} is damaged"
    frames = list(_frames(data, order))
    sound = sum(frame.is_sound for frame in frames)
    # A crash may leave the last commit broken; what stands behind that one was begun when it was on disk.
    behind = [frame.is_commit for frame in frames[sound:]]
    if True in behind[:-1]:
        return f"its log {log.name} is damaged in frame {sound + 1} of {len(frames)}"
    if index is not None and index.salts == data[16:24] and index.frames > sound:
        return f"its log {log.name} was cut: it holds {sound} pages of {index.frames}"
    return ""


def _order(data: bytes) -> str:
    """The byte order of its checksums as :mod:`struct` names it; empty where its head does not hold."""
    if len(data) < _HEAD:
        return ""
    magic = int.from_bytes(data[:4], "big")
    order = ">" if magic & 1 else "<"
    is_head = magic & ~1 == _MAGIC and _summed((0, 0), data[:24], order) == struct.unpack(">II", data[24:_HEAD])
    return order if is_head else ""


def _frames(data: bytes, order: str) -> Iterator[_Frame]:
    """The frames of this log, up to the last one that has its salts."""
    size = int.from_bytes(data[8:12], "big") + _FRAME_HEAD
    salts, sums, is_sound = data[16:24], struct.unpack(">II", data[24:_HEAD]), True
    starts = range(_HEAD, len(data) - size + 1, size)
    own = [at for at in starts if data[at + 8 : at + 16] == salts]
    for at in starts[: starts.index(own[-1]) + 1] if own else ():
        if is_sound:
            sums = _summed(_summed(sums, data[at : at + 8], order), data[at + _FRAME_HEAD : at + size], order)
            is_sound = data[at + 8 : at + 16] == salts and sums == struct.unpack(
                ">II", data[at + 16 : at + _FRAME_HEAD]
            )
        yield _Frame(data[at + 8 : at + 16] == salts and any(data[at + 4 : at + 8]), is_sound)


def _summed(sums: Sums, data: bytes, order: str) -> Sums:
    """SQLite's checksum, continued over more bytes."""
    one, two = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for word in words:
        one = (one + word + two) & _MASK
        two = (two + next(words) + one) & _MASK
    return one, two


def _index(path: Path) -> _Index | None:
    """What the index says; None where there is none, or it does not hold."""
    data = path.read_bytes()[:136] if path.exists() else b""
    if len(data) < _BACKFILLED_AT + 4 or data[: _INDEX.size] != data[_INDEX.size : 2 * _INDEX.size]:
        return None
    *_, frames, _pages, _one, _two, salts, sum_one, sum_two = _INDEX.unpack_from(data)
    if _summed((0, 0), data[:_INDEX_SUMMED], "=") != (sum_one, sum_two):
        return None
    return _Index(frames, int(struct.unpack_from("=I", data, _BACKFILLED_AT)[0]), salts)
