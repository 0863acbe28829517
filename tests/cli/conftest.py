"""A state folder of each test's own, an engine door behind its socket, and a command line to call."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bolt_tui.cli import main
from bolt_tui.settings import Home, open_home
from tests.server.fakes import Served, serving


@dataclass
class Ran:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        (line,) = self.out.splitlines()
        made = json.loads(line)
        assert isinstance(made, dict)
        return made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = open_home(tmp_path / "bolt")
    monkeypatch.setenv("BOLT_HOME", str(made.root))
    return made


@pytest.fixture
def engine(home: Home) -> Iterator[Served]:
    with serving(home.socket) as served:
        yield served


@pytest.fixture
def bolt(home: Home, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*words: str) -> Ran:
        capsys.readouterr()
        code = main(list(words))
        captured = capsys.readouterr()
        return Ran(int(code), captured.out, captured.err)

    return run
