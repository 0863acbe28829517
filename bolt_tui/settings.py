"""Where Bolt's state lives and what its owner has set. The one module that reads the environment.

`BOLT_HOME` names the state folder (the platform's data folder otherwise). It belongs to one user and is closed to
everybody else: ledger, latch and socket are in it. `settings.yaml` inside is optional and strict: an unknown key or a
wrong type is refused with its line, because a setting that is silently ignored is a setting its owner believes in.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from bolt_tui.notify_settings import NotifySettings
from bolt_tui.notify_settings import check as check_notify
from bolt_tui.resources import data_file
from engine.domain.errors import SettingsError
from engine.domain.resets import read_reset
from engine.intake.presets import Presets
from engine.store.place import URL_FORM, Place, is_server_url, read_place

DIR_MODE = 0o700
FILE_MODE = 0o600


class Environment(msgspec.Struct, frozen=True):
    """What Bolt takes from the environment, read once."""

    home: str = ""
    """`BOLT_HOME`."""
    ledger: str = ""
    """`BOLT_LEDGER`: a PostgreSQL URL, in place of the one in `settings.yaml`. It may hold a password: never shown."""
    runtime_dir: str = ""
    """`XDG_RUNTIME_DIR`: short private paths for sockets."""
    temp_dir: str = "/tmp"  # noqa: S108 - the system's own answer when TMPDIR says nothing
    """`TMPDIR`."""
    term: str = ""
    """`TERM`."""
    colour: str = ""
    """`COLORTERM`."""
    locale: str = ""
    """`LC_ALL`, `LC_CTYPE` or `LANG`, the first that is set."""
    is_remote: bool = False
    """Whether the terminal sits behind SSH: the desk then repaints 4 times a second instead of 10."""


def environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Read the variables that Bolt knows; nothing else in Bolt does."""
    locale = next((variables[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if variables.get(name)), "")
    return Environment(
        home=variables.get("BOLT_HOME", ""),
        ledger=variables.get("BOLT_LEDGER", ""),
        runtime_dir=variables.get("XDG_RUNTIME_DIR", ""),
        temp_dir=variables.get("TMPDIR", "") or "/tmp",  # noqa: S108 - as above
        term=variables.get("TERM", ""),
        colour=variables.get("COLORTERM", ""),
        locale=locale,
        is_remote=bool(variables.get("SSH_CONNECTION") or variables.get("SSH_TTY")),
    )


def is_ascii_terminal(env: Environment, encoding: str) -> bool:
    """Whether only ASCII is safe: the locale is named and is not a UTF-8 one, or what is written is not UTF-8."""
    locale = env.locale.lower()
    is_utf8 = "utf-8" in locale or "utf8" in locale or not locale
    return not is_utf8 or encoding.lower().replace("_", "-") not in {"utf-8", "utf8"}


def has_few_colours(env: Environment) -> bool:
    """Whether the terminal says of itself that it knows sixteen colours: neither more in `COLORTERM` nor in `TERM`."""
    return not env.colour and env.term.rpartition("-")[2] not in {"256color", "kitty", "direct", "truecolor"}


def child_environment(home: Path) -> dict[str, str]:
    """The variables for a process that Bolt starts: this process's own, with `BOLT_HOME` set to `home`."""
    return {**os.environ, "BOLT_HOME": str(home)}


def who() -> str:
    """The user's name for the journal, from the system's account table (a variable could claim any name)."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


class Home(msgspec.Struct, frozen=True):
    """The state folder and the paths in it. Make it with :func:`open_home`, which checks it."""

    root: Path
    notes: tuple[str, ...] = ()
    """Sentences for the user about what was repaired while opening."""

    @property
    def ledger(self) -> Path:
        """The ledger's file, where no server is named: ask :attr:`place` for the ledger itself."""
        return self.root / "ledger.db"

    @property
    def place(self) -> Place:
        """Where the ledger is: on the server that `BOLT_LEDGER` or `ledger.url` names, or in :attr:`ledger`.

        Raises:
            SettingsError: the settings cannot be read, or name no place that can be used.
        """
        named = environment().ledger
        url = named or load_settings(self).ledger.url
        if named and not is_server_url(named):
            msg = f"BOLT_LEDGER is no URL of a server; expected {URL_FORM}, or unset it for the file {self.ledger}"
            raise SettingsError(msg)
        return read_place(url, self.root) if url else self.ledger

    @property
    def is_used(self) -> bool:
        """Whether an engine ever had a ledger here. Asks no server and no settings: a halt must wait for neither."""
        return self.ledger.exists() or any(self.root.glob("ledger-*.head"))

    @property
    def tape(self) -> Path:
        """Chunks of the tape, by day."""
        return self.root / "tape"

    @property
    def instruments(self) -> Path:
        """Folder of the owner's registry of instruments; optional."""
        return self.root / "instruments"

    @property
    def history(self) -> Path:
        """Folder of files of bars for strategies, average volumes and curves; optional."""
        return self.root / "history"

    @property
    def latch(self) -> Path:
        """The kill latch, mapped by each process that may send."""
        return self.root / "latch"

    @property
    def trips(self) -> Path:
        """Folder of trip files: what other processes want journaled about a halt."""
        return self.root / "trips"

    @property
    def sentinel(self) -> Path:
        """The file whose presence halts everything."""
        return self.root / "HALT"

    @property
    def socket(self) -> Path:
        """The engine's socket, where the path is short enough for the system."""
        return self.root / "engine.sock"

    @property
    def socket_record(self) -> Path:
        """Names the real socket when :attr:`socket` would be too long."""
        return self.root / "engine.sock.path"

    @property
    def policy(self) -> Path:
        """The limits in force, this user's copy."""
        return self.root / "policy.yaml"

    @property
    def settings(self) -> Path:
        """Optional settings."""
        return self.root / "settings.yaml"

    @property
    def strategies(self) -> Path:
        """Folder of the user's own strategies."""
        return self.root / "strategies"

    @property
    def receipts(self) -> Path:
        """Folder of halt receipts."""
        return self.root / "receipts"

    @property
    def realism(self) -> Path:
        """How real the last paper session was: written at its end."""
        return self.root / "realism.json"

    @property
    def logs(self) -> Path:
        """Folder of the engine's words."""
        return self.root / "logs"

    @property
    def venue(self) -> Path:
        """Folder of the paper venue, which lives on when the engine dies."""
        return self.root / "venue"

    @property
    def calendars(self) -> Path:
        """Folder of compiled session calendars; a cache, made when it is needed."""
        return self.root / "calendars"

    @property
    def own_sessions(self) -> Path:
        """The user's own calendars, where there is such a file."""
        return self.root / "sessions.yaml"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder inside that must exist."""
        return (self.trips, self.strategies, self.receipts, self.logs, self.venue)


def home_path(env: Environment | None = None) -> Path:
    """Where the state folder is, whether or not it exists."""
    named = (env or environment()).home
    if named:
        return Path(named).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("bolt", appauthor=False)


def open_home(path: Path | None = None, *, create: bool = True) -> Home:
    """Check the state folder and return its paths; made closed to everybody else where it does not exist.

    A folder of the user's own that others may enter is closed, and :attr:`Home.notes` says so.

    Raises:
        SettingsError: it belongs to somebody else, is no folder, or cannot be made.
    """
    root = path or home_path()
    if not root.exists() and not create:
        msg = f"there is no Bolt state folder at {root}; make one with `bolt init`, or set BOLT_HOME to an existing one"
        raise SettingsError(msg)
    notes = _private_folder(root)
    home = Home(root=root)
    if create:
        for folder in home.folders:
            notes += _private_folder(folder)
    return Home(root=root, notes=tuple(notes))


def visit_home(path: Path | None = None) -> Home:
    """The paths of a state folder whose engine is only spoken to; nothing is made or changed there. Root may visit anybody's: it
    can read it anyway, and is the second person for an order that waits for one.

    Raises:
        SettingsError: there is none, or it belongs to somebody else.
    """
    root = path or home_path()
    if os.getuid() == 0 and root.is_dir():
        return Home(root=root)
    return open_home(root, create=False)


def _private_folder(folder: Path) -> list[str]:
    try:
        folder.mkdir(mode=DIR_MODE, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        msg = f"the state folder {folder} cannot be used: {error.strerror}; set BOLT_HOME to a folder of your own"
        raise SettingsError(msg) from error
    if found.st_uid != os.getuid():
        msg = (
            f"the state folder {folder} belongs to user number {found.st_uid}, not to {who()} ({os.getuid()}); "
            f"an engine may only run on a folder of its own user. Set BOLT_HOME to a folder of yours"
        )
        raise SettingsError(msg)
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        try:
            folder.chmod(DIR_MODE)
        except OSError as error:
            msg = (
                f"the state folder {folder} is open to other users (mode {mode:03o}) and cannot be closed: {error.strerror}; "
                f"set BOLT_HOME to a folder of your own"
            )
            raise SettingsError(msg) from error
        return [f"{folder} was open to other users (mode {mode:03o}); it is closed now (700)"]
    return []


def ensure_policy(home: Home) -> bool:
    """Copy the shipped policy where the user has none; True when it was copied. An existing file is never touched."""
    try:
        with home.policy.open("xb") as copy:
            home.policy.chmod(FILE_MODE)
            copy.write(data_file("policy.yaml").read_bytes())
    except FileExistsError:
        return False
    return True


# -- settings.yaml -----------------------------------------------------------------------------------------------------


class DeskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the desk looks and sounds."""

    theme: str = "auto"
    """`dark`, `light`, `contrast`, `safe`, `classic` or `sixteen`; `auto` is dark, or `sixteen` where the terminal knows no more colours."""
    up_colour: Literal["theme", "swapped"] = "theme"
    """`swapped` gives rising prices the theme's colour of falling ones and the other way round, as is the custom in some markets."""
    keys: dict[str, str] = {}
    """Keys of your own: the id of a key in docs/keys.md, then what to press, as in `copy: ctrl+y`. The halt keys are fixed."""
    bell: bool = False
    """Ring the terminal's bell on alerts."""
    updates_per_s: int = 0
    """Repaints per second, 1 to 10; 0 chooses 10, or 4 over SSH."""
    characters: Literal["auto", "unicode", "ascii"] = "auto"
    """What the desk draws with; `auto` is ASCII where the locale or the terminal's encoding knows no more."""


class LedgerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the ledger is kept."""

    url: str = ""
    """A PostgreSQL URL, such as `postgresql://bolt@db.example:5432/ledger`; empty for the file `ledger.db`. `BOLT_LEDGER` goes before \
it. Needs the extra `pg`. Keep the password in `~/.pgpass`."""

    def __repr__(self) -> str:
        """Without the URL, which may hold a password."""
        return f"LedgerSettings(url={'set' if self.url else ''!r})"


class PaperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The paper market."""

    seed: int = 7
    """Seed of the simulated market; the same seed gives the same market."""
    cash: str = "1000000"
    """Opening cash, in the base currency, as decimal text."""
    reset: str = ""
    """When the venue lets go of the engine each day, as brokers do: `23:45 America/New_York 5m`, or `06:00 Asia/Kolkata 10m`; empty for never."""


class TapeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The tape: what the engine hears, by day, in `tape/` of the state folder."""

    record: bool = True
    """Record what the engine hears; without it a day cannot be decided again."""
    keep_days: int = 30
    """Older days are removed when an engine starts."""
    keep_mb: int = 4096
    """The oldest days are removed until no more is left; today stays in any case."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything `settings.yaml` may hold. Limits are not here: those are in `policy.yaml`."""

    desk: DeskSettings = DeskSettings()
    ledger: LedgerSettings = LedgerSettings()
    paper: PaperSettings = PaperSettings()
    tape: TapeSettings = TapeSettings()
    notify: NotifySettings = NotifySettings()
    strategies: dict[str, dict[str, str]] = {}
    """Strategies started with the engine: name, then its parameters as text."""
    presets: Presets = Presets()
    """What an order line leaves out: `all`, `types` (by `limit`, `market`, `vwap`...) and `symbols`, the later one wins; each
    with `size`, `price` (a price word), `tif`, `algo`, `account`, `broker`, `venue`, written for a buy and mirrored for a sell."""


def load_settings(home: Home) -> Settings:
    """Read `settings.yaml`; the defaults where there is none.

    Raises:
        SettingsError: naming file, line, value and what was expected.
    """
    try:
        words = home.settings.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{home.settings} cannot be read: {error}"
        raise SettingsError(msg) from error
    return parse_settings(words, str(home.settings))


def parse_settings(words: str, name: str = "settings.yaml") -> Settings:
    """Settings from YAML text; raises SettingsError as :func:`load_settings` does."""
    import yaml

    try:
        raw = yaml.safe_load(words)
        tree = yaml.compose(words, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        spot = f":{mark.line + 1}" if mark else ""
        msg = f"{name}{spot}: not valid YAML: {getattr(error, 'problem', error)}"
        raise SettingsError(msg) from error
    if raw is None:
        return Settings()
    try:
        made = msgspec.convert(raw, Settings, strict=True)
    except msgspec.ValidationError as error:
        rule, _, at = str(error).partition(" - at `$")
        path = [part for part in at.rstrip("`").split(".") if part]
        unknown = rule.partition("unknown field `")[2].rstrip("`")
        line = _line_of(tree, [*path, unknown] if unknown else path)
        where = f" in {'.'.join(path)}" if path else ""
        msg = f"{name}:{line}: {rule}{where}; every setting is listed in docs/commands.md"
        raise SettingsError(msg) from error
    _check(made, name)
    return made


def _check(made: Settings, name: str) -> None:
    from engine.domain.errors import MoneyError
    from engine.domain.money import Money
    from engine.intake.grammar import ALGO_WORDS
    from engine.intake.presets import check

    try:
        check(made.presets, ALGO_WORDS)
    except SettingsError as error:
        msg = f"{name}: {error}"
        raise SettingsError(msg) from None

    if not 0 <= made.desk.updates_per_s <= 10:
        msg = f"{name}: desk.updates_per_s was {made.desk.updates_per_s}; expected 1 to 10, or 0 to let Bolt choose"
        raise SettingsError(msg)
    if made.ledger.url and not is_server_url(made.ledger.url):
        msg = f"{name}: ledger.url is no URL of a server; expected {URL_FORM}, or nothing for a file"
        raise SettingsError(msg)
    try:
        check_notify(made.notify)
    except SettingsError as error:
        msg = f"{name}: {error}"
        raise SettingsError(msg) from None
    if made.paper.reset:
        try:
            read_reset(made.paper.reset)
        except SettingsError as error:
            msg = f"{name}: paper.{error}"
            raise SettingsError(msg) from None
    try:
        enough = Money(made.paper.cash) >= 0
    except MoneyError:
        enough = False
    if not enough:
        msg = f"{name}: paper.cash was {made.paper.cash!r}; expected a decimal of 0 or more, in quotes"
        raise SettingsError(msg)


def _line_of(node: Any, path: list[str]) -> int:
    """The line of the last key on the path that the file has."""
    line = 1
    for part in path:
        pairs = node.value if isinstance(node.value, list) else []
        found = next(((key, value) for key, value in pairs if key.value == part), None)
        if found is None:
            break
        line, node = int(found[0].start_mark.line) + 1, found[1]
    return line
