"""Proofs over a ledger from outside: the chain, the head, the projections; and its export."""

from __future__ import annotations

import gc
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import msgspec

from engine.domain.errors import BoltError, StoreCorrupt
from engine.domain.events import decode_event, kind_of
from engine.domain.ledger_events import LedgerOpened
from engine.store.alike import says_the_same
from engine.store.connection import SQLITE_ERRORS
from engine.store.head import noted_head
from engine.store.journal import GENESIS, Projection, Row, is_well_typed, pages, read_journal, row_faults
from engine.store.link import DATABASE_ERRORS, Link, open_link, open_reader, store_error
from engine.store.place import Place, ServerPlace
from engine.store.statements import COLUMNS, PROJECTIONS, Values, create_statements, key_of, upsert

FINDINGS_MAX = 20
WRITE_ROWS = 10_000
"""Journal rows between two writes of what they changed."""

MakeProjections = Callable[[], Sequence[Projection]]


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What :func:`verify` found."""

    ok: bool
    rows: int
    head_seq: int
    head_hash: str
    ledger_id: str
    findings: tuple[str, ...] = ()
    """Each fault with its row, bounded to the first twenty."""


def verify(path: Place, make: MakeProjections, expected_head: tuple[int, bytes] | None = None) -> VerifyReport:
    """Check every row's hash and link, the noted head, and each projection table against a rebuild.

    ``expected_head`` is a row number and its hash kept by the caller, beside the one noted with the ledger. A ledger that an
    engine writes at the same time, and one whose engine was killed, verify like any other: a killed append is in the file as
    a whole or not at all.
    """
    walk = _Walk(make())
    try:
        walk.heads = [head for head in (noted_head(path), expected_head) if head is not None]
        with closing(open_reader(path)) as connection, uncollected():
            for row in pages(connection, 1):
                walk.take(row)
                if len(walk.findings) >= FINDINGS_MAX:
                    break
            walk.findings += walk.head_faults()
            if not walk.findings:
                walk.findings += _against_tables(connection, walk) + _file_faults(connection)
    except SQLITE_ERRORS as error:
        walk.findings.append(str(store_error(error, path)))
    except BoltError as error:
        walk.findings.append(str(error))
    return VerifyReport(
        ok=not walk.findings,
        rows=walk.seq,
        head_seq=walk.seq,
        head_hash=walk.hash.hex(),
        ledger_id=walk.ledger_id,
        findings=tuple(walk.findings[:FINDINGS_MAX]),
    )


class _Walk:
    """A way along the chain, with projections that follow it as long as it holds."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self.projections = projections
        self.findings: list[str] = []
        self.seq, self.hash, self.ledger_id = 0, GENESIS, ""
        self.heads: list[tuple[int, bytes]] = []
        self._seen: dict[int, bytes] = {}

    def take(self, row: Row) -> None:
        """The next row."""
        faults = row_faults(row, self.seq, self.hash)
        if faults:
            self.findings += faults
            if not is_well_typed(row):
                return
        self.seq, self.hash = row.seq, row.hash
        for seq, _ in self.heads:
            if row.seq == seq:
                self._seen[seq] = row.hash
        if self.findings:
            return
        event = decode_event(row.payload)
        if row.kind != kind_of(event):
            self.findings.append(f"row {row.seq} says it is {row.kind}, its payload is {kind_of(event)}")
        if isinstance(event, LedgerOpened) != (row.seq == 1):
            self.findings.append(f"row {row.seq} is {row.kind}; ledger_opened is always the first row and only that")
        self.ledger_id = self.ledger_id or getattr(event, "ledger_id", "")
        for projection in self.projections:
            projection.apply(row.seq, row.ts_ns, event)

    def head_faults(self) -> list[str]:
        """What does not fit to the heads kept outside the file."""
        if not self.seq:
            return ["there is no row: the first one, which every ledger has, was removed"]
        found = []
        for seq, digest in self.heads:
            if seq > self.seq:
                found.append(f"the tail was cut: the noted head is row {seq}, the last row is {self.seq}")
            elif self._seen.get(seq) != digest:
                found.append(f"row {seq} is not the one whose hash was noted: the file was replaced")
        return found


def _file_faults(link: Link) -> list[str]:
    """Damage where no row was read: in the indexes of a file. A server has checksums of its own."""
    if not isinstance(link, sqlite3.Connection):
        return []
    said = link.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return [] if said == "ok" else [f"the file is damaged ({' '.join(str(said).split())}); keep it, restore a backup"]


def _against_tables(connection: Link, walk: _Walk) -> list[str]:
    """Rows that came meanwhile and the tables, in one picture: an engine may be writing both."""
    connection.execute("BEGIN")
    for row in list(pages(connection, walk.seq + 1)):
        walk.take(row)
    if walk.findings:
        return []
    wanted = projected_rows(walk.projections)
    found = []
    for name in PROJECTIONS:
        key_in = key_of(name)
        words = ", ".join(f'"{column}"' for column in COLUMNS[name])
        here = {key_in(row): row for row in map(tuple, connection.execute(f"SELECT {words} FROM {name}"))}  # noqa: S608 - our own names
        rebuilt = {key_in(row): row for row in wanted[name]}
        for key in sorted(set(here) | set(rebuilt), key=repr):
            kept, made = here.get(key), rebuilt.get(key)
            if kept is None or made is None or not says_the_same(name, kept, made):
                found.append(f"table {name}: row {'/'.join(map(str, key))} differs from the journal")
    connection.execute("COMMIT")
    return found


def projected_rows(projections: Sequence[Projection]) -> dict[str, list[Values]]:
    """The last state of every projection row that was touched, by table."""
    rows: dict[str, dict[tuple[Any, ...], Values]] = {name: {} for name in PROJECTIONS}
    for projection in projections:
        for name, changed in projection.dirty():
            rows[name].update(zip(map(key_of(name), changed), changed, strict=True))
    return {name: list(held.values()) for name, held in rows.items()}


def rebuild(path: Place, make: MakeProjections) -> int:
    """Make every projection table anew from the journal, holding the ledger's lock; the number of journal rows.

    Rows of the tables are written as the journal is read, in one transaction, so that a long journal is not held twice.

    Raises:
        StoreLocked: an engine holds the ledger.
        StoreCorrupt: the chain does not hold; the tables stay as they are.
    """
    open_reader(path).close()
    with ExitStack() as held:
        link, lock = open_link(path)
        if lock is not None:
            held.callback(lock.release)
        held.callback(link.close)
        held.enter_context(uncollected())
        walk = _Walk(make())
        try:
            link.execute("BEGIN IMMEDIATE")
            for statement in create_statements(on_server=isinstance(path, ServerPlace)):
                link.execute(statement)
            for name in PROJECTIONS:
                link.execute(f"DELETE FROM {name}")  # noqa: S608 - our own table name
            for row in read_journal(path):
                walk.take(row)
                if walk.findings:
                    raise StoreCorrupt(f"ledger {path}: {walk.findings[0]}; nothing was made from it, restore a backup")
                if row.seq % WRITE_ROWS == 0:
                    _write_dirty(link, walk.projections)
            _write_dirty(link, walk.projections)
            link.execute("COMMIT")
        except DATABASE_ERRORS as error:
            raise store_error(error, path) from None
        finally:
            if link.in_transaction:
                with suppress(*DATABASE_ERRORS):
                    link.execute("ROLLBACK")
        return walk.seq


def _write_dirty(link: Link, projections: Sequence[Projection]) -> None:
    for projection in projections:
        for name, rows in projection.dirty():
            link.executemany(upsert(name), rows)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the cyclic collector: it would look again and again through millions of objects that form no cycle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def shown(path: Place, from_seq: int = 1, limit: int = -1) -> Iterator[dict[str, Any]]:
    """Rows for people and programs: the payload as an object."""
    for row in read_journal(path, from_seq, limit):
        yield {
            "seq": row.seq,
            "ts_ns": row.ts_ns,
            "kind": row.kind,
            "hash": row.hash.hex(),
            "payload": msgspec.json.decode(row.payload),
        }


def last_seq(path: Place) -> int:
    """Number of the last row; 0 where there is none."""
    connection = open_reader(path)
    try:
        found = connection.execute("SELECT max(seq) FROM journal").fetchone()[0]
    except DATABASE_ERRORS as error:
        raise store_error(error, path) from None
    finally:
        connection.close()
    return int(found or 0)


def state_hash(projections: Sequence[Projection]) -> str:
    """SHA-256 over the canonical text of every row that fresh projections made: equal states, equal hash.

    It takes the rows with it (``dirty``): give it projections that followed the journal from row 1 for this purpose.
    """
    digest = hashlib.sha256()
    for name, rows in sorted(projected_rows(projections).items()):
        named = [msgspec.json.encode(dict(zip(COLUMNS[name], row, strict=True)), order="sorted") for row in rows]
        for words in sorted(named):
            digest.update(name.encode() + b"\0" + words + b"\n")
    return digest.hexdigest()
