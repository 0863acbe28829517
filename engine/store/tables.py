"""The tables of a ledger, defined once by SQLModel. The hot insert path uses their names and columns, never instances."""

from __future__ import annotations

import re
from functools import cache

from sqlalchemy import BigInteger, Column, Dialect, Integer, LargeBinary, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable
from sqlmodel import Field, SQLModel

SCHEMA = 1
"""Version of the projection tables and of the chain's layout."""


# On SQLite only the very word INTEGER makes a key the row's own number; any other type costs an index of its own.
_SEQ = BigInteger().with_variant(Integer, "sqlite")


class JournalRow(SQLModel, table=True):
    """One journaled event: the payload is the very bytes that are hashed."""

    __tablename__ = "journal"
    seq: int = Field(sa_column=Column(_SEQ, primary_key=True, autoincrement=False))
    ts_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    kind: str
    payload: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    prev_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class MetaRow(SQLModel, table=True):
    """Facts about the file."""

    __tablename__ = "meta"
    name: str = Field(primary_key=True)
    value: str


class OrderRow(SQLModel, table=True):
    """Projected orders. No index but the key's: each one makes every commit write a page more, and only a person who asks while
    no engine runs would be served by it.
    """

    __tablename__ = "orders"
    order_id: str = Field(primary_key=True)
    parent_id: str
    wire_id: str
    intent_id: str
    symbol: str
    side: str
    qty: str
    qty_filled: str
    type: str
    limit: str | None
    stop: str | None
    tif: str
    state: str
    broker: str
    account: str
    source: str
    created_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    spec: str


class FillRow(SQLModel, table=True):
    """Projected executions."""

    __tablename__ = "fills"
    broker: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    fill_key: str = Field(primary_key=True)
    order_id: str
    symbol: str
    side: str
    qty: str
    price: str
    fee: str
    fee_currency: str
    ts_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    venue: str
    liquidity: str
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    busted: int


class PositionRow(SQLModel, table=True):
    """Projected positions."""

    __tablename__ = "positions"
    broker: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    symbol: str = Field(primary_key=True)
    qty: str
    cost: str
    realised: str
    fees: str
    currency: str


class CashRow(SQLModel, table=True):
    """Projected cash."""

    __tablename__ = "cash"
    broker: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    amount: str


PROJECTIONS = ("orders", "fills", "positions", "cash")


def table(name: str) -> Table:
    """One table by its name."""
    return SQLModel.metadata.tables[name]


@cache
def create_statements(*, on_server: bool = False) -> tuple[str, ...]:
    """Statements that create what is missing, for SQLite or for PostgreSQL; made once, because making them costs more than
    carrying them out.
    """
    dialect: Dialect = (postgresql if on_server else sqlite).dialect()
    made: list[str] = []
    for name in ("journal", "meta", *PROJECTIONS):
        made.append(str(CreateTable(table(name), if_not_exists=True).compile(dialect=dialect)))
        made += [
            f"CREATE INDEX IF NOT EXISTS {index.name} ON {name} ({', '.join(column.name for column in index.columns)})"
            for index in sorted(table(name).indexes, key=lambda item: str(item.name))
        ]
    return tuple(made)


@cache
def upsert(name: str) -> str:
    """Statement that writes one row of a projection, replacing the one with its key; the same on SQLite and PostgreSQL
    but for the mark of a parameter.
    """
    columns = [column.name for column in table(name).columns]
    keys = [column.name for column in table(name).primary_key.columns]
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(f":{column}" for column in columns)
    changes = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in keys)
    return (
        f"INSERT INTO {name} ({names}) VALUES ({values}) "  # noqa: S608 - names are this module's own
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    )


_NAMED = re.compile(r"(?<![:\w]):([a-z_]+)")


@cache
def marked(words: str) -> str:
    """A statement of ours with the parameter marks of PostgreSQL's library in place of SQLite's."""
    return _NAMED.sub(r"%(\1)s", words.replace("%", "%%").replace("?", "%s"))
