"""Defaults of order words in three levels: all orders, a type of order, a symbol. A later level wins.

Values are written for a buy and mirrored for a sell. A preset gives only what the line does not say, and each draft names
where every default came from.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.domain.errors import SettingsError
from engine.domain.instrument import is_symbol
from engine.domain.order import OrderType, Side, Tif
from engine.intake.sizes import read_part
from engine.intake.words import PriceWord, read_duration, read_price, read_size

FIELDS = ("size", "price", "tif", "algo", "account", "broker", "venue")
_SWAPPED = {"bid": "ask", "ask": "bid"}


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Words of the order line; empty gives nothing."""

    size: str = ""
    """``100``, ``5k``, ``$10k``, ``25%pos``."""
    price: str = ""
    """A price word: ``join``, ``bid+1t``, ``mkt``. A number would be stale tomorrow and is refused."""
    tif: str = ""
    algo: str = ""
    """With its duration and parameters: ``vwap 30m style=passive``."""
    account: str = ""
    broker: str = ""
    venue: str = ""


class Presets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The three levels."""

    all: Preset = Preset()
    types: dict[str, Preset] = {}
    """By ``market``, ``limit``, ``stop``, ``stop_limit`` or an algorithm's name."""
    symbols: dict[str, Preset] = {}

    def find(self, field: str, kind: str, symbol: str) -> tuple[str, str]:
        """The value of a field and where it stands; two empty words where no level has it."""
        levels = (
            (f"presets.symbols.{symbol}", self.symbols.get(symbol)),
            (f"presets.types.{kind}", self.types.get(kind)),
            ("presets.all", self.all),
        )
        for where, preset in levels:
            value = "" if preset is None else str(getattr(preset, field))
            if value:
                return value, where
        return "", ""


NONE = Presets()


class Default(msgspec.Struct, frozen=True):
    """One value that nobody typed, and where it is from."""

    name: str
    value: str
    where: str


def mirrored(price: str, side: Side) -> str:
    """A buy's price word for this side: bid and ask change places, ticks change their sign."""
    said = read_price(price)
    if side is Side.BUY or not isinstance(said, PriceWord):
        return price
    anchor = _SWAPPED.get(said.anchor, said.anchor)
    ticks = -said.ticks
    return f"{anchor}{ticks:+d}t" if ticks else anchor


def check(presets: Presets, algos: Mapping[str, object]) -> None:
    """Refuse what no order line could say.

    Raises:
        SettingsError: naming level, field, value and what was expected.
    """
    kinds = (*(str(kind) for kind in OrderType), *(name for name in algos if name != "direct"))
    for kind in presets.types:
        if kind not in kinds:
            msg = f"presets.types.{kind}: no type of order; expected one of {', '.join(kinds)}"
            raise SettingsError(msg)
    for symbol in presets.symbols:
        if not is_symbol(symbol):
            msg = f"presets.symbols.{symbol}: no symbol; expected capitals, digits and . _ / -"
            raise SettingsError(msg)
    _check_level("presets.all", presets.all, algos)
    for kind, preset in presets.types.items():
        _check_level(f"presets.types.{kind}", preset, algos)
    for symbol, preset in presets.symbols.items():
        _check_level(f"presets.symbols.{symbol}", preset, algos)


def _check_level(where: str, preset: Preset, algos: Mapping[str, object]) -> None:
    algo, _, rest = preset.algo.partition(" ")
    timed = algo in {"", "direct"} or read_duration(rest.partition(" ")[0]) is not None
    rules = (
        ("size", not preset.size or bool(read_size(preset.size) or read_part(preset.size)), "100, 5k, $10k or 25%pos"),
        ("price", not preset.price or isinstance(read_price(preset.price), PriceWord), "a price word such as join, mid or bid+1t"),
        ("tif", not preset.tif or preset.tif in set(Tif), ", ".join(Tif)),
        ("algo", not algo or (algo in algos and timed), f"one of {', '.join(algos)} with a duration: vwap 30m"),
    )  # fmt: skip
    for field, holds, expected in rules:
        if not holds:
            msg = f"{where}.{field} was {getattr(preset, field)!r}; expected {expected}"
            raise SettingsError(msg)
