"""The escape key, told from what is typed behind it.

A terminal sends one byte for escape, and the same byte before every other special key. Textual takes what follows within a
tenth of a second, or in the same piece of a slow line, for one key with alt: escape and enter come out as a plain enter, which in a
preview would send what was just dropped. Here an escape that begins no sequence is a key of its own, whatever comes behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from textual.events import Key
from textual.message import Message

WAIT_S = 0.1
"""After so long without another byte an escape is the key. A sequence comes in one piece, or in two shortly after another."""

WORD_KEYS: Final = {"alt+b": "ctrl+left", "alt+f": "ctrl+right"}
"""What terminals send for a word back and on; in a line that is typed they mean that."""

_ESCAPE = Key("escape", "\x1b")
_APART = re.compile(rb"\x1b(?=[^\[\]\\OP_^bf\x7f])")
"""An escape before a byte that continues or ends no sequence. ``b`` and ``f`` may be a word back and on: the desk knows where they go."""
_WORD = re.compile(rb"\x1b([bf])")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-9;]{0,8})?\Z")
_PASTE, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_MARKS = re.compile(rb"(\x1b\[20[01]~)")


class KeyDone(Message):
    """Rises behind a key, the way that the key rises: what the key led to has been done when it arrives at the app."""


class EscapeApart:
    """Cuts a stream of bytes, in pieces of any size, at each escape key. Text that is pasted is left as it is."""

    def __init__(self) -> None:
        self._tail = b""
        self._is_pasted = False

    @property
    def waits(self) -> bool:
        """Whether something is kept until more comes, or until :meth:`flush`."""
        return bool(self._tail)

    def feed(self, data: bytes) -> Iterator[bytes | Key]:
        """Bytes for the parser, and keys that are certain, in the order in which they came."""
        found = self._tail + data
        unfinished = _UNFINISHED.search(found)
        self._tail = unfinished.group() if unfinished else b""
        for part in _MARKS.split(found[: len(found) - len(self._tail)]):
            if part in {_PASTE, _PASTE_END}:
                self._is_pasted = part == _PASTE
            if self._is_pasted or part == _PASTE_END:
                yield part
            else:
                yield from _cut(part)

    def flush(self) -> Iterator[bytes | Key]:
        """What was kept, as nothing came behind it: an escape is the key."""
        tail, self._tail = self._tail, b""
        if tail == b"\x1b" and not self._is_pasted:
            yield _ESCAPE.copy()
        elif tail:
            yield tail


def _cut(data: bytes) -> Iterator[bytes | Key]:
    for index, part in enumerate(_APART.split(data)):
        if index:
            yield _ESCAPE.copy()
        for at, words in enumerate(_WORD.split(part)):
            if at % 2:
                yield Key(f"alt+{words.decode()}", words.decode())
            elif words:
                yield words


def without_alt(event: Key, *, is_typing: bool) -> list[Key]:
    """A key with alt, which no screen has, as what was typed: escape and the key, or in a line a step by a word."""
    rest = event.key.removeprefix("alt+")
    if is_typing and event.key in WORD_KEYS:
        return [Key(WORD_KEYS[event.key], None)]
    if len(rest) == 1 or rest == "enter":
        return [_ESCAPE.copy(), Key(rest, event.character or ("\r" if rest == "enter" else rest))]
    return [event]
