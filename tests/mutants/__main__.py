"""Takes out one guard at a time, in a copy of the source, and runs the tests that hold it: each must turn red.

    python -m tests.mutants                      all, two at a time; writes the table of docs/never-twice.md
    python -m tests.mutants --only fill          those whose name holds a word
    python -m tests.mutants --list               what there is

It ends with 1 where a mutant survived, or where the text of a guard is not found any more.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
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
    try:
        ran = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        red, trouble = _RED.search(ran.stdout), ""
        if ran.returncode not in {0, 1, 2} or (ran.returncode and red is None):
            trouble = f"pytest ended with {ran.returncode}: {(ran.stdout + ran.stderr)[-300:]}"
    except subprocess.TimeoutExpired:
        return Outcome(mutant, f"no end within {LIMIT_S} s", "", time.monotonic() - begin)
    finally:
        path.write_text(source, "utf-8")
    return Outcome(mutant, red.group(1) if red else "", trouble, time.monotonic() - begin)


def run_all(mutants: list[Mutant], workers: int) -> list[Outcome]:
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
    parser.add_argument("--only", default="", help="only mutants whose name holds this word")
    parser.add_argument("--list", action="store_true", help="say what there is and end")
    parser.add_argument("--workers", type=int, default=2, help="copies that are broken at the same time (default: 2)")
    args = parser.parse_args()
    mutants = [mutant for mutant in all_mutants() if args.only in mutant.name]
    if args.list:
        print("\n".join(f"{mutant.name:32} {mutant.guard}" for mutant in mutants))
        return 0
    outcomes = run_all(mutants, args.workers)
    lived = [outcome for outcome in outcomes if not outcome.red]
    if not args.only:
        write_page(outcomes)
    print(f"{len(outcomes)} mutants, {len(outcomes) - len(lived)} red, {len(lived)} not")
    return 1 if lived else 0


if __name__ == "__main__":
    sys.exit(main())
