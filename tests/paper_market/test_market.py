"""The simulated market: the same rows for the same seed, books that are never crossed, flow and prices within bounds."""

from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from brokers.paper.listings import LISTINGS, Listing
from brokers.paper.market import ORDERS_MAX, ORDERS_MIN, SimulatedMarket, curve_pct, exponential
from engine.domain.clock import NS_PER_S
from engine.domain.ids import Random
from engine.market.book import OrderBook
from engine.market.calendar import SessionTable
from engine.market.rows import ADD, DELETE, EXEC, HALT, HIDDEN, REDUCE, RESUME, Row

START_NS = 1_790_000_000 * NS_PER_S
HOUR_NS = 3_600 * NS_PER_S


class Watcher:
    """Keeps the books as a venue would, and checks each row as it comes."""

    def __init__(self) -> None:
        self.books: dict[str, OrderBook] = {}
        self.counts: Counter[tuple[str, int]] = Counter()
        self.row = 0
        self.ts_ns = 0

    def __call__(self, key: str, row: Row) -> None:
        ts_ns, action, side, order_id, price, qty, number = row
        assert number == self.row + 1, "rows are numbered without a gap"
        assert ts_ns >= self.ts_ns, "time never runs backwards"
        self.row, self.ts_ns = number, ts_ns
        self.counts[key, action] += 1
        assert price > 0
        assert qty > 0
        book = self.books.setdefault(key, OrderBook())
        if action == ADD:
            assert side in {1, -1}
            book.add(order_id, side, price, qty, number)
        elif action != HIDDEN:
            entry = book.find(action, side, order_id, price, qty, number)
            assert entry is not None, "every row names an order that was announced"
            if action == EXEC:
                assert price == book.side(side).best(), "the best price trades first"
                assert next(iter(book.side(side).levels[price].queue)) == order_id, "and the oldest order there"
                book.execute(order_id, entry, qty)
            elif action == REDUCE:
                book.reduce(order_id, entry, qty)
            else:
                book.delete(order_id, entry, qty)

    def check_books(self) -> None:
        best: dict[str, list[tuple[int, int]]] = {}
        for key, book in self.books.items():
            bid, ask = book.bids.best(), book.asks.best()
            assert 0 < bid < ask, f"{key} is crossed or empty: {bid} / {ask}"
            assert ORDERS_MIN // 2 <= len(book.orders) <= 2 * ORDERS_MAX
            best.setdefault(key.partition("@")[0], []).append((bid, ask))
        for symbol, quotes in best.items():
            assert max(bid for bid, _ in quotes) < min(ask for _, ask in quotes), f"{symbol} is crossed between venues"


def rows_of(market: SimulatedMarket, to_ns: int, steps: int = 1) -> list[tuple[str, Row]]:
    rows: list[tuple[str, Row]] = []
    start = market.now_ns
    for step in range(1, steps + 1):
        market.advance(start + (to_ns - start) * step // steps, lambda key, row: rows.append((key, row)))
    return rows


def test_same_seed_same_rows_however_time_is_cut() -> None:
    to_ns = START_NS + 20 * NS_PER_S
    rows = rows_of(SimulatedMarket(7, START_NS), to_ns)
    assert rows == rows_of(SimulatedMarket(7, START_NS), to_ns, steps=333)
    assert rows != rows_of(SimulatedMarket(8, START_NS), to_ns)
    later = rows_of(SimulatedMarket(7, START_NS + 1), to_ns)
    assert [row[1:] for _, row in rows[:900]] != [row[1:] for _, row in later[:900]]


def test_the_rows_of_a_seed_are_those_of_every_machine() -> None:
    """A changed row is a changed market: recorded sessions would no longer be repeatable."""
    rows = rows_of(SimulatedMarket(7, START_NS), START_NS + 10 * NS_PER_S)
    digest = 0
    for key, row in rows:
        for number in (*key.encode(), *row):
            digest = (digest * 1_000_003 + number) % (1 << 61)
    assert (len(rows), digest) == GOLDEN


GOLDEN = (1_242, 171_047_474_651_148_351)
"""Number of rows and a digest of them; a new one belongs to a deliberate change of the market."""


def test_books_are_never_crossed_and_rows_are_legal() -> None:
    market, watcher = SimulatedMarket(3, START_NS), Watcher()
    for tick in range(1, 1_201):
        market.advance(START_NS + tick * NS_PER_S // 4, watcher)
        watcher.check_books()


def test_flow_depth_and_spread_look_like_a_market() -> None:
    market, watcher = SimulatedMarket(11, START_NS), Watcher()
    spreads: dict[str, list[int]] = {key: [] for key in market.keys}
    levels: dict[str, list[int]] = {key: [] for key in market.keys}
    ticks = {f"{one.instrument.symbol}@{mic}": one.tick for one in LISTINGS for mic in one.mics}
    seconds = 300
    for tick in range(1, seconds + 1):
        market.advance(START_NS + tick * NS_PER_S, watcher)
        for key, book in watcher.books.items():
            spreads[key].append((book.asks.best() - book.bids.best()) // ticks[key])
            levels[key].append(min(len(book.bids.prices), len(book.asks.prices)))
    for key in market.keys:
        per_s = sum(watcher.counts[key, action] for action in (ADD, REDUCE, DELETE, EXEC, HIDDEN)) / seconds
        assert 3 < per_s < 60, f"{key}: {per_s} rows a second"
        assert watcher.counts[key, EXEC] > seconds / 5, f"{key} hardly trades"
        middle = sorted(spreads[key])[seconds // 2]
        widest = 2_000 if key.startswith("BTC-USD") else 200 if key.startswith("BTC") else 10
        assert 1 <= middle <= widest, f"{key}: spread of {middle} ticks"
        assert sorted(levels[key])[seconds // 2] >= 7, f"{key} is thin"


def test_trades_come_in_clusters() -> None:
    """Counts per second vary more than a Poisson stream's, whose variance is its mean."""
    market = SimulatedMarket(5, START_NS)
    counts: Counter[int] = Counter()

    def on_row(key: str, row: Row) -> None:
        if key == "SPY@SIMA" and row[1] == EXEC:
            counts[row[0] // NS_PER_S] += 1

    seconds = 600
    market.advance(START_NS + seconds * NS_PER_S, on_row)
    values = [counts[START_NS // NS_PER_S + second] for second in range(seconds)]
    mean = sum(values) / seconds
    variance = sum((value - mean) ** 2 for value in values) / seconds
    assert variance > 1.5 * mean


def slow(listing: Listing) -> Listing:
    return msgspec.structs.replace(listing, rate_mhz=100)


def test_prices_stay_near_their_start_over_hours() -> None:
    """A desk left running finds prices where it knows them, and the books have not grown."""
    stays_near_its_start(1, quarters=20)


@pytest.mark.proof
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_prices_stay_near_their_start_over_a_day(seed: int) -> None:
    stays_near_its_start(seed, quarters=96)


def stays_near_its_start(seed: int, quarters: int) -> None:
    listings = tuple(slow(listing) for listing in LISTINGS if listing.instrument.symbol in {"AAPL", "BTC-USD"})
    market, watcher = SimulatedMarket(seed, START_NS, listings), Watcher()
    lowest: dict[str, int] = {}
    highest: dict[str, int] = {}
    for quarter in range(1, quarters + 1):
        market.advance(START_NS + quarter * HOUR_NS // 4, watcher)
        watcher.check_books()
        for listing in listings:
            symbol = listing.instrument.symbol
            bid = watcher.books[f"{symbol}@{listing.mics[0]}"].bids.best()
            lowest[symbol] = min(lowest.get(symbol, bid), bid)
            highest[symbol] = max(highest.get(symbol, bid), bid)
    for listing in listings:
        symbol = listing.instrument.symbol
        assert lowest[symbol] > listing.start * 93 // 100
        assert highest[symbol] < listing.start * 107 // 100
        assert highest[symbol] - lowest[symbol] > listing.start // 500, "a market that does not move is no market"


def test_own_trades_move_the_price_and_part_of_it_stays() -> None:
    quiet = tuple(
        msgspec.structs.replace(one, vol=0, beta_pct=0) for one in LISTINGS if one.instrument.symbol == "AAPL"
    )
    market, watcher = SimulatedMarket(7, START_NS, quiet), Watcher()
    market.advance(START_NS + NS_PER_S, watcher)
    before = watcher.books["AAPL@SIMA"].bids.best()
    market.own_trade("AAPL", 1, 50_000)
    market.advance(START_NS + 2 * NS_PER_S, watcher)
    struck = watcher.books["AAPL@SIMA"].asks.best()
    assert struck >= before + 40
    market.advance(START_NS + 400 * NS_PER_S, watcher)
    rested = watcher.books["AAPL@SIMA"].bids.best()
    assert before + 10 < rested < struck - 10


def test_the_next_epoch_starts_where_the_last_one_ended() -> None:
    market, watcher = SimulatedMarket(7, START_NS), Watcher()
    market.own_trade("AAPL", 1, 100_000)
    market.advance(START_NS + 60 * NS_PER_S, watcher)
    bids = {key: book.bids.best() for key, book in watcher.books.items()}
    following = SimulatedMarket(7, START_NS + 9_999 * NS_PER_S, levels=market.levels())
    watcher.books.clear()
    following.advance(START_NS + 9_999 * NS_PER_S, watcher)
    watcher.check_books()
    for key, bid in bids.items():
        assert abs(watcher.books[key].bids.best() - bid) < bid // 2_000


def test_a_sleep_is_skipped_and_costs_nothing() -> None:
    market, watcher = SimulatedMarket(7, START_NS), Watcher()
    market.advance(START_NS + NS_PER_S, watcher)
    rows = watcher.row
    market.skip_to(START_NS + 9 * HOUR_NS)
    market.advance(START_NS + 9 * HOUR_NS, watcher)
    assert watcher.row - rows < 50
    market.advance(START_NS + 9 * HOUR_NS + 10 * NS_PER_S, watcher)
    watcher.check_books()
    assert watcher.ts_ns > START_NS + 9 * HOUR_NS


def test_waits_are_exponential() -> None:
    rng = Random(1)
    draws = [exponential(rng, 1_000_000) for _ in range(20_000)]
    mean = sum(draws) / len(draws)
    assert 970_000 < mean < 1_030_000
    assert 0.34 < sum(draw > 1_000_000 for draw in draws) / len(draws) < 0.40, "1/e of the draws exceed the mean"


def test_the_day_has_a_curve() -> None:
    day = [curve_pct(START_NS + minute * 60 * NS_PER_S) for minute in range(1_440)]
    assert 95 < sum(day) / len(day) < 110
    midnight = START_NS // (24 * HOUR_NS) * 24 * HOUR_NS
    assert curve_pct(midnight) == curve_pct(midnight + 24 * HOUR_NS - 1) > 2 * curve_pct(midnight + 12 * HOUR_NS)


AAPL = tuple(one for one in LISTINGS if one.instrument.symbol == "AAPL")
CALL_NS = 20 * NS_PER_S
OPEN_NS, CLOSE_NS = START_NS + 60 * NS_PER_S, START_NS + 120 * NS_PER_S
DAY = SessionTable(name="T", days=("a", "b"), opens=(OPEN_NS, OPEN_NS + HOUR_NS), closes=(CLOSE_NS, CLOSE_NS + HOUR_NS))


def session_market() -> SimulatedMarket:
    return SimulatedMarket(7, START_NS, AAPL, calendars={"AAPL": DAY}, call_ns=CALL_NS)


def test_a_listing_is_quiet_outside_its_sessions() -> None:
    rows = [row for _, row in rows_of(session_market(), CLOSE_NS + HOUR_NS + 60 * NS_PER_S)]
    spans = [(opens - CALL_NS, closes) for opens, closes in zip(DAY.opens, DAY.closes, strict=True)]
    assert all(any(begins <= row[0] < ends for begins, ends in spans) for row in rows)
    calls = [row[1] for row in rows if OPEN_NS - CALL_NS <= row[0] < OPEN_NS]
    assert calls[0] == HALT
    assert set(calls) <= {HALT, ADD, DELETE, REDUCE}, "nobody trades in a call phase"
    assert calls.count(ADD) > 150
    opening = [row[1] for row in rows if row[0] == OPEN_NS + HOUR_NS]
    assert opening[-2:] == [RESUME, HIDDEN]
    assert rows[-2][0] == rows[-1][0] == CLOSE_NS + HOUR_NS - 1, "the last print of each of two venues"
    assert rows == [row for _, row in rows_of(session_market(), CLOSE_NS + HOUR_NS + 60 * NS_PER_S, steps=77)]


def test_nobody_trades_while_the_venue_has_paused_a_listing() -> None:
    market = SimulatedMarket(7, START_NS, AAPL)
    rows_of(market, START_NS + 5 * NS_PER_S)
    market.hush("AAPL@SIMA", True)
    rows = rows_of(market, START_NS + 65 * NS_PER_S)
    traded = {key for key, row in rows if row[1] in {EXEC, HIDDEN}}
    assert traded == {"AAPL@SIMB"}
    assert {row[1] for key, row in rows if key == "AAPL@SIMA"} >= {ADD, DELETE}, "orders come and go"
    market.hush("AAPL@SIMA", False)
    assert any(row[1] == EXEC for key, row in rows_of(market, START_NS + 125 * NS_PER_S) if key == "AAPL@SIMA")


def test_a_sleep_over_an_open_wakes_up_in_the_session() -> None:
    market = session_market()
    rows_of(market, START_NS + NS_PER_S)
    market.skip_to(OPEN_NS + 10 * NS_PER_S)
    rows = [row for _, row in rows_of(market, OPEN_NS + 20 * NS_PER_S)]
    assert rows[0][:2] == (OPEN_NS + 10 * NS_PER_S, HALT)
    assert (RESUME, HIDDEN) in [(one[1], two[1]) for one, two in pairwise(rows)]
    market.skip_to(CLOSE_NS + 100 * NS_PER_S)
    assert rows_of(market, CLOSE_NS + 200 * NS_PER_S) == []
