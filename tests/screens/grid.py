"""What is painted, as lines of text and as a digest of every style: cheap to compare for each screen, size and theme."""

from __future__ import annotations

import hashlib

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip


def strips(pilot: Pilot[str]) -> list[Strip]:
    """Every line of the screen with what lies on top of it."""
    return list(pilot.app.screen._compositor.render_strips())


def words(lines: list[Strip]) -> str:
    """The characters alone: what a screen without any colour shows."""
    return "\n".join(strip.text.rstrip() for strip in lines)


def part(lines: list[Strip], region: Region) -> list[str]:
    """The characters of a region, a line each."""
    return [strip.crop(region.x, region.right).text for strip in lines[region.y : region.bottom]]


def digest(lines: list[Strip]) -> str:
    """One word for all characters and styles."""
    made = hashlib.sha256()
    for strip in lines:
        for words, style in _runs(strip):
            made.update(f"{words}\0{style}\n".encode())
    return made.hexdigest()[:16]


def _runs(strip: Strip) -> list[tuple[str, str]]:
    """Text in equal style, however it was cut into segments."""
    found: list[tuple[str, str]] = []
    for segment in Segment.simplify(strip):
        style = segment.style or Style()
        shown = f"{style.color and style.color.name} on {style.bgcolor and style.bgcolor.name}"
        flags = "".join(
            letter
            for letter, on in (("b", style.bold), ("d", style.dim), ("r", style.reverse), ("u", style.underline))
            if on
        )
        found.append((segment.text, f"{shown} {flags}"))
    return found
