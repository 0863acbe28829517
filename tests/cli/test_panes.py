"""What the desk's panes show is printed too: columns, CSV, sentences and JSON, from the engine or from its ledger."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator

import msgspec
import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.table import TABLE
from bolt_tui.output import SIDES, Output, sentences
from bolt_tui.settings import Home
from engine.domain.money import Money, Price, Qty
from engine.views import BookView, CostView, DeskView, ExposureView, LimitView, LogLine, QuoteView
from tests.cli.conftest import Ran
from tests.cli.test_stored import lab_with_a_fill
from tests.core.lab import AAPL, START_NS
from tests.server.fakes import FakeDoor, Served, fill_row, order_row, position_row, serving

Bolt = Callable[..., Ran]
SHAPES = ("--csv", "--plain", "--json")


LIMITS = (
    LimitView(code="LOSS_MAX", control="C21", what="loss of the day", scope="PAPER", value="", limit="250000"),
    LimitView(code="QTY_MAX", control="C06", what="order", scope="PAPER", value="1", limit="100", used_pct=1),
    LimitView(
        code="GROSS_MAX", control="C17", what="gross", scope="PAPER", value="61", limit="100", used_pct=61,
        policy_line="policy.yaml:41",
    ),
)  # fmt: skip


class MarketDoor(FakeDoor):
    """A door with one symbol's market."""

    def view(self) -> DeskView:
        status = self.status()
        quote = QuoteView(
            symbol="AAPL", venue="XSIM", bid=Price("189.05"), ask=Price("189.10"), bid_qty=Qty(400), ask_qty=Qty(300),
            last=Price("189.07"), change_pct="+0.42", ts_ns=status.ts_ns, stale=True,
        )  # fmt: skip
        book = BookView(
            symbol="AAPL", venue="XSIM", ts_ns=1, tick=Price("0.01"),
            bids=((Price("189.05"), Qty(400)), (Price("10.00"), Qty(900))), asks=((Price("189.10"), Qty(300)),),
        )  # fmt: skip
        child = msgspec.structs.replace(order_row(2), order_id="C2", parent_id="P1")
        rows = (order_row(1), child)
        return DeskView(
            status=status, orders=rows, fills=(fill_row(1),), positions=(position_row(),), quotes=(quote,), books=(book,),
            log=self.log, instruments=(AAPL,), limits=LIMITS,
            exposures=(ExposureView(kind="symbol", name="AAPL", long=Money(1000), short=Money(0)),),
            costs=(
                CostView(order_id="P1", arrival=Price("189.02"), arrival_ns=1, slip_bp=Money("3.4")),
                CostView(order_id="P7", arrival=Price("189.02"), arrival_ns=1, fees=Money(0)),
            ),
        )  # fmt: skip


@pytest.fixture
def engine(home: Home) -> Iterator[Served]:
    door = MarketDoor()
    door.log = (LogLine(seq=1, ts_ns=START_NS, word="FILL", order_id="P1", text="buy 100 AAPL 189.05, fee 0.30"),)
    with serving(home.socket, door) as served:
        yield served


def test_the_blotter_is_a_tree_of_parents_children_and_fills(bolt: Bolt, engine: Served) -> None:
    del engine
    lines = bolt("blotter").out.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", "P1", "fill", "C2"]
    made = bolt("blotter", "--json").json
    assert (made["type"], len(made["orders"]), len(made["fills"])) == ("blotter", 2, 1)


def test_csv_has_one_header_and_nothing_else_on_stdout(bolt: Bolt, engine: Served) -> None:
    del engine
    for words in (("blotter",), ("orders",), ("positions",), ("fills",), ("log",), ("watch",), ("book", "AAPL")):
        ran = bolt(*words, "--csv")
        head, *rows = csv.reader(io.StringIO(ran.out))
        assert head == [name.lower() for name in head]
        assert rows
        assert all(len(row) == len(head) for row in rows), words


def test_plain_says_each_figure_with_its_name(bolt: Bolt, engine: Served) -> None:
    del engine
    assert bolt("orders", "--plain").out.splitlines()[0].startswith("id P1, state WORK, side buy, qty 100, filled 0,")
    told = bolt("watch", "--plain").out
    assert "last 189.07, change% +0.42, age ms 0, state STALE." in told
    assert "ask 189.10," in told, "with the decimals of the tick"
    assert "-" not in bolt("orders", "--plain").out.split("algo")[0], "what is not there is not said"


def test_prices_have_the_decimals_of_the_tick_in_every_list(bolt: Bolt, engine: Served) -> None:
    """189.10 was told as 189.1 by `bolt orders` and its siblings, and as 189.10 by the desk."""
    del engine

    def first(word: str, *names: str) -> tuple[str, ...]:
        row = next(csv.DictReader(io.StringIO(bolt(word, "--csv").out)))
        return tuple(row[name] for name in names)

    assert first("orders", "limit", "stop") == ("10.00", "")
    assert first("fills", "price") == ("10.00",)
    assert first("positions", "avg", "mark") == ("10.00", "10.10")
    tree = [row["limit"] or row["avg"] for row in csv.DictReader(io.StringIO(bolt("blotter", "--csv").out))]
    assert tree == ["10.00"] * 3, "parent, its fill and its child"
    assert json.loads(bolt("orders", "--json").out)["orders"][0]["limit"] == "10", "a machine reads what it always read"


def test_the_log_is_shown_and_a_book_has_own_orders_beside_it(bolt: Bolt, engine: Served) -> None:
    del engine
    assert "FILL  P1     buy 100 AAPL 189.05, fee 0.30" in bolt("log").out
    rows = bolt("book", "AAPL").out.splitlines()
    assert rows[1].split() == ["189.10", "300"], "with the decimals of the tick"
    assert rows[-1].split() == ["100", "900", "10.00"]


def test_limits_come_fullest_first_and_costs_with_their_parts(bolt: Bolt, engine: Served) -> None:
    del engine
    lines = bolt("risk").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["GROSS_MAX", "QTY_MAX", "LOSS_MAX"]
    assert "policy.yaml:41" in lines[1]
    assert "limit LOSS_MAX, control C21, for PAPER, used% ?, value unknown" in bolt("risk", "--plain").out
    assert "symbol  AAPL  1000" in bolt("risk", "--exposures").out
    assert bolt("tca", "p1").out.splitlines()[1].split()[:3] == ["P1", "189.02", "3.4"]
    assert bolt("tca", "P9").code == Exit.USAGE
    assert "P7" not in bolt("tca").out, "it let a parent through that has not filled"
    assert "no parent that has filled" in bolt("tca", "P7").err
    assert bolt("fills", "--csv").out.splitlines()[0].split(",")[-1] == "note", "every column has a name"


def test_an_unknown_symbol_is_named(bolt: Bolt, engine: Served) -> None:
    del engine
    assert bolt("watch", "NOPE").code == Exit.USAGE
    assert "books there are: AAPL" in bolt("book", "NOPE").err


def test_without_an_engine_the_ledger_answers_or_says_why_not(bolt: Bolt, home: Home) -> None:
    lab = lab_with_a_fill(home)
    lab.journal.close()
    lab.latch.close()
    ran = bolt("blotter", "--csv")
    assert ran.err.count("FROM THE LEDGER") == 1
    assert [row[1] for row in csv.reader(io.StringIO(ran.out))][1:] == ["FILL", "FILL", "FILL"]
    assert [line["word"] for line in bolt("log", "--json").json["lines"]][-2:] == ["FILL", "DONE"]
    ran = bolt("tca", "p1", "--json")
    assert ran.json["costs"][0]["order_id"] == "P1"
    assert (ran.json["read_from"], ran.json["engine"]) == ("ledger", "none")
    ran = bolt("risk", "--json")
    used = {row["code"]: row["value"] for row in ran.json["limits"] if row["scope"] == "AAPL"}
    assert used["POSITION_MAX"] == "100"
    assert "no tape, so no prices" in ran.err
    assert bolt("risk").out.startswith("FROM THE LEDGER, no engine runs: as of row ")
    assert ["symbol", "AAPL", "-", "-"] in [line.split() for line in bolt("risk", "--exposures").out.splitlines()]
    cash = bolt("cash", "--json")
    assert (cash.json["read_from"], [row["amount"] for row in cash.json["cash"]]) == ("ledger", ["981098"])
    assert bolt("fx", "list").out.startswith("FROM THE LEDGER, no engine runs: as of row ")
    missing = bolt("watch")
    assert missing.code == Exit.NO_ENGINE
    assert "prices of now need a running engine" in missing.err


FROM_FILES = {"find": ("aapl",), "roll": (), "sessions": ("24x7",), "statement": ()}
"""Lists that never ask an engine, with words that each takes."""


@pytest.mark.parametrize("row", [row.name for row in TABLE if row.is_list and row.name not in FROM_FILES])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_list_takes_every_shape_and_says_that_no_engine_runs(bolt: Bolt, row: str, shape: str) -> None:
    more = ("AAPL",) if row == "book" else ()
    ran = bolt(*row.split(), *more, shape)
    assert ran.code == Exit.NO_ENGINE
    assert "no engine" in ran.err
    if shape == "--json":
        assert json.loads(ran.out)["code"] == "NO_ENGINE"
    else:
        assert ran.out == ""


@pytest.mark.parametrize("row", sorted({*FROM_FILES} - {"statement"}))
@pytest.mark.parametrize("shape", SHAPES)
def test_a_list_from_files_needs_no_engine(bolt: Bolt, row: str, shape: str) -> None:
    ran = bolt(row, *FROM_FILES[row], shape)
    assert ran.code == Exit.OK
    if shape == "--json":
        assert json.loads(ran.out)["schema"] == 1


def test_a_statement_needs_a_ledger(bolt: Bolt) -> None:
    ran = bolt("statement")
    assert (ran.code, ran.out) == (Exit.STORE, "")
    assert "there is no ledger" in ran.err


def test_no_cell_is_a_formula_and_no_sentence_moves_the_cursor() -> None:
    out = io.StringIO()
    Output(out, io.StringIO(), json=False, shape="csv").table(
        ("A", "B", "C"), [("=1+1", "-5.2", "-"), ("+0.4", "@x", "a\x1b[2J")]
    )
    assert out.getvalue() == "a,b,c\n'=1+1,-5.2,\n+0.4,'@x,a\ufffd[2J\n"
    assert sentences(("SIDE", "", "NOTE"), [("B", "late", "a\nb")]) == [f"side {SIDES['B']}, late, note a b."]
