"""A file of currency rates: YAML, each rate with the moment it stands for. Read strictly; numbers never pass through a float."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.domain.clock import parse_iso
from engine.domain.errors import DataError, MoneyError
from engine.domain.instrument import is_currency
from engine.domain.money import Rate
from engine.domain.money_events import FxRate
from engine.market.exact_rows import read_rows

FX_NAME = "fx.yaml"
"""Name of the file in the state folder."""
TEN_THOUSAND = 10_000
EXAMPLE = "rates: [{of: EUR, to: USD, rate: 1.0850, at: 2026-11-27T15:00:00Z}]"


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    of: str
    to: str
    rate: str
    at: str


class _Convert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bps: str = "0"
    automatic: bool = False


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    example: bool = False
    convert: _Convert = _Convert()
    rates: tuple[_Row, ...]


class FxFile(msgspec.Struct, frozen=True, kw_only=True):
    """Rates, and how the paper venue changes currencies by them."""

    rates: tuple[FxRate, ...]
    bps: Rate
    """Cost of a conversion, in basis points of the amount."""
    is_automatic: bool
    """What executions move in another currency is changed into the account's own at once."""


def read_fx(path: Path) -> FxFile:
    """Read a file of rates.

    Raises:
        DataError: naming the file, the value and what was expected.
    """
    made = read_rows(path, _File, f"name and {EXAMPLE}")
    try:
        bps = Rate(made.convert.bps)
    except MoneyError as error:
        raise DataError(f"{path}: convert.bps: {error}; expected basis points such as 2.5") from None
    if not 0 <= bps < TEN_THOUSAND:
        raise DataError(f"{path}: convert.bps was {bps}; expected basis points from 0 to below {TEN_THOUSAND}")
    rates = tuple(_rate(path, made.name, row) for row in made.rates)
    return FxFile(rates=rates, bps=bps, is_automatic=made.convert.automatic)


def _rate(path: Path, name: str, row: _Row) -> FxRate:
    for word in (row.of, row.to):
        if not is_currency(word):
            raise DataError(f"{path}: {word!r} is no currency code of 3 to 5 capitals, as in {EXAMPLE}")
    try:
        found = FxRate(of=row.of, to=row.to, rate=Rate(row.rate), ts_ns=parse_iso(row.at), source=name)
    except (MoneyError, ValueError) as error:
        raise DataError(f"{path}: {row.of} in {row.to}: {error}; expected {EXAMPLE}") from None
    fault = found.fault()
    if fault:
        raise DataError(f"{path}: {fault}")
    return found
