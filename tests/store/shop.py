"""A ledger with a few trades in it, and ways to hurt it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from engine.domain import events as ev
from engine.domain.instrument import make_instrument
from engine.domain.ledger_events import InstrumentDefined
from engine.domain.money import Money, Price, Qty
from engine.domain.order import Side
from engine.ledger.ledger import Ledger
from engine.store.journal import Journal, Projection
from engine.store.order_store import OrderStore
from engine.store.place import Place

AAPL = make_instrument("AAPL", "equity", "XSIM", "USD", "0.01")
START_NS = 1_700_000_000_000_000_000


def make() -> tuple[OrderStore, Ledger]:
    return OrderStore(), Ledger()


def fill(number: int, qty: int = 10) -> ev.ForeignFillSeen:
    return ev.ForeignFillSeen(
        fill=ev.Fill(
            broker="paper",
            account="PAPER",
            fill_key=f"k{number}",
            symbol="AAPL",
            side=Side.BUY if number % 3 else Side.SELL,
            qty=Qty(qty),
            price=Price("189.10") + Price("0.01") * number,
            ts_ns=START_NS + number,
            fee=Money("0.35"),
        )
    )


def alert(number: int, text: str = "") -> ev.AlertRaised:
    return ev.AlertRaised(severity="info", code="NOTE", text=text or f"row {number}")


class Desk:
    """A journal with its projections, used as an engine uses them."""

    def __init__(self, path: Place) -> None:
        self.journal = Journal.open(path, START_NS, lambda: "TEST0", "USD")
        self.projections: tuple[Projection, ...] = make()
        for projection in self.projections:
            self.journal.attach(projection)
        for row in self.journal.read():
            event = ev.decode_event(row.payload)
            for projection in self.projections:
                projection.apply(row.seq, row.ts_ns, event)
        for projection in self.projections:
            projection.dirty()

    def record(self, event: ev.AnyEvent) -> int:
        ts_ns = START_NS + self.journal.head_seq
        seq = self.journal.append(ts_ns, event)
        for projection in self.projections:
            projection.apply(seq, ts_ns, event)
        return seq


def trade(path: Place, fills: int = 6) -> None:
    """A ledger of 2 + ``fills`` rows, closed cleanly."""
    desk = Desk(path)
    desk.record(InstrumentDefined(instrument=AAPL))
    for number in range(fills):
        desk.record(fill(number))
        desk.journal.commit()
    desk.journal.close()


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for words in statements:
            connection.execute(words)


def log_descriptor(path: Path) -> int:
    """The descriptor by which this process writes the log: the journal opens its writer before its reader."""
    log = path.with_name(f"{path.name}-wal").stat()
    for number in range(3, 256):
        try:
            found = os.fstat(number)
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (log.st_dev, log.st_ino):
            return number
    raise AssertionError("the log is not open")


def put_in_place(path: Path, device: str) -> None:
    """From now on what this process writes to the log goes to a device: the kernel's own answers, for any user.

    ``/dev/full`` takes no byte (ENOSPC); ``/dev/null`` takes every byte and refuses fsync (EINVAL).
    """
    instead = os.open(device, os.O_RDWR)
    os.dup2(instead, log_descriptor(path))
    os.close(instead)
