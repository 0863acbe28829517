"""Copies of a ledger while an engine writes it: whole, to be opened like any other, or by day, as files that prove themselves."""

from __future__ import annotations

import gzip
import io
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import msgspec

from engine.domain.clock import NS_PER_S, iso, parse_iso
from engine.domain.errors import InputError, SettingsError, StoreCorrupt, StoreUnwritable
from engine.domain.events import decode_event
from engine.store.connection import SQLITE_ERRORS
from engine.store.export import Torn, records, write_rows
from engine.store.head import note_head
from engine.store.journal import GENESIS, INSERT, PAGE_ROWS, Projection, Row, read_journal, row_faults
from engine.store.link import DATABASE_ERRORS, as_server, check_version, is_there, open_link, open_reader, store_error
from engine.store.place import Place, head_file
from engine.store.statements import SCHEMA, create_statements, upsert

DAY_CHARS = 10


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that was made: how far it goes."""

    rows: int
    head_hash: str


def backup(place: Place, target: Place, make: Callable[[], Sequence[Projection]]) -> Copied:
    """Copy a ledger as of one moment to a new file, or to an empty database or schema of a server; its head is noted beside it.

    Raises:
        SettingsError: the target is there already.
        StoreError: the ledger cannot be read, its chain does not hold, or the target cannot be written; nothing is left of it then.
    """
    if is_there(target):
        msg = f"there is a ledger at {target} already; name a new file, or an empty database or schema"
        raise SettingsError(msg)
    with ExitStack() as undo:
        if isinstance(place, Path) and isinstance(target, Path):
            copied = _copy_file(place, target, undo)
        else:
            copied = _copy_rows(place, target, make, undo)
        undo.pop_all()
    return copied


def _copy_file(place: Path, target: Path, undo: ExitStack) -> Copied:
    """SQLite's own copy, page by page under one read transaction: seconds for a gigabyte."""
    fresh = target.with_name(f"{target.name}.part")
    try:
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        undo.callback(fresh.unlink, missing_ok=True)
        with closing(open_reader(place)) as source, closing(sqlite3.connect(fresh, isolation_level=None)) as copy:
            assert isinstance(source, sqlite3.Connection)
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing of it in a log beside it
            first = copy.execute("SELECT payload FROM journal ORDER BY seq LIMIT 1").fetchone()
            last = copy.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        if last is None:
            msg = f"ledger {place} has no row; there is nothing to copy"
            raise StoreCorrupt(msg)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(target)
        _sync_folder(target.parent)
    except SQLITE_ERRORS as error:
        # The source is only read: a disk without room, or one that takes nothing, is the copy's.
        name = getattr(error, "sqlite_errorname", "") or ""
        is_copys = name.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE"))
        raise store_error(error, target if is_copys else place) from None
    except OSError as error:
        msg = f"{target} cannot be written: {error.strerror}; name a new file in a folder that is there"
        raise StoreUnwritable(msg) from None
    note_head(target, (last[0], last[1]), str(getattr(decode_event(first[0]), "ledger_id", "")))
    return Copied(rows=last[0], head_hash=last[1].hex())


def _copy_rows(place: Place, target: Place, make: Callable[[], Sequence[Projection]], undo: ExitStack) -> Copied:
    """Row by row between two kinds of store: the same bytes, the chain checked on the way, the tables worked out anew."""
    projections = make()
    link, lock = open_link(target)
    if isinstance(target, Path):
        for path in (target, head_file(target), *(target.with_name(f"{target.name}{end}") for end in ("-wal", "-shm"))):
            undo.callback(path.unlink, missing_ok=True)
    with ExitStack() as held:
        if lock is not None:
            held.callback(lock.release)
            undo.callback(lock.path.unlink, missing_ok=True)
        held.callback(link.close)
        ledger_id, head = "", (0, GENESIS)
        try:
            check_version(link, target)
            link.execute("BEGIN IMMEDIATE")
            for statement in create_statements(on_server=as_server(link) is not None):
                link.execute(statement)
            link.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
            for page in _pages(_checked(place)):
                link.executemany(INSERT, [(r.seq, r.ts_ns, r.kind, r.payload, r.prev_hash, r.hash) for r in page])
                for row in page:
                    event = decode_event(row.payload)
                    ledger_id = ledger_id or str(getattr(event, "ledger_id", ""))
                    for projection in projections:
                        projection.apply(row.seq, row.ts_ns, event)
                head = page[-1].seq, page[-1].hash
            for projection in projections:
                for name, rows in projection.dirty():
                    link.executemany(upsert(name), rows)
            link.execute("COMMIT")
        except DATABASE_ERRORS as error:
            with suppress(*DATABASE_ERRORS):
                if link.in_transaction:
                    link.execute("ROLLBACK")
            raise store_error(error, target) from None
    note_head(target, head, ledger_id)
    return Copied(rows=head[0], head_hash=head[1].hex())


def _checked(place: Place, from_seq: int = 1, prev_hash: bytes = GENESIS) -> Iterator[Row]:
    """Rows from one on, each against its hash and the row before it; raises StoreCorrupt at the first that does not hold."""
    seq = from_seq - 1
    for row in read_journal(place, from_seq):
        faults = row_faults(row, seq, prev_hash)
        if faults:
            msg = f"ledger {place}: {faults[0]}; nothing was made from it, restore a backup"
            raise StoreCorrupt(msg)
        seq, prev_hash = row.seq, row.hash
        yield row


def _pages(rows: Iterable[Row]) -> Iterator[list[Row]]:
    page: list[Row] = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE_ROWS:
            yield page
            page = []
    if page:
        yield page


# -- by day ------------------------------------------------------------------------------------------------------------


class DayFile(msgspec.Struct, frozen=True, kw_only=True):
    """One day that was archived."""

    path: str
    first_seq: int
    last_seq: int


def archive(place: Place, folder: Path, today: str) -> list[DayFile]:
    """Write each day (UTC) before ``today`` that is not in the folder yet, as ``YYYY-MM-DD.jsonl.gz``; the ledger keeps its rows.

    Rows stay in their order: where a clock went back, rows are in the file of the day that had begun. The same rows make the same
    bytes. Each file goes on where the one before it ended, and what was archived is compared with the ledger first.

    Raises:
        StoreError: the ledger cannot be read, does not hold, or is not the one of these files.
        InputError: the folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        last_day, seq, digest = _archived(folder)
        if seq:
            found = next(iter(read_journal(place, seq, 1)), None)
            if found is None or found.hash != digest:
                msg = f"row {seq}, the last one in {folder}, is not ledger {place}'s: one of them was replaced; archive to another folder"
                raise StoreCorrupt(msg)
        made = []
        for day, rows in _by_day(_checked(place, seq + 1, digest), last_day):
            if day >= today:
                break
            made.append(_write_day(folder / f"{day}.jsonl.gz", rows))
        return made
    except OSError as error:
        msg = f"{folder} cannot be used ({error.strerror}); name a folder on a disk with room"
        raise InputError(msg) from None


def _archived(folder: Path) -> tuple[str, int, bytes]:
    """Day, number and hash of the last archived row."""
    files = sorted(folder.glob("????-??-??.jsonl.gz"))
    if not files:
        return "", 0, GENESIS
    last = None
    for last in records(files[-1]):
        if isinstance(last, Torn):
            break
    if not isinstance(last, dict):
        msg = f"{files[-1]} does not end with a whole record; remove it, and it is written again"
        raise InputError(msg)
    try:
        return files[-1].name[:DAY_CHARS], int(last["seq"]), bytes.fromhex(last["hash"])
    except (KeyError, ValueError, TypeError):
        msg = f"{files[-1]} was changed; remove it, and it is written again"
        raise InputError(msg) from None


def _by_day(rows: Iterator[Row], last_day: str) -> Iterator[tuple[str, list[Row]]]:
    day, held = "", list[Row]()
    for row in rows:
        new = iso(row.ts_ns)[:DAY_CHARS]
        if held and new > day:
            yield day, held
            held = []
        if not held:
            day = max(new, day, _day_after(last_day)) if last_day else max(new, day)
        held.append(row)
    if held:
        yield day, held


def _day_after(day: str) -> str:
    return iso(parse_iso(f"{day}T00:00:00Z") + 86_400 * NS_PER_S)[:DAY_CHARS]


def _write_day(path: Path, rows: list[Row]) -> DayFile:
    fresh = path.with_name(f"{path.name}.part")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as out,
        ):
            write_rows(rows, out, "jsonl")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)
    return DayFile(path=str(path), first_seq=rows[0].seq, last_seq=rows[-1].seq)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
