"""The thread that puts the journal on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from engine.domain.errors import StoreError
from engine.store.journal import Batch, Journal

IDLE_S = 1.0
"""So long without a row, and the writer notes the head beside the ledger."""


class JournalWriter:
    """A thread that commits batches, so that a stalled disk delays no tick, cancel or halt.

    The engine's thread calls :meth:`hand_over`; while a commit runs, what comes waits and then shares the next one.
    Both callbacks run on the writer's thread.
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
        self._idle_s = idle_s
        self._handed: SimpleQueue[Batch | None] = SimpleQueue()
        """Batches to write, and None for the end. This kind of queue runs no Python code, on which both threads would wait for each other."""
        self._written = threading.Condition()
        self._noted_seq = journal.durable_seq
        self._thread = threading.Thread(target=self._run, name="bolt-journal", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

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
        return not self._thread.is_alive()

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
        try:
            seq = self._journal.write(batch)
        except StoreError as error:
            self._on_failure(str(error))
            return False
        except Exception as error:  # loop edge: a writer that ended in silence would leave the engine waiting for ever
            self._journal.failed = f"the journal writer broke: {error!r}; report it, then start again"
            self._on_failure(self._journal.failed)
            return False
        self._on_durable(seq)
        since = seq - self._journal.checkpointed_seq
        enough = self._journal.checkpoint_rows
        if since >= 10 * enough or (since >= enough and self._handed.empty()):
            # Milliseconds that should not stand before a commit that waits; but the log must not grow without bound.
            self._journal.checkpoint()
            if self._journal.failed:
                self._on_failure(self._journal.failed)
                return False
        return True


def _joined(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    rows = [row for batch in batches for row in batch.rows]
    return Batch(rows, [part for batch in batches for part in batch.projections], rows[-1][0])
