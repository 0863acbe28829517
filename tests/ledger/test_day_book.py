"""The result of a risk day against the plain way: what moved since the cut, execution by execution."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain import day_events as de
from engine.domain import events as ev
from engine.domain.ledger_events import InstrumentDefined, LedgerOpened
from engine.domain.money import Money, Price, Qty
from engine.domain.money_events import PositionAdjusted
from engine.ledger.day_book import DayBook, Unknown
from engine.ledger.ledger import Ledger
from tests.ledger.test_ledger import AAPL, BTC, ES, fill

SYMBOLS = (AAPL, ES, BTC)
FEES = ("", "USD", "BNB")
BY_SYMBOL = {made.symbol: made for made in SYMBOLS}


class Days:
    """A ledger with its day book, and every event it was fed."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.book = DayBook(self.ledger)
        self.events: list[ev.AnyEvent] = []
        self.prices = {made.symbol: Price(100) for made in SYMBOLS}
        self.take(LedgerOpened(ledger_id="TEST0", schema=1, currency="USD"))
        for made in SYMBOLS:
            self.take(InstrumentDefined(instrument=made))

    def take(self, event: ev.AnyEvent) -> None:
        self.events.append(event)
        self.ledger.apply(len(self.events), len(self.events), event)
        self.book.apply(len(self.events), len(self.events), event)

    def mark(self, symbol: str, qty: object) -> Price | None:
        return self.prices.get(symbol)

    def cut(self, at: int) -> None:
        """Begin a day; symbols without a price wait."""
        held = [(broker, symbol, one) for broker, symbol, one in self.ledger.held("PAPER") if one.qty]
        marks = tuple(
            de.DayMark(broker=broker, symbol=symbol, qty=one.qty, price=self.prices[symbol], ts_ns=at)
            for broker, symbol, one in held
            if symbol in self.prices
        )
        waiting = tuple(symbol for _, symbol, _ in held if symbol not in self.prices)
        self.take(de.RiskDayBegan(account="PAPER", begins_ns=at, cut="00:00 UTC", marks=marks, waiting=waiting))

    def results(self) -> dict[str, str]:
        found = self.book.results("PAPER", self.book.worth("PAPER", self.mark))
        assert not isinstance(found, Unknown), found.why
        return {currency: str(Money(amount)) for currency, amount in found.items() if amount}


def test_a_position_carried_over_counts_from_its_mark_and_not_from_its_cost() -> None:
    days = Days()
    days.cut(0)
    days.take(ev.ForeignFillSeen(fill=fill("1", "buy", "10", "50")))
    assert days.results() == {"USD": "500"}, "bought at 50, worth 100"
    days.cut(1)
    assert days.results() == {}
    days.prices["AAPL"] = Price(97)
    assert days.results() == {"USD": "-30"}
    days.take(ev.ForeignFillSeen(fill=fill("2", "sell", "10", "96", "1.50")))
    assert days.results() == {"USD": "-41.5"}


def test_fees_count_in_the_currency_they_were_paid_in() -> None:
    days = Days()
    days.cut(0)
    days.prices["BTC-USDT"] = Price(60_000)
    days.take(ev.ForeignFillSeen(fill=fill("1", "buy", "0.5", "60000", "0.013", "BTC-USDT", fee_currency="BNB")))
    assert days.results() == {"BNB": "-0.013"}


def test_payments_are_no_result() -> None:
    days = Days()
    days.cut(0)
    paid = PositionAdjusted(
        broker="paper", account="PAPER", cash=Money(5_000), currency="USD", reason="paid in", who="anna"
    )
    days.take(paid)
    assert days.results() == {}
    taken = PositionAdjusted(
        broker="paper",
        account="PAPER",
        symbol="AAPL",
        qty=Qty(10),
        cost=Money(900),
        currency="USD",
        reason="x",
        who="a",
    )
    days.take(taken)
    assert days.results() == {"USD": "100"}, "accepted at 90, worth 100"


def test_without_a_mark_there_is_no_number_but_a_reason() -> None:
    days = Days()
    days.take(ev.ForeignFillSeen(fill=fill("1", "buy", "10", "50")))
    assert days.book.results("PAPER", days.book.worth("PAPER", days.mark)) == Unknown("no risk day of PAPER has begun")
    held = days.prices.pop("AAPL")
    days.cut(0)
    days.prices["AAPL"] = held
    assert days.book.results("PAPER", days.book.worth("PAPER", days.mark)) == Unknown(
        "AAPL had no price when the day began at 1970-01-01T00:00Z"
    )
    mark = de.DayMark(broker="paper", symbol="AAPL", qty=Qty(10), price=Price(99), ts_ns=1)
    days.take(de.RiskDayMarked(account="PAPER", marks=(mark,)))
    assert days.results() == {"USD": "10"}
    del days.prices["AAPL"]
    assert days.book.results("PAPER", days.book.worth("PAPER", days.mark)) == Unknown(
        "AAPL has no fresh price to value its position with"
    )
    days.take(ev.ForeignFillSeen(fill=fill("2", "buy", "1", "5", symbol="NEW")))
    assert days.book.results("PAPER", days.book.worth("PAPER", days.mark)) == Unknown(
        "executions of NEW wait for the terms of the instrument"
    )


def test_the_best_result_is_of_its_day() -> None:
    days = Days()
    days.cut(0)
    days.take(de.ResultPeaked(account="PAPER", result=Money(70)))
    assert days.book.days["PAPER"].peak == 70
    days.cut(1)
    assert days.book.days["PAPER"].peak == 0


# -- any sequence ----------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fill", "fill", "fill", "price", "bust", "cut"]),
        st.integers(0, 2),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 9),
        st.integers(1, 400),
        st.integers(-5, 50),
        st.integers(0, 2),
    ),
    max_size=40,
)


def play(days: Days, steps: Any) -> tuple[dict[str, Fraction], list[ev.Fill], list[ev.Fill]]:
    """Feed steps; prices at the last cut, what stood then, and what stands now."""
    stands: list[ev.Fill] = []
    then: list[ev.Fill] = []
    marks: dict[str, Fraction] = {}
    days.cut(0)
    for number, (what, which, side, qty, ticks, fee, currency) in enumerate(steps):
        made = SYMBOLS[which]
        price = Price(made.ticks[0].tick * ticks)
        match what:
            case "price":
                days.prices[made.symbol] = price
            case "cut":
                days.cut(number)
                then = list(stands)
                marks = {symbol: Fraction(at) for symbol, at in days.prices.items()}
            case "bust" if stands:
                days.take(ev.FillBusted(order_id="", fill=stands.pop(ticks % len(stands))))
            case _:
                words = {"fee_currency": FEES[currency]}
                one = fill(f"f{number}", side, str(qty), str(price), f"{fee}E-2", made.symbol, **words)
                days.take(ev.ForeignFillSeen(fill=one))
                stands.append(one)
    return marks, then, stands


def worth(fills: list[ev.Fill], marks: dict[str, Fraction]) -> dict[str, Fraction]:
    """What executions are worth at marks, fees off, by currency: each by itself, without lots, cash or cost."""
    found: dict[str, Fraction] = {}
    for one in fills:
        made = BY_SYMBOL[one.symbol]
        gain = (marks[one.symbol] - Fraction(one.price)) * Fraction(one.qty) * one.side.sign * Fraction(made.multiplier)
        found[made.currency] = found.get(made.currency, Fraction(0)) + gain
        paid = one.fee_currency or made.currency
        found[paid] = found.get(paid, Fraction(0)) - Fraction(one.fee)
    return found


@settings(max_examples=300)
@given(STEPS)
def test_any_day_agrees_with_the_plain_way_and_with_its_rebuild(steps: Any) -> None:
    days = Days()
    marks, then, stands = play(days, steps)
    assert days.ledger.conservation_faults() == []
    before, now = worth(then, marks), worth(stands, {symbol: Fraction(at) for symbol, at in days.prices.items()})
    wanted = {currency: now.get(currency, 0) - before.get(currency, 0) for currency in {**before, **now}}
    found = days.book.results("PAPER", days.book.worth("PAPER", days.mark))
    assert not isinstance(found, Unknown)
    assert {currency: Fraction(amount) for currency, amount in found.items() if amount} == {
        currency: amount for currency, amount in wanted.items() if amount
    }
    again = Days()
    again.events.clear()
    again.ledger, again.prices = Ledger(), days.prices
    again.book = DayBook(again.ledger)
    for event in days.events:
        again.take(ev.decode_event(ev.encode(event)))
    assert again.book.days == days.book.days
    assert again.book.results("PAPER", again.book.worth("PAPER", again.mark)) == found
