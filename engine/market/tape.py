"""The tape: what an engine heard, by day, in bounded compressed chunks. Market data stands here and never in the journal.

A chunk is a gzip file ``YYYYMMDD/NNNNNN.jsonl.gz`` of rows ``[kind, seq, ts_ns, payload]``: what came, behind which journal row, when. Its
SHA-256 goes into the journal (``tape_anchored``), so an edited or missing chunk is found. Who records only appends to a list: encoding,
compressing and writing happen on a thread of its own, and where the disk is dead or too slow, whole chunks are left out and said
so, an empty hash in place of theirs. Nothing waits for the tape.

The chunk that is not closed yet is appended to ``NNNNNN.open`` each second, so that an engine that is killed loses a second of its tape and not
a chunk: the next one closes what it finds there (:func:`recover`).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import queue
import re
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from errno import EEXIST, ENODATA
from pathlib import Path
from typing import Any

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.errors import DataError

CHUNK_ROWS = 8_192
CHUNK_NS = 30 * NS_PER_S
"""A chunk is closed when it holds so many rows, or its first row is so old."""
SPILL_NS = NS_PER_S
"""How often the open chunk is appended to its file."""
QUEUE_MAX = 16
"""Chunks that wait for the disk; a further one is left out."""
NAME = "tape/{day}/{number:06d}"
"""What the journal calls a chunk."""
LOST = ""
"""The hash of a chunk that was not kept."""

_NAME = re.compile(r"tape/([0-9]{8})/([0-9]{6})")
_DAY = re.compile(r"[0-9]{8}")


class TapeRow(msgspec.Struct, frozen=True, array_like=True):
    """One thing that was heard."""

    kind: str
    seq: int
    """The last journal row before it."""
    ts_ns: int
    """The engine's time at it."""
    payload: msgspec.Raw = msgspec.Raw(b"null")


class Chunk(msgspec.Struct, frozen=True):
    """A closed chunk. ``sha256`` is empty where it was not kept; ``why`` says why."""

    name: str
    sha256: str
    rows: int
    why: str = ""


OnChunk = Callable[[Chunk], None]
"""Called for each chunk, from the tape's thread, or at once for one that is left out."""
Encode = Callable[[Any], bytes]

_ROWS = msgspec.json.Decoder(TapeRow)


def chunk_path(folder: Path, name: str) -> Path:
    """Where a chunk lies.

    Raises:
        DataError: for a name that is none.
    """
    matched = _NAME.fullmatch(name)
    if matched is None:
        raise DataError(f"{name!r} names no chunk of a tape; expected {NAME.format(day='YYYYMMDD', number=0)}")
    return folder / matched[1] / f"{matched[2]}.jsonl.gz"


def is_chunk(name: str) -> bool:
    """Whether the journal's name of a tape is that of a chunk (a replayed file has its own name)."""
    return _NAME.fullmatch(name) is not None


def day_of(ts_ns: int) -> str:
    """The UTC day of a time, as its folder is named."""
    return datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).strftime("%Y%m%d")


def _nothing() -> None:
    """Nothing comes first."""


class TapeWriter:
    """Writes a tape. :meth:`add` and :meth:`beat` are called on one thread and never wait.

    Args:
        folder: the tape's folder, made where it is missing.
        encode: makes the bytes of a payload (JSON), on the tape's thread.
        on_chunk: hears of each chunk.
        first: called on the thread before anything is written (to make room).
    """

    def __init__(self, folder: Path, encode: Encode, on_chunk: OnChunk, first: Callable[[], None] = _nothing) -> None:
        self._folder = folder
        self._encode = encode
        self._on_chunk = on_chunk
        self._begin = first
        self._rows: list[tuple[str, int, int, Any]] = []
        """Of the open chunk, what was not handed to the thread yet."""
        self._count = 0
        """Rows of the open chunk."""
        self._name = ""
        self._first_ns = self._spilled_ns = 0
        self._day = ""
        self._number = 0
        """Of the day's chunk that was begun last by this writer."""
        self._queue: queue.Queue[_Part | None] = queue.Queue(QUEUE_MAX)
        self._open = _OpenChunk(folder)
        self._thread = threading.Thread(target=self._run, name="bolt-tape", daemon=True)
        self.kept = self.lost = 0
        """Rows that are on disk, and rows that were left out."""
        self._thread.start()

    def add(self, kind: str, seq: int, ts_ns: int, payload: Any) -> None:
        """Record one thing; the payload must not change any more."""
        if not self._count:
            self._first_ns = self._spilled_ns = ts_ns
        self._count += 1
        self._rows.append((kind, seq, ts_ns, payload))
        if self._count >= CHUNK_ROWS:
            self.flush()

    def beat(self, ts_ns: int) -> None:
        """Close a chunk that is old enough, and hand what is new of a younger one to the disk now and then."""
        if self._count and not 0 <= ts_ns - self._first_ns < CHUNK_NS:
            self.flush()
        elif self._rows and not 0 <= ts_ns - self._spilled_ns < SPILL_NS and not self._queue.qsize():
            self._spilled_ns = ts_ns
            rows, self._rows = self._rows, []
            self._queue.put_nowait(_Part(self._named(), rows, is_last=False, count=self._count))

    def flush(self) -> None:
        """Close the chunk that is open."""
        if not self._count:
            return
        part = _Part(self._named(), self._rows, is_last=True, count=self._count)
        self._rows, self._count, self._name = [], 0, ""
        try:
            self._queue.put_nowait(part)
        except queue.Full:
            self._lose(part.name, part.count, "the disk does not keep up")

    def _named(self) -> str:
        """The name of the open chunk, given at the first need."""
        if not self._name:
            day = day_of(self._first_ns)
            if day != self._day:
                self._number = 0 if self._day else last_number(self._folder, day)
                self._day = day
            self._number += 1
            self._name = NAME.format(day=day, number=self._number)
        return self._name

    def is_idle(self) -> bool:
        """Whether the thread has done all that it was handed."""
        return self._queue.unfinished_tasks == 0

    def close(self, wait_s: float) -> bool:
        """Write what is open, for at most so long; whether all of it was written."""
        self.flush()
        try:
            self._queue.put(None, timeout=wait_s)
        except queue.Full:
            return False
        self._thread.join(wait_s)
        if self._thread.is_alive():
            return False
        self._open.forget()
        return True

    def _lose(self, name: str, rows: int, why: str) -> None:
        self.lost += rows
        self._on_chunk(Chunk(name, LOST, rows, why))

    # -- on the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._begin()
        day = ""
        while (part := self._queue.get()) is not None:
            if day and part.name.split("/")[1] != day:
                self._begin()  # a box that runs for weeks makes room each day, not only when it starts
            day = part.name.split("/")[1]
            lines = [
                msgspec.json.encode(TapeRow(kind, seq, ts_ns, msgspec.Raw(self._encode(payload))))
                for kind, seq, ts_ns, payload in part.rows
            ]
            try:
                digest = self._open.add(part, lines)
            except OSError as error:
                self._lose(part.name, part.count, f"it cannot be written: {error.strerror or error}")
            else:
                if digest:
                    self.kept += part.count
                    self._on_chunk(Chunk(part.name, digest, part.count))
            self._queue.task_done()


class _Part(msgspec.Struct, frozen=True):
    """Rows of a chunk on their way to the thread."""

    name: str
    rows: list[tuple[str, int, int, Any]]
    is_last: bool
    count: int
    """Rows of the chunk, those that were handed over before included."""


class _OpenChunk:
    """The chunk that is being filled, on the thread that writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = ""
        self._lines: list[bytes] = []
        self._before: Path | None = None
        """The file of the open lines of the chunk before: kept until the next chunk is there, whose hash is journaled later than its own."""

    def add(self, part: _Part, lines: list[bytes]) -> str:
        """Take in lines; the chunk's hash where it is whole now, empty before.

        Raises:
            OSError: the last part cannot be written; a part before it that cannot be costs its safety against a kill only.
        """
        if part.name != self._name:
            self._name, self._lines = part.name, []
        self._lines += lines
        path = chunk_path(self._folder, part.name)
        spill = open_path(path)
        if not part.is_last:
            with suppress(OSError):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with spill.open("ab") as file:
                    file.write(b"\n".join([*lines, b""]))
            return ""
        lines, self._lines, self._name = self._lines, [], ""
        if len(lines) != part.count:
            raise OSError(ENODATA, "a part of it was lost")
        digest = write_chunk(path, lines)
        if self._before is not None:
            self._before.unlink(missing_ok=True)
        self._before = spill
        return digest

    def forget(self) -> None:
        """The end: all that is whole was told of."""
        if self._before is not None and not self._lines:
            self._before.unlink(missing_ok=True)


def open_path(chunk: Path) -> Path:
    """Where the lines of a chunk stand that is not closed yet."""
    return chunk.with_name(f"{chunk.name.partition('.')[0]}.open")


def write_chunk(path: Path, lines: list[bytes]) -> str:
    """Write a chunk, synced and moved into place; its hash.

    Raises:
        OSError: it cannot be written, or one of that number is there.
    """
    data = gzip.compress(b"\n".join([*lines, b""]), compresslevel=3, mtime=0)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        raise FileExistsError(EEXIST, "a chunk of that number is there already")
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)  # noqa: PTH105 - as everywhere else where a file is moved into place
    return hashlib.sha256(data).hexdigest()


def recover(folder: Path, on_chunk: OnChunk) -> None:
    """Close the chunks that a killed engine left open, a cut last line left out, and tell of each. Call it before a writer begins.

    A chunk that was closed and perhaps not told of is told of again: its hash is the same.
    """
    for spill in sorted(folder.glob("*/*.open")):
        name = f"tape/{spill.parent.name}/{spill.stem}"
        if not is_chunk(name):
            continue
        path = chunk_path(folder, name)
        try:
            if path.exists():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                count = gzip.decompress(path.read_bytes()).count(b"\n")
            else:
                lines = spill.read_bytes().split(b"\n")[:-1]
                count = len(lines)
                digest = write_chunk(path, lines) if lines else ""
            spill.unlink(missing_ok=True)
        except (OSError, EOFError, zlib.error) as error:
            on_chunk(Chunk(name, LOST, 0, f"what a killed engine left of it cannot be kept: {error}"))
        else:
            if digest:
                on_chunk(Chunk(name, digest, count))


def last_number(folder: Path, day: str) -> int:
    """Number of a day's last chunk, 0 where there is none."""
    found = [*(folder / day).glob("*.jsonl.gz"), *(folder / day).glob("*.open")]
    numbers = [int(path.name[:6]) for path in found if path.name[:6].isdigit()]
    return max(numbers, default=0)


def read_chunk(folder: Path, name: str, sha256: str) -> Iterator[TapeRow]:
    """The rows of a chunk whose hash the journal holds.

    Raises:
        DataError: where it was not kept, is missing, or is not the one that was written.
    """
    fault = chunk_fault(folder, name, sha256)
    if fault:
        raise DataError(fault)
    for number, line in enumerate(gzip.decompress(chunk_path(folder, name).read_bytes()).splitlines(), 1):
        try:
            yield _ROWS.decode(line)
        except msgspec.DecodeError as error:
            raise DataError(f"{name}: row {number}: {error}; the chunk was written by another Bolt") from None


def open_rows(folder: Path) -> Iterator[tuple[str, list[TapeRow]]]:
    """Name and rows so far of each chunk that was not closed when it was looked at; a line that is just being written is left out.

    Nothing proves them. A writer hands what is new to the file about once a second.
    """
    for spill in sorted(folder.glob("*/*.open")):
        name = f"tape/{spill.parent.name}/{spill.stem}"
        if not is_chunk(name):
            continue
        try:
            yield name, [_ROWS.decode(line) for line in spill.read_bytes().split(b"\n")[:-1]]
        except (OSError, msgspec.DecodeError):
            continue  # closed meanwhile, or of another Bolt


def first_row(folder: Path, name: str) -> TapeRow | None:
    """A chunk's first row; None where it cannot be read."""
    try:
        with gzip.open(chunk_path(folder, name)) as lines:
            return _ROWS.decode(lines.readline())
    except (OSError, EOFError, zlib.error, msgspec.DecodeError):
        return None


def chunk_fault(folder: Path, name: str, sha256: str) -> str:
    """What is wrong with a chunk, empty where it is the one that the journal names."""
    if sha256 == LOST:
        return f"{name}: was not kept when it was recorded"
    path = chunk_path(folder, name)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return f"{name}: {path} is missing"
    except OSError as error:
        return f"{name}: {path} cannot be read: {error.strerror or error}"
    return "" if found == sha256 else f"{name}: {path} is not the chunk whose hash the journal holds"


class TapeDay(msgspec.Struct, frozen=True):
    """A recorded day on disk."""

    day: str
    chunks: int
    size: int
    """Bytes."""


def days_of(folder: Path) -> tuple[TapeDay, ...]:
    """The recorded days, oldest first."""
    found = []
    for path in sorted(folder.glob("*")):
        if path.is_dir() and _DAY.fullmatch(path.name):
            sizes = [chunk.stat().st_size for chunk in path.glob("*.jsonl.gz")]
            found.append(TapeDay(path.name, len(sizes), sum(sizes)))
    return tuple(found)


def prune(folder: Path, today_ns: int, keep_days: int, keep_bytes: int) -> tuple[str, ...]:
    """Remove days that are older than so many days, then the oldest until no more than so many bytes are left; the days removed.

    Today stays in any case.
    """
    today = day_of(today_ns)
    oldest = day_of(today_ns - keep_days * 86_400 * NS_PER_S)
    days = [one for one in days_of(folder) if one.day < today]
    size = sum(one.size for one in days_of(folder))
    removed = []
    for one in days:
        if one.day < oldest or size > keep_bytes:
            shutil.rmtree(folder / one.day, ignore_errors=True)
            size -= one.size
            removed.append(one.day)
    return tuple(removed)
