"""Baskets: judged line by line with the lines before, released as one act, never a part of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.api.baskets import LINES_MAX
from engine.domain import commands as co
from engine.domain.money import Price, Qty
from engine.domain.order import AlgoSpec, Link, LinkRole, OrderSpec, OrderType, Side, Source, SourceKind
from tests.core.lab import ME, POLICY, Lab, _let_go

ROBOT = Source(SourceKind.DISPATCHER, "list")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Lab]:
    def made(**limits: str) -> Lab:
        text = POLICY.read_text(encoding="utf-8")
        for old, new in limits.items():
            name = old.replace("__", ": ")
            assert name in text, name
            text = text.replace(name, new, 1)
        path = tmp_path / "policy.yaml"
        path.write_text(text, encoding="utf-8")
        lab = Lab(tmp_path, ledger=tmp_path / "ledger.db", policy=path)
        lab.connect()
        return lab

    return made


def line(number: int, qty: int = 100, limit: str | None = None, side: Side = Side.BUY, **more: object) -> co.BasketLine:
    spec = OrderSpec(
        symbol="AAPL", side=side, qty=Qty(qty), type=OrderType.LIMIT if limit else OrderType.MARKET,
        limit=Price(limit) if limit else None, **more,  # type: ignore[arg-type] # the fields a test gives
    )  # fmt: skip
    return co.BasketLine(number, spec)


def stage(lab: Lab, *lines: co.BasketLine, intent: str = "b1", source: Source = ME) -> co.CommandResult:
    return lab.submit(co.StageBasket(source=source, intent_id=intent, name="list.csv", lines=lines))


def release(lab: Lab, basket: str = "B1", *confirmed: str, source: Source = ME) -> co.CommandResult:
    return lab.submit(co.ReleaseBasket(source=source, basket_id=basket, confirmed=frozenset(confirmed)))


def test_it_is_shown_with_count_and_total_and_leaves_as_one(make: Callable[..., Lab]) -> None:
    lab = make()
    staged = stage(lab, line(2, 100, "189"), line(3, 200, "188.50"))
    assert (staged.ok, staged.order_id) == (True, "B1")
    assert (staged.preview["count"], staged.preview["notional"]) == ("2", "56600")
    assert [str(one.notional) for one in staged.lines] == ["18900", "37700"]
    assert lab.broker.sent == []
    done = release(lab)
    assert done.ok
    assert [int(one.spec.qty) for one in lab.broker.sent] == [100, 200]
    assert [one.order_id for one in done.lines] == list(lab.engine.baskets.all["B1"].orders)
    assert not release(lab).ok
    assert len(lab.broker.sent) == 2


def test_one_hard_block_stops_all_of_it(make: Callable[..., Lab]) -> None:
    lab = make()
    staged = stage(lab, line(2, 100, "189"), line(3, 100, "189.001"))
    assert (staged.ok, staged.code) == (False, "BASKET_BLOCKED")
    assert [[denial.code for denial in one.denials] for one in staged.lines] == [[], ["TICK"]]
    done = release(lab)
    assert (done.ok, done.code) == (False, "BASKET_BLOCKED")
    assert "line 3" in done.text
    assert lab.broker.sent == []
    assert lab.engine.store.orders == {}
    assert lab.engine.baskets.all["B1"].state == "staged"


@pytest.mark.parametrize(
    ("limits", "lines", "code"),
    [
        ({"max_qty__50_000": "max_qty: 250"}, [line(2, 90), line(3, 100), line(4, 110)], "POSITION_MAX"),
        ({"max_count__200": "max_count: 2"}, [line(2, 90), line(3, 100), line(4, 110)], "OPEN_COUNT"),
        (
            {"max_turnover__100_000_000": "max_turnover: 50_000"},
            [line(2, 90), line(3, 100), line(4, 110)],
            "TURNOVER_MAX",
        ),
        ({"max_per_s_source__20": "max_per_s_source: 2"}, [line(2, 90), line(3, 100), line(4, 110)], "RATE_SOURCE"),
        ({"max_orders__20_000": "max_orders: 2"}, [line(2, 90), line(3, 100), line(4, 110)], "DAY_ORDERS"),
        ({}, [line(2, 90), line(3, 100, "189"), line(4, 100, "189", Side.SELL)], "SELF_CROSS"),
    ],
)
def test_a_line_is_judged_with_those_before_it(
    make: Callable[..., Lab], limits: dict[str, str], lines: list[co.BasketLine], code: str
) -> None:
    """Each passes by itself; the last does not behind the others."""
    lab = make(**limits)
    staged = stage(lab, *lines)
    assert [[denial.code for denial in one.denials] for one in staged.lines] == [[], [], [code]]
    assert not release(lab).ok
    assert lab.broker.sent == []


@pytest.mark.parametrize(
    ("limits", "step"),
    [
        (
            {"max_per_s_source__20": "max_per_s_source: 2"},
            "all lines of a basket leave in one second, of which 2 fit (policy.yaml:86)",
        ),
        (
            {"max_count_per_symbol__50": "max_count_per_symbol: 2"},
            "every line is an open order, of which 2 fit (policy.yaml:63)",
        ),
    ],
)
def test_a_list_with_too_many_lines_says_how_many_fit_and_what_to_do(
    make: Callable[..., Lab], limits: dict[str, str], step: str
) -> None:
    lab = make(**limits)
    staged = stage(lab, line(2, 90), line(3, 100), line(4, 110))
    assert f"lines that block it: 4; {step}: drop it" in staged.text
    said = release(lab).text
    assert said.startswith("B1 stays staged, nothing of it was sent: line 4: ")
    assert f"; {step}: drop it" in said


def test_the_same_line_twice_is_confirmed_by_a_person_and_denied_to_a_machine(make: Callable[..., Lab]) -> None:
    lab = make()
    assert stage(lab, line(2), line(3)).ok
    asked = release(lab)
    assert (asked.code, asked.denials[0].code) == ("BASKET_CONFIRM", "DUPLICATE")
    assert release(lab, "B1", "DUPLICATE").ok
    assert len(lab.broker.sent) == 2
    assert not stage(lab, line(2, 70), line(3, 70), intent="b2", source=ROBOT).ok


def test_a_large_total_is_confirmed_as_one_amount(make: Callable[..., Lab]) -> None:
    lab = make(confirm_notional__4_000_000="confirm_notional: 30_000")
    stage(lab, line(2, 100, "189"), line(3, 100, "188"))
    asked = release(lab)
    assert (asked.code, asked.denials[0].code, asked.denials[0].control) == ("BASKET_CONFIRM", "BASKET_CONFIRM", "C28")
    assert lab.broker.sent == []
    assert release(lab, "B1", "BASKET_CONFIRM").ok


def test_asked_again_it_is_the_same_basket(make: Callable[..., Lab]) -> None:
    lab = make()
    stage(lab, line(2, 100, "189"))
    again = stage(lab, line(2, 100, "189"))
    assert (again.ok, again.repeated, again.order_id) == (True, True, "B1")
    other = stage(lab, line(2, 101, "189"))
    assert (other.ok, other.code) == (False, "INTENT_REUSED")
    assert len(lab.engine.baskets.all) == 1


def test_it_survives_a_restart_and_is_dropped(make: Callable[..., Lab], tmp_path: Path) -> None:
    lab = make()
    stage(lab, line(2, 100, "189"))
    _let_go(lab.journal)
    again = Lab(tmp_path, ledger=tmp_path / "ledger.db", start_ns=lab.clock.now_ns())
    again.connect()
    assert again.engine.picture.view().baskets[0].state == "staged"
    assert again.submit(co.LookAtBasket(source=ME, basket_id="B1")).preview["count"] == "1"
    assert again.submit(co.DropBasket(source=ME, basket_id="B1")).ok
    assert not release(again).ok
    assert again.broker.sent == []
    assert release(again, "B9").code == "BASKET_UNKNOWN"


def test_a_halt_between_look_and_release_stops_it(make: Callable[..., Lab]) -> None:
    lab = make()
    stage(lab, line(2, 100, "189"))
    lab.submit(co.Halt(source=ME, why="stop"))
    assert not release(lab).ok
    assert lab.broker.sent == []


def test_a_line_for_an_algorithm_starts_with_the_others(make: Callable[..., Lab]) -> None:
    lab = make()
    algo = AlgoSpec(name="twap", duration_ns=60_000_000_000, params={"slices": "2"})
    assert stage(lab, line(2, 100, "189"), line(3, 200, "189.02", algo=algo)).ok
    assert release(lab).ok
    assert [order.spec.algo.name for order in lab.engine.store.parents_open.values()] == ["direct", "twap"]


def test_what_is_no_basket_is_refused_and_nothing_is_kept(make: Callable[..., Lab]) -> None:
    lab = make()
    linked = line(2, 100, "189", link=Link(LinkRole.PEER))
    many = [line(at, 1, "189") for at in range(LINES_MAX + 1)]
    for lines, said in (
        ([], "has 0"),
        (many, f"has {LINES_MAX + 1}"),
        ([linked], "line 2: orders that belong together"),
    ):
        refused = stage(lab, *lines)
        assert (refused.ok, refused.code) == (False, "BASKET_BAD")
        assert said in refused.text
    assert not lab.engine.baskets.all


def test_a_basket_that_left_can_still_be_looked_at(make: Callable[..., Lab]) -> None:
    lab = make()
    stage(lab, line(2, 100, "189"))
    release(lab)
    rows = lab.journal.head_seq
    seen = lab.submit(co.LookAtBasket(source=ME, basket_id="B1"))
    assert [one.order_id for one in seen.lines] == ["P1"]
    assert lab.journal.head_seq == rows
