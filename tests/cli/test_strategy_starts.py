"""Strategies of `settings.yaml` and of a command line start with the engine, with their parameters."""

from __future__ import annotations

import pytest

from bolt_tui.strategy_starts import named, start
from engine.domain.commands import SetStrategy
from engine.domain.errors import SettingsError
from tests.cli.test_host import FakeLive
from tests.server.fakes import ME

SETTINGS = {"BuyTheDip": {"symbol": "AAPL"}}


def started(live: FakeLive) -> list[tuple[str, dict[str, str]]]:
    return [(sent.name, sent.params) for sent in live.door.commands if isinstance(sent, SetStrategy) and sent.on]


def test_a_name_takes_its_parameters_from_the_settings_and_words_go_before_them() -> None:
    assert named(["BuyTheDip"], SETTINGS) == SETTINGS
    assert named(["BuyTheDip:symbol=MSFT,cap=5", "Other"], SETTINGS) == {
        "BuyTheDip": {"symbol": "MSFT", "cap": "5"},
        "Other": {},
    }
    with pytest.raises(SettingsError, match=r"'BuyTheDip:symbol'; expected NAME or NAME:param=value"):
        named(["BuyTheDip:symbol"], SETTINGS)


def test_those_of_the_settings_start_and_a_refusal_is_said() -> None:
    live, said = FakeLive(), list[str]()
    start(live, ME, {"Other": {}}, SETTINGS, said.append)
    assert started(live) == [("BuyTheDip", {"symbol": "AAPL"}), ("Other", {})]
    assert said == []


def test_after_an_unclean_end_only_what_a_person_named_starts() -> None:
    live, said = FakeLive(), list[str]()
    live.is_recovering = True
    start(live, ME, {"Other": {}}, SETTINGS, said.append)
    assert started(live) == [("Other", {})]
    assert "BuyTheDip of settings.yaml is not started: the engine did not end cleanly" in said[0]
    assert "`bolt strategy on BuyTheDip symbol=AAPL`" in said[0]
