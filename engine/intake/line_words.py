"""The words of a line with their places, read one by one, and the error that names a wrong one."""

from __future__ import annotations

from typing import NoReturn

from engine.domain.errors import InputError
from engine.intake.drafts import NOT_READ, GrammarError

LINE_CHARS_MAX = 400


class Wrong(InputError):
    """Carries the error out of the reader; never leaves the readers."""

    def __init__(self, error: GrammarError, choices: tuple[str, ...] = (), *, at_end: bool = False) -> None:
        super().__init__(error.text)
        self.error = error
        self.choices = choices
        self.at_end = at_end


class Words:
    """The words of a line with their positions, read one by one."""

    def __init__(self, line: str) -> None:
        self.words: list[tuple[str, int]] = []
        self.end = len(line)
        self.next = 0
        if len(line) > LINE_CHARS_MAX:
            raise Wrong(
                GrammarError("", LINE_CHARS_MAX, (), f"the line has {len(line)} characters; {LINE_CHARS_MAX} are read")
            )
        at = 0
        for word in line.split():
            at = line.index(word, at)
            self.words.append((word, at))
            at += len(word)

    @property
    def is_done(self) -> bool:
        """No word is left."""
        return self.next == len(self.words)

    def take(self, expected: tuple[str, ...], choices: tuple[str, ...] = ()) -> str:
        """The next word; the line must not end here."""
        if self.is_done:
            self.fail_end("the line ends here", expected, choices)
        self.next += 1
        return self.words[self.next - 1][0]

    @property
    def last(self) -> tuple[str, int]:
        """The word just taken."""
        return self.words[self.next - 1]

    def fail(
        self, reason: str, expected: tuple[str, ...], at: tuple[str, int] | None = None, code: str = NOT_READ
    ) -> Wrong:
        """The error for a word (the one just taken)."""
        word, position = at or self.last
        return Wrong(GrammarError(word, position, expected, f"{word!r}: {reason}{expected_words(expected)}", code))

    def fail_end(self, reason: str, expected: tuple[str, ...], choices: tuple[str, ...] = ()) -> NoReturn:
        """Refuse a line that ends too early."""
        raise Wrong(GrammarError("", self.end, expected, f"{reason}{expected_words(expected)}"), choices, at_end=True)


def expected_words(expected: tuple[str, ...]) -> str:
    """The end of an error's sentence."""
    return f"; expected {', '.join(expected)}" if expected else ""
