"""Where the market went after fills: measured as time passes, by horizon, and said to be unknown where it is."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine.api.market_state import MarketState
from engine.api.markouts import HORIZONS_MS, PARENTS_KEPT, Markouts
from engine.domain import events as ev
from engine.domain.clock import NS_PER_MS, NS_PER_S, SimClock
from engine.domain.money import Price, Qty
from engine.domain.order import Side
from engine.market.feed import QuoteTick
from engine.risk.policy import PolicyHolder
from engine.views import MarkoutView
from tests.core.lab import AAPL, POLICY, START_NS, Lab
from tests.risk.world import shipped_policy


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def trade(lab: Lab, side: Side = Side.BUY, key: str = "k1") -> None:
    """Fill 100 at 189.02, the quote 189.00 to 189.02."""
    lab.order(side, 100, "189.02", f"i{key}")
    wire_id = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire_id))
    lab.answer(lab.fill(wire_id, 100, key, side=side))


def after_ms(lab: Lab, ms: int) -> None:
    lab.clock.set_ns(lab.clock.now_ns() + ms * NS_PER_MS)


def figures(lab: Lab) -> list[str]:
    lab.clock.set_ns(lab.clock.now_ns() + NS_PER_S)
    return [said(item) for item in lab.engine.view().costs[-1].markouts]


def said(item: MarkoutView) -> str:
    return str(item.bp) if item.bp is not None else "waits" if item.waiting else "none"


def test_each_horizon_takes_the_middle_that_stood_when_it_passed(lab: Lab) -> None:
    trade(lab)
    after_ms(lab, 99)
    lab.quote(18_904, 18_906)
    after_ms(lab, 2)
    lab.quote(18_800, 18_802)
    assert figures(lab)[0] == "1.5871", "189.05 stood at 100 ms, whatever came behind it"
    assert figures(lab)[1:] == ["-53.4335", "waits", "waits"]
    assert lab.engine.markouts.waiting


def test_a_sale_gains_where_the_market_falls(lab: Lab) -> None:
    trade(lab, Side.SELL)
    after_ms(lab, 50)
    lab.quote(18_890, 18_892)
    assert figures(lab)[:2] == ["5.8195", "5.8195"]


def test_a_stale_or_one_sided_quote_is_no_quote(lab: Lab) -> None:
    trade(lab)
    lab.clock.set_ns(lab.clock.now_ns() + 70 * NS_PER_S)
    assert figures(lab) == ["-0.529", "-0.529", "-0.529", "none"], "nothing was heard for a minute"
    view = lab.engine.view().costs[-1].markouts
    assert [(item.fills, item.waiting, item.missing) for item in view] == [(1, 0, 0)] * 3 + [(0, 0, 1)]


def test_a_fill_that_is_taken_back_counts_no_more(lab: Lab) -> None:
    trade(lab)
    fill = lab.fill(lab.broker.sent[-1].wire_id, 100, "k1").fill
    lab.engine.markouts.booked("P1", fill, -1)
    assert lab.engine.markouts.view("P1") == ()


@pytest.fixture
def again(tmp_path: Path) -> Lab:
    """A second engine on the ledger of one that filled an order; its clock stands where the first one's began."""
    first = Lab(tmp_path, ledger=tmp_path / "ledger.db")
    first.connect()
    trade(first)
    first.journal.close()
    made = Lab(tmp_path, ledger=tmp_path / "ledger.db")
    made.connect()
    return made


def test_fills_of_before_the_start_have_no_figure_of_their_own(again: Lab) -> None:
    after_ms(again, 1_000)
    assert [cost.markouts for cost in again.engine.view().costs] == [()]
    again.engine.markouts.recall({})
    assert figures(again) == [], "nothing was recorded"


def test_fills_of_before_the_start_take_what_the_tape_tells(again: Lab) -> None:
    (asked,) = again.engine.markouts.asked()
    assert (asked.symbol, asked.key) == ("AAPL", "paper/PAPER/k1")
    after_ms(again, 15_000)
    again.engine.markouts.recall({asked.key: [Decimal("189.05"), None, Decimal("188.01"), None]})
    assert figures(again) == ["1.5871", "none", "-53.4335", "waits"], "a minute has not passed yet"
    again.quote(18_904, 18_906)
    after_ms(again, 50_000)
    assert figures(again)[3] == "none", "the quote was too old then"
    assert again.engine.markouts.asked() == ()


def test_a_fill_of_before_that_is_taken_back_is_not_asked_for(again: Lab) -> None:
    (asked,) = again.engine.markouts.asked()
    again.engine.markouts.booked("P1", again.fill("W", 100, "k1").fill, -1)
    assert again.engine.markouts.asked() == ()
    again.engine.markouts.recall({asked.key: [Decimal(189)] * 4})
    assert figures(again) == []


def test_the_figures_are_weighted_by_notional() -> None:
    """The vector of three fills; the middles at three horizons are quoted as these pass."""
    market, clock = MarketState(), SimClock(START_NS)
    market.instruments["AAPL"] = AAPL
    marks = Markouts(market, clock, PolicyHolder(shipped_policy(), POLICY), is_on=True)
    fills = [
        ("a", Side.BUY, "100.02", 500, (10_000, 9_998, 10_005)),
        ("b", Side.SELL, "100.10", 300, (10_012, 10_015, 10_002)),
        ("c", Side.BUY, "100.04", 200, (10_005, 10_008, 10_010)),
    ]
    now = START_NS
    for key, side, price, qty, mids in fills:
        quote(market, now, mids[0])
        clock.set_ns(now)
        marks.booked("P1", filled(key, side, price, qty, now), 1)
        for horizon_ms, mid in zip(HORIZONS_MS, mids, strict=False):
            clock.set_ns(now + horizon_ms * NS_PER_MS - 1)
            marks.settle()
            quote(market, clock.now_ns(), mid)
        clock.set_ns(now + 20 * NS_PER_S)
        marks.settle()
        now += 100 * NS_PER_S
    assert [round(item.bp or Decimal(0), 4) for item in marks.view("P1")[:3]] == [
        Decimal("-1.3993"),
        Decimal("-2.6987"),
        Decimal("5.0976"),
    ]


def quote(market: MarketState, ts_ns: int, mid: int) -> None:
    market.on_tick(QuoteTick("AAPL", "XSIM", ts_ns, 1, mid - 1, 100, mid + 1, 100))


def filled(key: str, side: Side, price: str, qty: int, ts_ns: int) -> ev.Fill:
    return ev.Fill(
        broker="paper", account="PAPER", fill_key=key, symbol="AAPL", side=side, qty=Qty(qty), price=Price(price), ts_ns=ts_ns, venue="XSIM"
    )  # fmt: skip


def test_what_is_kept_of_a_long_day_is_bounded() -> None:
    market, clock = MarketState(), SimClock(START_NS)
    market.instruments["AAPL"] = AAPL
    marks = Markouts(market, clock, PolicyHolder(shipped_policy(), POLICY), is_on=True)
    for number in range(PARENTS_KEPT + 50):
        clock.set_ns(START_NS + number * NS_PER_S)
        if number == 0:
            quote(market, START_NS, 10_000)
        marks.booked(f"P{number}", filled("k", Side.BUY, "100.02", 1, clock.now_ns()), 1)
    assert marks.view("P0") == ()
    assert marks.view(f"P{PARENTS_KEPT + 49}")
    assert len(marks.changed) <= PARENTS_KEPT
    assert len(marks.waiting["AAPL"]) < 100, "without a tick and a reader too, only a minute of fills waits"
