"""What every test gets: a state folder of its own, an interrupt that arrives, and property tests that no slow machine fails."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.leftovers import end_those_under

if TYPE_CHECKING:
    from tests.store.server import Server

# Hundreds of tests start a Python of their own. Where a variable forbids to keep compiled code, each of them compiles every
# library anew: collecting the tests alone took 20 s instead of 6.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile("bolt", deadline=None, derandomize=True)
settings.load_profile("bolt")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave five thousand collected tests alone: each full collection of garbage would look through all of them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def bolt_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep tests out of the user's own state: a ledger of a real desk may live in the default BOLT_HOME."""
    home = tmp_path_factory.mktemp("bolt_home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOLT_HOME", str(home))
        yield home


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A failing test may lose sight of an engine, a venue or a watchdog: they are ended, and named."""
    yield
    left = end_those_under(tmp_path_factory.getbasetemp())
    assert not left, "tests left processes running:\n" + "\n".join(f"{pid} {words}" for pid, words in left.items())


@pytest.fixture(scope="session", autouse=True)
def interrupt_arrives() -> Iterator[None]:
    """Hear SIGINT also where a script started the tests with `&`: such a shell ignores it, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def calendars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled calendars of all workers together: a process with pandas each, which only those need that test the compiling."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "calendars"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def server() -> "Iterator[Server]":
    """A PostgreSQL server for all tests of this process; each takes a database of its own."""
    from tests.store.server import running

    with running() as made:
        yield made
