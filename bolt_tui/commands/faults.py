"""`bolt faults`: the fault laboratory."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bolt_tui.commands.exits import Exit
from engine.domain.errors import SettingsError

if TYPE_CHECKING:
    import argparse

    from bolt_tui.commands.context import Context
    from bolt_tui.faults.campaign import Make, Tally
    from bolt_tui.faults.schedule import Act, Crash, Fault, Mix

SEEDS = 100
SHRUNK_MAX = 3
"""Failing seeds that are shrunk."""
NUMBER_MAX = 10**9
JOBS_MAX = 256
"""Worker processes: each is a copy of this one, with an engine of its own."""
MIXED = ("faults", "steps", "orders", "market")


class Source(msgspec.Struct, frozen=True):
    """Where the schedules come from: a mix and seeds, or a file."""

    make: Make
    seeds: Sequence[int]
    mix: Mix | None
    words: str
    """The options that name it, for a command that plays a schedule again."""


def faults(context: Context) -> Exit:
    """Play seeded schedules, or those of a file, and judge them."""
    from bolt_tui.faults.campaign import campaign
    from bolt_tui.faults.scratch import scratch
    from engine.domain.clock import SystemClock

    args = context.args
    source = _source(args)
    dump = _make_dump(Path(args.dump)) if args.dump else None
    if args.only is not None:
        return _one(context, source, dump)
    clock = SystemClock()
    began_ns = clock.monotonic_ns()
    tally = campaign(
        source.seeds,
        source.make,
        min(args.jobs or os.cpu_count() or 1, len(source.seeds)),
        dump,
        lambda now: _progress(context, now, len(source.seeds)),
    )
    context.out.progress_end()
    seconds = (clock.monotonic_ns() - began_ns) / 1e9
    with scratch() as folder:
        shrunk = [_shrunk(folder, source, verdict.seed) for verdict in tally.failing[:SHRUNK_MAX]]
    _report(context, tally, source, seconds, shrunk)
    return Exit.OK if tally.is_good else Exit.INCOMPLETE


def _source(args: argparse.Namespace) -> Source:
    """What the command line asks for, checked whole before anything is played."""
    from bolt_tui.faults.mix import read_mix, read_schedules
    from bolt_tui.faults.schedule import make

    for name, least, most in (("seeds", 1, NUMBER_MAX), ("seed", 0, NUMBER_MAX), ("jobs", 0, JOBS_MAX)):
        given = getattr(args, name)
        if given is not None and not least <= given <= most:
            raise SettingsError(f"--{name} was {given}; give a number from {least} to {most}")
    mixed = {name: getattr(args, name) for name in MIXED if getattr(args, name)}
    words = "".join(f" --{name} {value}" for name, value in mixed.items())
    if not args.schedule:
        mix = read_mix(**mixed)
        first = 1 if args.seed is None else args.seed
        return Source(partial(make, mix=mix), range(first, first + (args.seeds or SEEDS)), mix, words)
    if words or args.seeds is not None:
        raise SettingsError(f"--schedule plays what its file says; leave out{words or ' --seeds'}")
    found = read_schedules(Path(args.schedule))
    if args.seed is not None and args.seed not in found:
        raise SettingsError(f"{args.schedule} has no schedule with seed {args.seed}; it has {_few(found)}")
    seeds = list(found) if args.seed is None else [args.seed]
    return Source(found.__getitem__, seeds, None, f" --schedule {shlex.quote(args.schedule)}")


def _few(seeds: Iterable[int]) -> str:
    words = [str(seed) for seed in seeds]
    return ", ".join(words[:10]) + (" ..." if len(words) > 10 else "")


def _progress(context: Context, tally: Tally, total: int) -> None:
    if tally.schedules % 20 == 0:
        context.out.progress(f"bolt: {tally.schedules} of {total} schedules, {len(tally.failing)} fail")


def _make_dump(dump: Path) -> Path:
    from bolt_tui.faults import recount

    try:
        dump.mkdir(parents=True, exist_ok=True)
        if any(path.name != "recount.py" for path in dump.iterdir()):
            raise SettingsError(
                f"--dump {dump} holds something already; a recount would count it too. Name a new folder"
            )
        shutil.copyfile(str(recount.__file__), dump / "recount.py")
    except OSError as error:
        raise SettingsError(f"--dump {dump} cannot be made a folder: {error.strerror}; name another") from None
    return dump


def _shrunk(folder: Path, source: Source, seed: int) -> str:
    from bolt_tui.faults.campaign import Lab

    place = folder / str(seed)
    place.mkdir()
    short = Lab(place).shrink(source.make(seed))
    return f"bolt faults --seed {seed}{source.words} --only {','.join(short.names()) or 'a0'}"


def _one(context: Context, source: Source, dump: Path | None) -> Exit:
    """Play one schedule, or some of its parts, and tell it whole."""
    from bolt_tui.faults.campaign import Lab
    from bolt_tui.faults.scratch import scratch

    schedule = source.make(source.seeds[0])
    names = [name for name in context.args.only.split(",") if name and name != "a0"]
    unknown = sorted(set(names) - set(schedule.names()) - {"all"})
    if unknown:
        raise SettingsError(
            f"--only: seed {schedule.seed} has no part {unknown[0]!r}; it has {', '.join(schedule.names())}"
        )
    if "all" not in names:
        schedule = schedule.only(names)
    with scratch() as folder:
        verdict = Lab(folder, dump).verdict(schedule, keep=f"{schedule.seed:06d}")
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


def _report(context: Context, tally: Tally, source: Source, seconds: float, shrunk: list[str]) -> None:
    from bolt_tui.faults.campaign import COUNTED, RULES
    from bolt_tui.faults.person import RESOLVED_NS_MAX
    from bolt_tui.faults.schedule import NONE, STEPS

    counts = {name: getattr(tally, name) for name in ("schedules", *COUNTED, "kills", "faults", "lives", *RULES)}
    context.out.object(
        "faults",
        {
            **counts,
            "ok": tally.is_good,
            "resolved_s_max": round(tally.resolved_ns_max / 1e9, 3),
            "resolved_s_limit": RESOLVED_NS_MAX / 1e9,
            "seconds": round(seconds, 1),
            "matrix": tally.matrix,
            "cells_empty": 0 if source.mix is None else len(tally.empty(source.mix)),
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
