"""Dividends, splits, funding, interest and settlement: booked at their moment, told to the engine, and every unit accounted for."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bolt_tui.settings import Home
from brokers.paper.config import VenueConfig
from brokers.paper.latency import NO_LATENCY
from engine.domain.clock import NS_PER_S
from engine.domain.errors import DataError
from engine.domain.instrument import InstrumentKind
from engine.domain.money import Money
from engine.market.carry_file import EXAMPLE_FILE, CarryFile, SplitRow, read_carry
from engine.market.exact_rows import Moment
from tests.cli.conftest import Ran, bolt, home
from tests.paper_venue.lab import ME, START, B, Lab, S
from tests.paper_venue.test_groups import bracket
from tests.replay.tape import quotes, replay, trade

__all__ = ["bolt", "home"]
Bolt = Callable[..., Ran]
CARRY = """name: test
dividends:
  - {symbol: ABC, ex: 2024-03-05T15:02:00Z, pay: 2024-03-05T15:04:00Z, per_share: 0.25, currency: USD, withheld_pct: 15}
splits:
  - {symbol: ABC, at: 2024-03-05T15:05:00Z, new: 4, old: 1}
funding:
  - {symbol: ABC, at: 2024-03-05T15:03:00Z, rate: 0.0001}
interest:
  - {currency: USD, from: 2024-01-01, credit_pct: 3.6, debit_pct: 7.2}
nights: {at: "15:08", zone: UTC, year_days: 360}
settlement:
  - {kinds: [equity], from: 2024-01-01, days: 2}
holidays: [2024-03-06]
"""
TERMS = "tick=0.01,lot=1,ccy=USD,mic=XNAS"


def tape(*, split: int = 4, mic: str = "XNAS") -> list[str]:
    """Ten minutes of a quote, at a ``split``-th of the price from the fifth on."""
    low = f"{10 / split:.2f}"
    rows = quotes("2024-03-05T15:00:00Z", "2024-03-05T15:04:59Z", mic=mic, every_s=1)
    rows += [trade("2024-03-05T15:00:30Z", "10.00", 200, mic=mic), trade("2024-03-05T15:02:59Z", "10.00", 200, mic=mic)]
    rows += quotes(
        "2024-03-05T15:05:01Z", "2024-03-05T15:10:00Z", mic=mic, every_s=1, bid=low, ask=f"{10 / split + 0.01:.2f}"
    )
    return rows


def run(
    tmp_path: Path, *orders: str, carry: str = CARRY, terms: str = TERMS, split: int = 4, **more: Any
) -> dict[str, Any]:
    path = tmp_path / "carry.yaml"
    path.write_text(carry)
    result = replay(tmp_path, tape(split=split), *orders, terms=terms, carry=path, **more)
    assert result["conservation"] == []
    return result


def moved(result: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for one in result["movements"] if one["kind"] == kind]


def test_longs_get_a_dividend_less_tax_and_shorts_pay_it_whole(tmp_path: Path) -> None:
    (long,) = moved(run(tmp_path, "b 101 ABC @mkt"), "dividend")
    (short,) = moved(run(tmp_path, "s 101 ABC @mkt"), "dividend")
    assert long["cash"] == [{"currency": "USD", "amount": "21.46"}]  # 25.25 less 15 %: 21.4625
    assert short["cash"] == [{"currency": "USD", "amount": "-25.25"}]
    assert "15 % withheld" in long["text"]


def test_a_split_scales_position_orders_and_stops(tmp_path: Path) -> None:
    result = run(tmp_path, "b 101 ABC @mkt", "b 40 ABC @9.01 gtc", "s 30 ABC stop 9.01 gtc")
    assert result["position"] == "404"
    (split,) = moved(result, "split")
    assert (split["qty"], split["ratio"]) == ("404", [4, 1])
    parents = [(one["side"], one["qty"], one.get("limit"), one.get("stop")) for one in result["parents"]]
    assert parents[1:] == [("buy", "160", "2.25", None), ("sell", "120", None, "2.26")]
    assert result["pnl_base"] is not None


def test_a_bracket_keeps_its_whole_protection_over_a_split() -> None:
    at = Moment(START + NS_PER_S)
    file = CarryFile(name="t", splits=(SplitRow(symbol="ABC", at=at, new=4, old=1),))
    lab = Lab(VenueConfig(latency=NO_LATENCY, cash={"USD": Money(1_000_000)}, carry=file), by_level=True)
    lab.core.start_carry(START)
    lab.level(B, 1000, 500)
    lab.level(S, 1002, 500)
    bracket(lab, 100, "10.02", "10.40", "9.60")
    lab.trade(B, 1041, 30)
    lab.now = int(at)
    lab.core.advance(lab.now)
    held = lab.core.account(ME).position("ABC")
    stops = [
        (one.wire_id, str(one.qty - one.qty_filled), str(one.limit or one.stop)) for one in lab.core.open_orders(ME)
    ]
    assert held == 280, "70 of 100, four for one"
    assert stops == [("T", str(held), "2.6"), ("X", str(held), "2.4")]
    lab.level(B, 250, 500)
    lab.level(S, 251, 500)
    lab.level(B, 260, 40)
    lab.level(B, 260, 0)
    rest = lab.core.account(ME).position("ABC")
    assert rest == held - 40
    assert [(one.wire_id, one.qty - one.qty_filled) for one in lab.core.open_orders(ME)] == [("T", rest), ("X", rest)]
    lab.trade(S, 240, 1)
    assert lab.core.account(ME).position("ABC") == 0, "the stop still closed all of it"
    lab.core.check()


def test_a_fraction_of_a_reverse_split_is_paid_out(tmp_path: Path) -> None:
    carry = CARRY.replace("new: 4, old: 1", "new: 1, old: 3").replace(
        "  - {symbol: ABC, at: 2024-03-05T15:03", "  - {symbol: XYZ, at: 2024-03-05T15:03"
    )
    rows = quotes("2024-03-05T15:00:00Z", "2024-03-05T15:06:00Z", mic="XNAS", every_s=1)
    rows.append(trade("2024-03-05T15:00:30Z", "10.00", 200, mic="XNAS"))
    path = tmp_path / "carry.yaml"
    path.write_text(carry)
    result = replay(tmp_path, rows, "b 100 ABC @mkt", terms=TERMS, carry=path)
    (split,) = moved(result, "split")
    assert (result["position"], split["cash"]) == ("33", [{"currency": "USD", "amount": "10"}])  # a third at 30.00
    assert result["conservation"] == []


def test_longs_of_a_perpetual_pay_funding(tmp_path: Path) -> None:
    terms = "tick=0.01,lot=1,ccy=USD,mic=XNAS,kind=perpetual,mult=10"
    result = run(tmp_path, "b 100 ABC @mkt", terms=terms)
    (paid,) = moved(result, "funding")
    assert paid["cash"] == [{"currency": "USD", "amount": "-1"}]  # 100 x 10 x 10.00 x 0.0001
    assert not moved(result, "split"), "a contract does not split"


def test_cash_earns_overnight_and_debt_costs(tmp_path: Path) -> None:
    (earned,) = moved(run(tmp_path, "b 1 ABC @mkt", carry=CARRY.replace("ABC", "XYZ"), split=1), "interest")
    assert earned["cash"][0]["amount"].startswith("999.")
    fx = tmp_path / "fx.yaml"
    fx.write_text("name: t\nrates: [{of: EUR, to: USD, rate: 1.10, at: 2024-03-05T14:00:00Z}]\n")
    both = CARRY.replace("ABC", "XYZ").replace(
        "nights:", "  - {currency: EUR, from: 2024-01-01, debit_pct: 7.2}\nnights:"
    )
    result = run(tmp_path, "b 1000 ABC @mkt", carry=both, terms=TERMS.replace("USD", "EUR"), base="USD", fx=fx, split=1)
    by = {one["cash"][0]["currency"]: one["cash"][0]["amount"] for one in moved(result, "interest")}
    assert by["EUR"].startswith("-2")  # 10,010 EUR owed, a night of 7.2 %
    assert by["USD"] == "999.99"  # the fee was in USD


def test_the_report_says_on_or_off(tmp_path: Path) -> None:
    on = run(tmp_path, "b 1 ABC @mkt")["realism"]["effects"]
    off = replay(tmp_path, tape(), "b 1 ABC @mkt", terms=TERMS)["realism"]["effects"]
    assert [next(one["state"] for one in effects if one["code"] == "P11") for effects in (on, off)] == ["on", "off"]


def test_settlement_skips_weekends_and_holidays(tmp_path: Path, bolt: Bolt) -> None:
    file = read_carry(EXAMPLE_FILE)
    assert file.settles_on(InstrumentKind.EQUITY, date(2024, 5, 24)) == date(2024, 5, 28)  # a Friday, two days
    assert file.settles_on(InstrumentKind.EQUITY, date(2024, 5, 31)) == date(2024, 6, 3)  # a Friday, one day
    assert file.settles_on(InstrumentKind.CRYPTO_SPOT, date(2024, 5, 31)) == date(2024, 5, 31)
    ledger = tmp_path / "day.db"
    run(tmp_path, "b 10 ABC @mkt", carry=CARRY, ledger=ledger)
    ran = bolt("statement", "--ledger", str(ledger), "--carry", str(tmp_path / "carry.yaml"), "--json")
    assert ran.code == 0, ran.err
    (one,) = ran.json["accounts"]
    ((day, amount),) = one["unsettled"]["USD"].items()
    assert day == "2024-03-08"  # the 6th is a holiday
    assert amount.startswith("-100.")
    assert one["cash"]["USD"]["movements"]["dividend"] == "2.13"
    assert ran.json["proof"]["adds_up"]


def test_days_without_a_session_of_its_calendar_settle_nothing(tmp_path: Path, bolt: Bolt, home: Home) -> None:
    """Trade on the 5th, two days: the 6th is a holiday of the file, the 7th one of the calendar."""
    own = "calendars: {DESK: {zone: UTC, open: '09:00', close: '17:00', holidays: [2024-03-07]}}"
    home.own_sessions.write_text(own, encoding="utf-8")
    ledger = tmp_path / "day.db"
    run(tmp_path, "b 10 ABC @mkt", carry=CARRY, ledger=ledger)
    path = tmp_path / "carry.yaml"
    path.write_text(CARRY + "calendar: DESK\n", encoding="utf-8")
    ran = bolt("statement", "--ledger", str(ledger), "--carry", str(path), "--json")
    assert ran.code == 0, ran.err
    assert list(ran.json["accounts"][0]["unsettled"]["USD"]) == ["2024-03-11"]
    path.write_text(CARRY + "calendar: NOWHERE\n", encoding="utf-8")
    assert "NOWHERE" in bolt("statement", "--ledger", str(ledger), "--carry", str(path)).err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pay: 2024-03-05T15:04", "pay: 2024-03-05T15:01", "pay lies before ex"),
        ("per_share: 0.25", "per_share: -1", "above zero"),
        ("new: 4, old: 1", "new: 1, old: 1", "two different numbers"),
        ("15:08", "25:08", "no time of day"),
        ("rate: 0.0001", "rate: high", "not a number"),
        ("2024-03-05T15:05:00Z", "soon", "iso"),
        ("days: 2", "days: 99", "0 to 10"),
        ("per_share: 0.25", "per_share: 1e60", "more than 18 digits"),
        ("rate: 0.0001", "rate: 1e-30", "more than 18 digits"),
        ("new: 4, old: 1", "new: 10000000, old: 1", "two different numbers from 1 to 1000000"),
        ("currency: USD", "currency: dollars", "is no currency code"),
    ],
)
def test_a_wrong_file_names_the_value(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "carry.yaml"
    assert old in CARRY
    path.write_text(CARRY.replace(old, new))
    with pytest.raises(DataError, match=f"(?i){words}"):
        read_carry(path)


def test_no_pipe_is_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "carry.yaml"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(DataError, match="no ordinary file"):
            read_carry(path)
