"""Trip files that other processes left in the state folder: who halted and why, until the journal holds it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.risk.latch import TripNote, read_notes

WhenDurable = Callable[[Callable[[bool], None]], object]
"""Calls back once everything journaled until now is on disk: with True, or with False where it never will be."""


class TripNotes:
    """Hands over each trip file once, and removes it when what the engine journaled of it is on disk, not before.

    An engine that is killed in between leaves the file to the next one, which finds the same words in the journal or journals them.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._held: set[Path] = set()
        """Handed over, and still lying there."""
        self._fresh: list[Path] = []

    def take(self) -> list[TripNote]:
        """What was not handed over yet, oldest first."""
        found = [(path, note) for path, note in read_notes(self._home) if path not in self._held]
        self._held.update(path for path, _ in found)
        self._fresh += [path for path, _ in found]
        return [note for _, note in found]

    def settle(self, when_durable: WhenDurable) -> None:
        """What was handed over is journaled now: its files go as soon as that is on disk."""
        if self._fresh:
            paths, self._fresh = self._fresh, []
            when_durable(lambda is_durable: self._remove(paths) if is_durable else None)

    def _remove(self, paths: list[Path]) -> None:
        for path in paths:
            # Where that fails it is told again and again, and trips again what a person re-arms.
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._held.difference_update(paths)
