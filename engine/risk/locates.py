"""Locates (C25): shares that a lender has promised to an account for the day, as `short.locates` of the policy lists them.

One entry is ``ACCOUNT SYMBOL QUANTITY``, as ``PAPER AAPL 500``; several of one symbol add up. What was sold short in the risk day has
used its locate up, also where it was bought back since; what was short before the day began needs none.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from engine.domain.errors import MoneyError
from engine.domain.instrument import is_symbol
from engine.domain.money import EXACT, ZERO_QTY, Qty

WORDS = 3
EXPECTED = 'locates of an account, a symbol and a quantity, as ["PAPER AAPL 500"], or [] for none'


def check_locates(names: tuple[str, ...]) -> tuple[str, ...]:
    """The entries, where each can be read; ValueError with what was expected."""
    for name in names:
        words = name.split()
        if len(words) != WORDS or not is_symbol(words[1]) or _qty(words[2]) <= 0:
            raise ValueError(f"{EXPECTED} (not {name!r})")
    return names


@lru_cache(maxsize=256)
def located(names: tuple[str, ...], account: str, symbol: str) -> Qty:
    """What the account may sell short of a symbol in a day, by checked entries."""
    found = Decimal(ZERO_QTY)
    for name in names:
        words = name.split()
        if words[:2] == [account, symbol]:
            found = EXACT.add(found, _qty(words[2]))
    return Qty(found)


def _qty(word: str) -> Qty:
    try:
        return Qty(word)
    except MoneyError:
        return ZERO_QTY
