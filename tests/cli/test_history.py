"""`bolt data bars`, `bolt data curve`, and a replay with a history."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

from bolt_tui.commands.exits import Exit
from engine.market.calendar import ALWAYS, AlwaysOpen
from engine.market.history_files import read_history
from engine.market.session_curve import read_days
from tests.cli.conftest import Ran
from tests.market.test_history import DATA, share

Bolt = Callable[..., Ran]
TERMS = "AAA:tick=0.01,lot=1"


def test_a_recording_becomes_bars_and_bars_become_a_curve(bolt: Bolt, tmp_path: Path) -> None:
    out, curve = tmp_path / "bars.csv.gz", tmp_path / "curve.csv.gz"
    ran = bolt("data", "bars", str(DATA / "own_small.csv"), "--instrument", TERMS, "--out", str(out))
    assert (ran.code, ran.err) == (Exit.OK, "")
    assert gzip.decompress(out.read_bytes()).decode().splitlines() == [
        "symbol,ts,open,high,low,close,volume",
        "AAA,2024-01-02T14:30:00Z,10,10.005,10,10.005,250",
    ]
    found = read_history(out, share())
    assert found is not None
    assert found.pieces[0][2:] == (1000, 1001, 1000, 1001, 250)
    ran = bolt("data", "curve", str(out), "--instrument", TERMS, "--out", str(curve), "--json")
    assert ran.json["symbols"] == {"AAA": {"days": 1, "average": 250}}
    assert read_days(curve, "AAA") == {"2024-01-02": {870: 250}}
    assert AlwaysOpen().name == ALWAYS
    again = bolt("data", "curve", str(out), "--instrument", TERMS, "--out", str(curve))
    assert again.code == Exit.USAGE
    assert "is there already" in again.err
    assert "holds bars already" in bolt("data", "bars", str(out), "--out", str(tmp_path / "x")).err


def test_a_replay_takes_the_average_volume_and_the_curve_of_its_history(bolt: Bolt, tmp_path: Path) -> None:
    past = tmp_path / "past.csv"
    rows = [
        f"AAA,2023-12-{day:02}T{hour:02}:00:00Z,10,10,10,10,{1000 * day}" for day in (28, 29) for hour in range(10, 16)
    ]
    later = ["AAA,2024-01-02T14:00:00Z,10,10,10,10,999999999"]
    past.write_text("\n".join(["symbol,ts,open,high,low,close,volume", *rows, *later]) + "\n", encoding="utf-8")
    day = ("replay", str(DATA / "own_small.csv"), "--instrument", TERMS, "--order", "b 10 AAA vwap 1m", "--json")
    told = json.loads(bolt(*day, "--history", str(past)).out)
    words = [line for line in told["realism"]["defaults"] if "average daily volume" in line]
    assert words == ["AAA: average daily volume 171000, mean of 2 days before in the history"]
    assert "not known" in str(json.loads(bolt(*day).out)["realism"]["defaults"])
