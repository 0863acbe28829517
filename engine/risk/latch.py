"""The kill latch: one small mapped file that every process of a desk reads at its last hop.

A trip must work when nothing else does, so the latch shares no code with pricing, the ledger or a screen, its space is
allocated when it is made (a full disk cannot refuse a trip), and the first act of a global trip is the write of one
byte, before any lock. Written bytes survive ``kill -9`` at once and a power cut after the flush.

Promises:

* :meth:`Latch.read` looks at the shared bytes at every call; no copy of a state is kept.
* Missing, wrong size, foreign, torn or damaged = HALTED. A writer that dies half-way leaves the old state or HALTED.
* A trip never loosens. Only :meth:`Latch.lift` does, under a lock, and only where nobody tripped since it was asked.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import msgspec

from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.events import TradingState

MAGIC = b"BOLTLTCH"
VERSION = 1
HEADER = 64
ENTRY = 64
ENTRIES = 62
SIZE = HEADER + ENTRY * ENTRIES
NAME_BYTES_MAX = 44
"""Longer scope names are kept as their first bytes; they are told apart by their digest."""

_VERSION_AT, _GLOBAL_AT, _COUNT_AT, _TRIPS_AT, _TABLE_CRC_AT, _HEADER_CRC_AT = 8, 10, 12, 16, 20, 60
_DIGEST = 16
_LOCK_TRIES = 200
_LOCK_PAUSE_S = 0.001

# Codes lie four or more bits apart and none is 0 or 255, so that a blank or flipped byte is no valid state.
_CODE = {TradingState.ACTIVE: 0xA5, TradingState.REDUCING: 0x5A, TradingState.HALTED: 0x3C}
_STATE = {code: state for state, code in _CODE.items()}
_ACTIVE, _HALTED = _CODE[TradingState.ACTIVE], _CODE[TradingState.HALTED]
_LIFTING = 0xC3
_KINDS = tuple(HaltScopeKind)
RANK = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}
"""Strictness of a state."""
GLOBAL = HaltScope()


def stricter(one: TradingState, other: TradingState) -> TradingState:
    """The stricter of two states."""
    return one if RANK[one] >= RANK[other] else other


SENTINEL_CODE = "SENTINEL"
STALL_TELLERS = frozenset({"lookout", "watchdog"})
"""Who halts an engine that stands still: the thread in it, and the process beside it."""


class TripNote(msgspec.Struct, frozen=True, kw_only=True):
    """Who tripped, what and why: left as a file by a process that may not write the ledger."""

    scope: HaltScope
    state: TradingState
    code: str
    who: str
    why: str
    ts_ns: int
    pid: int = 0


class LatchEntry(msgspec.Struct, frozen=True):
    """A scope of the table and its state; ``name`` may be cut (see NAME_BYTES_MAX)."""

    kind: HaltScopeKind
    name: str
    state: TradingState


class Latch:
    """One process's view of the shared latch. Build it with :meth:`open`; :meth:`close` when done."""

    __slots__ = ("_clear", "_digests", "_fd", "_map", "_path", "fault", "own_trips")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._map: mmap.mmap | None = None
        self._digests: dict[HaltScope, bytes] = {}
        self._clear = b""
        """A header that was found sound, active and without scopes: the same bytes again need not be judged again."""
        self.fault = ""
        """Why the latch could not be read, for people; empty while it can."""
        self.own_trips = 0
        """How many of :meth:`trips` were ours."""

    @classmethod
    def open(cls, path: Path, *, ledger_used: bool) -> Self:
        """Map the latch at ``path``.

        A missing file is made: ACTIVE where the ledger is still empty, HALTED where it was used (somebody removed the
        latch, and nobody can say what it held). A damaged file is left as evidence and reads HALTED. Never raises.
        """
        latch = cls(path)
        if not path.exists():
            try:
                _make(path, TradingState.HALTED if ledger_used else TradingState.ACTIVE)
            except OSError as error:
                latch.fault = f"latch {path} could not be made: {error.strerror}"
                return latch
            if ledger_used:
                latch.fault = f"latch {path} was missing beside a used ledger; a new one was made HALTED"
        latch._attach()
        return latch

    @classmethod
    def attach(cls, path: Path) -> Latch:
        """Map an existing latch without making one (for tools that only look or trip)."""
        latch = cls(path)
        latch._attach()
        return latch

    def close(self) -> None:
        """Unmap. A closed latch reads HALTED."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()

    def read(self, scopes: Sequence[HaltScope] = ()) -> TradingState:
        """Strictest state of the global byte and the given scopes, from shared memory, now."""
        view = self._map
        if view is None or not self._is_linked():
            return self._read_again(scopes)
        head = view[:HEADER]
        if head == self._clear:
            return TradingState.ACTIVE
        if head[_GLOBAL_AT] == _HALTED:
            return TradingState.HALTED
        if not _header_is_sound(head):
            return TradingState.HALTED
        state = _STATE.get(head[_GLOBAL_AT], TradingState.HALTED)
        if head[_COUNT_AT : _COUNT_AT + 2] == b"\0\0":
            if state is TradingState.ACTIVE:
                self._clear = head
        elif scopes:
            state = stricter(state, self._read_table(view[:SIZE], scopes))
        return state

    _state = read
    """:meth:`read` of this class, for its other methods: who listens to a latch counts what it is asked, once each."""

    def damage(self) -> str:
        """Why the file itself reads HALTED, for people; empty where it is sound and somebody tripped it."""
        if self._map is None or not self._is_linked():
            return self.fault or f"latch {self._path} is missing"
        return (
            ""
            if _header_is_sound(self._map[:HEADER])
            else f"latch {self._path} is damaged (magic, version or checksum)"
        )

    def is_clear(self) -> bool:
        """Whether no scope at all was ever tripped since it was made or everything was lifted; False where it cannot be read."""
        return self._state() is TradingState.ACTIVE and self._map is not None and self._map[:HEADER] == self._clear

    def entries(self) -> tuple[LatchEntry, ...]:
        """All scopes that were ever tripped, the global one first. Looks whether the file still stands at its path."""
        self._follow()
        table = [LatchEntry(HaltScopeKind.GLOBAL, "", self._state())]
        if self._map is not None:
            page = self._map[:SIZE]
            for at in range(HEADER, HEADER + ENTRY * min(_count(page), ENTRIES), ENTRY):
                kind = _KINDS[min(page[at + 1], len(_KINDS) - 1)]
                name = page[at + 20 : at + 20 + page[at + 2]].decode("utf-8", "replace")
                table.append(LatchEntry(kind, name, _STATE.get(page[at], TradingState.HALTED)))
        return tuple(table)

    def page(self) -> bytes:
        """Every byte of it as it is now; empty where it cannot be read."""
        return b"" if self._map is None or not self._is_linked() else self._map[:SIZE]

    def trips(self) -> int:
        """How often the latch was tripped since it was made; -1 where it cannot be read."""
        return -1 if self._map is None else int.from_bytes(self._map[_TRIPS_AT : _TRIPS_AT + 4], "little")

    def shut(self) -> None:
        """Halt the whole desk in memory at once: no lock, no disk. :meth:`trip` must follow, which makes it durable."""
        view = self._map
        if view is not None:
            with suppress(ValueError):  # closed by another thread just now, because its file is gone: that reads HALTED
                view[_GLOBAL_AT] = _HALTED

    def trip(self, scope: HaltScope = GLOBAL, state: TradingState = TradingState.HALTED) -> bool:
        """Tighten a scope. True where it is also on disk; the shared byte counts from its first write.

        Where the lock cannot be had, the table is full or the latch is broken, the whole desk is halted instead.
        """
        self.tighten(scope, state)
        # Behind the lock: a disk that stalls here must not keep others from it, who would halt everything instead.
        return self._map is not None and self._flush(self._map)

    def tighten(self, scope: HaltScope, state: TradingState) -> None:
        """:meth:`trip` in memory only, for who must not wait for the disk: the journal holds it too, and start-up puts it back."""
        self._follow()
        view = self._map
        if view is None:
            return
        if scope.kind is HaltScopeKind.GLOBAL and state is TradingState.HALTED:
            view[_GLOBAL_AT] = _HALTED
        with self._locked() as locked:
            if not locked:
                view[_GLOBAL_AT] = _HALTED
                return
            page = bytearray(view[:SIZE])
            before = page[_GLOBAL_AT]
            _tighten(page, scope, state, self._digest(scope))
            struct.pack_into("<I", page, _TRIPS_AT, (_trips(page) + 1) & 0xFFFFFFFF)
            self.own_trips += 1
            _seal(page)
            # The global byte goes first, and is written only to tighten it: another process may be tripping it right now
            # without the lock. Table and header follow; while their checksums disagree everything is HALTED.
            if page[_GLOBAL_AT] != before and view[_GLOBAL_AT] == before:
                view[_GLOBAL_AT] = page[_GLOBAL_AT]
            view[HEADER:SIZE] = bytes(page[HEADER:])
            view[_GLOBAL_AT + 1 : HEADER] = bytes(page[_GLOBAL_AT + 1 : HEADER])

    def lift(self, scope: HaltScope, seen_trips: int) -> bool:
        """Set a scope ACTIVE again. False, and nothing is changed, where somebody tripped after ``seen_trips``.

        A broken or missing latch is made new; lifting the global scope is then what ends its HALTED. Where the disk does not
        take it, False, and everything is HALTED: who was told that it stays must not be wrong.
        """
        self._follow()
        if self._map is None or not _header_is_sound(self._map[:HEADER]):
            if scope.kind is not HaltScopeKind.GLOBAL or not self._rebuild():
                return False
            seen_trips = 0
        view = self._map
        if view is None:
            return False
        self.fault = ""
        with self._locked() as locked:
            if not locked or self.trips() != seen_trips:
                return False
            page = bytearray(view[:SIZE])
            at = _GLOBAL_AT if scope.kind is HaltScopeKind.GLOBAL else _find(page, self._digest(scope))
            if at < 0:
                return True
            page[at] = _ACTIVE
            _seal(page)
            # Checksums first: until the state byte follows they do not agree, and that reads HALTED. The byte passes
            # through LIFTING, so that a trip written meanwhile without the lock is seen and stands.
            view[at] = _LIFTING
            view[_HEADER_CRC_AT:HEADER] = bytes(page[_HEADER_CRC_AT:HEADER])
            view[_TABLE_CRC_AT : _TABLE_CRC_AT + 4] = bytes(page[_TABLE_CRC_AT : _TABLE_CRC_AT + 4])
            if view[at] != _LIFTING:
                return False
            view[at] = _ACTIVE
        if self._flush(view):
            return True
        view[_GLOBAL_AT] = _HALTED
        return False

    # -- inside ------------------------------------------------------------------------------------------------------

    def _attach(self) -> None:
        self.close()
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            size = os.fstat(self._fd).st_size
            if size != SIZE:
                self.fault = f"latch {self._path} has {size} bytes, expected {SIZE}"
                self.close()
                return
            self._map = mmap.mmap(self._fd, SIZE)
        except OSError as error:
            self.fault = f"latch {self._path} cannot be opened: {error.strerror}"
            self.close()
            return
        if not _header_is_sound(self._map[:HEADER]) and self._map[_GLOBAL_AT] != _HALTED:
            self.fault = f"latch {self._path} is damaged (magic, version or checksum)"

    def _is_linked(self) -> bool:
        # A file that was removed or replaced is no longer what others trip; a cut one would end the process by SIGBUS.
        state = os.fstat(self._fd)
        return state.st_nlink > 0 and state.st_size == SIZE

    def _follow(self) -> None:
        """Map what stands at the path where that is another file: one that was moved keeps its links, and nobody else trips it."""
        try:
            found = self._path.stat()
            mine = None if self._map is None else os.fstat(self._fd)
            is_mine = mine is not None and (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)
        except OSError:
            is_mine = False
        if not is_mine or not self._is_linked():
            self._attach()

    def _read_again(self, scopes: Sequence[HaltScope]) -> TradingState:
        self._attach()
        return TradingState.HALTED if self._map is None else self._state(scopes)

    def _read_table(self, page: bytes, scopes: Sequence[HaltScope]) -> TradingState:
        if not _table_is_sound(page):
            return TradingState.HALTED
        strictest = TradingState.ACTIVE
        for scope in scopes:
            at = _find(page, self._digest(scope))
            if at >= 0:
                strictest = stricter(strictest, _STATE.get(page[at], TradingState.HALTED))
        return strictest

    def _digest(self, scope: HaltScope) -> bytes:
        digest = self._digests.get(scope)
        if digest is None:
            if len(self._digests) >= 4096:
                self._digests.clear()
            words = f"{scope.kind}:{scope.name}".encode()
            digest = self._digests[scope] = hashlib.blake2b(words, digest_size=_DIGEST).digest()
        return digest

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        held = False
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
                break
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
        try:
            yield held
        finally:
            if held:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _flush(self, view: mmap.mmap) -> bool:
        try:
            view.flush()
        except OSError as error:
            self.fault = f"latch {self._path} could not be flushed: {error.strerror}"
            return False
        return True

    def _rebuild(self) -> bool:
        try:
            _make(self._path, TradingState.HALTED)
        except OSError as error:
            self.fault = f"latch {self._path} could not be made: {error.strerror}"
            return False
        self._attach()
        self.fault = ""
        return self._map is not None


def _make(path: Path, state: TradingState) -> None:
    """Write a new latch beside ``path`` and move it there, so that nobody ever sees half of one."""
    page = bytearray(SIZE)
    page[:8] = MAGIC
    struct.pack_into("<H", page, _VERSION_AT, VERSION)
    page[_GLOBAL_AT] = _CODE[state]
    _seal(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, SIZE)
        os.pwrite(fd, bytes(page), 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Put a folder's names on disk."""
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _count(page: bytes | bytearray) -> int:
    return int(struct.unpack_from("<H", page, _COUNT_AT)[0])


def _trips(page: bytes | bytearray) -> int:
    return int(struct.unpack_from("<I", page, _TRIPS_AT)[0])


def _header_is_sound(head: bytes | bytearray) -> bool:
    return (
        head[:8] == MAGIC
        and head[_VERSION_AT] == VERSION
        and zlib.crc32(head[:_HEADER_CRC_AT]).to_bytes(4, "little") == head[_HEADER_CRC_AT:]
    )


def _table_is_sound(page: bytes | bytearray) -> bool:
    return _table_crc(page) == page[_TABLE_CRC_AT : _TABLE_CRC_AT + 4]


def _table_crc(page: bytes | bytearray) -> bytes:
    return zlib.crc32(page[HEADER : HEADER + ENTRY * min(_count(page), ENTRIES)]).to_bytes(4, "little")


def _seal(page: bytearray) -> None:
    page[_TABLE_CRC_AT : _TABLE_CRC_AT + 4] = _table_crc(page)
    struct.pack_into("<I", page, _HEADER_CRC_AT, zlib.crc32(page[:_HEADER_CRC_AT]))


def _find(page: bytes | bytearray, digest: bytes) -> int:
    """Offset of the entry with this digest, or -1."""
    end = HEADER + ENTRY * min(_count(page), ENTRIES)
    at = page.find(digest, HEADER, end)
    while at >= 0 and (at - HEADER) % ENTRY != 4:
        at = page.find(digest, at + 1, end)
    return at - 4 if at >= 0 else -1


def _tighten(page: bytearray, scope: HaltScope, state: TradingState, digest: bytes) -> None:
    # Sealed again below: what reads HALTED because a checksum is wrong must not read ACTIVE because somebody tripped a symbol.
    damaged = not (_header_is_sound(page[:HEADER]) and _table_is_sound(page))
    if scope.kind is HaltScopeKind.GLOBAL or damaged:
        now = _STATE.get(page[_GLOBAL_AT], TradingState.HALTED)
        page[_GLOBAL_AT] = _CODE[TradingState.HALTED if damaged else stricter(now, state)]
        return
    at = _find(page, digest)
    if at >= 0:
        page[at] = _CODE[stricter(_STATE.get(page[at], TradingState.HALTED), state)]
        return
    count = _count(page)
    if count >= ENTRIES:
        page[_GLOBAL_AT] = _HALTED
        return
    at = HEADER + ENTRY * count
    name = scope.name.encode()[:NAME_BYTES_MAX]
    page[at : at + 4] = bytes((_CODE[state], _KINDS.index(scope.kind), len(name), 0))
    page[at + 4 : at + 4 + _DIGEST] = digest
    page[at + 20 : at + 20 + len(name)] = name
    struct.pack_into("<H", page, _COUNT_AT, count + 1)


# -- trip files and the sentinel -------------------------------------------------------------------------------------------

_NOTE = msgspec.json.Decoder(TripNote)
NOTE_BYTES_MAX = 64 * 1024
SENTINEL = "HALT"
TRIPS = "trips"


def leave_note(home: Path, note: TripNote) -> Path | None:
    """Leave a trip file on disk in ``home/trips`` for the engine to journal; None where the disk refuses (the latch stands)."""
    folder = home / TRIPS
    path = folder / f"{note.ts_ns:020d}-{note.pid}.json"
    temporary = path.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with temporary.open("wb") as out:
            out.write(msgspec.json.encode(note))
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        _sync_folder(folder)
        _sync_folder(home)
    except OSError:
        return None
    return path


def read_notes(home: Path) -> list[tuple[Path, TripNote]]:
    """Trip files, oldest first; one that cannot be read is a global trip of its own. Remove each once it is journaled."""
    folder = home / TRIPS
    if not folder.is_dir():
        return []
    return [(path, _read_note(path)) for path in sorted(folder.glob("*.json"))]


def sentinel(home: Path) -> TripNote | None:
    """The trip asked for by a file ``HALT`` in ``home`` (its text is the reason), or None where there is none."""
    path = home / SENTINEL
    try:
        words = _read_start(path, 500).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        if not path.is_symlink():
            return None
        words = f"{path.name} leads nowhere"
    except OSError as error:
        words = f"unreadable: {error.strerror}"
    return _global("SENTINEL", "file", words or f"{path.name} file found")


def _read_start(path: Path, bytes_max: int) -> bytes:
    """The beginning of what lies there. A pipe with nobody behind it is empty: to wait for its words would stop the engine."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, bytes_max)
    finally:
        os.close(fd)


def _read_note(path: Path) -> TripNote:
    try:
        note = _NOTE.decode(_read_start(path, NOTE_BYTES_MAX))
        return note if note.state is not TradingState.ACTIVE else _global("TRIP_FILE_BAD", note.who, "it trips nothing")
    except (OSError, msgspec.DecodeError, ValueError) as error:
        return _global("TRIP_FILE_BAD", "file", f"{path.name} cannot be read: {error}")


def _global(code: str, who: str, why: str) -> TripNote:
    return TripNote(scope=GLOBAL, state=TradingState.HALTED, code=code, who=who, why=why, ts_ns=0)
