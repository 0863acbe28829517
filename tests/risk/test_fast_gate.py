"""The short way's one promise: what passes there passes the table, with the same decision; and plain orders do pass there."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.events import BrokerState, TradingState
from engine.domain.money import Money, Qty
from engine.domain.order import OrderState, Side, SourceKind
from engine.risk.controls import ROWS
from engine.risk.exposure import OpenOrder, ParentView
from engine.risk.fast_gate import COVERED
from engine.risk.risk_manager import Role
from tests.risk.scenes import LIMIT_SCENES, RULE_SCENES
from tests.risk.test_controls import BY_CODE, LIMIT_CASES, RULE_CASES, prepare, spoil, spoiled, unit
from tests.risk.world import NOW, SECOND, STRATEGY, World, order, quote

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


def test_a_row_that_it_does_not_know_shuts_the_short_way(world: World) -> None:
    world.risk.fast.is_on = False
    assert not passes(world)
    assert world.check(full=False).ok, "the table judges"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("limit", ["100", None])
def test_plain_orders_take_the_short_way(world: World, role: Role, side: Side, limit: str | None) -> None:
    world.spec = order(limit=limit, side=side)
    world.use(role)
    world.orders = [item for item in world.orders if item.side is side]
    assert holds(world)


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


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=worlds())
def test_what_passes_here_passes_the_table(tmp_path: Path, drawn: dict[str, Any]) -> None:
    world = build(tmp_path, drawn)
    holds(world)


def test_a_trip_shuts_the_short_way_at_once(world: World) -> None:
    assert passes(world)
    world.kill.latch.trip()
    assert not passes(world)
    assert world.check(full=False).denials[0].code == "HALTED"
    assert world.kill.latch.read() is TradingState.HALTED
