"""The recorded market of a past instant, out of the tape beside a ledger.

Only chunks whose hash the ledger holds are read: what cannot be proven is not shown, and what is missing is said. The one chunk that
an engine is still filling has no hash yet; it is shown, and said to be unproven. Prices older than :data:`LOOKBACK_NS` before the instant
are not looked for; a quiet symbol then has none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from engine.api.market_state import MarketState
from engine.domain.clock import NS_PER_S, hms
from engine.domain.errors import DataError
from engine.domain.events import decoder
from engine.domain.ledger_events import TapeAnchored
from engine.market.feed import MarketTick
from engine.market.tape import TapeRow, first_row, is_chunk, open_rows, read_chunk
from engine.market.tape_days import TICK

LOOKBACK_NS = 15 * 60 * NS_PER_S
"""How far before an instant its prices may lie."""
CHUNKS_KEPT = 80
"""Chunks that stay decoded: somewhat more than an instant needs, so that the next one finds most of its own."""

_TICKS = decoder(MarketTick)
Heard = tuple[tuple[int, ...], tuple[MarketTick, ...]]
"""When the engine heard each tick, and the ticks, in that order."""


class Anchor(msgspec.Struct, frozen=True):
    """A chunk as the ledger names it, and when it did: nothing in it is later."""

    name: str
    sha256: str
    ts_ns: int


class PastMarket:
    """The market at an instant.

    Args:
        folder: the tape's; it need not be there.
        events: the ledger's anchors of tapes with their times, in order.
    """

    def __init__(self, folder: Path, events: list[tuple[int, TapeAnchored]]) -> None:
        self._folder = folder
        self._anchors = [Anchor(event.name, event.sha256, ts_ns) for ts_ns, event in events if is_chunk(event.name)]
        self._ends = [anchor.ts_ns for anchor in self._anchors]
        self._open = _open_chunks(folder, {anchor.name for anchor in self._anchors})
        self._kept: OrderedDict[str, Heard] = OrderedDict()
        self._begins: dict[str, int | None] = {}

    def show(self, market: MarketState, ts_ns: int) -> str:
        """Bring a market to an instant; in words what cannot be shown of it, empty where all is well.

        Of a symbol's change since its first print nothing is known: the day before the instant is not read.
        """
        market.forget()
        if not self._anchors and not self._open:
            return "no tape, so no prices"
        faults: dict[str, None] = {}
        for anchor in self._chunks(ts_ns):
            try:
                times, ticks = self._heard(anchor)
            except DataError as error:
                faults[str(error)] = None
                continue
            _hear(market, times, ticks, ts_ns)
        unproven_ns = min(
            (times[0] for times, _ in self._open if times[0] <= ts_ns and times[-1] >= ts_ns - LOOKBACK_NS), default=0
        )
        for times, ticks in self._open:
            _hear(market, times, ticks, ts_ns)
        market.first_trade.clear()
        if faults:
            return f"prices have gaps: {next(iter(faults))}"
        if unproven_ns:
            return f"prices from {hms(unproven_ns)} on are of the open chunk of the tape, which no hash proves yet"
        return "" if market.changed else "no prices on the tape around it"

    def _chunks(self, ts_ns: int) -> list[Anchor]:
        """Those that may hold what was heard in the time before an instant, oldest first."""
        found = []
        for anchor in self._anchors[bisect_right(self._ends, ts_ns - LOOKBACK_NS) :]:
            if anchor.name not in self._begins:
                row = first_row(self._folder, anchor.name)
                self._begins[anchor.name] = None if row is None else row.ts_ns
            begin_ns = self._begins[anchor.name]
            if begin_ns is not None and begin_ns > ts_ns:
                break
            found.append(anchor)
            if begin_ns is None and anchor.ts_ns > ts_ns:
                break  # it cannot be told where it begins: it may hold the instant, and what follows it does not
        return found

    def _heard(self, anchor: Anchor) -> Heard:
        """A chunk's ticks; raises DataError."""
        found = self._kept.get(anchor.name)
        if found is None:
            found = self._kept[anchor.name] = _decoded(
                anchor.name, read_chunk(self._folder, anchor.name, anchor.sha256)
            )
            if len(self._kept) > CHUNKS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(anchor.name)
        return found


def _hear(market: MarketState, times: tuple[int, ...], ticks: tuple[MarketTick, ...], ts_ns: int) -> None:
    for tick in ticks[: bisect_right(times, ts_ns)]:
        if tick.ts_ns >= ts_ns - LOOKBACK_NS:
            market.on_tick(tick)


def _decoded(name: str, rows: Iterable[TapeRow]) -> Heard:
    """The ticks among rows; raises DataError."""
    found = [row for row in rows if row.kind == TICK]
    try:
        return tuple(row.ts_ns for row in found), tuple(_TICKS.decode(row.payload) for row in found)
    except msgspec.DecodeError as error:
        raise DataError(f"{name}: {error}; the chunk was written by another Bolt") from None


def _open_chunks(folder: Path, known: Collection[str]) -> list[Heard]:
    """What an engine has written of chunks that the ledger does not name yet: of one, or two where one was just closed."""
    found = []
    for name, rows in open_rows(folder):
        if name in known:
            continue
        try:
            heard = _decoded(name, rows)
        except DataError:
            continue  # it is in the making, or of another Bolt: there is no hash that it could contradict
        if heard[0]:
            found.append(heard)
    return found
