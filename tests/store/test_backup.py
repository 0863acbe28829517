"""A copy of a ledger is made while an engine writes it, and is a ledger; days go to files that prove themselves."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from engine.domain.clock import NS_PER_S
from engine.domain.errors import InputError, SettingsError, StoreCorrupt, StoreUnwritable
from engine.store.backup import archive, backup
from engine.store.export import verify_export
from engine.store.head import noted_head, noted_ledger_id
from engine.store.journal import read_journal
from engine.store.place import Place, ServerPlace
from engine.store.verify import verify
from tests.store.disk import small_disk
from tests.store.server import Server
from tests.store.shop import START_NS, Desk, alert, fill, make, run_sql, trade
from tests.store.test_crash import child

DAY_NS = 86_400 * NS_PER_S


def rows_of(place: Place) -> list[tuple[int, bytes, bytes]]:
    return [(row.seq, row.payload, row.hash) for row in read_journal(place)]


@pytest.mark.parametrize("source", ["file", "server"])
@pytest.mark.parametrize("target", ["file", "server"])
def test_a_copy_is_the_same_ledger_wherever_it_is_kept(
    server: Server, tmp_path: Path, source: str, target: str
) -> None:
    (tmp_path / "notes").mkdir()
    here: Place = tmp_path / "l.db" if source == "file" else ServerPlace(server.make_database(), tmp_path)
    there: Place = tmp_path / "copy.db" if target == "file" else ServerPlace(server.make_database(), tmp_path / "notes")
    desk = Desk(here)
    desk.record(fill(1))
    desk.journal.commit()
    copied = backup(here, there, make)
    desk.record(fill(2))
    desk.journal.close()
    assert (copied.rows, copied.head_hash) == (2, rows_of(here)[1][2].hex())
    assert rows_of(there) == rows_of(here)[:2]
    assert (verify(there, make).findings, verify(here, make).findings) == ((), ())
    assert noted_head(there) == (2, rows_of(here)[1][2])
    assert noted_ledger_id(there) == "TEST0"
    again = Desk(there)
    again.record(alert(1))
    again.journal.close()
    assert verify(there, make).findings == (), "an engine goes on with it"
    with pytest.raises(SettingsError, match="already; name a new file"):
        backup(here, there, make)


def test_a_full_disk_is_the_copys_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    """It named the ledger, whose disk has room."""
    path = tmp_path / "ledger.db"
    desk = Desk(path)
    for number in range(60):
        desk.record(alert(number, "x" * 20_000))
    desk.journal.close()
    with small_disk(1) as folder:
        with pytest.raises(StoreUnwritable, match=rf"ledger {folder}/copy.db: the disk is full"):
            backup(path, folder / "copy.db", make)
        assert list(folder.iterdir()) == []


def test_copies_made_while_a_process_trades_all_hold(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    trade(path, 1)
    process = child("append", path)
    assert process.stdout is not None
    sizes = []
    for number in range(5):
        process.stdout.readline()
        copy = tmp_path / f"copy{number}.db"
        sizes.append(backup(path, copy, make).rows)
        assert verify(copy, make).findings == ()
        assert sorted(found.name for found in tmp_path.glob(f"copy{number}*")) == [copy.name, f"{copy.name}.head"]
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert sizes == sorted(sizes)
    assert rows_of(path)[: sizes[-1]] == rows_of(tmp_path / "copy4.db")


def test_of_a_copy_that_fails_nothing_is_left(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    trade(path)
    with pytest.raises(StoreUnwritable, match=r"cannot be written.*in a folder that is there"):
        backup(path, tmp_path / "nowhere" / "copy.db", make)
    run_sql(path, "UPDATE journal SET ts_ns = ts_ns + 1 WHERE seq = 4")
    place = ServerPlace(server.make_database(), tmp_path)
    with pytest.raises(StoreCorrupt, match=r"row 4 .* was changed"):
        backup(path, place, make)
    assert server.sql(place.url, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'") == [
        (0,)
    ]
    assert not place.head_file.exists()


# -- by day ------------------------------------------------------------------------------------------------------------


def day_desk(path: Place, days: list[int]) -> None:
    """A ledger whose alerts come on these days after the first."""
    desk = Desk(path)
    for number, day in enumerate(days):
        desk.journal.append(START_NS + day * DAY_NS + number, alert(number))
    desk.journal.close()


def test_each_day_that_is_over_gets_one_file_that_goes_on_where_the_last_ended(tmp_path: Path) -> None:
    path, folder = tmp_path / "ledger.db", tmp_path / "days"
    day_desk(path, [0, 0, 1, 3, 3])
    made = archive(path, folder, "2023-11-17")
    assert [(Path(day.path).name, day.first_seq, day.last_seq) for day in made] == [
        ("2023-11-14.jsonl.gz", 1, 3),
        ("2023-11-15.jsonl.gz", 4, 4),
    ]
    assert archive(path, folder, "2023-11-17") == [], "it is not written twice"
    (day,) = archive(path, folder, "2023-11-18")
    assert (day.first_seq, day.last_seq) == (5, 6)
    files = sorted(folder.iterdir())
    report = verify_export(files, [(6, rows_of(path)[-1][2])])
    assert (report.findings, report.rows) == ((), 6)
    assert "row 4 is missing" in verify_export([files[0], files[2]]).findings[0]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    archive(path, folder, "2023-11-18")
    assert [file.read_bytes() for file in files] == before, "the same rows make the same bytes"
    assert len(rows_of(path)) == 6, "the ledger keeps its rows"


def test_where_a_clock_went_back_rows_stay_in_their_order(tmp_path: Path) -> None:
    path, folder = tmp_path / "ledger.db", tmp_path / "days"
    day_desk(path, [0, 2, 1])
    archive(path, folder, "2023-11-16")
    day_desk(path, [0, 3])
    archive(path, folder, "2023-12-01")
    report = verify_export(folder.iterdir())
    assert (report.findings, report.rows) == ((), 6)


def test_an_archive_of_another_ledger_is_not_gone_on_with(tmp_path: Path) -> None:
    one, other, folder = tmp_path / "one.db", tmp_path / "other.db", tmp_path / "days"
    day_desk(one, [0, 1])
    trade(other)
    archive(one, folder, "2023-11-15")
    with pytest.raises(StoreCorrupt, match="one of them was replaced"):
        archive(other, folder, "2023-11-16")
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(InputError, match="remove it, and it is written again"):
        archive(one, folder, "2023-11-16")


def test_a_ledger_that_does_not_hold_is_not_archived(tmp_path: Path) -> None:
    path, folder = tmp_path / "ledger.db", tmp_path / "days"
    day_desk(path, [0, 1])
    run_sql(path, "UPDATE journal SET kind = 'x' WHERE seq = 2")
    with pytest.raises(StoreCorrupt, match=r"row 2 .* was changed"):
        archive(path, folder, "2023-11-16")
    assert list(folder.iterdir()) == []
