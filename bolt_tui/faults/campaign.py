"""Many schedules: played by worker processes, judged by the recount, added up to a matrix, and shrunk where one fails."""

from __future__ import annotations

import gc
import json
import os
import selectors
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from bolt_tui.faults import recount as recounting
from bolt_tui.faults.life import preload
from bolt_tui.faults.person import RESOLVED_NS_MAX
from bolt_tui.faults.run import play
from bolt_tui.faults.schedule import FAULTS, NONE, ORDERS, Mix, Schedule
from bolt_tui.faults.scratch import LabError, be_ended_by_others, scratch
from bolt_tui.faults.world import Outcome
from bolt_tui.resources import data_file
from engine.domain.clock import NS_PER_S
from engine.domain.errors import BoltError
from engine.domain.events import encode
from engine.risk.policy import PolicyHolder

SHRINK_MAX = 400
"""Runs that a shrink may take."""
CAUGHT_UP_NS = 3 * NS_PER_S
"""So long after the last fault everything is as if there had been none."""
RULES = ("lost", "doubled", "unresolved", "short", "leaked", "broken")
"""What must be 0: ``short`` counts wishes that the run without faults brought to the venue and this one did not, although none of
its own faults refused them; ``leaked`` new orders that left behind a shut gate; ``broken`` engines that ended by themselves.
"""
COUNTED = ("sent", "accepted", "wishes", "wishes_quiet", "wishes_refused")

Make = Callable[[int], Schedule]
"""The schedule of a seed."""
_Worked = dict[str, dict[str, int]]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one seed came to."""

    seed: int
    sent: int
    accepted: int
    wishes: int
    """Orders that were asked for and that the venue took, an order and its children as one."""
    wishes_quiet: int
    """The same in the run without faults."""
    wishes_refused: int
    """Those that a fault of the schedule refused."""
    lost: int
    doubled: int
    unresolved: int
    short: int
    leaked: int
    broken: int
    fired: tuple[str, ...]
    crashed: tuple[str, ...]
    lives: int
    resolved_ns: int
    findings: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether every rule holds."""
        return not any(getattr(self, rule) for rule in RULES)


def lab_policy(folder: Path) -> PolicyHolder:
    """The shipped limits, with a short hold before a re-arm: the person of the laboratory has looked by then."""
    text = data_file("policy.yaml").read_text(encoding="utf-8")
    known = "rearm_hold_s: 60"
    if known not in text:
        raise LabError(f"the shipped policy.yaml has no {known!r}; the laboratory shortens it")
    path = folder / "policy.yaml"
    path.write_text(text.replace(known, "rearm_hold_s: 2"), encoding="utf-8")
    return PolicyHolder.from_file(path)


class Lab:
    """Plays schedules on folders of its own; a parent whose engines are forked with everything loaded."""

    def __init__(self, folder: Path, dump: Path | None = None) -> None:
        self.folder = folder
        self.dump = dump
        self.policy = lab_policy(folder)
        self._number = 0
        (folder / "first").mkdir()
        preload(folder / "first", self.policy)

    def verdict(self, schedule: Schedule, *, keep: str = "") -> Verdict:
        """Play a schedule, and the same orders without faults and crashes, and judge them."""
        quiet, quiet_count = self.play(schedule.quiet())
        out, count = self.play(schedule, keep)
        findings = [f"without faults: {text}" for text in (*quiet_count["findings"], *_told(quiet))]
        findings += [*count["findings"], *_told(out)]
        wanted, got = _whole(schedule, quiet_count["wishes"]), _whole(schedule, count["wishes"])
        refused = _whole(schedule, count["refused"])
        missing = sorted(wanted - got - refused)
        findings += [f"short: {name} reached the venue without faults, and not with them" for name in missing]
        idle = _idle(schedule, out, count["worked"], quiet_count["worked"])
        findings += [f"short: {text}" for text in idle]
        extra = sorted(got - wanted)
        findings += [f"doubled: {name} reached the venue, and did not without faults" for name in extra]
        is_late = out.resolved_ns < 0 or out.resolved_ns > RESOLVED_NS_MAX
        if is_late and not out.broke:
            findings.append(
                f"unresolved: not equal to the venue within {RESOLVED_NS_MAX // NS_PER_S} s of the last fault"
            )
        return Verdict(
            seed=schedule.seed,
            sent=count["sent"],
            accepted=count["accepted"],
            wishes=len(got),
            wishes_quiet=len(wanted),
            wishes_refused=len(refused - got),
            lost=count["lost"] + quiet_count["lost"],
            doubled=count["doubled"] + quiet_count["doubled"] + len(extra),
            unresolved=max(count["unresolved"] + quiet_count["unresolved"], len(out.unresolved), int(is_late)),
            short=len(missing) + len(idle) + len(out.unsettled) + len(quiet.unsettled) + (not count["sent"]),
            leaked=len(out.leaked) + len(quiet.leaked),
            broken=bool(out.broke) + bool(quiet.broke),
            fired=tuple(out.fired),
            crashed=tuple(out.crashed),
            lives=out.lives + quiet.lives,
            resolved_ns=out.resolved_ns,
            findings=tuple(findings),
        )

    def play(self, schedule: Schedule, keep: str = "") -> tuple[Outcome, dict[str, Any]]:
        """Play a schedule on a folder of its own; what came of it, and the recount."""
        self._number += 1
        folder = self.folder / f"run{self._number}"
        folder.mkdir()
        try:
            out, log = play(schedule, folder, self.policy)
            count = recounting.recount(log, folder / "ledger.db")
            if keep and self.dump is not None:
                _keep(folder, schedule, log, self.dump / keep)
        finally:
            shutil.rmtree(folder)
        return out, count

    def shrink(self, schedule: Schedule) -> Schedule:
        """The shortest schedule found that still fails: parts are left out, one at a time, until none can be."""
        names, runs = schedule.names(), 0
        is_shorter = True
        while is_shorter and runs < SHRINK_MAX:
            is_shorter = False
            for name in list(names):
                kept = [one for one in names if one != name]
                runs += 1
                if not self.verdict(schedule.only(kept)).is_good:
                    names, is_shorter = kept, True
        return schedule.only(names)


def _whole(schedule: Schedule, wishes: Sequence[str]) -> set[str]:
    """Wishes, the lines of a basket as one: after a crash between them the rest is not sent late."""
    baskets = {act.name for act in schedule.acts if act.do == "order" and ORDERS[act.order].basket is not None}
    return {name if (head := name.partition("#")[0]) not in baskets else head for name in wishes}


def _keep(folder: Path, schedule: Schedule, log: list[dict[str, Any]], target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        (target / "schedule.json").write_bytes(encode(schedule) + b"\n")
        (target / "venue.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log), encoding="utf-8")
        for path in folder.glob("ledger.db*"):
            shutil.copy2(path, target / path.name)
    except OSError as error:
        msg = f"--dump {target} cannot be written: {error.strerror}; name a folder on a disk with room"
        raise LabError(msg) from None


def _idle(schedule: Schedule, out: Outcome, worked: _Worked, quiet: _Worked) -> list[str]:
    """Schedules that did less than without faults, although nothing stood in their way: an engine that forgets their rest.

    What a halt has stopped stays stopped when a person rearms: three orders lost sight of by a crash and one more by a lost answer
    are more unknown ones than the policy allows.
    """
    rows = {act.name: ORDERS[act.order] for act in schedule.acts if act.do == "order"}
    is_ended = any(act.do in {"kill", "cancel_all"} for act in schedule.acts)
    if is_ended or "bust" in out.fired:
        return []
    found = []
    for name, work in worked.items():
        half_ns = (work["begin_ns"] + work["end_ns"]) // 2
        was_free = out.troubled_ns + CAUGHT_UP_NS < half_ns
        row = rows[name.partition("#")[0]]
        is_stopped = work["halted"] and not quiet[name]["halted"]
        if row.catches_up and was_free and not is_stopped and work["done"] < quiet[name]["done"]:
            found.append(f"{name} did {work['done']} along its schedule, and {quiet[name]['done']} without faults")
    return found


def _told(out: Outcome) -> list[str]:
    found = [f"unresolved: {text}" for text in out.unresolved]
    found += [f"leaked: {wire_id} left behind a shut gate" for wire_id in out.leaked]
    found += [f"short: {name} came to nothing in all the time" for name in out.unsettled]
    return found + ([f"broken: {out.broke}"] if out.broke else [])


class Tally(msgspec.Struct, kw_only=True):
    """The sums of a campaign."""

    schedules: int = 0
    sent: int = 0
    accepted: int = 0
    wishes: int = 0
    wishes_quiet: int = 0
    wishes_refused: int = 0
    lost: int = 0
    doubled: int = 0
    unresolved: int = 0
    short: int = 0
    leaked: int = 0
    broken: int = 0
    lives: int = 0
    kills: int = 0
    faults: int = 0
    resolved_ns_max: int = 0
    matrix: dict[str, dict[str, dict[str, int]]] = msgspec.field(
        default_factory=lambda: {kind: {} for kind in (NONE, *FAULTS)}
    )
    """By fault that happened and point at which an engine was killed: schedules, and those of them that fail."""
    failing: list[Verdict] = msgspec.field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one seed."""
        self.schedules += 1
        for name in (*COUNTED, "lives", *RULES):
            setattr(self, name, getattr(self, name) + getattr(verdict, name))
        self.kills += len(verdict.crashed)
        self.faults += len(verdict.fired)
        self.resolved_ns_max = max(self.resolved_ns_max, verdict.resolved_ns)
        for kind in dict.fromkeys(verdict.fired or (NONE,)):
            for point in dict.fromkeys(verdict.crashed or (NONE,)):
                cell = self.matrix[kind].setdefault(point, {"schedules": 0, "failed": 0})
                cell["schedules"] += 1
                cell["failed"] += not verdict.is_good
        if not verdict.is_good:
            self.failing.append(verdict)

    @property
    def is_good(self) -> bool:
        """The passing rule; a campaign that sent nothing fails."""
        return bool(self.sent) and not self.failing

    def empty(self, mix: Mix) -> list[tuple[str, str]]:
        """Pairs of a fault and a point of a mix that no schedule has met."""
        return [(kind, point) for kind in mix.faults for point in mix.points if point not in self.matrix[kind]]


def campaign(
    seeds: Sequence[int],
    make: Make,
    jobs: int,
    dump: Path | None,
    told: Callable[[Tally], object],
    *,
    fails_max: int = 20,
) -> Tally:
    """Judge the schedule of every seed with some worker processes; ends early after ``fails_max`` failures.

    No thread may run in this process: the workers are forked from it, and the engines from them.

    Raises:
        LabError: where a worker ended before it had judged all of its share.
    """
    gc.collect()
    gc.freeze()
    tally = Tally()
    with scratch() as folder:
        workers: list[_Worker] = []
        try:
            for number in range(jobs):
                workers.append(_Worker(folder / f"worker{number}", seeds[number::jobs], make, dump, workers))
            for verdict in _verdicts(workers):
                tally.add(verdict)
                told(tally)
                if len(tally.failing) >= fails_max:
                    break
        finally:
            for worker in workers:
                worker.reader.close()
            for worker in workers:
                os.waitpid(worker.pid, 0)
    gc.unfreeze()
    if tally.schedules < len(seeds) and len(tally.failing) < fails_max:
        msg = (
            f"{tally.schedules} of {len(seeds)} schedules were judged: a worker of the laboratory failed, as said above"
        )
        raise LabError(msg)
    return tally


class _Worker:
    """A forked process that judges its share of the seeds and writes a line for each. It ends when nobody reads them."""

    def __init__(
        self, folder: Path, seeds: Sequence[int], make: Make, dump: Path | None, others: Sequence[_Worker]
    ) -> None:
        self.reader: BinaryIO
        ours, theirs = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                be_ended_by_others()
                os.close(ours)
                for other in others:
                    other.reader.close()  # a copy of it here would keep that one at work
                folder.mkdir()
                lab = Lab(folder, dump)
                with os.fdopen(theirs, "wb") as out:
                    for seed in seeds:
                        verdict = lab.verdict(make(seed), keep=f"{seed:06d}")
                        out.write(encode(verdict) + b"\n")
                        out.flush()
                code = 0
            except BrokenPipeError:
                code = 0
            except (BoltError, OSError) as error:
                print(f"bolt: the laboratory cannot go on: {error}", file=sys.stderr)
            except Exception:  # loop edge: told here; the verdicts that are missing then fail the campaign
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(theirs)
        self.reader = os.fdopen(ours, "rb")


def _verdicts(workers: Sequence[_Worker]) -> Iterator[Verdict]:
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.reader, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                line = key.fileobj.readline()  # type: ignore[union-attr] # a file it was registered with
                if line:
                    yield VERDICT.decode(line)
                else:
                    selector.unregister(key.fileobj)


VERDICT = msgspec.json.Decoder(Verdict)
