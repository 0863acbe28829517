"""Kills appenders: ``python -m tests.store.killer KILLS PLACE ...``. Says how many rows each ledger has, or what was wrong.

A preloaded process with one thread forks each appender with the state of the tables in its memory, as an engine has it, so that
a killed append costs milliseconds.
"""

from __future__ import annotations

import os
import random
import select
import signal
import struct
import sys
from contextlib import closing
from pathlib import Path

from engine.domain import events as ev
from engine.store.journal import Journal, read_journal
from engine.store.link import open_reader
from engine.store.place import Place, ServerPlace, read_place
from engine.store.postgres import ServerLink
from engine.store.verify import verify
from tests.store.shop import START_NS, alert, fill, make, trade

VERIFY_EVERY = 50
_SEQ = struct.Struct("<q")


class Killed:
    """A ledger whose appenders are killed."""

    def __init__(self, place: Place, seed: int) -> None:
        trade(place, 1)
        self.place = place
        self.durable = self.rows = 0
        self._chance = random.Random(seed)
        self._projections = make()
        self._follow()
        self._keeper = self._keep_open()

    def _keep_open(self) -> int:
        """A process that has the ledger open: the log that a killed appender leaves is not folded by whoever looks next.

        It ends with this one, however this one ends: it holds its output, for whose end the test waits.
        """
        reader, writer = os.pipe()
        pid = os.fork()
        if pid:
            os.close(reader)
            return pid
        try:
            os.close(writer)
            link = open_reader(self.place)
            os.read(reader, 1)
            link.close()
        finally:
            os._exit(0)

    def end(self) -> None:
        """Let go of the ledger."""
        os.kill(self._keeper, signal.SIGKILL)
        os.waitpid(self._keeper, 0)

    def _follow(self) -> None:
        """Take in what the last appender left, as the next engine would at its start."""
        for row in read_journal(self.place, self.rows + 1):
            for projection in self._projections:
                projection.apply(row.seq, row.ts_ns, ev.decode_event(row.payload))
            self.rows = row.seq
        for projection in self._projections:
            projection.dirty()

    def kill_one(self) -> None:
        """Fork an appender, let it say a few commits, kill it a little later, and look at what it left."""
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            self._append(writer)
        os.close(writer)
        for _ in range(self._chance.randrange(4)):
            if len(data := os.read(reader, _SEQ.size)) == _SEQ.size:
                self.durable = max(self.durable, *_SEQ.unpack(data))
        select.select([], [], [], self._chance.random() * 0.002)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), "the appender failed by itself"
        while len(data := os.read(reader, _SEQ.size)) == _SEQ.size:
            self.durable = max(self.durable, *_SEQ.unpack(data))
        os.close(reader)
        self._wait_for_the_server()
        self._follow()
        assert self.rows >= self.durable, "a row that was called durable is gone"

    def _wait_for_the_server(self) -> None:
        """A server may still be at the last commit of a client that is gone: who gets the writer's lock knows that it is not."""
        if isinstance(self.place, ServerPlace):
            with closing(ServerLink(self.place, is_writer=True)) as link:
                link.take_lock()

    def _append(self, out: int) -> None:
        """The appender: opens the ledger and trades until it is killed."""
        try:
            journal = Journal.open(self.place, START_NS, lambda: "X", "USD")
            for projection in self._projections:
                journal.attach(projection)
            while True:
                for _ in range(self._chance.randrange(1, 4)):
                    number = journal.head_seq + 1
                    event = fill(number) if number % 2 else alert(number)
                    seq = journal.append(START_NS + number, event)
                    for projection in self._projections:
                        projection.apply(seq, START_NS + number, event)
                os.write(out, _SEQ.pack(journal.commit()))
                if self._chance.random() < 0.2:
                    journal.checkpoint()
                    journal.write_head()
        finally:
            os._exit(1)


def main(kills: int, places: list[Place]) -> None:
    """Kill so many, shared out among the ledgers, and verify each again and again."""
    for at, place in enumerate(places):
        killed = Killed(place, seed=at)
        share = kills // len(places) + (at < kills % len(places))
        for number in range(1, share + 1):
            killed.kill_one()
            if number % VERIFY_EVERY == 0 or number == share:
                report = verify(place, make)
                assert report.findings == (), report.findings
                assert report.rows == killed.rows
        killed.end()
        print(killed.rows, flush=True)


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    main(int(sys.argv[1]), [read_place(words, folder) for words in sys.argv[3:]])
