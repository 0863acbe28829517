"""C28 as rows of the table: at the limit, beyond it, without it, without an amount; and one hard block before all."""

from decimal import Decimal
from pathlib import Path

import pytest

from engine.domain.commands import Denial
from engine.domain.money import Money
from engine.risk.basket_rows import BasketCase, BasketDenial, judge_basket
from engine.risk.controls import BASKET_ROWS, ROWS, TABLE
from engine.risk.controls_docs import explain
from tests.risk.world import World

HARD = Denial("TICK", "C04", "189.001", "0.01", "", "off the tick")
SOFT = Denial("DUPLICATE", "C11", "0", "1", "policy.yaml:1", "again", confirmable=True)
LIMIT = Decimal(30_000)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.set_limit("order.confirm_notional", LIMIT)
    return made


def judged(
    world: World,
    total: Decimal | None,
    *lines: tuple[Denial, ...],
    is_person: bool = True,
    confirmed: frozenset[str] = frozenset(),
) -> BasketDenial | None:
    case = BasketCase(
        lines=list(enumerate(lines or ((), ()), 2)),
        total=None if total is None else Money(total) if total.is_finite() else total,  # type: ignore[arg-type] # what must never be
        policy=world.holder.policy,
        is_person=is_person,
        confirmed=confirmed,
    )
    return judge_basket(case)


def test_the_rows_stand_in_the_table_and_are_explained() -> None:
    assert (*ROWS, *BASKET_ROWS) == TABLE
    for row in BASKET_ROWS:
        assert (row.control, row.place) == ("C28", "B")
        words = explain(row.code)
        assert words is not None
        assert words.startswith(f"{row.code} (C28): ")
    assert "a strategy is not asked" in str(explain("BASKET_CONFIRM"))
    assert "a strategy is denied" in str(explain("DUPLICATE"))


def test_at_the_limit_passes(world: World) -> None:
    assert judged(world, LIMIT) is None


def test_one_unit_beyond_is_confirmed_by_a_person(world: World) -> None:
    found = judged(world, LIMIT + Decimal("0.01"))
    assert found is not None
    assert (found.code, found.denial.control, found.denial.confirmable, found.line) == (
        "BASKET_CONFIRM", "C28", True, None,
    )  # fmt: skip
    assert (found.denial.value, found.denial.limit) == ("30000.01", "30000")
    assert found.denial.policy_line == world.holder.policy.line_of("order.confirm_notional")  # type: ignore[union-attr]
    assert judged(world, LIMIT + 1, confirmed=frozenset({"BASKET_CONFIRM"})) is None


@pytest.mark.parametrize(
    ("total", "limit", "code"),
    [(None, LIMIT, "PRICE_NONE"), (Decimal("NaN"), LIMIT, "PRICE_NONE"), (LIMIT, None, "LIMIT_MISSING")],
)
def test_what_is_not_known_is_denied_and_nobody_confirms_it(
    world: World, total: Decimal | None, limit: Decimal | None, code: str
) -> None:
    world.set_limit("order.confirm_notional", limit)
    found = judged(world, total, confirmed=frozenset({"BASKET_CONFIRM"}))
    assert found is not None
    assert (found.code, found.denial.code, found.denial.confirmable) == ("BASKET_BLOCKED", code, False)


def test_one_hard_block_is_found_behind_what_can_be_confirmed(world: World) -> None:
    found = judged(world, LIMIT, (SOFT,), (), (SOFT, HARD))
    assert found == BasketDenial("BASKET_BLOCKED", HARD, 4)


def test_what_a_line_asks_to_be_confirmed_is_asked_for_the_basket(world: World) -> None:
    assert judged(world, LIMIT + 1, (), (SOFT,)) == BasketDenial("BASKET_CONFIRM", SOFT, 3)


def test_a_machine_is_asked_for_no_confirmation_and_stopped_by_every_block(world: World) -> None:
    assert judged(world, LIMIT + 1, is_person=False) is None
    assert judged(world, LIMIT, (HARD,), is_person=False) == BasketDenial("BASKET_BLOCKED", HARD, 2)
