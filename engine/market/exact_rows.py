"""Files of rows that a person writes: known keys only, numbers that never pass through a float, moments as ISO times."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from engine.domain.clock import parse_iso
from engine.domain.errors import DataError, MoneyError
from engine.domain.money import DIGITS_MAX, Exact, is_bounded

T = TypeVar("T")


class Moment(int):
    """Nanoseconds UTC, written as an ISO time."""


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows take known keys only."""


def read_rows(path: Path, kind: type[T], expected: str) -> T:
    """A file as one message; ``expected`` ends the words of a refusal.

    Raises:
        DataError: naming the file, the row and what was expected.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: it is no ordinary file, and reading it may never end; expected {expected}")
    try:
        # BaseLoader keeps every scalar as its text.
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - builds text only
        return msgspec.convert(raw, kind, strict=False, dec_hook=_row)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError, MoneyError) as error:
        raise DataError(f"{path}: {error}; expected {expected}") from None


def _row(kind: type, value: object) -> object:
    """Text of a row to its type; ValueError names the value."""
    try:
        if kind is Moment and isinstance(value, str):
            return Moment(parse_iso(value))
        if issubclass(kind, Exact) and isinstance(value, str):
            number = kind(value)
            if not is_bounded(number):
                raise ValueError(f"{value} has more than {DIGITS_MAX} digits before or behind the point")
            return number
    except (MoneyError, ValueError) as error:
        raise ValueError(str(error)) from None
    raise ValueError(f"expected {'an ISO time with zone' if kind is Moment else 'a number'}, was {value!r}")
