"""The laboratory itself: a small campaign, its numbers, its dump and the recount that knows nothing of us."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bolt_tui.faults.recount import _Venue
from bolt_tui.faults.schedule import FAULTS, ORDERS, POINTS, make

ROOT = Path(__file__).parents[2]
SEEDS = 16
PROOF_SEEDS = 3_000


def bolt(*words: str) -> dict[str, Any]:
    """The command as a user runs it: a process of its own, so that nothing is forked from a process with threads."""
    done = subprocess.run(
        [sys.executable, "-m", "bolt_tui", "faults", *words, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3_000,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    found["exit"] = done.returncode
    return found


def assert_holds(found: dict[str, Any], seeds: int) -> None:
    assert found["failing"] == []
    assert found["exit"] == 0
    assert [found[rule] for rule in ("lost", "doubled", "unresolved", "short", "leaked", "broken")] == [0] * 6
    assert found["schedules"] == seeds
    assert found["sent"] > 4 * seeds, "an engine that sends nothing proves nothing"
    assert found["resolved_s_max"] <= found["resolved_s_limit"]


def test_a_small_campaign_holds_and_an_independent_recount_agrees(tmp_path: Path) -> None:
    found = bolt("--seeds", str(SEEDS), "--seed", "100", "--dump", str(tmp_path))
    assert_holds(found, SEEDS)
    assert found["kills"] > SEEDS // 2
    assert found["faults"] > SEEDS // 2
    cells = [cell for row in found["matrix"].values() for cell in row.values()]
    assert sum(cell["schedules"] for cell in cells) >= SEEDS
    # -I -S: no path of ours and no installed package can be imported.
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "recount.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = json.loads(done.stdout.splitlines()[-1])
    assert counted == {
        "runs": SEEDS,
        "sent": found["sent"],
        "accepted": found["accepted"],
        "lost": 0,
        "doubled": 0,
        "unresolved": 0,
    }


Log = list[dict[str, Any]]


def spoil(folder: Path, change: Callable[[Log], object]) -> subprocess.CompletedProcess[str]:
    """Change a venue's log by hand, and recount."""
    path = folder / "venue.jsonl"
    log = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    change(log)
    path.write_text("".join(json.dumps(row) + "\n" for row in log), "utf-8")
    words = [sys.executable, "-I", "-S", str(folder.parent / "recount.py"), str(folder.parent)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def first(log: Log, what: str) -> dict[str, Any]:
    return next(row for row in log if row["what"] == what)


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dump")
    assert bolt("--seed", "57", "--seeds", "1", "--dump", str(folder))["ok"]
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: log.append({**first(log, "new"), "accepted": False, "code": "DUPLICATE_ID"}), "arrived 2 times"),
        (lambda log: log.append({**first(log, "fill"), "key": "more"}), "execution more"),
        (lambda log: log.remove(first(log, "fill")), "is booked and the venue has none"),
        (lambda log: log.append({**first(log, "new"), "wire": "FAKT0STRANGER0"}), "its intent is not in the ledger"),
        (lambda log: first(log, "fill").update(qty=1), "is booked as"),
        (lambda log: log.remove(first(log, "end")), "works at the venue and is"),
        (lambda log: first(log, "new").update(on_disk=1), "left when row 1 was the last on disk"),
        (
            lambda log: log.append({"what": "moved", "key": "M9", "kind": "dividend", "symbol": "SPY", "factor": 1}),
            "booking M9 (dividend) is not in the ledger",
        ),
    ],
    ids=[
        "sent twice",
        "a fill too few here",
        "a fill too many here",
        "an order of nobody",
        "another fill",
        "unresolved",
        "sent before it was on disk",
        "a booking too few here",
    ],
)
def test_the_recount_objects_to_a_log_changed_by_hand(
    tmp_path: Path, one_run: Path, change: Callable[[Log], object], said: str
) -> None:
    shutil.copytree(one_run, tmp_path / "dump")
    ran = spoil(tmp_path / "dump" / "000057", change)
    assert ran.returncode == 1
    assert said in ran.stdout


def test_one_seed_plays_the_same_way_again_and_can_be_played_in_parts() -> None:
    whole = bolt("--seed", "57", "--only", "all")
    again = bolt("--seed", "57", "--only", "all")
    assert whole == again
    part = bolt("--seed", "57", "--only", "a1")
    assert [act["name"] for act in part["schedule"]["acts"]] == ["a0", "a1"]
    assert part["sent"] == 2


def test_every_fault_step_and_order_has_its_seeds() -> None:
    schedules = [make(seed) for seed in range(len(POINTS) * (len(FAULTS) + 1) + len(POINTS) + len(FAULTS))]
    pairs = {(fault.kind, crash.point) for one in schedules for fault in one.faults for crash in one.crashes}
    assert {(kind, point) for kind in FAULTS for point in POINTS} <= pairs
    assert {act.order for one in schedules for act in one.acts if act.do == "order"} == set(ORDERS)


def exits(*quantities: int, overfill: int = 0) -> list[str]:
    """A position of 500 and exits of these quantities, the last one overfilled by the venue: what the recount objects to."""
    log: list[dict[str, Any]] = []
    for number, qty in enumerate((500, *quantities)):
        wire, side = f"w{number}", "sell" if number else "buy"
        order = {"wire": wire, "symbol": "SPY", "side": side}
        log.append({"what": "new", **order, "qty": qty, "session": bool(number), "accepted": True, "code": ""})
        extra = overfill if number == len(quantities) else 0
        if extra:
            log.append({"what": "overfill", "wire": wire, "qty": extra})
        log.append({"what": "fill", **order, "key": f"k{number}", "qty": qty + extra})
    return _Venue(log).turned


def test_an_exit_is_judged_by_what_it_asked_for() -> None:
    assert exits(500) == []
    assert exits(500, overfill=190) == []
    assert exits(600) == ["exit w1 turned SPY from 500 to -100"]
    assert exits(300, 300) == ["exit w2 turned SPY from 200 to -100"]
    assert exits(300, 300, overfill=20) == ["exit w2 turned SPY from 200 to -120"]


@pytest.mark.proof
def test_thousands_of_schedules_hold_and_fill_the_matrix() -> None:
    found = bolt("--seeds", str(PROOF_SEEDS))
    assert_holds(found, PROOF_SEEDS)
    assert found["cells_empty"] == 0


def test_an_order_that_is_amended_while_it_waits_may_fill_to_its_new_size() -> None:
    found = bolt("--seed", "50036", "--faults", "borrow", "--steps", "amend", "--only", "a7,a3")
    assert found["doubled"] == 0
    assert found["sent"] > 1


def test_a_schedule_that_a_halt_has_stopped_is_not_called_forgotten() -> None:
    """Three orders lost sight of by a crash and one more by a lost answer are more than may be unknown at once."""
    found = bolt("--seed", "40681", "--only", "c0,f0,a3,a2,a1")
    assert found["short"] == 0
    assert found["sent"] > 8


def test_an_execution_from_before_a_split_is_told_behind_it() -> None:
    """A forced sale came late: the split's own word of the position had counted it, and the ledger took it off once more."""
    found = bolt("--seed", "91263", "--only", "c0,c1,f0,f1,f3,a2,a1")
    assert found["unresolved"] == 0
    assert found["sent"] > 4


def test_orders_beside_a_symbol_that_is_split_again_and_again_stay_near_its_price(tmp_path: Path) -> None:
    """At an eighth of the first price 4.00 away was beyond what the gate lets rest: the laboratory called that an order that never came."""
    acts = [
        {"name": "a0", "at_ms": 400, "do": "order", "order": "market", "symbol": "SPY", "qty": 1000, "parts": 2},
        {"name": "a1", "at_ms": 4876, "do": "order", "order": "reduce_rest", "symbol": "SPY", "qty": 171, "parts": 2},
        {"name": "a2", "at_ms": 1900, "do": "order", "order": "market", "symbol": "MSFT", "qty": 44},
        {"name": "a3", "at_ms": 2400, "do": "order", "order": "market", "symbol": "MSFT", "qty": 45},
        {"name": "a4", "at_ms": 2900, "do": "order", "order": "market", "symbol": "MSFT", "qty": 46},
    ]
    faults = [{"name": f"f{nth}", "kind": "split", "nth": nth} for nth in (1, 2, 3)]
    file = tmp_path / "split.jsonl"
    file.write_text(json.dumps({"seed": 1, "acts": acts, "faults": faults, "crashes": []}) + "\n", encoding="utf-8")
    found = bolt("--schedule", str(file))
    assert found["faults"] == 3
    assert_holds(found, 1)
