"""The journal: what happened, in order, each row chained to the one before by its hash.

``append`` encodes, chains and buffers without I/O; ``take`` hands over what is buffered, and ``write`` puts it on disk in
one transaction with the projection rows. Any thread may write, one at a time: that is what makes a group commit.
After a failed write nothing is ever tried again: the page cache cannot be trusted after a failed fsync
(Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
"""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from typing import Protocol, Self

import msgspec

from engine.domain.errors import InvariantError, StoreCorrupt, StoreLocked, StoreUnwritable
from engine.domain.events import (
    KIND_NAMES,
    AmendIntent,
    AmendPlaced,
    AnyEvent,
    OrderIntent,
    OrderPlaced,
    TradingStateChanged,
    encode,
)
from engine.domain.ledger_events import LedgerOpened
from engine.store.connection import LOG_BYTES, SQLITE_ERRORS, fold_log, grow_log, log_readers
from engine.store.head import note_head, noted_head
from engine.store.kept_rows import KeptRows
from engine.store.link import DATABASE_ERRORS, Link, as_server, check_version, open_link, open_reader, store_error
from engine.store.lock import LedgerLock
from engine.store.place import Place, ServerPlace, head_file
from engine.store.statements import SCHEMA, Changed, create_statements, upsert

GENESIS = bytes(32)
PENDING_MAX = 200_000
"""Rows that may be ahead of the disk, wherever they wait."""
PAGE_ROWS = 2_000
RECENT_ROWS = 10_000
"""Rows of a ledger on a server that are kept in memory for who follows it: the engine's loop must not wait for a network."""
TRIES_MAX = 3
"""How often a commit is begun again after the server was proven not to have done it."""
LOG_WARN_BYTES = 64 * 2**20
"""A write-ahead log that a reader keeps from being folded is told when it is so long ..."""
LOG_BYTES_MAX = 2**30
"""... and at this length the journal takes nothing more: the disk must not fill up behind somebody's open transaction."""
CHECKPOINT_ROWS = 1_000
"""The write-ahead log is folded into the file after so many rows, when nothing waits; after ten times as many in any case."""
_NUMBERS = struct.Struct(">Qq").pack
PRESSING = frozenset({OrderIntent, OrderPlaced, AmendIntent, AmendPlaced, TradingStateChanged})
"""Events for which somebody waits until they are on disk: an order that may leave then, a halt."""
_NAMED = {kind: (name, name.encode() + b"\0", kind in PRESSING) for kind, name in KIND_NAMES.items()}
"""Of each event: its kind, that as it is hashed, and whether it presses."""

INSERT = "INSERT INTO journal (seq, ts_ns, kind, payload, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?)"


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
    projections: Changed
    last_seq: int


class Projection(Protocol):
    """State that follows the journal and is kept in tables beside it."""

    name: str

    def apply(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        """Take in one event."""
        ...

    def dirty(self) -> Changed:
        """Rows changed since the last call, by table."""
        ...

    def forget(self) -> None:
        """Take what changed as written: there is no table to keep it in."""
        ...


def chain(prev_hash: bytes, seq: int, ts_ns: int, kind: str, payload: bytes) -> bytes:
    """Hash of a row: SHA-256 over the previous hash, sequence, time, kind, a zero byte and the payload."""
    return sha256(prev_hash + _NUMBERS(seq, ts_ns) + kind.encode() + b"\0" + payload).digest()


def is_well_typed(row: Row) -> bool:
    """Whether a row that was read holds what its fields say: SQLite keeps any type in any column."""
    return (
        type(row.seq) is type(row.ts_ns) is int
        and type(row.kind) is str
        and type(row.payload) is type(row.prev_hash) is type(row.hash) is bytes
    )


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


def _unheard(_code: str, _words: str) -> None:
    """Nobody listens."""


class Recent:
    """The last durable rows of a ledger on a server, in memory. One thread takes, any other looks, and neither waits."""

    def __init__(self, first_seq: int) -> None:
        self._held: tuple[int, list[tuple[int, int, str, bytes, bytes, bytes]]] = (first_seq, [])

    def take(self, rows: list[tuple[int, int, str, bytes, bytes, bytes]]) -> None:
        """Rows that are durable now; the oldest ones go where there are too many."""
        first, held = self._held
        held += rows
        if len(held) > 2 * RECENT_ROWS:
            self._held = (first + len(held) - RECENT_ROWS, held[-RECENT_ROWS:])

    def rows(self, from_seq: int, limit: int) -> list[tuple[int, int, str, bytes, bytes, bytes]] | None:
        """Rows from a number on, none where it is still to come; None where it is older than what is held."""
        first, held = self._held
        start = from_seq - first
        return None if start < 0 else held[start : None if limit < 0 else start + limit]


class Journal:
    """The single writer of a ledger. Open it with :meth:`open` or :meth:`open_memory`."""

    log_bytes = LOG_BYTES

    def __init__(self, connection: Link, place: Place | None, lock: LedgerLock | None) -> None:
        self.place = place
        self.ledger_id = ""
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
        self.log_warn_bytes = LOG_WARN_BYTES
        self.log_bytes_max = LOG_BYTES_MAX
        self.is_new = True
        self.on_trouble: Callable[[str, str], object] = _unheard
        """Called with a code and words about something that a person must know while the journal still works. In any thread."""
        self.is_pressing = False
        """Whether one of :data:`PRESSING` waits to be handed over: do so before the next input, not behind all that came with this one."""
        self.on_waiting: Callable[[], object] | None = None
        """Called when a first row begins to wait: the driver hands it over soon."""
        self._connection = connection
        self._is_log_told = False
        self._kept: KeptRows | None = None
        """Rows of a journal without a file."""
        self._reader: Link | None = None
        self._recent: Recent | None = None
        """Of a ledger on a server."""
        self._lock = lock
        self._pending: list[tuple[int, int, str, bytes, bytes, bytes]] = []
        self._projections: list[Projection] = []
        self._writing = threading.Lock()
        self._noting = threading.Lock()
        """Two threads note the head: one at a time, so that the newer one stays."""

    @classmethod
    def open(cls, place: Place, now_ns: int, new_ledger_id: Callable[[], str], currency: str) -> Self:
        """Open or create the ledger for writing, holding its lock: the kernel's on its file, or the server's.

        Raises:
            StoreLocked, StoreCorrupt, StoreVersion, StoreUnwritable: each with the next step.
        """
        with ExitStack() as undo:
            link, lock = open_link(place)
            if lock is not None:
                undo.callback(lock.release)
            undo.callback(link.close)
            made = cls(link, place, lock)
            made._check_head(place)
            made._start(now_ns, new_ledger_id, currency)
            # At once: a ledger that is lost with its first hour must not be taken for one that never was.
            made.write_head()
            if isinstance(place, ServerPlace):
                made._recent = Recent(made.durable_seq + 1)
            else:
                made.checkpoint()
                grow_log(place, cls.log_bytes)
            made._reader = open_reader(place)
            undo.callback(made._reader.close)
            undo.pop_all()
            return made

    @classmethod
    def open_memory(cls, now_ns: int, ledger_id: str, currency: str) -> Journal:
        """A journal without a file, with the same hashes: for replays that keep no ledger."""
        made = cls(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None), None, None)
        made._kept = KeptRows()
        made.append(now_ns, LedgerOpened(ledger_id=ledger_id, schema=SCHEMA, currency=currency))
        made.commit()
        return made

    def _start(self, now_ns: int, new_ledger_id: Callable[[], str], currency: str) -> None:
        try:
            check_version(self._connection, self.place)
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in create_statements(on_server=isinstance(self.place, ServerPlace)):
                self._connection.execute(statement)
            self._connection.execute("INSERT INTO meta VALUES ('schema', ?) ON CONFLICT DO NOTHING", (str(SCHEMA),))
            self._connection.execute("COMMIT")
            last = self._last()
        except DATABASE_ERRORS as error:
            raise store_error(error, self.place) from None
        if last is not None:
            self.head_seq, self.head_hash = last
            self.durable_seq, self.durable_hash = last
            self.is_new = False
            self.ledger_id = self._id_in_first_row()
            return
        self.ledger_id = new_ledger_id()
        self.append(now_ns, LedgerOpened(ledger_id=self.ledger_id, schema=SCHEMA, currency=currency))
        self.commit()

    def _last(self) -> tuple[int, bytes] | None:
        last = self._connection.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        return None if last is None else (int(last[0]), bytes(last[1]))

    def _id_in_first_row(self) -> str:
        """For the note; a row that does not hold is found when the journal is read."""
        first = self._connection.execute("SELECT payload FROM journal ORDER BY seq LIMIT 1").fetchone()
        try:
            return str(msgspec.json.decode(first[0])["ledger_id"])
        except (msgspec.DecodeError, KeyError, TypeError):
            return ""

    def _check_head(self, place: Place) -> None:
        """Refuse a ledger that ends before what was noted of it: its numbers would be used a second time at the venue."""
        noted = noted_head(place)
        if noted is None:
            return
        try:
            query = "SELECT hash FROM journal WHERE seq = ?"
            is_there = check_version(self._connection, place)
            found = self._connection.execute(query, (noted[0],)).fetchone() if is_there else None
        except DATABASE_ERRORS as error:
            raise store_error(error, place) from None
        if found is None or found[0] != noted[1]:
            note = head_file(place)
            files = note.name if isinstance(place, ServerPlace) else f"{place.name}*"
            msg = (
                f"ledger {place} does not hold row {noted[0]} that {note.name} noted: its tail was cut, or an older copy "
                f"was put back; restore the newest copy, or move {files} away to begin a new ledger"
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
        seq = self.head_seq + 1
        if seq - self.durable_seq > self.pending_max:
            msg = f"{self.pending_max} journal rows wait for the disk; the engine must not run ahead of it"
            raise InvariantError(msg)
        kind, hashed, is_pressing = _NAMED[event.__class__]
        payload, before = encode(event), self.head_hash
        # As in chain(), with what is known of the kind.
        digest = sha256(before + _NUMBERS(seq, ts_ns) + hashed + payload).digest()
        pending = self._pending
        if not pending and self.on_waiting is not None:
            self.on_waiting()
        pending.append((seq, ts_ns, kind, payload, before, digest))
        if is_pressing:
            self.is_pressing = True
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
        self.is_pressing = False
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
                self._kept.append(batch.rows)
                self.durable_seq, self.durable_hash = batch.last_seq, batch.rows[-1][5]
                return batch.last_seq
            try:
                self._put(batch)
            except DATABASE_ERRORS as error:
                found = store_error(error, self.place)
                self.failed = str(found)
                raise found from None
            if self._recent is not None:
                self._recent.take(batch.rows)
            self.durable_seq, self.durable_hash = batch.last_seq, batch.rows[-1][5]
            return batch.last_seq

    def _put(self, batch: Batch) -> None:
        """Commit a batch, once. Where a server does not say whether it did, its last row does, and then it is known."""
        server = as_server(self._connection)
        if server is None:
            return self._transact(batch)
        is_in_doubt = False
        for left in reversed(range(TRIES_MAX)):
            try:
                # The answer about the last row may stay out as the commit's did: a server that restarts twice is no failure.
                return None if is_in_doubt and self._is_written(batch) else self._transact(batch)
            except StoreUnwritable:
                if not server.is_lost or not left:
                    raise
            is_in_doubt = True
            self.on_trouble(
                "SERVER_SILENT", f"the server of ledger {self.place} does not answer; new orders wait until it does"
            )
            server.again()
        return None

    def _is_written(self, batch: Batch) -> bool:
        """Whether the server's last row is the batch's last; it is the one before the batch where it is not.

        Raises:
            StoreLocked: another program wrote.
            StoreCorrupt: rows that the server had confirmed are gone.
        """
        last = self._last() or (0, GENESIS)
        if last == (batch.last_seq, batch.rows[-1][5]):
            return True
        if last == (self.durable_seq, self.durable_hash):
            return False
        if last[0] < self.durable_seq:
            msg = f"ledger {self.place} ends at row {last[0]}, and its server had confirmed row {self.durable_seq}; restore a backup"
            raise StoreCorrupt(msg)
        msg = f"another program wrote row {last[0]} to ledger {self.place}; end it, then start again"
        raise StoreLocked(msg)

    def _transact(self, batch: Batch) -> None:
        link = self._connection
        try:
            link.execute("BEGIN IMMEDIATE")
            link.executemany(INSERT, batch.rows)
            for name, rows in batch.projections:
                link.executemany(upsert(name), rows)
            link.execute("COMMIT")
        finally:
            if link.in_transaction:
                # Not a second try: what failed is given up, so that nobody else waits for its lock.
                with suppress(*DATABASE_ERRORS):
                    link.execute("ROLLBACK")

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
            if not self.failed and isinstance(self._connection, sqlite3.Connection) and isinstance(self.place, Path):
                try:
                    self._look_at_log(self.place, fold_log(self._connection))
                except SQLITE_ERRORS as error:
                    self.give_up(error)
            self.checkpointed_seq = self.durable_seq

    def fold(self, link: sqlite3.Connection) -> None:
        """The same by a connection of its own, while commits go on. They wait only while the little is folded that they added
        meanwhile, because the log begins anew only where all of it is in the file.

        In a thread of its own. Raises sqlite3.Error.
        """
        assert isinstance(self.place, Path)
        seq = self.durable_seq
        size = fold_log(link)
        if not size and self.durable_seq != seq:
            with self._writing:
                seq = self.durable_seq
                size = fold_log(link)
        self._look_at_log(self.place, size)
        self.checkpointed_seq = seq

    def give_up(self, error: sqlite3.Error | UnicodeDecodeError) -> None:
        """Take nothing more: the store failed elsewhere than in a commit."""
        self.failed = str(store_error(error, self.place))

    def _look_at_log(self, place: Path, size: int) -> None:
        """A log that cannot be folded is told once, and bounded."""
        if size < self.log_warn_bytes:
            self._is_log_told = False
            return
        readers = log_readers(place)
        who = f"process {', '.join(map(str, readers))} reads" if readers else "another program reads"
        words = f"the write-ahead log of ledger {place} holds {size // 2**20} MiB because {who} it in one long transaction; end that"
        if size >= self.log_bytes_max:
            self.failed = f"{words}, then start again (no more is taken at {self.log_bytes_max // 2**20} MiB)"
        elif not self._is_log_told:
            self._is_log_told = True
            self.on_trouble("LOG_HELD", f"{words}: at {self.log_bytes_max // 2**20} MiB trading stops")

    def write_head(self) -> bool:
        """Note the durable head beside the ledger, so that a cut tail is found; False where that could not be written.

        The note may be behind the ledger (an engine was killed), never ahead: it is written after the rows are on disk.
        A failed note harms nothing that is booked, so it does not fail the journal.
        """
        if self.place is None or self.failed:
            return False
        with self._noting:
            with self._writing:
                head = self.durable_seq, self.durable_hash
            return note_head(self.place, head, self.ledger_id)

    def read(self, from_seq: int = 1, limit: int = -1) -> Iterator[Row]:
        """Durable rows, oldest first, each checked against its hash and the row before it.

        A file is read by a connection of its own: a commit that hangs on the disk does not hold up who reads.

        Raises:
            StoreCorrupt: naming the first row that does not hold.
        """
        seq, prev_hash = from_seq - 1, GENESIS if from_seq == 1 else None
        guard = self._writing if self._reader is None else None
        try:
            kept = self._rows_kept(from_seq, limit)
            for row in pages(self._reader or self._connection, from_seq, limit, guard) if kept is None else kept:
                faults = row_faults(row, seq, row.prev_hash if prev_hash is None else prev_hash)
                if faults:
                    raise StoreCorrupt(f"ledger {self.place}: {faults[0]}; run `bolt ledger verify`, restore a backup")
                seq, prev_hash = row.seq, row.hash
                yield row
        except DATABASE_ERRORS as error:
            raise store_error(error, self.place) from None

    def _rows_kept(self, from_seq: int, limit: int) -> list[Row] | None:
        """Rows from memory; None where the store must be asked."""
        if self._recent is not None:
            rows = self._recent.rows(from_seq, limit)
        elif self._kept is not None:
            rows = self._kept.rows(from_seq, limit)
        else:
            return None
        return None if rows is None else [Row(*row) for row in rows]

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


def pages(connection: Link, from_seq: int, limit: int = -1, guard: threading.Lock | None = None) -> Iterator[Row]:
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


def read_journal(place: Place, from_seq: int = 1, limit: int = -1) -> Iterator[Row]:
    """Rows of a ledger, from another process, also while an engine writes."""
    connection = open_reader(place)
    try:
        yield from pages(connection, from_seq, limit)
    except DATABASE_ERRORS as error:
        raise store_error(error, place) from None
    finally:
        connection.close()
