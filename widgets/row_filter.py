"""The small language of the filter line: words that must all be in a row, by name where they belong to one column.

``fill aapl`` has both words somewhere; ``-cxl`` has not that word; ``sym:aapl|msft`` has one of two in the column; ``qty>100``
compares a number and ``time>14:30`` a time of day; ``"price band"`` is one word. No regular expressions: what a person types
can neither be slow nor be refused for its signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import msgspec

COMPARES = (">=", "<=", ">", "<", "=")
CHARS_MAX = 200


class Term(msgspec.Struct, frozen=True):
    """One word of the line."""

    name: str
    """Column; empty for anywhere."""
    sign: str
    """``:`` holds one of the words, or a comparison."""
    words: tuple[str, ...]
    is_not: bool = False


class RowFilter(msgspec.Struct, frozen=True):
    """A read line. It never fails on a row: a column that a row does not have holds nothing."""

    text: str = ""
    terms: tuple[Term, ...] = ()
    error: str = ""
    """What is wrong with the line, and what was expected; then every row passes."""

    def passes(self, fields: Mapping[str, str]) -> bool:
        """Whether a row with these columns is shown."""
        return all(_holds(term, fields) is not term.is_not for term in self.terms)


def read_filter(text: str, names: tuple[str, ...]) -> RowFilter:
    """Read a line; ``names`` are the columns that may be named in it."""
    terms: list[Term] = []
    for word in _split(text[:CHARS_MAX]):
        term = _term(word, names)
        if isinstance(term, str):
            return RowFilter(text, (), term)
        if term is not None:
            terms.append(term)
    return RowFilter(text, tuple(terms))


def _split(text: str) -> list[str]:
    """Words at spaces; what stands in quotes is one, and a quote that is never closed runs to the end."""
    words, word, is_quoted = [], "", False
    for char in text:
        if char == '"':
            is_quoted = not is_quoted
        elif char.isspace() and not is_quoted:
            words.append(word)
            word = ""
        else:
            word += char
    return [found for found in (*words, word) if found]


def _term(word: str, names: tuple[str, ...]) -> Term | str | None:
    is_not = word.startswith("-") and len(word) > 1
    body = word[1:] if is_not else word
    for at, char in enumerate(body):
        if char not in ":><=":
            continue
        name = body[:at].casefold()
        if name not in names:
            break
        sign = next((found for found in COMPARES if body.startswith(found, at)), ":")
        value = body[at + len(sign) :].casefold()
        if not value:
            return None
        if sign not in {":", "="} and _number(value) is None:
            return f"{word}: {value!r} is no number and no time; write {name}{sign}100 or {name}{sign}14:30"
        return Term(name, sign, tuple(part for part in value.split("|") if part), is_not)
    return Term("", ":", tuple(part for part in body.casefold().split("|") if part), is_not)


def _holds(term: Term, fields: Mapping[str, str]) -> bool:
    if not term.name:
        return any(word in value.casefold() for word in term.words for value in fields.values())
    value = fields.get(term.name, "").casefold()
    if term.sign == ":":
        return any(word in value for word in term.words)
    if term.sign == "=":
        return value in term.words
    found, wanted = _number(value), _number(term.words[0]) if term.words else None
    if found is None or wanted is None:
        return False
    return {">": found > wanted, "<": found < wanted, ">=": found >= wanted, "<=": found <= wanted}[term.sign]


def _number(words: str) -> Decimal | None:
    """A number, or a time of day as its seconds."""
    parts = words.split(":")
    try:
        if len(parts) > 1:
            return sum((Decimal(part) * 60 ** (2 - at) for at, part in enumerate(parts[:3])), Decimal(0))
        found = Decimal(words.replace(",", ""))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
