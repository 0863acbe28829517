"""How fast the terminal takes what is drawn: a question behind the output, timed until its answer.

A terminal answers where its cursor stands (``ESC [ 6 n``) when everything before the question has been read and drawn. Over a
slow line that takes as long as the line needs; a terminal that has stopped reading does not answer at all.
"""

from __future__ import annotations

import re
from collections import deque
from statistics import median

QUESTION = "\x1b[6n"
ANSWER = re.compile(rb"\x1b\[[0-9]+;[0-9]+R")
NS_PER_MS = 1_000_000
SLOW_NS, FAST_NS = 150 * NS_PER_MS, 80 * NS_PER_MS
"""Above the first a line is slow, below the second it is fast again; between them it stays what it was."""
STALLED_NS = 1_000 * NS_PER_MS
"""Without an answer for so long, nothing more is drawn until it comes, or until the question is given up."""
GIVEN_UP_NS = 10_000 * NS_PER_MS
"""A terminal that never answered for so long does not know the question: nothing is measured on it."""
KEPT = 5


class Drain:
    """Answers are noted in the input thread, all else in the screen's; each field has one writer."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=KEPT)
        self._asked_ns: int | None = None
        self._answers = 0
        self.is_slow = False
        self.is_mute = False
        """The terminal never answers."""

    def may_ask(self) -> bool:
        """Whether no question is open."""
        return self._asked_ns is None and not self.is_mute

    def ask(self, now_ns: int) -> None:
        """A question was written behind the output."""
        self._asked_ns = now_ns

    def answer(self, now_ns: int) -> None:
        """Its answer came."""
        if self._asked_ns is None:
            return
        self._answers += 1
        self._times.append(now_ns - self._asked_ns)
        self._asked_ns = None
        took = median(self._times)
        self.is_slow = took > SLOW_NS or (self.is_slow and took > FAST_NS)

    def is_stalled(self, now_ns: int) -> bool:
        """Whether the terminal has stopped reading: it answered before, and does not now."""
        asked_ns = self._asked_ns
        if asked_ns is None:
            return False
        waited_ns = now_ns - asked_ns
        if not self._answers:
            self.is_mute = waited_ns > GIVEN_UP_NS
            return False
        self.is_slow = self.is_slow or waited_ns > STALLED_NS
        return waited_ns > STALLED_NS
