"""Names, columns, keys and statements of a ledger's tables, as :mod:`engine.store.tables` defines them, written down.

Every start, halt and command needs these words, and to make them from the definitions took each of them most of a second of
imports. ``tests/store/test_statements.py`` makes them anew and compares.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import Any

SCHEMA = 1
"""Version of the projection tables and of the chain's layout."""

PROJECTIONS = ("orders", "fills", "positions", "cash")

CREATE_JOURNAL = "CREATE TABLE IF NOT EXISTS journal (seq INTEGER NOT NULL, ts_ns BIGINT NOT NULL, kind VARCHAR NOT NULL, payload BLOB NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (seq))"
CREATE_JOURNAL_ON_SERVER = "CREATE TABLE IF NOT EXISTS journal (seq BIGINT NOT NULL, ts_ns BIGINT NOT NULL, kind VARCHAR NOT NULL, payload BYTEA NOT NULL, prev_hash BYTEA NOT NULL, hash BYTEA NOT NULL, PRIMARY KEY (seq), UNIQUE (prev_hash))"
UNIQUE_IN_FILE = (
    "CREATE TRIGGER IF NOT EXISTS journal_prev_hash_unique BEFORE INSERT ON journal "
    "WHEN NEW.prev_hash IS NOT (SELECT hash FROM journal WHERE seq = NEW.seq - 1) "
    "AND EXISTS (SELECT 1 FROM journal WHERE NEW.prev_hash IN (prev_hash, hash)) "
    "BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: journal.prev_hash'); END"
)
"""UNIQUE (prev_hash) for a file, without an index: hashes lie anywhere, so one would write a page of its own for every row, and more than
half of a commit's time would be for it. A row behind the very row before it is let in, since no other can stand there: ``seq`` is the
key. Any other row is looked for in the whole journal, and refused where its link is taken, or names a row that is there.
"""
CREATE_OTHERS = (
    "CREATE TABLE IF NOT EXISTS meta (name VARCHAR NOT NULL, value VARCHAR NOT NULL, PRIMARY KEY (name))",
    'CREATE TABLE IF NOT EXISTS orders (order_id VARCHAR NOT NULL, parent_id VARCHAR NOT NULL, wire_id VARCHAR NOT NULL, intent_id VARCHAR NOT NULL, symbol VARCHAR NOT NULL, side VARCHAR NOT NULL, qty VARCHAR NOT NULL, qty_filled VARCHAR NOT NULL, type VARCHAR NOT NULL, "limit" VARCHAR, stop VARCHAR, tif VARCHAR NOT NULL, state VARCHAR NOT NULL, broker VARCHAR NOT NULL, account VARCHAR NOT NULL, source VARCHAR NOT NULL, created_ns BIGINT NOT NULL, updated_ns BIGINT NOT NULL, last_seq BIGINT NOT NULL, spec VARCHAR NOT NULL, PRIMARY KEY (order_id))',
    "CREATE TABLE IF NOT EXISTS fills (broker VARCHAR NOT NULL, account VARCHAR NOT NULL, fill_key VARCHAR NOT NULL, order_id VARCHAR NOT NULL, symbol VARCHAR NOT NULL, side VARCHAR NOT NULL, qty VARCHAR NOT NULL, price VARCHAR NOT NULL, fee VARCHAR NOT NULL, fee_currency VARCHAR NOT NULL, ts_ns BIGINT NOT NULL, venue VARCHAR NOT NULL, liquidity VARCHAR NOT NULL, seq BIGINT NOT NULL, busted INTEGER NOT NULL, PRIMARY KEY (broker, account, fill_key))",
    "CREATE TABLE IF NOT EXISTS positions (broker VARCHAR NOT NULL, account VARCHAR NOT NULL, symbol VARCHAR NOT NULL, qty VARCHAR NOT NULL, cost VARCHAR NOT NULL, realised VARCHAR NOT NULL, fees VARCHAR NOT NULL, currency VARCHAR NOT NULL, PRIMARY KEY (broker, account, symbol))",
    "CREATE TABLE IF NOT EXISTS cash (broker VARCHAR NOT NULL, account VARCHAR NOT NULL, currency VARCHAR NOT NULL, amount VARCHAR NOT NULL, PRIMARY KEY (broker, account, currency))",
)

Values = tuple[Any, ...]
"""A row of a projection: its values in the order of :data:`COLUMNS`."""
Changed = list[tuple[str, list[Values]]]
"""Rows of projections that changed, by table."""

COLUMNS: dict[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "orders": "order_id parent_id wire_id intent_id symbol side qty qty_filled type limit stop tif state broker account source "
        "created_ns updated_ns last_seq spec",
        "fills": "broker account fill_key order_id symbol side qty price fee fee_currency ts_ns venue liquidity seq busted",
        "positions": "broker account symbol qty cost realised fees currency",
        "cash": "broker account currency amount",
    }.items()
}
KEYS: dict[str, tuple[str, ...]] = {
    "orders": ("order_id",),
    "fills": ("broker", "account", "fill_key"),
    "positions": ("broker", "account", "symbol"),
    "cash": ("broker", "account", "currency"),
}


def create_statements(*, on_server: bool = False) -> tuple[str, ...]:
    """Statements that create what is missing, for SQLite or for PostgreSQL."""
    return (CREATE_JOURNAL_ON_SERVER, *CREATE_OTHERS) if on_server else (CREATE_JOURNAL, *CREATE_OTHERS, UNIQUE_IN_FILE)


@cache
def upsert(name: str) -> str:
    """Statement that writes one row of a projection, its values in the order of :data:`COLUMNS`, replacing the one with its key;
    the same on SQLite and PostgreSQL but for the mark of a parameter.
    """
    columns, keys = COLUMNS[name], KEYS[name]
    names = ", ".join(f'"{column}"' for column in columns)
    # By place and not by name: looking up twenty names for every row took as long as writing it.
    values = ", ".join("?" * len(columns))
    changes = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in keys)
    return (
        f"INSERT INTO {name} ({names}) VALUES ({values}) "  # noqa: S608 - names are this module's own
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    )


@cache
def key_of(name: str) -> Callable[[Values], tuple[Any, ...]]:
    """What finds the key in a row of a projection."""
    places = [COLUMNS[name].index(key) for key in KEYS[name]]
    return (lambda row: (row[places[0]],)) if len(places) == 1 else itemgetter(*places)


@cache
def marked(words: str) -> str:
    """A statement of ours with the parameter marks of PostgreSQL's library in place of SQLite's."""
    return words.replace("%", "%%").replace("?", "%s")
