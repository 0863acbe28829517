"""Official opening and closing prints: what a recording marks as such, and which of them is a listing's own.

Each exchange marks its own: the trade of its auction (sale conditions O and 6 of the US tapes), and what it calls its opening or closing
price (Q and M), which is no trade. A listing has one auction, that of its primary exchange. So of the marks of a session count

* those of the primary exchange, where that is known, and no others;
* else those of the one exchange that marks any, or of the one that marks an auction's trade, where no other calls a larger size official;
* else none: nobody can say which is the listing's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.instrument import Instrument
from engine.domain.money import padded
from engine.market.calendar import ALWAYS, Calendar

EXCHANGES = {
    "A": "XASE", "B": "XBOS", "C": "XCIS", "H": "EPRL", "J": "EDGA", "K": "EDGX", "L": "LTSE", "M": "XCHI", "N": "XNYS", "P": "ARCX",
    "Q": "XNAS", "T": "XNAS", "U": "MEMX", "V": "IEXG", "W": "XCBO", "X": "XPHL", "Y": "BATY", "Z": "BATS",
}  # fmt: skip
"""Market identifiers of the letters of the US tapes. ``D`` is no exchange."""
_SEGMENTS = {"XNGS": "XNAS", "XNMS": "XNAS", "XNCM": "XNAS"}

OPEN_PRINT, CLOSE_PRINT, OPEN_PRICE, CLOSE_PRICE = range(4)
"""What a mark is: the trade of an auction, or what an exchange calls its opening or closing price."""
_CLOSES = frozenset({CLOSE_PRINT, CLOSE_PRICE})
_TRADES = frozenset({OPEN_PRINT, CLOSE_PRINT})

EARLY_NS = NS_PER_S
"""So long before its open or close a mark may be: clocks differ."""
LATE_NS = 1_800 * NS_PER_S
"""So long behind a close a mark of it may be. An opening may come as late as the session is long."""
ONE_AUCTION_NS = NS_PER_S
"""The trades of one auction, told order by order, lie no further apart."""
MARKS_MAX = 100_000
"""Marks of a file that are kept; a day has a few hundred."""


class Mark(msgspec.Struct, frozen=True):
    """One row of a recording that is marked."""

    ts_ns: int
    kind: int
    exchange: str
    """Its market identifier."""
    price: int
    """Hot-path integer, as ``qty``."""
    qty: int
    row: int


class Official(msgspec.Struct, frozen=True):
    """The official print of one auction."""

    ts_ns: int
    """When it was printed, not before the open or close that it is of."""
    price: int
    qty: int
    words: str
    """``official opening print of XNYS: 88065 at 181.85 (row 88)``."""


class Officials(msgspec.Struct, frozen=True):
    """The official prints of a listing. Openings are named by the open of their session, closings by its close."""

    found: dict[tuple[bool, int], Official] = {}
    """By whether it is a closing, and the time of that."""
    unclear: dict[tuple[bool, int], str] = {}
    """Why a marked one is not taken."""

    def of(self, due_ns: int, *, is_close: bool) -> Official | None:
        """The print of an auction; None where none is marked, or none can be told to be the listing's own."""
        return self.found.get((is_close, due_ns))

    def why_not(self, due_ns: int, *, is_close: bool) -> str:
        """Why no marked print of an auction is taken; empty where none is marked."""
        return self.unclear.get((is_close, due_ns), "")


def officials_of(marks: Iterable[Mark], calendar: Calendar, mic: str, made: Instrument) -> Officials:
    """The official print of each auction that a recording has one of.

    Args:
        marks: of all files of the symbol.
        calendar: its sessions; a venue that never closes has no auctions.
        mic: venue of the listing, taken as the primary exchange where it is one.
        made: the instrument, for the words.
    """
    found = Officials()
    if calendar.name == ALWAYS:
        return found
    sessions: dict[tuple[bool, int], list[Mark]] = {}
    for mark in marks:
        key = _auction_of(mark, calendar)
        if key is not None:
            sessions.setdefault(key, []).append(mark)
    primary = _SEGMENTS.get(mic, mic)
    is_known = primary in EXCHANGES.values()
    for key, own in sorted(sessions.items()):
        chosen = _chosen(own, primary if is_known else "", key, made)
        if chosen is not None:
            found.found[key] = chosen
            continue
        names = sorted({mark.exchange for mark in own})
        found.unclear[key] = (
            f"{', '.join(names)} mark an official one, and its primary exchange {primary} none"
            if is_known
            else f"{', '.join(names)} mark an official one each, and none names the primary exchange (--instrument {made.symbol}:mic=)"
        )
    return found


def _auction_of(mark: Mark, calendar: Calendar) -> tuple[bool, int] | None:
    """Which auction a mark is of; None where it is of none."""
    if mark.kind in _CLOSES:
        _, close_ns = calendar.session(mark.ts_ns - LATE_NS - 1)
        return (True, close_ns) if -EARLY_NS <= mark.ts_ns - close_ns <= LATE_NS else None
    open_ns, _ = calendar.session(mark.ts_ns)
    return (False, open_ns) if mark.ts_ns >= open_ns - EARLY_NS else None


def _chosen(marks: Sequence[Mark], primary: str, key: tuple[bool, int], made: Instrument) -> Official | None:
    """The print of the exchange that counts; None where that cannot be told."""
    by_exchange: dict[str, list[Mark]] = {}
    for mark in marks:
        by_exchange.setdefault(mark.exchange, []).append(mark)
    if primary:
        return _print_of(by_exchange[primary], key, made) if primary in by_exchange else None
    if len(by_exchange) == 1:
        return _print_of(marks, key, made)
    traders = [name for name, own in by_exchange.items() if any(mark.kind in _TRADES for mark in own)]
    if len(traders) != 1:
        return None
    found = _print_of(by_exchange.pop(traders[0]), key, made)
    largest = max(mark.qty for own in by_exchange.values() for mark in own)
    return found if found.qty >= largest else None


def _print_of(marks: Sequence[Mark], key: tuple[bool, int], made: Instrument) -> Official:
    """One exchange's print: the trades of its auction as one, else the price that it calls official."""
    is_close, due_ns = key
    trades = [mark for mark in marks if mark.kind in _TRADES]
    first = (trades or marks)[0]
    whole = [mark for mark in trades if mark.price == first.price and mark.ts_ns - first.ts_ns <= ONE_AUCTION_NS] or [
        first
    ]
    called = [mark.qty for mark in marks if mark.kind not in _TRADES and mark.price == first.price]
    qty = max(sum(mark.qty for mark in whole), *called, 0)
    rows = f"row {first.row}" if len(whole) == 1 else f"rows {first.row} to {whole[-1].row}"
    what = "print" if trades else "price"
    size = f"{made.qty_of(qty)} at {padded(made.price_of(first.price), made.tick_digits)}"
    words = f"official {'closing' if is_close else 'opening'} {what} of {first.exchange}: {size} ({rows})"
    return Official(max(whole[-1].ts_ns, due_ns), first.price, qty, words)


def told(officials: Officials, calendar: Calendar) -> list[str]:
    """One sentence for each auction: which print it takes, or why none."""
    rows = [(key, f"is the {one.words}") for key, one in officials.found.items()]
    rows += [
        (key, f"is the session's own {'last' if key[0] else 'first'} print, as {why}")
        for key, why in officials.unclear.items()
    ]
    found = []
    for (is_close, due_ns), said in sorted(rows):
        day = calendar.trading_day(due_ns - 1 if is_close else due_ns)
        found.append(f"{day}: the price of the {'closing' if is_close else 'opening'} auction {said}")
    return found
