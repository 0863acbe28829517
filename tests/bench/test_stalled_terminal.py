"""A terminal that stops reading for a minute: the engine goes on, the desk takes no memory, and what comes then is now."""

from __future__ import annotations

import json
import os
import re
import select
import time
from pathlib import Path

import pytest

from bolt_tui.drain import QUESTION
from engine.domain.clock import NS_PER_S, SystemClock, hms
from tests.bench.test_desk import DESK, Screen, feed, opened, told

STALL_S = 60.0
MESSAGES_PER_S = 1_000
CLOCK = re.compile(rb"(\d\d:\d\d:\d\d)Z")


def looked_at(screen: Screen, seconds: float, *, answers: bool) -> bytes:
    """Read as a terminal does: one that knows the question answers where its cursor stands."""
    found, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([screen.master], [], [], left)[0]:
            data = os.read(screen.master, 65536)
            if answers and QUESTION.encode() in data:
                os.write(screen.master, b"\x1b[1;1R")
            found += data
    return found


def resident_kb(screen: Screen) -> int:
    words = Path(f"/proc/{screen.process.pid}/status").read_text(encoding="ascii")
    return int(words.partition("VmRSS:")[2].split()[0])


def until_now(screen: Screen, *, answers: bool) -> float:
    """Read until the desk shows a price that is a second old at most; how long that took.

    The desk repaints the figures of its clock that changed, so a key that paints all of it asks for the whole line.
    """
    begin, seen = time.monotonic(), [b"nothing"]
    while time.monotonic() - begin < 20:
        os.write(screen.master, b"\x0c")
        seen = CLOCK.findall(looked_at(screen, 0.5, answers=answers))
        now_ns = SystemClock().now_ns()
        fresh = {hms(now_ns - back * NS_PER_S)[:8].encode() for back in (0, 1, 2)}
        if seen and seen[-1] in fresh:
            return time.monotonic() - begin
    msg = f"the clock that is shown is not that of now: {seen[-3:]}"
    raise AssertionError(msg)


@pytest.mark.proof
@pytest.mark.parametrize("answers", [True, False], ids=["answers", "mute"])
def test_sixty_seconds_without_a_reader(tmp_path_factory: pytest.TempPathFactory, answers: bool) -> None:
    folder = tmp_path_factory.mktemp("s")
    with (
        feed(folder, MESSAGES_PER_S, "engine_feed") as (path, process),
        opened(DESK, str(path), "10") as screen,
    ):
        looked_at(screen, 4, answers=answers)
        before_kb, _ = resident_kb(screen), told(process)
        select.select([], [], [], STALL_S)
        beside, grown_kb = told(process), resident_kb(screen) - before_kb
        took_s = until_now(screen, answers=answers)
    figures = {
        "took_s": round(took_s, 1),
        "grown_kb": grown_kb,
        "p99_ms": beside["p99_ms"],
        "taken": beside["messages"],
    }
    print(f"\n60 s without a reader ({'answers' if answers else 'mute'}): {json.dumps(figures)}")
    assert beside["messages"] > MESSAGES_PER_S * STALL_S * 0.9, "the engine took the market in all the while"
    assert grown_kb < 8 * 1024, "the desk kept what it could not show"
