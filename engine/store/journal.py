"""The journal: what happened, in order, each row chained to the one before by its hash.

``append`` encodes, chains and buffers without I/O; ``take`` hands over what is buffered, and ``write`` puts it on disk in
one transaction with the projection rows. Any thread may write, one at a time: that is what makes a group commit.
After a failed write nothing is ever tried again: the page cache cannot be trusted after a failed fsync
(Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import msgspec

from engine.domain.errors import InvariantError, StoreCorrupt, StoreError, StoreLocked, StoreUnwritable, StoreVersion
from engine.domain.events import AnyEvent, LedgerOpened, encode, kind_of
from engine.store.lock import LedgerLock
from engine.store.tables import SCHEMA, create_statements, upsert

GENESIS = bytes(32)
PENDING_MAX = 200_000
BUSY_MS = 2_000
PAGE_ROWS = 2_000
CHECKPOINT_ROWS = 2_000
"""The write-ahead log is folded into the file after so many rows, when nothing waits."""
_INSERT = "INSERT INTO journal (seq, ts_ns, kind, payload, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?)"


class Row(msgspec.Struct, frozen=True):
    """One journal row."""

    seq: int
    ts_ns: int
    kind: str
    payload: bytes
    prev_hash: bytes
    hash: bytes


class Batch(msgspec.Struct, frozen=True):
    """What one transaction writes."""

    rows: list[tuple[int, int, str, bytes, bytes, bytes]]
    projections: list[tuple[str, list[dict[str, Any]]]]
    last_seq: int


class Projection(Protocol):
    """State that follows the journal and is kept in tables beside it."""

    name: str

    def apply(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        """Take in one event."""
        ...

    def dirty(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Rows changed since the last call, by table."""
        ...


def chain(prev_hash: bytes, seq: int, ts_ns: int, kind: str, payload: bytes) -> bytes:
    """Hash of a row: SHA-256 over the previous hash, sequence, time, kind, a zero byte and the payload."""
    head = prev_hash + seq.to_bytes(8, "big") + ts_ns.to_bytes(8, "big", signed=True) + kind.encode() + b"\0"
    return hashlib.sha256(head + payload).digest()


class Journal:
    """The single writer of a ledger. Open it with :meth:`open` or :meth:`open_memory`."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None, lock: LedgerLock | None) -> None:
        self.path = path
        self.failed = ""
        """Why no write is taken any more; empty while healthy."""
        self.head_seq = 0
        self.head_hash = GENESIS
        self.durable_seq = 0
        self.is_new = True
        self._connection = connection
        self._lock = lock
        self._pending: list[tuple[int, int, str, bytes, bytes, bytes]] = []
        self._projections: list[Projection] = []
        self._writing = threading.Lock()

    @classmethod
    def open(cls, path: Path, now_ns: int, new_ledger_id: Callable[[], str], currency: str) -> Journal:
        """Open or create the ledger for writing, holding its kernel lock.

        Raises:
            StoreLocked, StoreCorrupt, StoreVersion, StoreUnwritable: each with the next step.
        """
        with ExitStack() as undo:
            lock = LedgerLock(path)
            undo.callback(lock.release)
            made = cls(_connect(path), path, lock)
            undo.callback(made._connection.close)
            made._start(now_ns, new_ledger_id, currency)
            undo.pop_all()
            return made

    @classmethod
    def open_memory(cls, now_ns: int, ledger_id: str, currency: str) -> Journal:
        """A journal without a file, with the same hashes: for replays that keep no ledger."""
        connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        made = cls(connection, None, None)
        made._start(now_ns, lambda: ledger_id, currency)
        return made

    def _start(self, now_ns: int, new_ledger_id: Callable[[], str], currency: str) -> None:
        try:
            _check_version(self._connection, self.path)
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in create_statements():
                self._connection.execute(statement)
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
            self._connection.execute("COMMIT")
            last = self._connection.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise store_error(error, self.path) from None
        if last is not None:
            self.head_seq, self.head_hash = int(last[0]), bytes(last[1])
            self.durable_seq = self.head_seq
            self.is_new = False
            return
        self.append(now_ns, LedgerOpened(ledger_id=new_ledger_id(), schema=SCHEMA, currency=currency))
        self.commit()

    def attach(self, projection: Projection) -> None:
        """Keep a projection's rows in the same transactions."""
        self._projections.append(projection)

    # -- writing -----------------------------------------------------------------------------------------------------

    def append(self, ts_ns: int, event: AnyEvent) -> int:
        """Chain an event behind the head; its sequence number. It is not durable until :attr:`durable_seq` says so.

        Raises:
            StoreUnwritable: the journal has failed.
            InvariantError: too much waits for the disk.
        """
        if self.failed:
            raise StoreUnwritable(self.failed)
        if len(self._pending) >= PENDING_MAX:
            msg = f"{PENDING_MAX} journal rows wait for the disk; the engine must not run ahead of it"
            raise InvariantError(msg)
        seq = self.head_seq + 1
        kind = kind_of(event)
        payload = encode(event)
        digest = chain(self.head_hash, seq, ts_ns, kind, payload)
        self._pending.append((seq, ts_ns, kind, payload, self.head_hash, digest))
        self.head_seq, self.head_hash = seq, digest
        return seq

    @property
    def pending(self) -> int:
        """Rows that wait for the disk."""
        return len(self._pending)

    def take(self) -> Batch | None:
        """What waits, with the projection rows as they are now; None where nothing does. On the engine's thread only."""
        if not self._pending:
            return None
        rows, self._pending = self._pending, []
        changed = [part for projection in self._projections for part in projection.dirty()]
        return Batch(rows, [part for part in changed if part[1]], rows[-1][0])

    def write(self, batch: Batch) -> int:
        """Commit one batch with fsync; the durable sequence number. In any thread, one at a time."""
        with self._writing:
            if self.failed:
                raise StoreUnwritable(self.failed)
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(_INSERT, batch.rows)
                for name, rows in batch.projections:
                    self._connection.executemany(upsert(name), rows)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self.failed = str(store_error(error, self.path))
                raise store_error(error, self.path) from None
            self.durable_seq = batch.last_seq
            return batch.last_seq

    def commit(self) -> int:
        """Take and write what waits, on this thread."""
        batch = self.take()
        return self.durable_seq if batch is None else self.write(batch)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file as far as readers allow; call it when idle, it costs milliseconds."""
        with self._writing:
            if not self.failed and self.path is not None:
                try:
                    self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                except sqlite3.Error as error:
                    self.failed = str(store_error(error, self.path))

    def write_head(self) -> None:
        """Note the durable head outside the store, so that a cut tail is found: see :func:`engine.store.verify.verify`."""
        if self.path is None or self.failed or self.pending:
            return
        head = self.path.with_name(f"{self.path.name}.head")
        fresh = head.with_suffix(".head.new")
        fresh.write_text(f"{self.head_seq} {self.head_hash.hex()}\n", encoding="ascii")
        fresh.replace(head)

    def read(self, from_seq: int = 1, limit: int = -1) -> Iterator[Row]:
        """Durable rows, oldest first."""
        yield from _pages(self._connection, from_seq, limit, self._writing)

    def close(self) -> None:
        """Write what waits, note the head and let go of the ledger."""
        try:
            if not self.failed:
                self.commit()
                self.checkpoint()
                self.write_head()
        finally:
            self._connection.close()
            if self._lock is not None:
                self._lock.release()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=BUSY_MS / 1000)
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        if sys.platform == "darwin":
            # fsync on macOS leaves data in the drive's cache.
            connection.execute("PRAGMA fullfsync=1")
            connection.execute("PRAGMA checkpoint_fullfsync=1")
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise store_error(error, path) from None
    except OSError as error:
        msg = f"ledger {path} cannot be written: {error.strerror}; make the file and its folder writable"
        raise StoreUnwritable(msg) from None
    if answer is None or answer[0] != "ok":
        msg = f"ledger {path} is damaged ({answer[0] if answer else 'no answer'}); keep the file, restore a backup"
        raise StoreCorrupt(msg)
    return connection


def _check_version(connection: sqlite3.Connection, path: Path | None) -> None:
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not names:
        return
    if "meta" not in names or "journal" not in names:
        msg = f"{path} is a database but no ledger (it has no journal); give another path"
        raise StoreVersion(msg)
    found = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    if found is None or found[0] != str(SCHEMA):
        version = found[0] if found else "none"
        msg = f"ledger {path} has schema {version}; this Bolt reads schema {SCHEMA}; use the Bolt that wrote it"
        raise StoreVersion(msg)


def store_error(error: sqlite3.Error, path: Path | None) -> StoreError:
    """The error of ours that says what a database error means for the person."""
    words = str(error)
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreLocked(f"ledger {path} is locked by another program ({words}); close what has it open")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreCorrupt(f"ledger {path} is damaged ({words}); keep the file, restore a backup")
    if name.startswith("SQLITE_FULL"):
        return StoreUnwritable(f"ledger {path}: the disk is full; free space, then start again")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreUnwritable(f"ledger {path} cannot be written ({words}); make the file and its folder writable")
    return StoreUnwritable(f"ledger {path} cannot be written ({words}, {name}); check the disk, then start again")


def _pages(
    connection: sqlite3.Connection, from_seq: int, limit: int, guard: threading.Lock | None = None
) -> Iterator[Row]:
    # Pages keep each read transaction short: a long one would keep the write-ahead log from being reset.
    query = "SELECT seq, ts_ns, kind, payload, prev_hash, hash FROM journal WHERE seq >= ? ORDER BY seq LIMIT ?"
    seq = from_seq
    left = limit
    while left:
        size = PAGE_ROWS if left < 0 else min(left, PAGE_ROWS)
        if guard is None:
            rows = connection.execute(query, (seq, size)).fetchall()
        else:
            with guard:
                rows = connection.execute(query, (seq, size)).fetchall()
        for row in rows:
            yield Row(*row)
        if len(rows) < size:
            return
        seq = rows[-1][0] + 1
        left = left if left < 0 else left - len(rows)


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection for another process; raises StoreError where there is no ledger."""
    if not path.is_file():
        msg = f"there is no ledger at {path}; start Bolt once, or name another with --ledger"
        raise StoreUnwritable(msg)
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=BUSY_MS / 1000
        )
        _check_version(connection, path)
    except sqlite3.Error as error:
        raise store_error(error, path) from None
    return connection


def read_journal(path: Path, from_seq: int = 1, limit: int = -1) -> Iterator[Row]:
    """Rows of a ledger, from another process, also while an engine writes."""
    connection = open_reader(path)
    try:
        yield from _pages(connection, from_seq, limit)
    except sqlite3.Error as error:
        raise store_error(error, path) from None
    finally:
        connection.close()


class JournalWriter:
    """A thread that commits batches, so that a stalled disk delays no tick, cancel or halt.

    The engine's thread calls :meth:`hand_over`; while a commit runs, what comes waits and then shares the next one.
    Both callbacks run on the writer's thread.
    """

    def __init__(self, journal: Journal, on_durable: Callable[[int], None], on_failure: Callable[[str], None]) -> None:
        self._journal = journal
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._batches: list[Batch] = []
        self._wake = threading.Condition()
        self._is_ending = False
        self._checkpointed_seq = journal.durable_seq
        self._thread = threading.Thread(target=self._run, name="bolt-journal", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hand_over(self) -> None:
        """Pass on what the journal has buffered. On the engine's thread only."""
        batch = self._journal.take()
        if batch is not None:
            with self._wake:
                self._batches.append(batch)
                self._wake.notify()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Write what was handed over and end; False where that did not come to an end in time."""
        with self._wake:
            self._is_ending = True
            self._wake.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._batches and not self._is_ending:
                    self._wake.wait()
                waiting, self._batches = self._batches, []
                if not waiting:
                    return
            try:
                seq = self._journal.write(_joined(waiting))
            except StoreError as error:
                self._on_failure(str(error))
                return
            self._on_durable(seq)
            self._checkpoint_when_idle(seq)

    def _checkpoint_when_idle(self, seq: int) -> None:
        """Keep the write-ahead log bounded without putting its milliseconds before a commit that waits."""
        if seq - self._checkpointed_seq >= CHECKPOINT_ROWS and not self._batches:
            self._journal.checkpoint()
            self._checkpointed_seq = seq


def _joined(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    rows = [row for batch in batches for row in batch.rows]
    return Batch(rows, [part for batch in batches for part in batch.projections], rows[-1][0])
