"""C25: a locate is a quantity; what is sold short uses it up for the day, bought back or not, over restarts too."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, parse_iso
from engine.domain.errors import PolicyError
from engine.domain.money import Qty
from engine.domain.order import Side
from engine.risk.locates import check_locates, located
from engine.risk.policy import load
from tests.core.lab import POLICY, Lab, _let_go

BEFORE = parse_iso("2023-11-15T00:00:00Z") - 600 * NS_PER_S


def opened(folder: Path, *locates: str, start_ns: int = BEFORE) -> Lab:
    text = POLICY.read_text(encoding="utf-8")
    names = ", ".join(f'"{one}"' for one in locates)
    for old, new in (('locate_free: ["*"]', "locate_free: []"), ("locates: []", f"locates: [{names}]")):
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    lab = Lab(folder, ledger=folder / "ledger.db", policy=path, start_ns=start_ns)
    lab.connect(lab.snapshot() if lab.broker.asked else None)
    return lab


def asked(lab: Lab, side: Side, qty: int) -> co.CommandResult:
    lab.clock.set_ns(lab.clock.now_ns() + 2 * NS_PER_S)
    lab.quote()
    return lab.order(side, qty, None, f"i{lab.clock.now_ns()}")


def done(lab: Lab, side: Side, qty: int) -> None:
    result = asked(lab, side, qty)
    assert result.ok, result.text
    wire = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, qty, f"k{wire}", side=side))


def used(lab: Lab) -> Qty:
    return lab.engine.view_of_risk.short_used("PAPER", "AAPL")


def test_it_is_counted_down_and_buying_back_gives_nothing_back(tmp_path: Path) -> None:
    lab = opened(tmp_path, "PAPER AAPL 100", "OTHER AAPL 900")
    done(lab, Side.SELL, 60)
    refused = asked(lab, Side.SELL, 41)
    assert [(one.code, one.control, one.value, one.limit) for one in refused.denials] == [
        ("SHORT_LOCATE", "C25", "101", "100")
    ]
    done(lab, Side.BUY, 60)
    assert used(lab) == 60
    assert not asked(lab, Side.SELL, 41).ok, "60 of the 100 are used, and nothing is short"
    assert asked(lab, Side.SELL, 40).ok


def test_what_works_uses_it_too(tmp_path: Path) -> None:
    lab = opened(tmp_path, "PAPER AAPL 100")
    assert asked(lab, Side.SELL, 70).ok
    assert not asked(lab, Side.SELL, 31).ok
    assert asked(lab, Side.SELL, 30).ok


def test_a_sale_of_what_is_held_uses_nothing(tmp_path: Path) -> None:
    lab = opened(tmp_path, "PAPER AAPL 10")
    done(lab, Side.BUY, 100)
    done(lab, Side.SELL, 90)
    assert used(lab) == 0
    done(lab, Side.SELL, 20)
    assert used(lab) == 10
    assert not asked(lab, Side.SELL, 1).ok


def test_a_restart_remembers_and_the_next_day_begins_anew(tmp_path: Path) -> None:
    lab = opened(tmp_path, "PAPER AAPL 100")
    done(lab, Side.SELL, 60)
    _let_go(lab.journal)
    again = Lab(tmp_path, ledger=tmp_path / "ledger.db", policy=tmp_path / "policy.yaml", start_ns=lab.clock.now_ns())
    assert used(again) == 60
    again.clock.set_ns(BEFORE + 700 * NS_PER_S)
    again.engine.on_time(again.clock.now_ns(), again.clock.now_ns())
    assert used(again) == 0, "what is short since yesterday needs no locate of today"


@pytest.mark.parametrize("word", ["AAPL 500", "PAPER AAPL", "PAPER aapl 5", "PAPER AAPL 0", "PAPER AAPL -5", "PAPER AAPL many", ""])  # fmt: skip
def test_an_entry_that_cannot_be_read_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(ValueError, match="PAPER AAPL 500"):
        check_locates((word,))
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.read_text(encoding="utf-8").replace("locates: []", f'locates: ["{word}"]'), encoding="utf-8")
    with pytest.raises(PolicyError, match=r"short\.locates"):
        load(path)


def test_entries_of_one_account_and_symbol_add_up() -> None:
    names = ("P AAPL 500", "P AAPL 0.5", "P MSFT 7", "Q AAPL 9")
    assert [located(names, *place) for place in (("P", "AAPL"), ("P", "MSFT"), ("R", "AAPL"))] == [
        Qty("500.5"), Qty(7), Qty(0),
    ]  # fmt: skip
