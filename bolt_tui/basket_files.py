"""Basket files on the disk: reading one whole, and completing the name of one that is being typed."""

from __future__ import annotations

import os
from pathlib import Path

from engine.domain.errors import SettingsError
from engine.intake.basket_file import BYTES_MAX, BasketFile, read_basket
from engine.intake.grammar import GrammarContext

NAMES_SHOWN_MAX = 200
"""Names that a completion looks at, in one folder."""


def read_basket_file(path: Path, context: GrammarContext) -> BasketFile:
    """The orders of a file, or what is wrong with each of its lines.

    Raises:
        SettingsError: it cannot be opened, or is no text; names the file and what to do.
    """
    if path.exists() and not path.is_file():
        kind = "is a folder" if path.is_dir() else "is no ordinary file, and reading it may never end"
        raise SettingsError(f"{path} {kind}; give a csv file, or a basket such as B1")
    try:
        with path.open("rb") as file:
            held = file.read(4 * BYTES_MAX + 1)
        return read_basket(held.decode("utf-8"), context)
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is no UTF-8 text; save it as csv in UTF-8") from None
    except OSError as error:
        why = error.strerror or error
        raise SettingsError(f"{path} cannot be read: {why}; give a csv file, or a basket such as B1") from None


def typed_path(words: str) -> Path | str:
    """The file that a person typed, or why it is none. A pipe or a device is none: reading it may never end."""
    if not words.strip():
        return "type the name of a csv file, as in ~/rebal.csv"
    path = _expanded(words.strip())
    try:
        if path.is_file():
            return path
        kind = "is a folder" if path.is_dir() else "is no ordinary file" if path.exists() else "does not exist"
    except (OSError, ValueError):
        kind = "cannot be looked at"
    return f"{path} {kind}; type the name of a csv file, tab completes it"


def completed(words: str) -> tuple[str, list[str]]:
    """The words as far as the names on the disk agree on, and those names: folders, and csv files."""
    head, slash, begun = words.rpartition("/")
    folder = _expanded(head + slash) if head + slash else Path()
    try:
        with os.scandir(folder) as found:
            names = sorted(
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry in found
                if entry.name.startswith(begun)
                and (begun or not entry.name.startswith("."))
                and (entry.is_dir() or entry.name.lower().endswith((".csv", ".txt")))
            )[:NAMES_SHOWN_MAX]
    except (OSError, ValueError):
        return words, []
    shortest = min(names, key=len, default=begun)
    agreed = next(
        (at for at in range(len(shortest), 0, -1) if all(name.startswith(shortest[:at]) for name in names)), 0
    )
    common = shortest[:agreed]
    return f"{head}{slash}{common}", names


def _expanded(words: str) -> Path:
    try:
        return Path(words).expanduser()
    except RuntimeError:  # ~name of nobody
        return Path(words)
