"""The desk on a real terminal of 120x40 beside a busy engine: key to paint, CPU, bytes, first paint and memory.

Everything is measured from outside the desk's process: keys go in at one end of a pty, what is painted comes out of it.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import resource
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.screens import frozen
from tests.screens.fake_engine import FakeEngine
from tests.screens.play import LARGE, desk

SECONDS = 6.0
KEYS = 60
PAD_COLUMN = 4
"""Where the order line begins, counted from 1."""
TAKE = "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
DESK = f"""{TAKE}
from pathlib import Path
from bolt_tui.app import run_desk
from bolt_tui.link import DeskLink
from bolt_tui.settings import Settings
hz = int(sys.argv[2])
with DeskLink(lambda: Path(sys.argv[1]), lambda who: None, hz=hz) as link:
    run_desk(link, Settings(), False, hz=hz)
"""
EMPTY = f"""{TAKE}
from textual.app import App
from textual.widgets import Input, Static

class Empty(App):
    def compose(self):
        yield Static("PAPER")
        yield Input()

    def on_mount(self):
        self.query_one(Input).cursor_blink = False
        self.query_one(Input).focus()

Empty().run()
"""


class Screen:
    """A program on a pty, and all that it paints."""

    def __init__(self, program: str, *words: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", program, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
        )
        os.close(slave)

    def read(self, seconds: float) -> bytes:
        """What is painted within a time; stops at the first piece where ``seconds`` is 0."""
        found, end = b"", time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                found += os.read(self.master, 65536)
        return found

    def until(self, words: bytes, seconds: float = 20.0) -> None:
        """Read until these words were painted."""
        found, end = b"", time.monotonic() + seconds
        while words not in found:
            left = end - time.monotonic()
            assert left > 0, f"{words!r} was not painted within {seconds} s"
            if select.select([self.master], [], [], left)[0]:
                found = (found + os.read(self.master, 65536))[-200_000:]

    def key_ms(self, key: bytes, column: int) -> float:
        """From a key to its character at its place in the order line, one of the lowest rows; or in any row without a column."""
        self.read(0.03)
        # A run of changed cells may begin a little before the typed one.
        columns = b"|".join(b"%d" % at for at in range(column - 6, column + 1))
        place = rb"\x1b\[(3[4-9]|40);(%s)H[^H]*%s" % (columns, key) if column else key
        found, begin = b"", time.monotonic_ns()
        os.write(self.master, key)
        while not re.search(place, found):
            assert time.monotonic_ns() - begin < 20e9, f"{key!r} was not painted"
            if select.select([self.master], [], [], 1)[0]:
                found += os.read(self.master, 65536)
        return (time.monotonic_ns() - begin) / 1e6

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@contextmanager
def feed(folder: Path, changes_per_s: int, kind: str = "desk_feed") -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    path = folder / f"s{changes_per_s}"
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.{kind}", str(path), str(changes_per_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield path, process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def opened(program: str, *words: str) -> Iterator[Screen]:
    screen = Screen(program, *words)
    try:
        screen.until(b"PAPER")
        screen.read(3.0)
        yield screen
    finally:
        screen.close()


def keys(screen: Screen, start: bytes) -> list[float]:
    """Times of typed digits behind a beginning; each is waited for before the next."""
    found = []
    if start:
        os.write(screen.master, b":" + start)
        screen.read(3.0)
    for number in range(KEYS):
        if number % 10 == 0 and number:
            for _ in range(10):
                os.write(screen.master, b"\x7f")
                screen.read(0.03)
            screen.read(0.5)
        # Another digit each round: where erasing and typing are painted as one, the same one would change no cell.
        digit = b"%d" % ((number + number // 10 + 1) % 10)
        found.append(screen.key_ms(digit, PAD_COLUMN + len(start) + number % 10 if start else 0))
    return found


def p(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("b")


@pytest.mark.bench
def test_key_to_paint(short: Path) -> None:
    with opened(EMPTY) as screen:
        empty = keys(screen, b"")
    with feed(short, 1_000) as (path, _), opened(DESK, str(path), "10") as screen:
        busy = keys(screen, b"b 100 SYM01 @1")
    print(
        f"\nkey to paint, 40 live rows, 1,000 changes/s: p50 {p(busy, 50):.1f} ms, p95 {p(busy, 95):.1f} ms "
        f"(bar 8 / 25); an empty app {p(empty, 50):.1f} / {p(empty, 95):.1f}: {p(busy, 50) / p(empty, 50):.2f} x (bar 5)"
    )


@pytest.mark.bench
@pytest.mark.parametrize(("hz", "changes", "bar"), [(10, 1_000, 48), (4, 1_000, 20), (10, 0, 1)])
def test_cpu_and_bytes(short: Path, hz: int, changes: int, bar: int) -> None:
    with feed(short, changes) as (path, process), opened(DESK, str(path), str(hz)) as screen:
        assert process.stdin is not None
        assert process.stdout is not None
        before, begin = screen.cpu_s(), time.monotonic()
        print(file=process.stdin, flush=True)
        process.stdout.readline()
        painted = len(screen.read(SECONDS))
        print(file=process.stdin, flush=True)
        late = json.loads(process.stdout.readline())
        spent, wall = screen.cpu_s() - before, time.monotonic() - begin
    print(
        f"\n{changes} changes/s at {hz} Hz: {painted / wall / 1000:.1f} kB/s (bar {bar}), {spent / wall:.1%} of a core "
        f"(bar 10 %), 1 ms tick of the server p99 {late['p99_ms']:.2f} ms late"
    )


@pytest.mark.bench
def test_the_servers_tick_without_a_desk(short: Path) -> None:
    with feed(short, 1_000) as (_, process):
        assert process.stdin is not None
        assert process.stdout is not None
        print(file=process.stdin, flush=True)
        process.stdout.readline()
        time.sleep(SECONDS)
        print(file=process.stdin, flush=True)
        late = json.loads(process.stdout.readline())
    print(f"\nwithout a desk: 1 ms tick of the server p99 {late['p99_ms']:.2f} ms late")


def told(process: subprocess.Popen[str]) -> dict[str, float]:
    """What a feed says of the time since it was asked last."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(file=process.stdin, flush=True)
    found: dict[str, float] = json.loads(process.stdout.readline())
    return found


@pytest.mark.bench
def test_a_real_engine_with_and_without_a_desk(short: Path) -> None:
    """A real engine at 1,000 and at 10,000 messages of market data a second, alone and then with a desk that is typed into."""
    typed: dict[int, list[float]] = {}
    for rate in (1_000, 10_000):
        with feed(short, rate, "engine_feed") as (path, process):
            told(process)
            time.sleep(SECONDS)
            alone = told(process)
            with opened(DESK, str(path), "10") as screen:
                told(process)
                before = screen.cpu_s()
                screen.read(SECONDS)
                beside, spent = told(process), screen.cpu_s() - before
                typed[rate] = keys(screen, b"b 100 SYM01 @1")
        more = (spent + beside["cpu_s"] - alone["cpu_s"]) / SECONDS
        print(
            f"\nreal engine, {rate:,} messages/s: a desk costs {more:.1%} of a core above the engine alone (bar 10 %: {spent / SECONDS:.1%} "
            f"its own); 1 ms tick p99 {alone['p99_ms']:.2f} ms late alone, {beside['p99_ms']:.2f} with it (bar 2 ms more)"
        )
    slow, fast = typed[1_000], typed[10_000]
    print(
        f"key to paint beside 10,000 messages/s: p50 {p(fast, 50):.1f} ms, p95 {p(fast, 95):.1f}; beside 1,000: {p(slow, 50):.1f} / "
        f"{p(slow, 95):.1f}: {p(fast, 50) / p(slow, 50):.2f} x (bar 1.5)"
    )


PICTURES = 28_800 // 8
"""A picture every eight seconds of eight hours: rows, log and fills change in each."""


@pytest.mark.bench
def test_memory_is_flat_over_a_day() -> None:
    found: list[int] = []

    async def run() -> None:
        engine = FakeEngine(frozen.working_day())
        async with desk(engine).run_test(size=LARGE) as pilot:
            for number in range(PICTURES):
                engine.clock.set_ns(engine.clock.now_ns() + 8_000_000_000)
                orders = tuple(
                    frozen.order(f"P{number * 10 + at + 200}", algo="direct", updated_ns=engine.clock.now_ns())
                    for at in range(20)
                )
                engine.show_orders(*orders)
                engine.age_quotes(0)
                pilot.app.draw()  # type: ignore[attr-defined]  # it is a Desk
                if number % 40 == 0:
                    await pilot.pause()
                if number % (PICTURES // 8) == 0:
                    found.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    asyncio.run(run())
    grown = found[-1] - found[2]
    print(
        f"\nmemory: {found[2] / 1024:.0f} MB after two hours, {found[-1] / 1024:.0f} MB after eight ({grown} kB more)"
    )
    assert statistics.mean(found[-3:]) < found[2] * 1.1
