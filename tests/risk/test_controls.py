"""The one generator: every row of the control table makes its own cases."""

from __future__ import annotations

from decimal import Context, Decimal, getcontext, localcontext
from pathlib import Path

import pytest

from engine.domain.commands import HaltScope
from engine.domain.events import TradingState, TradingStateChanged
from engine.risk.controls import CONTROLS, ROWS, TABLE, Row
from engine.risk.risk_manager import Role
from tests.risk.scenes import LIMIT_SCENES, NEVER, RULE_SCENES, Denied, RuleScene, Scene
from tests.risk.world import STRATEGY, World

BY_CODE = {row.code: row for row in ROWS}
SCENES: dict[str, Scene | RuleScene] = {**LIMIT_SCENES, **RULE_SCENES}
LIMIT_CASES = [(code, role) for code, scene in LIMIT_SCENES.items() for role in scene.roles]
RULE_CASES = [(code, role) for code, scene in RULE_SCENES.items() for role in scene.roles]
POLICY_LIMITS = [(code, role) for code, role in LIMIT_CASES if LIMIT_SCENES[code].bound is None]
POLICY_RULES = [(code, role) for code, role in RULE_CASES if BY_CODE[code].path]


def spoiled(what: str) -> list[tuple[str, Role]]:
    """Rows whose input can be missing, no number or stale, in every role they have."""
    return [(code, role) for code, scene in SCENES.items() if getattr(scene, what) for role in scene.roles]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def limit_path(row: Row) -> str:
    return row.path.replace("{source}", "cli")


def unit(row: Row) -> Decimal:
    return Decimal(1) if row.is_time else Decimal(LIMIT_SCENES[row.code].unit)


def prepare(world: World, code: str, role: Role) -> Decimal:
    """Put the limit of a row in place; returns it in the unit that is measured."""
    row, scene = BY_CODE[code], LIMIT_SCENES[code]
    world.use(role)
    if scene.bound is not None:
        scene.bound(world)
    else:
        world.set_limit(limit_path(row), Decimal(scene.limit))
    if row.code == "REPEAT":
        world.source = STRATEGY
    return Decimal(scene.limit) * (10**9 if row.is_time else 1)


def test_the_table_is_complete() -> None:
    assert {row.control for row in TABLE} == set(CONTROLS)
    assert len(CONTROLS) == 36
    assert {row.control for row in TABLE if row not in ROWS} == {"C28"}, "tests/risk/test_basket_rows has its cases"
    assert len({row.code for row in ROWS}) == len(ROWS)


def test_every_row_has_its_scene_and_every_scene_its_row() -> None:
    assert {row.code for row in ROWS if row.measure} == set(LIMIT_SCENES)
    assert {row.code for row in ROWS if row.rule} == set(RULE_SCENES)
    assert all((row.measure is None) != (row.rule is None) for row in ROWS)


def test_the_gate_walks_the_rows_in_its_order() -> None:
    """Cheap and absolute first; what makes judging possible before what needs it."""
    order = [row.control for row in ROWS]
    groups = [
        ("C36", "C01", "C12", "C13", "C33"),
        ("C04", "C05", "C23", "C24", "C30"),
        ("C10", "C09"),
        ("C06", "C07", "C08", "C26", "C27"),
        ("C16", "C17", "C18", "C19", "C20", "C22", "C21"),
        ("C11", "C14"),
    ]
    starts = [[order.index(control) for control in group] for group in groups]
    assert starts == [sorted(group) for group in starts]
    assert [group[0] for group in starts] == sorted(group[0] for group in starts)


@pytest.mark.parametrize("role", [Role.PARENT, Role.CHILD, Role.AMEND])
def test_the_plain_order_passes(world: World, role: Role) -> None:
    world.use(role)
    verdict = world.check()
    assert verdict.ok, verdict.denials
    assert len(verdict.checks) == len(ROWS)
    assert world.check(full=False).ok


@pytest.mark.parametrize(("code", "role"), LIMIT_CASES)
def test_at_the_limit_passes(world: World, code: str, role: Role) -> None:
    LIMIT_SCENES[code].set(world, prepare(world, code, role))
    verdict = world.check()
    assert verdict.ok, verdict.denials


@pytest.mark.parametrize(("code", "role"), LIMIT_CASES)
def test_one_unit_beyond_is_denied(world: World, code: str, role: Role) -> None:
    row = BY_CODE[code]
    limit = prepare(world, code, role)
    LIMIT_SCENES[code].set(world, limit - unit(row) if row.is_floor else limit + unit(row))
    (denial,) = [item for item in world.check().denials if item.code == code]
    assert denial.control == row.control
    assert denial.value
    assert denial.limit
    assert denial.text
    if LIMIT_SCENES[code].bound is None:
        assert denial.policy_line == world.holder.policy.line_of(limit_path(row))  # type: ignore[union-attr]
    assert not world.check(full=False).ok


@pytest.mark.parametrize(("code", "role"), POLICY_LIMITS)
def test_without_its_limit_a_row_denies(world: World, code: str, role: Role) -> None:
    row = BY_CODE[code]
    LIMIT_SCENES[code].set(world, prepare(world, code, role))
    world.set_limit(limit_path(row), None)
    assert (row.control, "LIMIT_MISSING") in {(item.control, item.code) for item in world.check().denials}


@pytest.mark.parametrize(("code", "role"), POLICY_RULES)
def test_without_its_policy_entry_a_rule_denies(world: World, code: str, role: Role) -> None:
    """Such a policy cannot be loaded; the gate does not rely on that."""
    row = BY_CODE[code]
    world.use(role)
    RULE_SCENES[code].break_(world)
    world.set_limit(limit_path(row), None)
    assert row.control in {item.control for item in world.check().denials if item.code in {"CHECK_FAILED", row.code}}


def spoil(world: World, code: str, role: Role, what: str) -> tuple[str, str]:
    """Bring a row to its limit, spoil an input, and say who must deny that."""
    row, scene = BY_CODE[code], SCENES[code]
    if isinstance(scene, Scene):
        scene.set(world, prepare(world, code, role))
    else:
        world.use(role)
    denied = getattr(scene, what)
    assert isinstance(denied, Denied)
    denied.act(world)
    return denied.control or row.control, denied.code or row.unknown or row.code


@pytest.mark.parametrize(("code", "role"), spoiled("missing"))
def test_without_its_input_a_row_denies(world: World, code: str, role: Role) -> None:
    wanted = spoil(world, code, role, "missing")
    assert wanted in {(item.control, item.code) for item in world.check().denials}
    assert not world.check(full=False).ok


@pytest.mark.parametrize(("code", "role"), spoiled("nan"))
def test_an_input_that_is_no_number_denies(world: World, code: str, role: Role) -> None:
    wanted = spoil(world, code, role, "nan")
    hostile = Context(traps=[])  # NaN compares as False there instead of raising
    for context in (getcontext(), hostile):
        with localcontext(context):
            assert wanted in {(item.control, item.code) for item in world.check().denials}
            assert not world.check(full=False).ok
    assert world.risk.failures == 0


@pytest.mark.parametrize(("code", "role"), spoiled("stale"))
def test_an_input_that_is_stale_denies(world: World, code: str, role: Role) -> None:
    wanted = spoil(world, code, role, "stale")
    assert wanted in {(item.control, item.code) for item in world.check().denials}
    assert not world.check(full=False).ok


def test_every_row_has_every_case_or_a_reason_why_not() -> None:
    """What a row lacks is decided and said, never forgotten."""
    for row in ROWS:
        scene = SCENES[row.code]
        has = {what: getattr(scene, what) is not None for what in ("missing", "nan", "stale")}
        has |= {str(role): role in scene.roles for role in (Role.PARENT, Role.CHILD, Role.AMEND)}
        has["limit"] = row.bound is None
        for what, is_made in has.items():
            reason = NEVER[what].get(row.code, "")
            assert is_made is not bool(reason), f"{row.code}: {what} is {'made and excused' if is_made else 'neither'}"


def test_no_reason_stands_for_a_row_that_is_gone() -> None:
    assert {code for reasons in NEVER.values() for code in reasons} <= set(SCENES)


@pytest.mark.parametrize(("code", "role"), RULE_CASES)
def test_a_broken_rule_denies(world: World, code: str, role: Role) -> None:
    world.use(role)
    RULE_SCENES[code].break_(world)
    verdict = world.check()
    assert not verdict.checks[ROWS.index(BY_CODE[code])].ok, "the row itself, not another one with its code"
    denial = next(item for item in verdict.denials if item.code == code)
    assert denial.control == BY_CODE[code].control
    assert denial.text
    assert not world.check(full=False).ok


@pytest.mark.parametrize(("code", "role"), LIMIT_CASES)
def test_while_tripped_nothing_passes_at_any_limit(world: World, code: str, role: Role) -> None:
    LIMIT_SCENES[code].set(world, prepare(world, code, role))
    world.on(
        TradingStateChanged(scope=HaltScope(), state=TradingState.HALTED, code="MANUAL", who="anna", why="enough"),
    )
    (denial,) = world.check(full=False).denials
    assert denial.code == "HALTED"
    assert "anna: enough" in denial.text


@pytest.mark.parametrize(("code", "role"), RULE_CASES)
def test_while_tripped_nothing_passes_under_any_rule(world: World, code: str, role: Role) -> None:
    world.use(role)
    world.on(
        TradingStateChanged(scope=HaltScope(), state=TradingState.HALTED, code="MANUAL", who="anna", why="enough"),
    )
    (denial,) = world.check(full=False).denials
    assert denial.code == "HALTED"
    RULE_SCENES[code].break_(world)
    assert not world.check(full=False).ok
