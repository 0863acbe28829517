"""A power cut, which no SIGKILL shows: an engine that never syncs loses nothing when it is killed, because the kernel lives on.

A real engine and its venue trade while every write, sync and send of the engine is recorded. From the recording the disk is
rebuilt as a cut would leave it just before each order's first byte leaves: whatever left must be found in it.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bolt_tui.settings import Home, open_home
from bolt_tui.wiring import projections
from brokers.paperbroker import ensure_venue, stop_venue
from engine.domain import events as ev
from engine.store.journal import read_journal
from engine.store.verify import verify
from tests.crash.power import CALLS, Call, Disk, calls

ROOT = Path(__file__).parents[2]
ORDERS = 12
_SENT = re.compile(rb'"f":"new".*?"wire_id":"([0-9A-Z]{14})"')

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed; it records the engine's calls"),
]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, list[Call]]]:
    """A session of some orders, and every call of its engine."""
    home = open_home(tmp_path_factory.mktemp("power") / "h")
    ensure_venue(home.root)
    trace = home.root.parent / "trace"
    env = {**os.environ, "BOLT_HOME": str(home.root)}
    bolt = [sys.executable, "-P", "-m", "bolt_tui"]
    record = ["strace", "-f", "-y", "-xx", "-s", "20000000", "-e", f"trace={CALLS}", "-o", str(trace)]
    engine = subprocess.Popen([*record, *bolt, "headless"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    try:
        until(lambda: subprocess.run([*bolt, "status"], env=env, capture_output=True, check=False).returncode == 0)
        for number in range(ORDERS):
            words = f"{'b' if number % 2 == 0 else 's'} {10 + number} AAPL @mkt"
            # One that the gate denies (a shock in the simulated market) does not leave; most do.
            subprocess.run([*bolt, "order", words, "--json"], cwd=ROOT, env=env, check=False, capture_output=True)
        subprocess.run([*bolt, "stop", "--json"], cwd=ROOT, env=env, check=True, capture_output=True)
        engine.wait(30)
        yield home, list(calls(trace))
    finally:
        engine.kill()
        engine.wait()
        stop_venue(home.root)


def until(holds: Callable[[], bool], deadline_s: float = 60.0) -> None:
    """Wait for something outside this process."""
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < deadline_s, "it did not come in time"


def sent(call: Call) -> list[str]:
    """Wire ids of new orders that leave in a call."""
    if call.name not in {"sendto", "sendmsg", "write"}:
        return []
    return [match.decode() for match in _SENT.findall(call.data)]


def intents(path: Path) -> set[str]:
    """Wire ids whose intent stands in a ledger."""
    events = [part for row in read_journal(path) for part in ev.parts_of(ev.decode_event(row.payload))]
    return {event.wire_id for event in events if isinstance(event, ev.OrderIntent)}


def test_the_recording_holds_every_order(recording: tuple[Home, list[Call]]) -> None:
    home, made = recording
    left = [wire_id for call in made for wire_id in sent(call)]
    assert ORDERS // 2 <= len(left) == len(set(left))
    assert intents(home.ledger) == set(left)


def test_the_sync_stands_before_the_send(recording: tuple[Home, list[Call]]) -> None:
    """Between the write that holds an intent and the send of its order the log is synced."""
    _, made = recording
    unsynced, safe = b"", b""
    for call in made:
        if call.path.endswith("ledger.db-wal"):
            if call.name == "pwrite64":
                unsynced += call.data
            elif call.name in {"fsync", "fdatasync"}:
                safe, unsynced = safe + unsynced, b""
        for wire_id in sent(call):
            assert wire_id.encode() in safe, f"{wire_id} left before its intent was synced"


@pytest.mark.parametrize("luck", [None, 1, 2, 3], ids=["nothing else survives", "luck 1", "luck 2", "luck 3"])
def test_a_cut_before_any_send_loses_no_order(
    recording: tuple[Home, list[Call]], tmp_path: Path, luck: int | None
) -> None:
    home, made = recording
    disk, left = Disk(home.root), set[str]()
    chance = None if luck is None else random.Random(luck)
    cuts = 0
    for call in made:
        leaving = sent(call)
        if leaving:
            left.update(leaving)
            folder = tmp_path / str(cuts)
            folder.mkdir()
            disk.put_down(folder, chance)
            assert left <= intents(folder / "ledger.db"), "an order left and the cut took its intent"
            report = verify(folder / "ledger.db", projections)
            assert report.ok, report.findings
            cuts += 1
        disk.take(call)
    assert cuts >= ORDERS // 2
