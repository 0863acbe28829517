"""What one run does: orders, the venue's faults, and where the engine is killed. Made from a seed; every part can be left out.

Tables that grow by a row: :data:`ORDERS`, the kinds of order, :data:`FAULTS`, what a venue does wrong, and :data:`MARKETS`.
:data:`STEPS` are the places where an engine can be killed; a point is ``before:STEP`` or ``after:STEP``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec

from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.domain.ids import Random
from engine.domain.money import Price, Qty
from engine.domain.order import WHEN, AlgoSpec, Combo, Link, LinkRole, OrderSpec, OrderType, Side, Tif

BEGINS_NS = 1_700_000_000 * NS_PER_S
"""When every run begins, in its simulated time."""
DATED_NS = 40 * NS_PER_S
"""How long after its act a dated order is good for."""
WAITS_NS = 3 * NS_PER_S
"""How long after its act the time comes that an order waits for in the engine."""
LATER_NS = 2 * NS_PER_S
"""So much later for each further attempt: more than attempts are apart, so that they come before their time in the end."""
START_CENTS = 10_000
"""Where every symbol's market begins."""
HELD = "SPY"
"""The symbol that is held from the start: what reduce-only orders shrink."""
HELD_QTY = 1_000
BOUGHT, SOLD = ("AAPL", "MSFT"), ("XOM", "KO")
"""No symbol is both bought and sold by wishes: which of two crossing orders the gate denies would be a matter of time."""
REDUCING = ("reduce", "reduce_rest")
"""Orders that shrink it; all of a schedule together are no more than it."""
GROUPED = ("QQQ", "IWM", "DIA")
"""Symbols of one group of orders each, whose exits would meet the entries of another."""
PAIRED = ("GLD", "SLV")
"""The legs of the one combination that a schedule may have."""
OPENING = ("EEM",)
"""Symbols with nights: what is ordered for their opening auction has them to itself."""
NIGHT_NS, DAY_NS = 3 * NS_PER_S, 5 * NS_PER_S
"""Of each short day the first part is closed; it begins with an opening auction then, and ends with a closing one."""
FOR_THE_OPEN = ("opening", "opening_limit")
"""Orders for it; where positions are to be flattened there are none: what is closed cannot be sold."""
SYMBOLS = (*BOUGHT, *SOLD, HELD, *GROUPED, *PAIRED, *OPENING)

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "reject": "the venue refuses a new order",
        "lost_ack": "the venue takes an order and its acknowledgement is lost",
        "timeout": "the venue takes an order and says nothing of it for longer than an answer is waited for",
        "duplicate": "a report comes twice",
        "reordered": "a report comes after the one that follows it",
        "delayed": "a report comes seconds late",
        "disconnect": "the line drops at any message of either direction; what is on its way is lost",
        "corrupt": "a frame that cannot be read",
        "cancel_fill": "an order fills while its cancel is on its way",
        "modify_fill": "an order fills while its amend is on its way",
        "overfill": "an order fills for more than was ordered",
        "bust": "an execution is undone",
        "borrow": "the venue refuses a short sale: there is nothing to borrow",
        "dividend": "cash is booked to the account while orders work",
        "split": "what is held is split two for one while orders work",
        "liquidation": "the house sells a part of what is held by an order of its own",
        "margin_call": "the house calls for margin; at its deadline it cancels what works and sells a part of what is held",
        "pause": "nothing trades in a symbol for a while, then all that can does at once",
    }
)
"""Every fault the venue can make, in words."""

KILL_STEPS = ("kill1", "kill2", "kill3", "kill4", "kill5", "kill6", "kill7")
RECOVERY_STEPS = ("recover1", "recover2", "recover3", "recover4")
STEPS: Mapping[str, str] = MappingProxyType(
    {
        "intent": "the commit of an order's intent",
        "send": "a new order is handed to the adapter",
        "ack": "the commit of an acknowledgement",
        "partial": "the commit of a fill that leaves a rest",
        "fill": "the commit of a fill that completes its order",
        "cancel": "a cancel is handed to the adapter",
        "amend": "an amend is handed to the adapter",
        "kill1": "kill switch: the gate is shut",
        "kill2": "kill switch: who and why are made durable",
        "kill3": "kill switch: the sources are stopped",
        "kill4": "kill switch: cancels leave by their own session",
        "kill5": "kill switch: the venue is asked what still works",
        "kill6": "kill switch: an exit order leaves",
        "kill7": "kill switch: the receipt is written",
        "recover1": "the next engine: the commit of its start",
        "recover2": "the next engine: the commit of what became UNKNOWN",
        "recover3": "the next engine: the venue is asked for its state",
        "recover4": "the next engine: the commit of the comparison",
    }
)
POINTS = tuple(f"{when}:{step}" for step in STEPS for when in ("before", "after"))
NONE = "none"


class Market(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the middle of each symbol's market goes, in cents, every half second until it stands."""

    step: int = 3
    """The most it moves by chance."""
    pull: int = 8
    """It comes back by its distance from home divided by this; 0 = it does not."""
    drift: int = 0
    """It moves by this as well."""
    mids: Mapping[str, tuple[int, ...]] = {}
    """By symbol: every middle one by one, instead of all this; the last one stays."""


MARKETS: Mapping[str, Market] = MappingProxyType(
    {
        "usual": Market(),
        "still": Market(step=0),
        "wild": Market(step=60, pull=40),
        "up": Market(drift=9, pull=0),
        "down": Market(drift=-9, pull=0),
    }
)
"""Markets by name."""


class Act(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something a person does."""

    name: str
    """``a0``, ``a1``, ...: unique in its schedule, and what ``--only`` names."""
    at_ms: int
    do: str
    """``order``, ``cancel``, ``cancel_all``, ``amend`` or ``kill``."""
    order: str = ""
    """Of an order: its row in :data:`ORDERS`. Of a cancel or amend: the name of the order's act."""
    symbol: str = ""
    qty: int = 0
    parts: int = 1
    """In how many executions the venue fills it."""
    flatten: bool = False


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The venue does something wrong, once."""

    name: str
    kind: str
    nth: int
    """At which opportunity, counted from 1 behind the opening trade."""
    size: int = 0
    """How long (ms) or how much (percent), as the kind needs it."""


class Crash(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An engine is killed with SIGKILL."""

    name: str
    life: int
    """Which engine: 0 is the first."""
    point: str
    nth: int = 1
    down_ms: int = 1_000


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run."""

    seed: int
    acts: tuple[Act, ...]
    faults: tuple[Fault, ...] = ()
    crashes: tuple[Crash, ...] = ()
    lag: int = 0
    """How many inputs the journal's commit may stay behind."""
    market: Market = Market()

    def names(self) -> list[str]:
        """Every part that can be left out; the opening trade cannot."""
        parts: tuple[Act | Fault | Crash, ...] = (*self.crashes, *self.faults, *reversed(self.acts[1:]))
        return [part.name for part in parts]

    def only(self, names: Iterable[str]) -> Schedule:
        """The same run with these parts alone (and the opening trade)."""
        kept = set(names)
        return msgspec.structs.replace(
            self,
            acts=(self.acts[0], *(act for act in self.acts[1:] if act.name in kept)),
            faults=tuple(fault for fault in self.faults if fault.name in kept),
            crashes=tuple(crash for crash in self.crashes if crash.name in kept),
        )

    def quiet(self) -> Schedule:
        """The same orders with no fault and no crash."""
        return msgspec.structs.replace(self, faults=(), crashes=())


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of order: what is asked for, given the act and the middle of the market in cents."""

    symbols: tuple[str, ...]
    spec: Callable[[OrderSpec, int], OrderSpec]
    rests: bool = False
    """It works until it is cancelled: what amends and cancels are tried on."""
    staged: bool = False
    catches_up: bool = False
    """Undisturbed in its second half, it does as much as without faults."""
    linked: Callable[[OrderSpec, int], tuple[OrderSpec, ...]] | None = None
    """The orders that go with it in one message, given its own terms; such a row has its symbol to itself."""
    basket: Callable[[OrderSpec, int], tuple[OrderSpec, ...]] | None = None
    """The further lines of a basket: judged and released with it, each an order of its own from then on."""


def _price(cents: int) -> Price:
    return Price(f"{cents // 100}.{cents % 100:02d}")


def _limit(spec: OrderSpec, cents: int, **more: object) -> OrderSpec:
    return msgspec.structs.replace(spec, type=OrderType.LIMIT, limit=_price(cents), **more)


def _stop(spec: OrderSpec, cents: int, reach: int = 0) -> OrderSpec:
    kind = OrderType.STOP_LIMIT if reach else OrderType.STOP
    limit = _price(cents + reach) if reach else None
    return msgspec.structs.replace(spec, type=kind, stop=_price(cents), limit=limit, tif=Tif.GTC)


def _touched(spec: OrderSpec, cents: int, reach: int = 0) -> OrderSpec:
    kind = OrderType.LIMIT_IF_TOUCHED if reach else OrderType.MARKET_IF_TOUCHED
    limit = _price(cents + reach) if reach else None
    return msgspec.structs.replace(spec, type=kind, stop=_price(cents), limit=limit, tif=Tif.GTC)


def _algo(spec: OrderSpec, name: str, seconds: int, **params: str) -> OrderSpec:
    algo = AlgoSpec(name=name, duration_ns=seconds * NS_PER_S, params=params)
    return msgspec.structs.replace(spec, algo=algo)


def _entry(spec: OrderSpec, cents: int | None = None) -> OrderSpec:
    made = spec if cents is None else _limit(spec, cents, tif=Tif.GTC)
    return msgspec.structs.replace(made, link=Link(LinkRole.ENTRY))


def _peer(spec: OrderSpec, cents: int) -> OrderSpec:
    return msgspec.structs.replace(_limit(spec, cents, tif=Tif.GTC), link=Link(LinkRole.PEER))


def _exits(
    spec: OrderSpec, mid: int, target: int | None, guard: int | None, trail: int | None = None
) -> tuple[OrderSpec, ...]:
    """The exits of an entry, so many cents from the middle."""
    plain = msgspec.structs.replace(
        spec, side=spec.side.other, type=OrderType.MARKET, limit=None, link=Link(LinkRole.LEG), reduce_only=True
    )
    made = [] if target is None else [_limit(plain, mid + target, tif=Tif.GTC)]
    made += [] if guard is None else [_stop(plain, mid - guard)]
    trailing = OrderType.TRAILING_STOP
    made += [] if trail is None else [msgspec.structs.replace(plain, type=trailing, trail=_price(trail), tif=Tif.GTC)]
    return tuple(made)


def _rivals(spec: OrderSpec, mid: int, *stops: int) -> tuple[OrderSpec, ...]:
    """Stops of which one cancels the others, and the order they are placed with."""
    plain = msgspec.structs.replace(spec, limit=None)
    return tuple(_stop(plain, mid + at) for at in stops)


def _leg(spec: OrderSpec, net: Price | None = None, *, legged: bool = False) -> OrderSpec:
    """A leg of a combination of as many units as its quantity, both legs bought: nobody has to borrow for it."""
    link = Link(LinkRole.COMBO, combo=Combo(int(spec.qty), net, legged))
    return msgspec.structs.replace(spec, tif=Tif.GTC, link=link)


def _other_leg(spec: OrderSpec, _mid: int) -> tuple[OrderSpec, ...]:
    return (msgspec.structs.replace(spec, symbol=PAIRED[1]),)


def _lines(spec: OrderSpec, mid: int) -> tuple[OrderSpec, ...]:
    """A line that rests and one that is worked, behind one that fills."""
    rests = msgspec.structs.replace(spec, qty=Qty(spec.qty + 3))
    worked = msgspec.structs.replace(spec, qty=Qty(spec.qty + 5))
    return _limit(rests, mid - 300, tif=Tif.GTC), _algo(worked, "twap", 4, slices="2")


ORDERS: Mapping[str, OrderRow] = MappingProxyType(
    {
        "market": OrderRow(symbols=BOUGHT, spec=lambda spec, _: spec),
        "market_sell": OrderRow(symbols=SOLD, spec=lambda spec, _: spec),
        "take": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _limit(spec, mid + 100)),
        "rest": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _limit(spec, mid - 400, tif=Tif.GTC), rests=True),
        "rest_sell": OrderRow(symbols=SOLD, spec=lambda spec, mid: _limit(spec, mid + 400), rests=True),
        "near": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _limit(spec, mid - 3)),
        "near_sell": OrderRow(symbols=SOLD, spec=lambda spec, mid: _limit(spec, mid + 3, tif=Tif.GTC)),
        "post": OrderRow(symbols=SOLD, spec=lambda spec, mid: _limit(spec, mid + 300, post_only=True), rests=True),
        "ioc": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _limit(spec, mid + 50, tif=Tif.IOC)),
        "ioc_far": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _limit(spec, mid - 200, tif=Tif.IOC)),
        "fok": OrderRow(symbols=SOLD, spec=lambda spec, mid: _limit(spec, mid - 50, tif=Tif.FOK)),
        "stop": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _stop(spec, mid + 5)),
        "stop_limit": OrderRow(symbols=SOLD, spec=lambda spec, mid: _stop(spec, mid - 5, -40)),
        "stop_far": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _stop(spec, mid + 300), rests=True),
        "trail": OrderRow(
            symbols=BOUGHT,
            spec=lambda spec, _: msgspec.structs.replace(spec, type=OrderType.TRAILING_STOP, trail=_price(6)),
        ),
        "touch": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _touched(spec, mid - 4)),
        "touch_limit": OrderRow(symbols=SOLD, spec=lambda spec, mid: _touched(spec, mid + 4, -20)),
        "best": OrderRow(
            symbols=SOLD, spec=lambda spec, _: msgspec.structs.replace(spec, type=OrderType.MARKET_TO_LIMIT)
        ),
        "shown": OrderRow(
            symbols=BOUGHT, spec=lambda spec, mid: _limit(spec, mid - 350, display=Qty(10), tif=Tif.GTC), rests=True
        ),
        "closing": OrderRow(
            symbols=BOUGHT, spec=lambda spec, _: msgspec.structs.replace(spec, tif=Tif.CLS), rests=True
        ),
        "opening": OrderRow(
            symbols=OPENING, spec=lambda spec, _: msgspec.structs.replace(spec, tif=Tif.OPG), rests=True
        ),
        "opening_limit": OrderRow(
            symbols=OPENING, spec=lambda spec, mid: _limit(spec, mid - 2, tif=Tif.OPG), rests=True
        ),
        "closing_limit": OrderRow(symbols=SOLD, spec=lambda spec, mid: _limit(spec, mid + 2, tif=Tif.CLS), rests=True),
        "dated": OrderRow(symbols=SOLD, spec=lambda spec, mid: _limit(spec, mid + 250, tif=Tif.GTD)),
        "reduce": OrderRow(
            symbols=(HELD,), spec=lambda spec, mid: _limit(spec, mid - mid // 200, reduce_only=True, side=Side.SELL)
        ),
        "reduce_rest": OrderRow(
            symbols=(HELD,),
            # By share, not by cents: its symbol is split, and 4.00 beside 12.50 is further away than an order may be.
            spec=lambda spec, mid: _limit(spec, mid + mid // 25, reduce_only=True, side=Side.SELL, tif=Tif.GTC),
            rests=True,
        ),
        "staged": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _limit(spec, mid + 80), staged=True),
        "staged_rest": OrderRow(symbols=SOLD, spec=lambda spec, mid: _limit(spec, mid + 200), staged=True),
        "twap": OrderRow(symbols=BOUGHT, spec=lambda spec, _: _algo(spec, "twap", 6, slices="3")),
        "twap_take": OrderRow(
            symbols=SOLD, spec=lambda spec, mid: _algo(_limit(spec, mid - 100), "twap", 4, slices="4", style="take")
        ),
        "vwap": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _algo(_limit(spec, mid + 60), "vwap", 6, slices="3")),
        "vwap_sell": OrderRow(symbols=SOLD, spec=lambda spec, _: _algo(spec, "vwap", 4, slices="2")),
        # Long enough to catch up with what an outage kept from them: what they do in all is counted.
        "twap_long": OrderRow(
            symbols=BOUGHT, spec=lambda spec, _: _algo(spec, "twap", 24, slices="6"), catches_up=True
        ),
        "vwap_long": OrderRow(symbols=SOLD, spec=lambda spec, _: _algo(spec, "vwap", 24, slices="6"), catches_up=True),
        "basket": OrderRow(symbols=BOUGHT, spec=lambda spec, _: spec, basket=_lines),
        "waits": OrderRow(symbols=BOUGHT, spec=lambda spec, mid: _algo(_limit(spec, mid + 90), WHEN, 0)),
        "bracket": OrderRow(
            symbols=GROUPED, spec=lambda spec, _: _entry(spec), linked=lambda spec, mid: _exits(spec, mid, 400, 400)
        ),
        "bracket_fast": OrderRow(
            symbols=GROUPED,
            spec=lambda spec, mid: _entry(spec, mid - 2),
            linked=lambda spec, mid: _exits(spec, mid, 3, 4),
        ),
        "bracket_rest": OrderRow(
            symbols=GROUPED,
            spec=lambda spec, mid: _entry(spec, mid - 400),
            linked=lambda spec, mid: _exits(spec, mid, 400, 700),
            rests=True,
        ),
        "triggers": OrderRow(
            symbols=GROUPED,
            spec=lambda spec, mid: _entry(spec, mid - 3),
            linked=lambda spec, mid: _exits(spec, mid, None, None, trail=5),
        ),
        "cancels": OrderRow(
            symbols=GROUPED, spec=lambda spec, mid: _peer(spec, mid - 4), linked=lambda spec, mid: _rivals(spec, mid, 5)
        ),
        "cancels_three": OrderRow(
            symbols=GROUPED,
            spec=lambda spec, mid: _peer(spec, mid - 250),
            linked=lambda spec, mid: _rivals(spec, mid, 6, 9),
            rests=True,
        ),
        "combo": OrderRow(symbols=PAIRED[:1], spec=lambda spec, _: _leg(spec), linked=_other_leg),
        "combo_legged": OrderRow(symbols=PAIRED[:1], spec=lambda spec, _: _leg(spec, legged=True), linked=_other_leg),
        "combo_rest": OrderRow(
            symbols=PAIRED[:1],
            spec=lambda spec, _: _leg(spec, _price(2 * START_CENTS - 900)),
            linked=_other_leg,
            rests=True,
        ),
    }
)
"""Every kind of order, by name."""


def order_specs(act: Act, mid_cents: int, attempt: int = 0) -> tuple[OrderSpec, ...]:
    """The order of an act and those that go with it, given the middle of the market."""
    first, row = order_spec(act, mid_cents, attempt), ORDERS[act.order]
    more = row.linked or row.basket
    return (first,) if more is None else (first, *more(first, mid_cents))


def order_spec(act: Act, mid_cents: int, attempt: int = 0) -> OrderSpec:
    """The order of an act, given the middle of the market."""
    row = ORDERS[act.order]
    side = Side.SELL if act.symbol in SOLD else Side.BUY
    plain = OrderSpec(symbol=act.symbol, side=side, qty=Qty(act.qty), type=OrderType.MARKET)
    made = row.spec(plain, mid_cents)
    if made.algo.name == WHEN:
        # A later attempt waits for a later time: the one before has passed.
        start_ns = BEGINS_NS + act.at_ms * NS_PER_MS + WAITS_NS + attempt * LATER_NS
        made = msgspec.structs.replace(made, algo=msgspec.structs.replace(made.algo, start_ns=start_ns))
    if made.tif is not Tif.GTD:
        return made
    return msgspec.structs.replace(made, expires_ns=BEGINS_NS + act.at_ms * NS_PER_MS + DATED_NS)


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """What schedules are drawn from."""

    faults: tuple[str, ...] = (NONE, *FAULTS)
    points: tuple[str, ...] = (NONE, *POINTS)
    orders: tuple[str, ...] = tuple(ORDERS)
    market: str = "usual"

    def draws(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Without the word for nothing."""
        return tuple(name for name in names if name != NONE)


USUAL = Mix()


def opening() -> Act:
    """The trade that every schedule begins with, spared by all faults: what reduce-only orders and flattens shrink."""
    return Act(name="a0", at_ms=400, do="order", order="market", symbol=HELD, qty=HELD_QTY, parts=2)


def make(seed: int, mix: Mix = USUAL) -> Schedule:
    """The schedule of a seed. Consecutive seeds walk through all pairs of a fault and a point of the mix; the rest is drawn."""
    rng = Random(seed)
    cell = seed % (len(mix.faults) * len(mix.points))
    kind, point = mix.faults[cell % len(mix.faults)], mix.points[cell // len(mix.faults)]
    acts = _acts(rng, kind, point, mix.orders)
    faults = [_fault(rng, kind, 0)] if kind != NONE else []
    more = mix.draws(mix.faults)
    while more and rng.chance(300_000) and len(faults) < 4:
        faults.append(_fault(rng, more[rng.below(len(more))], len(faults)))
    return Schedule(
        seed=seed,
        acts=acts,
        faults=tuple(faults),
        crashes=_crashes(rng, point, mix.draws(mix.points)),
        lag=rng.below(3) if rng.chance(400_000) else 0,
        market=MARKETS[mix.market],
    )


def _acts(rng: Random, kind: str, point: str, orders: tuple[str, ...]) -> tuple[Act, ...]:
    step = point.partition(":")[2]
    is_killing = step in KILL_STEPS or rng.chance(80_000)
    is_flat = is_killing and (step == "kill6" or rng.chance(500_000))
    acts = [opening()]
    allowed = [name for name in orders if not (is_flat and name in (*REDUCING, *FOR_THE_OPEN))] or ["market"]
    resting = [name for name in allowed if ORDERS[name].rests] or allowed
    chosen = [resting[rng.below(len(resting))]]
    chosen += [allowed[rng.below(len(allowed))] for _ in range(rng.between(1, 4))]
    if step in {"partial", "fill"} or kind in {"overfill", "bust"}:
        quick = [name for name in ("market", "take", "market_sell") if name in allowed] or allowed
        chosen.append(quick[rng.below(len(quick))])
    if kind == "borrow":
        chosen += [name for name in ("market_sell", "rest_sell") if name in allowed]  # short sales, which it refuses
    free = {GROUPED: list(GROUPED), PAIRED[:1]: list(PAIRED[:1])}
    for name in chosen:
        row = ORDERS[name]
        own = None if row.linked is None else free[row.symbols]
        if own is not None and not own:
            continue
        symbol = row.symbols[rng.below(len(row.symbols))] if own is None else own.pop(rng.below(len(own)))
        acts.append(
            Act(
                name=f"a{len(acts)}",
                at_ms=rng.between(900, 7_000),
                do="order",
                order=name,
                symbol=symbol,
                # No two orders are alike, so that none is taken for a repetition of another.
                qty=rng.between(10, 17 if name in REDUCING else 90) * 10 + len(acts),
                parts=rng.between(2, 3) if step == "partial" else rng.between(1, 3),
            )
        )
    rests = acts[1]
    for do in ("amend", "cancel"):
        if rng.chance(700_000) or step == do or kind == {"amend": "modify_fill", "cancel": "cancel_fill"}[do]:
            wait_ms = rng.between(300, 1_500) + (1_200 if do == "cancel" else 0)
            acts.append(Act(name=f"a{len(acts)}", at_ms=rests.at_ms + wait_ms, do=do, order=rests.name))
    if step == "amend" or kind == "modify_fill":
        # One amend often finds its order ended, or its engine dead: then the pair that the seed is for is not met.
        for other in [act for act in acts[2:] if act.do == "order" and ORDERS[act.order].linked is None][:2]:
            at_ms = other.at_ms + rng.between(200, 2_500)
            acts.append(Act(name=f"a{len(acts)}", at_ms=at_ms, do="amend", order=other.name))
    if is_killing:
        acts.append(Act(name=f"a{len(acts)}", at_ms=rng.between(3_000, 8_000), do="kill", flatten=is_flat))
    if rng.chance(150_000):
        acts.append(Act(name=f"a{len(acts)}", at_ms=rng.between(6_000, 9_000), do="cancel_all"))
    return tuple(acts)


def _fault(rng: Random, kind: str, number: int) -> Fault:
    most, sizes = {
        "reject": (4, (0, 0)),
        "lost_ack": (4, (0, 0)),
        "timeout": (4, (1_500, 9_000)),
        "duplicate": (14, (1, 4_000)),
        "reordered": (12, (0, 0)),
        "delayed": (14, (500, 14_000)),
        "disconnect": (20, (200, 8_000)),
        "corrupt": (12, (0, 2)),
        "cancel_fill": (1, (30, 100)),
        "modify_fill": (1, (30, 100)),
        "overfill": (3, (1, 40)),
        "bust": (3, (0, 6_000)),
        "borrow": (2, (0, 0)),
        "dividend": (3, (0, 0)),
        "split": (3, (0, 0)),
        "liquidation": (3, (1, 8)),
        "margin_call": (3, (300, 6_000)),
        "pause": (3, (500, 6_000)),
    }[kind]
    return Fault(name=f"f{number}", kind=kind, nth=rng.between(1, most), size=rng.between(*sizes))


def _crashes(rng: Random, point: str, more: tuple[str, ...]) -> tuple[Crash, ...]:
    step = point.partition(":")[2]
    made: list[Crash] = []

    def add(where: str, nth: int) -> None:
        down_ms = rng.between(100, 6_000)
        made.append(Crash(name=f"c{len(made)}", life=len(made), point=where, nth=nth, down_ms=down_ms))

    if step in RECOVERY_STEPS:
        add(("before:send", "after:send", "after:intent", "before:ack")[rng.below(4)], rng.between(2, 3))
    if point != NONE:
        often = {"send": 4, "intent": 4, "ack": 4, "partial": 2, "fill": 3}.get(step, 1)
        add(point, rng.between(2, often) if often > 2 else 1)
    while point != NONE and rng.chance(250_000) and len(made) < 4:
        add(more[rng.below(len(more))], 1)
    return tuple(made)
