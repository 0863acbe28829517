"""The share of a day's volume: from the terms, from the curve's file, else the stated amount holds and the decision says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.domain.errors import InputError
from engine.domain.events import OrderIntent, ParentAccepted, decode_event, parts_of
from engine.store.journal import read_journal
from tests.replay.tape import quotes, replay

TERMS = "tick=0.01,mic=XNYS"
ROWS = quotes("2024-03-04T15:00:00Z", "2024-03-04T15:01:00Z", mic="XNYS")
CURVE = "symbol,date,bin,volume\nABC,2024-03-01,0,4000\nABC,2024-03-02,0,2000\nABC,2024-03-05,0,900000\n"


def codes(result: dict[str, Any]) -> list[str]:
    return [item["code"] for item in result["denied"]]


def decisions(ledger: Path) -> list[tuple[str, ...]]:
    events = [part for row in read_journal(ledger) for part in parts_of(decode_event(row.payload))]
    return [event.decision.fallbacks for event in events if isinstance(event, (ParentAccepted, OrderIntent))]


def test_a_stated_volume_bounds_the_order(tmp_path: Path) -> None:
    """5 percent of 3000 is 150: at the limit it passes, one above it does not."""
    ledger = tmp_path / "ledger.db"
    terms = f"{TERMS},adv=3000"
    passed = replay(tmp_path, ROWS, "b 150 ABC @take", terms=terms, ledger=ledger)
    assert codes(passed) == []
    assert decisions(ledger) == [(), ()]
    assert not any("average daily volume" in words for words in passed["realism"]["defaults"])
    assert "ADV_PCT" in codes(replay(tmp_path, ROWS, "b 151 ABC @take", terms=terms))


def test_the_curves_file_gives_it_by_the_days_before(tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    curve.write_text(CURVE)
    passed = replay(tmp_path, ROWS, "b 150 ABC @take", terms=TERMS, curve=curve)
    assert codes(passed) == []
    told = "ABC: average daily volume 3000, mean of 2 days before in the curve file"
    assert told in passed["realism"]["defaults"]
    assert "ADV_PCT" in codes(replay(tmp_path, ROWS, "b 151 ABC @take", terms=TERMS, curve=curve))


def test_where_nobody_knows_it_the_stated_amount_holds_and_the_decision_says_so(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    passed = replay(tmp_path, ROWS, "b 400 ABC @take", terms=TERMS, ledger=ledger)
    assert codes(passed) == []
    assert decisions(ledger) == [("ADV_NONE",), ("ADV_NONE",)], "the parent's and its child's"
    told = "ABC: average daily volume not known, order.max_notional_without_adv holds instead"
    assert told in passed["realism"]["defaults"]
    policy = tmp_path / "policy.yaml"
    words = (Path(__file__).parents[2] / "policy.yaml").read_text(encoding="utf-8")
    policy.write_text(words.replace("max_notional_without_adv: 4_000_000", "max_notional_without_adv: 4_000"))
    denied = replay(tmp_path, ROWS, "b 400 ABC @10.01", terms=TERMS, policy=policy)
    assert "ADV_NONE" in codes(denied)
    assert codes(replay(tmp_path, ROWS, "b 400 ABC @10.00", terms=TERMS, policy=policy)) == []


@pytest.mark.parametrize("adv", ["0", "-5", "many"])
def test_a_volume_that_is_none_is_refused(tmp_path: Path, adv: str) -> None:
    with pytest.raises(InputError):
        replay(tmp_path, ROWS, "b 1 ABC @take", terms=f"{TERMS},adv={adv}")
