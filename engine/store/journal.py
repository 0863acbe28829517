"""The journal: what happened, in order, each row chained to the one before by its hash.

``append`` encodes, chains and buffers without I/O; ``take`` hands over what is buffered, and ``write`` puts it on disk in
one transaction with the projection rows. Any thread may write, one at a time: that is what makes a group commit.
After a failed write nothing is ever tried again: the page cache cannot be trusted after a failed fsync
(Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec

from engine.domain.errors import InvariantError, StoreCorrupt, StoreError, StoreUnwritable
from engine.domain.events import AnyEvent, LedgerOpened, encode, kind_of
from engine.store.connection import check_version, grow_log, open_reader, open_writer, store_error
from engine.store.lock import LedgerLock
from engine.store.tables import SCHEMA, create_statements, upsert

GENESIS = bytes(32)
PENDING_MAX = 200_000
"""Rows that may be ahead of the disk, wherever they wait."""
SEQ_MAX = 2**63 - 1
"""The last row number that the store can hold."""
PAGE_ROWS = 2_000
LOG_BYTES = 8 * 2**20
"""Room that the write-ahead log has from the start."""
CHECKPOINT_ROWS = 1_000
"""The write-ahead log is folded into the file after so many rows, when nothing waits; after ten times as many in any case."""
IDLE_S = 1.0
"""So long without a row, and the writer notes the head beside the ledger."""
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

    def forget(self) -> None:
        """Take what changed as written: there is no table to keep it in."""
        ...


def chain(prev_hash: bytes, seq: int, ts_ns: int, kind: str, payload: bytes) -> bytes:
    """Hash of a row: SHA-256 over the previous hash, sequence, time, kind, a zero byte and the payload."""
    head = prev_hash + seq.to_bytes(8, "big") + ts_ns.to_bytes(8, "big", signed=True) + kind.encode() + b"\0"
    return hashlib.sha256(head + payload).digest()


def is_well_typed(row: Row) -> bool:
    """Whether a row that was read holds what its fields say: SQLite keeps any type in any column."""
    found = tuple(type(getattr(row, field)) for field in Row.__struct_fields__)
    return found == (int, int, str, bytes, bytes, bytes)


def row_faults(row: Row, seq: int, prev_hash: bytes) -> list[str]:
    """What is wrong with a row that should stand behind row ``seq`` with ``prev_hash``; empty where it is sound."""
    if not is_well_typed(row):
        return [f"row {row.seq} was changed: its columns have other types"]
    faults = []
    if row.seq != seq + 1:
        faults.append(f"row {seq + 1} is missing: the next one is {row.seq}")
    if row.prev_hash != prev_hash:
        faults.append(f"row {row.seq} is not chained to the row before it")
    if row.seq < 0 or chain(row.prev_hash, row.seq, row.ts_ns, row.kind, row.payload) != row.hash:
        faults.append(f"row {row.seq} ({row.kind}) was changed: its hash does not match its content")
    return faults


class Journal:
    """The single writer of a ledger. Open it with :meth:`open` or :meth:`open_memory`."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None, lock: LedgerLock | None) -> None:
        self.path = path
        self.failed = ""
        """Why no write is taken any more; empty while healthy."""
        self.head_seq = 0
        self.head_hash = GENESIS
        self.durable_seq = 0
        self.durable_hash = GENESIS
        self.checkpointed_seq = 0
        """How far the write-ahead log was last folded into the file."""
        self.pending_max = PENDING_MAX
        self.checkpoint_rows = CHECKPOINT_ROWS
        self.is_new = True
        self.on_waiting: Callable[[], object] | None = None
        """Called when a first row begins to wait: the driver hands it over soon."""
        self._connection = connection
        self._kept: list[tuple[int, int, str, bytes, bytes, bytes]] | None = None
        """Rows of a journal without a file."""
        self._reader: sqlite3.Connection | None = None
        self._lock = lock
        self._pending: list[tuple[int, int, str, bytes, bytes, bytes]] = []
        self._projections: list[Projection] = []
        self._writing = threading.Lock()

    @classmethod
    def open(cls, path: Path, now_ns: int, new_ledger_id: Callable[[], str], currency: str) -> Self:
        """Open or create the ledger for writing, holding its kernel lock.

        Raises:
            StoreLocked, StoreCorrupt, StoreVersion, StoreUnwritable: each with the next step.
        """
        with ExitStack() as undo:
            lock = LedgerLock(path)
            undo.callback(lock.release)
            made = cls(open_writer(path), path, lock)
            undo.callback(made._connection.close)
            made._check_head(path)
            made._start(now_ns, new_ledger_id, currency)
            made.checkpoint()
            grow_log(path, LOG_BYTES)
            made._reader = open_reader(path)
            undo.callback(made._reader.close)
            undo.pop_all()
            return made

    @classmethod
    def open_memory(cls, now_ns: int, ledger_id: str, currency: str) -> Journal:
        """A journal without a file, with the same hashes: for replays that keep no ledger."""
        made = cls(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None), None, None)
        made._kept = []
        made.append(now_ns, LedgerOpened(ledger_id=ledger_id, schema=SCHEMA, currency=currency))
        made.commit()
        return made

    def _start(self, now_ns: int, new_ledger_id: Callable[[], str], currency: str) -> None:
        try:
            check_version(self._connection, self.path)
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
            self.durable_seq, self.durable_hash = self.head_seq, self.head_hash
            self.is_new = False
            return
        self.append(now_ns, LedgerOpened(ledger_id=new_ledger_id(), schema=SCHEMA, currency=currency))
        self.commit()

    def _check_head(self, path: Path) -> None:
        """Refuse a ledger that ends before what was noted of it: its numbers would be used a second time at the venue."""
        noted = noted_head(path)
        if noted is None:
            return
        try:
            check_version(self._connection, path)
            has_table = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'journal'").fetchone()
            query = "SELECT hash FROM journal WHERE seq = ?"
            found = self._connection.execute(query, (noted[0],)).fetchone() if has_table else None
        except sqlite3.Error as error:
            raise store_error(error, path) from None
        if found is None or found[0] != noted[1]:
            msg = (
                f"ledger {path} does not hold row {noted[0]} that {path.name}.head noted: its tail was cut, or an older copy "
                f"was put back; restore the newest copy, or move {path.name}* away to begin a new ledger"
            )
            raise StoreCorrupt(msg)

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
        if self.head_seq - self.durable_seq >= self.pending_max:
            msg = f"{self.pending_max} journal rows wait for the disk; the engine must not run ahead of it"
            raise InvariantError(msg)
        seq = self.head_seq + 1
        kind, payload = kind_of(event), encode(event)
        digest = chain(self.head_hash, seq, ts_ns, kind, payload)
        if not self._pending and self.on_waiting is not None:
            self.on_waiting()
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
        if self._kept is not None:
            for projection in self._projections:
                projection.forget()
            return Batch(rows, [], rows[-1][0])
        changed = [part for projection in self._projections for part in projection.dirty()]
        return Batch(rows, [part for part in changed if part[1]], rows[-1][0])

    def write(self, batch: Batch) -> int:
        """Commit one batch with fsync; the durable sequence number. In any thread, one at a time."""
        with self._writing:
            if self.failed:
                raise StoreUnwritable(self.failed)
            if self._kept is not None:
                self._kept += batch.rows
                self.durable_seq, self.durable_hash = batch.last_seq, batch.rows[-1][5]
                return batch.last_seq
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(_INSERT, batch.rows)
                for name, rows in batch.projections:
                    self._connection.executemany(upsert(name), rows)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                found = store_error(error, self.path)
                self.failed = str(found)
                raise found from None
            finally:
                if self._connection.in_transaction:
                    # Not a second try: what failed is given up, so that nobody else waits for its lock.
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
            self.durable_seq, self.durable_hash = batch.last_seq, batch.rows[-1][5]
            return batch.last_seq

    def commit(self) -> int:
        """Take and write what waits, on this thread."""
        batch = self.take()
        if batch is None:
            return self.durable_seq
        seq = self.write(batch)
        if seq - self.checkpointed_seq >= self.checkpoint_rows:
            self.checkpoint()
        return seq

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file as far as readers allow; call it when idle, it costs milliseconds."""
        with self._writing:
            if not self.failed and self.path is not None:
                try:
                    self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                except sqlite3.Error as error:
                    self.failed = str(store_error(error, self.path))
            self.checkpointed_seq = self.durable_seq

    def write_head(self) -> bool:
        """Note the durable head beside the ledger, so that a cut tail is found; False where that could not be written.

        The note may be behind the ledger (an engine was killed), never ahead: it is written after the rows are on disk.
        A failed note harms nothing that is booked, so it does not fail the journal.
        """
        if self.path is None or self.failed:
            return False
        with self._writing:
            words = f"{self.durable_seq} {self.durable_hash.hex()}\n"
        head = self.path.with_name(f"{self.path.name}.head")
        fresh = self.path.with_name(f"{self.path.name}.head.new")
        try:
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as out:
                out.write(words)
                out.flush()
                os.fsync(handle)
            fresh.replace(head)
        except OSError:
            return False
        return True

    def read(self, from_seq: int = 1, limit: int = -1) -> Iterator[Row]:
        """Durable rows, oldest first, each checked against its hash and the row before it.

        A file is read by a connection of its own: a commit that hangs on the disk does not hold up who reads.

        Raises:
            StoreCorrupt: naming the first row that does not hold.
        """
        seq, prev_hash = from_seq - 1, GENESIS if from_seq == 1 else None
        guard = self._writing if self._reader is None else None
        try:
            for row in self._rows_kept(from_seq, limit) or pages(
                self._reader or self._connection, from_seq, limit, guard
            ):
                faults = row_faults(row, seq, row.prev_hash if prev_hash is None else prev_hash)
                if faults:
                    raise StoreCorrupt(f"ledger {self.path}: {faults[0]}; run `bolt ledger verify`, restore a backup")
                seq, prev_hash = row.seq, row.hash
                yield row
        except sqlite3.Error as error:
            raise store_error(error, self.path) from None

    def _rows_kept(self, from_seq: int, limit: int) -> list[Row]:
        first = max(0, from_seq - 1)
        rows = (self._kept or [])[first : None if limit < 0 else first + limit]
        return [Row(*row) for row in rows]

    def close(self) -> None:
        """Write what waits, note the head and let go of the ledger."""
        try:
            if not self.failed:
                self.commit()
                self.checkpoint()
                self.write_head()
        finally:
            if self._reader is not None:
                self._reader.close()
            self._connection.close()
            if self._lock is not None:
                self._lock.release()


def noted_head(path: Path) -> tuple[int, bytes] | None:
    """The head that was noted beside the ledger; None where there is no such file.

    Raises:
        StoreCorrupt: the note cannot be read.
    """
    try:
        seq, digest = path.with_name(f"{path.name}.head").read_text(encoding="ascii").split()
        head = int(seq), bytes.fromhex(digest)
        if not 0 < head[0] <= SEQ_MAX:
            raise ValueError(seq)
        return head
    except FileNotFoundError:
        return None
    except (ValueError, OSError):
        msg = f"the noted head {path.name}.head cannot be read; it was changed: compare the ledger with a backup"
        raise StoreCorrupt(msg) from None


def pages(
    connection: sqlite3.Connection, from_seq: int, limit: int = -1, guard: threading.Lock | None = None
) -> Iterator[Row]:
    """Rows as they stand in the file, unchecked, each page in a read transaction of its own.

    A long transaction would keep the write-ahead log from being reset.
    """
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
        if len(rows) < size or not isinstance(rows[-1][0], int):
            return
        seq = rows[-1][0] + 1
        left = left if left < 0 else left - len(rows)


def read_journal(path: Path, from_seq: int = 1, limit: int = -1) -> Iterator[Row]:
    """Rows of a ledger, from another process, also while an engine writes."""
    connection = open_reader(path)
    try:
        yield from pages(connection, from_seq, limit)
    except sqlite3.Error as error:
        raise store_error(error, path) from None
    finally:
        connection.close()


class JournalWriter:
    """A thread that commits batches, so that a stalled disk delays no tick, cancel or halt.

    The engine's thread calls :meth:`hand_over`; while a commit runs, what comes waits and then shares the next one.
    Both callbacks run on the writer's thread.
    """

    def __init__(
        self,
        journal: Journal,
        on_durable: Callable[[int], None],
        on_failure: Callable[[str], None],
        idle_s: float = IDLE_S,
    ) -> None:
        self._journal = journal
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._idle_s = idle_s
        self._batches: list[Batch] = []
        self._wake = threading.Condition()
        self._written = threading.Condition()
        self._is_ending = False
        self._noted_seq = journal.durable_seq
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

    def wait_durable(self, seq: int, timeout_s: float) -> bool:
        """Whether a row is on disk, waiting for it. In any thread but the engine's and this one."""
        journal = self._journal
        with self._written:
            self._written.wait_for(lambda: journal.durable_seq >= seq or bool(journal.failed), timeout_s)
        return journal.durable_seq >= seq

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
                    if not self._wake.wait(self._idle_s) and self._journal.durable_seq != self._noted_seq:
                        break
                waiting, self._batches = self._batches, []
                if not waiting and self._is_ending:
                    return
            if not waiting:
                self._noted_seq = self._journal.durable_seq
                self._journal.write_head()
                continue
            is_written = self._commit(_joined(waiting))
            with self._written:
                self._written.notify_all()
            if not is_written:
                return

    def _commit(self, batch: Batch) -> bool:
        try:
            seq = self._journal.write(batch)
        except StoreError as error:
            self._on_failure(str(error))
            return False
        except Exception as error:  # loop edge: a writer that ended in silence would leave the engine waiting for ever
            self._journal.failed = f"the journal writer broke: {error!r}; report it, then start again"
            self._on_failure(self._journal.failed)
            return False
        self._on_durable(seq)
        since = seq - self._journal.checkpointed_seq
        enough = self._journal.checkpoint_rows
        if since >= 10 * enough or (since >= enough and not self._batches):
            # Milliseconds that should not stand before a commit that waits; but the log must not grow without bound.
            self._journal.checkpoint()
        return True


def _joined(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    rows = [row for batch in batches for row in batch.rows]
    return Batch(rows, [part for batch in batches for part in batch.projections], rows[-1][0])
