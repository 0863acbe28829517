"""What a disk does to a ledger in a file: it fills up, loses the end of the log, or keeps half of a page."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from engine.domain.errors import StoreCorrupt, StoreError, StoreUnwritable
from engine.store.journal import read_journal
from engine.store.verify import verify
from tests.store.disk import small_disk
from tests.store.shop import Desk, alert, fill, make, trade

COMMITS = 20


def test_a_full_disk_fails_the_journal_and_loses_nothing() -> None:
    """A real file system without room, and not the answer that one would give."""
    with small_disk(24) as folder:
        path = folder / "ledger.db"
        trade(path)
        desk = Desk(path)
        with pytest.raises(StoreUnwritable, match="the disk is full; free space, then start again"):
            fill_up(desk)
        durable = desk.journal.durable_seq
        with pytest.raises(StoreUnwritable, match="the disk is full"):
            desk.record(alert(2))
        desk.journal.close()
        (folder / "ballast").unlink()
        assert verify(path, make).findings == ()
        assert sum(1 for _ in read_journal(path)) >= durable > 8
        again = Desk(path)
        again.record(alert(3))
        again.journal.close()
        assert verify(path, make).findings == ()


def test_what_waited_behind_a_failed_write_is_never_written() -> None:
    """There is room again, and a row that names another one as its forerunner must not stand where that is missing."""
    with small_disk(24) as folder:
        path = folder / "ledger.db"
        trade(path)
        desk = Desk(path)
        desk.record(alert(1, "x" * 900_000))
        first = desk.journal.take()
        desk.record(alert(2))
        second = desk.journal.take()
        assert first is not None
        assert second is not None
        room = os.statvfs(folder)
        (folder / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 100_000))
        with pytest.raises(StoreUnwritable, match="the disk is full"):
            desk.journal.write(first)
        (folder / "ballast").unlink()
        with pytest.raises(StoreUnwritable, match="the disk is full"):
            desk.journal.write(second)
        desk.journal.close()
        assert verify(path, make).findings == ()


def fill_up(desk: Desk) -> None:
    """Leave little room and write until there is none."""
    place = desk.journal.place
    assert isinstance(place, Path)
    room = os.statvfs(place.parent)
    (place.parent / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 500_000))
    for number in range(10_000):
        desk.record(alert(number, "x" * 20_000))
        desk.journal.commit()


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """The files of an engine that died with its last commits in the log, their head noted."""
    path = tmp_path / "live" / "ledger.db"
    path.parent.mkdir()
    trade(path)
    desk = Desk(path)
    for number in range(COMMITS):
        desk.record(fill(50 + number))
        desk.journal.commit()
    assert desk.journal.write_head()
    copy = tmp_path / "crashed"
    shutil.copytree(path.parent, copy)
    desk.journal.close()
    return copy / path.name


def test_the_log_of_a_crash_is_whole(crashed: Path) -> None:
    report = verify(crashed, make)
    assert (report.findings, report.rows) == ((), 8 + COMMITS)


@pytest.mark.parametrize("how", ["cut", "zeroed", "gone"])
def test_a_log_that_lost_its_end_is_found_by_the_note(crashed: Path, how: str) -> None:
    log = crashed.with_name("ledger.db-wal")
    middle = 20_000
    match how:
        case "cut":
            os.truncate(log, middle)
        case "zeroed":
            with log.open("r+b") as file:
                file.seek(middle)
                file.write(bytes(log.stat().st_size - middle))
        case _:
            log.unlink()
            crashed.with_name("ledger.db-shm").unlink()
    findings = verify(crashed, make).findings
    assert re.search(rf"tail was cut: the noted head is row {8 + COMMITS}, the last row is \d+", findings[0]), findings
    with pytest.raises(StoreCorrupt, match=r"does not hold row 28 .*restore the newest copy"):
        Desk(crashed)


def test_no_torn_page_is_built_upon(tmp_path: Path) -> None:
    """The second half of each page in turn is from another time: a start refuses, or it changed nothing that is read."""
    path = tmp_path / "ledger.db"
    trade(path, 30)
    whole = path.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    found = 0
    for start in range(0, len(whole), size):
        half = whole[start + size // 2 : start + size]
        if half == bytes(len(half)):
            continue
        path.write_bytes(whole[: start + size // 2] + bytes(len(half)) + whole[start + size :])
        for end in ("-wal", "-shm"):
            path.with_name(f"ledger.db{end}").unlink(missing_ok=True)
        assert not verify(path, make).ok, f"the page at {start} was torn, and nobody saw it"
        found += 1
        try:
            desk = Desk(path)
        except StoreError:
            continue
        # Tables are for those who ask while no engine runs; an engine works its state out from the journal.
        assert desk.journal.head_seq == 32
        desk.journal.close()
    assert found > 3
