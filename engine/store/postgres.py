"""A ledger on PostgreSQL: one connection, used as the journal uses SQLite's, and what a server's error means for a person.

Imported only where a URL names a server: psycopg is an extra. Nothing waits for the server without an end: each step of an
answer has its time, and what did not answer is :class:`Unanswered`. For a writer that is no failure yet, and no success.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.abc import PQGen

from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.errors import StoreCorrupt, StoreError, StoreLocked, StoreUnwritable, StoreVersion
from engine.store.place import ServerPlace
from engine.store.statements import marked

WRITER_ANSWER_S = 10.0
"""How long one step of an answer may take before a commit counts as unanswered."""
READER_ANSWER_S = 2.0
CONNECT_S = 3
AGAIN_S = 20.0
"""How long a writer that lost its server tries to reach it again: a restart of the server, not a night."""
LOCK_S = 2.0
"""How long a start waits for the lock: the server may not have noticed yet that its last holder was killed."""
LOCK_TIMEOUT_MS = 2_000
PAUSE_S = 0.05
_LOCK_SPACE = 0x426F6C74
"""Bolt's half of the advisory lock's key; the other half is the schema, so that each may hold a ledger of its own."""
_LOCK_KEY = f"({_LOCK_SPACE}::bigint << 32) | current_schema()::regnamespace::oid::bigint"
_HOLDER = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND l.classid = %s AND l.objid = current_schema()::regnamespace::oid
"""
_BEGIN = {"BEGIN IMMEDIATE": "BEGIN"}
_SILENT = ("08", "57P01", "57P02", "57P03", "57P05")
"""Connection exceptions and shutdowns: whether the last words were carried out is not known."""


class Unanswered(StoreUnwritable):
    """The server did not answer, or the line to it broke: what was asked last may have happened or not."""


class _Line(psycopg.Connection[Any]):
    """A connection that waits for each step of an answer for so long and no longer."""

    answer_s = READER_ANSWER_S

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, self.answer_s if timeout is None else timeout)


class ServerLink:
    """A connection to a ledger's server with SQLite's face: ``execute``, ``executemany``, ``in_transaction``, ``close``.

    Statements are written with SQLite's marks (``?``). Errors are those of the ledger.
    A reader's transactions see one moment; a reader that lost its line opens another, since asking twice does no harm.
    """

    def __init__(self, place: ServerPlace, *, is_writer: bool) -> None:
        self.place = place
        self._is_writer = is_writer
        self._name = f"bolt {'engine' if is_writer else 'reader'} {os.getpid()} {socket.gethostname()}"[:63]
        self._line = self._connect()

    def _connect(self) -> _Line:
        try:
            line = _Line.connect(
                self.place.url,
                autocommit=True,
                application_name=self._name,
                connect_timeout=CONNECT_S,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=int(WRITER_ANSWER_S * 1000),
            )
        except psycopg.Error as error:
            raise self._error(error, is_connecting=True) from None
        line.answer_s = WRITER_ANSWER_S if self._is_writer else READER_ANSWER_S
        self._line, self._pid = line, line.info.backend_pid
        try:
            for words in _WRITER if self._is_writer else _READER:
                self._execute(words, ())
        except StoreError:
            line.close()
            raise
        return line

    # -- as SQLite's connection -----------------------------------------------------------------------------------------

    def execute(self, words: str, values: Sequence[Any] | Mapping[str, Any] = (), /) -> Any:
        """Carry out one statement; a cursor that holds its whole answer."""
        is_lonely = not self._is_writer and not self.in_transaction
        try:
            return self._execute(words, values)
        except Unanswered:
            if not is_lonely or not self._line.closed:
                raise
            self._line = self._connect()
            return self._execute(words, values)

    def _execute(self, words: str, values: Sequence[Any] | Mapping[str, Any]) -> Any:
        try:
            cursor = self._line.execute(marked(_BEGIN.get(words, words)).encode(), values)
        except psycopg.Error as error:
            raise self._error(error) from None
        if words == "COMMIT" and cursor.statusmessage != "COMMIT":
            # So a server answers a commit of a transaction that had failed before.
            raise StoreUnwritable(
                f"ledger {self.place} was not written: the server answered {cursor.statusmessage} to COMMIT"
            )
        return cursor

    def executemany(self, words: str, rows: Iterable[Any], /) -> None:
        """Carry out one statement for each row, in one way there and back."""
        try:
            with self._line.cursor() as cursor:
                cursor.executemany(marked(words).encode(), rows)
        except psycopg.Error as error:
            raise self._error(error) from None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, also a failed one."""
        return self._line.info.transaction_status not in {
            psycopg.pq.TransactionStatus.IDLE,
            psycopg.pq.TransactionStatus.UNKNOWN,
        }

    @property
    def is_lost(self) -> bool:
        """Whether the line broke, or was given up because no answer came."""
        return bool(self._line.closed)

    def close(self) -> None:
        """Let go, and of the lock with it."""
        self._line.close()

    # -- the writer's own -----------------------------------------------------------------------------------------------

    def take_lock(self, wait_s: float = LOCK_S) -> None:
        """Take the one writer's lock, which the server keeps for as long as this connection lives.

        Raises:
            StoreLocked: another engine has it.
        """
        clock = SystemClock()
        end_ns = clock.monotonic_ns() + int(wait_s * NS_PER_S)
        while not self.execute(f"SELECT pg_try_advisory_lock({_LOCK_KEY})").fetchone()[0]:
            if clock.monotonic_ns() >= end_ns:
                who = _who(self._holder())
                msg = f"ledger {self.place} is held by another engine ({who}); attach to it, or end it with `bolt stop`"
                raise StoreLocked(msg)
            clock.sleep(PAUSE_S)

    def _holder(self) -> str:
        found = self.execute(_HOLDER.replace("%s", str(_LOCK_SPACE))).fetchone()
        return str(found[0]) if found else ""

    def holder(self) -> int:
        """Process on this machine that holds the lock; 0 where nobody does, -1 where it is another machine's."""
        words = self._holder().split()
        if not words:
            return 0
        is_here = len(words) == 4 and words[3] == socket.gethostname()[: len(words[3])] and words[2].isdigit()
        return int(words[2]) if is_here else -1

    def again(self) -> None:
        """Reach the server once more and take the lock back: then nothing of the lost connection can still be under way.

        Raises:
            Unanswered: it did not come back in :data:`AGAIN_S`.
            StoreLocked: another engine took the lock meanwhile.
        """
        clock = SystemClock()
        end_ns = clock.monotonic_ns() + int(AGAIN_S * NS_PER_S)
        old_pid = self._pid
        with suppress(psycopg.Error):
            self._line.close()
        while True:
            try:
                self._line = self._connect()
                # A server that lives may still work for the line that broke; its work ends here, one way or the other.
                ask = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ? AND application_name = ?"
                self.execute(ask, (old_pid, self._name))
                self.take_lock(max(LOCK_S, (end_ns - clock.monotonic_ns()) / NS_PER_S))
                return
            except Unanswered:
                with suppress(psycopg.Error):
                    self._line.close()
                if clock.monotonic_ns() >= end_ns:
                    raise
                clock.sleep(PAUSE_S)

    # -- errors ---------------------------------------------------------------------------------------------------------

    def _error(self, error: psycopg.Error, *, is_connecting: bool = False) -> StoreError:
        """The error of ours that says what a server's error means for the person."""
        state = error.sqlstate or ""
        words = self.place.scrub(" ".join(str(error).split()))
        for prefixes, make, meaning in _MEANINGS:
            if state.startswith(prefixes):
                return make(f"ledger {self.place} {meaning.format(words=words)}")
        is_silent = not state and isinstance(error, psycopg.OperationalError)
        if is_connecting:
            todo = "see that its server runs, and that address, database, user and password are right"
            return Unanswered(f"ledger {self.place} cannot be reached ({words}); {todo}")
        if is_silent or state.startswith(_SILENT):
            # A line that answered too late must never be used again: its answers would be those to other questions.
            with suppress(psycopg.Error):
                self._line.close()
            return Unanswered(
                f"ledger {self.place}: its server does not answer ({words}); see that it runs, then start again"
            )
        return StoreUnwritable(
            f"ledger {self.place} cannot be used ({words}, {state or type(error).__name__}); ask its server's log"
        )


_MEANINGS: tuple[tuple[tuple[str, ...], Callable[[str], StoreError], str], ...] = (
    (("53100",), StoreUnwritable, "is on a full disk ({words}); free space there, then start again"),
    (("25006",), StoreUnwritable, "is read-only ({words}); give the URL of the server that takes writes"),
    (("55P03", "40P01"), StoreLocked, "is locked by another program ({words}); close what has it open"),
    (("23",), StoreLocked, "was written by another program ({words}); end it, then start again"),
    (("XX001", "XX002", "58P01"), StoreCorrupt, "is damaged ({words}); keep the server's data, restore a backup"),
    (
        ("42P01", "42703"),
        StoreVersion,
        "lacks a table or column ({words}); `bolt ledger rebuild` makes the tables again",
    ),
    (
        ("42501", "3F000"),
        StoreUnwritable,
        "may not be used by this user ({words}); grant it the database and its schema",
    ),
    (("3D000", "28"), StoreUnwritable, "cannot be opened ({words}); check user, password and database"),
)
_SETTINGS = (
    "SET standard_conforming_strings = on",
    f"SET lock_timeout = {LOCK_TIMEOUT_MS}",
    "SET client_encoding = 'UTF8'",
)
_WRITER = (*_SETTINGS, "SET synchronous_commit = on", "SET default_transaction_isolation = 'read committed'")
_READER = (
    *_SETTINGS,
    "SET default_transaction_isolation = 'repeatable read'",
    "SET default_transaction_read_only = on",
    # Who forgets an open transaction keeps the server from tidying up behind the tables that change.
    "SET idle_in_transaction_session_timeout = '120s'",
)


def _who(name: str) -> str:
    words = name.split()
    return f"pid {words[2]} on {words[3]}" if len(words) == 4 else "process unknown"


def open_server_writer(place: ServerPlace) -> ServerLink:
    """The connection of the one writer, with its lock.

    Raises:
        StoreLocked, StoreUnwritable: each with the next step; also where a commit there would not be on disk.
    """
    link = ServerLink(place, is_writer=True)
    try:
        is_synced, is_standby, is_read_only, schema = link.execute(
            "SELECT current_setting('fsync'), pg_is_in_recovery(), current_setting('transaction_read_only'), current_schema()"
        ).fetchone()
        if schema is None:
            msg = f"ledger {place}: its search_path names no schema that exists; make one, or name another"
            raise StoreUnwritable(msg)
        if is_synced != "on":
            msg = (
                f"ledger {place}: its server runs with fsync off, so that a commit is not on disk; set fsync = on there"
            )
            raise StoreUnwritable(msg)
        if is_standby or is_read_only == "on":
            msg = f"ledger {place} is read-only{' (a standby)' * is_standby}; give the URL of the server that takes writes"
            raise StoreUnwritable(msg)
        link.take_lock()
    except StoreError:
        link.close()
        raise
    return link
