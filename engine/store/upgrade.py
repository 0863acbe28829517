"""A ledger file that an older Bolt wrote, brought to the tables of this one: backed up first, its journal untouched.

Journal rows are never changed (their bytes are hashed; old payloads are read by upcasters). What changes between versions are projections, and
those are made again from the journal.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from engine.domain.errors import StoreUnwritable, StoreVersion
from engine.store.connection import SQLITE_ERRORS, open_writer, store_error
from engine.store.lock import LedgerLock
from engine.store.statements import PROJECTIONS, SCHEMA
from engine.store.verify import MakeProjections, rebuild


class Upgraded(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    before: str
    """Schema that the file had."""
    rows: int
    backup: str
    """The copy of the file as it was."""


def upgrade(path: Path, make: MakeProjections) -> Upgraded:
    """Back a ledger file up beside itself, make its projections anew in the tables of this Bolt, and note its schema.

    Raises:
        StoreLocked: an engine holds it.
        StoreVersion: a newer Bolt wrote it, or it is no ledger.
        StoreCorrupt: its chain does not hold; the file is as the backup then, but for empty projections.
        StoreUnwritable: it is not there, or the backup cannot be written or is there already.
    """
    if not path.is_file():
        raise StoreUnwritable(f"there is no ledger at {path}; name one with --ledger")
    lock = LedgerLock(path)
    try:
        with closing(open_writer(path)) as link:
            before = _schema(link, path)
            kept = _backup(link, path, before)
            link.execute("BEGIN IMMEDIATE")
            for name in PROJECTIONS:
                link.execute(f"DROP TABLE IF EXISTS {name}")
            link.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (str(SCHEMA),))
            link.execute("COMMIT")
    except SQLITE_ERRORS as error:
        raise store_error(error, path) from None
    finally:
        lock.release()
    return Upgraded(before=before, rows=rebuild(path, make), backup=str(kept))


def _schema(link: sqlite3.Connection, path: Path) -> str:
    names = {name for (name,) in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    found = link.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone() if "meta" in names else None
    if "journal" not in names or found is None or not str(found[0]).isdigit():
        raise StoreVersion(f"{path} is no ledger: it has no journal, or no schema; give another path")
    if int(found[0]) > SCHEMA:
        raise StoreVersion(
            f"ledger {path} has schema {found[0]}, a newer Bolt wrote it; this one reads schema {SCHEMA}: install that Bolt again"
        )
    return str(found[0])


def _backup(link: sqlite3.Connection, path: Path, before: str) -> Path:
    kept = path.with_name(f"{path.name}.schema{before}.bak")
    try:
        with kept.open("xb"):
            kept.chmod(0o600)
    except FileExistsError:
        raise StoreUnwritable(
            f"{kept} is there already: an upgrade was begun before; move it away, then ask again"
        ) from None
    except OSError as error:
        raise StoreUnwritable(f"{kept} cannot be written: {error.strerror}") from None
    with closing(sqlite3.connect(kept)) as target:
        link.backup(target)
    return kept
