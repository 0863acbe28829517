"""The life of an order at the venue: refusals, time in force, amendments, stops, accounts, messages under way."""

import pytest
from msgspec.structs import replace

from brokers.paper.config import VenueConfig, VenueState
from brokers.paper.latency import Delay, LatencyParams
from engine.domain.clock import NS_PER_MS
from engine.domain.events import decoder, encode
from engine.domain.money import Money, Qty
from engine.domain.order import Side, Tif
from engine.market.calendar import DAY_NS, SessionTable
from engine.market.fees import shipped_fees
from engine.oms.broker_interface import Acked, Amended, AmendRefused, Filled, OrderAnswer, Snapshot
from tests.paper_venue.lab import ABC, FREE, ME, START, B, Lab, S, plain_book

SESSION = SessionTable(name="T", days=("d",), opens=(START,), closes=(START + 1_000_000,))


@pytest.mark.parametrize(
    ("side", "qty", "limit", "terms", "code"),
    [
        (Side.BUY, 1, "10.001", {}, "TICK"),
        (Side.BUY, "1.5", "10.00", {}, "LOT"),
        (Side.BUY, 0, "10.00", {}, "LOT"),
        (Side.BUY, 100_001, "10.00", {}, "QTY_MAX"),
        (Side.BUY, 1, "0", {}, "PRICE"),
        (Side.BUY, 1, "-1", {}, "PRICE"),
        (Side.BUY, 1, None, {"symbol": "XYZ"}, "UNKNOWN_SYMBOL"),
        (Side.BUY, 1, None, {"venue": "XLON"}, "UNKNOWN_SYMBOL"),
        (Side.BUY, 1, None, {"stop": "10.001"}, "TICK"),
        (Side.BUY, 1, "10.00", {"stop": "10.00", "tif": Tif.IOC}, "BAD_TIF"),
        (Side.BUY, 1, "10.02", {"post_only": True}, "POST_ONLY"),
        (Side.BUY, 1, None, {"post_only": True}, "BAD_ORDER"),
        (Side.BUY, 1, "10.00", {"post_only": True, "tif": Tif.FOK}, "BAD_ORDER"),
        (Side.SELL, 1, "10.05", {"reduce_only": True}, "REDUCE_ONLY"),
    ],
)
def test_a_fault_is_refused_with_its_code(
    side: Side, qty: int | str, limit: str | None, terms: dict[str, object], code: str
) -> None:
    lab = plain_book(Lab())
    wire_id = lab.order(side, qty, limit, **terms)
    assert lab.names() == [code]
    assert lab.status(wire_id) == "rejected"
    assert lab.core.counters.rejected == 1


def test_size_and_value_minimums_are_held() -> None:
    lab = plain_book(Lab(instrument=replace(ABC, qty_min=Qty(10), notional_min=Money(500))))
    lab.buy(9, "10.00")
    lab.buy(49, "10.00")
    lab.buy(50, "10.00")
    assert lab.names() == ["QTY_MIN", "NOTIONAL_MIN", "Acked"]


def test_a_duplicate_id_is_refused_and_counted() -> None:
    lab = plain_book(Lab())
    lab.buy(10, "9.99", wire_id="SAME")
    lab.buy(10, "9.99", wire_id="SAME")
    assert lab.names() == ["Acked", "DUPLICATE_ID"]
    assert lab.core.counters.duplicates == 1
    assert len(lab.core.open_orders(ME)) == 1


def test_own_opposing_orders_never_trade() -> None:
    lab = plain_book(Lab())
    lab.buy(10, "10.01")
    lab.sell(5, "10.01")
    lab.sell(5)
    assert lab.names() == ["Acked", "SELF_MATCH", "SELF_MATCH"]
    lab.sell(5, "10.02")
    assert lab.names()[-1] == "Acked"


def test_an_order_that_is_filled_before_it_reaches_an_own_one_is_taken() -> None:
    lab = plain_book(Lab())
    lab.buy(10, "10.00")
    lab.sell(100)
    assert lab.traded() == [("10", "100")], "all of it was ahead of our own bid"
    lab.sell(1)
    assert lab.names()[-1] == "SELF_MATCH"


def test_a_day_order_expires_at_the_end_of_the_session_and_gtc_stays() -> None:
    lab = plain_book(Lab(calendar=SESSION))
    day, good = lab.buy(10, "9.99"), lab.buy(10, "9.98", tif=Tif.GTC)
    lab.core.advance(START + 999_999)
    assert lab.status(day) == "new"
    lab.core.advance(START + 1_000_000)
    assert (lab.status(day), lab.status(good)) == ("expired", "new")
    assert lab.names()[-1] == "Expired"
    lab.now = START + 1_000_000
    lab.buy(1)
    assert lab.names()[-1] == "CLOSED"
    assert lab.core.status("ABC") == "closed"


def test_where_a_venue_never_closes_a_day_order_ends_at_midnight_utc() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(10, "9.99")
    midnight = (START // DAY_NS + 1) * DAY_NS
    lab.core.advance(midnight - 1)
    assert lab.status(wire_id) == "new"
    lab.core.advance(midnight)
    assert lab.status(wire_id) == "expired"


# -- cancels and amendments -----------------------------------------------------------------------------------------------


def test_cancels_are_confirmed_or_refused() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(10, "9.99")
    lab.cancel(wire_id)
    lab.cancel(wire_id)
    lab.cancel("NEVER")
    assert lab.names() == ["Acked", "Cancelled", "TOO_LATE", "UNKNOWN_ORDER"]


def test_a_mass_cancel_ends_every_open_order() -> None:
    lab = plain_book(Lab())
    for price in ("9.97", "9.98", "9.99"):
        lab.buy(10, price)
    assert lab.core.cancel_all(ME) == 3
    lab.core.advance(lab.now)
    assert lab.names().count("Cancelled") == 3
    assert lab.core.open_orders(ME) == ()


def test_a_smaller_size_keeps_the_place_in_the_queue() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(100, "10.00")
    lab.add(6, B, 1000, 100)
    lab.amend(wire_id, 60)
    lab.execute(6, 100)
    assert lab.traded() == [("10", "60")]


@pytest.mark.parametrize(("qty", "limit"), [(101, None), (100, "9.99"), (60, "9.99")])
def test_a_larger_size_or_another_price_goes_to_the_back(qty: int, limit: str | None) -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(100, "10.00")
    lab.add(6, B, 1000 if limit is None else 999, 100)
    lab.amend(wire_id, qty, limit)
    if limit is not None:
        lab.delete(1)
    lab.execute(6, 50)
    assert lab.fills == []
    confirmed = [event for event in lab.events if isinstance(event, Amended)]
    assert str(confirmed[0].qty) == str(qty)


def test_an_amendment_into_the_market_takes() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(100, "10.00")
    lab.amend(wire_id, 100, "10.02")
    assert lab.traded() == [("10.02", "100")]
    assert lab.names() == ["Acked", "Amended", "Filled"]


def test_amendments_are_refused_with_a_code_and_leave_the_old_terms() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(200, "10.02")
    lab.amend(wire_id, 150)
    lab.amend(wire_id, 300, "10.001")
    lab.amend("NEVER", 5)
    lab.sell(10, "10.50")
    lab.amend("W2", 10, "10.02")
    assert lab.names()[2:5] == ["QTY_FILLED", "TICK", "UNKNOWN_ORDER"]
    assert lab.names()[-1] == "SELF_MATCH"
    order = lab.core.order(ME, wire_id)
    assert order is not None
    assert (str(order.qty), str(order.limit)) == ("200", "10.02")


# -- stops and reduce-only --------------------------------------------------------------------------------------------------


def test_a_stop_waits_for_a_print_and_fills_where_the_book_is() -> None:
    lab = plain_book(Lab())
    wire_id = lab.sell(100, stop="9.99")
    lab.execute(1, 100)
    assert lab.status(wire_id) == "new"
    lab.execute(2, 50)
    assert lab.traded() == [("9.99", "100")]
    assert lab.core.counters.stops_triggered == 1
    assert lab.core.counters.stop_gaps == 0


def test_a_gap_fills_worse_than_the_stop() -> None:
    lab = Lab()
    lab.add(1, B, 950, 500)
    lab.sell(100, stop="9.90")
    lab.execute(1, 10)
    assert lab.traded() == [("9.5", "100")]
    assert lab.core.counters.stop_gaps == 1


def test_the_stop_of_an_order_that_was_triggered_is_not_moved_and_its_limit_is() -> None:
    lab = plain_book(Lab())
    wire_id = lab.sell(10, "10.03", stop="10.00")
    lab.hidden(B, 1000, 1)
    lab.amend(wire_id, 10, "10.04", "9.99")
    (refused,) = [one for one in lab.events if isinstance(one, AmendRefused)]
    assert (refused.code, "cannot be moved" in refused.text) == ("TRIGGERED", True)
    lab.amend(wire_id, 10, "10.04", "10.00")
    assert [(str(one.limit), str(one.stop)) for one in lab.events if isinstance(one, Amended)] == [("10.04", "10")]


def test_a_stop_limit_rests_at_its_limit() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(500, "10.02", stop="10.02")
    lab.execute(3, 10)
    assert lab.traded() == [("10.02", "140")]
    assert lab.status(wire_id) == "partially_filled"


def test_a_stop_that_is_passed_already_triggers_at_once() -> None:
    lab = plain_book(Lab())
    lab.execute(3, 10)
    lab.buy(10, stop="10.00")
    assert lab.traded() == [("10.02", "10")]


def test_a_waiting_stop_can_be_moved_and_cancelled() -> None:
    lab = plain_book(Lab())
    wire_id = lab.sell(100, stop="9.99")
    lab.amend(wire_id, 100, stop="9.90")
    lab.execute(2, 50)
    assert lab.fills == []
    lab.cancel(wire_id)
    assert lab.status(wire_id) == "cancelled"


def test_a_triggered_stop_that_would_meet_an_own_order_ends() -> None:
    lab = plain_book(Lab())
    lab.buy(10, "10.01")
    wire_id = lab.sell(10, stop="10.02")
    lab.execute(3, 10)
    assert lab.status(wire_id) == "cancelled"
    assert lab.fills == []


def test_reduce_only_never_exceeds_the_position() -> None:
    lab = plain_book(Lab())
    lab.buy(100)
    lab.sell(101, "10.05", reduce_only=True)
    first = lab.sell(60, "10.05", reduce_only=True)
    lab.sell(60, "10.06", reduce_only=True)
    assert lab.names()[-3:] == ["REDUCE_ONLY", "Acked", "REDUCE_ONLY"]
    lab.sell(80)
    assert str(lab.core.positions(ME)[0].qty) == "20"
    lab.add(9, B, 1005, 100)
    assert str(lab.fills[-1].qty) == "20", "cut to the position that is left"
    assert lab.status(first) == "cancelled"
    assert lab.core.positions(ME) == ()


# -- accounts, questions, memory -----------------------------------------------------------------------------------------------


def test_accounts_add_up_with_fees_to_the_cent() -> None:
    lab = plain_book(Lab(replace(FREE, fees=shipped_fees())))
    lab.buy(200, "10.02")
    lab.sell(100, "10.00", account="OTHER")
    lab.core.check()
    cash = lab.core.cash(ME)["USD"]
    fee = lab.fills[0].fee
    assert fee == Money("0.98"), "200 x .0035 would be .70; 150 filled: .53 commission, .45 exchange"
    assert cash == Money(1_000_000) - Money("1503.00") - fee
    assert str(lab.core.positions("OTHER")[0].qty) == "-100"


def test_a_venue_without_a_rate_for_the_day_refuses() -> None:
    fees = {"XNAS": replace(shipped_fees()["XNAS"], rates=shipped_fees()["XNAS"].rates[1:])}
    lab = plain_book(Lab(replace(FREE, fees=fees)))
    lab.buy(10)
    assert lab.names() == ["NO_FEE_RATE"]


def test_fill_keys_name_symbol_day_order_and_execution() -> None:
    lab = plain_book(Lab())
    lab.buy(250)
    assert [fill.fill_key for fill in lab.fills] == ["ABC:2012-06-21:XNAS000000001:1", "ABC:2012-06-21:XNAS000000001:2"]


def test_questions_are_answered_from_one_moment() -> None:
    lab = plain_book(Lab())
    wire_id = lab.buy(200, "10.02")
    lab.core.submit_query_order(lab.now, ME, wire_id)
    lab.core.submit_query_order(lab.now, ME, "NEVER")
    lab.core.submit_query_state(lab.now, ME, 7, 0)
    lab.core.advance(lab.now)
    answers = [event for event in lab.events if isinstance(event, OrderAnswer)]
    assert [(one.source, one.order is None) for one in answers] == [
        ("orders", False), ("history", False), ("orders", True), ("history", True),
    ]  # fmt: skip
    (snapshot,) = [event for event in lab.events if isinstance(event, Snapshot)]
    assert snapshot.request_id == 7
    assert [str(order.qty_filled) for order in snapshot.orders] == ["150"]
    assert [str(fill.qty) for fill in snapshot.fills] == ["150"]
    assert lab.core.fills_since(ME, lab.now + 1) == ()


def test_an_order_goes_to_the_venue_with_the_best_opposing_price() -> None:
    lab = plain_book(Lab())
    other = lab.core.list_instrument(ABC, "BATS")
    lab.core.on_row(other, (lab.now, 0, S, 1, 1001, 10, 1))
    lab.buy(10)
    lab.buy(10)
    assert [(fill.venue, str(fill.price)) for fill in lab.fills] == [("BATS", "10.01"), ("XNAS", "10.02")]


def test_a_venue_lives_on_over_a_restart() -> None:
    lab = plain_book(Lab())
    lab.buy(200, "10.02", tif=Tif.GTC)
    lab.sell(10, stop="9.00")
    bad = lab.buy(1, "10.001")
    state = decoder(VenueState).decode(encode(lab.core.state()))
    again = Lab()
    again.add(1, S, 1003, 100)
    again.core.load_state(state)
    again.now = state.now_ns
    assert again.core.cash(ME) == lab.core.cash(ME)
    assert again.core.open_orders(ME) == lab.core.open_orders(ME)
    assert again.core.fills_since(ME, 0) == lab.core.fills_since(ME, 0)
    assert again.status(bad) == "rejected"
    again.core.check()
    again.buy(5, "9.95", wire_id="W1")
    assert again.names()[-1] == "DUPLICATE_ID"
    again.buy(5, "9.95", wire_id="NEW")
    new = again.core.order(ME, "NEW")
    assert new is not None
    assert new.venue_order_id == "XNAS000000003", "numbers go on"


def test_a_resting_order_that_the_market_opened_through_is_filled_when_it_returns() -> None:
    lab = plain_book(Lab())
    lab.buy(40, "10.01")
    state = decoder(VenueState).decode(encode(lab.core.state()))
    again = Lab()
    again.add(1, S, 1001, 100)
    again.core.load_state(state)
    again.core.advance(state.now_ns)
    assert again.traded() == [("10.01", "40")]


def test_history_is_bounded() -> None:
    lab = plain_book(Lab(replace(FREE, history_max=3)))
    for _ in range(6):
        lab.cancel(lab.buy(1, "9.00"))
        lab.buy(1, "0.001")
    assert lab.status("W1") == "none"
    assert len(lab.core.orders_since(ME, 0)) == 3


# -- messages under way ------------------------------------------------------------------------------------------------------


def slow(**more: object) -> VenueConfig:
    legs = LatencyParams(
        insert=Delay(2 * NS_PER_MS, NS_PER_MS),
        cancel=Delay(NS_PER_MS),
        ack=Delay(3 * NS_PER_MS),
        report=Delay(NS_PER_MS),
        burst_per_million=100_000,
    )
    return replace(FREE, latency=legs, **more)


def test_an_order_meets_the_book_as_of_its_arrival() -> None:
    lab = plain_book(Lab(slow()))
    lab.buy(100)
    lab.delete(3)
    assert lab.events == []
    lab.core.advance(lab.now + 1000 * NS_PER_MS)
    assert lab.traded() == [("10.03", "100")], "10.02 was gone when it arrived"
    assert lab.fills[0].ts_ns >= START + 2 * NS_PER_MS


def test_messages_of_an_account_keep_their_order_both_ways() -> None:
    lab = plain_book(Lab(slow()))
    for _ in range(50):
        wire_id = lab.buy(1, "9.00")
        lab.cancel(wire_id)
        lab.buy(1)
        lab.now += NS_PER_MS
    lab.core.advance(lab.now + 10_000 * NS_PER_MS)
    times = [event.ts_ns for event in lab.events]
    assert times == sorted(times)
    assert "UNKNOWN_ORDER" not in lab.names(), "no cancel overtakes its order"
    acked = {event.wire_id: place for place, event in enumerate(lab.events) if isinstance(event, Acked)}
    for place, event in enumerate(lab.events):
        if isinstance(event, Filled):
            assert acked[event.fill.wire_id] < place


def test_latency_is_a_distribution_with_busy_spells() -> None:
    lab = plain_book(Lab(slow()))
    waits = set()
    for _ in range(200):
        lab.now += 10 * NS_PER_MS
        before = lab.core.latency.drawn
        lab.buy(1, "9.00")
        assert lab.core.latency.drawn > before
        due = lab.core.next_due_ns()
        assert due is not None
        waits.add(due - lab.now)
        lab.core.advance(lab.now)
    assert lab.core.latency.bursts > 0
    assert len(waits) > 50


@pytest.mark.parametrize("seed", [1, 7])
def test_the_same_seed_draws_the_same(seed: int) -> None:
    def run() -> list[bytes]:
        lab = plain_book(Lab(slow(seed=seed)))
        for number in range(20):
            lab.buy(1 + number, "10.02")
            lab.now += NS_PER_MS
            lab.core.advance(lab.now)
        lab.core.advance(lab.now + 1000 * NS_PER_MS)
        return [encode(event) for event in lab.events]

    assert run() == run()
