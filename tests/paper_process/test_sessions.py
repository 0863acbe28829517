"""A day of the simulated market by a session plan, in a real venue process: before the open, the open, a pause, the close."""

import json
from pathlib import Path

import msgspec
import pytest

from brokers.paper.protocol import Ask, What
from brokers.paperbroker import ensure_venue
from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.errors import VenueError
from engine.domain.order import Side, Tif
from engine.market.feed import TradeTick
from engine.oms.broker_interface import Acked, Cancelled, CancelRefused, Filled, Rejected, WireOrder
from tests.paper_process.lab import Ear, Lab, market

PLAN = """
calendars: {DESK: {zone: America/New_York, open: "09:30", close: "09:40"}}
market: {AAPL: DESK, MSFT: DESK}
auctions: {open_call_s: 600, open_cut_off_s: 60, close_cut_off_s: 60}
"""
OPEN_NS, CLOSE_NS = parse_iso("2026-11-30T14:30:00Z"), parse_iso("2026-11-30T14:40:00Z")


def venue(home: Path, start_ns: int) -> Lab:
    (home / "sessions.yaml").write_text(PLAN, encoding="utf-8")
    bands = {"MSFT": {"pct": "0.02", "pause_s": 30}}
    (home / "bands.json").write_text(json.dumps(bands), encoding="utf-8")
    return Lab(home, "--no-latency", "--manual-clock", str(start_ns))


def for_auction(number: int, side: Side, qty: str, tif: Tif) -> WireOrder:
    made = market(number, side, qty)
    return msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, tif=tif))


def test_a_day_has_its_open_a_pause_and_its_close(tmp_path: Path) -> None:
    with venue(tmp_path, OPEN_NS - 900 * NS_PER_S) as lab, Ear(tmp_path) as ear:
        listed = {one.symbol: one.calendar for one in ear.broker.instruments()}
        assert (listed["AAPL"], listed["BTC-USD"]) == ("DESK", "24x7")
        ear.broker.send_new(for_auction(1, Side.BUY, "100", Tif.OPG))
        assert ear.wait(Rejected).code == "AUCTION_EARLY"
        lab.tick(OPEN_NS - 300 * NS_PER_S)
        opening = for_auction(2, Side.BUY, "100", Tif.OPG)
        ear.broker.send_new(opening)
        ear.wait(Acked)
        ear.broker.send_new(market(3, Side.BUY, "100"))
        assert ear.wait(Rejected, 2).code == "CLOSED"
        lab.tick(OPEN_NS - 30 * NS_PER_S)
        ear.broker.send_cancel(opening.wire_id, "")
        assert ear.wait(CancelRefused).code == "NO_CANCEL"
        assert not [tick for tick in ear.ticks if isinstance(tick, TradeTick) and tick.symbol == "AAPL"]
        lab.tick(OPEN_NS + NS_PER_S)
        done = ear.wait(Filled).fill
        assert (done.wire_id, str(done.qty), done.ts_ns) == (opening.wire_id, "100", OPEN_NS)
        pause_and_reopen(lab, ear)
        the_close(lab, ear)


def pause_and_reopen(lab: Lab, ear: Ear) -> None:
    """MSFT leaves its narrow band; what is sent meanwhile is kept, and done at the reopening's price."""

    def status() -> str:
        return lab.ask(Ask(id=1, what=What.STATUS, symbol="MSFT")).text

    now_ns = OPEN_NS + NS_PER_S
    while status() != "halted":
        now_ns += NS_PER_S
        assert now_ns < OPEN_NS + 120 * NS_PER_S
        lab.tick(now_ns)
    made = market(10, Side.BUY, "100", "MSFT")
    parked = msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, venue="SIMA"))
    ear.broker.send_new(parked)
    ear.wait(Acked, 2)
    lab.tick(now_ns + 28 * NS_PER_S)
    assert status() == "halted"
    lab.tick(now_ns + 31 * NS_PER_S)
    done = ear.wait(Filled, 2).fill
    assert done.wire_id == parked.wire_id
    assert now_ns + 28 * NS_PER_S < done.ts_ns <= now_ns + 31 * NS_PER_S

    def prints() -> list[TradeTick]:
        trades = [tick for tick in ear.ticks if isinstance(tick, TradeTick)]
        return [tick for tick in trades if (tick.symbol, tick.venue) == ("MSFT", "SIMA")]

    ear.until(lambda: any(tick.ts_ns >= done.ts_ns for tick in prints()), "the official print")
    assert not [tick for tick in prints() if now_ns < tick.ts_ns < done.ts_ns], "nobody trades in a pause"
    official = next(tick for tick in prints() if tick.ts_ns >= done.ts_ns)
    assert (official.ts_ns, official.price, official.qty) == (done.ts_ns, int(done.price * 100), 100)


def the_close(lab: Lab, ear: Ear) -> None:
    """Orders for the close come and go until the cut-off, and are done at the last print."""
    ear.broker.send_new(for_auction(4, Side.SELL, "100", Tif.CLS))
    ear.wait(Acked, 3)
    gone = for_auction(5, Side.SELL, "50", Tif.CLS)
    ear.broker.send_new(gone)
    ear.wait(Acked, 4)
    ear.broker.send_cancel(gone.wire_id, "")
    ear.wait(Cancelled)
    lab.tick(CLOSE_NS - 30 * NS_PER_S)
    ear.broker.send_new(for_auction(6, Side.SELL, "100", Tif.CLS))
    assert ear.wait(Rejected, 3).code == "CUT_OFF"
    lab.tick(CLOSE_NS + NS_PER_S)
    closed = ear.wait(Filled, 3).fill
    assert (str(closed.qty), closed.ts_ns) == ("100", CLOSE_NS)

    def closing() -> list[int]:
        trades = [tick for tick in ear.ticks if isinstance(tick, TradeTick)]
        return [tick.price for tick in trades if tick.symbol == "AAPL" and tick.ts_ns == CLOSE_NS - 1]

    ear.until(closing, "the closing print")
    assert int(closed.price * 100) in closing()


def test_a_wrong_plan_is_told_and_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "sessions.yaml").write_text("market: {TSLA: XNYS}", encoding="utf-8")
    with pytest.raises(VenueError, match="market names TSLA"):
        ensure_venue(tmp_path)
