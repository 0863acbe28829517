"""Whatever is done to a ledger behind Bolt's back is found, and named; what a crash leaves is not mistaken for it."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from engine.domain import events as ev
from engine.domain.errors import StoreCorrupt, StoreError, StoreLocked, StoreUnwritable
from engine.domain.ledger_events import InstrumentDefined
from engine.store.backup import backup
from engine.store.head import noted_head
from engine.store.journal import GENESIS, Journal, chain, read_journal
from engine.store.statements import Changed
from engine.store.verify import rebuild, shown, state_hash, verify
from tests.store.shop import AAPL, START_NS, Desk, alert, fill, make, run_sql, trade

SWAP = (
    "UPDATE journal SET seq = 999 WHERE seq = 4",
    "UPDATE journal SET seq = 4 WHERE seq = 5",
    "UPDATE journal SET seq = 5 WHERE seq = 999",
)
INSERTED = "INSERT INTO journal VALUES (9, 1, 'alert', x'7b7d', zeroblob(31), zeroblob(32))"
DAMAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "payload edited": (
        ("UPDATE journal SET payload = CAST(replace(CAST(payload AS TEXT), '189', '289') AS BLOB) WHERE seq = 4",),
        r"row 4 \(foreign_fill\) was changed",
    ),
    "payload became text": (("UPDATE journal SET payload = 'x' WHERE seq = 4",), "row 4 was changed"),
    "kind edited": (("UPDATE journal SET kind = 'alert' WHERE seq = 4",), "row 4 .* was changed"),
    "kind no text": (("UPDATE journal SET kind = CAST(x'ff' AS TEXT) WHERE seq = 4",), "damaged"),
    "time edited": (("UPDATE journal SET ts_ns = ts_ns + 1 WHERE seq = 4",), "row 4 .* was changed"),
    "time no integer": (("UPDATE journal SET ts_ns = 1.5 WHERE seq = 4",), "row 4 was changed"),
    "number negative": (("UPDATE journal SET seq = -8 WHERE seq = 8",), "tail was cut"),
    "hash swapped": (("UPDATE journal SET hash = zeroblob(32) WHERE seq = 4",), "row 4 .* was changed"),
    "link swapped": (("UPDATE journal SET prev_hash = zeroblob(31) WHERE seq = 4",), "row 4 is not chained"),
    "row removed": (("DELETE FROM journal WHERE seq = 4",), "row 4 is missing"),
    "first row removed": (("DELETE FROM journal WHERE seq = 1",), "row 1 is missing"),
    "row inserted": ((INSERTED,), "row 9 is not chained"),
    "rows reordered": (SWAP, "row 4 is not chained"),
    "tail cut": (("DELETE FROM journal WHERE seq >= 7",), "tail was cut: the noted head is row 8, the last row is 6"),
    "all rows removed": (("DELETE FROM journal",), "there is no row"),
    "cash changed": (("UPDATE cash SET amount = '1'",), "table cash: row paper/PAPER/USD"),
    "position changed": (("UPDATE positions SET qty = '1'",), "table positions: row paper/PAPER/AAPL"),
    "projected fill removed": (("DELETE FROM fills WHERE fill_key = 'k1'",), "table fills: row paper/PAPER/k1"),
    "projected row added": (("INSERT INTO cash VALUES ('a', 'b', 'c', '1')",), "table cash: row a/b/c"),
    "projection dropped": (("DROP TABLE fills",), "no such table: fills"),
    "schema number": (("UPDATE meta SET value = '7' WHERE name = 'schema'",), "schema 7"),
}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    trade(path)
    return path


def test_an_untouched_ledger_verifies(ledger: Path) -> None:
    report = verify(ledger, make)
    assert report.findings == ()
    assert report.ok
    assert (report.rows, report.head_seq, report.ledger_id) == (8, 8, "TEST0")
    assert noted_head(ledger) == (8, bytes.fromhex(report.head_hash))


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_named(ledger: Path, kind: str) -> None:
    statements, words = DAMAGE[kind]
    run_sql(ledger, *statements)
    report = verify(ledger, make)
    assert not report.ok
    assert pytest.raises(AssertionError, match=words).matches(AssertionError(" | ".join(report.findings)))


def forge(path: Path) -> None:
    """Change a row and compute every later hash again, as somebody who knows the program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        rows = connection.execute("SELECT seq, ts_ns, kind, payload FROM journal ORDER BY seq").fetchall()
        prev = GENESIS
        for seq, ts_ns, kind, payload in rows:
            if seq == 4:
                payload = payload.replace(b'"fee":"0.35"', b'"fee":"0.36"')
            digest = chain(prev, seq, ts_ns, kind, payload)
            update = "UPDATE journal SET payload = ?, prev_hash = ?, hash = ? WHERE seq = ?"
            connection.execute(update, (payload, prev, digest, seq))
            prev = digest


def test_a_chain_that_was_forged_as_a_whole_does_not_fit_the_noted_head(ledger: Path) -> None:
    forge(ledger)
    assert "the file was replaced" in verify(ledger, make).findings[0]


def test_a_head_kept_elsewhere_serves_when_the_note_was_forged_too(ledger: Path) -> None:
    kept = noted_head(ledger)
    forge(ledger)
    ledger.with_name("ledger.db.head").unlink()
    rebuild(ledger, make)
    assert verify(ledger, make).ok, "nothing in the folder tells any more"
    assert "the file was replaced" in verify(ledger, make, kept).findings[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("alert", None), "row 9 says it is alert, its payload is foreign_fill"),
        (("ledger_opened", 1), "row 9 is ledger_opened; ledger_opened is always the first row and only that"),
    ],
)
def test_a_row_that_is_chained_and_says_what_it_is_not_is_found(
    ledger: Path, row: tuple[str, int | None], words: str
) -> None:
    """As somebody writes it who knows how rows are hashed."""
    kind, copied = row
    rows = list(read_journal(ledger))
    payload = next(one.payload for one in rows if (one.kind == "foreign_fill" if copied is None else one.seq == copied))
    payload = payload.replace(b'"fill_key":"k', b'"fill_key":"x')
    digest = chain(rows[-1].hash, 9, 1, kind, payload)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("INSERT INTO journal VALUES (9, 1, ?, ?, ?, ?)", (kind, payload, rows[-1].hash, digest))
    assert words in verify(ledger, make).findings[0]
    with pytest.raises(StoreCorrupt, match=words):
        rebuild(ledger, make)


def test_a_journal_that_failed_is_closed_without_another_write(ledger: Path) -> None:
    """What came behind the failure is nowhere: not on disk, and nobody was told that it is."""
    desk = Desk(ledger)
    desk.record(alert(1))
    desk.journal.failed = "the disk is full"
    desk.journal.close()
    assert [row.seq for row in read_journal(ledger)] == list(range(1, 9))
    assert verify(ledger, make).findings == ()


def test_a_forged_row_that_the_books_cannot_hold_is_a_finding_and_no_crash(ledger: Path) -> None:
    rows = list(read_journal(ledger))
    again = next(row for row in rows if row.kind == "foreign_fill")
    digest = chain(rows[-1].hash, 9, 1, again.kind, again.payload)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        insert = "INSERT INTO journal VALUES (9, 1, ?, ?, ?, ?)"
        connection.execute(insert, (again.kind, again.payload, rows[-1].hash, digest))
    assert any("booked twice" in words for words in verify(ledger, make).findings)


def test_damaged_pages_are_found(ledger: Path) -> None:
    size = ledger.stat().st_size
    with ledger.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    assert not verify(ledger, make).ok
    with pytest.raises(StoreCorrupt):
        Journal.open(ledger, START_NS, lambda: "X", "USD")


def test_a_damage_that_sqlite_tells_in_no_text_is_told_as_one(ledger: Path) -> None:
    """Its words quote the bytes of the broken definition; Python cannot read them and raises something else than a database error."""
    run_sql(ledger, "PRAGMA wal_checkpoint(TRUNCATE)")
    whole = ledger.read_bytes()
    at = whole.index(b"NOT NULL", whole.index(b"CREATE TABLE cash"))
    ledger.write_bytes(whole[:at] + b"NOT N\xffLL" + whole[at + 8 :])
    report = verify(ledger, make)
    assert not report.ok
    assert "is damaged (malformed database schema" in report.findings[0]
    assert "keep the file, restore a backup" in report.findings[0]
    for act in (
        lambda: rebuild(ledger, make),
        lambda: list(read_journal(ledger)),
        lambda: backup(ledger, ledger.with_name("copy.db"), make),
        lambda: Journal.open(ledger, START_NS, lambda: "TEST0", "USD"),
    ):
        with pytest.raises(StoreCorrupt, match="is damaged"):
            act()
    assert not ledger.with_name("copy.db").exists()


@pytest.mark.parametrize(
    "words", ["8 nonsense", "", "8", f"{10**30} {'00' * 32}", f"{2**63} {'00' * 32}", f"-1 {'00' * 32}"]
)
def test_a_note_that_cannot_be_read_is_a_finding_and_no_start(ledger: Path, words: str) -> None:
    ledger.with_name("ledger.db.head").write_text(words)
    assert "cannot be read" in verify(ledger, make).findings[0]
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        Journal.open(ledger, START_NS, lambda: "X", "USD")


def test_a_note_that_is_behind_is_fine(ledger: Path) -> None:
    behind = ledger.with_name("ledger.db.head").read_text()
    desk = Desk(ledger)
    desk.record(alert(9))
    desk.journal.close()
    ledger.with_name("ledger.db.head").write_text(behind)
    assert verify(ledger, make).ok
    Desk(ledger).journal.close()


def test_a_ledger_is_verified_while_an_engine_writes_it(ledger: Path) -> None:
    """The tables go on while the rows are read: both must be judged at one moment."""
    desk = Desk(ledger)
    number = 100

    class Busy:
        name = "busy"

        def apply(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
            # With each row that the verifier reads, the engine writes one, until the middle of the walk is past.
            nonlocal number
            if seq <= 8:
                number += 1
                desk.record(fill(number))
                desk.journal.commit()

        def dirty(self) -> Changed:
            return []

        def forget(self) -> None:
            """Nothing changed."""

    report = verify(ledger, lambda: (*make(), Busy()))
    assert report.findings == ()
    assert report.rows == 16
    desk.journal.close()


# -- start-up --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tail cut", "all rows removed"])
def test_an_engine_does_not_start_on_a_cut_ledger(ledger: Path, kind: str) -> None:
    run_sql(ledger, *DAMAGE[kind][0])
    with pytest.raises(StoreCorrupt, match=r"tail was cut.*move .* away"):
        Journal.open(ledger, START_NS, lambda: "X", "USD")


def test_an_engine_does_not_start_where_the_ledger_was_deleted(ledger: Path) -> None:
    ledger.unlink()
    with pytest.raises(StoreCorrupt, match="does not hold row 8"):
        Journal.open(ledger, START_NS, lambda: "X", "USD")


@pytest.mark.parametrize("kind", ["payload edited", "time no integer", "hash swapped", "row removed", "rows reordered"])
def test_an_engine_does_not_rebuild_from_a_broken_chain(ledger: Path, kind: str) -> None:
    run_sql(ledger, *DAMAGE[kind][0])
    journal = Journal.open(ledger, START_NS, lambda: "X", "USD")
    with pytest.raises(StoreCorrupt, match=r"row \d.*restore a backup"):
        list(journal.read())
    journal.close()


# -- rebuild, show, export -------------------------------------------------------------------------------------------


def test_every_projection_is_made_again(ledger: Path) -> None:
    run_sql(ledger, "DELETE FROM cash", "DROP TABLE fills", "UPDATE positions SET cost = '0'")
    assert rebuild(ledger, make) == 8
    assert verify(ledger, make).findings == ()


def test_nothing_is_made_from_a_broken_chain(ledger: Path) -> None:
    run_sql(ledger, *DAMAGE["payload edited"][0])
    with pytest.raises(StoreCorrupt, match="row 4"):
        rebuild(ledger, make)


def test_a_ledger_in_use_is_not_rebuilt(ledger: Path) -> None:
    desk = Desk(ledger)
    with pytest.raises(StoreLocked):
        rebuild(ledger, make)
    desk.journal.close()


def test_a_missing_ledger_is_not_made_by_looking_at_it(tmp_path: Path) -> None:
    for act in (lambda path: rebuild(path, make), lambda path: list(read_journal(path))):
        with pytest.raises(StoreUnwritable, match="there is no ledger"):
            act(tmp_path / "none.db")
    assert not verify(tmp_path / "none.db", make).ok
    assert list(tmp_path.iterdir()) == []


def test_rows_are_shown_from_where_it_is_asked(ledger: Path) -> None:
    assert [row["seq"] for row in shown(ledger, 3, 2)] == [3, 4]


def test_equal_states_have_equal_hashes(ledger: Path) -> None:
    def state() -> str:
        projections = make()
        for row in read_journal(ledger):
            for projection in projections:
                projection.apply(row.seq, row.ts_ns, ev.decode_event(row.payload))
        return state_hash(projections)

    before = state()
    assert before == state()
    desk = Desk(ledger)
    desk.record(fill(50))
    desk.journal.close()
    assert state() != before


def test_the_chain_is_the_documented_one() -> None:
    """By hand, from docs/ledger.md, so that anybody can check a ledger without Bolt."""
    journal = Journal.open_memory(-5, "ABCDE", "USD")
    journal.append(7, InstrumentDefined(instrument=AAPL))
    journal.commit()
    prev = bytes(32)
    for row in journal.read():
        head = prev + row.seq.to_bytes(8, "big") + row.ts_ns.to_bytes(8, "big", signed=True)
        prev = hashlib.sha256(head + row.kind.encode() + b"\0" + row.payload).digest()
        assert row.hash == prev
        assert msgspec.json.decode(row.payload)["kind"] == row.kind
    assert journal.head_hash == journal.durable_hash == prev
    journal.close()


def test_readers_need_no_lock_and_hold_nobody_up(ledger: Path) -> None:
    desk = Desk(ledger)
    reading = read_journal(ledger)
    assert next(reading).seq == 1
    desk.record(alert(9))
    assert desk.journal.commit() == 9
    assert [row.seq for row in reading] == list(range(2, 9)), "the page that was read when it began"
    assert [row.seq for row in read_journal(ledger, 8)] == [8, 9]
    desk.journal.close()


def test_a_file_that_is_no_ledger_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    run_sql(path, "CREATE TABLE songs (name TEXT)")
    with pytest.raises(StoreError, match="no ledger"):
        Journal.open(path, START_NS, lambda: "X", "USD")
    with pytest.raises(StoreError, match="no ledger"):
        list(read_journal(path))
