"""How figures are written for people: grouped, padded to the tick, never changed."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from engine.domain.commands import CommandResult, Denial
from engine.domain.instrument import make_instrument
from engine.domain.money import Price, padded
from tests.screens import frozen
from widgets.formats import cents, counted, exact, figure, grouped, is_figure, short_quantity
from widgets.frame import Frame
from widgets.what_if import BAD, denial_lines, denial_words, live_lines, preview_lines


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


@pytest.mark.parametrize(
    ("size", "width", "shown"),
    [
        ("0.0387", 5, "0.038"),
        ("0.0387", 6, "0.0387"),
        ("0.00001", 5, "<.001"),
        ("12.34567", 5, "12.34"),
        ("1234.5", 5, "1,234"),
        ("12345.678", 5, "12345"),
        ("123456", 5, "123k"),
        ("1234567.5", 5, "1234k"),
        ("12345678", 5, "12m"),
        ("0.1", 5, "0.1"),
    ],
)
def test_a_size_that_is_there_is_never_shown_as_nothing_nor_as_more(size: str, width: int, shown: str) -> None:
    assert short_quantity(Decimal(size), width) == shown


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("order amount 179006625 is above 5000000 (policy.yaml:114)", "order amount 179,006,625 is above 5,000,000 (policy.yaml:114)"),
        ("margin 7.7% of equity (76815.88 USD)", "margin 7.7% of equity (76,815.88 USD)"),
        ("buy 60 AAPL 189.42 at 14:42:06 on 2026-11-28", "buy 60 AAPL 189.42 at 14:42:06 on 2026-11-28"),
        ("connected to venue process 19526", "connected to venue process 19526"),
        ("P10412  of C2111, row 41207;", "P10412  of C2111, row 41,207;"),
    ],
)  # fmt: skip
def test_numbers_in_a_sentence_are_grouped_and_nothing_else(words: str, shown: str) -> None:
    assert grouped(words) == shown


def test_one_is_one() -> None:
    assert [counted(number, "order") for number in (0, 1, 2, 1_200)] == [
        "0 orders",
        "1 order",
        "2 orders",
        "1,200 orders",
    ]


def test_a_print_between_ticks_is_told_as_it_was_and_nothing_else_gets_noughts() -> None:
    """A recording's grid is finer than the tick: the desk over a replay's ledger wrote 181.8500, and 181.85000 for an average."""
    told = [exact(Decimal(words), 2) for words in ("181.8500", "181.855", "1181.9", "5")]
    assert told == ["181.85", "181.855", "1,181.90", "5.00"]
    assert exact(None, 2) == ""
    fine = replace(make_instrument("ABC", "equity", "XSIM", "USD", "0.01"), price_digits=4)
    frame = Frame(view=frozen.empty(), now_ns=0, instruments={"ABC": fine})
    assert (frame.digits("ABC"), frame.digits("NOPE")) == (2, 2)


def test_a_refusal_says_once_what_its_sentence_lacks() -> None:
    told = Denial("QTY_MAX", "C06", "900000", "5000", "policy.yaml:23", "quantity 900000 is above 5000")
    assert denial_lines(told, 90) == ["DENIED QTY_MAX: quantity 900,000 is above 5,000 (policy.yaml:23)"]
    short = replace(told, text="too many", confirmable=True)
    assert denial_lines(short, 90) == ["CONFIRM QTY_MAX: too many; is 900,000; limit 5,000 (policy.yaml:23)"]


def test_a_limit_that_is_no_number_is_left_to_the_sentence() -> None:
    """The preview of an order that meets an own one ended with: limit no own opposite order."""
    told = Denial("SELF_CROSS", "C26", "C5 buy 60 at 189.34", "no own opposite order", "", "it could trade with C5")
    assert denial_lines(told, 90) == ["DENIED SELF_CROSS: it could trade with C5"]
    assert denial_words(told) == "DENIED SELF_CROSS C5 buy 60 at 189.34"
    assert [is_figure(words) for words in ("5,000 USD", "-3", "", "none", "C5 at 3")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_leg_that_can_stand_bare_is_loud_in_a_preview_and_one_that_cannot_is_not_named() -> None:
    def shown(risk: str) -> list[tuple[str, str]]:
        result = CommandResult(ok=True, preview={"units": "20 shares of AAPL", "leg_risk": risk})
        return [*preview_lines(result, 60, 20), *live_lines("combo of 10: ...", result, 60, 20)]

    risk = "up to buy 2000 AAPL stands bare until sell 1000 MSFT follow, at any price the books show"
    loud = [words for words, style in shown(risk) if style == BAD]
    assert loud[:2] == [
        "leg risk: up to buy 2,000 AAPL stands bare until sell 1,000",
        "  MSFT follow, at any price the books show",
    ]
    assert len(loud) == 4
    assert not [words for words, _ in shown("none at the venue: all legs of a unit or none") if "leg risk" in words]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("4735.5 USD", "4,735.50 USD"),
        ("9 USD", "9.00 USD"),
        ("-0.1 USD (example rates)", "-0.10 USD (example rates)"),
        ("0.5% of equity (9452.50 USD, all)", "0.5% of equity (9,452.50 USD, all)"),
        ("0.00012 BTC", "0.00012 BTC"),
        ("0 (it rests)", "0 (it rests)"),
    ],
)
def test_an_amount_of_a_currency_has_its_cents(words: str, shown: str) -> None:
    assert cents(words) == shown
