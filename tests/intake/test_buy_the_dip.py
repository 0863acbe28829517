"""BuyTheDip on scripted ticks: the exact orders, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.clock import NS_PER_S
from engine.domain.events import encode
from engine.intake.strategies.buy_the_dip import BuyTheDip, RollingMedian
from engine.store.order_store import OrderStore
from tests.intake.fakes import Desk

PARAMS = {"symbol": "AAPL", "window": "5", "ladder": "30:100 60:200", "cap": "250", "stop_bps": "100", "hold_ns": "1m"}


def warm(**params: str) -> Desk:
    """Five samples at 100.00: the reference stands."""
    desk = Desk(BuyTheDip)
    assert desk.start("BuyTheDip", **{**PARAMS, **params}).ok
    for _ in range(5):
        desk.quote("99.99", "100.01")
    assert desk.orders == []
    return desk


STEP_1 = "buy 100 AAPL limit 99.7 ioc: step 1: 30 bps below 100"
STEP_2 = "buy 150 AAPL limit 99.4 ioc: step 2: 60 bps below 100"


def test_nothing_is_bought_before_the_reference_stands() -> None:
    desk = Desk(BuyTheDip)
    desk.start("BuyTheDip", **PARAMS)
    for price in ("100.00", "99.00", "98.00", "97.00"):
        desk.quote(price, price)
    assert desk.orders == []


def test_steps_are_bought_at_the_ask_up_to_the_cap() -> None:
    desk = warm()
    desk.quote("99.69", "99.71")
    assert desk.orders == []
    desk.quote("99.68", "99.70")
    desk.quote("99.68", "99.70")
    desk.quote("99.38", "99.40")
    desk.quote("99.20", "99.22")
    assert desk.orders == [STEP_1, STEP_2]


def test_a_deep_fall_buys_all_steps_at_once() -> None:
    desk = warm()
    desk.quote("99.38", "99.40")
    assert desk.orders == ["buy 250 AAPL limit 99.4 ioc: step 2: 60 bps below 100"]


def test_the_mean_exit_sells_at_the_bid() -> None:
    desk = warm()
    desk.quote("99.68", "99.70")
    desk.quote("99.99", "100.01")
    desk.quote("100.00", "100.02")
    assert desk.orders == [STEP_1, "sell 100 AAPL limit 100 ioc: mean: back at the anchor"]


def test_the_hard_stop_sells_through_the_bid() -> None:
    desk = warm()
    desk.quote("99.68", "99.70")
    desk.quote("99.01", "99.03")
    desk.quote("99.00", "99.02")
    assert desk.orders[-1] == "sell 250 AAPL limit 98.9 ioc: stop: 100 bps below the anchor"


def test_the_time_stop_sells() -> None:
    desk = warm()
    desk.quote("99.68", "99.70")
    desk.quote("99.75", "99.77", after_ms=59_999)
    desk.quote("99.75", "99.77", after_ms=1)
    assert desk.orders == [STEP_1, "sell 100 AAPL limit 99.65 ioc: time: held as long as allowed"]


def test_no_entry_again_before_the_reference_is_crossed() -> None:
    desk = warm()
    desk.quote("99.68", "99.70")
    desk.quote("99.00", "99.02")
    bought_and_sold = len(desk.orders)
    for _ in range(3):
        desk.quote("98.90", "98.92")
    desk.quote("98.50", "98.52")
    assert len(desk.orders) == bought_and_sold, "below the reference: stopped out, not armed"
    for _ in range(3):
        desk.quote("98.92", "98.94")
    desk.quote("98.60", "98.62")
    assert len(desk.orders) == bought_and_sold + 1
    assert desk.orders[-1].startswith("buy 100 AAPL limit 98.62")


def test_an_unfilled_entry_is_asked_again_while_the_dip_lasts_but_not_chased() -> None:
    desk = warm()
    desk.fill_iocs = False
    desk.quote("99.68", "99.70")
    desk.quote("99.68", "99.70", after_ms=500)
    assert len(desk.orders) == 1, "retry_ns is a second"
    desk.quote("99.66", "99.68", after_ms=500)
    assert len(desk.orders) == 2
    desk.quote("99.80", "99.82")
    assert len(desk.orders) == 2


def test_an_unfilled_exit_is_asked_until_flat() -> None:
    desk = warm()
    desk.quote("99.68", "99.70")
    desk.fill_iocs = False
    for _ in range(3):
        desk.quote("99.00", "99.02")
    desk.fill_iocs = True
    desk.quote("98.00", "98.02")
    desk.quote("98.00", "98.02")
    sells = [line for line in desk.orders if line.startswith("sell")]
    assert sells == ["sell 100 AAPL limit 98.9 ioc: stop: 100 bps below the anchor"] * 3 + [
        "sell 100 AAPL limit 97.9 ioc: stop: 100 bps below the anchor"
    ]
    assert desk.host.position("BuyTheDip", "AAPL") == 0


def test_a_dip_goes_on_over_a_restart() -> None:
    """The anchor and the time of entry come back; the reference may fill anew meanwhile."""
    desk = warm()
    desk.quote("99.68", "99.70")
    again = Desk(BuyTheDip, journal=desk.journal)
    again.clock.wall_ns = desk.clock.wall_ns
    again.host.resume(is_clean=True)
    again.quote("99.38", "99.40")
    again.quote("100.00", "100.02")
    assert again.orders == [STEP_2, "sell 250 AAPL limit 100 ioc: mean: back at the anchor"]


def test_bad_quotes_and_a_single_bad_price_change_nothing() -> None:
    desk = warm()
    desk.quote("100.01", "99.00")
    desk.quote("0", "50.00")
    assert desk.orders == []
    desk.quote("149.99", "150.01")
    desk.quote("99.99", "100.01")
    assert desk.orders == [], "one wild sample leaves the median where it was"


def test_prints_serve_where_there_is_no_quote() -> None:
    desk = Desk(BuyTheDip)
    desk.start("BuyTheDip", **PARAMS)
    for _ in range(5):
        desk.trade("100.00")
    desk.trade("99.70")
    assert desk.orders == [STEP_1]


def test_state_is_journaled_on_changes_of_phase_only() -> None:
    desk = warm()
    for _ in range(50):
        desk.quote("99.99", "100.01")
    assert len(desk.saves) == 1
    desk.quote("99.68", "99.70")
    assert desk.saves[-1] == {"anchor": "10000", "phase": "hold", "since_ns": desk.saves[-1]["since_ns"], "step": "0"}


@pytest.mark.parametrize(
    "params",
    [
        {"ladder": ""},
        {"ladder": "30"},
        {"ladder": "30:0"},
        {"ladder": "30:x"},
        {"ladder": "0:5"},
        {"ladder": "60:100 30:100"},
        {"stop_bps": "60"},
        {"stop_bps": "10000"},
        {"cap": "0"},
        {"window": "0"},
        {"window": "100001"},
        {"collar": "0"},
    ],
)
def test_parameters_that_contradict_are_refused(params: dict[str, str]) -> None:
    assert Desk(BuyTheDip).start("BuyTheDip", **{**PARAMS, **params}).code == "STRATEGY_PARAMS"


@given(st.lists(st.tuples(st.integers(9700, 10200), st.integers(0, 5), st.integers(1, 3000)), max_size=80))
def test_any_tape_keeps_the_cap_and_decides_the_same_twice(tape: list[tuple[int, int, int]]) -> None:
    runs = []
    for _ in range(2):
        desk = Desk(BuyTheDip)
        desk.start("BuyTheDip", **PARAMS)
        for bid, spread, after_ms in tape:
            desk.quote(f"{bid / 100:.2f}", f"{(bid + spread) / 100:.2f}", after_ms=after_ms)
            assert 0 <= desk.host.position("BuyTheDip", "AAPL") <= 250
        assert all(state != "disabled" for state, _ in desk.changes)
        runs.append([encode(command) for command in desk.commands])
    assert runs[0] == runs[1]


@given(st.lists(st.integers(-50, 50), max_size=40), st.integers(1, 7))
def test_the_rolling_median_is_the_median_of_the_last_values(values: list[int], size: int) -> None:
    median = RollingMedian(size)
    for count, value in enumerate(values, 1):
        median.add(value)
        last = sorted(values[max(0, count - size) : count])
        expected = (last[(size - 1) // 2] + last[size // 2]) // 2 if count >= size else None
        assert median.value == expected


def test_defaults_are_sound() -> None:
    desk = Desk(BuyTheDip)
    assert desk.start("BuyTheDip", symbol="AAPL").ok
    assert BuyTheDip.hold_ns == 1800 * NS_PER_S
    assert isinstance(desk.store, OrderStore)
