"""The styles of words inside a pane, by the name of their tone, read from the theme's colours.

Not Textual's component classes: those of a widget are all worked out again with each change of a class, of the focus or of
the size, and a dozen tones on a dozen panes were 40 % of the processor time of a key.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from rich.style import Style
from textual.color import Color


class Tone(msgspec.Struct, frozen=True, kw_only=True):
    """Names of a theme's colours; empty for the pane's own."""

    ink: str = ""
    ground: str = ""
    is_bold: bool = False
    is_reverse: bool = False


class Tones:
    """Styles of named tones; made once per theme."""

    def __init__(self, tones: Mapping[str, Tone]) -> None:
        self._tones = tones
        self._theme: Mapping[str, str] = {}
        self._styles: dict[str, Style] = {}

    def style(self, name: str, theme: Mapping[str, str]) -> Style:
        """The style of a tone.

        Args:
            name: of the tone.
            theme: the app's ``theme_variables``; another object means another theme.

        Raises:
            KeyError: there is no tone, or in the theme no colour, of that name.
        """
        if theme is not self._theme:
            self._theme = theme
            self._styles.clear()
        found = self._styles.get(name)
        if found is None:
            found = self._styles[name] = self._made(self._tones[name])
        return found

    def _made(self, tone: Tone) -> Style:
        return Style(
            color=Color.parse(self._theme[tone.ink]).rich_color if tone.ink else None,
            bgcolor=Color.parse(self._theme[tone.ground]).rich_color if tone.ground else None,
            bold=tone.is_bold or None,
            reverse=tone.is_reverse or None,
        )
