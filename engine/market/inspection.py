"""What a recorded file is: its span, its silences, how sound its book is, and what realism a replay of it can have."""

from __future__ import annotations

import msgspec

from engine.domain.clock import NS_PER_S
from engine.market.book import LevelBook, OrderBook
from engine.market.formats.known import LAYOUTS
from engine.market.formats.layout import BARS, LEVELS, ORDERS
from engine.market.replay import RecordedFile
from engine.market.rows import (
    ACTION_NAMES,
    BAR,
    CLEAR,
    END,
    EXEC,
    FILL,
    HIDDEN,
    LEVEL,
    QUOTE,
    TRADE,
    Row,
)

SILENCE_NS = 60 * NS_PER_S
"""A time without a row that is worth a word."""
SILENCES_MAX = 10

REALISM = {
    ORDERS: (
        "queue position: exact, from the orders themselves",
        "taking: walks the visible orders",
        "resting fills: by the executions behind and ahead of ours",
    ),
    LEVELS: (
        "queue position: estimated from the displayed sizes and the prints",
        "taking: walks the displayed sizes, beyond them an estimate",
        "resting fills: prints through our price, or at it behind the estimated queue",
    ),
    BARS: (
        "queue position: none, a touch fills nothing",
        "taking: at the worst price of the bar, for a share of its volume",
        "resting fills: where a later bar goes through the limit",
    ),
}
UNANNOUNCED_PCT = 1
"""Share of rows of unannounced orders from which the queues of a book cannot be called exact: a recording from the open has about 0.1 %."""
PARTLY = "queue position: exact among the orders of the file only; {count} of its rows name orders from before it, which stand in no queue"
NO_DEPTH = "depth: best prices only, what stands behind them is an estimate"
NO_PRINTS = "prints: none, resting orders fill only where the other side comes to their price"


class Silence(msgspec.Struct, frozen=True):
    """A time without a row."""

    start_ns: int
    end_ns: int


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """One recording, looked at in full."""

    layout: str
    title: str
    symbol: str
    venues: tuple[str, ...]
    tick: str
    lot: str
    rows: int
    first_ns: int
    last_ns: int
    kinds: dict[str, int]
    """Rows of the market by what they say."""
    volume: str
    """Quantity of all prints."""
    judged: int
    """Moments (or ends of events) at which the book was looked at."""
    crossed: int
    crossed_first_ns: int
    crossed_last_ns: int
    """Between these it was crossed; 0 where it never was."""
    locked: int
    silences: tuple[Silence, ...]
    """The longest, in order of time."""
    depth: str
    realism: tuple[str, ...]
    findings: tuple[str, ...]
    defaults: tuple[str, ...]
    sha256: str


class _Watch:
    """Counts over one pass."""

    def __init__(self, file: RecordedFile) -> None:
        self.file = file
        self.orders = {key: OrderBook() for key in self._keys()}
        self.levels = {key: LevelBook() for key in self._keys()}
        self.kinds: dict[int, int] = {}
        self.silences: list[Silence] = []
        self.volume = 0
        self.judged = self.crossed = self.locked = 0
        self.last_ns = 0
        self.crossed_first_ns = self.crossed_last_ns = 0

    def _keys(self) -> list[str]:
        return [f"{self.file.instrument.symbol}@{venue}" for venue in self.file.venues]

    def run(self) -> None:
        by_order, by_event = self.file.depth == ORDERS, self.file.by_event
        last_key = ""
        for key, row in self.file.feed():
            ts_ns, action = row[0], row[1]
            if self.last_ns and ts_ns != self.last_ns:
                if not by_event:
                    self._judge(last_key)
                if ts_ns - self.last_ns >= SILENCE_NS:
                    self._silence(ts_ns)
            self.last_ns, last_key = ts_ns, key
            self.kinds[action] = self.kinds.get(action, 0) + 1
            if action in {TRADE, HIDDEN} or (action == EXEC and by_order):
                self.volume += row[5]
            if by_order:
                self.orders[key].apply(row)
                if by_event and action == END:
                    self._judge(key)
            else:
                self._level(key, row)
        if not by_event and last_key:
            self._judge(last_key)

    def _level(self, key: str, row: Row) -> None:
        book, action = self.levels[key], row[1]
        if action == LEVEL:
            book.level(row[2], row[4], row[5])
        elif action == QUOTE:
            book.quote(row[2], row[4], row[5])
        elif action == CLEAR:
            book.clear()

    def _judge(self, key: str) -> None:
        book: OrderBook | LevelBook = self.orders[key] if self.file.depth == ORDERS else self.levels[key]
        self.judged += 1
        if book.bids.prices and book.asks.prices:
            bid, ask = book.bids.best(), book.asks.best()
            if bid > ask:
                self.crossed += 1
                self.crossed_first_ns = self.crossed_first_ns or self.last_ns
                self.crossed_last_ns = self.last_ns
            self.locked += bid == ask

    def _silence(self, ts_ns: int) -> None:
        self.silences.append(Silence(self.last_ns, ts_ns))
        if len(self.silences) > SILENCES_MAX:
            self.silences.remove(min(self.silences, key=lambda one: one.end_ns - one.start_ns))


def inspect(file: RecordedFile) -> Inspection:
    """Read a recording once more and say what it is."""
    watch = _Watch(file)
    watch.run()
    made = file.instrument
    words = list(REALISM[file.depth])
    unannounced = sum(book.unknown for book in watch.orders.values())
    if unannounced * 100 >= file.rows * UNANNOUNCED_PCT and file.depth == ORDERS:
        words[0] = PARTLY.format(count=unannounced)
    if file.depth == LEVELS and LEVEL not in watch.kinds:
        words.append(NO_DEPTH)
    if not watch.kinds.keys() & {TRADE, EXEC, FILL, BAR, HIDDEN}:
        words.append(NO_PRINTS)
    if file.by_event and watch.crossed:
        words.append("a book crossed where an event ends collects for an auction: the venue counts as halted meanwhile")
    caveat = next((layout.caveat for layout in LAYOUTS.values() if layout.name == file.layout), "")
    if caveat:
        words.append(f"caveat: {caveat}")
    if file.prints_only:
        words = ["none alone: trades without quotes; give the file of quotes or depth with it"]
    if file.marks:
        names = ", ".join(sorted({mark.exchange for mark in file.marks}))
        words.append(f"auctions: {len(file.marks)} rows mark official opening or closing prints, of {names}")
    return Inspection(
        layout=file.layout,
        title=file.title,
        symbol=made.symbol,
        venues=file.venues,
        tick=" ".join(f"{band.above}:{band.tick}" for band in made.ticks)
        if len(made.ticks) > 1
        else str(made.ticks[0].tick),
        lot=str(made.lot),
        rows=file.rows,
        first_ns=file.first_ns,
        last_ns=file.last_ns,
        kinds={ACTION_NAMES[action]: count for action, count in sorted(watch.kinds.items())},
        volume=str(made.qty_of(watch.volume)),
        judged=watch.judged,
        crossed=watch.crossed,
        crossed_first_ns=watch.crossed_first_ns,
        crossed_last_ns=watch.crossed_last_ns,
        locked=watch.locked,
        silences=tuple(watch.silences),
        depth=file.depth,
        realism=tuple(words),
        findings=file.findings,
        defaults=file.defaults,
        sha256=file.sha256,
    )
