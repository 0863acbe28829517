"""A ledger that was tampered with does not verify; one that another engine holds does not open."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bolt_tui.wiring import projections
from engine.domain.errors import StoreCorrupt, StoreLocked, StoreVersion
from engine.store.journal import Journal
from engine.store.verify import rebuild, verify
from tests.core.lab import Lab


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    lab = Lab(tmp_path, ledger=path)
    lab.connect()
    lab.buy(100, "189")
    wire = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 100, "f1"))
    lab.journal.close()
    lab.latch.close()
    return path


def sql(words: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(words)


DAMAGE = {
    "edited": sql("UPDATE journal SET payload = replace(payload, '100', '900') WHERE kind = 'order_placed'"),
    "removed": sql("DELETE FROM journal WHERE seq = 5"),
    "cut tail": sql("DELETE FROM journal WHERE seq >= (SELECT max(seq) FROM journal)"),
    "swapped hash": sql("UPDATE journal SET hash = zeroblob(32) WHERE seq = 4"),
    "retimed": sql("UPDATE journal SET ts_ns = ts_ns + 1 WHERE seq = 6"),
    "changed order": sql("UPDATE orders SET qty_filled = '99' WHERE order_id = 'C2'"),
    "changed cash": sql("UPDATE cash SET amount = '1'"),
}


def test_an_untouched_ledger_verifies(ledger: Path) -> None:
    assert verify(ledger, projections).findings == ()


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found(ledger: Path, kind: str) -> None:
    connection = sqlite3.connect(ledger)
    DAMAGE[kind](connection)
    connection.commit()
    connection.close()
    assert not verify(ledger, projections).ok


def change_spec(ledger: Path, change: Callable[[str], str]) -> None:
    connection = sqlite3.connect(ledger)
    ((kept,),) = connection.execute("SELECT spec FROM orders WHERE order_id = 'C2'").fetchall()
    assert change(kept) != kept
    connection.execute("UPDATE orders SET spec = ? WHERE order_id = 'C2'", (change(kept),))
    connection.commit()
    connection.close()


def test_terms_that_an_older_bolt_did_not_know_are_no_damage(ledger: Path) -> None:
    change_spec(ledger, lambda kept: kept.replace('"display":null,', "").replace(',"params":{}', ""))
    assert verify(ledger, projections).findings == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"qty":"100",', '"qty":"900",'),
        ('"qty":"100",', ""),
        ('"display":null,', '"display":"5",'),
        ('"display":null,', '"display":null,"more":1,'),
        ('"display":null,', '"display":null,,'),
        ('"params":{}', '"params":{"slices":"4"}'),
    ],
)
def test_terms_of_another_meaning_are_damage(ledger: Path, old: str, new: str) -> None:
    change_spec(ledger, lambda kept: kept.replace(old, new))
    assert verify(ledger, projections).findings == ("table orders: row C2 differs from the journal",)


def test_projections_can_be_made_again(ledger: Path) -> None:
    connection = sqlite3.connect(ledger)
    connection.execute("DELETE FROM orders")
    connection.commit()
    connection.close()
    assert not verify(ledger, projections).ok
    rebuild(ledger, projections)
    assert verify(ledger, projections).ok


def test_a_second_engine_is_refused(ledger: Path) -> None:
    first = Journal.open(ledger, 1, lambda: "X", "USD")
    with pytest.raises(StoreLocked, match="another engine"):
        Journal.open(ledger, 1, lambda: "X", "USD")
    first.close()


def test_other_schema_and_no_database_are_told_apart(ledger: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(ledger)
    connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreVersion, match="schema 99"):
        Journal.open(ledger, 1, lambda: "X", "USD")
    noise = tmp_path / "noise.db"
    noise.write_bytes(b"not a database at all, only words" * 100)
    with pytest.raises(StoreCorrupt):
        Journal.open(noise, 1, lambda: "X", "USD")


def test_after_a_failed_write_nothing_more_is_taken(ledger: Path) -> None:
    """A full disk (the page limit stands for it): the journal fails once and for good."""
    from engine.domain.errors import StoreUnwritable
    from engine.domain.events import AlertRaised

    journal = Journal.open(ledger, 1, lambda: "X", "USD")
    journal._connection.execute("PRAGMA max_page_count = 1")
    big = AlertRaised(severity="info", code="X", text="x" * 500_000)
    journal.append(2, big)
    with pytest.raises(StoreUnwritable, match="full"):
        journal.commit()
    with pytest.raises(StoreUnwritable):
        journal.append(3, big)
    journal.close()
