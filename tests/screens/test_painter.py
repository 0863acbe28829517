"""What the painter leaves out may never be missed: after any updates the terminal shows what a whole repaint would show."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from bolt_tui.painter import CellPainter

WIDTH, HEIGHT = 24, 4
STYLES = (Style(), Style(bold=True), Style(color="#6cb6ff", bgcolor="#0b0f14"))
TOKEN = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[([0-9;]*)m|(.)", re.DOTALL)


class Glass:
    """A terminal that knows places, styles and characters of one cell or two."""

    def __init__(self) -> None:
        self.cells = [[("", "") for _ in range(WIDTH)] for _ in range(HEIGHT)]

    def write(self, data: str) -> None:
        y = x = 0
        style = ""
        for row, column, codes, char in TOKEN.findall(data):
            if row:
                y, x = int(row) - 1, int(column) - 1
            elif char:
                wide = char == "界"
                self.cells[y][x] = (char, style)
                if wide:
                    self.cells[y][x + 1] = ("", style)
                x += 2 if wide else 1
            else:
                style = codes.removeprefix("0;") if codes != "0" else ""


def line_of(words: str, styles: list[int]) -> Strip:
    made = [Segment(char, STYLES[styles[at % len(styles)]]) for at, char in enumerate(words)]
    return Strip(made).adjust_cell_length(WIDTH, STYLES[0]).simplify()


LINES = st.lists(
    st.builds(line_of, st.text("ab 界.", min_size=0, max_size=12), st.lists(st.integers(0, 2), min_size=1, max_size=4)),
    min_size=HEIGHT,
    max_size=HEIGHT,
)
CONSOLE = Console(color_system="truecolor", legacy_windows=False)


def paint(painter: CellPainter, update: LayoutUpdate | ChopsUpdate) -> str:
    return painter.paint(update, ColorSystem.TRUECOLOR)


def whole(lines: list[Strip]) -> LayoutUpdate:
    return LayoutUpdate([[line] for line in lines], Region(0, 0, WIDTH, HEIGHT))


@given(
    pictures=st.lists(
        st.tuples(LINES, st.integers(0, 3), st.integers(0, 20), st.integers(1, 24)), min_size=2, max_size=6
    )
)
def test_the_terminal_shows_the_last_picture(pictures: list[tuple[list[Strip], int, int, int]]) -> None:
    glass, painter = Glass(), CellPainter()
    shown = pictures[0][0]
    glass.write(paint(painter, whole(shown)))
    for lines, row, start, size in pictures[1:]:
        end = min(WIDTH, start + size)
        chops: list[dict[int, Strip | None]] = [{0: line} for line in lines]
        update = ChopsUpdate(chops, [(row, start, end)], [[WIDTH] for _ in lines])
        glass.write(paint(painter, update))
        clean = Glass()
        clean.write(paint(CellPainter(), whole(lines)))
        for at in range(start, end):
            if "界" not in "".join(char for char, _ in clean.cells[row]):
                assert glass.cells[row][at] == clean.cells[row][at]
        glass.write(paint(painter, whole(lines)))
        assert glass.cells == clean.cells


def test_what_stands_there_already_is_not_written_again() -> None:
    painter = CellPainter()
    lines = [line_of("abc", [0]) for _ in range(HEIGHT)]
    assert len(paint(painter, whole(lines))) > HEIGHT * WIDTH
    assert paint(painter, whole(lines)) == ""
    lines[2] = line_of("axc", [0])
    assert paint(painter, whole(lines)) == "\x1b[3;2H\x1b[0mx\x1b[0m"


def test_after_forgetting_and_after_another_size_all_is_written() -> None:
    painter = CellPainter()
    lines = [line_of("abc", [0]) for _ in range(HEIGHT)]
    first = paint(painter, whole(lines))
    painter.forget()
    assert paint(painter, whole(lines)) == first
    smaller = LayoutUpdate([[line] for line in lines[:2]], Region(0, 0, WIDTH, 2))
    assert len(paint(painter, smaller)) > WIDTH


def test_a_part_of_a_screen_that_was_never_painted_is_left_to_textual() -> None:
    chops: list[dict[int, Strip | None]] = [{0: line_of("abc", [0])}]
    update = ChopsUpdate(chops, [(0, 0, WIDTH)], [[WIDTH]])
    wrapped = CellPainter().wrap(update)
    assert wrapped.render_segments(CONSOLE) == update.render_segments(CONSOLE)  # type: ignore[attr-defined]  # wrap keeps the kind
