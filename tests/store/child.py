"""Processes that the tests start: ``python -m tests.store.child ACT PATH``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from engine.store.journal import Journal
from engine.store.place import Place
from engine.store.writer import JournalWriter
from tests.store.shop import START_NS, Desk, alert, fill


def append(path: Place) -> None:
    """Trade as fast as the disk takes it, and say each durable number; the test kills this process."""
    desk = Desk(path)
    print("open", flush=True)
    room = threading.Event()

    def durable(seq: int) -> None:
        print(seq, flush=True)
        room.set()

    writer = JournalWriter(desk.journal, durable, print, idle_s=0.01)
    writer.start()
    number = desk.journal.head_seq
    while True:
        number += 1
        desk.record(fill(number) if number % 2 else alert(number))
        writer.hand_over()
        while desk.journal.head_seq - desk.journal.durable_seq > 20:
            if desk.journal.failed:
                return  # the words were printed: who reads on finds the end
            room.clear()
            if desk.journal.head_seq - desk.journal.durable_seq > 20:
                room.wait(0.1)


def hold(path: Path) -> None:
    """Hold the ledger until the test closes stdin."""
    journal = Journal.open(path, START_NS, lambda: "HELD0", "USD")
    print("open", flush=True)
    sys.stdin.read()
    journal.close()


if __name__ == "__main__":
    {"append": append, "hold": hold}[sys.argv[1]](Path(sys.argv[2]))
