"""Fees: dated, exact, rounded in the stated direction."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.clock import parse_iso
from engine.domain.errors import DataError
from engine.domain.money import Money
from engine.domain.order import Liquidity, Side
from engine.market.fees import DatedRates, FeeSchedule, OrderFees, charge, read_fees, shipped_fees

TEXT = """
name: test
example: true
currency: USD
venues: [XNAS]
rates:
  - from: 2020-01-01
    components:
      - {name: commission, per_share: 0.005, min_per_order: 1.00, round: half_up}
      - {name: taker, liquidity: taker, per_share: 0.003, round: up}
      - {name: rebate, liquidity: maker, per_share: -0.002, round: floor}
      - {name: tax, side: sell, bps: 0.1, round: up}
  - from: 2021-01-01
    components:
      - {name: commission, per_share: 0.01}
"""


def schedule(folder: Path, text: str = TEXT) -> FeeSchedule:
    path = folder / "rates.yaml"
    path.write_text(text)
    return read_fees(path)


def rates(folder: Path, day: str) -> DatedRates:
    found = schedule(folder).at(parse_iso(f"{day}T12:00:00Z"))
    assert found is not None
    return found


def test_components_apply_by_side_and_liquidity(tmp_path: Path) -> None:
    row = rates(tmp_path, "2020-06-01")
    qty, value = Decimal(1000), Decimal(20000)
    assert charge(row, OrderFees(), Side.BUY, Liquidity.TAKER, qty, value) == Money("8.00")
    assert charge(row, OrderFees(), Side.BUY, Liquidity.MAKER, qty, value) == Money("3.00")
    assert charge(row, OrderFees(), Side.SELL, Liquidity.TAKER, qty, value) == Money("8.20")


def test_a_minimum_is_charged_once_an_order(tmp_path: Path) -> None:
    row, order = rates(tmp_path, "2020-06-01"), OrderFees()
    first = charge(row, order, Side.BUY, Liquidity.MAKER, Decimal(50), Decimal(500))
    assert first == Money("0.90"), "minimum of 1.00, less a rebate of 0.10"
    assert charge(row, order, Side.BUY, Liquidity.MAKER, Decimal(50), Decimal(500)) == Money("-0.10")


def test_rounding_goes_the_stated_way(tmp_path: Path) -> None:
    row = rates(tmp_path, "2020-06-01")
    assert charge(row, OrderFees(), Side.SELL, Liquidity.MAKER, Decimal(1), Decimal(1)) == Money("1.00")
    taker = charge(row, OrderFees(), Side.BUY, Liquidity.TAKER, Decimal(1), Decimal(1))
    assert taker == Money("1.01"), "0.003 up to a cent"


def test_rates_change_on_their_date(tmp_path: Path) -> None:
    made = schedule(tmp_path)
    assert made.at(parse_iso("2019-12-31T23:59:59Z")) is None
    assert made.at(parse_iso("2020-12-31T23:59:59Z")) is made.rates[0]
    assert made.at(parse_iso("2021-01-01T00:00:00Z")) is made.rates[1]
    assert "no rates before 2020-01-01" in made.missing_text(0)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20))
def test_many_small_fills_cost_what_one_large_one_costs(parts: list[int]) -> None:
    row = shipped_fees()["XNAS"].rates[0]
    order, total = OrderFees(), Money(0)
    for part in parts:
        total += charge(row, order, Side.SELL, Liquidity.TAKER, Decimal(part), Decimal(part * 7))
    whole = Decimal(sum(parts))
    assert total == charge(row, OrderFees(), Side.SELL, Liquidity.TAKER, whole, whole * 7)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: test", "nam: test"),
        ("per_share: 0.003", "per_share: much"),
        ("2021-01-01", "2019-01-01"),
        ("2021-01-01", "soon"),
        ("side: sell", "side: short"),
        ("round: up", "round: sideways"),
        ("example: true", "example: 1.5"),
    ],
)
def test_a_wrong_rate_file_is_refused(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(DataError, match=r"rates\.yaml"):
        schedule(tmp_path, TEXT.replace(old, new))


def test_a_step_of_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="step"):
        schedule(tmp_path, TEXT.replace("round: floor", "step: 0"))


def test_the_shipped_rates_are_marked_as_examples() -> None:
    found = shipped_fees()
    assert {"XNAS", "SIMA", "SIMB"} <= set(found)
    assert all(one.example for one in found.values())
