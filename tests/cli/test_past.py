"""The past of a ledger: the same desk and the same lists as of any instant, and nothing that could be sent from there."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bolt_tui.app import Desk
from bolt_tui.commands.exits import Exit
from bolt_tui.past import DAY_NS, MODE, Past, read_instant
from bolt_tui.past_market import LOOKBACK_NS
from bolt_tui.settings import Home, Settings
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, SimClock
from engine.domain.errors import SettingsError
from engine.domain.ledger_events import TapeAnchored
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side
from engine.market.feed import BookTick, MarketTick, QuoteTick, TradeTick
from engine.market.tape import chunk_path, write_chunk
from tests.cli.conftest import Ran
from tests.cli.test_stored import order
from tests.core.lab import ME, START_NS, Lab
from widgets.blotter import Blotter
from widgets.kill_banner import KillBanner
from widgets.past_banner import PastBanner
from widgets.status_bar import StatusBar

Bolt = Callable[..., Ran]
WHEN = {
    name: START_NS + at * NS_PER_S
    for name, at in {"before": 5, "works": 15, "filled": 25, "denied": 35, "halted": 45}.items()
}
"""Moments between the events of :func:`lab`, which come every ten seconds."""


@pytest.fixture
def lab(home: Home) -> Iterator[Lab]:
    """Connected at 0 s, an order at 10 s, filled at 20 s, one denied at 30 s, a halt at 40 s. START is 22:13:20 UTC."""
    made = Lab(home.root, ledger=home.ledger)
    made.connect()
    made.pass_time(10)
    made.submit(order("first", 100, "189.02", "b 100 AAPL @take"))
    wire_id = made.broker.sent[0].wire_id
    made.answer(made.ack(wire_id))
    made.pass_time(10)
    made.answer(made.fill(wire_id, 100, "k1"))
    made.pass_time(10)
    made.submit(order("denied", 900_000, "188.50", "b 900k AAPL @188.50"))
    made.pass_time(10)
    made.submit(co.Halt(source=ME, why="enough"))
    yield made
    made.journal.close()
    made.latch.close()


@pytest.fixture
def past(lab: Lab, home: Home, tmp_path: Path) -> Iterator[Past]:
    del lab
    (tmp_path / "scratch").mkdir()
    halts: list[str] = []
    made = Past(home.ledger, tmp_path / "scratch", halts.append)
    made.halts = halts  # type: ignore[attr-defined]
    yield made
    made.close()


def tick_line(tick: MarketTick) -> bytes:
    return msgspec.json.encode(["tick", 1, tick.ts_ns, tick])


@pytest.fixture
def taped(lab: Lab, home: Home, tmp_path: Path) -> Iterator[Past]:
    """The same past with a tape: a quote and a book at 12 s, a print at 14 s, another quote at 22 s; a chunk that is lost."""
    at = [START_NS + second * NS_PER_S for second in (12, 14, 22)]
    ticks: list[MarketTick] = [
        QuoteTick("AAPL", "XSIM", at[0], 1, 18_900, 500, 18_902, 400),
        BookTick("AAPL", "XSIM", at[0], 2, ((18_900, 500), (18_899, 700)), ((18_902, 400),)),
        TradeTick("AAPL", "XSIM", at[1], 3, 18_901, 30, "B"),
        QuoteTick("AAPL", "XSIM", at[2], 4, 18_950, 500, 18_952, 400),
    ]
    name = "tape/20231114/000001"
    digest = write_chunk(chunk_path(home.root / "tape", name), [tick_line(tick) for tick in ticks])
    lab.engine.record(TapeAnchored(name=name, sha256=digest, rows=len(ticks)))
    lab.pass_time(1)
    (tmp_path / "scratch").mkdir()
    made = Past(home.ledger, tmp_path / "scratch", lambda _: None, home.root / "tape")
    yield made
    made.close()


def test_prices_of_the_instant_come_from_the_tape(taped: Past) -> None:
    taped.go_to(WHEN["before"])
    assert (taped.view().quotes, taped.view().books) == ((), ())
    assert "no prices on the tape around it" in taped.missing()
    taped.go_to(WHEN["works"])
    view = taped.view()
    assert [(str(row.bid), str(row.ask), str(row.last)) for row in view.quotes] == [("189", "189.02", "189.01")]
    assert [len(book.bids) for book in view.books] == [2]
    assert [bar.volume for bar in view.bars] == [30]
    assert taped.missing() == ""
    taped.go_to(WHEN["filled"])
    assert [str(row.mark) for row in taped.view().positions] == ["189.5"], "a position has the mark of the instant"
    taped.go_to(WHEN["works"])
    assert [str(row.bid) for row in taped.view().quotes] == ["189"], "going back takes later prices away"


def test_prices_that_are_older_than_the_look_back_are_not_shown(taped: Past) -> None:
    taped.go_to(taped.ts_ns)
    taped._market.show(taped._engine.market, START_NS + 23 * NS_PER_S + LOOKBACK_NS)
    assert taped._engine.market.quote("AAPL") is None


def test_a_tape_that_was_changed_is_said_and_not_shown(taped: Past, home: Home) -> None:
    chunk = chunk_path(home.root / "tape", "tape/20231114/000001")
    chunk.write_bytes(gzip.compress(tick_line(QuoteTick("AAPL", "XSIM", START_NS, 1, 1, 1, 2, 1))))
    taped.go_to(WHEN["works"])
    assert taped.view().quotes == ()
    assert "is not the chunk whose hash the journal holds" in taped.missing()


def test_the_chunk_that_is_being_filled_is_shown_and_said_to_be_unproven(
    taped: Past, home: Home, tmp_path: Path
) -> None:
    ticks: list[MarketTick] = [
        QuoteTick("AAPL", "XSIM", START_NS + second * NS_PER_S, 9, 19_000 + second, 500, 19_002 + second, 400)
        for second in (36, 38)
    ]
    spill = home.root / "tape" / "20231114" / "000002.open"
    spill.write_bytes(b"\n".join([*map(tick_line, ticks), b'["tick",1,']))
    made = Past(home.ledger, tmp_path / "scratch", lambda _: None, home.root / "tape")
    made.go_to(WHEN["denied"])
    assert ([str(row.bid) for row in made.view().quotes], made.missing()) == (["189.5"], ""), "nothing of it yet"
    made.go_to(START_NS + 37 * NS_PER_S)
    assert [str(row.bid) for row in made.view().quotes] == ["190.36"]
    assert made.missing() == "prices from 22:13:56.000 on are of the open chunk of the tape, which no hash proves yet"
    made.close()


def test_prices_after_fills_come_from_the_tape_as_of_the_instant(
    taped: Past, past_tca: Callable[[str], list[str]]
) -> None:
    """The fill of 20 s at 189.02; on the tape stands 189.01 before it, and 189.51 from 22 s on."""
    assert past_tca("22:13:45") == ["-0.529", "-0.529", "later", "later"]
    assert past_tca("22:13:52") == ["-0.529", "-0.529", "-", "later"], "nothing was recorded after 22 s"
    taped.measure(60)
    taped.go_to(WHEN["filled"])
    (cost,) = taped.view().costs
    assert [str(item.bp) for item in cost.markouts] == ["-0.529", "-0.529", "None", "None"]
    taped.go_to(WHEN["works"])
    assert [cost.markouts for cost in taped.view().costs] == [()]


@pytest.fixture
def past_tca(bolt: Bolt) -> Callable[[str], list[str]]:
    def after(at: str) -> list[str]:
        (row,) = csv.DictReader(io.StringIO(bolt("tca", "--at", at, "--csv").out))
        return [word.partition(":")[2] for word in row["after bp"].split()]

    return after


def test_without_a_tape_prices_after_fills_are_said_to_be_none(bolt: Bolt, lab: Lab) -> None:
    del lab
    (row,) = csv.DictReader(io.StringIO(bolt("tca", "--at", "22:13:45", "--csv").out))
    assert row["after bp"] == "no tape"


def test_a_minute_back_is_a_minute_where_nothing_happened_in_it(
    past: Past, lab: Lab, home: Home, tmp_path: Path
) -> None:
    del past
    lab.pass_time(600)
    lab.quote(18_900, 18_902)
    lab.submit(co.Halt(source=ME, why="again"))
    lab.pass_time(1)
    made = Past(home.ledger, tmp_path / "scratch", lambda _: None)
    made.go_to(made.ts_ns - 20 * NS_PER_S)
    at = made.ts_ns
    made.move(-60)
    made.move(-60)
    assert at - made.ts_ns == 120 * NS_PER_S
    made.move(60)
    assert at - made.ts_ns == 60 * NS_PER_S
    made.close()


def test_prices_of_an_instant_are_listed_from_the_tape(taped: Past, bolt: Bolt) -> None:
    del taped
    ran = bolt("watch", "AAPL", "--at", "22:13:35", "--json")
    assert [row["bid"] for row in ran.json["quotes"]] == ["189"]
    assert (ran.json["read_from"], ran.json["engine"]) == ("ledger", "past")
    ladder = bolt("book", "aapl", "--at", "22:13:35")
    assert ladder.out.startswith("FROM THE LEDGER, the past as of 2023-11-14T22:13:35Z")
    assert "189.02" in ladder.out
    gone = bolt("book", "AAPL", "--at", "22:13:25")
    assert (gone.code, gone.err.splitlines()[0]) == (Exit.USAGE, "bolt: no prices on the tape around it")
    assert "no book of AAPL is on the tape then" in gone.err
    assert "--at shows those of an instant" in bolt("watch").err


def states(past: Past) -> dict[str, str]:
    return {row.order_id: row.state.value for row in past.view().orders}


def test_orders_positions_and_limits_are_those_of_the_instant(past: Past) -> None:
    past.go_to(WHEN["before"])
    assert (states(past), past.view().positions) == ({}, ())
    past.go_to(WHEN["works"])
    assert states(past) == {"P1": "new", "C2": "new"}
    past.go_to(WHEN["filled"])
    assert states(past) == {"P1": "filled", "C2": "filled"}
    assert [str(row.qty) for row in past.view().positions] == ["100"]
    past.go_to(WHEN["denied"])
    denied = past.view().orders[-1]
    assert (denied.state.value, denied.denials[0].code) == ("denied", "SOURCE_NOTIONAL")
    assert denied.denials[0].policy_line.startswith("policy.yaml:")
    assert past.view().status.halt.state == "active"
    past.go_to(WHEN["halted"])
    assert (past.view().status.halt.state, past.view().status.halt.why) == ("halted", "enough")
    assert past.view().status.policy_hash
    past.go_to(WHEN["works"])
    assert states(past) == {"P1": "new", "C2": "new"}, "going back is the same as coming there first"


def test_it_is_what_the_engine_itself_showed_at_its_end(past: Past, lab: Lab) -> None:
    then, now = past.view(), lab.engine.view()
    assert [row.order_id for row in then.orders] == [row.order_id for row in now.orders]
    plain = [msgspec.structs.replace(row, stale=False, note="") for row in now.orders]
    assert [msgspec.structs.replace(row, stale=False, note="") for row in then.orders] == plain
    assert then.log == now.log
    assert then.fills == now.fills
    assert [row.qty for row in then.positions] == [row.qty for row in now.positions]
    assert then.status.mode == MODE


def test_steps_go_line_by_line_and_stay_at_the_ends(past: Past) -> None:
    # What one row of the journal says is one instant, however many lines it has.
    lines = list(dict.fromkeys(line.seq for line in past.view().log))
    assert len(lines) < len(past.view().log)
    seen = []
    for _ in lines:
        past.step(-1)
        seen.append(past.view().log[-1].seq)
    assert seen == [*lines[:-1][::-1], lines[0]]
    past.step(3)
    assert past.view().log[-1].seq == lines[3]
    past.step(10_000)
    assert past.seq == past.last_seq
    past.move(-20)
    assert past.ts_ns == past.view().status.ts_ns


def test_nothing_can_be_sent_and_the_halt_key_halts_what_runs_now(past: Past) -> None:
    spec = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(1), type=OrderType.LIMIT, limit=Price(1))
    for command in (
        co.NewOrder(source=ME, intent_id="i", spec=spec, why=""),
        co.CancelAll(source=ME),
        co.Halt(source=ME),
    ):
        result = asyncio.run(past.submit(command))
        assert (result.ok, result.code) == (False, "PAST")
        assert "nothing can be sent" in result.text
    past.halt_now("anna")
    assert past.halts == ["anna"]  # type: ignore[attr-defined]


def test_the_desk_over_the_past_says_so_and_scrubs(past: Past) -> None:
    past.go_to(WHEN["filled"])

    async def run() -> None:
        app = Desk(past, Settings(), is_ours=False, clock=SimClock(START_NS + 3600 * NS_PER_S))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            banner = app.query_one(PastBanner)
            assert banner.display
            assert "THE PAST: 2023-11-14T22:13:45Z" in str(banner.render())
            assert "NOTHING CAN BE SENT" in str(banner.render())
            assert str(app.query_one(StatusBar).render()).startswith(" PAST ")
            assert "[ and ] go a line" in app.said
            await pilot.press("ctrl+g")
            assert "the past shown here does not change" in app.said
            assert not app.query_one(KillBanner).display
            before = past.seq
            await pilot.press("left_square_bracket")
            assert past.seq < before
            await pilot.press("right_square_bracket", "right_curly_bracket")
            assert past.seq == past.last_seq
            past.go_to(START_NS)
            app.draw_anew()
            await pilot.pause()
            panel = app.query_one(Blotter)
            assert not panel.rows
            assert "no orders at this instant" in panel.render_line(1).text
            await pilot.press("b", *"1", "space", *"AAPL", "space", "at", "1", "enter")
            await pilot.pause()
            await pilot.press("escape", "escape", "down", "x", "X", "X")
            await pilot.pause()

    asyncio.run(run())


def test_a_preview_in_the_past_measures_the_quote_by_the_instant(taped: Past) -> None:
    """The wall clock made every price of the past hours old."""
    taped.go_to(WHEN["works"])

    async def run() -> None:
        app = Desk(taped, Settings(), is_ours=False, clock=SimClock(START_NS + 3600 * NS_PER_S))
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.pause()
            await pilot.press("b", *"1", "space", *"AAPL", "space", "at", *"189", "enter")
            await pilot.pause()
            live = app.screen.query_one("#preview-live")
            assert "quote now 189.00 / 189.02, STALE 3.0s" in str(live.render())
            await pilot.press("escape")

    asyncio.run(run())


def test_lists_take_an_instant(bolt: Bolt, lab: Lab) -> None:
    lab.journal.close()
    ran = bolt("orders", "--all", "--at", "22:13:35", "--json").json
    assert {row["order_id"]: row["state"] for row in ran["orders"]} == {"P1": "new", "C2": "new"}
    assert (ran["read_from"], ran["engine"]) == ("ledger", "past")
    said = bolt("positions", "--at", "22:13:45").out
    assert said.startswith("FROM THE LEDGER, the past as of 2023-11-14T22:13:4")
    assert "AAPL" in said
    assert bolt("blotter", "--at", "22:13:55", "--csv").out.count("\n") == 5
    assert "FILL" not in bolt("log", "--at", "22:13:31").out


def test_an_instant_before_the_ledger_and_words_that_are_none_are_refused(bolt: Bolt, lab: Lab, home: Home) -> None:
    del lab
    early = bolt("orders", "--at", "2020-01-01T00:00:00")
    assert early.code == Exit.USAGE
    assert "the first row" in early.err
    assert bolt("orders", "--at", "noon").code == Exit.USAGE
    assert bolt("orders", "--ledger", str(home.root / "none.db")).code == Exit.STORE
    assert bolt("log", "--follow", "--at", "22:13:35").code == Exit.USAGE


@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("22:13:20", 0),
        ("22:13", -20),
        ("2023-11-14T22:13:20Z", 0),
        ("23:00:00", 2_800 - 86_400),
        ("22:13:10", -10),
    ],
)
def test_an_instant_is_the_last_one_before_the_ledgers_end(words: str, at: int) -> None:
    end_ns = START_NS + 60 * NS_PER_S
    assert read_instant(words, START_NS - 2 * DAY_NS, end_ns) == START_NS + at * NS_PER_S
    today = read_instant("23:00:00", START_NS, end_ns)
    assert today == START_NS + 2_800 * NS_PER_S, "a day earlier there was no ledger"


def test_an_engine_that_goes_on_can_be_looked_at_up_to_now(past: Past, home: Home, lab: Lab, tmp_path: Path) -> None:
    now = SimClock(past.ts_ns + 7 * NS_PER_S)
    made = Past(home.ledger, tmp_path / "scratch", lambda _: None, None, now)
    made.go_to(past.ts_ns + 5 * NS_PER_S)
    assert made.ts_ns == past.ts_ns + 5 * NS_PER_S, "this process holds the ledger: its tape goes on"
    made.go_to(past.ts_ns + 9 * NS_PER_S)
    assert made.ts_ns == now.now_ns()
    lab.journal.close()
    ended = Past(home.ledger, tmp_path / "scratch", lambda _: None, None, now)
    ended.go_to(past.ts_ns + 5 * NS_PER_S)
    assert ended.ts_ns == past.ts_ns
    for one in (made, ended):
        one.close()


def test_an_instant_that_is_none_is_named() -> None:
    with pytest.raises(SettingsError, match="--at was '25:00'"):
        read_instant("25:00", START_NS, START_NS)


def test_a_reader_of_the_tape_that_dies_leaves_the_past_to_be_looked_at(taped: Past) -> None:
    """The desk looks several times a second: it must not end over figures that are missing."""
    taped.measure()
    assert taped._reader is not None
    taped._reader._process.kill()
    taped._reader.wait(10)
    view = taped.view()
    assert view.orders
    assert "could not be read" in taped.missing()
    assert taped.view() is view, "said again, read no more"
