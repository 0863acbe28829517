"""Themes, up-colour and keys of one's own: what a setting changes, and what it may never change."""

from __future__ import annotations

import asyncio

import pytest
from textual.pilot import Pilot

from bolt_tui import themes
from bolt_tui.app import Desk
from bolt_tui.keymap import KEYS, changed, clashes, remapped
from bolt_tui.settings import DeskSettings, Environment, Settings, has_few_colours
from engine.domain.errors import SettingsError
from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.grid import strips, words
from tests.screens.play import LARGE, playing

RATIO_MIN = 4.5
"""Least contrast of what is read, by the rule for text of WCAG 2 at level AA; 7 in the theme that promises it."""


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", themes.shipped())
def test_what_is_read_stands_out_from_its_background(name: str) -> None:
    own = themes.shipped()[name]
    ground, least = str(own.background), 7.0 if name == "contrast" else RATIO_MIN
    for tone in ("quiet", "focus", "title", "buy", "sell", "up", "down", "caution"):
        assert ratio(own.variables[tone], ground) >= least, tone
    assert ratio(str(own.foreground), own.variables["cursor"]) >= RATIO_MIN
    assert ratio(own.variables["alarm-text"], own.variables["alarm"]) >= RATIO_MIN
    assert ratio(own.variables["mode-text"], own.variables["paper"]) >= RATIO_MIN


def test_auto_is_dark_or_of_sixteen_colours() -> None:
    made = themes.shipped()
    assert themes.chosen("auto", made).name == "bolt-dark"
    assert themes.chosen("auto", made, has_few_colours=True).name == "bolt-sixteen"
    with pytest.raises(SettingsError, match=r"'plaid'.*auto or one of classic"):
        themes.chosen("plaid", made)


@pytest.mark.parametrize(
    ("term", "colour", "few"),
    [("xterm", "", True), ("linux", "", True), ("xterm-256color", "", False), ("tmux-256color", "", False),
     ("xterm", "truecolor", False), ("xterm-kitty", "", False)],
)  # fmt: skip
def test_a_terminal_says_itself_how_many_colours_it_knows(term: str, colour: str, few: bool) -> None:
    assert has_few_colours(Environment(term=term, colour=colour)) is few


def test_up_and_down_change_places_and_buy_and_sell_do_not() -> None:
    own = themes.shipped()["classic"]
    other = themes.swapped(own)
    assert (other.variables["up"], other.variables["down"]) == (own.variables["down"], own.variables["up"])
    assert (other.variables["buy"], other.variables["sell"]) == (own.variables["buy"], own.variables["sell"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"halt": "ctrl+x"}, "desk.keys.halt: the halt keys are fixed"),
        ({"halt-f9": "f8"}, "fixed"),
        ({"nosuch": "z"}, "no key of that id"),
        ({"copy": "x"}, "x is bound to"),
        ({"copy": "ctrl+g"}, "ctrl[+]g is bound to"),
        ({"copy": "ctrl+h"}, "must never be bound"),
        ({"copy": "f13+q"}, "copy: no key is called 'f13[+]q'; as in"),
        ({"copy": "y, Ctrl+Y"}, "no key is called 'Ctrl[+]Y'"),
        ({"copy": "*"}, "asterisk is bound to"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_its_reason(overrides: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        remapped(overrides)


def test_two_keys_may_change_places() -> None:
    found = {key.id: key.key for key in remapped({"copy": "e", "export": "y, ctrl+y"})}
    assert (found["copy"], found["export"]) == ("e", "y,ctrl+y")
    assert {key.key for key in remapped({"copy": "%, ü"}) if key.id == "copy"} == {"percent_sign,ü"}
    assert clashes(remapped({})) == clashes(KEYS) == []
    assert changed({}) == {}


def test_a_key_of_ones_own_works_and_is_told_and_the_old_one_does_not() -> None:
    engine = FakeEngine(frozen.working_day())
    settings = Settings(desk=DeskSettings(keys={"cancel": "Z", "help": "f1,question_mark"}))

    async def script(pilot: Pilot[str]) -> None:
        await pilot.press("down", "x")
        assert engine.commands == []
        assert "Z Cancel" in words(strips(pilot))
        await pilot.press("Z", "f1")
        await pilot.pause()
        assert "  Z             cancel the selected order" in words(strips(pilot))

    async def run() -> None:
        app = Desk(engine, settings, is_ours=True, clock=engine.clock)
        async with playing(app, LARGE) as pilot:
            await pilot.pause()
            await script(pilot)

    asyncio.run(run())
    assert engine.cancelled() == ["P107"]


def test_every_theme_is_in_the_palette() -> None:
    app = Desk(FakeEngine(), Settings(), is_ours=True)

    async def run() -> None:
        async with playing(app, LARGE) as pilot:
            await pilot.pause()
            titles = [command.title for command in app.get_system_commands(app.screen)]
            assert {f"Theme: {name}" for name in themes.shipped()} <= set(titles)

    asyncio.run(run())
