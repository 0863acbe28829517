"""A day of a real engine and venue is decided again from tape and journal, byte for byte."""

from __future__ import annotations

import gzip
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bolt_tui.launch import _children, start_engine
from bolt_tui.redecide import redecide
from bolt_tui.settings import Home, ensure_policy
from brokers.paperbroker import stop_venue
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.events import AlertRaised
from engine.risk.latch import Latch
from engine.store.journal import Journal
from tests.cli.conftest import bolt, home  # noqa: F401 - fixtures
from tests.cli.test_live import Bolt, end_child, rest_an_order, status, wait_for_market
from tests.server.fakes import until


@pytest.fixture
def live(home: Home) -> Iterator[Home]:  # noqa: F811 - the fixture of that name
    """A folder with a running engine; afterwards neither engine nor venue is left."""
    ensure_policy(home)
    assert start_engine(home)
    yield home
    while _children:
        end_child()
    stop_venue(home.root)


STRATEGY = """
from __future__ import annotations
from engine.intake.strategy_base import Strategy

class {name}(Strategy):
    symbol: str
    size: int = 5
    wants_ticks = False

    def symbols(self) -> tuple[str, ...]:
        return (self.symbol,)
"""


def trade(bolt: Bolt, home: Home) -> None:  # noqa: F811 - as above
    """Some of everything: fills, a resting order, an amend, a refusal, a schedule, a halt."""
    wait_for_market(home)
    assert bolt("order", "b 10 AAPL @take", "--wait", "15").code == 0
    resting = rest_an_order(bolt)
    assert bolt("order", "b 900000 MSFT @mkt").code == 1
    assert bolt("order", "b 40 MSFT twap 1m").code == 0
    assert bolt("cancel", resting).code == 0
    assert bolt("kill", "--why", "a drill of ours").code == 0
    assert status(bolt)["orders_working"] == 0


def chunks(home: Home) -> list[Path]:  # noqa: F811 - as above
    return sorted(home.tape.glob("*/*.jsonl.gz"))


def test_a_day_is_decided_again_and_a_change_of_the_tape_is_found(bolt: Bolt, live: Home, tmp_path: Path) -> None:  # noqa: F811 - as above
    trade(bolt, live)
    assert bolt("stop", "--cancel").code == 0
    proof = bolt("ledger", "verify", "--json").json
    assert proof["ok"]
    assert "chunks of the tape are whole" in proof["text"]
    again = bolt("replay", "--ledger", str(live.ledger), "--json")
    told = again.json
    assert told["ok"], told["sessions"]
    (session,) = told["sessions"]
    assert session["rows"] == proof["rows"] - 1, "every row behind the first one"
    assert session["inputs"] > 50  # how many ticks come meanwhile is the machine's affair
    kinds = {json.loads(line)[0] for path in chunks(live) for line in gzip.decompress(path.read_bytes()).splitlines()}
    assert {"start", "tick", "broker", "time", "release", "command"} <= kinds
    out = tmp_path / "aapl.csv.gz"
    day = chunks(live)[0].parent.name
    assert bolt("tape", "export", day, "AAPL", "--out", str(out)).code == 0
    assert "quotes, trades and levels" in bolt("data", "inspect", str(out)).out

    spoiled = chunks(live)[0]
    rows = gzip.decompress(spoiled.read_bytes()).splitlines()
    spoiled.write_bytes(gzip.compress(b"\n".join([*rows[:-20], b""])))
    torn = bolt("ledger", "verify", "--json")
    assert (torn.code, torn.json["ok"]) == (6, False)
    assert "is not the chunk whose hash the journal holds" in torn.json["findings"][0]
    ran = bolt("replay", "--ledger", str(live.ledger))
    assert ran.code == 1
    assert "NOT PROVEN" in ran.out
    spoiled.unlink()
    assert "is missing" in bolt("ledger", "verify").out


def test_a_killed_engine_leaves_a_tape_that_proves_what_it_holds(bolt: Bolt, live: Home, tmp_path: Path) -> None:  # noqa: F811 - as above
    wait_for_market(live)
    assert bolt("order", "b 10 AAPL @take", "--wait", "15").code == 0
    until(lambda: any(part.stat().st_size for part in live.tape.glob("*/*.open")), "the tape of the first second")
    _children[-1].send_signal(signal.SIGKILL)
    end_child()
    mine = live.strategies / "mine.py"
    mine.write_text(STRATEGY.format(name="Mine"))
    assert start_engine(live)
    wait_for_market(live)
    assert bolt("strategy", "on", "Mine", "symbol=AAPL").code == 0
    assert bolt("strategy", "on", "Later", "symbol=AAPL").code == 1
    until(lambda: any(part.stat().st_size for part in live.tape.glob("*/*.open")), "the tape of its first second")
    early = bolt("replay", "--ledger", str(live.ledger))
    assert (early.code, early.out.count("NOT OVER: the session is still running (engine process ")) == (1, 1)
    assert "killed" not in early.out.splitlines()[-1], "the engine that runs was not killed"
    other = Latch.attach(live.latch)
    other.trip(HaltScope(HaltScopeKind.SYMBOL, "AAPL"))  # by a process that leaves no word beside it
    assert bolt("order", "b 10 AAPL @take").code == 5
    assert bolt("order", "b 10 MSFT @take", "--wait", "15").code == 0
    other.shut()
    assert bolt("order", "b 10 MSFT @take").code == 5
    other.close()
    assert bolt("stop", "--cancel").code == 0
    assert bolt("ledger", "verify").code == 0
    (live.strategies / "later.py").write_text(STRATEGY.format(name="Later"))  # the start that was refused then stays so
    told = bolt("replay", "--ledger", str(live.ledger), "--json").json
    killed, after = told["sessions"]
    assert after["is_proven"], told
    assert killed["rows"] > 3, "the chunk that was open is proven too, up to its last second"
    journal = Journal.open(live.ledger, 0, lambda: "", "USD")
    journal.append(
        max(row.ts_ns for row in journal.read()),
        AlertRaised(severity="info", code="LATER", text="behind the closed tape"),
    )
    journal.commit()
    journal.close()
    for holder, word in ((77, "still running (engine process 77), and "), (0, "an engine that was killed")):
        (tmp_path / word[:3]).mkdir()
        last = redecide(live.ledger, live.tape, tmp_path / word[:3], holder)[-1]
        assert (last.is_running, last.is_proven, word in last.text) == (bool(holder), False, True), last
    mine.write_text(STRATEGY.format(name="Other"))
    _, other_code = bolt("replay", "--ledger", str(live.ledger), "--json").json["sessions"]
    assert other_code["text"].endswith("; strategy file mine.py is another now: put back the one of then")
    mine.unlink()
    _, no_code = bolt("replay", "--ledger", str(live.ledger), "--json").json["sessions"]
    assert "strategy file mine.py is not there now" in no_code["text"]
    assert "missing" in killed["text"] or "were not made again" in killed["text"] or killed["is_proven"], told


def test_a_ledger_without_a_tape_says_so(bolt: Bolt, home: Home) -> None:  # noqa: F811 - as above
    home.settings.write_text("tape: {record: false}\n")
    ensure_policy(home)
    assert start_engine(home)
    try:
        wait_for_market(home)
        assert bolt("stop", "--cancel").code == 0
    finally:
        end_child()
        stop_venue(home.root)
    assert not home.tape.exists()
    ran = bolt("replay", "--ledger", str(home.ledger))
    assert ran.code == 2
    assert "was recorded on a tape" in ran.err
    assert "give FILE to trade against" in bolt("replay").err
