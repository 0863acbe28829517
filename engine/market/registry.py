"""The instrument registry: what a symbol is called, by whom, until when, and which contract comes next.

It answers questions about names; what may trade is what a broker lists (its terms win over a file's) and what the gate lets pass.
Days are UTC days. Files are read by :mod:`engine.market.registry_files`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from engine.domain.clock import iso
from engine.domain.instrument import REFUSED_KINDS, Instrument, make_instrument
from engine.domain.money import Qty
from engine.market.sidecar import InstrumentWords
from engine.market.ticks import parse_ticks, tick_words

ROLL_DAYS = 8
"""Days before its expiry on which a contract is rolled where nobody says otherwise."""

_OPTION = re.compile(
    r"[A-Z]{1,6}[0-9]{6}[CP][0-9]{8}"  # OCC: AAPL240119C00190000
    r"|[A-Z]+-[0-9]{6}-[0-9.]+-[CP]"  # Binance: BTC-240329-50000-C
    r"|[A-Z&]{2,12}[0-9]{2}[A-Z0-9]{3}[0-9.]+[CP]E"  # NSE: NIFTY24JAN21500CE, NIFTY2410421500PE
)
_COMBO = re.compile(r"[A-Z0-9]{1,4}[FGHJKMNQUVXZ][0-9]{1,2}-[A-Z0-9]{1,4}[FGHJKMNQUVXZ][0-9]{1,2}")
"""A calendar spread as CME writes it: ESH4-ESM4."""


class Rename(msgspec.Struct, frozen=True):
    """A symbol that was called otherwise up to a day."""

    old: str
    from_ns: int
    """From here on the new name holds."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as a registry file, a broker or both know it. Empty words were not given."""

    symbol: str
    name: str = ""
    terms: InstrumentWords = InstrumentWords()
    """Complete, or without tick: then only names are known and the terms are a broker's."""
    aliases: tuple[tuple[str, str], ...] = ()
    """Broker and the name that it uses."""
    words: tuple[str, ...] = ()
    was: tuple[Rename, ...] = ()
    sector: str = ""
    family: str = ""
    expiry_ns: int | None = None
    roll_ns: int | None = None
    """From here on the next contract of the family is traded; None without an expiry."""
    place: str = ""
    """File and line, or the broker that lists it."""
    listed: tuple[str, ...] = ()
    """Brokers that list it now."""

    @property
    def refusal(self) -> str:
        """Why nothing of this kind can be traded; empty where it can."""
        why = REFUSED_KINDS.get(self.terms.kind)
        return "" if why is None else f"{self.symbol} is of kind {self.terms.kind}, which is refused: {why}"

    def is_expired(self, now_ns: int) -> bool:
        """Whether its last moment has passed."""
        return self.expiry_ns is not None and now_ns >= self.expiry_ns

    def make(self) -> Instrument:
        """The instrument of complete terms.

        Raises:
            InstrumentError, MoneyError: for terms that make none.
        """
        terms = self.terms
        return make_instrument(
            self.symbol,
            terms.kind,
            terms.mic,
            terms.ccy,
            parse_ticks(terms.tick),
            terms.lot or "1",
            calendar=terms.calendar or "24x7",
            multiplier=terms.mult or "1",
            sector=self.sector,
            expiry_ns=self.expiry_ns,
            adv=terms.adv or None,
        )


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a contract stands in its family at a moment."""

    state: str
    """``expired``, ``front``, ``next``, ``later`` or ``roll`` (its roll day has come), empty for what has no family."""
    into: str = ""
    """The contract to roll into, where one is known."""


class Registry:
    """Entries by symbol. Build it from files and from what brokers list; asking changes nothing."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries: dict[str, Entry] = {one.symbol: one for one in entries}
        self._by_alias: dict[tuple[str, str], str] = {}
        self._by_name: dict[str, list[str]] = {}
        self._families: dict[str, list[Entry]] = {}
        for one in self.entries.values():
            for broker, alias in one.aliases:
                self._by_alias[broker, alias] = one.symbol
                self._by_name.setdefault(alias, []).append(one.symbol)
            for rename in one.was:
                self._by_name.setdefault(rename.old, []).append(one.symbol)
            if one.family:
                self._families.setdefault(one.family, []).append(one)
        for family in self._families.values():
            family.sort(key=lambda one: (one.expiry_ns or 0, one.symbol))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def of_broker(self, broker: str, name: str) -> Entry | None:
        """What a broker calls so; an alias wins over a symbol of ours that happens to read the same."""
        symbol = self._by_alias.get((broker, name), name)
        return self.entries.get(symbol)

    def name_at(self, broker: str, symbol: str) -> str:
        """What a broker calls a symbol of ours; the symbol itself where nobody says otherwise."""
        entry = self.entries.get(symbol)
        return next((alias for at, alias in entry.aliases if at == broker), symbol) if entry else symbol

    def with_listed(self, broker: str, instruments: Iterable[Instrument]) -> Registry:
        """This registry and what a broker lists: its terms win, names, aliases and expiries are a file's."""
        found = dict(self.entries)
        for made in instruments:
            known = self.of_broker(broker, made.symbol)
            base = known or Entry(symbol=made.symbol, place=f"listed by {broker}")
            found[base.symbol] = _listed(base, broker, made)
        return Registry(found.values())

    def completed(self, broker: str, made: Instrument) -> Instrument:
        """A broker's instrument with what only a file says: sector, average volume, expiry and calendar."""
        known = self.of_broker(broker, made.symbol)
        if known is None:
            return made
        return msgspec.structs.replace(
            made,
            sector=made.sector or known.sector,
            adv=made.adv if made.adv is not None or not known.terms.adv else Qty(known.terms.adv),
            expiry_ns=made.expiry_ns if made.expiry_ns is not None else known.expiry_ns,
            calendar=known.terms.calendar or made.calendar,
        )

    def contracts(self, family: str) -> tuple[Entry, ...]:
        """The contracts of a family, the one that ends first at first."""
        return tuple(self._families.get(family.upper(), ()))

    def place_of(self, entry: Entry, now_ns: int) -> Place:
        """Where a contract stands: front is the first whose roll day has not come, else the last that lives."""
        if not entry.family:
            return Place(state="expired" if entry.is_expired(now_ns) else "")
        if entry.is_expired(now_ns):
            fronts = (
                one.symbol for one in self._living(entry.family, now_ns) if self.place_of(one, now_ns).state == "front"
            )
            return Place(state="expired", into=next(fronts, ""))
        living = self._living(entry.family, now_ns)
        due = [one for one in living if one.roll_ns is not None and now_ns >= one.roll_ns]
        at = living.index(entry)
        front = min(len(due), len(living) - 1)
        into = living[at + 1].symbol if at + 1 < len(living) else ""
        if at < front or (at == front and entry in due):
            return Place(state="roll", into=into)
        return Place(state="front" if at == front else "next" if at == front + 1 else "later", into=into)

    def _living(self, family: str, now_ns: int) -> list[Entry]:
        return [one for one in self._families[family] if not one.is_expired(now_ns)]

    def terms_of(self, symbol: str) -> InstrumentWords:
        """What a file says of a symbol, for a recording that says nothing itself; empty where no file has its terms."""
        entry = self.entries.get(symbol)
        if entry is None or not entry.terms.tick:
            return InstrumentWords()
        until = "" if entry.expiry_ns is None else iso(entry.expiry_ns)
        return msgspec.structs.replace(entry.terms, expiry=until)

    # -- words ---------------------------------------------------------------------------------------------------------

    def find(self, words: Iterable[str], now_ns: int, *, broker: str = "") -> list[Entry]:
        """Entries that match every word, the best first: an exact symbol, an exact other name, then beginnings, then parts.

        A word is looked for in symbol, name, aliases, earlier names, words, venue, kind, currency, family and ``front`` or
        ``next``. With a broker only what has a name there.
        """
        wanted = [word.casefold() for word in words]
        found = []
        for at, entry in enumerate(self.entries.values()):
            if broker and broker not in entry.listed and not any(name == broker for name, _ in entry.aliases):
                continue
            ranks = [_rank(word, entry, self.place_of(entry, now_ns).state) for word in wanted]
            if None not in ranks:
                found.append((sum(rank or 0 for rank in ranks), entry.is_expired(now_ns), at, entry))
        return [row[3] for row in sorted(found, key=lambda row: row[:3])]

    def why_not(self, symbol: str, now_ns: int) -> str:
        """What a person should know who asks for a symbol that no broker lists; empty where nothing is known of it."""
        entry = self.entries.get(symbol)
        if entry is not None:
            return self._words_of(entry, now_ns)
        said = self._other_names(symbol)
        if said:
            return said
        for kind, pattern in (("option", _OPTION), ("combo", _COMBO)):
            if pattern.fullmatch(symbol):
                return f"{symbol} reads like the name of an {kind}".replace("an combo", "a combo") + (
                    f", which is refused: {REFUSED_KINDS[kind]}"
                )
        return ""

    def _words_of(self, entry: Entry, now_ns: int) -> str:
        if entry.refusal:
            return entry.refusal
        if entry.is_expired(now_ns):
            into = self.place_of(entry, now_ns).into
            later = f"; the front contract is {into}" if into else ""
            return f"{entry.symbol} expired at {iso(entry.expiry_ns or 0)}{later}"
        return f"{entry.symbol} is known ({entry.place}), but no connected broker lists it"

    def _other_names(self, name: str) -> str:
        family = self._families.get(name)
        if family:
            return f"{name} is a family of contracts: {', '.join(one.symbol for one in family[:8])}"
        symbols = list(dict.fromkeys(self._by_name.get(name, ())))
        for symbol in symbols:
            for rename in self.entries[symbol].was:
                if rename.old == name:
                    return f"{name} is called {symbol} since {iso(rename.from_ns)[:10]}; ask for {symbol}"
        return f"{name} is a broker's name of {', '.join(symbols)}; ask for that" if symbols else ""


def _listed(base: Entry, broker: str, made: Instrument) -> Entry:
    """An entry with the terms that a broker has for it."""
    terms = InstrumentWords(
        symbol=base.symbol,
        tick=tick_words(made.ticks),
        lot=str(made.lot),
        mult=str(made.multiplier),
        ccy=made.currency,
        mic=made.mic,
        kind=made.kind.value,
        calendar=base.terms.calendar or made.calendar,
        adv=str(made.adv) if made.adv is not None else base.terms.adv,
    )
    return msgspec.structs.replace(
        base,
        terms=terms,
        sector=made.sector or base.sector,
        expiry_ns=made.expiry_ns if made.expiry_ns is not None else base.expiry_ns,
        listed=tuple(dict.fromkeys((*base.listed, broker))),
        aliases=base.aliases if any(at == broker for at, _ in base.aliases) else (*base.aliases, (broker, made.symbol)),
    )


def differences(entry: Entry, made: Instrument) -> tuple[str, ...]:
    """Where a file's terms are not the broker's, one sentence each; the broker's hold."""
    terms = entry.terms
    if not terms.tick:
        return ()
    mine = entry.make()
    pairs: Mapping[str, tuple[object, object]] = {
        "kind": (mine.kind, made.kind),
        "currency": (mine.currency, made.currency),
        "tick": (tick_words(mine.ticks), tick_words(made.ticks)),
        "lot": (mine.lot, made.lot),
        "multiplier": (mine.multiplier, made.multiplier),
    }
    return tuple(
        f"{entry.symbol}: {field} is {own} in {entry.place} and {theirs} at the broker, which holds"
        for field, (own, theirs) in pairs.items()
        if own != theirs
    )


def _rank(word: str, entry: Entry, state: str) -> int | None:
    """How well a word fits, 0 best; None where it does not."""
    terms = entry.terms
    symbol = entry.symbol.casefold()
    names = [alias.casefold() for _, alias in entry.aliases] + [rename.old.casefold() for rename in entry.was]
    facts = [terms.mic, terms.kind, terms.ccy, entry.family, entry.sector, state, *entry.listed]
    spoken = [entry.name.casefold(), *(said.casefold() for said in entry.words)]
    if word == symbol:
        return 0
    if word in names:
        return 1
    if word in [fact.casefold() for fact in facts if fact] or word in spoken:
        return 2
    if symbol.startswith(word):
        return 3
    parts = [part for said in spoken for part in re.split(r"[^\w&]+", said)]
    if any(part.startswith(word) for part in [*parts, *names]):
        return 4
    return 5 if any(word in said for said in [symbol, *spoken, *names]) else None
