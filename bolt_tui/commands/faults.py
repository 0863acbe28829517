"""`bolt faults`: the fault laboratory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from bolt_tui.commands.exits import Exit
from engine.domain.errors import SettingsError

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context
    from bolt_tui.faults.campaign import Tally
    from bolt_tui.faults.schedule import Act, Crash, Fault

SHRUNK_MAX = 3
"""Failing seeds that are shrunk."""


def faults(context: Context) -> Exit:
    """Play seeded schedules and judge them."""
    from bolt_tui.faults.campaign import campaign, scratch
    from engine.domain.clock import SystemClock

    args = context.args
    dump = Path(args.dump) if args.dump else None
    if dump is not None:
        _make_dump(dump)
    if args.only is not None:
        return _one(context, dump)
    if args.seeds < 1:
        raise SettingsError(f"--seeds was {args.seeds}; give a number above 0")
    seeds = range(args.seed, args.seed + args.seeds)
    clock = SystemClock()
    began_ns = clock.monotonic_ns()
    tally = campaign(
        seeds,
        max(1, min(args.jobs or os.cpu_count() or 1, len(seeds))),
        dump,
        lambda now: _progress(context, now, len(seeds)),
    )
    context.out.progress_end()
    seconds = (clock.monotonic_ns() - began_ns) / 1e9
    with scratch() as folder:
        shrunk = [_shrunk(folder, verdict.seed) for verdict in tally.failing[:SHRUNK_MAX]]
    _report(context, tally, seconds, shrunk)
    return Exit.OK if tally.is_good else Exit.INCOMPLETE


def _progress(context: Context, tally: Tally, total: int) -> None:
    if tally.schedules % 20 == 0:
        context.out.progress(f"bolt: {tally.schedules} of {total} schedules, {len(tally.failing)} fail")


def _make_dump(dump: Path) -> None:
    from bolt_tui.faults import recount

    dump.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(str(recount.__file__), dump / "recount.py")


def _shrunk(folder: Path, seed: int) -> str:
    from bolt_tui.faults.campaign import Lab
    from bolt_tui.faults.schedule import make

    place = folder / str(seed)
    place.mkdir()
    short = Lab(place).shrink(make(seed))
    return f"bolt faults --seed {seed} --only {','.join(short.names()) or 'a0'}"


def _one(context: Context, dump: Path | None) -> Exit:
    """Play one schedule, or some of its parts, and tell it whole."""
    from bolt_tui.faults.campaign import Lab, scratch
    from bolt_tui.faults.schedule import make

    args = context.args
    schedule = make(args.seed)
    names = [name for name in args.only.split(",") if name and name != "a0"]
    unknown = sorted(set(names) - set(schedule.names()) - {"all"})
    if unknown:
        raise SettingsError(f"seed {args.seed} has no part {unknown[0]!r}; it has {', '.join(schedule.names())}")
    if "all" not in names:
        schedule = schedule.only(names)
    with scratch() as folder:
        verdict = Lab(folder, dump).verdict(schedule, keep=f"{args.seed:06d}")
    from bolt_tui.commands.show import fields

    context.out.object("fault", {"schedule": fields(schedule), **fields(verdict), "ok": verdict.is_good})
    parts: tuple[Act | Fault | Crash, ...] = (*schedule.acts, *schedule.faults, *schedule.crashes)
    for part in parts:
        told = ", ".join(
            f"{name} {value}" for name, value in fields(part).items() if name != "name" and value not in ("", 0)
        )
        context.out.line(f"{part.name}: {told}")
    context.out.line(f"faults that happened: {', '.join(verdict.fired) or 'none'}")
    context.out.line(f"engines killed at: {', '.join(verdict.crashed) or 'none'}")
    for text in verdict.findings:
        context.out.line(f"  {text}")
    context.out.line("holds" if verdict.is_good else "FAILS")
    return Exit.OK if verdict.is_good else Exit.INCOMPLETE


def _report(context: Context, tally: Tally, seconds: float, shrunk: list[str]) -> None:
    from bolt_tui.faults.campaign import RULES
    from bolt_tui.faults.person import RESOLVED_NS_MAX
    from bolt_tui.faults.schedule import NONE, STEPS

    counts = {
        name: getattr(tally, name) for name in ("schedules", "sent", "accepted", "kills", "faults", "lives", *RULES)
    }
    context.out.object(
        "faults",
        {
            **counts,
            "ok": tally.is_good,
            "resolved_s_max": round(tally.resolved_ns_max / 1e9, 3),
            "resolved_s_limit": RESOLVED_NS_MAX / 1e9,
            "seconds": round(seconds, 1),
            "matrix": tally.matrix,
            "cells_empty": len(tally.empty),
            "failing": [{"seed": one.seed, "findings": one.findings} for one in tally.failing],
            "replay": shrunk,
        },
    )
    columns = (NONE, *STEPS)
    rows = []
    for kind, cells in tally.matrix.items():
        row = [kind]
        for step in columns:
            found = [cell for point, cell in cells.items() if point.rpartition(":")[2] == step]
            count, failed = sum(cell["schedules"] for cell in found), sum(cell["failed"] for cell in found)
            row.append(f"{count}!{failed}" if failed else str(count) if count else "-")
        rows.append(row)
    context.out.table(("FAULT", *(step.replace("recover", "rec") for step in columns)), rows, right=columns)
    context.out.line(
        "schedules per fault and step at which an engine was killed, before and after it together; !n = n fail"
    )
    context.out.line(", ".join(f"{name} {value}" for name, value in counts.items()))
    context.out.line(
        f"every order was what the venue says within {tally.resolved_ns_max / 1e9:.1f} s of the last fault "
        f"(limit {RESOLVED_NS_MAX // 10**9} s, simulated); {seconds:.0f} s of real time"
    )
    for verdict in tally.failing:
        context.out.line(f"seed {verdict.seed} FAILS: {verdict.findings[0] if verdict.findings else ''}")
    for words in shrunk:
        context.out.line(f"replay: {words}")
