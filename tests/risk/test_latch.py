"""The latch: shared between processes, tripped-or-old at every moment, HALTED whenever it cannot be trusted."""

from __future__ import annotations

import fcntl
import mmap
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.events import TradingState
from engine.risk import latch as module
from engine.risk.latch import GLOBAL, SIZE, Latch, TripNote, leave_note, read_notes, sentinel

ACTIVE, REDUCING, HALTED = TradingState
AAPL = HaltScope(HaltScopeKind.SYMBOL, "AAPL")
PAPER = HaltScope(HaltScopeKind.ACCOUNT, "PAPER")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "latch"


HEAD = """
import sys, fcntl
from pathlib import Path
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.events import TradingState
from engine.risk.latch import *
latch = Latch.attach(Path(sys.argv[1]))
"""


def elsewhere(path: Path, code: str) -> None:
    """Run a few lines in another process, with the latch at hand."""
    subprocess.run([sys.executable, "-c", HEAD + code, str(path)], cwd=ROOT, check=True, timeout=60)


@contextmanager
def beside(path: Path, code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that runs until the block ends; entered when it has printed its first line."""
    argv = [sys.executable, "-c", HEAD + code, str(path)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_a_new_desk_is_active_and_its_space_is_taken(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    assert latch.read((AAPL, PAPER)) is ACTIVE
    assert latch.fault == ""
    state = path.stat()
    assert state.st_size == SIZE
    assert state.st_blocks * 512 >= SIZE
    assert state.st_mode & 0o077 == 0


def test_missing_beside_a_used_ledger_is_halted_and_stays_so(path: Path) -> None:
    latch = Latch.open(path, ledger_used=True)
    assert latch.read() is HALTED
    assert "was missing" in latch.fault
    assert Latch.open(path, ledger_used=True).read() is HALTED


def test_a_second_process_trips_and_the_first_sees_it(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    assert latch.read() is ACTIVE
    elsewhere(path, "assert latch.trip()")
    assert latch.read() is HALTED
    assert latch.trips() == 1


def test_a_second_process_trips_a_scope(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    elsewhere(path, "latch.trip(HaltScope(HaltScopeKind.SYMBOL, 'AAPL'), TradingState.REDUCING)")
    assert latch.read() is ACTIVE
    assert latch.read((PAPER,)) is ACTIVE
    assert latch.read((PAPER, AAPL)) is REDUCING


@pytest.mark.parametrize("scope", [GLOBAL, AAPL])
def test_a_trip_never_loosens(path: Path, scope: HaltScope) -> None:
    latch = Latch.open(path, ledger_used=False)
    latch.trip(scope, HALTED)
    latch.trip(scope, REDUCING)
    assert latch.read((scope,)) is HALTED


def test_a_trip_outlives_its_process_and_the_reopening(path: Path) -> None:
    Latch.open(path, ledger_used=False).close()
    elsewhere(path, "latch.trip()")
    latch = Latch.open(path, ledger_used=True)
    assert latch.read() is HALTED
    latch.close()
    assert latch.read() is HALTED


def test_lifting_restores_only_what_is_asked(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    latch.trip(AAPL)
    latch.trip(GLOBAL)
    assert latch.lift(GLOBAL, latch.trips())
    assert latch.read() is ACTIVE
    assert latch.read((AAPL,)) is HALTED
    assert latch.lift(AAPL, latch.trips())
    assert latch.read((AAPL,)) is ACTIVE
    page = latch.page()
    assert latch.lift(PAPER, latch.trips())
    assert latch.page() == page, "what was never tripped is active already"


def test_nothing_is_lifted_over_a_newer_trip(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    latch.trip()
    seen = latch.trips()
    elsewhere(path, "latch.trip()")
    assert not latch.lift(GLOBAL, seen)
    assert latch.read() is HALTED


class Raced:
    """Shared bytes into which another process writes its trip, without the lock, while a lift is half done."""

    def __init__(self, view: mmap.mmap) -> None:
        self.view = view

    def __getitem__(self, at: int | slice) -> int | bytes:
        return self.view[at]

    def __setitem__(self, at: int | slice, value: int | bytes) -> None:
        self.view[at] = value  # type: ignore[index,assignment] # either pair
        if isinstance(at, slice):
            elsewhere_shut(self.view)

    def flush(self) -> None:
        self.view.flush()

    def close(self) -> None:
        self.view.close()


def elsewhere_shut(view: mmap.mmap) -> None:
    """What :meth:`Latch.shut` writes."""
    view[module._GLOBAL_AT] = module._HALTED


def test_a_trip_in_the_middle_of_a_lift_stands(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    latch.trip()
    seen, view = latch.trips(), latch._map
    assert view is not None
    latch._map = Raced(view)  # type: ignore[assignment] # the same bytes, and somebody else at them
    assert not latch.lift(GLOBAL, seen)
    assert view[module._GLOBAL_AT] == module._HALTED
    assert latch.read() is HALTED


def corrupt_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def corrupt_grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def corrupt_foreign(path: Path) -> None:
    path.write_bytes(b"\0" * SIZE)


def corrupt_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [corrupt_cut, corrupt_grow, corrupt_foreign, corrupt_folder])
@pytest.mark.parametrize("ledger_used", [True, False])
def test_a_damaged_file_reads_halted(path: Path, damage: object, ledger_used: bool) -> None:
    Latch.open(path, ledger_used=False).close()
    damage(path)  # type: ignore[operator]
    latch = Latch.open(path, ledger_used=ledger_used)
    assert latch.read() is HALTED
    assert latch.fault
    assert not latch.lift(AAPL, latch.trips())


def test_every_single_flipped_byte_of_the_header_reads_halted(path: Path) -> None:
    Latch.open(path, ledger_used=False).close()
    good = path.read_bytes()
    for at in range(module.HEADER):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        assert Latch.attach(path).read() is HALTED, at


def test_a_flipped_byte_of_the_table_reads_halted(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    latch.trip(AAPL, REDUCING)
    good = path.read_bytes()
    for at in range(module.HEADER, module.HEADER + module.ENTRY):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        assert Latch.attach(path).read((PAPER,)) is HALTED, at


@pytest.mark.parametrize("scope", [AAPL, PAPER], ids=["same", "other"])
def test_no_trip_makes_a_damaged_latch_sound_again(path: Path, scope: HaltScope) -> None:
    """It writes new checksums over what was damaged: a symbol's trip made an engine active that a flipped bit had halted."""
    latch = Latch.open(path, ledger_used=False)
    latch.trip(AAPL, REDUCING)
    good = path.read_bytes()
    for at in range(module.HEADER + module.ENTRY):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        damaged = Latch.attach(path)
        assert damaged.read((AAPL,)) is HALTED, at
        damaged.trip(scope, REDUCING)
        assert damaged.read() is Latch.attach(path).read() is HALTED, at
        damaged.close()


def test_a_state_that_nobody_knows_is_halted_though_its_checksum_holds(path: Path) -> None:
    """As a later version may write."""
    Latch.open(path, ledger_used=False)
    page = bytearray(path.read_bytes())
    page[module._GLOBAL_AT] = 0x77
    module._seal(page)
    path.write_bytes(page)
    assert Latch.attach(path).read() is HALTED


@pytest.mark.parametrize("left", [10, 0])
def test_a_latch_that_is_cut_ends_no_process_that_reads_it(path: Path, left: int) -> None:
    """Where nothing is left of it, a look at the mapped bytes would be the process's end."""
    Latch.open(path, ledger_used=False)
    elsewhere(path, f"import os; os.truncate(sys.argv[1], {left}); assert latch.read() is TradingState.HALTED")


def test_nothing_is_lifted_without_the_lock(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    latch.trip(AAPL)
    seen = latch.trips()
    with beside(path, "fcntl.flock(latch._fd, fcntl.LOCK_EX)\nprint(1, flush=True)\nsys.stdin.read()"):
        assert not latch.lift(AAPL, seen)
    assert latch.read((AAPL,)) is HALTED


def test_a_latch_cut_or_removed_under_a_running_engine_reads_halted(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    os.truncate(path, 10)
    assert latch.read() is HALTED
    path.unlink()
    assert latch.read() is HALTED


def test_a_replaced_latch_is_followed(path: Path) -> None:
    """Another process removed and remade the file: what counts is what stands at the path."""
    latch = Latch.open(path, ledger_used=False)
    path.unlink()
    other = Latch.open(path, ledger_used=False)
    assert latch.read() is ACTIVE
    other.trip()
    assert latch.read() is HALTED


def test_a_trip_goes_to_the_file_that_stands_at_the_path(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    path.unlink()
    other = Latch.open(path, ledger_used=False)
    assert latch.trip()
    assert other.read() is HALTED


@pytest.mark.parametrize("is_remade", [True, False])
def test_a_latch_that_was_moved_away_is_followed_no_more(path: Path, is_remade: bool) -> None:
    """It keeps its links, and nobody else trips it: whoever looks at its entries, as an engine does all the time, notices."""
    latch = Latch.open(path, ledger_used=False)
    path.rename(path.with_name("elsewhere"))
    if is_remade:
        Latch.open(path, ledger_used=False).trip()
    assert [entry.state for entry in latch.entries()] == [HALTED]
    assert latch.read() is HALTED


def test_a_file_that_is_no_latch_uses_nothing_up(path: Path) -> None:
    """Each look tries anew; one that kept what it opened would leave nothing for a halt's own connections."""
    path.write_bytes(b"short")
    latch = Latch.attach(path)
    before = os.dup(0)
    os.close(before)
    for _ in range(50):
        assert latch.read() is HALTED
    after = os.dup(0)
    os.close(after)
    assert after == before


def test_a_global_lift_repairs_a_damaged_latch(path: Path) -> None:
    Latch.open(path, ledger_used=False).close()
    corrupt_cut(path)
    latch = Latch.open(path, ledger_used=True)
    assert latch.lift(GLOBAL, latch.trips())
    assert latch.read((AAPL,)) is ACTIVE
    assert latch.fault == ""


def test_a_trip_of_a_damaged_latch_stays_halted(path: Path) -> None:
    Latch.open(path, ledger_used=False).close()
    corrupt_cut(path)
    latch = Latch.open(path, ledger_used=True)
    assert not latch.trip(AAPL, REDUCING)
    assert latch.read() is HALTED


def test_a_full_table_halts_everything(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    for number in range(module.ENTRIES):
        latch.trip(HaltScope(HaltScopeKind.SYMBOL, f"S{number}"), REDUCING)
    assert latch.read() is ACTIVE
    assert all(latch.read((HaltScope(HaltScopeKind.SYMBOL, f"S{n}"),)) is REDUCING for n in range(module.ENTRIES))
    latch.trip(AAPL, REDUCING)
    assert latch.read() is HALTED


def test_long_names_are_told_apart(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    one, other = (HaltScope(HaltScopeKind.STRATEGY, "x" * 60 + end) for end in "ab")
    latch.trip(one)
    assert latch.read((one,)) is HALTED
    assert latch.read((other,)) is ACTIVE


def test_a_trip_does_not_wait_for_a_stuck_lock_holder(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    code = "fcntl.flock(latch._fd, fcntl.LOCK_EX)\nprint(1, flush=True)\nsys.stdin.read()"
    with beside(path, code) as holder:
        holder.send_signal(signal.SIGSTOP)
        latch.trip(AAPL)
        assert latch.read() is HALTED


class Noted:
    """Shared bytes that note, at each write and flush, whether the latch's lock was held."""

    def __init__(self, view: mmap.mmap, path: Path) -> None:
        self.view = view
        self.path = path
        self.told: list[tuple[object, bool]] = []

    def _is_locked(self) -> bool:
        fd = os.open(self.path, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def __getitem__(self, at: int | slice) -> int | bytes:
        return self.view[at]

    def __setitem__(self, at: int | slice, value: int | bytes) -> None:
        self.told.append((at, self._is_locked()))
        self.view[at] = value  # type: ignore[index,assignment] # either pair

    def flush(self) -> None:
        self.told.append(("flush", self._is_locked()))
        self.view.flush()

    def close(self) -> None:
        self.view.close()


def noted(path: Path) -> tuple[Latch, Noted]:
    latch = Latch.open(path, ledger_used=False)
    assert latch._map is not None
    made = Noted(latch._map, path)
    latch._map = made  # type: ignore[assignment] # the same bytes
    return latch, made


def test_a_global_trip_counts_before_it_has_the_lock(path: Path) -> None:
    latch, made = noted(path)
    assert latch.trip()
    assert made.told[0] == (module._GLOBAL_AT, False)


def test_no_lock_is_held_while_a_trip_waits_for_the_disk(path: Path) -> None:
    """Who finds the lock taken for long halts everything: a slow disk must not make that of a symbol's trip."""
    latch, made = noted(path)
    assert latch.trip(AAPL)
    assert made.told[-1] == ("flush", False)


def test_tightening_waits_for_no_disk(path: Path) -> None:
    latch, made = noted(path)
    latch.tighten(AAPL, HALTED)
    latch.tighten(GLOBAL, REDUCING)
    assert "flush" not in [what for what, _ in made.told]
    assert Latch.attach(path).read((AAPL,)) is HALTED
    assert Latch.attach(path).read() is REDUCING


def test_shutting_is_seen_by_everybody_and_undone_by_no_half_trip(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    other = Latch.attach(path)
    latch.shut()
    assert other.read() is HALTED
    assert latch.trip()
    assert other.read() is HALTED


class Unflushed(Noted):
    """A disk that refuses."""

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


def test_a_lift_that_the_disk_refuses_leaves_everything_halted(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    latch.trip(AAPL)
    latch._map = Unflushed(latch._map, path)  # type: ignore[assignment,arg-type] # the same bytes
    assert not latch.lift(AAPL, latch.trips())
    assert latch.read() is Latch.attach(path).read() is HALTED
    assert "Input/output error" in latch.fault


def test_reducing_never_takes_the_place_of_a_trip_written_meanwhile(path: Path) -> None:
    latch = Latch.open(path, ledger_used=False)
    assert latch._map is not None
    view = latch._map

    class Meanwhile(str):
        """A name that is read between the look at the page and the write: somebody shuts the gate then."""

        __slots__ = ()

        def __hash__(self) -> int:
            elsewhere_shut(view)
            return super().__hash__()

    latch.tighten(HaltScope(HaltScopeKind.GLOBAL, Meanwhile()), REDUCING)
    assert latch.read() is HALTED
    assert latch.trip()
    assert latch.read() is HALTED


@pytest.mark.parametrize("scope", ["GLOBAL", "HaltScope(HaltScopeKind.SYMBOL, 'AAPL')"])
def test_a_writer_killed_at_any_moment_leaves_the_old_state_or_halted(path: Path, scope: str) -> None:
    """Trips over a REDUCING desk: whatever instant the writer dies at, nobody reads ACTIVE."""
    latch = Latch.open(path, ledger_used=False)
    latch.trip(GLOBAL, REDUCING)
    dice = random.Random(7)
    code = f"scope = {scope}\nprint(1, flush=True)\nwhile True: latch.trip(scope, TradingState.HALTED)"
    for _ in range(12):
        with beside(path, code) as writer:
            end = time.monotonic() + dice.random() * 0.01
            while time.monotonic() < end:
                assert latch.read((AAPL,)) is not ACTIVE
            writer.kill()
            writer.wait()
            assert latch.read((AAPL,)) is Latch.attach(path).read((AAPL,)) is not ACTIVE
    assert latch.read((AAPL,)) is HALTED


class Dies(BaseException):
    """The process is gone."""


class Mortal:
    """A mapped page whose writer dies before its n-th write."""

    def __init__(self, page: object, writes: int) -> None:
        self._page = page
        self._left = writes

    def __getitem__(self, at: object) -> object:
        return self._page[at]  # type: ignore[index]

    def __setitem__(self, at: object, value: object) -> None:
        if self._left == 0:
            raise Dies
        self._left -= 1
        self._page[at] = value  # type: ignore[index]

    def flush(self) -> None:
        self._page.flush()  # type: ignore[attr-defined]

    def close(self) -> None:
        self._page.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("writes", range(6))
@pytest.mark.parametrize("act", ["trip global", "trip symbol", "trip symbol again", "lift global", "lift symbol"])
def test_dying_between_any_two_writes_is_old_or_halted(path: Path, writes: int, act: str) -> None:
    """An account stays REDUCING all the while; whatever else is written, nobody may read it as ACTIVE."""
    latch = Latch.open(path, ledger_used=False)
    latch.trip(PAPER, REDUCING)
    scope = GLOBAL if act.endswith("global") else AAPL
    if act in {"trip symbol again", "lift symbol", "lift global"}:
        latch.trip(scope, HALTED if act.startswith("lift") else REDUCING)
    seen = latch.trips()
    before = latch.read((AAPL,))
    latch._map = Mortal(latch._map, writes)  # type: ignore[assignment]
    died = False
    try:
        assert latch.trip(scope) if act.startswith("trip") else latch.lift(scope, seen)
    except Dies:
        died = True
    reader = Latch.attach(path)
    done = HALTED if act.startswith("trip") else ACTIVE
    assert reader.read((AAPL,)) in ({before, HALTED} if died else {done})
    assert reader.read((PAPER,)) in {REDUCING, HALTED}
    assert not died or writes < 4


def test_trip_files_are_read_oldest_first_and_survive_nonsense(tmp_path: Path) -> None:
    note = TripNote(scope=AAPL, state=HALTED, code="MANUAL", who="anna", why="test", ts_ns=2, pid=5)
    assert read_notes(tmp_path) == []
    leave_note(tmp_path, note)
    leave_note(tmp_path, msgspec.structs.replace(note, ts_ns=1))
    (tmp_path / "trips" / "9.json").write_bytes(b"{")
    notes = [item for _, item in read_notes(tmp_path)]
    assert [item.ts_ns for item in notes] == [1, 2, 0]
    assert notes[1] == note
    assert (notes[2].code, notes[2].scope, notes[2].state) == ("TRIP_FILE_BAD", GLOBAL, HALTED)


def test_a_trip_file_that_loosens_halts(tmp_path: Path) -> None:
    """A note is asked for by whoever may write a file there: it can only ever stop."""
    leave_note(tmp_path, TripNote(scope=AAPL, state=ACTIVE, code="MANUAL", who="anna", why="test", ts_ns=2))
    ((_, note),) = read_notes(tmp_path)
    assert (note.code, note.scope, note.state, note.who) == ("TRIP_FILE_BAD", GLOBAL, HALTED, "anna")


def test_a_note_that_cannot_be_left_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "trips").write_text("a file where the folder belongs", encoding="utf-8")
    note = TripNote(scope=AAPL, state=HALTED, code="MANUAL", who="anna", why="test", ts_ns=2)
    assert leave_note(tmp_path, note) is None


def test_the_sentinel_file_trips_with_its_text(tmp_path: Path) -> None:
    assert sentinel(tmp_path) is None
    (tmp_path / "HALT").write_text("fire alarm\n", encoding="utf-8")
    note = sentinel(tmp_path)
    assert note is not None
    assert (note.code, note.why, note.scope) == ("SENTINEL", "fire alarm", GLOBAL)


@pytest.mark.parametrize("make", ["file", "folder", "pipe", "link to nothing"])
def test_whatever_lies_there_under_the_sentinels_name_halts_and_is_waited_for_by_nobody(
    tmp_path: Path, make: str
) -> None:
    path = tmp_path / "HALT"
    assert sentinel(tmp_path) is None
    match make:
        case "file":
            path.touch()
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            path.symlink_to(tmp_path / "nothing")
    found = sentinel(tmp_path)
    assert found is not None
    assert (found.code, found.state) == ("SENTINEL", HALTED)
    assert found.why


def test_a_trip_file_that_is_a_pipe_halts_and_is_waited_for_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "trips").mkdir()
    os.mkfifo(tmp_path / "trips" / "1.json")
    ((_, note),) = read_notes(tmp_path)
    assert (note.code, note.state) == ("TRIP_FILE_BAD", HALTED)
