"""A connection to a ledger wherever it is kept: SQLite's own, or one with its face to a server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.domain.errors import SettingsError, StoreCorrupt, StoreError, StoreUnwritable, StoreVersion
from engine.store import connection as sqlite
from engine.store.lock import LedgerLock
from engine.store.lock import holder_of as file_holder_of
from engine.store.log_check import log_fault
from engine.store.place import Place, ServerPlace
from engine.store.statements import SCHEMA

if TYPE_CHECKING:
    from engine.store.postgres import ServerLink

DATABASE_ERRORS = (*sqlite.SQLITE_ERRORS, StoreError)
"""What a link raises; :func:`store_error` makes each the ledger's own."""


class Link(Protocol):
    """What the journal and its readers use of a connection."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def execute(self, words: str, values: Any = ..., /) -> Any:
        """Carry out one statement; its cursor."""
        ...

    def executemany(self, words: str, rows: Any, /) -> Any:
        """Carry out one statement for each row."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


def open_link(place: Place) -> tuple[Link, LedgerLock | None]:
    """The one writer's connection, and the lock where it is not the connection's own. As :meth:`Journal.open` raises."""
    if isinstance(place, ServerPlace):
        return _server().open_server_writer(place), None
    lock = LedgerLock(place)
    try:
        _refuse_lost(place)
        return sqlite.open_writer(place), lock
    except StoreError:
        lock.release()
        raise


def open_reader(place: Place) -> Link:
    """A read-only connection for another process; raises StoreError where there is no ledger."""
    if not isinstance(place, ServerPlace):
        # SQLite's first reader after a crash makes the log's index anew, and with it goes what the old one told.
        if not file_holder_of(place):
            _refuse_lost(place, lambda: not file_holder_of(place))
        return sqlite.open_reader(place, check_version)
    link: Link = _server().ServerLink(place, is_writer=False)
    try:
        if not check_version(link, place):
            msg = f"there is no ledger at {place}; start Bolt once, or name another with --ledger"
            raise StoreUnwritable(msg)
    except StoreError:
        link.close()
        raise
    return link


def _refuse_lost(path: Path, is_still_closed: Callable[[], bool] = lambda: True) -> None:
    """Raise StoreCorrupt where commits that were on disk are gone from the log. What cannot be read is for SQLite to tell."""
    try:
        fault = log_fault(path)
    except OSError:
        return
    if fault and is_still_closed():
        msg = (
            f"ledger {path} has lost rows that were on disk: {fault}; keep {path.name}*, and restore a backup without "
            f"the {path.name}-wal and -shm that lie there"
        )
        raise StoreCorrupt(msg)


def is_there(place: Place) -> bool:
    """Whether there is a ledger to be read. Raises StoreError where that cannot be told."""
    if not isinstance(place, ServerPlace):
        return place.exists()
    with closing(_server().ServerLink(place, is_writer=False)) as link:
        return check_version(link, place)


def holder_of(place: Place) -> int:
    """Process that holds a ledger now; 0 where nobody does, -1 where the holder is not known. Raises StoreError."""
    if not isinstance(place, ServerPlace):
        return file_holder_of(place)
    with closing(_server().ServerLink(place, is_writer=False)) as link:
        return int(link.holder())


def as_server(link: Link) -> ServerLink | None:
    """The link, where it is one to a server."""
    return link if hasattr(link, "again") else None  # type: ignore[return-value] # its module is loaded only where it is used


def check_version(link: Link, place: Place | None) -> bool:
    """Whether a ledger is there; raises StoreVersion where something else is, or a ledger that this Bolt does not read."""
    if isinstance(place, ServerPlace):
        ask = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        found, what = link.execute(ask), "a schema with tables of its own"
    else:
        found, what = link.execute("SELECT name FROM sqlite_master WHERE type = 'table'"), "a database"
    names = {name for (name,) in found}
    if not names:
        return False
    if "meta" not in names or "journal" not in names:
        todo = "give an empty database or schema" if isinstance(place, ServerPlace) else "give another path"
        msg = f"{place} is {what} but no ledger (it has no journal); {todo}"
        raise StoreVersion(msg)
    version = link.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    if version is None or version[0] != str(SCHEMA):
        msg = f"ledger {place} has schema {version[0] if version else 'none'}; this Bolt reads schema {SCHEMA}; use the Bolt that wrote it"
        if version and str(version[0]).isdigit() and int(version[0]) < SCHEMA and not isinstance(place, ServerPlace):
            msg += ", or `bolt ledger upgrade`, which backs it up first"
        raise StoreVersion(msg)
    return True


def store_error(error: Exception, place: Place | None) -> StoreError:
    """The error of ours that says what a database error means for the person."""
    if isinstance(error, StoreError):
        return error
    assert isinstance(error, sqlite.SQLITE_ERRORS)
    assert not isinstance(place, ServerPlace)
    return sqlite.store_error(error, place)


def _server() -> Any:
    """The module of servers; raises SettingsError where its library is not installed."""
    try:
        from engine.store import postgres
    except ImportError as error:
        msg = f"a ledger on PostgreSQL needs the extra 'pg' ({error}); install it: pip install 'bolt-tui[pg]'"
        raise SettingsError(msg) from None
    return postgres
