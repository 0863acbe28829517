"""The common workloads, each in a fresh process: the lines that other engines' scripts print as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNS = {
    "W1": "1000000",
    "W1b": "1000000",
    "W2": "100000",
    "W2b": "100000",
    "W3": "30000",
    "W4": "100000",
    "W5": "1000",
    "W6": "1000",
}


@pytest.mark.bench
@pytest.mark.parametrize("workload", RUNS)
def test_workload(workload: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench.bolt_workload", workload, RUNS[workload]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    line = json.loads(ran.stdout)
    print(f"\n{ran.stdout.strip()}")
    if workload in {"W1", "W1b"}:
        assert line["ticks"] == int(RUNS[workload])
    elif workload == "W6":
        assert line["append_to_raw"]
    elif workload == "W5":
        assert line["n"]
    else:
        assert line["rej"] == 0
        assert line["conservation"] == []
        assert line["acc"] == line["sent"]
