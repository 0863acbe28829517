"""The day's statement adds up to the last unit and says when it does not; strategies' parts add up to the broker's position."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.statement import moved_words
from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Source, SourceKind
from engine.ledger.statement import Books
from engine.ledger.sub_book import UNASSIGNED
from engine.oms import broker_interface as bi
from tests.cli.conftest import Ran, bolt, home
from tests.core.lab import ME, Lab
from tests.money.test_adjust import booked
from tests.money.test_fx import RATES
from tests.replay.tape import quotes, replay, trade, write

__all__ = ["bolt", "home"]
Bolt = Callable[..., Ran]
DIP = Source(SourceKind.STRATEGY, "Dip")


def traded(lab: Lab, side: Side, qty: int, price: str, source: Source = ME, fee: str = "0.10") -> ev.Fill:
    number = len(lab.broker.sent)
    spec = OrderSpec(symbol="AAPL", side=side, qty=Qty(qty), type=OrderType.MARKET)
    result = lab.submit(co.NewOrder(source=source, intent_id=f"n{number}", spec=spec, why="test"))
    assert result.ok, result.text
    wire = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire))
    filled = lab.fill(wire, qty, f"k{number}", price, side)
    fill = msgspec.structs.replace(filled.fill, fee=Money(fee), fee_currency="USD")
    lab.answer(bi.Filled(broker="paper", ts_ns=filled.ts_ns, fill=fill))
    lab.pass_time(2)
    return fill


def books_of(lab: Lab, since: int = 0) -> Books:
    books = Books()
    books.open_day() if not since else None
    for row in lab.journal.read():
        if row.seq == since:
            books.open_day()
        books.take(row.seq, row.ts_ns, ev.decode_event(row.payload))
    return books


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.connect()
    return made


def test_a_day_adds_up_with_busts_corrections_and_adjustments(lab: Lab) -> None:
    traded(lab, Side.BUY, 100, "189.01")
    first = lab.journal.head_seq + 1
    gone = traded(lab, Side.BUY, 10, "189.07")
    wrong = traded(lab, Side.SELL, 40, "189.33")
    booked(lab, cash=Money("-3.30"), currency="USD")
    right = msgspec.structs.replace(
        wrong, fill_key="k9", corrects=wrong.fill_key, price=Price("189.30"), fee=Money("0.20")
    )
    lab.answer(bi.Filled(broker="paper", ts_ns=lab.clock.now_ns(), fill=right))
    lab.answer(bi.Busted(broker="paper", ts_ns=lab.clock.now_ns(), fill_key=gone.fill_key, symbol="AAPL"))
    told = books_of(lab, first).statement("paper", "PAPER", lambda _: True)
    line = told.cash["USD"]
    assert told.faults == ()
    assert (str(line.opening), str(line.trades), str(line.fees), str(line.adjustments)) == (
        "981098.9", "7572", "-0.2", "-3.3",
    )  # fmt: skip
    assert str(line.closing) == "988667.4"
    (held,) = told.positions
    assert [str(word) for word in (held.opening, held.bought, held.sold, held.other, held.closing, held.realised)] == [
        "100", "0", "40", "0", "60", "11.6",
    ]  # fmt: skip


def test_sizes_of_a_statement_have_no_noughts_of_sums(lab: Lab) -> None:
    traded(lab, Side.BUY, 100, "189.01")
    (held,) = books_of(lab).statement("paper", "PAPER", lambda _: True).positions
    held = msgspec.structs.replace(held, bought=Qty("0.1000"), sold=Qty("0.1"), other=Qty("0.0000"))
    assert moved_words(held).endswith(" bought 0.1 sold 0.1 other 0")


def test_a_line_that_is_left_out_is_told(lab: Lab) -> None:
    traded(lab, Side.BUY, 100, "189.01")
    books = books_of(lab)
    books._lines["paper", "PAPER", "USD"].fees = Money(0)
    assert books.statement("paper", "PAPER", lambda _: True).faults == (
        "USD: the lines of the day and the ledger differ by -0.1",
    )


def test_the_parts_of_strategies_add_up_to_the_position(lab: Lab) -> None:
    traded(lab, Side.BUY, 100, "189.01", DIP)
    traded(lab, Side.SELL, 30, "189.05")
    traded(lab, Side.SELL, 20, "189.07", DIP)
    booked(lab, symbol="AAPL", qty=Qty(7), cost=Money(700))
    rows = books_of(lab).subs.rows()
    whole = lab.engine.ledger.position("paper", "PAPER", "AAPL")
    assert whole is not None
    assert {name: str(held.qty) for *_, name, held in rows} == {"Dip": "80", UNASSIGNED: "-23"}
    for figure in ("qty", "cost", "realised", "fees"):
        assert sum(getattr(held, figure) for *_, held in rows) == getattr(whole, figure)


def recorded(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    fx, ledger = tmp_path / "fx.yaml", tmp_path / "day.db"
    fx.write_text(RATES)
    rows = quotes("2024-03-05T15:00:00Z", "2024-03-05T15:10:00Z", mic="XPAR", every_s=1)
    rows += [trade(f"2024-03-05T15:0{minute}:30Z", "10.00", 200, mic="XPAR") for minute in range(10)]
    terms = "tick=0.01,lot=1,ccy=EUR,mic=XPAR"
    return ledger, replay(tmp_path, rows, "b 600 ABC twap 8m", terms=terms, base="USD", fx=fx, ledger=ledger)


def test_the_command_proves_a_day_of_two_currencies(tmp_path: Path, bolt: Bolt) -> None:
    ledger, told = recorded(tmp_path)
    ran = bolt("statement", "--ledger", str(ledger), "--json")
    assert ran.code == Exit.OK, ran.err
    assert ran.json["proof"]["hash"] == told["ledger_hash"]
    assert ran.json["proof"]["adds_up"] is True
    (one,) = ran.json["accounts"]
    assert set(one["cash"]) == {"EUR", "USD"}
    for line in one["cash"].values():
        assert line["missing"] == "0"
    assert one["cash"]["USD"]["closing"] == told["cash_all"]["USD"]
    words = bolt("statement", "--ledger", str(ledger), "--csv")
    assert "PAPER,conversion,EUR," in words.out
    assert f"hash {told['ledger_hash']}" in words.err
    wrong = bolt("statement", "--ledger", str(ledger), "--day", "soon")
    assert wrong.code == Exit.USAGE
    assert "expected a date" in wrong.err
    earlier = bolt("statement", "--ledger", str(ledger), "--day", "2020-01-01")
    assert earlier.code == Exit.USAGE
    parts = bolt("positions", "--by", "strategy", "--ledger", str(ledger), "--json")
    assert [(row["strategy"], row["qty"]) for row in parts.json["positions"]] == [(UNASSIGNED, told["position"])]
    assert json.loads(json.dumps(parts.json))["read_from"] == "ledger"


def test_a_day_that_the_ledger_does_not_reach_and_an_account_that_is_none_are_refused(
    tmp_path: Path, bolt: Bolt
) -> None:
    ledger, _ = recorded(tmp_path)
    late = bolt("statement", "--ledger", str(ledger), "--day", "2024-03-06")
    assert (late.code, "the ledger ends at 2024-03-05T15:" in late.err) == (Exit.USAGE, True)
    nobody = bolt("statement", "--ledger", str(ledger), "--account", "NOBODY")
    assert (nobody.code, "there is PAPER" in nobody.err) == (Exit.USAGE, True)


def test_a_refused_replay_leaves_the_name_of_its_ledger_free(tmp_path: Path, bolt: Bolt) -> None:
    data = write(tmp_path, quotes("2024-03-05T15:00:00Z", "2024-03-05T15:02:00Z", mic="XSIM"))
    words = ("replay", str(data), "--instrument", "ABC:mic=XSIM", "--ledger", str(tmp_path / "new.db"))
    assert "no known symbol" in bolt(*words, "--order", "b 5 NOPE @mkt").err
    assert list(tmp_path.glob("new.db*")) == []
    assert bolt(*words, "--order", "b 5 ABC @mkt").code == Exit.OK
    assert "exists" in bolt(*words, "--order", "b 5 NOPE @mkt").err
    assert (tmp_path / "new.db").exists()


def test_a_position_that_is_taken_over_is_stated_at_its_price_of_then(lab: Lab) -> None:
    lab.quote(18900, 18902)
    booked(lab, symbol="AAPL", qty=Qty(10), cost=Money(1000))
    (held,) = books_of(lab).statement("paper", "PAPER", lambda _: True).positions
    assert (held.mark, held.mark_ns, held.unrealised) == (Price(189), lab.clock.now_ns(), Money(890))
