"""Reads registry files: YAML that people edit, taken as a whole or refused with file, line and what was expected.

``instruments:`` holds symbols, ``families:`` holds what the contracts of one future share and the contracts themselves. A symbol stands in one
place only, also over several files; a broker's name means one symbol only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec
import yaml

from engine.domain.clock import iso
from engine.domain.errors import InputError, InstrumentError
from engine.domain.instrument import REFUSED_KINDS, InstrumentKind, is_symbol
from engine.domain.money import Qty
from engine.market.days import DAY_NS, end_of, start_of
from engine.market.registry import ROLL_DAYS, Entry, Registry, Rename
from engine.market.sidecar import InstrumentWords
from engine.market.ticks import parse_ticks

SHIPPED = Path(__file__).parent / "instruments"
"""Names of what the simulated market lists, and the contracts behind them."""
BYTES_MAX = 8 * 1024 * 1024
"""A longer file is refused: it is no list of what a desk trades."""
TERMS = ("kind", "venue", "currency", "tick")
"""Given all together, or none of them: then the terms are a broker's."""

_BROKER = re.compile(r"[a-z][a-z0-9]{1,15}")
_DAYS = re.compile(r"[0-9]{1,3}")


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One instrument as a file has it; every value is text."""

    name: str = ""
    kind: str = ""
    venue: str = ""
    currency: str = ""
    tick: str = ""
    lot: str = ""
    multiplier: str = ""
    calendar: str = ""
    sector: str = ""
    adv: str = ""
    expiry: str = ""
    roll: str = ""
    words: tuple[str, ...] = ()
    aliases: dict[str, str] = {}
    was: dict[str, str] = {}


class _Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    expiry: str
    roll: str = ""
    aliases: dict[str, str] = {}
    adv: str = ""


class _Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    contracts: dict[str, _Contract]
    name: str = ""
    kind: str = "future"
    venue: str
    currency: str
    tick: str
    lot: str = ""
    multiplier: str = ""
    calendar: str = ""
    sector: str = ""
    roll_days: str = str(ROLL_DAYS)
    words: tuple[str, ...] = ()


_Made = TypeVar("_Made", _Row, _Family)
_Value = TypeVar("_Value")


def load_registry(folders: Iterable[Path]) -> Registry:
    """The registry of every ``*.yaml`` in these folders, later folders over earlier ones; a family of a later one takes the place
    of the whole family of that name, so that no contract of another file stands between its contracts.

    Raises:
        InstrumentError: naming file, line, value and what was expected. Nothing of a registry with a fault is taken.
    """
    merged: dict[str, Entry] = {}
    for folder in folders:
        found: dict[str, Entry] = {}
        for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
            for entry in read_registry(path):
                if entry.symbol in found:
                    raise InstrumentError(
                        f"{entry.place}: {entry.symbol} stands in {found[entry.symbol].place} already; keep one of them"
                    )
                found[entry.symbol] = entry
        families = {entry.family for entry in found.values() if entry.family}
        kept = {name: entry for name, entry in merged.items() if entry.family not in families}
        merged = kept | found
    _check_names(merged)
    return Registry(merged.values())


def read_registry(path: Path) -> tuple[Entry, ...]:
    """The entries of one file.

    Raises:
        InstrumentError: as :func:`load_registry`.
    """
    try:
        if path.stat().st_size > BYTES_MAX:
            raise InstrumentError(f"{path}: it has more than {BYTES_MAX} bytes; expected a list of instruments")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InstrumentError(f"{path}: cannot be read: {error}") from None
    try:
        # BaseLoader keeps every scalar as its text: a tick of 0.10 must not pass through a float.
        tree = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise InstrumentError(f"{path}:{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    return _File(path).entries(tree)


class _File:
    """One file while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, tree: Any) -> tuple[Entry, ...]:
        """Everything that stands in it."""
        if tree is None:
            return ()
        found: list[Entry] = []
        for section, line, node in self.pairs(tree, "instruments: and families:"):
            if section not in {"instruments", "families"}:
                self.refuse(line, f"{section!r} is no section; expected instruments or families")
            for name, at, inner in self.pairs(node, f"symbols under {section}"):
                if not is_symbol(name):
                    self.refuse(at, f"{name!r} is no symbol; expected capitals, digits and . _ / -, 24 at most")
                if section == "instruments":
                    found.append(self.instrument(name, at, inner))
                else:
                    found += self.family(name, at, inner)
        self.once(found)
        return tuple(found)

    def once(self, found: list[Entry]) -> None:
        """Refuse a symbol that stands here twice."""
        seen: dict[str, Entry] = {}
        for entry in found:
            if entry.symbol in seen:
                raise InstrumentError(f"{entry.place}: {entry.symbol} stands in {seen[entry.symbol].place} already")
            seen[entry.symbol] = entry

    def instrument(self, symbol: str, line: int, node: Any) -> Entry:
        """One row of ``instruments``."""
        row = self.convert(node, line, _Row, symbol)
        given = [field for field in TERMS if getattr(row, field)]
        if given and len(given) < len(TERMS) and row.kind not in REFUSED_KINDS:
            missing = ", ".join(field for field in TERMS if field not in given)
            self.refuse(
                line, f"{symbol} has {', '.join(given)} and no {missing}; give all of {', '.join(TERMS)} or none"
            )
        expiry_ns = self.value(node, line, ("expiry",), row.expiry, end_of)
        roll_ns = self.value(node, line, ("roll",), row.roll, start_of)
        entry = Entry(
            symbol=symbol,
            name=row.name,
            terms=_terms(symbol, row, row.adv),
            aliases=self.aliases(node, line, row.aliases),
            words=row.words,
            was=tuple(
                Rename(old, self.value(node, line, ("was", old), day, start_of) or 0) for old, day in row.was.items()
            ),
            sector=row.sector,
            expiry_ns=expiry_ns,
            roll_ns=roll_ns,
            place=f"{self.path.name}:{line}",
        )
        self.check(entry, node, line)
        return entry

    def family(self, name: str, line: int, node: Any) -> list[Entry]:
        """The contracts of one row of ``families``."""
        row = self.convert(node, line, _Family, name)
        if not _DAYS.fullmatch(row.roll_days):
            self.refuse(
                _line(node, ("roll_days",), line), f"roll_days was {row.roll_days!r}; expected whole days, 0 to 999"
            )
        found = []
        for symbol, contract in row.contracts.items():
            path = ("contracts", symbol)
            at = _line(node, path, line)
            if not is_symbol(symbol):
                self.refuse(at, f"{symbol!r} is no symbol; expected capitals, digits and . _ / -, 24 at most")
            expiry_ns = self.value(node, line, (*path, "expiry"), contract.expiry, end_of)
            if expiry_ns is None:
                self.refuse(at, f"{symbol} has an empty expiry; expected a date as 2024-03-15")
            roll_ns = self.value(node, line, (*path, "roll"), contract.roll, start_of)
            entry = Entry(
                symbol=symbol,
                name=f"{row.name or name} {iso(expiry_ns - 1)[:7]}",
                terms=_terms(symbol, row, contract.adv),
                aliases=self.aliases(node, line, contract.aliases),
                words=row.words,
                sector=row.sector,
                family=name,
                expiry_ns=expiry_ns,
                roll_ns=roll_ns if roll_ns is not None else expiry_ns - int(row.roll_days) * DAY_NS,
                place=f"{self.path.name}:{at}",
            )
            self.check(entry, node, line)
            found.append(entry)
        return found

    def check(self, entry: Entry, node: Any, line: int) -> None:
        """Refuse terms that make no instrument, and dates in the wrong order."""
        terms = entry.terms
        if terms.kind and terms.kind not in {*InstrumentKind, *REFUSED_KINDS}:
            kinds = ", ".join((*InstrumentKind, *REFUSED_KINDS))
            self.refuse(_line(node, ("kind",), line), f"kind was {terms.kind!r}; expected one of {kinds}")
        self.value(node, line, ("tick",), terms.tick, parse_ticks)
        self.value(node, line, ("adv",), terms.adv, Qty)
        if entry.roll_ns is not None and (entry.expiry_ns is None or entry.roll_ns > entry.expiry_ns):
            self.refuse(line, f"{entry.symbol} rolls after it expires; expected a roll day before its expiry")
        if terms.tick and not entry.refusal:
            try:
                entry.make()
            except InputError as error:
                self.refuse(line, str(error))

    def aliases(self, node: Any, line: int, given: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """Names at brokers."""
        for broker, name in given.items():
            if not _BROKER.fullmatch(broker) or not name.strip():
                self.refuse(
                    _line(node, ("aliases", broker), line),
                    f"alias {broker}: {name!r}; expected a broker's name in small letters and what it calls the symbol",
                )
        return tuple(given.items())

    def value(
        self, node: Any, line: int, path: tuple[str, ...], word: str, read: Callable[[str], _Value]
    ) -> _Value | None:
        """Read one word, None where it is empty; a fault names its line."""
        if not word:
            return None
        try:
            return read(word)
        except InputError as error:
            self.refuse(_line(node, path, line), f"{'.'.join(path)} was {word!r}; {error}")

    def convert(self, node: Any, line: int, kind: type[_Made], name: str) -> _Made:
        """A node as a row."""
        self.unique(node)
        raw = yaml.constructor.BaseConstructor().construct_document(node)
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            rule, _, at = str(error).partition(" - at `$.")
            path: tuple[str, ...] = tuple(
                part for part in re.split(r"[.\[\]]+", at.rstrip("`")) if part and not part.isdigit()
            )
            unknown = rule.partition("unknown field `")[2].rstrip("`")
            spot = _line(node, (*path, unknown) if unknown else path, line)
            known = ", ".join(kind.__struct_fields__)
            self.refuse(spot, f"{name}: {rule}{f' in {at.rstrip(chr(96))}' if at else ''}; expected {known}")

    def unique(self, node: Any) -> None:
        """Refuse a key that stands twice: YAML would keep the later one in silence."""
        if isinstance(node, yaml.MappingNode):
            for _, _, inner in self.pairs(node, "keys"):
                self.unique(inner)

    def pairs(self, node: Any, what: str) -> list[tuple[str, int, Any]]:
        """Keys of a mapping with their lines and values."""
        if not isinstance(node, yaml.MappingNode):
            self.refuse(node.start_mark.line + 1, f"expected {what}")
        found: dict[str, tuple[str, int, Any]] = {}
        for key, inner in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.refuse(line, f"expected {what}")
            if key.value in found:
                self.refuse(line, f"{key.value!r} stands in line {found[key.value][1]} already")
            found[key.value] = (key.value, line, inner)
        return list(found.values())

    def refuse(self, line: int, why: str) -> NoReturn:
        """Refuse the file."""
        raise InstrumentError(f"{self.path}:{line}: {why}") from None


def _terms(symbol: str, row: _Row | _Family, adv: str) -> InstrumentWords:
    return InstrumentWords(
        symbol=symbol,
        tick=row.tick,
        lot=row.lot,
        mult=row.multiplier,
        ccy=row.currency,
        mic=row.venue,
        kind=row.kind,
        calendar=row.calendar,
        adv=adv,
    )


def _line(node: Any, path: tuple[str, ...], line: int) -> int:
    """The line of the last key on the path that the file has."""
    for part in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((key, inner) for key, inner in pairs if key.value == part), None)
        if found is None:
            break
        line, node = int(found[0].start_mark.line) + 1, found[1]
    return line


def _check_names(entries: dict[str, Entry]) -> None:
    """Refuse a broker's name that means two symbols, and an earlier name that means two at once."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry in entries.values():
        for alias in entry.aliases:
            other = seen.setdefault(alias, entry)
            if other is not entry:
                raise InstrumentError(
                    f"{entry.place}: {alias[0]} calls {other.symbol} ({other.place}) {alias[1]} already; a broker's name means one symbol"
                )
        for rename in entry.was:
            other = seen.setdefault(("was", rename.old), entry)
            if other is not entry:
                raise InstrumentError(
                    f"{entry.place}: {rename.old} was the name of {other.symbol} ({other.place}) already; expected one symbol that it became"
                )
