"""The tables of a ledger, defined once by SQLModel. A running engine uses what they come to (:mod:`engine.store.statements`),
never this module: its imports alone take most of a second.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Dialect, Integer, LargeBinary, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable
from sqlmodel import Field, SQLModel

from engine.store.statements import PROJECTIONS, UNIQUE_IN_FILE

# On SQLite only the very word INTEGER makes a key the row's own number; any other type costs an index of its own.
_SEQ = BigInteger().with_variant(Integer, "sqlite")


class JournalRow(SQLModel, table=True):
    """One journaled event: the payload is the very bytes that are hashed."""

    __tablename__ = "journal"
    # In a file a trigger does this (:data:`engine.store.statements.UNIQUE_IN_FILE`), and the reason stands there.
    __table_args__ = (UniqueConstraint("prev_hash").ddl_if(dialect="postgresql"),)
    seq: int = Field(sa_column=Column(_SEQ, primary_key=True, autoincrement=False))
    ts_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    kind: str
    payload: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    prev_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
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


def table(name: str) -> Table:
    """One table by its name."""
    return SQLModel.metadata.tables[name]


def defined_statements(*, on_server: bool = False) -> tuple[str, ...]:
    """Statements that create what is missing, made from the definitions, for SQLite or for PostgreSQL."""
    dialect: Dialect = (postgresql if on_server else sqlite).dialect()
    made: list[str] = []
    for name in ("journal", "meta", *PROJECTIONS):
        made.append(str(CreateTable(table(name), if_not_exists=True).compile(dialect=dialect)))
        made += [
            f"CREATE INDEX IF NOT EXISTS {index.name} ON {name} ({', '.join(column.name for column in index.columns)})"
            for index in sorted(table(name).indexes, key=lambda item: str(item.name))
        ]
    return tuple(made) if on_server else (*made, UNIQUE_IN_FILE)
