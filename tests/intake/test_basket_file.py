"""A basket's file: every bad line is named with its value and rule, and one of them refuses all."""

from __future__ import annotations

import pytest

from engine.domain.instrument import make_instrument
from engine.domain.order import OrderType, Side, Tif
from engine.intake.basket_file import ROWS_MAX, read_basket
from engine.intake.grammar import GrammarContext

LISTED = {name: make_instrument(name, "equity", "XSIM", "USD", "0.01") for name in ("AAPL", "MSFT")}
CONTEXT = GrammarContext(instruments=LISTED, brokers=("paper",), accounts=("PAPER",))
HEAD = "symbol,side,qty,price,tif,words\n"


def test_columns_come_in_any_order_and_blank_rows_are_passed_over() -> None:
    found = read_basket("\ufeff" + HEAD + "AAPL,b,100,189.10,gtc,show 50\r\n\n,,,,,\nMSFT,sell,1k,mkt,,\n", CONTEXT)
    assert found.bad == ()
    assert [one.line for one in found.lines] == [2, 5]
    first, second = (one.spec for one in found.lines)
    assert (first.side, first.type, first.tif, str(first.display)) == (Side.BUY, OrderType.LIMIT, Tif.GTC, "50")
    assert (second.side, second.type, str(second.qty)) == (Side.SELL, OrderType.MARKET, "1000")


def test_every_bad_line_is_named() -> None:
    text = HEAD + "AAPL,b,100,189.10,,\nXXXX,b,1,1,,\nAAPL,buy,ten,1,,\nAAPL,b,10,,,\nAAPL,b,,1,,\nAAPL,b,1\n"
    found = read_basket(text, CONTEXT)
    assert found.lines == ()
    assert [one.line for one in found.bad] == [3, 4, 5, 6, 7]
    words = ["'XXXX': no known symbol", "'ten': no size", "has no price", "qty is empty", "3 cells and the header 6"]
    assert all(word in one.text for word, one in zip(words, found.bad, strict=True))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("side,qty\nb,1\n", "'symbol' is missing"),
        ("side,qty,symbol,limit\n", "no column 'limit'"),
        ("side,side,qty,symbol\n", "'side' stands twice"),
        ("side,qty,symbol\n", "0 orders"),
        ("side,qty,symbol,price\n" + "b,1,AAPL,mkt\n" * (ROWS_MAX + 1), "501 orders"),
        ("side,qty,symbol\n\0", "zero byte"),
        ('side,qty,symbol\n"b', "no csv"),
        (HEAD + "AAPL,b,100,189 gtc,,\n", "more than one word"),
        (HEAD + "AAPL,b,100,189,,tp 191\n", "placed by themselves"),
    ],
)
def test_what_is_no_basket_says_why(text: str, why: str) -> None:
    found = read_basket(text, CONTEXT)
    assert found.lines == ()
    assert why in found.bad[0].text


def test_a_line_is_counted_as_the_file_has_it_where_a_cell_goes_over_several() -> None:
    text = 'side,qty,symbol,price,words\nb,1,AAPL,mkt,"\n"\nb,x,AAPL,mkt,\n'
    assert [one.line for one in read_basket(text, CONTEXT).bad] == [4]
    torn = read_basket('side,qty,symbol,price\nb,1,AAPL,mkt\nb,1,"AAPL,mkt\nb,1,AAPL,mkt\n', CONTEXT)
    assert [(one.line, "from here on the file is no csv" in one.text) for one in torn.bad] == [(3, True)]


def test_line_ends_may_be_of_any_kind() -> None:
    found = read_basket("side,qty,symbol,price\rb,1,AAPL,mkt\rb,x,AAPL,mkt\r", CONTEXT)
    assert [one.line for one in found.bad] == [3]
