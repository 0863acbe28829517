"""The canonical text of a number: the same for every way to write it, whatever a library did to the thread's decimal context."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest

from engine.domain.events import ENCODER
from engine.domain.money import Price, text

WRITTEN = {
    "0": "0", "-0": "0", "-0.00": "0", "0E+5": "0", "-0E-9": "0", "1E+3": "1000", "-1E+3": "-1000", "100": "100", "1000.00": "1000",
    "0.10": "0.1", "-0.10": "-0.1", "1E-9": "0.000000001", "12E-9": "0.000000012", "1.500E+2": "150", "123.456789": "123.456789",
    f"1.{'1' * 80}": f"1.{'1' * 80}", "7E+70": f"7{'0' * 70}",
}  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_a_number_has_one_text(written: str) -> None:
    number = Decimal(written)
    for context in (decimal.Context(), decimal.Context(prec=2, capitals=0), decimal.Context(prec=1, Emax=1, Emin=-1)):
        with decimal.localcontext(context):
            assert text(number) == WRITTEN[written]
            assert format(Decimal(text(number)), "f") == WRITTEN[written]


def test_it_is_what_a_row_holds() -> None:
    for words in ("189.10", "1E+3", "-0.00"):
        made = Price(words)
        expected = b'"' + text(Decimal(words)).encode() + b'"'
        assert ENCODER.encode(made) == expected, "worked out here for the first time"
        assert ENCODER.encode(made) == expected
        assert str(made) == made.text() == text(Decimal(words))
