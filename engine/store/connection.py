"""Connections to a ledger file on SQLite, and what a database error means for a person."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from engine.domain.errors import InvariantError, StoreCorrupt, StoreError, StoreLocked, StoreUnwritable

BUSY_MS = 2_000
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What a connection raises. The second one where SQLite's words of a damage quote the damaged bytes, which are no UTF-8."""
LOG_BYTES = 8 * 2**20
"""Room that the write-ahead log has from the start, and to which it is cut back."""
_FRAME_HEAD = 24
"""Bytes in front of each page of the log."""
_READ_LOCKS = range(123, 128)
"""Bytes of the log's index that a reader locks (SQLite, "WAL-mode File Format", section 2.3)."""
PAGE_BYTES = 2_048
"""A commit flushes whole pages: with the usual 4,096 bytes one order's commit takes 320 us where it takes 230 with these."""


def open_writer(path: Path) -> sqlite3.Connection:
    """Open or create a ledger file for its one writer: write-ahead log, an fsync with each commit.

    Raises:
        StoreUnwritable, StoreCorrupt, StoreLocked: each with the next step.
    """
    _refuse_read_only(path)
    with ExitStack() as undo:
        try:
            # Made here with its mode, so that it is never readable by others, not even for a moment.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=BUSY_MS / 1000)
            undo.callback(connection.close)
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # of a new file; an older one keeps its own
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")  # what a reader made it grow to goes again
            if sys.platform == "darwin":
                # fsync on macOS leaves data in the drive's cache.
                connection.execute("PRAGMA fullfsync=1")
                connection.execute("PRAGMA checkpoint_fullfsync=1")
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()
        except SQLITE_ERRORS as error:
            raise store_error(error, path) from None
        except OSError as error:
            msg = f"ledger {path} cannot be written: {error.strerror}; make the file and its folder writable"
            raise StoreUnwritable(msg) from None
        if mode != "wal":
            msg = f"ledger {path}: its disk gives no write-ahead log (mode {mode}); put it on a local disk"
            raise StoreUnwritable(msg)
        if answer is None or answer[0] != "ok":
            msg = f"ledger {path} is damaged ({answer[0] if answer else 'no answer'}); keep the file, restore a backup"
            raise StoreCorrupt(msg)
        undo.pop_all()
        return connection


def open_beside(path: Path) -> sqlite3.Connection:
    """A second connection to an open ledger's file, to fold its log with. It never commits anything."""
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=BUSY_MS / 1000)
    if sys.platform == "darwin":
        connection.execute("PRAGMA checkpoint_fullfsync=1")
    return connection


def grow_log(path: Path, size: int) -> None:
    """Give the write-ahead log its blocks ahead of time, as zeros behind what it holds.

    A commit that makes the file longer also flushes the file's own record: 270 us instead of 170 where raw SQLite takes 150.
    SQLite reads a log up to the first frame whose checksum fails, so zeros behind it mean nothing. Where there is little room
    nothing is done.
    """
    log = path.with_name(f"{path.name}-wal")
    with suppress(OSError):
        room = os.statvfs(path.parent)
        if room.f_bavail * room.f_frsize < 16 * size or not log.exists() or log.stat().st_size >= size:
            return
        handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(handle, bytes(size - os.fstat(handle).st_size))
            os.fsync(handle)
        finally:
            os.close(handle)


def fold_log(connection: sqlite3.Connection) -> int:
    """Move the write-ahead log into the file as far as readers allow; the size in bytes of what the log holds, at most.

    Where somebody else folds it just now, SQLite does not say what it holds: then it is the size of its file.
    """
    _, pages, folded = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages < 0:
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        log = Path(f"{path}-wal")
        return log.stat().st_size if log.exists() else 0
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    return 0 if pages == folded else int(pages) * (int(size) + _FRAME_HEAD)


def log_readers(path: Path) -> list[int]:
    """Processes that read the ledger in this moment, as the kernel's table of locks tells; empty where there is no such table.

    Asked of the table and not of the file: closing any descriptor of it would drop SQLite's own locks.
    """
    try:
        index = path.with_name(f"{path.name}-shm").stat().st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    found = set()
    for line in lines:
        words = line.split()
        is_read = words[1] == "POSIX" and words[3] == "READ" and words[4].isdigit()
        if is_read and words[5].rpartition(":")[2] == str(index) and int(words[6]) in _READ_LOCKS:
            found.add(int(words[4]))
    return sorted(found - {os.getpid()})


def _refuse_read_only(path: Path) -> None:
    """A ledger that its owner made read-only stays so, also for root, whom the mode would not stop."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        msg = f"{path} is no file; give the path of a ledger file"
        raise StoreUnwritable(msg)
    if not mode & stat.S_IWUSR:
        msg = f"ledger {path} is read-only (mode {stat.S_IMODE(mode):o}); make it writable with `chmod u+w`, or use another"
        raise StoreUnwritable(msg)


def store_error(error: sqlite3.Error | UnicodeDecodeError, path: Path | None) -> StoreError:
    """The error of ours that says what a database error means for the person."""
    if isinstance(error, UnicodeDecodeError):
        words = error.object.decode("utf-8", "backslashreplace")
        return StoreCorrupt(f"ledger {path} is damaged ({words}); keep the file, restore a backup")
    words = str(error)
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreLocked(f"ledger {path} is locked by another program ({words}); close what has it open")
    if name.startswith("SQLITE_CONSTRAINT"):
        # Two writers can meet only where the lock file was deleted; the first row written wins, the other one stops.
        return StoreLocked(f"another program wrote to ledger {path} ({words}); end it, then start again")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "decode to UTF-8" in words:
        return StoreCorrupt(f"ledger {path} is damaged ({words}); keep the file, restore a backup")
    if name.startswith("SQLITE_FULL"):
        return StoreUnwritable(f"ledger {path}: the disk is full; free space, then start again")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreUnwritable(f"ledger {path} cannot be written ({words}); make the file and its folder writable")
    return StoreUnwritable(f"ledger {path} cannot be used ({words}, {name}); check the disk, then start again")


def open_reader(path: Path, check: Callable[[sqlite3.Connection, Path], object]) -> sqlite3.Connection:
    """A read-only connection for another process; raises StoreError where there is no ledger, or ``check`` refuses it."""
    if not path.is_file():
        msg = f"there is no ledger at {path}; start Bolt once, or name another with --ledger"
        raise StoreUnwritable(msg)
    # A file on a read-only disk has no room for the shared index; without a log beside it, it cannot change either.
    modes = ("mode=ro", "mode=ro&immutable=1") if not _has_log(path) else ("mode=ro",)
    for mode in modes:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_MS / 1000,
            check_same_thread=False,
        )
        try:
            check(connection, path)
        except StoreError:
            connection.close()
            raise
        except SQLITE_ERRORS as error:
            connection.close()
            found = store_error(error, path)
            if mode is modes[-1] or not isinstance(found, StoreUnwritable):
                raise found from None
        else:
            return connection
    raise InvariantError(f"no way to open {path} was tried")


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0
