"""The one-line order grammar: a line of words becomes a draft, or names the first wrong word and what was expected.

``side size symbol [@price] [stop price] [tif] [algo duration param=value ...] [post] [reduce] [acct: broker: venue:]``,
and the words of :mod:`engine.intake.terms`. A line that begins with ``combo`` is one of :mod:`engine.intake.combo_line`.

Nothing is guessed. An order without a price is an error, not a market order: ``@mkt`` says it, or an algorithm
prices the children. Price words (``@join``, ``@bid+2t``) are frozen into a limit on the quote of this moment, which the
draft carries. Quantities and prices are kept as typed, on the grid or not; the gate judges them. Only a size said by its
meaning (money, a part of the position, a risk) is rounded, down to whole lots, and the draft's echo shows both. What the line
leaves out may come from presets, and the draft names each. Reading a line never raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from engine.domain.events import QuoteSeen
from engine.domain.instrument import Instrument
from engine.domain.money import Money, Price, Qty, padded, text
from engine.domain.order import AUCTIONS, AlgoSpec, OrderSpec, OrderType, Side, Tif
from engine.intake.combo_line import COMBO, COMBO_OPTIONS, Routes, read_combo
from engine.intake.drafts import AmendDraft, CancelDraft, Draft, GrammarError, NewOrderDraft, ReleaseDraft
from engine.intake.line_words import Words, Wrong
from engine.intake.presets import NONE, Default, Presets, mirrored
from engine.intake.sizes import PARTS, PositionPart, RiskSize, Size, of_money, of_position, of_risk, read_part
from engine.intake.terms import MTL, TERM_WORDS, WAITS, Terms
from engine.intake.words import (
    PRICE_WORDS,
    PriceWord,
    anchor_price,
    read_duration,
    read_price,
    read_size,
)

CHOICES_MAX = 50


class AlgoWords(msgspec.Struct, frozen=True):
    """What may follow an algorithm's name."""

    timed: bool = True
    """A duration must follow."""
    params: Mapping[str, tuple[str, ...]] = {}
    """Parameter names and their allowed values; none means a whole number."""


SCHEDULED = AlgoWords(params={"slices": (), "style": ("passive", "take")})
ALGO_WORDS: Mapping[str, AlgoWords] = MappingProxyType(
    {"direct": AlgoWords(timed=False), "twap": SCHEDULED, "vwap": SCHEDULED}
)


class OrderRef(msgspec.Struct, frozen=True):
    """What an amend needs to know of its order."""

    symbol: str
    side: Side


class GrammarContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader knows. A mapping or list left empty or None means that every word of its kind is taken."""

    instruments: Mapping[str, Instrument] | None = None
    quote: Callable[[str], QuoteSeen | None] | None = None
    """Best quote of a symbol now; None where there is none fit to price an order."""
    orders: Mapping[str, OrderRef] | None = None
    """Orders that can be amended, cancelled or released."""
    is_orders_whole: bool = True
    """False where ``orders`` may lag behind: an id that is not in it is taken then, and the engine judges."""
    broker: str = "paper"
    account: str = "PAPER"
    brokers: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    algos: Mapping[str, AlgoWords] = ALGO_WORDS
    presets: Presets = NONE
    position: Callable[[str, str], Qty | None] | None = None
    """Signed position of an account and symbol; None where there is none or it is not known."""
    unlisted: Callable[[str], str] | None = None
    """What is known of a symbol that is not in ``instruments``, for the person who typed it; empty where nothing is."""


SIDES = {"b": Side.BUY, "buy": Side.BUY, "s": Side.SELL, "sell": Side.SELL}
TIFS = {str(tif): tif for tif in Tif if tif is not Tif.GTD}
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._/-]{0,23}")
_ORDER_ID = re.compile(r"[A-Z][0-9]{1,12}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
FLAGS = {"post": "post", "post-only": "post", "reduce": "reduce", "reduce-only": "reduce"}
COMMANDS = {"x": "cancel", "cancel": "cancel", "a": "amend", "amend": "amend", "release": "release"}
_SIZE_EXPECTED = ("a size: 100, 5k, 2.5m, $10k, 25%pos, risk 200 stop 188.4",)
_RISK_EXPECTED = ("risk 200 stop 188.4",)
_PRICE_EXPECTED = ("a price: @189.10", *PRICE_WORDS, "@bid+2t")


def parse_order(line: str, context: GrammarContext) -> NewOrderDraft | GrammarError:
    """Read one order."""
    try:
        return _read_new(Words(line), context)
    except Wrong as wrong:
        return wrong.error


def parse_line(line: str, context: GrammarContext) -> Draft | GrammarError:
    """Read a line of the desk: an order, ``x P104``, ``x all [SYMBOL]``, ``a P104 qty 200 @189.20``, ``release P104``."""
    try:
        return _read_line(Words(line), context)
    except Wrong as wrong:
        return wrong.error


def complete(line: str, cursor: int, context: GrammarContext) -> list[str]:
    """Words that may stand where the cursor is, for the part of the word already typed; at most 50."""
    head = line[: max(0, cursor)]
    partial = "" if not head or head[-1].isspace() else head.split()[-1]
    before = head[: len(head) - len(partial)]
    found = [word for word in _choices(before, context) if word.lower().startswith(partial.lower())]
    return found[:CHOICES_MAX]


class _OrderReader:
    """Reads one order word by word; each option at most once, in any order behind the symbol."""

    def __init__(self, words: Words, context: GrammarContext) -> None:
        self.words = words
        self.context = context
        self.side = Side.BUY
        self.size: Size | None = None
        self.size_from = ""
        """The preset that gave the size, for words."""
        self.symbol = ""
        self.limit: Price | None = None
        self.stop: Price | None = None
        self.tif = Tif.DAY
        self.algo = AlgoSpec()
        self.terms = Terms()
        self.broker = context.broker
        self.account = context.account
        self.venue = ""
        self.quote: QuoteSeen | None = None
        self.notes: list[str] = []
        self.defaults: list[Default] = []
        self.at: dict[str, tuple[str, int]] = {}
        """Option name -> the word that gave it."""

    def read(self) -> None:
        """Read every word."""
        words = self.words
        sides = tuple(SIDES)
        side = words.take(sides, (*sides, COMBO, *COMMANDS))
        if side.lower() not in SIDES:
            raise words.fail("no side", (*sides, COMBO, *COMMANDS))
        self.side = SIDES[side.lower()]
        self.size = self._size()
        self.symbol = _symbol(words, self.context)
        if self.size is None and not self.context.presets.find("size", "", self.symbol)[0]:
            raise words.fail("no size", _SIZE_EXPECTED)
        while not words.is_done:
            self._option(words.take(()))

    def _size(self) -> Size | None:
        """The size; None where the line has the symbol in its place, whose preset must then give it."""
        words, context = self.words, self.context
        symbols = tuple(sorted(context.instruments or ())) if context.presets != NONE else ()
        word = words.take(_SIZE_EXPECTED, ("100", "1k", "$10k", *PARTS, "risk", *symbols))
        self.at["size"] = words.last
        if word.lower() == "risk":
            return self._risk()
        size = read_size(word.lower()) or read_part(word.lower())
        if size is None and context.presets != NONE and word.upper() in (context.instruments or ()):
            words.next -= 1
            del self.at["size"]
            return None
        if size is None:
            raise words.fail("no size", _SIZE_EXPECTED)
        return size

    def _risk(self) -> RiskSize:
        words = self.words
        amount = read_size(words.take(_RISK_EXPECTED, ("100", "200", "500")).lower().removeprefix("$"))
        if not isinstance(amount, Qty):
            raise words.fail("no amount of money", _RISK_EXPECTED)
        if words.take(_RISK_EXPECTED, ("stop",)).lower() != "stop":
            raise words.fail("not understood", _RISK_EXPECTED)
        return RiskSize(Money(amount), _number(words))

    def choices(self) -> tuple[str, ...]:
        """Words that may follow."""
        context = self.context
        found = [] if "price" in self.at else [*PRICE_WORDS]
        if self.algo.name == "direct":
            found += [] if self.at.keys() & WAITS else ["stop", "trail", "touch"]
            found += [word for word in ("show", "tp", "sl", "when") if word not in self.at]
            found.append("oco")
        found += [] if "tif" in self.at else [*TIFS, *(["gtd"] if self.algo.name == "direct" else [])]
        found += [word for word in ("post", "reduce") if word not in self.at]
        if "algo" not in self.at:
            found += [*context.algos]
        for name, values in context.algos.get(self.algo.name, AlgoWords()).params.items() if "algo" in self.at else ():
            if name not in self.algo.params:
                found += [f"{name}={value}" for value in values] or [f"{name}="]
        for name, known in _routes(context).items():
            if name not in self.at:
                found += [f"{name}:{value}" for value in known] or [f"{name}:"]
        return tuple(found)

    def _option(self, word: str) -> None:
        low = word.lower()
        name, colon, value = word.partition(":")
        if low.startswith("@"):
            self._once("price")
            self._price(low[1:])
        elif low == "stop":
            self._once("stop")
            self.stop = _number(self.words)
        elif low in TIFS:
            self._once("tif")
            self.tif = TIFS[low]
        elif low in FLAGS:
            self._once(FLAGS[low])
        elif low in self.context.algos:
            self._once("algo")
            self._algo(low)
        elif "=" in low and "algo" in self.at:
            self._param(low)
        elif colon and name.lower() in _routes(self.context):
            self._once(name.lower())
            self._route(name.lower(), value)
        elif low in TERM_WORDS:
            # One order cancels any number of others, so this word may stand again.
            self._once({"gtd": "tif", "oco": f"oco{len(self.terms.rivals) or ''}"}.get(low, low))
            self.terms.read(low, self.words, _number)
            self.tif = Tif.GTD if low == "gtd" else self.tif
            if low == "when" and self.terms.when is not None:
                self._known(self.terms.when.params.get("symbol", ""))
        else:
            raise self.words.fail("not understood", self.choices())

    def _known(self, symbol: str) -> None:
        if symbol and (known := self.context.instruments) is not None and symbol not in known:
            at = [word for word in self.words.words if word[0].upper() == symbol][-1]
            raise self.words.fail(f"{symbol} is no known symbol", tuple(sorted(known))[:8], at)

    def _once(self, option: str) -> None:
        if option in self.at:
            raise self.words.fail(f"{self.at[option][0]!r} already gave the {option}", self.choices())
        self.at[option] = self.words.last

    def _price(self, word: str) -> None:
        said = read_price(word)
        if word == MTL:
            self.terms.is_mtl = True
        elif said is None:
            raise self.words.fail("no price", _PRICE_EXPECTED)
        elif isinstance(said, Price):
            self.limit = said
        elif said.anchor != "mkt":
            self.limit, self.quote = _freeze(self.words, said, OrderRef(self.symbol, self.side), self.context)
            self.notes.append(f"@{word} = {padded(self.limit, self._digits())}")

    def _algo(self, name: str) -> None:
        duration_ns = 0
        if self.context.algos[name].timed:
            expected = ("a duration from 1s to 24h: 30s, 30m, 1h30m",)
            duration = read_duration(self.words.take(expected, ("5m", "10m", "30m", "1h")).lower())
            if duration is None:
                raise self.words.fail("no duration", expected)
            duration_ns = duration
        self.algo = AlgoSpec(name=name, duration_ns=duration_ns)

    def _param(self, word: str) -> None:
        name, _, value = word.partition("=")
        params = self.context.algos[self.algo.name].params
        if name not in params:
            raise self.words.fail(f"{self.algo.name} has no parameter {name!r}", tuple(f"{known}=" for known in params))
        self._once(f"{name}=")
        allowed = params[name]
        whole = value.isascii() and value.isdecimal() and len(value) <= 9
        if (allowed and value not in allowed) or (not allowed and not whole):
            expected = tuple(f"{name}={choice}" for choice in allowed) or (f"{name}= a whole number",)
            raise self.words.fail("no value of this parameter", expected)
        self.algo = msgspec.structs.replace(self.algo, params={**self.algo.params, name: value})

    def _route(self, name: str, value: str) -> None:
        known = _routes(self.context)[name]
        match = next((choice for choice in known if choice.lower() == value.lower()), "" if known else value)
        if not match or not _NAME.fullmatch(match):
            raise self.words.fail(f"no such {name}", tuple(f"{name}:{choice}" for choice in known) or (f"{name}:NAME",))
        if name == "acct":
            self.account = match
        elif name == "broker":
            self.broker = match if known else match.lower()
        else:
            self.venue = match if known else match.upper()

    def draft(self) -> NewOrderDraft:
        """The order, after the presets and the rules that span several words."""
        self._fill_in()
        self._check()
        terms = self.terms
        spec = OrderSpec(
            symbol=self.symbol,
            side=self.side,
            qty=self._qty(),
            type=terms.type_of(self.limit, self.stop),
            limit=self.limit,
            stop=terms.touch if terms.touch is not None else self.stop,
            trail=terms.trail,
            display=terms.display,
            tif=self.tif,
            expires_ns=terms.expires_ns,
            post_only="post" in self.at,
            reduce_only="reduce" in self.at,
            broker=self.broker,
            account=self.account,
            venue=self.venue,
            algo=terms.when or self.algo,
        )
        spec, linked = terms.group(spec)
        said = [spec.words(self._digits()), *(f"with {other.words(self._digits())}" for other in linked)]
        echo = "; ".join([*said, *([f"at {self.venue} and nowhere else"] if self.venue else []), *self.notes])
        return NewOrderDraft(spec=spec, linked=linked, echo=echo, quote=self.quote, defaults=tuple(self.defaults))

    # -- presets -----------------------------------------------------------------------------------------------------------

    def _fill_in(self) -> None:
        """Take what the line does not say from the presets: first what the type of the order hangs on."""
        at = self.at
        if not {"algo", *WAITS} & at.keys():
            self._preset("algo", "")
        if not {"price", *WAITS} & at.keys() and self.algo.name == "direct":
            self._preset("price", "@")
        if "size" not in at:
            value, where = self.context.presets.find("size", self._kind(), self.symbol)
            self.size = read_size(value) or read_part(value)
            self.at["size"] = (value, self.words.end)
            self.size_from = f"{where}.size: "
            self.defaults.append(Default("size", value, where))
        for field, option, prefix in _PRESET_WORDS:
            if option not in at:
                self._preset(field, prefix)
        for name, option, value in (
            ("tif", "tif", self.tif),
            ("account", "acct", self.account),
            ("broker", "broker", self.broker),
        ):
            if option not in at:
                self.defaults.append(Default(name, str(value), "the desk" if name != "tif" else "the grammar"))

    def _kind(self) -> str:
        """What kind of order the presets see: its algorithm, else its type by the words so far."""
        if self.algo.name != "direct":
            return self.algo.name
        if {"price", *WAITS} & self.at.keys():
            return str(self.terms.type_of(self.limit, self.stop))
        return str(OrderType.LIMIT)

    def _preset(self, field: str, prefix: str) -> None:
        """Read a preset's words as if they had been typed."""
        value, where = self.context.presets.find(field, self._kind(), self.symbol)
        if not value:
            return
        said = mirrored(value, self.side) if field == "price" else value
        typed, self.words = self.words, Words(f"{prefix}{said}")
        try:
            while not self.words.is_done:
                self._option(self.words.take(()))
        except Wrong as wrong:
            text_ = f"{where}.{field}: {wrong.error.text}"
            raise Wrong(GrammarError("", typed.end, wrong.error.expected, text_)) from None
        finally:
            self.words = typed
        self.defaults.append(Default(field, said, f"{where}{', mirrored for a sell' if said != value else ''}"))

    def _check(self) -> None:
        at, fail = self.at, self.words.fail
        scheduled = self.algo.name != "direct"
        if not (scheduled or {"price", *WAITS} & at.keys()):
            self.words.fail_end("the order has no price", _PRICE_EXPECTED, PRICE_WORDS)
        if len(waits := sorted(WAITS & at.keys())) > 1:
            raise fail(f"an order waits for one trigger, not for {' and '.join(waits)}", (), at[waits[1]])
        wrong = self.terms.fault(self.side, self.limit)
        if wrong is not None:
            raise fail(wrong[1], (), at[wrong[0]])
        out_of_place = next((word for word in ("stop", *TERM_WORDS) if scheduled and word in at), None)
        if out_of_place is not None or (scheduled and (self.terms.is_mtl or self.tif is Tif.GTD)):
            word = out_of_place or ("price" if self.terms.is_mtl else "tif")
            raise fail(f"{self.algo.name} works plain market and limit orders", ("a limit: @189.10",), at[word])
        if self.tif in AUCTIONS and (scheduled or {"post", "show", *WAITS} & at.keys() or self.terms.is_mtl):
            raise fail("an auction takes plain market and limit orders", (), at["tif"])
        if scheduled and self.tif is Tif.FOK:
            raise fail(
                f"{self.algo.name} sends many children and cannot fill all or none", ("day", "gtc", "ioc"), at["tif"]
            )
        if "post" in at and self.tif in {Tif.IOC, Tif.FOK}:
            raise fail(f"a post-only order rests, {self.tif} never does", ("day", "gtc"), at["post"])
        if "post" in at and not scheduled and (self.limit is None or WAITS & at.keys()):
            raise fail("only a plain limit order can be post-only", _PRICE_EXPECTED, at["post"])

    def _digits(self) -> int:
        """Decimals of the symbol's prices, where they are known."""
        made = (self.context.instruments or {}).get(self.symbol)
        return 0 if made is None else made.price_digits

    def _qty(self) -> Qty:
        """The quantity, in whole lots where it was said by its meaning."""
        size, at = self.size, self.at["size"]
        if isinstance(size, Qty):
            return size
        made = _instrument(self.words, self.symbol, self.context, at)
        if isinstance(size, PositionPart):
            held = self.context.position(self.account, self.symbol) if self.context.position else None
            found = of_position(size, held, made)
        elif isinstance(size, RiskSize):
            found = of_risk(size, self.side, self._entry(), made)
        else:
            assert size is not None, "read() refuses a line without a size"
            found = of_money(size, self._entry(), made)
        if isinstance(found, str):
            if self.size_from:
                self.words.fail_end(f"{self.size_from}{found}", _SIZE_EXPECTED)
            raise self.words.fail(found, _SIZE_EXPECTED, at)
        qty, note = found
        self.notes.append(note)
        return qty

    def _entry(self) -> Price:
        """The price that a size is worked out at: the order's own, else the far touch of now."""
        terms = self.terms
        price = next((one for one in (self.limit, self.stop, terms.touch) if one is not None), None)
        if price is None:
            order = OrderRef(self.symbol, self.side)
            price, self.quote = _freeze(self.words, PriceWord("take"), order, self.context, self.at["size"])
        return price


_PRESET_WORDS = (
    ("tif", "tif", ""),
    ("account", "acct", "acct:"),
    ("broker", "broker", "broker:"),
    ("venue", "venue", "venue:"),
)
"""Field of a preset, the option it stands for, and what is typed before its value."""


def _routes(context: GrammarContext) -> dict[str, tuple[str, ...]]:
    return {"acct": context.accounts, "broker": context.brokers, "venue": context.venues}


def _symbol(words: Words, context: GrammarContext) -> str:
    known = tuple(sorted(context.instruments)) if context.instruments is not None else ()
    symbol = words.take(("a symbol",), known).upper()
    if not _SYMBOL.fullmatch(symbol) or (context.instruments is not None and symbol not in context.instruments):
        near = tuple(name for name in known if name[:1] == symbol[:1]) or known
        said = context.unlisted(symbol) if context.unlisted is not None and _SYMBOL.fullmatch(symbol) else ""
        if said:
            raise words.fail(said, ())
        raise words.fail("no known symbol", near[:8] or ("a symbol: AAPL",))
    return symbol


def _number(words: Words) -> Price:
    price = read_price(words.take(("a price: 188.40",)).lower().removeprefix("@"))
    if not isinstance(price, Price):
        raise words.fail("no price", ("a price: 188.40",))
    return price


def _instrument(words: Words, symbol: str, context: GrammarContext, at: tuple[str, int]) -> Instrument:
    instrument = (context.instruments or {}).get(symbol)
    if instrument is None:
        raise words.fail(f"tick and lot of {symbol} are not known here", ("a plain number",), at)
    return instrument


def _freeze(
    words: Words, said: PriceWord, order: OrderRef, context: GrammarContext, at: tuple[str, int] | None = None
) -> tuple[Price, QuoteSeen]:
    """Turn a price word into a number on the quote of now."""
    at = at or words.last
    instrument = _instrument(words, order.symbol, context, at)
    quote = context.quote(order.symbol) if context.quote else None
    price = anchor_price(said.anchor, order.side, quote, instrument) if quote else None
    if quote is None or price is None:
        raise words.fail(f"{order.symbol} has no quote to price it on", ("a price: @189.10",), at)
    price = instrument.step_price(price, said.ticks)
    if price <= 0 and not instrument.price_negative:
        raise words.fail(f"it comes to {text(price)}, which is no price", ("a price: @189.10",), at)
    return price, quote


def _read_new(words: Words, context: GrammarContext) -> NewOrderDraft:
    if words.words and words.words[0][0].lower() == COMBO:
        words.take(())
        return read_combo(words, _combo_routes(words, context))
    reader = _OrderReader(words, context)
    reader.read()
    return reader.draft()


def _combo_routes(words: Words, context: GrammarContext) -> Routes:
    """A reader of plain orders serves a combination for the words that are the same."""
    reader = _OrderReader(words, context)

    def route(name: str, value: str) -> str:
        reader._route(name, value)  # noqa: SLF001 - the same module's
        return reader.account if name == "acct" else reader.broker

    return Routes(context.broker, context.account, lambda taken: _symbol(taken, context), route)


def _order_id(words: Words, context: GrammarContext, extra: tuple[str, ...] = ()) -> str:
    known = tuple(context.orders or ())
    order_id = words.take(("an order: P104", *extra), (*extra, *known)).upper()
    if order_id.lower() in extra:
        return ""
    if not _ORDER_ID.fullmatch(order_id) or (
        context.orders is not None and context.is_orders_whole and order_id not in context.orders
    ):
        raise words.fail("no such order", (*extra, *known[:8]) or ("an order: P104",))
    return order_id


def _read_line(words: Words, context: GrammarContext) -> Draft:
    first = words.words[0][0].lower() if words.words else ""
    if first not in COMMANDS:
        return _read_new(words, context)
    words.take(())
    draft: Draft
    if COMMANDS[first] == "cancel":
        order_id = _order_id(words, context, ("all",))
        draft = CancelDraft(order_id=order_id, symbol="" if order_id or words.is_done else _symbol(words, context))
    elif COMMANDS[first] == "release":
        draft = ReleaseDraft(order_id=_order_id(words, context))
    else:
        return _read_amend(words, context)
    if not words.is_done:
        words.take(())
        raise words.fail("nothing more is expected here", ())
    return draft


_AMEND_WORDS = ("qty", "stop", "@")
AMEND_PRICES = tuple(word for word in PRICE_WORDS if word not in {"@mkt", "@mtl"})


def _read_amend(words: Words, context: GrammarContext) -> AmendDraft:
    draft = AmendDraft(order_id=_order_id(words, context))
    seen: set[str] = set()
    while not words.is_done or not seen:
        word = words.take(("qty 200", "@189.20", "stop 188.40"), ("qty", "stop", *AMEND_PRICES)).lower()
        kind = "@" if word.startswith("@") else word
        if kind not in _AMEND_WORDS or kind in seen:
            raise words.fail("not understood or said twice", ("qty 200", "@189.20", "stop 188.40"))
        seen.add(kind)
        if kind == "qty":
            size = read_size(words.take(_SIZE_EXPECTED).lower())
            if not isinstance(size, Qty):
                raise words.fail("no size", ("a size: 100, 5k",))
            draft = msgspec.structs.replace(draft, qty=size)
        elif kind == "stop":
            draft = msgspec.structs.replace(draft, stop=_number(words))
        else:
            limit, quote = _amend_price(words, word[1:], draft.order_id, context)
            draft = msgspec.structs.replace(draft, limit=limit, quote=quote)
    return draft


def _amend_price(words: Words, word: str, order_id: str, context: GrammarContext) -> tuple[Price, QuoteSeen | None]:
    said = read_price(word)
    if isinstance(said, Price):
        return said, None
    order = (context.orders or {}).get(order_id)
    if said is None or said.anchor == "mkt" or order is None:
        raise words.fail("no price for an amend", ("a price: @189.20",))
    return _freeze(words, said, order, context)


def _choices(before: str, context: GrammarContext) -> tuple[str, ...]:
    """Words that may follow a finished part of a line; none where that part is wrong."""
    try:
        words = Words(before)
        if words.words and words.words[0][0].lower() in COMMANDS:
            draft = _read_line(words, context)
            more = isinstance(draft, AmendDraft)
            return tuple(w for w in ("qty", "stop", *AMEND_PRICES) if w not in before.lower().split()) if more else ()
        if words.words and words.words[0][0].lower() == COMBO:
            _read_new(words, context)
            return tuple(w for w in COMBO_OPTIONS if w not in before.lower().split())
        reader = _OrderReader(words, context)
        reader.read()
        return reader.choices()
    except Wrong as wrong:
        return wrong.choices if wrong.at_end else ()
