"""The line of a combination."""

from __future__ import annotations

import pytest

from engine.domain.money import Price, Qty
from engine.domain.order import Combo, LinkRole, Side, Tif
from engine.intake.drafts import GrammarError, NewOrderDraft
from engine.intake.grammar import GrammarContext, complete, parse_line, parse_order
from tests.intake.test_grammar import CONTEXT


def read(line: str, known: GrammarContext | None = None) -> NewOrderDraft:
    draft = parse_order(line, known or CONTEXT)
    assert isinstance(draft, NewOrderDraft), draft
    return draft


def test_units_legs_and_a_net_price_make_one_group() -> None:
    draft = read("combo 10 buy 2 AAPL sell 1 MSFT @-42.50 gtc legged")
    legs = (draft.spec, *draft.linked)
    assert [(leg.side, leg.qty, leg.symbol) for leg in legs] == [
        (Side.BUY, Qty(20), "AAPL"),
        (Side.SELL, Qty(10), "MSFT"),
    ]
    assert {leg.tif for leg in legs} == {Tif.GTC}
    assert all(leg.link is not None and leg.link.role is LinkRole.COMBO for leg in legs)
    assert {leg.link.combo for leg in legs if leg.link is not None} == {Combo(10, Price("-42.50"), legged=True)}
    assert "for a net price of -42.5 a unit" in draft.echo
    assert "one may stay alone" in draft.echo


def test_what_is_left_out_is_named() -> None:
    draft = read("COMBO 1 b 1 aapl s 1 msft @mkt")
    assert draft.spec.link is not None
    assert draft.spec.link.combo == Combo(1)
    assert {one.name for one in draft.defaults} == {"tif", "account", "broker"}
    assert "all legs of a unit or none" in draft.echo


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("combo", ""),
        ("combo x", "x"),
        ("combo 0 buy 1 AAPL sell 1 MSFT @1", "0"),
        ("combo 1.5 buy 1 AAPL sell 1 MSFT @1", "1.5"),
        ("combo 1 buy 1 AAPL", ""),
        ("combo 1 buy 1 AAPL @1", "@1"),
        ("combo 1 buy 1 AAPL sell 1 MSFT", ""),
        ("combo 1 buy $5 AAPL sell 1 MSFT @1", "$5"),
        ("combo 1 buy 1 AAPL sell 1 AAPL @1", "AAPL"),
        ("combo 1 buy 1 AAPL sell 1 NOPE @1", "NOPE"),
        ("combo 1 buy 1 AAPL sell 1 MSFT @join", "@join"),
        ("combo 1 buy 1 AAPL sell 1 MSFT @1 opg", "opg"),
        ("combo 1 buy 1 AAPL sell 1 MSFT @1 day gtc", "gtc"),
        ("combo 1 buy 1 AAPL sell 1 MSFT @1 post", "post"),
    ],
)
def test_the_first_wrong_word_is_named(line: str, word: str) -> None:
    wrong = parse_line(line, CONTEXT)
    assert isinstance(wrong, GrammarError)
    assert wrong.word == word
    assert wrong.text


def test_words_are_offered_on_the_way() -> None:
    known = CONTEXT
    assert "combo" in complete("com", 3, known)
    assert {"buy", "sell"} <= set(complete("combo 1 ", 8, known))
    assert "legged" in complete("combo 1 buy 1 AAPL sell 1 MSFT @1 ", 34, known)
