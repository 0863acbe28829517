"""The thread that puts the journal on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from engine.domain.errors import StoreError
from engine.store.journal import Batch, Journal
from engine.store.log_keeper import LogKeeper

LATE = 10
"""The writer folds the log itself when so many times the usual rows came since it was folded."""
IDLE_S = 1.0
"""So long without a row, and the writer notes the head beside the ledger."""


class JournalWriter:
    """A thread that commits batches, so that a stalled disk delays no tick, cancel or halt.

    The engine's thread calls :meth:`hand_over`; while a commit runs, what comes waits and then shares the next one.
    Both callbacks run on the writer's thread; a failure may also be told by the one that folds the log.
    """

    def __init__(
        self,
        journal: Journal,
        on_durable: Callable[[int], None],
        on_failure: Callable[[str], None],
        idle_s: float = IDLE_S,
    ) -> None:
        self._journal = journal
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._is_failure_told = threading.Lock()
        self._keeper = LogKeeper(journal, self._fail)
        self._idle_s = idle_s
        self._handed: SimpleQueue[Batch | None] = SimpleQueue()
        """Batches to write, and None for the end. This kind of queue runs no Python code, on which both threads would wait for each other."""
        self._written = threading.Condition()
        self._noted_seq = journal.durable_seq
        self._thread = threading.Thread(target=self._run, name="bolt-journal", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._keeper.start()

    def hand_over(self) -> None:
        """Pass on what the journal has buffered. On the engine's thread only."""
        batch = self._journal.take()
        if batch is not None:
            self._handed.put(batch)

    def wait_durable(self, seq: int, timeout_s: float) -> bool:
        """Whether a row is on disk, waiting for it. In any thread but the engine's and this one."""
        journal = self._journal
        with self._written:
            self._written.wait_for(lambda: journal.durable_seq >= seq or bool(journal.failed), timeout_s)
        return journal.durable_seq >= seq

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Write what was handed over and end; False where that did not come to an end in time."""
        self._handed.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._keeper.stop(timeout_s)
        return True

    def _run(self) -> None:
        while True:
            handed = self._next()
            waiting = [batch for batch in handed if batch is not None]
            is_written = not waiting or self._commit(_joined(waiting))
            with self._written:
                self._written.notify_all()
            if not is_written or len(waiting) < len(handed):
                return

    def _next(self) -> list[Batch | None]:
        """What was handed over, waiting for it; the head is noted where nothing comes for a while."""
        handed = self._handed
        is_noted = self._journal.durable_seq == self._noted_seq
        try:
            found = [handed.get(timeout=None if is_noted else self._idle_s)]
        except Empty:
            self._noted_seq = self._journal.durable_seq
            self._journal.write_head()
            return []
        while not handed.empty():  # no other thread takes from it
            found.append(handed.get_nowait())
        return found

    def _commit(self, batch: Batch) -> bool:
        journal = self._journal
        try:
            seq = journal.write(batch)
        except StoreError as error:
            self._fail(str(error))
            return False
        except Exception as error:  # loop edge: a writer that ended in silence would leave the engine waiting for ever
            journal.failed = f"the journal writer broke: {error!r}; report it, then start again"
            self._fail(journal.failed)
            return False
        self._on_durable(seq)
        since = seq - journal.checkpointed_seq
        if since >= LATE * journal.checkpoint_rows:
            journal.checkpoint()  # the log must not grow without bound behind a keeper that does not come to it
            if journal.failed:
                self._fail(journal.failed)
                return False
        elif since >= journal.checkpoint_rows:
            self._keeper.ask()
        return True

    def _fail(self, why: str) -> None:
        """Say so, once, whichever of the two threads found it."""
        if self._is_failure_told.acquire(blocking=False):
            self._on_failure(why)


def _joined(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    rows = [row for batch in batches for row in batch.rows]
    return Batch(rows, [part for batch in batches for part in batch.projections], rows[-1][0])
