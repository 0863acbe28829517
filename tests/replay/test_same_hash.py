"""The same inputs make the same ledger, to the last byte: for any hash seed, and on every Python that is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.replay.tape import quotes, trade, write
from tests.shared_data import shared_file

ROOT = Path(__file__).parents[2]
SEEDS = ("0", "1", "12345")
START, END = "2024-03-05T15:00:00Z", "2024-03-05T15:10:00Z"


def replay_hash(python: str, seed: str, words: list[str], home: Path) -> str:
    """Ledger hash of a replay in a process of its own."""
    ran = subprocess.run(
        [python, "-P", "-m", "bolt_tui", "replay", *words, "--seed", "7", "--json"],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "BOLT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["fills"], "nothing was traded: the hash would prove nothing"
    return str(told["ledger_hash"])


@pytest.fixture
def small(tmp_path: Path) -> list[str]:
    """A TWAP over ten minutes of a hand-made tape with prints."""
    rows = quotes(START, END, mic="XNAS", every_s=1)
    rows += [trade(f"2024-03-05T15:0{minute}:30Z", "10.00", 200, mic="XNAS") for minute in range(10)]
    return [
        str(write(tmp_path, rows)),
        "--order",
        "b 600 ABC twap 5m",
        "--instrument",
        "ABC:tick=0.01,lot=1,ccy=USD,mic=XNAS",
    ]


def test_the_hash_seed_changes_nothing(small: list[str], tmp_path: Path) -> None:
    assert len({replay_hash(sys.executable, seed, small, tmp_path) for seed in SEEDS}) == 1


@pytest.mark.proof
def test_a_recorded_day_is_the_same_on_every_python(tmp_path: Path) -> None:
    """``BOLT_PYTHONS`` lists further interpreters that have Bolt's packages, separated by colons."""
    day = [str(shared_file("l3/aapl_20120621.csv.gz")), "--order", "b 5000 AAPL vwap 30m"]
    pythons = [sys.executable, *filter(None, os.environ.get("BOLT_PYTHONS", "").split(":"))]
    found = {(python, seed): replay_hash(python, seed, day, tmp_path) for python in pythons for seed in SEEDS}
    assert len(set(found.values())) == 1, found
