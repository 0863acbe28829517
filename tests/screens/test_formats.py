"""How figures are written for people: grouped, padded to the tick, never changed."""

import pytest

from engine.domain.money import Price, padded
from widgets.formats import figure


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("900000", "900,000"),
        ("-1234.50", "-1,234.50"),
        ("5", "5"),
        ("60 s", "60 s"),
        ("86400 s", "86,400 s"),
        ("no limit", "no limit"),
        ("P104", "P104"),
        ("", ""),
        ("-", "-"),
        ("1e9", "1e9"),
        ("12\x1b[2J", "12 [2J"),
    ],
)
def test_a_figure_is_grouped_and_otherwise_left_alone(words: str, shown: str) -> None:
    assert figure(words) == shown


@pytest.mark.parametrize(
    ("price", "digits", "shown"),
    [("189.1", 2, "189.10"), ("189", 2, "189.00"), ("189.125", 2, "189.125"), ("5", 0, "5"), ("-0.5", 2, "-0.50")],
)
def test_a_price_has_at_least_the_ticks_decimals(price: str, digits: int, shown: str) -> None:
    assert padded(Price(price), digits) == shown
