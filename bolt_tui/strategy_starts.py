"""Strategies that start with an engine: those of `settings.yaml`, and those that a command line names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bolt_tui.host import LiveEngine
from engine.domain.commands import SetStrategy
from engine.domain.errors import SettingsError
from engine.domain.order import Source

Params = Mapping[str, str]


def named(words: Iterable[str], settings: Mapping[str, Params]) -> dict[str, Params]:
    """The strategies of a command line: ``NAME``, with the parameters of the settings where they have it, or ``NAME:param=value,param=value``.

    Raises:
        SettingsError: a parameter without a value.
    """
    found: dict[str, Params] = {}
    for word in words:
        name, colon, rest = word.partition(":")
        params = dict(part.partition("=")[::2] for part in rest.split(",") if part)
        if not all(key and value for key, value in params.items()):
            msg = f"--strategy was {word!r}; expected NAME or NAME:param=value,param=value"
            raise SettingsError(msg)
        found[name] = params if colon else settings.get(name, {})
    return found


def start(
    live: LiveEngine,
    source: Source,
    asked: Mapping[str, Params],
    settings: Mapping[str, Params],
    say: Callable[[str], None],
) -> None:
    """Start what was asked for, and what the settings name; each that does not start is said with its reason.

    After an unclean end those of the settings stay off, as every strategy that was on does: a person looks first.
    """
    for name, params in {**settings, **asked}.items():
        if name not in asked and live.is_recovering:
            words = " ".join((name, *(f"{key}={value}" for key, value in params.items())))
            why = "is not started: the engine did not end cleanly"
            say(f"strategy {name} of settings.yaml {why}; `bolt strategy on {words}` starts it")
            continue
        result = live.door.submit(SetStrategy(source=source, name=name, on=True, params=dict(params)))
        if not result.ok:
            say(f"strategy {name}: {result.code} {result.text}")
