"""A trip file lies until the journal's word of it is on disk."""

from collections.abc import Callable
from pathlib import Path

from bolt_tui.trip_notes import TripNotes
from engine.domain.events import TradingState
from engine.risk.latch import GLOBAL, TripNote, leave_note


def note(ts_ns: int) -> TripNote:
    return TripNote(scope=GLOBAL, state=TradingState.HALTED, code="MANUAL", who="anna", why="odd", ts_ns=ts_ns)


class Disk:
    """Tells what waits for it, when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[bool], None]] = []

    def tell(self, *, is_durable: bool) -> None:
        waiting, self.waiting = self.waiting, []
        for act in waiting:
            act(is_durable)


def lying(home: Path) -> int:
    return len(list((home / "trips").iterdir()))


def test_a_note_is_handed_over_once_and_lies_until_it_is_journaled_on_disk(tmp_path: Path) -> None:
    disk = Disk()
    notes = TripNotes(tmp_path)
    assert notes.take() == []
    assert leave_note(tmp_path, note(1)) is not None
    assert notes.take() == [note(1)]
    assert notes.take() == []
    disk.tell(is_durable=True)
    assert lying(tmp_path) == 1, "nothing was journaled of it yet"
    notes.settle(disk.waiting.append)
    assert lying(tmp_path) == 1
    leave_note(tmp_path, note(2))
    assert notes.take() == [note(2)]
    disk.tell(is_durable=True)
    assert lying(tmp_path) == 1, "the second is not journaled yet"
    notes.settle(disk.waiting.append)
    disk.tell(is_durable=True)
    assert lying(tmp_path) == 0
    leave_note(tmp_path, note(1))
    assert notes.take() == [note(1)], "laid again it is a new one"


def test_a_note_stays_for_the_next_engine_where_the_journal_failed(tmp_path: Path) -> None:
    disk = Disk()
    notes = TripNotes(tmp_path)
    leave_note(tmp_path, note(1))
    notes.take()
    notes.settle(disk.waiting.append)
    disk.tell(is_durable=False)
    assert lying(tmp_path) == 1
    assert notes.take() == []
    assert TripNotes(tmp_path).take() == [note(1)]
