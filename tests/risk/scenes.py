"""How to bring about what each row of the control table measures. The generator in test_controls makes its cases from here
and from the row; a row without a scene, or a scene without a row, is a failing test."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from engine.domain.commands import HaltScope
from engine.domain.events import BrokerState, TradingState, TradingStateChanged
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderState, OrderType, Side, Source, SourceKind
from engine.risk.exposure import OpenOrder, ParentView
from engine.risk.risk_manager import Role
from tests.risk.world import NOW, SECOND, STRATEGY, World, nan_price, nan_qty, order, quote

Set = Callable[[World, Decimal], None]
Act = Callable[[World], None]
PARENT, CHILD, AMEND = Role.PARENT, Role.CHILD, Role.AMEND
ALL = (PARENT, CHILD, AMEND)
replace = msgspec.structs.replace


class Denied(msgspec.Struct, frozen=True):
    """An act that spoils an input, and who denies it then: the row itself with its code for unknowns, unless said."""

    act: Act
    control: str = ""
    code: str = ""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A limit row: how to set its input, at which limit, and in which steps. What it lacks has its reason in ``NEVER``."""

    set: Set
    limit: str
    unit: str = "1"
    roles: tuple[Role, ...] = ALL
    missing: Denied | None = None
    nan: Denied | None = None
    stale: Denied | None = None
    bound: Act | None = None
    """Puts the limit in place where it is no number of the policy."""


def _spec(world: World, **words: object) -> None:
    world.spec = replace(world.spec, **words)


def _qty(world: World, value: Decimal) -> None:
    _spec(world, qty=Qty(value))


def _notional(world: World, value: Decimal) -> None:
    # One tick is one unit: 500 shares at a price that makes the amount.
    _spec(world, qty=Qty(500), limit=Price(value / 500))


def _notional_without_adv(world: World, value: Decimal) -> None:
    _notional(world, value)
    world.volume = None


def _adv_pct(world: World, value: Decimal) -> None:
    _qty(world, value * 100)
    world.volume = Decimal(10_000)


def _held(world: World, qty: Decimal) -> None:
    """Set the position so that the worst long position is ``qty``."""
    world.held["AAPL"] = Qty(qty) - world.open_qty("PAPER", "AAPL", Side.BUY) - world.added()


def _amount(world: World, value: Decimal) -> None:
    _held(world, value / 100)


def _leverage(world: World, value: Decimal) -> None:
    _held(world, Decimal(200))
    world.capital = Money(Decimal(20_000) * 100 / value)


def _margin(world: World, value: Decimal) -> None:
    """Shares for 20,000 tie up a half of that."""
    _held(world, Decimal(200))
    world.capital = Money(Decimal(10_000) * 100 / value)


def _currency(world: World, value: Decimal) -> None:
    world.instruments["AAPL"] = make_instrument("AAPL", "equity", "XNAS", "EUR", "0.01")
    world.rates["EUR"] = Decimal(2)
    _held(world, value / 200)


def _open_amount(world: World, value: Decimal) -> None:
    world.opened["AAPL", Side.BUY] = Qty(value / 100) - world.added()


def _count(symbol: str | None) -> Set:
    def act(world: World, value: Decimal) -> None:
        world.counts[symbol] = int(value) - (0 if world.role is AMEND else 1)

    return act


def _turnover(world: World, value: Decimal) -> None:
    world.fill("C0", Qty(value / 100) - world.spec.qty)


def _sent(seconds_ago: int) -> Set:
    def act(world: World, value: Decimal) -> None:
        world.send(int(value) - 1, NOW - seconds_ago * SECOND)

    return act


def _messages(world: World, value: Decimal) -> None:
    """Messages of the day, and no execution."""
    world.set_limit("day.ratio_from", Decimal(0))
    _sent(5)(world, value)


def _drawdown(world: World, value: Decimal) -> None:
    world.peak = Money(500)
    world.pnl = Money(Decimal(500) - value)


def _repeat(world: World, value: Decimal) -> None:
    world.source = STRATEGY
    for order_id in world.send(int(value), NOW - 5 * SECOND):
        world.fill(order_id, Qty(1), NOW - 5 * SECOND)
        world.fill(order_id, Qty(1), NOW - 5 * SECOND)


def _children(world: World, value: Decimal) -> None:
    world.parents["P1"] = replace(world.parents["P1"], qty=Qty(1000), committed=Qty(value) - world.added())


def _quote(world: World, **words: object) -> None:
    world.quotes["AAPL"] = replace(world.quotes["AAPL"], **words)


def _no_quote(world: World) -> None:
    world.quotes.clear()


def _market(world: World) -> None:
    """A market order on a quote without numbers."""
    _spec(world, type=OrderType.MARKET, limit=None)
    _quote(world, bid=nan_price())


def _market_unquoted(world: World) -> None:
    _spec(world, type=OrderType.MARKET, limit=None)
    world.quotes.clear()


def _stale(world: World) -> None:
    """A quote one nanosecond older than allowed."""
    world.set_limit("price.max_quote_age_s", Decimal(15))
    _quote(world, ts_ns=NOW - 15 * SECOND - 1)


def _market_stale(world: World) -> None:
    _spec(world, type=OrderType.MARKET, limit=None)
    _stale(world)


def _breaks(name: str) -> Denied:
    """The view cannot be read: a count of ours is missing only where its reader breaks."""

    def broken(*_: object) -> object:
        raise LookupError(name)

    return Denied(lambda world: setattr(world, name, broken), code="CHECK_FAILED")


def _no_volume(world: World) -> None:
    world.volume = None
    world.set_limit("order.max_notional_without_adv", Decimal(0))


def _nan_volume(world: World) -> None:
    _no_volume(world)
    world.volume = Decimal("NaN")


NAN_QTY = Denied(lambda world: _spec(world, qty=nan_qty()), "C02", "NUMBER_BAD")
NO_ADV = Denied(_no_volume, "C08", "ADV_NONE")


def _rate_age(world: World, value: Decimal) -> None:
    world.instruments["AAPL"] = make_instrument("AAPL", "equity", "XNAS", "EUR", "0.01")
    world.rates["EUR"] = Decimal(1)
    world.rate_ages["EUR"] = int(value)


def _terms(**words: str) -> Act:
    def act(world: World) -> None:
        world.instruments["AAPL"] = make_instrument("AAPL", "equity", "XNAS", "USD", "0.01", **words)  # type: ignore[arg-type]

    return act


def _set(name: str, value: object) -> Act:
    def act(world: World) -> None:
        setattr(world, name, value)

    return act


def _policy(path: str, value: object) -> Act:
    def act(world: World) -> None:
        world.set_limit(path, value)  # type: ignore[arg-type]

    return act


def _held_nan(world: World) -> None:
    world.capital = Decimal.__new__(Money, "NaN")


def _pnl_nan(world: World) -> None:
    world.pnl = Decimal.__new__(Money, "NaN")


def _foreign_without_mark(world: World) -> None:
    """Another position of the account has no price."""
    world.held["MSFT"] = Qty(5)
    world.instruments["MSFT"] = make_instrument("MSFT", "equity", "XNAS", "USD", "0.01")


def _foreign_nan(world: World) -> None:
    _foreign_without_mark(world)
    world.quotes["MSFT"] = replace(quote("50", "51"), bid=nan_price())


def _five_messages(world: World) -> None:
    assert world.caps is not None
    world.caps.messages_per_s = 5


AMOUNT = Scene(set=_amount, limit="100000", unit="100")
MARKED = replace(AMOUNT, missing=Denied(_foreign_without_mark), nan=Denied(_foreign_nan))
ORDERED = Scene(
    set=_notional,
    limit="50000",
    unit="5",
    missing=Denied(_market_unquoted),
    nan=Denied(_market),
    stale=Denied(_market_stale),
)
LOST = Denied(lambda w: setattr(w, "pnl", None))

LIMIT_SCENES: dict[str, Scene] = {
    "UNKNOWN_COUNT": Scene(
        set=lambda w, v: setattr(w, "unknown", (int(v), NOW)), limit="3", missing=_breaks("unknown_orders")
    ),
    "UNKNOWN_AGE": Scene(
        set=lambda w, v: setattr(w, "unknown", (1, NOW - int(v))), limit="60", missing=_breaks("unknown_orders")
    ),
    "CLOCK_JUMP": Scene(
        set=lambda w, v: setattr(w.risk.signals, "clock_jump_ns", -int(v)),
        limit="2",
        missing=Denied(lambda w: setattr(w.risk.signals, "clock_jump_ns", None)),
    ),
    "CLOCK_OFFSET": Scene(
        set=lambda w, v: setattr(w, "offset", -int(v)),
        limit="5",
        missing=Denied(lambda w: setattr(w, "offset", None)),
    ),
    "RATE_STALE": Scene(set=_rate_age, limit="93600"),
    "QTY_MIN": Scene(set=_qty, limit="10", bound=_terms(qty_min="10"), nan=NAN_QTY),
    "QTY_VENUE_MAX": Scene(set=_qty, limit="1000", bound=_terms(qty_max="1000"), nan=NAN_QTY),
    "NOTIONAL_MIN": replace(
        ORDERED,
        set=lambda w, v: _spec(w, qty=Qty(10), limit=Price(v / 10)),
        limit="1000",
        unit="0.1",
        bound=_terms(notional_min="1000"),
    ),
    "SOURCE_NOTIONAL": ORDERED,
    "QUOTE_STALE": Scene(
        set=lambda w, v: _quote(w, ts_ns=NOW - int(v)),
        limit="15",
        missing=Denied(_no_quote),
        stale=Denied(_stale, code="QUOTE_STALE"),
    ),
    "QUOTE_OUTLIER": Scene(
        set=lambda w, v: _quote(w, last=Price(Decimal(100) / (1 + v / 100))),
        limit="25",
        missing=Denied(_no_quote),
        nan=Denied(lambda w: _quote(w, last=nan_price())),
        stale=Denied(_stale, code="QUOTE_STALE"),
    ),
    "COLLAR": Scene(
        set=lambda w, v: _spec(w, limit=Price(100 + v)),
        limit="5",
        unit="0.01",
        missing=Denied(_no_quote),
        nan=Denied(_market),
        stale=Denied(_stale),
    ),
    "FAR": Scene(
        set=lambda w, v: _spec(w, limit=Price(100 - v)),
        limit="30",
        unit="0.01",
        missing=Denied(_no_quote),
        nan=Denied(_market),
        stale=Denied(_stale),
    ),
    "QTY_MAX": Scene(set=_qty, limit="500", nan=NAN_QTY),
    "NOTIONAL_MAX": ORDERED,
    "ADV_PCT": Scene(set=_adv_pct, limit="5", unit="0.01", missing=NO_ADV, nan=replace(NO_ADV, act=_nan_volume)),
    "ADV_NONE": replace(ORDERED, set=_notional_without_adv),
    "PARENT_OVER": Scene(
        set=_children,
        limit="1000",
        roles=(CHILD, AMEND),
        bound=lambda w: None,
        missing=Denied(lambda w: w.parents.clear()),
        nan=NAN_QTY,
    ),
    "UNITS_CONFIRM": replace(ORDERED, roles=(PARENT, AMEND)),
    "POSITION_MAX": Scene(set=_held, limit="1000", missing=_breaks("position"), nan=NAN_QTY),
    "POSITION_NOTIONAL": replace(AMOUNT, missing=Denied(_no_quote), nan=Denied(_market), stale=Denied(_stale)),
    "GROSS_MAX": MARKED,
    "NET_MAX": MARKED,
    "SECTOR_MAX": MARKED,
    "CURRENCY_MAX": replace(MARKED, set=_currency, unit="200"),
    "LEVERAGE_MAX": Scene(
        set=_leverage,
        limit="200",
        missing=Denied(lambda w: setattr(w, "capital", None)),
        nan=Denied(_held_nan),
    ),
    "OPEN_COUNT": Scene(set=_count(None), limit="200", missing=_breaks("open_count")),
    "OPEN_COUNT_SYMBOL": Scene(set=_count("AAPL"), limit="50", missing=_breaks("open_count")),
    "OPEN_NOTIONAL": replace(MARKED, set=_open_amount),
    "OPEN_NOTIONAL_SYMBOL": replace(MARKED, set=_open_amount),
    "TURNOVER_MAX": replace(
        AMOUNT,
        set=_turnover,
        missing=Denied(_market_unquoted),
        nan=Denied(_market),
        stale=Denied(_market_stale),
    ),
    "DAY_ORDERS": Scene(set=_sent(5), limit="6"),
    "DAY_CANCELS": Scene(set=lambda w, v: w.cancel(int(v), NOW - 5 * SECOND), limit="6"),
    "OTR_MAX": Scene(set=_messages, limit="6"),
    "FOUR_EYES": replace(ORDERED, roles=(PARENT, AMEND)),
    "MARGIN_MAX": Scene(
        set=_margin,
        limit="50",
        missing=Denied(lambda w: setattr(w, "capital", None)),
        nan=Denied(_held_nan),
    ),
    "LOSS_MAX": Scene(
        set=lambda w, v: setattr(w, "pnl", Money(-v)), limit="1000", unit="0.01", missing=LOST, nan=Denied(_pnl_nan)
    ),
    "DRAWDOWN_MAX": Scene(set=_drawdown, limit="1000", unit="0.01", missing=LOST, nan=Denied(_pnl_nan)),
    "RECON_STALE": Scene(
        set=lambda w, v: setattr(w, "verified", NOW - int(v)),
        limit="900",
        missing=Denied(lambda w: setattr(w, "verified", None)),
    ),
    "DUPLICATE": Scene(set=lambda w, v: w.accept(w.spec, NOW - int(v)), limit="2", roles=(PARENT,)),
    "RATE_BROKER": Scene(set=_sent(0), limit="6"),
    "RATE_VENUE": Scene(
        set=_sent(0), limit="4", bound=_five_messages, missing=Denied(lambda w: setattr(w, "caps", None))
    ),
    "RATE_ACCOUNT": Scene(set=_sent(0), limit="6"),
    "RATE_SOURCE": Scene(set=_sent(0), limit="6"),
    "REPEAT": Scene(set=_repeat, limit="6"),
}


class RuleScene(msgspec.Struct, frozen=True, kw_only=True):
    """A rule row: an act that breaks the rule, and nothing else that comes before it in a decisive way."""

    break_: Act
    roles: tuple[Role, ...] = ALL
    missing: Denied | None = None
    nan: Denied | None = None
    stale: Denied | None = None


def _trip(state: TradingState) -> Act:
    def act(world: World) -> None:
        world.on(TradingStateChanged(scope=HaltScope(), state=state, code="MANUAL", who="anna", why="test"))

    return act


def _foreign_currency(world: World) -> None:
    world.instruments["AAPL"] = make_instrument("AAPL", "equity", "XNAS", "EUR", "0.01")


def _caps(name: str, value: object) -> Act:
    def act(world: World) -> None:
        setattr(world.caps, name, value)

    return act


def _opposite(world: World) -> None:
    world.orders.append(
        OpenOrder(
            order_id="C77",
            account="OTHER",
            symbol="AAPL",
            side=Side.SELL,
            leaves=Qty(5),
            type=OrderType.LIMIT,
            limit=Price(100),
        )
    )


def _ended(world: World) -> None:
    world.parents["P1"] = ParentView(qty=Qty(10**9), committed=Qty(0), state=OrderState.CANCELLED)


def _post_only(world: World) -> None:
    _spec(world, post_only=True)
    _caps("post_only", False)(world)


def _nan_rate(world: World) -> None:
    _foreign_currency(world)
    world.rates["EUR"] = Decimal("NaN")


def _unverified_exit(world: World) -> None:
    """An exit of a position that was never compared with the broker's."""
    world.held["AAPL"] = Qty(-100)
    world.verified = None
    _spec(world, reduce_only=True)


def _short(world: World) -> None:
    _caps("short_sale", False)(world)
    _spec(world, side=Side.SELL)


def _short_sale(path: str, names: tuple[str, ...]) -> Act:
    """A short sale at the bid, of a symbol that such a list stops."""

    def act(world: World) -> None:
        world.set_limit(path, names)
        _spec(world, side=Side.SELL, limit=Price("99.99"))

    return act


def _short_unseen(world: World) -> None:
    _short_sale("short.locate_free", ())(world)
    _breaks("position").act(world)


def _short_unquoted(world: World) -> None:
    _short_sale("short.price_test", ("AAPL",))(world)
    _quote(world, bid=None)


def _short_stale(world: World) -> None:
    _short_sale("short.price_test", ("AAPL",))(world)
    _stale(world)


def _unset(name: str) -> Denied:
    """The input of the rule is not there at all, which the rule itself denies."""
    return Denied(lambda world: setattr(world, name, None))


def _nan_limit(world: World) -> None:
    _spec(world, limit=nan_price())


NAN_PRICE = Denied(_nan_limit, "C02", "NUMBER_BAD")
NO_CAPS = Denied(lambda w: setattr(w, "caps", None), "C05", "TYPE_UNSUPPORTED")
STALE = Denied(_stale, "C10", "QUOTE_STALE")

RULE_SCENES: dict[str, RuleScene] = {
    "POLICY_NONE": RuleScene(
        break_=lambda w: setattr(w.holder, "policy", None), missing=Denied(lambda w: setattr(w.holder, "policy", None))
    ),
    "NUMBER_BAD": RuleScene(
        break_=lambda w: _spec(w, qty=Qty(0)), missing=Denied(lambda w: _spec(w, limit=None)), nan=NAN_PRICE
    ),
    "INSTRUMENT_UNKNOWN": RuleScene(
        break_=lambda w: w.instruments.clear(), missing=Denied(lambda w: w.instruments.clear())
    ),
    "HALTED": RuleScene(
        break_=_trip(TradingState.HALTED), missing=Denied(lambda w: setattr(w.risk, "kill", None), code="CHECK_FAILED")
    ),
    "REDUCE_STATE": RuleScene(
        break_=_trip(TradingState.REDUCING),
        missing=Denied(lambda w: setattr(w.risk, "kill", None), code="CHECK_FAILED"),
    ),
    "RECOVERING": RuleScene(break_=_set("is_recovering", True), missing=_breaks("recovering")),
    "ACCOUNT_NOT_ARMED": RuleScene(
        break_=_policy("arm.accounts", ("OTHER",)), missing=Denied(lambda w: _spec(w, account=""))
    ),
    "LIVE_NOT_ARMED": RuleScene(break_=_policy("arm.paper_brokers", ()), missing=Denied(lambda w: _spec(w, broker=""))),
    "INTENT_USED": RuleScene(
        break_=lambda w: w.intents.update({"i-1": "P0"}), roles=(PARENT, AMEND), missing=Denied(_set("intent_id", ""))
    ),
    "CHANNEL_NOT_UP": RuleScene(
        break_=_set("state", BrokerState.RESYNCING), missing=Denied(_set("state", BrokerState.DOWN))
    ),
    "LEDGER_UNHEALTHY": RuleScene(break_=_set("is_healthy", False), missing=_breaks("ledger_healthy")),
    "INSTRUMENT_EXPIRED": RuleScene(
        break_=_terms(expiry_ns=NOW),  # type: ignore[arg-type]
        missing=Denied(lambda w: w.instruments.clear(), code="INSTRUMENT_UNKNOWN"),
    ),
    "RATE_NONE": RuleScene(break_=_foreign_currency, missing=Denied(_foreign_currency), nan=Denied(_nan_rate)),
    "TICK": RuleScene(break_=lambda w: _spec(w, limit=Price("100.005")), nan=NAN_PRICE),
    "LOT": RuleScene(break_=lambda w: _spec(w, qty=Qty("10.5")), nan=NAN_QTY),
    "TYPE_UNSUPPORTED": RuleScene(break_=_caps("types", frozenset()), missing=NO_CAPS),
    "FLAG_UNSUPPORTED": RuleScene(break_=_post_only, missing=NO_CAPS),
    "SHORT_UNSUPPORTED": RuleScene(break_=_short, missing=NO_CAPS),
    "SYMBOL_RESTRICTED": RuleScene(break_=_policy("symbols.restricted", ("AAPL",))),
    "SYMBOL_NOT_ALLOWED": RuleScene(break_=_policy("symbols.allowed", ("MSFT",))),
    "SESSION_UNKNOWN": RuleScene(break_=_set("session", None), missing=_unset("session")),
    "SESSION_CLOSED": RuleScene(
        break_=_set("session", False), missing=Denied(_set("session", None), code="SESSION_UNKNOWN"), stale=STALE
    ),
    "SYMBOL_HALTED": RuleScene(
        break_=lambda w: _quote(w, status="halted"), missing=Denied(lambda w: _quote(w, status="")), stale=STALE
    ),
    "SOURCE_NOT_ALLOWED": RuleScene(
        break_=_policy("authority.cli.may_trade", False),
        missing=Denied(_set("source", Source(SourceKind.FOREIGN, ""))),
    ),
    "QUOTE_NONE": RuleScene(break_=_no_quote, missing=Denied(_no_quote)),
    "QUOTE_ONE_SIDED": RuleScene(break_=lambda w: _quote(w, ask=None), missing=Denied(lambda w: _quote(w, bid=None))),
    "QUOTE_UNUSABLE": RuleScene(
        break_=lambda w: _quote(w, bid=Price(0)),
        missing=Denied(_no_quote, code="QUOTE_NONE"),
        nan=Denied(lambda w: _quote(w, ask=nan_price())),
        stale=STALE,
    ),
    "QUOTE_CROSSED": RuleScene(
        break_=lambda w: _quote(w, bid=Price("100.02")),
        missing=Denied(_no_quote, code="QUOTE_NONE"),
        nan=Denied(lambda w: _quote(w, bid=nan_price()), code="QUOTE_UNUSABLE"),
        stale=STALE,
    ),
    "SELF_CROSS": RuleScene(break_=_opposite, missing=_breaks("open_orders"), nan=NAN_PRICE),
    "SHORT_LOCATE": RuleScene(
        break_=_short_sale("short.locate_free", ()), missing=Denied(_short_unseen, code="CHECK_FAILED"), nan=NAN_QTY
    ),
    "SHORT_PRICE_TEST": RuleScene(
        break_=_short_sale("short.price_test", ("AAPL",)),
        missing=Denied(_short_unquoted, code="SHORT_PRICE_TEST"),
        nan=NAN_PRICE,
        stale=Denied(_short_stale, "C10", "QUOTE_STALE"),
    ),
    "PARENT_GONE": RuleScene(break_=_ended, roles=(CHILD, AMEND), missing=Denied(lambda w: w.parents.clear())),
    "NOT_REDUCING": RuleScene(
        break_=lambda w: _spec(w, reduce_only=True), missing=Denied(_unverified_exit), nan=NAN_QTY
    ),
}

_COUNTED = "it is counted by the gate's own memory, which is there or the gate is not"
_WHOLE = "it is a whole number or a time, which cannot be NaN"
_OWN = "it is part of the order, whose types refuse what is none; C02 looks again"
_AGELESS = "it has no age"
_WORD = "it is a word or a list, not a number"
_VENUE = "it is the venue's: where it names none, there is none"

NEVER: dict[str, dict[str, str]] = {
    "limit": {
        "QTY_MIN": f"{_VENUE}, and the lot holds",
        "QTY_VENUE_MAX": _VENUE,
        "NOTIONAL_MIN": _VENUE,
        "PARENT_OVER": "it is the parent's quantity: without its parent a child is denied (missing)",
        "RATE_VENUE": "it is the broker's: without it the order is denied (missing)",
    },
    "missing": {
        "RATE_STALE": "no rate at all is denied by RATE_NONE",
        "QTY_MIN": _OWN, "QTY_VENUE_MAX": _OWN, "QTY_MAX": _OWN, "TICK": _OWN, "LOT": _OWN,
        "DAY_ORDERS": _COUNTED, "DAY_CANCELS": _COUNTED, "OTR_MAX": _COUNTED, "RATE_BROKER": _COUNTED, "RATE_ACCOUNT": _COUNTED,
        "RATE_SOURCE": _COUNTED, "REPEAT": _COUNTED, "DUPLICATE": "nothing like it before is what lets it pass",
        "SYMBOL_RESTRICTED": "a symbol is there, or C03 denies", "SYMBOL_NOT_ALLOWED": "a symbol is there, or C03 denies",
    },
    "nan": {
        **dict.fromkeys(
            ("RATE_STALE", "UNKNOWN_COUNT", "UNKNOWN_AGE", "CLOCK_JUMP", "CLOCK_OFFSET", "QUOTE_STALE", "OPEN_COUNT", "OPEN_COUNT_SYMBOL",
             "DAY_ORDERS", "DAY_CANCELS", "OTR_MAX", "RECON_STALE", "DUPLICATE", "RATE_BROKER", "RATE_VENUE", "RATE_ACCOUNT",
             "RATE_SOURCE", "REPEAT", "INSTRUMENT_EXPIRED"), _WHOLE),
        **dict.fromkeys(
            ("POLICY_NONE", "INSTRUMENT_UNKNOWN", "HALTED", "REDUCE_STATE", "RECOVERING", "ACCOUNT_NOT_ARMED",
             "LIVE_NOT_ARMED", "INTENT_USED", "CHANNEL_NOT_UP", "LEDGER_UNHEALTHY", "TYPE_UNSUPPORTED", "FLAG_UNSUPPORTED",
             "SHORT_UNSUPPORTED", "SYMBOL_RESTRICTED", "SYMBOL_NOT_ALLOWED", "SESSION_UNKNOWN", "SESSION_CLOSED",
             "SYMBOL_HALTED", "SOURCE_NOT_ALLOWED", "PARENT_GONE"), _WORD),
        "QUOTE_NONE": "a quote that holds NaN is there: QUOTE_UNUSABLE", "QUOTE_ONE_SIDED": "a side that is NaN is there: QUOTE_UNUSABLE",
    },
    "stale": {
        **dict.fromkeys(("GROSS_MAX", "NET_MAX", "SECTOR_MAX", "CURRENCY_MAX", "OPEN_NOTIONAL", "OPEN_NOTIONAL_SYMBOL"),
                        "an old mark still measures what is held; the order itself is held by QUOTE_STALE"),
        **dict.fromkeys(("LEVERAGE_MAX", "MARGIN_MAX", "LOSS_MAX", "DRAWDOWN_MAX"),
                        "on a stale mark the view gives no number, which is the missing case; tests/core/test_risk_day holds that"),
        **dict.fromkeys(("UNKNOWN_AGE", "RECON_STALE", "DUPLICATE", "RATE_STALE"), "its age is what is measured"),
        **dict.fromkeys(
            ("UNKNOWN_COUNT", "CLOCK_JUMP", "CLOCK_OFFSET", "QTY_MIN", "QTY_VENUE_MAX", "QTY_MAX", "ADV_PCT", "PARENT_OVER",
             "POSITION_MAX", "OPEN_COUNT", "OPEN_COUNT_SYMBOL", "DAY_ORDERS", "DAY_CANCELS", "OTR_MAX", "SHORT_LOCATE", "RATE_BROKER", "RATE_VENUE",
             "RATE_ACCOUNT", "RATE_SOURCE", "REPEAT", "POLICY_NONE", "NUMBER_BAD", "INSTRUMENT_UNKNOWN", "HALTED",
             "REDUCE_STATE", "RECOVERING", "ACCOUNT_NOT_ARMED", "LIVE_NOT_ARMED", "INTENT_USED", "CHANNEL_NOT_UP",
             "LEDGER_UNHEALTHY", "INSTRUMENT_EXPIRED", "RATE_NONE", "TICK", "LOT", "TYPE_UNSUPPORTED", "FLAG_UNSUPPORTED",
             "SHORT_UNSUPPORTED", "SYMBOL_RESTRICTED", "SYMBOL_NOT_ALLOWED", "SESSION_UNKNOWN", "SOURCE_NOT_ALLOWED",
             "QUOTE_NONE", "QUOTE_ONE_SIDED", "SELF_CROSS", "PARENT_GONE", "NOT_REDUCING"), _AGELESS),
    },
    "parent": {
        "PARENT_OVER": "a parent has none above it", "PARENT_GONE": "a parent has none above it",
    },
    "child": {
        "FOUR_EYES": "a child is no wish of a person; its parent was approved",
        "UNITS_CONFIRM": "a child is no wish of a person; its parent was confirmed",
        "DUPLICATE": "children of one parent are alike by nature; C27 holds them",
        "INTENT_USED": "a child has no intent of its own, its parent has",
    },
    "amend": {"DUPLICATE": "an amendment asked twice has the same intent id; C12 holds it"},
}  # fmt: skip
"""Cases that a row cannot have, each with the reason. Every other case is made."""

__all__ = ["LIMIT_SCENES", "NEVER", "RULE_SCENES", "Denied", "RuleScene", "Scene", "order"]
