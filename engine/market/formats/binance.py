"""Binance: depth ``recv_ns,exch_ns,snapshot,first_id,last_id,side,price,qty``, trades and best prices.

Times are those of the machine that recorded (``recv_ns``): the exchange's clock may be off by more than a second. Depth updates count
from the REST snapshot on (those that came before it and are newer follow it); until then, and behind a gap in the update ids until the next snapshot, the book is void.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from engine.market.formats.fields import Wrong, lines_of, moment, side_of, whole
from engine.market.formats.layout import LEVELS, Layout, Reading, each
from engine.market.rows import BUY, CLEAR, LEVEL, NEITHER, QUOTE, SELL, TRADE, Feed, Row

GAP = "gaps in the update ids: the book is void from there to the next snapshot"
DENSE_MIN = 20
"""Messages that must follow one another by one before a jump is called a gap: futures number the updates of all symbols
together, so that theirs do not follow by one for long and a gap cannot be seen."""
EARLY_MAX = 200_000
"""Levels kept while a snapshot is awaited."""


class _Depth:
    def __init__(self, reading: Reading, *, has_snapshot: bool) -> None:
        self.grid = reading.grid
        self.findings = reading.findings
        self.is_live = not has_snapshot
        """The book stands: a snapshot came, or there is none in the whole file."""
        self.early: list[tuple[int, int, int, int, int]] = []
        """Levels that came before their snapshot, each with the ids of its message."""
        self.snapshot_id = 0
        self.in_snapshot = False
        self.message = (0, 0)
        self.dense = 0
        self.is_dense = True

    def decode(self, ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        """The rows of one line."""
        _, exchange, snapshot, first, last, side, price, qty = fields
        moment(exchange, "exch_ns")
        if snapshot not in {"0", "1"}:
            raise Wrong(f"expected 0 or 1 in snapshot, was {snapshot[:20]!r}")
        first_id, last_id = whole(first, "first_id"), whole(last, "last_id")
        sign, at, size = side_of(side), self.grid.ticks[price], self.grid.sizes[qty]
        rows: list[Row] = []
        if snapshot == "1":
            if not self.in_snapshot or last_id != self.snapshot_id:
                self.in_snapshot = self.is_live = True
                self.snapshot_id = last_id
                self.message = (0, 0)
                self.findings.add("snapshots of the book")
                rows.append((ts_ns, CLEAR, NEITHER, 0, 0, 0, number))
            rows.append((ts_ns, LEVEL, sign, 0, at, size, number))
            return rows
        if self.in_snapshot:
            self.in_snapshot = False
            early, self.early = self.early, []
            for begin, end, side_then, price_then, size_then in early:
                if end > self.snapshot_id:
                    self._follow(begin, end)
                    rows.append((ts_ns, LEVEL, side_then, 0, price_then, size_then, number))
        if (first_id, last_id) != self.message and self._is_behind_gap(first_id, last_id):
            rows.append((ts_ns, CLEAR, NEITHER, 0, 0, 0, number))
        if not self.is_live:
            if len(self.early) >= EARLY_MAX:
                self.early.clear()
            self.early.append((first_id, last_id, sign, at, size))
        elif last_id > self.snapshot_id:
            rows.append((ts_ns, LEVEL, sign, 0, at, size, number))
        return rows

    def _is_behind_gap(self, first_id: int, last_id: int) -> bool:
        """A new message: whether one is missing before it, so that the book stands no more."""
        if last_id < first_id:
            raise Wrong(f"expected last_id of at least first_id {first_id}, was {last_id}")
        if not self.is_live or last_id <= self.snapshot_id or not self._follow(first_id, last_id):
            return False
        self.is_live = False
        self.findings.add(GAP)
        return True

    def _follow(self, first_id: int, last_id: int) -> bool:
        """Take in the ids of a message; whether one is missing before it."""
        if (first_id, last_id) == self.message:
            return False
        before, self.message = self.message[1], (first_id, last_id)
        if not before:  # the first behind a snapshot overlaps it, or it is late
            return self.is_dense and self.dense >= DENSE_MIN and first_id > self.snapshot_id + 1
        if first_id <= before:
            raise Wrong(f"expected first_id above {before}, the last_id of the message before, was {first_id}")
        if first_id == before + 1:
            self.dense += 1
            return False
        if self.dense < DENSE_MIN:
            self.is_dense = False
        return self.is_dense


def read_depth(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of a depth file. Where it holds no snapshot, the book begins empty and fills as levels are updated."""
    has_snapshot = any(line.split(",", 3)[2:3] == ["1"] for line in lines_of(reading.path))
    decoder = _Depth(reading, has_snapshot=has_snapshot)
    if not has_snapshot:
        reading.findings.add("snapshots of the book: it begins empty, and lacks each level until it is updated", 0)
    yield from each(reading, lines, 8, decoder.decode)
    if not decoder.is_dense:
        reading.findings.add(
            "update ids that follow one another: in futures they do not, so a lost message would not show", 0
        )


def read_trades(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of a trade file."""
    grid, findings = reading.grid, reading.findings
    before = 0

    def decode(ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        nonlocal before
        moment(fields[1], "exch_ns")
        trade_id = whole(fields[2], "trade_id")
        if trade_id <= before:
            raise Wrong(f"expected a trade_id above {before}, that of the row before, was {trade_id}")
        if before and trade_id != before + 1:
            findings.add("trades missing by their ids", trade_id - before - 1)
        before = trade_id
        return ((ts_ns, TRADE, side_of(fields[5]), 0, grid.prints[fields[3]], grid.traded(fields[4]), number),)

    return each(reading, lines, 6, decode)


def read_best(reading: Reading, lines: Iterator[str]) -> Feed:
    """Rows of a file of best prices."""
    grid = reading.grid
    before = 0

    def decode(ts_ns: int, fields: list[str], number: int) -> Iterable[Row]:
        nonlocal before
        moment(fields[1], "exch_ns")
        update_id = whole(fields[2], "update_id")
        if update_id < before:
            raise Wrong(f"expected an update_id of at least {before}, that of the row before, was {update_id}")
        before = update_id
        bid, ask = (fields[3], fields[4]), (fields[5], fields[6])
        sides = ((BUY, *bid), (SELL, *ask))
        return tuple(
            (ts_ns, QUOTE, sign, 0, grid.ticks[price], grid.sizes[qty], number)
            if grid.sizes[qty]
            else (ts_ns, QUOTE, sign, 0, 0, 0, number)
            for sign, price, qty in sides
        )

    return each(reading, lines, 7, decode)


MICS = (("spot", "BINS"), ("usdm", "BINU"), ("coinm", "BINC"))
"""Made-up identifiers: the venue has none of its own for its markets."""

_layout = partial(Layout, depth=LEVELS, mic="BINA", mic_words=MICS, kind="crypto_spot")

BINANCE_LAYOUTS = (
    _layout(
        name="binance depth",
        header="recv_ns,exch_ns,snapshot,first_id,last_id,side,price,qty",
        title="Binance depth",
        read=read_depth,
        prices=(6,),
        sizes=(7,),
    ),
    _layout(
        name="binance trades",
        header="recv_ns,exch_ns,trade_id,price,qty,aggressor",
        title="Binance trades",
        read=read_trades,
        prices=(3,),
        sizes=(4,),
        prints_only=True,
    ),
    _layout(
        name="binance bbo",
        header="recv_ns,exch_ns,update_id,bid,bid_qty,ask,ask_qty",
        title="Binance best prices",
        read=read_best,
        prices=(3, 5),
        sizes=(4, 6),
    ),
)
