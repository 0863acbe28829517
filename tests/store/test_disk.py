"""What a disk does to a ledger in a file: it fills up, loses the end of the log, or keeps half of a page."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from engine.domain.errors import StoreCorrupt, StoreError, StoreUnwritable
from engine.store.journal import read_journal
from engine.store.verify import rebuild, verify
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
    crashed.with_name("ledger.db-shm").unlink()  # as after a start of the machine: it has nothing to tell
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
    findings = verify(crashed, make).findings
    assert re.search(rf"tail was cut: the noted head is row {8 + COMMITS}, the last row is \d+", findings[0]), findings
    with pytest.raises(StoreCorrupt, match=r"does not hold row 28 .*restore the newest copy"):
        Desk(crashed)


# -- the log itself tells ---------------------------------------------------------------------------------------------------


def frame_size(crashed: Path) -> int:
    return 24 + int.from_bytes(crashed.with_name("ledger.db-wal").read_bytes()[8:12], "big")


def frames_of(crashed: Path) -> list[bool]:
    """Of each frame of the log whether it ends a commit."""
    data, size = crashed.with_name("ledger.db-wal").read_bytes(), frame_size(crashed)
    own = [at for at in range(32, len(data) - size + 1, size) if data[at + 8 : at + 16] == data[16:24]]
    return [any(data[at + 4 : at + 8]) for at in own]


def change(crashed: Path, at: int, new: bytes) -> None:
    with crashed.with_name("ledger.db-wal").open("r+b") as file:
        file.seek(at)
        file.write(new)


def assert_lost(crashed: Path, words: str) -> None:
    """Named by whoever looks, and no engine starts; the files stay as they are."""
    crashed.with_name("ledger.db.head").unlink(missing_ok=True)
    before = {
        path.name: path.read_bytes() for path in crashed.parent.glob("ledger.db*") if not path.name.endswith("lock")
    }
    told = rf"has lost rows that were on disk: .*{words}.*restore a backup"
    assert re.search(told, verify(crashed, make).findings[0]), verify(crashed, make).findings
    for act in (lambda: Desk(crashed), lambda: rebuild(crashed, make), lambda: list(read_journal(crashed))):
        with pytest.raises(StoreCorrupt, match=told):
            act()
    after = {
        path.name: path.read_bytes() for path in crashed.parent.glob("ledger.db*") if not path.name.endswith("lock")
    }
    assert after == before


@pytest.mark.parametrize("part", ["head", "salt", "checksum", "page"])
def test_a_damaged_log_does_not_end_where_it_is_damaged(crashed: Path, part: str) -> None:
    """SQLite takes what is behind a frame that does not hold as never written: 20 commits were gone, and nobody was told."""
    frames, size = frames_of(crashed), frame_size(crashed)
    broken = len(frames) // 2
    at = 32 + broken * size + {"head": 1, "salt": 9, "checksum": 17, "page": 700}[part]
    held = crashed.with_name("ledger.db-wal").read_bytes()[at]
    change(crashed, at, bytes([held ^ 4]))
    crashed.with_name("ledger.db-shm").unlink()
    assert_lost(crashed, rf"ledger.db-wal is damaged in frame {broken + 1} of {len(frames)}")


def test_a_damaged_head_of_the_log_is_no_empty_log(crashed: Path) -> None:
    change(crashed, 20, b"\xff\xff")
    assert_lost(crashed, "the head of its log ledger.db-wal is damaged")


@pytest.mark.parametrize("left", [0, 32, 20_000])
def test_a_log_that_was_cut_is_found_by_its_index(crashed: Path, left: int) -> None:
    os.truncate(crashed.with_name("ledger.db-wal"), left)
    assert_lost(crashed, "was cut: it holds" if left else "is empty or gone, and held [0-9]+ pages")


def test_a_last_commit_that_a_power_cut_broke_is_no_damage(crashed: Path) -> None:
    """All of it had been written but one frame, and nothing of it was synced: it never was a commit."""
    frames, size = frames_of(crashed), frame_size(crashed)
    assert frames[-1]
    first = 1 + max(number for number, is_commit in enumerate(frames[:-1]) if is_commit)
    assert first < len(frames) - 1, "a commit of several frames"
    change(crashed, 32 + first * size + 700, b"\xff\xff\xff\xff")
    crashed.with_name("ledger.db-shm").unlink()
    crashed.with_name("ledger.db.head").unlink()
    assert verify(crashed, make).rows == 8 + COMMITS - 1
    desk = Desk(crashed)
    desk.record(fill(99))
    desk.journal.close()
    assert verify(crashed, make).findings == ()


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
