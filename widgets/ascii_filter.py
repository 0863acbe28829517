"""Everything drawn in the 95 printable ASCII characters, for terminals that have no others."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_LINES = {
    "-": "─━═┄┅┈┉╌╍▔▁▂▃▀▄",
    "'": "╵╹",
    ",": "╷╻",
    "|": "╽╿│┃║┆┇┊┋▏▕▎▌▐▍",
    "+": "╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛┣┫┳┻╋╔╗╚╝",
    "#": "█▇▆▅▉▊▋▓",
    ":": "▒░",
    ">": "▶►❯→",
    "<": "◀◄❮←",
    "*": "•●◆■",
    ".": "…·",
}
_TABLE = {ord(char): plain for plain, chars in _LINES.items() for char in chars}


class AsciiFilter(LineFilter):
    """Replaces each other character by one or more of the same width, so that no column moves."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - Textual's signature
        """The same line in plain characters."""
        return [
            segment if segment.control or segment.text.isascii() else segment._replace(text=ascii_words(segment.text))
            for segment in segments
        ]


def ascii_words(words: str) -> str:
    """Words in ASCII: lines and blocks as their nearest character, any other one as question marks of its width."""
    found = words.translate(_TABLE)
    return found if found.isascii() else "".join(char if char.isascii() else "?" * cell_len(char) for char in found)
