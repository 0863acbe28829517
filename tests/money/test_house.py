"""House rules of the paper broker: real words for refusals, rate windows, funds, borrow with recalls, margin with liquidation, and foreign orders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brokers.paper.config import VenueConfig, VenueState
from brokers.paper.house_file import Borrow, House, Margin, read_house
from brokers.paper.latency import NO_LATENCY
from brokers.paper.profiles import PROFILES, Pace
from brokers.paper.realism import realism_report
from brokers.paper.tallies import Message
from engine.domain.clock import NS_PER_S
from engine.domain.errors import DataError
from engine.domain.events import decoder, encode
from engine.domain.money import Money, Price, Qty, Rate
from engine.domain.order import Side
from engine.market.exact_rows import Moment
from engine.oms.broker_interface import AmendRefused, CancelRefused, Moved, Rejected
from tests.paper_venue.lab import START, B, Lab, S, plain_book
from tests.replay.tape import quotes, replay, trade


def house_lab(cash: str = "1000000", **rules: Any) -> Lab:
    lab = Lab(VenueConfig(latency=NO_LATENCY, cash={"USD": Money(cash)}, house=House(name="test", **rules)))
    lab.core.start_house(START)
    return plain_book(lab)


def told(lab: Lab, kind: str) -> list[str]:
    found = [event.movement for event in lab.events if isinstance(event, Moved)]
    return [made.words() for made in found if made.kind == kind]


def last(lab: Lab) -> tuple[str, str]:
    event = lab.events[-1]
    assert isinstance(event, Rejected | CancelRefused | AmendRefused)
    return event.code, event.text


def wait(lab: Lab, seconds: float) -> None:
    lab.now += int(seconds * NS_PER_S)
    lab.core.advance(lab.now)


@pytest.mark.parametrize(
    ("profile", "tick", "funds", "late"),
    [
        ("binance", ("-1013", "PRICE_FILTER"), ("-2010", "insufficient balance"), ("-2011", "Unknown order sent.")),
        (
            "zerodha",
            ("InputException", "off the tick"),
            ("MarginException", "Insufficient funds. "),
            ("OrderException", "ever arrived"),
        ),
        ("ibkr", ("110", "minimum price variation"), ("201", "Order rejected"), ("10147", "is not found")),
        ("plain", ("TICK", "off the tick"), ("FUNDS", "needed"), ("UNKNOWN_ORDER", "ever arrived")),
    ],
)
def test_each_broker_refuses_in_its_own_words(
    profile: str, tick: tuple[str, str], funds: tuple[str, str], late: tuple[str, str]
) -> None:
    lab = house_lab("1000", profile=profile, funds=True)
    for act, (code, words) in (
        (lambda: lab.buy(1, "10.005"), tick),
        (lambda: lab.buy(100, "10.02"), funds),
        (lambda: lab.cancel("W99"), late),
    ):
        act()
        got = last(lab)
        assert got[0] == code
        assert words in got[1]
    assert lab.core.positions("PAPER") == ()


def test_funds_count_what_works_already() -> None:
    lab = house_lab("1000", funds=True)
    lab.buy(60, "9.50")
    lab.buy(40, "9.50")
    assert lab.names() == ["Acked", "Acked"] or lab.names()[0] == "Acked"
    lab.buy(20, "9.50")
    assert last(lab)[0] == "FUNDS"
    lab.sell(5)
    assert lab.names()[-1] == "Filled", "a sale needs no cash"


def test_windows_refuse_and_penalties_last() -> None:
    lab = house_lab(profile="zerodha")
    for _ in range(10):
        lab.buy(1, "9.50")
    lab.buy(1, "9.50")
    assert last(lab) == ("NetworkException 429", "Too many requests")
    lab.cancel("W1")
    assert last(lab)[0] == "NetworkException 429", "cancels use the same window there"
    wait(lab, 2)
    lab.cancel("W1")
    assert lab.status("W1") == "cancelled"


def sent(pace: Pace, at_ns: int, message: Message = Message.NEW) -> str:
    """Send a message of account A, which the venue finds sound; the code of its refusal."""
    found = pace.refusal("A", at_ns, message)
    if found is None and message is Message.NEW:
        pace.placed("A", at_ns)
    return "" if found is None else found.code


def test_orders_without_an_execution_count_in_intervals_that_begin_on_the_clock() -> None:
    pace = Pace(PROFILES["binance"])
    assert [sent(pace, 9 * NS_PER_S) for _ in range(51)] == [""] * 50 + ["-1015"]
    assert sent(pace, 9 * NS_PER_S + 1, Message.CANCEL) == "", "cancels count no orders"
    assert sent(pace, 10 * NS_PER_S) == "", "the next ten seconds have begun"


def test_an_execution_gives_the_count_of_its_order_back_once_and_never_below_none() -> None:
    pace = Pace(PROFILES["binance"])
    for _ in range(50):
        sent(pace, 0)
    pace.filled("A", 1)
    assert (sent(pace, 2), sent(pace, 3)) == ("", "-1015")
    idle = Pace(PROFILES["binance"])
    idle.filled("A", 0)
    assert [sent(idle, 1) for _ in range(51)][-1] == "-1015", "executions of before are no credit"


def test_request_weight_is_used_up_by_whatever_is_sent_and_by_questions() -> None:
    pace = Pace(PROFILES["binance"])
    for _ in range(290):
        pace.asked("A", 0, Message.STATE_QUESTION)
    for _ in range(50):
        pace.asked("A", 0, Message.ORDER_QUESTION)
    assert [sent(pace, 1, Message.CANCEL) for _ in range(2)] == ["-1003", "-1003"]
    assert sent(pace, 60 * NS_PER_S, Message.CANCEL) == "-1003", "who sent on is banned"
    assert sent(pace, 121 * NS_PER_S, Message.CANCEL) == ""


def test_a_venue_gives_back_at_the_first_execution_of_an_order_and_remembers_it_over_a_restart() -> None:
    lab = house_lab(profile="binance")
    for _ in range(50):
        lab.buy(1, "9.50")
    taken = lab.buy(1, "9.50")
    assert (lab.status(taken), last(lab)[0]) == ("rejected", "-1015")
    kept: VenueState = decoder(VenueState).decode(encode(lab.core.state()))
    fresh = house_lab(profile="binance")
    fresh.core.load_state(kept)
    fresh.now = lab.now
    assert fresh.core.pace is not None
    assert fresh.core.pace.refusal("PAPER", fresh.now) is not None
    trading = house_lab(profile="binance")
    for _ in range(60):
        trading.buy(1, "10.02")
    assert {trading.core.order("PAPER", f"W{at}").status for at in range(1, 61)} == {"filled"}  # type: ignore[union-attr]


def test_who_sends_on_after_a_refusal_is_banned_and_cancels_with_them() -> None:
    pace = Pace(PROFILES["binance"])
    assert [sent(pace, 0) for _ in range(52)] == [""] * 50 + ["-1015", "-1003"]
    assert pace.refusal("B", 1) is None
    assert sent(pace, 60 * NS_PER_S, Message.CANCEL) == "-1003"
    assert sent(pace, 121 * NS_PER_S) == ""
    again = Pace(PROFILES["binance"])
    again.tallies.load(pace.tallies.all())
    assert sent(again, 60 * NS_PER_S, Message.CANCEL) == "-1003", "a venue that was killed remembers the ban"


def test_an_order_takes_so_many_amendments_and_then_another_is_needed() -> None:
    lab = house_lab(profile="zerodha")
    wire_id = lab.buy(100, "9.50")
    for number in range(25):
        wait(lab, 7)
        lab.amend(wire_id, 100, f"9.{40 + number}")
    wait(lab, 7)
    assert lab.core.order("PAPER", wire_id).limit == Price("9.64")  # type: ignore[union-attr]
    lab.amend(wire_id, 100, "9.10")
    code, words = last(lab)
    assert code == "OrderException"
    assert "25 times" in words
    lab.cancel(wire_id)
    assert lab.status(wire_id) == "cancelled"
    free = house_lab(profile="ibkr")
    wire_id = free.buy(100, "9.50")
    for number in range(30):
        wait(free, 1)
        free.amend(wire_id, 100, f"9.{40 + number}")
    assert "AmendRefused" not in [type(event).__name__ for event in free.events]


def test_every_word_and_limit_of_a_broker_has_its_source() -> None:
    for profile in PROFILES.values():
        sources = [one.source for one in (*profile.words.values(), *profile.windows, profile.ban) if one is not None]
        assert all(len(source) > 10 for source in sources), profile.name
        for word in profile.words.values():
            assert "(" not in word.text, "what is ours stands in {text}"


def test_short_sales_need_shares_and_pay_for_them_and_can_be_recalled() -> None:
    later = Moment(START + 3 * 86_400 * NS_PER_S)
    lab = house_lab(
        borrow=(
            Borrow(symbol="ABC", from_=Moment(0), available=Qty(50), fee_pct=Rate("36")),
            Borrow(symbol="ABC", from_=later, available=Qty(20)),
        )
    )
    lab.execute(1, 1)
    lab.sell(51)
    assert last(lab)[0] == "LOCATE"
    lab.sell(50)
    assert lab.core.account("PAPER").position("ABC") == Qty(-50)
    wait(lab, 2 * 86_400)
    assert (
        told(lab, "borrow_fee") == ["borrow_fee ABC -0.5 USD 50 short at 10.00, 36 % a year of 360 days, one night"] * 2
    )
    wait(lab, 86_400)
    assert told(lab, "recall") == ["recall ABC 30 of 50 recalled, bought in"]
    assert lab.core.account("PAPER").position("ABC") == Qty(-20)
    lab.core.check()


def test_a_margin_call_runs_out_into_orders_of_the_broker() -> None:
    lab = house_lab("1000", margin=Margin(initial_pct=Rate(50), maintenance_pct=Rate(30), call_s=60))
    lab.execute(3, 1)
    lab.buy(250, "10.03")
    assert last(lab)[0] == "MARGIN"
    lab.buy(150, "10.03")
    assert lab.core.account("PAPER").position("ABC") == Qty(150)
    lab.buy(1, "3.00")
    lab.delete(1)
    lab.delete(2)
    lab.add(9, B, 400, 500)
    lab.execute(9, 1)
    wait(lab, 20)
    (call,) = told(lab, "margin_call")
    assert "maintenance margin" in call
    assert lab.core.account("PAPER").position("ABC") == Qty(150)
    wait(lab, 70)
    assert told(lab, "liquidation")
    assert lab.core.account("PAPER").position("ABC") == Qty(0)
    assert lab.status("W3") == "cancelled"
    foreign = [fill for fill in lab.fills if fill.wire_id.startswith("EXT-HOUSE")]
    assert [(fill.side, str(fill.qty)) for fill in foreign] == [(Side.SELL, "150")]
    assert not [event for event in lab.events if getattr(event, "wire_id", "").startswith("EXT-")]
    lab.core.check()
    states = {one.code: one.state for one in realism_report(lab.core, source="simulated").effects}
    assert {code: states[code] for code in ("P09", "P10", "P18", "P19", "P23")} == {
        "P09": "off", "P10": "on", "P18": "on", "P19": "off", "P23": "on",
    }  # fmt: skip


def test_nothing_is_in_the_way_without_a_house() -> None:
    lab = plain_book(Lab())
    lab.sell(100)
    lab.add(20, S, 1002, 10_000)
    lab.buy(10_000, "10.02")
    assert lab.names().count("Filled") > 0
    states = {one.code: one.state for one in realism_report(lab.core, source="simulated").effects}
    assert {states[code] for code in ("P09", "P10", "P11", "P19", "P23", "P25")} == {"off"}


def test_a_transfer_brings_what_it_had_cost() -> None:
    lab = house_lab()
    lab.core.teller.transfer("PAPER", "ABC", "USD", Qty(30), Money(250), "from there")
    lab.sell(30)
    assert lab.core.account("PAPER").position("ABC") == Qty(0)
    assert lab.core.cash("PAPER") == {"USD": Money("1000300")}
    lab.core.check()


def test_the_engine_books_a_liquidation_as_foreign_and_still_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "house.yaml"
    path.write_text("name: tight\nprofile: ibkr\nmargin: {initial_pct: 50, maintenance_pct: 40, call_s: 30}\n")
    mic = "XNAS"
    rows = quotes("2024-03-05T15:00:00Z", "2024-03-05T15:01:00Z", mic=mic, every_s=1)
    rows += [trade("2024-03-05T15:00:01Z", "10.00", 5, mic=mic), trade("2024-03-05T15:01:02Z", "6.00", 5, mic=mic)]
    rows += quotes("2024-03-05T15:01:01Z", "2024-03-05T15:03:00Z", mic=mic, every_s=1, bid="6.00", ask="6.01")
    result = replay(
        tmp_path, rows, "b 190 ABC @mkt", terms="tick=0.01,lot=1,ccy=USD,mic=XNAS", house=path, cash=Money(1000)
    )
    assert result["position"] == "0"
    assert result["conservation"] == []
    assert [one["kind"] for one in result["movements"]] == ["margin_call", "liquidation"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nprofile: nobody", "expected one of plain, binance"),
        ("name: x\nmargin: {initial_pct: 20, maintenance_pct: 30}", "maintenance_pct <= initial_pct"),
        ("name: x\nborrow: [{symbol: A, from: 2024-01-01T00:00:00Z, available: -1}]", "below zero"),
        ("name: x\nfund: true", "fund"),
    ],
)
def test_a_wrong_file_names_the_value(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "house.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_house(path)
