"""The venue over recorded hours: the book is sound, we change nothing while we do nothing, and it is quick."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from brokers.paper.config import VenueConfig
from brokers.paper.matching import OrderListing
from brokers.paper.realism import realism_report
from brokers.paper.replay_broker import ReplayBroker
from engine.domain.clock import SimClock
from engine.domain.errors import VenueError
from engine.domain.events import encode
from engine.domain.money import Money, Price, Qty
from engine.domain.order import Liquidity, OrderSpec, OrderType, Side, Tif
from engine.market.feed import QuoteTick, TradeTick
from engine.market.fees import shipped_fees
from engine.market.replay import RecordedFile, open_recorded
from engine.market.rows import EXEC, HIDDEN
from engine.oms.broker_interface import BrokerEvent, ChannelChanged, Filled, Snapshot, WireOrder
from tests.shared_data import shared_file

SMALL = Path(__file__).resolve().parents[1] / "data" / "lobster_small.csv"
FILES = {"l3/aapl_20120621.csv.gz": 84, "l3/msft_20120621_0930_1000.csv.gz": 53}
CONFIG = VenueConfig(seed=7, cash={"USD": Money(1_000_000)}, fees=shipped_fees())


class Replay:
    """A broker over a recorded file, with an order of ours now and then."""

    def __init__(self, file: RecordedFile, *, every: int = 0) -> None:
        self.clock = SimClock(file.first_ns)
        self.broker = ReplayBroker(CONFIG, self.clock)
        self.events: list[BrokerEvent] = []
        self.quotes = self.prints = 0
        self.broker.start(self.events.append, self._tick)
        self.core = self.broker.core
        self.key = self.core.list_instrument(file.instrument, file.venues[0])
        self.symbol = file.instrument.symbol
        for key, row in file.feed():
            self.core.on_row(key, row)
            if every and row[6] % every == 0:
                self.clock.set_ns(row[0])
                self._order(row[6] // every)
        self.core.advance(file.last_ns + 10**10)
        self.core.check()

    def _tick(self, tick: object) -> None:
        self.quotes += isinstance(tick, QuoteTick)
        self.prints += isinstance(tick, TradeTick)

    def _order(self, number: int) -> None:
        listing = self.core.listings[self.key]
        instrument = listing.instrument
        side = (Side.BUY, Side.SELL)[number % 2]
        near = instrument.price_of(listing.bid if side is Side.BUY else listing.ask)
        limit = None if number % 5 == 0 else near
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        qty = Qty(100 + number % 7 * 50)
        spec = OrderSpec(symbol=self.symbol, side=side, qty=qty, type=kind, limit=limit, tif=Tif.DAY)
        self.broker.send_new(WireOrder(wire_id=f"W{number}", spec=spec))
        if number > 2:
            self.broker.send_cancel(f"W{number - 2}", "")


@pytest.mark.parametrize(("name", "unknown"), FILES.items())
def test_a_recorded_book_is_sound_and_quick(name: str, unknown: int) -> None:
    file = open_recorded(shared_file(name))
    before = time.process_time()
    replay = Replay(file)
    took = time.process_time() - before
    print(f"{name}: {file.rows / took:,.0f} rows/s, {replay.quotes} quotes, {replay.prints} prints")
    listing = replay.core.listings[replay.key]
    assert isinstance(listing, OrderListing)
    assert listing.book.unknown == unknown
    assert listing.crossed == 0
    assert listing.rows == file.rows
    assert replay.events == [replay.events[0]], "nothing but the connection"


@pytest.mark.parametrize("name", FILES)
def test_our_orders_take_nothing_twice_on_a_recorded_hour(name: str) -> None:
    file = open_recorded(shared_file(name))
    replay = Replay(file, every=150)
    volume = {row[6]: row[5] for _, row in file.feed() if row[1] in {EXEC, HIDDEN}}
    made: dict[int, int] = {}
    times = {row[6]: row[0] for _, row in file.feed()}
    fills = [event.fill for event in replay.events if isinstance(event, Filled)]
    for fill in fills:
        assert times[fill.tape_row] <= fill.ts_ns <= times.get(fill.tape_row + 1, fill.ts_ns)
        if fill.liquidity is Liquidity.MAKER:
            assert 0 < fill.rests_from_row < fill.tape_row
            if fill.tape_row in volume:
                made[fill.tape_row] = made.get(fill.tape_row, 0) + int(fill.qty)
    assert made, "some of our orders rested and were hit"
    assert all(qty <= volume[row] for row, qty in made.items())
    again = Replay(file, every=150)
    assert [encode(event) for event in again.events] == [encode(event) for event in replay.events]


def test_the_report_says_what_was_modelled() -> None:
    file = open_recorded(SMALL)
    replay = Replay(file, every=2)
    report = realism_report(replay.core, source="recorded", defaults=file.defaults, curve="flat: no volume curve")
    assert [effect.code for effect in report.effects] == [f"P{number:02d}" for number in range(1, 27)]
    states = {effect.code: effect.state for effect in report.effects}
    assert states["P01"] == states["P06"] == "on"
    assert states["P07"] == states["P09"] == "off"
    assert report.depth == "L3"
    assert report.guessed_share == "0.0"
    assert report.defaults == file.defaults
    assert "example rates" in next(effect.text for effect in report.effects if effect.code == "P08")
    assert any("rested before the feed began" in note for note in report.notes)
    assert "flat" in report.notes[-1]


def test_the_broker_answers_through_its_sink() -> None:
    replay = Replay(open_recorded(SMALL))
    assert isinstance(replay.events[0], ChannelChanged)
    assert [one.symbol for one in replay.broker.instruments()] == [replay.symbol]
    replay.clock.set_ns(replay.core.now_ns)
    replay.broker.query_state(3, 0)
    replay.core.advance(replay.core.now_ns + 10**10)
    assert isinstance(replay.events[-1], Snapshot)
    replay.broker.stop()
    replay.broker.query_order("W1")
    replay.core.advance(replay.core.now_ns + 10**10)
    assert isinstance(replay.events[-1], Snapshot), "a stopped broker hears nothing"


def test_a_session_works_in_standing_time() -> None:
    replay = Replay(open_recorded(SMALL))
    session = replay.broker.open_session()
    replay.clock.set_ns(replay.core.now_ns)
    spec = OrderSpec(symbol=replay.symbol, side=Side.BUY, qty=Qty(10), type=OrderType.LIMIT, limit=Price("9.50"))
    venue_order_id = session.place(WireOrder(wire_id="K1", spec=spec))
    assert [order.venue_order_id for order in session.open_orders()] == [venue_order_id]
    session.cancel(session.open_orders()[0])
    assert session.open_orders() == ()
    session.place(WireOrder(wire_id="K2", spec=spec))
    assert session.cancel_all()
    assert session.open_orders() == ()
    with pytest.raises(VenueError, match="was refused"):
        session.place(WireOrder(wire_id="K3", spec=OrderSpec(
            symbol=replay.symbol, side=Side.BUY, qty=Qty("0.5"), type=OrderType.MARKET)))  # fmt: skip
    bid, ask, age = session.quote(replay.symbol)
    assert (str(bid), str(ask)) == ("10", "10.02")
    assert age > 0
    assert session.status(replay.symbol) == "open"
    assert session.cash()["USD"] == Money(1_000_000)
    assert session.positions() == ()
    with pytest.raises(VenueError):
        session.quote("NONE")
    session.close()
    with pytest.raises(VenueError, match="closed"):
        session.positions()
