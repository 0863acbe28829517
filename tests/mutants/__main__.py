"""Takes out one guard at a time, in a copy of the source, and runs the tests that hold it: each must turn red.

    python -m tests.mutants                      all, two at a time; writes the table of docs/never-twice.md
    python -m tests.mutants --only fill          those whose name holds a word, or one of several: fill,kill-6
    python -m tests.mutants --kept runs.jsonl    go on where a run with this file was broken off
    python -m tests.mutants --kept runs.jsonl --shard 2/3    the second of three parts; the last part to end writes the table
    python -m tests.mutants --list               what there is

What a kept run found counts again where neither the mutated file nor a test it named has changed since. It ends with 1 where a
mutant survived, or where the text of a guard is not found any more.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.guards import GUARDS, Mutant
from tests.mutants.rows import controls, doubts

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "never-twice.md"
BEGIN, END = "<!-- mutants: written by `make mutants` -->\n", "<!-- end of mutants -->\n"
COPIED = (
    "engine",
    "brokers",
    "bolt_tui",
    "widgets",
    "themes",
    "tests",
    "docs",
    "policy.yaml",
    "pyproject.toml",
    "Makefile",
)
LIMIT_S = 300
_RED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    mutant: Mutant
    red: str
    """The first test that failed; empty where none did."""
    trouble: str
    """Why nothing could be run; empty where it could."""
    seconds: float


def fingerprint(mutant: Mutant) -> str:
    """What an outcome rests on: the mutant, the file that it breaks and the tests that it names."""
    named = [ROOT / word for word in mutant.tests if word.startswith("tests/")]
    paths = sorted({path for one in named for path in ([one] if one.is_file() else one.rglob("*.py"))})
    parts = [repr(mutant).encode(), *(path.read_bytes() for path in (ROOT / mutant.file, *paths))]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


class Kept:
    """Outcomes of runs before, a line each in a file; nothing is kept without one."""

    def __init__(self, path: Path | None, mutants: list[Mutant]) -> None:
        self._path = path
        self._prints = {mutant.name: fingerprint(mutant) for mutant in mutants}
        rows = path.read_text("utf-8").splitlines() if path is not None and path.exists() else []
        found = {row["name"]: row for row in map(json.loads, rows)}
        self.outcomes = {
            mutant.name: Outcome(mutant, found[mutant.name]["red"], "", found[mutant.name]["seconds"])
            for mutant in mutants
            if mutant.name in found and found[mutant.name]["print"] == self._prints[mutant.name]
        }

    def add(self, outcome: Outcome) -> None:
        """Keep one; not what could not be run."""
        name = outcome.mutant.name
        if outcome.trouble:
            return
        self.outcomes[name] = outcome
        if self._path is not None:
            row = {"name": name, "print": self._prints[name], "red": outcome.red, "seconds": round(outcome.seconds, 1)}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def part_of(mutants: list[Mutant], shard: str) -> list[Mutant]:
    """The mutants of one part, ``2/3``; all where the word is empty."""
    if not shard:
        return mutants
    number, _, count = shard.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        sys.exit(f"--shard was {shard!r}; give a part and how many there are, such as 2/3")
    return mutants[int(number) - 1 :: int(count)]


def all_mutants() -> list[Mutant]:
    """Every guard there is."""
    return [*GUARDS, *controls(), *doubts(ROOT)]


def copy_source(folder: Path) -> Path:
    """A copy of the source to break."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, folder / name)
    return folder


def run(mutant: Mutant, folder: Path) -> Outcome:
    """Break the copy, run the tests, mend it again."""
    begin = time.monotonic()
    path = folder / mutant.file
    source = path.read_text("utf-8")
    if source.count(mutant.old) != 1:
        found = f"its text stands {source.count(mutant.old)} times in {mutant.file}, not once; mend tests/mutants"
        return Outcome(mutant, "", found, 0.0)
    path.write_text(source.replace(mutant.old, mutant.new), "utf-8")
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *mutant.tests]
    pipe = subprocess.PIPE
    ran = subprocess.Popen(words, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    try:
        out, err = ran.communicate(timeout=LIMIT_S)
        red, trouble = _RED.search(out), ""
        if ran.returncode not in {0, 1, 2} or (ran.returncode and red is None):
            trouble = f"pytest ended with {ran.returncode}: {(out + err)[-300:]}"
    except subprocess.TimeoutExpired:
        return Outcome(mutant, f"no end within {LIMIT_S} s", "", time.monotonic() - begin)
    finally:
        # A test that hangs has started servers and engines: they would go on for ever.
        with suppress(ProcessLookupError):
            os.killpg(ran.pid, signal.SIGKILL)
        ran.communicate()
        path.write_text(source, "utf-8")
    return Outcome(mutant, red.group(1) if red else "", trouble, time.monotonic() - begin)


def run_all(mutants: list[Mutant], workers: int, kept: Kept) -> list[Outcome]:
    """Run them, each worker in a copy of its own."""
    with tempfile.TemporaryDirectory(prefix="bolt-mutants-") as top:
        folders: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            folders.put(copy_source(Path(top) / str(number)))

        def work(mutant: Mutant) -> Outcome:
            folder = folders.get()
            try:
                outcome = run(mutant, folder)
            finally:
                folders.put(folder)
            word = "red" if outcome.red else "SURVIVED" if not outcome.trouble else "TROUBLE"
            said = outcome.red or outcome.trouble or mutant.guard
            kept.add(outcome)
            print(f"{word:8} {mutant.name:32} {outcome.seconds:5.1f} s  {said}", flush=True)
            return outcome

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(work, mutants))


def table(outcomes: list[Outcome]) -> str:
    """The table of the docs page."""
    rows = ["| mutant | guard that was taken out | test that turns red |", "|---|---|---|"]
    for outcome in outcomes:
        guard = outcome.mutant.guard.replace("|", "\\|")
        rows.append(f"| {outcome.mutant.name} | {guard} | `{outcome.red or 'none'}` |")
    return "\n".join(rows) + "\n"


def write_page(outcomes: list[Outcome]) -> None:
    """Put the table into the docs page."""
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n{table(outcomes)}\n{END}{tail}", "utf-8")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="only mutants whose name holds this word, or one of several")
    parser.add_argument("--shard", default="", metavar="I/N", help="only the Ith of N parts")
    parser.add_argument("--kept", type=Path, metavar="FILE", help="keep outcomes there, and go on from those it holds")
    parser.add_argument("--list", action="store_true", help="say what there is and end")
    parser.add_argument("--workers", type=int, default=2, help="copies that are broken at the same time (default: 2)")
    args = parser.parse_args()
    every = all_mutants()
    words = args.only.split(",")
    mutants = part_of([mutant for mutant in every if any(word in mutant.name for word in words)], args.shard)
    if args.list:
        print("\n".join(f"{mutant.name:32} {mutant.guard}" for mutant in mutants))
        return 0
    kept = Kept(args.kept, every)
    before = [kept.outcomes[mutant.name] for mutant in mutants if mutant.name in kept.outcomes]
    outcomes = before + run_all([one for one in mutants if one.name not in kept.outcomes], args.workers, kept)
    lived = [outcome for outcome in outcomes if not outcome.red]
    known = {outcome.mutant.name: outcome for outcome in outcomes} | kept.outcomes
    if all(mutant.name in known for mutant in every):
        write_page([known[mutant.name] for mutant in every])
    print(f"{len(outcomes)} mutants, {len(outcomes) - len(lived)} red, {len(lived)} not")
    return 1 if lived else 0


if __name__ == "__main__":
    sys.exit(main())
