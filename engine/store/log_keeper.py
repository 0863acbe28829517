"""The thread that folds the write-ahead log of a ledger file into the file, with a connection of its own.

It takes milliseconds, several syncs of them, and commits go on meanwhile: on the writer's thread an order in a hundred waited for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from engine.store.connection import SQLITE_ERRORS, open_beside
from engine.store.journal import Journal


class LogKeeper:
    """Folds when it is asked to; asked meanwhile, once more.

    Args:
        journal: whose log it is; a journal that is kept elsewhere has none, and nothing is done.
        on_failure: called in this thread where the journal failed by it.
    """

    def __init__(self, journal: Journal, on_failure: Callable[[str], None]) -> None:
        self._journal = journal
        self._on_failure = on_failure
        self._asked = threading.Event()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="bolt-log", daemon=True)

    def start(self) -> None:
        """Begin."""
        if isinstance(self._journal.place, Path):
            self._thread.start()

    def ask(self) -> None:
        """Fold soon. In any thread."""
        self._asked.set()

    def stop(self, timeout_s: float) -> None:
        """End, after what is being folded."""
        self._is_ending = True
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        journal = self._journal
        assert isinstance(journal.place, Path)
        try:
            with closing(open_beside(journal.place)) as link:
                while not journal.failed:
                    self._asked.wait()
                    if self._is_ending:
                        return
                    self._asked.clear()
                    journal.fold(link)
                    # A writer that is never idle does not come to it.
                    journal.write_head()
        except SQLITE_ERRORS as error:
            journal.give_up(error)
        self._on_failure(journal.failed)
