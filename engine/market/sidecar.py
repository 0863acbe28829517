"""Terms of a recorded instrument: from the command line, from a sidecar ``FILE.yaml``, else stated defaults."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import yaml

from engine.domain.errors import DataError, InstrumentError, MoneyError
from engine.domain.instrument import Instrument, make_instrument

PRICE_DIGITS_MIN = 4
"""Prints may lie between ticks (a mid-point is half a tick): LOBSTER's own grid is a hundredth of a cent."""

_STEM = re.compile(r"[A-Za-z]{1,12}")
FIELDS = ("tick", "lot", "mult", "ccy", "mic", "kind", "calendar", "adv")
EXAMPLE = "AAPL:tick=0.01,lot=1,mult=1,ccy=USD,mic=XNAS"


class InstrumentWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Terms as a person gave them; an empty one was not given."""

    symbol: str = ""
    tick: str = ""
    lot: str = ""
    mult: str = ""
    ccy: str = ""
    mic: str = ""
    kind: str = ""
    calendar: str = ""
    adv: str = ""
    """Average daily volume."""


class Sidecar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may stand in ``FILE.yaml``."""

    instrument: InstrumentWords = InstrumentWords()
    curve: str = ""
    """A volume curve file, relative to the sidecar."""


def parse_instrument(words: str) -> InstrumentWords:
    """Read ``SYM:tick=,lot=,mult=,ccy=,mic=[,kind=,calendar=,adv=]``; terms may be left out.

    Raises:
        InstrumentError: naming the word and what was expected.
    """
    symbol, _, rest = words.partition(":")
    given: dict[str, str] = {}
    for word in filter(None, rest.split(",")):
        field, equals, value = word.partition("=")
        if field not in FIELDS or not equals or not value:
            raise InstrumentError(
                f"--instrument: {word!r} is not one of {', '.join(FIELDS)} with =value, as in {EXAMPLE}"
            )
        if field in given:
            raise InstrumentError(f"--instrument: {field} is given twice")
        given[field] = value
    if not symbol:
        raise InstrumentError(f"--instrument: {words!r} has no symbol before the colon, as in {EXAMPLE}")
    return InstrumentWords(symbol=symbol, **given)


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of a recorded file lies: the file's whole name and ``.yaml``."""
    return path.with_name(path.name + ".yaml")


def read_sidecar(path: Path) -> Sidecar:
    """Read the sidecar of a recorded file, empty where there is none.

    Raises:
        DataError: naming the file and the key for anything but the known keys, each with text or a number.
    """
    beside = sidecar_path(path)
    try:
        text = beside.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Sidecar()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{beside}: cannot be read: {error}") from None
    try:
        # BaseLoader keeps every scalar as its text: a tick of 0.10 must not pass through a float.
        return msgspec.convert(yaml.load(text, Loader=yaml.BaseLoader) or {}, Sidecar)  # noqa: S506 - builds text only
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise DataError(f"{beside}: {error}; expected instrument: {{symbol, {', '.join(FIELDS)}}} and curve") from None


def settle_instrument(
    path: Path, words: InstrumentWords | None, sidecar: Sidecar, venue: str
) -> tuple[Instrument, tuple[str, ...]]:
    """The instrument of a recorded file, and a sentence for each term that nobody gave."""
    given = words or InstrumentWords()
    sentences: list[str] = []
    matched = _STEM.match(path.name)
    fallback = {
        "symbol": matched.group(0).upper() if matched else "",
        "tick": "0.01",
        "lot": "1",
        "mult": "1",
        "ccy": "USD",
        "mic": venue,
        "kind": "equity",
        "calendar": "24x7",
    }
    origin = {"symbol": "from the file name", "mic": "from the file's layout", "calendar": "no session ends"}
    chosen: dict[str, str] = {}
    for field, default in fallback.items():
        value = getattr(given, field) or getattr(sidecar.instrument, field)
        if not value:
            value = default
            sentences.append(
                f"{path.name}: {field} not given, used {value}" + (f" ({origin[field]})" if field in origin else "")
            )
        chosen[field] = value
    try:
        made = make_instrument(
            chosen["symbol"],
            chosen["kind"],
            chosen["mic"],
            chosen["ccy"],
            chosen["tick"],
            chosen["lot"],
            calendar=chosen["calendar"],
            multiplier=chosen["mult"],
            adv=given.adv or sidecar.instrument.adv or None,
        )
    except MoneyError as error:
        raise InstrumentError(f"{path.name}: {error}") from None
    digits = max(PRICE_DIGITS_MIN, made.price_digits + 1)
    return msgspec.structs.replace(made, price_digits=digits), tuple(sentences)
