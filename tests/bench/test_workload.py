"""The common workloads, each in a fresh process: the lines that other engines' scripts print as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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


LINES: list[dict[str, Any]] = []


@pytest.mark.bench
@pytest.mark.parametrize("workload", RUNS)
def test_workload(workload: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "tests" / "bench" / "bolt_workload.py", workload, RUNS[workload]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    line = json.loads(ran.stdout)
    print(f"\n{ran.stdout.strip()}")
    LINES.append(line)
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


@pytest.mark.bench
def test_the_table() -> None:
    """All of it at a glance. A turn is one of a plain Python loop of the same process: a rate in turns can be compared between machines."""
    print(f"\n{'':4} {'per s of CPU':>14} {'turns each':>11} {'us each':>9} {'MB grown':>9}  more")
    for line in LINES:
        name = line["workload"]
        if "rate_cpu" in line:
            each_ns, grown = 1e9 / line["rate_cpu"], line["rss_after_mb"] - line["rss_before_mb"]
            turns = each_ns / line["probe_ns"]
            print(
                f"{name:4} {line['rate_cpu']:14,.0f} {turns:11,.0f} {each_ns / 1_000:9.2f} {grown:9.0f}  policy {line['policy_hash'][:8]}"
            )
        elif name == "W5":
            flush = line["us_durable_p50"] / line["us_fdatasync_p50"]
            shown = f"durable p50 {line['us_durable_p50']} us = {flush:.1f} x fdatasync (bar {line['us_durable_bar']}), p99 {line['us_durable_p99']}"
            print(f"{name:4} {shown}, ack p50 {line['us_ack_p50']}")
        else:
            shown = f"append p50 {line['us_append_p50']} us = {line['append_to_raw']} x raw sqlite3"
            print(f"{name:4} {shown}, {line['per_s_64']:,} and {line['per_s_256']:,} events/s in groups of 64 and 256")
