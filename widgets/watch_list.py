"""Every symbol with its last price, its change and a line of its last minutes. The cursor decides what the ladder shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from engine.domain.money import Price
from engine.views import BarView, QuoteView
from widgets.formats import exact, seconds, signed
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

COLUMNS = (
    Column(" symbol", 10),
    Column("last", 10, is_right=True, is_live=True),
    Column("chg%", 7, is_right=True),
    Column(" trend", 0),
)
SPARK_WIDTH = 7
STEPS = "▁▂▃▄▅▆▇█"
EMPTY = "no quotes yet: the broker has sent none; 5 shows whether it is up"


class WatchList(LiveTable):
    """One row per quoted symbol, in the order in which they are listed."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Watch", empty=EMPTY, id="watch")
        self._sparks: tuple[tuple[BarView, ...], dict[str, str]] = ((), {})

    def draw(self, frame: Frame) -> None:
        """Show the picture's quotes."""
        sparks = self._sparks_of(frame.view.bars)
        rows = [
            watch_row(quote, frame.digits(quote.symbol), sparks.get(quote.symbol, ""), frame.now_ns)
            for quote in frame.view.quotes
        ]
        self.show(rows, frame.now_ns)
        stale = sum(1 for quote in frame.view.quotes if quote.stale)
        self.retitle(
            f"Watch: {stale} STALE" if stale else "Watch", f"{frame.symbol} in the ladder" if frame.symbol else ""
        )

    def _sparks_of(self, bars: tuple[BarView, ...]) -> Mapping[str, str]:
        """The lines of all symbols, made again only where a bar changed."""
        if self._sparks[0] is not bars:
            closes: dict[str, list[Price]] = {}
            for bar in bars:
                closes.setdefault(bar.symbol, []).append(bar.close)
            self._sparks = (bars, {symbol: sparkline(found[-SPARK_WIDTH:]) for symbol, found in closes.items()})
        return self._sparks[1]


def watch_row(quote: QuoteView, digits: int, spark: str, now_ns: int) -> Row:
    """One symbol. A stale price is the word STALE and its age, never a number that looks alive."""
    change = change_words(quote)
    tone = {"+": "up", "-": "down"}.get(change[:1], "")
    last = Cell(f"STALE {seconds(now_ns - quote.ts_ns)}", "warn") if quote.stale else exact(quote.last, digits)
    status = "" if quote.status == "open" else quote.status
    return Row(quote.symbol, (f" {quote.symbol}", last, Cell(change, tone), f" {status or spark}"))


def change_words(quote: QuoteView) -> str:
    """The day's change in percent with its sign and two decimals; empty where it is not known."""
    return signed(Decimal(quote.change_pct)) if quote.change_pct else ""


def sparkline(values: Sequence[Price]) -> str:
    """Values as heights between their least and largest; a flat line where they are one."""
    if not values:
        return ""
    low, high = min(values), max(values)
    if low == high:
        return STEPS[3] * len(values)
    return "".join(STEPS[int((value - low) * (len(STEPS) - 1) / (high - low))] for value in values)
