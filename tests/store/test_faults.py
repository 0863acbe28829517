"""A disk that is full, read-only, stuck or lying: the journal fails once, for good, and says what to do."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.domain.errors import InvariantError, StoreCorrupt, StoreLocked, StoreUnwritable, StoreVersion
from engine.store.connection import fold_log
from engine.store.head import noted_head
from engine.store.journal import read_journal
from engine.store.link import Link
from engine.store.verify import verify
from engine.store.writer import JournalWriter
from tests.store.shop import Desk, alert, make, put_in_place, run_sql, trade

ROOT = Path(__file__).parents[2]
WAIT_S = 20.0
DEVICES = {
    "disk full": ("/dev/full", "the disk is full; free space"),  # not on macOS
    "fsync fails": ("/dev/null", "SQLITE_IOERR_FSYNC.*check the disk"),
}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    trade(path)
    return path


def failing(path: Path, device: str) -> None:
    """Runs in a process of its own, since it ruins its own descriptors."""
    desk = Desk(path)
    desk.record(alert(1))
    desk.journal.commit()
    put_in_place(path, device)
    desk.record(alert(2))
    for act in (desk.journal.commit, lambda: desk.record(alert(3)), desk.journal.commit):
        try:
            act()
            print("went on")
        except StoreUnwritable as error:
            print(error)
    print("durable", desk.journal.durable_seq, [row.seq for row in desk.journal.read(9)])
    print("head", desk.journal.write_head(), flush=True)
    os._exit(0)


@pytest.mark.parametrize("kind", [kind for kind, (device, _) in DEVICES.items() if Path(device).exists()])
def test_after_the_kernel_refuses_a_write_or_fsync_nothing_more_is_taken(ledger: Path, kind: str) -> None:
    device, words = DEVICES[kind]
    code = f"from pathlib import Path; from tests.store.test_faults import failing; failing(Path({str(ledger)!r}), {device!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    first, second, third, durable, head = done.stdout.splitlines()
    assert pytest.raises(AssertionError, match=words).matches(AssertionError(first))
    assert first == second, "every later append says why"
    assert third == "went on", "there is nothing to commit any more"
    assert durable == "durable 9 [9]", "what is not durable is not shown"
    assert head == "head False"
    assert verify(ledger, make).findings == ()
    assert noted_head(ledger) == (8, list(read_journal(ledger))[7].hash)
    desk = Desk(ledger)
    assert desk.journal.durable_seq >= 9
    desk.journal.close()


def test_a_page_limit_is_a_full_disk(ledger: Path) -> None:
    desk = Desk(ledger)
    desk.journal._connection.execute("PRAGMA max_page_count = 1")
    desk.record(alert(1, "x" * 500_000))
    with pytest.raises(StoreUnwritable, match="the disk is full; free space, then start again"):
        desk.journal.commit()
    with pytest.raises(StoreUnwritable, match="the disk is full"):
        desk.record(alert(2))
    desk.journal.close()
    assert verify(ledger, make).findings == ()


# -- stores that cannot be opened ------------------------------------------------------------------------------------


def test_a_read_only_ledger_stays_read_only_also_for_root(ledger: Path) -> None:
    ledger.chmod(0o400)
    with pytest.raises(StoreUnwritable, match=r"read-only \(mode 400\).*chmod u\+w"):
        Desk(ledger)
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o400
    assert verify(ledger, make).findings == ()


def test_a_folder_that_nobody_can_write_is_refused() -> None:
    nowhere = Path("/proc/self/fdinfo" if sys.platform == "linux" else "/System") / "ledger.db"
    with pytest.raises(StoreUnwritable, match="make its folder writable"):
        Desk(nowhere)


def test_a_folder_in_the_ledgers_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(StoreUnwritable, match="is no file"):
        Desk(tmp_path / "ledger.db")


@pytest.mark.parametrize("number", ["0", "99", "x"])
def test_another_schema_is_refused(ledger: Path, number: str) -> None:
    run_sql(ledger, f"UPDATE meta SET value = '{number}' WHERE name = 'schema'")
    with pytest.raises(StoreVersion, match=rf"schema {number}; this Bolt reads schema \d+; use the Bolt that wrote it"):
        Desk(ledger)


def test_words_are_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"words, and more words " * 500)
    with pytest.raises(StoreCorrupt, match=r"damaged.*restore a backup"):
        Desk(path)


def test_another_programs_write_lock_ends_the_journal(ledger: Path) -> None:
    desk = Desk(ledger)
    desk.journal._connection.execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(ledger, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    desk.record(alert(1))
    with pytest.raises(StoreLocked, match="locked by another program"):
        desk.journal.commit()
    other.close()
    with pytest.raises(StoreUnwritable, match="locked by another program"):
        desk.record(alert(2))
    desk.journal.close()


def test_a_failed_open_leaves_the_lock_free(ledger: Path) -> None:
    run_sql(ledger, "UPDATE meta SET value = '2' WHERE name = 'schema'")
    for _ in range(2):
        with pytest.raises(StoreVersion):
            Desk(ledger)


def test_only_the_owner_can_read_a_new_ledger(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "ledger.db")
    assert desk.journal.write_head()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    desk.journal.close()
    assert set(modes) == {f"ledger.db{end}" for end in ("", "-wal", "-shm", ".lock", ".head")}
    assert set(modes.values()) == {0o600}


def test_no_connection_is_left_open(ledger: Path) -> None:
    """Python 3.13 warns of each; here the kernel is asked."""
    run_sql(ledger, "UPDATE meta SET value = '2' WHERE name = 'schema'")
    before = sum(1 for _ in Path("/dev/fd").iterdir())
    for _ in range(3):
        with pytest.raises(StoreVersion):
            Desk(ledger)
        with pytest.raises(StoreVersion):
            list(read_journal(ledger))
    assert sum(1 for _ in Path("/dev/fd").iterdir()) == before


# -- the writer ------------------------------------------------------------------------------------------------------


class Gate:
    """A connection whose commits wait for the test: a disk that hangs."""

    def __init__(self, inner: Link) -> None:
        self._inner = inner
        self.open = threading.Event()
        self.reached = threading.Event()
        self.error: Exception | None = None

    def execute(self, words: str, *args: Any) -> Any:
        if words == "COMMIT":
            self.reached.set()
            assert self.open.wait(WAIT_S)
            if self.error is not None:
                raise self.error
        return self._inner.execute(words, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Hung:
    """A desk whose writer thread hangs in its first commit."""

    def __init__(self, path: Path) -> None:
        self.desk = Desk(path)
        self.gate = Gate(self.desk.journal._connection)
        self.desk.journal._connection = self.gate
        self.durable: list[int] = []
        self.failures: list[str] = []
        self.told = threading.Event()
        self.writer = JournalWriter(self.desk.journal, self._durable, self._failed)
        self.writer.start()
        self.desk.record(alert(1))
        self.writer.hand_over()
        assert self.gate.reached.wait(WAIT_S)

    def _durable(self, seq: int) -> None:
        self.durable.append(seq)
        self.told.set()

    def _failed(self, why: str) -> None:
        self.failures.append(why)
        self.told.set()

    def end(self) -> None:
        self.gate.open.set()
        assert self.writer.stop(WAIT_S)
        assert self.failures == [], "something waited for the disk until it gave up"
        self.desk.journal.close()


def test_what_comes_during_a_commit_shares_the_next_one(ledger: Path) -> None:
    hung = Hung(ledger)
    for number in range(2, 40):
        hung.desk.record(alert(number))
        hung.writer.hand_over()
    hung.end()
    assert hung.durable == [9, 47]
    assert verify(ledger, make).findings == ()


def test_a_hung_disk_holds_up_neither_append_nor_read(ledger: Path) -> None:
    hung = Hung(ledger)
    assert hung.desk.record(alert(2)) == 10
    assert [row.seq for row in hung.desk.journal.read(7)] == [7, 8], "answered at once, without the rows that hang"
    assert hung.desk.journal.durable_seq == 8
    hung.end()


def test_the_rows_ahead_of_the_disk_are_bounded_wherever_they_wait(ledger: Path) -> None:
    hung = Hung(ledger)
    hung.desk.journal.pending_max = 50
    for number in range(2, 51):
        hung.desk.record(alert(number))
        hung.writer.hand_over()
    with pytest.raises(InvariantError, match="50 journal rows wait for the disk"):
        hung.desk.record(alert(51))
    assert hung.desk.journal.head_seq == 8 + 50
    hung.end()


BREAKS: dict[str, tuple[Callable[[], Exception], str]] = {
    "a database error": (lambda: sqlite3.OperationalError("disk I/O error"), "disk I/O error.*check the disk"),
    "a defect": (lambda: ValueError("broken"), "the journal writer broke: ValueError"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_writer_that_fails_says_so_once_and_ends(ledger: Path, kind: str) -> None:
    make_error, words = BREAKS[kind]
    hung = Hung(ledger)
    hung.gate.error = make_error()
    hung.gate.open.set()
    assert hung.told.wait(WAIT_S)
    assert hung.writer.stop(WAIT_S)
    assert len(hung.failures) == 1
    assert pytest.raises(AssertionError, match=words).matches(AssertionError(hung.failures[0]))
    with pytest.raises(StoreUnwritable, match=words):
        hung.desk.record(alert(2))
    assert hung.durable == []
    run_sql(ledger, "PRAGMA busy_timeout = 0", "BEGIN IMMEDIATE", "ROLLBACK")
    hung.gate.error = None
    hung.desk.journal.close()
    assert verify(ledger, make).rows == 8


def test_the_head_is_noted_when_nothing_comes(ledger: Path) -> None:
    """So a cut is found also where the engine is killed later."""
    desk = Desk(ledger)
    writer = JournalWriter(desk.journal, lambda _: None, lambda _: None, idle_s=0.01)
    writer.start()
    desk.record(alert(1))
    writer.hand_over()
    deadline, tick = time.monotonic() + WAIT_S, threading.Event()
    while noted_head(ledger) != (9, desk.journal.head_hash):
        assert time.monotonic() < deadline, "the head was not noted"
        tick.wait(0.005)
    assert writer.stop(WAIT_S)
    desk.journal.close()


def test_a_head_is_never_noted_ahead_of_the_disk(ledger: Path) -> None:
    hung = Hung(ledger)
    hung.desk.record(alert(2))
    hung.desk.journal._writing = threading.Lock()
    assert hung.desk.journal.write_head()
    noted = noted_head(ledger)
    assert noted is not None
    assert noted[0] == 8
    hung.end()


def test_the_write_ahead_log_stays_bounded(ledger: Path) -> None:
    sizes = []
    desk = Desk(ledger)
    desk.journal.checkpoint_rows = 50
    for number in range(1, 2001):
        desk.record(alert(number, "x" * 200))
        if number % 10 == 0:
            desk.journal.commit()
        if number % 500 == 0:
            sizes.append(ledger.with_name("ledger.db-wal").stat().st_size)
    desk.journal.close()
    assert sizes[-1] <= sizes[0] * 2, sizes


def test_a_log_that_another_program_folds_just_now_is_not_taken_for_empty(ledger: Path) -> None:
    """It waits there for a reader; a size of nothing would let the log grow without a word."""
    desk = Desk(ledger)
    desk.record(alert(1, "x" * 8_000))
    desk.journal.commit()
    reader = sqlite3.connect(ledger)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM journal").fetchone()
    desk.record(alert(2, "x" * 8_000))
    desk.journal.commit()
    other = sqlite3.connect(ledger, check_same_thread=False, timeout=WAIT_S)

    def fold() -> None:
        while other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            assert time.monotonic() < deadline  # it gives up at once where the probe is at it in that moment

    thread, deadline = threading.Thread(target=fold), time.monotonic() + WAIT_S
    thread.start()
    probe, tick = sqlite3.connect(ledger), threading.Event()
    while probe.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1] >= 0:
        assert time.monotonic() < deadline, "the other program did not begin"
        tick.wait(0.02)
    log = ledger.with_name("ledger.db-wal")
    assert fold_log(probe) == log.stat().st_size > 16_000
    reader.rollback()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert fold_log(probe) == 0
    for link in (reader, other, probe):
        link.close()
    desk.journal.close()


def test_the_log_is_folded_beside_the_writer(ledger: Path) -> None:
    """Not by it: an order in a hundred would wait for that."""
    before = set(threading.enumerate())
    desk = Desk(ledger)
    desk.journal.checkpoint_rows = 250
    writer = JournalWriter(desk.journal, lambda _: None, lambda _: None)
    writer.start()
    for number in range(1, 2_001):
        seq = desk.record(alert(number, "x" * 8_000))
        if number % 20 == 0:
            writer.hand_over()
            assert writer.wait_durable(seq, WAIT_S)
    deadline, tick = time.monotonic() + WAIT_S, threading.Event()
    while desk.journal.checkpointed_seq < desk.journal.head_seq - desk.journal.checkpoint_rows:
        assert time.monotonic() < deadline, "the log was not folded"
        tick.wait(0.005)
    assert ledger.with_name("ledger.db-wal").stat().st_size <= desk.journal.log_bytes, "sixteen MB went through it"
    assert writer.stop(WAIT_S)
    assert set(threading.enumerate()) <= before, "its threads have ended"
    desk.journal.close()
    assert verify(ledger, make).findings == ()
