"""A reader who forgets an open transaction: the write-ahead log grows behind it, that is told with its name, and it has a bound."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.domain.errors import StoreUnwritable
from engine.store.connection import LOG_BYTES
from engine.store.journal import LOG_BYTES_MAX, LOG_WARN_BYTES, read_journal
from engine.store.verify import verify
from engine.store.writer import LATE, JournalWriter
from tests.store.shop import Desk, alert, make, trade

READER = """
import sqlite3, sys
line = sqlite3.connect(sys.argv[1], isolation_level=None)
line.execute("BEGIN")
line.execute("SELECT count(*) FROM journal").fetchone()
print("open", flush=True)
sys.stdin.read()
"""
MIB = 2**20


@contextmanager
def open_reader(path: Path) -> Iterator[int]:
    """A process of somebody else's that holds a read transaction; its id."""
    words = [sys.executable, "-c", READER, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process.pid
        process.kill()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    trade(path)
    return path


def log_size(path: Path) -> int:
    return path.with_name(f"{path.name}-wal").stat().st_size


def limited(path: Path) -> tuple[Desk, list[str]]:
    """A desk with bounds that a test reaches, and what its journal tells."""
    desk, told = Desk(path), []
    desk.journal.checkpoint_rows, desk.journal.log_warn_bytes, desk.journal.log_bytes_max = 50, 4 * MIB, 16 * MIB
    desk.journal.on_trouble = lambda code, words: told.append(f"{code}: {words}")
    return desk, told


def write(desk: Desk, mib: int) -> None:
    for number in range(mib * 20):
        desk.record(alert(number, "x" * 50_000))
        desk.journal.commit()


def test_a_log_that_a_reader_holds_is_told_once_and_cut_back_when_it_goes(ledger: Path) -> None:
    desk, told = limited(ledger)
    with open_reader(ledger) as pid:
        write(desk, 12)
        assert log_size(ledger) > LOG_BYTES
        who = f"process {pid} reads" if Path("/proc/locks").exists() else "another program reads"
        (words,) = told
        assert words.startswith("LOG_HELD: the write-ahead log of ledger ")
        assert f"because {who} it in one long transaction; end that: at 16 MiB trading stops" in words
        assert desk.journal.failed == ""
    write(desk, 3)
    assert log_size(ledger) <= LOG_BYTES + MIB, "it is cut back to the room it always has"
    assert len(told) == 1
    desk.journal.close()
    assert verify(ledger, make).findings == ()


def test_at_the_bound_the_journal_fails_and_loses_nothing(ledger: Path) -> None:
    desk, _ = limited(ledger)
    with open_reader(ledger) as pid:
        with pytest.raises(
            StoreUnwritable, match=r"MiB because .* in one long transaction; end that, then start again"
        ):
            write(desk, 40)
        assert log_size(ledger) <= 16 * MIB + 4 * MIB, "the bound, and what comes between two looks"
        if Path("/proc/locks").exists():
            assert f"process {pid} reads" in desk.journal.failed
        durable = desk.journal.durable_seq
        desk.journal.close()
    assert sum(1 for _ in read_journal(ledger)) == durable
    assert verify(ledger, make).findings == ()
    again = Desk(ledger)
    assert again.journal.failed == ""
    again.journal.close()


def test_the_writer_says_so_at_the_bound(ledger: Path) -> None:
    desk, _ = limited(ledger)
    failed = threading.Event()
    why: list[str] = []

    def on_failure(words: str) -> None:
        why.append(words)
        failed.set()

    writer = JournalWriter(desk.journal, lambda _: None, on_failure)
    writer.start()
    with open_reader(ledger):
        number = 0
        while not failed.is_set() and number < 2_000:
            number += 1
            try:
                seq = desk.record(alert(number, "x" * 50_000))
            except StoreUnwritable:
                break
            writer.hand_over()
            writer.wait_durable(seq, 20)
        assert failed.wait(20)
    assert "one long transaction" in why[0]
    assert writer.stop()
    desk.journal.close()


def test_the_bounds_are_those_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")
    assert f"{LOG_WARN_BYTES // MIB} MiB" in page
    assert f"{LOG_BYTES_MAX // MIB:,} MiB" in page


def test_a_writer_folds_the_log_itself_where_the_thread_that_should_does_not_come_to_it(ledger: Path) -> None:
    """Held up here by who is told of something: the log must not grow without bound behind it."""
    desk = Desk(ledger)
    journal = desk.journal
    journal.checkpoint_rows, journal.log_warn_bytes = 5, 0
    held, go_on = threading.Event(), threading.Event()

    def told(_code: str, _words: str) -> None:
        if threading.current_thread().name == "bolt-log":
            held.set()
            go_on.wait(60)

    journal.on_trouble = told
    failures: list[str] = []
    writer = JournalWriter(journal, lambda _: None, failures.append)
    writer.start()

    def write(count: int) -> int:
        for number in range(count):
            desk.record(alert(number))
        writer.hand_over()
        assert writer.wait_durable(journal.head_seq, 60)
        return journal.durable_seq

    write(journal.checkpoint_rows)
    assert held.wait(60)
    folded = journal.checkpointed_seq
    write(LATE * journal.checkpoint_rows)
    last = write(1)
    assert journal.checkpointed_seq > folded
    assert journal.checkpointed_seq >= last - LATE * journal.checkpoint_rows
    go_on.set()
    writer.stop(60)
    assert failures == []
    journal.close()
    assert verify(ledger, make).findings == ()
