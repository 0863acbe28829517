"""The state folder is the user's alone, and a setting that Bolt does not know is refused with its line."""

import os
import stat
from pathlib import Path

import pytest

from bolt_tui.resources import data_file
from bolt_tui.settings import (
    Environment,
    Home,
    Settings,
    ensure_policy,
    environment,
    home_path,
    is_ascii_terminal,
    open_home,
    parse_settings,
    visit_home,
)
from engine.domain.errors import SettingsError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_closed_to_everybody_else(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        home = open_home(tmp_path / "deep" / "bolt")
    finally:
        os.umask(old)
    assert [mode(place) for place in (home.root, *home.folders)] == [0o700] * 6
    assert home.notes == ()


def test_an_open_folder_of_the_users_own_is_closed_and_said(tmp_path: Path) -> None:
    root = tmp_path / "bolt"
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    home = open_home(root)
    assert mode(root) == 0o700
    assert home.notes == (f"{root} was open to other users (mode 755); it is closed now (700)",)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    if os.getuid() == 0:
        stranger = tmp_path / "theirs"
        stranger.mkdir()
        os.chown(stranger, 65534, 65534)
    else:
        stranger = Path("/etc")
    with pytest.raises(SettingsError, match="belongs to user number"):
        open_home(stranger)


def test_root_alone_may_visit_a_folder_of_somebody_else_and_changes_nothing_there(tmp_path: Path) -> None:
    if os.getuid() != 0:
        with pytest.raises(SettingsError, match="belongs to user number"):
            visit_home(Path("/etc"))
        return
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    theirs.chmod(0o755)
    os.chown(theirs, 65534, 65534)
    assert visit_home(theirs).root == theirs
    assert mode(theirs) == 0o755
    assert not list(theirs.iterdir())
    with pytest.raises(SettingsError, match="there is no Bolt state folder"):
        visit_home(tmp_path / "nowhere")


def test_an_open_folder_that_cannot_be_closed_is_refused() -> None:
    """As on a read-only disk: nobody may change the mode of a process's own folder in /proc."""
    with pytest.raises(SettingsError, match="set BOLT_HOME to a folder of your own"):
        open_home(Path("/proc/self") if Path("/proc/self").exists() else Path("/dev/null"), create=False)


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "bolt"
    place.write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="set BOLT_HOME to a folder of your own"):
        open_home(place)


def test_a_folder_that_is_not_there_is_made_only_when_asked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="make one with `bolt init`"):
        open_home(tmp_path / "none", create=False)


def test_bolt_home_names_the_folder_and_the_platform_otherwise() -> None:
    assert home_path(environment({"BOLT_HOME": "/tmp/x"})) == Path("/tmp/x")
    assert home_path(Environment()).name == "bolt"


def test_a_terminal_behind_ssh_is_known() -> None:
    assert environment({"SSH_CONNECTION": "1 2 3 4"}).is_remote
    assert not environment({}).is_remote


@pytest.mark.parametrize(
    ("locale", "encoding", "is_ascii"),
    [
        ("", "utf-8", False),
        ("C.UTF-8", "UTF8", False),
        ("en_IN.utf8", "utf-8", False),
        ("C", "utf-8", True),
        ("POSIX", "utf-8", True),
        ("de_DE.ISO-8859-1", "utf-8", True),
        ("", "ascii", True),
        ("C.UTF-8", "latin-1", True),
        ("", "", True),
    ],
)
def test_ascii_is_drawn_where_locale_or_stream_know_no_more(locale: str, encoding: str, is_ascii: bool) -> None:
    assert is_ascii_terminal(environment({"LC_ALL": locale}), encoding) is is_ascii


def test_the_shipped_policy_is_copied_once_and_never_over_the_users(tmp_path: Path) -> None:
    home = open_home(tmp_path / "bolt")
    assert ensure_policy(home)
    assert home.policy.read_bytes() == data_file("policy.yaml").read_bytes()
    assert mode(home.policy) == 0o600
    home.policy.write_text("mine", encoding="utf-8")
    assert not ensure_policy(home)
    assert home.policy.read_text(encoding="utf-8") == "mine"


REFUSED = [
    ("desk:\n  theme: x\n  bel: true\n", "settings.yaml:3: Object contains unknown field `bel` in desk"),
    ("foo: 1", "settings.yaml:1: Object contains unknown field `foo`"),
    ("desk:\n  bell: 1", "settings.yaml:2: Expected `bool`, got `int` in desk.bell"),
    ("desk:\n  bell: 'yes'", "settings.yaml:2: Expected `bool`, got `str` in desk.bell"),
    ("# words\n\ndesk: 3", "settings.yaml:3: Expected `object`, got `int` in desk"),
    ("presets:\n  all: { price: '1' }", "settings.yaml: presets.all.price was '1'; expected a price word"),
    ("presets:\n  all: { prise: mid }", "settings.yaml:2: Object contains unknown field `prise` in presets.all"),
    ("- 1", "settings.yaml:1: Expected `object`, got `array`"),
    ("desk: [", "settings.yaml:1: not valid YAML"),
    ("desk:\n  updates_per_s: 11", "desk.updates_per_s was 11; expected 1 to 10"),
    ("paper:\n  cash: nan", "paper.cash was 'nan'; expected a decimal"),
    ("paper:\n  cash: 1000.5", "Expected `str`, got `float` in paper.cash"),
    ("strategies:\n  A:\n    x: 1", "Expected `str`, got `int` in strategies"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_a_bad_setting_is_refused_with_its_line(words: str, said: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        parse_settings(words)
    assert said in str(refusal.value)


@pytest.mark.parametrize("words", ["", "# nothing\n", "{}"])
def test_nothing_set_means_the_defaults(words: str) -> None:
    assert parse_settings(words) == Settings()


def test_a_good_file_is_read() -> None:
    made = parse_settings(
        "desk: {theme: light, bell: true}\npaper: {seed: 9}\nstrategies: {BuyTheDip: {symbol: AAPL}}\n"
    )
    assert (made.desk.theme, made.desk.bell, made.paper.seed) == ("light", True, 9)
    assert made.strategies == {"BuyTheDip": {"symbol": "AAPL"}}


def test_every_path_is_inside_the_folder() -> None:
    home = Home(root=Path("/h"))
    names = [
        "ledger",
        "latch",
        "trips",
        "sentinel",
        "socket",
        "socket_record",
        "policy",
        "settings",
        "receipts",
        "venue",
    ]
    assert all(getattr(home, name).parent == Path("/h") for name in names)
