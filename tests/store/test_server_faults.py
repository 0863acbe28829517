"""A server that is restarted, full, read-only, locked, damaged, cut or of another schema: nothing leaves, nothing is lost, and the
words say what to do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from engine.domain.errors import StoreCorrupt, StoreError, StoreLocked, StoreUnwritable, StoreVersion
from engine.store.journal import read_journal
from engine.store.link import is_there
from engine.store.place import ServerPlace
from engine.store.verify import rebuild, verify
from tests.store.disk import small_disk
from tests.store.server import Server, running
from tests.store.shop import Desk, alert, fill, make, trade

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ledger(server: Server, tmp_path: Path) -> ServerPlace:
    place = ServerPlace(server.make_database(), tmp_path)
    trade(place)
    return place


def assert_given_up(desk: Desk, kind: type[StoreError], words: str) -> None:
    """The journal fails once and for good, what was not confirmed is not called durable, and reading goes on."""
    durable = desk.journal.durable_seq
    desk.record(alert(1))
    with pytest.raises(kind, match=words):
        desk.journal.commit()
    with pytest.raises(StoreUnwritable, match=words):
        desk.record(alert(2))
    assert desk.journal.durable_seq == durable
    assert not desk.journal.write_head(), "no head is noted of a journal that failed"
    desk.journal.close()


# -- damage behind Bolt's back -----------------------------------------------------------------------------------------

_EDIT = "UPDATE journal SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '189', '289'), 'UTF8') WHERE seq = 4"
DAMAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "payload edited": ((_EDIT,), r"row 4 \(foreign_fill\) was changed"),
    "kind edited": (("UPDATE journal SET kind = 'alert' WHERE seq = 4",), "row 4 .* was changed"),
    "time edited": (("UPDATE journal SET ts_ns = ts_ns + 1 WHERE seq = 4",), "row 4 .* was changed"),
    "hash swapped": ((r"UPDATE journal SET hash = '\x00' WHERE seq = 4",), "row 4 .* was changed"),
    "row removed": (("DELETE FROM journal WHERE seq = 4",), "row 4 is missing"),
    "row inserted": (
        (r"INSERT INTO journal VALUES (9, 1, 'alert', '\x7b7d', '\x00', '\x00')",),
        "row 9 is not chained",
    ),
    "rows reordered": (
        (
            "UPDATE journal SET seq = 999 WHERE seq = 4",
            "UPDATE journal SET seq = 4 WHERE seq = 5",
            "UPDATE journal SET seq = 5 WHERE seq = 999",
        ),
        "row 4 is not chained",
    ),
    "tail cut": (("DELETE FROM journal WHERE seq >= 7",), "tail was cut: the noted head is row 8, the last row is 6"),
    "all rows removed": (("DELETE FROM journal",), "there is no row"),
    "cash changed": (("UPDATE cash SET amount = '1'",), "table cash: row paper/PAPER/USD"),
    "projected fill removed": (("DELETE FROM fills WHERE fill_key = 'k1'",), "table fills: row paper/PAPER/k1"),
    "projection dropped": (("DROP TABLE fills",), "lacks a table or column"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_named(ledger: ServerPlace, server: Server, kind: str) -> None:
    statements, words = DAMAGE[kind]
    server.sql(ledger.url, *statements)
    findings = " | ".join(verify(ledger, make).findings)
    assert re.search(words, findings), findings


def test_a_replaced_database_does_not_fit_its_note(ledger: ServerPlace, server: Server, tmp_path: Path) -> None:
    other = ServerPlace(server.make_database(), tmp_path / "elsewhere")
    other.folder.mkdir()
    desk = Desk(other)
    for number in range(9):
        desk.record(alert(number))
    desk.journal.close()
    name, put = ledger.url.partition("?")[0].rpartition("/")[2], other.url.partition("?")[0].rpartition("/")[2]
    server.sql("postgres", f"DROP DATABASE {name}", f"ALTER DATABASE {put} RENAME TO {name}")
    assert "the file was replaced" in verify(ledger, make).findings[0]
    with pytest.raises(StoreCorrupt, match=r"does not hold row 8 that ledger-\w+\.head noted"):
        Desk(ledger)


def test_an_emptied_database_does_not_begin_anew(ledger: ServerPlace, server: Server) -> None:
    server.sql(ledger.url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    with pytest.raises(StoreCorrupt, match="does not hold row 8"):
        Desk(ledger)


def test_projections_are_made_again(ledger: ServerPlace, server: Server) -> None:
    server.sql(ledger.url, "DELETE FROM cash", "DROP TABLE fills", "UPDATE positions SET cost = '0'")
    assert rebuild(ledger, make) == 8
    assert verify(ledger, make).findings == ()


# -- a server that does not do what it should --------------------------------------------------------------------------


def test_a_server_restarted_under_load_loses_nothing(ledger: ServerPlace, server: Server) -> None:
    """A process trades as fast as it can while the server ends fast, ends as in a crash, and ends again."""
    # How long the server needs to come back is the disk's matter here, not the journal's.
    code = f"from engine.store import place, postgres; from tests.store.child import append; from pathlib import Path; postgres.AGAIN_S = 300; append(place.ServerPlace({ledger.url!r}, Path({str(ledger.folder)!r})))"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = [child.stdout.readline()]
    for how in (signal.SIGINT, signal.SIGQUIT):
        said += [child.stdout.readline() for _ in range(5)]
        server.stop(how)
        server.start()
    said += [child.stdout.readline() for _ in range(50)]
    child.kill()
    rest, _ = child.communicate(timeout=60)
    told = [int(line) for line in [*said[1:], *rest.splitlines(keepends=True)] if line.endswith("\n")]
    assert said[0] == "open\n"
    assert told == sorted(set(told))
    rows = sum(1 for _ in read_journal(ledger))
    assert rows >= told[-1], "a row that was called durable is gone"
    assert verify(ledger, make).findings == ()
    Desk(ledger).journal.close()


@pytest.mark.proof
def test_a_server_that_stays_away_fails_the_journal(server: Server, tmp_path: Path) -> None:
    with running() as own:
        place = ServerPlace(own.make_database(), tmp_path)
        trade(place)
        desk = Desk(place)
        own.stop()
        assert_given_up(desk, StoreUnwritable, "cannot be reached .*see that its server runs")
        own.start()
        assert verify(place, make).findings == ()


def test_a_read_only_server_is_refused(ledger: ServerPlace, server: Server) -> None:
    desk = Desk(ledger)
    server.sql(ledger.url, f"ALTER DATABASE {_name(ledger)} SET default_transaction_read_only = on")
    try:
        with pytest.raises(StoreUnwritable, match=r"read-only.*give the URL of the server that takes writes"):
            Desk(ledger)
        desk.journal._connection.execute("SET default_transaction_read_only = on")
        assert_given_up(desk, StoreUnwritable, "is read-only .*give the URL of the server that takes writes")
        assert verify(ledger, make).findings == ()
    finally:
        server.sql(ledger.url, "SET default_transaction_read_only = off", f"ALTER DATABASE {_name(ledger)} RESET ALL")


def test_a_server_that_does_not_sync_is_refused(tmp_path: Path, server: Server) -> None:
    place = ServerPlace(server.make_database(), tmp_path)
    server.sql("postgres", "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    try:
        server.until("SHOW fsync", "off")
        with pytest.raises(StoreUnwritable, match="fsync off, so that a commit is not on disk"):
            Desk(place)
        assert not is_there(place)
    finally:
        server.sql("postgres", "ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()")
        server.until("SHOW fsync", "on")


def test_an_engine_commits_durably_where_the_server_would_not(ledger: ServerPlace, server: Server) -> None:
    server.sql(ledger.url, f"ALTER DATABASE {_name(ledger)} SET synchronous_commit = off")
    desk = Desk(ledger)
    assert desk.journal._connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    desk.journal.close()


def test_another_programs_lock_ends_the_journal(ledger: ServerPlace) -> None:
    desk = Desk(ledger)
    desk.journal._connection.execute("SET lock_timeout = 50")
    with psycopg.connect(ledger.url) as other:
        other.execute("LOCK TABLE journal IN EXCLUSIVE MODE")
        assert_given_up(desk, StoreLocked, "locked by another program .*close what has it open")
    assert verify(ledger, make).findings == ()


@pytest.mark.parametrize("number", ["0", "99", "x"])
def test_another_schema_is_refused(ledger: ServerPlace, server: Server, number: str) -> None:
    server.sql(ledger.url, f"UPDATE meta SET value = '{number}' WHERE name = 'schema'")
    for act in (lambda: Desk(ledger), lambda: list(read_journal(ledger)), lambda: rebuild(ledger, make)):
        with pytest.raises(
            StoreVersion, match=rf"schema {number}; this Bolt reads schema \d+; use the Bolt that wrote it"
        ):
            act()


def test_a_schema_with_other_tables_is_left_alone(server: Server, tmp_path: Path) -> None:
    place = ServerPlace(server.make_database(), tmp_path)
    server.sql(place.url, "CREATE TABLE orders (shoes int)")
    with pytest.raises(StoreVersion, match=r"tables of its own but no ledger.*give an empty database or schema"):
        Desk(place)
    assert server.sql(place.url, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'") == [
        (1,)
    ]


def test_a_user_without_rights_is_told_so(server: Server, tmp_path: Path) -> None:
    place = ServerPlace(server.make_database(), tmp_path)
    server.sql(place.url, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    guest = ServerPlace(place.url.replace("bolt@", "guest@"), tmp_path)
    with pytest.raises(StoreUnwritable, match=r"may not be used by this user .*grant it"):
        Desk(guest)
    with pytest.raises(StoreUnwritable, match=r"cannot be reached .*does not exist.*password are right"):
        Desk(ServerPlace(server.url("nowhere"), tmp_path))


# -- the server's own disk ---------------------------------------------------------------------------------------------


def _name(place: ServerPlace) -> str:
    name: str = place.url.partition("?")[0].rpartition("/")[2]
    return name


def test_a_torn_page_is_found_and_not_built_upon(ledger: ServerPlace, server: Server) -> None:
    (found,) = server.sql(ledger.url, "SELECT pg_relation_filepath('journal')")
    server.stop()
    with (server.data / str(found[0])).open("r+b") as file:
        file.seek(300)
        file.write(b"\xff" * 3_000)
    server.start()
    findings = verify(ledger, make).findings
    assert re.search("is damaged .*invalid page.*restore a backup", findings[0]), findings
    desk = None
    with pytest.raises(StoreCorrupt, match="restore a backup"):
        desk = Desk(ledger)
    assert desk is None


@pytest.mark.proof
def test_a_cut_write_ahead_log_is_found_by_the_note(tmp_path: Path) -> None:
    """The server comes back without its last commits: it had confirmed them, and the note outside knows."""
    with running() as own:
        place = ServerPlace(own.make_database(), tmp_path)
        trade(place)
        own.sql("postgres", "CHECKPOINT")
        ((before,),) = own.sql("postgres", "SELECT pg_walfile_name_offset(pg_current_wal_insert_lsn())::text")
        name, offset = str(before).strip("()").split(",")
        desk = Desk(place)
        for number in range(60, 90):
            desk.record(fill(number))
            desk.journal.commit()
        desk.journal.close()
        own.stop(signal.SIGQUIT)
        with (own.data / "pg_wal" / name).open("r+b") as log:
            log.seek(int(offset) + 2_000)
            log.write(bytes(200_000))
        own.start()
        assert "tail was cut: the noted head is row 38" in verify(place, make).findings[0]
        with pytest.raises(StoreCorrupt, match="does not hold row 38"):
            Desk(place)


@pytest.mark.proof
def test_a_full_disk_of_the_server_fails_the_journal(tmp_path: Path) -> None:
    with small_disk(160) as folder, running(folder, ("-c", "max_wal_size=32MB")) as own:
        place = ServerPlace(own.make_database(), tmp_path)
        trade(place)
        desk = Desk(place)
        (folder / "ballast").write_bytes(b"x" * (_free(folder) - 2_000_000))
        with pytest.raises(StoreUnwritable, match=r"full disk .*free space there, then start again|cannot be reached"):
            fill_up(desk)
        durable = desk.journal.durable_seq
        assert desk.journal.failed
        desk.journal.close()
        (folder / "ballast").unlink()
        own.stop(signal.SIGQUIT)
        own.start()
        report = verify(place, make)
        assert report.findings == ()
        assert report.rows >= durable
        Desk(place).journal.close()


def fill_up(desk: Desk) -> None:
    """Write until the disk refuses."""
    for number in range(100, 10_000):
        desk.record(alert(number, "x" * 10_000))
        desk.journal.commit()


def _free(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize
