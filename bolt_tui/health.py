"""How a box that runs by itself is: disk, ages, the last fill, the journal's head, and what needs a person."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from bolt_tui.notify import NoticeCounts, read_counts
from bolt_tui.settings import Home
from engine.domain.clock import NS_PER_S, iso
from engine.views import DeskView

DISK_BYTES_MIN = 512 * 1024 * 1024
"""Less room than this is a fault: a journal that cannot be written stops the desk."""
LAG_ROWS_MAX = 20_000
"""Journal rows that may wait for the disk before that is a fault."""
STARTING_NS = 30 * NS_PER_S
"""A broker may be down for so long after a start."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a running engine and its folder."""

    faults: tuple[str, ...]
    """What needs a person, a sentence each; empty where nothing does."""
    uptime_s: int
    disk_free_mb: int
    ledger_mb: int
    tape_mb: int
    logs_mb: int
    head_lag: int
    """Journal rows that are not on disk yet."""
    quote_age_s: float | None
    """Of the newest quote; None where none has come."""
    fill_ns: int
    """When the last execution was; 0 where there is none."""
    notices: NoticeCounts | None
    """Notifications outside the screen; None where none was ever sent."""


def examine(home: Home, view: DeskView) -> Health:
    """Look at an engine's picture and its folder."""
    status = view.status
    up_ns = max(0, status.ts_ns - status.started_ns)
    free = _free(home.root)
    counts = read_counts(home)
    lag = status.head_seq - status.durable_seq
    newest_ns = max((quote.ts_ns for quote in view.quotes), default=0)
    faults = [status.ledger_error and f"the ledger takes no writes: {status.ledger_error}"]
    faults.append(status.policy_error and f"the policy was not loaded: {status.policy_error}")
    if up_ns > STARTING_NS:
        faults += [
            f"broker {one.broker} is down"
            for one in status.brokers
            if one.state == "down" and not one.reset_ns <= status.ts_ns < one.reset_until_ns
        ]
    faults.append(f"{free // 2**20} MB are free on the disk of {home.root}" if free < DISK_BYTES_MIN else "")
    faults.append(f"{lag} journal rows wait for the disk" if lag > LAG_ROWS_MAX else "")
    if counts is not None and counts.failing:
        faults.append(f"notifications fail: {counts.error}")
    return Health(
        faults=tuple(filter(None, faults)),
        uptime_s=up_ns // NS_PER_S,
        disk_free_mb=free // 2**20,
        ledger_mb=_size(home.root, "ledger*") // 2**20,
        tape_mb=_size(home.tape, "*/*") // 2**20,
        logs_mb=_size(home.logs, "*") // 2**20,
        head_lag=lag,
        quote_age_s=round((status.ts_ns - newest_ns) / NS_PER_S, 1) if newest_ns else None,
        fill_ns=max((fill.ts_ns for fill in view.fills), default=0),
        notices=counts,
    )


def lines(found: Health) -> list[str]:
    """For a person, the faults first."""
    age = "none has come" if found.quote_age_s is None else f"{found.quote_age_s:.1f} s old"
    said = [f"NEEDS A PERSON: {fault}" for fault in found.faults]
    said.append(
        f"up {_span(found.uptime_s)}, newest quote {age}, last fill {iso(found.fill_ns)[:19] + 'Z' if found.fill_ns else 'none'}"
    )
    said.append(
        f"disk {found.disk_free_mb} MB free; ledger {found.ledger_mb} MB, tape {found.tape_mb} MB, logs {found.logs_mb} MB"
    )
    if found.notices is not None:
        said.append(f"notifications: {found.notices.words()}")
    return said


def _span(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    return f"{days} d {hours} h" if days else f"{hours} h {rest // 60} min"


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _size(folder: Path, pattern: str) -> int:
    total = 0
    for path in folder.glob(pattern):
        try:
            total += path.stat().st_size
        except OSError:
            continue  # rotated or pruned meanwhile
    return total
