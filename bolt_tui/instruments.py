"""The instrument registry of a state folder: the shipped names, and over them what its owner wrote in `instruments/`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain.errors import InputError

if TYPE_CHECKING:
    from engine.market.registry import Registry


def registry_in(folder: Path) -> Registry:
    """The registry, with the owner's files in ``folder``.

    Raises:
        InstrumentError: a file has a fault; the text names file, line and what was expected.
    """
    from engine.market.registry_files import SHIPPED, load_registry

    return load_registry((SHIPPED, folder))


def names_in(folder: Path) -> Callable[[str], str]:
    """What is known of a symbol that no broker lists, as words for the person who asked for it.

    Files are read at the first such question, once. A file with a fault answers with that fault.
    """

    @cache
    def loaded() -> Registry | str:
        try:
            return registry_in(folder)
        except InputError as error:
            return str(error)

    def words(symbol: str) -> str:
        from engine.domain.clock import SystemClock

        registry = loaded()
        return registry if isinstance(registry, str) else registry.why_not(symbol, SystemClock().now_ns())

    return words
