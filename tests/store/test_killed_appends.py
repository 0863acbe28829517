"""Thousands of appenders die in the middle of what they do; whatever they leave verifies, and nothing that was durable is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.server import Server

ROOT = Path(__file__).parents[2]
LEDGER_KILLS = 250
"""Killed appends of one ledger, before the next one begins: each start looks through the whole file."""


def kill_many(folder: Path, kills: int, places: list[str]) -> None:
    words = [sys.executable, "-m", "tests.store.killer", str(kills), str(folder), *places]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [int(line) for line in done.stdout.split()]
    assert len(rows) == len(places)
    assert sum(rows) > kills, "the appenders wrote something before they died"
    print(f"\n{kills:,} killed appends on {len(places)} ledgers, {sum(rows):,} rows, no alarm", end="")


@pytest.mark.parametrize("kills", [25, pytest.param(10_000, marks=pytest.mark.proof)])
def test_no_killed_append_raises_an_alarm(tmp_path: Path, kills: int) -> None:
    count = -(-kills // LEDGER_KILLS)
    kill_many(tmp_path, kills, [str(tmp_path / f"ledger{number}.db") for number in range(count)])


@pytest.mark.parametrize("kills", [10, pytest.param(1_000, marks=pytest.mark.proof)])
def test_no_killed_append_raises_an_alarm_on_a_server(server: Server, tmp_path: Path, kills: int) -> None:
    kill_many(tmp_path, kills, [server.make_database() for _ in range(-(-kills // LEDGER_KILLS))])
