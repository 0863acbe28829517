"""Terms of a recorded instrument: from the command line, from a sidecar ``FILE.yaml``, else stated defaults."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import yaml

from engine.domain.errors import DataError, InputError, InstrumentError
from engine.domain.instrument import Instrument, make_instrument
from engine.market.days import end_of
from engine.market.ticks import parse_ticks

PRICE_DIGITS_MIN = 4
"""Prints may lie between ticks (a mid-point is half a tick): LOBSTER's own grid is a hundredth of a cent."""

_STEM = re.compile(r"[A-Za-z0-9]{1,12}")
_NO_SYMBOL = frozenset(
    [
        "binance",
        "bitstamp",
        "cme",
        "nasdaq",
        "spot",
        "usdm",
        "coinm",
        "depth",
        "trades",
        "quotes",
        "orders",
        "book",
        "bbo",
        "bars",
        "ib",
        "ticks",
        "min",
        "taq",
        "data",
        "day",
    ]
)
"""Words in names of files that are no symbols."""
FIELDS = ("tick", "lot", "mult", "ccy", "mic", "kind", "calendar", "adv", "expiry")
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
    expiry: str = ""
    """A time, or a date whose end (UTC) it is."""


class Sidecar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may stand in ``FILE.yaml``."""

    instrument: InstrumentWords = InstrumentWords()
    curve: str = ""
    """A volume curve file, relative to the sidecar."""


def parse_instrument(words: str) -> InstrumentWords:
    """Read ``SYM:tick=,lot=,mult=,ccy=,mic=[,kind=,calendar=,adv=,expiry=]``; terms may be left out.

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


def stem_of(path: Path) -> str:
    """The first word of a file's name that may be a symbol, in capitals; empty where there is none."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", path.name.partition(".")[0]) if word[:1].isalpha()]
    likely = next((word for word in words if word.lower() not in _NO_SYMBOL), "")
    matched = _STEM.match(likely or (words[0] if words else ""))
    return matched.group(0).upper() if matched else ""


def join_words(first: InstrumentWords, second: InstrumentWords) -> InstrumentWords:
    """The terms of the first, and where it gives none those of the second."""
    given = {field: getattr(first, field) or getattr(second, field) for field in ("symbol", *FIELDS)}
    return InstrumentWords(**given)


def settle_instrument(
    path: Path, given: InstrumentWords, found: dict[str, str], *, is_inferred: bool
) -> tuple[Instrument, tuple[str, ...]]:
    """The instrument of a recorded file, and a sentence for each term that nobody gave.

    Args:
        path: the file.
        given: what a person gave.
        found: what the file or its layout say themselves.
        is_inferred: its tick and lot in ``found`` are the coarsest that fit its numbers.
    """
    sentences: list[str] = []
    fallback = {
        "symbol": "",
        "tick": "0.01",
        "lot": "1",
        "mult": "1",
        "ccy": "USD",
        "mic": "",
        "kind": "equity",
        "calendar": "24x7",
        **found,
    }
    origin = {"symbol": "from the file or its name", "mic": "from the file's layout", "calendar": "no session ends"}
    if is_inferred:
        origin |= dict.fromkeys(("tick", "lot"), "the coarsest step that holds every number of the file")
    chosen: dict[str, str] = {}
    for field, default in fallback.items():
        value = getattr(given, field)
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
            parse_ticks(chosen["tick"]),
            chosen["lot"],
            calendar=chosen["calendar"],
            multiplier=chosen["mult"],
            adv=given.adv or None,
            expiry_ns=end_of(given.expiry) if given.expiry else None,
        )
    except InstrumentError:
        raise
    except InputError as error:
        raise InstrumentError(f"{path.name}: {error}") from None
    digits = max(PRICE_DIGITS_MIN, made.price_digits + 1)
    return msgspec.structs.replace(made, price_digits=digits), tuple(sentences)
