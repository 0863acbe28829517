"""The laboratory leaves nothing behind: interrupted, ended, killed, or on a disk without room."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bolt_tui.faults.campaign import _keep
from bolt_tui.faults.schedule import make
from bolt_tui.faults.scratch import FRESH_NS, MEMORY, PREFIX, LabError, clear
from engine.domain.clock import SystemClock
from tests.server.fakes import until

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


def lives(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("number", "to_all", "code"),
    [(signal.SIGINT, True, 130), (signal.SIGINT, False, 130), (signal.SIGTERM, True, 143), (signal.SIGHUP, False, 129)],
)
def test_an_interrupted_campaign_ends_at_once_with_one_line_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals, to_all: bool, code: int
) -> None:
    """Two workers: the second had a copy of the first one's pipe, so the first played on to the end of its share."""
    dump, memory = tmp_path / "dump", MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
    before = {path.name for path in memory.glob(f"{PREFIX}*")}
    words = [sys.executable, "-m", "bolt_tui", "faults", "--seeds", "100000", "--jobs", "2", "--dump", str(dump)]
    run = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        until(lambda: len(list(dump.glob("0*"))) >= 2, "two schedules")
        made = {path.name for path in memory.glob(f"{PREFIX}*")} - before
        (os.killpg if to_all else os.kill)(run.pid, number)
        out, err = run.communicate(timeout=SECONDS)
        until(lambda: not lives(run.pid), "the end of every process")
    finally:
        if lives(run.pid):
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == code
    assert (out, err.strip()) == ("", "bolt: interrupted" if number is signal.SIGINT else "")
    assert not made & {path.name for path in memory.glob(f"{PREFIX}*")}
    assert len(list(dump.glob("0*"))) < 1_000


def test_what_a_killed_run_left_is_cleared_away_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    dead, alive, fresh, other = (tmp_path / name for name in (f"{PREFIX}a", f"{PREFIX}b", f"{PREFIX}c", "other"))
    for path in (dead, alive, fresh, other):
        (path / "worker0").mkdir(parents=True)
    (tmp_path / f"{PREFIX}d").symlink_to(other)
    now_ns = SystemClock().now_ns()
    for path in (dead, alive, other):
        os.utime(path, ns=(now_ns - 2 * FRESH_NS,) * 2)
    held = os.open(alive, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        clear(tmp_path, now_ns)
        assert [path.exists() for path in (dead, alive, fresh, other)] == [False, True, True, True]
    finally:
        os.close(held)
    clear(tmp_path, now_ns)
    assert [path.exists() for path in (alive, fresh, other / "worker0")] == [False, True, True]


def test_a_dump_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="cannot be written: Not a directory; name a folder on a disk with room"):
        _keep(tmp_path, make(1), [], tmp_path / "file" / "000001")


@pytest.mark.parametrize("most", [10_000, 200_000])
def test_a_worker_without_room_for_its_ledgers_ends_the_run_in_words(most: int) -> None:
    """No file may grow, as on a full disk: a trace of Python's was all that was said."""
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most},) * 2)"
    limited = f"import resource, sys; {limit}; from bolt_tui.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", limited, "faults", "--seeds", "2", "--jobs", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    told = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in told] == ["bolt"] * len(told), done.stderr
    assert "the laboratory cannot go on: " in told[-2]
    assert told[-1] == "bolt: 0 of 2 schedules were judged: a worker of the laboratory failed, as said above"
    assert done.returncode not in {0, 1}
