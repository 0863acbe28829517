"""Identifiers, and the only module that reads the machine's randomness.

The *wire id* is what a venue sees: 5 letters of the ledger's random id and 9 of a counter, in base 32 of capitals
and digits (20 characters are the shortest limit among our brokers: Kite's tag). ``P104`` and ``C211`` are what
people see: a parent or a child and the same counter.
"""

from __future__ import annotations

import os
import re

from engine.domain.errors import InputError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so an id read aloud or typed again is not mistaken."""

_PAIRS = tuple(high + low for high in ALPHABET for low in ALPHABET)
_LEDGER_CHARS = 5
_COUNTER_CHARS = 9
_EXIT = "Z"
WIRE_ID_CHARS = _LEDGER_CHARS + _COUNTER_CHARS
INTENT_ID_CHARS_MAX = 64
_INTENT = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def base32(number: int, width: int) -> str:
    """``number`` in :data:`ALPHABET`, left-padded to ``width``; raises InputError where it does not fit."""
    if number < 0 or number >> 5 * width:
        msg = f"{number} does not fit in {width} base-32 characters"
        raise InputError(msg)
    words, rest = "", number
    while rest:
        words = _PAIRS[rest & 1023] + words
        rest >>= 10
    return words.rjust(width, "0")[-width:]


def from_base32(word: str) -> int:
    """Inverse of :func:`base32`; raises InputError for other characters."""
    number = 0
    for char in word:
        digit = ALPHABET.find(char)
        if digit < 0:
            msg = f"{word!r} is not a base-32 id; {char!r} is not in {ALPHABET}"
            raise InputError(msg)
        number = number * 32 + digit
    return number


def random_bytes(count: int) -> bytes:
    """Bytes from the machine."""
    return os.urandom(count)


def new_ledger_id() -> str:
    """A random ledger id (made once, kept in the first journal row)."""
    return base32(int.from_bytes(os.urandom(8), "big") >> 39, _LEDGER_CHARS)


def seeded_ledger_id(seed: int) -> str:
    """The ledger id of a replay: a function of its seed, so that the ledger hash is reproducible."""
    return base32((splitmix64(seed) >> 39) & (32**_LEDGER_CHARS - 1), _LEDGER_CHARS)


def new_intent_id(prefix: str = "i") -> str:
    """A random intent id, made by the client that wants an order."""
    return f"{prefix}-{base32(int.from_bytes(os.urandom(10), 'big'), 16)}"


def check_intent_id(word: str) -> str:
    """Return ``word`` where it can be an intent id; raises InputError otherwise."""
    if not _INTENT.fullmatch(word):
        msg = f"intent id {word!r} must be 1 to {INTENT_ID_CHARS_MAX} of letters, digits and . _ : -"
        raise InputError(msg)
    return word


def wire_id(ledger_id: str, counter: int) -> str:
    """The id a venue sees for order number ``counter`` of this ledger."""
    return ledger_id + base32(counter, _COUNTER_CHARS)


def exit_wire_id(ledger_id: str) -> str:
    """A random id for an exit that a kill procedure sends without the journal: ``Z`` stands where its counter would begin.

    The counter would need 31 * 32**8 orders to reach ``Z``, so these never meet one of its ids.
    """
    return f"{ledger_id}{_EXIT}{base32(int.from_bytes(random_bytes(5), 'big'), _COUNTER_CHARS - 1)}"


def is_exit_wire_id(wire: str, ledger_id: str) -> bool:
    """Whether a kill procedure of this ledger sent it."""
    return bool(ledger_id) and wire.startswith(f"{ledger_id}{_EXIT}")


def counter_of(wire: str) -> int:
    """The order number inside a wire id."""
    return from_base32(wire[_LEDGER_CHARS:])


def splitmix64(state: int) -> int:
    """One output of splitmix64 for a 64-bit state (Steele, Lea, Flood 2014): integer only, same on every machine."""
    z = (state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return z ^ (z >> 31)


class Random:
    """Our own integer generator: the same numbers on every Python, which ``random`` does not promise."""

    __slots__ = ("state",)

    def __init__(self, seed: int) -> None:
        self.state = splitmix64(seed & 0xFFFFFFFFFFFFFFFF)

    def bits64(self) -> int:
        """The next 64 bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        return splitmix64(self.state)

    def below(self, bound: int) -> int:
        """A number in [0, bound), by multiply-shift (bias below 2**-40 for the bounds used here)."""
        return (self.bits64() * bound) >> 64

    def between(self, low: int, high: int) -> int:
        """A number in [low, high]."""
        return low + self.below(high - low + 1)

    def chance(self, per_million: int) -> bool:
        """True ``per_million`` times in a million."""
        return self.below(1_000_000) < per_million
