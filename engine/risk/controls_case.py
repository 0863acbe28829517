"""One order before the gate: its inputs, each worked out at most once and only when a control asks for it.

An input that cannot be known is None. Exposure counts every live order at its worst case per side; a parent's unsent rest
is not exposure yet: the parent was judged with its full quantity, and each child is judged again when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from engine.domain.events import TradingState
from engine.domain.instrument import Instrument, InstrumentKind
from engine.domain.money import EXACT, ZERO_QTY, Qty
from engine.domain.order import OrderSpec, Side, Source, SourceKind
from engine.risk.controls_history import History, strategy_of
from engine.risk.exposure import Abilities, OpenOrder, ParentView, Quote, RiskView
from engine.risk.kill_switch import KillSwitch
from engine.risk.policy import MARGIN_RATES, Limit, Policy

_HUNDRED = Decimal(100)
_ZERO = Decimal(0)
_HALF = Decimal("0.5")
SHARES = frozenset({InstrumentKind.EQUITY, InstrumentKind.ETF})
"""What can be sold short by the rules of shares."""


class Role(StrEnum):
    """What passes the gate."""

    PARENT = "parent"
    CHILD = "child"
    AMEND = "amend"
    FLATTEN = "flatten"
    """An exit of the kill procedure."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it would leave."""

    order_id: str
    role: Role
    spec: OrderSpec
    """For an amendment: the new terms, ``qty`` being the new total."""
    source: Source
    intent_id: str = ""
    parent_id: str = ""
    original: OpenOrder | None = None
    """For an amendment: the order as it stands."""
    qty_filled: Qty = ZERO_QTY
    """For an amendment: what the order has filled already."""
    confirmed: frozenset[str] = frozenset()
    is_approved: bool = False
    """A second person has approved exactly this order."""
    others: tuple[OrderSpec, ...] = ()
    """Of the first leg of a combination: the legs that go with it. The amount of the order is that of all of them."""
    why: str = ""


# Orders that a control lets through unseen, because they only make things smaller. Plain bits: this is looked at per row.
SPARE_NOTHING = 0
SPARE_REDUCING = 1
"""Orders that shrink the verified position, working orders included."""
SPARE_EXIT = 2
"""Exits of the kill procedure."""


class Signals:
    """What the monitors tell the gate between events."""

    __slots__ = ("clock_jump_ns",)

    def __init__(self) -> None:
        self.clock_jump_ns: int | None = 0


def fall(pnl: Decimal, peak: Decimal) -> Decimal:
    """How far the day's result stands below its best, which is never below zero (the start of the day)."""
    return EXACT.subtract(max(pnl, peak, _ZERO), pnl)


class Book(msgspec.Struct, frozen=True):
    """Worst-case amounts of an account with the candidate, in base currency."""

    gross: Decimal
    net: Decimal
    sector: Decimal
    currency: Decimal
    working: Decimal
    working_symbol: Decimal
    margin: Decimal
    """What the worst end of each symbol ties up, by the policy's own rates."""


class Case:
    """A candidate and everything the controls may ask about it."""

    __slots__ = (
        "added", "adv",
        "book",
        "candidate",
        "caps",
        "drawdown",
        "history",
        "instrument",
        "is_reducing",
        "kill",
        "limits", "middle",
        "notional",
        "now_ns",
        "open_buy",
        "open_sell",
        "parent",
        "pnl",
        "policy",
        "position",
        "price",
        "quote",
        "quote_fault",
        "rate",
        "ref",
        "signals",
        "spares",
        "spec",
        "state",
        "view",
        "worst",
    )  # fmt: skip

    added: Qty
    adv: Decimal | None
    """Average daily volume; None where it is not known or not above zero."""
    book: Book | None
    caps: Abilities | None
    drawdown: Decimal | None
    instrument: Instrument | None
    is_reducing: bool
    middle: Decimal | None
    notional: Decimal | None
    open_buy: Qty
    open_sell: Qty
    parent: ParentView | None
    pnl: Decimal | None
    position: Qty
    price: Decimal | None
    quote: Quote | None
    quote_fault: str
    rate: Decimal | None
    ref: Decimal | None
    spares: int
    state: TradingState
    worst: Decimal

    def __init__(
        self,
        candidate: Candidate,
        now_ns: int,
        view: RiskView,
        policy: Policy | None,
        kill: KillSwitch,
        history: History,
        signals: Signals,
    ) -> None:
        self.candidate = candidate
        self.spec: OrderSpec = candidate.spec
        self.now_ns = now_ns
        self.view = view
        self.policy = policy
        self.kill = kill
        self.history = history
        self.signals = signals
        self.limits: Mapping[str, Limit] = {}
        if policy is not None:
            spec = candidate.spec
            self.limits = policy.limits(spec.account, strategy_of(candidate.source), spec.symbol)

    def __getattr__(self, name: str) -> Any:
        # Reached only while a slot is still empty: the input is worked out once and kept.
        make = _MAKERS.get(name)
        if make is None:
            raise AttributeError(name)
        value = make(self)
        setattr(self, name, value)
        return value

    def limit(self, path: str) -> Limit | None:
        """A limit in force for this order."""
        return self.limits.get(path)


def is_exit(candidate: Candidate) -> bool:
    """Whether this claims to be an exit of the kill procedure (whether it shrinks is judged apart)."""
    return (
        candidate.role is Role.FLATTEN
        and candidate.source.kind is SourceKind.HALT
        and candidate.spec.reduce_only is True
    )


def finite(value: Decimal | None) -> bool:
    """Whether a number is there and is one."""
    return value is not None and value.is_finite()


def base_amount(instrument: Instrument, price: Decimal, qty: Decimal, rate: Decimal) -> Decimal:
    """Absolute amount in base currency."""
    return EXACT.abs(EXACT.multiply(EXACT.multiply(EXACT.multiply(price, qty), instrument.multiplier), rate))


def percent(part: Decimal, whole: Decimal) -> Decimal:
    """``part`` in percent of the size of ``whole``, which is not zero."""
    return EXACT.divide(EXACT.multiply(part, _HUNDRED), EXACT.abs(whole))


def _quote_fault(case: Case) -> str:
    """What is wrong with the quote, as a reason code; empty where it can price an order (age is judged apart)."""
    quote = case.quote
    if quote is None:
        return "QUOTE_NONE"
    bid, ask = quote.bid, quote.ask
    if bid is None or ask is None:
        return "QUOTE_NONE" if bid is None and ask is None else "QUOTE_ONE_SIDED"
    if not bid.is_finite() or not ask.is_finite():
        return "QUOTE_UNUSABLE"
    negative = case.instrument is not None and case.instrument.price_negative
    if not negative and (bid <= 0 or ask <= 0):
        return "QUOTE_UNUSABLE"
    return "QUOTE_CROSSED" if bid > ask else ""


def _ref(case: Case) -> Decimal | None:
    """Middle of a usable and fresh quote: what orders are measured against."""
    quote, limit = case.quote, case.limits.get("price.max_quote_age_s")
    if case.quote_fault or quote is None or limit is None or abs(case.now_ns - quote.ts_ns) > limit.ns:
        return None
    return case.middle or None


def _middle(case: Case) -> Decimal | None:
    """Middle of a usable quote, however old."""
    quote = case.quote
    if case.quote_fault or quote is None or quote.bid is None or quote.ask is None:
        return None
    return EXACT.multiply(EXACT.add(quote.bid, quote.ask), _HALF)


def _price(case: Case) -> Decimal | None:
    """The worst price this order may be done at, for its amount; None where nobody can say."""
    spec, collar = case.spec, case.limits.get("price.collar_pct")
    below_zero = case.instrument is not None and case.instrument.price_negative
    if spec.side is Side.BUY and spec.limit is not None and not below_zero:
        return spec.limit
    ref = case.ref
    if ref is None or collar is None:
        return None
    sizes = [EXACT.abs(price) for price in (ref, spec.limit, spec.stop) if price is not None]
    if spec.limit is None and (spec.side is Side.BUY or below_zero):
        sizes = [EXACT.add(size, EXACT.divide(EXACT.multiply(size, collar.value), _HUNDRED)) for size in sizes]
    return max(sizes)


def _rate(case: Case) -> Decimal | None:
    if case.instrument is None:
        return None
    rate = case.view.currency_rate(case.instrument.currency)
    return rate if rate is not None and rate.is_finite() and rate > 0 else None


def _notional(case: Case) -> Decimal | None:
    instrument, rate, price = case.instrument, case.rate, case.price
    if instrument is None or rate is None or price is None:
        return None
    return base_amount(instrument, price, case.spec.qty, rate)


def _added(case: Case) -> Qty:
    """What the order adds to the live orders of its side. An amendment takes its own old worst case out again."""
    candidate = case.candidate
    if candidate.role is not Role.AMEND:
        return candidate.spec.qty
    if case.parent is not None and not candidate.parent_id:
        return max(ZERO_QTY, candidate.spec.qty - case.parent.committed)
    old = candidate.original.leaves if candidate.original else ZERO_QTY
    return max(ZERO_QTY, candidate.spec.qty - candidate.qty_filled - old)


def _worst(case: Case) -> Decimal:
    """Position on the order's side if everything of that side fills, as a size."""
    if case.spec.side is Side.BUY:
        return EXACT.add(EXACT.add(case.position, case.open_buy), case.added)
    return EXACT.subtract(EXACT.add(case.open_sell, case.added), case.position)


def _is_reducing(case: Case) -> bool:
    """Whether the order can only shrink the position, with everything that already works on its side."""
    spec = case.spec
    held = case.position
    if not held or (not is_exit(case.candidate) and case.view.position_verified(spec.broker, spec.account) is None):
        return False
    if spec.side is Side.SELL:
        return held > 0 and EXACT.add(case.open_sell, case.added) <= held
    return held < 0 and EXACT.add(case.open_buy, case.added) <= EXACT.minus(held)


def _spares(case: Case) -> int:
    if not case.is_reducing:
        return SPARE_NOTHING
    return SPARE_REDUCING | SPARE_EXIT if is_exit(case.candidate) else SPARE_REDUCING


def _parent(case: Case) -> ParentView | None:
    candidate = case.candidate
    if candidate.parent_id:
        return case.view.parent(candidate.parent_id)
    return case.view.parent(candidate.order_id) if candidate.role is Role.AMEND else None


def _state(case: Case) -> TradingState:
    spec = case.spec
    parent = case.parent
    strategy = strategy_of(case.candidate.source) or (parent.strategy if parent else "")
    algo = parent.algo if parent else spec.algo.name
    return case.kill.state_for(spec.account, strategy, spec.symbol, "" if algo == "direct" else algo)


def mark_of(quote: Quote | None) -> Decimal | None:
    """Value of one unit for exposure: the middle, else the last trade, however old; None where there was never one."""
    if quote is None:
        return None
    if quote.bid is not None and quote.ask is not None and quote.bid.is_finite() and quote.ask.is_finite():
        return EXACT.multiply(EXACT.add(quote.bid, quote.ask), _HALF)
    return quote.last if finite(quote.last) else None


def _book(case: Case) -> Book | None:
    """Add up the account; None where a symbol in it has no terms, mark or rate."""
    view, spec = case.view, case.spec
    if case.instrument is None:
        return None
    gross = longs = shorts = sector = currency = working = own_working = margin = _ZERO
    is_in = False
    for symbol, held in view.positions(spec.account):
        own = symbol == spec.symbol
        is_in = is_in or own
        row = _exposure(case, symbol, held, own=own)
        if row is None:
            return None
        amount, up, down, open_amount, instrument = row
        gross, working = EXACT.add(gross, amount), EXACT.add(working, open_amount)
        margin = EXACT.add(margin, _margin(case, instrument, amount))
        longs, shorts = EXACT.add(longs, up), EXACT.add(shorts, down)
        own_working = open_amount if own else own_working
        if instrument.sector == case.instrument.sector:
            sector = EXACT.add(sector, amount)
        if instrument.currency == case.instrument.currency:
            currency = EXACT.add(currency, amount)
    if not is_in:
        row = _exposure(case, spec.symbol, case.position, own=True)
        if row is None:
            return None
        amount, up, down, own_working, _ = row
        margin = EXACT.add(margin, _margin(case, case.instrument, amount))
        gross, working = EXACT.add(gross, amount), EXACT.add(working, own_working)
        longs, shorts = EXACT.add(longs, up), EXACT.add(shorts, down)
        sector, currency = EXACT.add(sector, amount), EXACT.add(currency, amount)
    is_base = case.policy is not None and case.instrument.currency == case.policy.word("currency")
    net = max(EXACT.abs(longs), EXACT.abs(shorts))
    return Book(gross, net, sector, _ZERO if is_base else currency, working, own_working, margin)


def _margin(case: Case, instrument: Instrument, amount: Decimal) -> Decimal:
    """Margin of an exposure; all of it where the policy has no rate for its kind."""
    path = MARGIN_RATES.get(str(instrument.kind))
    rate = _HUNDRED if path is None or case.policy is None else case.policy.number(path)
    return EXACT.divide(EXACT.multiply(amount, rate), _HUNDRED)


MARKED_SHORT = "marked short"
"""On the decision of a short sale."""


def is_short_sale(case: Case) -> bool:
    """Whether a sale of shares could lead below zero, with everything that works on its side. An exit cannot: the venue lets
    it fill only as far as there is a position.
    """
    made, spec = case.instrument, case.spec
    is_share = made is not None and made.kind in SHARES
    return is_share and spec.side is Side.SELL and not spec.reduce_only and case.worst > 0


_Row = tuple[Decimal, Decimal, Decimal, Decimal, Instrument]


def _exposure(case: Case, symbol: str, held: Qty, *, own: bool) -> _Row | None:
    """Worst size, long end, short end and open amount of one symbol in base currency, and its terms."""
    view, spec = case.view, case.spec
    if own:
        instrument, mark, rate = case.instrument, case.ref or mark_of(case.quote), case.rate
        buys: Decimal = case.open_buy
        sells: Decimal = case.open_sell
        if spec.side is Side.BUY:
            buys = EXACT.add(buys, case.added)
        else:
            sells = EXACT.add(sells, case.added)
    else:
        instrument, mark = view.instrument(symbol), mark_of(view.quote(symbol))
        buys = view.open_qty(spec.account, symbol, Side.BUY)
        sells = view.open_qty(spec.account, symbol, Side.SELL)
        rate = None if instrument is None else view.currency_rate(instrument.currency)
    if instrument is None or mark is None or rate is None:
        return None
    unit = EXACT.multiply(EXACT.multiply(EXACT.abs(mark), instrument.multiplier), rate)
    up = EXACT.multiply(EXACT.add(held, buys), unit)
    down = EXACT.multiply(EXACT.subtract(held, sells), unit)
    return max(EXACT.abs(up), EXACT.abs(down)), up, down, EXACT.multiply(EXACT.add(buys, sells), unit), instrument


def _adv(case: Case) -> Decimal | None:
    adv = case.view.adv(case.spec.symbol)
    return adv if adv is not None and adv.is_finite() and adv > 0 else None


def _drawdown(case: Case) -> Decimal | None:
    pnl = case.pnl
    return None if pnl is None or not pnl.is_finite() else fall(pnl, case.view.peak_day(case.spec.account))


_MAKERS: dict[str, Callable[[Case], Any]] = {
    "added": _added,
    "adv": _adv,
    "book": _book,
    "caps": lambda case: case.view.capabilities(case.spec.broker),
    "drawdown": _drawdown,
    "instrument": lambda case: case.view.instrument(case.spec.symbol),
    "is_reducing": _is_reducing,
    "middle": _middle,
    "notional": _notional,
    "open_buy": lambda case: case.view.open_qty(case.spec.account, case.spec.symbol, Side.BUY),
    "open_sell": lambda case: case.view.open_qty(case.spec.account, case.spec.symbol, Side.SELL),
    "parent": _parent,
    "pnl": lambda case: case.view.pnl_day(case.spec.account),
    "position": lambda case: case.view.position(case.spec.account, case.spec.symbol),
    "price": _price,
    "quote": lambda case: case.view.quote(case.spec.symbol),
    "quote_fault": _quote_fault,
    "rate": _rate,
    "ref": _ref,
    "spares": _spares,
    "state": _state,
    "worst": _worst,
}


def reach(case: Case) -> Decimal | None:
    """How far through the market the order may reach, in percent of the reference; negative where it rests."""
    spec, ref, quote = case.spec, case.ref, case.quote
    if ref is None or quote is None or quote.bid is None or quote.ask is None:
        return None
    start = ref
    if spec.limit is not None:
        end: Decimal = spec.limit
        if spec.stop is not None:
            start = spec.stop
    else:
        end = quote.ask if spec.side is Side.BUY else quote.bid
    far = EXACT.subtract(end, start) if spec.side is Side.BUY else EXACT.subtract(start, end)
    return percent(far, start) if start else None


def distance(case: Case) -> Decimal | None:
    """How far away from the market the order rests or waits, in percent of the reference."""
    spec, ref = case.spec, case.ref
    if ref is None:
        return None
    if spec.trail is not None:
        return percent(spec.trail, ref)
    if spec.stop is not None:
        return percent(EXACT.abs(EXACT.subtract(spec.stop, ref)), ref)
    if spec.limit is None:
        return _ZERO
    away = EXACT.subtract(ref, spec.limit) if spec.side is Side.BUY else EXACT.subtract(spec.limit, ref)
    return percent(away, ref) if away > 0 else _ZERO


def collar_price(ref: Decimal | None, collar: Limit | None, side: Side) -> Decimal | None:
    """The worst price that an order without one may be done at: the collar around the middle; None where nobody can say."""
    if ref is None or collar is None:
        return None
    reach = EXACT.divide(EXACT.multiply(EXACT.abs(ref), collar.value), _HUNDRED)
    return EXACT.add(ref, reach) if side is Side.BUY else EXACT.subtract(ref, reach)


def crosses(mine: OrderSpec, other: OpenOrder, worst: Decimal | None = None) -> bool:
    """Whether two own orders on opposite sides could trade with each other now. What waits for its trigger cannot.

    ``worst`` is how far an order of ours without a price may reach (:func:`collar_price`): a resting order beyond it is out
    of its way. Where that is not known, or the other order has no price, they could meet.
    """
    if other.side is mine.side or other.type.terms.waits or mine.type.terms.waits:
        return False
    reach = mine.limit if mine.limit is not None else worst
    if reach is None or other.limit is None:
        return True
    return reach >= other.limit if mine.side is Side.BUY else reach <= other.limit
