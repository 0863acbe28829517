"""Find strategies: those that come with Bolt, and those in a folder of the user's.

A file that cannot be loaded is reported by name and reason and keeps no other from loading. Two strategies of one name are
never both loaded: the one that came with Bolt, or the file first by name, stays, the other is reported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Collection
from pathlib import Path

import msgspec

from engine.domain.errors import InputError
from engine.intake.strategies.buy_the_dip import BuyTheDip
from engine.intake.strategy_base import Strategy, parameters, strategy_name

BUILT_IN: tuple[type[Strategy], ...] = (BuyTheDip,)
_PACKAGE = "bolt_user_strategies"


class Loaded(msgspec.Struct, frozen=True):
    """What can be started, and what could not be loaded."""

    strategies: dict[str, type[Strategy]]
    errors: tuple[str, ...] = ()
    files: dict[str, str] = {}
    """SHA-256 of each file that was read, by its name; empty text for one that could not be."""


def load_strategies(folder: Path | None = None, only: Collection[str] | None = None) -> Loaded:
    """Strategies by name: built in, and every subclass of Strategy defined in ``folder/*.py`` (a missing folder is empty).

    Files whose name starts with ``_`` are passed over; so is every file that ``only`` does not name, where it is given.
    """
    found = {strategy_name(kind): kind for kind in BUILT_IN}
    origin = dict.fromkeys(found, "Bolt")
    errors, files = list[str](), dict[str, str]()
    for path in sorted(folder.glob("*.py")) if folder is not None and folder.is_dir() else []:
        if path.name.startswith("_") or (only is not None and path.name not in only):
            continue
        files[path.name] = _sha256(path)
        kinds, error = _load_file(path)
        if error:
            errors.append(error)
        for name, kind in kinds:
            if name in found:
                errors.append(
                    f"{path.name}: strategy {name} is already defined by {origin[name]}; give it another name"
                )
            else:
                found[name] = kind
                origin[name] = path.name
    return Loaded(found, tuple(errors), files)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _load_file(path: Path) -> tuple[list[tuple[str, type[Strategy]]], str]:
    """Named strategies of one file, or why there are none."""
    module_name = f"{_PACKAGE}.{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        return [], f"{path.name}: not a Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # annotations of its classes are resolved through here
    try:
        spec.loader.exec_module(module)
        kinds = [
            (strategy_name(kind), kind)
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, Strategy) and kind.__module__ == module_name
        ]
        for _, kind in kinds:
            parameters(kind)
    except InputError as error:
        reason = str(error)
    except (Exception, SystemExit) as error:  # loop edge: a user's file may raise anything; the next one loads
        reason = short_trace(error)
    else:
        return kinds, "" if kinds else f"{path.name}: defines no subclass of Strategy"
    del sys.modules[module_name]
    return [], f"{path.name}: {reason}"


def short_trace(error: BaseException) -> str:
    """An exception and where it came from, innermost last, by file names without folders: the same on every machine."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__}: {error} ({places})"[:1000]
