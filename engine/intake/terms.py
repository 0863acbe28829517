"""Words of an order line beyond price, stop and time in force: how it waits, what it shows, when it ends, what guards it.

``trail 0.50``, ``touch 188``, ``show 100``, ``gtd 2026-12-01T21:00Z``, ``@mtl``; ``tp 191 sl 188.4`` makes a bracket,
``oco stop 187`` and ``oco @192`` add orders of which one cancels the others.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.money import Price, Qty, text
from engine.domain.order import WHEN, AlgoSpec, Link, LinkRole, OrderSpec, OrderType, Side, Tif
from engine.intake.line_words import Words
from engine.intake.words import read_price, read_size

TERM_WORDS = ("trail", "touch", "show", "gtd", "tp", "sl", "oco", "when")
WAITS = frozenset({"stop", "trail", "touch"})
"""Words that make an order wait for a trigger: at most one of them."""
MTL = "mtl"
_UNTIL = ("a day or a time with its zone: gtd 2026-12-01, gtd 2026-12-01T21:00Z",)
_DAY_NS = 86_400 * NS_PER_S

ReadPrice = Callable[[Words], Price]


class Terms(msgspec.Struct, kw_only=True):
    """What those words of one line said."""

    trail: Price | None = None
    touch: Price | None = None
    display: Qty | None = None
    expires_ns: int = 0
    is_mtl: bool = False
    target: Price | None = None
    guard: Price | None = None
    when: AlgoSpec | None = None
    """What it waits for in the engine."""
    rivals: list[tuple[OrderType, Price]] = msgspec.field(default_factory=list)
    """Other orders of which one cancels the rest: their type and price."""

    def read(self, word: str, words: Words, price: ReadPrice) -> None:
        """Read what follows one of :data:`TERM_WORDS`."""
        match word:
            case "trail":
                self.trail = price(words)
            case "touch":
                self.touch = price(words)
            case "show":
                self.display = _shown(words)
            case "gtd":
                self.expires_ns = _until(words)
            case "tp":
                self.target = price(words)
            case "sl":
                self.guard = price(words)
            case "when":
                self.when = _trigger(words, price)
            case _:
                self.rivals.append(_rival(words, price))

    def fault(self, side: Side, limit: Price | None) -> tuple[str, str] | None:
        """The word that cannot stand in this line, and why; None where all can."""
        if self.trail is not None and limit is not None:
            return "trail", "a trailing stop becomes a market order and takes no price"
        if self.display is not None and limit is None:
            return "show", "only an order with a limit can show a part of itself"
        if self.when is not None and (self.rivals or self.target is not None or self.guard is not None):
            return "when", "an order that waits in the engine goes alone; exits and rivals are kept by the venue"
        if self.when is not None and self.expires_ns:
            return "when", "an order that waits in the engine is good for the day or till cancelled"
        if self.rivals and (self.target is not None or self.guard is not None):
            return "oco", "an order is either one of a pair or the entry of a bracket"
        for word, price, sign in (("tp", self.target, side.sign), ("sl", self.guard, -side.sign)):
            if price is not None and limit is not None and (price - limit) * sign <= 0:
                where = "above" if sign > 0 else "below"
                return word, f"it must lie {where} the price of the {side} it ends, {limit}"
        return None

    def type_of(self, limit: Price | None, stop: Price | None) -> OrderType:
        """The order's type by its prices."""
        if self.trail is not None:
            return OrderType.TRAILING_STOP
        if self.touch is not None:
            return OrderType.MARKET_IF_TOUCHED if limit is None else OrderType.LIMIT_IF_TOUCHED
        if self.is_mtl:
            return OrderType.MARKET_TO_LIMIT
        if stop is not None:
            return OrderType.STOP if limit is None else OrderType.STOP_LIMIT
        return OrderType.MARKET if limit is None else OrderType.LIMIT

    def group(self, spec: OrderSpec) -> tuple[OrderSpec, tuple[OrderSpec, ...]]:
        """The order, linked where the line names exits or a peer, and the orders that go with it.

        Exits stand until they are cancelled, whatever the entry's time in force: a position outlives the day, and so must its stop.
        """
        replace = msgspec.structs.replace
        if self.rivals:
            link = Link(LinkRole.PEER)
            return replace(spec, link=link), tuple(replace(_rival_of(spec, *rival), link=link) for rival in self.rivals)
        exits = []
        if self.target is not None:
            exits.append(_plain(spec, spec.side.other, OrderType.LIMIT, Tif.GTC, limit=self.target))
        if self.guard is not None:
            exits.append(_plain(spec, spec.side.other, OrderType.STOP, Tif.GTC, stop=self.guard))
        if not exits:
            return spec, ()
        legs = tuple(replace(leg, link=Link(LinkRole.LEG), reduce_only=True) for leg in exits)
        return replace(spec, link=Link(LinkRole.ENTRY)), legs


def _plain(
    spec: OrderSpec, side: Side, kind: OrderType, tif: Tif, *, limit: Price | None = None, stop: Price | None = None
) -> OrderSpec:
    return OrderSpec(
        symbol=spec.symbol, side=side, qty=spec.qty, type=kind, limit=limit, stop=stop, tif=tif,
        reduce_only=spec.reduce_only, broker=spec.broker, account=spec.account, venue=spec.venue,
        expires_ns=spec.expires_ns if tif is Tif.GTD else 0,
    )  # fmt: skip


_RIVALS = ("oco stop 187", "oco @192")


def _rival(words: Words, price: ReadPrice) -> tuple[OrderType, Price]:
    """Another order of the group: a stop, or a limit."""
    word = words.take(_RIVALS, ("stop", "@")).lower()
    if word == "stop":
        return OrderType.STOP, price(words)
    at = read_price(word[1:]) if word.startswith("@") else None
    if not isinstance(at, Price):
        raise words.fail("not understood", _RIVALS)
    return OrderType.LIMIT, at


def _rival_of(spec: OrderSpec, kind: OrderType, price: Price) -> OrderSpec:
    if kind is OrderType.STOP:
        return _plain(spec, spec.side, kind, spec.tif, stop=price)
    return _plain(spec, spec.side, kind, spec.tif, limit=price)


_TRIGGERS = ("when SPY >= 500", "when SPY <= 480", "when 2026-12-01T14:30Z")
_SIGNS = {">=": "above", "above": "above", "<=": "below", "below": "below"}


def _trigger(words: Words, price: ReadPrice) -> AlgoSpec:
    """A time with its zone, or a symbol with the price that it must trade at or beyond."""
    word = words.take(_TRIGGERS).upper()
    if word[:4].isdecimal() and "-" in word:
        try:
            return AlgoSpec(name=WHEN, start_ns=parse_iso(word))
        except ValueError as error:
            raise words.fail(f"no time ({error})", _TRIGGERS) from None
    side = _SIGNS.get(words.take(_TRIGGERS, tuple(_SIGNS)).lower())
    if side is None:
        raise words.fail("not understood", _TRIGGERS)
    return AlgoSpec(name=WHEN, params={"symbol": word, side: text(price(words))})


def _shown(words: Words) -> Qty:
    size = read_size(words.take(("a size: show 100",), ("100", "500")).lower())
    if not isinstance(size, Qty):
        raise words.fail("no size", ("a size: show 100",))
    return size


def _until(words: Words) -> int:
    """A time, or the end of a day in UTC."""
    word = words.take(_UNTIL)
    try:
        if "T" not in word.upper():
            return parse_iso(f"{word}T00:00:00Z") + _DAY_NS
        return parse_iso(word.upper())
    except ValueError as error:
        raise words.fail(f"no time ({error})", _UNTIL) from None
