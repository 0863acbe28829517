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
from engine.domain.order import OrderState, OrderType, Side
from engine.risk.exposure import OpenOrder, ParentView
from engine.risk.risk_manager import Role
from tests.risk.world import NOW, SECOND, STRATEGY, World, nan_price, order, quote

Set = Callable[[World, Decimal], None]
Act = Callable[[World], None]
PARENT, CHILD, AMEND = Role.PARENT, Role.CHILD, Role.AMEND
ALL = (PARENT, CHILD, AMEND)
replace = msgspec.structs.replace


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A limit row: how to set its input, at which limit, and in which steps."""

    set: Set
    limit: str
    unit: str = "1"
    roles: tuple[Role, ...] = ALL
    missing: Act | None = None
    nan: Act | None = None
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
MARKED = replace(AMOUNT, missing=_foreign_without_mark, nan=_foreign_nan)
ORDERED = Scene(set=_notional, limit="50000", unit="5", missing=_market_unquoted, nan=_market)

LIMIT_SCENES: dict[str, Scene] = {
    "UNKNOWN_COUNT": Scene(set=lambda w, v: setattr(w, "unknown", (int(v), NOW)), limit="3"),
    "UNKNOWN_AGE": Scene(set=lambda w, v: setattr(w, "unknown", (1, NOW - int(v))), limit="60"),
    "CLOCK_JUMP": Scene(
        set=lambda w, v: setattr(w.risk.signals, "clock_jump_ns", -int(v)),
        limit="2",
        missing=lambda w: setattr(w.risk.signals, "clock_jump_ns", None),
    ),
    "QTY_MIN": Scene(set=_qty, limit="10", bound=_terms(qty_min="10")),
    "QTY_VENUE_MAX": Scene(set=_qty, limit="1000", bound=_terms(qty_max="1000")),
    "NOTIONAL_MIN": Scene(
        set=lambda w, v: _spec(w, qty=Qty(10), limit=Price(v / 10)),
        limit="1000",
        unit="0.1",
        bound=_terms(notional_min="1000"),
        missing=_market_unquoted,
        nan=_market,
    ),
    "SOURCE_NOTIONAL": ORDERED,
    "QUOTE_STALE": Scene(set=lambda w, v: _quote(w, ts_ns=NOW - int(v)), limit="15", missing=_no_quote),
    "QUOTE_OUTLIER": Scene(
        set=lambda w, v: _quote(w, last=Price(Decimal(100) / (1 + v / 100))),
        limit="25",
        missing=_no_quote,
        nan=lambda w: _quote(w, last=nan_price()),
    ),
    "COLLAR": Scene(
        set=lambda w, v: _spec(w, limit=Price(100 + v)), limit="5", unit="0.01", missing=_no_quote, nan=_market
    ),
    "FAR": Scene(
        set=lambda w, v: _spec(w, limit=Price(100 - v)), limit="30", unit="0.01", missing=_no_quote, nan=_market
    ),
    "QTY_MAX": Scene(set=_qty, limit="500"),
    "NOTIONAL_MAX": ORDERED,
    "ADV_PCT": Scene(set=_adv_pct, limit="5", unit="0.01"),
    "ADV_NONE": replace(ORDERED, set=_notional_without_adv),
    "PARENT_OVER": Scene(
        set=_children, limit="1000", roles=(CHILD, AMEND), bound=lambda w: None, missing=lambda w: w.parents.clear()
    ),
    "UNITS_CONFIRM": replace(ORDERED, roles=(PARENT, AMEND)),
    "POSITION_MAX": Scene(set=_held, limit="1000"),
    "POSITION_NOTIONAL": replace(AMOUNT, missing=_no_quote, nan=_market),
    "GROSS_MAX": MARKED,
    "NET_MAX": MARKED,
    "SECTOR_MAX": MARKED,
    "CURRENCY_MAX": replace(MARKED, set=_currency, unit="200"),
    "LEVERAGE_MAX": Scene(set=_leverage, limit="200", missing=lambda w: setattr(w, "capital", None), nan=_held_nan),
    "OPEN_COUNT": Scene(set=_count(None), limit="200"),
    "OPEN_COUNT_SYMBOL": Scene(set=_count("AAPL"), limit="50"),
    "OPEN_NOTIONAL": replace(MARKED, set=_open_amount),
    "TURNOVER_MAX": replace(AMOUNT, set=_turnover, missing=_market_unquoted, nan=_market),
    "DAY_ORDERS": Scene(set=_sent(5), limit="6"),
    "DAY_CANCELS": Scene(set=lambda w, v: w.cancel(int(v), NOW - 5 * SECOND), limit="6"),
    "LOSS_MAX": Scene(
        set=lambda w, v: setattr(w, "pnl", Money(-v)),
        limit="1000",
        unit="0.01",
        missing=lambda w: setattr(w, "pnl", None),
        nan=_pnl_nan,
    ),
    "DRAWDOWN_MAX": Scene(
        set=_drawdown, limit="1000", unit="0.01", missing=lambda w: setattr(w, "pnl", None), nan=_pnl_nan
    ),
    "RECON_STALE": Scene(
        set=lambda w, v: setattr(w, "verified", NOW - int(v)),
        limit="900",
        missing=lambda w: setattr(w, "verified", None),
    ),
    "DUPLICATE": Scene(set=lambda w, v: w.accept(w.spec, NOW - int(v)), limit="2", roles=(PARENT,)),
    "RATE_BROKER": Scene(set=_sent(0), limit="6"),
    "RATE_VENUE": Scene(set=_sent(0), limit="5", bound=_five_messages, missing=lambda w: setattr(w, "caps", None)),
    "RATE_ACCOUNT": Scene(set=_sent(0), limit="6"),
    "RATE_SOURCE": Scene(set=_sent(0), limit="6"),
    "REPEAT": Scene(set=_repeat, limit="6", roles=(PARENT, CHILD)),
}


class RuleScene(msgspec.Struct, frozen=True, kw_only=True):
    """A rule row: an act that breaks the rule, and nothing else that comes before it in a decisive way."""

    break_: Act
    roles: tuple[Role, ...] = ALL


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


def _short(world: World) -> None:
    _caps("short_sale", False)(world)
    _spec(world, side=Side.SELL)


RULE_SCENES: dict[str, RuleScene] = {
    "POLICY_NONE": RuleScene(break_=lambda w: setattr(w.holder, "policy", None)),
    "NUMBER_BAD": RuleScene(break_=lambda w: _spec(w, qty=Qty(0))),
    "INSTRUMENT_UNKNOWN": RuleScene(break_=lambda w: w.instruments.clear()),
    "HALTED": RuleScene(break_=_trip(TradingState.HALTED)),
    "REDUCE_STATE": RuleScene(break_=_trip(TradingState.REDUCING)),
    "RECOVERING": RuleScene(break_=_set("is_recovering", True)),
    "ACCOUNT_NOT_ARMED": RuleScene(break_=_policy("arm.accounts", ("OTHER",))),
    "LIVE_NOT_ARMED": RuleScene(break_=_policy("arm.paper_brokers", ())),
    "INTENT_USED": RuleScene(break_=lambda w: w.intents.update({"i-1": "P0"}), roles=(PARENT, AMEND)),
    "CHANNEL_NOT_UP": RuleScene(break_=_set("state", BrokerState.RESYNCING)),
    "LEDGER_UNHEALTHY": RuleScene(break_=_set("is_healthy", False)),
    "INSTRUMENT_EXPIRED": RuleScene(break_=_terms(expiry_ns=NOW)),  # type: ignore[arg-type]
    "RATE_NONE": RuleScene(break_=_foreign_currency),
    "TICK": RuleScene(break_=lambda w: _spec(w, limit=Price("100.005"))),
    "LOT": RuleScene(break_=lambda w: _spec(w, qty=Qty("10.5"))),
    "TYPE_UNSUPPORTED": RuleScene(break_=_caps("types", frozenset())),
    "FLAG_UNSUPPORTED": RuleScene(break_=_post_only),
    "SHORT_UNSUPPORTED": RuleScene(break_=_short),
    "SYMBOL_RESTRICTED": RuleScene(break_=_policy("symbols.restricted", ("AAPL",))),
    "SYMBOL_NOT_ALLOWED": RuleScene(break_=_policy("symbols.allowed", ("MSFT",))),
    "SESSION_UNKNOWN": RuleScene(break_=_set("session", None)),
    "SESSION_CLOSED": RuleScene(break_=_set("session", False)),
    "SYMBOL_HALTED": RuleScene(break_=lambda w: _quote(w, status="halted")),
    "SOURCE_NOT_ALLOWED": RuleScene(break_=_policy("authority.cli.may_trade", False)),
    "QUOTE_NONE": RuleScene(break_=_no_quote),
    "QUOTE_ONE_SIDED": RuleScene(break_=lambda w: _quote(w, ask=None)),
    "QUOTE_UNUSABLE": RuleScene(break_=lambda w: _quote(w, bid=Price(0))),
    "QUOTE_CROSSED": RuleScene(break_=lambda w: _quote(w, bid=Price("100.02"))),
    "SELF_CROSS": RuleScene(break_=_opposite),
    "PARENT_GONE": RuleScene(break_=_ended, roles=(CHILD, AMEND)),
    "NOT_REDUCING": RuleScene(break_=lambda w: _spec(w, reduce_only=True)),
}

__all__ = ["LIMIT_SCENES", "RULE_SCENES", "RuleScene", "Scene", "order"]
