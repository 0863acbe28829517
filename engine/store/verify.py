"""Proofs over a ledger from outside: the chain, the head, the projections; and its export."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec
import yaml

from engine.domain.errors import StoreCorrupt, StoreError
from engine.domain.events import decode_event
from engine.store.journal import GENESIS, Projection, chain, open_reader, read_journal, store_error
from engine.store.lock import LedgerLock
from engine.store.tables import PROJECTIONS, table, upsert

FINDINGS_MAX = 20

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


def verify(path: Path, make: MakeProjections) -> VerifyReport:
    """Check every row's hash and link, the noted head, and each projection table against a rebuild.

    A killed append leaves no trace to find: it is either in the file as a whole or not at all.
    """
    findings: list[str] = []
    projections = make()
    prev, seq, ledger_id = GENESIS, 0, ""
    heads: dict[int, bytes] = {}
    noted = noted_head(path)
    try:
        for row in read_journal(path):
            if not all(isinstance(part, bytes) for part in (row.payload, row.prev_hash, row.hash)):
                findings.append(f"row {row.seq} ({row.kind}) was changed: its columns have other types")
                break
            if row.seq != seq + 1:
                findings.append(f"row {seq + 1} is missing: the next one is {row.seq}")
            if row.prev_hash != prev:
                findings.append(f"row {row.seq} is not chained to the row before it")
            if chain(row.prev_hash, row.seq, row.ts_ns, row.kind, row.payload) != row.hash:
                findings.append(f"row {row.seq} ({row.kind}) was changed: its hash does not match its content")
            if len(findings) >= FINDINGS_MAX:
                break
            seq, prev = row.seq, row.hash
            if noted is not None and seq == noted[0]:
                heads[seq] = prev
            if not findings:
                event = decode_event(row.payload)
                ledger_id = ledger_id or getattr(event, "ledger_id", "")
                for projection in projections:
                    projection.apply(row.seq, row.ts_ns, event)
        findings += _head_faults(noted, seq, heads)
        if not findings:
            findings += _projection_faults(path, projections)
    except StoreError as error:
        findings.append(str(error))
    return VerifyReport(
        ok=not findings,
        rows=seq,
        head_seq=seq,
        head_hash=prev.hex(),
        ledger_id=ledger_id,
        findings=tuple(findings[:FINDINGS_MAX]),
    )


def noted_head(path: Path) -> tuple[int, bytes] | None:
    """The head that was noted beside the ledger; None where there is no such file."""
    try:
        seq, digest = path.with_name(f"{path.name}.head").read_text(encoding="ascii").split()
        return int(seq), bytes.fromhex(digest)
    except FileNotFoundError:
        return None
    except (ValueError, OSError):
        msg = f"the noted head {path.name}.head cannot be read; it was changed"
        raise StoreCorrupt(msg) from None


def _head_faults(noted: tuple[int, bytes] | None, seq: int, heads: dict[int, bytes]) -> list[str]:
    if noted is None:
        return []
    if noted[0] > seq:
        return [f"the tail was cut: the noted head is row {noted[0]}, the last row is {seq}"]
    if heads.get(noted[0]) != noted[1]:
        return [f"row {noted[0]} is not the one whose hash was noted: the file was replaced"]
    return []


def _projection_faults(path: Path, projections: Sequence[Projection]) -> list[str]:
    wanted = projected_rows(projections)
    connection = open_reader(path)
    found = []
    try:
        connection.row_factory = sqlite3.Row
        for name in PROJECTIONS:
            keys = [column.name for column in table(name).primary_key.columns]
            here = {tuple(row[key] for key in keys): dict(row) for row in connection.execute(f"SELECT * FROM {name}")}  # noqa: S608 - our own table name
            rebuilt = {tuple(row[key] for key in keys): row for row in wanted[name]}
            for key in sorted(set(here) | set(rebuilt)):
                if here.get(key) != rebuilt.get(key):
                    found.append(f"table {name}: row {'/'.join(map(str, key))} differs from the journal")
    except sqlite3.Error as error:
        raise store_error(error, path) from None
    finally:
        connection.close()
    return found


def projected_rows(projections: Sequence[Projection]) -> dict[str, list[dict[str, Any]]]:
    """The last state of every projection row that was touched, by table."""
    rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {name: {} for name in PROJECTIONS}
    for projection in projections:
        for name, changed in projection.dirty():
            keys = [column.name for column in table(name).primary_key.columns]
            for row in changed:
                rows[name][tuple(row[key] for key in keys)] = row
    return {name: list(held.values()) for name, held in rows.items()}


def rebuild(path: Path, make: MakeProjections) -> int:
    """Make every projection table anew from the journal, holding the ledger's lock; the number of journal rows."""
    lock = LedgerLock(path)
    try:
        projections = make()
        count = 0
        for row in read_journal(path):
            event = decode_event(row.payload)
            for projection in projections:
                projection.apply(row.seq, row.ts_ns, event)
            count += 1
        wanted = projected_rows(projections)
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            for name in PROJECTIONS:
                connection.execute(f"DELETE FROM {name}")  # noqa: S608 - our own table name
                connection.executemany(upsert(name), wanted[name])
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise store_error(error, path) from None
        finally:
            connection.close()
        return count
    finally:
        lock.release()


def shown(path: Path, from_seq: int = 1, limit: int = -1) -> Iterator[dict[str, Any]]:
    """Rows for people and programs: the payload as an object."""
    for row in read_journal(path, from_seq, limit):
        yield {
            "seq": row.seq,
            "ts_ns": row.ts_ns,
            "kind": row.kind,
            "hash": row.hash.hex(),
            "payload": msgspec.json.decode(row.payload),
        }


def last_seq(path: Path) -> int:
    """Number of the last row; 0 where there is none."""
    connection = open_reader(path)
    try:
        found = connection.execute("SELECT max(seq) FROM journal").fetchone()[0]
    except sqlite3.Error as error:
        raise store_error(error, path) from None
    finally:
        connection.close()
    return int(found or 0)


def export(path: Path, out: TextIO, form: str) -> int:
    """Write the journal as ``jsonl`` or ``yaml`` (text quoted, so that no reader turns an id into a number); the rows."""
    count = 0
    for row in shown(path):
        if form == "jsonl":
            out.write(msgspec.json.encode(row).decode() + "\n")
        else:
            out.write(yaml.safe_dump([row], default_style='"', sort_keys=True, allow_unicode=False))
        count += 1
    return count


def state_hash(projections: Sequence[Projection]) -> str:
    """SHA-256 over the canonical text of all touched projection rows: equal states, equal hash."""
    digest = hashlib.sha256()
    for name, rows in sorted(projected_rows(projections).items()):
        for row in sorted(rows, key=lambda item: msgspec.json.encode(item, order="sorted")):
            digest.update(name.encode() + b"\0" + msgspec.json.encode(row, order="sorted") + b"\n")
    return digest.hexdigest()
