"""How the repository is kept: lengths, clocks, exceptions and paths. Each rule is read from the source, none from memory.

The rules live in `rules.py`, so that each can be shown a planted fault and must find it.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.project import rules

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bolt_tui", "widgets", "engine", "brokers")


def sources(*folders: str) -> list[tuple[str, str]]:
    """Return the name and the text of every module in the folders."""
    return [
        (path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    ]


def tracked() -> list[Path]:
    """Return the files that git would commit."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        pytest.skip("this is not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_source_is_tidy() -> None:
    """Every rule on one module after another, so that each module is parsed once."""
    found = [fault for name, text in sources(*PACKAGES) for rule in rules.SOURCE_RULES for fault in rule(name, text)]
    assert not found, "\n" + "\n".join(found)


def test_every_type_ignore_names_its_code() -> None:
    found = [fault for name, text in sources(*PACKAGES, "tests") for fault in rules.bare_ignores(name, text)]
    assert not found, "\n" + "\n".join(found)


def test_no_machine_path_is_committed() -> None:
    """A path of one developer's machine works nowhere else."""
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += rules.machine_paths(path.relative_to(ROOT).as_posix(), text)
    assert not found, "\n" + "\n".join(found)


def test_no_allowance_outlives_its_module() -> None:
    """An exception granted to a file that is gone would be granted to the next file of that name."""
    gone = [name for name in rules.CLOCK_ALLOWED if not (ROOT / name).exists() and name not in rules.CLOCK_PLANNED]
    assert not gone


PLANTED: list[tuple[Callable[[str, str], list[str]], str]] = [
    (rules.long_functions, "def f():\n" + "    x = 1\n" * 70),
    (rules.long_modules, "x = 1\n" * 601),
    (rules.direct_clocks, "import time\nnow = time.time()\n"),
    (rules.direct_clocks, "from time import monotonic_ns as now\n"),
    (rules.direct_clocks, "import datetime as dt\nnow = dt.datetime.now(dt.UTC)\n"),
    (rules.direct_clocks, "from datetime import datetime, UTC\nnow = datetime.now(UTC)\n"),
    (rules.direct_clocks, "import os\nx = os.urandom(5)\n"),
    (rules.direct_clocks, "import random\n"),
    (rules.direct_clocks, "from uuid import uuid4\n"),
    (rules.direct_clocks, "import numpy as np\nx = np.random.default_rng()\n"),
    (rules.broad_excepts, "try:\n    f()\nexcept Exception:\n    pass\n"),
    (rules.broad_excepts, "try:\n    f()\nexcept (ValueError, BaseException):\n    pass\n"),
    (rules.broad_excepts, "try:\n    f()\nexcept:\n    pass\n"),
    (rules.broad_excepts, "import contextlib\nwith contextlib.suppress(Exception):\n    f()\n"),
    (rules.bare_ignores, "x = 1  # type: " + "ignore\n"),
    (rules.machine_paths, "see " + "/wo" + "rk/main\n"),
    (rules.machine_paths, "see " + "/ro" + "ot/.cache\n"),
    (rules.machine_paths, "see " + "/ho" + "me/ann/bolt\n"),
]


@pytest.mark.parametrize(("rule", "text"), PLANTED)
def test_each_rule_finds_a_planted_fault(rule: Callable[[str, str], list[str]], text: str) -> None:
    """A rule that never failed has not been tested."""
    assert rule("engine/planted.py", text)


CLEAN = [
    "import time\n\n\ndef pause(seconds: float) -> None:\n    time.sleep(seconds)\n",
    "from datetime import UTC, datetime\nepoch = datetime(1970, 1, 1, tzinfo=UTC)\n",
    "try:\n    f()\nexcept Exception as error:  # loop edge: counted and journaled\n    count(error)\n",
    "try:\n    f()\nexcept ValueError:\n    pass\n",
    "x = f()  # type: " + "ignore[arg-type]\n",
    "url = 'https://example.org/work/main'\n",
    "def f(clock):\n    return clock.time()\n",
]


@pytest.mark.parametrize("text", CLEAN)
def test_no_rule_complains_about_clean_code(text: str) -> None:
    everything = (*rules.SOURCE_RULES, rules.bare_ignores, rules.machine_paths)
    assert not [fault for rule in everything for fault in rule("engine/clean.py", text)]
