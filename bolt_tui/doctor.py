"""`bolt doctor`: looks at everything Bolt depends on, changes nothing, and says of each thing what to do."""

from __future__ import annotations

import platform
import stat
import sys
from collections.abc import Callable

import msgspec

from bolt_tui.client import ClientError, EngineClient
from bolt_tui.endpoint import find_socket, is_listening
from bolt_tui.resources import InstallationError, check_packages, version
from bolt_tui.settings import Environment, Home, environment, home_path, load_settings
from engine.domain.errors import BoltError, SettingsError


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    text: str
    todo: str = ""
    """The next step where it is not ok."""


def examine(env: Environment | None = None) -> list[Finding]:
    """Look at everything, in the order in which things depend on each other."""
    env = env or environment()
    home = Home(root=home_path(env))
    checks: list[Callable[[], Finding]] = [_python, _packages, lambda: _terminal(env), lambda: _folder(home)]
    if home.root.exists():
        checks += [
            lambda: _settings(home),
            lambda: _policy(home),
            lambda: _latch(home),
            lambda: _ledger(home),
            lambda: _engine(home),
            lambda: _venue(home),
        ]
    return [check() for check in checks]


def _python() -> Finding:
    found = f"Bolt {version()} on Python {platform.python_version()}, {sys.platform}"
    is_known = sys.platform.startswith("linux") or sys.platform == "darwin"
    return Finding("python", is_known, found, "" if is_known else "run Bolt on Linux, macOS or WSL")


def _packages() -> Finding:
    try:
        check_packages()
    except InstallationError as error:
        return Finding("packages", False, str(error), "install bolt-tui in an environment of its own")
    return Finding("packages", True, "the four packages lie side by side")


def _terminal(env: Environment) -> Finding:
    words = f"TERM={env.term or 'not set'}, COLORTERM={env.colour or 'not set'}, locale {env.locale or 'not set'}"
    words += ", behind SSH: 4 pictures a second" if env.is_remote else ""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    if env.term in {"", "dumb"} and sys.stdout.isatty():
        return Finding("terminal", False, words, "set TERM to what your terminal is, such as xterm-256color")
    return Finding("terminal", is_utf8, words, "" if is_utf8 else "use a UTF-8 locale, such as LANG=C.UTF-8")


def _folder(home: Home) -> Finding:
    import os

    try:
        found = home.root.stat()
    except FileNotFoundError:
        return Finding("state folder", True, f"{home.root} is not there yet; the first start makes it")
    if found.st_uid != os.getuid():
        todo = "set BOLT_HOME to a folder of your own"
        return Finding("state folder", False, f"{home.root} belongs to user number {found.st_uid}", todo)
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        return Finding(
            "state folder", False, f"{home.root} is open to others (mode {mode:03o})", f"chmod 700 {home.root}"
        )
    if not os.access(home.root, os.W_OK | os.X_OK):
        todo = f"chmod 700 {home.root}, or set BOLT_HOME to a folder on a disk that can be written"
        return Finding("state folder", False, f"{home.root} cannot be written: no engine can start on it", todo)
    return Finding("state folder", True, f"{home.root}, yours alone")


def _settings(home: Home) -> Finding:
    from bolt_tui import keymap, themes

    try:
        desk = load_settings(home).desk
        themes.chosen(desk.theme, themes.shipped())
        keymap.remapped(desk.keys)
    except BoltError as error:
        return Finding("settings", False, str(error), f"correct {home.settings}")
    return Finding("settings", True, str(home.settings) if home.settings.exists() else "none; the defaults hold")


def _policy(home: Home) -> Finding:
    from engine.risk.policy import check_file

    if not home.policy.exists():
        return Finding("policy", True, "none yet; the first start copies the shipped one")
    problems = check_file(home.policy)
    if problems:
        todo = f"correct {home.policy}; `bolt policy check` lists every fault"
        return Finding("policy", False, str(problems[0]), todo)
    return Finding("policy", True, f"{home.policy} can be used")


def _latch(home: Home) -> Finding:
    from engine.domain.events import TradingState
    from engine.risk.latch import Latch, sentinel

    if sentinel(home.root) is not None:
        return Finding(
            "latch",
            False,
            f"{home.sentinel} is there: trading is halted",
            f"remove it, then `bolt rearm`: {home.sentinel}",
        )
    if not home.latch.exists():
        if home.is_used:
            return Finding(
                "latch", False, "missing beside a used ledger: trading is halted", "find out why, then `bolt rearm`"
            )
        return Finding("latch", True, "none yet; the first start makes it")
    latch = Latch.attach(home.latch)
    try:
        state = latch.read()
        fault = latch.fault
    finally:
        latch.close()
    text = f"{state}{f'; {fault}' if fault else ''}"
    is_active = state is TradingState.ACTIVE
    return Finding("latch", is_active, text, "" if is_active else "`bolt status` says why; `bolt rearm` lifts it")


def _engine(home: Home) -> Finding:
    try:
        path = find_socket(home)
        if not is_listening(path):
            return _no_engine(home)
        with EngineClient(path) as client:
            status = client.view().status
    except (ClientError, BoltError) as error:
        return Finding("engine", False, str(error), f"look at {home.logs / 'engine.log'}; end the process with SIGTERM")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Finding("engine", False, f"socket {path} is open to others (mode {mode:03o})", f"chmod 600 {path}")
    return Finding(
        "engine", True, f"process {status.pid}, {status.mode}, {status.halt.state}, journal at {status.head_seq}"
    )


def _no_engine(home: Home) -> Finding:
    """No engine is no fault; orders that nobody looks after are one."""
    from bolt_tui.stored import open_stored

    try:
        stored = open_stored(home)
        working = 0 if stored is None else stored.status().orders_working
    except BoltError:
        working = 0  # settings and ledger have findings of their own
    if not working:
        return Finding("engine", True, "none runs; `bolt` or `bolt headless` starts one")
    orders = f"{working} order{'' if working == 1 else 's'} of its ledger may work at the venue"
    todo = "`bolt kill` halts and cancels them without an engine; `bolt` starts one that takes them up again"
    return Finding("engine", False, f"none runs, and {orders} with nobody to look after them", todo)


def _ledger(home: Home) -> Finding:
    from bolt_tui.ledger_tools import tape_beside, verify
    from engine.store.link import is_there

    try:
        if not is_there(home.place):
            return Finding("ledger", True, "none yet; the first start makes it")
    except SettingsError:
        return Finding("ledger", True, "not looked at: the settings say where it is")
    except BoltError as error:
        return Finding("ledger", False, str(error), "no order can leave until the ledger can be opened")
    proof = verify(home.place, None, tape_beside(home.place))
    if proof.ok:
        return Finding("ledger", True, proof.text)
    faults = (*proof.findings, *proof.conservation)
    return Finding("ledger", False, faults[0], "keep the file as it is; `bolt ledger verify` lists every fault")


def _venue(home: Home) -> Finding:
    from brokers.paperbroker import PaperSession
    from engine.domain.errors import VenueError

    if not (home.root / "venue").exists():
        return Finding("paper venue", True, "none yet; the first start makes it")
    try:
        session = PaperSession(home.root)
        try:
            count = len(session.open_orders())
        finally:
            session.close()
    except VenueError:
        return Finding("paper venue", True, "does not run; the next engine starts it, its orders are kept")
    return Finding("paper venue", True, f"runs; {count} orders work there")
