"""The short way's one promise: what passes there passes the table, with the same decision; and plain orders do pass there."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.events import BrokerState, TradingState
from engine.domain.instrument import make_instrument
from engine.domain.ledger_events import InstrumentDefined
from engine.domain.money import Money, Price, Qty
from engine.domain.order import Link, LinkRole, OrderSpec, OrderState, OrderType, Side, SourceKind, Tif
from engine.risk.controls import ROWS
from engine.risk.exposure import OpenOrder, ParentView
from engine.risk.fast_gate import COVERED, covers
from engine.risk.risk_manager import Candidate, Role
from tests.risk.scenes import LIMIT_SCENES, RULE_SCENES
from tests.risk.test_controls import BY_CODE, LIMIT_CASES, RULE_CASES, prepare, spoil, spoiled, unit
from tests.risk.world import NOW, SECOND, STRATEGY, FakeCaps, World, nan_price, nan_qty, order, quote

ROLES = [Role.PARENT, Role.CHILD, Role.AMEND]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return machine(tmp_path)


def machine(tmp: Path) -> World:
    """The world, with a strategy's order in front of it."""
    made = World(tmp)
    made.source = STRATEGY
    return made


def passes(world: World) -> bool:
    return world.risk.fast.decide(world.candidate(), NOW) is not None


def holds(world: World) -> bool:
    """Whether the promise holds for the order as it stands; also says whether it passed."""
    decision = world.risk.fast.decide(world.candidate(), NOW)
    if decision is None:
        return False
    verdict = world.risk.judge(world.candidate(), NOW, full=False)
    assert verdict.ok, verdict.denials
    assert verdict.decision == decision
    return True


def test_every_row_of_the_table_is_looked_at() -> None:
    assert {row.code for row in ROWS} == COVERED
    assert covers(ROWS)
    more = msgspec.structs.replace(ROWS[0], code="NEW_ROW")
    assert not covers((*ROWS, more)), "what it does not know shuts it"
    assert not covers(ROWS[1:])


def test_a_row_that_it_does_not_know_shuts_the_short_way(world: World) -> None:
    world.risk.fast.is_on = False
    assert not passes(world)
    assert world.check(full=False).ok, "the table judges"


def test_a_rate_that_has_an_age_is_for_the_table(world: World) -> None:
    assert passes(world)
    world.rate_ages["USD"] = 1
    assert not passes(world)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("limit", ["100", None])
def test_plain_orders_take_the_short_way(world: World, role: Role, side: Side, limit: str | None) -> None:
    world.spec = order(limit=limit, side=side)
    world.use(role)
    world.orders = [item for item in world.orders if item.side is side]
    world.held["AAPL"] = Qty(50 if side is Side.SELL else 0)
    assert holds(world)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("why", ["", "momentum"])
def test_a_short_sale_is_marked(world: World, role: Role, why: str) -> None:
    world.spec, world.why = order(side=Side.SELL), why
    world.use(role)
    world.orders = [item for item in world.orders if item.side is Side.SELL]
    assert holds(world)
    assert world.check(full=False).decision.why == ("momentum; marked short" if why else "marked short")
    world.held["AAPL"] = Qty(1_000)
    assert holds(world)
    assert world.check(full=False).decision.why == why


@pytest.mark.parametrize(("path", "names"), [("short.locate_free", ()), ("short.price_test", ("AAPL",))])
def test_a_short_sale_that_needs_more_than_its_mark_is_for_the_table(
    world: World, path: str, names: tuple[str, ...]
) -> None:
    world.spec = order(side=Side.SELL)
    assert passes(world)
    world.set_limit(path, names)
    assert not passes(world)
    world.held["AAPL"] = Qty(10)
    assert passes(world), "a long sale needs neither"


@pytest.mark.parametrize(("code", "role"), LIMIT_CASES)
def test_at_the_limit_the_promise_holds(world: World, code: str, role: Role) -> None:
    LIMIT_SCENES[code].set(world, prepare(world, code, role))
    world.source = STRATEGY
    holds(world)


@pytest.mark.parametrize(("code", "role"), LIMIT_CASES)
def test_one_unit_beyond_never_takes_the_short_way(world: World, code: str, role: Role) -> None:
    row, limit = BY_CODE[code], prepare(world, code, role)
    world.source = STRATEGY
    if "{source}" in row.path:
        world.set_limit("authority.strategy.max_notional", Decimal(LIMIT_SCENES[code].limit))
    LIMIT_SCENES[code].set(world, limit - unit(row) if row.is_floor else limit + unit(row))
    if code == "UNITS_CONFIRM":
        assert holds(world), "only a person confirms"
    else:
        assert not passes(world)


@pytest.mark.parametrize(("code", "role"), RULE_CASES)
def test_a_broken_rule_never_takes_the_short_way(world: World, code: str, role: Role) -> None:
    world.use(role)
    RULE_SCENES[code].break_(world)
    if code == "SOURCE_NOT_ALLOWED":
        world.set_limit("authority.strategy.may_trade", value=False)
    assert not holds(world)


@pytest.mark.parametrize("what", ["missing", "nan", "stale"])
def test_a_spoiled_input_never_takes_the_short_way(tmp_path: Path, what: str) -> None:
    for number, (code, role) in enumerate(spoiled(what)):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = machine(folder)
        spoil(world, code, role, what)
        world.source = STRATEGY
        if code in {"SOURCE_NOTIONAL", "SOURCE_NOT_ALLOWED"}:
            continue  # spoils the authority of another source
        assert not holds(world), (code, role)


@pytest.mark.parametrize(
    "path", [row.path for row in ROWS if row.measure and row.bound is None and "{" not in row.path]
)
def test_a_missing_limit_never_takes_the_short_way(world: World, path: str) -> None:
    world.set_limit(path, None)
    assert not passes(world)


def test_what_stood_still_is_worked_out_anew_when_it_changes(world: World) -> None:
    assert passes(world)
    world.set_limit("order.max_qty", Decimal(9))
    assert not passes(world), "a new policy"
    world.set_limit("order.max_qty", Decimal(10))
    assert passes(world)
    world.instruments["AAPL"] = msgspec.structs.replace(world.instruments["AAPL"], qty_max=Qty(9))
    assert not passes(world), "new terms"
    world.instruments["AAPL"] = msgspec.structs.replace(world.instruments["AAPL"], qty_max=None)
    assert passes(world)
    world.set_limit("order.max_adv_pct", Decimal(5))
    assert passes(world)
    world.volume = Decimal(100)
    assert not passes(world), "another daily volume"


def test_another_broker_behind_the_name_is_looked_at_anew(world: World) -> None:
    assert passes(world)
    caps = FakeCaps()
    caps.types = frozenset()
    world.caps = caps
    assert not passes(world)


def test_turnover_in_another_currency_is_for_the_table(world: World) -> None:
    world.rates["EUR"] = Decimal(2)
    dollars = world.instruments["AAPL"]
    world.on(InstrumentDefined(instrument=make_instrument("AAPL", "equity", "XNAS", "EUR", "0.01")))
    world.fill("C0", Qty(10))
    world.on(InstrumentDefined(instrument=dollars))
    world.set_limit("day.max_turnover", Decimal(2_500))
    assert not holds(world), "1000 EUR are 2000 USD, and this order is another 1000"


def test_a_person_and_an_exit_never_take_the_short_way(world: World) -> None:
    world.source = msgspec.structs.replace(STRATEGY, kind=SourceKind.CLI)
    assert not passes(world)
    world.source = msgspec.structs.replace(STRATEGY, kind=SourceKind.HALT)
    world.role = Role.FLATTEN
    assert not passes(world)


SMALL = st.integers(0, 30)


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    bid = draw(st.integers(9_900, 10_050))
    return {
        "role": draw(st.sampled_from(ROLES)),
        "side": draw(st.sampled_from(list(Side))),
        "qty": draw(st.integers(1, 40)),
        "limit": draw(st.none() | st.integers(9_000, 11_000)),
        "bid": bid,
        "ask": bid + draw(st.integers(-1, 300)),
        "last": draw(st.none() | st.integers(9_500, 10_500)),
        "age": draw(st.integers(0, 4)),
        "held": draw(st.integers(-30, 30)),
        "opened": (draw(SMALL), draw(SMALL)),
        "other": draw(st.none() | st.integers(-5, 5)),
        "own": draw(st.booleans()),
        "parent": (draw(st.integers(1, 60)), draw(SMALL)),
        "limits": {
            "order.max_qty": draw(st.integers(10, 40)),
            "order.max_notional": draw(st.integers(1_000, 4_000)),
            "position.max_qty": draw(st.integers(10, 60)),
            "position.max_notional": draw(st.integers(1_000, 6_000)),
            "portfolio.max_gross": draw(st.integers(1_000, 6_000)),
            "portfolio.max_net": draw(st.integers(1_000, 6_000)),
            "portfolio.max_sector": draw(st.integers(1_000, 6_000)),
            "portfolio.max_leverage_pct": draw(st.integers(50, 300)),
            "open_orders.max_count": draw(st.integers(1, 4)),
            "open_orders.max_notional": draw(st.integers(1_000, 6_000)),
            "price.collar_pct": draw(st.integers(0, 8)),
            "price.far_pct": draw(st.integers(0, 8)),
            "price.max_outlier_pct": draw(st.integers(0, 5)),
            "price.max_quote_age_s": draw(st.integers(0, 4)),
            "loss.max_day": draw(st.integers(0, 100)),
            "loss.max_drawdown": draw(st.integers(0, 100)),
        },
        "pnl": (draw(st.integers(-120, 120)), draw(st.integers(0, 120))),
        "capital": draw(st.integers(-1, 8_000)),
        "counts": (draw(st.integers(0, 4)), draw(st.integers(0, 4))),
        "state": draw(st.sampled_from([BrokerState.UP, BrokerState.UP, BrokerState.UP, BrokerState.RESYNCING])),
    }


def build(tmp: Path, drawn: dict[str, Any]) -> World:
    world, side = machine(tmp), drawn["side"]
    cents = {word: drawn[word] for word in ("bid", "ask", "last", "limit")}
    price = {word: None if value is None else str(Decimal(value).scaleb(-2)) for word, value in cents.items()}
    world.spec = order(str(drawn["qty"]), price["limit"], side)
    world.use(drawn["role"])
    world.quotes["AAPL"] = quote(price["bid"], price["ask"], last=price["last"], ts_ns=NOW - int(drawn["age"]) * SECOND)
    world.held["AAPL"] = Qty(drawn["held"])
    world.opened = dict(zip([("AAPL", Side.BUY), ("AAPL", Side.SELL)], map(Qty, drawn["opened"]), strict=True))
    if drawn["other"] is not None:
        world.instruments["MSFT"] = msgspec.structs.replace(world.instruments["AAPL"], symbol="MSFT")
        world.quotes["MSFT"] = quote("30", "30.02")
        world.held["MSFT"] = Qty(drawn["other"])
    if drawn["own"]:
        world.orders.append(
            OpenOrder(order_id="C7", account="PAPER", symbol="AAPL", side=Side.SELL, leaves=Qty(1), type=world.spec.type,
                      limit=world.spec.limit)
        )  # fmt: skip
    total, done = drawn["parent"]
    world.parents["P1"] = ParentView(qty=Qty(total), committed=Qty(done), state=OrderState.NEW)
    for path, value in drawn["limits"].items():
        world.set_limit(path, Decimal(value))
    world.pnl, world.peak = (Money(value) for value in drawn["pnl"])
    world.capital = Money(drawn["capital"])
    world.counts = dict(zip((None, "AAPL"), drawn["counts"], strict=True))
    world.state = drawn["state"]
    return world


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=worlds())
def test_what_passes_here_passes_the_table(tmp_path: Path, drawn: dict[str, Any]) -> None:
    holds(build(tmp_path, drawn))


def test_a_trip_shuts_the_short_way_at_once(world: World) -> None:
    assert passes(world)
    world.kill.latch.trip()
    assert not passes(world)
    assert world.check(full=False).denials[0].code == "HALTED"
    assert world.kill.latch.read() is TradingState.HALTED


# -- what stands still -----------------------------------------------------------------------------------------------------


def test_the_authority_of_a_source_holds_for_accounts_and_symbols(world: World) -> None:
    for what in ("accounts", "symbols"):
        world.set_limit(f"authority.strategy.{what}", ("OTHER",))
        assert not passes(world), what
        world.set_limit(f"authority.strategy.{what}", ("*",))
        assert passes(world)


def test_terms_that_are_not_plain_are_for_the_table(world: World) -> None:
    plain = world.instruments["AAPL"]
    world.instruments["AAPL"] = make_instrument("AAPL", "equity", "XNAS", "EUR", "0.01")
    world.rates["EUR"] = Decimal(1)
    world.set_limit("portfolio.max_currency", Decimal(1))
    assert not passes(world), "another currency, though at par"
    world.instruments["AAPL"] = make_instrument("AAPL", "equity", "XNAS", "USD", (("0", "0.01"), ("50", "0.5")))
    world.spec = order(limit="100.01")
    assert not passes(world), "a table of ticks"
    world.spec = order()
    world.instruments["AAPL"] = msgspec.structs.replace(plain, price_negative=True)
    world.set_limit("order.max_notional", Decimal(1_000))
    assert not holds(world), "below zero a limit bounds no amount"


def test_a_sale_below_zero_where_the_broker_holds_no_short_position_is_for_the_table(world: World) -> None:
    """Of coins: a short sale of shares is for the table anyway, to be marked."""
    world.instruments["AAPL"] = make_instrument("AAPL", "crypto_spot", "XNAS", "USD", "0.01")
    world.spec = order(side=Side.SELL)
    assert passes(world)
    caps = FakeCaps()
    caps.short_sale = False
    world.caps = caps
    assert not passes(world)
    assert [item.code for item in world.check(full=False).denials] == ["SHORT_UNSUPPORTED"]


def test_a_base_currency_that_is_not_worth_itself_is_for_the_table(world: World) -> None:
    world.rates["USD"] = Decimal(2)
    world.rate_ages["USD"] = 0
    assert not passes(world)


def test_an_amend_where_the_broker_knows_none_is_for_the_table(world: World) -> None:
    world.use(Role.AMEND)
    assert world.caps is not None
    world.caps.amend = False
    assert not passes(world)


def _nan_money(world: World, name: str) -> None:
    setattr(world, name, Decimal.__new__(Money, "NaN"))


@pytest.mark.parametrize("name", ["capital", "pnl", "last", "held"])
def test_what_is_no_number_never_takes_the_short_way_under_any_context(world: World, name: str) -> None:
    if name == "held":
        world.held["AAPL"] = nan_qty()
    elif name == "last":
        world.quotes["AAPL"] = msgspec.structs.replace(world.quotes["AAPL"], last=nan_price())
    else:
        _nan_money(world, name)
    with localcontext(Context(traps=[])):  # NaN compares as False there instead of raising
        assert not passes(world)


def test_without_a_rate_nothing_takes_the_short_way(world: World) -> None:
    world.rates.clear()
    assert not passes(world)


@pytest.mark.parametrize(
    "spec",
    [
        msgspec.structs.replace(order(), type=OrderType.MARKET), msgspec.structs.replace(order(limit=None), type=OrderType.LIMIT),
        msgspec.structs.replace(order(), limit=nan_price()), msgspec.structs.replace(order(), limit=Decimal(100)),
        msgspec.structs.replace(order(), stop=Price(99)), msgspec.structs.replace(order(), trail=Price(1)),
        msgspec.structs.replace(order(), display=Qty(5)), msgspec.structs.replace(order(), expires_ns=NOW + SECOND),
        msgspec.structs.replace(order(), tif=Tif.GTD), msgspec.structs.replace(order(), link=Link(LinkRole.PEER)),
    ],
)  # fmt: skip
def test_prices_that_do_not_fit_the_type_never_take_the_short_way(world: World, spec: OrderSpec) -> None:
    world.spec = spec
    with localcontext(Context(traps=[])):
        assert not passes(world)


def test_a_child_without_a_parent_never_takes_the_short_way(world: World) -> None:
    lone = Candidate(order_id="C3", role=Role.CHILD, spec=world.spec, source=STRATEGY)
    assert world.risk.fast.decide(lone, NOW) is None


@pytest.mark.parametrize(("at", "passed"), [("100.01", True), ("100", False), ("99", False), (None, False)])
def test_an_own_order_on_the_other_side_is_for_the_table_only_where_the_two_can_meet(
    world: World, at: str | None, passed: bool
) -> None:
    world.spec = order(limit="100")
    kind = OrderType.MARKET if at is None else OrderType.LIMIT
    limit = None if at is None else Price(at)
    world.orders.append(
        OpenOrder(order_id="C7", account="OTHER", symbol="AAPL", side=Side.SELL, leaves=Qty(1), type=kind, limit=limit)
    )
    assert holds(world) is passed
    assert world.risk.judge(world.candidate(), NOW, full=False).ok is passed
