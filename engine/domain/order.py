"""Orders: sides, types, states, and the one table of what may follow what."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.domain.clock import duration_word, iso
from engine.domain.ids import is_exit_wire_id
from engine.domain.money import Price, Qty, padded, text


class Side(StrEnum):
    """Buy or sell; a short sale is a sell that the gate marks from the verified position."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is _BUY else -1

    @property
    def other(self) -> Side:
        """The opposing side."""
        return _SELL if self is _BUY else _BUY

    @property
    def letter(self) -> str:
        """``B`` or ``S``, as the screen shows it."""
        return "B" if self is Side.BUY else "S"


# Looking a member up in its class costs more than the comparison.
_BUY, _SELL = Side.BUY, Side.SELL


class OrderType(StrEnum):
    """How an order prices itself."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"
    """A stop that follows the last trade at a distance and never turns back; it becomes a market order."""
    MARKET_IF_TOUCHED = "market_if_touched"
    """Waits for a trade at or beyond a better price, then a market order."""
    LIMIT_IF_TOUCHED = "limit_if_touched"
    """The same, then a limit order."""
    MARKET_TO_LIMIT = "market_to_limit"
    """Takes the best opposing price only; the rest becomes a limit order at that price."""

    @property
    def terms(self) -> TypeTerms:
        """Which prices it takes."""
        return TYPE_TERMS[self]


class TypeTerms(msgspec.Struct, frozen=True):
    """Which prices an order type needs; those that it does not need it must not have."""

    limit: bool = False
    stop: bool = False
    """A trigger: the stop price, or the price that must be touched."""
    trail: bool = False

    @property
    def waits(self) -> bool:
        """It waits at the venue for a trigger first."""
        return self.stop or self.trail


TYPE_TERMS: dict[OrderType, TypeTerms] = {
    OrderType.MARKET: TypeTerms(),
    OrderType.LIMIT: TypeTerms(limit=True),
    OrderType.STOP: TypeTerms(stop=True),
    OrderType.STOP_LIMIT: TypeTerms(limit=True, stop=True),
    OrderType.TRAILING_STOP: TypeTerms(trail=True),
    OrderType.MARKET_IF_TOUCHED: TypeTerms(stop=True),
    OrderType.LIMIT_IF_TOUCHED: TypeTerms(limit=True, stop=True),
    OrderType.MARKET_TO_LIMIT: TypeTerms(),
}
TOUCHED = frozenset({OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED})
"""Types whose trigger lies on the better side of the market."""


class Tif(StrEnum):
    """How long an order stands."""

    DAY = "day"
    GTC = "gtc"
    GTD = "gtd"
    """Until a stated time (``OrderSpec.expires_ns``)."""
    IOC = "ioc"
    FOK = "fok"
    OPG = "opg"
    """In the opening auction, at its one price, or not at all."""
    CLS = "cls"
    """In the closing auction."""


AUCTIONS = frozenset({Tif.OPG, Tif.CLS})


class Liquidity(StrEnum):
    """Whether a fill took from the book or rested in it."""

    TAKER = "taker"
    MAKER = "maker"


class OrderState(StrEnum):
    """Internal names; :data:`STATES` gives the screen and FIX words."""

    STAGED = "staged"
    DENIED = "denied"
    PENDING_NEW = "pending_new"
    UNKNOWN = "unknown"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    PENDING_CANCEL = "pending_cancel"
    CANCELLED = "cancelled"
    PENDING_REPLACE = "pending_replace"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    KILLED = "killed"

    @property
    def is_terminal(self) -> bool:
        """Nothing more is expected (a late fill is still booked)."""
        return self in TERMINAL

    @property
    def is_live(self) -> bool:
        """The venue has it or may have it: it counts at its worst case."""
        return self in LIVE


class StateWords(msgspec.Struct, frozen=True):
    """One row of the state table."""

    screen: str
    fix: str
    """FIX 4.4 OrdStatus (39) value, or a dash where FIX has no such state."""
    meaning: str


STATES: dict[OrderState, StateWords] = {
    OrderState.STAGED: StateWords("STAGED", "-", "made, not released; nothing has left"),
    OrderState.DENIED: StateWords("DENIED", "8", "our gate refused it; it never left"),
    OrderState.PENDING_NEW: StateWords("PEND", "A", "intent durable, sent or about to be; no answer yet"),
    OrderState.UNKNOWN: StateWords("PEND?", "-", "the outcome is unknown; counted at its worst case, never re-sent"),
    OrderState.NEW: StateWords("WORK", "0", "the venue has it"),
    OrderState.PARTIALLY_FILLED: StateWords("PART", "1", "partly filled, the rest works"),
    OrderState.FILLED: StateWords("FILL", "2", "done in full"),
    OrderState.PENDING_CANCEL: StateWords("CXL?", "6", "cancel asked, not confirmed; it may still fill"),
    OrderState.CANCELLED: StateWords("CXL", "4", "the venue confirmed the cancel"),
    OrderState.PENDING_REPLACE: StateWords("AMD?", "E", "amend asked, not confirmed; old or new terms may fill"),
    OrderState.REJECTED: StateWords("REJ", "8", "the venue refused it"),
    OrderState.EXPIRED: StateWords("EXP", "C", "its time ran out"),
    OrderState.SUSPENDED: StateWords("SUSP", "9", "an emulated trigger passed while the engine was down; not fired"),
    OrderState.KILLED: StateWords("KILLED", "-", "intent durable, never sent: the kill latch was tripped"),
}

TERMINAL = frozenset(
    {
        OrderState.DENIED,
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
        OrderState.KILLED,
    }
)
LIVE = frozenset(
    {
        OrderState.PENDING_NEW,
        OrderState.UNKNOWN,
        OrderState.NEW,
        OrderState.PARTIALLY_FILLED,
        OrderState.PENDING_CANCEL,
        OrderState.PENDING_REPLACE,
    }
)


class SourceKind(StrEnum):
    """Who can ask for an order."""

    DESK = "desk"
    CLI = "cli"
    STRATEGY = "strategy"
    DISPATCHER = "dispatcher"
    COPILOT = "copilot"
    VOICE = "voice"
    HALT = "halt"
    """A flatten order of the kill procedure."""
    FOREIGN = "foreign"
    """Seen at the broker, not made by us."""

    @property
    def is_person(self) -> bool:
        """A person typed it: duplicates are confirmed rather than denied, all checks are shown."""
        return self in _PERSONS


def source_of_wire(wire_id: str, ledger_id: str) -> SourceKind:
    """Who asked for an order that the books did not make: the kill procedure, whose exits have wire ids of their own, or a foreigner."""
    return SourceKind.HALT if is_exit_wire_id(wire_id, ledger_id) else SourceKind.FOREIGN


_PERSONS = frozenset({SourceKind.DESK, SourceKind.CLI})


class Source(msgspec.Struct, frozen=True):
    """Who asked: the kind, and the user or strategy name."""

    kind: SourceKind
    name: str = ""


WHEN = "when"
"""Name of the algorithm that holds an order back until a trigger passes."""
DIES = "dies with this engine"


class AlgoSpec(msgspec.Struct, frozen=True):
    """Which execution algorithm works a parent.

    ``duration_ns`` and ``params`` mean what the algorithm's module says.
    """

    name: str = "direct"
    duration_ns: int = 0
    start_ns: int = 0
    """0 starts at once."""
    params: dict[str, str] = {}

    @property
    def trigger(self) -> str:
        """What an order waits for in this engine, as a person writes it: ``when SPY >= 500``; empty where nothing."""
        if self.name != WHEN:
            return ""
        if self.start_ns:
            return f"when {iso(self.start_ns).replace('.000000000Z', 'Z')}"
        sign, price = (">=", "above") if "above" in self.params else ("<=", "below")
        return f"when {self.params.get('symbol', '?')} {sign} {self.params.get(price, '?')}"

    @property
    def words(self) -> str:
        """How it works an order, as a person writes it: ``twap over 30m slices=20 style=passive``."""
        timed = [f"over {duration_word(self.duration_ns)}"] if self.duration_ns else []
        return " ".join([self.name, *timed, *(f"{name}={value}" for name, value in sorted(self.params.items()))])


class LinkRole(StrEnum):
    """What an order is among the orders it was placed with."""

    ENTRY = "entry"
    """Its fills let the legs work: a bracket, or one-triggers-other."""
    LEG = "leg"
    """Waits at the venue for the entry; works as far as that is filled. The legs of one entry reduce one another."""
    PEER = "peer"
    """Works at once; what fills of one is taken off the others (one-cancels-other)."""
    COMBO = "combo"
    """Fills together with the others, priced as one (:class:`Combo`)."""


_TIES = {LinkRole.LEG: "bracket", LinkRole.PEER: "oco"}
"""What an order is called beside the first one of its group."""


class Combo(msgspec.Struct, frozen=True):
    """The terms that all legs of a combination share. A leg has no price of its own and is ordered as a market order.

    The net price of a unit is the sum of price times quantity over its legs, bought legs added and sold ones taken off: above
    zero is paid, below zero is received.
    """

    units: int
    """How often the combination is asked for; a leg's quantity divided by it is the leg's part of one unit."""
    net: Price | None = None
    """The most that is paid for a unit (or, below zero, the least that is received); None takes what the books show."""
    legged: bool = False
    """Not guaranteed: the legs are worked one after another, and one can stay unfilled after another was."""


class Link(msgspec.Struct, frozen=True):
    """That an order was placed with others, as one message to the venue: all of them are taken or none is."""

    role: LinkRole
    group: str = ""
    """Id of the first parent of the group; given by the engine."""
    combo: Combo | None = None
    """Of a leg of a combination."""


class OrderSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is ordered. The same shape serves parents and children."""

    symbol: str
    side: Side
    qty: Qty
    type: OrderType
    limit: Price | None = None
    stop: Price | None = None
    """Trigger: the stop price, or the price to be touched."""
    trail: Price | None = None
    """Distance of a trailing stop from the best trade since it came to work."""
    display: Qty | None = None
    """Most of a limit order that is shown at a time (iceberg); None shows all."""
    tif: Tif = Tif.DAY
    expires_ns: int = 0
    """When a GTD order ends."""
    post_only: bool = False
    reduce_only: bool = False
    broker: str = "paper"
    account: str = "PAPER"
    venue: str = ""
    """MIC asked for; empty lets the broker choose."""
    algo: AlgoSpec = AlgoSpec()
    link: Link | None = None

    @property
    def flags(self) -> str:
        """What else a row of a list has to say of it: ``post-only reduce-only``, ``bracket P98``, ``combo net -12.25``."""
        said = [word for word, on in (("post-only", self.post_only), ("reduce-only", self.reduce_only)) if on]
        if self.link is not None and (combo := self.link.combo) is not None:
            said.append(f"combo {'at market' if combo.net is None else f'net {text(combo.net)}'}")
            said += ["legged"] if combo.legged else []
        elif self.link is not None and self.link.group and self.link.role in _TIES:
            said.append(f"{_TIES[self.link.role]} {self.link.group}")
        return " ".join(said)

    def words(self, price_digits: int = 0) -> str:
        """Say the order as a person would: ``buy 100 AAPL limit 189.10 day``; prices with at least so many decimals."""
        parts = [str(self.side), str(self.qty), self.symbol]
        if self.stop is not None:
            trigger = "touch" if self.type in TOUCHED else "stop"
            parts.append(f"{trigger} {padded(self.stop, price_digits)}")
        if self.trail is not None:
            parts.append(f"trail {padded(self.trail, price_digits)}")
        if self.limit is not None:
            parts.append(f"limit {padded(self.limit, price_digits)}")
        elif not self.type.terms.waits:
            parts.append(str(self.type).replace("_", " "))
        if self.display is not None:
            parts.append(f"show {self.display}")
        parts.append(
            str(self.tif) if self.tif is not Tif.GTD else f"gtd {iso(self.expires_ns).replace('.000000000Z', 'Z')}"
        )
        parts += [word for word, on in (("post-only", self.post_only), ("reduce-only", self.reduce_only)) if on]
        if self.link is not None and self.link.combo is not None:
            parts.append(_combo_words(self.link.combo))
        if self.algo.trigger:
            parts.append(f"{self.algo.trigger} ({DIES})")
        elif self.algo.name != "direct":
            parts.append(self.algo.words)
        return " ".join(parts)


def _combo_words(combo: Combo) -> str:
    net = "at market" if combo.net is None else f"at net {text(combo.net)}"
    return f"in {combo.units} of a combo {net}, {'not guaranteed' if combo.legged else 'all legs or none'}"


URGENCIES = {"passive": "passive", "normal": "", "take": "take"}
"""How eagerly an algorithm trades, in rising order, and the value of its parameter ``style`` that says so."""


def urgency_of(spec: OrderSpec) -> str:
    """The urgency that the order's parameters say."""
    style = spec.algo.params.get("style", "")
    return next((name for name, value in URGENCIES.items() if value == style), "normal")


def urged(spec: OrderSpec, urgency: str) -> OrderSpec:
    """The same order with another urgency; one of :data:`URGENCIES`."""
    params = {name: value for name, value in spec.algo.params.items() if name != "style"}
    if URGENCIES[urgency]:
        params["style"] = URGENCIES[urgency]
    return msgspec.structs.replace(spec, algo=msgspec.structs.replace(spec.algo, params=params))
