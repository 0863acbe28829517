"""The tape's chunks: bounded, hashed, and never in the way of who records."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.domain.clock import NS_PER_S, SystemClock, parse_iso
from engine.domain.errors import DataError
from engine.market.tape import (
    CHUNK_NS,
    CHUNK_ROWS,
    LOST,
    QUEUE_MAX,
    Chunk,
    TapeWriter,
    chunk_fault,
    chunk_path,
    days_of,
    first_row,
    is_chunk,
    prune,
    read_chunk,
    recover,
)

NOON = parse_iso("2024-03-05T12:00:00Z")


class Tape:
    """A writer, and what it said."""

    def __init__(self, folder: Path, gate: threading.Event | None = None) -> None:
        self.folder = folder
        self.gate = gate
        self.chunks: list[Chunk] = []
        self.writer = TapeWriter(folder, self.encode, self.chunks.append)

    def encode(self, payload: Any) -> bytes:
        """A disk that hangs until the gate opens."""
        if self.gate is not None:
            assert self.gate.wait(20)
        return msgspec.json.encode(payload)

    def read(self) -> Iterator[Any]:
        for chunk in sorted(self.chunks, key=lambda one: one.name):
            for row in read_chunk(self.folder, chunk.name, chunk.sha256):
                yield row.kind, row.seq, row.ts_ns, msgspec.json.decode(row.payload)


def test_what_was_heard_comes_back_in_order_in_chunks_of_bounded_size(tmp_path: Path) -> None:
    tape = Tape(tmp_path)
    for at in range(CHUNK_ROWS + 3):
        tape.writer.add("tick", at // 10, NOON + at, [at])
    assert tape.writer.close(20)
    assert [(one.name, one.rows) for one in tape.chunks] == [
        ("tape/20240305/000001", CHUNK_ROWS),
        ("tape/20240305/000002", 3),
    ]
    assert list(tape.read()) == [("tick", at // 10, NOON + at, [at]) for at in range(CHUNK_ROWS + 3)]
    assert [one.chunks for one in days_of(tmp_path)] == [2]
    assert all(is_chunk(one.name) for one in tape.chunks)
    assert not is_chunk("aapl_20120621.csv.gz")


def test_an_old_chunk_is_closed_and_each_day_has_its_own_folder(tmp_path: Path) -> None:
    tape = Tape(tmp_path)
    tape.writer.add("a", 1, NOON, 1)
    tape.writer.beat(NOON + CHUNK_NS - 1)
    tape.writer.add("b", 1, NOON + CHUNK_NS - 1, 2)
    tape.writer.beat(NOON + CHUNK_NS)
    tape.writer.add("c", 2, NOON + 13 * 3600 * NS_PER_S, 3)
    tape.writer.close(20)
    assert [(one.name, one.rows) for one in tape.chunks] == [("tape/20240305/000001", 2), ("tape/20240306/000001", 1)]


def test_the_next_session_of_a_day_goes_on_counting(tmp_path: Path) -> None:
    first, second = Tape(tmp_path), Tape(tmp_path)
    for tape in (first, second):
        tape.writer.add("a", 1, NOON, 1)
        tape.writer.close(20)
    assert second.chunks[0].name == "tape/20240305/000002"


def test_a_hanging_disk_delays_nobody_and_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    gate = threading.Event()
    tape = Tape(tmp_path, gate)
    for number in range(QUEUE_MAX + 5):
        tape.writer.add("a", number, NOON, number)
        tape.writer.flush()
    lost = [one for one in tape.chunks if one.sha256 == LOST]
    assert 4 <= len(lost) <= 5, "one may be in the thread's hands"
    assert lost[0].why == "the disk does not keep up"
    assert tape.writer.lost == len(lost)
    assert not tape.writer.close(0.01), "it does not wait for ever either"
    gate.set()


def test_a_dead_disk_is_said_for_each_chunk(tmp_path: Path) -> None:
    (tmp_path / "tape").write_text("a file where the folder should be")
    tape = Tape(tmp_path / "tape")
    for number in range(3):
        tape.writer.add("a", number, NOON, number)
        tape.writer.flush()
    assert tape.writer.close(20)
    assert [(one.sha256, one.rows) for one in tape.chunks] == [(LOST, 1)] * 3
    assert "cannot be written" in tape.chunks[0].why
    assert "was not kept" in chunk_fault(tmp_path, tape.chunks[0].name, LOST)


def test_a_missing_or_edited_chunk_is_found(tmp_path: Path) -> None:
    tape = Tape(tmp_path)
    tape.writer.add("a", 1, NOON, 1)
    tape.writer.close(20)
    (chunk,) = tape.chunks
    path = chunk_path(tmp_path, chunk.name)
    assert chunk_fault(tmp_path, chunk.name, chunk.sha256) == ""
    path.write_bytes(gzip.compress(b'["a",1,1709640000000000000,2]\n'))
    with pytest.raises(DataError, match="is not the chunk whose hash the journal holds"):
        list(read_chunk(tmp_path, chunk.name, chunk.sha256))
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        list(read_chunk(tmp_path, chunk.name, chunk.sha256))
    with pytest.raises(DataError, match="names no chunk"):
        chunk_path(tmp_path, "tape/../../etc")


def test_old_days_and_then_the_oldest_are_removed_but_never_today(tmp_path: Path) -> None:
    for day, size in (("20240101", 10), ("20240303", 50), ("20240304", 50), ("20240305", 500)):
        folder = tmp_path / day
        folder.mkdir()
        (folder / "000001.jsonl.gz").write_bytes(b"x" * size)
    (tmp_path / "notes").mkdir()
    assert prune(tmp_path, NOON, 30, 10_000) == ("20240101",)
    assert prune(tmp_path, NOON, 30, 560) == ("20240303",)
    assert prune(tmp_path, NOON, 30, 1) == ("20240304",)
    assert [one.day for one in days_of(tmp_path)] == ["20240305"]
    assert (tmp_path / "notes").is_dir()


def test_a_killed_engine_loses_a_second_and_the_next_one_closes_its_chunk(tmp_path: Path) -> None:
    killed = Tape(tmp_path)
    for second in range(5):
        killed.writer.add("tick", second, NOON + second * NS_PER_S, second)
        killed.writer.beat(NOON + second * NS_PER_S)
        until(killed.writer.is_idle)
    assert killed.chunks == [], "its end is never reached"
    spill = tmp_path / "20240305" / "000001.open"
    with spill.open("ab") as file:
        file.write(b'["tick",9,')  # a line that was cut
    told: list[Chunk] = []
    recover(tmp_path, told.append)
    assert [(one.name, one.rows) for one in told] == [("tape/20240305/000001", 5)]
    rows = list(read_chunk(tmp_path, told[0].name, told[0].sha256))
    assert [row.seq for row in rows] == [0, 1, 2, 3, 4]
    assert not spill.exists()
    head = first_row(tmp_path, told[0].name)
    assert head is not None
    assert (head.kind, head.seq) == ("tick", 0)
    after = Tape(tmp_path)
    after.writer.add("a", 9, NOON, 1)
    assert after.writer.close(20)
    assert after.chunks[0].name == "tape/20240305/000002"


def test_a_chunk_that_was_closed_and_perhaps_not_told_of_is_told_of_again(tmp_path: Path) -> None:
    tape = Tape(tmp_path)
    tape.writer.add("tick", 1, NOON, 1)
    tape.writer.beat(NOON + 2 * NS_PER_S)
    tape.writer.add("tick", 2, NOON, 2)
    tape.writer.flush()
    until(lambda: len(tape.chunks) == 1)
    told: list[Chunk] = []
    recover(tmp_path, told.append)
    assert told == tape.chunks
    assert list(tape.read()) == [("tick", 1, NOON, 1), ("tick", 2, NOON, 2)]
    recover(tmp_path, told.append)
    assert len(told) == 1, "and then no more"


def test_a_clean_end_leaves_nothing_open(tmp_path: Path) -> None:
    tape = Tape(tmp_path)
    for second in range(3):
        tape.writer.add("tick", 1, NOON + second, 1)
        tape.writer.beat(NOON + second * 2 * NS_PER_S)
    assert tape.writer.close(20)
    assert not list(tmp_path.glob("*/*.open"))
    assert [one.rows for one in tape.chunks] == [3]


def test_room_is_made_at_each_turn_of_the_day(tmp_path: Path) -> None:
    made: list[int] = []
    writer = TapeWriter(tmp_path, msgspec.json.encode, lambda _: None, lambda: made.append(1))
    for day in range(3):
        writer.add("a", 1, NOON + day * 86_400 * NS_PER_S, 1)
        writer.flush()
    assert writer.close(20)
    assert len(made) == 3


def until(is_true: Callable[[], bool]) -> None:
    clock = SystemClock()
    end_ns = clock.monotonic_ns() + 20 * NS_PER_S
    while not is_true():
        assert clock.monotonic_ns() < end_ns
        clock.sleep(0.002)
