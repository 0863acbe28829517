"""One-minute candles of a symbol with our own fills on them and the volume below, drawn with half cells.

A candle's colour only repeats its shape: a heavy body that rose stands on its opening, and the letters B and S are fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from engine.domain.order import Side
from engine.views import BarView
from widgets.formats import clock_minute, fit, fixed, wrap
from widgets.frame import Frame
from widgets.tones import Tone, Tones
from widgets.watch_list import STEPS

LABEL_SPACE = 2
TIME_EVERY = 15
EMPTY = "no trades yet: a chart begins with the market's first print"
SMALL = "no room for a chart; 3 has more"
_CELLS = {
    (0, 0): " ", (1, 0): "╵", (0, 1): "╷", (1, 1): "│", (2, 0): "╹", (0, 2): "╻", (2, 2): "┃", (1, 2): "╽", (2, 1): "╿",
}  # fmt: skip
"""Upper and lower half of a cell: nothing, the thin line from high to low, or the heavy body."""


class Mark(msgspec.Struct, frozen=True):
    """A fill on the chart."""

    ts_ns: int
    price: Decimal
    side: Side


TONES = {
    "up": Tone(ink="up"),
    "down": Tone(ink="down"),
    "axis": Tone(ink="quiet"),
    "buy": Tone(ink="buy", is_bold=True, is_reverse=True),
    "sell": Tone(ink="sell", is_bold=True, is_reverse=True),
}


class ChartModel(msgspec.Struct, frozen=True):
    """What is drawn: bars oldest first, and fills."""

    symbol: str
    bars: tuple[BarView, ...]
    marks: tuple[Mark, ...]
    digits: int


class PriceChart(Widget):
    """A picture made anew when its model or its size changes, and painted line by line."""

    DEFAULT_CSS = """
    PriceChart { border: round $edge; border-title-color: $title; border-title-style: bold; border-subtitle-color: $quiet;
        background: $background; color: $foreground;
    }
    """

    def __init__(self) -> None:
        super().__init__(id="chart")
        self.border_title = "Chart"
        self._tones = Tones(TONES)
        self._model: ChartModel | None = None
        self._lines: list[list[tuple[str, str]]] = []
        self._made: tuple[ChartModel | None, Size] = (None, Size(0, 0))

    def draw(self, frame: Frame) -> None:
        """Show the symbol under the cursor."""
        bars = tuple(bar for bar in frame.view.bars if bar.symbol == frame.symbol)
        marks = tuple(
            Mark(fill.ts_ns, fill.price, fill.side)
            for fill in frame.view.fills
            if fill.symbol == frame.symbol and not fill.busted and bars and fill.ts_ns >= bars[0].ts_ns
        )
        self.show(ChartModel(frame.symbol, bars, marks, frame.digits(frame.symbol)))

    def show(self, model: ChartModel) -> None:
        """Show a model; repaints only where it is another one."""
        if (model, self.size) == self._made:
            return
        self._made = (model, self.size)
        lines = chart_lines(model, self.size.width, self.size.height)
        title = f"Chart {model.symbol} 1m".replace("  ", " ")
        if self.border_title != title:
            self.border_title = title
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def on_resize(self) -> None:
        """Another size holds another number of minutes."""
        if self._made[0] is not None:
            self.show(self._made[0])

    def render_line(self, y: int) -> Strip:
        """One line of the picture."""
        width = self.size.width
        parts = self._lines[y] if y < len(self._lines) else []
        base = self.rich_style
        segments = [
            Segment(words, base + self._tones.style(tone, self.app.theme_variables) if tone else base)
            for words, tone in parts
        ]
        return Strip(segments).adjust_cell_length(width, base)


def chart_lines(model: ChartModel, width: int, height: int) -> list[list[tuple[str, str]]]:
    """The picture as lines of words with their tones: prices at the left, minutes and volume below."""
    if not model.bars or width < 20 or height < 5:
        words = SMALL if model.bars else EMPTY
        return [[(fit(f" {line}", width), "axis")] for line in wrap(words, max(1, width - 2))[: max(1, height)]]
    label = max(len(fixed(bar.high, model.digits)) for bar in model.bars) + 1
    room = width - label - LABEL_SPACE
    bars = model.bars[-room:]
    rows = height - 2
    seen = [mark.price for mark in model.marks if mark.ts_ns >= bars[0].ts_ns]
    low, high = min([*seen, *(bar.low for bar in bars)]), max([*seen, *(bar.high for bar in bars)])
    scale = _Scale(low, high, rows)
    marks = _marks(model.marks, bars, scale)
    lines, said = [], ""
    for row in range(rows):
        price = fixed(scale.price_at(row), model.digits) if row % 2 == 0 else ""
        price, said = ("", said) if price == said else (price, price or said)  # rows may be finer than the tick
        line = [(f"{price:>{label}} ", "axis")]
        for column, bar in enumerate(bars):
            mark = marks.get((row, column))
            line.append(mark or (_cell(bar, row, scale), "up" if bar.close >= bar.open else "down"))
        lines.append(line)
    return [*lines, [(_times(bars, label), "axis")], [(_volumes(bars, label), "axis")]]


class _Scale:
    """Prices as half rows, the highest at the top."""

    def __init__(self, low: Decimal, high: Decimal, rows: int) -> None:
        self.high = high
        self.span = high - low
        self.halves = rows * 2

    def half(self, price: Decimal) -> int:
        """The half row of a price, from the top."""
        if not self.span:
            return self.halves // 2
        return int((self.high - price) * (self.halves - 1) / self.span)

    def price_at(self, row: int) -> Decimal:
        """The price in the middle of a row."""
        if not self.span:
            return self.high
        return self.high - self.span * (2 * row) / (self.halves - 1)


def _cell(bar: BarView, row: int, scale: _Scale) -> str:
    top, bottom = scale.half(bar.high), scale.half(bar.low)
    first, last = sorted((scale.half(bar.open), scale.half(bar.close)))

    def kind(half: int) -> int:
        if first <= half <= last:
            return 2
        return 1 if top <= half <= bottom else 0

    return _CELLS[kind(2 * row), kind(2 * row + 1)]


def _marks(marks: Sequence[Mark], bars: Sequence[BarView], scale: _Scale) -> dict[tuple[int, int], tuple[str, str]]:
    """Row and column of each fill: the letter of its side."""
    found: dict[tuple[int, int], tuple[str, str]] = {}
    for mark in marks:
        column = max((index for index, bar in enumerate(bars) if bar.ts_ns <= mark.ts_ns), default=-1)
        if column >= 0:
            row = min(scale.halves // 2 - 1, max(0, scale.half(mark.price) // 2))
            found[row, column] = (mark.side.letter, "buy" if mark.side is Side.BUY else "sell")
    return found


def _times(bars: Sequence[BarView], label: int) -> str:
    words = [" "] * (label + 1 + len(bars) + 6)
    free_from = 0
    for index, bar in enumerate(bars):
        minute = int(clock_minute(bar.ts_ns)[3:])
        if (minute % TIME_EVERY == 0 or index == 0) and index >= free_from:
            at = label + 1 + index
            words[at : at + 5] = clock_minute(bar.ts_ns)
            free_from = index + 7
    return "".join(words)[: label + 1 + max(5, len(bars))]


def _volumes(bars: Sequence[BarView], label: int) -> str:
    most = max(bar.volume for bar in bars)
    steps = (STEPS[int(bar.volume * (len(STEPS) - 1) / most)] if most else " " for bar in bars)
    return f"{'vol':>{label}} {''.join(steps)}"
