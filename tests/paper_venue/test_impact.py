"""Impact: linear, decaying, never a gift."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from brokers.paper.impact import SCALE, Impact, ImpactParams, decayed
from engine.domain.clock import NS_PER_S
from engine.domain.order import Liquidity
from tests.paper_venue.lab import FREE, Lab, plain_book


def test_decay_halves_each_half_life() -> None:
    assert decayed(1000, 0, NS_PER_S) == 1000
    assert decayed(1000, NS_PER_S, NS_PER_S) == 500
    assert decayed(-1000, 2 * NS_PER_S, NS_PER_S) == -250
    assert abs(decayed(10**9, NS_PER_S // 2, NS_PER_S) - 707_106_781) < 20_000
    assert decayed(10**9, 10**15, NS_PER_S) == 0


def test_a_fill_pays_half_of_what_it_adds_and_all_that_stands() -> None:
    impact = Impact(ImpactParams(permanent=SCALE // 100, temporary=SCALE // 100))
    assert impact.concession(0, 1, 100) == 1
    impact.absorb(0, 1, 100)
    assert impact.concession(0, 1, 100) == 3
    assert impact.concession(0, -1, 100) == 1, "our own push is no gift to our sale"


MOVES = st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 500), st.integers(0, 120)), min_size=1, max_size=30)


@given(MOVES, st.integers(0, SCALE), st.integers(0, SCALE))
def test_no_round_trip_earns_money(moves: list[tuple[int, int, int]], permanent: int, temporary: int) -> None:
    """Against a mid that we alone move: cash of any path that ends flat, marked at prices that include our shift."""
    impact = Impact(ImpactParams(permanent=permanent, temporary=temporary, half_life_ns=30 * NS_PER_S))
    mid, now, held, paid = 100_000, 0, 0, 0
    steps = [*moves, (-1, 0, 5)]
    for number, (sign, qty, wait) in enumerate(steps):
        now += wait * NS_PER_S
        if number == len(steps) - 1:
            sign, qty = (-1 if held > 0 else 1), abs(held)
        paid += sign * qty * (mid + sign * impact.concession(now, sign, qty))
        impact.absorb(now, sign, qty)
        held += sign * qty
    assert held == 0
    assert paid >= 0


def test_it_is_off_unless_asked_for_and_never_breaks_a_limit() -> None:
    on = replace(FREE, impact={"ABC": ImpactParams(permanent=SCALE // 100)})
    lab = plain_book(Lab(on))
    lab.buy(100)
    lab.buy(50, "10.02")
    assert lab.traded() == [("10.03", "100"), ("10.02", "50")]
    plain = plain_book(Lab())
    plain.buy(100)
    assert plain.traded() == [("10.02", "100")]


def test_a_market_that_reacts_hears_of_each_execution() -> None:
    heard: list[tuple[str, int, Liquidity]] = []
    lab = plain_book(Lab(own_flow=lambda key, _ts, qty, liquidity: heard.append((key, qty, liquidity))))
    lab.sell(50)
    lab.buy(10, "10.01")
    lab.execute(1, 50 + 20)
    assert heard == [("ABC@XNAS", -50, Liquidity.TAKER), ("ABC@XNAS", 10, Liquidity.MAKER)]
