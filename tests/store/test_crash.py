"""Processes that die: what was called durable is there, the chain holds, and the lock dies with its holder."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.domain.errors import StoreLocked
from engine.domain.ledger_events import EngineStopped, InstrumentDefined
from engine.store import statements
from engine.store.head import noted_head
from engine.store.journal import Journal, read_journal
from engine.store.verify import verify
from tests.store.shop import AAPL, START_NS, Desk, make, run_sql, trade

ROOT = Path(__file__).parents[2]


def child(act: str, path: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.store.child", act, str(path)]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def killed_append(path: Path, after: int) -> int:
    """A child that appends is killed when it has said ``after`` commits; the last number it called durable."""
    process = child("append", path)
    assert process.stdout is not None
    for _ in range(after):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    told = [line for line in said.splitlines(keepends=True) if line.endswith("\n")]
    return int(told[-1]) if told else 0


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.proof)])
def test_a_killed_writer_loses_nothing_it_called_durable(tmp_path: Path, kills: int) -> None:
    path = tmp_path / "ledger.db"
    trade(path, 1)
    durable = rows = 0
    for number in range(kills):
        durable = max(durable, killed_append(path, 1 + number * 7 % 23))
        rows = sum(1 for _ in read_journal(path))
        assert rows >= durable, "a row that was called durable is gone"
        report = verify(path, make)
        assert report.findings == ()
        assert report.rows == rows
    noted = noted_head(path)
    assert noted is not None
    assert noted[0] <= rows
    desk = Desk(path)
    desk.record(InstrumentDefined(instrument=AAPL))
    desk.journal.close()
    assert verify(path, make).findings == ()


def test_a_killed_first_start_is_begun_again(tmp_path: Path) -> None:
    """The tables were made and the first row was not: that is still an empty ledger."""
    path = tmp_path / "ledger.db"
    first = Journal.open(path, START_NS, lambda: "AAAAA", "USD")
    first._connection.execute("DELETE FROM journal")
    path.with_name("ledger.db.head").unlink()  # noted behind the first row
    first.failed = "killed"
    first.close()
    again = Journal.open(path, START_NS, lambda: "BBBBB", "USD")
    assert again.is_new
    assert [row.kind for row in again.read()] == ["ledger_opened"]
    again.close()


def test_a_second_engine_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    holder = child("hold", path)
    with pytest.raises(StoreLocked, match=rf"another engine \(pid {holder.pid}\).*bolt stop"):
        Journal.open(path, START_NS, lambda: "X", "USD")
    assert [row.kind for row in read_journal(path)] == ["ledger_opened"], "readers need no lock"
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=30)
    journal = Journal.open(path, START_NS, lambda: "X", "USD")
    assert not journal.is_new
    journal.close()


def test_two_writers_after_the_lock_file_was_deleted_do_not_both_go_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    one = Desk(path)
    path.with_name("ledger.db.lock").unlink()
    two = Desk(path)
    assert two.record(InstrumentDefined(instrument=AAPL)) == one.record(EngineStopped(why="x")) == 2
    two.journal.commit()
    with pytest.raises(StoreLocked, match="another program wrote"):
        one.journal.commit()
    assert one.journal.failed
    two.journal.close()
    one.journal.close()
    assert verify(path, make).findings == ()


AGAIN = "INSERT INTO journal SELECT {}, ts_ns, kind, payload, {}, {} FROM journal WHERE seq = {}"
FORKS = {
    "behind the row of another": AGAIN.format(99, "prev_hash", "hash", 8),
    "behind a row that is not the last": AGAIN.format(99, "hash", "zeroblob(32)", 5),
    "behind the last one, and not next to it": AGAIN.format(99, "hash", "zeroblob(32)", 8),
    "a first row once more": AGAIN.format(99, "prev_hash", "hash", 1),
}


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("made_by", ["this Bolt", "one whose journal had an index"])
def test_no_two_rows_stand_behind_the_same_row(tmp_path: Path, fork: str, made_by: str) -> None:
    path = tmp_path / "ledger.db"
    if made_by != "this Bolt":
        run_sql(
            path, statements.CREATE_JOURNAL.replace("(seq))", "(seq), UNIQUE (prev_hash))"), *statements.CREATE_OTHERS
        )
        run_sql(path, "INSERT INTO meta VALUES ('schema', '1')")
    trade(path)
    with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: journal\.prev_hash"):
        run_sql(path, FORKS[fork])
    assert verify(path, make).findings == ()
    run_sql(path, AGAIN.format(9, "hash", "zeroblob(32)", 8))
    assert "row 9" in verify(path, make).findings[0], "the next row is let in, and judged by its hash"
