"""Without an engine the ledger answers: as of when, with nothing unknown hidden, and what an intent became."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.offers import spec_of
from bolt_tui.past import MODE, Past
from bolt_tui.settings import Home
from bolt_tui.stopping import left_words
from bolt_tui.stored import open_stored
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S
from engine.domain.commands import NewOrder
from engine.domain.events import TradingState
from engine.domain.ids import exit_wire_id
from engine.domain.money import Price, Qty
from engine.domain.order import WHEN, AlgoSpec, OrderSpec, OrderState, OrderType, Side, Tif
from engine.market.feed import TradeTick
from engine.risk.latch import GLOBAL, TripNote, leave_note
from tests.cli.conftest import Ran
from tests.core.lab import ME, START_NS, Lab, _let_go

Bolt = Callable[..., Ran]
SAME = (
    "order_id", "parent_id", "wire_id", "intent_id", "symbol", "side", "qty", "qty_filled", "type", "limit", "stop", "tif",
    "trail", "display", "venue", "expires_ns",
    "flags", "algo", "progress_pct", "broker", "account", "source", "created_ns", "updated_ns", "is_foreign",
)  # fmt: skip


@pytest.fixture
def lab(home: Home) -> Iterator[Lab]:
    """An engine that filled one order (P1), works one (P3), waits for an answer (P5), and was denied one (P7)."""
    made = Lab(home.root, ledger=home.ledger)
    made.connect()
    made.submit(order("filled", 100, "189.02", "b 100 AAPL @take"))
    first = made.broker.sent[0]
    made.answer(made.ack(first.wire_id))
    made.answer(made.fill(first.wire_id, 60, "k1", "189.01"))
    made.answer(made.fill(first.wire_id, 40, "k2", "189.02"))
    made.submit(order("rests", 50, "188.00", "b 50 AAPL @bid-100t"))
    made.answer(made.ack(made.broker.sent[1].wire_id))
    made.answer(made.fill(made.broker.sent[1].wire_id, 20, "k3", "188.00"))
    made.submit(order("waits", 70, "188.50", "b 70 AAPL @188.50"))
    made.submit(order("denied", 900_000, "188.50", "b 900k AAPL @188.50"))
    yield made
    made.journal.close()
    made.latch.close()


def order(intent: str, qty: int, limit: str, words: str) -> NewOrder:
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(qty), type=OrderType.LIMIT, limit=Price(limit))
    return NewOrder(source=ME, intent_id=intent, spec=spec, why="", words=words)


def lab_with_a_fill(home: Home) -> Lab:
    """An engine on the home's ledger whose first order (P1) has filled."""
    lab = Lab(home.root, ledger=home.ledger)
    lab.connect()
    lab.submit(order("filled", 100, "189.02", "b 100 AAPL @take"))
    wire_id = lab.broker.sent[0].wire_id
    lab.answer(lab.ack(wire_id))
    lab.answer(lab.fill(wire_id, 100, "k1"))
    return lab


def test_orders_are_told_with_their_age_and_an_awaited_answer_is_unknown(bolt: Bolt, lab: Lab) -> None:
    lab.journal.close()
    ran = bolt("orders")
    assert ran.code == Exit.OK
    head, *rows = ran.out.splitlines()
    assert head.startswith(f"FROM THE LEDGER, no engine runs: as of row {lab.journal.head_seq}, 2023-11-14T22:13:20")
    assert "did not end cleanly" in head
    assert [line.split()[0] for line in rows] == ["ID", "P3", "C4", "P5", "C6"]
    made = bolt("orders", "--all", "--json").json
    assert (made["read_from"], made["engine"], made["as_of_seq"]) == ("ledger", "none", lab.journal.head_seq)
    states = {row["order_id"]: row["state"] for row in made["orders"]}
    assert states == {
        "P1": "filled", "C2": "filled", "P3": "partially_filled", "C4": "partially_filled",
        "P5": "unknown", "C6": "unknown", "P7": "denied",
    }  # fmt: skip
    by_id = {row["order_id"]: row for row in made["orders"]}
    assert (by_id["P1"]["avg_price"], by_id["C2"]["avg_price"]) == ("189.014", "189.014")
    assert (by_id["C4"]["stale"], by_id["C2"]["stale"]) == (True, False)
    assert "was pending_new when the engine ended" in by_id["C6"]["note"]
    assert by_id["P7"]["note"].startswith("SOURCE_NOTIONAL order amount 169650000 is above")


def test_the_ledger_and_the_engine_tell_the_same_rows(bolt: Bolt, lab: Lab) -> None:
    lab.answer(lab.fill(exit_wire_id("TEST0"), 10, "k9", side=Side.SELL))
    lab.submit(co.StopEngine(source=ME, cancel=False))
    live = {row.order_id: row for row in lab.engine.view().orders}
    fills = lab.engine.view().fills
    positions = lab.engine.view().positions
    stored = open_stored(Home(root=lab.latch._path.parent))
    assert stored is not None
    for row in stored.orders(with_ended=True):
        same = {name: getattr(row, name) for name in SAME}
        if row.state is not OrderState.UNKNOWN:
            same |= {"state": row.state, "avg_price": row.avg_price}
        assert same == {name: getattr(live[row.order_id], name) for name in same}
    assert stored.fills(100) == fills
    assert bolt("fills", "--limit", "1").out.splitlines()[-1].split()[1:3] == ["halt", "S"], "an exit is the halt's own"
    assert "halt flatten sell 10 AAPL 189.02" in [line.text for line in stored.log(100)]
    (here,), (there,) = stored.positions(), positions
    assert (here.qty, here.realised, here.fees, here.avg_price) == (
        there.qty,
        there.realised,
        there.fees,
        there.avg_price,
    )


def test_terms_without_a_column_are_told_by_the_engine_the_ledger_and_a_stop(bolt: Bolt, lab: Lab) -> None:
    spec = order("rare", 200, "188.50", "").spec
    spec = msgspec.structs.replace(
        spec, display=Qty(100), tif=Tif.GTD, expires_ns=START_NS + 3600 * NS_PER_S, venue="XSIM"
    )
    lab.submit(NewOrder(source=ME, intent_id="rare", spec=spec, why="", staged=True))
    told = "show 100 until 2023-11-14T23:13:20Z at XSIM"
    row = next(row for row in lab.engine.view().orders if row.intent_id == "rare")
    assert row.terms(2) == told
    assert spec_of(row).display == Qty(100)
    assert left_words(row, 2) == f"{row.order_id} staged buy 200 AAPL limit 188.50 {told}"
    stop = msgspec.structs.replace(
        row, type="stop", limit=None, stop=Price("188.4"), display=None, venue="", expires_ns=0
    )
    assert left_words(stop, 2) == f"{row.order_id} staged buy 200 AAPL stop 188.40"
    trail = msgspec.structs.replace(stop, type="trailing_stop", stop=None, trail=Price("0.5"))
    assert left_words(trail, 2) == f"{row.order_id} staged buy 200 AAPL trailing_stop trail 0.50"
    touched = msgspec.structs.replace(stop, type="market_if_touched")
    assert left_words(touched, 2) == f"{row.order_id} staged buy 200 AAPL market_if_touched touch 188.40"
    lab.journal.close()
    assert told in bolt("orders").out
    assert "  188.50  " in bolt("orders").out, "without the decimals of the tick"
    assert "AAPL limit 188.50" in "".join(bolt("log").out.splitlines())
    kept = next(one for one in bolt("orders", "--json").json["orders"] if one["intent_id"] == "rare")
    assert (kept["display"], kept["venue"], kept["expires_ns"]) == ("100", "XSIM", spec.expires_ns)


def test_a_session_counts_every_order_that_was_sent_however_its_row_is_called(lab: Lab, home: Home) -> None:
    staged = msgspec.structs.replace(order("staged", 10, "187.00", ""), staged=True)
    made = lab.submit(staged)
    assert lab.submit(co.ReleaseOrder(source=ME, order_id=made.order_id)).ok
    stored = open_stored(home)
    assert stored is not None
    session = stored.session()
    assert session is not None
    assert session.counts["orders sent"] == len(lab.broker.sent) == 4
    assert (session.counts["denied"], session.counts["fills"]) == (1, 3)


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ("UPDATE orders SET state = 'working' WHERE order_id = 'P3'", ("orders", "orders --all", "status", "blotter")),
        ("UPDATE orders SET qty = 'many' WHERE order_id = 'P3'", ("orders", "blotter")),
        ("UPDATE orders SET spec = x'7b' WHERE order_id = 'P3'", ("orders", "blotter")),
        ("UPDATE fills SET side = 'both'", ("fills",)),
        ("UPDATE positions SET qty = 'none'", ("positions",)),
    ],
)
def test_a_table_that_somebody_else_wrote_in_is_named_and_not_stumbled_over(
    bolt: Bolt, home: Home, change: str, asked: tuple[str, ...]
) -> None:
    lab = lab_with_a_fill(home)
    lab.submit(order("rests", 50, "188.00", "b 50 AAPL @bid-100t"))
    lab.journal.close()
    lab.latch.close()
    with closing(sqlite3.connect(home.ledger, isolation_level=None)) as connection:
        connection.execute(change)
    for words in asked:
        ran = bolt(*words.split())
        assert ran.code == Exit.STORE, (words, ran)
        assert "a row of its tables is none that Bolt writes" in ran.err
        assert "Traceback" not in ran.err
    assert bolt("ledger", "rebuild").code == Exit.OK
    for words in asked:
        assert bolt(*words.split()).code != Exit.STORE


def test_positions_fills_events_and_status(bolt: Bolt, lab: Lab) -> None:
    lab.journal.close()
    position = bolt("positions", "--json").json["positions"][0]
    assert (position["qty"], position["mark"], position["unrealised"]) == ("120", None, None)
    assert [fill["fill_key"] for fill in bolt("fills", "--limit", "2", "--json").json["fills"]] == ["k2", "k3"]
    assert bolt("fills", "--symbol", "msft", "--json").json["fills"] == []
    lines = bolt("events", "--limit", "2").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [str(lab.journal.head_seq - 1), str(lab.journal.head_seq)]
    assert len(bolt("events", "--kind", "order_filled", "--json").out.splitlines()) == 3
    held = bolt("events", "--kind", "order_intent", "--json").out.splitlines()
    assert ['"kind":"order_placed"' in line for line in held] == [True] * 3, (
        "an intent is found in the row that holds it"
    )
    assert [line.split()[0] for line in bolt("events", "--from", "2", "--limit", "2").out.splitlines()[1:]] == [
        "2",
        "3",
    ]
    ran = bolt("status", "--json")
    assert ran.code == Exit.NO_ENGINE
    assert (ran.json["orders_working"], ran.json["orders_unknown"], ran.json["parents_open"]) == (2, 1, 2)
    assert (ran.json["pid"], ran.json["halt"]["state"]) == (0, "active")
    assert bolt("events", "--follow").code == Exit.NO_ENGINE


def test_a_status_from_the_ledger_says_when_a_broker_was_reconciled(bolt: Bolt, lab: Lab) -> None:
    lab.journal.close()
    ran = bolt("status")
    assert re.search(r"broker paper PAPER: down, reconciled \d+ s ago", ran.out)


def test_the_doctor_finds_orders_that_nobody_looks_after(bolt: Bolt, lab: Lab) -> None:
    lab.journal.close()
    ran = bolt("doctor")
    told = " ".join((ran.out + ran.err).split())
    assert ran.code == Exit.INCOMPLETE
    assert "2 orders of its ledger may work at the venue" in told
    assert "`bolt kill` halts and cancels them" in told


def test_a_halt_is_told_from_the_latch(bolt: Bolt, lab: Lab) -> None:
    lab.submit(co.Halt(source=ME, why="runaway"))
    lab.journal.close()
    halt = bolt("status", "--json").json["halt"]
    assert (halt["state"], halt["why"], halt["who"]) == ("halted", "runaway", "anna")
    assert "scope global: halted\n" in bolt("status").out
    lab.latch._path.unlink()
    assert bolt("status", "--json").json["halt"]["state"] == "halted", "a used ledger without its latch stays shut"


def test_a_trip_that_no_engine_journaled_yet_is_told_from_its_note(bolt: Bolt, lab: Lab, home: Home) -> None:
    lab.journal.close()
    lab.latch.trip()
    assert "1970" not in bolt("status").out
    note = TripNote(scope=GLOBAL, state=TradingState.HALTED, code="MANUAL", who="ben", why="smoke", ts_ns=START_NS)
    assert leave_note(home.root, note) is not None
    assert "HALTED since 2023-11-14T22:13:20.000000000Z by ben: smoke" in bolt("status").out


def test_an_engine_that_holds_the_ledger_and_does_not_answer_is_named(bolt: Bolt, lab: Lab) -> None:
    ran = bolt("orders", "--json")
    assert (ran.code, ran.json["engine"]) == (Exit.OK, "hung")
    assert "does not answer" in ran.err
    ran = bolt("order", "b 100 AAPL @10", "--intent", "never-asked")
    assert ran.code == Exit.NO_ENGINE
    assert "nothing was ever sent" not in ran.err, "an engine that lives may still take it"


def test_an_intent_is_told_from_the_ledger(bolt: Bolt, lab: Lab) -> None:
    lab.submit(co.AmendOrder(source=ME, intent_id="smaller", order_id="C4", qty=Qty(40)))
    lab.journal.close()
    ran = bolt("order", "b 70 AAPL  @188.50", "--intent", "waits", "--json")
    assert (ran.code, ran.json["order_id"], ran.json["state"], ran.json["repeated"]) == (
        Exit.UNKNOWN,
        "P5",
        "unknown",
        True,
    )
    assert bolt("order", "b 100 AAPL @take", "--intent", "filled").code == Exit.OK
    other = bolt("order", "b 71 AAPL @188.50", "--intent", "waits", "--json")
    assert (other.code, other.json["code"]) == (Exit.REFUSED, "INTENT_REUSED")
    assert bolt("order", "b 40 AAPL @1", "--intent", "smaller", "--json").json["code"] == "INTENT_REUSED"
    assert bolt("order", "b 900k AAPL @188.50", "--intent", "denied").code == Exit.REFUSED
    never = bolt("order", "b 70 AAPL @188.50", "--intent", "other")
    assert never.code == Exit.NO_ENGINE
    assert "nothing was ever sent for it" in never.err


def test_a_glance_does_not_keep_an_engine_from_starting(home: Home, lab: Lab) -> None:
    """Looking for the holder takes the lock for a moment; a start at that moment must not be refused."""
    import threading

    from engine.store.lock import LedgerLock, holder_of

    lab.journal.close()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            holder_of(home.ledger)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(50):
            LedgerLock(home.ledger).release()
    finally:
        stop.set()
        looking.join()


@pytest.fixture
def held(home: Home) -> Iterator[Lab]:
    """What waits here when its engine dies: P1 for a price, P2 fired and is out (C3), P4 is worked and paused."""
    made = Lab(home.root, ledger=home.ledger)
    made.connect()
    for intent, above, qty in (("w1", "999", "10"), ("w2", "189", "11")):
        algo = AlgoSpec(name=WHEN, params={"symbol": "AAPL", "above": above})
        spec = OrderSpec(
            symbol="AAPL", side=Side.BUY, qty=Qty(qty), type=OrderType.LIMIT, limit=Price("188"), tif=Tif.GTC, algo=algo
        )
        made.submit(NewOrder(source=ME, intent_id=intent, spec=spec, why=""))
    traded = TradeTick("AAPL", "XSIM", made.clock.now_ns(), made.engine.market.ticks + 1, 18_950, 100, "B", False)
    made.engine.on_market(traded)
    made.settle()
    assert len(made.broker.sent) == 1
    worked = AlgoSpec(name="twap", duration_ns=600 * NS_PER_S, params={"style": "passive"})
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(20), type=OrderType.LIMIT, limit=Price("188"), algo=worked)
    parent = made.submit(NewOrder(source=ME, intent_id="t1", spec=spec, why=""))
    made.submit(co.PauseOrder(source=ME, order_id=parent.order_id))
    yield made
    made.journal.close()
    made.latch.close()


def test_what_waits_for_a_trigger_never_left_and_what_fired_may_be_out(bolt: Bolt, held: Lab) -> None:
    held.journal.close()
    ran = bolt("orders")
    lines = {line.split()[0]: line for line in ran.out.splitlines()[1:]}
    assert lines["P1"].split()[1] == "WAIT"
    assert "nothing of it was ever sent" in lines["P1"]
    assert "may have it" not in lines["P1"]
    fired = next(order_id for order_id in lines if order_id.startswith("C"))
    assert "PEND? STALE" in lines[fired]
    assert "the venue may have it" in lines[fired]
    made = {row["order_id"]: row for row in bolt("orders", "--json").json["orders"]}
    assert (made["P1"]["state"], made["P1"]["stale"]) == ("pending_new", False)
    assert made["P2"]["state"] == "unknown"
    waiting = bolt("orders", "--waiting", "--json").json["orders"]
    assert [row["order_id"] for row in waiting] == ["P1"]


def test_a_pause_is_told_without_an_engine(bolt: Bolt, held: Lab) -> None:
    held.journal.close()
    made = {row["order_id"]: row for row in bolt("orders", "--json").json["orders"]}
    paused = [order_id for order_id, row in made.items() if row["paused"]]
    assert [made[order_id]["algo"] for order_id in paused] == ["twap"]
    assert made[paused[0]]["urgency"] == "passive"


def test_a_suspended_order_is_told_as_such(bolt: Bolt, home: Home) -> None:
    lab = Lab(home.root, ledger=home.ledger)
    lab.connect()
    algo = AlgoSpec(name=WHEN, start_ns=lab.clock.now_ns() + 5 * NS_PER_S)
    spec = OrderSpec(
        symbol="AAPL", side=Side.BUY, qty=Qty(10), type=OrderType.LIMIT, limit=Price("188"), tif=Tif.GTC, algo=algo
    )
    lab.submit(NewOrder(source=ME, intent_id="w1", spec=spec, why=""))
    _let_go(lab.journal)
    again = Lab(home.root, ledger=home.ledger, start_ns=lab.clock.now_ns() + 60 * NS_PER_S)
    again.connect()
    again.journal.close()
    (row,) = bolt("orders", "--waiting", "--json").json["orders"]
    assert row["state"] == "suspended"
    assert "passed while no engine was up" in row["note"]
    assert "SUSP" in bolt("orders").out
    again.latch.close()


def test_baskets_are_told_as_the_engine_told_them(bolt: Bolt, home: Home) -> None:
    made = Lab(home.root, ledger=home.ledger)
    made.connect()
    for name in ("sent.csv", "left.csv", "waits.csv"):
        lines = tuple(co.BasketLine(line=n + 2, spec=order(name, 10 + n, "188.00", "").spec) for n in range(2))
        made.submit(co.StageBasket(source=ME, intent_id=f"i{name[0]}", name=name, lines=lines, why="rebalance"))
    made.submit(co.ReleaseBasket(source=ME, basket_id="B1", confirmed=frozenset()))
    made.submit(co.DropBasket(source=ME, basket_id="B2"))
    there = made.engine.view().baskets
    made.journal.close()
    made.latch.close()
    stored = open_stored(home)
    assert stored is not None
    assert stored.baskets() == there
    assert [one.state for one in there] == ["released", "dropped", "staged"]
    out = bolt("blotter").out
    assert next(line.split()[:4] for line in out.splitlines() if line.startswith("B1")) == [
        "B1",
        "RELEASED",
        "2",
        "basket",
    ]
    assert "sent.csv: 2 orders, P1 to P2, staged 22:13:20" in out
    assert sum(" of B1" in line for line in out.splitlines()) == 2
    assert [one["basket_id"] for one in bolt("blotter", "--json").json["baskets"]] == ["B1", "B2", "B3"]
    assert "waits.csv" in bolt("blotter", "--at", "22:13:20").out


def test_the_lines_of_a_basket_can_be_read_in_the_past_and_nothing_released(home: Home, tmp_path: Path) -> None:
    made = Lab(home.root, ledger=home.ledger)
    made.connect()
    lines = (co.BasketLine(line=2, spec=order("b", 10, "188.00", "").spec),)
    made.submit(co.StageBasket(source=ME, intent_id="ib", name="waits.csv", lines=lines, why="rebalance"))
    made.journal.close()
    made.latch.close()
    (tmp_path / "scratch").mkdir()
    past = Past(home.ledger, tmp_path / "scratch", lambda _: None)
    looked = asyncio.run(past.submit(co.LookAtBasket(source=ME, basket_id="B1")))
    assert [line.words for line in looked.lines] == ["buy 10 AAPL limit 188.00 day"]
    for command in (
        co.ReleaseBasket(source=ME, basket_id="B1", confirmed=frozenset()),
        co.DropBasket(source=ME, basket_id="B1"),
    ):
        assert asyncio.run(past.submit(command)).code == MODE
    assert [one.state for one in past.view().baskets] == ["staged"]
    past.close()
