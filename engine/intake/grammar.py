"""The one-line order grammar: a line of words becomes a draft, or names the first wrong word and what was expected.

``side qty symbol [@price] [stop price] [tif] [algo duration param=value ...] [post] [reduce] [acct: broker: venue:]``

Nothing is guessed. An order without a price is an error, not a market order: ``@mkt`` says it, or an algorithm
prices the children. Price words (``@join``, ``@bid+2t``) are frozen into a limit on the quote of this moment, which the
draft carries. Quantities and prices are kept as typed, on the grid or not; the gate judges them. Only a size in money is
rounded, down to whole lots, and the draft's echo shows both. Reading a line never raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import NoReturn

import msgspec

from engine.domain.errors import InputError
from engine.domain.events import QuoteSeen
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Money, Price, Qty, padded, text
from engine.domain.order import AlgoSpec, OrderSpec, OrderType, Side, Tif
from engine.intake.drafts import AmendDraft, CancelDraft, Draft, GrammarError, NewOrderDraft, ReleaseDraft
from engine.intake.words import (
    PRICE_WORDS,
    PriceWord,
    anchor_price,
    duration_word,
    read_duration,
    read_price,
    read_size,
)

LINE_CHARS_MAX = 400
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
    broker: str = "paper"
    account: str = "PAPER"
    brokers: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    algos: Mapping[str, AlgoWords] = ALGO_WORDS


SIDES = {"b": Side.BUY, "buy": Side.BUY, "s": Side.SELL, "sell": Side.SELL}
TIFS = {str(tif): tif for tif in Tif}
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._/-]{0,23}")
_ORDER_ID = re.compile(r"[A-Z][0-9]{1,12}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
FLAGS = {"post": "post", "post-only": "post", "reduce": "reduce", "reduce-only": "reduce"}
COMMANDS = {"x": "cancel", "cancel": "cancel", "a": "amend", "amend": "amend", "release": "release"}
_SIZE_EXPECTED = ("a size: 100, 5k, 2.5m, $10k",)
_PRICE_EXPECTED = ("a price: @189.10", *PRICE_WORDS, "@bid+2t")


def parse_order(line: str, context: GrammarContext) -> NewOrderDraft | GrammarError:
    """Read one order."""
    try:
        reader = _OrderReader(_Words(line), context)
        reader.read()
        return reader.draft()
    except _Wrong as wrong:
        return wrong.error


def parse_line(line: str, context: GrammarContext) -> Draft | GrammarError:
    """Read a line of the desk: an order, ``x P104``, ``x all [SYMBOL]``, ``a P104 qty 200 @189.20``, ``release P104``."""
    try:
        return _read_line(_Words(line), context)
    except _Wrong as wrong:
        return wrong.error


def complete(line: str, cursor: int, context: GrammarContext) -> list[str]:
    """Words that may stand where the cursor is, for the part of the word already typed; at most 50."""
    head = line[: max(0, cursor)]
    partial = "" if not head or head[-1].isspace() else head.split()[-1]
    before = head[: len(head) - len(partial)]
    found = [word for word in _choices(before, context) if word.lower().startswith(partial.lower())]
    return found[:CHOICES_MAX]


def order_words(spec: OrderSpec) -> str:
    """The canonical line of an order: :func:`parse_order` reads it back to the same spec (frozen prices as numbers)."""
    parts = [str(spec.side), text(spec.qty), spec.symbol]
    if spec.stop is not None:
        parts.append(f"stop {text(spec.stop)}")
    if spec.limit is not None:
        parts.append(f"@{text(spec.limit)}")
    elif spec.stop is None:
        parts.append("@mkt")
    parts.append(str(spec.tif))
    if spec.algo.name != "direct":
        parts += [spec.algo.name, duration_word(spec.algo.duration_ns)]
        parts += [f"{name}={value}" for name, value in sorted(spec.algo.params.items())]
    parts += [word for word, on in (("post", spec.post_only), ("reduce", spec.reduce_only)) if on]
    parts += [f"acct:{spec.account}", f"broker:{spec.broker}"]
    if spec.venue:
        parts.append(f"venue:{spec.venue}")
    return " ".join(parts)


class _Wrong(InputError):
    """Carries the error out of the reader; never leaves this module."""

    def __init__(self, error: GrammarError, choices: tuple[str, ...] = (), *, at_end: bool = False) -> None:
        super().__init__(error.text)
        self.error = error
        self.choices = choices
        self.at_end = at_end


class _Words:
    """The words of a line with their positions, read one by one."""

    def __init__(self, line: str) -> None:
        self.words: list[tuple[str, int]] = []
        self.end = len(line)
        self.next = 0
        if len(line) > LINE_CHARS_MAX:
            raise _Wrong(
                GrammarError("", LINE_CHARS_MAX, (), f"the line has {len(line)} characters; {LINE_CHARS_MAX} are read")
            )
        at = 0
        for word in line.split():
            at = line.index(word, at)
            self.words.append((word, at))
            at += len(word)

    @property
    def is_done(self) -> bool:
        return self.next == len(self.words)

    def take(self, expected: tuple[str, ...], choices: tuple[str, ...] = ()) -> str:
        """The next word; the line must not end here."""
        if self.is_done:
            self.fail_end("the line ends here", expected, choices)
        self.next += 1
        return self.words[self.next - 1][0]

    @property
    def last(self) -> tuple[str, int]:
        """The word just taken."""
        return self.words[self.next - 1]

    def fail(self, reason: str, expected: tuple[str, ...], at: tuple[str, int] | None = None) -> _Wrong:
        """The error for a word (the one just taken)."""
        word, position = at or self.last
        return _Wrong(GrammarError(word, position, expected, f"{word!r}: {reason}{_expected(expected)}"))

    def fail_end(self, reason: str, expected: tuple[str, ...], choices: tuple[str, ...] = ()) -> NoReturn:
        """Refuse a line that ends too early."""
        raise _Wrong(GrammarError("", self.end, expected, f"{reason}{_expected(expected)}"), choices, at_end=True)


def _expected(expected: tuple[str, ...]) -> str:
    return f"; expected {', '.join(expected)}" if expected else ""


class _OrderReader:
    """Reads one order word by word; each option at most once, in any order behind the symbol."""

    def __init__(self, words: _Words, context: GrammarContext) -> None:
        self.words = words
        self.context = context
        self.side = Side.BUY
        self.size: Qty | Money = Qty(0)
        self.symbol = ""
        self.limit: Price | None = None
        self.stop: Price | None = None
        self.tif = Tif.DAY
        self.algo = AlgoSpec()
        self.broker = context.broker
        self.account = context.account
        self.venue = ""
        self.quote: QuoteSeen | None = None
        self.notes: list[str] = []
        self.at: dict[str, tuple[str, int]] = {}
        """Option name -> the word that gave it."""

    def read(self) -> None:
        """Read every word."""
        words = self.words
        sides = tuple(SIDES)
        side = words.take(sides, (*sides, *COMMANDS))
        if side.lower() not in SIDES:
            raise words.fail("no side", (*sides, *COMMANDS))
        self.side = SIDES[side.lower()]
        size = read_size(words.take(_SIZE_EXPECTED, ("100", "1k", "$10k")).lower())
        if size is None:
            raise words.fail("no size", _SIZE_EXPECTED)
        self.size = size
        self.at["size"] = words.last
        self.symbol = _symbol(words, self.context)
        while not words.is_done:
            self._option(words.take(()))

    def choices(self) -> tuple[str, ...]:
        """Words that may follow."""
        context = self.context
        found = [] if "price" in self.at else [*PRICE_WORDS]
        found += [] if "stop" in self.at else ["stop"]
        found += [] if "tif" in self.at else [*TIFS]
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
        else:
            raise self.words.fail("not understood", self.choices())

    def _once(self, option: str) -> None:
        if option in self.at:
            raise self.words.fail(f"{self.at[option][0]!r} already gave the {option}", self.choices())
        self.at[option] = self.words.last

    def _price(self, word: str) -> None:
        said = read_price(word)
        if said is None:
            raise self.words.fail("no price", _PRICE_EXPECTED)
        if isinstance(said, Price):
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
        """The order, after the rules that span several words."""
        self._check()
        spec = OrderSpec(
            symbol=self.symbol,
            side=self.side,
            qty=self._qty(),
            type=_type_of(self.limit, self.stop),
            limit=self.limit,
            stop=self.stop,
            tif=self.tif,
            post_only="post" in self.at,
            reduce_only="reduce" in self.at,
            broker=self.broker,
            account=self.account,
            venue=self.venue,
            algo=self.algo,
        )
        timed = f" over {duration_word(self.algo.duration_ns)}" if self.algo.duration_ns else ""
        echo = "; ".join([spec.words(self._digits()) + timed, *self.notes])
        return NewOrderDraft(spec=spec, echo=echo, quote=self.quote)

    def _check(self) -> None:
        at, fail = self.at, self.words.fail
        scheduled = self.algo.name != "direct"
        if not (scheduled or {"price", "stop"} & at.keys()):
            self.words.fail_end("the order has no price", _PRICE_EXPECTED, PRICE_WORDS)
        if scheduled and "stop" in at:
            raise fail(f"{self.algo.name} takes no stop price", ("a limit: @189.10",), at["stop"])
        if scheduled and self.tif is Tif.FOK:
            raise fail(
                f"{self.algo.name} sends many children and cannot fill all or none", ("day", "gtc", "ioc"), at["tif"]
            )
        if "post" in at and self.tif in {Tif.IOC, Tif.FOK}:
            raise fail(f"a post-only order rests, {self.tif} never does", ("day", "gtc"), at["post"])
        if "post" in at and not scheduled and (self.limit is None or self.stop is not None):
            raise fail("only a plain limit order can be post-only", _PRICE_EXPECTED, at["post"])

    def _digits(self) -> int:
        """Decimals of the symbol's prices, where they are known."""
        made = (self.context.instruments or {}).get(self.symbol)
        return 0 if made is None else made.price_digits

    def _qty(self) -> Qty:
        if isinstance(self.size, Qty):
            return self.size
        instrument = _instrument(self.words, self.symbol, self.context, self.at["size"])
        price = self.limit if self.limit is not None else self.stop
        if price is None:
            take = PriceWord("take")
            price, self.quote = _freeze(
                self.words, take, OrderRef(self.symbol, self.side), self.context, self.at["size"]
            )
        each = instrument.notional(price, Decimal(1))
        if each <= 0:
            raise self.words.fail(
                f"money buys no quantity at a price of {text(price)}", _SIZE_EXPECTED, self.at["size"]
            )
        lots = EXACT.divide_int(self.size, EXACT.multiply(each, instrument.lot))
        qty = Qty(EXACT.multiply(lots, instrument.lot))
        if not qty:
            reason = f"less than one lot of {text(instrument.lot)} at {text(price)}"
            raise self.words.fail(reason, _SIZE_EXPECTED, self.at["size"])
        worth = f"{text(instrument.notional(price, qty))} {instrument.currency}"
        self.notes.append(
            f"{text(self.size)} {instrument.currency} at {padded(price, self._digits())} = {text(qty)} ({worth})"
        )
        return qty


def _routes(context: GrammarContext) -> dict[str, tuple[str, ...]]:
    return {"acct": context.accounts, "broker": context.brokers, "venue": context.venues}


def _type_of(limit: Price | None, stop: Price | None) -> OrderType:
    if stop is None:
        return OrderType.MARKET if limit is None else OrderType.LIMIT
    return OrderType.STOP if limit is None else OrderType.STOP_LIMIT


def _symbol(words: _Words, context: GrammarContext) -> str:
    known = tuple(sorted(context.instruments)) if context.instruments is not None else ()
    symbol = words.take(("a symbol",), known).upper()
    if not _SYMBOL.fullmatch(symbol) or (context.instruments is not None and symbol not in context.instruments):
        near = tuple(name for name in known if name[:1] == symbol[:1]) or known
        raise words.fail("no known symbol", near[:8] or ("a symbol: AAPL",))
    return symbol


def _number(words: _Words) -> Price:
    price = read_price(words.take(("a price: 188.40",)).lower().removeprefix("@"))
    if not isinstance(price, Price):
        raise words.fail("no price", ("a price: 188.40",))
    return price


def _instrument(words: _Words, symbol: str, context: GrammarContext, at: tuple[str, int]) -> Instrument:
    instrument = (context.instruments or {}).get(symbol)
    if instrument is None:
        raise words.fail(f"tick and lot of {symbol} are not known here", ("a plain number",), at)
    return instrument


def _freeze(
    words: _Words, said: PriceWord, order: OrderRef, context: GrammarContext, at: tuple[str, int] | None = None
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


def _order_id(words: _Words, context: GrammarContext, extra: tuple[str, ...] = ()) -> str:
    known = tuple(context.orders or ())
    order_id = words.take(("an order: P104", *extra), (*extra, *known)).upper()
    if order_id.lower() in extra:
        return ""
    if not _ORDER_ID.fullmatch(order_id) or (context.orders is not None and order_id not in context.orders):
        raise words.fail("no such order", (*extra, *known[:8]) or ("an order: P104",))
    return order_id


def _read_line(words: _Words, context: GrammarContext) -> Draft:
    first = words.words[0][0].lower() if words.words else ""
    if first not in COMMANDS:
        reader = _OrderReader(words, context)
        reader.read()
        return reader.draft()
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


def _read_amend(words: _Words, context: GrammarContext) -> AmendDraft:
    draft = AmendDraft(order_id=_order_id(words, context))
    seen: set[str] = set()
    while not words.is_done or not seen:
        word = words.take(("qty 200", "@189.20", "stop 188.40"), ("qty", "stop", *PRICE_WORDS[1:])).lower()
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


def _amend_price(words: _Words, word: str, order_id: str, context: GrammarContext) -> tuple[Price, QuoteSeen | None]:
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
        words = _Words(before)
        if words.words and words.words[0][0].lower() in COMMANDS:
            draft = _read_line(words, context)
            more = isinstance(draft, AmendDraft)
            return (
                tuple(w for w in ("qty", "stop", *PRICE_WORDS[1:]) if w not in before.lower().split()) if more else ()
            )
        reader = _OrderReader(words, context)
        reader.read()
        return reader.choices()
    except _Wrong as wrong:
        return wrong.choices if wrong.at_end else ()
