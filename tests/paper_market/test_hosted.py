"""Market, matching and memory together, without a process: what is written down is what comes back."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec

from brokers.paper.bands import Band
from brokers.paper.config import VenueConfig, VenueState
from brokers.paper.hosted import HostedVenue
from brokers.paper.house_file import House
from brokers.paper.latency import NO_LATENCY
from brokers.paper.listings import LISTINGS
from brokers.paper.market import Levels, SimulatedMarket
from brokers.paper.venue_log import VenueLog
from engine.domain.clock import NS_PER_S
from engine.domain.events import encode
from engine.domain.ids import wire_id
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Tif
from engine.market.fees import shipped_fees
from engine.oms.broker_interface import BrokerEvent, Filled, Rejected, WireOrder

START_NS = 1_790_000_000 * NS_PER_S
CONFIG = VenueConfig(seed=7, latency=NO_LATENCY, fees=shipped_fees(), cash={"USD": Money(10_000_000)})
CALM = tuple(
    msgspec.structs.replace(one, vol=0, beta_pct=0) for one in LISTINGS if one.instrument.symbol in {"AAPL", "BTC-USD"}
)


class Host:
    """A hosted venue and what it reported."""

    def __init__(
        self, folder: Path, start_ns: int = START_NS, bytes_max: int = 1 << 25, config: VenueConfig = CONFIG
    ) -> None:
        self.events: list[BrokerEvent] = []
        self.log = VenueLog(folder / "venue.log", bytes_max)
        self.now_ns = start_ns
        self.venue = HostedVenue(config, self._market, self.log, start_ns, self._report, lambda _: None)

    def _market(self, start_ns: int, levels: Levels | None) -> SimulatedMarket:
        return SimulatedMarket(7, start_ns, CALM, levels)

    def _report(self, account: str, event: BrokerEvent) -> None:
        self.events.append(event)

    def order(self, number: int, side: Side, qty: str, price: str = "", symbol: str = "AAPL") -> None:
        spec = OrderSpec(
            symbol=symbol,
            side=side,
            qty=Qty(qty),
            type=OrderType.LIMIT if price else OrderType.MARKET,
            limit=Price(price) if price else None,
            tif=Tif.GTC if price else Tif.IOC,
        )
        self.venue.submit_new(self.now_ns, "PAPER", WireOrder(wire_id=wire_id("HOSTS", number), spec=spec))

    def run(self, seconds: int, steps: int = 1) -> None:
        for _ in range(steps):
            self.now_ns += seconds * NS_PER_S // steps
            self.venue.advance(self.now_ns)
            self.venue.commit()

    def bid(self) -> int:
        quote = self.venue.core.quote("AAPL", "SIMA")
        assert quote is not None
        return quote.bid


def settled(state: VenueState) -> bytes:
    """A state without what a restart may change: places in queues and the time."""
    orders = sorted(
        (msgspec.structs.replace(order, rests_from=0, is_resting=False, seq=0) for order in state.orders),
        key=lambda order: order.wire_id,
    )
    return encode(msgspec.structs.replace(state, now_ns=0, orders=tuple(orders)))


def test_a_venue_comes_back_as_it_was(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.run(2)
    for number in range(1, 60):
        side = Side.BUY if number % 2 else Side.SELL
        match number % 4:
            case 0:
                host.order(number, side, "150")
            case 1:
                host.order(number, side, "100", "189.30")
            case 2:
                host.order(number, side, "0.05", symbol="BTC-USD")
            case _:
                host.order(number, side, "100", "189.3055")
        if number % 7 == 0:
            host.venue.submit_cancel(host.now_ns, "PAPER", wire_id("HOSTS", number - 2), "")
        if number % 9 == 0:
            host.venue.submit_amend(host.now_ns, "PAPER", wire_id("HOSTS", number - 4), Qty(50), Price("189.31"), None)
        host.run(1, steps=3)
    before = host.venue.core.state()
    assert before.counters.fills > 20
    assert before.counters.rejected > 5
    host.log.close()
    again = Host(tmp_path, host.now_ns + NS_PER_S)
    assert settled(again.venue.core.state()) == settled(before)
    again.venue.core.check()
    again.log.close()


def test_resting_orders_return_behind_what_is_there(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.run(2)
    host.order(1, Side.BUY, "100", "189.30")
    host.run(1)
    host.log.close()
    again = Host(tmp_path, host.now_ns + NS_PER_S)
    (order,) = again.venue.core.state().orders
    assert order.is_resting
    assert order.rests_from > host.venue.market.row, "the rows of the new opening book stand before it"
    again.log.close()


def test_taking_moves_the_market_and_the_next_epoch_knows(tmp_path: Path) -> None:
    """Without impact a strategy could buy for ever at one price."""
    host = Host(tmp_path)
    host.run(2)
    before = host.bid()
    for number in range(1, 41):
        host.order(number, Side.BUY, "1000")
        host.run(1)
    struck = host.bid()
    assert struck > before + 20
    host.log.close()
    again = Host(tmp_path, host.now_ns + NS_PER_S)
    assert before + 10 < again.bid() <= struck
    again.log.close()


def test_fills_of_the_return_are_remembered_once(tmp_path: Path) -> None:
    """An order that comes back into a market that has moved fills at once."""
    host = Host(tmp_path)
    host.run(2)
    for number in range(1, 41):
        host.order(number, Side.BUY, "1000")
        host.run(1)
    quote = host.venue.core.quote("AAPL", "SIMA")
    assert quote is not None
    listed = host.venue.core.listing("AAPL", "SIMA").instrument
    host.order(41, Side.BUY, "5000", str(listed.price_of(quote.bid)))
    host.run(1)
    before = host.venue.core.fills_since("PAPER", 0)
    host.log.close()
    again = Host(tmp_path, host.now_ns + NS_PER_S)
    again.order(42, Side.BUY, "10", "189.30")
    again.run(1)
    fills = again.venue.core.fills_since("PAPER", 0)
    assert len(fills) > len(before), "it filled on its return"
    again.log.close()
    third = Host(tmp_path, again.now_ns + NS_PER_S)
    keys = [fill.fill_key for fill in third.venue.core.fills_since("PAPER", 0)]
    assert len(set(keys)) == len(keys) >= len(fills)
    third.log.close()


def test_a_long_log_is_folded_while_it_runs(tmp_path: Path) -> None:
    host = Host(tmp_path, bytes_max=20_000)
    sizes = []
    for number in range(1, 200):
        host.order(number, Side.BUY, "10", "189.30")
        host.run(1)
        host.venue.submit_cancel(host.now_ns, "PAPER", wire_id("HOSTS", number), "")
        host.run(1)
        sizes.append((tmp_path / "venue.log").stat().st_size)
    assert any(later < earlier for earlier, later in pairwise(sizes)), "it was never folded"
    before = host.venue.core.state()
    host.log.close()
    again = Host(tmp_path, host.now_ns + NS_PER_S)
    assert settled(again.venue.core.state()) == settled(before)
    again.log.close()


def test_same_seed_and_orders_give_the_same_fills(tmp_path: Path) -> None:
    seen = []
    for name, steps in (("one", 1), ("two", 16)):
        folder = tmp_path / name
        folder.mkdir()
        host = Host(folder)
        for number in range(1, 30):
            host.order(number, Side.BUY if number % 3 else Side.SELL, "300", "189.40" if number % 2 else "")
            host.run(2, steps=steps)
        seen.append([event for event in host.events if isinstance(event, Filled)])
        host.log.close()
    assert len(seen[0]) > 10
    assert seen[0] == seen[1], "however finely time is cut"


def test_a_killed_venue_still_counts_what_was_sent(tmp_path: Path) -> None:
    """Ten messages a second are zerodha's: a restart within that second gives nobody ten more."""
    config = msgspec.structs.replace(CONFIG, house=House(name="kite", profile="zerodha"))
    host = Host(tmp_path, config=config)
    host.run(2)
    for number in range(1, 9):
        host.order(number, Side.BUY, "100", "100.00")
    host.run(0)
    host.log.close()
    again = Host(tmp_path, host.now_ns, config=config)
    for number in range(9, 13):
        again.order(number, Side.BUY, "100", "100.00")
    again.run(0)
    codes = [event.code for event in again.events if isinstance(event, Rejected)]
    assert codes == ["NetworkException 429"] * 2
    again.log.close()
    third = Host(tmp_path, again.now_ns + NS_PER_S, config=config)
    third.order(13, Side.BUY, "100", "100.00")
    third.run(0)
    assert not [event for event in third.events if isinstance(event, Rejected)], "the second is over"
    third.log.close()


def test_a_killed_venue_comes_back_paused_and_quiet(tmp_path: Path) -> None:
    bands = {"AAPL": Band(pct=Decimal("0.005"), pause_s=120)}
    config = msgspec.structs.replace(CONFIG, bands=bands)
    host = Host(tmp_path, config=config)
    while host.venue.core.status("AAPL", "SIMA") != "halted":
        host.run(1)
    host.order(1, Side.BUY, "100", "189.30")
    host.run(5)
    assert not [event for event in host.events if isinstance(event, Filled)]
    reference, paused = host.venue.core.bands.state().reference, host.venue.core.bands.state().paused
    host.log.close()
    again = Host(tmp_path, host.now_ns + NS_PER_S, config=config)
    assert again.venue.core.status("AAPL", "SIMA") == "halted"
    assert again.venue.core.bands.state().reference == reference
    assert again.venue.core.bands.state().paused == paused
    prints = again.venue.core.listing("AAPL", "SIMA").prints
    again.run(20)
    assert again.venue.core.listing("AAPL", "SIMA").prints == prints
    again.run(120)
    assert again.venue.core.listing("AAPL", "SIMA").prints > prints
    assert len(again.venue.open_orders("PAPER")) == 1, "what was parked stands"
    again.log.close()
