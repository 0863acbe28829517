"""Numbers, ages and foreign words as the desk writes them: exact, grouped, signed, and never able to touch the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

from engine.domain.clock import NS_PER_S, hms
from engine.domain.money import Rounding, round_to, text

# The same prices and sizes are shown again and again: a kept one costs a tenth of a new one.

UNKNOWN = "?"
"""Stands for a figure that is not known; zero would be a statement."""


def plain(words: str) -> str:
    """Foreign text as one line of printable characters: a broker's message must not steer the terminal."""
    if words.isprintable():
        return words
    return "".join(char if char.isprintable() else " " for char in words)


@lru_cache(maxsize=16_384)
def fixed(value: Decimal | None, digits: int) -> str:
    """A number with exactly ``digits`` decimals and grouped thousands; empty where there is none."""
    if value is None:
        return ""
    step = Decimal((0, (1,), -digits))
    return f"{round_to(value, step, Rounding.HALF_EVEN):,.{digits}f}"


@lru_cache(maxsize=16_384)
def exact(value: Decimal | None, digits: int) -> str:
    """As :func:`fixed`, with more decimals where the value has them: a print between two ticks is told as it was."""
    own = 0 if value is None else len(text(value).partition(".")[2])
    return fixed(value, max(digits, own))


def signed(value: Decimal | None, digits: int = 2) -> str:
    """As :func:`fixed` with its sign always shown; a question mark where it is not known, no sign for nothing."""
    if value is None:
        return UNKNOWN
    words = fixed(value, digits)
    if not words.strip("-0.,"):
        return words.lstrip("-")
    return words if words.startswith("-") else f"+{words}"


@lru_cache(maxsize=16_384)
def quantity(value: Decimal) -> str:
    """A quantity as it is, thousands grouped."""
    whole, dot, rest = text(value).partition(".")
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(whole):,}{dot}{rest}"


def short_quantity(value: Decimal, width: int) -> str:
    """A size in at most ``width`` characters: whole, else without its last decimals (``<.01`` where none would be left but noughts), else
    cut down to thousands or millions and marked ``k`` or ``m``. Never more than there is.
    """
    words = quantity(value)
    if len(words) <= width:
        return words
    if "." in words[: width + 1]:
        cut = words[:width].rstrip(".")
        return cut if cut.strip("0.") else f"<.{'0' * (width - 3)}1"
    whole = int(value)
    for unit, size in (("", 1), ("k", 1_000), ("m", 1_000_000), ("bn", 1_000_000_000)):
        words = f"{whole // size}{unit}"
        if len(words) <= width:
            break
    return words


def figure(words: str) -> str:
    """A gate's value or limit for people: where it begins with a number, its thousands are grouped."""
    number, space, unit = plain(words).partition(" ")
    whole, dot, rest = number.removeprefix("-").partition(".")
    if not whole or not (whole + rest).isdecimal() or not number.isascii():
        return plain(words)
    return f"{'-' if number.startswith('-') else ''}{int(whole):,}{dot}{rest}{space}{unit}"


def is_figure(words: str) -> bool:
    """Whether a gate's value or limit is a number, with or without a unit; ``no own opposite order`` is none, and its sentence has said it."""
    return words.removeprefix("-")[:1].isdecimal()


def grouped(words: str) -> str:
    """A sentence with the thousands of its numbers grouped; times, days, ids (of a process too) and places in a file stay as they are."""
    parts = words.split(" ")
    return " ".join(
        word if before in ID_BEHIND else _grouped_word(word) for before, word in zip(("", *parts), parts, strict=False)
    )


def _grouped_word(word: str) -> str:
    core = word.strip("(),;:")
    if len(core) < 4 or not core[:1].isdecimal() or not core[-1:].isdecimal():
        return word
    return word.replace(core, figure(core), 1)


ID_BEHIND = frozenset({"process", "pid"})
"""Words behind which a number is an id."""
_SHORT_MONEY = re.compile(r"(?<![\w.])(-?\d+)(\.\d)?(?= [A-Z]{3}\b)")


def cents(words: str) -> str:
    """A sentence whose amounts of a currency have two decimals at least: ``4735.5 USD`` is written ``4,735.50 USD``."""
    padded = _SHORT_MONEY.sub(lambda found: f"{found[1]}{(found[2] or '.0')}0", words)
    return grouped(padded)


def counted(count: int, noun: str) -> str:
    """``1 order``, ``2 orders``."""
    return f"{quantity(Decimal(count))} {noun}{'' if count == 1 else 's'}"


def signed_quantity(value: Decimal) -> str:
    """A quantity with its sign."""
    return f"+{quantity(value)}" if value > 0 else quantity(value)


def age(span_ns: int) -> str:
    """A duration in its largest unit: ``3s``, ``12m``, ``2h``, ``5d``."""
    seconds = max(0, span_ns) // NS_PER_S
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def seconds(span_ns: int) -> str:
    """A short duration with one decimal: ``4.0s``."""
    tenths = max(0, span_ns) // (NS_PER_S // 10)
    return f"{tenths // 10}.{tenths % 10}s"


def clock_minute(ts_ns: int) -> str:
    """UTC hour and minute."""
    return hms(ts_ns)[:5]


def clock_second(ts_ns: int) -> str:
    """UTC time of day to the second."""
    return hms(ts_ns)[:8]


def bar(percent: int, width: int) -> str:
    """A bar of plain characters: ``[###  ]``; anything above zero shows at least one mark."""
    filled = max(0, min(width, percent * width // 100))
    if percent > 0:
        filled = max(1, filled)
    return f"[{'#' * filled}{' ' * (width - filled)}]"


def fit(words: str, width: int) -> str:
    """Words in exactly ``width`` cells; what does not fit is cut between words and marked with two dots."""
    if cell_len(words) <= width:
        return set_cell_size(words, width)
    if width <= 2:
        return set_cell_size(words, width)
    cut = set_cell_size(words, width - 2)
    if not words[len(cut) : len(cut) + 1].isspace():
        end = max(cut.rfind(" "), *(cut.rfind(char) + 1 for char in "-_/:"))
        cut = cut[: max(0, end)]
    return set_cell_size(f"{cut.rstrip()}..", width)


def fit_number(words: str, width: int) -> str:
    """A number on the right of ``width`` cells; one that does not fit becomes marks, because half a number is a lie."""
    return words.rjust(width) if len(words) <= width else "#" * width


def wrap(words: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most ``width`` cells, broken between words; each line after the first starts with ``indent``."""
    lines, line = [], ""
    for word in words.split():
        if line and cell_len(line) + 1 + cell_len(word) > width:
            lines.append(line)
            line = indent
        line = f"{line}{'' if not line.strip() else ' '}{word}" if line else word
    return [*lines, line] if line.strip() else lines


def pack(phrases: Iterable[str], width: int, between: str = "   ") -> list[str]:
    """Phrases side by side in lines of at most ``width`` cells; a phrase is broken only where it alone is too long."""
    lines: list[str] = []
    for phrase in phrases:
        if lines and cell_len(lines[-1]) + len(between) + cell_len(phrase) <= width:
            lines[-1] += between + phrase
        else:
            lines += wrap(phrase, width, "  ")
    return lines
