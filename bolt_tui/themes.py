"""The shipped themes: colours from `themes/*.yaml`, read strictly, made into Textual themes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import yaml
from textual.theme import Theme

from bolt_tui.resources import theme_files
from engine.domain.errors import SettingsError


class Colours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One theme. Colour only repeats what words, letters and signs say already."""

    dark: bool
    background: str
    foreground: str
    panel: str
    """Order line and the day's figures."""
    bar: str
    """Status bar and footer."""
    quiet: str
    """Headings, old orders, units."""
    edge: str
    """Borders."""
    focus: str
    """Border and name of the pane that takes the keys."""
    title: str
    buy: str
    sell: str
    up: str
    down: str
    caution: str
    """STALE, refusals, REDUCING."""
    alarm: str
    """Background of HALTED, UNKNOWN and LIVE."""
    alarm_text: str
    paper: str
    """Background of the word PAPER."""
    mode_text: str
    cursor: str
    """Background of the selected row in the focused pane."""
    cursor_rest: str
    """And in a pane without focus."""


PLAIN_NAMES = frozenset({"dark", "background", "foreground", "panel"})


def load(path: Path) -> Colours:
    """One theme file.

    Raises:
        SettingsError: naming the file and what was expected.
    """
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Colours, strict=True)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        msg = f"the theme {path} cannot be used: {error}"
        raise SettingsError(msg) from error


def theme_of(name: str, colours: Colours) -> Theme:
    """Textual's theme of these colours."""
    own = {
        field.replace("_", "-"): str(value)
        for field, value in msgspec.structs.asdict(colours).items()
        if field not in PLAIN_NAMES
    }
    own |= {
        "input-cursor-background": colours.focus,
        "input-cursor-foreground": colours.background,
        "input-selection-background": colours.cursor,
        "block-cursor-background": colours.cursor,
        "block-cursor-foreground": colours.foreground,
        "footer-key-foreground": colours.focus,
    }
    return Theme(
        name=f"bolt-{name}",
        primary=colours.focus,
        secondary=colours.edge,
        warning=colours.caution,
        error=colours.alarm,
        success=colours.up,
        accent=colours.focus,
        foreground=colours.foreground,
        background=colours.background,
        surface=colours.panel,
        panel=colours.panel,
        dark=colours.dark,
        text_alpha=1.0,
        variables=own,
    )


AUTO = "auto"
SIXTEEN = "sixteen"


def swapped(theme: Theme) -> Theme:
    """The same theme with the colours of up and down exchanged."""
    own = {**theme.variables, "up": theme.variables["down"], "down": theme.variables["up"]}
    return replace(theme, variables=own, success=own["up"])


@cache
def shipped() -> dict[str, Theme]:
    """Every shipped theme by its file's name. Read once: to parse them took a tenth of a desk's start, three times."""
    return {name: theme_of(name, load(path)) for name, path in theme_files().items()}


def chosen(name: str, themes: dict[str, Theme], *, has_few_colours: bool = False) -> Theme:
    """The theme a setting names; ``auto`` is the dark one, or that of sixteen colours where there are no more.

    Raises:
        SettingsError: there is none of that name.
    """
    if name == AUTO:
        name = SIXTEEN if has_few_colours else "dark"
    if name not in themes:
        msg = f"settings.yaml: desk.theme was {name!r}; expected auto or one of {', '.join(themes)}"
        raise SettingsError(msg)
    return themes[name]
