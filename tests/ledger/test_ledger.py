"""Cash, positions and results are exact, and stay so through busts, corrections and a person's adjustments."""

from __future__ import annotations

import decimal
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.paper.accounts import Account
from engine.domain import events as ev
from engine.domain.errors import InvariantError
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.ledger_events import InstrumentDefined, LedgerOpened
from engine.domain.money import Money, Price, Qty
from engine.domain.money_events import MovementBooked, PositionAdjusted
from engine.domain.movements import Movement, MovementKind
from engine.domain.order import Side
from engine.ledger.ledger import Ledger
from tests.ledger.oracle import Booking, books

AAPL = make_instrument("AAPL", "equity", "XSIM", "USD", "0.01")
ES = make_instrument("ES", "future", "SIMF", "USD", "0.25", multiplier="50")
BTC = make_instrument("BTC-USDT", "crypto_spot", "SIMC", "USDT", "0.01", "0.001")
USD = ("paper", "PAPER", "USD")


def fill(key: str, side: str, qty: str, price: str, fee: str = "0", symbol: str = "AAPL", **parts: Any) -> ev.Fill:
    return ev.Fill(
        broker=parts.pop("broker", "paper"),
        account=parts.pop("account", "PAPER"),
        fill_key=key,
        symbol=symbol,
        side=Side(side),
        qty=Qty(qty),
        price=Price(price),
        ts_ns=parts.pop("ts_ns", 1),
        fee=Money(fee),
        **parts,
    )


class Books:
    """A ledger that is fed one event after the other."""

    def __init__(self, *instruments: Instrument) -> None:
        self.ledger = Ledger()
        self.seq = 0
        self.take(LedgerOpened(ledger_id="TEST0", schema=1, currency="USD"))
        for made in instruments:
            self.take(InstrumentDefined(instrument=made))

    def take(self, event: ev.AnyEvent) -> None:
        self.seq += 1
        self.ledger.apply(self.seq, self.seq, event)

    def book(self, *fills: ev.Fill) -> None:
        for one in fills:
            self.take(ev.ForeignFillSeen(fill=one))

    def bust(self, one: ev.Fill) -> None:
        self.take(ev.FillBusted(order_id="", fill=one))

    def adjust(self, symbol: str = "", qty: str = "0", cost: str = "0", cash: str = "0", currency: str = "USD") -> None:
        self.take(
            PositionAdjusted(
                broker="paper",
                account="PAPER",
                symbol=symbol,
                qty=Qty(qty),
                cost=Money(cost),
                cash=Money(cash),
                currency=currency,
                reason="asked",
                who="anna",
            )
        )

    def said(self, symbol: str = "AAPL") -> dict[str, str]:
        position = self.ledger.positions["paper", "PAPER", symbol]
        cash = self.ledger.cash.get(("paper", "PAPER", position.currency), Money(0))
        parts = {"qty": position.qty, "cost": position.cost, "realised": position.realised, "fees": position.fees}
        return {name: str(value) for name, value in {**parts, "cash": cash}.items()}


def test_shares_exchange_their_full_value() -> None:
    books = Books(AAPL)
    books.book(fill("1", "buy", "100", "10.00", "1"), fill("2", "buy", "50", "11.00", "0.50"))
    books.book(fill("3", "sell", "120", "12.00", "1.20"))
    # First in, first out: 100 at 10 and 20 at 11 went; 30 at 11 stay.
    assert books.said() == {"qty": "30", "cost": "330", "realised": "220", "fees": "2.7", "cash": "-112.7"}
    assert books.ledger.conservation_faults() == []


def test_futures_exchange_results_and_fees_only() -> None:
    books = Books(ES)
    books.book(fill("1", "buy", "2", "5896.00", "4", "ES"))
    assert books.said("ES") == {"qty": "2", "cost": "589600", "realised": "0", "fees": "4", "cash": "-4"}
    books.book(fill("2", "sell", "3", "5900.25", "6", "ES"))
    # 2 contracts, 4.25 points, 50 a point; one short stays.
    assert books.said("ES") == {"qty": "-1", "cost": "-295012.5", "realised": "425", "fees": "10", "cash": "415"}
    assert books.ledger.conservation_faults() == []


def test_a_short_that_crosses_zero_turns_long() -> None:
    books = Books(AAPL)
    books.book(fill("1", "sell", "10", "20"), fill("2", "buy", "25", "18"))
    assert books.said() == {"qty": "15", "cost": "270", "realised": "20", "fees": "0", "cash": "-250"}
    position = books.ledger.position("paper", "PAPER", "AAPL")
    assert position is not None
    assert position.average() == Price("18")
    assert position.unrealised(Price("17.50")) == Money("-7.5")


def test_a_price_that_never_divides_evenly_stays_exact() -> None:
    books = Books(AAPL)
    books.book(*(fill(str(n), "buy", "1", price) for n, price in enumerate(("10.01", "10.02", "10.02"))))
    position = books.ledger.position("paper", "PAPER", "AAPL")
    assert position is not None
    assert position.average() == Price("10.01666667")
    assert position.cost == Money("30.05")
    assert len(position.lots) == 2, "neighbours at one price share a lot"


def test_a_busted_execution_was_never_there() -> None:
    books, plain = Books(AAPL), Books(AAPL)
    wrong = fill("2", "buy", "70", "11", "0.70")
    rest = (fill("1", "buy", "100", "10", "1"), fill("3", "sell", "130", "12", "1.30"))
    books.book(rest[0], wrong, rest[1])
    books.bust(wrong)
    plain.book(*rest)
    assert books.said() == plain.said()
    assert books.ledger.conservation_faults() == []


def test_a_correction_takes_the_turn_of_what_it_corrects() -> None:
    """It is the same execution at another price: first in, first out must not count it as the last."""
    books, plain = Books(AAPL), Books(AAPL)
    later = (fill("2", "buy", "10", "30"), fill("3", "sell", "10", "40"))
    books.book(fill("1.01", "buy", "10", "10", "1"), *later, fill("1.02", "buy", "10", "20", "2", corrects="1.01"))
    plain.book(fill("1.02", "buy", "10", "20", "2"), *later)
    assert books.said() == plain.said() == {"qty": "10", "cost": "300", "realised": "200", "fees": "2", "cash": "-102"}
    assert books.ledger.conservation_faults() == []


def test_a_correction_to_another_symbol_moves_the_execution() -> None:
    books = Books(AAPL, ES)
    books.book(fill("1", "buy", "2", "10", "1"), fill("2", "buy", "2", "10", "1", "ES", corrects="1"))
    assert books.said()["qty"] == "0"
    assert books.said("ES") == {"qty": "2", "cost": "1000", "realised": "0", "fees": "1", "cash": "-1"}
    assert books.ledger.conservation_faults() == []


def test_a_correction_of_something_that_never_came_is_the_execution() -> None:
    books = Books(AAPL)
    books.book(fill("1.02", "buy", "10", "20", corrects="1.01"))
    assert books.said()["qty"] == "10"


def test_an_execution_of_a_symbol_that_nobody_defined_waits() -> None:
    """Without its multiplier and currency it cannot be valued; a ledger must open all the same."""
    books = Books(AAPL)
    one, two = fill("1", "buy", "2", "5896", "4", "ES"), fill("2", "buy", "1", "5896", "2", "ES")
    books.book(one, two, fill("3", "buy", "1", "5900", "2", "ES", corrects="2"))
    books.bust(one)
    assert books.ledger.positions == {}
    assert [waiting.fill_key for waiting in books.ledger.waiting.values()] == ["3"]
    books.take(InstrumentDefined(instrument=ES))
    assert books.ledger.waiting == {}
    assert books.said("ES") == {"qty": "1", "cost": "295000", "realised": "0", "fees": "2", "cash": "-2"}


@pytest.mark.parametrize("defined", [True, False])
def test_twice_is_impossible_and_said(defined: bool) -> None:
    books = Books(*(AAPL,) if defined else ())
    one = fill("1", "buy", "1", "10")
    books.book(one)
    with pytest.raises(InvariantError, match="booked twice"):
        books.book(one)
    books.bust(one)
    with pytest.raises(InvariantError, match="never booked"):
        books.bust(one)


def test_the_same_key_in_another_account_or_at_another_broker_is_another_execution() -> None:
    books = Books(AAPL)
    books.book(fill("1", "buy", "1", "10"), fill("1", "buy", "2", "10", account="B"))
    books.book(fill("1", "buy", "4", "10", broker="other"))
    assert books.ledger.qty("PAPER", "AAPL") == 5, "over both brokers"
    assert books.ledger.qty("B", "AAPL") == 2
    assert [(broker, str(held.qty)) for broker, _, held in books.ledger.held("PAPER")] == [
        ("paper", "1"),
        ("other", "4"),
    ]


def test_a_fee_in_another_currency_moves_that_currency_and_no_other() -> None:
    books = Books(BTC)
    books.book(fill("1", "buy", "0.5", "60000.10", "0.013", "BTC-USDT", fee_currency="BNB"))
    assert books.ledger.cash == {
        ("paper", "PAPER", "USDT"): Money("-30000.05"),
        ("paper", "PAPER", "BNB"): Money("-0.013"),
    }
    assert books.said("BTC-USDT")["fees"] == "0", "a sum over two currencies would be a number of nothing"
    assert books.ledger.conservation_faults() == []


def test_a_rebate_is_a_negative_fee() -> None:
    books = Books(AAPL)
    books.book(fill("1", "sell", "10", "10", "-0.02"))
    assert books.said()["cash"] == "100.02"


def test_a_multiplier_that_changes_leaves_what_was_booked() -> None:
    books = Books(ES)
    books.book(fill("1", "buy", "2", "100", "0", "ES"))
    books.take(InstrumentDefined(instrument=make_instrument("ES", "future", "SIMF", "USD", "0.25", multiplier="5")))
    books.book(fill("2", "buy", "1", "1000", "0", "ES"))
    assert books.said("ES")["cost"] == "15000"
    assert books.ledger.conservation_faults() == []


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_executions_and_a_split_count_as_the_venue_made_them_in_whatever_order_they_come(order: Any) -> None:
    """A sale that was heard of behind the split was of old units: it is in the position that the venue stated."""
    split = Movement(
        broker="paper", account="PAPER", key="s1", kind=MovementKind.SPLIT, ts_ns=30, symbol="AAPL", ratio=(2, 1),
        qty=Qty(1840),
    )  # fmt: skip
    events: list[ev.AnyEvent] = [
        ev.ForeignFillSeen(fill=fill("1", "sell", "80", "101", ts_ns=20)),
        ev.ForeignFillSeen(fill=fill("2", "sell", "40", "51", ts_ns=40)),
        ev.ForeignFillSeen(fill=fill("3", "buy", "10", "50", ts_ns=50)),
        MovementBooked(movement=split),
    ]
    made = Books(AAPL)
    made.book(fill("0", "buy", "1000", "100", ts_ns=10))
    for number in order:
        made.take(events[number])
    assert made.ledger.qty("PAPER", "AAPL") == 1810
    position = made.ledger.position("paper", "PAPER", "AAPL")
    assert position is not None
    if order in {(0, 3, 1, 2), (3, 0, 1, 2)}:  # of the venue's own order, and with the first sale late
        assert (position.cost, position.realised) == (Money("90500"), Money("120"))
    assert made.ledger.conservation_faults() == []


@pytest.mark.parametrize(("stated", "held"), [(1960, 2000), (2000, 2000), (1234, 1234)])
def test_an_execution_of_before_a_split_is_undone_in_the_units_of_behind_it(stated: int, held: int) -> None:
    """Seed 200333: the broker stated 1960 with a sale of 20 in it, undid that sale, and 1960 stood for ever.

    Where its statement already was without the sale, or comes from something else, its word stands.
    """
    split = Movement(
        broker="paper", account="PAPER", key="s1", kind=MovementKind.SPLIT, ts_ns=30, symbol="AAPL", ratio=(2, 1),
        qty=Qty(stated),
    )  # fmt: skip
    books = Books(AAPL)
    books.book(fill("0", "buy", "1000", "100", ts_ns=10))
    books.take(ev.ForeignFillSeen(fill=fill("1", "sell", "20", "101", ts_ns=20)))
    books.take(MovementBooked(movement=split))
    position = books.ledger.position("paper", "PAPER", "AAPL")
    assert position is not None
    assert (position.qty, position.without({"1"}), position.without({"nothing"})) == (
        Qty(stated),
        Qty(held),
        Qty(stated),
    )
    books.take(ev.FillBusted(order_id="", fill=fill("1", "sell", "20", "101", ts_ns=20)))
    assert (position.qty, position.cost, books.said()["cash"]) == (Qty(held), Money(100_000), "-100000")
    assert books.ledger.conservation_faults() == []


def test_a_correction_of_before_a_split_counts_in_the_units_of_behind_it() -> None:
    books = Books(AAPL)
    books.book(fill("0", "buy", "100", "10", ts_ns=10))
    split = Movement(
        broker="paper", account="PAPER", key="s1", kind=MovementKind.SPLIT, ts_ns=30, symbol="AAPL", ratio=(1, 4),
        qty=Qty(25),
    )  # fmt: skip
    books.take(MovementBooked(movement=split))
    books.book(fill("1", "sell", "5", "41", ts_ns=40))
    books.book(fill("0b", "buy", "90", "10", ts_ns=10, corrects="0"))
    assert books.said()["qty"] == "17", "22 of 90 for four, less 5"
    assert books.ledger.conservation_faults() == []


def test_adjustments_bring_cash_and_positions() -> None:
    books = Books(AAPL, ES)
    books.adjust(cash="1000")
    books.adjust("AAPL", "30", "100")
    assert books.said() == {"qty": "30", "cost": "100", "realised": "0", "fees": "0", "cash": "1000"}
    books.book(fill("1", "sell", "40", "5"))
    books.adjust("AAPL", "10", "40", cash="-7")
    books.adjust("ES", "2", "1000", cash="3", currency="EUR")
    books.book(fill("2", "sell", "2", "12", "0", "ES"))
    assert books.ledger.cash == {USD: Money("1393"), ("paper", "PAPER", "EUR"): Money("3")}
    assert books.ledger.qty("PAPER", "AAPL") == 0
    assert books.ledger.conservation_faults() == []


def test_conservation_is_no_tautology() -> None:
    books = Books(AAPL)
    books.book(fill("1", "buy", "10", "10", "1"))
    books.ledger.cash[USD] = books.ledger.cash[USD] + Money("0.000000000001")
    assert books.ledger.conservation_faults() == [
        "paper/PAPER/USD: cash is -100.999999999999, the bookings add up to -101"
    ]
    books.ledger.cash[USD] = Money("-101")
    books.ledger.cash["paper", "PAPER", "XXX"] = Money(1)
    assert "XXX" in books.ledger.conservation_faults()[0]


def test_rows_come_once_and_as_canonical_text() -> None:
    books = Books(AAPL)
    books.book(fill("1", "buy", "1E+2", "10.50", "0.10"))
    (positions, cash) = books.ledger.dirty()
    assert positions == ("positions", [("paper", "PAPER", "AAPL", "100", "1050", "0", "0.1", "USD")])
    assert cash == ("cash", [("paper", "PAPER", "USD", "-1050.1")])
    assert books.ledger.dirty() == [("positions", []), ("cash", [])]


def test_the_paper_venue_keeps_the_same_books_for_shares() -> None:
    books, account = Books(AAPL), Account(name="PAPER")
    for number in range(20):
        one = fill(str(number), "buy" if number % 3 else "sell", str(number + 1), f"10.{number:02}", "0.35")
        books.book(one)
        account.book(one, AAPL)
    assert account.cash["USD"] == books.ledger.cash[USD]
    assert account.position("AAPL") == books.ledger.qty("PAPER", "AAPL")
    assert account.imbalance() == {"USD": Money(0)}


# -- any sequence ----------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fill", "fill", "fill", "fill", "bust", "correct"]),
        st.integers(0, 1_000),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 9),
        st.integers(1, 400),
        st.integers(-5, 50),
    ),
    max_size=40,
)


def play(books_: Books, made: Instrument, steps: Any) -> list[Booking]:
    """Feed steps to the books; what the plain way has to count."""
    stands: list[ev.Fill] = []
    for number, (what, pick, side, qty, ticks, fee) in enumerate(steps):
        price = str(made.ticks[0].tick * ticks)
        made_fill = fill(f"f{number}", side, str(qty), price, f"{fee}E-2", made.symbol)
        if what == "fill" or not stands:
            books_.book(made_fill)
            stands.append(made_fill)
            continue
        at = pick % len(stands)
        if what == "bust":
            books_.bust(stands.pop(at))
        else:
            stands[at] = fill(
                f"f{number}", side, str(qty), price, f"{fee}E-2", made.symbol, corrects=stands[at].fill_key
            )
            books_.book(stands[at])
    return [(f.fill_key, int(f.qty) * f.side.sign, Fraction(f.price), Fraction(f.fee)) for f in stands]


@settings(max_examples=300)
@given(STEPS, st.sampled_from([AAPL, ES]))
def test_any_sequence_agrees_with_the_plain_way_to_the_last_digit(steps: Any, made: Instrument) -> None:
    held = Books(made)
    bookings = play(held, made, steps)
    assert held.ledger.conservation_faults() == []
    if not held.ledger.positions:
        return
    position = held.ledger.positions["paper", "PAPER", made.symbol]
    wanted = books(bookings, int(made.multiplier), is_margined=made is ES)
    cash = held.ledger.cash[USD]
    found = {"qty": position.qty, "cost": position.cost, "realised": position.realised, "fees": position.fees}
    assert {name: Fraction(value) for name, value in {**found, "cash": cash}.items()} == wanted
    assert held.ledger.qty("PAPER", made.symbol) == position.qty
    assert sum(Fraction(lot.qty * lot.unit) for lot in position.lots) == wanted["cost"]
    assert len(position.lots) <= len(bookings)


@settings(max_examples=60)
@given(STEPS)
def test_a_hostile_decimal_context_changes_nothing(steps: Any) -> None:
    calm, hostile = Books(ES), Books(ES)
    play(calm, ES, steps)
    with decimal.localcontext() as context:
        context.prec, context.rounding = 3, decimal.ROUND_UP
        play(hostile, ES, steps)
        assert hostile.ledger.conservation_faults() == []
        assert hostile.ledger.dirty() == calm.ledger.dirty()
