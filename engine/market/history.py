"""What the market did before now, for strategies, average volumes and curves: bars of the past, never of what is still to come.

A piece of history is a bar as a file had it; what the engine has seen itself follows as minutes. :meth:`History.bars` joins both and gives only
bars that had ended: a bar that runs, or one of a file that ends later than now, is not there yet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from engine.domain.instrument import Instrument
from engine.domain.money import Price, Qty
from engine.market.bars import BAR_NS, Bar
from engine.market.days import DAY_NS
from engine.market.session_curve import MINUTE_NS, SessionCurve, binned, curve_of
from engine.market.sessions import Sessions
from engine.market.volume import ADV_DAYS, window_weights

PIECES_MAX = 200_000
"""Kept of each symbol, the newest: about half a year of a US share in minutes."""
BARS_MAX = 10_000
"""Most bars that are made for one question."""
CURVE_MINUTES = 15

Piece = tuple[int, int, int, int, int, int, int]
"""Start, end, open, high, low, close and volume: times in nanoseconds, the rest in the instrument's integers."""


class HistoryBar(msgspec.Struct, frozen=True):
    """A bar that has ended."""

    start_ns: int
    end_ns: int
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Qty


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """History of one symbol as it was read, in order of time."""

    instrument: Instrument
    source: str
    """Where it is from, for people."""
    pieces: tuple[Piece, ...]
    is_whole: bool = True
    """Its days are whole, so that average volume and curves may be made of it: not so of a tape, which has what an engine heard."""


class History:
    """History of every symbol. Only :meth:`add` changes it.

    Args:
        sessions: the engine's calendars, for volume by time of the session.
    """

    def __init__(self, sessions: Sessions | None = None) -> None:
        self._sessions = sessions or Sessions()
        self._pieces: dict[str, list[Piece]] = {}
        self._partial: dict[str, tuple[Piece, ...]] = {}
        """Pieces of days that may not be whole, the newest first: for bars alone."""
        self._made: dict[str, Instrument] = {}
        self._sources: dict[str, str] = {}
        self._curves: dict[tuple[str, str], SessionCurve | None] = {}
        self._advs: dict[str, tuple[int, tuple[Qty, int] | None]] = {}

    def add(self, loaded: Loaded) -> None:
        """Take in history of a symbol; where it overlaps what is there, what is there stays."""
        symbol = loaded.instrument.symbol
        if not loaded.is_whole:
            self._partial[symbol] = tuple(sorted(loaded.pieces, reverse=True))[:PIECES_MAX]
            return
        known = {piece[0]: piece for piece in loaded.pieces}
        known |= {piece[0]: piece for piece in self._pieces.get(symbol, ())}
        self._pieces[symbol] = [known[start] for start in sorted(known)][-PIECES_MAX:]
        self._made[symbol] = loaded.instrument
        names = [name for name in (self._sources.get(symbol, ""), loaded.source) if name]
        self._sources[symbol] = ", ".join(dict.fromkeys(names))
        self._curves.clear()
        self._advs.clear()

    def bars(
        self, made: Instrument, period_ns: int, count: int, now_ns: int, live: Sequence[Bar]
    ) -> tuple[HistoryBar, ...]:
        """The last so many bars of a period that had ended by now, oldest first; times without trade have none.

        Periods count from midnight UTC. A period in which a piece is longer than the period itself has no bar.
        """
        wanted = min(max(count, 0), BARS_MAX)
        found: deque[HistoryBar] = deque(maxlen=wanted)
        group: list[Piece] = []
        made_bars = 0
        for piece in self._backwards(made.symbol, now_ns, live):
            start = piece[0] - piece[0] % period_ns
            if start + period_ns > now_ns or piece[1] > start + period_ns:
                continue
            if group and group[0][0] - group[0][0] % period_ns != start:
                found.appendleft(_joined(group, made, period_ns))
                group, made_bars = [], made_bars + 1
                if made_bars >= wanted:
                    break
            group.append(piece)
        if group and made_bars < wanted:
            found.appendleft(_joined(group, made, period_ns))
        return tuple(found)

    def _backwards(self, symbol: str, now_ns: int, live: Sequence[Bar]) -> Iterator[Piece]:
        """Pieces that had ended, the newest first; what was seen live goes before what a file says of the same time."""
        first_ns = live[0].start_ns if live else now_ns
        for bar in reversed(live):
            if bar.start_ns + BAR_NS <= now_ns:
                yield bar.start_ns, bar.start_ns + BAR_NS, bar.open, bar.high, bar.low, bar.close, bar.volume
        for piece in self._before(symbol, first_ns):
            if piece[1] <= min(first_ns, now_ns):
                yield piece

    def _before(self, symbol: str, first_ns: int) -> Iterator[Piece]:
        """Pieces that began by a time, the newest first; where a file knows a time, it goes before what may not be whole."""
        pieces = self._pieces.get(symbol, [])
        at = bisect_right(pieces, first_ns, key=lambda piece: piece[0])
        partial = self._partial.get(symbol, ())
        begins_ns, ends_ns = (pieces[0][0], pieces[at - 1][1]) if at else (0, 0)
        yield from (piece for piece in partial if ends_ns <= piece[0] <= first_ns)
        yield from reversed(pieces[:at])
        yield from (piece for piece in partial if piece[0] < begins_ns)

    def adv(self, symbol: str, now_ns: int) -> tuple[Qty, int] | None:
        """Average volume of the last days (UTC) before today and over how many, 20 at most; None where none is known."""
        today = now_ns // DAY_NS
        kept = self._advs.get(symbol)
        if kept is None or kept[0] != today:
            kept = self._advs[symbol] = (today, self._adv(symbol, today))
        return kept[1]

    def _adv(self, symbol: str, today: int) -> tuple[Qty, int] | None:
        days: dict[int, int] = {}
        for piece in self._pieces.get(symbol, ()):
            day = piece[0] // DAY_NS
            if day < today:
                days[day] = days.get(day, 0) + piece[6]
        volumes = [volume for _, volume in sorted(days.items()) if volume][-ADV_DAYS:]
        if not volumes:
            return None
        return self._made[symbol].qty_of(sum(volumes) // len(volumes)), len(volumes)

    def weights(self, symbol: str, start_ns: int, end_ns: int, bins: int) -> tuple[list[int], str]:
        """Expected volume of equal parts of a span and where that is from; flat where no earlier day is known."""
        return window_weights(self._curve(symbol, start_ns), start_ns, end_ns, bins)

    def _curve(self, symbol: str, ts_ns: int) -> SessionCurve | None:
        made = self._made.get(symbol)
        calendar = None if made is None else self._sessions.table(made.calendar, ts_ns)
        if made is None or calendar is None:
            return None
        key = (symbol, calendar.trading_day(ts_ns))
        if key not in self._curves:
            volumes = ((piece[0], piece[6]) for piece in self._pieces[symbol] if piece[1] <= ts_ns)
            days = binned(volumes, calendar, CURVE_MINUTES)
            self._curves[key] = curve_of(days, calendar, f"{symbol}: {self._sources[symbol]}", ts_ns)
        return self._curves[key]


def minutes_of(prints: Iterable[tuple[int, int, int]]) -> Iterator[Piece]:
    """Minutes out of prints ``(time, price, quantity)`` in order of time."""
    running: list[int] | None = None
    for ts_ns, price, qty in prints:
        start_ns = ts_ns - ts_ns % MINUTE_NS
        if running is None or running[0] != start_ns:
            if running is not None:
                yield _piece(running)
            running = [start_ns, start_ns + MINUTE_NS, price, price, price, price, 0]
        running[3] = max(running[3], price)
        running[4] = min(running[4], price)
        running[5] = price
        running[6] += qty
    if running is not None:
        yield _piece(running)


def _piece(found: list[int]) -> Piece:
    start, end, first, high, low, close, volume = found
    return start, end, first, high, low, close, volume


def _joined(group: list[Piece], made: Instrument, period_ns: int) -> HistoryBar:
    """Pieces of one period, the newest first, as its bar."""
    start_ns = group[0][0] - group[0][0] % period_ns
    return HistoryBar(
        start_ns=start_ns,
        end_ns=start_ns + period_ns,
        open=made.price_of(group[-1][2]),
        high=made.price_of(max(piece[3] for piece in group)),
        low=made.price_of(min(piece[4] for piece in group)),
        close=made.price_of(group[0][5]),
        volume=made.qty_of(sum(piece[6] for piece in group)),
    )
