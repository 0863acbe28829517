"""A long day: what the engine's picture is too short for comes from its ledger, and what even that leaves out is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.settings import Home
from bolt_tui.stored import ROWS_MAX
from engine.api.picture import FILLS_MAX
from engine.domain.order import OrderState
from tests.cli.conftest import Ran
from tests.cli.test_stored import lab_with_a_fill, order
from tests.core.lab import Lab
from tests.server.fakes import FakeDoor, fill_row, order_row, serving

Bolt = Callable[..., Ran]
REFUSED = 3
"""Orders of the ledger that one list has no room for."""


@pytest.fixture
def ledger(home: Home) -> Iterator[Lab]:
    """An order that filled first (P1), and so many denied ones behind it that one list cannot hold all."""
    lab = lab_with_a_fill(home)
    yield lab
    lab.journal.close()
    lab.latch.close()


def test_what_a_picture_lacks_is_read_from_the_ledger(bolt: Bolt, home: Home, ledger: Lab) -> None:
    ledger.submit(order("denied", 900_000, "188.50", "b 900k AAPL @188.50"))
    door = FakeDoor()
    door.put(order_row(3, OrderState.FILLED))
    with serving(home.socket, door):
        listed = bolt("orders", "--all", "--json").json
        assert [row["order_id"] for row in listed["orders"]] == ["P1", "C2", "P3"]
        assert [row["state"] for row in listed["orders"]] == ["filled"] * 3, (
            "a row of the picture is newer than the ledger's"
        )
        assert (listed["read_from"], listed["left_out"]) == ("engine", 0)
        assert [row["order_id"] for row in bolt("orders", "--json").json["orders"]] == []
        blotter = bolt("blotter", "--json").json
        assert [fill["fill_key"] for fill in blotter["fills"]] == ["k1"]
        assert "left out" not in bolt("blotter").err


def test_more_fills_than_a_picture_holds_are_read_from_the_ledger(bolt: Bolt, home: Home, ledger: Lab) -> None:
    del ledger
    door = FakeDoor()
    door.fills = tuple(fill_row(1_000 + at) for at in range(FILLS_MAX))
    with serving(home.socket, door):
        rows = bolt("fills", "--limit", str(FILLS_MAX + 9), "--json").json["fills"]
        assert (rows[0]["fill_key"], len(rows)) == ("k1", FILLS_MAX + 1)
        assert len(bolt("fills", "--limit", "7", "--json").json["fills"]) == 7


def test_how_many_older_rows_are_left_out_is_said(bolt: Bolt, home: Home, ledger: Lab) -> None:
    for at in range(ROWS_MAX - 2 + REFUSED):
        ledger.submit(order(f"denied{at}", 900_000, "188.50", "b 900k AAPL @188.50"))
    with serving(home.socket, FakeDoor()):
        for words in (("orders", "--all"), ("blotter",)):
            ran = bolt(*words)
            assert ran.code == Exit.OK
            assert f"{REFUSED} older ended rows are left out" in ran.err
    ledger.journal.close()
    assert f"{REFUSED} older ended rows are left out" in bolt("orders", "--all", "--symbol", "aapl").err
